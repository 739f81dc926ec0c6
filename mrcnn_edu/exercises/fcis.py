"""Lesson 13, FCIS against Mask R-CNN: cells, the class of a RoI, and merged masks."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.exercises import check


def cell_of(x: float, y: float, box: Tensor, k: int) -> tuple[int, int]:
    """The (row, column) of the cell, of the k x k of a box [4], that a point in the box lies in."""
    x1, y1, x2, y2 = box.tolist()
    return int((y - y1) / (y2 - y1) * k), int((x - x1) / (x2 - x1) * k)


def check_cell_of(attempt: Callable) -> None:
    """Checks a function like `cell_of` in square and other boxes, at 0 and elsewhere."""
    boxes = [[0.0, 0, 12, 12], [0.0, 0, 30, 12], [6.0, 20, 36, 62]]
    points = [(1.0, 11.5, 3), (25.0, 7.0, 3), (25.0, 35.0, 7)]
    cases = [
        (x, y, torch.tensor(box), k) for box, (x, y, k) in zip(boxes, points, strict=True)
    ]  # the last one's answer is (2, 4)
    check(attempt, cell_of, cases)


def class_logit(inside: Tensor, outside: Tensor) -> Tensor:
    """The logit, a number, that assembled maps [m, m] of one class give a RoI for this class.

    It is the mean over all pixels of the larger of both.
    """
    return torch.maximum(inside, outside).mean()


def check_class_logit(attempt: Callable) -> None:
    """Checks a function like `class_logit` by hand, and on random maps."""
    generator = torch.Generator().manual_seed(0)
    hand = torch.tensor([[2.0, 2], [-1, -1]]), torch.tensor([[-3.0, 1], [2, 0]])
    cases = [hand, *(torch.randn(2, 4, 4, generator=generator).unbind() for _ in range(2))]
    check(attempt, class_logit, cases)


def merge(probs: Tensor, scores: Tensor) -> Tensor:
    """The mean [m, m] of the masks [n, m, m] of n boxes in one place, weighted by scores [n]."""
    return (scores[:, None, None] * probs).sum(dim=0) / scores.sum()


def check_merge(attempt: Callable) -> None:
    """Checks a function like `merge` on one mask, on equal and on unequal scores."""
    generator = torch.Generator().manual_seed(0)
    cases = [
        (torch.rand(n, 3, 3, generator=generator), torch.tensor(scores))
        for n, scores in ((1, [0.4]), (2, [0.5, 0.5]), (3, [0.9, 0.3, 0.1]))
    ]
    check(attempt, merge, cases)
