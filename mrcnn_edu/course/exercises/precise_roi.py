"""Lesson 07, the larger task: RoIAlign with all points of a bin, by an exact integral."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def precise_roi_pool(features: Tensor, box: Tensor, stride: int, n_bins: int) -> Tensor:
    """The mean [C, P, P] of the interpolated map over all points of each bin: PrRoIPool of IoU-Net.

    features: [C, H, W], value i at pixel i * stride. box: [4], in image pixels, within the map.
    n_bins: P. The weights of the rows and of the columns are two matrices, since the interpolation
    is a product of one function of y and one of x.
    """
    x1, y1, x2, y2 = (box / stride).tolist()
    _, height, width = features.shape
    rows = bin_weights(y1, y2, height, n_bins)  # [P, H]
    columns = bin_weights(x1, x2, width, n_bins)  # [P, W]
    return rows @ features @ columns.T


def bin_weights(start: float, end: float, length: int, n_bins: int) -> Tensor:
    """How much each of the values along one axis counts in the mean of each bin [P, length]."""
    edges = start + (end - start) * torch.arange(n_bins + 1)[:, None] / n_bins  # [P + 1, 1]
    t = (edges - torch.arange(length)).clamp(-1, 1)  # the hat of a value ends one step away from it
    area = 0.5 + t - t * t.abs() / 2  # of the hat, from its left end up to t
    return area.diff(dim=0) * n_bins / (end - start)


def check_precise_roi_pool(attempt: Callable) -> None:
    """Check a function like `precise_roi_pool` on maps whose means can be computed by hand."""
    ramp = torch.arange(6.0).expand(1, 5, 6)
    spike = torch.zeros(1, 5, 6)
    spike[0, 2, 3] = 8.0
    values = torch.tensor([[1.0, 0, 2, 1], [0, 3, 7, 1], [2, 5, 1, 8], [1, 6, 0, 2]])[None]
    both = torch.cat((ramp, spike))
    cases = {
        "the same value everywhere": (torch.full((1, 4, 4), 3.0), t4(10, 12, 42, 38), 16, 2),
        "a ramp along x": (ramp, t4(24, 24, 56, 48), 16, 2),
        "a ramp along y": (ramp.transpose(1, 2), t4(24, 24, 48, 56), 16, 2),
        "one value only, in the middle of a bin": (spike, t4(32, 16, 64, 48), 16, 1),
        "one value only, at the border of two bins": (spike, t4(32, 16, 64, 48), 16, 2),
        "whole numbers": (values, t4(10, 12, 42, 38), 16, 2),
        "a bin that contains several positions": (values, t4(2, 4, 47, 45), 16, 1),
        "bins that lie between two positions": (values, t4(18, 19, 30, 31), 16, 3),
        "two channels, and another stride": (both, t4(9, 5, 35, 27), 8, 3),
    }
    check(attempt, precise_roi_pool, cases)


def t4(*corners: float) -> Tensor:
    """A box [4]."""
    return torch.tensor(corners, dtype=torch.float32)
