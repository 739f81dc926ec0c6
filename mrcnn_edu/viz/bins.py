"""The bins of RoIPool, RoIWarp and RoIAlign, and the values they read (lesson 07)."""

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.roi_ops import round_half_away, rounded_bins
from mrcnn_edu.viz.draw import draw_boxes
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, OP_COLORS, ROLES, SMALL, TITLE


def bins_read(op: str, box: Tensor, stride: int, output_size: int) -> tuple[Tensor, Tensor]:
    """The bins [P * P, 4] of a RoI [4], and the points [n, 2] they read, in image pixels.

    Value i of a map is taken to lie at pixel i * stride, as in the paper's figure 3. A bin of
    RoIPool extends from the first to the last value that it reads; those of the other two have
    2 x 2 sample points each.
    """
    edges, points = [], []  # along x, then along y
    for start, end in (box[[0, 2], None] / stride, box[[1, 3], None] / stride):
        if op == "pool":
            length = torch.tensor([10_000])  # of a map that ends nowhere near the RoI
            first, count = (v[0] for v in rounded_bins(start, end, length, output_size))
            edges.append(torch.stack((first, first + count - 1), dim=1))
            points.append(torch.arange(int(first[0]), int(first[-1] + count[-1])))
        else:
            if op == "warp":
                start, end = round_half_away(start), round_half_away(end)
            size = (end - start).clamp(min=1)
            borders = start + size * torch.linspace(0, 1, output_size + 1)
            edges.append(torch.stack((borders[:-1], borders[1:]), dim=1))
            points.append(start + size * (torch.arange(2 * output_size) + 0.5) / output_size / 2)
    x, y = (e.float() for e in edges)  # [P, 2] each
    x, y = x.repeat(output_size, 1), y.repeat_interleave(output_size, dim=0)  # [P * P, 2]
    bins = torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), dim=1) * stride
    return bins, torch.cartesian_prod(*(p.float() * stride for p in points))


def show_bins(box: Tensor, stride: int, output_size: int = 2) -> Picture:
    """What each operation reads for a RoI [4], drawn to scale over the positions of a map."""
    x1, y1 = ((box[:2] / stride - 0.8).floor().int() * stride).tolist()
    x2, y2 = ((box[2:] / stride + 0.8).ceil().int() * stride).tolist()
    picture = Picture(9.6, 0.6 + 2.9 * (y2 - y1 + 12) / (x2 - x1 + 12))
    names = {"pool": "RoIPool", "warp": "RoIWarp", "align": "RoIAlign"}
    for axes, (op, name) in zip(picture.subplots(1, 3), names.items(), strict=True):
        x, y = range(x1, x2 + 1, stride), range(y1, y2 + 1, stride)
        axes.plot(*np.array([(i, j) for i in x for j in y]).T, "o", color=GRAY, markersize=4)
        (left, top), (right, bottom) = box[:2].tolist(), box[2:].tolist()
        axes.add_patch(
            Rectangle(
                (left, top),
                right - left,
                bottom - top,
                color=ROLES["proposal"],
                alpha=0.22,
                linewidth=0,
            )
        )
        bins, points = bins_read(op, box, stride, output_size)
        draw_boxes(axes, bins, op, width=1.5)
        axes.plot(*points.numpy().T, "o", color=OP_COLORS[op], markersize=4)
        axes.set(xlim=(x1 - 6, x2 + 6), ylim=(y2 + 6, y1 - 6), aspect="equal")
        axes.set_title(name, fontsize=TITLE)
        axes.set_xticks(x, x, fontsize=SMALL)
        axes.set_yticks(y, y, fontsize=SMALL)
    return picture
