"""The text of a lesson, cut into paragraphs of one kind each: a question, an answer, a hint.

Nothing here needs a notebook's classes: a cell is anything with a type, a source and metadata. So
style.py can use it, which must be quick.
"""

import re
from collections.abc import Iterator
from typing import Any

# The kind of a paragraph by how it begins; any other is plain text. A kind is a tag, too.
BEGINNINGS = {
    "title": r"# ",
    "heading": r"## ",
    "predict": r"(> )?\*\*Predict",
    "exercise": r"\*\*\d+\.\*\*",
    "discuss": r"\*\*To discuss",
    "answer": r"<details>\s*<summary>(<b>)?Answer|\*\*What happened",
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
    # lines up to an empty one, or to one of the above, or to a question
    | ^[^\n]*\S[^\n]*(\n(?![ ]*$|\#\#?[ ]|<details\b|```|~~~|>[ ]\*\*Predict)[^\n]+)*
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
INNER_QUESTION = re.compile(r"(?<=[.?!:)])\s(?=\*\*Predict)")  # not at its paragraph's beginning


def pieces(cells: list[Any]) -> Iterator[tuple[str, str, Any]]:
    """The kind and the text of each cell to be made, and the cell that it is cut from."""
    for cell in cells:
        if cell.cell_type == "code":
            kind = "claim" if "claim" in cell.metadata.get("tags", []) else "code"
            yield kind, cell.source, cell
            continue
        kind, text = "", ""
        for paragraph in paragraphs(cell.source):
            next_kind = kind_of(paragraph)
            is_list = re.match(r"([-*+]|\d+\.) |\||\$\$", paragraph)
            takes_lists = kind == "predict" or (kind == "answer" and text.startswith("**"))
            belongs = kind in ("text", "exercise", "discuss") or (takes_lists and is_list)
            if next_kind == "text" and belongs:
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


def find_revealing(kinds: list[str]) -> set[int]:
    """Which cells are code whose output answers a question that is asked above it.

    That is all code up to the answer, which is folded away or begins with **What happened.**;
    where there is no such answer, it is the code up to the text below it.
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
