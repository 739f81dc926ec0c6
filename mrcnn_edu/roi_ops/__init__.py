"""RoI operations: features of a fixed size for every region of interest (RoI), whatever its size.

pyramid     feature maps as one table of rows; the level that each RoI is read from
roi_pool    RoIPool, and FCIS's position-sensitive RoIPool: bins rounded to whole positions
roi_align   RoIAlign: points between the positions
roi_warp    RoIWarp: the RoI is rounded, its bins are not
single_map  all three for a single feature map, with torchvision's arguments

Letters: R RoIs, P bins along one side of a RoI, s sample points along one side of a bin.
"""

from mrcnn_edu.roi_ops.pyramid import (
    FeatureTable,
    WeightedGather,
    feature_table,
    image_index,
    pool_pyramid,
    pyramid_level,
)
from mrcnn_edu.roi_ops.roi_align import align_rois, sample_points, use_triton
from mrcnn_edu.roi_ops.roi_pool import (
    bin_maps,
    pool_rois,
    ps_roi_pool,
    round_half_away,
    rounded_bins,
)
from mrcnn_edu.roi_ops.roi_warp import warp_rois
from mrcnn_edu.roi_ops.single_map import boxes_to_rois, roi_align, roi_pool, roi_warp

OPERATIONS = {"pool": roi_pool, "warp": roi_warp, "align": roi_align}  # on one map
ON_TABLES = {"pool": pool_rois, "warp": warp_rois, "align": align_rois}  # on a whole pyramid

__all__ = [
    "ON_TABLES", "OPERATIONS", "FeatureTable", "WeightedGather", "align_rois", "bin_maps",
    "boxes_to_rois", "feature_table", "image_index", "pool_pyramid", "pool_rois", "ps_roi_pool",
    "pyramid_level", "roi_align", "roi_pool", "roi_warp", "round_half_away", "rounded_bins",
    "sample_points", "use_triton", "warp_rois",
]  # fmt: skip
