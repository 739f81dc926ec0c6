"""Pictures: tensors in, a figure out. One idea a picture, one color for each role.

style      the look of every picture: colors, widths, fonts
picture    the figure that every picture is drawn on
draw       drawing onto given axes: an image, a map, boxes
names      names on chips that never cover each other
outlines   the exact outline of a mask
instances  objects in an image: masks, boxes and names
scenes     images with their objects: ground truth, detections, masks
maps       what the network computes, as maps
charts     scores, curves, distributions, counts and tables
training   the progress of training runs
roofline   the roofline of a machine, and where work lies below it
flow       the stages of a detector, and what detectors compute how often
anchors    anchors in an image, and how well they cover the objects
bins       the bins of RoIPool, RoIWarp and RoIAlign, and the values they read
overview   what a dataset contains
diagrams   the ideas of the lessons as diagrams
fullsize   an image with its detections at full size
"""

from mrcnn_edu.viz.anchors import anchors_at, draw_coverage, show_anchors_at_center, show_coverage
from mrcnn_edu.viz.bins import bins_read, show_bins
from mrcnn_edu.viz.charts import (
    show_counts,
    show_lines,
    show_parts,
    show_scores,
    show_seeds,
    show_spread,
    show_table,
)
from mrcnn_edu.viz.diagrams.iou import show_iou
from mrcnn_edu.viz.diagrams.iou_ladder import show_iou_ladder
from mrcnn_edu.viz.draw import (
    crop,
    draw_boxes,
    draw_image,
    draw_map,
    draw_row,
    pale_image,
)
from mrcnn_edu.viz.flow import FLOW_STAGES, show_flow, show_sharing
from mrcnn_edu.viz.fullsize import full_size_png
from mrcnn_edu.viz.instances import draw_instances, draw_objects, paint_differences, paint_masks
from mrcnn_edu.viz.maps import show_cells, show_maps, show_objectness, show_regions, tile_maps
from mrcnn_edu.viz.overview import show_overview, show_sheet
from mrcnn_edu.viz.picture import Picture, row
from mrcnn_edu.viz.roofline import show_roofline
from mrcnn_edu.viz.scenes import (
    sample_photograph,
    show_boxes,
    show_comparison,
    show_detections,
    show_differences,
    show_ground_truth,
    show_images,
    show_panels,
    show_tasks,
)
from mrcnn_edu.viz.style import (
    CLASS_COLORS,
    GRAY,
    HIGHLIGHT,
    INK,
    OP_COLORS,
    OTHER_COLORS,
    ROLES,
    class_color,
    color,
    paled,
    text_color,
)
from mrcnn_edu.viz.training import show_lockstep, show_training

__all__ = [
    "CLASS_COLORS", "FLOW_STAGES", "GRAY", "HIGHLIGHT", "INK", "OP_COLORS", "OTHER_COLORS", "ROLES",
    "Picture", "anchors_at", "bins_read", "class_color", "color", "crop", "draw_boxes",
    "draw_coverage", "draw_image", "draw_instances", "draw_map", "draw_objects", "draw_row",
    "full_size_png", "paint_differences", "paint_masks", "pale_image", "paled", "row",
    "sample_photograph", "show_anchors_at_center", "show_bins", "show_boxes", "show_cells",
    "show_comparison", "show_counts", "show_coverage", "show_detections", "show_differences",
    "show_flow", "show_ground_truth", "show_images", "show_iou", "show_iou_ladder", "show_lines",
    "show_lockstep", "show_maps", "show_objectness", "show_overview", "show_panels", "show_parts",
    "show_regions", "show_roofline", "show_scores", "show_seeds", "show_sharing", "show_sheet",
    "show_spread", "show_table", "show_tasks", "show_training", "text_color", "tile_maps",
]  # fmt: skip
