"""RoIAlign, RoIWarp and RoIPool of a single feature map, with torchvision's arguments."""

import torch
from torch import Tensor

from mrcnn_edu.boxes import as_float, box_area
from mrcnn_edu.roi_ops.pyramid import feature_table
from mrcnn_edu.roi_ops.roi_align import align_rois
from mrcnn_edu.roi_ops.roi_pool import check_rois, pool_rois
from mrcnn_edu.roi_ops.roi_warp import warp_rois

MAX_POINTS = 2**26  # sample points of a RoI; they take 3 GB


def roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: int,
    spatial_scale: float,
    sampling_ratio: int = 2,
    aligned: bool = False,
    reduce: str = "mean",
) -> Tensor:
    """RoI features [R, C, P, P] by RoIAlign: bilinear samples, nothing is rounded (section 3).

    features: [B, C, H, W]. rois: [R, 5] = (image index, x1, y1, x2, y2) in image pixels.
    output_size: P. spatial_scale: 1 / stride. sampling_ratio: s; each bin reads s * s points, and
    0 or less adapts s to the RoI's size. aligned: shift coordinates by half a position, so that the
    map's value i lies at i + 0.5 instead of at i; the original and torchvision's models do not.
    reduce: "mean" or "max" over the points of a bin.
    """
    image, boxes = check_rois(features, rois, output_size, spatial_scale)
    if sampling_ratio <= 0 and (box_area(boxes) > MAX_POINTS).any():
        raise ValueError("a RoI is so large that it needs too many points: clip it to the image")
    boxes = boxes - (0.5 if aligned else 0.0)
    min_size = 0.0 if aligned else 1.0
    level = torch.zeros_like(image)
    table = feature_table([features])
    return align_rois(table, level, image, boxes, output_size, sampling_ratio, reduce, min_size)


def roi_warp(
    features: Tensor,
    rois: Tensor,
    output_size: int,
    spatial_scale: float,
    sampling_ratio: int = 2,
    reduce: str = "mean",
) -> Tensor:
    """RoI features [R, C, P, P] by RoIWarp: the RoI is rounded, then read bilinearly.

    Arguments as for `roi_align`. Halfway between RoIPool and RoIAlign: the bins are not rounded but
    the RoI is, so features and object are still misaligned (section 4.2; Dai et al. 2016).
    """
    image, boxes = check_rois(features, rois, output_size, spatial_scale)
    table, level = feature_table([features]), torch.zeros_like(image)
    return warp_rois(table, level, image, boxes, output_size, sampling_ratio, reduce)


def roi_pool(features: Tensor, rois: Tensor, output_size: int, spatial_scale: float) -> Tensor:
    """RoI features [R, C, P, P] by RoIPool: the RoI and its bins are rounded, then take the max.

    Arguments as for `roi_align` (Fast R-CNN, section 2.1). A bin outside the map gives 0.
    """
    image, boxes = check_rois(features, rois, output_size, spatial_scale)
    table, level = feature_table([features]), torch.zeros_like(image)
    return pool_rois(table, level, image, boxes, output_size)


def boxes_to_rois(boxes: Tensor, image: int = 0) -> Tensor:
    """RoIs [R, 5] = (image, x1, y1, x2, y2) of boxes [R, 4], or of one box [4], in one image."""
    boxes = as_float(boxes).view(-1, 4)
    return torch.cat((boxes.new_full((len(boxes), 1), image), boxes), dim=1)
