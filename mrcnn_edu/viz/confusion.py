"""The class confusion matrix: what objects are, and what they were detected as."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK, LABEL, MATCH_COLORS, ROLES, TITLE


def show_confusion(
    counts: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    chosen: tuple[int, int] | None = None,
) -> Picture:
    """Counts [R, C] of pairs, a row for what an object is and a column for what was detected.

    A cell whose row and column have the same name is right, and green; all others are red. The
    strength of a color grows with the count. chosen: (row, column) of a cell to be framed.
    """
    picture = Picture(1.5 + 0.68 * len(columns), 0.75 + 0.36 * len(rows))
    draw_confusion(picture.subplots(), counts, rows, columns, chosen)
    return picture


def draw_confusion(
    axes: Axes,
    counts: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    chosen: tuple[int, int] | None = None,
) -> None:
    """Draw the matrix of `show_confusion`."""
    colors = shades(counts, rows, columns)
    for (row, column), n in np.ndenumerate(counts.numpy()):
        corner, face = (column - 0.5, row - 0.5), to_hex(colors[row, column].tolist())
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor="white", linewidth=2))
        if n:
            is_strong = n > 0.5 * int(counts.max()) and rows[row] == columns[column]
            style = {"ha": "center", "va": "center", "fontsize": TITLE}
            axes.text(column, row, f"{n}", color="white" if is_strong else INK, **style)
    axes.set_xticks(range(len(columns)), columns, fontsize=LABEL)
    axes.set_yticks(range(len(rows)), rows, fontsize=LABEL)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xlabel("detected as", fontsize=TITLE, labelpad=8)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("what is there", fontsize=TITLE)
    axes.spines[:].set_visible(False)
    if chosen is not None:
        row, column = chosen
        frame = Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, clip_on=False)
        frame.set(edgecolor=INK, linewidth=2.2)
        axes.add_patch(frame)


def shades(counts: Tensor, rows: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """The colors [R, C, 3] of the cells: green where the names agree, else red, 0 nearly white."""
    same = np.array([[row == column for column in columns] for row in rows])[..., None]
    strength = (counts.double() / max(1, int(counts.max()))).numpy()[..., None]
    strength = np.where(same, 0.85 * strength, np.minimum(0.6, 0.12 + 0.9 * strength))
    strength = np.where(counts.numpy()[..., None] > 0, strength, 0)
    color = np.where(same, to_rgb(ROLES["gt"]), to_rgb(MATCH_COLORS["negative"]))
    blank = np.where(same, 0.93, 0.965)
    return np.where(strength > 0, 1 - strength * (1 - color), blank)
