"""A picture's caption: its lines, below the picture and aligned with its left edge."""

import re
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from mrcnn_edu.viz.style import TITLE

LONGEST_LINE = 90  # characters: longer lines are hard to read
LINE, SPACE = 0.19, 0.05  # inches: the height of a line, and the space above the first one
MARGIN, BASE = 0.05, 0.07  # inches on the left and right, and below the last line's letters
WIDER = 1.06  # letters are drawn at whole pixels, and wider than their outlines by that
NUMBER = re.compile(r"Figure \d+\.")
WORD = re.compile(r"(?:\$[^$]+\$|\S)+")  # a formula belongs to one word, with its spaces


@dataclass(frozen=True)
class Caption:
    """A caption cut into lines: a number such as "Figure 3.", and what stands beside and below."""

    number: str
    indent: float  # inches from the left edge, of the text beside the number
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        """The height in inches that it takes below a picture."""
        return SPACE + LINE * len(self.lines)

    def draw(self, figure: Figure) -> None:
        """Draw it along the bottom of a figure, which has room for it."""
        width, height = figure.get_size_inches()
        for i, line in enumerate(self.lines):
            y = BASE + LINE * (len(self.lines) - 1 - i)
            parts = [(MARGIN, line, "normal")]
            if i == 0:
                parts = [(MARGIN, self.number, "bold"), (self.indent, line, "normal")]
            for x, part, weight in parts:
                drawn = figure.text(
                    x / width, y / height, part, weight=weight, fontsize=TITLE, color="#333333"
                )
                drawn.set_in_layout(False)


@lru_cache(maxsize=64)  # a player draws one caption again and again
def set_caption(text: str, width: float) -> Caption:
    """The caption with this text for a picture that is `width` inches wide."""
    number = match[0] if (match := NUMBER.match(text)) else ""
    indent = MARGIN + _width(f"{number} ", "bold") if number else MARGIN
    lines, start, n_before = [""], indent, len(number)
    for word in WORD.findall(text[n_before:]):
        longer = f"{lines[-1]} {word}".strip()
        is_short = n_before + len(longer) < LONGEST_LINE
        if not lines[-1] or (is_short and start + _width(longer) <= width - MARGIN):
            lines[-1] = longer
        else:
            lines.append(word)
            start, n_before = MARGIN, 0
    return Caption(number, indent, tuple(lines))


def _width(line: str, weight: str = "normal") -> float:
    """The width of a line in inches, about."""
    font, letters = FontProperties(size=TITLE, weight=weight), line.replace("$", "")
    return WIDER * text_to_path.get_text_width_height_descent(letters, font, ismath=False)[0] / 72
