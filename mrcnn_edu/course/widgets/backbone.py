"""Lesson 04, backbone and pyramid: its widget."""

from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.roi_ops import pyramid_level
from mrcnn_edu.viz import Picture

IMAGE_SIZE = 160  # pixels


def backbone_player(strides: tuple[int, ...], canonical_size: float) -> Player:
    """An object of any size, the level it is pooled from, and the grid cells it covers there."""
    levels = [f"stride {stride}" for stride in strides]

    def redraw(size: int) -> Picture:
        fraction = size / IMAGE_SIZE
        scene = Shapes(
            1, size=IMAGE_SIZE, seed=61, n_objects=(1, 1), object_size=(fraction, fraction)
        )
        image, target = scene[0]
        box = target["boxes"][0]
        level = int(pyramid_level(box[None], strides, canonical_size))
        picture = Picture(8, 3.4)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        viz.draw_image(left, image, f"pooled from {levels[level]}")
        lines = range(0, IMAGE_SIZE + 1, strides[level])
        left.hlines(lines, 0, IMAGE_SIZE, color=viz.GRAY, linewidth=0.3)
        left.vlines(lines, 0, IMAGE_SIZE, color=viz.GRAY, linewidth=0.3)
        viz.draw_boxes(left, box[None], "gt")
        area = (box[2:] - box[:2]).prod().item()
        cells = [area / stride**2 for stride in strides]
        shades = [viz.HIGHLIGHT if i == level else viz.GRAY for i in range(len(strides))]
        bars = right.barh(levels, cells, color=shades)
        right.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
        right.set_xlim(0, 1.2 * max(cells))
        right.set_title("grid cells that its box covers", fontsize=10)
        right.invert_yaxis()
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(redraw, size=IntSlider(36, 8, 96, 2, description="size, px"))
