"""Lesson 13, FCIS against Mask R-CNN: position-sensitive cells, mask logits, merging masks."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def cells_of(points: Tensor, box: Tensor, k: int) -> Tensor:
    """The cell (row, column) [N, 2] of a box [4] divided into k x k cells, for each point [N, 2].

    Points are (x, y); one on the right or bottom border belongs to the last cell.
    """
    return ((points - box[:2]) / (box[2:] - box[:2]) * k).long().clamp(max=k - 1).flip(1)


def check_cells_of(attempt: Callable) -> None:
    """Check a function like `cells_of` on square and other boxes, at the origin and elsewhere."""
    boxes = [[0.0, 0, 12, 12], [0.0, 0, 30, 12], [6.0, 20, 36, 62]]
    points = [(1.0, 11.5), (5.0, 9.0)], [(25.0, 7.0), (8.0, 1.0)], [(25.0, 35.0), (36.0, 62.0)]
    cases = [
        (torch.tensor(p), torch.tensor(box), k)
        for p, box, k in zip(points, boxes, (3, 3, 7), strict=True)
    ]  # the last one gives (2, 4) and (6, 6)
    check(attempt, cells_of, cases)


def mask_logit(inside: Tensor, outside: Tensor) -> Tensor:
    """Logits [m, m] whose sigmoid is the mask, from the inside and outside scores of one class.

    inside, outside: [m, m], assembled from the position-sensitive maps. The mask is
    exp(i) / (exp(i) + exp(o)) = 1 / (1 + exp(o - i)) = sigmoid(i - o).
    """
    return inside - outside


def check_mask_logit(attempt: Callable) -> None:
    """Check a function like `mask_logit` on a case by hand, and on random maps."""
    generator = torch.Generator().manual_seed(0)
    hand = torch.tensor([[2.0, 2], [-1, -1]]), torch.tensor([[-3.0, 1], [2, 0]])
    cases = [hand, *(torch.randn(2, 4, 4, generator=generator).unbind() for _ in range(2))]
    check(attempt, mask_logit, cases)


def merge(probs: Tensor, scores: Tensor) -> Tensor:
    """The mean [m, m] of the masks [n, m, m] of n overlapping boxes, weighted by scores [n]."""
    return (scores[:, None, None] * probs).sum(dim=0) / scores.sum()


def check_merge(attempt: Callable) -> None:
    """Check a function like `merge` on one mask, on equal and on unequal scores."""
    generator = torch.Generator().manual_seed(0)
    cases = [
        (torch.rand(n, 3, 3, generator=generator), torch.tensor(scores))
        for n, scores in ((1, [0.4]), (2, [0.5, 0.5]), (3, [0.9, 0.3, 0.1]))
    ]
    check(attempt, merge, cases)
