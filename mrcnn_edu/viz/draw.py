"""What goes onto given axes: an image, a map, boxes, objects.

Maps are dark at 0 and light at their highest value; where values have a sign, red is negative,
white 0, blue positive.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke
from torch import Tensor

from mrcnn_edu.viz.picture import OPS, ROLES, class_color


def draw_image(axes: Axes, image: Tensor, title: str = "") -> None:
    """An image [C, H, W] in 0..1; pixel corners are at whole numbers.

    The first three channels are its colors; with fewer the first is shown as gray.
    """
    height, width = image.shape[-2:]
    pixels = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    pixels = pixels.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.figure.format = "jpeg"


def draw_map(
    axes: Axes, values: Tensor, title: str = "", high=None, signed=False, numbers=""
) -> None:
    """A map [h, w] of numbers, one square for each cell.

    From 0 up, dark to light; or, `signed`, red below 0 and blue above. high: the last shade's
    value, the map's own if None. numbers: a format such as ".1f" to write each value into its cell.
    """
    values = values.detach().cpu().float()
    high = (values.abs().max().item() if len(values) else 0) or 1 if high is None else high
    style = {"cmap": "RdBu", "vmin": -high} if signed else {"cmap": "magma", "vmin": 0}
    axes.imshow(values.numpy(), vmax=high, interpolation="nearest", **style)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if not numbers:
        return
    for (row, column), value in np.ndenumerate(values.numpy()):
        dark = abs(value) > 0.6 * high if signed else value < 0.6 * high
        style = {"ha": "center", "va": "center", "fontsize": 9, "color": "wk"[not dark]}
        axes.text(column, row, format(value, numbers), **style)


def draw_row(axes: Axes, maps: dict[str, Tensor], high: float) -> None:
    """Maps of one size, title -> [h, w], side by side on one pair of axes: quick to draw."""
    h, w = next(iter(maps.values())).shape
    step = w + max(1, w // 8)
    strip = torch.full((h, step * len(maps) - (step - w)), torch.nan)
    for i, (title, values) in enumerate(maps.items()):
        strip[:, i * step : i * step + w] = values
        axes.text(
            i * step + w / 2 - 0.5, -0.5 - 0.02 * h, title, ha="center", va="bottom", fontsize=10
        )
    draw_map(axes, strip, high=high)
    axes.axis("off")


def draw_boxes(axes: Axes, boxes: Tensor, role="proposal", width: float = 2, line="-") -> None:
    """Boxes [N, 4]; role: of the boxes, or a color, or a list with one for each box."""
    names = role if isinstance(role, list) else [role] * len(boxes)
    corners = boxes.detach().cpu()[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].view(-1, 5, 2)
    shade = withStroke(linewidth=width + 1, foreground="#00000044")  # seen on any background
    lines = LineCollection(
        list(corners.numpy()), colors=[(ROLES | OPS).get(name, name) for name in names],
        linewidths=width, linestyles=line, path_effects=[shade], joinstyle="miter",
    )  # fmt: skip
    axes.add_collection(lines, autolim=False)


def paint_masks(image: Tensor, masks: Tensor, labels: Tensor, opacity: float = 0.5) -> Tensor:
    """Colors [3, H, W]: an image [C, H, W] under masks [N, H, W] in color, later ones on top."""
    image = (image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)).cpu()
    painted = image.clone()
    for mask, label in zip(masks.bool().cpu(), labels.tolist(), strict=True):
        paint = painted.new_tensor(to_rgb(class_color(label)))[:, None]  # [3, 1]
        painted[:, mask] = (1 - opacity) * image[:, mask] + opacity * paint
    return painted


def paint_differences(truth: Tensor, found: Tensor) -> Tensor:
    """Pixels [3, H, W] that compare two masks [H, W]: dark is right.

    Green is missing (truth only), orange-red is too much (found only).
    """
    truth, found, pixels = truth.cpu(), found.cpu(), torch.ones(3, *truth.shape)
    missing, extra = truth & ~found, found & ~truth
    paints = {"#444444": truth & found, ROLES["truth"]: missing, ROLES["detection"]: extra}
    for paint, where in paints.items():
        pixels[:, where] = torch.tensor(to_rgb(paint))[:, None]
    return pixels


def draw_instances(axes: Axes, image, boxes, labels, masks, classes, scores=None, title="") -> None:
    """An image with its objects: box and name of each, and its mask and score if there are any.

    A name stands at its box's upper left corner, or at the lower left one if another name is there.
    """
    draw_image(axes, image if masks is None else paint_masks(image, masks, labels), title)
    draw_boxes(axes, boxes, [class_color(label) for label in labels.tolist()])
    height, width = image.shape[1:]
    taken = []  # corners that have a name
    for i, (label, (x1, y1, _, y2)) in enumerate(
        zip(labels.tolist(), boxes.cpu().tolist(), strict=True)
    ):
        text = classes[label - 1] + (f" {scores[i]:.2f}" if scores is not None else "")
        hidden = any(abs(x1 - x) < width / 4 and abs(y1 - y) < height / 16 for x, y in taken)
        y = y2 if hidden else y1
        above = y > 0.94 * height if hidden else y > 0.06 * height  # or it would be cut off
        taken.append((x1, y))
        axes.text(
            x1, y, text, fontsize=8, color="white", va="bottom" if above else "top", clip_on=True,
            bbox={"facecolor": class_color(label), "edgecolor": "none", "pad": 1},
        )  # fmt: skip


def crop(image: Tensor, box: Tensor) -> Tensor:
    """The pixels [C, h, w] of an image that a box [4] touches."""
    height, width = image.shape[-2:]
    x1, y1 = box[:2].float().floor().long().tolist()
    x2, y2 = box[2:].float().ceil().long().tolist()
    return image[:, max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
