"""What can be seen of a detection: every intermediate result, and predictions on boxes you supply.

Letters: B images, C channels, A anchors, R RoIs, D detections, K classes, J keypoints, m x m
mask or heat map.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.eval_mode import evaluates
from mrcnn_edu.images import Batch, scale_boxes, size_of
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.rpn import Proposals
from mrcnn_edu.validate import check_boxes


@dataclass
class Trace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    batch: Batch
    features: list[Tensor]  # P2, P3, ..., or the one map of c4 or c5: [B, C, H, W] each
    anchors: list[Tensor]  # [A_level, 4] for each level
    objectness: Tensor  # [B, A] logits
    rpn_deltas: Tensor  # [B, A, 4]
    proposals: list[Proposals]  # before NMS (candidates) and after it (boxes)
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]  # after the score threshold and NMS within each class
    mask_features: Tensor | None  # [D, C, 14, 14] of the selected boxes of all images
    mask_logits: Tensor | None  # [D, K + 1, m, m]: a mask for every class
    detections: list[Detections]
    # Both are None where the model has no keypoint head:
    keypoint_features: Tensor | None = None  # [D, C, 14, 14] of the selected boxes of all images
    keypoint_logits: Tensor | None = None  # [D, J, m, m]: a heat map for every keypoint


@evaluates
def predict_on_boxes(model: Any, image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor | None]:
    """Class and mask logits for boxes [R, 4] that you supply; the RPN and NMS are skipped.

    Class logits [R, K + 1], and mask logits [R, K + 1, m, m] (None without a mask head). Boxes
    are in pixels of the image, and are not refined before their masks are predicted.
    """
    c, batch = model.config, model.preprocess([image])
    boxes = check_boxes(boxes, size_of(image), "predict_on_boxes").to(batch.images.device)
    rois = [scale_boxes(boxes, size_of(image), batch.sizes[0])]
    table = feature_table(model.features(batch)[: len(model.strides)])
    class_logits, _ = model.box_head(model.pool(table, rois, c.box_pool_size))
    if model.mask_head is None:
        return class_logits, None
    return class_logits, model.mask_head(model.pool(table, rois, c.mask_size // 2))
