"""Lesson 12, ablations: paired differences, relative gains, the number of seeds."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def paired(base: Tensor, other: Tensor, t: float) -> Tensor:
    """The mean gain of `other` over `base`, and half the width of its confidence interval: [2].

    base, other: scores [n] of the same n >= 2 seeds in the same order. t: the quantile of Student's
    t distribution.
    """
    difference = other - base
    return torch.stack((difference.mean(), t * difference.std() / len(difference) ** 0.5))


def check_paired(attempt: Callable) -> None:
    """Check a function like `paired` on scores that rise and fall together, and that do not."""
    base = torch.tensor([30.0, 34.0, 38.0])
    cases = [(base, torch.tensor([28.0, 31.5, 36.0]), 4.30)]
    cases += [(base, torch.tensor([36.0, 33.0, 31.0]), 4.30)]
    cases += [(torch.tensor([10.0, 20.0]), torch.tensor([11.0, 24.0]), 12.71)]
    check(attempt, paired, cases)


def relative_gain(old: float, new: float) -> float:
    """The gain in percent of the old score; below 0 if the new score is lower."""
    return 100 * (new - old) / old


def check_relative_gain(attempt: Callable) -> None:
    """Check a function like `relative_gain` on the paper's RoIAlign and on a loss."""
    check(attempt, relative_gain, [(26.9, 30.3), (21.6, 32.1), (40.0, 30.0)])


def seeds_needed(spread: float, gap: float) -> int:
    """The smallest number of seeds n >= 2 for which 2 * spread / sqrt(n) is at most the gap.

    spread: the standard deviation of the differences. gap: the difference to detect.
    """
    return max(2, ceil((2 * spread / gap) ** 2))


def check_seeds_needed(attempt: Callable) -> None:
    """Check a function like `seeds_needed` on small and large gaps, and on an exact result."""
    check(attempt, seeds_needed, [(1.0, 1.0), (1.0, 0.5), (1.2, 1.0), (0.1, 3.0), (3.0, 0.6)])
