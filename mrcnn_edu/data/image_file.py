"""Image files: a tensor in 0..1 from a file of any kind, with as many channels as requested."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mrcnn_edu.extras import require
from mrcnn_edu.images import Size

TIFF = {".tif", ".tiff"}  # such files may have any number of channels
ORIENTATION = 0x0112  # EXIF's tag that says how the camera was held
SWAPS_SIZE = {5, 6, 7, 8}  # its values that swap height and width


def read_image(path: Path, size: Size | None = None, channels: int = 3) -> Tensor:
    """The image [C, H, W] in 0..1 of a file: gray, palette, transparent (alpha dropped), 16 bits.

    size: the (height, width) that the annotations were made for, if known. channels: C. 3 is color
    and 1 is gray, whatever the file has; any other number must be the file's own: a .npy [H, W, C],
    a TIFF, or a PNG with its alpha as the fourth channel. Raises FileNotFoundError, or ValueError
    if it cannot be read or has another size.

    Cameras store a rotated picture with a note (EXIF) on how to rotate it back. Most labeling tools
    obey the note, some ignore it; so we obey it unless only the picture as stored has the size of
    the annotations.
    """
    if not path.is_file():
        raise FileNotFoundError("there is no such image")
    try:
        if channels in (1, 3) and path.suffix.lower() != ".npy":
            pixels = _read_picture(path, size, channels)
        else:
            pixels = _read_array(path, channels)
    except Exception as error:  # PIL has a dozen types of exceptions for a damaged file
        raise ValueError(f"this file cannot be read as an image ({_why(error)})") from error
    height, width = pixels.shape[:2]
    if size is not None and (height, width) != tuple(size):
        raise ValueError(
            f"the image is {width} x {height} pixels, the JSON says {size[1]} x {size[0]}"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def read_image_size(path: Path) -> Size:
    """(height, width) of the image that `read_image` returns, without reading its pixels."""
    if not path.is_file():
        raise FileNotFoundError("there is no such image")
    if path.suffix.lower() == ".npy":
        height, width = np.load(path, mmap_mode="r").shape[:2]
        return height, width
    try:
        with Image.open(path) as image:
            width, height = image.size
            swapped = image.getexif().get(ORIENTATION) in SWAPS_SIZE
    except Exception as error:
        raise ValueError(f"this file cannot be read as an image ({_why(error)})") from error
    return (width, height) if swapped else (height, width)


def _why(error: Exception) -> str:
    """Why an image cannot be read, in words."""
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: scale it down"
    if isinstance(error, MemoryError):
        return "it does not fit into memory: scale it down"
    if isinstance(error, UnidentifiedImageError):
        return "its contents are those of no image format that Pillow knows"
    return str(error) or type(error).__name__


def is_read_as_stored(path: Path, size: Size) -> bool:
    """Whether a rotated photograph of a size is read as stored, not as viewers show it."""
    try:
        with Image.open(path) as image:
            stored = image.size[::-1]
            swapped = image.getexif().get(ORIENTATION) in SWAPS_SIZE
    except Exception:  # it cannot be read at all
        return False
    return swapped and stored == tuple(size) and stored[0] != stored[1]


def _read_picture(path: Path, size: Size | None, channels: int) -> np.ndarray:
    """Pixels [H, W, C] float32 in 0..1; C is 3 or 1."""
    with Image.open(path) as stored:
        stored.load()
        image = ImageOps.exif_transpose(stored)
        if size is not None and image.size != size[::-1] and stored.size == size[::-1]:
            image = stored
        if image.mode[0] in "IF":  # gray of 16 bits, or floats, which PIL would clip at 255
            gray = _in_range(np.asarray(image), 1 if image.mode == "F" else 65535)
            return gray[..., None].repeat(channels, axis=2)
        if "transparency" in image.info:
            image = image.convert("RGBA")
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / 255
    return pixels.reshape(*pixels.shape[:2], channels)


def _read_array(path: Path, channels: int) -> np.ndarray:
    """Pixels [H, W, C] float32 in 0..1, with all channels of the file."""
    if path.suffix.lower() == ".npy":
        pixels = np.load(path, allow_pickle=False)
    elif path.suffix.lower() in TIFF:
        pixels = require("skimage.io", "history", "reading TIFF files").imread(path)
    else:
        with Image.open(path) as stored:
            pixels = np.asarray(ImageOps.exif_transpose(stored))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[-1] != channels and pixels.shape[0] == channels:
        pixels = np.moveaxis(pixels, 0, -1)  # some TIFF files store channel after channel
    if pixels.ndim != 3 or pixels.shape[-1] != channels:
        raise ValueError(f"its shape is {pixels.shape}, not height, width and {channels} channels")
    is_integer = np.issubdtype(pixels.dtype, np.integer)
    return _in_range(pixels, min(np.iinfo(pixels.dtype).max, 65535) if is_integer else 1)


def _in_range(pixels: np.ndarray, largest: int) -> np.ndarray:
    """The pixels as float32 in 0..1. largest: the value that becomes 1.

    Raises ValueError for values beyond it: which one is white then, the file does not say.
    """
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= largest):
        raise ValueError(
            f"its values are {pixels.min():g} to {pixels.max():g}, and {largest} should be the "
            "largest: save it with 8 or 16 bits per channel"
        )
    return pixels.astype(np.float32) / largest
