"""Lesson 12, ablations: paired differences, relative gains, the number of seeds, a verdict."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check

BASE = torch.tensor([30.0, 34.0, 38.0])
TOGETHER = torch.tensor([28.0, 31.5, 36.0])
AGAINST = torch.tensor([36.0, 33.0, 31.0])


def paired(base: Tensor, other: Tensor, t: float) -> Tensor:
    """The mean gain of `other` over `base`, and half the width of its confidence interval: [2].

    base, other: scores [n] of the same n >= 2 seeds in the same order. t: the quantile of Student's
    t distribution.
    """
    difference = other - base
    return torch.stack((difference.mean(), t * difference.std() / len(difference) ** 0.5))


def check_paired(attempt: Callable) -> None:
    """Check a function like `paired` on scores that rise and fall together, and that do not."""
    cases = {
        "scores that rise together": (BASE, TOGETHER, 4.30),
        "one rises where the other falls": (BASE, AGAINST, 4.30),
        "two seeds": (torch.tensor([10.0, 20.0]), torch.tensor([11.0, 24.0]), 12.71),
    }
    check(attempt, paired, cases)


def pairing_factor(base: Tensor, other: Tensor) -> Tensor:
    """The spread of the paired differences, as a fraction of that of unrelated scores: a scalar.

    base, other: scores [n] of the same n >= 2 seeds in the same order.
    """
    separate = base.var() + other.var()
    return ((other - base).var() / separate).sqrt()


def check_pairing_factor(attempt: Callable) -> None:
    """Check a function like `pairing_factor` on related, opposed and unrelated scores."""
    cases = {
        "scores that rise together": (BASE, TOGETHER),
        "one rises where the other falls": (BASE, AGAINST),
        "unrelated scores": (
            torch.tensor([1.0, 2, 1, 2]),
            torch.tensor([5.0, 5, 9, 9]),
        ),
        "the same difference for every seed": (BASE, BASE + 2),
    }
    check(attempt, pairing_factor, cases)


def relative_gain(old: float, new: float) -> float:
    """The gain in percent of the old score; below 0 if the new score is lower."""
    return 100 * (new - old) / old


def check_relative_gain(attempt: Callable) -> None:
    """Check a function like `relative_gain` on the paper's RoIAlign and on a loss."""
    cases = {
        "RoIPool and RoIAlign in the paper": (26.9, 30.3),
        "AP75 at stride 32 in the paper": (21.6, 32.1),
        "a loss": (40.0, 30.0),
    }
    check(attempt, relative_gain, cases)


def seeds_needed(spread: float, gap: float) -> int:
    """The smallest number of seeds n >= 2 for which 2 * spread / sqrt(n) is at most the gap.

    spread: the standard deviation of the differences. gap: the difference to detect.
    """
    return max(2, ceil((2 * spread / gap) ** 2))


def check_seeds_needed(attempt: Callable) -> None:
    """Check a function like `seeds_needed` on small and large gaps, and on an exact result."""
    cases = {
        "a gap as large as the spread": (1.0, 1.0),
        "half of the spread": (1.0, 0.5),
        "a number to be rounded up": (1.2, 1.0),
        "a gap that one seed would show": (0.1, 3.0),
        "a small gap": (3.0, 0.6),
    }
    check(attempt, seeds_needed, cases)


def verdict(base: Tensor, other: Tensor, t: float, matters: float) -> str:
    """What the seeds say of `other`: "better", "worse", "the same" or "undecided".

    base, other, t: as for `paired`. matters: the smallest difference that would matter; "the same"
    needs an interval that rules it out in both directions.
    """
    mean, half = paired(base, other, t).tolist()
    low, high = mean - half, mean + half
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "the same" if max(-low, high) < matters else "undecided"


def check_verdict(attempt: Callable) -> None:
    """Check a function like `verdict` on each of its answers."""
    flat = torch.tensor([30.0, 30, 30, 30, 30])
    close = flat + torch.tensor([0.2, -0.1, 0.1, -0.2, 0.1])
    cases = {
        "an interval below 0": (BASE, TOGETHER, 4.30, 1.0),
        "an interval above 0": (TOGETHER, BASE, 4.30, 1.0),
        "above 0, but too little to matter": (flat, close + 0.3, 2.78, 1.0),
        "a wide interval around 0": (BASE, AGAINST, 4.30, 1.0),
        "a narrow interval around 0": (flat, close, 2.78, 1.0),
        "a narrow interval, and a smaller difference matters": (flat, close, 2.78, 0.1),
        "only the upper end is far from 0": (flat, close + 0.15, 2.78, 0.3),
        "only the lower end is far from 0": (flat, close - 0.15, 2.78, 0.3),
    }
    check(attempt, verdict, cases)
