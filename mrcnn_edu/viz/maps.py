"""What the network computes, as maps."""

import torch
from torch import Tensor

from mrcnn_edu.viz.draw import crop, draw_image, draw_map
from mrcnn_edu.viz.picture import Picture, panel_height, row


def show_maps(
    maps: list[Tensor], titles: list[str], image: Tensor | None = None, **style
) -> Picture:
    """Maps [h, w] next to each other, each on its own grid, after the image if one is given.

    style: keyword arguments of `draw_map`; without `high`, each map has a color scale of its own.
    """
    lines = max(title.count("\n") + 1 for title in titles)
    shown = maps if image is None else [image, *maps]
    ratio = max(values.shape[-2] / values.shape[-1] for values in shown)
    picture, axes = row(len(shown), 2.3, ratio, lines)
    if image is not None:
        draw_image(axes.pop(0), image, "the image")
    for panel, values, title in zip(axes, maps, titles, strict=True):
        draw_map(panel, values, title, **style)
    return picture


def show_objectness(image: Tensor, maps: list[Tensor], strides: list[int]) -> Picture:
    """The image, and each level's objectness [h, w] in 0..1, of the best anchor at a position."""
    titles = [
        f"stride {stride}: {len(level)} x {level.shape[1]}"
        for stride, level in zip(strides, maps, strict=True)
    ]
    return show_maps(maps, titles, image, high=1)


def show_regions(image: Tensor, boxes: Tensor, maps: Tensor, titles: list[str]) -> Picture:
    """For each box [N, 4], that part of the image, and below it the box's own map [N, h, w]."""
    n = len(boxes)
    picture = Picture(1.7 * n, 1.7 + panel_height(1.7, 1))
    axes = picture.subplots(2, n, squeeze=False)
    for i, title in enumerate(titles):
        piece = crop(image, boxes[i])
        draw_image(axes[0, i], piece, title)
        (height, width), side = piece.shape[1:], max(piece.shape[1:])
        axes[0, i].set_xlim((width - side) / 2, (width + side) / 2)  # a square: one line of titles
        axes[0, i].set_ylim((height + side) / 2, (height - side) / 2)
        axes[0, i].spines[:].set_visible(False)
        draw_map(axes[1, i], maps[i])
    return picture


def tile_maps(maps: Tensor) -> Tensor:
    """A k x k grid of maps [k, k, h, w] as one map, with a gap of one value (NaN) between them."""
    rows, columns, h, w = maps.shape
    sheet = torch.full((rows * (h + 1) - 1, columns * (w + 1) - 1), torch.nan)
    for i in range(rows):
        for j in range(columns):
            y, x = i * (h + 1), j * (w + 1)
            sheet[y : y + h, x : x + w] = maps[i, j]
    return sheet
