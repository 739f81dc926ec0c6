"""Lesson 10, training: its widget."""

import torch
from ipywidgets import IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.targets import roi_targets
from mrcnn_edu.viz import Picture


def training_player(image: Tensor, target: dict, proposals: Tensor) -> Player:
    """The RoIs of a scene that a training step learns from, by how they are chosen.

    proposals: [R, 4] of the image; the objects' own boxes join them.
    """
    boxes = target["boxes"]
    scene = [proposals], [boxes], [target["labels"]]

    def draw(iou: int, count: int, share: int) -> Picture:
        generator = torch.Generator().manual_seed(0)
        (rois,) = roi_targets(*scene, iou / 100, count, share / 100, generator)
        (every,) = roi_targets(*scene, iou / 100, len(proposals) + len(boxes), 1.0)
        picture = Picture(7.6, 3.9)
        panels = picture.subplots(1, 2)
        for axes, name, is_positive in zip(
            panels, ("positive", "negative"), (True, False), strict=True
        ):
            chosen = rois.boxes[(rois.labels > 0) == is_positive]
            there = int(((every.labels > 0) == is_positive).sum())
            viz.draw_image(axes, image, f"{len(chosen)} of {there} {name} RoIs")
            if is_positive:
                viz.draw_boxes(axes, boxes, "truth", width=3)
            viz.draw_boxes(axes, chosen, "proposal", width=1.2)
        return picture

    return Player(
        draw,
        iou=IntSlider(50, 10, 90, 5, description="IoU, %"),
        count=IntSlider(48, 4, 128, 4, description="RoIs"),
        share=IntSlider(25, 5, 100, 5, description="positive, %"),
    )
