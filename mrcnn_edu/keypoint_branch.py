"""The keypoint branch, beside the mask branch: its head, and its part in training and detection.

It is the mask branch once more (section 5): RoI features, an FCN, a map for each keypoint. Letters:
R RoIs, C channels, J keypoints, D detections, m x m heat map.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mrcnn_edu.backbone import Convolution, initialize
from mrcnn_edu.eval_mode import evaluates
from mrcnn_edu.images import Batch, is_crowd, scale_boxes, size_of
from mrcnn_edu.keypoints import (
    check_keypoints,
    decode_keypoints,
    keypoint_loss,
    keypoint_targets,
    scale_keypoints,
)
from mrcnn_edu.losses import Losses
from mrcnn_edu.roi_ops import FeatureTable, feature_table
from mrcnn_edu.targets import RoITargets
from mrcnn_edu.trace import Trace
from mrcnn_edu.validate import check_boxes, target_name

UPSCALE = 4  # the head's output is four times as high and wide as the RoI features


class KeypointHead(nn.Module):
    """RoI features [R, C, P, P] to heat maps [R, J, m, m] of logits, m = 4P: one for each keypoint.

    3x3 convolutions, then a deconvolution and a bilinear interpolation, each of which doubles the
    resolution: a keypoint needs a finer map than a mask (section 5). All classes share the maps.
    """

    keypoints: list[str]  # the names of the J keypoints
    skeleton: list[tuple[int, int]]  # pairs of them, by index, that a picture joins by lines

    def __init__(self, in_channels, channels, n_convs, n_keypoints, norm=None):
        super().__init__()
        self.keypoints, self.skeleton = [f"keypoint {j}" for j in range(n_keypoints)], []
        widths = [in_channels] + [channels] * n_convs
        convs = [Convolution(a, b, 3, norm, relu=True) for a, b in pairwise(widths)]
        self.convs = nn.Sequential(*convs)
        self.kps_score_lowres = nn.ConvTranspose2d(widths[-1], n_keypoints, 4, stride=2, padding=1)
        initialize(self)

    def forward(self, roi_features: Tensor) -> Tensor:
        heat_maps = self.kps_score_lowres(self.convs(roi_features))
        return interpolate(heat_maps, scale_factor=2.0, mode="bilinear", align_corners=False)


# The stages of a model that has such a head; `MaskRCNN` has them as methods.


def add_keypoints(model: Any, objects: list[dict], targets: list[dict], batch: Batch) -> list[dict]:
    """The objects of each image with their keypoints [M, J, 3], checked, in pixels of the batch.

    objects: what is left of the targets without crowd regions. Raises TypeError or ValueError that
    names the target.
    """
    added = []
    for i, (image_objects, target) in enumerate(zip(objects, targets, strict=True)):
        n, name = len(target["labels"]), target_name(i, target)
        keypoints = check_keypoints(target.get("keypoints"), n, model.config.n_keypoints, name)
        keypoints = keypoints[~is_crowd(target)].to(batch.images.device)
        scaled = scale_keypoints(keypoints, batch.original_sizes[i], batch.sizes[i])
        added.append(image_objects | {"keypoints": scaled})
    return added


def keypoint_losses(
    model: Any, table: FeatureTable, rois: list[RoITargets], objects: list[dict]
) -> Losses:
    """The keypoint loss of the positive RoIs, a mean over their labeled keypoints."""
    c, rois = model.config, [r.positive() for r in rois]
    boxes, matched = [r.boxes for r in rois], [r.objects for r in rois]
    heat_maps = model.keypoint_head(model.pool(table, boxes, c.keypoint_size // UPSCALE))
    keypoints = [o["keypoints"] for o in objects]
    targets = keypoint_targets(keypoints, boxes, matched, c.keypoint_size)
    loss = keypoint_loss(heat_maps, targets, c.keypoint_loss)
    return Losses({"loss_keypoint": loss}, int(targets.is_valid.sum()))


def trace_keypoints(model: Any, table: FeatureTable, trace: Trace) -> Trace:
    """The trace with the features and heat maps of the selected boxes, and with their keypoints."""
    c, boxes = model.config, [s.boxes for s in trace.selected]
    features = model.pool(table, boxes, c.keypoint_size // UPSCALE)
    heat_maps = model.keypoint_head(features)
    found = decode_keypoints(heat_maps, torch.cat(boxes), c.keypoint_decoding)
    keypoints = found.split([len(b) for b in boxes])
    sizes = trace.batch.sizes, trace.batch.original_sizes
    detections = [
        replace(d, keypoints=scale_keypoints(k, size, original))
        for d, k, size, original in zip(trace.detections, keypoints, *sizes, strict=True)
    ]
    return replace(
        trace, keypoint_features=features, keypoint_logits=heat_maps, detections=detections
    )


@evaluates
def keypoints_on_boxes(model: Any, image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Heat maps [R, J, m, m] and keypoints [R, J, 3] for boxes [R, 4] that you supply.

    Boxes and keypoints are in pixels of the image; the RPN, the box head and NMS are skipped.
    Raises ValueError if the model has no keypoint head.
    """
    if model.keypoint_head is None:
        raise ValueError("the model has no keypoint head: make one with Config(n_keypoints=...)")
    c, batch = model.config, model.preprocess([image])
    boxes = check_boxes(boxes, size_of(image), "keypoints_on_boxes").to(batch.images.device)
    rois = scale_boxes(boxes, size_of(image), batch.sizes[0])
    table = feature_table(model.features(batch)[: len(model.strides)])
    heat_maps = model.keypoint_head(model.pool(table, [rois], c.keypoint_size // UPSCALE))
    found = decode_keypoints(heat_maps, rois, c.keypoint_decoding)
    return heat_maps, scale_keypoints(found, batch.sizes[0], size_of(image))


STAGES = add_keypoints, keypoint_losses, trace_keypoints, keypoints_on_boxes
