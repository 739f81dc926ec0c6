"""Pairs of boxes from IoU 0.1 to 0.9 (lesson 02)."""

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.viz.diagrams.iou import AREA, draw_pair
from mrcnn_edu.viz.diagrams.shapes import write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import LIGHT, TITLE

KINDS = "shifted", "too small"


def show_iou_ladder(roles: tuple[str, str] = ("gt", "proposal")) -> Picture:
    """Pairs of boxes with an IoU of 0.1, 0.2, ..., 0.9, so that you get a feeling for the number.

    In the upper row the second box is as large as the first, but shifted along the diagonal; in
    the lower row it has the same center, but is too small. The IoU is the fraction of the filled
    area that is dark. roles: whose colors the boxes have.
    """
    picture, axes = sheet(9.8, 2.4)
    write(axes, 0.1, 0.25, "IoU", TITLE + 1, ha="left", weight="bold")
    for row, kind in enumerate(KINDS):
        first, second = ladder(kind)
        top = 0.5 + 1.1 * row
        write(axes, 0.1, top + 0.3, kind, TITLE, ha="left")
        for i, value in enumerate(box_iou(first, second).diagonal().tolist()):
            left = 1.0 + 0.98 * i
            pair = torch.stack((first[i], second[i])) / 106 + torch.tensor([left, top] * 2)
            draw_pair(axes, pair, roles, 1.4, common=AREA, union=LIGHT)
            if row == 0:
                write(axes, left + 0.3, 0.25, f"{value:.1f}", TITLE + 1, weight="bold")
    return picture


def ladder(kind: str) -> tuple[Tensor, Tensor]:
    """The pairs of boxes of `show_iou_ladder`: nine first and nine second ones, [9, 4] each.

    kind: "shifted" or "too small". The IoU of pair i is 0.1 * (i + 1).
    """
    iou, side = torch.arange(1, 10) / 10, 60
    first = torch.tensor([[0.0, 0, side, side]]).repeat(9, 1)
    if kind == "shifted":
        # Shifted by a fraction t of its side, a square shares s = (1 - t)^2 of its area with the
        # other one, so that IoU = s / (2 - s).
        shift = side * (1 - (2 * iou / (1 + iou)).sqrt())
        return first, first + shift[:, None]
    inset = side * (1 - iou.sqrt()) / 2  # the smaller one's area is a fraction IoU of the other's
    return first, first + torch.stack((inset, inset, -inset, -inset), dim=1)
