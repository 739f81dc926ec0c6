"""RoIPool on a small map of whole numbers, one step after the other (lesson 07)."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.roi_ops import roi_pool, rounded_bins
from mrcnn_edu.viz.bins import draw_areas, draw_frames
from mrcnn_edu.viz.diagrams.sheet import as_boxes
from mrcnn_edu.viz.picture import Picture, row
from mrcnn_edu.viz.style import INK, LIGHT, SMALL, TITLE

GAP = 0.07  # between the frames of two bins that share positions, in positions
LARGEST = 8  # positions along one side of the map


def show_roi_pool_steps(values: Tensor, box: Tensor, n_bins: int, steps: int = 4) -> Picture:
    """RoIPool of one RoI on a small map [h, w]: the RoI, rounded; its bins, rounded; their maxima.

    box: [4], in positions of the map, where the value in row i and column j lies at x = j, y = i.
    steps: how many of the four panels are drawn. Raises ValueError for a map that is too large, or
    for a RoI that is not one box.
    """
    box = as_boxes(box, "box", 1)[0]
    if values.ndim != 2 or max(values.shape) > LARGEST:
        shape = list(values.shape)
        raise ValueError(f"values has shape {shape}: give a map of at most {LARGEST} x {LARGEST}")
    h, w = values.shape
    y, n_y = (v[0].tolist() for v in rounded_bins(box[1:2], box[3:], torch.tensor([h]), n_bins))
    x, n_x = (v[0].tolist() for v in rounded_bins(box[:1], box[2:3], torch.tensor([w]), n_bins))
    picture, panels = row(steps, 2.4, h / w)
    titles = "the RoI", "rounded to whole positions", "its bins, rounded", "the largest values"
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title, fontsize=TITLE)
    for axes in panels[:3]:
        draw_numbers(axes, values)
        draw_frames(axes, box[None], "proposal", 2.2 if axes is panels[0] else 1.2)
    if steps > 1:
        whole = torch.tensor([x[0], y[0], x[-1] + n_x[-1], y[-1] + n_y[-1]]) - 0.5
        draw_areas(panels[1], torch.zeros(4), whole)
        draw_frames(panels[1], whole[None], "pool", 2.2)
        draw_frames(panels[1], box[None], "proposal", 1.2)
    if steps > 2:
        for i in range(n_bins):
            for j in range(n_bins):
                inset = 0.06 + GAP * ((i + j) % 2)
                frame = torch.tensor([x[j], y[i], x[j] + n_x[j] - 1, y[i] + n_y[i] - 1])
                grow = torch.tensor([-0.5, -0.5, 0.5, 0.5]) * (1 - 2 * inset)
                draw_frames(panels[2], (frame + grow)[None], "pool", 1.6)
    if steps > 3:
        roi = torch.cat((torch.zeros(1), box))[None]
        draw_numbers(panels[3], roi_pool(values[None, None].float(), roi, n_bins, 1.0)[0, 0])
        panels[3].set(xticks=[], yticks=[])
        middle = (n_bins - 1) / 2  # squares as large as in the other panels
        reach = 0.05 + max(w, n_bins) / 2, 0.05 + max(h, n_bins) / 2
        panels[3].set(xlim=(middle - reach[0], middle + reach[0]))
        panels[3].set(ylim=(middle + reach[1], middle - reach[1]))
    return picture


def draw_numbers(axes: Axes, values: Tensor) -> None:
    """Draw a map [h, w] of whole numbers as squares, with the numbers of its rows and columns."""
    h, w = values.shape
    for i in range(h):
        for j in range(w):
            axes.text(
                j, i, f"{values[i, j]:g}", ha="center", va="center", fontsize=TITLE + 3, color=INK
            )
    lines = {"color": LIGHT, "linewidth": 1, "zorder": 0.5}
    axes.hlines([i - 0.5 for i in range(h + 1)], -0.5, w - 0.5, **lines)
    axes.vlines([j - 0.5 for j in range(w + 1)], -0.5, h - 0.5, **lines)
    axes.set(xlim=(-0.55, w - 0.45), ylim=(h - 0.45, -0.55), aspect="equal")
    axes.set_xticks(range(w), map(str, range(w)), fontsize=SMALL)
    axes.set_yticks(range(h), map(str, range(h)), fontsize=SMALL)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
