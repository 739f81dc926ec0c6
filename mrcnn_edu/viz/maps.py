"""What the network computes, as maps."""

from torch import Tensor

from mrcnn_edu.viz.draw import crop, draw_image, draw_map
from mrcnn_edu.viz.picture import Picture, row


def show_maps(
    maps: list[Tensor], titles: list[str], image: Tensor | None = None, **style
) -> Picture:
    """Maps [h, w] side by side, each on its own grid, after the image if one is given.

    style: as for `draw_map`; without `high` each map has a scale of its own.
    """
    lines = max(title.count("\n") + 1 for title in titles)
    picture, axes = row(len(maps) + (image is not None), 2.3, lines=lines)
    if image is not None:
        draw_image(axes.pop(0), image, "the image")
    for panel, values, title in zip(axes, maps, titles, strict=True):
        draw_map(panel, values, title, **style)
    return picture


def show_objectness(image: Tensor, maps: list[Tensor], strides: list[int]) -> Picture:
    """Objectness [h, w] in 0..1, the best anchor of each place, for each level beside the image."""
    titles = [
        f"stride {stride}: {len(level)} x {level.shape[1]}"
        for stride, level in zip(strides, maps, strict=True)
    ]
    return show_maps(maps, titles, image, high=1)


def show_regions(image: Tensor, boxes: Tensor, maps: Tensor, titles: list[str]) -> Picture:
    """For each box [N, 4] the piece of the image, and below it a map [N, h, w] made from it."""
    n = len(boxes)
    picture = Picture(1.7 * n, 3.9)
    axes = picture.subplots(2, n, squeeze=False)
    for i, title in enumerate(titles):
        draw_image(axes[0, i], crop(image, boxes[i]), title)
        draw_map(axes[1, i], maps[i])
    return picture
