"""Overlap: how well are objects found that share their box with others?

Letters: M objects, D detections.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area, box_intersection, box_iou
from mrcnn_edu.data.shapes import (
    TEMPLATES,
    as_tensors,
    background,
    distinct_color,
    draw,
    outline,
)
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import Scores, evaluate

EDGES = (0.0, 0.1, 0.4, 1.0)


@dataclass(frozen=True)
class Bin:
    """What was found of the objects whose overlap is at least `low`, and less than `high`."""

    low: float
    high: float  # the last bin's is included
    n_objects: int
    scores: Scores


@dataclass(frozen=True)
class Part:
    """A data set of targets without their images, as `evaluate` reads it."""

    classes: list[str]
    targets: list[dict]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[None, dict]:
        return None, self.targets[index]


def two_objects(
    first: str, second: str, distance: float, size: int = 96, radius: float = 0.2, seed: int = 0
) -> tuple[Tensor, dict]:
    """A scene with two templates side by side, the second in front: an item like those of Shapes.

    distance: of their centers in pixels. radius: as a share of the side. seed: of the colors, the
    background and the rotations. Raises ValueError if nothing is left to see of the first.
    """
    rng = np.random.default_rng(seed)
    image, colors = background(size, rng)
    labels = [TEMPLATES.index(name) + 1 for name in (first, second)]
    masks = []
    for label, side in zip(labels, (-0.5, 0.5), strict=True):
        center = np.array([size / 2 + side * distance, size / 2])
        rings = outline("templates", label, rng)
        coverage = draw([center + radius * size * ring for ring in rings], size)
        colors.append(distinct_color(colors, rng))
        image += coverage[..., None] * (colors[-1] - image)
        masks = [mask & (coverage < 0.5) for mask in masks] + [coverage >= 0.5]
    if not masks[0].any():
        raise ValueError(f"distance is {distance}: the second object hides all of the first")
    return as_tensors(image, masks, labels, image_id=0)


def covered_share(boxes: Tensor) -> Tensor:
    """Of each box [M, 4] the largest share, 0..1, that one of the other boxes covers: [M]."""
    if len(boxes) == 0:
        return boxes.new_zeros(0)
    shares = box_intersection(boxes, boxes) / box_area(boxes)[:, None]
    return shares.fill_diagonal_(0).amax(dim=1)


def by_overlap(
    dataset, detections: list[Detections], edges: tuple[float, ...] = EDGES, kind: str = "segm"
) -> list[Bin]:
    """The scores of the objects in each bin of overlap, `covered_share` of their boxes.

    Detections come in the dataset's order, as for `evaluate`. A detection goes with the object
    whose box it overlaps most, right or wrong, and is left out with it; one that overlaps none is
    wrong in every bin. Raises ValueError for edges that do not rise.
    """
    if not all(low < high for low, high in pairwise(edges)) or len(edges) < 2:
        raise ValueError(f"edges is {edges}: give two or more numbers that rise")
    bins = []
    for low, high in pairwise(edges):
        targets, found = [], []
        for index in range(len(dataset)):
            target, d = dataset[index][1], detections[index]
            share = covered_share(target["boxes"])
            chosen = (share >= low) & ((share < high) | ((high == edges[-1]) & (share <= high)))
            targets.append(_rows(target, chosen))
            found.append(d[_goes_with(d.boxes, target["boxes"], chosen)])
        n_objects = sum(len(target["labels"]) for target in targets)
        scores = evaluate(Part(dataset.classes, targets), found, kind, progress=False)
        bins.append(Bin(low, high, n_objects, scores))
    return bins


def _rows(target: dict, chosen: Tensor) -> dict:
    n = len(chosen)
    is_column = {name: isinstance(v, Tensor) and v.shape[:1] == (n,) for name, v in target.items()}
    return {name: v[chosen] if is_column[name] else v for name, v in target.items()}


def _goes_with(boxes: Tensor, objects: Tensor, chosen: Tensor) -> Tensor:
    """Whether [D] each box [D, 4] overlaps a chosen object most, or none at all."""
    if len(objects) == 0:
        return torch.ones(len(boxes), dtype=torch.bool)
    most, which = box_iou(boxes, objects).max(dim=1)
    return (most == 0) | chosen[which]
