"""Lesson 04, backbone and pyramid: sizes of maps, receptive fields, the level of a box."""

from collections.abc import Callable
from math import floor, log2, sqrt

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.top_down import check_top_down as check_top_down
from mrcnn_edu.course.exercises.top_down import top_down as top_down


def map_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """The height or width of a convolution's output, for an input of this height or width."""
    return (size + 2 * padding - kernel) // stride + 1


def check_map_size(attempt: Callable) -> None:
    """Check a function like `map_size` on even and odd sizes, strides 1 to 16, some padding."""
    cases = {
        "an even size is halved": (96, 3, 2, 1),
        "an odd size is halved, and rounded up": (97, 3, 2, 1),
        "the first layer of ResNet-50": (800, 7, 2, 3),
        "no padding: the border is lost": (20, 3, 1, 0),
        "a 1 x 1 kernel with stride 2": (17, 1, 2, 0),
        "patches that do not overlap": (224, 16, 16, 0),
        "a stride that does not divide the size": (23, 5, 4, 2),
    }
    check(attempt, map_size, cases)


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """The receptive field, in pixels along one axis, after layers of (kernel, stride) in order."""
    field = 1
    step = 1  # the distance, in pixels, between two values that the next layer reads
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


def check_receptive_field(attempt: Callable) -> None:
    """Check a function like `receptive_field` on no, one and several layers."""
    cases = {
        "one layer": ([(3, 1)],),
        "two layers of stride 1": ([(3, 1), (3, 1)],),
        "two layers of stride 2": ([(3, 2), (3, 2)],),
        "kernels of several sizes": ([(7, 2), (3, 2), (1, 1), (3, 1)],),
        "a stride in the last layer, which no layer reads": ([(5, 1), (3, 4)],),
        "no layer: a value is a pixel": ([],),
    }
    check(attempt, receptive_field, cases)


def pixels_seen(layers: list[tuple[int, int, int, int]], index: int) -> tuple[int, int]:
    """The first pixel that a value depends on, along one axis, and the pixel after the last one.

    layers: (kernel, stride, padding, dilation) of each convolution, in order. index: the value's
    position in the last layer's output. Pixels outside the image are counted, too: pixel -1 is the
    first one in the padding.
    """
    first, last = index, index
    for kernel, stride, padding, dilation in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + dilation * (kernel - 1)
    return first, last + 1


def check_pixels_seen(attempt: Callable) -> None:
    """Check a function like `pixels_seen` with each of stride, padding and dilation, and all."""
    plain, padded, halving = (3, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1)
    cases = {
        "no padding: value 0 is in the corner": ([plain], 0),
        "another value of the same layer": ([plain], 5),
        "padding moves everything to the left": ([padded], 0),
        "two layers": ([padded, padded], 4),
        "a stride of 2": ([halving], 3),
        "two strides of 2": ([halving, halving], 3),
        "a dilation of 2: the kernel reads every second pixel": ([(3, 1, 2, 2)], 4),
        "a dilation behind a stride": ([halving, (3, 1, 2, 2)], 4),
        "a kernel of even width": ([(4, 4, 0, 1)], 3),
        "strides, paddings and dilations of all kinds": (
            [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 4, 4), (1, 1, 0, 1), (3, 2, 2, 2)], 6,
        ),
        "no layer": ([], 8),
    }  # fmt: skip
    check(attempt, pixels_seen, cases)


def level_of(box: Tensor, canonical_size: float) -> int:
    """The level k in 2..5, of stride 2^k, from which a box [4] is pooled."""
    x1, y1, x2, y2 = box.tolist()
    size = sqrt((x2 - x1) * (y2 - y1))
    k = floor(4 + log2(size / canonical_size))
    return min(max(k, 2), 5)


def check_level_of(attempt: Callable) -> None:
    """Check a function like `level_of` on squares, a tall box, and both ends of the range."""
    boxes = {
        "a square that is larger than the canonical size": [0, 0, 300, 300],
        "a square that is a little smaller": [10, 10, 210, 210],
        "a tall box: its area counts": [50, 20, 150, 420],
        "a box too small for the finest level": [5, 5, 15, 15],
        "a box too large for the coarsest level": [0, 0, 1000, 1200],
    }
    cases = {topic: (torch.tensor(box).float(), 224) for topic, box in boxes.items()}
    cases["another canonical size"] = (torch.tensor([0.0, 0, 60, 60]), 80)
    check(attempt, level_of, cases)
