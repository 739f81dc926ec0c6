"""Lesson 02, boxes and NMS: its widget."""

from ipywidgets import FloatSlider, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.detections import select_detections
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.viz import Picture


def nms_player(model: MaskRCNN, image: Tensor, target: dict) -> Player:
    """The box head's candidates of a scene, and which of them NMS leaves over.

    Drawn as the network sees the scene, which has the network's own size.
    """
    trace = model.trace([image])
    said = [trace.class_logits], [trace.box_deltas], [trace.proposals[0].boxes]
    low, everything = 0.05, trace.class_logits.numel()
    # No IoU is above 1: nothing is suppressed.
    (found,) = select_detections(*said, trace.batch.sizes, low, 1.0, everything)

    def draw(threshold: float, score: float, by_class: int) -> Picture:
        boxes, labels, scores = (value[found.scores > score] for value in found)
        kept = batched_nms(boxes, scores, labels * by_class, threshold)
        picture = Picture(7, 3.8)
        left, right = picture.subplots(1, 2)
        viz.draw_image(left, image, f"{len(boxes)} candidates over {score:.2f}")
        viz.draw_boxes(left, boxes, "proposal", width=1)
        objects = boxes[kept], labels[kept], None, model.classes, scores[kept]
        how = "by class" if by_class else "across classes"
        title = f"NMS {threshold:.2f} {how}: {len(kept)} for {len(target['boxes'])} objects"
        viz.draw_instances(right, image, *objects, title=title)
        return picture

    return Player(
        draw,
        threshold=FloatSlider(value=0.5, min=0, max=1, step=0.05, description="NMS IoU"),
        score=FloatSlider(value=0.5, min=low, max=0.95, step=0.05, description="score over"),
        by_class=IntSlider(1, 0, 1, description="by class"),
    )
