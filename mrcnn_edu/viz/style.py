"""The look of every picture, in one place: its colors, widths and fonts.

Ground truth is green, anchors are blue and dashed, proposals and RoIs orange, detections crimson.
RoIPool is purple, RoIWarp blue, RoIAlign black. Classes have colors of their own, in label order.
An image is paled under annotations, and lines have a white halo, so that every color stands out
from every scene, and color-blind readers can tell the colors of a palette apart;
tests/test_contrast.py measures both.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

ROLES = {
    "gt": "#015729",  # ground truth
    "anchor": "#0568AD",
    "proposal": "#B13F00",
    "detection": "#8E1555",
}
# What an anchor learns from: where labels are compared, anchors have these colors. A positive one
# keeps that of all anchors.
MATCH_COLORS = {"positive": ROLES["anchor"], "negative": "#A51E25", "ignored": "#50555C"}
OP_COLORS = {"pool": "#830188", "warp": "#0266B5", "align": "#111111"}
CLASS_COLORS = ("#2463BB", "#A51E25", "#06783E", "#925F00", "#48239C", "#B1257B")
# For lines and bars that stand for neither a role nor an operation nor a class.
OTHER_COLORS = ("#385DA8", "#E0525F", "#0B93C2", "#A58A0E", "#AB3277", "#222222")
HIGHLIGHT = "#B13F00"  # the one thing that a chart or a diagram points at
LEVELS = ("#33415C", "#8FA8C4", "#DADDE2")  # parts of counts, from most to least certain
ONCE, EACH, OUTSIDE = "#9FD8C3", "#F2CF87", "#D5D7DB"  # how often something is computed
BOTH = "#C9CDD4"  # pixels that two masks share

INK = "#222222"  # text, and what is measured
# Sides of keypoints, as their object sees them.
SIDES = {"left": "#B13F00", "right": "#006A78", "middle": INK}
GRAY = "#8A8F98"  # bars and lines in the background
LIGHT = "#DADDE2"  # grids, and frames of images
FILL = "#EEF0F3"  # boxes of diagrams

TITLE, LABEL, SMALL = 10, 9, 8  # sizes of text, in points
DPI = 144  # twice the 72 pixels an inch at which a picture is shown
HALO = 2.4  # how much wider than its line a halo is, in points
OUTLINE = 1.3  # width of a mask's outline
DASHES = dict.fromkeys(("anchor", *MATCH_COLORS), (0, (3.2, 1.8)))  # lines of roles: all anchors
KEPT = 0.45  # how much of an image's contrast is left under annotations: the rest is white
TINT = 0.4  # opacity of a mask


def class_color(label: int) -> str:
    """The color of a class, for labels 1, 2, ...; the colors repeat after six classes."""
    return CLASS_COLORS[(label - 1) % len(CLASS_COLORS)]


def color(name: str, index: int = 0) -> str:
    """The color of a role or an operation; for any other name, the color with this index.

    An operation may be named as in the package or as in the papers: `pool` or `RoIPool`.
    """
    role = name.removeprefix("RoI").lower() if name.startswith("RoI") else name
    return (ROLES | OP_COLORS).get(role, OTHER_COLORS[index % len(OTHER_COLORS)])


def paled(pixels):
    """Pixels in 0..1, an array or a tensor, as they are under annotations."""
    return 1 - KEPT * (1 - pixels)


def luminance(rgb: Sequence[float] | np.ndarray) -> np.ndarray:
    """The relative luminance [...] in 0..1 of colors [..., 3], as WCAG 2 defines it."""
    rgb = np.asarray(rgb, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def contrast(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The ratio [...], from 1 to 21, of the brighter to the darker of two luminances [...]."""
    return (np.maximum(first, second) + 0.05) / (np.minimum(first, second) + 0.05)


def text_color(background: str) -> str:
    """Black or white, whichever contrasts better with a background."""
    behind = luminance(to_rgb(background))
    return (
        "white" if contrast(behind, np.array(1.0)) >= contrast(behind, np.array(0.0)) else "black"
    )


def legend(axes: Axes) -> None:
    """A legend on the axes, where it covers least; curves shine through."""
    axes.legend(fontsize=SMALL, framealpha=0.8, edgecolor="none", borderpad=0.2)


def legend_above(axes: Axes) -> None:
    """A legend in one row above the axes, for bars, which leave no place for it."""
    n = len(axes.get_legend_handles_labels()[0])
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=n, frameon=False, fontsize=LABEL,
        borderaxespad=0.2, borderpad=0, columnspacing=1.6, handlelength=1.2,
    )  # fmt: skip


def style_axes(axes: Axes) -> None:
    """Quiet frames and ticks, and text in one color."""
    axes.tick_params(colors="#555A63", labelcolor=INK, labelsize=LABEL, width=0.8, length=3)
    for spine in axes.spines.values():
        spine.set(color=GRAY, linewidth=0.8)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set(color=INK, fontsize=TITLE)
