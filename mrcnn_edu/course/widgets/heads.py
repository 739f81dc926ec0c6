"""Lesson 08, heads and the m x m mask: its widget."""

import torch
from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.drawing import draw
from mrcnn_edu.data.outlines import template
from mrcnn_edu.detections import paste_masks
from mrcnn_edu.images import size_of
from mrcnn_edu.targets import mask_targets
from mrcnn_edu.viz import Picture


def heads_player(name: str = "star") -> Player:
    """A frame along a template's outline, as an m x m mask of its box and pasted back.

    name: a template without holes.
    """

    def redraw(m: int, size: int, thickness: int) -> Picture:
        canvas, outer = size + 8, size / 2 * template(name)[0]
        rings = [outer, (1 - thickness / 100) * outer] if thickness < 100 else [outer]
        coverage = torch.from_numpy(draw([canvas / 2 + ring for ring in rings], canvas))
        mask = coverage >= coverage.max().clamp(max=0.5)  # a thin frame fills no pixel by half
        y, x = torch.where(mask)
        box = torch.stack((x.min(), y.min(), x.max() + 1, y.max() + 1)).float()[None]
        small = mask_targets([mask[None]], [box], [torch.tensor([0])], m)
        pasted = paste_masks(small, box, size_of(mask))[0]
        iou = (mask & pasted).sum() / (mask | pasted).sum()
        picture = Picture(8.6, 3.1)
        left, right = picture.subplots(1, 2, width_ratios=(1, 1))
        viz.draw_map(left, small[0], f"{m} × {m} mask", 1)
        pixels = viz.paint_differences(mask, pasted)
        title = f"pasted back: IoU {iou:.2f} (green missing, crimson extra)"
        viz.draw_image(right, pixels, title)
        return picture

    return Player(
        redraw,
        m=IntSlider(14, 4, 56, 2),
        size=IntSlider(100, 16, 300, 4, description="size, px", continuous_update=False),
        thickness=IntSlider(20, 5, 100, 5, description="thickness, %"),
    )
