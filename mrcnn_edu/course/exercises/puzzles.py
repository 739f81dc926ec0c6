"""Lesson 16, four puzzles: kernels from a bias and a ReLU up to points between positions.

A check launches the reader's kernel and compares what it has written. The solutions here say in
PyTorch what each kernel computes; `mrcnn_edu.course.gpu_kernels` has kernels that do it.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GUARD = 7.0  # the value in memory beyond the end of a tensor, which must not be overwritten
BLOCK = 16


def bias_and_relu(rows: Tensor, bias: Tensor, out: Tensor, C: int, BLOCK: int) -> Tensor:
    """max(rows + bias, 0) of rows [N, C] and bias [C], written into out [N, C]; returns out."""
    return out.copy_((rows + bias).relu())


def check_bias_and_relu(attempt: Any) -> None:
    """Check a kernel like `bias_and_relu` for different numbers of rows and channels."""
    generator = torch.Generator().manual_seed(0)
    sizes = {
        "one row, one whole block": (1, 16),
        "three rows of one block": (3, 16),
        "channels that fill no block": (3, 5),
        "several blocks in a row": (2, 40),
    }
    cases = {}
    for topic, (n, channels) in sizes.items():
        rows = torch.randn(n, channels, generator=generator)
        bias = torch.linspace(-1, 1, channels)
        out = guarded(torch.zeros(n, channels))
        cases[topic] = guarded(rows), guarded(bias), out, channels, BLOCK
    run = launched(attempt, bias_and_relu, lambda case: (len(case["rows"]), blocks(case["C"])))
    check(run, bias_and_relu, cases)


def mean_of_rows(rows: Tensor, out: Tensor, N: int, C: int, BLOCK: int) -> Tensor:
    """The mean of rows [N, C] over the rows, written into out [C], which is returned."""
    return out.copy_(rows.float().mean(dim=0))


def check_mean_of_rows(attempt: Any) -> None:
    """Check a kernel like `mean_of_rows`, also where bfloat16 would be too short for the sum."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"one row": (1, 16), "several rows": (6, 16), "a part of a block": (5, 20)}
    cases = {}
    for topic, (n, channels) in sizes.items():
        rows = torch.randn(n, channels, generator=generator)
        cases[topic] = guarded(rows), guarded(torch.zeros(channels)), n, channels, BLOCK
    ones = torch.ones(600, 4, dtype=torch.bfloat16)
    cases["600 rows in bfloat16"] = guarded(ones), guarded(torch.zeros(4)), 600, 4, BLOCK
    check(launched(attempt, mean_of_rows, lambda case: (blocks(case["C"]),)), mean_of_rows, cases)


def weighted_gather(
    rows: Tensor, index: Tensor, weight: Tensor, out: Tensor, taps: int, C: int, BLOCK: int
) -> Tensor:
    """Weighted sums of rows [M, C], written into out [N, C], which is returned.

    index, weight [N, taps]: out[i] is the sum of weight[i, k] * rows[index[i, k]] over all k.
    """
    return out.copy_((weight[:, :, None] * rows[index]).sum(dim=1))


def check_weighted_gather(attempt: Any) -> None:
    """Check a kernel like `weighted_gather`, also with a row that is read twice."""
    generator = torch.Generator().manual_seed(0)
    sizes = {
        "one row with weight 1": (1, 1, 16),
        "two taps": (1, 2, 16),
        "several sums": (3, 4, 5),
        "several blocks in a row": (2, 3, 40),
    }
    cases = {}
    for topic, (n, taps, channels) in sizes.items():
        rows = torch.randn(6, channels, generator=generator)
        index = torch.randint(1, 6, (n, taps), generator=generator)
        weight = torch.rand(n, taps, generator=generator) if taps > 1 else torch.ones(n, taps)
        out = guarded(torch.zeros(n, channels))
        cases[topic] = guarded(rows), index.to(DEVICE), guarded(weight), out, taps, channels, BLOCK
    twice = [value.clone() for value in cases["two taps"][:3]]
    twice[1][0] = 2
    out = guarded(torch.zeros(1, 16))
    cases["the same row twice"] = (*map(guarded, twice), out, 2, 16, BLOCK)
    run = launched(attempt, weighted_gather, lambda case: (len(case["index"]), blocks(case["C"])))
    check(run, weighted_gather, cases)


def read_points(
    rows: Tensor, points: Tensor, out: Tensor, width: int, C: int, BLOCK: int
) -> Tensor:
    """The features at points [N, 2] (y, x) by bilinear interpolation, into out [N, C]; returns out.

    rows [H * W, C]: the features of a map of this width W. 0 <= y < H - 1 and 0 <= x < W - 1.
    """
    top, left = points.long().unbind(1)
    dy, dx = (points - points.floor()).unbind(1)
    first = top * width + left
    index = torch.stack((first, first + 1, first + width, first + width + 1), dim=1)
    weight = torch.stack(((1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx), dim=1)
    return out.copy_((weight[:, :, None] * rows[index]).sum(dim=1))


def check_read_points(attempt: Any) -> None:
    """Check a kernel like `read_points` at a position of the map, and between two and four."""
    generator = torch.Generator().manual_seed(0)
    topics: Mapping[str, tuple[list[list[float]], int]] = {
        "the first position": ([[0.0, 0.0]], 4),
        "a position of the map": ([[1.0, 2.0]], 5),
        "between left and right": ([[0.0, 0.25]], 8),
        "between top and bottom": ([[1.75, 1.0]], 20),
        "between four positions": ([[1.25, 3.5]], 20),
        "several points": ([[1.25, 3.5], [0.5, 0.125], [1.75, 2.0]], 6),
    }
    cases = {}
    for topic, (points, channels) in topics.items():
        rows = torch.randn(3 * 5, channels, generator=generator)
        out = guarded(torch.zeros(len(points), channels))
        cases[topic] = guarded(rows), guarded(torch.tensor(points)), out, 5, channels, BLOCK
    run = launched(attempt, read_points, lambda case: (len(case["points"]), blocks(case["C"])))
    check(run, read_points, cases)


def blocks(n: int) -> int:
    """The number of blocks that n values need."""
    return -(-n // BLOCK)


def guarded(values: Tensor) -> Tensor:
    """The same values on the device, followed by 4,096 values `GUARD` in memory."""
    memory = torch.full((values.numel() + 4096,), GUARD, dtype=values.dtype, device=DEVICE)
    memory[: values.numel()] = values.flatten()
    return memory[: values.numel()].view(values.shape)


def launched(
    attempt: Any, solution: Callable, grid: Callable[[Mapping[str, Any]], tuple[int, ...]]
) -> Any:
    """A function that launches the attempt, a kernel, and returns `out`; None if it has no body.

    grid: the grid for the arguments, by the names that the solution gives them. An attempt that is
    a plain function is called instead. The function raises IndexError if the attempt writes beyond
    the end of `out`.
    """
    function = getattr(attempt, "fn", attempt)
    if not callable(function):
        return attempt
    is_kernel, parameters = function is not attempt, signature(solution).parameters

    @wraps(function)
    def run(*arguments: Any) -> Any:
        if is_kernel and function.__code__.co_code == _empty.__code__.co_code:
            return None
        named = dict(zip(parameters, arguments, strict=True))
        out = named["out"]
        returned = attempt[grid(named)](*arguments) if is_kernel else attempt(*arguments)
        memory = out.new_empty(0).set_(out.untyped_storage())
        if (memory[out.numel() :] != GUARD).any():
            raise IndexError("it writes beyond the end of out: give tl.store a mask")
        return out if is_kernel else returned

    return run


def _empty(): ...
