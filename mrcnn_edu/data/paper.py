"""The paper that the objects of synthetic scenes lie on: its color, its grain, what is on it."""

import numpy as np

from mrcnn_edu.data.clutter import CLUTTER, blend
from mrcnn_edu.data.drawing import Window
from mrcnn_edu.data.palette import OBJECT_COLORS, PENCIL, paper_color, rgb
from mrcnn_edu.data.textures import PRINTS, dots, smooth_field


def paper(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A sheet [3, size, size], and its color [3, 1, 1]: half of them printed, half with clutter."""
    color = paper_color(rng)
    grain = 1 + 0.012 * smooth_field(7, size, rng) + 0.008 * smooth_field(32, size, rng)
    sheet = grain * color
    if rng.random() < 0.5:
        _print_on(sheet, color, rng)
    if rng.random() < 0.5:
        for kind in rng.integers(len(CLUTTER), size=rng.integers(1, 3)):
            CLUTTER[kind](sheet, rng)
    return sheet, color


def _print_on(sheet: np.ndarray, color: np.ndarray, rng: np.random.Generator) -> None:
    """Ruling, checks or dots: thin and gray like a notebook's, or wide and in a pale color."""
    pattern = PRINTS[rng.integers(len(PRINTS))]
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.06, 0.2)
    if rng.random() < 0.6:
        ink, strength = rgb(PENCIL), rng.uniform(0.08, 0.3)
        width = rng.uniform(0.004, 0.008) * (3 if pattern is dots else 1)
    else:
        ink, strength = OBJECT_COLORS[rng.integers(len(OBJECT_COLORS))], rng.uniform(0.06, 0.25)
        width = rng.uniform(0.35, 0.6) * period
    size = sheet.shape[1]
    coverage = pattern(Window(0, 0, size, size, size), angle, period, width)
    blend(sheet, np.float32(strength) * coverage, 0.7 * ink + 0.3 * color)
