"""Lesson 08, heads: the size of a mask head, a deconvolution, what m x m cells can show."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises import check


def fcn_parameters(in_channels: int, channels: int, n_convs: int, n_classes: int) -> int:
    """How many numbers a MaskHeadFCN learns: weights and biases, for n_convs >= 1."""
    convs = 9 * in_channels * channels + channels
    convs += (n_convs - 1) * (9 * channels * channels + channels)
    deconvolution = 4 * channels * channels + channels
    return convs + deconvolution + (channels + 1) * (n_classes + 1)


def check_fcn_parameters(attempt: Callable) -> None:
    """Checks a function like `fcn_parameters` on equal and unequal widths, and the paper's."""
    cases = [(4, 4, 2, 3), (8, 4, 1, 1), (64, 48, 2, 6), (256, 256, 4, 80)]
    check(attempt, fcn_parameters, cases)


def deconvolve(values: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """The transposed convolution of a map [h, w] with a kernel [k, k]; overlapping stamps add."""
    (h, w), k = values.shape, len(kernel)
    out = torch.zeros((h - 1) * stride + k, (w - 1) * stride + k)
    for i in range(h):
        for j in range(w):
            y, x = i * stride, j * stride
            out[y : y + k, x : x + k] += values[i, j] * kernel
    return out


def check_deconvolve(attempt: Callable) -> None:
    """Checks a function like `deconvolve` on stamps that touch, that overlap, and with gaps."""
    square = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, -1.0]])
    cases = [(torch.tensor([[1.0, 3.0]]), square, 2), (square, cross, 2), (cross[:2], square, 1)]
    check(attempt, deconvolve, [*cases, (square, square, 3)])


def upper_bound(mask: Tensor, m: int) -> float:
    """The IoU of a mask [S, S] with itself seen in m x m blocks; S is a multiple of m."""
    side = len(mask) // m
    blocks = mask.float().view(m, side, m, side).mean(dim=(1, 3)) >= 0.5  # [m, m]
    back = blocks.repeat_interleave(side, dim=0).repeat_interleave(side, dim=1)  # [S, S]
    return ((mask & back).sum() / (mask | back).sum()).item()


def check_upper_bound(attempt: Callable) -> None:
    """Checks a function like `upper_bound`: a corner, a lost line, halves, and the mask itself."""
    corner, line, half = (torch.zeros(4, 4, dtype=torch.bool) for _ in range(3))
    corner[:3, :3] = True
    line[0, 0] = line[2:, :2] = True  # one pixel alone, and a whole block
    half[:, 1] = True  # exactly half of two blocks
    wide = torch.zeros(6, 6, dtype=torch.bool)
    wide[1:5, :2] = True
    check(attempt, upper_bound, [(corner, 2), (line, 2), (half, 2), (wide, 2), (wide, 6)])
