"""How a RoI is assembled from nine position-sensitive maps, one part from each of them."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mrcnn_edu.viz.diagrams.arrows import LINE, arrow
from mrcnn_edu.viz.diagrams.frame import Frame, around
from mrcnn_edu.viz.diagrams.scene import RATIO, draw_scene, object_boxes
from mrcnn_edu.viz.diagrams.shapes import MUTED, blend, block, edge_of, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import CLASS_COLORS, INK, LABEL, ONCE, ROLES, SMALL, TITLE

K = 3  # bins along a side
TOP = 1.05  # of the maps, from the sheet's upper edge
IMAGE = Frame(0.15, 1.5, 2.3, 2.3 * RATIO)
MAP = 0.98, 0.98 * RATIO  # width and height of each of the nine maps
STEP = MAP[0] + 0.12, MAP[1] + 0.16
LEFT = 3.75  # of the first map
ROI = Frame(7.95, 1.31, 1.9, 1.9)  # what is assembled
NAMES = [
    ["upper left", "top", "upper right"],
    ["left", "middle", "right"],
    ["lower left", "bottom", "lower right"],
]


def show_assembly() -> Picture:
    """How FCIS reads a RoI (Li et al. 2017, section 2.1), with k = 3.

    One convolution outputs nine maps of a score, each for another part of an object. A RoI is cut
    into nine bins, and each bin is copied from its own map, at its own place.
    """
    picture, axes = sheet(10, 4.0)
    draw_image_and_box(axes)
    for i in range(K):
        for j in range(K):
            draw_map_of_part(axes, i, j)
    draw_assembled(axes)
    return picture


def shade(i: int, j: int) -> str:
    """The color of a part: a hue for its column, lighter from row to row."""
    hue = (CLASS_COLORS[0], CLASS_COLORS[2], CLASS_COLORS[3])[j]
    return blend(hue, "white", (0.42, 0.6, 0.78)[i])


def box_on(frame: Frame) -> Frame:
    """The box of the cross, as it lies on the image or on a map."""
    x1, y1, x2, y2 = object_boxes(frame)[2]
    return Frame(x1, y1, x2 - x1, y2 - y1)


def bin_of(box: Frame, i: int, j: int) -> Frame:
    """The bin of a box in row i and column j."""
    wide, high = box.width / K, box.height / K
    return Frame(box.x + j * wide, box.y + i * high, wide, high)


def fill(axes: Axes, frame: Frame, color: str, edge: str, width: float) -> None:
    """Draw a filled rectangle."""
    x, y, wide, high = frame
    axes.add_patch(
        Rectangle(
            (x, y), wide, high, facecolor=color, edgecolor=edge, linewidth=width, clip_on=False,
            zorder=3,
        )
    )  # fmt: skip


def draw_image_and_box(axes: Axes) -> None:
    """Draw the image with the RoI's nine bins, and the layers that compute the maps."""
    write(axes, IMAGE.center[0], 0.2, "Image", TITLE, weight="bold")
    write(axes, IMAGE.center[0], 0.46, "a RoI, cut into 3 × 3 bins", SMALL, color=MUTED)
    draw_scene(axes, IMAGE, "pale")
    box = box_on(IMAGE)
    for i in range(K):
        for j in range(K):
            fill(axes, bin_of(box, i, j), "none", ROLES["proposal"], 0.8)
    fill(axes, box, "none", ROLES["proposal"], 1.8)
    layers = block(axes, around((3.08, IMAGE.center[1]), 0.62, 0.75), "all\nlayers", ONCE)
    arrow(axes, (IMAGE.x + IMAGE.width, IMAGE.center[1]), layers.left)
    arrow(axes, layers.right, (LEFT - 0.06, IMAGE.center[1]))


def draw_map_of_part(axes: Axes, i: int, j: int) -> None:
    """Draw the map of one part, with the RoI on it and the bin that is copied."""
    if (i, j) == (0, 0):
        middle = LEFT + 1.5 * STEP[0] - 0.06
        write(axes, middle, 0.2, "Nine maps of one score", TITLE, weight="bold")
        text = "each covers the whole image, and answers for one part"
        write(axes, middle, 0.46, text, SMALL, color=MUTED)
    frame = Frame(LEFT + j * STEP[0], TOP + i * (STEP[1] + 0.13), *MAP)
    write(axes, frame.center[0], frame.y - 0.11, NAMES[i][j], SMALL)
    fill(axes, frame, blend(shade(i, j), "white", 0.75), edge_of(shade(i, j)), 0.9)
    box = box_on(frame)
    for row in range(K):
        for column in range(K):
            fill(axes, bin_of(box, row, column), "none", ROLES["proposal"], 0.35)
    fill(axes, bin_of(box, i, j), shade(i, j), INK, 1.0)


def draw_assembled(axes: Axes) -> None:
    """Draw the RoI that the nine parts make."""
    write(axes, ROI.center[0], 0.2, "The RoI, assembled", TITLE, weight="bold")
    write(axes, ROI.center[0], 0.46, "every bin from its own map", SMALL, color=MUTED)
    right = LEFT + 3 * STEP[0] - 0.12
    arrow(axes, (right + 0.08, ROI.center[1]), (ROI.x - 0.1, ROI.center[1]))
    for i in range(K):
        for j in range(K):
            part = bin_of(ROI, i, j)
            fill(axes, part, shade(i, j), "white", LINE)
            write(axes, *part.center, NAMES[i][j].replace(" ", "\n"), LABEL, zorder=4)
    fill(axes, ROI, "none", ROLES["proposal"], 1.8)
    text = "no layer, and no weight:\nvalues are only looked up"
    write(axes, ROI.center[0], ROI.y + ROI.height + 0.3, text, SMALL, color=MUTED)
