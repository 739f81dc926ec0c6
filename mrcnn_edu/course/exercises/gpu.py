"""Lesson 16, the GPU and a kernel: what two small kernels compute, and a roofline in one line.

The solutions here are PyTorch's, so that a kernel has something to be compared with; two kernels
that give the same are in the lesson.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises import check

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BEHIND = 7.0  # what lies in memory behind the end of a tensor, and must stay there


def scale_and_add(x: Tensor, y: Tensor, factor: float, out: Tensor) -> Tensor:
    """factor * x + y, of [N] each, written into out [N], which comes back."""
    return out.copy_(factor * x + y)


def check_scale_and_add(attempt: Callable) -> None:
    """Checks a function like `scale_and_add` with whole blocks, a part of one, and none."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for n, factor in ((16, 2.0), (50, -0.5), (5, 3.0), (0, 2.0)):
        x, y = torch.randn(2, n, generator=generator)
        cases.append((_placed(x), _placed(y), factor, _placed(torch.zeros(n))))
    about = ["one whole block", "three blocks and a part", "less than a block", "no number at all"]
    check(_within_bounds(attempt), scale_and_add, cases, about)


def read_point(rows: Tensor, y: float, x: float, width: int, out: Tensor) -> Tensor:
    """The bilinear mean [C] of the four cells around (y, x), written into out [C], returned.

    rows: [H * W, C], of a map `width` cells wide. 0 <= y < H - 1 and 0 <= x < width - 1.
    """
    top, left = int(y), int(x)
    near = torch.tensor([1 - (y - top), y - top]), torch.tensor([1 - (x - left), x - left])
    weights = torch.outer(*near).flatten().to(rows.device)
    first = top * width + left
    return out.copy_(weights @ rows[[first, first + 1, first + width, first + width + 1]])


def check_read_point(attempt: Callable) -> None:
    """Checks a function like `read_point` on a cell, between two, and between four."""
    generator = torch.Generator().manual_seed(0)
    points = ((0.0, 0.0), (1.0, 2.0), (0.0, 0.25), (1.75, 1.0), (1.25, 3.5))
    cases = []
    for (y, x), channels in zip(points, (4, 5, 8, 20, 20), strict=True):
        rows = torch.randn(3 * 5, channels, generator=generator)
        cases.append((_placed(rows), y, x, 5, _placed(torch.zeros(channels))))
    about = ["the first cell", "on a cell", "between left and right", "between top and bottom"]
    check(_within_bounds(attempt), read_point, cases, [*about, "between four cells"])


def least_seconds(operations: float, n_bytes: float, rate: float, bandwidth: float) -> float:
    """The least time that work can take: a machine computes and moves bytes at the same time.

    rate: operations a second, bandwidth: bytes a second, both at most.
    """
    return max(operations / rate, n_bytes / bandwidth)


def check_least_seconds(attempt: Callable) -> None:
    """Checks a function like `least_seconds` where bytes limit, where operations do, and without.

    Work and machine are small numbers, in which every mistake shows.
    """
    cases = [
        (8.0, 4.0, 4.0, 1.0),
        (80.0, 4.0, 4.0, 1.0),
        (6.0, 3.0, 2.0, 1.0),
        (0.0, 5.0, 2.0, 4.0),
    ]
    check(attempt, least_seconds, cases)


def _placed(values: Tensor) -> Tensor:
    """The same values on the device, with room behind them: a block more of `BEHIND`."""
    memory = torch.full((values.numel() + 4096,), BEHIND, device=DEVICE)
    memory[: values.numel()] = values.flatten()
    return memory[: values.numel()].view(values.shape)


def _within_bounds(attempt: Callable) -> Callable:
    """The attempt, with an error where it has written behind the end of its last argument, out."""

    def run(*arguments):
        answer, out = attempt(*arguments), arguments[-1]
        memory = out.new_empty(0).set_(out.untyped_storage())
        if (memory[out.numel() :] != BEHIND).any():
            raise IndexError("it writes behind the end of out: give tl.store a mask")
        return answer

    return run
