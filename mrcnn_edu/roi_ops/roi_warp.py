"""RoIWarp: the RoI is rounded as in RoIPool, and its bins are read as in RoIAlign."""

from torch import Tensor

from mrcnn_edu.roi_ops.roi_align import align_rois
from mrcnn_edu.roi_ops.roi_pool import round_half_away


def warp_rois(
    table, level, image, boxes, output_size, sampling_ratio: int = 2, reduce: str = "mean"
) -> Tensor:
    """RoIWarp on a table of maps: `align_rois` after rounding the boxes."""
    boxes = round_half_away(boxes)
    return align_rois(table, level, image, boxes, output_size, sampling_ratio, reduce)
