"""Names on chips: each in its own color, near its box, inside the picture, on no other name."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from mrcnn_edu.viz.style import SMALL, text_color

Corners = tuple[float, float, float, float]  # x1, y1, x2, y2
FONT = FontProperties(size=SMALL, weight="bold")
HEIGHT, PADDING, GAP = 1.5 * SMALL, 0.4 * SMALL, 1.0  # of a chip, in points
BELOW = 13.0  # points by which a place at the top of a large box is preferred to one below it
COVER = 45.0  # points by which a place may be farther away, so as not to cover the whole box
CAPITALS = 0.73 * SMALL  # their height in this font, in points
STEP = 1.5  # points between the places that are tried


def place_names(
    boxes: np.ndarray, widths: Sequence[float], frame: Corners
) -> list[tuple[float, float] | None]:
    """The lower left corner (x, y) of each name; y points upwards, all lengths are in points.

    A name is placed as near as possible to the upper left corner of its box, or below its lower
    left one; a small box is not to be covered. None if there is no free place left. boxes:
    [N, 4], x1, y1, x2, y2. widths: [N], of the names. frame: the area that all names must be in.
    """
    corners: list[tuple[float, float] | None] = []
    taken: list[Corners] = []
    inside = np.clip(boxes, np.tile(frame[:2], 2), np.tile(frame[2:], 2))
    for (left, bottom, right, top), width in zip(inside, widths, strict=True):
        x = _steps(left, frame[0], frame[2] - width)[None]
        y = np.concatenate(
            [_steps(start, frame[1], frame[3] - HEIGHT) for start in (top, bottom - HEIGHT)]
        )[:, None]
        below = min(BELOW, (top - bottom) / 5)  # below a small box is near, too
        cost = np.minimum(abs(y - top), abs(y - (bottom - HEIGHT)) + below) ** 2 + (x - left) ** 2
        covered = np.minimum(x + width, right) - np.maximum(x, left)  # of the box, by the name
        covered = covered.clip(0) * (np.minimum(y + HEIGHT, top) - np.maximum(y, bottom)).clip(0)
        cost = cost + (COVER * covered / max((right - left) * (top - bottom), 1)) ** 2
        for x1, y1, x2, y2 in taken:
            beside = (x >= x2 + GAP) | (x + width + GAP <= x1)
            cost = np.where(beside | (y >= y2 + GAP) | (y + HEIGHT + GAP <= y1), cost, np.inf)
        if cost.size == 0 or np.isinf(cost.min()):
            corners.append(None)
            continue
        row, column = np.unravel_index(cost.argmin(), cost.shape)
        corner = float(x[0, column]), float(y[row, 0])
        corners.append(corner)
        taken.append((*corner, corner[0] + width, corner[1] + HEIGHT))
    return corners


def _steps(start: float, low: float, high: float) -> np.ndarray:
    """The places from low to high, one of them at `start` if it lies between them."""
    if high < low:
        return np.empty(0)
    start = min(max(start, low), high)
    first = np.ceil((low - start) / STEP)
    return start + STEP * np.arange(first, np.floor((high - start) / STEP) + 1)


class Names(Artist):
    """The names of boxes [N, 4], whose places are found whenever the axes are drawn.

    Only then is it known how large the axes are.
    """

    def __init__(self, boxes: np.ndarray, texts: Sequence[str], colors: Sequence[str]):
        super().__init__()
        self.boxes, self.texts, self.colors = boxes.reshape(-1, 4), texts, colors
        self.chips: list[Corners] = []  # x1, y1, x2, y2 in pixels
        self.set_zorder(6)
        self.set_in_layout(False)

    def draw(self, renderer: RendererBase) -> None:
        """Find the places of all names, and draw those that have one."""
        axes, scale = self.axes, float(renderer.points_to_pixels(1.0))  # type: ignore[arg-type]
        assert isinstance(axes, Axes)
        frame = np.array(axes.get_window_extent(renderer).extents) / scale
        corners = axes.transData.transform(self.boxes.reshape(-1, 2)).reshape(-1, 2, 2) / scale
        boxes = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
        widths = [
            renderer.get_text_width_height_descent(text, FONT, False)[0] / scale + 2 * PADDING
            for text in self.texts
        ]
        inside = frame[0] + 1, frame[1] + 1, frame[2] - 1, frame[3] - 1
        places = place_names(boxes, widths, inside)
        self.chips, lines, chips = [], [], []
        for box, width, place, text, shade in zip(
            boxes, widths, places, self.texts, self.colors, strict=True
        ):
            if place is not None:
                (x, y), right, top = place, place[0] + width, place[1] + HEIGHT
                self.chips.append((scale * x, scale * y, scale * right, scale * top))
                lines += leader(box, self.chips[-1], scale, shade)
                chips += chip(text, self.chips[-1], scale, shade)
        for artist in (*lines, *chips):
            artist.set_figure(axes.figure)
            artist.draw(renderer)


def chip(text: str, corners: Corners, scale: float, shade: str) -> list[Artist]:
    """A chip in pixels with its text. scale: pixels in a point."""
    x1, y1, x2, y2 = corners
    back = FancyBboxPatch(
        (x1, y1), x2 - x1, y2 - y1, boxstyle=f"round,pad=0,rounding_size={2.2 * scale}",
        facecolor=shade, edgecolor="white", linewidth=0.8,
    )  # fmt: skip
    baseline = (y1 + y2) / 2 - scale * CAPITALS / 2
    ink = text_color(shade)
    return [back, Text(x1 + scale * PADDING, baseline, text, fontproperties=FONT, color=ink)]


def leader(box: np.ndarray, corners: Corners, scale: float, shade: str) -> list[Artist]:
    """A line from a chip to its box [4] in points, if they are so far apart that it takes one."""
    center = (np.array(corners[:2]) + corners[2:]) / 2
    nearest = np.clip(center, scale * box[:2], scale * box[2:])
    apart = np.abs(nearest - center) - (np.array(corners[2:]) - corners[:2]) / 2
    if apart.max() < scale * HEIGHT / 2:
        return []
    x, y = np.stack((center, nearest), axis=1)
    return [Line2D(x, y, color="white", linewidth=2.4), Line2D(x, y, color=shade, linewidth=1)]
