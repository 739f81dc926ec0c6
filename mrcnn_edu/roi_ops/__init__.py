"""RoI operations: a feature of fixed size for every region of interest, whatever its own size.

table      feature maps as one table, of which every operation is a choice of rows and weights
rounded    RoIPool, and FCIS's position-sensitive RoIPool: whole cells
bilinear   RoIAlign and RoIWarp: points between the cells
pyramid    all regions of a batch, each from the level of its size

Letters: R RoIs, P output cells along one side, s sample points along one side of an output cell.
"""

from mrcnn_edu.roi_ops.bilinear import align, in_one_kernel, linear_taps, roi_align, roi_warp
from mrcnn_edu.roi_ops.pyramid import pool_pyramid, pyramid_level
from mrcnn_edu.roi_ops.rounded import (
    maps_of_cells,
    ps_roi_pool,
    roi_pool,
    round_half_away,
    rounded_bins,
)
from mrcnn_edu.roi_ops.table import (
    FeatureTable,
    Lookup,
    feature_table,
    image_index,
    on_image,
)

OPERATIONS = {"pool": roi_pool, "warp": roi_warp, "align": roi_align}

__all__ = [
    "OPERATIONS", "FeatureTable", "Lookup", "align", "feature_table", "image_index",
    "in_one_kernel", "linear_taps", "maps_of_cells", "on_image", "pool_pyramid", "ps_roi_pool",
    "pyramid_level", "roi_align", "roi_pool", "roi_warp", "round_half_away", "rounded_bins",
]  # fmt: skip
