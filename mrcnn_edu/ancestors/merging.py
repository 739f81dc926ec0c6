"""Merging masks: of every RoI near a detection, a vote on its mask (FCIS, section 3.3).

Letters: R RoIs, D detections, K classes, m side of a mask.
"""

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou


def merge_masks(
    boxes: Tensor, labels: Tensor, rois: Tensor, scores: Tensor, probs: Tensor, least_iou: float
) -> Tensor:
    """Mask probabilities [D, m, m] of detections, each the mean of many RoIs' (section 3.3).

    boxes: [D, 4], which are among the rois [R, 4]. labels: [D]. scores: [R, K + 1]. probs:
    [R, K + 1, m, m]. RoIs that overlap a detection by more than `least_iou` vote on its mask with
    theirs of its class, pixel by pixel, weighted by their score for the class; beyond its own box
    a RoI votes 0. With 1 each is alone with itself.
    """
    itself = 1 - 1e-4  # its IoU with itself, within rounding
    d, r = torch.where(box_iou(boxes, rois) > min(least_iou, itself))  # of each vote
    columns = _reading(boxes[d, 0], boxes[d, 2], rois[r, 0], rois[r, 2], probs.shape[-1])
    rows = _reading(boxes[d, 1], boxes[d, 3], rois[r, 1], rois[r, 3], probs.shape[-1])
    weight = scores[r, labels[d]]
    votes = weight[:, None, None] * (rows @ probs[r, labels[d]] @ columns.mT)  # [votes, m, m]
    total = weight.new_zeros(len(boxes)).index_add(0, d, weight)
    return (
        probs.new_zeros(len(boxes), *probs.shape[2:]).index_add(0, d, votes) / total[:, None, None]
    )


def _reading(start, end, roi_start, roi_end, m: int) -> Tensor:
    """Weights [votes, m, m] of a RoI's m cells at the centers of a detection's m cells.

    start, end, roi_start, roi_end: [votes], along one axis. As `paste_masks` reads a mask.
    """
    cell = torch.arange(m, device=start.device)
    center = start[:, None] + (cell + 0.5) / m * (end - start)[:, None]
    share = (center - roi_start[:, None]) / (roi_end - roi_start)[:, None]  # 0..1 inside the RoI
    weight = 1 - (share[..., None] * m - 0.5 - cell).abs()
    return weight.clamp(min=0) * ((share >= 0) & (share <= 1))[..., None]
