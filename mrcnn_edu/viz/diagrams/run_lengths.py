"""A small mask pixel by pixel, and its run-length encoding (lesson 01)."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.viz.diagrams.arrows import arrow
from mrcnn_edu.viz.diagrams.shapes import MUTED, write
from mrcnn_edu.viz.diagrams.sheet import measure, sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, INK, LABEL, LEVELS, SMALL, TITLE

MOST_PIXELS = 16  # of a mask whose numbers can still be read
CELL, PIXEL = 0.5, 0.4  # sides of a pixel in the mask, and in the row of all pixels
MARGIN, TOP, GAP = 0.1, 0.42, 0.6  # around the mask, above it, and before the row
BELOW = 0.85  # height of the runs below the row
ONES = LEVELS[1]  # the fill of the pixels that belong to the object


def show_run_lengths(mask: Tensor, counts: Sequence[int] | None = None) -> Picture:
    """A mask [H, W] whose pixels are numbered down the columns, beside all of them in one row.

    counts: the lengths of the runs of equal pixels, the zeros first, as COCO stores them. They are
    drawn as given, so that a wrong list shows. Without them, the row is still to be filled in.
    Raises ValueError for a mask without pixels or with more than `MOST_PIXELS`, and for counts
    that do not add up to the number of its pixels.
    """
    n = mask.numel()
    if mask.ndim != 2 or not 0 < n <= MOST_PIXELS:
        raise ValueError(
            f"mask has shape {list(mask.shape)}: give [H, W] with 1 to {MOST_PIXELS} pixels"
        )
    if counts is not None and (sum(counts) != n or min(counts) < 0):
        raise ValueError(f"the counts {list(counts)} do not add up to the mask's {n} pixels")
    height, width = mask.shape
    left = MARGIN + CELL * width + GAP
    tall = max(CELL * height, PIXEL + BELOW + 0.2)
    picture, axes = sheet(left + PIXEL * n + MARGIN, TOP + tall + MARGIN)
    draw_grid(axes, mask, TOP + (tall - CELL * height) / 2)
    y = TOP + (tall - PIXEL - BELOW) / 2 + 0.1
    draw_pixels(axes, mask, left, y, filled=counts is not None)
    draw_runs(axes, counts or (), left, y + PIXEL + 0.16)
    return picture


def draw_grid(axes: Axes, mask: Tensor, top: float) -> None:
    """Draw the mask, an arrow down each of its columns, and the number of each pixel."""
    height, width = mask.shape
    for x in range(width):
        left = MARGIN + CELL * x
        arrow(axes, (left + CELL / 2, top - 0.3), (left + CELL / 2, top - 0.06), color=GRAY)
        for y in range(height):
            pixel(axes, left, top + CELL * y, CELL, bool(mask[y, x]))
            write(axes, left + CELL / 2, top + CELL * (y + 0.5), str(x * height + y), LABEL)


def draw_pixels(axes: Axes, mask: Tensor, left: float, y: float, filled: bool) -> None:
    """Draw all pixels in their order: their numbers and, if filled, their values."""
    for i, value in enumerate(mask.T.flatten().tolist()):
        x = left + PIXEL * i
        pixel(axes, x, y, PIXEL, filled and value, INK if filled else GRAY)
        write(axes, x + PIXEL / 2, y - 0.12, str(i), SMALL, color=MUTED)
        if filled:
            write(axes, x + PIXEL / 2, y + PIXEL / 2, str(int(value)), LABEL)


def draw_runs(axes: Axes, counts: Sequence[int], left: float, y: float) -> None:
    """Draw a line below each run, with its length."""
    start = left
    for k, count in enumerate(counts):
        end = start + PIXEL * count
        if count:
            measure(axes, (start + 0.04, y), (end - 0.04, y))
        middle = (start + end) / 2 if count else start - 0.22  # beside the first run that is drawn
        text = ("zero", "one")[k % 2] + ("" if count == 1 else "s")
        write(axes, middle, y + 0.2, str(count), TITLE + 2, weight="bold")
        write(axes, middle, y + 0.42, text, SMALL, color=MUTED)
        start = end


def pixel(axes: Axes, x: float, y: float, side: float, value: bool, edge: str = INK) -> None:
    """Draw one pixel: filled if it belongs to the object."""
    fill = ONES if value else "white"
    axes.add_patch(Rectangle((x, y), side, side, facecolor=fill, edgecolor=edge, linewidth=0.8))
