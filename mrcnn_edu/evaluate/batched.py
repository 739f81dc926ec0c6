"""The same average precision for many images, classes, thresholds and ranges of areas at once.

average_precision.py defines what is computed here. This file is faster for three reasons:

- several images are matched together, for all classes, thresholds and ranges of areas;
- masks are compared as run-length encodings, without their pixels;
- most detections cannot reach the lowest threshold with any object, and need no matching.

Letters: D detections, M ground-truth objects, T IoU thresholds, A ranges of areas, K classes.
"""

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.average_precision import CORRECT, NOT_COUNTED
from mrcnn_edu.evaluate.image_pairs import iter_pairs, max_detections, region_areas
from mrcnn_edu.evaluate.overlaps import Batch, iter_batches, pair_iou
from mrcnn_edu.evaluate.scores import AREAS, IOU_THRESHOLDS, RECALLS, Scores

AREA_MIN, AREA_MAX = torch.tensor(list(AREAS.values()), dtype=torch.float64).T[..., None]  # [A, 1]


def evaluate(
    dataset,
    detections: Sequence[Detections],
    iou_type: str = "segm",
    progress: bool = True,
    sigmas: Sequence[float] | None = None,
) -> Scores:
    """COCO's scores of the detections, one `Detections` for each item of the dataset in its order.

    iou_type: "segm" compares masks, "bbox" boxes, which need no masks, "keypoints" keypoints.
    sigmas: how far off each keypoint may be (`oks`); by default the dataset's, or COCO's for COCO's
    17. Detections with a label that the dataset has no name for are skipped. Raises TypeError or
    ValueError, naming the image, for targets and detections that cannot be compared.
    """
    classes = as_dataset(dataset).classes
    pairs = iter_pairs(dataset, detections, iou_type, progress, sigmas)
    batches = [_match_batch(batch) for batch in iter_batches(pairs)]
    return Scores.from_table(_average_precisions(batches, len(classes)), classes)


class _Matched(NamedTuple):
    """The detections in several images after matching, and the objects to be found."""

    labels: Tensor  # [D] of the detections
    scores: Tensor  # [D]
    outcome: Tensor  # [A, T, D] int8: CORRECT, WRONG or NOT_COUNTED
    gt_labels: Tensor  # [M]
    ignored: Tensor  # [A, M]


def _match_batch(batch: Batch) -> _Matched:
    """The outcome of the best detections of each class in each image of the batch.

    A detection does not count if its object is ignored, nor if it has none and is itself outside
    the range of areas.
    """
    gt, predictions = batch.gt, batch.predictions
    most = max_detections(predictions.regions)
    best = _best_of_each_group(batch.groups, predictions.scores, most)
    labels, scores = predictions.labels[best], predictions.scores[best]
    ignored = gt.ignored | _is_outside(gt.areas)  # [A, M]
    outside = _is_outside(region_areas(predictions.regions)[best])  # [A, D]
    outcome = (NOT_COUNTED * outside).to(torch.int8)[:, None].repeat(1, len(IOU_THRESHOLDS), 1)

    d, m = torch.where(batch.groups[best, None] == batch.gt_groups)  # pairs of one image and class
    min_iou = float(IOU_THRESHOLDS[0])
    iou = pair_iou(batch, best[d], m, min_iou)
    near = iou >= min_iou  # all others match nothing
    rows, d = d[near].unique(return_inverse=True)
    columns, m = m[near].unique(return_inverse=True)
    table = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    table[d, m] = iou[near]

    match = match_in_ranges(
        table, scores[rows], IOU_THRESHOLDS, ignored[:, columns], gt.crowd[columns]
    )  # [A, T, rows]
    with_object = torch.where(ignored[:, columns], NOT_COUNTED, CORRECT).to(torch.int8)
    matched = with_object.gather(1, match.clamp(min=0).flatten(1)).view(match.shape)
    outcome[..., rows] = torch.where(match >= 0, matched, outcome[..., rows])
    return _Matched(labels, scores, outcome, gt.labels, ignored)


def match_in_ranges(
    iou: Tensor, scores: Tensor, thresholds: Tensor, ignored: Tensor, crowd: Tensor
) -> Tensor:
    """`match_detections` [A, T, D] for several choices [A, M] of ignored objects at once."""
    # NumPy is quicker than tensors for many steps on small tables. Column 0 stands for no object.
    iou_table = np.insert(iou.numpy(), 0, -np.inf, axis=-1)  # [D, 1 + M]
    is_ignored = np.insert(ignored.numpy(), 0, False, axis=-1)  # [A, 1 + M]
    is_crowd = np.insert(crowd.numpy(), 0, False)  # [1 + M]
    reached = iou_table[:, None] >= thresholds.numpy()[:, None]  # [D, T, 1 + M]
    # Each detection's objects, ranked by IoU, ignored ones behind all others. Of two objects with
    # the same IoU, COCO takes the later one.
    d, m = np.nonzero(reached.any(axis=1))
    order = np.lexsort((m, iou_table[d, m]))
    rank = np.zeros(iou_table.shape, dtype=np.int64)
    rank[d[order], m[order]] = np.arange(1, len(d) + 1)
    rank = rank + len(d) * ~is_ignored[:, None, :]  # [A, D, 1 + M]

    free = np.ones((len(is_ignored), *reached.shape[1:]), dtype=bool)  # [A, T, 1 + M]
    area_range, threshold = np.ix_(*map(np.arange, free.shape[:2]))
    match = np.zeros((*free.shape[:2], len(iou_table)), dtype=np.int64)
    for row in scores.argsort(descending=True, stable=True).tolist():
        best = ((free & reached[row]) * rank[:, row, None, :]).argmax(axis=-1)  # [A, T]
        free[area_range, threshold, best] = is_crowd[best]
        match[..., row] = best
    return torch.from_numpy(match) - 1


def _best_of_each_group(groups: Tensor, scores: Tensor, most: int) -> Tensor:
    """The rows of the best detections of each group, group by group, best first.

    most: the largest number of a group.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    n = groups[order].unique_consecutive(return_counts=True)[1]
    rank_in_group = torch.arange(len(order)) - (n.cumsum(0) - n).repeat_interleave(n)
    return order[rank_in_group < most]


def _is_outside(areas: Tensor) -> Tensor:
    """Which areas [N] are outside of each range: [A, N]."""
    return (areas < AREA_MIN) | (areas > AREA_MAX)


def _average_precisions(batches: list[_Matched], n_classes: int) -> Tensor:
    """The average precision [K, A, T] of each class, range of areas and threshold."""
    ap = torch.full((n_classes, len(AREAS), len(IOU_THRESHOLDS)), nan, dtype=torch.float64)
    if not batches:
        return ap
    labels, scores, outcome, gt_labels, ignored = (
        torch.cat(column, dim=-1) for column in zip(*batches, strict=True)
    )
    best_first = scores.argsort(descending=True, stable=True)
    for k in range(n_classes):
        ranking = outcome[..., best_first[labels[best_first] == k + 1]]  # [A, T, D]
        n_objects = (~ignored[:, gt_labels == k + 1]).sum(dim=1)  # [A], in each range
        ap[k] = _average_precisions_of_rankings(ranking, n_objects)
    return ap


def _average_precisions_of_rankings(ranking: Tensor, n_objects: Tensor) -> Tensor:
    """`average_precision` of each ranking [A, T, D] of outcomes: [A, T]. n_objects: [A]."""
    correct = ranking == CORRECT
    # A detection that is correct in no ranking leaves recall as it is and does not raise precision,
    # so that the envelope can do without it.
    needed = correct.any(dim=0).any(dim=0)
    n_counted = (ranking != NOT_COUNTED).cumsum(-1, dtype=torch.int32)[..., needed]
    n_correct = correct[..., needed].cumsum(-1).double()
    precision = n_correct / n_counted.clamp(min=1)
    recall = n_correct / n_objects[:, None, None]
    envelope = precision.flip(-1).cummax(-1).values.flip(-1)
    envelope = torch.cat((envelope, envelope.new_zeros(*envelope.shape[:-1], 1)), dim=-1)
    reached = torch.searchsorted(recall, RECALLS.expand(*recall.shape[:-1], -1).contiguous())
    return envelope.gather(-1, reached).mean(-1).where(n_objects[:, None] > 0, nan)
