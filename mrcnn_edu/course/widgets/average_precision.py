"""Lesson 11, average precision: its widget."""

from collections.abc import Sequence

import torch
from ipywidgets import Dropdown, FloatSlider, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import (
    IOU_THRESHOLDS,
    average_precision,
    match_detections,
    overlap,
    precision_recall,
)
from mrcnn_edu.viz import Picture


def average_precision_player(dataset, detections: Sequence[Detections], scene: int = 0) -> Player:
    """One class's detections above a score: those in one scene, and their point on the curve.

    detections: with masks, one for each item of the dataset. scene: index of the item to begin
    with. The curve is that of the class in all scenes, and is computed beforehand.
    """
    images, targets = zip(*[dataset[i] for i in range(len(detections))], strict=True)
    classes = list(dataset.classes)
    rankings = [_ranking(detections, targets, k + 1) for k in range(len(classes))]

    def draw(name: str, scene: int, score: float, iou: float) -> Picture:
        label = classes.index(name) + 1
        scores, correct, n_objects = rankings[label - 1]
        n = int((scores > score).sum())
        row = correct[int((IOU_THRESHOLDS - iou).abs().argmin())]  # [D]
        d = detections[scene]
        kept = d[(d.scores > score) & (d.labels == label)]
        n_here = int((targets[scene]["labels"] == label).sum())
        picture = Picture(8.4, 3.7)
        left, right = picture.subplots(1, 2)
        title = f"{len(kept)} detected as {name} above {score:.2f}; there are {n_here}"
        objects = kept.boxes, kept.labels, kept.masks
        viz.draw_instances(left, images[scene], *objects, classes, kept.scores, title)
        _draw_curve(right, row, n_objects, n)
        right.set_title(f"{name}, all scenes: " + right.get_title(), fontsize=10)
        return picture

    return Player(
        draw,
        name=Dropdown(options=classes, description="class"),
        scene=IntSlider(value=scene, min=0, max=len(detections) - 1),
        score=FloatSlider(value=0.5, min=0, max=1, step=0.05, description="score above"),
        iou=FloatSlider(value=0.75, min=0.5, max=0.95, step=0.05, description="min. IoU"),
    )


def _draw_curve(axes, correct: Tensor, n_objects: int, n: int) -> None:
    """The curve of a ranking, and the point on it after the first n detections."""
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.03), ylim=(0, 1.03))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("no objects" if n_objects == 0 else f"{n} kept")
    if n_objects == 0 or len(correct) == 0:
        return
    precision, recall = precision_recall(correct, n_objects)
    axes.plot(recall, precision, color=viz.GRAY, linewidth=1.5)
    if n:
        x, y = recall[n - 1].item(), precision[n - 1].item()
        axes.plot(x, y, "o", color=viz.ROLES["detection"], markersize=9)
        axes.set_title(f"{n} kept, precision {y:.2f}, recall {x:.2f}")
    ap = average_precision(correct, n_objects)
    axes.text(0.03, 0.03, f"AP {ap:.3f} at this IoU", fontsize=10, transform=axes.transAxes)


def _ranking(
    detections: Sequence[Detections], targets: Sequence[dict], label: int
) -> tuple[Tensor, Tensor, int]:
    """The scores [D] of a class, best first, which are correct [10, D], and its objects' number."""
    scores, correct, n_objects = [torch.zeros(0)], [torch.zeros(10, 0, dtype=torch.bool)], 0
    for image_detections, target in zip(detections, targets, strict=True):
        d = image_detections[image_detections.labels == label]
        assert d.masks is not None
        gt_masks = target["masks"][target["labels"] == label]
        correct.append(match_detections(overlap(d.masks, gt_masks), d.scores) >= 0)
        scores.append(d.scores)
        n_objects += len(gt_masks)
    ranked = torch.cat(scores)
    order = ranked.argsort(descending=True, stable=True)
    return ranked[order], torch.cat(correct, dim=1)[:, order], n_objects
