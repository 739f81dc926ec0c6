"""Lesson 02, boxes and NMS: its widget."""

from ipywidgets import FloatSlider, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.detections import select_detections
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.viz import Picture

MIN_SCORE = 0.05


def nms_player(model: MaskRCNN, image: Tensor, target: dict) -> Player:
    """The box head's candidates in a scene, and which of them NMS keeps.

    image: [C, H, W] of the size at which the network sees it, because nothing is scaled back.
    """
    trace = model.trace([image])
    (candidates,) = select_detections(
        [trace.class_logits],
        [trace.box_deltas],
        [trace.proposals[0].boxes],
        trace.batch.sizes,
        score_threshold=MIN_SCORE,
        nms_iou=1.0,  # no IoU is above 1: nothing is suppressed
        max_detections=trace.class_logits.numel(),
    )

    def draw(threshold: float, score: float, by_class: int) -> Picture:
        boxes, labels, scores = (column[candidates.scores > score] for column in candidates)
        kept = batched_nms(boxes, scores, labels * by_class, threshold)
        picture, (left, right) = viz.row(2, 3.5)
        viz.draw_image(left, image, f"{len(boxes)} candidates above {score:.2f}")
        viz.draw_boxes(left, boxes, "proposal", width=1)
        objects = boxes[kept], labels[kept], None, model.classes, scores[kept]
        scope = "within classes" if by_class else "across classes"
        title = f"NMS {threshold:.2f} {scope}: {len(kept)} for {len(target['boxes'])} objects"
        viz.draw_instances(right, image, *objects, title=title)
        return picture

    return Player(
        draw,
        threshold=FloatSlider(value=0.5, min=0, max=1, step=0.05, description="NMS IoU"),
        score=FloatSlider(value=0.5, min=MIN_SCORE, max=0.95, step=0.05, description="score above"),
        by_class=IntSlider(1, 0, 1, description="by class"),
    )
