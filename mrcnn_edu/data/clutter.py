"""What lies or is written on the paper of synthetic scenes and is no object: flat, without a rim.

Each function changes an image [3, size, size]. All lengths are fractions of the scene's size.
"""

import numpy as np

from mrcnn_edu.data.drawing import Window, draw_curves, draw_pieces
from mrcnn_edu.data.palette import COFFEE, OBJECT_COLORS, PENCIL, rgb
from mrcnn_edu.data.textures import smooth_field


def blend(image: np.ndarray, coverage: np.ndarray, color: np.ndarray) -> None:
    """Move an image [3, h, w] towards a color [3, 1, 1], by coverage [h, w] in 0..1."""
    image += coverage * (color - image)


def scribble(image: np.ndarray, rng: np.random.Generator) -> None:
    """A pencil's or a pen's line that wanders and curls."""
    center, angle = rng.uniform(0.15, 0.85, 2), rng.uniform(0, 2 * np.pi)
    length, curl, turns = rng.uniform(0.1, 0.4), rng.uniform(0.02, 0.09), rng.uniform(1, 5)
    t = np.linspace(0, 1, 60)
    phase = 2 * np.pi * (turns * t + rng.random())
    along = length * (t - 0.5) + 0.6 * curl * np.cos(phase)
    across = curl * np.sin(phase) * np.sin(np.pi * t) ** 0.3
    axis, normal = _axes(angle)
    points = center + along[:, None] * axis + across[:, None] * normal
    ink = rgb(PENCIL) if rng.random() < 0.6 else _any_color(rng)
    strength, width = np.float32(rng.uniform(0.35, 0.75)), rng.uniform(0.004, 0.009)
    window, line = draw_curves([points], width, image.shape[1])
    blend(image[window.index], strength * line, ink)


def stain(image: np.ndarray, rng: np.random.Generator) -> None:
    """The ring that a cup has left, darker in some places."""
    size = image.shape[1]
    center, radius = rng.uniform(0.1, 0.9, (2, 1)).astype(np.float32), rng.uniform(0.12, 0.24)
    strength = np.float32(rng.uniform(0.2, 0.45))
    window = Window.around(size * np.concatenate((center - radius, center + radius), 1).T, size, 2)
    x, y = window.positions()
    across = np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2) - np.float32(radius)
    rim = np.exp(-((across / np.float32(0.007)) ** 2)) + np.float32(0.12) * (across < 0)
    patchy = np.clip(0.6 + 0.5 * smooth_field(5, size, rng)[window.index[1:]], 0.1, 1.2)
    blend(image[window.index], strength * patchy * rim, rgb(COFFEE))


def crumbs(image: np.ndarray, rng: np.random.Generator) -> None:
    """Confetti, each piece smaller than the smallest object."""
    for _ in range(2):
        n, color = rng.integers(2, 8), _any_color(rng)
        corners = rng.normal(0, 0.009, (n, 3, 2)) + rng.uniform(0, 1, (n, 1, 2))
        window, pieces = draw_pieces(list(corners), image.shape[1])
        blend(image[window.index], pieces, color)


def tape(image: np.ndarray, rng: np.random.Generator) -> None:
    """A strip of translucent tape that comes in from a side of the picture."""
    width, length = rng.uniform(0.06, 0.11), rng.uniform(0.15, 0.4)
    axis, normal = _axes(np.pi / 2 + rng.uniform(-0.6, 0.6))
    origin = np.array((rng.uniform(0.1, 0.9), 0.0))
    start, end = origin - 0.2 * axis, origin + length * axis
    half = width / 2 * normal
    strip = np.array([start - half, end - half, end + half, start + half])
    for _ in range(rng.integers(4)):  # a quarter turn each: it may come from any side
        strip = np.stack((1 - strip[:, 1], strip[:, 0]), axis=1)
    strength = np.float32(rng.uniform(0.3, 0.6))
    window, coverage = draw_pieces([strip], image.shape[1])
    blend(image[window.index], strength * coverage, 0.6 * _any_color(rng) + 0.4)


def writing(image: np.ndarray, rng: np.random.Generator) -> None:
    """A few lines of print, too small to read."""
    x, y = rng.uniform(0.02, 0.55, 2)
    spacing, words = rng.uniform(0.035, 0.05), []
    for line in range(rng.integers(2, 7)):
        ends = x + np.cumsum(rng.uniform(0.03, 0.09, rng.integers(3, 7)))
        for start, end in zip((x, *ends[:-1]), ends - 0.017, strict=True):
            words.append(np.array([(start, y + line * spacing), (end, y + line * spacing)]))
    strength = np.float32(rng.uniform(0.2, 0.5))
    window, lines = draw_curves(words, 0.3 * spacing, image.shape[1])
    blend(image[window.index], strength * lines, rgb(PENCIL))


def _any_color(rng: np.random.Generator) -> np.ndarray:
    return OBJECT_COLORS[rng.integers(len(OBJECT_COLORS))]


def _axes(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (x, y) at an angle, and at a right angle to it."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array((cos, sin)), np.array((-sin, cos))


CLUTTER = (scribble, scribble, stain, crumbs, tape, writing)
