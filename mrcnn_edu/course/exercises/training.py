"""Lesson 10, training: matching RoIs, learning rates, clipped gradients, a blind head's loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.make_targets import check_make_targets as check_make_targets
from mrcnn_edu.course.exercises.make_targets import make_targets as make_targets


def mask_of_roi(iou: Tensor, threshold: float) -> Tensor:
    """The index [R] of the object whose mask each RoI learns, or -1 for none.

    iou: [M, R] of M objects, perhaps none, with R RoIs. It is the object of highest IoU, if that is
    at least the threshold (Mask R-CNN, section 3.1).
    """
    if len(iou) == 0:
        return torch.full((iou.shape[1],), -1)
    best, objects = iou.max(dim=0)
    return torch.where(best >= threshold, objects, -1)


def check_mask_of_roi(attempt: Callable) -> None:
    """Check a function like `mask_of_roi` on one object, at the threshold, on several, on none."""
    cases = {
        "one object": ([[0.9, 0.2]], 0.5),
        "an IoU of exactly the threshold": ([[0.5, 0.49]], 0.5),
        "two objects": ([[0.6, 0.1, 0.7], [0.2, 0.8, 0.75]], 0.5),
        "three objects, of which two are close": ([[0.3, 0.55], [0.45, 0.65], [0.1, 0.6]], 0.5),
    }
    tables = {name: (torch.tensor(table), iou) for name, (table, iou) in cases.items()}
    check(attempt, mask_of_roi, {**tables, "no object": (torch.zeros(0, 3), 0.5)})


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
    cases = {
        "the first step": (0, *run),
        "the middle of the warm-up": (499, *run),
        "the last step of the warm-up": (999, *run),
        "after the warm-up": (1000, *run),
        "the last step before a milestone": (119_999, *run),
        "the step of a milestone": (120_000, *run),
        "after two milestones": (170_000, *run),
        "no warm-up": (0, 2000.0, 0, [90]),
    }
    check(attempt, rate_of_step, cases)


def scaled(rate: float, steps: int, batch: int, new_batch: int) -> Tensor:
    """Learning rate and number of steps [2] for a new batch size, by the linear scaling rule.

    The rate grows with the batch, and the number of images seen in all stays the same (Goyal et al.
    2017).
    """
    return torch.tensor([rate * new_batch / batch, steps * batch / new_batch])


def check_scaled(attempt: Callable) -> None:
    """Check a function like `scaled` on the same batch, half of it, one image, a larger one."""
    cases = {
        "the same batch": (0.02, 160_000, 16, 16),
        "half of the batch": (0.02, 160_000, 16, 8),
        "one image in a step": (0.2, 1000, 16, 1),
        "a larger batch": (0.3, 300, 4, 8),
    }
    check(attempt, scaled, cases)


def clipped(gradients: list[Tensor], longest: float) -> list[Tensor]:
    """The gradients of all parameters, shortened together to a norm of at most `longest`.

    The norm is that of all values of all tensors as one vector; all are multiplied by one factor.
    """
    norm = torch.stack([(g**2).sum() for g in gradients]).sum().sqrt().item()
    factor = min(1.0, longest / norm) if norm > 0 else 1.0
    return [factor * g for g in gradients]


def check_clipped(attempt: Callable) -> None:
    """Check a function like `clipped` on long gradients, short ones, several tensors, zeros."""
    cases = {
        "one tensor that is too long": ([torch.tensor([3.0, 4.0])], 1.0),
        "one that is short enough": ([torch.tensor([0.3, -0.4])], 1.0),
        "two tensors share one norm": ([torch.tensor([3.0]), torch.tensor([4.0, 0.0])], 2.5),
        "each is short enough, but not all together": (
            [torch.tensor([[2.0, 2.0], [2.0, 2.0]]), torch.tensor([3.0])], 4.0,
        ),
        "all gradients are zero": ([torch.zeros(2), torch.zeros(1, 2)], 1.0),
    }  # fmt: skip
    check(attempt, clipped, cases)


def blind_loss(labels: Tensor, n_labels: int) -> float:
    """The lowest class loss of a head that predicts the same probabilities for every RoI.

    labels: [R], at least one, of 0..n_labels - 1. It predicts the fraction of each label, and its
    loss is their entropy.
    """
    fractions = torch.bincount(labels.long(), minlength=n_labels) / len(labels)
    return -torch.xlogy(fractions, fractions).sum().item()


def check_blind_loss(attempt: Callable) -> None:
    """Check a function like `blind_loss` on equal fractions, one label alone, a typical sample."""
    cases = {
        "two labels, equally often": (torch.tensor([0, 1, 1, 0]), 2),
        "a label that does not occur": (torch.tensor([0, 2, 2, 0, 2, 2]), 3),
        "one label alone": (torch.tensor([0, 0, 0]), 7),
        "three negatives for each positive": (torch.tensor([0] * 36 + [1, 2, 3, 4, 5, 6] * 2), 7),
    }
    check(attempt, blind_loss, cases)
