"""Lesson 07, RoIPool against RoIAlign: RoIPool's rounding, RoIAlign along one axis."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def moved_by_rounding(box: Tensor, stride: int) -> Tensor:
    """How far RoIPool's first rounding moves each border of a RoI [4], in image pixels [4]."""
    return (box / stride + 0.5).floor() * stride - box  # RoIPool rounds halves up, .round() to even


def check_moved_by_rounding(attempt: Callable) -> None:
    """Check a function like `moved_by_rounding` at strides 16 and 8."""
    boxes = [[32, 16, 64, 80], [39, 28, 117, 90], [3, 5, 101, 61], [10.5, 20.25, 31.75, 44]]
    cases = [(torch.tensor(box, dtype=torch.float32), s) for s in (16, 8) for box in boxes]
    check(attempt, moved_by_rounding, cases)


def sample_points(start: float, end: float, n_bins: int, n_points: int) -> Tensor:
    """RoIAlign's sample points along one axis [n_bins * n_points].

    The RoI from start to end is divided into n_bins equal bins, and each bin into n_points equal
    parts, with a sample point at the center of each part.
    """
    step = (end - start) / (n_bins * n_points)
    return start + (torch.arange(n_bins * n_points) + 0.5) * step


def check_sample_points(attempt: Callable) -> None:
    """Check a function like `sample_points` on one and several bins and points."""
    cases = [(0.0, 8.0, 4, 2), (2.5, 4.5, 2, 1), (1.2, 7.9, 7, 2), (3.0, 4.0, 1, 3)]
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
    """Check a function like `align_1d` on a ramp, a step and random values."""
    ramp, step = torch.arange(10.0), (torch.arange(10) > 4).float()
    random = torch.rand(10, generator=torch.Generator().manual_seed(0))
    rois = [(1.0, 5.0, 2), (2.3, 7.1, 2), (0.0, 9.0, 3), (4.2, 4.9, 2)]
    check(attempt, align_1d, [(values, *roi) for values in (ramp, step, random) for roi in rois])
