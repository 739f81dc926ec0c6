"""The cells of a lesson: one thing in each, with an id, tags and a type of slide.

An author writes the text between two pieces of code in one go. Here it is cut: a heading, a
question to predict, an answer, a hint and an exercise each get a cell of their own. JupyterLab can
then fold a section at its heading, a teacher's tools can hide or remove cells by their tags, and
`jupyter nbconvert --to slides` begins a slide with each section.

A cell's id names its lesson, its section and its kind: 07-roipool-rounds-twice-answer. Ids are
unique in the course. They stay when a cell's text is edited, when sections change places and when
cells are added in other sections. (A hash of the text would change with each edit, and a number
with each cell that is added above.)
"""

import re
import unicodedata
from collections.abc import Iterator

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_markdown_cell

LONGEST_SLUG = 40  # of a heading; an id has at most 64 letters
# The kind of a paragraph by how it begins; any other is plain text. A kind is a tag, too.
BEGINNINGS = {
    "title": r"# ",
    "heading": r"## ",
    "predict": r"\*\*Predict",
    "exercise": r"\*\*\d+\.\*\*",
    "discuss": r"\*\*To discuss",
    "answer": r"<details>\s*<summary>(<b>)?Answer",
    "hint": r"<details>\s*<summary>(<b>)?(Hint|Idea)",
    "solution": r"<details>\s*<summary>(<b>)?(Solution|Our )",
    "aside": r"<details",
}
PARAGRAPH = re.compile(
    r"""
    # code in a fence
    ^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[ ]*$
    # what is folded away, and perhaps something folded in it
    | ^<details\b(?:(?!</?details\b).|<details\b.*?</details>)*</details>[^\n]*
    # a heading
    | ^\#\#?[ ][^\n]*
    # lines up to an empty one, or to one of the above
    | ^[^\n]*\S[^\n]*(\n(?![ ]*$|\#\#?[ ]|<details\b|```|~~~)[^\n]+)*
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
INNER_QUESTION = re.compile(r"(?<=[.?!:)])\s(?=\*\*Predict)")  # not at its paragraph's beginning
# Types of slides; a cell without one goes on the slide of the cell above. Questions and steps begin
# a slide below their section's; what answers a question appears there key by key.
SLIDES = {"claim": "skip", "title": "slide", "heading": "slide"}
SLIDES |= dict.fromkeys(("predict", "exercise", "discuss"), "subslide")
SLIDES |= dict.fromkeys(("hide-output", "answer"), "fragment")
SLIDES |= dict.fromkeys(("hint", "solution", "aside"), "skip")


def cut_cells(cells: list[NotebookNode], lesson: str) -> list[NotebookNode]:
    """The cells, cut. lesson: what the ids begin with, such as 07."""
    cut = list(pieces(cells))
    revealing = find_revealing([kind for kind, _, _ in cut])
    made, ids = [], set()
    section, name, before = "", lesson, ""
    for index, (kind, text, cell) in enumerate(cut):
        if kind in ("title", "heading"):
            section = re.sub(r"^#+ (\d+\. )?", "", text)
            name = unused(f"{lesson}-{'title' if kind == 'title' else slug(section)}", ids)
        new = cell if kind == "code" else new_markdown_cell(text)
        new["id"] = name if kind in ("title", "heading") else unused(f"{name}-{kind}", ids)
        tags = [*cell.metadata.get("tags", []), *tags_of(kind, section, index in revealing)]
        slide = next((SLIDES[tag] for tag in SLIDES if tag in tags), None)
        if kind == "text" and before in ("code", "answer"):
            slide = "subslide"
        new["metadata"] = metadata(cell.metadata, tags, slide)
        made.append(new)
        before = kind
    return made


def find_revealing(kinds: list[str]) -> set[int]:
    """Which cells are code whose output answers a question that is asked above it.

    That is all code up to the answer; where none is folded away, up to the text that explains.
    """
    found = set()
    for question in (i for i, kind in enumerate(kinds) if kind == "predict"):
        below = kinds[question + 1 :]
        ends = [i for i, kind in enumerate(below) if kind in ("answer", "predict", "heading")]
        end = ends[0] if ends else len(below)
        if below[end : end + 1] != ["answer"] and "code" in below:
            first = below.index("code")
            end = next((i for i in range(first, end) if below[i] != "code"), end)
        found |= {question + 1 + i for i in range(end) if below[i] == "code"}
    return found


def tags_of(kind: str, section: str, reveals: bool) -> list[str]:
    """A cell's tags. reveals: whether it is code whose output answers a question above it."""
    tags = [] if kind in ("text", "code") else [kind]
    if kind == "code" and reveals:
        tags.append("hide-output")  # until the cell is run, or the reader asks for it
    if kind == "code" and section.startswith("Exercises"):
        tags.append("exercise")
    if section.startswith("Play"):
        tags.append("play")
    return tags


def metadata(given: NotebookNode, tags: list[str], slide: str | None) -> NotebookNode:
    """A cell's metadata: what its source says, with the tags and the type of slide."""
    made = {key: given[key] for key in given if key not in ("tags", "lines_to_next_cell")}
    if "hide-output" in tags:
        made["jupyter"] = {"outputs_hidden": True, **made.get("jupyter", {})}
    if slide is not None:
        made = {"slideshow": {"slide_type": slide}, **made}
    if tags:
        made["tags"] = list(dict.fromkeys(tags))
    return from_dict(made)


def pieces(cells: list[NotebookNode]) -> Iterator[tuple[str, str, NotebookNode]]:
    """The kind and the text of each cell to be made, and the cell that it is cut from."""
    for cell in cells:
        if cell.cell_type == "code":
            yield "code", cell.source, cell
            continue
        kind, text = "", ""
        for paragraph in paragraphs(cell.source):
            next_kind = kind_of(paragraph)
            is_list = re.match(r"([-*+]|\d+\.) |\||\$\$", paragraph)
            belongs = next_kind == "text" and kind in ("text", "exercise", "discuss")
            if belongs or (next_kind == "text" and kind == "predict" and is_list):
                text += f"\n\n{paragraph}"
                continue
            if text:
                yield kind, text, cell
            kind, text = next_kind, paragraph
        if text:
            yield kind, text, cell


def kind_of(paragraph: str) -> str:
    """The kind of a paragraph, by its beginning."""
    return next((kind for kind, how in BEGINNINGS.items() if re.match(how, paragraph)), "text")


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a text. Code in a fence is one, and so is a <details>, with blank lines."""
    if text.count("<details") != text.count("</details>"):
        raise ValueError(f"a <details> is not closed in this text:\n{text}")
    for match in PARAGRAPH.finditer(text):
        paragraph = match[0].rstrip()
        if kind_of(paragraph) == "text" and not match["fence"]:
            yield from INNER_QUESTION.split(paragraph)
        else:
            yield paragraph


def slug(heading: str) -> str:
    """The first part of a heading, for an id: letters and digits, with dashes between words."""
    short = re.split(r"[:?(]", heading)[0]
    plain = unicodedata.normalize("NFKD", short).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    name = words[0] if words else "section"
    for word in words[1:]:
        if len(name) + 1 + len(word) > LONGEST_SLUG:
            break
        name += f"-{word}"
    return name[:LONGEST_SLUG]


def unused(name: str, ids: set[str]) -> str:
    """The name, with a number if an id has it already; from now on an id has it."""
    number, found = 1, name
    while found in ids:
        number += 1
        found = f"{name}-{number}"
    ids.add(found)
    return found
