"""Lesson 00, the larger task: one map with the class and the object of each pixel."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.show import masks_of


def panoptic_map(
    masks: Tensor, labels: Tensor, scores: Tensor, min_score: float, min_visible: float
) -> Tensor:
    """Each pixel's object [H, W]: 1000 * label + number, and 0 where there is none.

    masks: [D, H, W] bool, which may overlap. labels, scores: [D]. Detections with a score of at
    least `min_score` are placed one after the other, the highest score first. Each gets those of
    its pixels that are still free. It is left out if they are less than the fraction `min_visible`
    of its mask, or if its mask is empty. The number counts the placed objects of its class from 1
    (the heuristic of Kirillov et al. 2019, Panoptic Segmentation).
    """
    placed = torch.zeros(masks.shape[1:], dtype=torch.long)
    n_of_label: dict[int, int] = {}
    for d in scores.argsort(descending=True).tolist():
        visible = masks[d] & (placed == 0)
        area = masks[d].sum()
        if scores[d] < min_score or area == 0 or visible.sum() < min_visible * area:
            continue
        label = int(labels[d])
        n_of_label[label] = n_of_label.get(label, 0) + 1
        placed[visible] = 1000 * label + n_of_label[label]
    return placed


def check_panoptic_map(attempt: Callable) -> None:
    """Check a function like `panoptic_map` on masks apart, overlapping, hidden, empty, and none."""
    left, middle, right, all_pixels, empty, edge = masks_of(
        "####.... ####....",
        "..####.. ..####..",
        "....#### ....####",
        "######## ########",
        "........ ........",
        "......## ......##",
    )

    def case(masks: list, labels: list, scores: list, min_score=0.3, min_visible=0.5) -> tuple:
        stacked = torch.stack(masks) if masks else all_pixels.new_zeros(0, 2, 8)
        return stacked, torch.tensor(labels).long(), torch.tensor(scores), min_score, min_visible

    cases = {
        "one detection": case([left], [2], [0.9]),
        "two detections of different classes": case([left, right], [2, 1], [0.9, 0.8]),
        "two of one class, the better one second": case([left, right], [3, 3], [0.6, 0.9]),
        "they overlap, the better one first": case([left, middle], [1, 2], [0.9, 0.8], 0.3, 0.25),
        "they overlap, the better one second": case([left, middle], [1, 2], [0.8, 0.9], 0.3, 0.25),
        "the best one has a score below min_score": case([all_pixels], [1], [0.2]),
        "a score of exactly min_score": case([right], [1], [0.5], 0.5),
        "exactly half of the second one is visible": case([left, middle], [1, 1], [0.9, 0.8]),
        "the second one is hidden too much, and its pixels stay free": case(
            [left, middle, right], [1, 1, 1], [0.9, 0.8, 0.7], 0.3, 0.75
        ),
        "the last one is hidden by two others together": case(
            [left, edge, all_pixels], [1, 2, 2], [0.9, 0.8, 0.7]
        ),
        "a mask without a pixel": case([empty, left], [1, 1], [0.9, 0.8], 0.3, 0.0),
        "no detection": case([], [], []),
    }
    check(attempt, panoptic_map, cases)
