"""What is wrong with a COCO file as a whole: its ids, names and classes, and files not in it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

import numpy as np

from mrcnn_edu.data.check_keypoints import missing_twins
from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.fields import in_words, read_area, read_id
from mrcnn_edu.data.problem import Problem, repeated
from mrcnn_edu.data.regions import parts_of
from mrcnn_edu.data.tally import counted, tally

SHOWN = 3  # examples in a message
MANY_IMAGES = 500  # from which it is seen whether coordinates are percentages


def check_file(folder: CocoFolder) -> Iterator[Problem]:
    """The problems of the JSON file as a whole, and notes on it."""
    json, coco = str(folder.file), folder.coco
    yield from coco.problems
    count = tally(folder)
    if count.nothing_learned:
        message = "\n      ".join([count.nothing_learned, *count.warnings()])
        yield Problem(json, None, None, message)
    for i, n in repeated(_ids(coco.contents["images"])):
        yield Problem(json, i, None, f"{n} images have this id")
    for i, n in repeated(_ids(coco.contents["annotations"])):
        yield Problem(json, None, i, f"{n} annotations have this id")
    for i, n in repeated(_ids(coco.contents["categories"])):
        yield Problem(json, None, None, f"{n} categories have the id {i}")
    for name, n in repeated(coco.names.values()):
        yield Problem(json, None, None, f"{n} categories have the name {name!r}")
    for annotation in coco.of_no_image:
        image_id, i = annotation.get("image_id"), annotation.get("id")
        message = f"no image has the image_id of this annotation, {in_words(image_id)}"
        yield Problem(json, None, i, message)
    for annotation in filter(_has_unusable_id, coco.contents["annotations"]):
        yield Problem(json, None, None, f"an annotation has the id {in_words(annotation['id'])}")
    n = sum(map(_has_keypoints, coco.contents["annotations"]))
    if n and not folder.keypoints:
        message = f"{counted(n, 'annotation')} with keypoints, which no category names"
        yield Problem(json, None, None, f"{message}: they are not read")
    if _are_percentages(folder):
        message = "polygons and areas fit only if coordinates are percentages: COCO's are pixels"
        yield Problem(json, None, None, message)
    yield from _notes(folder)


def _has_unusable_id(annotation: Any) -> bool:
    """Whether an annotation has an id that cannot be read; none at all is no problem."""
    if not isinstance(annotation, dict) or annotation.get("id") is None:
        return False
    return not list(_ids([annotation]))


def _has_keypoints(annotation: Any) -> bool:
    return isinstance(annotation, dict) and bool(annotation.get("keypoints"))


def _ids(entries: Iterable) -> Iterator[int | str]:
    """The ids that can be read."""
    for entry in entries:
        try:
            yield read_id(entry["id"])
        except (ValueError, KeyError, TypeError):
            continue


def _are_percentages(folder: CocoFolder) -> bool:
    """Whether polygons in percent of the image would have the areas that the file gives."""
    as_pixels, as_percentages = [], []  # the area that each polygon would have / the area given
    for index, record in enumerate(folder.records[:MANY_IMAGES]):
        for annotation in folder.annotations_of(record):
            try:
                height, width = folder.image_size(index)
                area, parts = read_area(annotation), parts_of(annotation.get("segmentation"))
            except (ValueError, FileNotFoundError):
                continue
            if area and len(parts) == 1 and isinstance(parts[0], list) and len(parts[0]) >= 6:
                ratio = _polygon_area(parts[0]) / area
                as_pixels.append(ratio)
                as_percentages.append(ratio * height * width / 100**2)
    if len(as_pixels) < 5:
        return False
    return abs(median(as_percentages) - 1) < 0.02 < 0.05 < abs(median(as_pixels) - 1)


def _polygon_area(polygon: list[float]) -> float:
    """The area inside a polygon; infinite or NaN where the coordinates are absurd."""
    x, y = np.array(polygon).reshape(-1, 2).T
    with np.errstate(over="ignore", invalid="ignore"):
        return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def _notes(folder: CocoFolder) -> Iterator[Problem]:
    """What is worth knowing and does not hurt."""
    json = str(folder.file)
    used: Counter = Counter()
    for record in folder.records:
        for annotation in folder.annotations_of(record):
            try:
                used[folder.reader.label(annotation)] += 1
            except ValueError:
                continue
    unused = [folder.coco.names[key] for key, label in folder.labels.items() if not used[label]]
    if unused and used:
        names = ", ".join(unused[:SHOWN]) + (", ..." if len(unused) > SHOWN else "")
        yield Problem(json, None, None, f"no annotation has the class {names}", is_note=True)
    for message in missing_twins(folder.keypoints):
        yield Problem(json, None, None, message, is_note=True)
    unlisted = folder.names.unlisted([str(record["file_name"]) for record in folder.records])
    if folder.names.taken:
        name, file = next(iter(folder.names.taken.items()))
        names = counted(len(folder.names.taken), "file")
        message = f"{names} found under another name than listed: for {name}, {file} is read"
        yield Problem(json, None, None, message, is_note=True)
    if unlisted:
        example = unlisted[0].relative_to(folder.folder)
        message = f"{counted(len(unlisted), 'image')} not in the JSON file, such as {example}"
        yield Problem(json, None, None, message, is_note=True)
    for name, n in repeated(map(str, map(folder.path, folder.records))):
        yield Problem(json, None, None, f"{n} images have the file {name}", is_note=True)
