"""Lesson 11, the larger task: COCO's AP of one class, with crowds, areas and a limit."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area, box_intersection
from mrcnn_edu.course.exercises.check import check

EVERY = (0.0, 1e10)


def coco_ap(
    images: list[dict[str, Any]],
    iou_threshold: float,
    area_range: tuple[float, float],
    max_detections: int,
) -> float:
    """COCO's average precision of one class of boxes.

    images: for each image, a dictionary with gt_boxes [M, 4], crowd [M] bool, boxes [D, 4] and
    scores [D]. Only the `max_detections` best detections of each image count. An object is ignored
    if it is a crowd or if its area is not in `area_range`, ends included; a detection is ignored if
    its object is, or if it has none and its own area is not in the range. There is at least one
    object that is not ignored.
    """
    low, high = area_range
    scores, correct, n_objects = [], [], 0
    for image in images:
        crowd, gt_areas = image["crowd"], box_area(image["gt_boxes"])
        ignored = crowd | (gt_areas < low) | (gt_areas > high)
        n_objects += int((~ignored).sum())

        best = image["scores"].argsort(descending=True, stable=True)[:max_detections]
        boxes, areas = image["boxes"][best], box_area(image["boxes"][best])
        both = box_intersection(boxes, image["gt_boxes"])  # [D, M]
        union = areas[:, None] + gt_areas - both
        iou = both / torch.where(crowd, areas[:, None], union)

        free = set(range(len(crowd)))
        for row, area, score in zip(iou.tolist(), areas, image["scores"][best], strict=True):
            reached = [m for m in sorted(free) if row[m] >= iou_threshold]
            candidates = [m for m in reached if not ignored[m]] or reached
            if candidates:
                match = max(candidates, key=lambda m, row=row: row[m])
                free -= set() if crowd[match] else {match}
                is_ignored = bool(ignored[match])
            else:
                is_ignored = not low <= float(area) <= high
            if not is_ignored:
                scores.append(float(score))
                correct.append(bool(candidates))
    order = torch.tensor(scores).argsort(descending=True, stable=True)
    return ap_of_ranking(torch.tensor(correct, dtype=torch.bool)[order], n_objects)


def ap_of_ranking(correct: Tensor, n_objects: int) -> float:
    """The mean, over 101 recalls, of the best precision at that recall or a higher one."""
    n_correct = correct.double().cumsum(0)
    precision = n_correct / torch.arange(1, len(correct) + 1)
    recall = n_correct / n_objects
    best = [max(precision[recall >= 0.01 * i].tolist(), default=0.0) for i in range(101)]
    return sum(best) / 101


def image_of(
    gt: list[list[float]], boxes: list[list[float]], scores: list[float], crowd: tuple = ()
) -> dict[str, Tensor]:
    """One image of a case. crowd: indices of the objects that are crowds."""
    is_crowd = torch.zeros(len(gt), dtype=torch.bool)
    is_crowd[list(crowd)] = True
    return {
        "gt_boxes": torch.tensor(gt).view(-1, 4),
        "crowd": is_crowd,
        "boxes": torch.tensor(boxes).view(-1, 4),
        "scores": torch.tensor(scores),
    }


def check_coco_ap(attempt: Callable) -> None:
    """Check a function like `coco_ap` on each of its rules alone, and on all of them."""
    left, right, wide = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [0.0, 20, 40, 60]
    near_left, near_right = [1.0, 0, 11, 10], [22.0, 0, 32, 10]
    nowhere, large = [60.0, 60, 70, 70], [50.0, 0, 90, 40]
    people = [[2.0, 22, 12, 42], [14.0, 24, 24, 50], [26.0, 22, 36, 58]]
    plain = image_of([left, right], [near_left, nowhere, near_right], [0.9, 0.8, 0.7])
    shuffled = image_of([left, right], [near_right, near_left, nowhere], [0.3, 0.95, 0.6])
    second = image_of([left], [nowhere, left], [0.85, 0.65])
    twice = image_of([left, right], [left, near_left, right], [0.9, 0.8, 0.7])
    empty, unseen = image_of([], [nowhere], [0.75]), image_of([right], [], [])
    crowd = image_of([left, wide], [*people, left], [0.9, 0.8, 0.7, 0.6], crowd=(1,))
    beside = image_of([left, wide], [[20.0, 0, 60, 40], left], [0.9, 0.6], crowd=(1,))
    over = image_of([[4.0, 24, 24, 44], wide], [[4.0, 26, 24, 46]], [0.9], crowd=(1,))
    wider, lower = [50.0, 20, 90, 60], [0.0, 20, 40, 55]
    sizes = image_of([left, wide, wider], [lower, near_left], [0.9, 0.6])
    alone = image_of([left], [large, left], [0.9, 0.6])
    edge = image_of([left, [0.0, 20, 40, 52.5]], [left], [0.9])
    hidden = image_of([left, [0.0, 0, 12, 10]], [[0.0, 0, 11.5, 10], left], [0.9, 0.8])
    many = image_of([left, right], [nowhere, left, large, right], [0.9, 0.8, 0.7, 0.6])
    small = (0.0, 1500.0)
    cases = {
        "one image, best score first": ([plain], 0.5, EVERY, 100),
        "detections that are not sorted": ([shuffled], 0.5, EVERY, 100),
        "a higher threshold": ([plain], 0.8, EVERY, 100),
        "two detections of one object": ([twice], 0.5, EVERY, 100),
        "all images share one ranking": ([plain, second], 0.5, EVERY, 100),
        "an image without objects, one without detections": (
            [plain, empty, unseen], 0.5, EVERY, 100,
        ),
        "detections within a crowd": ([crowd], 0.5, EVERY, 100),
        "a crowd that is not reached": ([beside], 0.5, EVERY, 100),
        "an object in front of a crowd": ([over], 0.5, EVERY, 100),
        "an object outside of the range": ([sizes], 0.5, small, 100),
        "a false positive outside of the range": ([alone], 0.5, small, 100),
        "areas at the ends of the range": ([edge], 0.5, (100.0, 1300.0), 100),
        "an ignored object that fits better": ([hidden], 0.5, (0.0, 110.0), 100),
        "only the best two of each image": ([many, plain], 0.5, EVERY, 2),
        "everything at once": ([plain, crowd, sizes, many, hidden], 0.6, (0.0, 1500.0), 3),
    }  # fmt: skip
    check(attempt, coco_ap, cases)
