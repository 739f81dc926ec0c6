"""Images with their objects: ground truth, detections, masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_rgb
from PIL import Image
from torch import Tensor

from mrcnn_edu.detections import Detections
from mrcnn_edu.viz.draw import crop, draw_boxes, draw_image
from mrcnn_edu.viz.instances import (
    draw_detections,
    draw_instances,
    draw_target,
    paint_differences,
    paint_masks,
)
from mrcnn_edu.viz.keypoints import PLAIN, Skeleton
from mrcnn_edu.viz.picture import Picture, panel_height, row
from mrcnn_edu.viz.style import LABEL, OTHER_COLORS, paled


def show_ground_truth(
    image: Tensor,
    target: dict,
    classes: Sequence[str],
    width: float = 3.4,
    skeleton: Skeleton = PLAIN,
) -> Picture:
    """An image [C, H, W], and beside it the same with its ground-truth objects.

    width: of each of the two, in units of 72 pixels. skeleton: of their keypoints, if there are
    any: `Skeleton.of(dataset)`.
    """
    picture, (left, right) = row(2, width, image.shape[1] / image.shape[2])
    draw_image(left, image, "the image")
    draw_target(right, image, target, classes, "its objects", skeleton)
    return picture


def show_detections(
    image: Tensor,
    detections: Detections,
    classes: Sequence[str],
    target: dict | None = None,
    target_classes: Sequence[str] | None = None,
    width: float = 3.6,
    skeleton: Skeleton = PLAIN,
) -> Picture:
    """An image [C, H, W] with its detections; beside the ground truth, if a target is given.

    target_classes: the names of the target's labels, if they differ from the detections' `classes`.
    width: of each panel, in units of 72 pixels. skeleton: of keypoints: `Skeleton.of(dataset)`.
    """
    panels = 1 if target is None else 2
    picture = Picture(width * panels, panel_height(width, image.shape[1] / image.shape[2]))
    axes = picture.subplots(1, panels, squeeze=False)[0]
    if target is not None:
        draw_target(axes[0], image, target, target_classes or classes, "ground truth", skeleton)
    title = f"{len(detections)} detections"
    draw_detections(axes[-1], image, detections, classes, title, skeleton)
    return picture


def show_comparison(
    image: Tensor,
    detections: Mapping[str, Detections],
    classes: Sequence[str],
    target: dict | None = None,
    columns: int = 3,
    skeleton: Skeleton = PLAIN,
) -> Picture:
    """The detections of several models in one image [C, H, W], a panel for each model's name.

    target: the image's ground truth; if it is given, the first panel shows it. columns: the largest
    number of panels in a row. skeleton: of keypoints: `Skeleton.of(dataset)`.
    """
    n_panels = len(detections) + (target is not None)
    columns = min(columns, max(n_panels, 1))
    rows = max(1, -(-n_panels // columns))
    width = min(3.4, 10 / columns)
    picture = Picture(width * columns, rows * panel_height(width, image.shape[1] / image.shape[2]))
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[n_panels:]:
        axes.axis("off")
    if target is not None:
        draw_target(panels.pop(0), image, target, classes, "ground truth", skeleton)
    for axes, (name, found) in zip(panels, detections.items(), strict=False):
        draw_detections(axes, image, found, classes, name, skeleton)
    return picture


def show_images(images: Mapping[str, Tensor]) -> Picture:
    """Images next to each other: title -> [C, H, W]."""
    ratio = max(image.shape[1] / image.shape[2] for image in images.values())
    picture, panels = row(len(images), ratio=ratio)
    for axes, (title, image) in zip(panels, images.items(), strict=True):
        draw_image(axes, image, title)
    return picture


def show_boxes(
    image: Tensor,
    boxes: Tensor,
    role: str | Sequence[str],
    title: str = "",
    opacity: float | Tensor = 1,
) -> Picture:
    """An image [C, H, W] with boxes [N, 4], all of one role or with a role for each.

    opacity: in 0..1, or [N]: given their scores, the best boxes stand out from the others.
    """
    return show_panels(image, {title: (boxes, role, opacity)}, width=4)


def show_panels(image: Tensor, panels: Mapping[str, tuple], width: float = 3.4) -> Picture:
    """The image [C, H, W] once for each panel: title -> (boxes [N, 4], role), or with opacity.

    A role is one for all boxes or a list, in which colors may stand, too: a color for each object
    shows which boxes belong together, as in [class_color(i + 1) for i in matched.tolist()].
    opacity: in 0..1, or [N], such as scores. width: of a panel, in units of 72 pixels.
    """
    picture, all_axes = row(len(panels), width, image.shape[1] / image.shape[2])
    for axes, (title, (boxes, role, *opacity)) in zip(all_axes, panels.items(), strict=True):
        draw_image(axes, image, title)
        line = 2 if len(panels) == 1 else 1.5
        draw_boxes(axes, boxes, role, line, opacity=opacity[0] if opacity else 1)
    return picture


def show_tasks(image: Tensor, target: dict, classes: Sequence[str]) -> Picture:
    """What four tasks ask of one image: its classes, boxes, and each pixel's class or object.

    Classes have their own colors; objects have others, so that nobody takes one for the other.
    """
    picture, axes = row(4, lines=2)
    boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
    names = ", ".join(classes[int(k) - 1] for k in labels.unique().tolist())
    draw_image(axes[0], image, "classification")
    draw_instances(axes[1], image, boxes, labels, None, classes, title="detection")
    draw_image(axes[2], paint_masks(paled(image), masks, labels, 1), "semantic segmentation")
    painted = paled(image)
    for i, mask in enumerate(masks):
        paint = painted.new_tensor(to_rgb(OTHER_COLORS[i % len(OTHER_COLORS)]))
        painted = torch.where(mask, paint[:, None, None], painted)
    draw_image(axes[3], painted, "instance segmentation")
    outputs = names, "a box and a label each", "one class at each pixel", "one mask for each object"
    for panel, output in zip(axes, outputs, strict=True):
        panel.set_xlabel(output, fontsize=LABEL)
    return picture


def show_differences(gt_mask: Tensor, masks: Mapping[str, Tensor]) -> Picture:
    """Where masks, title -> [H, W], differ from the ground truth [H, W], around the object.

    The colors are those of `paint_differences`.
    """
    y, x = torch.where(gt_mask)
    margin = 2 + int(x.max() - x.min()) // 8
    window = torch.stack((x.min(), y.min(), x.max() + 1, y.max() + 1))
    window = window + torch.tensor([-margin, -margin, margin, margin])
    inside = crop(gt_mask[None], window)[0]
    picture, panels = row(len(masks), 2.6, inside.shape[0] / inside.shape[1])
    for axes, (title, mask) in zip(panels, masks.items(), strict=True):
        draw_image(axes, paint_differences(inside, crop(mask[None], window)[0]), title)
    return picture


def sample_photograph() -> Tensor:
    """A photograph [3, H, W] in 0..1 that comes with Matplotlib: Grace Hopper, by the US Navy."""
    with Image.open(Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")) as file:
        pixels = np.asarray(file.convert("RGB"))
    return torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)
