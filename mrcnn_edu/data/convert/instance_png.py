"""Pictures in which every object has a value of its own: a gray value, a palette index, a color."""

from pathlib import Path

import numpy as np
from PIL import Image

from mrcnn_edu.data.rle import RLEMasks

SUFFIXES = {".bmp", ".gif", ".png", ".tif", ".tiff"}  # those that keep every value
COLOR = 1 << 24  # added to a color's number, which so differs from all palette indices
MANY_COLORS = 2_000  # more than this are not objects but a photograph


def color_value(red: int, green: int, blue: int) -> int:
    """The value of a color; black is 0, the background."""
    number = red << 16 | green << 8 | blue
    return number + COLOR if number else 0


def read_values(file: Path) -> np.ndarray:
    """The values [H, W] of a picture's pixels, of 1 to 16 bits, or of colors (`color_value`).

    Raises ValueError if it cannot be read, or if its values cannot be those of objects.
    """
    try:
        with Image.open(file) as image:
            if image.format == "JPEG":
                raise ValueError("a JPEG changes the values of its pixels: save masks as PNG")
            if image.mode in ("RGBA", "LA", "PA"):
                image = image.convert({"RGBA": "RGB", "LA": "L", "PA": "P"}[image.mode])
            pixels = np.asarray(image)
    except ValueError:
        raise
    except Exception as error:  # PIL has a dozen types of exceptions for a damaged file
        raise ValueError(f"this file cannot be read as a mask ({error})") from error
    if pixels.ndim == 3:
        return _values_of_colors(pixels)
    values = pixels.astype(np.int64)
    if np.issubdtype(pixels.dtype, np.floating) and (values != pixels).any():
        raise ValueError("the mask has values that are not whole: give each object a whole number")
    if values.min(initial=0) < 0:
        raise ValueError(f"the mask has the value {values.min()}: give each object a number from 1")
    return values


def _values_of_colors(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = pixels[..., :3].astype(np.int64).transpose(2, 0, 1)
    numbers = red << 16 | green << 8 | blue
    n_colors = len(np.unique(numbers))
    if n_colors > MANY_COLORS:
        raise ValueError(
            f"the mask has {n_colors:,} colors: is it a photograph? Give each object one color or "
            "value of its own"
        )
    return np.where(numbers > 0, numbers + COLOR, 0)


def objects_in(values: np.ndarray, ignored: tuple[int, ...] = (0,)) -> tuple[list[int], RLEMasks]:
    """The values [N] that occur in a picture [H, W], and the mask of each, run-length encoded.

    They are found in one pass over the picture, however many objects it has.
    """
    flat = values.T.ravel()  # column by column, as in COCO's RLE
    start = np.flatnonzero(np.diff(flat, prepend=-1))  # values are never negative
    end = np.append(start[1:], len(flat))
    value = flat[start]
    is_object = ~np.isin(value, ignored)
    start, end, value = start[is_object], end[is_object], value[is_object]
    found, index = np.unique(value, return_inverse=True)
    order = np.argsort(index, kind="stable")  # by object, and from left to right within it
    offset = index[order] * len(flat)
    size = int(values.shape[0]), int(values.shape[1])
    masks = RLEMasks(start[order] + offset, end[order] + offset, len(found), size)
    return found.tolist(), masks
