"""Lesson 06, the region proposal network: its parameters, its candidates, and recall."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises import check


def head_parameters(channels: int, k: int) -> int:
    """How many numbers the RPN head learns, biases included, with k anchors at each place.

    A 3x3 convolution keeps the channels; two 1x1 convolutions lead to k and to 4 k of them.
    """
    return (9 * channels * channels + channels) + (channels + 1) * k + (channels + 1) * 4 * k


def check_head_parameters(attempt: Callable) -> None:
    """Checks a function like `head_parameters` on the tiny head, the paper's size, and others."""
    check(attempt, head_parameters, [(64, 3), (256, 3), (1, 1), (8, 9)])


def recall(proposals: Tensor, boxes: Tensor, iou_threshold: float) -> Tensor:
    """The share of the objects [M, 4], M > 0, that a proposal [R, 4] finds, a scalar in 0..1.

    An object is found if its IoU with a proposal is at least the threshold.
    """
    return (box_iou(boxes, proposals) >= iou_threshold).any(dim=1).float().mean()


def check_recall(attempt: Callable) -> None:
    """Checks a function like `recall`: boxes on one object, IoUs on the threshold, no box."""
    objects = torch.tensor([[0.0, 0, 8, 8], [20, 20, 28, 28], [40, 0, 56, 16]])
    on_first = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [0, 1, 8, 8], [60, 60, 70, 70]])
    half_of_second = torch.tensor([[20.0, 20, 28, 24], [40, 0, 56, 15]])
    cases = [(on_first, objects, 0.5), (half_of_second, objects, 0.5)]
    cases += [(half_of_second, objects, 0.7), (objects, objects[:2], 0.9)]
    check(attempt, recall, [*cases, (objects[:0], objects, 0.5)])


def best_of_each_level(objectness: Tensor, sizes: list[int], n: int) -> Tensor:
    """Indices of the n highest objectness logits [A] of each level, level by level, best first.

    sizes: how many anchors each level has; they add up to A. Of a level with fewer than n, all.
    """
    chosen, first = [], 0
    for size in sizes:
        chosen.append(first + objectness[first : first + size].topk(min(n, size)).indices)
        first += size
    return torch.cat(chosen)


def check_best_of_each_level(attempt: Callable) -> None:
    """Checks a function like `best_of_each_level`: one level, several, one smaller than n."""
    logits = torch.randperm(12, generator=torch.Generator().manual_seed(0)) - 6.0
    cases = [(logits[:4], [4], 2), (logits, [8, 4], 2), (logits, [6, 4, 2], 3)]
    check(attempt, best_of_each_level, [*cases, (logits, [9, 3], 1)])
