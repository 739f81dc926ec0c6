"""Targets: what each output of the network should be, computed without any network.

Letters: A anchors, M objects, R sampled RoIs, K classes, m x m mask.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mrcnn_edu.boxes import box_area, box_iou, encode_boxes
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.matching import IGNORED, match, sample
from mrcnn_edu.roi_ops import align_rois, feature_table, image_index


class RPNTargets(NamedTuple):
    """The sampled anchors of one image and their targets."""

    anchors: Tensor  # [N] indices of the sampled anchors, positives first
    labels: Tensor  # [N] 1 object, 0 background
    positives: Tensor  # [positives] indices of the positive anchors
    deltas: Tensor  # [positives, 4] from the positive anchors to their objects


class RoITargets(NamedTuple):
    """The sampled RoIs of one image and their targets."""

    boxes: Tensor  # [R, 4] in pixels of the network's input
    labels: Tensor  # [R] 0 background, 1..K
    deltas: Tensor  # [R, 4]; zeros where the label is 0
    objects: Tensor  # [R] index of the matched object; meaningless where the label is 0

    def positive(self) -> "RoITargets":
        """Only the RoIs that are matched to an object: the mask is learned on these."""
        rows = torch.where(self.labels > 0)[0]
        return RoITargets(*(column[rows] for column in self))


def rpn_targets(
    anchors: Tensor,
    boxes: list[Tensor],
    positive_iou: float,
    negative_iou: float,
    batch_size: int,
    positive_fraction: float,
    generators: Sequence[Generator] | None = None,
) -> list[RPNTargets]:
    """The sampled anchors of each image and their targets (Faster R-CNN, section 3.1.2).

    anchors: [A, 4]. boxes: the objects' boxes [M, 4] of each image. An anchor is positive if its
    IoU with an object is at least `positive_iou` or the highest for that object, and negative if it
    is below `negative_iou` for all objects. generators: one for each image.
    """
    targets = []
    for gt_boxes, generator in zip(boxes, generators or [None] * len(boxes), strict=True):
        matched = match(
            box_iou(gt_boxes, anchors), positive_iou, negative_iou, allow_low_quality_matches=True
        )
        positive, negative = sample(matched, batch_size, positive_fraction, generator)
        labels = torch.cat((torch.ones_like(positive), torch.zeros_like(negative)))
        deltas = encode_boxes(gt_boxes[matched[positive]], anchors[positive])
        targets.append(RPNTargets(torch.cat((positive, negative)), labels, positive, deltas))
    return targets


def roi_targets(
    proposals: list[Tensor],
    boxes: list[Tensor],
    labels: list[Tensor],
    positive_iou: float,
    batch_size: int,
    positive_fraction: float,
    generators: Sequence[Generator] | None = None,
) -> list[RoITargets]:
    """The sampled RoIs of each image and their targets (section 3.1).

    For each image: proposals [R', 4], and the objects' boxes [M, 4] and labels [M]. The objects'
    boxes are added to the proposals, so that there are positives from the first step on. A RoI is
    positive if its IoU with an object is at least `positive_iou`; without area, it is not used.
    generators: one for each image.
    """
    targets = []
    images = zip(proposals, boxes, labels, generators or [None] * len(boxes), strict=True)
    for image_proposals, gt_boxes, gt_labels, generator in images:
        rois = torch.cat((image_proposals, gt_boxes))
        matched = match(box_iou(gt_boxes, rois), positive_iou, positive_iou)
        matched = torch.where(box_area(rois) > 0, matched, IGNORED)
        sampled = torch.cat(sample(matched, batch_size, positive_fraction, generator)).sort().values
        rois, matched = rois[sampled], matched[sampled]
        positive, objects = matched >= 0, matched.clamp(min=0)
        image_labels, deltas = torch.zeros_like(objects), torch.zeros_like(rois)
        if len(gt_boxes) > 0:
            image_labels = torch.where(positive, gt_labels[objects], 0)
            all_deltas = encode_boxes(gt_boxes[objects], rois, BOX_SCALE)
            deltas = torch.where(positive[:, None], all_deltas, 0)
        targets.append(RoITargets(rois, image_labels, deltas, objects))
    return targets


def mask_targets(
    masks: list[Tensor],
    rois: list[Tensor],
    objects: list[Tensor],
    mask_size: int,
    aligned: bool = True,
) -> Tensor:
    """Soft masks [R, m, m] in 0..1: each RoI's object, as it appears inside the RoI.

    For each image: masks [M, H, W] bool, rois [R_i, 4], and objects [R_i], the mask of each RoI.
    The target is the intersection of the RoI with its object's mask (section 3.1), resampled to
    m x m by RoIAlign with as many points as the RoI has pixels. The center of pixel i lies at
    i + 0.5. With aligned=False it is taken to lie at i, as in torchvision, and masks are learned
    half a pixel too far up and left, which costs 13 points of AP on our synthetic images. (At
    COCO's sizes, resizing masks with "nearest" happens to shift them back by about as much.)
    """
    image, object_, boxes = image_index(rois), torch.cat(objects), torch.cat(rois)
    # For align_rois every image is a "level", and every mask of it an "image" of that level.
    table = feature_table([image_masks[:, None].to(boxes.dtype) for image_masks in masks])
    shift, min_size = (0.5, 0.0) if aligned else (0.0, 1.0)
    return align_rois(table, image, object_, boxes - shift, mask_size, -1, "mean", min_size)[:, 0]
