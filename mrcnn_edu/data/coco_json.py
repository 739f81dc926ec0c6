"""The JSON file of a COCO folder: its three lists, put in order, and what in them is unusable.

The lists are `images` (id, file name, size), `categories` (id, name, names of keypoints) and
`annotations` (the image's id, the category's id, the box as x, y, width, height, the region, the
keypoints). Ids are compared as `fields.read_id` reads them, so that the text "7" in one list is the
number 7 in another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mrcnn_edu.data.fields import in_words, order_of_ids, read_id, read_text
from mrcnn_edu.data.keypoint_names import NONE, KeypointNames, read_keypoint_names
from mrcnn_edu.data.problem import Problem
from mrcnn_edu.files import read_json

LISTS = ("images", "annotations", "categories")
# The first keys that give away another format, and what it is.
OTHER_FORMATS = {
    "_via_img_metadata": "a project of the VGG Image Annotator: use its export as COCO",
    "imagePath": "labelme's file for one image: convert the folder with its labelme2coco script",
    "samples": "FiftyOne's own format: export as fiftyone.types.COCODetectionDataset",
    "objects": "Supervisely's file for one image: export as COCO",
    "completions": "Label Studio's own format: export as COCO",
}


@dataclass
class CocoFile:
    """A COCO file's entries that can be used, and a list of those that cannot."""

    file: Path
    contents: dict[str, Any]  # as they are in the file
    records: list[dict] = field(default_factory=list)  # of the images, in the order of their ids
    annotations: dict[int | str, list[dict]] = field(default_factory=dict)  # by their image's id
    of_no_image: list[dict] = field(default_factory=list)  # annotations
    categories: dict[int | str, dict] = field(default_factory=dict)  # by id, in its order
    keypoints: KeypointNames = NONE  # of an object
    problems: list[Problem] = field(default_factory=list)  # entries that cannot be used

    @property
    def names(self) -> dict[int | str, str]:
        """The name of each category, by its id; the id itself where it has none."""
        return {i: _name(category, i) for i, category in self.categories.items()}


def read_coco_json(file: Path) -> CocoFile:
    """The contents of a COCO file. Raises ValueError unless it is one.

    Single entries that cannot be used are left out, and listed as problems.
    """
    contents = read_json(file, "annotation file")
    for name in LISTS:
        if not isinstance(contents, dict) or not isinstance(contents.get(name), list):
            raise ValueError(f"{file}: {_what_else(contents, name)}")
    coco = CocoFile(file, contents)
    categories: dict[int | str, dict] = {}
    for i, category, key in _with_ids(coco, "categories"):
        categories.setdefault(key, category)
        try:
            read_text(category.get("name", key))
        except ValueError as error:
            message = f"entry {i} of 'categories' has the name {error}: its id is used as the name"
            coco.problems.append(Problem(str(file), None, None, message))
    coco.categories = {key: categories[key] for key in sorted(categories, key=order_of_ids)}
    coco.keypoints, messages = read_keypoint_names(coco.categories.values())
    coco.problems += (Problem(str(file), None, None, message) for message in messages)
    records = []
    for i, record, key in _with_ids(coco, "images"):
        try:
            read_text(record.get("file_name"))
            records.append((order_of_ids(key), i, record))
            coco.annotations.setdefault(key, [])
        except ValueError as error:
            message = f"entry {i} of 'images' has the file_name {error}"
            if "file_name" not in record:
                message = f"entry {i} of 'images' has no file_name, but {', '.join(record)}"
            coco.problems.append(Problem(str(file), record["id"], None, f"{message}: left out"))
    coco.records = [record for _, _, record in sorted(records, key=lambda entry: entry[:2])]
    for i, annotation in enumerate(contents["annotations"]):
        if not isinstance(annotation, dict):
            message = f"entry {i} of 'annotations' is {in_words(annotation)}, not an object"
            coco.problems.append(Problem(str(file), None, None, message))
            continue
        try:
            coco.annotations[read_id(annotation.get("image_id"))].append(annotation)
        except (ValueError, KeyError):
            coco.of_no_image.append(annotation)
    return coco


def _with_ids(coco: CocoFile, name: str) -> Iterator[tuple[int, dict, int | str]]:
    """The entries of a list that have an id: (index, entry, id)."""
    for i, entry in enumerate(coco.contents[name]):
        try:
            if not isinstance(entry, dict):
                raise ValueError(f"is {in_words(entry)}, not an object")
            if "id" not in entry:
                raise ValueError("has no id")
            try:
                key = read_id(entry["id"])
            except ValueError as error:
                raise ValueError(f"has the id {error}") from None
        except ValueError as error:
            message = f"entry {i} of {name!r} {error}: left out"
            coco.problems.append(Problem(str(coco.file), None, None, message))
            continue
        yield i, entry, key


def _name(category: dict, key: int | str) -> str:
    try:
        return read_text(category.get("name"))
    except ValueError:
        return str(key)


def _what_else(contents: Any, missing: str) -> str:
    """What a JSON file is that is not a COCO file, as far as its first keys tell."""
    first = contents[0] if isinstance(contents, list) and contents else contents
    keys = set(first) if isinstance(first, dict) else set()
    if isinstance(contents, list) and {"image_id", "score"} <= keys:
        return "these are results, not annotations: `mrcnn-edu evaluate --detections` scores them"
    if isinstance(contents, list) and "data" in keys:
        keys.add("completions")
    for key, what in OTHER_FORMATS.items():
        if key in keys and not keys >= set(LISTS[:2]):
            return f"this is {what}"
    return (
        f"there is no list {missing!r}; a COCO file is one JSON object with the lists "
        "'images', 'annotations' and 'categories'"
    )


def image_id_of(target: dict, index: int) -> Any:
    """The target's image_id, or the item's index if it has none."""
    image_id = target.get("image_id", index)
    return image_id.item() if isinstance(image_id, Tensor) else image_id


def xyxy_to_xywh(box: Tensor) -> list[float]:
    """A box [4] as COCO stores it: x, y, width, height."""
    x1, y1, x2, y2 = box.tolist()  # in float64, where the difference of two float32 is exact
    return [x1, y1, x2 - x1, y2 - y1]
