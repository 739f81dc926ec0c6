"""The JSON file of a COCO folder: its lists, and the fields of its entries, read with care.

The file has three lists: `images` (id, file name, size), `categories` (id, name) and `annotations`
(the image's id, the category's id, the box as x, y, width, height, and the region). Each function
here raises ValueError, in words, for what cannot be used.
"""

from math import isfinite
from pathlib import Path
from typing import Any

from numpy import float32
from torch import Tensor

from mrcnn_edu.files import read_json
from mrcnn_edu.images import Size


def read_coco_json(file: Path) -> dict[str, list[dict]]:
    """The file's contents, with at least the three lists and the fields that all else needs."""
    contents = read_json(file, "annotation file")
    needed = {"images": ("id", "file_name"), "annotations": (), "categories": ("id",)}
    for name, keys in needed.items():
        entries = contents.get(name) if isinstance(contents, dict) else None
        if not isinstance(entries, list):
            raise ValueError(
                f"{file}: there is no list {name!r}; a COCO file is one JSON object with the lists "
                "'images', 'annotations' and 'categories'"
            )
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise ValueError(f"{file}: entry {i} of {name!r} is not a JSON object")
            missing = [key for key in keys if key not in entry]
            if missing:
                raise ValueError(f"{file}: entry {i} of {name!r} has no {missing[0]!r}: {entry}")
    for name in ("images", "categories"):
        types = {type(entry["id"]).__name__ for entry in contents[name]}
        if not (types <= {"int", "float"} or types <= {"str"}):
            raise ValueError(
                f"{file}: the ids of {name!r} are {' and '.join(sorted(types))}: give all of them "
                "as whole numbers, and in 'annotations' too"
            )
    return contents


def read_category_names(contents: dict) -> dict[Any, str]:
    """The name of each category, by its id; the id itself where the name is missing."""
    return {
        category["id"]: str(category["id"] if category.get("name") is None else category["name"])
        for category in contents["categories"]
    }


def read_record_size(record: dict) -> Size | None:
    """(height, width) in an image's record, or None unless it has both."""
    size = record.get("height"), record.get("width")
    if not all(length is None or _is_length(length) for length in size):
        raise ValueError(f"the JSON gives height {size[0]!r} and width {size[1]!r} in pixels")
    return None if size[0] is None or size[1] is None else (int(size[0]), int(size[1]))


def _is_length(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0 and float(value).is_integer()


def read_box(annotation: dict) -> tuple[float, float, float, float]:
    """An annotation's (x, y, width, height)."""
    try:
        x, y, width, height = map(float, annotation["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        box = annotation.get("bbox")
        raise ValueError(f"the bbox is not [x, y, width, height] but {box}") from error
    return x, y, width, height


def read_corners(annotation: dict) -> tuple[float, float, float, float]:
    """An annotation's box as (x1, y1, x2, y2)."""
    x, y, width, height = read_box(annotation)
    return x, y, x + width, y + height


def has_area(x1: float, y1: float, x2: float, y2: float) -> bool:
    """Whether a box is finite and has an area in float32, the type of boxes in targets."""
    finite = isfinite(x1) and isfinite(y1) and isfinite(x2) and isfinite(y2)
    return finite and bool(float32(x2) > float32(x1) and float32(y2) > float32(y1))


def read_area(annotation: dict) -> float | None:
    """An annotation's area in pixels, or None if it has none."""
    area = annotation.get("area")
    if not (area is None or isinstance(area, int | float)):
        raise ValueError(f"the area is {area!r}, not a number of pixels")
    return area if area is not None and isfinite(area) else None


def image_id_of(target: dict, index: int) -> Any:
    """The target's image_id, or the item's index if it has none."""
    image_id = target.get("image_id", index)
    return image_id.item() if isinstance(image_id, Tensor) else image_id


def xyxy_to_xywh(box: Tensor) -> list[float]:
    """A box [4] as COCO stores it: x, y, width, height."""
    x1, y1, x2, y2 = box.tolist()  # in float64, where the difference of two float32 is exact
    return [x1, y1, x2 - x1, y2 - y1]
