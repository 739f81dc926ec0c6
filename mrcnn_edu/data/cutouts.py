"""Objects cut out of paper: their color and print, a darker rim, and the shadow they throw."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from mrcnn_edu.data.clutter import blend
from mrcnn_edu.data.drawing import Window, as_floats, draw_inside, draw_union
from mrcnn_edu.data.light import Light
from mrcnn_edu.data.palette import OBJECT_COLORS
from mrcnn_edu.data.textures import PRINTS

RIM = 0.008  # how far the rim's darkening reaches inside, as a fraction of the scene's size
REACH = 0.05  # how far a shadow reaches outside


class Cutout(NamedTuple):
    """An object at its position: how much of each pixel it fills."""

    # [n, 2] each, in pixels: its boundary, then its holes; or pieces that it is the union of
    polygons: list[np.ndarray]
    window: Window  # the pixels that it or its shadow may reach
    shape: Image.Image  # its coverage there, 0..255
    mask: np.ndarray  # [h, w] bool, the pixels that it fills at least half


def cut_out(polygons: list[np.ndarray], size: int) -> Cutout:
    """The object with this boundary and these holes, in a scene of size x size pixels."""
    window = Window.around(polygons[0], size, margin=REACH * size)
    shape = draw_inside(polygons, window)
    return Cutout(polygons, window, shape, np.asarray(shape) >= 128)


def cut_out_together(polygons: list[np.ndarray], size: int) -> Cutout:
    """The object that is the union of these polygons, which may overlap."""
    window = Window.around(np.concatenate(polygons), size, margin=REACH * size)
    shape = draw_union(polygons, window)
    return Cutout(polygons, window, shape, np.asarray(shape) >= 128)


def paint_cutout(
    image: np.ndarray,
    cutout: Cutout,
    color: np.ndarray,
    light: Light,
    rng: np.random.Generator,
) -> None:
    """Paint an object of a color [3, 1, 1] and its shadow onto an image [3, size, size]."""
    window, shape = cutout.window, cutout.shape
    pixels = image[window.index]
    pixels *= 1 - shadow(shape, window.size, light, height=rng.uniform(0.6, 1.6))
    fill = printed(color, window, rng) * shading(shape, window, light)
    blend(pixels, as_floats(shape), fill)


def shadow(shape: Image.Image, size: int, light: Light, height: float) -> np.ndarray:
    """How dark [h, w] the shadow of a shape is, for an object at some height over the paper."""
    x, y = (light.direction * 0.011 * height * size).tolist()  # it falls away from the light
    moved = shape.transform(shape.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), _BILINEAR)
    soft = ImageFilter.GaussianBlur(light.softness * height**0.5 * size)
    return np.float32(light.darkness) * as_floats(moved.filter(soft))


def shading(shape: Image.Image, window: Window, light: Light) -> np.ndarray:
    """The brightness [h, w] of an object: darker at its rim, brightest where it faces the light."""
    inner = as_floats(shape.filter(ImageFilter.BoxBlur(1.7 * RIM * window.size)))
    (right, down), reach = light.direction, np.float32(0.22 * RIM * window.size)
    x, y = window.positions()
    shading = 0.84 + 0.35 * (right * (x - x.mean()) + down * (y - y.mean()))
    shading += 0.16 * np.maximum(2 * inner - 1, 0)
    shading[:, 1:-1] -= reach * right * (inner[:, 2:] - inner[:, :-2])  # it falls off at the rim
    shading[1:-1] -= reach * down * (inner[2:] - inner[:-2])
    return shading


def printed(color: np.ndarray, window: Window, rng: np.random.Generator) -> np.ndarray:
    """The color of an object, [3, 1, 1] if plain, or [3, h, w] if something is printed on it."""
    if rng.random() > 0.35:
        return color
    pattern, tone = PRINTS[rng.integers(len(PRINTS))], rng.random()
    if tone < 0.5:
        ink = color + np.float32(0.4 if color.mean() < 0.6 else -0.35)
    elif tone < 0.7:
        ink = color + np.float32(-0.16 if color.mean() < 0.6 else 0.14)
    else:
        ink = OBJECT_COLORS[rng.integers(len(OBJECT_COLORS))]
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.025, 0.07)
    width, strength = rng.uniform(0.3, 0.6) * period, np.float32(rng.uniform(0.2, 0.7))
    return color + strength * pattern(window, angle, period, width) * (ink - color)


_BILINEAR = Image.Resampling.BILINEAR
