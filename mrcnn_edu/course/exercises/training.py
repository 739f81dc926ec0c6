"""Lesson 10, training: the learning rate, the linear scaling rule, matching RoIs to objects."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def rate_of_step(step: int, highest: float, warmup_steps: int, milestones: list[int]) -> float:
    """The learning rate of a step: a linear warm-up, then divided by 10 at each milestone.

    Steps count from 0. In the first `warmup_steps` steps, the rate rises from
    highest / warmup_steps to `highest`.
    """
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    return highest / 10 ** sum(step >= milestone for milestone in milestones)


def check_rate_of_step(attempt: Callable) -> None:
    """Check a function like `rate_of_step` in the warm-up, at its end, around the milestones."""
    run = 2000.0, 1000, [120_000, 160_000]  # large, because a check tolerates 1e-4
    cases = [(0, *run), (499, *run), (999, *run), (1000, *run), (119_999, *run)]
    cases += [(120_000, *run), (170_000, *run), (0, 2000.0, 0, [90])]
    check(attempt, rate_of_step, cases)


def scaled(rate: float, steps: int, batch: int, new_batch: int) -> Tensor:
    """Learning rate and number of steps [2] for a new batch size, by the linear scaling rule.

    The rate grows with the batch, and the number of images seen in all stays the same.
    """
    return torch.tensor([rate * new_batch / batch, steps * batch / new_batch])


def check_scaled(attempt: Callable) -> None:
    """Check a function like `scaled` on the same batch, half of it, one image, a larger one."""
    cases = [(0.02, 160_000, 16, 16), (0.02, 160_000, 16, 8), (0.2, 1000, 16, 1)]
    check(attempt, scaled, [*cases, (0.3, 300, 4, 8)])


def mask_of_roi(iou: Tensor, threshold: float) -> Tensor:
    """The index [R] of the object whose mask each RoI learns, or -1 for none.

    iou: [M, R] of M objects, perhaps none, with R RoIs. It is the object of highest IoU, if that is
    at least the threshold.
    """
    if len(iou) == 0:
        return torch.full((iou.shape[1],), -1)
    best, objects = iou.max(dim=0)
    return torch.where(best >= threshold, objects, -1)


def check_mask_of_roi(attempt: Callable) -> None:
    """Check a function like `mask_of_roi` on one object, at the threshold, on several, on none."""
    tables = [
        [[0.9, 0.2]],
        [[0.5, 0.49]],
        [[0.6, 0.1, 0.7], [0.2, 0.8, 0.75]],
        [[0.3, 0.55], [0.45, 0.65], [0.1, 0.6]],
    ]
    cases = [(torch.tensor(table), 0.5) for table in tables]
    check(attempt, mask_of_roi, [*cases, (torch.zeros(0, 3), 0.5)])
