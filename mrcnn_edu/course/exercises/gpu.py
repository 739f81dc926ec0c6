"""Lesson 16, the GPU and a kernel: what two small kernels compute, the roofline in one line.

The solutions are written in PyTorch, as a reference for the kernels; the lesson has two kernels
that compute the same.
"""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GUARD = 7.0  # the value in memory beyond the end of a tensor, which must not be overwritten


def scale_and_add(x: Tensor, y: Tensor, factor: float, out: Tensor) -> Tensor:
    """factor * x + y of x and y [N], written into out [N], which is returned."""
    return out.copy_(factor * x + y)


def check_scale_and_add(attempt: Callable) -> None:
    """Check a function like `scale_and_add` on whole blocks, a part of one, and none."""
    generator = torch.Generator().manual_seed(0)
    sizes = {
        "one whole block": (16, 2.0),
        "three blocks and a part": (50, -0.5),
        "less than a block": (5, 3.0),
        "no value at all": (0, 2.0),
    }
    cases = {}
    for topic, (n, factor) in sizes.items():
        x, y = torch.randn(2, n, generator=generator)
        cases[topic] = _guarded(x), _guarded(y), factor, _guarded(torch.zeros(n))
    check(_within_bounds(attempt), scale_and_add, cases)


def read_point(rows: Tensor, y: float, x: float, width: int, out: Tensor) -> Tensor:
    """The features at (y, x) by bilinear interpolation, written into out [C], which is returned.

    rows: [H * W, C], the features of a map of this width W. 0 <= y < H - 1 and 0 <= x < W - 1.
    """
    top, left = int(y), int(x)
    near = torch.tensor([1 - (y - top), y - top]), torch.tensor([1 - (x - left), x - left])
    weights = torch.outer(*near).flatten().to(rows.device)
    first = top * width + left
    return out.copy_(weights @ rows[[first, first + 1, first + width, first + width + 1]])


def check_read_point(attempt: Callable) -> None:
    """Check a function like `read_point` at a position of the map, and between two and four."""
    generator = torch.Generator().manual_seed(0)
    points = {
        "the first position": (0.0, 0.0, 4),
        "a position of the map": (1.0, 2.0, 5),
        "between left and right": (0.0, 0.25, 8),
        "between top and bottom": (1.75, 1.0, 20),
        "between four positions": (1.25, 3.5, 20),
    }
    cases = {}
    for topic, (y, x, channels) in points.items():
        rows = torch.randn(3 * 5, channels, generator=generator)
        cases[topic] = _guarded(rows), y, x, 5, _guarded(torch.zeros(channels))
    check(_within_bounds(attempt), read_point, cases)


def min_seconds(operations: float, n_bytes: float, rate: float, bandwidth: float) -> float:
    """The minimal time of a computation on a machine that computes and moves bytes concurrently.

    rate: peak operations per second. bandwidth: peak bytes per second.
    """
    return max(operations / rate, n_bytes / bandwidth)


def check_min_seconds(attempt: Callable) -> None:
    """Check a function like `min_seconds` where bytes limit, where operations do, without any.

    The numbers are small, so that every mistake is visible.
    """
    cases = [
        (8.0, 4.0, 4.0, 1.0),
        (80.0, 4.0, 4.0, 1.0),
        (6.0, 3.0, 2.0, 1.0),
        (0.0, 5.0, 2.0, 4.0),
    ]
    check(attempt, min_seconds, cases)


def _guarded(values: Tensor) -> Tensor:
    """The same values on the device, followed by a block of `GUARD` in memory."""
    memory = torch.full((values.numel() + 4096,), GUARD, device=DEVICE)
    memory[: values.numel()] = values.flatten()
    return memory[: values.numel()].view(values.shape)


def _within_bounds(attempt: Callable) -> Callable:
    """The attempt, but it raises IndexError if it writes beyond the end of its last argument."""

    @wraps(attempt)
    def run(*arguments):
        returned, out = attempt(*arguments), arguments[-1]
        memory = out.new_empty(0).set_(out.untyped_storage())
        if (memory[out.numel() :] != GUARD).any():
            raise IndexError("it writes beyond the end of out: give tl.store a mask")
        return returned

    return run
