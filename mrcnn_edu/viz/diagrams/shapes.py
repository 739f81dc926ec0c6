"""What diagrams are made of: texts, blocks and feature maps.

Lengths are in units of 72 pixels, and y points down, as on a `sheet`.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import FancyBboxPatch, Polygon

from mrcnn_edu.viz.diagrams.arrows import LINE
from mrcnn_edu.viz.diagrams.frame import Frame, Point
from mrcnn_edu.viz.style import FILL, INK, LABEL, SMALL

STACK = 0.045  # shift between the cards of a stack
ROUND = 0.055  # radius of a block's corners
STRONG = 1.9  # width of the outlines of what is highlighted, in points
MUTED = "#5C626C"  # text of secondary importance


def write(axes: Axes, x: float, y: float, text: str, size: float = LABEL, **style) -> None:
    """Write text that is centered at x, y, unless the style says otherwise."""
    defaults = {"ha": "center", "va": "center", "color": INK, "linespacing": 1.25}
    axes.text(x, y, text, fontdict=defaults | {"fontsize": size} | style)


def block(
    axes: Axes,
    frame: Frame,
    text: str = "",
    fill: str = FILL,
    strong: bool = False,
    cards: int = 1,
    **style,
) -> Frame:
    """Draw a rounded block with text in it, or a stack of cards that fills the same frame.

    A stack stands for what is computed many times. strong: highlighted. Returns the frame.
    """
    x, y, width, height = frame
    hidden = STACK * (cards - 1)
    for i in reversed(range(cards)):
        card = FancyBboxPatch(
            (x + STACK * i, y + hidden - STACK * i), width - hidden, height - hidden,
            f"round,pad=0,rounding_size={ROUND}", facecolor=fill if strong else soft(fill),
            edgecolor=INK if strong else edge_of(fill),
            linewidth=STRONG if strong and i == 0 else LINE, joinstyle="round", clip_on=False,
        )  # fmt: skip
        axes.add_patch(card)
    if text:
        x, y = frame.center
        write(axes, x - hidden / 2, y + hidden / 2, text, **style)
    return frame


def slab(
    axes: Axes, frame: Frame, thickness: float, fill: str = FILL, strong: bool = False
) -> Frame:
    """Draw a feature map, seen from above at an angle: a slab as thick as it has channels.

    Returns the frame within the slanted sides, whose middles are where arrows meet the slab.
    """
    x1, y1, x2, y2 = frame.x, frame.y, frame.x + frame.width, frame.y + frame.height
    slant, low = 0.28 * frame.width, y2 - thickness
    top = [(x1 + slant, y1), (x2, y1), (x2 - slant, low), (x1, low)]
    front = [(x1, low), (x2 - slant, low), (x2 - slant, y2), (x1, y2)]
    side = [(x2 - slant, low), (x2, y1), (x2, y1 + thickness), (x2 - slant, y2)]
    edge, width = (INK, 0.75 * STRONG) if strong else (edge_of(fill), 0.8 * LINE)
    for corners, shade in ((top, 0.0), (front, 0.12), (side, 0.22)):
        axes.add_patch(
            Polygon(
                corners, facecolor=blend(fill, INK, shade), edgecolor=edge, linewidth=width,
                joinstyle="round", clip_on=False,
            )
        )  # fmt: skip
    depth = low - y1
    inset = max(0.0, slant * (depth - thickness) / (2 * depth))
    return Frame(x1 + inset, y1, frame.width - 2 * inset, frame.height)


def key(axes: Axes, x: float, y: float, fills: dict[str, str], step: Point = (0, 0.21)) -> None:
    """Say what fills mean: text -> fill, the first one at x, y, each next one a step further."""
    for i, (text, fill) in enumerate(fills.items()):
        left, middle = x + i * step[0], y + i * step[1]
        block(axes, Frame(left, middle - 0.065, 0.2, 0.13), fill=fill)
        write(axes, left + 0.28, middle, text, SMALL, ha="left")


def blend(color: str, other: str, amount: float) -> str:
    """A color between two: the first one for an amount of 0, the other one for 1."""
    mixed = (1 - amount) * np.array(to_rgb(color)) + amount * np.array(to_rgb(other))
    return to_hex(mixed.tolist())


def soft(fill: str) -> str:
    """A light tint of a fill, for large areas."""
    return blend(fill, "white", 0.35)


def edge_of(fill: str) -> str:
    """The color of the outline around a fill: the fill, but darker."""
    return blend(fill, INK, 0.42)
