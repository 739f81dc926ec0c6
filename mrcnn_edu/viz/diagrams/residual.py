"""Residual blocks: two layers without a shortcut and with one, and the bottleneck of ResNet-50."""

from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from mrcnn_edu.viz.diagrams.arrows import LINE, arrow, dot, plus
from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, edge_of, soft, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import FILL, HIGHLIGHT, LEVELS, SMALL, TITLE

Layer = tuple[int, int, int]  # size of the kernel, channels in, channels out
PLAIN: list[Layer] = [(3, 64, 64), (3, 64, 64)]
BOTTLENECK: list[Layer] = [(1, 256, 64), (3, 64, 64), (1, 64, 256)]
TOP, SUM, END = 0.86, 4.35, 5.32  # y of the input, the sum and the output
CONV, NORM, GAP = 0.42, 0.25, 0.035  # heights of the layers, and of the gap between them
NARROW, WIDE = 1.25, 2.0  # widths that stand for 64 and 256 channels
AROUND = 0.42  # distance of the shortcut from the layers
FORK = 0.16  # distance of the fork from the input


def show_residual_block() -> Picture:
    """A residual block of two 3×3 convolutions beside the same stack without a shortcut.

    The layers F of a residual block learn what to add to the input x, so the block outputs
    F(x) + x (ResNet, He et al. 2016, section 3.2 and equation 1). If F(x) is 0, x passes
    unchanged. On the right is the block of ResNet-50 (the same, figure 5): 1×1 convolutions reduce
    the channels and restore them, so that the 3×3 convolution has few. Widths stand for channels.
    The weights counted are those of the convolutions.
    """
    picture, axes = sheet(9.9, 5.6)
    draw_stack(axes, 1.5, PLAIN, "Plain stack", "64 channels", shortcut=False)
    draw_stack(axes, 4.65, PLAIN, "Residual block", "64 channels")
    draw_stack(axes, 8.05, BOTTLENECK, "Bottleneck block", "256 channels, as in ResNet-50")
    return picture


def draw_stack(
    axes: Axes, x: float, layers: list[Layer], name: str, what: str, shortcut: bool = True
) -> None:
    """Draw a block around x: its layers from top to bottom, and its shortcut."""
    write(axes, x, 0.17, name, TITLE, weight="bold")
    write(axes, x, 0.4, what, SMALL, color=MUTED)
    write(axes, x, TOP - 0.13, "$x$")
    weights = sum(kernel**2 * inputs * outputs for kernel, inputs, outputs in layers)
    write(axes, x, END + 0.16, f"{weights:,} weights", SMALL, color=MUTED)

    height = CONV + GAP + NORM
    start = TOP + FORK
    space = (SUM - 0.11 - start - len(layers) * height) / (len(layers) + 1)
    last = (x, TOP)
    for i, layer in enumerate(layers):
        y = start + space + i * (space + height)
        arrow(axes, last, (x, y))
        last = draw_layer(axes, (x, y), layer, is_last=i == len(layers) - 1)
    if shortcut:
        middle = (last[1] + SUM) / 2
        side = x + width_of(layers[-1][2]) / 2 + AROUND
        circle = plus(axes, (x, SUM), 0.11)
        arrow(axes, last, circle.top)
        fork = (x, start)
        arrow(axes, fork, (side, fork[1]), (side, SUM), circle.right, color=HIGHLIGHT)
        dot(axes, fork)
        write(axes, x - 0.12, middle, "$F(x)$", ha="right")
        write(axes, (x + side) / 2 + 0.06, fork[1] - 0.12, "shortcut", SMALL, color=HIGHLIGHT)
        write(axes, x + 0.12, SUM + 0.22, "$F(x) + x$", ha="left")
        write(axes, side + 0.1, (TOP + SUM) / 2, "$x$", color=HIGHLIGHT, ha="left")
        last = circle.bottom
    frame = around((x, SUM + 0.49), width_of(layers[-1][2]), NORM)
    relu = block(axes, frame, "ReLU", FILL, fontsize=SMALL)
    arrow(axes, last, relu.top)
    arrow(axes, relu.bottom, (x, END))


def draw_layer(axes: Axes, top: Point, layer: Layer, is_last: bool) -> Point:
    """Draw a convolution and its norm below a point; returns the point below them."""
    (x, y), (kernel, inputs, outputs) = top, layer
    above, below = width_of(inputs), width_of(outputs)
    corners = [(x - above / 2, y), (x + above / 2, y)]
    corners += [(x + below / 2, y + CONV), (x - below / 2, y + CONV)]
    fill = LEVELS[1]
    axes.add_patch(
        Polygon(
            corners, facecolor=soft(fill), edgecolor=edge_of(fill), linewidth=LINE,
            joinstyle="round", clip_on=False,
        )
    )  # fmt: skip
    write(axes, x, y + CONV / 2, f"{kernel} × {kernel} conv, {outputs}")
    norm = Frame(x - below / 2, y + CONV + GAP, below, NORM)
    return block(axes, norm, "norm" if is_last else "norm, ReLU", FILL, fontsize=SMALL).bottom


def width_of(channels: int) -> float:
    """The width of a layer with so many channels."""
    return NARROW if channels == 64 else WIDE
