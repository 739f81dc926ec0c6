"""Drawing onto given axes: an image, a map, boxes, objects.

Maps are dark at 0 and light at their highest value. In signed maps red is negative, white 0 and
blue positive.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke
from torch import Tensor

from mrcnn_edu.images import Size
from mrcnn_edu.viz.picture import OP_COLORS, ROLES, Picture, class_color


def draw_image(axes: Axes, image: Tensor, title: str = "") -> None:
    """Draw an image [C, H, W] in 0..1, with pixel corners at whole numbers.

    The first three channels are its colors; with fewer channels, the first one is shown as gray.
    """
    height, width = image.shape[-2:]
    pixels = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    pixels = pixels.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if isinstance(axes.figure, Picture):
        axes.figure.format = "jpeg"


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
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if not numbers:
        return
    for (row, column), value in np.ndenumerate(values.numpy()):
        is_dark = abs(value) > 0.6 * high if signed else value < 0.6 * high
        shade = "white" if is_dark else "black"
        axes.text(
            column, row, format(value, numbers), ha="center", va="center", fontsize=9, color=shade
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
            i * step + w / 2 - 0.5, -0.5 - 0.02 * h, title, ha="center", va="bottom", fontsize=10
        )
    draw_map(axes, strip, high=high)
    axes.axis("off")


def draw_boxes(
    axes: Axes,
    boxes: Tensor,
    role: str | Sequence[str] = "proposal",
    width: float = 2,
    line: str = "-",
) -> None:
    """Draw boxes [N, 4]; role: of all boxes, or one for each of them. A role may be a color."""
    roles = [role] * len(boxes) if isinstance(role, str) else role
    corners = boxes.detach().cpu()[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].view(-1, 5, 2)
    halo = withStroke(linewidth=width + 1, foreground="#00000044")  # visible on any background
    lines = LineCollection(
        list(corners.numpy()), colors=[(ROLES | OP_COLORS).get(name, name) for name in roles],
        linewidths=width, linestyles=line, path_effects=[halo], joinstyle="miter",
    )  # fmt: skip
    axes.add_collection(lines, autolim=False)


def paint_masks(image: Tensor, masks: Tensor, labels: Tensor, opacity: float = 0.5) -> Tensor:
    """An image [3, H, W]: the given one [C, H, W] under masks [N, H, W] in their class's colors.

    Where masks overlap, the later one is on top.
    """
    image = (image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)).cpu()
    painted = image.clone()
    for mask, label in zip(masks.bool().cpu(), labels.tolist(), strict=True):
        paint = painted.new_tensor(to_rgb(class_color(label)))[:, None]  # [3, 1]
        painted[:, mask] = (1 - opacity) * image[:, mask] + opacity * paint
    return painted


def paint_differences(gt_mask: Tensor, mask: Tensor) -> Tensor:
    """An image [3, H, W] that compares a mask [H, W] with the ground truth [H, W].

    Pixels of both are dark, missing ones (false negatives) green, extra ones (false positives)
    orange-red.
    """
    gt_mask, mask = gt_mask.cpu(), mask.cpu()
    colors = {
        "#444444": gt_mask & mask,
        ROLES["gt"]: gt_mask & ~mask,
        ROLES["detection"]: mask & ~gt_mask,
    }
    pixels = torch.ones(3, *gt_mask.shape)
    for name, where in colors.items():
        pixels[:, where] = torch.tensor(to_rgb(name))[:, None]
    return pixels


def draw_instances(
    axes: Axes,
    image: Tensor,
    boxes: Tensor,
    labels: Tensor,
    masks: Tensor | None,
    classes: Sequence[str],
    scores: Tensor | None = None,
    title: str = "",
) -> None:
    """Draw an image with its objects: each one's box, class name and, if given, mask and score.

    boxes: [N, 4]. labels: [N] in 1..K. masks: [N, H, W]. scores: [N]. A name is written at the
    box's upper left corner, or at the lower left one if the upper one is taken by another name.
    """
    draw_image(axes, image if masks is None else paint_masks(image, masks, labels), title)
    height, width = image.shape[1:]
    draw_objects(axes, (height, width), boxes, labels, classes, scores)


def draw_objects(
    axes: Axes,
    size: Size,
    boxes: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    scores: Tensor | None = None,
) -> None:
    """Draw the boxes and names of `draw_instances` onto an image of a size, (height, width)."""
    draw_boxes(axes, boxes, [class_color(label) for label in labels.tolist()])
    height, width = size
    taken = []  # corners that have a name
    for i, (label, (x1, y1, _, y2)) in enumerate(
        zip(labels.tolist(), boxes.cpu().tolist(), strict=True)
    ):
        text = classes[int(label) - 1] + (f" {scores[i]:.2f}" if scores is not None else "")
        hidden = any(abs(x1 - x) < width / 4 and abs(y1 - y) < height / 16 for x, y in taken)
        y = y2 if hidden else y1
        above = y > 0.94 * height if hidden else y > 0.06 * height  # or it would be cut off
        taken.append((x1, y))
        axes.text(
            x1, y, text, fontsize=8, color="white", va="bottom" if above else "top", clip_on=True,
            bbox={"facecolor": class_color(label), "edgecolor": "none", "pad": 1},
        )  # fmt: skip


def crop(image: Tensor, box: Tensor) -> Tensor:
    """The pixels [C, h, w] of an image [C, H, W] that a box [4] touches."""
    height, width = image.shape[-2:]
    x1, y1 = box[:2].float().floor().long().tolist()
    x2, y2 = box[2:].float().ceil().long().tolist()
    return image[:, max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
