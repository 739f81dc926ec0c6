"""Overlapping objects: how well are objects detected whose boxes others cover?

Letters: M objects, D detections.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area, box_intersection, box_iou
from mrcnn_edu.data.cutouts import cut_out
from mrcnn_edu.data.dataset import Dataset, as_dataset
from mrcnn_edu.data.outlines import TEMPLATES, outline
from mrcnn_edu.data.shapes import as_tensors, render, visible_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import Scores, evaluate

EDGES = (0.0, 0.1, 0.4, 1.0)


@dataclass(frozen=True)
class OverlapRange:
    """The scores of the objects whose covered fraction is at least `low` and less than `high`."""

    low: float
    high: float  # included in the last range
    n_objects: int
    scores: Scores


class _Targets(Dataset):
    """Targets without their images, which is all that evaluation reads."""

    def __init__(self, classes: list[str], targets: list[dict]):
        self.classes, self.targets = classes, targets

    def __len__(self) -> int:
        return len(self.targets)

    def target(self, index: int) -> dict:
        return self.targets[index]


def two_objects(
    first: str,
    second: str,
    distance: float,
    size: int = 96,
    radius: float = 0.2,
    seed: int = 0,
    angle: float = 0.0,
) -> tuple[Tensor, dict]:
    """A scene with two templates side by side, the second in front: an item as in Shapes.

    distance: in pixels, between their centers. radius: as a fraction of the size. seed: for the
    colors, the background and the rotations. angle: of the way from the first to the second, in
    radians clockwise from the right. Raises ValueError if the first is hidden completely.
    """
    rng = np.random.default_rng(seed)
    labels = [TEMPLATES.index(name) + 1 for name in (first, second)]
    cutouts = []
    for label, offset in zip(labels, (-0.5, 0.5), strict=True):
        way = offset * distance * np.array([np.cos(angle), np.sin(angle)])
        center = np.array([size / 2, size / 2]) + way
        polygons = outline("templates", label, rng)
        moved = [center + radius * size * polygon for polygon in polygons]
        cutouts.append(cut_out(moved, size))
    masks = visible_masks(cutouts, size)
    if not masks[0].any():
        raise ValueError(f"distance is {distance}: the second object hides all of the first")
    return as_tensors(render(cutouts, size, 0, rng), masks, labels, image_id=0)


def pairs_of_one_class(n: int, seed: int = 0, size: int = 96) -> list[tuple[Tensor, dict]]:
    """n scenes as in `two_objects`, each with two objects of the same class that overlap.

    The one in front lies in any direction from the other, which is hidden in part.
    """
    rng = np.random.default_rng((seed, n))
    items: list[tuple[Tensor, dict]] = []
    while len(items) < n:
        name = TEMPLATES[int(rng.integers(3))]  # triangle, square or circle
        distance, angle = size * rng.uniform(0.07, 0.29), rng.uniform(0, 2 * np.pi)
        seed = int(rng.integers(2**31))
        item = two_objects(name, name, distance, size, 0.24, seed, angle)
        if item[1]["masks"][0].sum() >= 0.006 * size**2:  # enough of it is left to see
            items.append(item)
    return items


def covered_fraction(boxes: Tensor) -> Tensor:
    """The largest fraction [M] of each box [M, 4] that a single other box covers, in 0..1."""
    if len(boxes) == 0:
        return boxes.new_zeros(0)
    fractions = box_intersection(boxes, boxes) / box_area(boxes)[:, None]
    return fractions.fill_diagonal_(0).amax(dim=1)


def by_overlap(
    dataset,
    detections: Sequence[Detections],
    edges: tuple[float, ...] = EDGES,
    iou_type: str = "segm",
) -> list[OverlapRange]:
    """The scores of the objects in each range of overlap, by the `covered_fraction` of their boxes.

    detections and iou_type: as for `evaluate`. A detection, correct or not, belongs to the object
    whose box it overlaps most, and counts only in that object's range. One that overlaps no object
    is a false positive in every range. Raises ValueError unless the edges ascend.
    """
    if not all(low < high for low, high in pairwise(edges)) or len(edges) < 2:
        raise ValueError(f"edges is {edges}: give two or more ascending numbers")
    dataset, ranges = as_dataset(dataset), []
    for low, high in pairwise(edges):
        targets, chosen_detections = [], []
        for index in range(len(dataset)):
            target, d = dataset[index][1], detections[index]
            fraction = covered_fraction(target["boxes"])
            below = fraction <= high if high == edges[-1] else fraction < high
            chosen = (fraction >= low) & below
            targets.append(_rows(target, chosen))
            chosen_detections.append(d[_belongs_to(d.boxes, target["boxes"], chosen)])
        n_objects = sum(len(target["labels"]) for target in targets)
        part = _Targets(dataset.classes, targets)
        scores = evaluate(part, chosen_detections, iou_type, progress=False)
        ranges.append(OverlapRange(low, high, n_objects, scores))
    return ranges


def _rows(target: dict, chosen: Tensor) -> dict:
    """The target of the chosen objects, [M] bool: of each tensor with M rows only these."""
    rows = {}
    for name, values in target.items():
        if isinstance(values, Tensor) and values.shape[:1] == chosen.shape:
            rows[name] = values[chosen]
    return target | rows


def _belongs_to(boxes: Tensor, gt_boxes: Tensor, chosen: Tensor) -> Tensor:
    """Whether each box [D, 4] overlaps a chosen object most, or none at all: [D] bool."""
    if len(gt_boxes) == 0:
        return torch.ones(len(boxes), dtype=torch.bool)
    best_iou, best_object = box_iou(boxes, gt_boxes).max(dim=1)
    return (best_iou == 0) | chosen[best_object]
