"""Lesson 05, the larger task: k-means, which chooses the shapes of anchors for given objects."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def anchor_shapes(shapes: Tensor, start: Tensor, n_rounds: int) -> Tensor:
    """k anchor shapes [k, 2] for the shapes [N, 2] of objects, the smallest area first.

    A shape is (width, height) in pixels. start: [k, 2]. In each round every object joins the anchor
    of highest IoU, where both have the same center, and the first one of several. Then each anchor
    becomes the mean of its objects; one without objects stays as it is (Redmon and Farhadi 2017,
    YOLO9000, section 2).
    """
    anchors = start.clone()
    for _ in range(n_rounds):
        intersection = torch.minimum(shapes[:, None], anchors).prod(dim=2)  # [N, k]
        union = shapes.prod(dim=1)[:, None] + anchors.prod(dim=1) - intersection
        joined = (intersection / union).argmax(dim=1)  # [N]
        for i in range(len(anchors)):
            if (joined == i).any():
                anchors[i] = shapes[joined == i].mean(dim=0)
    return anchors[anchors.prod(dim=1).argsort()]


def check_anchor_shapes(attempt: Callable) -> None:
    """Check a function like `anchor_shapes` on one anchor, several, empty ones, and no round."""
    small, large = [[8.0, 10], [10, 8], [12, 12]], [[60.0, 50], [50, 60], [70, 70]]
    wide, tall = [[40.0, 10], [44, 12]], [[10.0, 40], [12, 44]]
    steps = [[8.0, 8], [12, 12], [18, 18], [27, 27], [40, 40], [60, 60], [90, 90]]
    cases = {
        "one anchor: the mean of all objects": (small, [[9.0, 9]], 1),
        "no round: the start, the smallest area first": (small, [[20.0, 40], [30, 20]], 0),
        "small and large objects": (small + large, [[9.0, 9], [50, 50]], 1),
        "wide and tall objects": (wide + tall, [[10.0, 40], [41, 10]], 1),
        "a distance in pixels would choose the other anchor": (
            [[50.0, 50], [14, 14]], [[10.0, 10], [25, 25], [92, 92]], 1,
        ),
        "an anchor that no object joins": (small, [[10.0, 10], [300, 300]], 2),
        "two equal anchors at the start: objects join the first": (
            small + large, [[20.0, 20], [20, 20]], 1,
        ),
        "several rounds": (steps, [[8.0, 8], [12, 12]], 5),
    }  # fmt: skip
    tensors = {
        topic: (torch.tensor(shapes), torch.tensor(start), n_rounds)
        for topic, (shapes, start, n_rounds) in cases.items()
    }
    check(attempt, anchor_shapes, tensors)
