"""Images and targets as the network sees them: checked, normalised, scaled, padded to one batch.

Letters: B images, C channels, H and W in pixels, M objects, K classes (label 0 is background).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mrcnn_edu.stops import read, upload

Size = tuple[int, int]  # (height, width) in pixels


@dataclass
class Batch:
    """Images of any sizes in one tensor, each in the upper left corner, with zeros around."""

    images: Tensor  # [B, C, H, W]
    sizes: list[Size]  # of each image as scaled, without the padding
    original_sizes: list[Size]


def make_batch(
    images: list[Tensor],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    short_sides: list[int],
    long_side: int,
    multiple: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """The batch of images, a list of [C, H, W] in 0..1.

    Each is normalised by mean and std (one number a channel), then scaled so that its shorter side
    is its number of `short_sides`, or its longer one `long_side` if that makes it smaller (section
    3.1). The batch is as large as the largest, rounded up to a `multiple` of the coarsest stride.
    """
    mean, std = (upload(numbers, device)[:, None, None] for numbers in (mean, std))
    scaled = [
        _scale((upload(image, device) - mean) / std, short_side, long_side)
        for image, short_side in zip(images, short_sides, strict=True)
    ]
    sizes = [tuple(image.shape[1:]) for image in scaled]
    height, width = (-(-max(side) // multiple) * multiple for side in zip(*sizes, strict=True))
    batch = torch.zeros(len(images), len(mean), height, width, device=device, dtype=dtype)
    for canvas, image, (h, w) in zip(batch, scaled, sizes, strict=True):
        canvas[:, :h, :w] = image
    return Batch(batch, sizes, [tuple(image.shape[1:]) for image in images])


def scaled_size(size: Size, short_side: int, long_side: int) -> Size:
    """The size with its shorter side `short_side`, or its longer one `long_side` if smaller."""
    factor = min(short_side / min(size), long_side / max(size))
    return tuple(max(1, int(side * factor)) for side in size)


def _scale(image: Tensor, short_side: int, long_side: int) -> Tensor:
    size = scaled_size(image.shape[1:], short_side, long_side)
    return interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]


def scale_boxes(boxes: list[Tensor], batch: Batch) -> list[Tensor]:
    """Boxes [N, 4] of each image in the batch's pixels, where the batch lies."""
    boxes = [upload(of_image, batch.images.device) for of_image in boxes]
    images = zip(boxes, batch.sizes, batch.original_sizes, strict=True)
    return [
        of_image
        * upload(
            [width / original_width, height / original_height] * 2, of_image.device, of_image.dtype
        )
        for of_image, (height, width), (original_height, original_width) in images
    ]


def scale_targets(targets: list[dict], batch: Batch, with_masks: bool = True) -> list[dict]:
    """Boxes, labels and masks of each image in the batch's pixels, without crowd regions.

    A crowd region (`iscrowd`) outlines many objects at once: no single object to learn.
    """
    scaled = []
    names = ("boxes", "labels", "masks") if with_masks else ("boxes", "labels")
    device = batch.images.device
    images = zip(targets, batch.sizes, batch.original_sizes, strict=True)
    for target, size, original in images:
        crowd = target.get("iscrowd", torch.zeros(len(target["labels"])))
        objects = {name: upload(target[name][crowd == 0], device) for name in names}
        if with_masks and size != original:
            masks = objects["masks"][:, None].to(torch.uint8)
            # "nearest", torchvision's choice, moves a mask by up to half a pixel
            objects["masks"] = interpolate(masks, size=size, mode="nearest-exact")[:, 0]
        scaled.append(objects)
    boxes = scale_boxes([objects["boxes"] for objects in scaled], batch)
    return [objects | {"boxes": b} for objects, b in zip(scaled, boxes, strict=True)]


def check_images(images: list[Tensor], n_channels: int) -> None:
    """Raises TypeError or ValueError, naming the image and the remedy, unless all can be used."""
    if isinstance(images, Tensor) or not all(isinstance(image, Tensor) for image in images):
        raise TypeError("images must be a list of tensors [C, H, W], one for each image")
    if len(images) == 0:
        raise ValueError("images is empty: give at least one")
    for i, image in enumerate(images):
        if not image.is_floating_point():
            raise TypeError(f"image {i} has dtype {image.dtype}: give floats in 0..1 (image / 255)")
        if image.ndim != 3 or image.shape[0] != n_channels or 0 in image.shape:
            raise ValueError(
                f"image {i} has shape {list(image.shape)}, the model reads [{n_channels}, H, W]: "
                "convert the image, or make a model with Config(in_channels=...)"
            )
    extremes = read([torch.stack(image.aminmax()).float() for image in images])
    for i, (low, high) in enumerate(extremes):  # NaN if any pixel is
        if not (low > -float("inf") and high < float("inf")):
            raise ValueError(f"image {i} has pixels that are NaN or infinite: look at its file")
        if high > 2:
            raise ValueError(
                f"image {i} has values up to {high:g}: give floats in 0..1 (image / 255)"
            )


def check_targets(
    targets: list[dict], sizes: list[Size], n_classes: int, with_masks: bool = True
) -> None:
    """Raises ValueError, naming the image, the object and the remedy, unless all can be learned."""
    if len(targets) != len(sizes):
        raise ValueError(f"{len(targets)} targets for {len(sizes)} images: give one for each")
    for i, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        name = f"target {i}" + (f" (image_id {target['image_id']})" if "image_id" in target else "")
        missing = {"boxes", "labels"} - set(target)
        if with_masks and "masks" not in target:
            missing.add("masks")
        if missing:
            raise ValueError(f"{name} has no {', '.join(sorted(missing))}")
        boxes, labels = target["boxes"], target["labels"]
        n = len(labels)
        if boxes.shape != (n, 4):
            raise ValueError(
                f"{name} has {n} labels and boxes of shape {list(boxes.shape)}: expected [{n}, 4]"
            )
        if with_masks:
            _check_masks(target["masks"], (n, *size), name)
        if labels.is_floating_point():
            raise ValueError(f"{name} has labels of {labels.dtype}: give whole numbers")
        wrong = torch.where((labels < 1) | (labels > n_classes))[0].tolist()
        if wrong:
            raise ValueError(
                f"{name}, object {wrong[0]} has label {labels[wrong[0]].item()}: labels run from 1 "
                f"to {n_classes}, 0 is background; correct it, or make a model with more n_classes"
            )
        flat = torch.where(~(boxes[:, 2:] > boxes[:, :2]).all(dim=1))[0].tolist()  # NaN is flat too
        if flat:
            raise ValueError(
                f"{name}, object {flat[0]} has box {boxes[flat[0]].tolist()}, which has no area: "
                "boxes are x1, y1, x2, y2 with x2 > x1 and y2 > y1 (mrcnn-edu check-data lists all)"
            )


def _check_masks(masks: Tensor, shape: tuple[int, int, int], name: str) -> None:
    if masks.shape != shape:
        raise ValueError(
            f"{name} has {shape[0]} labels and masks of shape {list(masks.shape)}: "
            f"expected {list(shape)}"
        )
    if masks.dtype != torch.bool and len(masks) > 0 and masks.max() > 1:
        raise ValueError(f"{name} has masks of values up to {masks.max():g}: give bool, or 0..1")
