"""How the fields of a COCO file are read: one rule for each kind of value.

Labeling tools write the same thing in many ways: a number as text, an id as text in one list and as
a number in another, a truth value as 0, "0", false or "False". What can have only one meaning is
read; anything else raises ValueError with a message that shows the value and its type. `check` and
loading share these rules, so that they agree.
"""

import json
from math import isfinite
from typing import Any

import numpy as np

from mrcnn_edu.images import Size

TRUTHS = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
LARGEST_SIDE = 100_000  # pixels; far more than any camera has
LARGEST_IMAGE = 2**31  # pixels: COCO's code counts them in 32 bits


def in_words(value: Any) -> str:
    """A value of a JSON file as a message shows it, with its type: the text "1", the number 1."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    kinds = {str: "the text", int: "the number", float: "the number", list: "the list"}
    kind = kinds.get(type(value), "the object")
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = "..."
    return f"{kind} {text if len(text) <= 60 else text[:57] + '...'}"


def read_number(value: Any) -> float:
    """A finite number, which may be written as text."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = float("nan")
        if isfinite(number):
            return number
    raise ValueError(f"{in_words(value)} where a number belongs")


def read_numbers(values: list) -> list[float]:
    """Finite numbers, each of which may be written as text."""
    try:  # most lists are of numbers, and this is found out quickly
        if set(map(type, values)) <= {int, float} and isfinite(sum(values)):
            return values
    except OverflowError:  # a whole number beyond all floats
        pass
    return [read_number(value) for value in values]


def read_integer(value: Any) -> int:
    """A whole number, which may be written as text or with a decimal point."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = read_number(value)
    if not number.is_integer():
        raise ValueError(f"{in_words(value)} where a whole number belongs")
    return int(number)


def read_id(value: Any) -> int | str:
    """An id, by which entries are looked up: a whole number (which may be text), or other text."""
    if isinstance(value, str) and value.strip():
        text = value.strip()
        is_number = text.isascii() and text.isdigit() and len(text) < 19
        return int(text) if is_number and str(int(text)) == text else text  # "007" is text
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"{in_words(value)} where an id belongs, a whole number or text")


def order_of_ids(value: int | str) -> tuple[bool, int | str]:
    """A key that sorts ids: numbers first, then text."""
    return isinstance(value, str), value


def read_truth(value: Any) -> bool:
    """True or false, which may be 0 or 1, or text; false where it is missing."""
    if value is None:
        return False
    if isinstance(value, str | int | float):
        text = str(int(value) if isinstance(value, float) and value in (0, 1) else value)
        if text.strip().lower() in TRUTHS:
            return TRUTHS[text.strip().lower()]
    raise ValueError(f"{in_words(value)} where 0 or 1 belongs")


def read_text(value: Any) -> str:
    """A text that is not empty; a number is taken as written."""
    if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise ValueError(f"{in_words(value)} where a text belongs")


def read_record_size(record: dict) -> Size | None:
    """(height, width) in an image's record, or None unless it has both."""
    size = record.get("height"), record.get("width")
    if size[0] is None or size[1] is None:
        return None
    try:
        height, width = map(read_integer, size)
    except ValueError:
        height = width = 0
    longest, shortest = max(height, width), min(height, width)
    if shortest < 1 or longest > LARGEST_SIDE or height * width > LARGEST_IMAGE:
        words = f"height {in_words(size[0])} and width {in_words(size[1])}"
        raise ValueError(f"the JSON gives {words}: correct them, or leave them out")
    return height, width


def read_box(annotation: dict) -> tuple[float, float, float, float]:
    """An annotation's (x, y, width, height)."""
    box = annotation.get("bbox")
    if box is None or box == []:
        raise ValueError("there is no bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"the bbox is not [x, y, width, height] but {in_words(box)}")
    try:
        x, y, width, height = map(read_number, box)
    except ValueError as error:
        raise ValueError(f"the bbox is not [x, y, width, height]: it has {error}") from None
    return x, y, width, height


def read_corners(annotation: dict) -> tuple[float, float, float, float]:
    """An annotation's box as (x1, y1, x2, y2)."""
    x, y, width, height = read_box(annotation)
    return x, y, x + width, y + height


def has_area(x1: float, y1: float, x2: float, y2: float) -> bool:
    """Whether a box is finite and has an area in float32, the type of boxes in targets."""
    with np.errstate(over="ignore"):
        left, top, right, bottom = np.array([x1, y1, x2, y2], dtype=np.float32).tolist()
    return all(map(isfinite, (left, top, right, bottom))) and right > left and bottom > top


def read_area(annotation: dict) -> float | None:
    """An annotation's area in pixels; None where it is missing or not finite."""
    area = annotation.get("area")
    if area is None or (isinstance(area, float) and not isfinite(area)):
        return None
    number = read_number(area)
    if not 0 <= number <= LARGEST_IMAGE:
        what = "negative" if number < 0 else "larger than any image"
        raise ValueError(f"{in_words(area)}, which is {what}")
    return number


def read_crowd(annotation: dict) -> bool:
    """Whether an annotation is a crowd, a region of several objects that are not told apart."""
    try:
        return read_truth(annotation.get("iscrowd"))
    except ValueError as error:
        raise ValueError(f"iscrowd is {error}") from None


def read_triples(values: Any, n: int) -> list[float]:
    """The 3 n numbers of n keypoints: x, y and a third, visibility or score, of each.

    They may be in lists of three.
    """
    if not isinstance(values, list):
        raise ValueError(f"the keypoints are {in_words(values)}: expected a list of numbers")
    if all(isinstance(value, list) and len(value) == 3 for value in values):
        values = [number for triple in values for number in triple]
    if len(values) != 3 * n:
        raise ValueError(
            f"the keypoints are {len(values)} numbers: expected {3 * n}, x, y and visibility of "
            f"each of {n}"
        )
    try:
        return read_numbers(values)
    except ValueError as error:
        raise ValueError(f"the keypoints have {error}") from None


def read_keypoints(annotation: dict, n: int) -> list[float]:
    """An annotation's n keypoints, as 3 n numbers; all 0, not labeled, where it has none."""
    values = annotation.get("keypoints")
    if values is None or values == []:
        return [0.0] * (3 * n)
    numbers = read_triples(values, n)
    if max(map(abs, numbers)) > LARGEST_IMAGE:
        raise ValueError(f"the keypoints have the number {max(numbers, key=abs):g}: give pixels")
    for i, visibility in enumerate(numbers[2::3]):
        if visibility not in (0, 1, 2):
            raise ValueError(
                f"keypoint {i} has the visibility {visibility:g}: 0 is not labeled, 1 hidden, "
                "2 visible"
            )
    return numbers
