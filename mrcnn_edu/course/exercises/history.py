"""Lesson 03, from R-CNN to Mask R-CNN: what runs how often, and in which order."""

from collections.abc import Callable

from mrcnn_edu.course.exercises.check import check
from mrcnn_edu.course.exercises.group_regions import check_group_regions as check_group_regions
from mrcnn_edu.course.exercises.group_regions import group_regions as group_regions

# The steps of Mask R-CNN's `detect`, in the order in which they run.
STEPS = [
    "scale the image",
    "backbone and FPN",
    "RPN head",
    "NMS of the proposals",
    "RoIAlign of the proposals",
    "box head",
    "NMS of the detections",
    "RoIAlign of the detections",
    "mask head",
    "paste the masks",
]


def in_order(steps: list[str]) -> list[str]:
    """Some of the ten steps in the order in which Mask R-CNN runs them when it detects."""
    return sorted(steps, key=STEPS.index)


def check_in_order(attempt: Callable) -> None:
    """Check a function like `in_order` on three to ten of the steps, in disorder."""
    scale, backbone, rpn, nms, pool, box_head, best, pool_again, mask_head, paste = STEPS
    cases = {
        "from pixels to proposals": ([nms, scale, rpn, backbone],),
        "what happens to a proposal": ([box_head, best, nms, pool],),
        "which boxes get a mask": ([mask_head, best, box_head, pool_again],),
        "the way back into the image": ([paste, mask_head, rpn, scale],),
        "all ten steps": (
            [paste, pool_again, nms, mask_head, backbone, best, scale, pool, rpn, box_head],
        ),
    }
    check(attempt, in_order, cases)


def count_runs(detector: str, part: str, n_regions: int, n_detections: int) -> int:
    """How often a detector runs one of its parts to detect the objects in one image.

    detector: "R-CNN", "Fast R-CNN", "Faster R-CNN" or "Mask R-CNN". part: "selective search",
    "backbone", "RPN", "class and box" or "mask". There are `n_regions` proposals, and
    `n_detections` boxes are left in the end.
    """
    proposes_itself = detector in ("Faster R-CNN", "Mask R-CNN")
    if part == "selective search":
        return 0 if proposes_itself else 1
    if part == "backbone":
        return n_regions if detector == "R-CNN" else 1
    if part == "RPN":
        return 1 if proposes_itself else 0
    if part == "class and box":
        return n_regions
    return n_detections if detector == "Mask R-CNN" else 0


def check_count_runs(attempt: Callable) -> None:
    """Check a function like `count_runs` on each part of each of the four detectors."""
    detectors = ["R-CNN", "Fast R-CNN", "Faster R-CNN", "Mask R-CNN"]
    parts = ["selective search", "backbone", "RPN", "class and box", "mask"]
    cases = {
        f"{part} of {detector}": (detector, part, 300, 20)
        for detector in detectors
        for part in parts
    }
    cases["masks, in an image without any detection"] = ("Mask R-CNN", "mask", 300, 0)
    check(attempt, count_runs, cases)
