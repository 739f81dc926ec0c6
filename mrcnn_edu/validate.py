"""Input checks: everything is normalized or refused once, with an error that says what to do.

Letters: C channels, H and W in pixels, M objects, K classes (label 0 is background).
"""

from typing import Any

import torch
from torch import Generator, Tensor

from mrcnn_edu import refusals
from mrcnn_edu.images import Size

INTEGERS = torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64
FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64
MIN_PIXEL, MAX_PIXEL = -0.2, 2.0  # images are in 0..1, but some ways to resize overshoot


def check_images(images: Any, n_channels: int) -> None:
    """Raise TypeError or ValueError, naming the image and the remedy, unless all can be used."""
    check_list(images, "images", Tensor, "tensors [C, H, W]")
    if len(images) == 0:
        raise ValueError("images is empty: give at least one")
    for i, image in enumerate(images):
        is_image = image.ndim == 3 and image.shape[0] == n_channels and 0 not in image.shape
        if not is_image or image.dtype not in FLOATS:
            raise refusals.wrong_image(i, image, n_channels)
    extremes = torch.stack([torch.stack(image.aminmax()).float().cpu() for image in images])
    for i, (low, high) in enumerate(extremes.tolist()):  # NaN if any pixel is
        if not (low >= MIN_PIXEL and high <= MAX_PIXEL):
            raise refusals.wrong_pixels(i, low, high)


def check_list(values: Any, what: str, kind: type, of: str, n: int | None = None) -> None:
    """Raise TypeError or ValueError unless it is a list of that kind, with n entries if given."""
    if not isinstance(values, list | tuple) or not all(isinstance(v, kind) for v in values):
        raise refusals.not_a_list(what, of)
    if n is not None and len(values) != n:
        raise ValueError(f"{len(values)} {what} for {n} images: give one for each")


def check_generators(generators: Any, n_images: int) -> list[Generator] | None:
    """A generator for each image, or None. A single one serves all images."""
    if isinstance(generators, Generator):
        return [generators] * n_images
    if generators is not None:
        check_list(generators, "generators", Generator, "torch.Generator", n_images)
    return generators


def check_targets(
    targets: Any, sizes: list[Size], n_classes: int, with_masks: bool = True
) -> list[dict]:
    """The targets with float boxes, int64 labels and bool masks, if all of them can be learned.

    Raises TypeError or ValueError, naming the target, the object and the remedy.
    """
    check_list(targets, "targets", dict, "dictionaries", len(sizes))
    checked = []
    for i, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        checked.append(check_target(target, size, n_classes, target_name(i, target), with_masks))
    return checked


def target_name(i: int, target: dict) -> str:
    """What error messages call the target of image i of a batch."""
    return f"target {i}" + (f" (image_id {target['image_id']})" if "image_id" in target else "")


def check_target(
    target: dict, size: Size, n_classes: int, name: str, with_masks: bool = True
) -> dict:
    """The target of an image, as `check_targets` returns it. name: what error messages call it."""
    labels = check_labels(target.get("labels"), n_classes, name)
    boxes = check_boxes(target.get("boxes"), size, name, n=len(labels))
    checked = target | {"labels": labels, "boxes": boxes}
    if "iscrowd" in target:
        checked["iscrowd"] = check_shape(target["iscrowd"], "iscrowd", [len(labels)], name) > 0
    if with_masks:
        checked["masks"] = check_masks(target.get("masks"), (len(labels), *size), name)
    return checked


def check_labels(labels: Any, n_classes: int | None, name: str) -> Tensor:
    """Labels [M] as int64, each of them in 1..K, if K is given."""
    labels = check_shape(labels, "labels", ["M"], name)
    if labels.dtype not in INTEGERS and len(labels):  # torch.tensor([]) is float
        raise refusals.wrong_dtype(name, "labels", labels, "whole numbers (int64)")
    if n_classes is not None:
        for row in torch.where((labels < 1) | (labels > n_classes))[0].tolist():
            raise refusals.wrong_label(name, row, int(labels[row]), n_classes)
    return labels.long()


def as_boxes(boxes: Any, n: int | str, name: str) -> Tensor:
    """Boxes [M, 4] as float32 or float64; n is M, or "M" where any number will do."""
    if isinstance(boxes, Tensor) and boxes.shape == (0,):  # torch.tensor([])
        boxes = boxes.view(0, 4)
    boxes = check_shape(boxes, "boxes", [n, 4], name)
    if boxes.dtype not in INTEGERS + FLOATS:
        raise refusals.wrong_dtype(name, "boxes", boxes, "x1, y1, x2, y2 as float32")
    return boxes if boxes.dtype == torch.float64 else boxes.float()


def check_boxes(boxes: Any, size: Size, name: str, n: int | str = "M") -> Tensor:
    """Boxes [M, 4] as floats, each with an area, and not outside of its image.

    They may reach out of it by as much as its own size, which bounds the memory that one can take.
    """
    boxes, (height, width) = as_boxes(boxes, n, name), size
    for row in torch.where(~(boxes[:, 2:] > boxes[:, :2]).all(dim=1))[0].tolist():  # no, or NaN
        raise refusals.box_without_area(name, row, boxes[row].tolist())
    x1, y1, x2, y2 = boxes.unbind(1)
    outside = (x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0)
    beyond = (x1 < -width) | (y1 < -height) | (x2 > 2 * width) | (y2 > 2 * height)
    for row in torch.where(outside | beyond)[0].tolist():
        raise refusals.box_outside(name, row, boxes[row].tolist(), size)
    return boxes


def check_masks(masks: Any, shape: tuple[int, int, int], name: str) -> Tensor:
    """Masks [M, H, W] as bool, or `RLEMasks`; numbers are accepted if each of them is 0 or 1."""
    masks = check_shape(masks, "masks", [*shape], name)
    if not isinstance(masks, Tensor) or masks.dtype == torch.bool:
        return masks
    odd = masks[(masks != 0) & (masks != 1)]  # NaN is odd, too
    if len(odd):
        raise refusals.not_binary(name, masks, float(odd[0]))
    return masks.bool()


def check_shape(values: Any, field: str, shape: list, name: str) -> Tensor:
    """The values, if they are a tensor (or `RLEMasks`) of that shape; "M" stands for any number."""
    if not (isinstance(values, Tensor) or hasattr(values, "resized")):
        raise refusals.no_tensor(name, field, values)
    pairs = zip(values.shape, shape, strict=False)
    if len(values.shape) != len(shape) or any(e not in (n, "M") for n, e in pairs):
        raise refusals.wrong_shape(name, field, values, shape)
    return values
