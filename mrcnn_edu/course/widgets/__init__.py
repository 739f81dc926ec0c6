"""Widgets: sliders over the pictures of `viz`, and drawings to touch; a file for each lesson.

still              the picture that remains in a notebook when its kernel has stopped
background         the thread that draws for all widgets, so that no callback takes long
player             the sliders and the picture; a still picture where no kernel runs
touch              widgets that are drawn and handled in the browser
receptive_field    how far the RPN sees from a location
start_here         lesson 00: a scene, and what is detected in it
annotations        lesson 01: an outline as a polygon, and the bytes of three encodings
boxes              lesson 02: candidates, and which of them NMS keeps
two_boxes          lesson 02: two boxes to drag, their IoU and deltas
nms_steps          lesson 02: NMS, one kept box at a time
history            lesson 03: how many proposals a detector needs
backbone           lesson 04: an object, and the pyramid level it is pooled from
anchors            lesson 05: how anchors of other sizes and ratios cover the objects
level_facts        what is known of the anchors of each feature map
location           lessons 05 and 06: a location to click, and its anchors
rpn                lesson 06: proposals by NMS threshold and number, and their recall
roi_align          lesson 07: a RoI to drag over a map, and one between two objects
heads              lesson 08: an outline at m x m resolution, pasted back
mask_loss          lesson 09: an object between two classes, and both classes' masks
training           lesson 10: the RoIs that a training step samples, a run over a gallery of runs
average_precision  lesson 11: a score threshold, and its point on the precision-recall curve
ap_steps           lesson 11: boxes to draw and score, and their AP step by step
confusion          lesson 11: a confusion matrix whose cells open their objects
fcis               lesson 13: two objects that overlap, and what each model detects
assembly           lesson 13: a RoI to drag, and the maps that each of its parts is from
polygon            lesson 15: outlines of objects to correct by hand
input_gradients    lesson 15: a detection to click, and the pixels that decided on it
gpu                lesson 16: a queue in time, RoIAlign below the roofline of a GPU
cost               lesson 17: multiply-adds of each generation from R-CNN to Mask R-CNN
"""

from mrcnn_edu.course.widgets.anchors import anchor_player
from mrcnn_edu.course.widgets.annotations import region_player
from mrcnn_edu.course.widgets.ap_steps import ap_steps_player
from mrcnn_edu.course.widgets.assembly import assembly_player
from mrcnn_edu.course.widgets.average_precision import average_precision_player
from mrcnn_edu.course.widgets.backbone import backbone_player
from mrcnn_edu.course.widgets.boxes import nms_player
from mrcnn_edu.course.widgets.confusion import confusion_player
from mrcnn_edu.course.widgets.cost import cost_player
from mrcnn_edu.course.widgets.fcis import fcis_player
from mrcnn_edu.course.widgets.gpu import gpu_player, queue_player
from mrcnn_edu.course.widgets.heads import heads_player
from mrcnn_edu.course.widgets.history import history_player
from mrcnn_edu.course.widgets.input_gradients import gradient_player
from mrcnn_edu.course.widgets.location import location_player
from mrcnn_edu.course.widgets.mask_loss import mask_player
from mrcnn_edu.course.widgets.nms_steps import nms_steps_player
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.course.widgets.polygon import polygon_player
from mrcnn_edu.course.widgets.roi_align import roi_player, two_objects_player
from mrcnn_edu.course.widgets.rpn import rpn_player
from mrcnn_edu.course.widgets.start_here import scene_player
from mrcnn_edu.course.widgets.training import gallery_player, training_player
from mrcnn_edu.course.widgets.two_boxes import two_boxes_player

__all__ = [
    "Player", "anchor_player", "ap_steps_player", "assembly_player", "average_precision_player",
    "backbone_player", "confusion_player", "cost_player", "fcis_player", "gallery_player",
    "gpu_player", "gradient_player", "heads_player", "history_player", "location_player",
    "mask_player", "nms_player", "nms_steps_player", "polygon_player", "queue_player",
    "region_player", "roi_player", "rpn_player", "scene_player", "training_player",
    "two_boxes_player", "two_objects_player",
]  # fmt: skip
