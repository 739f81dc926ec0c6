"""Box deltas: how an anchor is shifted and resized to become a box (lessons 02 and 06)."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from torch import Tensor

from mrcnn_edu.boxes import encode_boxes
from mrcnn_edu.viz.diagrams.arrows import arrow
from mrcnn_edu.viz.diagrams.shapes import write
from mrcnn_edu.viz.diagrams.sheet import as_boxes, measure, sheet
from mrcnn_edu.viz.draw import draw_boxes, draw_image
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import DASHES, INK, ROLES, TITLE

SLOT = 0.1, 0.45, 4.1, 3.0  # where the boxes are on the sheet: x1, y1, x2, y2
MARGIN = 0.25  # of an image around the boxes, as a fraction of the longer side of both together
SIZE = TITLE + 2  # of equations, in points
HALO = [withStroke(linewidth=3, foreground="white")]  # text stands out from an image
NAMES = {"gt": "ground truth", "proposal": "proposal", "detection": "detection"}


def show_box_deltas(
    anchor: Tensor, box: Tensor, image: Tensor | None = None, role: str = "gt"
) -> Picture:
    """The four deltas that turn an anchor [4], dashed, into a box [4], solid.

    On the left, an arrow leads from the anchor's center to the box's, and the lines below and
    beside them measure both boxes. On the right, the deltas as R-CNN (appendix C, equations 6 to
    9) defines them, with the numbers of these boxes. image: [C, H, W], drawn behind them. role:
    whose color the box has. Raises ValueError unless both are boxes that have an area.
    """
    pair = torch.cat((as_boxes(anchor, "anchor", 1), as_boxes(box, "box", 1)))
    if (pair[:, 2:] <= pair[:, :2]).any():
        raise ValueError(f"anchor and box are {pair.tolist()}: both need x2 > x1 and y2 > y1")
    colors = ROLES["anchor"], ROLES.get(role, role)
    picture, axes = sheet(9.2, 3.7)
    for x, name, color in ((0.15, "anchor", colors[0]), (1.3, NAMES.get(role, "box"), colors[1])):
        axes.plot([x, x + 0.35], [0.2] * 2, color=color, linestyle=DASHES.get(name, "-"))
        write(axes, x + 0.43, 0.2, name, TITLE, ha="left", color=color)

    x1, y1, x2, y2 = window(pair, image)
    scale = min((SLOT[2] - SLOT[0]) / (x2 - x1), (SLOT[3] - SLOT[1]) / (y2 - y1))
    width, height = scale * (x2 - x1), scale * (y2 - y1)
    left, top = (SLOT[0] + SLOT[2] - width) / 2, (SLOT[1] + SLOT[3] - height) / 2
    scene = axes.inset_axes((left, top, width, height), transform=axes.transData, zorder=0.5)
    scene.axis("off")
    if image is not None:
        draw_image(scene, image)
    scene.set(xlim=(x1, x2), ylim=(y2, y1), aspect="auto")
    draw_boxes(scene, pair, ["anchor", role])

    placed = (pair - pair.new_tensor([x1, y1] * 2)) * scale + pair.new_tensor([left, top] * 2)
    draw_shift(axes, placed, colors)
    draw_sizes(axes, placed, (left + width, top + height), colors)
    write_equations(axes, pair)
    return picture


def window(pair: Tensor, image: Tensor | None) -> tuple[float, float, float, float]:
    """The part (x1, y1, x2, y2) of the plane that is shown: both boxes [2, 4], and a margin."""
    low, high = pair[:, :2].amin(dim=0), pair[:, 2:].amax(dim=0)
    extent = (high - low).max()
    outer_low, outer_high = low - 0.02 * extent, high + 0.02 * extent
    if image is not None:  # no more than the image, unless a box reaches out of it
        size = pair.new_tensor([image.shape[-1], image.shape[-2]])
        outer_low = torch.minimum((low - MARGIN * extent).clamp(min=0), outer_low)
        outer_high = torch.maximum(torch.minimum(high + MARGIN * extent, size), outer_high)
    (x1, y1), (x2, y2) = outer_low.tolist(), outer_high.tolist()
    return x1, y1, x2, y2


def draw_shift(axes: Axes, placed: Tensor, colors: tuple[str, str]) -> None:
    """Draw the arrow between the centers of two boxes [2, 4], and its parts along x and y."""
    (x_a, y_a), (x, y) = ((placed[:, :2] + placed[:, 2:]) / 2).tolist()
    right, down = (1 if x >= x_a else -1), (1 if y >= y_a else -1)
    is_seen = math.hypot(x - x_a, y - y_a) > 0.15  # or else the two dots say it all
    axes.plot([x_a, x, x], [y_a, y_a, y], color="white", linewidth=3, zorder=0.9)
    axes.plot([x_a, x, x], [y_a, y_a, y], color=INK, linewidth=0.9, linestyle=":")
    if is_seen:
        axes.plot([x_a, x], [y_a, y], color="white", linewidth=3, zorder=0.9)
        arrow(axes, (x_a, y_a), (x, y))
    for point, color in zip(((x_a, y_a), (x, y)), colors, strict=True):
        axes.plot(*point, "o", color=color, markersize=5, markeredgecolor="white")
    if abs(x - x_a) > 0.05:
        where = (x + x_a) / 2, y_a - 0.14 * down
        write(axes, *where, "$d_x w_a$", SIZE, path_effects=HALO)
    if abs(y - y_a) > 0.05:
        where = x + 0.1 * right, y_a + max(abs(y - y_a) / 2, 0.12) * down
        align = "left" if right > 0 else "right"
        write(axes, *where, "$d_y h_a$", SIZE, path_effects=HALO, ha=align)


def draw_sizes(
    axes: Axes, placed: Tensor, corner: tuple[float, float], colors: tuple[str, str]
) -> None:
    """Measure the widths of two boxes [2, 4] below a corner (x, y), and the heights beside it."""
    names = ("$w_a$", "$h_a$"), ("$w = w_a e^{d_w}$", "$h = h_a e^{d_h}$")
    for i, (x1, y1, x2, y2) in enumerate(placed.tolist()):
        x, y, style = corner[0] + 0.17 + 0.5 * i, corner[1] + 0.17 + 0.27 * i, {"color": colors[i]}
        measure(axes, (x1, y), (x2, y), **style)
        measure(axes, (x, y1), (x, y2), **style)
        write(axes, x2 + 0.12, y, names[i][0], SIZE, ha="left", **style)
        write(axes, x + 0.12, (y1 + y2) / 2, names[i][1], SIZE, ha="left", **style)


def write_equations(axes: Axes, pair: Tensor) -> None:
    """Write the four deltas, with the numbers of an anchor and its box [2, 4]."""
    w_a, h_a = (pair[0, 2:] - pair[0, :2]).tolist()
    w, h = (pair[1, 2:] - pair[1, :2]).tolist()
    x, y = ((pair[1, :2] + pair[1, 2:] - pair[0, :2] - pair[0, 2:]) / 2).tolist()
    parts = (("x", "x - x_a", "w_a", x, w_a), ("y", "y - y_a", "h_a", y, h_a),
             ("w", "w", "w_a", w, w_a), ("h", "h", "h_a", h, h_a))  # fmt: skip
    deltas = encode_boxes(pair[1], pair[0]).tolist()
    for i, ((name, over, under, top, bottom), delta) in enumerate(zip(parts, deltas, strict=True)):
        log = r"\ln\," if name in "wh" else ""
        symbols = rf"{log}\dfrac{{{over}}}{{{under}}}"
        numbers = rf"{log}\dfrac{{{top:.4g}}}{{{bottom:.4g}}}"
        value = f"{round(delta, 2) + 0.0:.2f}".replace("-", "{-}")  # a sign, not a subtraction
        text = rf"$d_{name} \;=\; {symbols} \;=\; {numbers} \;=\; {value}$"
        write(axes, 6.1, 0.5 + 0.83 * i, text, SIZE, ha="left")
