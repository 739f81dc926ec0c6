"""Widgets: sliders over the pictures of `viz`, a file for each lesson."""

from mrcnn_edu.course.widgets.ablations import ablation_player
from mrcnn_edu.course.widgets.anchors import anchor_player
from mrcnn_edu.course.widgets.annotations import region_player
from mrcnn_edu.course.widgets.average_precision import average_precision_player
from mrcnn_edu.course.widgets.backbone import backbone_player
from mrcnn_edu.course.widgets.boxes import nms_player
from mrcnn_edu.course.widgets.fcis import fcis_player
from mrcnn_edu.course.widgets.gpu import gpu_player
from mrcnn_edu.course.widgets.heads import heads_player
from mrcnn_edu.course.widgets.history import history_player
from mrcnn_edu.course.widgets.mask_loss import mask_player
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.course.widgets.roi_align import roi_player
from mrcnn_edu.course.widgets.rpn import rpn_player
from mrcnn_edu.course.widgets.start_here import scene_player
from mrcnn_edu.course.widgets.training import training_player

__all__ = [
    "Player",
    "ablation_player",
    "anchor_player",
    "average_precision_player",
    "backbone_player",
    "fcis_player",
    "gpu_player",
    "heads_player",
    "history_player",
    "mask_player",
    "nms_player",
    "region_player",
    "roi_player",
    "rpn_player",
    "scene_player",
    "training_player",
]
