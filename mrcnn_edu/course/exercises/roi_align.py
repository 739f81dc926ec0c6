"""Lesson 07, RoIPool and RoIAlign: RoIPool's rounding and jumps, RoIAlign along one axis."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def moved_by_rounding(box: Tensor, stride: int) -> Tensor:
    """How far RoIPool's first rounding moves each border of a RoI [4], in image pixels [4]."""
    return (box / stride + 0.5).floor() * stride - box  # RoIPool rounds halves up, .round() to even


def check_moved_by_rounding(attempt: Callable) -> None:
    """Check a function like `moved_by_rounding` on borders in all positions."""
    cases = {
        "borders at whole positions": (torch.tensor([32.0, 16, 64, 80]), 16),
        "borders that move in both directions": (torch.tensor([39.0, 28, 117, 90]), 16),
        "fractions of pixels": (torch.tensor([10.5, 20.25, 31.75, 44]), 16),
        "borders halfway between two positions": (torch.tensor([8.0, 24, 40, 56]), 16),
        "another stride": (torch.tensor([3.0, 5, 101, 61]), 8),
    }
    check(attempt, moved_by_rounding, cases)


def next_jump(start: float, end: float, stride: int) -> float:
    """How many pixels a RoI from start to end must move to the right until RoIPool reads otherwise.

    That is when its left or its right border next passes the middle between two positions.
    """
    middles = [(math.floor(edge / stride + 0.5) + 0.5) * stride for edge in (start, end)]
    return min(middles[0] - start, middles[1] - end)


def check_next_jump(attempt: Callable) -> None:
    """Check a function like `next_jump` on RoIs whose left or right border comes first."""
    cases = {
        "the left border passes first": (230.0, 308.0, 16),
        "the right border passes first": (226.0, 310.5, 16),
        "both pass at once": (228.0, 308.0, 16),
        "borders at whole positions": (32.0, 64.0, 16),
        "a border that has just passed": (40.0, 68.0, 16),
        "another stride": (33.0, 59.0, 8),
    }
    check(attempt, next_jump, cases)


def sample_points(start: float, end: float, n_bins: int, n_points: int) -> Tensor:
    """RoIAlign's sample points along one axis [n_bins * n_points].

    The RoI from start to end is divided into n_bins equal bins, and each bin into n_points equal
    parts, with a sample point at the center of each part.
    """
    step = (end - start) / (n_bins * n_points)
    return start + (torch.arange(n_bins * n_points) + 0.5) * step


def check_sample_points(attempt: Callable) -> None:
    """Check a function like `sample_points` on one and several bins and points."""
    cases = {
        "four bins with two points each": (0.0, 8.0, 4, 2),
        "one point in each bin": (2.5, 4.5, 2, 1),
        "a RoI between the positions": (1.2, 7.9, 7, 2),
        "one bin": (3.0, 4.0, 1, 3),
    }
    check(attempt, sample_points, cases)


def align_1d(values: Tensor, start: float, end: float, n_bins: int) -> Tensor:
    """RoIAlign along one axis: each bin [n_bins] is the mean of two linearly interpolated points.

    values: [n], value i at coordinate i. The RoI from start to end lies between 0 and n - 1.
    """
    at = sample_points(start, end, n_bins, 2)
    low = at.floor().long().clamp(max=len(values) - 2)
    weight = at - low
    interpolated = (1 - weight) * values[low] + weight * values[low + 1]
    return interpolated.view(n_bins, 2).mean(dim=1)


def check_align_1d(attempt: Callable) -> None:
    """Check a function like `align_1d` on a ramp, a step and other values."""
    ramp, step = torch.arange(10.0), (torch.arange(10) > 4).float()
    values = torch.tensor([4.0, 0, 8, 1, 1, 6, 2, 7, 3, 5])
    cases = {
        "a ramp": (ramp, 1.0, 5.0, 2),
        "a ramp, between the positions": (ramp, 2.3, 7.1, 2),
        "a step": (step, 2.3, 7.1, 2),
        "values that go up and down": (values, 2.3, 7.1, 4),
        "a RoI from the first value to the last": (values, 0.0, 9.0, 3),
        "a RoI between two positions": (values, 4.2, 4.9, 2),
    }
    check(attempt, align_1d, cases)
