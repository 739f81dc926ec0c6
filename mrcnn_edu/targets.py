"""Targets: the right answers, laid out row for row like the predictions. No network is needed.

Letters: A anchors, M objects, R sampled RoIs, K classes, m the side of a mask.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area, box_iou, encode_boxes
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.matching import IGNORED, match, sample
from mrcnn_edu.roi_ops import align, feature_table, image_index
from mrcnn_edu.stops import rows_where


class RPNTargets(NamedTuple):
    """The sampled anchors of one image and what the RPN should say of them."""

    anchors: Tensor  # [N] indices, positives first
    labels: Tensor  # [N] 1 object, 0 background
    positives: Tensor  # [positives] the first of them
    deltas: Tensor  # [positives, 4] from the positive anchors to their objects


class RoITargets(NamedTuple):
    """The sampled RoIs of one image and what the heads should say of them."""

    boxes: Tensor  # [R, 4] in pixels of the network's input
    labels: Tensor  # [R] 0 background, 1..K
    deltas: Tensor  # [R, 4]; zeros where the label is 0
    objects: Tensor  # [R] index of the matched object; meaningless where the label is 0
    positives: Tensor  # [positives] the rows that answer for an object

    def positive(self) -> "RoITargets":
        """Only the rows that answer for an object: those the mask is learned on."""
        rows = (column[self.positives] for column in self[:-1])
        return RoITargets(*rows, torch.arange(len(self.positives), device=self.labels.device))


def rpn_targets(
    anchors: Tensor,
    boxes: list[Tensor],
    positive_iou: float,
    negative_iou: float,
    count: int,
    positive_fraction: float,
    generator: torch.Generator | list[torch.Generator] | None = None,
) -> list[RPNTargets]:
    """Which of the anchors [A, 4] are used in each image, and their answers.

    boxes: of each image its objects' [M, 4]. Positive: IoU >= `positive_iou` with an object, or the
    best anchor of an object; negative: IoU below `negative_iou` with all (Faster R-CNN, section
    3.1.2).
    """
    ious = (box_iou(of_image, anchors) for of_image in boxes)
    matched = [match(iou, positive_iou, negative_iou, rescue_objects=True) for iou in ious]
    drawn = sample(matched, count, positive_fraction, generator)
    return [
        RPNTargets(
            anchors=torch.cat((positive, negative)),
            labels=torch.cat((torch.ones_like(positive), torch.zeros_like(negative))),
            positives=positive,
            deltas=encode_boxes(of_image[object_[positive]], anchors[positive]),
        )
        for of_image, object_, (positive, negative) in zip(boxes, matched, drawn, strict=True)
    ]


def roi_targets(
    proposals: list[Tensor],
    boxes: list[Tensor],
    labels: list[Tensor],
    positive_iou: float,
    count: int,
    positive_fraction: float,
    generator: torch.Generator | list[torch.Generator] | None = None,
) -> list[RoITargets]:
    """The sampled RoIs of each image and their answers.

    Of each image: proposals [R', 4], and its objects' boxes [M, 4] and labels [M]. The objects' own
    boxes join the proposals, so that there are positives from the first step on. Positive: IoU >=
    `positive_iou` with an object (section 3.1). A proposal without area is not used.
    """
    proposals = [torch.cat(pair) for pair in zip(proposals, boxes, strict=True)]
    matched = []
    for of_image, objects in zip(proposals, boxes, strict=True):
        best = match(box_iou(objects, of_image), positive_iou, positive_iou)
        matched.append(torch.where(box_area(of_image) > 0, best, IGNORED))
    drawn = sample(matched, count, positive_fraction, generator)
    images = zip(proposals, boxes, labels, matched, drawn, strict=True)
    return [roi_answers(*of_image) for of_image in images]


def roi_answers(
    proposals: Tensor, boxes: Tensor, labels: Tensor, matched: Tensor, drawn: tuple[Tensor, Tensor]
) -> RoITargets:
    """The answers of one image's RoIs: drawn are the positive and the negative proposals."""
    positive, negative = drawn
    chosen = torch.cat((positive, negative)).sort().values
    rois, objects = proposals[chosen], matched[chosen].clamp(min=0)
    if len(boxes) == 0:
        nothing = torch.zeros_like(objects)
        return RoITargets(rois, nothing, torch.zeros_like(rois), nothing, positive)
    on_object = matched[chosen] >= 0
    deltas = encode_boxes(boxes[objects], rois, BOX_SCALE)
    return RoITargets(
        boxes=rois,
        labels=torch.where(on_object, labels[objects], 0),
        deltas=torch.where(on_object[:, None], deltas, 0),
        objects=objects,
        positives=rows_where(on_object, len(positive)),
    )


def mask_targets(
    masks: list[Tensor],
    rois: list[Tensor],
    objects: list[Tensor],
    mask_size: int,
    aligned: bool = True,
) -> Tensor:
    """Soft masks [R, m, m] in 0..1: of each RoI, its object's mask as seen in an m x m grid.

    For each image: masks [M, H, W] bool, rois [R_i, 4], objects [R_i], the mask each RoI answers
    for. The target is the intersection of the RoI and its object's mask (section 3.1), cut out with
    RoIAlign that reads as many points as the RoI has pixels. A mask's pixel i lies at i + 0.5; with
    aligned=False it is taken to lie at i, as by torchvision, and masks are learned half a pixel too
    far up and left. (Scaling masks with "nearest" moves them about as far back at COCO's sizes;
    where nothing is scaled, as in the drawn scenes, doing it right is worth 13 points of AP.)
    """
    image, object_, rois = image_index(rois), torch.cat(objects), torch.cat(rois)
    # A "level" for each image, a "feature map" for each of its masks.
    table = feature_table([of_image[:, None].to(rois.dtype) for of_image in masks])
    smallest = 1.0
    if aligned:
        rois, smallest = rois - 0.5, 0.0
    return align(table, image, object_, rois, mask_size, -1, smallest)[:, 0]
