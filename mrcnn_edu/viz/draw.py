"""Drawing onto given axes: an image, a map, boxes.

Maps are dark at 0 and light at their highest value. In signed maps red is negative, white 0 and
blue positive.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from torch import Tensor

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import (
    DASHES,
    HALO,
    LABEL,
    LIGHT,
    MATCH_COLORS,
    OP_COLORS,
    ROLES,
    TITLE,
    paled,
)

BOXES = 1.9  # how far in front boxes are: outlines of masks lie on top
FULL, PALED = "full contrast", "paled"  # marks of images: each is paled once


def draw_image(axes: Axes, image: Tensor, title: str = "", is_paled: bool = False) -> None:
    """Draw an image [C, H, W] in 0..1, with pixel corners at whole numbers.

    is_paled: whether the image is not to be paled by what is drawn on it later.
    """
    height, width = image.shape[-2:]
    pixels = as_rgb(image).detach().clamp(0, 1).permute(1, 2, 0).numpy()
    pixels = (255 * pixels + 0.5).astype(np.uint8)  # Matplotlib draws bytes twice as fast
    shown = axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    shown.set_gid(PALED if is_paled else FULL)
    axes.set_title(title, fontsize=TITLE)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(LIGHT)
    if isinstance(axes.figure, Picture):
        axes.figure.format = "jpeg"


def as_rgb(image: Tensor) -> Tensor:
    """An image's [C, H, W] first three channels [3, H, W], or its first one as gray; on the CPU."""
    return (image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)).cpu()


def pale_image(axes: Axes) -> None:
    """Pale the images on the axes, unless they are already: annotations stand out from them."""
    for image in axes.images:
        if image.get_gid() == FULL:
            pixels = paled(np.asarray(image.get_array()) / 255)
            image.set_data((255 * pixels + 0.5).astype(np.uint8))
            image.set_gid(PALED)


def draw_map(
    axes: Axes,
    values: Tensor,
    title: str = "",
    high: float | None = None,
    signed: bool = False,
    numbers: str = "",
) -> None:
    """Draw a map [h, w], one square for each value.

    Colors run from dark at 0 to light at `high`; if `signed`, they are red below 0 and blue above.
    high: the value of the last color, by default the map's maximum. numbers: a format such as
    ".1f", in which each value is written into its square.
    """
    values = values.detach().cpu().float()
    if high is None:
        high = (values.abs().max().item() if len(values) else 0) or 1
    low, colormap = (-high, "RdBu") if signed else (0, "magma")
    axes.imshow(values.numpy(), vmin=low, vmax=high, cmap=colormap, interpolation="nearest")
    axes.set_title(title, fontsize=TITLE)
    axes.set_xticks([])
    axes.set_yticks([])
    if not numbers:
        return
    for (row, column), value in np.ndenumerate(values.numpy()):
        is_dark = abs(value) > 0.6 * high if signed else value < 0.6 * high
        shade = "white" if is_dark else "black"
        axes.text(
            column,
            row,
            format(value, numbers),
            ha="center",
            va="center",
            fontsize=LABEL,
            color=shade,
        )


def draw_row(axes: Axes, maps: dict[str, Tensor], high: float) -> None:
    """Draw maps of one size, title -> [h, w], next to each other on one pair of axes: it is fast.

    high: the value of the last color.
    """
    h, w = next(iter(maps.values())).shape
    step = w + max(1, w // 8)
    strip = torch.full((h, step * len(maps) - (step - w)), torch.nan)
    for i, (title, values) in enumerate(maps.items()):
        strip[:, i * step : i * step + w] = values
        axes.text(
            i * step + w / 2 - 0.5, -0.5 - 0.02 * h, title, ha="center", va="bottom", fontsize=TITLE
        )
    draw_map(axes, strip, high=high)
    axes.axis("off")


def draw_boxes(
    axes: Axes,
    boxes: Tensor,
    role: str | Sequence[str] = "proposal",
    width: float | Sequence[float] = 2,
    line: str | None = None,
    pale: bool = True,
    opacity: float | Sequence[float] | Tensor = 1,
) -> None:
    """Draw boxes [N, 4] and pale the image below; role: of all boxes, or one for each of them.

    A role may be a color; "positive", "negative" and "ignored" are anchors by what they learn.
    width: of the line, or one for each box. line: a style of Matplotlib's, by default that of the
    role: anchors are dashed. pale: whether the image is to be paled. opacity: in 0..1, or one for
    each box, such as its score: where many boxes overlap, the best ones stand out.
    """
    if pale:
        pale_image(axes)
    roles = [role] * len(boxes) if isinstance(role, str) else list(role)
    # A line's two ends form no corner, so each begins and ends in the middle of the upper edge.
    x1, y1, x2, y2 = boxes.detach().cpu().float().unbind(dim=1)
    middle = (x1 + x2) / 2
    corners = torch.stack((middle, y1, x2, y1, x2, y2, x1, y2, x1, y1, middle, y1), dim=1)
    corners = corners.view(-1, 6, 2)
    styles = [line or DASHES.get(name, "-") for name in roles]
    widths = list(width) if isinstance(width, Sequence) else [width] * len(boxes)
    opacities = torch.as_tensor(opacity).detach().cpu().expand(len(boxes)).tolist()
    paths = list(corners.numpy())
    colors = [
        to_rgba((ROLES | OP_COLORS | MATCH_COLORS).get(name, name), alpha)
        for name, alpha in zip(roles, opacities, strict=True)
    ]
    # All halos are below all lines, or the halo of one box would hide the lines of others.
    halos = LineCollection(
        paths, colors=[(1, 1, 1, 0.9 * alpha) for alpha in opacities],
        linewidths=[w + HALO for w in widths], joinstyle="miter", zorder=BOXES - 0.1,
    )  # fmt: skip
    lines = LineCollection(
        paths, colors=colors, linewidths=widths, linestyles=styles or "-", joinstyle="miter",
        zorder=BOXES,
    )  # fmt: skip
    axes.add_collection(halos, autolim=False)
    axes.add_collection(lines, autolim=False)


def crop(image: Tensor, box: Tensor) -> Tensor:
    """The pixels [C, h, w] of an image [C, H, W] that a box [4] touches."""
    height, width = image.shape[-2:]
    x1, y1 = box[:2].float().floor().long().tolist()
    x2, y2 = box[2:].float().ceil().long().tolist()
    return image[:, max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
