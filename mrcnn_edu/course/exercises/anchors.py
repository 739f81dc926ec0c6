"""Lesson 05, anchors: one anchor, the coverage of objects, matching."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check


def anchor_at(x: float, y: float, size: float, ratio: float) -> Tensor:
    """The anchor [4] centered at (x, y), of area size * size and with height / width = ratio."""
    width, height = size / ratio**0.5, size * ratio**0.5
    return torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def check_anchor_at(attempt: Callable) -> None:
    """Check a function like `anchor_at` on square, wide and tall anchors."""
    cases = [(8.0, 8.0, 16.0, 1.0), (0.0, 0.0, 8.0, 4.0), (20.0, 4.0, 32.0, 0.25), (3.0, 7, 12, 2)]
    check(attempt, anchor_at, cases)


def best_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Each object's highest IoU [M] with an anchor. boxes: [M, 4]. anchors: [A, 4]."""
    return box_iou(boxes, anchors).amax(dim=1)


def check_best_iou(attempt: Callable) -> None:
    """Check a function like `best_iou` on one object, on several, and on none."""
    random = torch.rand(30, 2, generator=torch.Generator().manual_seed(0)) * 50
    boxes = torch.cat((random, random + 12), dim=1)
    cases = [(boxes[:1], boxes[1:4]), (boxes[:3], boxes[3:]), (boxes[:5], boxes[4:9])]
    check(attempt, best_iou, [*cases, (boxes[:0], boxes)])


def label_anchors(iou: Tensor, high: float, low: float) -> Tensor:
    """Labels [A] of the anchors: 1 positive, 0 negative, -1 ignored.

    iou: [M, A] of M > 0 objects. An anchor is positive if its IoU with an object is at least
    `high` or the object's highest, ties included. Any other anchor is negative if its IoU with
    every object is below `low`.
    """
    best_iou_of_anchor = iou.amax(dim=0)  # [A]
    labels = torch.full_like(best_iou_of_anchor, -1)
    labels[best_iou_of_anchor < low] = 0
    labels[best_iou_of_anchor >= high] = 1
    best = (iou == iou.amax(dim=1, keepdim=True)) & (iou > 0)  # an object without overlap has none
    labels[best.any(dim=0)] = 1
    return labels


def check_label_anchors(attempt: Callable) -> None:
    """Check a function like `label_anchors` around the thresholds, on best anchors and ties."""
    tables = {
        "one anchor of each label": [[0.8, 0.5, 0.1]],
        "exactly high, exactly low": [[0.7, 0.3, 0.29], [0.0, 0.9, 0.1]],
        "the second object has no anchor above high": [[0.9, 0.1, 0.2], [0.0, 0.4, 0.1]],
        "two best anchors": [[0.2, 0.2, 0.1]],
        "an anchor above high for both objects": [[0.75, 0.1, 0.5, 0.2], [0.72, 0.6, 0.1, 0.0]],
    }
    cases = [(torch.tensor(table), 0.7, 0.3) for table in tables.values()]
    check(attempt, label_anchors, cases, about=list(tables))
