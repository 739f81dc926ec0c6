"""Synthetic scenes: objects whose class is their outline, drawn from a seed.

Color, size, rotation and background say nothing of the class; objects hide parts of one another.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw

TEMPLATES = ("triangle", "square", "circle", "star", "ring", "cross")
LOBES = (2, 3, 4, 5)
CLASSES = {  # of each kind of scene
    "templates": list(TEMPLATES),
    "blobs": ["blob"],
    "lobes": [f"{n} lobes" for n in LOBES],
}
OVERSAMPLING = 4  # an object's edge is drawn on a grid this much finer than the pixels
TRIES = 20  # places tried for an object before it is left out


@dataclass(frozen=True)
class Shapes:
    """A data set of n scenes; item i is (image [3, size, size], target) and depends on seed and i.

    The target has boxes [M, 4], labels [M] and masks [M, H, W] of what is visible, and image_id.
    Raises ValueError for settings that make no scene.
    """

    n: int = 10_000  # scenes
    size: int = 96  # pixels along each side
    seed: int = 0
    outlines: Literal["templates", "blobs", "lobes"] = "templates"
    # templates: six shapes. blobs: smooth random outlines, no two alike, one class. lobes: such
    # outlines with the number of their lobes, 2 to 5, as the class.
    n_objects: tuple[int, int] = (1, 6)  # fewest and most in a scene
    object_size: tuple[float, float] = (1 / 12, 1 / 2)  # diameters, as shares of the side
    overlap: float = 0.4  # the largest share of an object that others may hide
    noise: float = 0.03  # standard deviation of each pixel's noise, where 1 is white

    def __post_init__(self):
        if self.outlines not in CLASSES:
            raise ValueError(f"outlines is {self.outlines!r}: choose one of {', '.join(CLASSES)}")
        if not 0 <= self.n_objects[0] <= self.n_objects[1]:
            raise ValueError(f"n_objects is {self.n_objects}: give the fewest and the most")
        if not 0 < self.object_size[0] <= self.object_size[1] <= 1:
            raise ValueError(
                f"object_size is {self.object_size}: give two shares of the side, 0..1"
            )
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap is {self.overlap}: give a share of an object, less than 1")
        if self.n < 0 or self.noise < 0:
            raise ValueError(f"n is {self.n} and noise {self.noise}: give 0 or more")
        if self.size < 16:
            raise ValueError(f"size is {self.size}: a scene needs at least 16 pixels")

    @property
    def classes(self) -> list[str]:
        """The names of labels 1, 2, ..."""
        return CLASSES[self.outlines]

    @property
    def fingerprint(self) -> str:
        """What tells these scenes from others: the settings."""
        return str(self)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict]:
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} of {self.n}")
        rng = np.random.default_rng((self.seed, index))
        image, colors = background(self.size, rng)
        masks, labels = [], []
        for _ in range(rng.integers(self.n_objects[0], self.n_objects[1], endpoint=True)):
            label = int(rng.integers(len(self.classes))) + 1
            rings = outline(self.outlines, label, rng)
            coverage = self.place(rings, masks, rng)
            if coverage is None:
                continue
            color = distinct_color(colors, rng)
            colors.append(color)
            image += coverage[..., None] * (color - image)
            mask = coverage >= 0.5
            masks = [(full, visible & ~mask) for full, visible in masks] + [(mask.sum(), mask)]
            labels.append(label)
        image += self.noise * rng.standard_normal(image.shape)
        return as_tensors(image, [visible for _, visible in masks], labels, index)

    def place(self, rings, masks, rng) -> np.ndarray | None:
        """Coverage [H, W] in 0..1 of the outline at a random place that hides no object too much.

        masks: (full area, visible mask) of each object so far. None if no place was found.
        """
        for _ in range(TRIES):
            radius = 0.5 * self.size * rng.uniform(*self.object_size)
            center = rng.uniform(radius, self.size - radius, 2)
            coverage = draw([center + radius * ring for ring in rings], self.size)
            hidden = coverage >= 0.5
            if hidden.any() and all(
                (visible & ~hidden).sum() >= (1 - self.overlap) * full for full, visible in masks
            ):
                return coverage
        return None


def morph(
    first: str, second: str, share: float, size: int = 96, radius: float = 0.25, seed: int = 0
) -> tuple[torch.Tensor, dict]:
    """A scene with one object in the middle, that share of the way from one template to another.

    An item like those of Shapes, but without noise; labeled as the template it is nearer to.
    radius: as a share of the side. seed: of the colors, the background and the rotation.
    """
    rng = np.random.default_rng(seed)
    image, colors = background(size, rng)
    polygon = rotated(interpolate_outline(first, second, share), rng.uniform(0, 2 * np.pi))
    coverage = draw([size * (0.5 + radius * polygon)], size)
    image += coverage[..., None] * (distinct_color(colors, rng) - image)
    label = TEMPLATES.index(first if share < 0.5 else second) + 1
    return as_tensors(image, [coverage >= 0.5], [label], image_id=0)


def outline(outlines: str, label: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Polygons [n, 2] of a randomly turned outline of radius 1; those after the first are holes."""
    turn = rng.uniform(0, 2 * np.pi)
    if outlines == "templates":
        return [rotated(ring, turn) for ring in template(TEMPLATES[label - 1])]
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    harmonics = np.arange(2, 7)
    amplitude = rng.normal(0, 0.35, len(harmonics)) / harmonics
    if outlines == "lobes":
        amplitude *= 0.3
        amplitude[harmonics == LOBES[label - 1]] = rng.uniform(0.25, 0.4)
    phase = rng.uniform(0, 2 * np.pi, len(harmonics))
    waves = amplitude[:, None] * np.cos(harmonics[:, None] * angle + phase[:, None])
    radius = np.maximum(1 + waves.sum(0), 0.15)
    blob = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    blob = blob * (1, 1 if outlines == "lobes" else rng.uniform(0.55, 1))
    return [rotated(blob / np.linalg.norm(blob, axis=1).max(), turn)]


def template(name: str) -> list[np.ndarray]:
    """Polygons [n, 2] of a template of radius 1; those after the first are holes."""
    if name in ("triangle", "square"):
        return [circle(3 if name == "triangle" else 4)]
    if name == "star":
        return [circle(10) * np.tile((1, 0.42), 5)[:, None]]
    if name == "cross":
        arm = 0.34
        corner = np.array([(1, -arm), (1, arm), (arm, arm)]) / np.hypot(1, arm)
        return [np.concatenate([rotated(corner, quarter * np.pi / 2) for quarter in range(4)])]
    return [circle(48)] if name == "circle" else [circle(48), 0.55 * circle(48)]


def interpolate_outline(first: str, second: str, share: float, n: int = 180) -> np.ndarray:
    """A polygon [n, 2] of radius at most 1, that share of the way from one template to another.

    Both must be without holes. 0 is the first template, 1 the second.
    """
    angle = 2 * np.pi * np.arange(n) / n
    radius = (1 - share) * radius_at(template(first)[0], angle) + share * radius_at(
        template(second)[0], angle
    )
    return radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)


def radius_at(polygon: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The distance [n] from the origin, at each angle, to a polygon [m, 2] around it."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    direction = np.stack((np.cos(angle), np.sin(angle)), axis=1)[:, None]  # [n, 1, 2]
    edge = b - a
    along = cross(direction, edge)  # [n, m], 0 where parallel
    with np.errstate(divide="ignore", invalid="ignore"):
        distance, share = cross(a, edge) / along, cross(a, direction) / along
    met = (distance > 0) & (share >= -1e-9) & (share <= 1 + 1e-9)
    return np.where(met, distance, 0).max(axis=1)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def circle(n: int) -> np.ndarray:
    """n points [n, 2], evenly spaced on the circle of radius 1."""
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def rotated(points: np.ndarray, angle: float) -> np.ndarray:
    """Points [n, 2] turned about the origin by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def draw(rings: list[np.ndarray], size: int) -> np.ndarray:
    """Coverage [size, size] in 0..1 of polygons [n, 2] in pixels, all but the first holes."""
    canvas = Image.new("L", (size * OVERSAMPLING, size * OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for i, ring in enumerate(rings):
        pen.polygon([tuple(p) for p in ring * OVERSAMPLING], fill=255 if i == 0 else 0)
    return np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32) / 255


def background(size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """A softly changing image [size, size, 3], and its mean color in a list."""
    color = rng.uniform(0, 1, 3)
    coarse = np.clip(color + 0.12 * rng.standard_normal((4, 4, 3)), 0, 1)
    picture = Image.fromarray((255 * coarse).astype(np.uint8)).resize((size, size), Image.BICUBIC)
    return np.asarray(picture, dtype=np.float32) / 255, [color]


def distinct_color(colors: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Of a few random colors [3], the one least like those already in the scene."""
    candidates = rng.uniform(0, 1, (8, 3))
    distance = np.linalg.norm(candidates[:, None] - np.array(colors), axis=-1)  # [8, colors]
    return candidates[distance.min(axis=1).argmax()]


def as_tensors(image, masks, labels, image_id) -> tuple[torch.Tensor, dict]:
    """The item: image [3, H, W] in 0..1, and its target with boxes around the visible masks."""
    height, width = image.shape[:2]
    masks = np.array(masks, dtype=bool).reshape(-1, height, width)
    boxes = np.zeros((len(masks), 4), dtype=np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    target = {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.tensor(labels, dtype=torch.long),
        "masks": torch.from_numpy(masks),
        "image_id": image_id,
    }
    image = torch.from_numpy(np.clip(image, 0, 1).astype(np.float32)).permute(2, 0, 1).contiguous()
    return image, target
