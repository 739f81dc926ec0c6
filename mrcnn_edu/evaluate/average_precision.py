"""COCO's average precision (AP), step by step as it is defined.

1. Overlap: the IoU of every detection with every ground-truth object of its image and class; for
   keypoints, their similarity, OKS (oks.py), which takes the IoU's place in all that follows.
2. Matching: in the order of falling scores, each detection takes the free object that it overlaps
   most, if their IoU reaches a threshold. A detection with an object is correct, a true positive;
   one without is a false positive.
3. Precision and recall: all detections of a class are ranked by score. After each one, precision is
   the fraction of the detections so far that are correct, and recall is the fraction of the objects
   that have been found so far.
4. AP is the mean, over the recalls 0, 0.01, ..., 1, of the best precision at that recall or above.
5. The score is the mean over ten IoU thresholds and over the classes that have objects.

Some objects count neither way: crowds, objects outside the range of areas that is scored, and for
keypoints also those of which none is labeled.

`evaluate_by_definition` follows these steps one image, class and range at a time. `evaluate` gives
the same scores much faster (batched.py); a test asserts that the two are equal to the last bit.

Letters: D detections, M ground-truth objects, T IoU thresholds, A ranges of areas, K classes, H and
W the image's size.
"""

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area, box_intersection
from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.image_pairs import (
    GroundTruth,
    Predictions,
    decode_rows,
    iter_pairs,
    max_detections,
    region_areas,
)
from mrcnn_edu.evaluate.oks import Poses, pairwise_similarity
from mrcnn_edu.evaluate.scores import AREAS, IOU_THRESHOLDS, RECALLS, Scores

CORRECT, WRONG, NOT_COUNTED = 1, 0, -1  # the outcomes of a detection


# Step 1: overlap


def overlap(regions: Tensor, gt_regions: Tensor, crowd: Tensor | None = None) -> Tensor:
    """IoU [D, M] in float64 of masks [D, H, W] or boxes [D, 4] with ground-truth ones.

    crowd: [M] bool. A crowd is many objects in one region, and a detection of one of them cannot
    fill it: there, the intersection is divided by the detection's area instead of the union.
    """
    if regions.ndim == 2:
        regions, gt_regions = regions.double(), gt_regions.double()  # [D, 4], [M, 4]
        intersection = box_intersection(regions, gt_regions)
        area, gt_area = box_area(regions), box_area(gt_regions)
    else:
        # A matrix product counts the pixels in common; float32 counts exactly up to 2^24.
        exact = torch.float32 if regions[:1].numel() <= 2**24 else torch.float64
        pixels, gt_pixels = regions.flatten(1).to(exact), gt_regions.flatten(1).to(exact)
        intersection = (pixels @ gt_pixels.T).double()
        area, gt_area = pixels.sum(dim=1).double(), gt_pixels.sum(dim=1).double()
    union = area[:, None] + gt_area - intersection  # [D, M]
    if crowd is not None:
        union = torch.where(crowd, area[:, None], union)
    return torch.where(intersection > 0, intersection / union, 0)


# Step 2: matching


def match_detections(
    iou: Tensor,
    scores: Tensor,
    thresholds: Tensor = IOU_THRESHOLDS,
    ignored: Tensor | None = None,
    crowd: Tensor | None = None,
) -> Tensor:
    """The object [T, D] that each detection is matched to under each IoU threshold, -1 if none.

    iou: [D, M] of one image and one class; of several classes, with 0 where the classes differ.
    scores: [D]. thresholds: [T]. ignored: [M] bool, objects that count neither way; a detection
    takes one only if it reaches no other. crowd: [M] bool, objects that stay free when taken.
    """
    n_detections, n_objects = iou.shape
    is_ignored = [False] * n_objects if ignored is None else ignored.tolist()
    is_crowd = [False] * n_objects if crowd is None else crowd.tolist()
    best_first = scores.argsort(descending=True, stable=True).tolist()
    rows = iou.tolist()
    matches = []
    for threshold in thresholds.tolist():
        free, match = set(range(n_objects)), [-1] * n_detections
        for d in best_first:
            reached = [m for m in sorted(free) if rows[d][m] >= threshold]
            candidates = [m for m in reached if not is_ignored[m]] or reached
            if candidates:
                # Of two objects with the same IoU, COCO takes the later one.
                match[d] = max(candidates, key=lambda m: (rows[d][m], m))
                if not is_crowd[match[d]]:
                    free.remove(match[d])
        matches.append(match)
    return torch.tensor(matches, dtype=torch.int64).view(len(thresholds), n_detections)


# Step 3: precision and recall


def precision_recall(correct: Tensor, n_objects: int) -> tuple[Tensor, Tensor]:
    """Precision [D] and recall [D] after each detection. correct: [D] bool, best score first."""
    n_correct = correct.cumsum(0).double()
    return n_correct / torch.arange(1, len(correct) + 1), n_correct / n_objects


# Step 4: average precision


def average_precision(correct: Tensor, n_objects: int) -> float:
    """The mean, over 101 recalls, of the best precision at that recall or a higher one.

    correct: [D] bool, best score first. A recall that is never reached has precision 0. nan if
    there is no object to find.
    """
    if n_objects == 0:
        return nan
    precision, recall = precision_recall(correct, n_objects)
    envelope = precision.flip(0).cummax(0).values.flip(0)  # [D], never rising
    envelope = torch.cat((envelope, envelope.new_zeros(1)))
    return float(envelope[torch.searchsorted(recall, RECALLS)].mean())


# Step 5: all images, classes, ranges of areas and thresholds


def evaluate_by_definition(
    dataset,
    detections: Sequence[Detections],
    iou_type: str = "segm",
    sigmas: Sequence[float] | None = None,
) -> Scores:
    """The same scores as `evaluate`, computed as they are defined; for small datasets.

    detections: one `Detections` for each item of the dataset, in its order. iou_type: "segm"
    compares masks, "bbox" boxes, "keypoints" keypoints. sigmas: of the keypoints, as in `evaluate`.
    """
    classes = as_dataset(dataset).classes
    images = list(iter_pairs(dataset, detections, iou_type=iou_type, sigmas=sigmas))
    table = torch.zeros(len(classes), len(AREAS), len(IOU_THRESHOLDS), dtype=torch.float64)
    for k in range(len(classes)):
        class_images = [select_class(gt, predictions, label=k + 1) for gt, predictions in images]
        for a, area_range in enumerate(AREAS.values()):
            table[k, a] = class_average_precisions(class_images, area_range)
    return Scores.from_table(table, classes)


class ClassImage(NamedTuple):
    """The objects and the detections of one class in one image."""

    gt_regions: Tensor | Poses  # boxes [M, 4], masks [M, H, W] or keypoints
    gt_areas: Tensor  # [M]
    crowd: Tensor  # [M] bool
    ignored: Tensor  # [M] bool, crowds included
    regions: Tensor | Poses  # boxes [D, 4], masks [D, H, W] or keypoints, best score first
    scores: Tensor  # [D]


def select_class(gt: GroundTruth, predictions: Predictions, label: int) -> ClassImage:
    """The objects of one class in an image, and the best detections of that class."""
    objects = torch.where(gt.labels == label)[0]
    best_first = predictions.scores.argsort(descending=True, stable=True)
    best = best_first[predictions.labels[best_first] == label]
    best = best[: max_detections(predictions.regions)]
    return ClassImage(
        gt_regions=decode_rows(gt.regions, objects),
        gt_areas=gt.areas[objects],
        crowd=gt.crowd[objects],
        ignored=gt.ignored[objects],
        regions=decode_rows(predictions.regions, best),
        scores=predictions.scores[best],
    )


def image_overlap(image: ClassImage) -> Tensor:
    """The IoU of boxes or masks, or the OKS of keypoints, [D, M] in float64."""
    if isinstance(image.regions, Poses) and isinstance(image.gt_regions, Poses):
        return pairwise_similarity(image.regions, image.gt_regions, image.gt_areas)
    assert isinstance(image.regions, Tensor) and isinstance(image.gt_regions, Tensor)
    return overlap(image.regions, image.gt_regions, image.crowd)


def class_average_precisions(images: list[ClassImage], area_range: tuple[float, float]) -> Tensor:
    """AP [T] of one class under each IoU threshold, for the objects in a range of areas."""
    scores, outcomes, n_objects = [torch.zeros(0)], [torch.zeros(len(IOU_THRESHOLDS), 0)], 0
    for image in images:
        ignored = image.ignored | is_outside(image.gt_areas, area_range)
        scores.append(image.scores)
        outcomes.append(image_outcomes(image, ignored, area_range))
        n_objects += int((~ignored).sum())
    best_first = torch.cat(scores).argsort(descending=True, stable=True)
    precisions = []
    for ranking in torch.cat(outcomes, dim=1)[:, best_first]:  # [D] under one threshold
        counted = ranking[ranking != NOT_COUNTED]
        precisions.append(average_precision(counted == CORRECT, n_objects))
    return torch.tensor(precisions, dtype=torch.float64)


def image_outcomes(image: ClassImage, ignored: Tensor, area_range: tuple[float, float]) -> Tensor:
    """CORRECT, WRONG or NOT_COUNTED [T, D] for each detection of one image and class.

    ignored: [M] bool, objects that count neither way. A detection does not count if its object is
    ignored, nor if it has no object and its own area is outside of the range.
    """
    iou = image_overlap(image)
    match = match_detections(iou, image.scores, IOU_THRESHOLDS, ignored, image.crowd)
    outside = is_outside(region_areas(image.regions), area_range)
    if_matched = torch.where(ignored, NOT_COUNTED, CORRECT)  # [M]
    if_unmatched = torch.where(outside, NOT_COUNTED, WRONG)  # [D]
    outcome = if_unmatched.repeat(len(match), 1)  # [T, D]
    outcome[match >= 0] = if_matched[match[match >= 0]]
    return outcome


def is_outside(areas: Tensor, area_range: tuple[float, float]) -> Tensor:
    """Which areas [N] are outside of a range that includes both of its ends."""
    low, high = area_range
    return (areas < low) | (areas > high)
