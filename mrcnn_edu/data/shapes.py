"""Synthetic scenes: objects whose class is their outline, rendered from a seed.

They look like paper cut-outs on a desk. Color, print, size, rotation and paper say nothing about
the class; objects occlude one another. First the objects find their positions, then they are drawn,
from two generators, so that the same scene can be drawn at several sizes.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.config import check_settings
from mrcnn_edu.data.cutouts import Cutout, cut_out, paint_cutout
from mrcnn_edu.data.drawing import draw as draw  # lessons import it from here
from mrcnn_edu.data.light import illuminate, photograph, random_light
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.outlines import CLASSES, TEMPLATES, interpolate_outline, outline, rotate
from mrcnn_edu.data.palette import object_color
from mrcnn_edu.data.paper import paper
from mrcnn_edu.data.scenes import Scenes

MAX_TRIES = 20  # random positions tried for an object before it is left out


class PlacedObject(NamedTuple):
    """An object that is already in the scene."""

    cutout: Cutout
    area: int  # pixels of the whole object, hidden ones included
    visible: np.ndarray  # [H, W] bool, what later objects have left of it


@dataclass(frozen=True)
class Shapes(Scenes):
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
    noise: float = 0.02  # standard deviation of each pixel's noise, where white is 1
    # Width and height of the items: a multiple of `size`, for a picture of the same scene with more
    # pixels (the same objects, positions and colors). None: `size`, what a network sees.
    render_size: int | None = None

    def __post_init__(self):
        check_settings(self, {"seed": (0, 2**62)})
        if self.outlines not in CLASSES:
            raise ValueError(f"outlines is {self.outlines!r}: choose one of {', '.join(CLASSES)}")
        self.check_scenes()

    @property
    def classes(self) -> list[str]:
        """The names of labels 1..K."""
        return CLASSES[self.outlines]

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} of {self.n}")
        objects, labels = self.layout(index)
        cutouts, masks = [o.cutout for o in objects], [o.visible for o in objects]
        size = self.render_size or self.size
        if size != self.size:
            scale = size / self.size
            cutouts = [cut_out([scale * p for p in c.polygons], size) for c in cutouts]
            masks = visible_masks(cutouts, size)
        image = render(cutouts, size, self.noise, np.random.default_rng((self.seed, index, 1)))
        return as_tensors(image, masks, labels, index)

    def layout(self, index: int) -> tuple[list[PlacedObject], list[int]]:
        """The objects of a scene, the last on top, and their labels."""
        rng = np.random.default_rng((self.seed, index))
        objects: list[PlacedObject] = []
        labels: list[int] = []
        for _ in range(rng.integers(self.n_objects[0], self.n_objects[1], endpoint=True)):
            label = int(rng.integers(len(self.classes))) + 1
            cutout = self.place(outline(self.outlines, label, rng), objects, rng)
            if cutout is None:
                continue
            for o in objects:
                o.visible[cutout.window.index] &= ~cutout.mask
            (mask,) = visible_masks([cutout], self.size)
            objects.append(PlacedObject(cutout, int(np.count_nonzero(mask)), mask))
            labels.append(label)
        return objects, labels

    def place(
        self, polygons: list[np.ndarray], objects: list[PlacedObject], rng: np.random.Generator
    ) -> Cutout | None:
        """The object with this outline, at a random position and size.

        It hides no object by more than `overlap` allows; None if no such position was found.
        """
        for _ in range(MAX_TRIES):
            radius = 0.5 * self.size * rng.uniform(*self.object_size)
            center = rng.uniform(radius, self.size - radius, 2)
            cutout = cut_out([center + radius * polygon for polygon in polygons], self.size)
            if cutout.mask.any() and all(
                visible_pixels(o, cutout) >= (1 - self.overlap) * o.area for o in objects
            ):
                return cutout
        return None


def visible_pixels(o: PlacedObject, cutout: Cutout) -> int:
    """The number of an object's pixels that one more object would leave visible."""
    hidden = o.visible[cutout.window.index] & cutout.mask
    return int(np.count_nonzero(o.visible) - np.count_nonzero(hidden))


def visible_masks(cutouts: list[Cutout], size: int) -> list[np.ndarray]:
    """The mask [size, size] of what is visible of each object; the last is on top."""
    masks: list[np.ndarray] = []
    for cutout in cutouts:
        for mask in masks:
            mask[cutout.window.index] &= ~cutout.mask
        masks.append(np.zeros((size, size), dtype=bool))
        masks[-1][cutout.window.index] = cutout.mask
    return masks


def render(cutouts: list[Cutout], size: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    """A scene [3, size, size] of objects, the last on top.

    The generator decides what everything looks like. At another size it gives the same scene with
    more or fewer pixels; only the noise differs, which is each pixel's own.
    """
    image, color = paper(size, rng)
    light = random_light(rng)
    used: list[int] = []
    for cutout in cutouts:
        paint_cutout(image, cutout, object_color(color, used, rng), light, rng)
    illuminate(image, light, rng)
    return photograph(image, noise, rng)


def morph(
    first: str, second: str, fraction: float, size: int = 96, radius: float = 0.25, seed: int = 0
) -> tuple[Tensor, dict]:
    """A scene with one object in the center, between two templates: fraction 0 is the first.

    An item as in Shapes, but without noise, labeled as the template it is nearer to. radius: as a
    fraction of the size. seed: for the colors, the background and the rotation.
    """
    rng = np.random.default_rng(seed)
    polygon = rotate(interpolate_outline(first, second, fraction), rng.uniform(0, 2 * np.pi))
    cutouts = [cut_out([size * (0.5 + radius * polygon)], size)]
    label = TEMPLATES.index(first if fraction < 0.5 else second) + 1
    image = render(cutouts, size, 0, rng)
    return as_tensors(image, visible_masks(cutouts, size), [label], image_id=0)


def as_tensors(
    image: np.ndarray, masks: list[np.ndarray], labels: list[int], image_id: int
) -> tuple[Tensor, dict]:
    """The item (image [3, H, W] in 0..1, target), with boxes around the visible masks."""
    visible = torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, *image.shape[1:]))
    target = {
        "boxes": masks_to_boxes(visible),
        "labels": torch.tensor(labels, dtype=torch.long),
        "masks": visible,
        "image_id": image_id,
    }
    return torch.from_numpy(np.clip(image, 0, 1).astype(np.float32)), target
