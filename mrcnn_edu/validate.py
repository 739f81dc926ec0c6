"""Input checks: everything is normalized or refused once, with an error that says what to do.

Letters: C channels, H and W in pixels, M objects, K classes (label 0 is background).
"""

from typing import Any

import torch
from torch import Tensor

INTEGERS = torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64


def check_images(images: list[Tensor], n_channels: int) -> None:
    """Raise TypeError or ValueError, naming the image and the remedy, unless all can be used."""
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
    extremes = torch.stack([torch.stack(image.aminmax()).float().cpu() for image in images])
    for i, (low, high) in enumerate(extremes.tolist()):  # NaN if any pixel is
        if not (low > -float("inf") and high < float("inf")):
            raise ValueError(f"image {i} has pixels that are NaN or infinite: look at its file")
        if high > 2:
            raise ValueError(
                f"image {i} has values up to {high:g}: give floats in 0..1 (image / 255)"
            )


def check_targets(
    targets: list[dict], sizes: list[tuple[int, int]], n_classes: int, with_masks: bool = True
) -> list[dict]:
    """The targets with float boxes, int64 labels and bool masks, if everything can be learned.

    sizes: (height, width) of each image. Raises TypeError or ValueError, naming the target, the
    object and the remedy.
    """
    if len(targets) != len(sizes):
        raise ValueError(f"{len(targets)} targets for {len(sizes)} images: give one for each")
    checked = []
    for i, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        name = f"target {i}" + (f" (image_id {target['image_id']})" if "image_id" in target else "")
        checked.append(check_target(target, size, n_classes, name, with_masks))
    return checked


def check_target(
    target: dict, size: tuple[int, int], n_classes: int, name: str, with_masks: bool = True
) -> dict:
    """One image's target, as `check_targets` returns it. name: what errors call it."""
    needed = ["boxes", "labels", "masks"] if with_masks else ["boxes", "labels"]
    missing = [field for field in needed if field not in target]
    if missing:
        raise ValueError(f"{name} has no {', '.join(missing)}")
    labels = check_labels(target["labels"], n_classes, name)
    boxes = check_boxes(target["boxes"], size, name)
    if len(boxes) != len(labels):
        raise ValueError(
            f"{name} has {len(labels)} labels and boxes of shape {list(boxes.shape)}: "
            f"expected [{len(labels)}, 4]"
        )
    checked = target | {"boxes": boxes, "labels": labels}
    if with_masks:
        checked["masks"] = check_masks(target["masks"], (len(labels), *size), name)
    if "iscrowd" in target and len(target["iscrowd"]) != len(labels):
        raise ValueError(f"{name} has {len(labels)} labels and {len(target['iscrowd'])} iscrowd")
    return checked


def check_boxes(boxes: Tensor, size: tuple[int, int] | None, name: str) -> Tensor:
    """Boxes [M, 4] as floats, each with an area and, given the image's size, inside of it."""
    _check_tensor(boxes, name, "boxes")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} has boxes of shape {list(boxes.shape)}: expected [M, 4]")
    if boxes.dtype in (*INTEGERS, torch.float16, torch.bfloat16):
        boxes = boxes.float()
    if not boxes.is_floating_point():
        raise TypeError(
            f"{name} has boxes of {boxes.dtype}: give float32, x1, y1, x2, y2 in pixels"
        )
    flat = torch.where(~(boxes[:, 2:] > boxes[:, :2]).all(dim=1))[0].tolist()  # NaN is flat too
    if flat:
        raise ValueError(
            f"{name}, object {flat[0]} has box {boxes[flat[0]].tolist()}, which has no area: "
            "boxes are x1, y1, x2, y2 with x2 > x1 and y2 > y1 (mrcnn-edu check-data lists all)"
        )
    if size is not None:
        x1, y1, x2, y2 = boxes.unbind(1)
        outside = (x1 >= size[1]) | (y1 >= size[0]) | (x2 <= 0) | (y2 <= 0)
        for row in torch.where(outside)[0].tolist():
            raise ValueError(
                f"{name}, object {row} has box {boxes[row].tolist()}, which lies outside its image "
                f"of {size[1]} x {size[0]} pixels: give corners x1, y1, x2, y2 in pixels of the image"
            )
    return boxes


def check_labels(labels: Tensor, n_classes: int, name: str) -> Tensor:
    """Labels [M] as int64, each of them in 1..K."""
    _check_tensor(labels, name, "labels")
    if labels.dtype not in INTEGERS:
        raise TypeError(f"{name} has labels of {labels.dtype}: give whole numbers (int64)")
    if labels.ndim != 1:
        raise ValueError(f"{name} has labels of shape {list(labels.shape)}: expected [M]")
    wrong = torch.where((labels < 1) | (labels > n_classes))[0].tolist()
    if wrong:
        raise ValueError(
            f"{name}, object {wrong[0]} has label {labels[wrong[0]].item()}: labels run from 1 "
            f"to {n_classes}, 0 is background; correct it, or make a model with more n_classes"
        )
    return labels.long()


def check_masks(masks: Tensor, shape: tuple[int, int, int], name: str) -> Tensor:
    """Masks [M, H, W] as bool; numbers are accepted if all of them are 0 or 1."""
    _check_tensor(masks, name, "masks")
    if masks.shape != shape:
        raise ValueError(
            f"{name} has {shape[0]} labels and masks of shape {list(masks.shape)}: "
            f"expected {list(shape)}"
        )
    if masks.dtype == torch.bool:
        return masks
    odd = masks[(masks != 0) & (masks != 1)]  # NaN is odd too
    if len(odd):
        raise ValueError(
            f"{name} has masks with the value {odd[0].item():g}: give bool, for example "
            f"{'masks > 0.5' if masks.is_floating_point() else 'masks > 0'}"
        )
    return masks.bool()


def _check_tensor(value: Any, name: str, field: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} has {field} of type {type(value).__name__}: give a tensor "
            "(torch.as_tensor converts lists and arrays)"
        )
