"""Bilinear interpolation: the weights of four values as areas (lesson 07)."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.viz.diagrams.shapes import MUTED, write
from mrcnn_edu.viz.diagrams.sheet import measure, sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK, LABEL, OP_COLORS, TITLE

FILLS = "#B9D7EA", "#F6D5A8", "#CBE3C2", "#E3CCE4"  # of the four values, row by row
SIDE = 2.3  # of the square between the four positions, in units of 72 pixels


def show_bilinear(values: Tensor, dx: float, dy: float) -> Picture:
    """A point between four positions, and the weight of each of their values [2, 2] as an area.

    dx, dy: in 0..1, how far the point is from the upper left position. A value weighs as much as
    the rectangle opposite to it is large: the nearer the point, the larger that rectangle. Raises
    ValueError for other shapes and for a point that lies elsewhere.
    """
    if values.shape != (2, 2):
        raise ValueError(f"values has shape {list(values.shape)}: give [2, 2]")
    if not (0 <= dx <= 1 and 0 <= dy <= 1):
        raise ValueError(f"dx, dy are {dx}, {dy}: give numbers in 0..1")
    picture, axes = sheet(6.6, SIDE + 0.8)
    left, top = 0.8, 0.5
    x, y = left + dx * SIDE, top + dy * SIDE
    weights = [[(1 - dy) * (1 - dx), (1 - dy) * dx], [dy * (1 - dx), dy * dx]]
    for i in range(2):
        for j in range(2):
            fill = FILLS[2 * i + j]
            start = (left if j else x, top if i else y)  # of the rectangle opposite to the value
            width = dx * SIDE if j else (1 - dx) * SIDE
            height = dy * SIDE if i else (1 - dy) * SIDE
            draw_area(axes, start, width, height, fill, weights[i][j])
            corner = left + j * SIDE, top + i * SIDE
            draw_value(axes, corner, (-0.33 if j == 0 else 0.33, 0), values[i, j].item(), fill)
    axes.plot(x, y, "o", color=OP_COLORS["align"], markersize=8, markeredgecolor="white", zorder=4)
    if dx > 0:
        measure(axes, (left, top - 0.17), (x, top - 0.17), MUTED)
        write(axes, left + dx * SIDE / 2, top - 0.34, r"$\Delta x$", TITLE)
    if dy > 0:
        measure(axes, (left - 0.17, top), (left - 0.17, y), MUTED)
        write(axes, left - 0.4, top + dy * SIDE / 2, r"$\Delta y$", TITLE)
    terms = [f"{weights[i][j]:.3g} × {values[i, j].item():g}" for i in range(2) for j in range(2)]
    total = sum(weights[i][j] * values[i, j].item() for i in range(2) for j in range(2))
    for k, term in enumerate(terms):
        row = top + 0.3 + 0.42 * k
        axes.add_patch(Rectangle((4.2, row - 0.13), 0.3, 0.26, color=FILLS[k], linewidth=0))
        write(axes, 4.7, row, ("" if k == 0 else "+ ") + term, TITLE + 2, ha="left")
    write(axes, 4.7, top + 2.1, f"= {total:.4g}", TITLE + 2, ha="left", weight="bold")
    return picture


def draw_area(
    axes: Axes, start: tuple[float, float], width: float, height: float, fill: str, weight: float
) -> None:
    """Draw the rectangle that is a value's weight, with the weight in it if there is room."""
    axes.add_patch(
        Rectangle(start, width, height, facecolor=fill, edgecolor="white", linewidth=1.2)
    )
    if min(width, height) > 0.35:
        write(axes, start[0] + width / 2, start[1] + height / 2, f"{weight:.3g}", LABEL)


def draw_value(
    axes: Axes, at: tuple[float, float], shift: tuple[float, float], value: float, fill: str
) -> None:
    """Draw a position as a dot in its value's color, and the value beside it."""
    axes.plot(*at, "o", color=fill, markersize=13, markeredgecolor=INK, zorder=3)
    write(axes, at[0] + shift[0], at[1] + shift[1], f"{value:g}", TITLE + 4, weight="bold")
