"""The IoU or OKS of many detections with many objects at once; masks are compared without pixels.

Comparing takes many small steps, so it is done for several images at once: a table has a row for
each detection, or each object, of any of them.

Letters: M ground-truth objects, D detections, P pairs of the two.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.data.rle import common_pixels
from mrcnn_edu.evaluate.image_pairs import GroundTruth, Predictions, region_areas
from mrcnn_edu.evaluate.oks import Poses, keypoint_similarity

BATCH_ROWS = 1000  # detections and objects in a batch together: about ten images of COCO


class Batch(NamedTuple):
    """The ground truth and the detections of several images."""

    gt: GroundTruth
    gt_groups: Tensor  # [M] image and label in one integer
    predictions: Predictions
    groups: Tensor  # [D] in the same way


def iter_batches(pairs: Iterable[tuple[GroundTruth, Predictions]]) -> Iterator[Batch]:
    """The images' ground truth and detections, several images at a time."""
    batch, n_rows = [], 0
    for index, (gt, predictions) in enumerate(pairs):
        batch.append(
            (gt, _groups(index, gt.labels), predictions, _groups(index, predictions.labels))
        )
        n_rows += len(gt.labels) + len(predictions.labels)
        if n_rows >= BATCH_ROWS:
            yield _join_batch(batch)
            batch, n_rows = [], 0
    if batch:
        yield _join_batch(batch)


def _groups(index: int, labels: Tensor) -> Tensor:
    return labels + (index << 32)  # no label is as large


def _join_batch(images: list[tuple[GroundTruth, Tensor, Predictions, Tensor]]) -> Batch:
    gt, gt_groups, predictions, groups = zip(*images, strict=True)
    return Batch(
        GroundTruth(*map(_join_column, zip(*gt, strict=True))),
        torch.cat(gt_groups),
        Predictions(*map(_join_column, zip(*predictions, strict=True))),
        torch.cat(groups),
    )


def _join_column(parts: tuple):
    """One column of the tables of several images: tensors, masks, or keypoints."""
    return torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0].join(parts)


def pair_iou(batch: Batch, d: Tensor, m: Tensor, min_iou: float) -> Tensor:
    """IoU [P] in float64 of the detections in rows d [P] with the objects in rows m [P].

    For masks it is 0 where their boxes show that it cannot reach `min_iou`. For keypoints it is the
    OKS.
    """
    regions, gt_regions, crowd = batch.predictions.regions, batch.gt.regions, batch.gt.crowd[m]
    if isinstance(regions, Poses) and isinstance(gt_regions, Poses):
        objects = gt_regions.take(m.numpy())
        return keypoint_similarity(
            regions.keypoints[d],
            objects.keypoints,
            objects.boxes,
            batch.gt.areas[m],
            objects.sigmas,
        )
    area, gt_area = region_areas(regions)[d], region_areas(gt_regions)[m]
    if isinstance(regions, Tensor) and isinstance(gt_regions, Tensor):
        return _iou(_common_area(regions[d], gt_regions[m]), area, gt_area, crowd)
    assert not isinstance(regions, Tensor | Poses) and not isinstance(gt_regions, Tensor | Poses)
    boxes = torch.from_numpy(regions.boxes())[d], torch.from_numpy(gt_regions.boxes())[m]
    upper_bound = torch.minimum(_common_area(*boxes), torch.minimum(area, gt_area))
    possible = torch.where(_iou(upper_bound, area, gt_area, crowd) >= min_iou)[0]
    masks = regions.take(d[possible].numpy())
    gt_masks = gt_regions.take(m[possible].numpy())
    intersection = torch.zeros(len(d), dtype=torch.float64)
    intersection[possible] = torch.from_numpy(common_pixels(masks, gt_masks)).double()
    return _iou(intersection, area, gt_area, crowd)


def _common_area(a: Tensor, b: Tensor) -> Tensor:
    """Square pixels [P] in float64 of the intersection of boxes a [P, 4] and b [P, 4], by rows."""
    a, b = a.double(), b.double()
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    return sides.clamp(min=0).prod(dim=1)


def _iou(intersection: Tensor, area: Tensor, gt_area: Tensor, crowd: Tensor) -> Tensor:
    """Intersection over union, or over the detection's area for crowds; 0 without intersection."""
    union = torch.where(crowd, area, area + gt_area - intersection)
    return torch.where(intersection > 0, intersection / union, 0)
