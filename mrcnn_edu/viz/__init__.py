"""Pictures: tensors in, a figure out. One idea a picture, one color for each role.

style      the look of every picture: colors, widths, fonts
caption    the lines of a picture's caption
svg        a chart as SVG
picture    the figure that every picture is drawn on
palette    pictures of few colors, as small files
draw       drawing onto given axes: an image, a map, boxes
names      names on chips that never cover each other
outlines   the exact outline of a mask
keypoints  keypoints in an image: dots, and lines along the skeleton
instances  objects in an image: masks, boxes, keypoints and names
scenes     images with their objects: ground truth, detections, masks
matched    boxes by the object that they are matched to
maps       what the network computes, as maps
parts      position-sensitive maps, and what a RoI assembles from them
features   feature maps as colors, or channel by channel
charts     scores, curves, distributions, counts and tables
confusion  the class confusion matrix
training   the progress of training runs
compare    settings compared over seeds: paired differences, and how they learned
side_by_side  models side by side: what they detect, and what they get wrong
gallery    training runs beside each other: their losses over those of a healthy run
schedule   learning rates over a training run
roofline   the roofline of a machine, and where work lies below it
sharing    what detectors compute once an image, and what for each region
anchors    anchors in an image, and how well they cover the objects
stages     an image through all stages of a model; which of its pixels decided
bins       the bins of RoIPool, RoIWarp and RoIAlign, and the values they read
overview   what a dataset contains
diagrams   the ideas of the lessons as diagrams
fullsize   an image with its detections at full size
"""

from mrcnn_edu.viz.anchors import anchors_at, draw_coverage, show_anchors_at_center, show_coverage
from mrcnn_edu.viz.bins import (
    OP_NAMES,
    bins_read,
    draw_grays,
    draw_read,
    show_bins,
    show_misalignment,
)
from mrcnn_edu.viz.charts import (
    show_counts,
    show_fractions,
    show_lines,
    show_parts,
    show_scores,
    show_seeds,
    show_spread,
    show_table,
)
from mrcnn_edu.viz.compare import (
    show_by_amount,
    show_learning,
    show_paired_differences,
    show_pairing,
    show_pairs,
)
from mrcnn_edu.viz.confusion import draw_confusion, show_confusion
from mrcnn_edu.viz.diagrams.architecture import ARCHITECTURE_STAGES, show_architecture
from mrcnn_edu.viz.diagrams.assembly import show_assembly
from mrcnn_edu.viz.diagrams.bilinear import show_bilinear
from mrcnn_edu.viz.diagrams.box_deltas import show_box_deltas
from mrcnn_edu.viz.diagrams.debugging import show_debugging_tree
from mrcnn_edu.viz.diagrams.family import show_family
from mrcnn_edu.viz.diagrams.fpn import show_fpn
from mrcnn_edu.viz.diagrams.iou import show_iou
from mrcnn_edu.viz.diagrams.iou_ladder import show_iou_ladder
from mrcnn_edu.viz.diagrams.loss_gradients import show_loss_gradients
from mrcnn_edu.viz.diagrams.matching import show_matching
from mrcnn_edu.viz.diagrams.memory_levels import H100_MEMORY, show_memory_levels
from mrcnn_edu.viz.diagrams.nms_steps import nms_steps, show_nms_steps
from mrcnn_edu.viz.diagrams.programs import Access, Touched, show_programs
from mrcnn_edu.viz.diagrams.pyramids import show_pyramids
from mrcnn_edu.viz.diagrams.queue import QueueTimes, queue_times, show_queue
from mrcnn_edu.viz.diagrams.ranking import (
    show_ap_area,
    show_curves,
    show_matches,
    show_ranking,
)
from mrcnn_edu.viz.diagrams.receptive_field import receptive_fields, show_receptive_field
from mrcnn_edu.viz.diagrams.residual import show_residual_block
from mrcnn_edu.viz.diagrams.roi_pool_steps import show_roi_pool_steps
from mrcnn_edu.viz.diagrams.rpn_window import show_rpn_window
from mrcnn_edu.viz.diagrams.run_lengths import show_run_lengths
from mrcnn_edu.viz.diagrams.smooth_l1 import show_regression_losses
from mrcnn_edu.viz.diagrams.timeline import show_timeline
from mrcnn_edu.viz.diagrams.trained_together import show_trained_together
from mrcnn_edu.viz.diagrams.two_heads import show_two_heads
from mrcnn_edu.viz.draw import (
    crop,
    draw_boxes,
    draw_image,
    draw_map,
    draw_row,
    pale_image,
)
from mrcnn_edu.viz.features import feature_colors, show_channels, show_feature_colors
from mrcnn_edu.viz.fullsize import full_size_png
from mrcnn_edu.viz.gallery import show_gallery, show_run_over
from mrcnn_edu.viz.instances import (
    draw_detections,
    draw_instances,
    draw_objects,
    draw_target,
    paint_differences,
    paint_masks,
)
from mrcnn_edu.viz.keypoints import Skeleton, draw_keypoints
from mrcnn_edu.viz.maps import show_maps, show_objectness, show_regions, tile_maps
from mrcnn_edu.viz.matched import draw_matched, object_color, show_matched, show_named_boxes
from mrcnn_edu.viz.overview import show_overview, show_sheet
from mrcnn_edu.viz.parts import show_box_bins, show_masks_of_bins, show_part_maps, show_steps
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
from mrcnn_edu.viz.schedule import show_schedules
from mrcnn_edu.viz.sharing import show_sharing
from mrcnn_edu.viz.stages import show_gradients, show_stages, smoothed
from mrcnn_edu.viz.style import (
    CLASS_COLORS,
    GRAY,
    HIGHLIGHT,
    INK,
    OP_COLORS,
    OTHER_COLORS,
    ROLES,
    SIDES,
    class_color,
    color,
    paled,
    text_color,
)
from mrcnn_edu.viz.training import show_training

__all__ = [
    "ARCHITECTURE_STAGES", "CLASS_COLORS", "GRAY", "H100_MEMORY", "HIGHLIGHT", "INK", "OP_COLORS",
    "OP_NAMES", "OTHER_COLORS", "ROLES", "SIDES", "Access", "Picture", "QueueTimes", "Skeleton",
    "Touched", "anchors_at", "bins_read", "class_color", "color", "crop", "draw_boxes",
    "draw_confusion", "draw_coverage", "draw_detections", "draw_grays", "draw_image",
    "draw_instances", "draw_keypoints", "draw_map", "draw_matched", "draw_objects", "draw_read",
    "draw_row", "draw_target", "feature_colors", "full_size_png", "nms_steps", "object_color",
    "paint_differences", "paint_masks", "pale_image", "paled", "queue_times", "receptive_fields",
    "row", "sample_photograph", "show_anchors_at_center", "show_ap_area", "show_architecture",
    "show_assembly", "show_bilinear", "show_bins", "show_box_bins", "show_box_deltas", "show_boxes",
    "show_by_amount", "show_channels", "show_comparison", "show_confusion", "show_counts",
    "show_coverage", "show_curves", "show_debugging_tree", "show_detections", "show_differences",
    "show_family", "show_feature_colors", "show_fpn", "show_fractions", "show_gallery",
    "show_gradients", "show_ground_truth", "show_images", "show_iou", "show_iou_ladder",
    "show_learning", "show_lines", "show_loss_gradients", "show_maps", "show_masks_of_bins",
    "show_matched", "show_matches", "show_matching", "show_memory_levels", "show_misalignment",
    "show_named_boxes", "show_nms_steps", "show_objectness", "show_overview",
    "show_paired_differences", "show_pairing", "show_pairs", "show_panels", "show_part_maps",
    "show_parts", "show_programs", "show_pyramids", "show_queue", "show_ranking",
    "show_receptive_field", "show_regions", "show_regression_losses", "show_residual_block",
    "show_roi_pool_steps", "show_roofline", "show_rpn_window", "show_run_lengths", "show_run_over",
    "show_schedules", "show_scores", "show_seeds", "show_sharing", "show_sheet", "show_spread",
    "show_stages", "show_steps", "show_table", "show_tasks", "show_timeline",
    "show_trained_together", "show_training", "show_two_heads", "smoothed", "text_color",
    "tile_maps",
]  # fmt: skip
