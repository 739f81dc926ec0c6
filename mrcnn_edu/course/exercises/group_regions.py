"""Lesson 03, the larger task: the grouping in selective search, which proposed R-CNN's boxes."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def group_regions(
    colors: Tensor, sizes: Tensor, boxes: Tensor, neighbors: list[tuple[int, int]]
) -> Tensor:
    """The boxes of all regions [n + merges, 4], in the order in which the regions are created.

    colors: [n, 3], the mean color of each of n initial regions. sizes: [n] in pixels. boxes:
    [n, 4]. neighbors: pairs of regions that touch. As long as two regions touch, the two that are
    closest are merged. Their distance is the Euclidean distance of their colors, plus their sizes'
    sum as a fraction of the image (the initial regions' sizes together). A merged region has the
    mean color of its pixels, and touches whatever one of its parts touched. (A simple form of
    algorithm 1 of Uijlings et al. 2013, Selective Search.)
    """
    image_size = sizes.sum()
    all_colors, all_sizes, all_boxes = list(colors), list(sizes), list(boxes)
    touching = {frozenset(pair) for pair in neighbors}

    def distance(pair: frozenset[int]) -> float:
        a, b = pair
        of_colors = (all_colors[a] - all_colors[b]).norm()
        return float(of_colors + (all_sizes[a] + all_sizes[b]) / image_size)

    while touching:
        a, b = closest = min(touching, key=distance)
        new = len(all_boxes)
        size = all_sizes[a] + all_sizes[b]
        weighted = all_sizes[a] * all_colors[a] + all_sizes[b] * all_colors[b]
        corner = torch.minimum(all_boxes[a][:2], all_boxes[b][:2])
        opposite = torch.maximum(all_boxes[a][2:], all_boxes[b][2:])
        all_colors.append(weighted / size)
        all_sizes.append(size)
        all_boxes.append(torch.cat((corner, opposite)))
        # Wherever a pair names one of the two, it now names the merged region.
        renamed = ((new if i in closest else i for i in pair) for pair in touching - {closest})
        touching = {frozenset(pair) for pair in renamed}
    return torch.stack(all_boxes)


def check_group_regions(attempt: Callable) -> None:
    """Check a function like `group_regions` on two regions, on rows of them, and in a square."""

    def row(grays: list[float], widths: list[int], neighbors: list[tuple[int, int]]) -> tuple:
        """Gray regions of height 10, side by side."""
        right = torch.tensor(widths).cumsum(0).float()
        left = right - torch.tensor(widths)
        boxes = torch.stack((left, 0 * left, right, 0 * left + 10), dim=1)
        colors = torch.tensor(grays)[:, None].expand(-1, 3)
        return colors, 10 * torch.tensor(widths).float(), boxes, neighbors

    in_a_row = [(0, 1), (1, 2), (2, 3)]
    corners = [[0.0, 0, 5, 5], [5, 0, 10, 5], [0, 5, 5, 10], [5, 5, 10, 10]]
    colors = [[0.9, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.75, 0.15], [0.8, 0.2, 0.1]]
    square = torch.tensor(colors), torch.full((4,), 25.0), torch.tensor(corners)
    cases = {
        "one region: nothing to merge": row([0.5], [8], []),
        "two regions that touch": row([0.2, 0.6], [4, 6], [(0, 1)]),
        "two regions that do not touch": row([0.2, 0.2], [4, 6], []),
        "the two of similar color come first": row([0.1, 0.8, 0.9], [4, 4, 4], in_a_row[:2]),
        "equal colors: small regions come first": row([0.5] * 3, [20, 5, 4], in_a_row[:2]),
        "a merged region has the size and the mean color of all its pixels": row(
            [0.45, 0.95, 0.1, 0.95], [3, 10, 3, 6], in_a_row
        ),
        "a merged region touches what its parts touched": row(
            [0.9, 0.5, 0.52, 0.2], [5, 5, 5, 5], in_a_row
        ),
        "similar colors that do not touch": (*square, [(0, 1), (0, 2), (1, 3), (2, 3)]),
        "all four touch": (*square, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]),
        "two groups that do not touch": row([0.1, 0.2, 0.8, 0.9], [4, 5, 6, 7], [(0, 1), (2, 3)]),
    }
    check(attempt, group_regions, cases)
