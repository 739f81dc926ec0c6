"""Lesson 10, training: a step's learning rate, the linear scaling rule, and who learns a mask."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises import check


def rate_of_step(step: int, highest: float, rise: int, drops: list[int]) -> float:
    """The learning rate of a step: a straight rise, then a tenth from each of the drops on.

    Steps count from 0. Of the first `rise` steps, the first has highest / rise and the last has
    `highest`.
    """
    if step < rise:
        return highest * (step + 1) / rise
    return highest / 10 ** sum(step >= drop for drop in drops)


def check_rate_of_step(attempt: Callable) -> None:
    """Checks a function like `rate_of_step` in the rise, at its end, and around the drops."""
    run = 2000.0, 1000, [120_000, 160_000]  # large, for a check passes over 1e-4
    cases = [(0, *run), (499, *run), (999, *run), (1000, *run), (119_999, *run)]
    cases += [(120_000, *run), (170_000, *run), (0, 2000.0, 0, [90])]
    check(attempt, rate_of_step, cases)


def scaled(rate: float, steps: int, batch: int, new_batch: int) -> Tensor:
    """Learning rate and steps [2] for a new number of images a step (the linear scaling rule).

    The rate grows with the batch, and as many images are seen in all.
    """
    return torch.tensor([rate * new_batch / batch, steps * batch / new_batch])


def check_scaled(attempt: Callable) -> None:
    """Checks a function like `scaled`: the same batch, half of it, a single image, a larger one."""
    cases = [(0.02, 160_000, 16, 16), (0.02, 160_000, 16, 8), (0.2, 1000, 16, 1)]
    check(attempt, scaled, [*cases, (0.3, 300, 4, 8)])


def mask_of_roi(iou: Tensor, threshold: float) -> Tensor:
    """Whose mask each RoI learns [R]: the object it overlaps most, or -1 if none enough.

    iou: [M, R] of M objects, perhaps none, with R RoIs; the threshold itself is enough.
    """
    if len(iou) == 0:
        return torch.full((iou.shape[1],), -1)
    best, owner = iou.max(dim=0)
    return torch.where(best >= threshold, owner, -1)


def check_mask_of_roi(attempt: Callable) -> None:
    """Checks a function like `mask_of_roi` on one object, on the threshold, on two, on none."""
    tables = [
        [[0.9, 0.2]],
        [[0.5, 0.49]],
        [[0.6, 0.1, 0.7], [0.2, 0.8, 0.75]],
        [[0.3, 0.55], [0.45, 0.65], [0.1, 0.6]],
    ]
    cases = [(torch.tensor(table), 0.5) for table in tables]
    check(attempt, mask_of_roi, [*cases, (torch.zeros(0, 3), 0.5)])
