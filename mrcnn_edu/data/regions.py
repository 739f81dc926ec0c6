"""An object's region in COCO's two forms: a list of polygons, or run-length encoded (RLE).

RLE is {"size": [H, W], "counts": ...}, where the counts are a list or a compressed string (see
`rle_codec`). It keeps holes and single pixels, which polygons do not.
"""

from typing import Any

import numpy as np
from torch import Tensor

from mrcnn_edu.data.rle import RLEMasks, decode_masks, encode_masks
from mrcnn_edu.data.rle_codec import compress, decompress
from mrcnn_edu.images import Size


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

    None and a list without polygons are an empty mask. Raises ValueError for anything else; but the
    counts in a compressed string are checked only by `decompress`.
    """
    size = height, width
    try:
        if not isinstance(region, dict):
            # A polygon of fewer than three points has no area.
            return _encode_polygons([p for p in region or [] if len(p) >= 6], size)
        if tuple(region["size"]) != size:
            h, w = region["size"]
            raise ValueError(f"the mask is {w} x {h}, the image {width} x {height} pixels")
        counts = region["counts"]
        if isinstance(counts, list):
            return _encode_counts(counts, size)
        return counts if isinstance(counts, bytes) else counts.encode()
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the segmentation is neither polygons nor RLE ({error!r})") from error


def _encode_counts(counts: list[int], size: Size) -> bytes:
    """The compressed string of a list of counts, among which there may be zeros."""
    if sum(counts) != size[0] * size[1] or min(counts, default=0) < 0:
        raise ValueError("the mask's runs do not add up to the image's pixels")
    edges = np.cumsum(counts)
    start, end = edges[:-1:2], edges[1::2]
    exists = start < end
    (string,) = compress(RLEMasks(start[exists], end[exists], 1, size))
    return string


def _encode_polygons(polygons: list, size: Size) -> bytes:
    """The compressed string of all pixels in any of the polygons, as pycocotools draws them."""
    if not polygons:
        return _encode_counts([size[0] * size[1]], size)
    if not all(np.isfinite(polygon).all() for polygon in polygons):
        raise ValueError("a polygon has coordinates that are not finite")
    from pycocotools import mask as coco  # not above: synthetic scenes do not need it

    counts: Any = coco.merge(coco.frPyObjects(polygons, *size))["counts"]
    return counts
