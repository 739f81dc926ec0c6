"""What is wrong with your data: one walk over a dataset, and a list of all that will hurt training.

Wrong data rarely stops a training run. It makes a worse model: a mask that is shifted against its
box is learned like any other. So look before you train: `mrcnn-edu check-data` prints this list.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data.coco import CocoFolder, has_area, read_area, read_box, size_in_json
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.data.regions import decode_mask

BORDER = 0.5  # pixels that a box may stick out of the image: tools round differently


class Problem(NamedTuple):
    """One thing that is wrong, and where; None where that does not apply."""

    file: str | None  # the image's or the JSON's path; None for data made in memory
    image_id: int | str | None
    annotation_id: int | str | None  # in memory: the object's row in the target
    message: str

    def __str__(self) -> str:
        where = [] if self.file is None else [self.file]
        where += [] if self.image_id is None else [f"image {self.image_id}"]
        where += [] if self.annotation_id is None else [f"annotation {self.annotation_id}"]
        return f"{', '.join(where) or 'dataset'}: {self.message}"


def check(dataset) -> list[Problem]:
    """All problems of a dataset, in its order; an empty list if there is none.

    Of a CocoFolder every annotation and image file is looked at, whether it can be used or not; of
    any other dataset the items, as a model would get them.
    """
    walk = _check_folder(dataset) if isinstance(dataset, CocoFolder) else _check_items(dataset)
    return list(walk)


def _check_folder(dataset: CocoFolder) -> Iterator[Problem]:
    yield from _check_ids(dataset)
    checked = set()
    for record in tqdm(dataset.records, desc="check", leave=False):
        path, i = dataset.folder / record["file_name"], record["id"]
        try:
            size = size_in_json(record)
            if None in size:
                yield Problem(str(path), i, None, "the JSON gives no width and height")
        except ValueError as error:
            yield Problem(str(path), i, None, str(error))
            size = None, None
        try:
            size = tuple(read_image(path, size, dataset.channels).shape[1:])
        except (ValueError, FileNotFoundError) as error:
            yield Problem(str(path), i, None, str(error))
        annotations = [] if i in checked else dataset.annotations_of.get(i, [])
        checked.add(i)
        for annotation in annotations:
            for message in _check_annotation(dataset, annotation, size):
                yield Problem(str(path), i, annotation.get("id"), message)


def _check_ids(dataset: CocoFolder) -> Iterator[Problem]:
    contents, json = dataset.contents, str(dataset.file)
    if not contents["annotations"]:
        yield Problem(json, None, None, "there is no annotation: nothing can be learned")
    for i, n in _repeated(record["id"] for record in contents["images"]):
        yield Problem(json, i, None, f"{n} images have this id")
    for i, n in _repeated(annotation.get("id") for annotation in contents["annotations"]):
        yield Problem(json, None, i, f"{n} annotations have this id")
    for i, n in _repeated(category["id"] for category in contents["categories"]):
        yield Problem(json, None, None, f"{n} categories have the id {i}")
    for name, n in _repeated(category.get("name") for category in contents["categories"]):
        yield Problem(json, None, None, f"{n} categories have the name {name!r}")
    if any(category["id"] == 0 for category in contents["categories"]):
        message = "category id 0 is the background in many tools; CocoFolder numbers anew from 1"
        yield Problem(json, None, None, message)
    known = {record["id"] for record in contents["images"]}
    for annotation in contents["annotations"]:
        i = annotation.get("image_id")
        if i not in known:
            yield Problem(json, i, annotation.get("id"), "no image has this id")


def _repeated(values: Iterable) -> list[tuple]:
    return [(value, n) for value, n in Counter(values).items() if n > 1]


def _check_annotation(dataset: CocoFolder, annotation: dict, size: tuple) -> Iterator[str]:
    box = mask = None
    try:
        dataset.label(annotation)
    except ValueError as error:
        yield str(error)
    try:
        x, y, width, height = read_box(annotation)
        box = [x, y, x + width, y + height]
    except ValueError as error:
        yield str(error)
    try:
        read_area(annotation)
    except ValueError as error:
        yield str(error)
    region = annotation.get("segmentation")
    if not region:
        yield "there is no segmentation: the mask is empty"
    elif isinstance(region, list) and any(len(p) < 6 for p in region if isinstance(p, list)):
        yield "a polygon has fewer than three points and is passed over"
    if region and None not in size:
        try:
            mask = decode_mask(region, *size)
        except ValueError as error:
            yield str(error)
    yield from _check_object(box, mask, size)


def _check_items(dataset) -> Iterator[Problem]:
    ids, channels = [], getattr(dataset, "channels", 3)
    for index in tqdm(range(len(dataset)), desc="check", leave=False):
        try:
            image, target = dataset[index]
            i = target.get("image_id", index)
            ids.append(i.item() if isinstance(i, Tensor) else i)
            problems = [(None, message) for message in _check_image(image, channels)]
            problems += _check_target(target, tuple(image.shape[-2:]), len(dataset.classes))
        except Exception as error:  # the dataset is somebody's own code: anything can happen
            yield Problem(None, index, None, f"the item cannot be read: {error!r}")
            continue
        for row, message in problems:
            yield Problem(None, ids[-1], row, message)
    for i, n in _repeated(ids):
        yield Problem(None, i, None, f"{n} items have this image_id")


def _check_target(target: dict, size: tuple, n_classes: int) -> Iterator[tuple[int | None, str]]:
    """Row of the object (None: the whole target) and what is wrong with it."""
    boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
    for name, column, dtype in (("labels", labels, torch.int64), ("masks", masks, torch.bool)):
        if column.dtype != dtype:
            yield None, f"the {name} are {column.dtype}, not {dtype}"
    names = ("boxes", "labels", "masks", "iscrowd", "area")
    rows = {name: len(target[name]) for name in names if name in target}
    if len(set(rows.values())) > 1:
        yield None, f"the target's columns differ in length: {rows}"
    for row in range(min(rows.values())):
        if not 1 <= labels[row] <= n_classes:
            yield row, f"label {labels[row]} is none of 1..{n_classes}"
        for message in _check_object(boxes[row].tolist(), masks[row], size):
            yield row, message


def _check_image(image: Tensor, channels: int) -> Iterator[str]:
    if image.ndim != 3 or image.shape[0] != channels:
        yield f"the image's shape is {list(image.shape)}, not [{channels}, H, W]"
    if image.dtype != torch.float32:
        yield f"the image is {image.dtype}, not torch.float32 (of 0..1)"
    elif not image.isfinite().all():
        yield "the image has values that are not finite"
    elif image.numel() and (image.min() < 0 or image.max() > 1):
        yield f"the image's values are {image.min():.3g}..{image.max():.3g}, not within 0..1"


def _check_object(box: list[float] | None, mask: Tensor | None, size: tuple) -> Iterator[str]:
    """What is wrong with one box, one mask, and the two together in an image of (height, width)."""
    sound = box is not None and has_area(*box)
    if box is not None and not sound:
        yield f"the box has no area: corners {_short(box)}"
    elif sound and None not in size:
        height, width = size
        if min(box[:2]) < -BORDER or box[2] > width + BORDER or box[3] > height + BORDER:
            yield f"the box leaves the image of {width} x {height}: corners {_short(box)}"
    if mask is None:
        return
    if tuple(mask.shape) != tuple(size):
        yield f"the mask's shape is {list(mask.shape)}, the image's {list(size)}"
    elif not mask.any():
        yield "the mask is empty"
    elif sound:
        around = mask_to_box(mask)
        both = torch.tensor([box, around])
        # The IoU alone will not do: half of a tiny box can be one rounded pixel.
        if box_iou(both[:1], both[1:]) < 0.5 and (both[0] - both[1]).abs().max() > 2:
            yield f"box and mask disagree: corners {_short(box)}, around the mask {_short(around)}"


def mask_to_box(mask: Tensor) -> list[int]:
    """The box (x1, y1, x2, y2) around a mask [H, W] that is not empty."""
    rows, columns = torch.where(mask.any(dim=1))[0], torch.where(mask.any(dim=0))[0]
    return [int(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]


def _short(box: list) -> str:
    return "(" + ", ".join(f"{v:.6g}" for v in box) + ")"
