"""Regions as COCO stores them: polygons, or run-length encoded (RLE).

RLE is the lengths of the runs of 0 and 1 down the columns, as a list or as a compressed string. It
keeps holes and single pixels, which polygons do not. Letters: H and W the image's size.
"""

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.data.runs import compress, find_runs


def decode_mask(region: dict | list | None, height: int, width: int) -> Tensor:
    """Mask [H, W] bool of a COCO region: polygons, or runs as a list or as a compressed string."""
    try:
        if isinstance(region, dict):
            if tuple(region["size"]) != (height, width):
                h, w = region["size"]
                raise ValueError(f"the mask is {w} x {h}, the image {width} x {height} pixels")
            counts = region["counts"]
        else:
            polygons = [polygon for polygon in region or [] if len(polygon) >= 6]
            if not polygons:
                return torch.zeros(height, width, dtype=torch.bool)
            if not all(np.isfinite(polygon).all() for polygon in polygons):
                raise ValueError("a polygon has coordinates that are not finite")
            from pycocotools import mask as rle  # not above: synthetic scenes do without it

            counts = rle.merge(rle.frPyObjects(polygons, height, width))["counts"]
        runs = counts if isinstance(counts, list) else _decompress(counts)
        if sum(runs) != height * width or min(runs, default=0) < 0:
            raise ValueError("the mask's runs do not add up to the image's pixels")
    except (KeyError, TypeError) as error:
        raise ValueError(f"the segmentation is neither polygons nor runs ({error!r})") from error
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)  # 0 first; down the columns
    return torch.from_numpy(pixels.reshape(width, height).T.copy())


def _decompress(counts: str | bytes) -> list[int]:
    """The runs in COCO's string: each a number in pieces of 5 bits, the lowest first.

    A piece is a character from "0" on; 32 says that more follow, 16 in the last one is the sign.
    From the fourth run on the number is the difference from the run before the last.
    """
    runs, value, shift = [], 0, 0
    for character in counts.encode() if isinstance(counts, str) else counts:
        piece = character - ord("0")
        value |= (piece & 31) << shift
        shift += 5
        if not piece & 32:
            value -= (1 << shift) if piece & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def encode_mask(mask: Tensor) -> dict:
    """Compressed runs {"size": [H, W], "counts": str} of a mask [H, W]: decode_mask's inverse."""
    (counts,) = compress(find_runs(mask[None]))
    return {"size": list(mask.shape), "counts": counts.decode("ascii")}
