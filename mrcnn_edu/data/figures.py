"""Synthetic scenes of figures with keypoints: jointed paper dolls on a desk, drawn from a seed.

There is one class. What is to be learned is where each joint is, and which side it is on: a figure
faces us, and its left and right look alike, so only the whole figure tells them apart. A mirror
image is as good a scene, if left and right swap their names.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.config import check_settings
from mrcnn_edu.data.cutouts import Cutout
from mrcnn_edu.data.figure_parts import Figure, cut_parts, paint_figure, placed, random_figure
from mrcnn_edu.data.layers import Layers, empty_layers, keypoints_of, lay_on
from mrcnn_edu.data.light import illuminate, photograph, random_light
from mrcnn_edu.data.paper import paper
from mrcnn_edu.data.poses import KEYPOINTS, SKELETON
from mrcnn_edu.data.scenes import Scenes
from mrcnn_edu.data.shapes import MAX_TRIES, as_tensors

EDGE = 0.3  # of a figure's stature: its middle is at least that far from the edge of the scene


@dataclass(frozen=True)
class Figures(Scenes):
    """A dataset of n scenes; item i is (image [3, size, size], target) and depends on seed and i.

    The target has boxes [M, 4], labels [M] (all 1), masks [M, H, W] of what is visible, keypoints
    [M, 7, 3], and image_id. A keypoint under another figure, or under another limb of its own, is
    labeled but hidden; one outside of the scene is not labeled. Raises ValueError for settings that
    no scene can satisfy.
    """

    n: int = 10_000  # number of scenes
    size: int = 96  # width and height of a scene in pixels
    seed: int = 0  # seed that all scenes are drawn from
    n_objects: tuple[int, int] = (1, 3)  # fewest and most figures in a scene
    object_size: tuple[float, float] = (0.4, 0.8)  # statures, as fractions of `size`
    rotation: float = 35.0  # largest angle in degrees by which a figure leans to either side
    overlap: float = 0.4  # largest fraction of a figure that others may hide
    noise: float = 0.02  # standard deviation of each pixel's noise, where white is 1
    # Width and height of the items: a multiple of `size`, for a picture of the same scene with more
    # pixels (the same figures, positions and colors). None: `size`, what a network sees.
    render_size: int | None = None

    def __post_init__(self):
        check_settings(self, {"seed": (0, 2**62), "rotation": (0, 180)})
        self.check_scenes()

    @property
    def classes(self) -> list[str]:
        """The names of labels 1..K."""
        return ["figure"]

    @cached_property
    def keypoints(self) -> list[str]:
        """The names of the 7 keypoints."""
        return list(KEYPOINTS)

    @cached_property
    def skeleton(self) -> list[tuple[int, int]]:
        """Pairs of keypoints, by index, that a picture joins by lines."""
        return list(SKELETON)

    @cached_property
    def sigmas(self) -> list[float]:
        """How far off each keypoint may be in evaluation.

        A keypoint counts half at a twentieth of the stature, a little beyond the edge of a hand
        (`evaluate.oks`; the square root of a figure's area is 0.45 of its stature).
        """
        return [0.05] * len(KEYPOINTS)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} of {self.n}")
        figures, cutouts, layers = self.layout(index)
        size = self.render_size or self.size
        keypoints = [keypoints_of(f, i, layers, size) for i, f in enumerate(figures)]
        if size != self.size:
            cutouts, layers = [cut_parts(figure, size) for figure in figures], empty_layers(size)
            for i, parts in enumerate(cutouts):
                layers = lay_on(layers, parts, i)
        masks = [layers.figure == i for i in range(len(figures))]
        rng = np.random.default_rng((self.seed, index, 1))
        image = render(figures, cutouts, size, self.noise, rng)
        image, target = as_tensors(image, masks, [1] * len(figures), index)
        table = np.array(keypoints, dtype=np.float32).reshape(-1, len(KEYPOINTS), 3)
        return image, target | {"keypoints": torch.from_numpy(table)}

    def layout(self, index: int) -> tuple[list[Figure], list[list[Cutout]], Layers]:
        """The figures of a scene, the last on top, their parts, and what is topmost where."""
        rng = np.random.default_rng((self.seed, index))
        figures: list[Figure] = []
        cutouts: list[list[Cutout]] = []
        areas: list[int] = []  # pixels of each figure, hidden ones included
        layers = empty_layers(self.size)
        for _ in range(rng.integers(self.n_objects[0], self.n_objects[1], endpoint=True)):
            figure = random_figure(rng)
            for _ in range(MAX_TRIES):
                candidate = self._place(figure, rng)
                parts = cut_parts(candidate, self.size)
                new = lay_on(layers, parts, len(figures))
                visible = np.bincount(new.figure.ravel() + 1, minlength=len(figures) + 2)[1:]
                limits = [(1 - self.overlap) * area for area in areas]
                if visible[-1] and all(visible[:-1] >= limits):
                    figures.append(candidate)
                    cutouts.append(parts)
                    areas.append(int(visible[-1]))
                    layers = new
                    break
        return figures, cutouts, layers

    def _place(self, figure: Figure, rng: np.random.Generator) -> Figure:
        """The figure at a random position, of a random stature and rotation."""
        stature = rng.uniform(*self.object_size)
        center = rng.uniform(EDGE * stature, 1 - EDGE * stature, 2)
        return placed(figure, center, stature, np.deg2rad(rng.uniform(-1, 1) * self.rotation))


def render(
    figures: list[Figure],
    cutouts: list[list[Cutout]],
    size: int,
    noise: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A scene [3, size, size] of figures, the last on top. cutouts: the parts of each.

    The generator decides what everything looks like. At another size it gives the same scene with
    more or fewer pixels; only the noise differs, which is each pixel's own.
    """
    image, color = paper(size, rng)
    light = random_light(rng)
    used: list[int] = []
    for figure, parts in zip(figures, cutouts, strict=True):
        paint_figure(image, figure, parts, color, used, light, rng)
    illuminate(image, light, rng)
    return photograph(image, noise, rng)
