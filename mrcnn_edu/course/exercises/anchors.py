"""Lesson 05, anchors: one anchor, the order of all, their coverage of objects, matching."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.anchor_shapes import anchor_shapes as anchor_shapes
from mrcnn_edu.course.exercises.anchor_shapes import check_anchor_shapes as check_anchor_shapes
from mrcnn_edu.course.exercises.check import check


def anchor_at(x: float, y: float, size: float, ratio: float) -> Tensor:
    """The anchor [4] centered at (x, y), of area size * size and with height / width = ratio."""
    width = size / ratio**0.5
    height = size * ratio**0.5
    return torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def check_anchor_at(attempt: Callable) -> None:
    """Check a function like `anchor_at` on square, wide and tall anchors."""
    cases = {
        "a square": (8.0, 8.0, 16.0, 1.0),
        "a tall anchor": (0.0, 0.0, 8.0, 4.0),
        "a wide anchor": (20.0, 4.0, 32.0, 0.25),
        "a ratio whose root is no whole number": (3.0, 7.0, 12.0, 2.0),
    }
    check(attempt, anchor_at, cases)


def locate_anchor(index: int, width: int, k: int, stride: int) -> tuple[int, int, int]:
    """The position (x, y) in pixels of an anchor of one level, and which of its k anchors it is.

    index: its place in the list of all anchors of the level, row by row, with all k anchors of a
    position together. width: of the feature map, in positions.
    """
    position, which = index // k, index % k
    row, column = position // width, position % width
    return column * stride, row * stride, which


def check_locate_anchor(attempt: Callable) -> None:
    """Check a function like `locate_anchor` at the first position, in a row, and in the next."""
    cases = {
        "the first anchor of all": (0, 6, 3, 16),
        "another anchor of the first position": (2, 6, 3, 16),
        "the next position in the first row": (3, 6, 3, 16),
        "the last anchor in the first row": (17, 6, 3, 16),
        "the first anchor in the second row": (18, 6, 3, 16),
        "an anchor in the middle": (64, 6, 3, 16),
        "another map, with another number of anchors": (1234, 25, 9, 8),
    }
    check(attempt, locate_anchor, cases)


def best_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Each object's highest IoU [M] with an anchor. boxes: [M, 4]. anchors: [A, 4]."""
    return box_iou(boxes, anchors).amax(dim=1)


def check_best_iou(attempt: Callable) -> None:
    """Check a function like `best_iou` on one object, on several, and on none."""
    boxes = torch.tensor([[0.0, 0, 12, 12], [6, 2, 18, 14], [30, 30, 38, 46]])
    anchors = torch.tensor([[0.0, 0, 16, 16], [4, 4, 20, 20], [28, 28, 44, 44], [0, 8, 16, 16]])
    cases = {
        "one object": (boxes[:1], anchors),
        "several objects": (boxes, anchors),
        "more objects than anchors": (boxes, anchors[:2]),
        "no object": (boxes[:0], anchors),
    }
    check(attempt, best_iou, cases)


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
    is_best = (iou == iou.amax(dim=1, keepdim=True)) & (iou > 0)  # no overlap: no best anchor
    labels[is_best.any(dim=0)] = 1
    return labels


def check_label_anchors(attempt: Callable) -> None:
    """Check a function like `label_anchors` around the thresholds, on best anchors and ties."""
    tables = {
        "one anchor of each label": [[0.8, 0.5, 0.1]],
        "exactly high, exactly low": [[0.75, 0.25, 0.2], [0.0, 0.9, 0.1]],
        "the second object has no anchor above high": [[0.9, 0.1, 0.2], [0.0, 0.4, 0.1]],
        "two best anchors": [[0.2, 0.2, 0.1]],
        "an anchor above high for both objects": [[0.8, 0.1, 0.5, 0.2], [0.77, 0.6, 0.1, 0.0]],
    }
    cases = {topic: (torch.tensor(table), 0.75, 0.25) for topic, table in tables.items()}
    check(attempt, label_anchors, cases)


def ignore_crossing(labels: Tensor, anchors: Tensor, height: int, width: int) -> Tensor:
    """The labels [A], with -1 for anchors [A, 4] that reach out of an image of this size.

    Faster R-CNN (section 3.3) leaves such anchors out of training.
    """
    inside = (anchors[:, :2] >= 0).all(dim=1)
    inside &= (anchors[:, 2] <= width) & (anchors[:, 3] <= height)
    return torch.where(inside, labels, -1)


def check_ignore_crossing(attempt: Callable) -> None:
    """Check a function like `ignore_crossing` at each border, in a wide image, and on none."""
    one = torch.tensor([1])
    anchors = {
        "inside the image": [10, 10, 30, 30],
        "over the left border": [-2, 10, 18, 30],
        "over the upper border": [10, -2, 30, 18],
        "over the right border": [45, 10, 65, 30],
        "over the lower border": [10, 25, 30, 45],
        "as large as the image": [0, 0, 60, 40],
    }
    cases = {
        topic: (one, torch.tensor([anchor]).float(), 40, 60) for topic, anchor in anchors.items()
    }
    all_anchors = torch.tensor(list(anchors.values())).float()
    labels = torch.tensor([1, 1, 0, 0, -1, 0])
    cases["labels of all kinds"] = (labels, all_anchors, 40, 60)
    cases["no anchor"] = (labels[:0], all_anchors[:0], 40, 60)
    check(attempt, ignore_crossing, cases)
