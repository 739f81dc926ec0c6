"""Lesson 02, the larger task: soft-NMS, which lowers scores instead of dropping boxes."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check


def soft_nms(
    boxes: Tensor, scores: Tensor, sigma: float, min_score: float
) -> tuple[Tensor, Tensor]:
    """The indices [R] of the boxes [N, 4], in the order in which they are kept, and their scores.

    The box of the highest score is kept, and the score of each box that is left is multiplied by
    exp(-IoU² / sigma), with its IoU with the kept box (Bodla et al. 2017, Soft-NMS, section 3).
    This repeats until no box is left that has a score of at least `min_score`. scores: [N].
    """
    iou = box_iou(boxes, boxes)
    left = list(range(len(boxes)))
    lowered = scores.tolist()
    kept, kept_scores = [], []
    while left:
        best = max(left, key=lambda i: lowered[i])
        if lowered[best] < min_score:
            break
        left.remove(best)
        kept.append(best)
        kept_scores.append(lowered[best])
        factor = torch.exp(-(iou[best] ** 2) / sigma).tolist()
        for i in left:
            lowered[i] *= factor[i]
    return torch.tensor(kept, dtype=torch.long), torch.tensor(kept_scores)


def check_soft_nms(attempt: Callable) -> None:
    """Check a function like `soft_nms` on boxes apart, overlapping, in chains, and on none."""
    apart = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    close = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [40, 0, 50, 10]])
    chain = torch.tensor([[0.0, 0, 20, 10], [4, 0, 24, 10], [8, 0, 28, 10], [12, 0, 32, 10]])
    sorted_scores = torch.tensor([0.9, 0.8, 0.7])
    cases = {
        "no box overlaps another": (apart, sorted_scores, 0.5, 0.01),
        "the same, and the boxes are not sorted": (apart, sorted_scores[[1, 2, 0]], 0.5, 0.01),
        "a lowered score, by which another box comes first": (close, sorted_scores, 0.5, 0.01),
        "a larger sigma lowers less": (close, sorted_scores, 50.0, 0.01),
        "a score that falls below min_score": (close, sorted_scores, 0.5, 0.3),
        "a score that is below min_score from the start": (
            apart, torch.tensor([0.9, 0.2, 0.7]), 0.5, 0.3,
        ),
        "a chain: a lowered box that is kept lowers others": (
            chain, torch.tensor([0.9, 0.85, 0.8, 0.75]), 0.5, 0.01,
        ),
        "the order changes again and again": (
            chain, torch.tensor([0.5, 0.8, 0.7, 0.6]), 0.3, 0.0,
        ),
        "no box": (apart[:0], sorted_scores[:0], 0.5, 0.01),
    }  # fmt: skip
    check(attempt, soft_nms, cases)
