"""What is wrong with the items of a dataset: with images, targets, and single objects."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data.check_keypoints import check_keypoints, check_mirrored, missing_twins
from mrcnn_edu.data.coco_json import image_id_of
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.fields import has_area
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.problem import Problem, repeated
from mrcnn_edu.images import Size, size_of
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.validate import check_masks

TOLERANCE = 0.5  # pixels by which a box may leave the image: tools round differently
BOX_TYPES = torch.float32, torch.float64


def check_items(dataset: Dataset, channels: int) -> Iterator[Problem]:
    """What is wrong with the items, as a model would get them."""
    image_ids = []
    for message in check_mirrored(dataset.keypoints, dataset.mirrored):
        yield Problem(None, None, None, message)
    for message in missing_twins(dataset.keypoints):
        yield Problem(None, None, None, message, is_note=True)
    for index in progress_bar(range(len(dataset)), "check", leave=False):
        try:
            image, target = dataset[index]
            image_id = image_id_of(target, index)
            problems: list[tuple[int | None, str]] = []
            problems += ((None, message) for message in _check_image(image, channels))
            problems += _check_target(target, size_of(image), len(dataset.classes))
            problems += _check_target_keypoints(target, size_of(image), dataset.keypoints)
        except Exception as error:  # the dataset may be anyone's code: anything can happen
            yield Problem(None, index, None, f"the item cannot be read: {error!r}")
            continue
        image_ids.append(image_id)
        for row, message in problems:
            yield Problem(None, image_id, row, message)
    for i, n in repeated(image_ids):
        yield Problem(None, i, None, f"{n} items have this image_id")


def _check_image(image: Tensor, channels: int) -> Iterator[str]:
    if image.ndim != 3 or image.shape[0] != channels:
        yield f"the image's shape is {list(image.shape)}, not [{channels}, H, W]"
    if image.dtype != torch.float32:
        yield f"the image is {image.dtype}, not torch.float32 (in 0..1)"
    else:
        yield from check_pixels(image)


def check_pixels(image: Tensor) -> Iterator[str]:
    """What is wrong with the values of an image [C, H, W] float32."""
    if not image.isfinite().all():
        yield "the image has values that are not finite"
    elif image.numel() and (image.min() < 0 or image.max() > 1):
        yield f"the image's values are {image.min():.3g}..{image.max():.3g}, not within 0..1"


def _check_target(target: dict, size: Size, n_classes: int) -> Iterator[tuple[int | None, str]]:
    """Row of the object (None for the whole target) and what is wrong with it."""
    messages = list(_check_columns(target))
    yield from ((None, message) for message in messages)
    if any(not isinstance(target.get(name), Tensor) for name in ("boxes", "labels", "masks")):
        return
    boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.ndim != 1 or masks.ndim != 3:
        return
    is_mask = masks.dtype == torch.bool
    if not is_mask and tuple(masks.shape[1:]) == size:
        try:
            masks, is_mask = check_masks(masks, (len(masks), *size), "the target"), True
        except ValueError as error:
            yield None, str(error)
    for row in range(min(len(boxes), len(labels), len(masks))):
        if not 1 <= labels[row] <= n_classes:
            yield row, f"label {labels[row]} is none of 1..{n_classes}"
        mask = masks[row] if is_mask else None
        if mask is not None and tuple(mask.shape) != tuple(size):
            yield row, f"the mask's shape is {list(mask.shape)}, the image's {list(size)}"
            mask = None
        around = None
        if mask is not None and mask.any():
            around = masks_to_boxes(mask[None])[0].tolist()
        for message in check_object(boxes[row].tolist(), around, mask is not None, size):
            yield row, message


def _check_target_keypoints(
    target: dict, size: Size, names: Sequence[str]
) -> Iterator[tuple[int | None, str]]:
    """Row of the object (None for the whole target) and what is wrong with its keypoints."""
    keypoints, boxes = target.get("keypoints"), target.get("boxes")
    if keypoints is None:
        if names:
            yield None, f"the target has no keypoints, but the dataset names {len(names)}"
        return
    if not names:
        yield None, "the target has keypoints, which the dataset does not name (`keypoints`)"
        return
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.shape[1] != 4:
        return  # it is listed among the columns
    if not isinstance(keypoints, Tensor):
        yield None, f"the keypoints are of type {type(keypoints).__name__}: give a tensor"
        return
    if tuple(keypoints.shape) != (len(boxes), len(names), 3):
        expected = [len(boxes), len(names), 3]
        yield None, f"the shape of keypoints is {list(keypoints.shape)}, not {expected}"
        return
    if keypoints.dtype not in BOX_TYPES:
        yield None, f"the keypoints are {keypoints.dtype}, not torch.float32"
    for row, (box, points) in enumerate(zip(boxes.tolist(), keypoints.tolist(), strict=True)):
        if not keypoints[row].isfinite().all():
            yield row, "the keypoints have values that are not finite"
        elif any(visibility not in (0, 1, 2) for _, _, visibility in points):
            yield row, "a keypoint's visibility is not 0 (not labeled), 1 (hidden) or 2 (visible)"
        else:
            for message in check_keypoints(points, names, box, size):
                yield row, message


def _check_columns(target: dict) -> Iterator[str]:
    """What is wrong with the types and shapes of a target's columns."""
    shapes = {"boxes": [4], "labels": [], "masks": ["H", "W"], "iscrowd": [], "area": []}
    types = {"labels": torch.int64, "masks": torch.bool, "iscrowd": torch.bool}
    lengths = {}
    for name, shape in shapes.items():
        if name not in target:
            if name in ("boxes", "labels", "masks"):
                yield f"the target has no {name}"
            continue
        column = target[name]
        if not isinstance(column, Tensor):
            yield f"the {name} are of type {type(column).__name__}: give a tensor"
            continue
        if column.ndim != 1 + len(shape) or (name == "boxes" and column.shape[1] != 4):
            expected = ", ".join(map(str, ["M", *shape]))
            yield f"the shape of {name} is {list(column.shape)}, not [{expected}]"
            continue
        lengths[name] = len(column)
        if name == "boxes" and column.dtype not in BOX_TYPES:
            yield f"the boxes are {column.dtype}, not torch.float32"
        elif name in types and column.dtype != types[name]:
            yield f"the {name} are {column.dtype}, not {types[name]}"
    if len(set(lengths.values())) > 1:
        yield f"the target's columns differ in length: {lengths}"


def check_object(
    box: Sequence[float] | None, around: Sequence[float] | None, has_mask: bool, size: Size | None
) -> Iterator[str]:
    """What is wrong with one box (x1, y1, x2, y2), one mask, and the two together.

    around: the smallest box around the mask; None if it is empty, or if there is none.
    """
    if box is not None and not has_area(*box):
        yield f"the box has no area: corners {_format(box)}"
        box = None
    if box is not None and size is not None:
        height, width = size
        if min(box[:2]) < -TOLERANCE or box[2] > width + TOLERANCE or box[3] > height + TOLERANCE:
            yield f"the box leaves the image of {width} x {height}: corners {_format(box)}"
    if has_mask and around is None:
        yield "the mask is empty"
    elif box is not None and around is not None:
        given, tight = torch.tensor([box]), torch.tensor([around], dtype=torch.float32)
        # The IoU alone is not enough: half of a tiny box can be one rounded pixel.
        if box_iou(given, tight) < 0.5 and (given - tight).abs().max() > 2:
            around_mask = _format(around)
            yield f"box and mask disagree: corners {_format(box)}, around the mask {around_mask}"


def _format(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in box) + ")"
