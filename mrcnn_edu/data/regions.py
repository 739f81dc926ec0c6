"""An object's region in COCO's two forms: a list of polygons, or run-length encoded (RLE).

RLE is {"size": [H, W], "counts": ...}, where the counts are a list or a compressed string (see
`rle_codec`). It keeps holes and single pixels, which polygons do not. What labeling tools write
besides, and what can only mean the same, is read too: one polygon without the outer list, points as
pairs, several RLEs in a list, numbers as text, all of it as JSON text.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from mrcnn_edu.data.fields import in_words, read_integer, read_numbers
from mrcnn_edu.data.rle import RLEMasks, decode_masks, encode_masks
from mrcnn_edu.data.rle_codec import compress, decompress
from mrcnn_edu.images import Size

BYTES_IN_WORDS = re.compile(r"^b(['\"])(.*)\1$", re.DOTALL)  # Python's str() of bytes
FAR = 10  # image sizes from the image: a polygon's point beyond is a mistake, and costly to draw


def decode_mask(region: Any, height: int, width: int) -> Tensor:
    """The mask [H, W] bool of a region, in any of its forms. Raises ValueError if it is none."""
    string = encode_region(region, height, width)
    return decode_masks(decompress([string], (height, width)))[0]


def encode_mask(mask: Tensor) -> dict:
    """A mask [H, W] bool as a region, {"size": [H, W], "counts": str}; `decode_mask` inverts it."""
    (counts,) = compress(encode_masks(mask[None]))
    return {"size": list(mask.shape), "counts": counts.decode("ascii")}


def encode_region(region: Any, height: int, width: int) -> bytes:
    """The compressed string of a region, in any of its forms, in an image of H x W pixels.

    None and a list without polygons are an empty mask; polygons of fewer than three points have no
    area and are skipped. Raises ValueError for anything else; but the counts in a compressed string
    are checked only by `decompress`.
    """
    size = height, width
    polygons, strings = [], []
    for part in parts_of(region):
        if isinstance(part, dict):
            strings.append(_encode_rle(part, size))
        elif len(part) >= 6:
            polygons.append(part)
    if not strings:
        return _encode_polygons(polygons, size)
    return strings[0] if len(strings) == 1 else _merge(strings, size)


def parts_of(region: Any) -> Sequence[dict | list[float]]:
    """A region's RLEs, or its polygons x1, y1, x2, y2, ..., whose numbers are all finite."""
    if isinstance(region, str) and region.strip():
        try:
            region = json.loads(region)
        except (ValueError, RecursionError):
            raise ValueError(_neither(region)) from None
    if region is None or region == "" or region == []:
        return []
    if isinstance(region, dict):
        return [region]
    if not isinstance(region, list):
        raise ValueError(_neither(region))
    if all(isinstance(part, dict) for part in region):
        return region
    if not any(isinstance(part, list) for part in region):
        region = [region]  # one polygon, without the outer list
    elif all(isinstance(part, list) and len(part) == 2 for part in region) and len(region) > 2:
        region = [region]  # one polygon, as pairs
    return [_polygon(part) for part in region]


def _polygon(part: Any) -> list[float]:
    """A polygon's numbers x1, y1, x2, y2, ..."""
    if not isinstance(part, list):
        raise ValueError(_neither(part))
    if part and all(isinstance(point, list) and len(point) == 2 for point in part):
        part = [value for point in part for value in point]
    try:
        numbers = read_numbers(part)
    except ValueError as error:
        raise ValueError(f"a polygon has {error}") from None
    if len(numbers) % 2:
        raise ValueError(f"a polygon has an odd number of coordinates, {len(numbers)}")
    return numbers


def _neither(region: Any) -> str:
    return f"the segmentation is neither polygons nor RLE but {in_words(region)}"


def _encode_rle(region: dict, size: Size) -> bytes:
    given, counts = region.get("size"), region.get("counts")
    try:
        height, width = map(read_integer, given if isinstance(given, list | tuple) else ())
    except ValueError:
        raise ValueError(f"the RLE's size is {in_words(given)}: expected [height, width]") from None
    if (height, width) != size:
        swapped = "; are height and width swapped?" if (width, height) == size else ""
        raise ValueError(
            f"the mask is {width} x {height}, the image {size[1]} x {size[0]} pixels{swapped}"
        )
    if isinstance(counts, list):
        try:
            return _encode_counts([read_integer(count) for count in counts], size)
        except ValueError as error:
            raise ValueError(f"the RLE's counts: {error}") from None
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if not isinstance(counts, str):
        raise ValueError(f"the RLE's counts are {in_words(counts)}: expected a list or text")
    written = BYTES_IN_WORDS.match(counts)
    text = written[2].replace("\\\\", "\\") if written else counts
    if not all("0" <= character <= "o" for character in text):
        raise ValueError("the RLE's counts have characters that are not COCO's")
    return text.encode("ascii")


def _encode_counts(counts: list[int], size: Size) -> bytes:
    """The compressed string of a list of counts, among which there may be zeros."""
    if sum(counts) != size[0] * size[1] or min(counts, default=0) < 0:
        raise ValueError("the mask's runs do not add up to the image's pixels")
    edges = np.cumsum(counts)
    start, end = edges[:-1:2], edges[1::2]
    exists = start < end
    (string,) = compress(RLEMasks(start[exists], end[exists], 1, size))
    return string


def _encode_polygons(polygons: list[list[float]], size: Size) -> bytes:
    """The compressed string of all pixels in any of the polygons, as pycocotools draws them."""
    if not polygons:
        return _encode_counts([size[0] * size[1]], size)
    for polygon in polygons:
        points = np.array(polygon).reshape(-1, 2)
        far = np.abs(points).max(axis=1) > FAR * max(*size, 100)
        if far.any():
            x, y = points[far][0]
            raise ValueError(
                f"a polygon has the point ({x:g}, {y:g}), far outside of the image of "
                f"{size[1]} x {size[0]}: correct it, coordinates are pixels"
            )
    from pycocotools import mask as coco  # not above: synthetic scenes do not need it

    parts: Any = polygons
    return _counts(coco.merge(coco.frPyObjects(parts, *size)))


def _merge(strings: list[bytes], size: Size) -> bytes:
    """The compressed string of all pixels in any of several masks."""
    from pycocotools import mask as coco

    decompress(strings, size)  # pycocotools does not check them
    return _counts(coco.merge([{"size": [*size], "counts": string} for string in strings]))


def _counts(encoded: Any) -> bytes:
    return encoded["counts"]
