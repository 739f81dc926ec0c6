"""What is wrong with your data: a list of everything in it that would hurt training.

Wrong data rarely stops a training run, but it makes a worse model: a mask that is shifted against
its box is learned like any other. So check before you train: `mrcnn-edu check-data` prints the
list. This module walks through the files of a COCO folder; `check_items` is for data in memory.
"""

from collections.abc import Iterator
from typing import Any

from tqdm.auto import tqdm

from mrcnn_edu.data.check_items import Problem, check_items, check_object, repeated
from mrcnn_edu.data.coco import CocoFolder, find_coco_folder
from mrcnn_edu.data.coco_json import read_area, read_corners, read_record_size
from mrcnn_edu.data.dataset import Dataset, as_dataset
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.data.regions import decode_mask
from mrcnn_edu.images import Size, size_of


def check(dataset: Any, channels: int | None = None) -> list[Problem]:
    """All problems of a dataset, in its order; an empty list if there are none.

    In a CocoFolder, wrapped or not, every annotation and every image file is examined, whether it
    can be used or not; in any other dataset, and if the folder is augmented, the items as a model
    would get them. channels: of each image; by default the CocoFolder's, and 3 for other data.
    """
    dataset = as_dataset(dataset)
    folder = find_coco_folder(dataset)
    if folder is None:
        return list(check_items(dataset, channels or 3))
    folder = folder if channels is None else folder.with_channels(channels)
    problems = list(_check_folder(folder))
    if not problems and dataset.augmentation != Dataset.augmentation:
        problems += check_items(dataset, folder.channels)
    return problems


def _check_folder(folder: CocoFolder) -> Iterator[Problem]:
    yield from _check_ids(folder)
    checked = set()
    for record in tqdm(folder.records, desc="check", leave=False):
        path, image_id, size = folder.path(record), record["id"], None
        try:
            size = read_record_size(record)
            if size is None:
                yield Problem(str(path), image_id, None, "the JSON gives no width and height")
        except ValueError as error:
            yield Problem(str(path), image_id, None, str(error))
        try:
            size = size_of(read_image(path, size, folder.channels))
        except (ValueError, FileNotFoundError) as error:
            yield Problem(str(path), image_id, None, str(error))
        annotations = [] if image_id in checked else folder.annotations.get(image_id, [])
        checked.add(image_id)
        for annotation in annotations:
            for message in _check_annotation(folder, annotation, size):
                yield Problem(str(path), image_id, annotation.get("id"), message)


def _check_ids(folder: CocoFolder) -> Iterator[Problem]:
    contents, json = folder.contents, str(folder.file)
    if not contents["annotations"]:
        yield Problem(json, None, None, "there is no annotation: nothing can be learned")
    for i, n in repeated(record["id"] for record in contents["images"]):
        yield Problem(json, i, None, f"{n} images have this id")
    for i, n in repeated(annotation.get("id") for annotation in contents["annotations"]):
        yield Problem(json, None, i, f"{n} annotations have this id")
    for i, n in repeated(category["id"] for category in contents["categories"]):
        yield Problem(json, None, None, f"{n} categories have the id {i}")
    for name, n in repeated(category.get("name") for category in contents["categories"]):
        yield Problem(json, None, None, f"{n} categories have the name {name!r}")
    if any(category["id"] == 0 for category in contents["categories"]):
        message = "category id 0 is the background in many tools; CocoFolder's labels start at 1"
        yield Problem(json, None, None, message)
    image_ids = {record["id"] for record in contents["images"]}
    for annotation in contents["annotations"]:
        image_id = annotation.get("image_id")
        if image_id not in image_ids:
            yield Problem(json, image_id, annotation.get("id"), "no image has this id")


def _check_annotation(folder: CocoFolder, annotation: dict, size: Size | None) -> Iterator[str]:
    """What is wrong with an annotation in an image of this size, which may be unknown."""
    box = mask = None
    try:
        folder.label(annotation)
    except ValueError as error:
        yield str(error)
    try:
        box = list(read_corners(annotation))
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
        yield "a polygon has fewer than three points and is skipped"
    if region and size is not None:
        try:
            mask = decode_mask(region, *size)
        except ValueError as error:
            yield str(error)
    yield from check_object(box, mask, size)
