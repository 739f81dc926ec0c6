"""What is wrong with your data: a list of everything in it that would hurt training.

Wrong data rarely stops a training run, but it makes a worse model: a mask that is shifted against
its box is learned like any other. So check before you train: `mrcnn-edu check-data` prints the
list. This module walks through the files of a COCO folder; `check_items` is for data in memory.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mrcnn_edu.data.check_file import check_file
from mrcnn_edu.data.check_items import check_items, check_object, check_pixels
from mrcnn_edu.data.check_keypoints import as_triples, check_count, check_keypoints
from mrcnn_edu.data.coco import CocoFolder, find_coco_folder
from mrcnn_edu.data.dataset import Dataset, as_dataset
from mrcnn_edu.data.fields import in_words, read_area, read_box, read_id, read_record_size
from mrcnn_edu.data.image_file import is_read_as_stored, read_image
from mrcnn_edu.data.problem import Problem
from mrcnn_edu.data.regions import parts_of
from mrcnn_edu.data.rle import RLEMasks
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.images import Size, size_of
from mrcnn_edu.progress import progress_bar

AS_STORED = (
    "the camera's turn (EXIF) is not made, as the JSON's width and height are those of the picture "
    "as stored: if your tool showed it upright, correct them, or save the pictures upright"
)
WRONG_AREA = 2  # factor between the area given and the mask's pixels


def check(dataset: Any, channels: int | None = None) -> list[Problem]:
    """All problems of a dataset, in its order; an empty list if there are none.

    In a CocoFolder, wrapped or not, every annotation and every image file is examined, whether it
    can be used or not; in any other dataset, and if the folder is augmented, the items as a model
    would get them. channels: of each image; by default the CocoFolder's, and 3 for other data.
    Some are notes (`is_note`), worth knowing, but not wrong.
    """
    dataset = as_dataset(dataset)
    folder = find_coco_folder(dataset)
    if folder is None:
        return list(check_items(dataset, channels or 3))
    folder = folder if channels is None else folder.with_channels(channels)
    problems = list(_check_folder(folder))
    is_sound = all(problem.is_note for problem in problems)
    if is_sound and dataset.augmentation != Dataset.augmentation:
        problems += check_items(dataset, folder.channels)
    return problems


def _check_folder(folder: CocoFolder) -> Iterator[Problem]:
    yield from check_file(folder)
    checked = set()
    for record in progress_bar(folder.records, "check", leave=False):
        path, image_id, size = str(folder.path(record)), record["id"], None
        try:
            size = read_record_size(record)
            if size is None:
                yield Problem(path, image_id, None, "the JSON gives no width and height")
        except ValueError as error:
            yield Problem(path, image_id, None, str(error))
        try:
            if size is not None and is_read_as_stored(folder.find(record), size):
                yield Problem(path, image_id, None, AS_STORED)
            image = read_image(folder.find(record), size, folder.channels)
            size = size_of(image)
            yield from (Problem(path, image_id, None, m) for m in check_pixels(image))
        except (ValueError, FileNotFoundError) as error:
            yield Problem(path, image_id, None, str(error))
        key = read_id(image_id)
        annotations = [] if key in checked else folder.annotations_of(record)
        checked.add(key)
        for annotation in annotations:
            annotation_id = annotation.get("id")
            for message in folder.reader.problems(annotation, size):
                yield Problem(path, image_id, annotation_id, message)
            for message in _check_object(folder, annotation, size):
                yield Problem(path, image_id, annotation_id, message)


def _check_object(folder: CocoFolder, annotation: dict, size: Size | None) -> Iterator[str]:
    """What is wrong with an annotation's box, mask and area, as far as they can be read."""
    box, mask = None, _mask_of(folder, annotation, size)
    try:
        corners = folder.reader.corners(annotation)
        box = None if corners is None else list(corners)
    except ValueError:
        pass  # listed among the fields that cannot be read
    if not folder.reader.reading.boxes_only:
        yield from _check_parts(annotation)
    around = None if mask is None or not mask.areas()[0] else mask.boxes()[0].tolist()
    yield from check_object(box, around, mask is not None, size)
    yield from _check_form(annotation, box, around, size)
    yield from _check_area(annotation, 0 if mask is None else int(mask.areas()[0]))
    yield from _check_keypoints(folder, annotation, box, size)


def _check_keypoints(
    folder: CocoFolder, annotation: dict, box: list[float] | None, size: Size | None
) -> Iterator[str]:
    """What is wrong with an annotation's keypoints, as far as they can be read."""
    try:
        keypoints = as_triples(folder.reader.keypoints(annotation))
    except ValueError:
        return  # listed among the fields that cannot be read
    if folder.keypoints:
        yield from check_count(annotation, keypoints)
        yield from check_keypoints(keypoints, folder.keypoints, box, size)


def _check_area(annotation: dict, n_pixels: int) -> Iterator[str]:
    """Whether the area can be read, and is about that of a mask of so many pixels."""
    try:
        area = read_area(annotation)
    except ValueError as error:
        yield f"the area is not used, and the mask's taken: it is {error}"
        return
    if not area or not n_pixels or abs(area - n_pixels) < 50:
        return
    if max(area / n_pixels, n_pixels / area) > WRONG_AREA:
        yield f"area and mask disagree: the area is {area:g}, the mask has {n_pixels} pixels"


def _mask_of(folder: CocoFolder, annotation: dict, size: Size | None) -> RLEMasks | None:
    """The annotation's mask, if it has one that can be read."""
    if size is None or folder.reader.reading.boxes_only or not annotation.get("segmentation"):
        return None
    try:
        return decompress([folder.reader.region(annotation, size)], size)
    except ValueError:
        return None


def _check_parts(annotation: dict) -> Iterator[str]:
    """Whether there is a region, and whether all of its polygons have an area."""
    try:
        parts = parts_of(annotation.get("segmentation"))
    except ValueError:
        return  # listed among the fields that cannot be read
    if not parts:
        yield "there is no segmentation: the mask is empty"
    elif any(isinstance(part, list) and len(part) < 6 for part in parts):
        yield "a polygon has fewer than three points and is skipped"


def _check_form(
    annotation: dict, box: list[float] | None, around: list[int] | None, size: Size | None
) -> Iterator[str]:
    """Whether the numbers of a box look like corners, or like fractions of the image."""
    if box is None or size is None:
        return
    given = read_box(annotation)
    if around is not None and _distance(given, around) < 2 < _distance(box, around):
        yield f"the bbox looks like x1, y1, x2, y2: {in_words(annotation['bbox'])}"
    if 0 < max(map(abs, box)) <= 1 and max(size) > 2:
        yield "the bbox looks like fractions of the image: COCO's are pixels"


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))
