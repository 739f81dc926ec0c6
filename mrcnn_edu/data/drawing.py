"""Polygons and curves as coverage: how much of each pixel they fill, so that edges are smooth."""

from typing import NamedTuple, Self

import numpy as np
from PIL import Image, ImageDraw

OVERSAMPLING = 4  # edges are drawn on a grid this many times finer than the pixels


class Window(NamedTuple):
    """A rectangle of whole pixels in a scene of size x size pixels; right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int
    size: int

    @classmethod
    def around(cls, points: np.ndarray, size: int, margin: float = 0) -> Self:
        """The pixels that points [n, 2] touch, and `margin` pixels more on each side."""
        left, top = points.min(axis=0).tolist()
        right, bottom = points.max(axis=0).tolist()
        left, top = (min(max(int(v - margin), 0), size - 1) for v in (left, top))
        right, bottom = (min(max(int(v + margin) + 1, 1), size) for v in (right, bottom))
        return cls(left, top, max(right, left + 1), max(bottom, top + 1), size)

    @property
    def index(self) -> tuple:
        """An index for arrays [..., size, size]."""
        return ..., slice(self.top, self.bottom), slice(self.left, self.right)

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """x [1, w] and y [h, 1] of the pixels' centers, as fractions of the scene's size."""
        x = (np.arange(self.left, self.right, dtype=np.float32) + 0.5) / self.size
        y = (np.arange(self.top, self.bottom, dtype=np.float32) + 0.5) / self.size
        return x[None], y[:, None]

    def canvas(self) -> Image.Image:
        """An empty 8-bit image on the finer grid."""
        height, width = self.bottom - self.top, self.right - self.left
        return Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))

    def on_canvas(self, points: np.ndarray) -> list[float]:
        """Points [n, 2] in pixels of the scene, as x1, y1, x2, ... on the canvas."""
        return ((points - (self.left, self.top)) * OVERSAMPLING).ravel().tolist()


def draw(polygons: list[np.ndarray], size: int) -> np.ndarray:
    """Coverage [size, size] in 0..1 of polygons [n, 2] in pixels; all but the first are holes."""
    return as_floats(draw_inside(polygons, Window(0, 0, size, size, size)))


def draw_inside(polygons: list[np.ndarray], window: Window) -> Image.Image:
    """The same coverage in a window alone, as an 8-bit image."""
    canvas = window.canvas()
    pen = ImageDraw.Draw(canvas)
    for i, polygon in enumerate(polygons):
        pen.polygon(window.on_canvas(polygon), fill=255 if i == 0 else 0)
    return canvas.reduce(OVERSAMPLING)


def draw_union(polygons: list[np.ndarray], window: Window) -> Image.Image:
    """Coverage in a window, as an 8-bit image, of all that is in any of the polygons [n, 2]."""
    canvas = window.canvas()
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        pen.polygon(window.on_canvas(polygon), fill=255)
    return canvas.reduce(OVERSAMPLING)


def draw_pieces(polygons: list[np.ndarray], size: int) -> tuple[Window, np.ndarray]:
    """A window around polygons [n, 2], and their coverage [h, w] there.

    The polygons, and the width of curves, are fractions of the scene's size.
    """
    window = Window.around(size * np.concatenate(polygons), size, margin=1)
    return window, as_floats(draw_union([size * polygon for polygon in polygons], window))


def draw_curves(curves: list[np.ndarray], width: float, size: int) -> tuple[Window, np.ndarray]:
    """The same for curves, each through points [n, 2]."""
    window = Window.around(size * np.concatenate(curves), size, margin=width * size + 1)
    canvas = window.canvas()
    pen = ImageDraw.Draw(canvas)
    thickness = max(1, round(width * size * OVERSAMPLING))
    for curve in curves:
        pen.line(window.on_canvas(size * curve), fill=255, width=thickness, joint="curve")
    return window, as_floats(canvas.reduce(OVERSAMPLING))


def as_floats(coverage: Image.Image) -> np.ndarray:
    """An 8-bit image as floats [h, w] in 0..1."""
    return np.asarray(coverage) / np.float32(255)
