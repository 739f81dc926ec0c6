"""Lesson 11, average precision: matching, precision and recall, average precision."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.evaluate import RECALLS


def match(iou: Tensor, threshold: float) -> Tensor:
    """The index [D] of the object that each detection is matched to, or -1 without a match.

    iou: [D, M] of the detections and objects of one class in one image, best score first. Each
    detection is matched to the object of highest IoU among those not matched yet, if that IoU is
    at least the threshold.
    """
    free, matched = iou.clone(), []
    for d in range(len(iou)):
        enough = (free[d] >= threshold).any()  # False if there is no object
        matched.append(int(free[d].argmax()) if enough else -1)
        if enough:
            free[:, matched[d]] = -1
    return torch.tensor(matched)


def check_match(attempt: Callable) -> None:
    """Check a function like `match` at the threshold, and on detections of the same object."""
    tables = {
        "one object, one detection": [[0.9, 0.1]],
        "exactly the threshold, and below it": [[0.2, 0.5], [0.49, 0.1]],
        "two detections of the same object": [[0.6, 0.8], [0.1, 0.7]],
        "the best object is matched already, another one is not": [
            [0.7, 0.9],
            [0.6, 0.8],
            [0.55, 0.3],
        ],
        "all of these at once": [[0.3, 0.2], [0.6, 0.2], [0.9, 0.1], [0.2, 0.75]],
        "no object of the class": [[], []],
    }
    check(attempt, match, {topic: (torch.tensor(table), 0.5) for topic, table in tables.items()})


def precision_recall(correct: Tensor, n_objects: int) -> Tensor:
    """Precision and recall [2, D] after each detection. correct: [D] bool, best score first."""
    n_correct = correct.cumsum(dim=0)
    n_so_far = torch.arange(1, len(correct) + 1)
    return torch.stack((n_correct / n_so_far, n_correct / n_objects))


# Whether each detection is correct, best score first, and the number of objects. Recalls other than
# 0 and 1 are not whole percents, so that none lies at one of COCO's 101 recalls.
RANKINGS = [
    ([True, True, True], 3),
    ([True, True], 3),
    ([True, False, True], 3),
    ([False, True, True, False, True], 7),
    ([True, False, False, True, True, False, True], 7),
    ([False, False], 3),
]


def check_precision_recall(attempt: Callable) -> None:
    """Check a function like `precision_recall` on perfect, incomplete, mixed, useless rankings."""
    check(attempt, precision_recall, [(torch.tensor(row), n) for row, n in RANKINGS])


def average_precision(correct: Tensor, n_objects: int) -> float:
    """COCO's AP of one ranking: the mean, over 101 recalls, of the interpolated precision.

    correct: [D] bool, best score first, D > 0. The interpolated precision is the highest one at
    this recall or a higher one, and 0 at a recall that is never reached.
    """
    precision, recall = precision_recall(correct, n_objects)
    best = [precision[recall >= r].max().item() if recall[-1] >= r else 0 for r in RECALLS]
    return sum(best) / len(best)


def check_average_precision(attempt: Callable) -> None:
    """Check a function like `average_precision` on perfect, incomplete, mixed, useless rankings."""
    check(attempt, average_precision, [(torch.tensor(row), n) for row, n in RANKINGS])
