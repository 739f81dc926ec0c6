"""Lesson 01, annotations: a mask from its run-length encoding, its box, the semantic map."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.find_mistakes import check_find_mistakes as check_find_mistakes
from mrcnn_edu.course.exercises.find_mistakes import find_mistakes as find_mistakes
from mrcnn_edu.course.exercises.show import masks_of


def decode_rle(counts: list[int], height: int, width: int) -> Tensor:
    """The mask [height, width] bool of a run-length encoding.

    counts: lengths of the runs of equal pixels, column by column; the first run is of zeros.
    """
    values = torch.arange(len(counts)) % 2 == 1  # False, True, False, ...
    pixels = values.repeat_interleave(torch.tensor(counts))  # column by column
    return pixels.view(width, height).T


def check_decode_rle(attempt: Callable) -> None:
    """Check a function like `decode_rle` on tall, wide and square masks, full and empty ones."""
    cases = {
        "a wide mask": ([1, 2, 3, 4, 2], 3, 4),
        "a mask whose first pixel is a one": ([0, 2, 4], 3, 2),
        "a square mask": ([3, 3, 3], 3, 3),
        "a run that goes on in the next column": ([2, 3, 3], 4, 2),
        "every pixel is a one": ([0, 4], 2, 2),
        "every pixel is a zero": ([8], 4, 2),
    }
    check(attempt, decode_rle, cases)


def mask_to_box(mask: Tensor) -> Tensor:
    """The smallest box [4], (x1, y1, x2, y2), around a mask [H, W] with at least one pixel.

    Right and bottom are exclusive: a single pixel has a box of width and height 1.
    """
    rows, columns = torch.where(mask)
    corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.stack(corners).float()


def check_mask_to_box(attempt: Callable) -> None:
    """Check a function like `mask_to_box` on one pixel, a bar, two parts and a full mask."""
    drawings = {
        "a single pixel": ".... .#.. ....",
        "a T": "..... .###. ..#..",
        "an object in two pieces": "#... .... ..#.",
        "a mask that fills the image": "## ##",
        "a ring: its middle is empty": "..... .###. .#.#. .###.",
    }
    cases = {topic: (masks_of(drawing)[0],) for topic, drawing in drawings.items()}
    check(attempt, mask_to_box, cases)


def semantic_map(masks: Tensor, labels: Tensor) -> Tensor:
    """Each pixel's class label [H, W], 0 for background.

    masks: [M, H, W] bool, which do not overlap. labels: [M].
    """
    return (masks * labels[:, None, None]).sum(dim=0)


def check_semantic_map(attempt: Callable) -> None:
    """Check a function like `semantic_map` on one object, several, two of one class, and none."""
    first, second, third = masks_of("#... ##..", ".##. ..#.", "...# ...#")
    three = torch.stack((first, second, third))
    cases = {
        "one object": (three[:1], torch.tensor([3])),
        "two objects of different classes": (three[1:], torch.tensor([2, 5])),
        "three objects, two of them of one class": (three, torch.tensor([4, 1, 4])),
        "no object": (three[:0], torch.tensor([], dtype=torch.long)),
    }
    check(attempt, semantic_map, cases)
