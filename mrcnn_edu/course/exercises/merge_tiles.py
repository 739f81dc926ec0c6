"""Lesson 15, the larger task: detections in overlapping tiles as those of the whole photograph."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.nms import nms


def merge_tiles(
    corners: Tensor,
    boxes: Sequence[Tensor],
    scores: Sequence[Tensor],
    tile_size: tuple[int, int],
    image_size: tuple[int, int],
    margin: float = 2.0,
    nms_iou: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Boxes [N, 4] and scores [N] in a photograph, best first, from what was detected in T tiles.

    corners: [T, 2], the (x, y) of each tile's upper left corner in the photograph. boxes: [D_t, 4]
    of each tile, in pixels of the tile. scores: [D_t] of each tile. Sizes are (height, width). A
    box that comes within `margin` pixels of a tile's edge is dropped, since it probably shows a
    part of an object, unless that edge is an edge of the photograph as well. The rest of all tiles
    goes through one NMS with the threshold `nms_iou`.
    """
    (tile_height, tile_width), (height, width) = tile_size, image_size
    moved, kept_scores = [], []
    for (x, y), tile_boxes, tile_scores in zip(corners.tolist(), boxes, scores, strict=True):
        x1, y1, x2, y2 = tile_boxes.unbind(dim=1)
        is_cut = torch.zeros(len(tile_boxes), dtype=torch.bool)
        if x > 0:
            is_cut |= x1 <= margin
        if y > 0:
            is_cut |= y1 <= margin
        if x + tile_width < width:
            is_cut |= x2 >= tile_width - margin
        if y + tile_height < height:
            is_cut |= y2 >= tile_height - margin
        moved.append(tile_boxes[~is_cut] + torch.tensor([x, y, x, y]))
        kept_scores.append(tile_scores[~is_cut])
    all_boxes, all_scores = torch.cat(moved), torch.cat(kept_scores)
    kept = nms(all_boxes, all_scores, nms_iou)
    return all_boxes[kept], all_scores[kept]


def check_merge_tiles(attempt: Callable) -> None:
    """Check a function like `merge_tiles` on each of its steps alone, and on all of them."""
    none, no_scores = torch.zeros(0, 4), torch.zeros(0)
    one = torch.tensor([[20.0, 30, 50, 60]])
    two = torch.tensor([[20.0, 30, 50, 60], [60.0, 12, 90, 40]])
    twice = torch.tensor([[60.0, 30, 90, 60]]), torch.tensor([[11.0, 30, 41, 60]])
    cut = torch.tensor([[70.0, 30, 99, 60], [20, 30, 50, 60]]), torch.tensor([[20.0, 30, 49, 61]])
    edge = torch.tensor([[0.0, 30, 20, 60]]), torch.tensor([[70.0, 70, 100, 100]])
    above = torch.tensor([[5.0, 20, 30, 59.5], [50, 5, 80, 30]])
    below = torch.tensor([[5.0, 1, 30, 35], [90, 10, 118, 40]])
    wide = torch.tensor([[40.0, 30, 92, 60], [61, 70, 89, 95]]), torch.tensor([[24.0, 70, 51, 95]])
    origin, elsewhere = torch.tensor([[0.0, 0]]), torch.tensor([[40.0, 70]])
    beside, stacked = torch.tensor([[0.0, 0], [50, 0]]), torch.tensor([[0.0, 0], [0, 40]])
    good, fair, poor = (torch.tensor([score]) for score in (0.9, 0.7, 0.6))
    square, image, usual = (100, 100), (100, 150), (2.0, 0.5)
    cases = {
        "a single tile": (origin, [two], [torch.tensor([0.6, 0.9])], square, square, *usual),
        "a tile that lies elsewhere": (elsewhere, [one], [good], square, (300, 200), *usual),
        "two tiles with different objects": (
            beside, [one, two[1:]], [fair, good], square, image, *usual,
        ),
        "an object that two tiles show whole": (
            beside, [*twice], [fair, good], square, image, *usual,
        ),
        "an object that the left tile cuts": (
            beside, [*cut], [torch.tensor([0.95, 0.6]), good], square, image, *usual,
        ),
        "objects at the edge of the photograph": (
            beside, [*edge], [fair, good], square, image, *usual,
        ),
        "tiles that are not square, one above the other": (
            stacked, [above, below], [torch.tensor([0.9, 0.5]), torch.tensor([0.8, 0.7])],
            (60, 120), (100, 120), *usual,
        ),
        "a wider margin, and a stricter NMS": (
            beside, [*wide], [torch.tensor([0.9, 0.8]), poor], square, image, 10.0, 0.3,
        ),
        "a tile without detections": (
            beside, [none, one], [no_scores, good], square, image, *usual,
        ),
        "no detection at all": (
            beside, [none, none], [no_scores, no_scores], square, image, *usual,
        ),
    }  # fmt: skip
    check(attempt, merge_tiles, cases)
