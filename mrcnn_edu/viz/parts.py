"""Position-sensitive maps: the bins of a box, the part that each map gives, and what they make.

Letters: k x k bins of a box and maps of a score, h x w of each map, m x m assembled.
"""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.viz.draw import draw_boxes, draw_image, draw_map, pale_image
from mrcnn_edu.viz.maps import tile_maps
from mrcnn_edu.viz.picture import Picture, panel_height, row
from mrcnn_edu.viz.style import GRAY, HALO, INK, OTHER_COLORS, ROLES, SMALL, TITLE, legend

SIDE = 3.3  # of a panel, in units of 72 pixels


def show_box_bins(
    image: Tensor, boxes: Tensor, k: int, titles: Sequence[str], point: Sequence[float] = ()
) -> Picture:
    """An image once for each box [N, 4], with the box's k x k bins, numbered row by row.

    point: (x, y) in the image; the bin that it lies in is filled in each panel.
    """
    picture, panels = row(len(boxes), SIDE, image.shape[1] / image.shape[2])
    for axes, box, title in zip(panels, boxes, titles, strict=True):
        draw_image(axes, image, title)
        draw_bins(axes, box, k, point)
        if len(point):
            axes.plot(*point, "o", color=INK, markersize=6, markeredgecolor="white", zorder=5)
    return picture


def draw_bins(axes: Axes, box: Tensor, k: int, point: Sequence[float] = ()) -> None:
    """Draw a box [4] with its k x k bins and their numbers, row by row; pale the image below.

    point: (x, y); the bin that it lies in is filled.
    """
    pale_image(axes)
    x1, y1, x2, y2 = box.tolist()
    wide, high = (x2 - x1) / k, (y2 - y1) / k
    bins = [
        (x1 + j * wide, y1 + i * high, x1 + (j + 1) * wide, y1 + (i + 1) * high)
        for i in range(k)
        for j in range(k)
    ]
    draw_boxes(axes, torch.tensor(bins), "proposal", 0.9)
    draw_boxes(axes, box[None], "proposal", 2)
    for number, (left, top, right, bottom) in enumerate(bins, start=1):
        if len(point) and left <= point[0] < right and top <= point[1] < bottom:
            axes.fill_between(
                [left, right], top, bottom, color=ROLES["proposal"], alpha=0.35, linewidth=0
            )
        if k <= 4:  # more of them could not be read
            x, y = left + 0.12 * wide, top + 0.16 * high
            axes.text(x, y, str(number), color=INK, fontsize=SMALL, ha="left", va="top", zorder=4)


def show_part_maps(
    image: Tensor, box: Tensor, maps: Tensor, assembled: Tensor, stride: int, title: str
) -> Picture:
    """A box [4] with its bins, the maps [k, k, h, w] of one score, and the assembled map [m, m].

    On each map, the bin of the box that reads it is outlined. Maps are signed, on one color scale.
    stride: of the maps; value i of a map lies at pixel i * stride, as RoIAlign has it.
    """
    k, (height, width) = len(maps), maps.shape[-2:]
    picture = Picture(10, panel_height(10 / 3, 1))
    left, middle, right = picture.subplots(1, 3)
    draw_image(left, image, f"a RoI and its {k} × {k} bins")
    left.images[0].set_extent((0, width * stride, height * stride, 0))
    draw_bins(left, box, k)
    high = maps.abs().max().item()
    draw_map(middle, tile_maps(maps), f"{title}: {k} × {k} maps", high=high, signed=True)
    x1, y1, x2, y2 = (box / stride).tolist()
    bins = []
    for i in range(k):
        for j in range(k):
            across, down = j * (width + 1), i * (height + 1)
            bins.append(
                (
                    across + x1 + j * (x2 - x1) / k,
                    down + y1 + i * (y2 - y1) / k,
                    across + x1 + (j + 1) * (x2 - x1) / k,
                    down + y1 + (i + 1) * (y2 - y1) / k,
                )
            )
    draw_boxes(middle, torch.tensor(bins), "proposal", 1.6, pale=False)
    for line in range(1, k):  # the gaps between the maps
        middle.axhline(line * (height + 1) - 1, color=GRAY, linewidth=0.8)
        middle.axvline(line * (width + 1) - 1, color=GRAY, linewidth=0.8)
    draw_map(right, assembled, "assembled", high=high, signed=True)
    draw_borders(right, len(assembled), k)
    return picture


def draw_borders(axes: Axes, size: int, k: int) -> None:
    """Draw the lines between the k x k bins of an assembled map or a mask of size x size pixels."""
    for line in range(1, k):
        place = line * size / k - 0.5
        for draw in (axes.axhline, axes.axvline):
            draw(place, color="white", linewidth=0.8 + HALO / 2, alpha=0.7)
            draw(place, color=ROLES["proposal"], linewidth=0.8)


def show_masks_of_bins(masks: Mapping[str, Tensor], k: Mapping[str, int]) -> Picture:
    """Mask probabilities [m, m] next to each other, title -> mask, with lines between bins.

    k: title -> k, for those masks that were assembled from k x k bins. Black is 0 and white is 1.
    """
    lines = max(title.count("\n") + 1 for title in masks)
    picture, panels = row(len(masks), 2.5, 1, lines)
    for axes, (title, mask) in zip(panels, masks.items(), strict=True):
        axes.imshow(mask.detach().cpu().numpy(), vmin=0, vmax=1, cmap="gray")
        axes.set_title(title, fontsize=TITLE)
        axes.set(xticks=[], yticks=[])
        if title in k:
            draw_borders(axes, len(mask), k[title])
    return picture


def show_steps(profiles: Mapping[str, tuple[Tensor, Tensor]], k: int) -> Picture:
    """Mean steps between neighboring pixels of masks, by where they lie in the mask.

    profiles: title -> (steps [m - 1] away from other objects, the same on other objects). The lines
    between k bins are dashed.
    """
    picture = Picture(3.3 * len(profiles), 2.9)
    panels = picture.subplots(1, len(profiles), sharey=True, squeeze=False)[0]
    names = ["on background or the object", "on another object"]
    for axes, (title, curves) in zip(panels, profiles.items(), strict=True):
        for line in range(1, k):
            axes.axvline(line / k, color=GRAY, linewidth=1, linestyle=(0, (3, 2)))
        for index, (name, steps) in enumerate(zip(names, curves, strict=True)):
            place = (torch.arange(len(steps)) + 1) / (len(steps) + 1)
            shade = OTHER_COLORS[index]
            axes.plot(place, steps, color=shade, linewidth=1.8, label=name)
        axes.set(xlabel="place in the mask, from edge to edge", xlim=(0, 1))
        axes.set_title(title, fontsize=TITLE)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean step")
    panels[0].set_ylim(bottom=0)
    legend(panels[-1])
    return picture
