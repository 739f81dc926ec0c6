"""Lesson 10, training: its widget."""

from functools import partial

import torch
from ipywidgets import IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.targets import roi_targets
from mrcnn_edu.viz import Picture


def training_player(image: Tensor, target: dict, proposals: Tensor) -> Player:
    """The RoIs that a training step samples in a scene, by how they are sampled.

    proposals: [R, 4] in the image; the ground-truth boxes are added to them.
    """
    boxes = target["boxes"]
    targets_of = partial(roi_targets, [proposals], [boxes], [target["labels"]])

    def draw(iou: int, count: int, percent: int) -> Picture:
        generator = torch.Generator().manual_seed(0)
        (sampled,) = targets_of(
            positive_iou=iou / 100,
            batch_size=count,
            positive_fraction=percent / 100,
            generators=[generator],
        )
        n_rois = len(proposals) + len(boxes)
        (every,) = targets_of(positive_iou=iou / 100, batch_size=n_rois, positive_fraction=1.0)
        picture = Picture(7.6, 3.9)
        panels = picture.subplots(1, 2)
        for axes, is_positive in zip(panels, (True, False), strict=True):
            chosen = sampled.boxes[(sampled.labels > 0) == is_positive]
            n = int(((every.labels > 0) == is_positive).sum())
            name = "positive" if is_positive else "negative"
            viz.draw_image(axes, image, f"{len(chosen)} of {n} {name} RoIs")
            if is_positive:
                viz.draw_boxes(axes, boxes, "gt", width=3)
            viz.draw_boxes(axes, chosen, "proposal", width=1.2)
        return picture

    return Player(
        draw,
        iou=IntSlider(50, 10, 90, 5, description="IoU, %"),
        count=IntSlider(48, 4, 128, 4, description="RoIs"),
        percent=IntSlider(25, 5, 100, 5, description="positive, %"),
    )
