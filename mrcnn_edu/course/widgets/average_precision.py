"""Lesson 11, average precision: its widget."""

from collections.abc import Sequence

import torch
from ipywidgets import FloatSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import IOU_THRESHOLDS, match_detections, overlap, precision_recall
from mrcnn_edu.viz import Picture


def average_precision_player(dataset, detections: Sequence[Detections], scene: int = 0) -> Player:
    """The detections above a score in one scene, and the score's point on the curve of all scenes.

    detections: with masks, one for each item of the dataset. scene: index of the item to draw. All
    classes are ranked together. Everything is computed beforehand.
    """
    image, _ = dataset[scene]
    scores, curves = _ranking(dataset, detections)

    def draw(score: float, iou: float) -> Picture:
        n = int((scores > score).sum())
        precision, recall = curves[int((IOU_THRESHOLDS - iou).abs().argmin())]
        kept = detections[scene][detections[scene].scores > score]
        picture = Picture(8, 3.6)
        left, right = picture.subplots(1, 2)
        objects = kept.boxes, kept.labels, kept.masks
        viz.draw_instances(left, image, *objects, dataset.classes, kept.scores, f"{len(kept)} kept")
        right.plot(recall, precision, color=viz.GRAY, linewidth=1.5)
        title = f"{n} kept in all {len(detections)} scenes"
        if n:
            x, y = recall[n - 1].item(), precision[n - 1].item()
            right.plot(x, y, "o", color=viz.ROLES["detection"], markersize=9)
            title += f": precision {y:.2f}, recall {x:.2f}"
        right.set_title(title, fontsize=10)
        right.set(xlabel="recall", ylabel="precision", xlim=(0, 1.03), ylim=(0, 1.03))
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        score=FloatSlider(value=0.5, min=0, max=1, step=0.05, description="score above"),
        iou=FloatSlider(value=0.75, min=0.5, max=0.95, step=0.05, description="min. IoU"),
    )


def _ranking(dataset, detections: Sequence[Detections]) -> tuple[torch.Tensor, list[tuple]]:
    """All scores, best first, and (precision, recall) for each of IOU_THRESHOLDS."""
    correct, n_objects = [], 0  # [10, D] of each image
    for i, d in enumerate(detections):
        target = dataset[i][1]
        assert d.masks is not None
        iou = overlap(d.masks, target["masks"])
        iou = torch.where(d.labels[:, None] == target["labels"], iou, 0)
        correct.append(match_detections(iou, d.scores) >= 0)
        n_objects += len(target["labels"])
    scores = torch.cat([d.scores for d in detections])
    order = scores.argsort(descending=True, stable=True)
    rows = torch.cat(correct, dim=1)[:, order]
    return scores[order], [precision_recall(row, n_objects) for row in rows]
