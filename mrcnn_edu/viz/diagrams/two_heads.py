"""The heads of Mask R-CNN's figure 4, for C4 and for FPN, with the shapes of their tensors."""

from matplotlib.axes import Axes

from mrcnn_edu.viz.diagrams.arrows import arrow, dot, line
from mrcnn_edu.viz.diagrams.frame import Frame, around
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, key, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, LEVELS, SMALL, TITLE

MAP, VECTOR = EACH, LEVELS[1]  # fills: tensors that have a layout, and those that have none
COLUMNS = 2.05, 4.35, 6.65, 8.95  # x of the tensors
WIDTH, HEIGHT = 1.06, 0.46  # of a tensor's block
OUTPUT = 1.3, 0.28  # width and height of the block of an output without a layout
C4_LANES, FPN_LANES = (0.52, 1.34), (2.42, 3.24)  # y of the rows: box, mask
REMARKS = {  # y of the heading: text, and what is said below it
    0.52: ("Head for C4", "RoIAlign reads once,\nand res5 is a part\nof the head"),
    2.42: ("Heads for FPN", "RoIAlign reads twice,\n7 × 7 for the box,\n14 × 14 for the mask"),
}


def show_two_heads() -> Picture:
    """The two heads of Mask R-CNN, figure 4 (He et al. 2017), with COCO's 80 classes.

    Above, the head for ResNet-C4: the last stage of the network, res5, runs for every RoI, and both
    branches start from its output. Below, the heads for FPN: two fully connected layers for class
    and box, and an FCN for the masks. The box branch has one more class, background.
    """
    picture, axes = sheet(9.9, 4.0)
    for y, (name, remark) in REMARKS.items():
        write(axes, 0.1, y - 0.3, name, TITLE, weight="bold", ha="left")
        write(axes, 0.1, y - 0.14, remark, SMALL, ha="left", va="top", color=MUTED)
    draw_c4_head(axes)
    draw_fpn_heads(axes)
    fills = {"a map: each value has a position": MAP, "a vector: positions are lost": VECTOR}
    key(axes, 3.3, 3.86, fills, (2.6, 0))
    return picture


def draw_c4_head(axes: Axes) -> None:
    """Draw the head for C4, whose branches share res5."""
    box_lane, mask_lane = C4_LANES
    middle = (box_lane + mask_lane) / 2
    roi = tensor(axes, 0, middle, "7 × 7 × 1024")
    shared = tensor(axes, 1, middle, "7 × 7 × 2048")
    layer(axes, roi, shared, "res5")
    fork = (COLUMNS[1] + WIDTH / 2 + 0.22, middle)
    line(axes, shared.right, fork)
    dot(axes, fork)
    mean = tensor(axes, 2, box_lane, "2048", VECTOR)
    larger = tensor(axes, 2, mask_lane, "14 × 14 × 256")
    for branch, name in ((mean, "mean"), (larger, "deconv")):
        arrow(axes, fork, (fork[0], branch.left[1]), branch.left)
        write(axes, (fork[0] + branch.x) / 2, branch.left[1] - 0.12, name, SMALL)
    draw_box_outputs(axes, mean)
    layer(axes, larger, tensor(axes, 3, mask_lane, "14 × 14 × 80"), "1 × 1 conv")
    write(axes, COLUMNS[3], mask_lane + 0.34, "masks", weight="bold")


def draw_fpn_heads(axes: Axes) -> None:
    """Draw the box head and the mask head for FPN."""
    box_lane, mask_lane = FPN_LANES
    maps = ["14 × 14 × 256", "14 × 14 × 256", "28 × 28 × 256", "28 × 28 × 80"]
    frames = [tensor(axes, i, mask_lane, shape) for i, shape in enumerate(maps)]
    names = "3 × 3 conv,\n4 times", "deconv", "1 × 1 conv"
    for before, after, name in zip(frames, frames[1:], names, strict=False):
        layer(axes, before, after, name)
    write(axes, COLUMNS[3], mask_lane + 0.34, "masks", weight="bold")
    roi = tensor(axes, 0, box_lane, "7 × 7 × 256")
    first = tensor(axes, 1, box_lane, "1024", VECTOR)
    second = tensor(axes, 2, box_lane, "1024", VECTOR)
    layer(axes, roi, first, "flatten, fc")
    layer(axes, first, second, "fc")
    draw_box_outputs(axes, second)


def draw_box_outputs(axes: Axes, vector: Frame) -> None:
    """Draw the class scores and the box deltas that are predicted from a vector."""
    x, y = vector.right
    fork = (x + 0.22, y)
    line(axes, vector.right, fork)
    dot(axes, fork)
    for middle, text in ((y - 0.19, "81 class scores"), (y + 0.19, "81 × 4 box deltas")):
        output = around((COLUMNS[3], middle), *OUTPUT)
        block(axes, output, text, VECTOR, fontsize=SMALL)
        arrow(axes, fork, (fork[0], middle), output.left)
    write(axes, (fork[0] + COLUMNS[3] - OUTPUT[0] / 2) / 2, y, "fc", SMALL)


def tensor(axes: Axes, column: int, y: float, shape: str, fill: str = MAP) -> Frame:
    """Draw a tensor with its shape."""
    return block(axes, around((COLUMNS[column], y), WIDTH, HEIGHT), shape, fill, fontsize=SMALL)


def layer(axes: Axes, before: Frame, after: Frame, name: str) -> None:
    """Draw the arrow of a layer, with the layer's name above it."""
    arrow(axes, before.right, after.left)
    middle = (before.right[0] + after.left[0]) / 2
    write(axes, middle, before.right[1] - 0.07, name, SMALL, va="bottom")
