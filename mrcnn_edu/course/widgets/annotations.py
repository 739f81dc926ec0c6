"""Lesson 01, annotations: its widget."""

import json

import torch
from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.drawing import draw
from mrcnn_edu.data.outlines import interpolate_outline
from mrcnn_edu.data.regions import decode_mask, encode_mask
from mrcnn_edu.viz import Picture


def region_player(name: str = "star") -> Player:
    """An outline as a polygon of more or fewer corners, and the bytes of three encodings.

    name: a template without holes. The corners are at equal angles, the first one at a tip.
    """

    def redraw(corners: int, size: int) -> Picture:
        def polygon_of(n: int):  # the outline with n corners, in pixels
            return size * (0.5 + 0.48 * interpolate_outline(name, name, 0, n))

        mask = torch.from_numpy(draw([polygon_of(180)], size) >= 0.5)
        polygon = polygon_of(corners).round(1)
        coarse = decode_mask([polygon.flatten().tolist()], size, size)
        iou = (mask & coarse).sum() / (mask | coarse).sum()
        n_bytes = {
            "bitmap": mask.numel() // 8,
            "RLE": len(encode_mask(mask)["counts"]),
            "polygon": len(json.dumps(polygon.flatten().tolist())),
        }
        picture = Picture(8, 3.2)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        pixels = torch.ones(3, size, size)
        for where, gray in ((mask, 0.75), (mask & coarse, 0.4), (coarse & ~mask, 0.9)):
            pixels[:, where] = gray
        viz.draw_image(left, pixels, f"{corners} corners, IoU {iou:.2f}")
        ring = [*polygon.tolist(), polygon[0].tolist()]
        x, y = zip(*ring, strict=True)
        left.plot(x, y, ".-", color=viz.OTHER_COLORS[0], linewidth=1.5)
        bars = right.barh(list(n_bytes), list(n_bytes.values()), color=viz.GRAY)
        right.bar_label(bars, padding=3, fontsize=9)
        right.set_title(f"bytes, {size} x {size} pixels", fontsize=10)
        right.set_xlim(0, 1.2 * max(n_bytes.values()))
        right.invert_yaxis()
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        redraw,
        corners=IntSlider(12, 3, 40),
        size=IntSlider(64, 16, 160, 16, description="size, px"),
    )
