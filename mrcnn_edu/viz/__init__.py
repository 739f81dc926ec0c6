"""Pictures: tensors in, a figure out. One idea a picture, the same color for the same role.

picture  a picture, and the colors
draw     what goes onto given axes
scenes   images with what is in them
maps     what the network computes
charts   numbers
flow     the stages of a detector
anchors  where they stand, and which objects they reach
bins     what RoIPool, RoIWarp and RoIAlign read
overview what is in a data set
"""

from mrcnn_edu.viz.anchors import anchors_at, draw_coverage, show_anchors_at_center, show_coverage
from mrcnn_edu.viz.bins import bins_read, show_bins
from mrcnn_edu.viz.charts import (
    show_counts,
    show_lines,
    show_parts,
    show_roofline,
    show_scores,
    show_seeds,
    show_side_by_side,
    show_spread,
    show_table,
    show_training,
)
from mrcnn_edu.viz.draw import (
    crop,
    draw_boxes,
    draw_image,
    draw_instances,
    draw_map,
    draw_row,
    paint_differences,
    paint_masks,
)
from mrcnn_edu.viz.flow import STAGES, show_flow, show_sharing
from mrcnn_edu.viz.maps import show_cells, show_maps, show_objectness, show_regions, tile_maps
from mrcnn_edu.viz.overview import show_overview, show_sheet
from mrcnn_edu.viz.picture import CLASSES, OPS, OTHERS, ROLES, Picture, class_color, color, row
from mrcnn_edu.viz.scenes import (
    sample_photograph,
    show_boxes,
    show_detections,
    show_differences,
    show_found,
    show_images,
    show_panels,
    show_tasks,
    show_truth,
)

__all__ = [
    "CLASSES",
    "OPS",
    "OTHERS",
    "ROLES",
    "STAGES",
    "Picture",
    "anchors_at",
    "bins_read",
    "class_color",
    "color",
    "crop",
    "draw_boxes",
    "draw_coverage",
    "draw_image",
    "draw_instances",
    "draw_map",
    "draw_row",
    "paint_differences",
    "paint_masks",
    "row",
    "sample_photograph",
    "show_anchors_at_center",
    "show_bins",
    "show_boxes",
    "show_cells",
    "show_counts",
    "show_coverage",
    "show_detections",
    "show_differences",
    "show_flow",
    "show_found",
    "show_images",
    "show_lines",
    "show_maps",
    "show_objectness",
    "show_overview",
    "show_panels",
    "show_parts",
    "show_regions",
    "show_roofline",
    "show_scores",
    "show_seeds",
    "show_sharing",
    "show_sheet",
    "show_side_by_side",
    "show_spread",
    "show_table",
    "show_tasks",
    "show_training",
    "show_truth",
    "tile_maps",
]
