"""Lesson 04, the larger task: a feature pyramid from given maps and weights, without any layer."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from mrcnn_edu.course.exercises.check import check


def top_down(maps: list[Tensor], lateral: list[Tensor], output: list[Tensor]) -> list[Tensor]:
    """The maps of a feature pyramid, [D, H_i, W_i] for each given map, and one more.

    maps: [C_i, H_i, W_i], finest first; each is half as high and wide as the one before it, rounded
    up. lateral: weights [D, C_i] of each map's 1 x 1 convolution. output: weights [D, D, 3, 3] of
    each map's last convolution, with padding 1. There are no biases. From the coarsest map to the
    finest, the 1 x 1 convolution of a map is added to the sum of the level above, of which each
    value is repeated as 2 x 2 values, and a row or column too many is cut off. The extra map is
    every second row and column of the coarsest result (FPN, section 3).
    """
    levels: list[Tensor] = []
    total = None
    for features, mixing, kernel in reversed(list(zip(maps, lateral, output, strict=True))):
        mixed = torch.einsum("dc,chw->dhw", mixing, features)
        if total is not None:
            height, width = features.shape[1:]
            enlarged = total.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
            mixed = mixed + enlarged[:, :height, :width]
        total = mixed
        levels.insert(0, conv2d(total[None], kernel, padding=1)[0])
    return [*levels, levels[-1][:, ::2, ::2]]


def check_top_down(attempt: Callable) -> None:
    """Check a function like `top_down` on one to three maps, channels, kernels, and odd sizes."""
    identity = torch.zeros(1, 1, 3, 3)
    identity[0, 0, 1, 1] = 1
    total = torch.ones(1, 1, 3, 3)
    left = torch.zeros(1, 1, 3, 3)
    left[0, 0, 1, 0] = 1  # the value on the left
    two_channels = torch.zeros(2, 2, 3, 3)
    two_channels[0, 1, 1, 1] = two_channels[1, 0, 0, 1] = 1
    one = torch.ones(1, 1)

    def values(channels: int, height: int, width: int) -> Tensor:
        return torch.arange(channels * height * width).view(channels, height, width) % 7 + 1.0

    fine, coarse, coarsest = values(1, 4, 4), 10 * values(1, 2, 2), 100 * values(1, 1, 1)
    cases = {
        "one map": ([fine], [one], [identity]),
        "a 3 x 3 convolution, with zeros around the map": ([fine], [one], [total]),
        "a 1 x 1 convolution of two channels": (
            [values(2, 2, 3)], [torch.tensor([[1.0, -2.0]])], [identity],
        ),
        "two maps: the coarse one is enlarged and added": (
            [fine, coarse], [one, one], [identity, identity],
        ),
        "each map has weights of its own": ([fine, coarse], [one, 2 * one], [left, 3 * identity]),
        "three maps: what is added does not pass the 3 x 3 convolution": (
            [fine, coarse, coarsest], [one, one, one], [identity, left, total],
        ),
        "sides that do not double": (
            [values(1, 5, 3), 10 * values(1, 3, 2)], [one, one], [left, left],
        ),
        "two channels in, two channels out": (
            [values(1, 2, 4), values(2, 1, 2)],
            [torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0, 0.0], [1.0, -1.0]])],
            [two_channels, two_channels],
        ),
    }  # fmt: skip
    check(attempt, top_down, cases)
