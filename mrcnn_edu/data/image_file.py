"""Image files: a tensor of 0..1 from a file of any kind, with as many channels as are asked for."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

TIFF = {".tif", ".tiff"}  # may have any number of channels
TURNED = {5, 6, 7, 8}  # values of EXIF's orientation that swap height and width
ORIENTATION = 0x0112
Size = tuple[int | None, int | None]


def read_image(path: Path, size: Size = (None, None), channels: int = 3) -> Tensor:
    """Image [C, H, W] of 0..1 from a file of any kind: gray, palette, transparent (alpha dropped).

    size: the (height, width) that the annotations were made for, if known. channels: C. 3 is color
    and 1 gray, whatever the file has; any other number must be that of the file, a .npy [H, W, C],
    TIFF or, with its alpha as the fourth, PNG.

    Cameras store a turned picture with a note (EXIF) how to turn it back. Most tools obey the note,
    some do not see it; so we obey it unless only the picture as stored has the annotations' size.
    """
    if not path.is_file():
        raise FileNotFoundError("there is no such image")
    try:
        if channels in (1, 3) and path.suffix.lower() != ".npy":
            pixels = _read_picture(path, size, channels)
        else:
            pixels = _read_array(path, channels)
    except Exception as error:  # PIL has a dozen kinds of exception for a damaged file
        raise ValueError(f"this file cannot be read as an image ({error})") from error
    found = pixels.shape[:2]
    if None not in size and found != tuple(size):
        raise ValueError(
            f"the image is {found[1]} x {found[0]} pixels, the JSON says {size[1]} x {size[0]}"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of the image that `read_image` gives, without reading its pixels."""
    if not path.is_file():
        raise FileNotFoundError("there is no such image")
    if path.suffix.lower() == ".npy":
        return tuple(np.load(path, mmap_mode="r").shape[:2])
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
    except Exception as error:
        raise ValueError(f"this file cannot be read as an image ({error})") from error
    return (width, height) if turned else (height, width)


def _read_picture(path: Path, size: Size, channels: int) -> np.ndarray:
    """Pixels [H, W, C] of 0..1 in float32; C is 3 or 1."""
    with Image.open(path) as stored:
        stored.load()
        image = ImageOps.exif_transpose(stored)
        if image.size != size[::-1] and stored.size == size[::-1]:
            image = stored
        if image.mode.startswith("I"):  # 16 bits of gray; PIL would cut them off at 255
            return np.asarray(image, np.float32)[..., None].repeat(channels, axis=2) / 65535
        if "transparency" in image.info:
            image = image.convert("RGBA")
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32) / 255
    return pixels.reshape(*pixels.shape[:2], channels)


def _read_array(path: Path, channels: int) -> np.ndarray:
    """Pixels [H, W, C] of 0..1 in float32, as many channels as the file has."""
    if path.suffix.lower() == ".npy":
        pixels = np.load(path, allow_pickle=False)
    elif path.suffix.lower() in TIFF:
        from skimage.io import imread  # only here: PIL reads what most people have

        pixels = imread(path)
    else:
        with Image.open(path) as stored:
            pixels = np.asarray(ImageOps.exif_transpose(stored))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[-1] != channels and pixels.shape[0] == channels:
        pixels = np.moveaxis(pixels, 0, -1)  # some TIFF files have channel after channel
    if pixels.ndim != 3 or pixels.shape[-1] != channels:
        raise ValueError(f"its shape is {pixels.shape}, not height, width and {channels} channels")
    whole = np.issubdtype(pixels.dtype, np.integer)
    return pixels.astype(np.float32) / (np.iinfo(pixels.dtype).max if whole else 1)
