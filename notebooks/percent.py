"""The cells of a lesson's source, read in milliseconds: jupytext and nbformat take seconds to load.

tests/test_style.py compares them with what jupytext reads.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TAGS = re.compile(r"tags=(\[.*?\])")


@dataclass
class Cell:
    """A cell as it stands in the source: text may still have several paragraphs."""

    cell_type: str
    source: str
    metadata: dict[str, Any]
    line: int  # of the file, at which the source begins, counted from 1


def read_cells(path: Path) -> list[Cell]:
    """The cells of a source in jupytext's percent format."""
    cells, lines = [], path.read_text().split("\n")
    starts = [index for index, line in enumerate(lines) if line.startswith("# %%")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        mark, body = lines[start], lines[start + 1 : end]
        tags = TAGS.search(mark)
        metadata = {"tags": json.loads(tags[1])} if tags else {}
        if "[markdown]" in mark:
            kind, body = "markdown", [line.removeprefix("#").removeprefix(" ") for line in body]
        else:
            kind = "code"
        text = "\n".join(body).rstrip()
        first = len(text) - len(text.lstrip("\n"))
        cells.append(Cell(kind, text.lstrip("\n"), metadata, start + 2 + first))
    return cells
