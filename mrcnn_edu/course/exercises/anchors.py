"""Lesson 05, anchors: one anchor, the coverage of objects, and who answers for what."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises import check


def anchor_at(x: float, y: float, size: float, ratio: float) -> Tensor:
    """The anchor [4] centered on (x, y), of area size * size and height ratio times its width."""
    width, height = size / ratio**0.5, size * ratio**0.5
    return torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def check_anchor_at(attempt: Callable) -> None:
    """Checks a function like `anchor_at` on squares, lying and standing anchors."""
    cases = [(8.0, 8.0, 16.0, 1.0), (0.0, 0.0, 8.0, 4.0), (20.0, 4.0, 32.0, 0.25), (3.0, 7, 12, 2)]
    check(attempt, anchor_at, cases)


def best_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Of each object, boxes [M, 4], the IoU [M] with the anchor [A, 4] that fits it best."""
    return box_iou(boxes, anchors).amax(dim=1)


def check_best_iou(attempt: Callable) -> None:
    """Checks a function like `best_iou` on one object, on several, and on none."""
    random = torch.rand(30, 2, generator=torch.Generator().manual_seed(0)) * 50
    boxes = torch.cat((random, random + 12), dim=1)
    cases = [(boxes[:1], boxes[1:4]), (boxes[:3], boxes[3:]), (boxes[:5], boxes[4:9])]
    check(attempt, best_iou, [*cases, (boxes[:0], boxes)])


def label_anchors(iou: Tensor, high: float, low: float) -> Tensor:
    """1 for positive anchors, 0 for negative, -1 for ignored: [A] from the IoUs [M, A], M > 0.

    Positive: IoU >= high with an object, or the best anchor of an object, ties included.
    Negative: of the others, those with IoU < low with every object.
    """
    best_of_anchor = iou.amax(dim=0)  # [A]
    labels = torch.full_like(best_of_anchor, -1)
    labels[best_of_anchor < low] = 0
    labels[best_of_anchor >= high] = 1
    best = (iou == iou.amax(dim=1, keepdim=True)) & (iou > 0)  # who touches nothing has no best
    labels[best.any(dim=0)] = 1
    return labels


def check_label_anchors(attempt: Callable) -> None:
    """Checks a function like `label_anchors`: the bands, their ends, the best anchor, ties."""
    tables = {
        "an anchor in each band": [[0.8, 0.5, 0.1]],
        "exactly high, exactly low": [[0.7, 0.3, 0.29], [0.0, 0.9, 0.1]],
        "the second object has no good anchor": [[0.9, 0.1, 0.2], [0.0, 0.4, 0.1]],
        "two best anchors": [[0.2, 0.2, 0.1]],
        "an anchor that is good for both": [[0.75, 0.1, 0.5, 0.2], [0.72, 0.6, 0.1, 0.0]],
    }
    cases = [(torch.tensor(table), 0.7, 0.3) for table in tables.values()]
    check(attempt, label_anchors, cases, about=list(tables))
