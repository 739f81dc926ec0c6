"""What the build refuses: predictions that are given away, checks in the reader's way, captions.

Each function gives sentences that begin with the id of a cell, and none if all is well. The rule
for the place of claims holds in every lesson; the others, for the present, in those that
style.REWRITTEN lists.
"""

import ast
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

NUMBERED = re.compile(r"Figure (\d+)\. ")
EXPLAINED = "**What happened.**"
SHORTEST = 8  # letters of an output that, seen twice, is no coincidence


def tags_of(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", []))


def outputs_of(cell: Any) -> list[Any]:
    """What a cell has made; build.py adds other outputs, with a word of ours in their metadata."""
    return [o for o in cell.get("outputs", []) if "mrcnn_edu" not in o.get("metadata", {})]


def lines_of_asserts(code: str) -> list[int]:
    """The lines in which assert statements begin. IPython's magics are passed over."""
    plain = re.sub(r"(?m)^[%!].*$", "pass", code)
    return sorted(node.lineno for node in ast.walk(ast.parse(plain)) if type(node) is ast.Assert)


def complaints_of_claims(cells: list[Any]) -> Iterator[str]:
    """Claims that are not at the end of their section, or have an output."""
    for cell, below in zip_longest(cells, cells[1:]):
        if "claim" not in tags_of(cell):
            continue
        if below is not None and not {"claim", "heading"} & tags_of(below):
            yield f"{cell.id}: move this claim to the end of its section, below {below.id}"
        if outputs_of(cell):
            yield f"{cell.id}: a claim should have no output, because its code is not shown"


def complaints_of_asserts(cells: list[Any]) -> Iterator[str]:
    """Assert statements in code that a reader sees."""
    for cell in cells:
        if cell.cell_type == "code" and "claim" not in tags_of(cell):
            for line in lines_of_asserts(cell.source):
                yield f'{cell.id}, line {line}: move this assert into a cell tagged "claim"'


def complaints_of_predictions(cells: list[Any]) -> Iterator[str]:
    """Questions without an answer, and outputs that give one away. Before a run there are none."""
    for index, question in enumerate(cells):
        if "predict" not in tags_of(question):
            continue
        ends = {"answer", "heading", "predict"}
        end = next((i for i in range(index + 1, len(cells)) if ends & tags_of(cells[i])), None)
        between = [cell for cell in cells[index + 1 : end] if cell.cell_type == "code"]
        answers = [cell for cell in between if "hide-output" in tags_of(cell)]
        if not answers:
            yield f"{question.id}: no code below this question has an output that answers it"
            continue
        if end is None or not cells[end].source.startswith(EXPLAINED):
            yield f'{answers[-1].id}: explain the answer in a text that begins with "{EXPLAINED}"'
        if answers[-1].execution_count and not any(map(outputs_of, answers)):
            yield f"{answers[-1].id}: its output should answer {question.id}, but it has none"
        for cell in between:
            if outputs_of(cell) and not cell.metadata.get("jupyter", {}).get("outputs_hidden"):
                yield f"{cell.id}: this output gives away the answer to {question.id}"
        hidden = {shown for cell in answers for shown in contents(cell)}
        for cell in cells[:index]:
            if "hide-output" not in tags_of(cell) and hidden & contents(cell):
                yield f"{cell.id}: the same output, below {question.id}, is meant to be a surprise"


def contents(cell: Any) -> set[str]:
    """The texts and pictures in a cell's outputs."""
    found = set()
    for output in outputs_of(cell):
        shown = {"text": output.get("text", ""), **output.get("data", {})}
        if len(shown) > 2:  # a picture's plain text is but the name of its class
            del shown["text/plain"]
        found |= {text.strip() for text in shown.values() if len(text.strip()) >= SHORTEST}
    return found


def complaints_of_captions(cells: list[Any]) -> Iterator[str]:
    """Pictures without a caption, or whose numbers do not run 1, 2, 3, ... through the lesson."""
    number = 0
    for cell in cells:
        for output in outputs_of(cell):
            kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            if not kinds:
                continue
            number += 1
            texts = {output.metadata.get(kind, {}).get("alt", "") for kind in kinds}
            caption = NUMBERED.match(min(texts))  # of a picture in two forms, too
            if caption is None or int(caption[1]) != number:
                yield (
                    f"{cell.id}: give this picture the caption that is due here, "
                    f'.caption("Figure {number}. ..."), and not "{min(texts)[:40]}"'
                )
