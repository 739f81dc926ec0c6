"""Objects in an image: a tint and outline for each mask, a box, keypoints, a name on a chip."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from torch import Tensor

from mrcnn_edu.detections import Detections
from mrcnn_edu.viz.draw import as_rgb, draw_boxes, draw_image
from mrcnn_edu.viz.keypoints import PLAIN, Skeleton, draw_keypoints
from mrcnn_edu.viz.names import Names
from mrcnn_edu.viz.outlines import draw_outlines
from mrcnn_edu.viz.style import BOTH, ROLES, TINT, class_color, paled


def paint_masks(image: Tensor, masks: Tensor, labels: Tensor, opacity: float = 0.5) -> Tensor:
    """An image [3, H, W]: the given one [C, H, W] under masks [N, H, W] in their class's colors.

    Where masks overlap, the later one is on top.
    """
    image = as_rgb(image)
    painted = image.clone()
    for mask, label in zip(masks.bool().cpu(), labels.tolist(), strict=True):
        paint = painted.new_tensor(to_rgb(class_color(label)))[:, None]  # [3, 1]
        painted[:, mask] = (1 - opacity) * image[:, mask] + opacity * paint
    return painted


def paint_differences(gt_mask: Tensor, mask: Tensor) -> Tensor:
    """An image [3, H, W] that compares a mask [H, W] with the ground truth [H, W].

    Pixels of both are gray, missing ones (false negatives) green, extra ones (false positives)
    crimson.
    """
    gt_mask, mask = gt_mask.cpu(), mask.cpu()
    colors = {
        BOTH: gt_mask & mask,
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
    keypoints: Tensor | None = None,
    skeleton: Skeleton = PLAIN,
) -> None:
    """Draw a paled image with its objects: each one's box, class name and what else is given.

    boxes: [N, 4]. labels: [N] in 1..K. masks: [N, H, W]. scores: [N], of predictions. keypoints:
    [N, J, 3], with the visibility or, of predictions, the score.
    """
    draw_image(axes, paint_objects(image, masks, labels), title, is_paled=True)
    draw_objects(axes, boxes, labels, masks, classes, scores, keypoints, skeleton)


def draw_target(
    axes: Axes,
    image: Tensor,
    target: dict,
    classes: Sequence[str],
    title: str = "",
    skeleton: Skeleton = PLAIN,
) -> None:
    """Draw a paled image with the objects of a target."""
    objects = target["boxes"], target["labels"], target.get("masks")
    more = {"title": title, "keypoints": target.get("keypoints"), "skeleton": skeleton}
    draw_instances(axes, image, *objects, classes, **more)


def draw_detections(
    axes: Axes,
    image: Tensor,
    detections: Detections,
    classes: Sequence[str],
    title: str = "",
    skeleton: Skeleton = PLAIN,
) -> None:
    """Draw a paled image with its detections."""
    d = detections
    objects = d.boxes, d.labels, d.masks
    draw_instances(axes, image, *objects, classes, d.scores, title, d.keypoints, skeleton)


def paint_objects(image: Tensor, masks: Tensor | None, labels: Tensor) -> Tensor:
    """The pixels [3, H, W] of `draw_instances`: the paled image, tinted by masks [N, H, W]."""
    pixels = paled(as_rgb(image).clamp(0, 1))
    return pixels if masks is None else paint_masks(pixels, masks, labels, TINT)


def draw_objects(
    axes: Axes,
    boxes: Tensor,
    labels: Tensor,
    masks: Tensor | None,
    classes: Sequence[str],
    scores: Tensor | None = None,
    keypoints: Tensor | None = None,
    skeleton: Skeleton = PLAIN,
) -> None:
    """Draw the lines, keypoints and names of `draw_instances`.

    A name is at its box's upper left corner, or at the nearest place where it covers no other name.
    """
    colors = [class_color(int(label)) for label in labels.tolist()]
    widths = [1.6] * len(boxes)
    if masks is not None:
        draw_outlines(axes, masks, colors)
        widths = [0.8 if mask.any() else 1.6 for mask in masks]  # an outline says more than a box
    draw_boxes(axes, boxes, colors, widths)
    if keypoints is not None:
        draw_keypoints(axes, keypoints, skeleton, predicted=scores is not None)
    texts = [classes[int(label) - 1] for label in labels.tolist()]
    if scores is not None:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, scores.tolist(), strict=True)]
    axes.add_artist(Names(boxes.detach().cpu().numpy(), texts, colors))
