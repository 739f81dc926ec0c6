"""Lesson 02, boxes: IoU, box encoding, non-maximum suppression."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.soft_nms import check_soft_nms as check_soft_nms
from mrcnn_edu.course.exercises.soft_nms import soft_nms as soft_nms


def iou(a: Tensor, b: Tensor) -> Tensor:
    """The intersection over union, a scalar, of two boxes [4] with an area."""
    width = (torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0])).clamp(min=0)
    height = (torch.minimum(a[3], b[3]) - torch.maximum(a[1], b[1])).clamp(min=0)
    intersection = width * height
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return intersection / (area_a + area_b - intersection)


def check_iou(attempt: Callable) -> None:
    """Check a function like `iou` on boxes that overlap, are equal, touch, and are disjoint."""
    pairs = {
        "they overlap": [[0, 0, 4, 4], [2, 0, 6, 4]],
        "they are equal": [[1, 2, 5, 8], [1, 2, 5, 8]],
        "one inside the other": [[0, 0, 8, 8], [2, 2, 4, 6]],
        "they touch": [[0, 0, 4, 4], [4, 0, 8, 4]],
        "disjoint along x": [[0, 0, 4, 4], [6, 1, 9, 3]],
        "disjoint along x and y": [[0, 0, 4, 4], [6, 7, 9, 9]],
    }
    cases = {
        topic: (torch.tensor(a).float(), torch.tensor(b).float()) for topic, (a, b) in pairs.items()
    }
    check(attempt, iou, cases)


def shift_at_iou(width: float, iou: float) -> float:
    """How far, in pixels, a box of this width moves sideways until it has this IoU with itself.

    A shift d leaves an intersection of width - d and a union of width + d, both times the height.
    So iou = (width - d) / (width + d), which is solved for d.
    """
    return width * (1 - iou) / (1 + iou)


def check_shift_at_iou(attempt: Callable) -> None:
    """Check a function like `shift_at_iou` at an IoU of 1, of 0, and between."""
    cases = {
        "an IoU of 1: the box has not moved": (10.0, 1.0),
        "an IoU of one third": (10.0, 1 / 3),
        "an IoU of one half": (30.0, 0.5),
        "an IoU of 0: the two boxes just touch": (16.0, 0.0),
        "the threshold of a positive anchor, on a wide box": (340.0, 0.7),
    }
    check(attempt, shift_at_iou, cases)


def encode_box(box: Tensor, anchor: Tensor) -> Tensor:
    """The deltas [4], (dx, dy, dw, dh), from an anchor [4] to a box [4], without extra scale."""
    size = box[2:] - box[:2]
    anchor_size = anchor[2:] - anchor[:2]
    center = (box[:2] + box[2:]) / 2
    anchor_center = (anchor[:2] + anchor[2:]) / 2
    shift = (center - anchor_center) / anchor_size
    return torch.cat((shift, torch.log(size / anchor_size)))


def check_encode_box(attempt: Callable) -> None:
    """Check a function like `encode_box` on equal boxes, a shift, another size, and both."""
    pairs = {
        "the box is the anchor": [[2, 2, 8, 6], [2, 2, 8, 6]],
        "the box is as large as the anchor, and elsewhere": [[3, 2, 13, 6], [2, 4, 12, 8]],
        "the same center, twice as wide": [[0, 0, 20, 10], [5, 0, 15, 10]],
        "another center and another size": [[10, 20, 40, 30], [16, 10, 32, 50]],
    }
    cases = {
        topic: (torch.tensor(a).float(), torch.tensor(b).float()) for topic, (a, b) in pairs.items()
    }
    check(attempt, encode_box, cases)


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Indices of the boxes [N, 4] that NMS keeps, best score first.

    A box is suppressed if its IoU with a kept box of a higher score and the same label is above the
    threshold. scores, labels: [N].
    """
    same_label = labels[:, None] == labels
    rivals = (box_iou(boxes, boxes) > threshold) & same_label  # [N, N]
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if not rivals[i, kept].any():
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def check_nms(attempt: Callable) -> None:
    """Check a function like `nms` on sorted boxes, a chain, unsorted boxes, two classes, none."""
    row = torch.tensor([[0.0, 0, 20, 10], [10, 0, 30, 10], [20, 0, 40, 10], [50, 0, 70, 10]])
    best_first = torch.tensor([0.9, 0.8, 0.7, 0.6])
    mixed = torch.tensor([0.3, 0.9, 0.5, 0.8])
    one_label = torch.tensor([1, 1, 1, 1])
    half = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])  # an IoU of 0.5
    cases = {
        "two objects, two boxes each": (row[[0, 0, 3, 3]], best_first, one_label, 0.5),
        "a chain: a suppressed box suppresses no other": (row, best_first, one_label, 0.3),
        "the boxes are not sorted": (row, mixed, one_label, 0.3),
        "only boxes of one label compete": (row, best_first, torch.tensor([1, 2, 1, 2]), 0.3),
        "an IoU of exactly the threshold suppresses nothing": (
            half, best_first[:2], one_label[:2], 0.5,
        ),
        "no box at all": (row[:0], best_first[:0], one_label[:0], 0.5),
    }  # fmt: skip
    check(attempt, nms, cases)
