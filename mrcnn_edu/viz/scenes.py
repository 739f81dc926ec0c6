"""Images with what is in them, true or found."""

import matplotlib.cbook
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mrcnn_edu.viz.draw import (
    crop,
    draw_boxes,
    draw_image,
    draw_instances,
    paint_differences,
    paint_masks,
)
from mrcnn_edu.viz.picture import Picture, class_color, row


def show_truth(image: Tensor, target: dict, classes: list[str]) -> Picture:
    """An image [3, H, W] and its true objects."""
    picture, (left, right) = row(2)
    draw_image(left, image, "the image")
    objects = target["boxes"], target["labels"], target.get("masks")
    draw_instances(right, image, *objects, classes, title="its objects")
    return picture


def show_detections(
    image: Tensor,
    detections,
    classes: list[str],
    target: dict | None = None,
    target_classes: list[str] | None = None,
    width: float = 3.6,
) -> Picture:
    """An image [3, H, W] with what was found in it; beside the truth, if a target is given.

    target_classes: the names of the target's labels, if they are not the detections' `classes`.
    width: of each panel, in units of 72 pixels.
    """
    panels = 1 if target is None else 2
    picture = Picture(width * panels, width * image.shape[1] / image.shape[2] + 0.3)
    axes = picture.subplots(1, panels, squeeze=False)[0]
    if target is not None:
        objects = target["boxes"], target["labels"], target.get("masks")
        draw_instances(axes[0], image, *objects, target_classes or classes, title="truth")
    d = detections
    title = f"{len(d)} detections"
    draw_instances(axes[-1], image, d.boxes, d.labels, d.masks, classes, d.scores, title)
    return picture


def show_found(image: Tensor, found: dict, classes: list[str]) -> Picture:
    """What each of several models finds in an image [3, H, W]: name -> `Detections`."""
    picture, panels = row(len(found), ratio=image.shape[1] / image.shape[2])
    for axes, (name, d) in zip(panels, found.items(), strict=True):
        draw_instances(axes, image, d.boxes, d.labels, d.masks, classes, d.scores, name)
    return picture


def show_images(images: dict[str, Tensor]) -> Picture:
    """Images side by side, title -> [3, H, W]."""
    picture, panels = row(len(images))
    for axes, (title, image) in zip(panels, images.items(), strict=True):
        draw_image(axes, image, title)
    return picture


def show_boxes(image: Tensor, boxes: Tensor, role: str | list[str], title: str = "") -> Picture:
    """An image [3, H, W] and boxes [N, 4] of one role, or of one each."""
    return show_panels(image, {title: (boxes, role)}, side=4)


def show_panels(image: Tensor, panels: dict[str, tuple[Tensor, str]], side: float = 3.4) -> Picture:
    """The image once for each panel: title -> (boxes [N, 4], role)."""
    picture, all_axes = row(len(panels), side, image.shape[1] / image.shape[2])
    for axes, (title, (boxes, role)) in zip(all_axes, panels.items(), strict=True):
        draw_image(axes, image, title)
        draw_boxes(axes, boxes, role, width=2 if len(panels) == 1 else 1.5)
    return picture


def show_tasks(image: Tensor, target: dict, classes: list[str]) -> Picture:
    """One scene, four answers: names, boxes, each pixel's class, each pixel's object."""
    picture, axes = row(4, lines=2)
    boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
    draw_image(axes[0], image, "classification")
    names = ", ".join(classes[k - 1] for k in labels.unique().tolist())
    axes[0].set_xlabel(names, fontsize=9)
    draw_instances(axes[1], image, boxes, labels, None, classes, title="detection")
    draw_image(axes[2], paint_masks(image, masks, labels, 1), "semantic segmentation")
    numbers = torch.arange(1, len(labels) + 1)
    draw_image(axes[3], paint_masks(image, masks, numbers, 1), "instance segmentation")
    draw_boxes(axes[3], boxes, [class_color(i) for i in numbers.tolist()])
    return picture


def show_differences(truth: Tensor, found: dict[str, Tensor]) -> Picture:
    """Where masks differ from the true one [H, W]: title -> mask [H, W], around the object.

    The colors are those of `paint_differences`.
    """
    y, x = torch.where(truth)
    border = 2 + int(x.max() - x.min()) // 8
    window = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1])
    window = window + torch.tensor([-border, -border, border, border])
    inside = crop(truth[None], window)[0]
    picture, panels = row(len(found), 2.6, inside.shape[0] / inside.shape[1])
    for axes, (title, mask) in zip(panels, found.items(), strict=True):
        mask = crop(mask[None], window)[0]
        draw_image(axes, paint_differences(inside, mask), title)
    return picture


def sample_photograph() -> Tensor:
    """A photograph [3, H, W] in 0..1 that comes with Matplotlib: Grace Hopper, by the US Navy."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        pixels = np.asarray(Image.open(file).convert("RGB"))
    return torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)
