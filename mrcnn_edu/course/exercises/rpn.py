"""Lesson 06, the region proposal network: parameters of its head, candidates, recall."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check


def head_parameters(channels: int, k: int) -> int:
    """The number of parameters of the RPN head, biases included, with k anchors at each position.

    A 3x3 convolution keeps the number of channels; two 1x1 convolutions have k and 4 k outputs.
    """
    return (9 * channels * channels + channels) + (channels + 1) * k + (channels + 1) * 4 * k


def check_head_parameters(attempt: Callable) -> None:
    """Check a function like `head_parameters` on the tiny head, the paper's size, and others."""
    check(attempt, head_parameters, [(64, 3), (256, 3), (1, 1), (8, 9)])


def recall(proposals: Tensor, boxes: Tensor, iou_threshold: float) -> Tensor:
    """The fraction of the objects that have a proposal, a scalar in 0..1.

    proposals: [R, 4]. boxes: [M, 4] of M > 0 objects. An object has a proposal if its IoU with one
    is at least the threshold.
    """
    return (box_iou(boxes, proposals) >= iou_threshold).any(dim=1).float().mean()


def check_recall(attempt: Callable) -> None:
    """Check a function like `recall` on proposals of one object, IoUs at the threshold, none."""
    objects = torch.tensor([[0.0, 0, 8, 8], [20, 20, 28, 28], [40, 0, 56, 16]])
    on_first = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [0, 1, 8, 8], [60, 60, 70, 70]])
    half_of_second = torch.tensor([[20.0, 20, 28, 24], [40, 0, 56, 15]])
    cases = [(on_first, objects, 0.5), (half_of_second, objects, 0.5)]
    cases += [(half_of_second, objects, 0.7), (objects, objects[:2], 0.9)]
    check(attempt, recall, [*cases, (objects[:0], objects, 0.5)])


def best_of_each_level(objectness: Tensor, sizes: list[int], n: int) -> Tensor:
    """Indices of each level's n highest objectness logits, level by level, best first.

    objectness: [A]. sizes: the number of anchors of each level, A in all. A level with fewer than n
    anchors contributes all of them.
    """
    chosen, first = [], 0
    for size in sizes:
        chosen.append(first + objectness[first : first + size].topk(min(n, size)).indices)
        first += size
    return torch.cat(chosen)


def check_best_of_each_level(attempt: Callable) -> None:
    """Check a function like `best_of_each_level` on one level, several, and one smaller than n."""
    logits = torch.randperm(12, generator=torch.Generator().manual_seed(0)) - 6.0
    cases = [(logits[:4], [4], 2), (logits, [8, 4], 2), (logits, [6, 4, 2], 3)]
    check(attempt, best_of_each_level, [*cases, (logits, [9, 3], 1)])
