"""What the commands print: classes in a line, numbers in a table, text that fits the terminal."""

import shutil
import textwrap
from collections.abc import Sequence

WIDEST = 100  # columns of text; longer lines are hard to read


def named(classes: Sequence[str]) -> str:
    """How many classes there are, and the names of the first eight."""
    names = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    return f"{len(classes)} class{'' if len(classes) == 1 else 'es'} ({names})"


def table(*rows: tuple) -> str:
    """The rows as text, in aligned columns."""
    texts = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in texts)


def filled(text: str, first: str, following: str) -> str:
    """The text in lines that fit the terminal; the indentations of its lines."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    wrapper = textwrap.TextWrapper(width, first, following, break_on_hyphens=False)
    return wrapper.fill(" ".join(text.split()))
