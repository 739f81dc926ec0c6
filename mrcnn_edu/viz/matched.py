"""Boxes by the object that they are matched to: positives in its color, negatives dashed."""

from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.viz.draw import draw_boxes, draw_image
from mrcnn_edu.viz.palette import FewColors
from mrcnn_edu.viz.picture import Picture, panel_height, row
from mrcnn_edu.viz.style import HIGHLIGHT, LABEL, MATCH_COLORS, OTHER_COLORS

# Negatives are red, so no object is.
OBJECT_COLORS = (*(OTHER_COLORS[i] for i in (0, 3, 4, 2, 5)), HIGHLIGHT)


def object_color(index: int) -> str:
    """The color of an object and of the boxes that are matched to it; they repeat after six."""
    return OBJECT_COLORS[index % len(OBJECT_COLORS)]


def draw_matched(axes: Axes, gt: Tensor, boxes: Tensor, matched: Tensor) -> None:
    """Draw boxes [N, 4] by what they are matched to, and the objects' own boxes [M, 4].

    matched: [N], the index of an object, or negative. Boxes that are matched to an object have its
    color; the others are thin, red and dashed, and lie below. The objects' boxes are thick.
    """
    positive = matched >= 0
    if (~positive).any():
        draw_boxes(axes, boxes[~positive], "negative", 0.9)
    colors = [object_color(index) for index in matched[positive].tolist()]
    draw_boxes(axes, boxes[positive], colors, 1.3)
    draw_boxes(axes, gt, [object_color(index) for index in range(len(gt))], 3.2)


def show_matched(
    image: Tensor, gt: Tensor, panels: Mapping[str, tuple[Tensor, Tensor]], width: float = 3.4
) -> Picture:
    """The image [C, H, W] once for each panel: title -> (boxes [N, 4], matched [N]).

    gt: the objects' boxes [M, 4], which are drawn in each panel. matched: as in `draw_matched`.
    Raises ValueError if an object's index is too large.
    """
    for title, (boxes, matched) in panels.items():
        if len(matched) != len(boxes) or (len(matched) and int(matched.max()) >= len(gt)):
            raise ValueError(
                f"{title!r} has {len(boxes)} boxes, {len(matched)} indices and {len(gt)} objects: "
                "give an index of an object, or a negative number, for each box"
            )
    picture, all_axes = row(len(panels), width, image.shape[1] / image.shape[2])
    for axes, (title, (boxes, matched)) in zip(all_axes, panels.items(), strict=True):
        draw_image(axes, image, title)
        draw_matched(axes, gt, boxes, matched)
    return picture


def show_named_boxes(boxes: Mapping[str, Tensor], gt: Tensor, size: tuple[int, int]) -> Picture:
    """Boxes by name, each in a panel of its own on an empty sheet, with the objects' boxes [M, 4].

    boxes: name -> [4]. size: (height, width) of the sheet, in the boxes' units.
    """
    height, width = size
    n = len(boxes)
    picture = FewColors(1.66 * n, panel_height(1.66, height / width))
    panels = picture.subplots(1, n, squeeze=False)[0]
    paper = torch.ones(3, height, width)
    for axes, (name, box) in zip(panels, boxes.items(), strict=True):
        draw_image(axes, paper, is_paled=True)
        axes.set_title(name, fontsize=LABEL)
        margin = width / 16  # boxes at the sheet's edge are seen whole
        axes.set_xlim(-margin, width + margin)
        axes.set_ylim(height + margin, -margin)
        draw_boxes(axes, gt, [object_color(index) for index in range(len(gt))], 2.6)
        draw_boxes(axes, box[None], MATCH_COLORS["ignored"], 1.6, line="--")
    picture.format = "png"  # a drawing, although there is paper below it
    return picture
