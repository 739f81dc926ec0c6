"""Lesson 17, what each part costs: a layer, sharing, and a whole detector, in multiply-adds."""

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
    cases = {
        "one channel, a 1 x 1 kernel": (4, 6, 1, 1, 1, 1),
        "three input channels and two output channels": (4, 6, 3, 2, 1, 1),
        "a 3 x 3 kernel": (8, 8, 2, 5, 3, 1),
        "a stride of 2": (96, 64, 3, 32, 3, 2),
        "sides that the stride does not divide": (7, 9, 4, 4, 5, 2),
    }
    check(attempt, convolution_cost, cases)


def sharing_pays_from(image: int, crop: int) -> int:
    """The smallest n for which one pass over the image costs less than n passes over crops."""
    return image // crop + 1


def check_sharing_pays_from(attempt: Callable) -> None:
    """Check a function like `sharing_pays_from` on whole and fractional ratios."""
    cases = {
        "an image that costs a little more than three crops": (100, 30),
        "an image that costs as much as a crop": (130, 130),
        "an image that costs exactly five crops": (100, 20),
        "numbers so large that a float rounds them": (10**17 + 1, 10**15),
    }
    check(attempt, sharing_pays_from, cases)


def detector_cost(
    layers: list[tuple[int, int, int]],
    widths: list[int],
    image_size: tuple[int, int],
    crop_size: tuple[int, int],
    n_regions: int,
) -> tuple[int, int, int]:
    """Multiply-adds of R-CNN and of Fast R-CNN, and the number of regions from which sharing pays.

    layers: (outputs, kernel, stride) of each of the backbone's convolutions, on 3 channels. widths:
    the outputs of each fully connected layer of the head, whose input is 7 x 7 values of each of
    the backbone's channels. R-CNN runs the backbone on a crop for each region, Fast R-CNN once on
    the image. Sizes are (height, width). Sharing pays from the smallest number of regions for which
    Fast R-CNN costs less.
    """

    def backbone_cost(height: int, width: int) -> int:
        cost, inputs = 0, 3
        for outputs, kernel, stride in layers:
            cost += convolution_cost(height, width, inputs, outputs, kernel, stride)
            height, width, inputs = ceil(height / stride), ceil(width / stride), outputs
        return cost

    image, crop = backbone_cost(*image_size), backbone_cost(*crop_size)
    inputs = [layers[-1][0] * 7 * 7, *widths[:-1]]
    head = sum(n_in * n_out for n_in, n_out in zip(inputs, widths, strict=True))
    return n_regions * (crop + head), image + n_regions * head, image // crop + 1


def check_detector_cost(attempt: Callable) -> None:
    """Check a function like `detector_cost` on one and several layers, on sizes, on regions."""
    one, three = [(4, 1, 1)], [(8, 3, 2), (8, 3, 1), (16, 3, 2)]
    cases = {
        "one layer, one region, a crop as large as the image": (one, [5], (8, 8), (8, 8), 1),
        "ten regions": (one, [5], (8, 8), (8, 8), 10),
        "an image four times as large as a crop": (one, [5], (8, 8), (4, 4), 10),
        "a head of two layers": (one, [6, 5], (8, 8), (4, 4), 10),
        "three layers, two of stride 2": (three, [6, 5], (64, 96), (16, 16), 10),
        "sides that the strides do not divide": (three, [6, 5], (37, 50), (15, 15), 10),
        "no region": (three, [6, 5], (64, 96), (16, 16), 0),
    }
    check(attempt, detector_cost, cases)
