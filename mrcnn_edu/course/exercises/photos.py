"""Lesson 15, real photographs: what a network sees of one, polygons as masks, and a fair split."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def seen_size(
    size: tuple[int, int], short_side: int, long_side: int, multiple: int
) -> tuple[int, int, int, int]:
    """(height, width) after resizing, and (height, width) of the padded input, of an image.

    size: the image's (height, width). The shorter side becomes `short_side`, or the longer one
    `long_side` if that makes the image smaller; fractions of a pixel are cut off. Each side of the
    input is the next multiple of `multiple`.
    """
    scale = min(short_side / min(size), long_side / max(size))
    height, width = int(scale * size[0]), int(scale * size[1])
    padded_height = -(-height // multiple) * multiple
    padded_width = -(-width // multiple) * multiple
    return height, width, padded_height, padded_width


def check_seen_size(attempt: Callable) -> None:
    """Check a function like `seen_size` on wide, high, long and small photographs."""
    cases = {
        "a wide photograph": ((400, 600), 800, 1333, 32),
        "a high photograph": ((600, 400), 800, 1333, 32),
        "a very wide one: the long side decides": ((500, 2000), 800, 1333, 32),
        "a fraction of a pixel": ((303, 384), 96, 160, 16),
        "a small one is enlarged": ((60, 80), 96, 160, 16),
        "nothing to pad": ((480, 640), 96, 160, 16),
    }
    check(attempt, seen_size, cases)


def split_objects(boxes: Tensor, cut: float) -> tuple[Tensor, Tensor, Tensor]:
    """Which objects [M] bool are for training, for testing, and on both sides of a cut at x.

    boxes: [M, 4]. An object is for training if all of its box lies left of the cut, which may touch
    it, and for testing if all of it lies right of the cut.
    """
    train, test = boxes[:, 2] <= cut, boxes[:, 0] >= cut
    return train, test, ~(train | test)


def check_split_objects(attempt: Callable) -> None:
    """Check a function like `split_objects` on boxes left, right and across the cut."""
    boxes = torch.tensor(
        [
            [10.0, 5, 60, 50],
            [120, 5, 160, 50],
            [80, 20, 130, 60],
            [60, 0, 100, 30],
            [100, 0, 140, 9],
        ]
    )
    cases = {
        "one on each side": (boxes[:2], 100.0),
        "one across": (boxes[:3], 100.0),
        "boxes that touch the cut": (boxes, 100.0),
        "a cut elsewhere": (boxes, 125.0),
        "no object": (boxes[:0], 100.0),
    }
    check(attempt, split_objects, cases)


def fill_polygon(polygon: Sequence[tuple[float, float]], height: int, width: int) -> Tensor:
    """The mask [height, width] bool of the pixels whose centers lie inside a polygon.

    polygon: its corners (x, y). The center of the pixel in row i and column j is at
    (j + 0.5, i + 0.5). A point is inside if a ray from it to the right crosses the outline an odd
    number of times.
    """
    y = torch.arange(height)[:, None] + 0.5
    x = torch.arange(width) + 0.5
    inside = torch.zeros(height, width, dtype=torch.bool)
    for (x1, y1), (x2, y2) in pairwise([*polygon, polygon[0]]):
        if y1 == y2:
            continue  # a ray that is parallel to an edge does not cross it
        reaches = (y >= min(y1, y2)) & (y < max(y1, y2))
        crossing = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
        inside ^= reaches & (crossing > x)
    return inside


def check_fill_polygon(attempt: Callable) -> None:
    """Check a function like `fill_polygon` on convex polygons, and on others."""
    arrow = [(1.2, 1.3), (10.7, 4.1), (1.4, 8.8), (4.2, 4.6)]
    crossed = [(1.0, 1.2), (11.0, 1.2), (1.0, 8.7), (11.0, 8.7)]
    cases = {
        "a rectangle": ([(2.0, 1.0), (6.0, 1.0), (6.0, 4.0), (2.0, 4.0)], 6, 9),
        "a rectangle whose edges lie within pixels": (
            [(1.6, 0.7), (6.4, 0.7), (6.4, 4.3), (1.6, 4.3)], 6, 9,
        ),
        "a triangle": ([(1.1, 7.4), (9.2, 6.6), (4.3, 0.8)], 9, 11),
        "the same triangle, the other way around": ([(4.3, 0.8), (9.2, 6.6), (1.1, 7.4)], 9, 11),
        "a polygon with a dent": (arrow, 10, 12),
        "a corner as high as the centers of a row": ([(1.0, 2.5), (5.5, 0.5), (9.0, 6.5)], 8, 11),
        "an outline that crosses itself": (crossed, 10, 12),
        "a polygon that leaves the image": ([(-3.0, 2.2), (8.0, -2.0), (14.0, 9.0)], 7, 10),
    }  # fmt: skip
    check(attempt, fill_polygon, cases)
