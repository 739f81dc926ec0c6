"""Lesson 11, average precision: matching in one image, precision and recall, and their mean."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises import check
from mrcnn_edu.evaluate import RECALLS


def match(iou: Tensor, threshold: float) -> Tensor:
    """The object [D] that each detection of one image and class takes, -1 where it takes none.

    iou: [D, M], best score first. Each takes the free object it overlaps most, if that is enough.
    """
    free, taken = iou.clone(), []
    for d in range(len(iou)):
        enough = (free[d] >= threshold).any()  # never, where there is no object
        taken.append(int(free[d].argmax()) if enough else -1)
        if enough:
            free[:, taken[d]] = -1
    return torch.tensor(taken)


def check_match(attempt: Callable) -> None:
    """Checks a function like `match` on the threshold, on rivals for one object, on two objects."""
    tables = {
        "one object, one detection": [[0.9, 0.1]],
        "exactly the threshold, and below it": [[0.2, 0.5], [0.49, 0.1]],
        "two want the same object": [[0.6, 0.8], [0.1, 0.7]],
        "the best object is taken, another one is free": [[0.7, 0.9], [0.6, 0.8], [0.55, 0.3]],
        "all together": [[0.3, 0.2], [0.6, 0.2], [0.9, 0.1], [0.2, 0.75]],
        "no object of the class": [[], []],
    }
    cases = [(torch.tensor(table), 0.5) for table in tables.values()]
    check(attempt, match, cases, about=list(tables))


def precision_recall(correct: Tensor, n_objects: int) -> Tensor:
    """Precision and recall [2, D] after each detection. correct: [D] bool, best score first."""
    n_correct = correct.cumsum(dim=0)
    n_so_far = torch.arange(1, len(correct) + 1)
    return torch.stack((n_correct / n_so_far, n_correct / n_objects))


RANKINGS = [  # of detections, best first, and of objects; no recall but 0 and 1 is a whole percent
    ([True, True, True], 3),
    ([True, True], 3),
    ([True, False, True], 3),
    ([False, True, True, False, True], 7),
    ([True, False, False, True, True, False, True], 7),
    ([False, False], 3),
]


def check_precision_recall(attempt: Callable) -> None:
    """Checks a function like `precision_recall` on perfect, partial, mixed and useless rankings."""
    check(attempt, precision_recall, [(torch.tensor(row), n) for row, n in RANKINGS])


def average_precision(correct: Tensor, n_objects: int) -> float:
    """COCO's AP of one ranking: the mean over 101 recalls of the best precision from there on.

    correct: [D] bool, best score first, D > 0. A recall that is never reached has precision 0.
    """
    precision, recall = precision_recall(correct, n_objects)
    best = [precision[recall >= r].max().item() if recall[-1] >= r else 0 for r in RECALLS]
    return sum(best) / len(best)


def check_average_precision(attempt: Callable) -> None:
    """Checks a function like `average_precision` on perfect, partial, mixed, useless rankings."""
    check(attempt, average_precision, [(torch.tensor(row), n) for row, n in RANKINGS])
