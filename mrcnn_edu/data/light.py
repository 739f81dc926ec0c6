"""The light on synthetic scenes, and the camera: uneven, colored, sometimes strong or blurred."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from mrcnn_edu.data.drawing import Window, as_floats
from mrcnn_edu.data.textures import smooth_field


class Light(NamedTuple):
    """Where the light comes from, and what shadows it throws."""

    direction: np.ndarray  # [2], a unit vector (x, y) in the picture, towards the light
    darkness: float  # of a shadow, 0..1
    softness: float  # of a shadow's edge, as a fraction of the scene's size


def random_light(rng: np.random.Generator) -> Light:
    """A light that comes from above, more often from the left."""
    angle = rng.uniform(-1.0, 0.3) - np.pi / 2
    direction = np.array((np.cos(angle), np.sin(angle)), dtype=np.float32)
    return Light(direction, rng.uniform(0.28, 0.5), rng.uniform(0.007, 0.02))


def illuminate(image: np.ndarray, light: Light, rng: np.random.Generator) -> None:
    """Make an image [3, size, size] brighter towards the light, and tint it a little.

    One scene in five is lit strongly: from one side, or through a window with a grille.
    """
    size = image.shape[1]
    x, y = Window(0, 0, size, size, size).positions()
    kind, strength, warmth = rng.random(), rng.uniform(0.5, 1), rng.normal(0, 0.025)
    amount = light.direction * np.float32(0.3 * strength if kind < 0.1 else 0.08)
    brightness = 1 + amount[0] * (x - 0.5) + amount[1] * (y - 0.5)
    brightness += 0.015 * smooth_field(4, size, rng)
    if 0.1 < kind < 0.2:
        angle, turns = rng.uniform(0, np.pi), 2 * np.pi * rng.uniform(1.5, 3)
        along = np.float32(turns * np.cos(angle)) * x + np.float32(turns * np.sin(angle)) * y
        brightness -= np.float32(0.16 * strength) * np.clip(0.5 + 2 * np.sin(along), 0, 1)
    if rng.random() < 0.2:
        warmth = rng.uniform(-0.1, 0.1)
    tint = rng.uniform(0.92, 1.02) * np.array((1 + warmth, 1, 1 - warmth))
    image *= brightness
    image *= tint.astype(np.float32)[:, None, None]


def photograph(image: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """The image [3, size, size] as a camera sees it: one in seven out of focus, all with noise."""
    size = image.shape[1]
    chance, blur = rng.random(), rng.uniform(0.003, 0.008)
    if chance < 1 / 7:
        planes = (255 * np.clip(image, 0, 1)).astype(np.uint8)
        soft = ImageFilter.GaussianBlur(blur * size)
        image = np.stack([as_floats(Image.fromarray(plane).filter(soft)) for plane in planes])
    grain = rng.standard_normal((size, size), dtype=np.float32)
    grain *= np.float32(noise)
    return image + grain
