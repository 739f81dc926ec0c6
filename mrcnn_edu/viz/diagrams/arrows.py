"""Lines and arrows with rounded bends, and where lines are joined or summed."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, PathPatch, Polygon
from matplotlib.path import Path

from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.style import INK

LINE = 1.1  # width of lines, in points
BEND = 0.09  # radius of bends
HEAD = 0.105, 0.045  # length and half of the width of an arrow's head


def arrow(axes: Axes, *points: Point, color: str = INK, dashed: bool = False) -> None:
    """Draw an arrow through the points, with rounded bends. Its tip is exactly the last point."""
    tip, before = np.array(points[-1], dtype=float), np.array(points[-2], dtype=float)
    along = (tip - before) / np.linalg.norm(tip - before)
    across = np.array([-along[1], along[0]])
    base = tip - HEAD[0] * along
    outline = [tip, base + HEAD[1] * across, base - HEAD[1] * across]
    if len(points) == 2 and not dashed:  # one shape, which takes less space than two
        half = LINE / 144 * across
        outline[2:] = [base + half, before + half, before - half, base - half, outline[2]]
    else:
        line(axes, *points[:-1], base + 0.4 * HEAD[0] * along, color=color, dashed=dashed)
    axes.add_patch(
        Polygon(outline, color=color, linewidth=0, joinstyle="round", snap=False, clip_on=False)
    )


def line(
    axes: Axes,
    *points: Point | np.ndarray,
    color: str = INK,
    dashed: bool = False,
    width: float = LINE,
) -> None:
    """Draw a line through the points, with rounded bends."""
    corners = [np.array(point, dtype=float) for point in points]
    vertices, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        to, on = before - corner, after - corner
        radius = min(BEND, np.linalg.norm(to) / 2, np.linalg.norm(on) / 2)
        vertices += [corner + radius * to / np.linalg.norm(to), corner]
        vertices += [corner + radius * on / np.linalg.norm(on)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*vertices, corners[-1]], [*codes, Path.LINETO])
    style = (0, (3, 2)) if dashed else "-"
    axes.add_patch(
        PathPatch(
            path, fill=False, color=color, linewidth=width, linestyle=style, joinstyle="round",
            capstyle="butt", snap=False, clip_on=False,
        )
    )  # fmt: skip


def dot(axes: Axes, center: Point) -> None:
    """Draw the dot at which lines that cross are joined."""
    axes.add_patch(Circle(center, 0.03, color=INK, linewidth=0, clip_on=False))


def plus(axes: Axes, center: Point, radius: float = 0.1) -> Frame:
    """Draw the sign of an addition, a plus in a circle; returns the circle's frame."""
    axes.add_patch(
        Circle(center, radius, facecolor="white", edgecolor=INK, linewidth=LINE, clip_on=False)
    )
    (x, y), arm = center, 0.55 * radius
    line(axes, (x - arm, y), (x + arm, y))
    line(axes, (x, y - arm), (x, y + arm))
    return around(center, 2 * radius, 2 * radius)
