"""Lesson 06, the region proposal network: parameters of its head, candidates, recall."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.propose import check_propose as check_propose
from mrcnn_edu.course.exercises.propose import propose as propose


def head_parameters(channels: int, k: int) -> int:
    """The number of parameters of the RPN head, biases included, with k anchors at each position.

    A 3x3 convolution keeps the number of channels; two 1x1 convolutions have k and 4 k outputs.
    """
    convolution = 9 * channels * channels + channels
    objectness = channels * k + k
    deltas = channels * 4 * k + 4 * k
    return convolution + objectness + deltas


def check_head_parameters(attempt: Callable) -> None:
    """Check a function like `head_parameters` on the tiny head, the paper's size, and others."""
    cases = {
        "the head of shapes-tiny": (64, 3),
        "the paper's size": (256, 3),
        "one channel, one anchor": (1, 1),
        "nine anchors at each position": (8, 9),
    }
    check(attempt, head_parameters, cases)


def recall(proposals: Tensor, boxes: Tensor, iou_threshold: float) -> Tensor:
    """The fraction of the objects that have a proposal, a scalar in 0..1.

    proposals: [R, 4]. boxes: [M, 4] of M > 0 objects. An object has a proposal if its IoU with one
    is at least the threshold.
    """
    is_found = (box_iou(boxes, proposals) >= iou_threshold).any(dim=1)  # [M]
    return is_found.float().mean()


OBJECTS = torch.tensor([[0.0, 0, 8, 8], [20, 20, 28, 28], [40, 0, 56, 16]])


def check_recall(attempt: Callable) -> None:
    """Check a function like `recall` on proposals of one object, IoUs at the threshold, none."""
    on_first = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [0, 1, 8, 8], [60, 60, 70, 70]])
    half_of_second = torch.tensor([[20.0, 20, 28, 24], [40, 0, 56, 15]])
    cases = {
        "three proposals on one object, and one on none": (on_first, OBJECTS, 0.5),
        "an IoU of exactly the threshold": (half_of_second, OBJECTS, 0.5),
        "a higher threshold": (half_of_second, OBJECTS, 0.7),
        "every object is found": (OBJECTS, OBJECTS[:2], 0.9),
        "no proposal": (OBJECTS[:0], OBJECTS, 0.5),
    }
    check(attempt, recall, cases)


def proposals_needed(proposals: Tensor, boxes: Tensor, iou_threshold: float) -> int:
    """The smallest n for which the first n proposals find every object; -1 if all do not.

    proposals: [R, 4], best first. boxes: [M, 4]. An object is found if its IoU with a proposal is
    at least the threshold. Without any object, n is 0.
    """
    finds = box_iou(proposals, boxes) >= iou_threshold  # [R, M]
    for n in range(len(proposals) + 1):
        if finds[:n].any(dim=0).all():
            return n
    return -1


def check_proposals_needed(attempt: Callable) -> None:
    """Check a function like `proposals_needed` where few, all or no proposals suffice."""
    near = OBJECTS + torch.tensor([0.0, 0, 0, 1])  # IoUs of 0.89 and 0.94
    upper_half = torch.tensor([[0.0, 0, 8, 4]])  # an IoU of 0.5
    nothing = torch.tensor([[60.0, 60, 70, 70]])
    proposals = torch.cat((near[:1], OBJECTS[:1], nothing, near[2:], near[1:2], near[2:]))
    cases = {
        "one object, found by the first proposal": (proposals, OBJECTS[:1], 0.7),
        "the object that is found last decides": (proposals, OBJECTS, 0.7),
        "the same object is found twice before": (proposals, OBJECTS[[0, 2]], 0.7),
        "one object is never found": (proposals[:4], OBJECTS, 0.7),
        "an object that only the last proposal finds": (proposals[:5], OBJECTS, 0.7),
        "a threshold that only one proposal reaches": (proposals, OBJECTS[:1], 0.95),
        "an IoU of exactly the threshold": (upper_half, OBJECTS[:1], 0.5),
        "no object": (proposals, OBJECTS[:0], 0.7),
        "no proposal": (proposals[:0], OBJECTS, 0.7),
    }
    check(attempt, proposals_needed, cases)


def best_of_each_level(objectness: Tensor, sizes: list[int], n: int) -> Tensor:
    """Indices of each level's n highest objectness logits, level by level, best first.

    objectness: [A]. sizes: the number of anchors of each level, A in all. A level with fewer than n
    anchors contributes all of them.
    """
    chosen, first = [], 0
    for size in sizes:
        level = objectness[first : first + size]
        best = level.topk(min(n, size)).indices
        chosen.append(first + best)
        first += size
    return torch.cat(chosen)


def check_best_of_each_level(attempt: Callable) -> None:
    """Check a function like `best_of_each_level` on one level, several, and one smaller than n."""
    logits = torch.tensor([1.0, 3, -2, 0, 5, -4, 4, 2, -1, -3, -6, -5])
    cases = {
        "one level": (logits[:4], [4], 2),
        "two levels": (logits, [8, 4], 2),
        "three levels, the last one smaller than n": (logits, [6, 4, 2], 3),
        "one of each level": (logits, [9, 3], 1),
    }
    check(attempt, best_of_each_level, cases)
