"""Regions as COCO stores them: polygons, or run-length encoded (RLE).

RLE is the lengths of the runs of 0 and 1 down the columns, as a list or as a compressed string. It
keeps holes and single pixels, which polygons do not. Letters: H and W the image's size.
"""

import numpy as np
from torch import Tensor

from mrcnn_edu.data.rle import RLEMasks, compress, decode_masks, decompress, encode_masks


def decode_mask(region: dict | list | None, height: int, width: int) -> Tensor:
    """Mask [H, W] bool of a COCO region: polygons, or runs as a list or as a compressed string."""
    string = encode_region(region, height, width)
    return decode_masks(decompress([string], (height, width)))[0]


def encode_region(region: dict | list | None, height: int, width: int) -> bytes:
    """The compressed string of a COCO region, whatever its form; `decompress` checks its runs."""
    try:
        if isinstance(region, dict):
            if tuple(region["size"]) != (height, width):
                h, w = region["size"]
                raise ValueError(f"the mask is {w} x {h}, the image {width} x {height} pixels")
            counts = region["counts"]
        else:
            counts = _draw_polygons([p for p in region or [] if len(p) >= 6], height, width)
        if not isinstance(counts, list):
            return counts if isinstance(counts, bytes) else counts.encode()
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise ValueError("the mask's runs do not add up to the image's pixels")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the segmentation is neither polygons nor runs ({error!r})") from error
    edges = np.cumsum(counts)
    start, end = edges[:-1:2], edges[1::2]
    some = start < end
    (string,) = compress(RLEMasks(start[some], end[some], 1, (height, width)))
    return string


def _draw_polygons(polygons: list, height: int, width: int) -> bytes | list[int]:
    """The runs of the pixels in any of the polygons."""
    if not polygons:
        return [height * width]
    if not all(np.isfinite(polygon).all() for polygon in polygons):
        raise ValueError("a polygon has coordinates that are not finite")
    from pycocotools import mask as rle  # not above: synthetic scenes do without it

    return rle.merge(rle.frPyObjects(polygons, height, width))["counts"]


def encode_mask(mask: Tensor) -> dict:
    """Compressed runs {"size": [H, W], "counts": str} of a mask [H, W]: decode_mask's inverse."""
    (counts,) = compress(encode_masks(mask[None]))
    return {"size": list(mask.shape), "counts": counts.decode("ascii")}
