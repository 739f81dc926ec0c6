"""Lesson 06, the larger task: from the RPN's outputs to proposals, all steps in a row."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check


def propose(
    objectness: Tensor,
    deltas: Tensor,
    anchors: list[Tensor],
    image_size: tuple[int, int],
    n_before: int,
    n_after: int,
    iou_threshold: float,
) -> Tensor:
    """The proposals [R, 4] of one image, the highest objectness first.

    objectness: [A] logits. deltas: [A, 4] as (dx, dy, dw, dh). anchors: [A_level, 4] of each level,
    A in all. image_size: (height, width). Each level contributes its `n_before` best anchors. They
    are decoded, clipped to the image, and dropped if a side is shorter than 1 pixel. Then NMS keeps
    the best of those that overlap by more than `iou_threshold`, level by level. The `n_after` best
    of all levels are the proposals (Faster R-CNN, section 3.3, and FPN, section 4.1).
    """
    height, width = image_size
    limits = torch.tensor([width, height, width, height])
    boxes, scores, first = [], [], 0
    for level in anchors:
        logits, best_first = objectness[first : first + len(level)].sort(descending=True)
        chosen = best_first[:n_before]
        logits = logits[:n_before]
        level_deltas = deltas[first : first + len(level)][chosen]
        first += len(level)

        size = level[chosen, 2:] - level[chosen, :2]
        center = (level[chosen, :2] + level[chosen, 2:]) / 2 + level_deltas[:, :2] * size
        new_size = size * level_deltas[:, 2:].exp()
        decoded = torch.cat((center - new_size / 2, center + new_size / 2), dim=1)
        decoded = torch.minimum(decoded.clamp(min=0), limits)

        is_large = ((decoded[:, 2:] - decoded[:, :2]) >= 1).all(dim=1)
        decoded, logits = decoded[is_large], logits[is_large]
        overlaps = box_iou(decoded, decoded) > iou_threshold
        kept: list[int] = []
        for i in range(len(decoded)):  # they are sorted
            if not overlaps[i, kept].any():
                kept.append(i)
        boxes.append(decoded[kept])
        scores.append(logits[kept])
    best = torch.cat(scores).argsort(descending=True)[:n_after]
    return torch.cat(boxes)[best]


def check_propose(attempt: Callable) -> None:
    """Check a function like `propose` on each of its steps alone, and on all of them."""
    apart = torch.tensor([[0.0, 0, 16, 16], [32, 0, 48, 24], [0, 24, 12, 40]])
    close = torch.tensor([[20.0, 20, 40, 40], [22, 20, 42, 40], [20, 16, 44, 40]])
    chain = torch.tensor([[8.0, 0, 24, 16], [0, 0, 16, 16], [4, 0, 20, 16]])
    logits = torch.tensor([0.5, 2.0, 1.0])
    still, moves = torch.zeros(3, 4), torch.zeros(3, 4)
    moves[0] = torch.tensor([0.25, -0.125, 0.0, 0.0])
    moves[1] = torch.tensor([0.0, 0.25, 0.6931, -0.6931])
    outside = torch.tensor([[0.0, 0, 0, 0], [1.0, 0, 0, 0], [0, 1.2, 0, 0]])
    small = torch.tensor([[0.0, 0, 0, 0], [0, 0, -3.0, 0], [-0.98, 0, 0, 0]])
    size = (40, 64)
    far_away = torch.tensor([[9.0, 0, 0, 0]])
    two = [apart, close]
    two_logits = torch.tensor([0.5, 2.0, 1.0, 1.5, 1.75, -1.0])
    none = torch.zeros(6, 4)
    cases = {
        "three anchors, sorted by objectness": (logits, still, [apart], size, 9, 9, 0.7),
        "deltas move a center and change a size": (logits, moves, [apart], size, 9, 9, 0.7),
        "a box that reaches out of the image": (logits, outside, [apart], (40, 60), 9, 9, 0.7),
        "boxes with a side below 1 pixel": (logits, small, [apart], size, 9, 9, 0.7),
        "NMS within a level": (logits, still, [close], size, 9, 9, 0.7),
        "NMS: a box that is dropped drops no other": (logits, still, [chain], size, 9, 9, 0.5),
        "boxes of different levels do not compete": (
            two_logits, none, [close, close], size, 9, 9, 0.7,
        ),
        "n_before counts in each level": (two_logits, none, two, size, 2, 9, 0.7),
        "n_before counts before NMS": (logits, still, [close[[0, 1, 1]]], size, 2, 9, 0.5),
        "n_after counts over all levels": (two_logits, none, two, size, 9, 3, 0.7),
        "everything at once": (
            two_logits, torch.cat((outside, moves)), two, (40, 60), 2, 3, 0.6,
        ),
        "no box is left": (logits[:1], far_away, [apart[:1]], size, 9, 9, 0.7),
    }  # fmt: skip
    check(attempt, propose, cases)
