"""Input checks: everything is normalized or refused once, with an error that says what to do.

Letters: C channels, H and W in pixels, M objects, K classes (label 0 is background).
"""

from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.images import Size

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
            raise ValueError(f"image {i} has values up to {high:g}: give 0..1 (image / 255)")


def check_generators(generators: Any, n_images: int) -> None:
    """Raise ValueError unless there are none or, in a list, one for each image."""
    is_list = isinstance(generators, list)
    if generators is not None and not (is_list and len(generators) == n_images):
        raise ValueError(f"generators must be a list of {n_images}, one for each image")


def check_targets(
    targets: list[dict], sizes: list[Size], n_classes: int, with_masks: bool = True
) -> list[dict]:
    """The targets with float boxes, int64 labels and bool masks, if all of them can be learned.

    Raises TypeError or ValueError, naming the target, the object and the remedy.
    """
    if len(targets) != len(sizes):
        raise ValueError(f"{len(targets)} targets for {len(sizes)} images: give one for each")
    checked = []
    for i, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        name = f"target {i}" + (f" (image_id {target['image_id']})" if "image_id" in target else "")
        checked.append(check_target(target, size, n_classes, name, with_masks))
    return checked


def check_target(
    target: dict, size: Size, n_classes: int, name: str, with_masks: bool = True
) -> dict:
    """The target of an image, as `check_targets` returns it. name: what error messages call it."""
    needed = ("boxes", "labels", "masks") if with_masks else ("boxes", "labels")
    for field in needed:
        if not isinstance(target.get(field), Tensor) and not hasattr(target.get(field), "resized"):
            given = f"{field} of {type(target[field])}" if field in target else f"no {field}"
            raise ValueError(f"{name} has {given}: give a tensor (see torch.as_tensor)")
    labels = check_labels(target["labels"], n_classes, name)
    n, boxes = len(labels), target["boxes"]
    if boxes.shape != (n, 4):
        raise ValueError(
            f"{name} has {n} labels and boxes of shape {list(boxes.shape)}: expected [{n}, 4]"
        )
    if len(target.get("iscrowd", labels)) != n:
        raise ValueError(f"{name} has {n} labels, but {len(target['iscrowd'])} values in iscrowd")
    checked = target | {"labels": labels, "boxes": check_boxes(boxes, size, name)}
    if with_masks:
        checked["masks"] = check_masks(target["masks"], (n, *size), name)
    return checked


def check_labels(labels: Tensor, n_classes: int, name: str) -> Tensor:
    """Labels [M] as int64, each of them in 1..K."""
    if labels.dtype not in INTEGERS or labels.ndim != 1:
        kind = f"labels of {labels.dtype} and shape {list(labels.shape)}"
        raise TypeError(f"{name} has {kind}: give whole numbers (int64) of shape [M]")
    row = _first((labels < 1) | (labels > n_classes))
    if row is not None:
        raise ValueError(
            f"{name}, object {row} has label {labels[row].item()}: labels run from 1 to "
            f"{n_classes}, 0 is background; correct it, or make a model with more n_classes"
        )
    return labels.long()


def check_boxes(boxes: Tensor, size: Size, name: str) -> Tensor:
    """Boxes [M, 4] as floats, each with an area, and not outside of its image."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} has boxes of shape {list(boxes.shape)}: expected [M, 4]")
    if boxes.dtype not in (torch.float32, torch.float64):
        if not (boxes.is_floating_point() or boxes.dtype in INTEGERS):
            raise TypeError(f"{name} has boxes of {boxes.dtype}: give x1, y1, x2, y2 as float32")
        boxes = boxes.float()
    row = _first(~(boxes[:, 2:] > boxes[:, :2]).all(dim=1))  # no, or NaN
    if row is not None:
        raise ValueError(
            f"{name}, object {row} has box {boxes[row].tolist()}, which has no area: "
            "boxes are x1, y1, x2, y2 with x2 > x1 and y2 > y1 (mrcnn-edu check-data lists all)"
        )
    x1, y1, x2, y2 = boxes.unbind(1)
    row = _first((x1 >= size[1]) | (y1 >= size[0]) | (x2 <= 0) | (y2 <= 0))
    if row is not None:
        raise ValueError(
            f"{name}, object {row} has box {boxes[row].tolist()}, outside of its image of "
            f"{size[1]} x {size[0]} pixels: give x1, y1, x2, y2 in pixels of the image"
        )
    return boxes


def check_masks(masks: Any, shape: tuple[int, int, int], name: str) -> Tensor:
    """Masks [M, H, W] as bool, or `RLEMasks`; numbers are accepted if each of them is 0 or 1."""
    if masks.shape != shape:
        n, found = shape[0], list(masks.shape)
        raise ValueError(f"{name} has {n} labels and masks of shape {found}: expected {[*shape]}")
    if not isinstance(masks, Tensor) or masks.dtype == torch.bool:
        return masks
    odd = masks[(masks != 0) & (masks != 1)]  # NaN is odd, too
    if len(odd):
        example = "masks > 0.5" if masks.is_floating_point() else "masks > 0"
        raise ValueError(f"{name} has masks with the value {odd[0]:g}: give bool, as in {example}")
    return masks.bool()


def _first(condition: Tensor) -> int | None:
    rows = torch.where(condition)[0]
    return int(rows[0]) if len(rows) else None
