"""RoIWarp: the RoI is rounded as in RoIPool, and its bins are read as in RoIAlign."""

import torch
from torch import Tensor

from mrcnn_edu.roi_ops.pyramid import feature_table
from mrcnn_edu.roi_ops.roi_align import align_rois
from mrcnn_edu.roi_ops.roi_pool import round_half_away


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
    image = rois[:, 0].long()
    table, level = feature_table([features]), torch.zeros_like(image)
    boxes = rois[:, 1:] * spatial_scale
    return warp_rois(table, level, image, boxes, output_size, sampling_ratio, reduce)


def warp_rois(
    table, level, image, boxes, output_size, sampling_ratio: int = 2, reduce: str = "mean"
) -> Tensor:
    """RoIWarp on a table of maps: `align_rois` after rounding the boxes."""
    boxes = round_half_away(boxes)
    return align_rois(table, level, image, boxes, output_size, sampling_ratio, reduce)
