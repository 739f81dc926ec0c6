"""Lesson 08, heads: parameters of the mask head, deconvolution, the m x m mask's limit."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def fcn_parameters(in_channels: int, channels: int, n_convs: int, n_classes: int) -> int:
    """The number of parameters of a MaskHeadFCN, biases included, for n_convs >= 1."""
    convs = 9 * in_channels * channels + channels
    convs += (n_convs - 1) * (9 * channels * channels + channels)
    deconvolution = 4 * channels * channels + channels
    return convs + deconvolution + (channels + 1) * (n_classes + 1)


def check_fcn_parameters(attempt: Callable) -> None:
    """Check a function like `fcn_parameters` on equal and unequal channels, and the paper's."""
    cases = {
        "equal numbers of channels": (4, 4, 2, 3),
        "one convolution": (8, 4, 1, 1),
        "our small head": (64, 48, 2, 6),
        "the paper's head": (256, 256, 4, 80),
    }
    check(attempt, fcn_parameters, cases)


def deconvolve(values: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """The transposed convolution of a map [h, w] with a kernel [k, k]; overlaps add up."""
    (h, w), k = values.shape, len(kernel)
    out = torch.zeros((h - 1) * stride + k, (w - 1) * stride + k)
    for i in range(h):
        for j in range(w):
            y, x = i * stride, j * stride
            out[y : y + k, x : x + k] += values[i, j] * kernel
    return out


def check_deconvolve(attempt: Callable) -> None:
    """Check a function like `deconvolve` on kernels that touch, that overlap, and with gaps."""
    square = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, -1.0]])
    cases = {
        "stamps side by side": (torch.tensor([[1.0, 3.0]]), square, 2),
        "stamps that overlap by one": (square, cross, 2),
        "stride 1": (cross[:2], square, 1),
        "gaps between the stamps": (square, square, 3),
    }
    check(attempt, deconvolve, cases)


def upper_bound(mask: Tensor, m: int) -> float:
    """The IoU of a mask [S, S] with its own m x m version, scaled back; S is a multiple of m."""
    block = len(mask) // m  # pixels along one side of a mask pixel
    small = mask.float().view(m, block, m, block).mean(dim=(1, 3)) >= 0.5  # [m, m]
    back = small.repeat_interleave(block, dim=0).repeat_interleave(block, dim=1)  # [S, S]
    return ((mask & back).sum() / (mask | back).sum()).item()


def check_upper_bound(attempt: Callable) -> None:
    """Check a function like `upper_bound` on a corner, a lost pixel, halves, the mask itself."""
    corner, lost, half = (torch.zeros(4, 4, dtype=torch.bool) for _ in range(3))
    corner[:3, :3] = True
    lost[0, 0] = lost[2:, :2] = True  # a single pixel, and a whole block
    half[:, 1] = True  # exactly half of two blocks
    strip = torch.zeros(6, 6, dtype=torch.bool)
    strip[1:5, :2] = True
    cases = {
        "a corner": (corner, 2),
        "a single pixel in a block": (lost, 2),
        "blocks that are half full": (half, 2),
        "blocks of 3 x 3 pixels": (strip, 2),
        "as many blocks as pixels": (strip, 6),
    }
    check(attempt, upper_bound, cases)
