"""Lesson 13, FCIS: bins of points, mask logits, merged masks, and where two boxes agree."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def bins_of(points: Tensor, box: Tensor, k: int) -> Tensor:
    """The bin (row, column) [N, 2] of a box [4], cut into k x k bins, of each point [N, 2].

    Points are (x, y); one on the right or the lower border belongs to the last bin.
    """
    return ((points - box[:2]) / (box[2:] - box[:2]) * k).long().clamp(max=k - 1).flip(1)


def check_bins_of(attempt: Callable) -> None:
    """Check a function like `bins_of` on square and other boxes, at the origin and elsewhere."""
    boxes = [[0.0, 0, 12, 12], [0.0, 0, 30, 12], [6.0, 20, 36, 62]]
    points = [(1.0, 11.5), (5.0, 9.0)], [(25.0, 7.0), (8.0, 1.0)], [(25.0, 35.0), (36.0, 62.0)]
    topics = (
        "a square box at the origin",
        "a box that is wider than it is high",
        "a box elsewhere, and a point on its corner",
    )
    cases = {
        topic: (torch.tensor(p), torch.tensor(box), k)
        for topic, p, box, k in zip(topics, points, boxes, (3, 3, 7), strict=True)
    }  # the last one gives (2, 4) and (6, 6)
    check(attempt, bins_of, cases)


def mask_logit(inside: Tensor, outside: Tensor) -> Tensor:
    """Logits [m, m] whose sigmoid is the mask, from the inside and outside scores of one class.

    inside, outside: [m, m], assembled from the position-sensitive maps. The mask is
    exp(i) / (exp(i) + exp(o)) = 1 / (1 + exp(o - i)) = sigmoid(i - o).
    """
    return inside - outside


def check_mask_logit(attempt: Callable) -> None:
    """Check a function like `mask_logit` on a case by hand, and on random maps."""
    generator = torch.Generator().manual_seed(0)
    hand = torch.tensor([[2.0, 2], [-1, -1]]), torch.tensor([[-3.0, 1], [2, 0]])
    random = torch.randn(2, 4, 4, generator=generator)
    cases = {"four pixels by hand": hand, "random scores": tuple(random.unbind())}
    check(attempt, mask_logit, cases)


def merge(probs: Tensor, scores: Tensor, inside: Tensor) -> Tensor:
    """The merged mask [m, m] of n RoIs, weighted by their scores [n].

    probs: [n, m, m], each RoI's mask where the detection's pixels lie. inside: [n, m, m] bool,
    which of these pixels lie in the RoI's own box. Outside of its box a RoI votes 0.
    """
    votes = probs * inside
    return (scores[:, None, None] * votes).sum(dim=0) / scores.sum()


def check_merge(attempt: Callable) -> None:
    """Check a function like `merge` on one mask, on equal and on unequal scores."""
    generator = torch.Generator().manual_seed(0)

    def case(scores: list[float], is_partial: bool = False) -> tuple:
        probs = torch.rand(len(scores), 3, 3, generator=generator)
        inside = torch.ones(len(scores), 3, 3, dtype=torch.bool)
        inside[-1, :, 0] = not is_partial
        return probs, torch.tensor(scores), inside

    cases = {
        "a single RoI": case([0.4]),
        "two RoIs with equal scores": case([0.5, 0.5]),
        "three RoIs with different scores": case([0.9, 0.3, 0.1]),
        "a RoI whose box does not reach the first column": case([0.9, 0.6], is_partial=True),
    }
    check(attempt, merge, cases)


def asked_alike(first: Tensor, second: Tensor, k: int) -> float:
    """The fraction of the intersection of two boxes [4] in which both ask the same map.

    A point asks the map of the bin that it lies in, in each box cut into k x k bins. 0 if the boxes
    do not intersect.
    """
    lengths = []
    for low, high in ((0, 2), (1, 3)):  # along x, then along y
        common = 0.0
        for i in range(k):
            bins = []
            for box in (first, second):
                width = (box[high] - box[low]) / k
                bins.append((box[low] + i * width, box[low] + (i + 1) * width))
            start, end = max(bins[0][0], bins[1][0]), min(bins[0][1], bins[1][1])
            common += max(0.0, float(end - start))
        shared = min(first[high], second[high]) - max(first[low], second[low])
        if shared <= 0:
            return 0.0
        lengths.append(common / float(shared))
    return lengths[0] * lengths[1]


def check_asked_alike(attempt: Callable) -> None:
    """Check a function like `asked_alike` on boxes side by side, of two sizes, and apart."""
    box = torch.tensor([0.0, 0, 30, 30])
    cases = {
        "a box and itself": (box, box, 3),
        "4 pixels to the right": (box, torch.tensor([4.0, 0, 34, 30]), 3),
        "down and to the right": (box, torch.tensor([4.0, 6, 34, 36]), 3),
        "farther than a bin": (box, torch.tensor([12.0, 0, 42, 30]), 3),
        "a small box in the middle of a large one": (box, torch.tensor([10.0, 10, 20, 20]), 3),
        "two boxes of other shapes, k = 7": (
            torch.tensor([3.0, 5, 45, 33]), torch.tensor([0.0, 8, 35, 29]), 7,
        ),
        "a single bin": (box, torch.tensor([20.0, 20, 60, 50]), 1),
        "boxes apart": (box, torch.tensor([40.0, 0, 60, 30]), 3),
    }  # fmt: skip
    check(attempt, asked_alike, cases)
