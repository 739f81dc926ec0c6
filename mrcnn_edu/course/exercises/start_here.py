"""Lesson 00, start here: counting labels, comparing masks."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def count_by_name(labels: Tensor, classes: list[str]) -> dict[str, int]:
    """The number of objects of each class name that occurs. labels: [D] in 1..K."""
    names = [classes[label - 1] for label in labels.tolist()]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def check_count_by_name(attempt: Callable) -> None:
    """Check a function like `count_by_name` on a few lists of labels, the empty one included."""
    classes = ["triangle", "square", "circle"]
    lists = [[1], [3, 1, 3], [2, 2, 2, 1], []]
    cases = [(torch.tensor(labels, dtype=torch.long), classes) for labels in lists]
    check(attempt, count_by_name, cases)


def mask_iou(a: Tensor, b: Tensor) -> float:
    """Intersection over union of two masks [H, W] bool; 0 where both are empty."""
    union = (a | b).sum().item()
    return (a & b).sum().item() / union if union else 0.0


def check_mask_iou(attempt: Callable) -> None:
    """Check a function like `mask_iou` on equal, nested, disjoint, random and empty masks."""
    square, inner, disjoint = torch.zeros(3, 6, 6, dtype=torch.bool)
    square[1:5, 1:5], inner[2:4, 2:4], disjoint[0, :] = True, True, True
    random = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    empty = torch.zeros(6, 6, dtype=torch.bool)
    cases = [(square, square), (inner, square), (square, disjoint), tuple(random), (empty, empty)]
    check(attempt, mask_iou, cases)
