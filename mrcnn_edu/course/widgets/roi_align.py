"""Lesson 07, RoIPool against RoIAlign: its widget."""

import torch
from ipywidgets import FloatSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.roi_ops import OPERATIONS, boxes_to_rois
from mrcnn_edu.viz import Picture


def roi_player(features: Tensor, box: Tensor, stride: int, output_size: int = 7) -> Player:
    """A RoI that moves by fractions of a pixel, and what each operation pools from it.

    features: [1, H, W], one map. box: [4], where the RoI starts, in image pixels.
    """
    high = features.max().item()

    def draw(right: float, down: float, wider: float) -> Picture:
        moved = box + torch.tensor([right, down, right + wider, down])
        pooled = {
            op: operation(features[None], boxes_to_rois(moved), output_size, 1 / stride)[0, 0]
            for op, operation in OPERATIONS.items()
        }
        picture = Picture(9.2, 2.4)
        left_axes, right_axes = picture.subplots(1, 2, width_ratios=(1, 3.2))
        viz.draw_map(left_axes, features[0], f"the map, stride {stride}", high)
        for op in pooled:
            bins, _ = viz.bins_read(op, moved, stride, 1)
            viz.draw_boxes(left_axes, bins / stride, op if op != "align" else "proposal")
        viz.draw_row(right_axes, pooled, high)
        return picture

    return Player(
        draw,
        right=FloatSlider(value=0, min=0, max=2 * stride, step=0.5, description="right, px"),
        down=FloatSlider(value=0, min=0, max=2 * stride, step=0.5, description="down, px"),
        wider=FloatSlider(value=0, min=0, max=2 * stride, step=0.5, description="wider, px"),
    )
