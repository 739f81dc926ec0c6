"""labelme's shapes as objects: polygons, rectangles and masks, joined by their group_id."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mrcnn_edu.data.convert.findings import Findings, LabeledObject
from mrcnn_edu.data.fields import in_words, read_number, read_text
from mrcnn_edu.data.regions import encode_mask, encode_region
from mrcnn_edu.images import Size

# Those of labelme, and the rotated rectangle of X-AnyLabeling, which writes the same files.
OUTLINES = ("polygon", "rectangle", "oriented_rectangle", "mask", "rotation")
NO_CLASSES = ("__ignore__", "_background_")  # labels that labelme's own scripts leave out


def read_shapes(shapes: Any, size: Size, file: Path, findings: Findings) -> list[LabeledObject]:
    """The objects of an image of a size. Shapes of one label and one group_id are one object.

    Raises ValueError that names the shape and its field if one cannot be read.
    """
    if not isinstance(shapes, list):
        raise ValueError(f"shapes is {in_words(shapes)}: expected a list")
    parts: dict[tuple, list[dict]] = {}  # RLEs, by label and group
    for i, shape in enumerate(shapes):
        try:
            if not isinstance(shape, dict):
                raise ValueError(f"it is {in_words(shape)}, not an object")
            name, points, skipped = _label(shape), _points(shape), _reason_to_skip(shape)
            if skipped:
                findings.skip(skipped, file)
                continue
            group = shape.get("group_id")
            key = (name, f"shape {i}" if group is None else f"group {group}")
            parts.setdefault(key, []).append(_region(shape, points, size))
        except ValueError as error:
            raise ValueError(f"shape {i}: {error}") from None
    return [LabeledObject(name, encode_region(parts, *size)) for (name, _), parts in parts.items()]


def _label(shape: dict) -> str:
    try:
        return read_text(shape.get("label"))
    except ValueError as error:
        raise ValueError(f"label is {error}: give the shape a class in labelme") from None


def _points(shape: dict) -> list[list[float]]:
    """A shape's points [x, y]."""
    points = shape.get("points")
    if not isinstance(points, list):
        raise ValueError(f"points is {in_words(points)}: expected a list of [x, y]")
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise ValueError(f"points has {in_words(point)} where [x, y] belongs")
    try:
        return [[read_number(value) for value in point] for point in points]
    except ValueError as error:
        raise ValueError(f"points has {error}") from None


def _kind(shape: dict) -> str:
    """The shape's type. Old versions of labelme had polygons alone, and wrote none."""
    return str(shape.get("shape_type") or "polygon")


def _reason_to_skip(shape: dict) -> str:
    """What the shape is, if it cannot be an object or is not meant to be one; otherwise empty."""
    if str(shape["label"]) in NO_CLASSES:
        return f"shape with the label {shape['label']}"
    if _kind(shape) == "polygon" and len(shape["points"]) < 3:
        return "polygon with fewer than three points"
    return "" if _kind(shape) in OUTLINES else _kind(shape)


def _region(shape: dict, points: list[list[float]], size: Size) -> dict:
    """The pixels of a shape, as RLE."""
    kind = _kind(shape)
    if kind == "mask":
        return _painted(shape, points, size)
    if kind == "rectangle" and len(points) == 2:  # two corners, in any order
        (x1, y1), (x2, y2) = points
        points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    if len(points) < 3:
        raise ValueError(f"points has {len(points)} of them: draw the {kind} again")
    return {"size": [*size], "counts": encode_region([points], *size)}


def _painted(shape: dict, points: list[list[float]], size: Size) -> dict:
    """A mask that labelme's AI has found: a PNG of the pixels between two corners, as RLE."""
    try:
        with Image.open(BytesIO(decode_base64(shape.get("mask")))) as image:
            pixels = np.asarray(image.convert("L")) > 0
    except Exception as error:  # PIL has a dozen types of exceptions for a damaged file
        raise ValueError(f"mask is no PNG in base64 ({error}): draw it again") from error
    if len(points) != 2:
        raise ValueError(f"points has {len(points)} of them: a mask has two corners")
    x, y = map(int, points[0])
    height, width = pixels.shape
    if min(x, y) < 0 or y + height > size[0] or x + width > size[1]:
        raise ValueError(f"its mask of {width} x {height} pixels at ({x}, {y}) leaves the image")
    mask = torch.zeros(size, dtype=torch.bool)
    mask[y : y + height, x : x + width] = torch.from_numpy(pixels)
    return encode_mask(mask)


def decode_base64(text: Any) -> bytes:
    """The bytes that a text in base64 stands for."""
    try:
        return base64.b64decode(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{in_words(text)} where base64 belongs") from error
