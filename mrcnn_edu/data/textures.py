"""Textures of synthetic scenes, the same at any size: smooth fields, stripes, grids and dots.

All lengths are fractions of the scene's size.
"""

import numpy as np
from PIL import Image

from mrcnn_edu.data.drawing import Window


def smooth_field(cells: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random field [size, size] of standard deviation about 1 that varies over 1 / cells."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def stripes(window: Window, angle: float, period: float, width: float) -> np.ndarray:
    """Coverage [h, w] in 0..1 of stripes at an angle, each `width` wide."""
    x, y = window.positions()
    cos, sin = _direction(angle)
    return _lines(cos * x + sin * y, period, width, window.size)


def grid(window: Window, angle: float, period: float, width: float) -> np.ndarray:
    """Coverage [h, w] in 0..1 of lines in two directions."""
    one = stripes(window, angle, period, width)
    other = stripes(window, angle + np.pi / 2, period, width)
    return np.maximum(one, other)


def checks(window: Window, angle: float, period: float, width: float) -> np.ndarray:
    """Coverage [h, w] of woven checks: full where stripes of two directions cross, half beside."""
    one = stripes(window, angle, period, width)
    return (one + stripes(window, angle + np.pi / 2, period, width)) / 2


def dots(window: Window, angle: float, period: float, width: float) -> np.ndarray:
    """Coverage [h, w] in 0..1 of dots on a square grid, each `width` in diameter."""
    x, y = window.positions()
    cos, sin = _direction(angle)
    u, v = _from_middle(cos * x + sin * y, period), _from_middle(cos * y - sin * x, period)
    inside = width / 2 - np.sqrt(u * u + v * v)
    return np.clip(inside * window.size + 0.5, 0, 1)


PRINTS = (stripes, grid, checks, dots)


def _direction(angle: float) -> np.ndarray:
    """Cosine and sine, in the precision of the pixels."""
    return np.array((np.cos(angle), np.sin(angle)), dtype=np.float32)


def _from_middle(position: np.ndarray, period: float) -> np.ndarray:
    """The distance, with its sign, from the middle of the period that a position is in."""
    periods = position / np.float32(period)
    return (periods - np.floor(periods) - np.float32(0.5)) * np.float32(period)


def _lines(position: np.ndarray, period: float, width: float, size: int) -> np.ndarray:
    """Coverage of lines; one that is thinner than a pixel is fainter instead."""
    pixels = width * size
    inside = np.float32(pixels / 2 + 0.5) - np.float32(size) * np.abs(
        _from_middle(position, period)
    )
    if pixels < 1:
        return np.clip(inside + (1 - pixels) / 2, 0, 1) * pixels
    return np.clip(inside, 0, 1)
