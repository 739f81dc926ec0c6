"""Lesson 11, average precision: matching, precision and recall, AP, a score for a precision."""

from collections.abc import Callable
from math import inf

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


# What a ranking is about -> whether each detection is correct, best score first, and the number of
# objects. Recalls other than 0 and 1 are not whole percents, so that none lies at one of COCO's 101
# recalls.
RANKINGS = {
    "all are correct, and all objects are found": ([True, True, True], 3),
    "one of three objects is missed": ([True, True], 3),
    "a wrong one in the middle": ([True, False, True], 3),
    "the first one is wrong": ([False, True, True, False, True], 7),
    "two wrong ones in a row": ([True, False, False, True, True, False, True], 7),
    "none is correct": ([False, False], 3),
}


def rankings() -> dict[str, tuple]:
    """The cases of RANKINGS."""
    return {topic: (torch.tensor(row), n) for topic, (row, n) in RANKINGS.items()}


def check_precision_recall(attempt: Callable) -> None:
    """Check a function like `precision_recall` on perfect, incomplete, mixed, useless rankings."""
    check(attempt, precision_recall, rankings())


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
    check(attempt, average_precision, rankings())


def score_for(scores: Tensor, correct: Tensor, wanted: float) -> float:
    """The lowest of the scores such that all detections from there up have the wanted precision.

    scores: [D], in any order. correct: [D] bool. Of equal scores, all are kept or none. Infinity
    if no score gives the wanted precision.
    """
    reached = inf
    for score in scores.unique().flip(0).tolist():
        kept = scores >= score
        if correct[kept].double().mean() >= wanted:
            reached = score
    return reached


def check_score_for(attempt: Callable) -> None:
    """Check a function like `score_for` on order, ties, dips, and rankings that never reach it."""
    cases = {
        "one wrong detection at the end": ([0.875, 0.75, 0.5], [1, 1, 0], 0.9),
        "exactly the wanted precision": ([0.875, 0.75, 0.5, 0.25], [1, 1, 1, 0], 0.75),
        "scores in any order": ([0.25, 0.875, 0.5, 0.75], [0, 1, 0, 1], 0.6),
        "precision falls below and rises again": (
            [0.875, 0.75, 0.625, 0.5, 0.375], [1, 0, 1, 1, 0], 0.75,
        ),
        "the best detection is wrong": ([0.875, 0.75, 0.5, 0.25], [0, 1, 1, 0], 0.6),
        "equal scores stay together": ([0.75, 0.5, 0.5, 0.25], [1, 1, 0, 0], 0.9),
        "never": ([0.75, 0.5], [0, 1], 0.9),
    }  # fmt: skip
    check(
        attempt,
        score_for,
        {
            topic: (torch.tensor(scores), torch.tensor(correct).bool(), wanted)
            for topic, (scores, correct, wanted) in cases.items()
        },
    )
