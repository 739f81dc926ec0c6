"""Lesson 16, the GPU: when a queue of kernels is done, and what limits a network's layers."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.viz.diagrams.queue import queue_times


def time_of_queue(durations: list[float], launch: float, reads: list[int]) -> float:
    """When the last kernel is done. Python launches them in turn, each in the time `launch`.

    durations: how long the GPU takes for each. reads: the indices of the kernels whose result
    Python reads before it launches the next one.
    """
    return float(queue_times(durations, launch, reads).total)


def check_time_of_queue(attempt: Callable) -> None:
    """Check a function like `time_of_queue` on large and small kernels, with and without reads."""
    cases = {
        "one kernel": ([7.0], 5.0, []),
        "large kernels: the GPU is behind": ([20.0, 20.0, 20.0], 5.0, []),
        "small kernels: the GPU waits": ([2.0, 2.0, 2.0, 2.0], 5.0, []),
        "large and small ones": ([2.0, 30.0, 1.0, 1.0, 1.0, 3.0], 5.0, []),
        "a result is read": ([20.0, 20.0, 20.0], 5.0, [0]),
        "all results are read": ([20.0, 1.0, 8.0], 5.0, [0, 1, 2]),
        "no kernel": ([], 5.0, []),
    }
    check(attempt, time_of_queue, cases)


def least_time(
    operations: Tensor, n_bytes: Tensor, rate: float, bandwidth: float
) -> tuple[float, Tensor]:
    """The least time of layers that run one after another, and which of them bytes limit.

    operations, n_bytes [L]: of each layer. rate: operations per second. bandwidth: bytes per
    second. Returns the seconds of all layers together, and [L] bool. Where both take the same time,
    operations limit.
    """
    compute, move = operations / rate, n_bytes / bandwidth
    return float(torch.maximum(compute, move).sum()), move > compute


def check_least_time(attempt: Callable) -> None:
    """Check a function like `least_time`; the numbers are small, so that mistakes are visible."""
    cases = {
        "bytes limit": ([2.0], [6.0], 4.0, 2.0),
        "operations limit": ([80.0], [6.0], 4.0, 2.0),
        "one of each": ([80.0, 2.0], [6.0, 6.0], 4.0, 2.0),
        "both take the same time": ([8.0, 1.0], [4.0, 4.0], 4.0, 2.0),
        "a layer that only copies": ([0.0, 12.0, 30.0], [5.0, 1.0, 16.0], 2.0, 4.0),
    }
    tensors = {
        topic: (torch.tensor(operations), torch.tensor(n_bytes), rate, bandwidth)
        for topic, (operations, n_bytes, rate, bandwidth) in cases.items()
    }
    check(attempt, least_time, tensors)
