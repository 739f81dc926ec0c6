"""Rows of text as a table: in aligned columns for a terminal, or in Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

Row = tuple[str, ...]


class Block(NamedTuple):
    """A part of a report; the first row has the titles, the first column the names."""

    rows: Sequence[Row]

    def text(self) -> str:
        """Columns separated by two spaces: names on the left, numbers on the right."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = []
        for name, *cells in self.rows:
            aligned = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)]
            lines.append("  ".join([f"{name:{widths[0]}}", *aligned]).rstrip())
        return "\n".join(lines)

    def markdown(self) -> str:
        """A table in Markdown."""
        titles, *rows = self.rows
        ruler = ("---", *["---:"] * (len(titles) - 1))
        return "\n".join("| " + " | ".join(row) + " |" for row in (titles, ruler, *rows))
