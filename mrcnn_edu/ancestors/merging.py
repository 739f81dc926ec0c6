"""Merging masks: every RoI near a detection votes on the detection's mask (FCIS, section 2.3).

Letters: R RoIs, D detections, V votes, K classes, m x m mask.
"""

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou


def merge_masks(
    boxes: Tensor, labels: Tensor, rois: Tensor, scores: Tensor, probs: Tensor, min_iou: float
) -> Tensor:
    """Mask probabilities [D, m, m] of detections, each the mean over many RoIs (section 2.3).

    boxes: [D, 4], all of which are among the rois [R, 4]. labels: [D]. scores: [R, K + 1]. probs:
    [R, K + 1, m, m]. Each RoI with an IoU above `min_iou` votes on a detection's mask, pixel by
    pixel, with its own mask of the detection's class, weighted by its score for that class. Outside
    of its box a RoI votes 0. With a min_iou of 1 only the detection's own RoI votes.
    """
    with_itself = 1 - 1e-4  # a box's IoU with itself, up to rounding
    d, r = torch.where(box_iou(boxes, rois) > min(min_iou, with_itself))  # [V] each
    columns = _weights(boxes[d, 0], boxes[d, 2], rois[r, 0], rois[r, 2], probs.shape[-1])
    rows = _weights(boxes[d, 1], boxes[d, 3], rois[r, 1], rois[r, 3], probs.shape[-1])
    weight = scores[r, labels[d]]
    votes = weight[:, None, None] * (rows @ probs[r, labels[d]] @ columns.mT)  # [V, m, m]
    total_weight = weight.new_zeros(len(boxes)).index_add(0, d, weight)
    total = probs.new_zeros(len(boxes), *probs.shape[2:]).index_add(0, d, votes)
    return total / total_weight[:, None, None]


def _weights(start: Tensor, end: Tensor, roi_start: Tensor, roi_end: Tensor, m: int) -> Tensor:
    """Weights [V, m, m] of a RoI's m mask pixels at the centers of a detection's m mask pixels.

    start, end, roi_start, roi_end: [V], along one axis. The rule is that of
    `detections.interpolation_weights`, which interpolates at the centers of the image's pixels.
    """
    pixel = torch.arange(m, device=start.device)
    center = start[:, None] + (pixel + 0.5) / m * (end - start)[:, None]
    fraction = (center - roi_start[:, None]) / (roi_end - roi_start)[:, None]  # 0..1 in the RoI
    weight = 1 - (fraction[..., None] * m - 0.5 - pixel).abs()
    return weight.clamp(min=0) * ((fraction >= 0) & (fraction <= 1))[..., None]
