"""Lesson 04, backbone and pyramid: sizes of maps, receptive fields, the level of a box."""

from collections.abc import Callable
from math import floor, log2, sqrt

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def map_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """The height or width of a convolution's output, for an input of this height or width."""
    return (size + 2 * padding - kernel) // stride + 1


def check_map_size(attempt: Callable) -> None:
    """Check a function like `map_size` on even and odd sizes, strides 1 to 16, some padding."""
    cases = [(96, 3, 2, 1), (97, 3, 2, 1), (800, 7, 2, 3), (20, 3, 1, 0), (50, 3, 2, 1)]
    check(attempt, map_size, [*cases, (17, 1, 2, 0), (224, 16, 16, 0), (23, 5, 4, 2)])


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """The receptive field, in pixels along one axis, after layers of (kernel, stride) in order."""
    field = step = 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


def check_receptive_field(attempt: Callable) -> None:
    """Check a function like `receptive_field` on no, one and several layers."""
    cases = [[(3, 1)], [(3, 1), (3, 1)], [(3, 2), (3, 2)], [(7, 2), (3, 2), (1, 1), (3, 1)], []]
    check(attempt, receptive_field, [(layers,) for layers in cases])


def level_of(box: Tensor, canonical_size: float) -> int:
    """The level k in 2..5, of stride 2^k, from which a box [4] is pooled."""
    x1, y1, x2, y2 = box.tolist()
    k = floor(4 + log2(sqrt((x2 - x1) * (y2 - y1)) / canonical_size))
    return min(max(k, 2), 5)


def check_level_of(attempt: Callable) -> None:
    """Check a function like `level_of` on squares, a tall box, and both ends of the range."""
    boxes = [[0, 0, 300, 300], [10, 10, 210, 210], [50, 20, 150, 420], [5, 5, 15, 15]]
    cases = [(torch.tensor(box).float(), 224) for box in [*boxes, [0, 0, 1000, 1200]]]
    check(attempt, level_of, [*cases, (torch.tensor([0.0, 0, 60, 60]), 80)])
