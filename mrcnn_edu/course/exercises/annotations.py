"""Lesson 01, annotations: a mask from its run-length encoding, its box, the semantic map."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def decode_rle(counts: list[int], height: int, width: int) -> Tensor:
    """The mask [height, width] bool of a run-length encoding.

    counts: lengths of the runs of equal pixels, column by column; the first run is of zeros.
    """
    values = torch.arange(len(counts)) % 2 == 1  # 0, 1, 0, ...
    return values.repeat_interleave(torch.tensor(counts)).view(width, height).T


def check_decode_rle(attempt: Callable) -> None:
    """Check a function like `decode_rle` on tall, wide and square masks, full and empty ones."""
    cases = [([1, 2, 3, 4, 2], 3, 4), ([0, 2, 4], 3, 2), ([3, 3, 3], 3, 3), ([0, 4], 2, 2)]
    check(attempt, decode_rle, [*cases, ([8], 4, 2)])


def mask_to_box(mask: Tensor) -> Tensor:
    """The smallest box [4], (x1, y1, x2, y2), around a mask [H, W] with at least one pixel.

    Right and bottom are exclusive: a single pixel has a box of width and height 1.
    """
    rows, columns = torch.where(mask)
    corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.stack(corners).float()


def check_mask_to_box(attempt: Callable) -> None:
    """Check a function like `mask_to_box` on one pixel, a bar, two parts and a full mask."""
    pictures = [".... .#.. ....", "..... .###. ..#..", "#... .... ..#.", "## ##"]
    masks = [[[c == "#" for c in row] for row in picture.split()] for picture in pictures]
    check(attempt, mask_to_box, [(torch.tensor(mask),) for mask in masks])


def semantic_map(masks: Tensor, labels: Tensor) -> Tensor:
    """Each pixel's class label [H, W], 0 for background.

    masks: [M, H, W] bool, which do not overlap. labels: [M].
    """
    return (masks * labels[:, None, None]).sum(dim=0)


def check_semantic_map(attempt: Callable) -> None:
    """Check a function like `semantic_map` on one object, several, two of one class, and none."""
    columns = torch.eye(4).bool()[:, None].expand(4, 2, 4)  # object i fills column i
    cases = [
        (columns[:1], [3]),
        (columns[1:3], [2, 5]),
        (columns[:3], [4, 1, 4]),
        (columns[:0], []),
    ]
    check(attempt, semantic_map, [(m, torch.tensor(k, dtype=torch.int64)) for m, k in cases])
