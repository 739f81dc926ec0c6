"""Lesson 05, anchors: its widget."""

import torch
from ipywidgets import FloatLogSlider, FloatSlider, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.boxes import box_area, box_iou
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.coverage import pyramid_grids
from mrcnn_edu.viz import Picture


def anchor_player(
    image: Tensor,
    boxes: Tensor,
    sizes: tuple[float, ...],
    strides: tuple[int, ...],
    shown: Tensor | None = None,
) -> Player:
    """How anchors of other sizes and ratios cover the objects.

    image: [C, H, W], on which the anchors at its center are drawn. boxes: [M, 4] of the objects in
    all images, which have the same size as this one. sizes: the anchor size of each level, one more
    than the backbone's `strides`. shown: the same image in a higher resolution, for the picture.
    """
    height, width = image.shape[-2:]
    grids = pyramid_grids((height, width), strides)
    object_sizes = box_area(boxes).sqrt()

    def draw(factor: float, ratio: float, shapes: int) -> Picture:
        ratios = {1: (1.0,), 2: (1 / ratio, ratio), 3: (1 / ratio, 1.0, ratio)}[shapes]
        level_sizes = tuple((factor * size,) for size in sizes)
        levels = pyramid_anchors(grids, (height, width), level_sizes, ratios)
        best = box_iou(boxes, torch.cat(levels)).amax(dim=1)
        picture = Picture(8, 3.4)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        title = f"{len(torch.cat(levels)):,} anchors; those of one location"
        viz.draw_image(left, image if shown is None else shown, title)
        left.images[0].set_extent((0, width, height, 0))
        centered = viz.anchors_at(levels[1], (width / 2, height / 2), len(ratios))
        viz.draw_boxes(left, centered, "anchor")
        viz.draw_coverage(right, object_sizes, best)
        high, low = (best >= 0.7).float().mean(), (best < 0.3).float().mean()
        right.set_title(f"0.7 or more: {high:.0%}   below 0.3: {low:.0%}", fontsize=10)
        return picture

    return Player(
        draw,
        factor=FloatLogSlider(1, base=2, min=-2, max=2, step=0.25, description="sizes, times"),
        ratio=FloatSlider(value=2, min=1, max=5, step=0.25),
        shapes=IntSlider(3, 1, 3, description="shapes"),
    )
