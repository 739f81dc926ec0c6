"""The RPN at one location: its window on the feature map, its anchors, and its outputs."""

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from mrcnn_edu.viz.diagrams.arrows import LINE, arrow, dot, line
from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.pyramids import shade
from mrcnn_edu.viz.diagrams.scene import ASPECTS, RATIO, anchors_around, draw_scene, outline_boxes
from mrcnn_edu.viz.diagrams.shapes import MUTED, STRONG, block, edge_of, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK, LIGHT, ONCE, ROLES, SMALL, TITLE

STEP = 0.3  # side of a grid cell, on the map and in the image
COLUMNS, ROWS = 8, 6
AT = 5, 3  # column and row of the location
WIDE = COLUMNS * STEP
IMAGE, MAP = Frame(0.15, 1.0, WIDE, WIDE * RATIO), Frame(3.05, 1.0, WIDE, WIDE * RATIO)
SIDE = 0.84  # the square root of an anchor's area
FORK, OUTPUTS = 6.62, 8.6  # x of the fork of the branches, and of the first output
REMARK = (
    "Here k = 3, as in FPN. Faster R-CNN has k = 9, and outputs 2k scores\n"
    "(object, not object) for a softmax, where we have a sigmoid."
)


def show_rpn_window() -> Picture:
    """What the RPN computes at one location (Faster R-CNN, Ren et al. 2015, section 3.1, figure 3).

    A 3×3 convolution slides over the feature map. At each location, k anchors are centered on the
    corresponding point of the image, and two 1×1 convolutions output k objectness scores and 4k box
    deltas. Here k is 3, as with FPN (Lin et al. 2017, section 4.1). Faster R-CNN's figure has 2k
    scores, for "object" and "not object", as it used a softmax over two classes.
    """
    picture, axes = sheet(9.9, 3.7)
    draw_anchors(axes)
    draw_window(axes)
    draw_outputs(axes)
    write(axes, IMAGE.x, 3.4, REMARK, SMALL, ha="left", color=MUTED)
    return picture


def center_of(frame: Frame) -> Point:
    """The middle of the location's grid cell, on the map or in the image."""
    return frame.x + (AT[0] + 0.5) * STEP, frame.y + (AT[1] + 0.5) * STEP


def draw_grid(axes: Axes, frame: Frame, color: str) -> None:
    """Draw the lines between grid cells."""
    x, y, width, height = frame
    columns, rows = round(width / STEP), round(height / STEP)
    upright = [[(x + i * STEP, y), (x + i * STEP, y + height)] for i in range(1, columns)]
    flat = [[(x, y + i * STEP), (x + width, y + i * STEP)] for i in range(1, rows)]
    axes.add_collection(
        LineCollection(upright + flat, colors=color, linewidths=0.6, zorder=2, clip_on=False),
        autolim=False,
    )


def draw_anchors(axes: Axes) -> None:
    """Draw the image with the location's anchors."""
    write(axes, IMAGE.center[0], 0.17, "Image", TITLE, weight="bold")
    write(axes, IMAGE.center[0], 0.4, "k anchors around the location", SMALL, color=MUTED)
    draw_scene(axes, IMAGE, "pale")
    draw_grid(axes, IMAGE, LIGHT)
    outline_boxes(axes, anchors_around(center_of(IMAGE), SIDE), "anchor", 1.5)


def draw_window(axes: Axes) -> None:
    """Draw the feature map and the window on it, which slides."""
    write(axes, MAP.center[0], 0.17, "Feature map", TITLE, weight="bold")
    write(axes, MAP.center[0], 0.4, "a 3 × 3 window slides over all locations", SMALL, color=MUTED)
    fill, edge = shade(0.3), edge_of(ONCE)
    box = {"facecolor": fill, "edgecolor": edge, "linewidth": LINE, "clip_on": False}
    axes.add_patch(Rectangle(MAP[:2], MAP.width, MAP.height, **box))
    draw_grid(axes, MAP, "white")
    window = around(center_of(MAP), 3 * STEP, 3 * STEP)
    box |= {"facecolor": shade(1), "edgecolor": INK, "linewidth": STRONG}
    axes.add_patch(Rectangle(window[:2], window.width, window.height, zorder=2, **box))
    draw_grid(axes, window, "white")
    arrow(axes, (MAP.x, MAP.y - 0.15), (MAP.x + MAP.width, MAP.y - 0.15), color=MUTED)
    line(axes, center_of(IMAGE), center_of(MAP), color=MUTED, dashed=True)
    for frame, color in (IMAGE, ROLES["anchor"]), (MAP, INK):
        axes.plot(*center_of(frame), "o", color=color, markersize=5, markeredgewidth=0)


def draw_outputs(axes: Axes) -> None:
    """Draw the two branches, and what they output for each anchor."""
    x, y = center_of(MAP)
    shared = block(axes, around((6.05, y), 0.75, 0.5), "3 × 3\nconv", ONCE)
    arrow(axes, (x + 1.5 * STEP, y), shared.left)
    dot(axes, (FORK, y))
    line(axes, shared.right, (FORK, y))
    for middle, name, columns in (
        (y - 0.85, "k objectness scores", ["$p$"]),
        (y + 0.85, "4k box deltas", ["$t_x$", "$t_y$", "$t_w$", "$t_h$"]),
    ):
        branch = block(axes, around((7.2, middle), 0.75, 0.5), "1 × 1\nconv", ONCE)
        arrow(axes, (FORK, y), (FORK, middle), branch.left)
        arrow(axes, branch.right, (branch.right[0] + 0.3, middle))
        write(axes, OUTPUTS - 0.52, middle - 0.67, name, weight="bold", ha="left")
        for i in range(len(ASPECTS)):
            row = middle + (i - 1) * 0.3
            icon = anchors_around((OUTPUTS - 0.35, row), 0.16)[i]
            outline_boxes(axes, [icon], "anchor", 1.1)
            for j, symbol in enumerate(columns):
                cell = around((OUTPUTS + j * 0.34, row), 0.3, 0.24)
                block(axes, cell, symbol, "white", fontsize=SMALL)
