"""Lesson 03, from R-CNN to Mask R-CNN: its widget."""

from collections.abc import Mapping
from typing import Any

from ipywidgets import Dropdown, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.viz import Picture

FOUND_IOU = 0.5  # a proposal with this IoU lies on an object
MIN_SCORE = 0.5


def history_player(
    systems: Mapping[str, Any], image: Tensor, target: dict, proposals: Tensor
) -> Player:
    """What a detector finds in an image if it is given only the first of the proposals.

    systems: name -> an `RCNN` or a `FastRCNN`, which take proposals. image: [C, H, W]. target: its
    ground truth. proposals: [R, 4], in pixels of the image, best first. For each object, the one
    that lies best on it stands out, if their IoU is at least 0.5.
    """
    iou = box_iou(target["boxes"], proposals)  # [M, R]

    def draw(given: int, detector: str) -> Picture:
        detections = systems[detector].detect([image], proposals=[proposals[:given]])[0]
        confident = detections[detections.scores > MIN_SCORE]
        picture, (left, right) = viz.row(2, 3.8, image.shape[1] / image.shape[2])
        best = [int(row.argmax()) for row in iou[:, :given] if (row >= FOUND_IOU).any()]
        n_objects = len(target["boxes"])
        viz.draw_image(left, image, f"{given} proposals, on {len(best)} of {n_objects} objects")
        viz.draw_boxes(left, proposals[:given], viz.GRAY, width=0.6)
        viz.draw_boxes(left, proposals[best], "proposal")
        objects = confident.boxes, confident.labels, None, systems[detector].classes
        title = f"{detector}: {len(confident)} detections"
        viz.draw_instances(right, image, *objects, confident.scores, title)
        return picture

    return Player(
        draw,
        given=IntSlider(min(20, len(proposals)), 0, len(proposals), description="proposals"),
        detector=Dropdown(options=list(systems), value=list(systems)[-1]),
    )
