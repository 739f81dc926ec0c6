"""The names of numbered classes: data.yaml, classes.txt, obj.names, labelmap.txt, class_names.txt.

Of a YAML file only the entry `names` is read, in the four ways to write it, so no library for YAML
is needed.
"""

import re
from pathlib import Path

from mrcnn_edu.data.convert.instance_png import color_value

QUOTED = r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
# 'a', or "b"] or 0: a} in a list in brackets, and what ends it; and an entry in a line of its own.
IN_BRACKETS = re.compile(rf"\s*(?:(\d+)\s*:)?\s*({QUOTED}|[^,\]}}]*?)\s*([,\]}}])")
OWN_LINE = re.compile(rf"\s*(?:-|(\d+)\s*:)\s*({QUOTED}|.*?)\s*")
ESCAPE = re.compile(r"\\(?:(x..|u....|U.{8})|(.))")  # within double quotes


def read_list(file: Path) -> dict[int, str]:
    """The class of each number, from a text file of one name a line, or from a YAML file.

    Empty if there is none. Raises ValueError for a class without a name, and if their number is not
    that which the YAML file gives (`nc`).
    """
    text, is_yaml = _text(file), file.suffix.lower() in (".yaml", ".yml")
    names = _names_in_yaml(text) if is_yaml else _lines(text)
    nameless = [number for number, name in names.items() if not name]
    if nameless:
        raise ValueError(f"{file}: class {nameless[0]} (from 0) has no name: write it there")
    given = re.search(r"^nc\s*:\s*(\d+)", text, re.MULTILINE) if names and is_yaml else None
    if given and int(given[1]) != len(names):
        raise ValueError(f"{file}: nc is {given[1]}, but names has {len(names)}: correct one")
    return names


def read_label_map(file: Path) -> dict[int, str]:
    """The class of each value and of each color in a labelmap.txt: `name:red,green,blue::`.

    A class's value is the number of its line, beginning with 0.
    """
    names = {}
    entries = [line for line in _text(file).splitlines() if line.strip() and line.strip()[0] != "#"]
    for value, entry in enumerate(entries):
        name, _, rest = entry.partition(":")
        try:
            red, green, blue = map(int, rest.partition(":")[0].split(","))
        except ValueError:
            raise ValueError(
                f"{file}: {entry!r} is not name:red,green,blue:: as in Pascal VOC: correct it"
            ) from None
        names[value] = names[color_value(red, green, blue)] = name.strip()
    return names


def _lines(text: str) -> dict[int, str]:
    """One name a line; empty lines at the end do not count."""
    return dict(enumerate(line.strip() for line in text.rstrip().splitlines()))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not in UTF-8: save it in that encoding") from error


def _names_in_yaml(text: str) -> dict[int, str]:
    """The entry `names` of a YAML file: a list or numbered names, in brackets or one a line."""
    text = re.sub(r"(^|\s)#.*", "", text, flags=re.MULTILINE)
    found = re.search(r"^names\s*:[ \t]*(.*)", text, re.MULTILINE | re.DOTALL)
    if not found:
        return {}
    rest, entries = found[1], []
    if rest[:1] in ("[", "{"):
        match = IN_BRACKETS.match(rest, 1)
        while match:
            entries.append(match.group(1, 2))
            match = IN_BRACKETS.match(rest, match.end()) if match[3] == "," else None
        if entries[-1:] == [(None, "")]:  # after a last comma, or [] alone
            entries.pop()
    else:
        for line in filter(str.strip, rest.splitlines()):
            match = OWN_LINE.fullmatch(line)
            if match is None:  # the next entry of the file
                break
            entries.append(match.group(1, 2))
    return {int(number or i): _unquoted(name) for i, (number, name) in enumerate(entries)}


def _unquoted(name: str) -> str:
    name = " ".join(name.split())  # a long one may be broken into lines
    quote = name[0] if len(name) > 1 and name[0] == name[-1] else ""
    if quote == "'":
        return name[1:-1].replace("''", "'")
    if quote == '"':
        return ESCAPE.sub(lambda m: m[2] or chr(int(m[1][1:], 16)), name[1:-1])
    return name
