"""Synthetic scenes: objects whose class is their outline, rendered from a seed.

Color, size, rotation and background say nothing about the class; objects occlude one another.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mrcnn_edu.config import check_settings
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.outlines import CLASSES, TEMPLATES, interpolate_outline, outline, rotate
from mrcnn_edu.images import Size

OVERSAMPLING = 4  # edges are drawn on a grid this many times finer than the pixels
MAX_TRIES = 20  # random positions tried for an object before it is left out


class PlacedObject(NamedTuple):
    """An object that is already in the scene."""

    area: int  # pixels of the whole object, hidden ones included
    visible: np.ndarray  # [H, W] bool, what later objects have left of it


@dataclass(frozen=True)
class Shapes(Dataset):
    """A dataset of n scenes; item i is (image [3, size, size], target) and depends on seed and i.

    The target has boxes [M, 4], labels [M] and masks [M, H, W] of what is visible, and image_id.
    Raises ValueError for settings that no scene can satisfy.
    """

    n: int = 10_000  # number of scenes
    size: int = 96  # width and height of a scene in pixels
    seed: int = 0  # seed that all scenes are drawn from
    # What objects look like. templates: six shapes. blobs: smooth random outlines, no two alike, a
    # single class. lobes: such outlines with 2 to 5 lobes, and the number of lobes as the class.
    outlines: Literal["templates", "blobs", "lobes"] = "templates"
    n_objects: tuple[int, int] = (1, 6)  # fewest and most objects in a scene
    object_size: tuple[float, float] = (1 / 12, 1 / 2)  # object diameters, as fractions of `size`
    overlap: float = 0.4  # largest fraction of an object that others may hide
    noise: float = 0.03  # standard deviation of each pixel's noise, where white is 1

    def __post_init__(self):
        check_settings(self, {"seed": (0, 2**62)})
        if self.outlines not in CLASSES:
            raise ValueError(f"outlines is {self.outlines!r}: choose one of {', '.join(CLASSES)}")
        if not 0 <= self.n_objects[0] <= self.n_objects[1]:
            raise ValueError(f"n_objects is {self.n_objects}: give the fewest and the most")
        if not 0 < self.object_size[0] <= self.object_size[1] <= 1:
            raise ValueError(
                f"object_size is {self.object_size}: give two fractions of the size, 0..1"
            )
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap is {self.overlap}: give a fraction from 0 to less than 1")
        if self.n < 0 or self.noise < 0:
            raise ValueError(f"n is {self.n} and noise {self.noise}: give 0 or more")
        if self.size < 16:
            raise ValueError(f"size is {self.size}: a scene needs at least 16 pixels")

    @property
    def classes(self) -> list[str]:
        """The names of labels 1..K."""
        return CLASSES[self.outlines]

    @property
    def fingerprint(self) -> str:
        """The settings: scenes with other settings are other data."""
        return str(self)

    def __len__(self) -> int:
        return self.n

    def image_size(self, index: int) -> Size:
        """(height, width) of a scene; all have the same."""
        return self.size, self.size

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} of {self.n}")
        rng = np.random.default_rng((self.seed, index))
        image, colors = background(self.size, rng)
        objects: list[PlacedObject] = []
        labels: list[int] = []
        for _ in range(rng.integers(self.n_objects[0], self.n_objects[1], endpoint=True)):
            label = int(rng.integers(len(self.classes))) + 1
            coverage = self.place(outline(self.outlines, label, rng), objects, rng)
            if coverage is None:
                continue
            color = distinct_color(colors, rng)
            colors.append(color)
            image += coverage[..., None] * (color - image)
            mask = coverage >= 0.5
            objects = [PlacedObject(o.area, o.visible & ~mask) for o in objects]
            objects.append(PlacedObject(mask.sum(), mask))
            labels.append(label)
        image += self.noise * rng.standard_normal(image.shape)
        return as_tensors(image, [o.visible for o in objects], labels, index)

    def place(
        self, polygons: list[np.ndarray], objects: list[PlacedObject], rng: np.random.Generator
    ) -> np.ndarray | None:
        """Coverage [H, W] in 0..1 of an outline at a random position and size.

        It hides no object by more than `overlap` allows; None if no such position was found.
        """
        for _ in range(MAX_TRIES):
            radius = 0.5 * self.size * rng.uniform(*self.object_size)
            center = rng.uniform(radius, self.size - radius, 2)
            coverage = draw([center + radius * polygon for polygon in polygons], self.size)
            mask = coverage >= 0.5
            if mask.any() and all(
                (o.visible & ~mask).sum() >= (1 - self.overlap) * o.area for o in objects
            ):
                return coverage
        return None


def morph(
    first: str, second: str, fraction: float, size: int = 96, radius: float = 0.25, seed: int = 0
) -> tuple[Tensor, dict]:
    """A scene with one object in the center, between two templates: fraction 0 is the first.

    An item as in Shapes, but without noise, labeled as the template it is nearer to. radius: as a
    fraction of the size. seed: for the colors, the background and the rotation.
    """
    rng = np.random.default_rng(seed)
    image, colors = background(size, rng)
    polygon = rotate(interpolate_outline(first, second, fraction), rng.uniform(0, 2 * np.pi))
    coverage = draw([size * (0.5 + radius * polygon)], size)
    image += coverage[..., None] * (distinct_color(colors, rng) - image)
    label = TEMPLATES.index(first if fraction < 0.5 else second) + 1
    return as_tensors(image, [coverage >= 0.5], [label], image_id=0)


def draw(polygons: list[np.ndarray], size: int) -> np.ndarray:
    """Coverage [size, size] in 0..1 of polygons [n, 2] in pixels; all but the first are holes."""
    canvas = Image.new("L", (size * OVERSAMPLING, size * OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for i, polygon in enumerate(polygons):
        points = [(x, y) for x, y in polygon * OVERSAMPLING]
        pen.polygon(points, fill=255 if i == 0 else 0)
    return np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32) / 255


def background(size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """A smoothly varying image [size, size, 3], and its mean color in a list."""
    color = rng.uniform(0, 1, 3)
    coarse = np.clip(color + 0.12 * rng.standard_normal((4, 4, 3)), 0, 1)
    picture = Image.fromarray((255 * coarse).astype(np.uint8))
    picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32) / 255, [color]


def distinct_color(colors: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The color [3], of eight random ones, that differs most from those already in the scene."""
    candidates = rng.uniform(0, 1, (8, 3))
    distance = np.linalg.norm(candidates[:, None] - np.array(colors), axis=-1)  # [8, colors]
    return candidates[distance.min(axis=1).argmax()]


def as_tensors(
    image: np.ndarray, masks: list[np.ndarray], labels: list[int], image_id: int
) -> tuple[Tensor, dict]:
    """The item (image [3, H, W] in 0..1, target), with boxes around the visible masks."""
    height, width = image.shape[:2]
    visible = torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, height, width))
    target = {
        "boxes": masks_to_boxes(visible),
        "labels": torch.tensor(labels, dtype=torch.long),
        "masks": visible,
        "image_id": image_id,
    }
    pixels = torch.from_numpy(np.clip(image, 0, 1).astype(np.float32))
    return pixels.permute(2, 0, 1).contiguous(), target
