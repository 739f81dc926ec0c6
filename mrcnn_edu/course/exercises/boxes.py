"""Lesson 02, boxes: IoU, box encoding, non-maximum suppression."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check


def iou(a: Tensor, b: Tensor) -> Tensor:
    """The intersection over union, a scalar, of two boxes [4] with an area."""
    width = (torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0])).clamp(min=0)
    height = (torch.minimum(a[3], b[3]) - torch.maximum(a[1], b[1])).clamp(min=0)
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area_a + area_b - width * height)


def check_iou(attempt: Callable) -> None:
    """Check a function like `iou` on boxes that overlap, are equal, touch, and are disjoint."""
    pairs = {
        "they overlap": [[0, 0, 4, 4], [2, 0, 6, 4]],
        "they are equal": [[1, 2, 5, 8], [1, 2, 5, 8]],
        "one inside the other": [[0, 0, 8, 8], [2, 2, 4, 6]],
        "they touch": [[0, 0, 4, 4], [4, 0, 8, 4]],
        "disjoint along x": [[0, 0, 4, 4], [6, 1, 9, 3]],
        "disjoint along x and y: width and height would be negative": [[0, 0, 4, 4], [6, 7, 9, 9]],
    }
    cases = [tuple(torch.tensor(pair, dtype=torch.float)) for pair in pairs.values()]
    check(attempt, iou, cases, about=list(pairs))


def encode_box(box: Tensor, anchor: Tensor) -> Tensor:
    """The deltas [4], (dx, dy, dw, dh), from an anchor [4] to a box [4], without extra scale."""
    size, anchor_size = box[2:] - box[:2], anchor[2:] - anchor[:2]
    center, anchor_center = (box[:2] + box[2:]) / 2, (anchor[:2] + anchor[2:]) / 2
    return torch.cat(((center - anchor_center) / anchor_size, torch.log(size / anchor_size)))


def check_encode_box(attempt: Callable) -> None:
    """Check a function like `encode_box` on equal boxes, a shift, another size, and both."""
    pairs = [
        [[2, 2, 8, 6], [2, 2, 8, 6]],
        [[3, 2, 13, 6], [2, 4, 12, 8]],  # only shifted
        [[0, 0, 20, 10], [5, 0, 15, 10]],  # the same center, twice as wide
        [[10, 20, 40, 30], [16, 10, 32, 50]],
    ]
    check(attempt, encode_box, [tuple(torch.tensor(pair, dtype=torch.float)) for pair in pairs])


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Indices of the boxes [N, 4] that NMS keeps, best score first.

    A box is suppressed if its IoU with a kept box of a higher score and the same label is above the
    threshold. scores, labels: [N].
    """
    kept: list[int] = []
    rivals = (box_iou(boxes, boxes) > threshold) & (labels[:, None] == labels)
    for i in scores.argsort(descending=True).tolist():
        if not rivals[i, kept].any():
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long)


def check_nms(attempt: Callable) -> None:
    """Check a function like `nms` on sorted boxes, a chain, unsorted boxes, two classes, none."""
    row = torch.tensor([[10 * i, 0, 10 * i + 20, 10] for i in (0, 1, 2, 5)], dtype=torch.float)
    best_first, mixed = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0.3, 0.9, 0.5, 0.8])
    one, two = torch.tensor([1, 1, 1, 1]), torch.tensor([1, 2, 1, 2])
    twins = row[[0, 0, 3, 3]]
    cases = [
        (twins, best_first, one, 0.5),
        (row, best_first, one, 0.3),  # the first suppresses the second, so the third is kept
        (row, mixed, one, 0.3),
        (row, best_first, two, 0.3),
        (row[:0], best_first[:0], one[:0], 0.5),
    ]
    about = ["two objects, two boxes each", "a chain: a suppressed box suppresses no other"]
    about += ["the boxes are not sorted", "only boxes of one label compete", "no box at all"]
    check(attempt, nms, cases, about)
