"""A small scene of three objects, in which diagrams show anchors, proposals and detections."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.shapes import STRONG, blend, edge_of
from mrcnn_edu.viz.style import CLASS_COLORS, DASHES, GRAY, INK, ROLES

RATIO = 0.75  # height / width of the scene
PAPER = "#E6EAE4"  # what the objects lie on
TRIANGLE = [(0.07, 0.57), (0.41, 0.62), (0.19, 0.93)]  # corners, in units of the frame
RING = 0.32, 0.27, 0.15  # x and y of the center, and the radius
CROSS = 0.74, 0.52, 0.2, 0.07  # x and y of the center, and half of an arm's length and width
# What makes proposals of the objects' boxes: what is added to x1, y1, x2, y2 of each, twice.
PROPOSED = [
    [0.02, -0.05, 0.05, 0.01], [-0.04, -0.01, 0.02, 0.04], [-0.05, -0.06, 0.02, 0.02],
    [-0.05, 0.03, 0.01, 0.03], [0.03, 0.02, 0.06, 0.0], [0.04, 0.03, 0.03, 0.06],
]  # fmt: skip
ASPECTS = 0.5, 1.0, 2.0  # height / width of the anchors
COLORS = CLASS_COLORS[0], CLASS_COLORS[3], CLASS_COLORS[4]  # of triangle, ring and cross


def draw_scene(axes: Axes, frame: Frame, paint: str = "full", strong: bool = False) -> None:
    """Draw the scene into a frame whose height is RATIO of its width.

    paint: "full" for the image as it is, "pale" for what annotations are drawn on, "gray" for a
    scene that is not to attract attention, and "masks" for each object's mask on the pale image.
    """
    x, y, width, height = frame
    light = {"full": 0.0, "pale": 0.62, "gray": 0.62, "masks": 0.75}[paint]
    edge, line = (INK, STRONG) if strong else (edge_of(PAPER), 0.9)
    paper = {"facecolor": blend(PAPER, "white", light), "edgecolor": edge, "linewidth": line}
    axes.add_patch(Rectangle((x, y), width, height, clip_on=False, **paper))
    to_frame = Affine2D().scale(width, width).translate(x, y) + axes.transData
    for shape, color in zip(shapes(), COLORS, strict=True):
        tone = "#9AA0A8" if paint == "gray" else color
        face = blend(tone, "white", 0.3 + 0.6 * light)
        line = tone if paint == "masks" else "none"
        style = {"facecolor": face, "edgecolor": line, "linewidth": 1.1, "joinstyle": "round"}
        axes.add_patch(PathPatch(shape, transform=to_frame, clip_on=False, **style))


def shapes() -> list[Path]:
    """The outlines of the triangle, the ring and the cross, in units of the frame's width."""
    triangle = Path([(x, y * RATIO) for x, y in (*TRIANGLE, TRIANGLE[0])], closed=True)
    x, y, radius = RING
    ring = Path.make_compound_path(circle(radius, radius), circle(0.55 * radius, -0.55 * radius))
    ring = ring.transformed(Affine2D().translate(x, y * RATIO))
    x, y, long, wide = CROSS
    arm = np.array([(long, -wide), (long, wide), (wide, wide)])
    turns = [Affine2D().rotate_deg(24 + 90 * i).transform(arm) for i in range(4)]
    corners = np.concatenate((*turns, turns[0][:1]))
    cross = Path(corners, closed=True).transformed(Affine2D().translate(x, y * RATIO))
    return [triangle, ring, cross]


def circle(x: float, y: float) -> Path:
    """A circle around the origin, of four curves: Matplotlib's has eight, which take more space.

    x and y are its radius. If one of them is negative, the circle runs the other way round, and is
    a hole in another one.
    """
    bend = 4 / 3 * (sqrt(2) - 1)
    quarter = np.array([(1, bend), (bend, 1), (0, 1)])
    points = [Affine2D().rotate_deg(90 * i).transform(quarter) for i in range(4)]
    vertices = np.concatenate(([(1, 0)], *points)) * (x, y)
    return Path(vertices, [Path.MOVETO, *[Path.CURVE4] * 12])


def object_boxes(frame: Frame) -> np.ndarray:
    """The boxes [3, 4] of the objects on the sheet: triangle, ring, cross."""
    extents = [shape.get_extents().extents for shape in shapes()]
    return np.array(extents) * frame.width + np.tile(frame[:2], 2)


def proposal_boxes(frame: Frame) -> np.ndarray:
    """Proposals [6, 4] on the sheet, two near each object."""
    return np.tile(object_boxes(frame), (2, 1)) + np.array(PROPOSED) * frame.width


def anchors_around(center: Point, side: float) -> np.ndarray:
    """Anchors [3, 4] of an area of side², centered on a point: wide, square, tall."""
    boxes = []
    for aspect in ASPECTS:
        x, y, width, height = around(center, side / sqrt(aspect), side * sqrt(aspect))
        boxes.append([x, y, x + width, y + height])
    return np.array(boxes)


def outline_boxes(
    axes: Axes, boxes: np.ndarray | Sequence, role: str, width: float = 1.2, faded: bool = False
) -> None:
    """Draw boxes [N, 4] in the color of a role, or in gray if they are faded."""
    corners = np.asarray(boxes)[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1, 2, 1]].reshape(-1, 6, 2)
    lines = LineCollection(
        list(corners), colors=GRAY if faded else ROLES[role], linewidths=width,
        linestyles=[DASHES.get(role, "-")], joinstyle="miter", clip_on=False,
    )  # fmt: skip
    axes.add_collection(lines, autolim=False)
