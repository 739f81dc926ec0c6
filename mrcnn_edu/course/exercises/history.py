"""Lesson 03, from R-CNN to Mask R-CNN: the cost of a layer and of n regions."""

from collections.abc import Callable
from math import ceil

from mrcnn_edu.course.exercises.check import check


def convolution_cost(
    height: int, width: int, inputs: int, outputs: int, kernel: int, stride: int
) -> int:
    """Multiply-adds of a convolution on an input of [inputs, height, width].

    The output's height and width are the input's divided by the stride, rounded up. Each of its
    values is a sum over inputs * kernel * kernel products.
    """
    positions = ceil(height / stride) * ceil(width / stride)
    return positions * outputs * inputs * kernel * kernel


def check_convolution_cost(attempt: Callable) -> None:
    """Check a function like `convolution_cost` on kernels, strides, sizes that do not divide."""
    cases = [(4, 6, 1, 1, 1, 1), (4, 6, 3, 2, 1, 1), (8, 8, 2, 5, 3, 1)]
    check(attempt, convolution_cost, [*cases, (96, 64, 3, 32, 3, 2), (7, 9, 4, 4, 5, 2)])


def regions_cost(n: int, image: int, crop: int, head: int) -> tuple[int, int]:
    """Multiply-adds for n regions: of R-CNN, and of Fast R-CNN, which shares the backbone."""
    return n * (crop + head), image + n * head


def check_regions_cost(attempt: Callable) -> None:
    """Check a function like `regions_cost` on one region, none and many."""
    check(attempt, regions_cost, [(1, 100, 20, 3), (10, 100, 20, 3), (0, 100, 20, 3)])


def sharing_pays_from(image: int, crop: int) -> int:
    """The smallest n for which one pass over the image costs less than n passes over crops."""
    return image // crop + 1


def check_sharing_pays_from(attempt: Callable) -> None:
    """Check a function like `sharing_pays_from` on whole and fractional ratios."""
    check(attempt, sharing_pays_from, [(100, 30), (130, 130), (100, 20), (10**17 + 1, 10**15)])
