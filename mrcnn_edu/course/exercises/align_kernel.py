"""Lesson 16, the larger task: RoIAlign of many boxes as one kernel."""

from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.puzzles import BLOCK, blocks, guarded, launched, read_points


def align_boxes(
    rows: Tensor, boxes: Tensor, out: Tensor, height: int, width: int, P: int, C: int, BLOCK: int
) -> Tensor:
    """RoIAlign of boxes [R, 4] with 2 x 2 points in each bin, into out [R * P * P, C]; returns out.

    rows [H * W, C]: the features of a map. boxes: (x1, y1, x2, y2) in positions of the map, inside
    of it. A neighbor beyond the last row or column is that row or column itself.
    """
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)  # [R, 1] each
    fractions = (torch.arange(2 * P, device=boxes.device) + 0.5) / (2 * P)
    y, x = y1 + fractions * (y2 - y1), x1 + fractions * (x2 - x1)  # [R, 2P]
    grid = torch.stack(
        (y[:, :, None].expand(-1, -1, 2 * P), x[:, None].expand(-1, 2 * P, -1)), dim=-1
    )
    maps = rows.view(height, width, C)
    maps = torch.cat((maps, maps[-1:]))  # one row and column more
    maps = torch.cat((maps, maps[:, -1:]), dim=1)
    points = grid.reshape(-1, 2)
    values = rows.new_zeros(len(points), C)
    read_points(maps.flatten(0, 1), points, values, width + 1, C, BLOCK)
    bins = values.view(len(boxes), P, 2, P, 2, C).mean(dim=(2, 4))
    return out.copy_(bins.flatten(0, 2))


def check_align_boxes(attempt: Any) -> None:
    """Check a kernel like `align_boxes`, from one bin on one box to many channels of several."""
    generator = torch.Generator().manual_seed(0)
    square, wide, last = [1.0, 1.0, 3.0, 3.0], [0.5, 1.25, 5.5, 3.25], [3.5, 2.0, 7.0, 5.0]
    topics = {
        "one bin": ([square], 1, 4),
        "one bin of a wide box": ([wide], 1, 4),
        "3 x 3 bins": ([wide], 3, 4),
        "two boxes": ([square, wide], 2, 4),
        "channels that fill no block": ([wide, square], 2, 5),
        "several blocks of channels": ([square, wide], 2, 40),
        "a box up to the map's right and lower edge": ([wide, last], 7, 4),
    }
    cases = {}
    for topic, (boxes, n_bins, channels) in topics.items():
        rows = torch.randn(5 * 7, channels, generator=generator)
        out = guarded(torch.zeros(len(boxes) * n_bins**2, channels))
        given = guarded(rows), guarded(torch.tensor(boxes)), out
        cases[topic] = (*given, 5, 7, n_bins, channels, BLOCK)
    run = launched(attempt, align_boxes, lambda case: (len(case["out"]), blocks(case["C"])))
    check(run, align_boxes, cases)
