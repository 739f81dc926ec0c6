"""An empty sheet for a diagram, the boxes on one, and lines that measure them."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.boxes import as_float
from mrcnn_edu.refusals import wrong_box
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK

CAP = 0.05  # half of the length of the strokes at the ends of a line that measures


def sheet(width: float, height: float) -> tuple[Picture, Axes]:
    """A picture and axes that fill it, with x from 0 to `width` and y from 0 down to `height`.

    Lengths are in units of 72 pixels, so a text of 9 points is 0.125 units high.
    """
    picture = Picture(width, height)
    picture.get_layout_engine().set(w_pad=0, h_pad=0)  # type: ignore[union-attr]
    axes = picture.add_subplot()
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.axis("off")
    return picture, axes


def as_boxes(boxes: Any, name: str, n: int | None = None) -> Tensor:
    """Boxes as a float tensor [N, 4], from a tensor or a list; one box may be a row [4].

    name: what error messages call them. Raises ValueError for another shape, for a number of boxes
    other than n, or for a box that is not finite or whose x2 < x1 or y2 < y1.
    """
    checked = as_float(torch.as_tensor(boxes).detach().cpu())
    checked = checked[None] if checked.ndim == 1 and len(checked) == 4 else checked
    if checked.ndim != 2 or checked.shape[1] != 4 or n not in (None, len(checked)):
        right = "[N, 4]" if n is None else "[4]" if n == 1 else f"[{n}, 4]"
        raise ValueError(f"{name} has shape {list(checked.shape)}: expected {right}")
    sizes = checked[:, 2:] - checked[:, :2]
    wrong = ~checked.isfinite().all(dim=1) | (sizes < 0).any(dim=1)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise wrong_box(name, row, checked[row].tolist())
    return checked


def measure(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str = INK
) -> None:
    """Draw a line along x or y with a short stroke across at both of its ends."""
    x, y = np.array([start, end]).T
    across = (0, CAP) if y[0] == y[1] else (CAP, 0)
    strokes = [
        ([p - across[0], p + across[0]], [q - across[1], q + across[1]]) for p, q in (start, end)
    ]
    for line_x, line_y in ((x, y), *strokes):
        axes.plot(line_x, line_y, color=color, linewidth=1.4)
