"""Lesson 00, start here: counting labels, comparing masks, choosing a score threshold."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.panoptic import check_panoptic_map as check_panoptic_map
from mrcnn_edu.course.exercises.panoptic import panoptic_map as panoptic_map
from mrcnn_edu.course.exercises.show import masks_of


def count_by_name(labels: Tensor, classes: list[str]) -> dict[str, int]:
    """The number of objects of each class name that occurs. labels: [D] in 1..K."""
    counts = {}
    for label in labels.tolist():
        name = classes[label - 1]  # label 0 is the background, so label 1 is the first class
        counts[name] = counts.get(name, 0) + 1
    return counts


def check_count_by_name(attempt: Callable) -> None:
    """Check a function like `count_by_name` on a few lists of labels, the empty one included."""
    classes = ["triangle", "square", "circle"]
    lists = {
        "one object of the first class": [1],
        "three objects, two of them of the last class": [3, 1, 3],
        "four objects of two classes; a class that does not occur is left out": [2, 2, 2, 1],
        "no object": [],
    }
    cases = {
        topic: (torch.tensor(labels, dtype=torch.long), classes) for topic, labels in lists.items()
    }
    check(attempt, count_by_name, cases)


def mask_iou(a: Tensor, b: Tensor) -> float:
    """Intersection over union of two masks [H, W] bool; 0 where both are empty."""
    intersection = (a & b).sum().item()
    union = (a | b).sum().item()
    return intersection / union if union else 0.0


def check_mask_iou(attempt: Callable) -> None:
    """Check a function like `mask_iou` on equal, nested, disjoint, ragged and empty masks."""
    square, inner, row, ragged, empty = masks_of(
        "...... .####. .####. .####. .####. ......",
        "...... ...... ..##.. ..##.. ...... ......",
        "###### ...... ...... ...... ...... ......",
        "#..##. .#.#.# ##..#. .##..# #.#.#. ..##.#",
        "...... ...... ...... ...... ...... ......",
    )
    cases = {
        "a mask and itself": (square, square),
        "the first mask lies within the second": (inner, square),
        "the masks share no pixel": (square, row),
        "the masks share some of their pixels": (ragged, square),
        "the second mask is empty": (square, empty),
        "both masks are empty": (empty, empty),
    }
    check(attempt, mask_iou, cases)


def count_errors(iou: Tensor, scores: Tensor, threshold: float) -> tuple[int, int, int]:
    """How many objects are found, how many are missed, and how many detections are false.

    iou: [D, M] of D detections with M objects. scores: [D]. Only detections with a score of at
    least the threshold count. An object is found if one of them has an IoU of at least 0.5 with it.
    One that has such an IoU with no object is false.
    """
    n_objects = iou.shape[1]
    good = iou[scores >= threshold] >= 0.5  # [detections that count, M]
    found = int(good.any(dim=0).sum())
    false = int((~good.any(dim=1)).sum())
    return found, n_objects - found, false


def check_count_errors(attempt: Callable) -> None:
    """Check a function like `count_errors` around both thresholds, on duplicates, and on none."""
    table = torch.tensor([[0.9, 0.0], [0.1, 0.8], [0.2, 0.3]])
    scores = torch.tensor([0.9375, 0.75, 0.5])
    twice = torch.tensor([[0.9, 0.0, 0.1], [0.7, 0.1, 0.0], [0.0, 0.2, 0.6]])
    cases = {
        "both objects are found, and one detection lies on neither": (table, scores, 0.25),
        "a higher threshold drops the false detection": (table, scores, 0.6),
        "a threshold that drops a good detection, too": (table, scores, 0.8),
        "a score that is exactly the threshold counts": (table, scores, 0.5),
        "two good detections of one object, and none of another": (twice, scores, 0.6),
        "an IoU of exactly 0.5 is enough": (torch.tensor([[0.5, 0.49]]), scores[:1], 0.5),
        "no detection": (table[:0], scores[:0], 0.5),
        "no object": (table[:, :0], scores, 0.5),
    }
    check(attempt, count_errors, cases)
