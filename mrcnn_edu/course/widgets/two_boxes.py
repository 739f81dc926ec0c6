"""Lesson 02, boxes: two boxes to drag, with their IoU and the deltas between them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from traitlets import Float, Int, List, validate

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_area, box_intersection, box_iou, encode_boxes
from mrcnn_edu.course.widgets.touch import Touchable, blank, check_corners, read_script
from mrcnn_edu.images import size_of
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.style import LIGHT

BLANK_SIZE, GRID = 96, 8  # pixels
NOTE = (
    "An anchor (blue, dashed) and a ground-truth box (green). The gray area is their intersection, "
    "and the deltas turn the anchor into the ground-truth box."
)


class TwoBoxes(Touchable):
    """An anchor and a ground-truth box that the reader drags and resizes.

    `anchor` and `gt` are the boxes [x1, y1, x2, y2] in pixels, wherever the reader has put them;
    setting one moves it on the screen. Raises TraitError for a box without area.
    """

    _esm = read_script("held_boxes", "two_boxes")
    anchor = List(Float()).tag(sync=True)
    gt = List(Float()).tag(sync=True)
    grid = Int(0).tag(sync=True)  # pixels between the lines of blank paper, 0 for none
    remembered = ("anchor", "gt")

    @validate("anchor", "gt")
    def _check(self, proposal: dict) -> list[float]:
        return check_corners(proposal["value"], proposal["trait"].name)

    @property
    def iou(self) -> float:
        """The IoU of the two boxes."""
        return box_iou(*self._boxes()).item()

    @property
    def deltas(self) -> list[float]:
        """(dx, dy, dw, dh) from the anchor to the ground truth."""
        anchor, gt = self._boxes()
        return encode_boxes(gt, anchor)[0].tolist()

    def _boxes(self) -> tuple[Tensor, Tensor]:
        return torch.tensor([self.anchor]), torch.tensor([self.gt])

    def __repr__(self) -> str:
        anchor, gt = (", ".join(f"{value:g}" for value in box) for box in (self.anchor, self.gt))
        return f"TwoBoxes(anchor=[{anchor}], gt=[{gt}])"

    def picture(self) -> Picture:
        """The boxes, and beside them their overlap and the deltas."""
        anchor, gt = self._boxes()
        height, width = size_of(self.image)
        picture = Picture(7.2, 3.5)
        left, right = picture.subplots(1, 2)
        viz.draw_image(left, self.image)
        if self.grid:
            left.hlines(
                range(0, height + 1, self.grid), 0, width, color=LIGHT, linewidth=0.6, zorder=1
            )
            left.vlines(
                range(0, width + 1, self.grid), 0, height, color=LIGHT, linewidth=0.6, zorder=1
            )
        low, high = torch.maximum(anchor, gt)[0, :2], torch.minimum(anchor, gt)[0, 2:]
        if (low < high).all():
            (x1, y1), (x2, y2) = low.tolist(), high.tolist()
            left.fill_between([x1, x2], y1, y2, color=viz.INK, alpha=0.2, linewidth=0, zorder=1.5)
        viz.draw_boxes(left, torch.cat((anchor, gt)), ["anchor", "gt"])
        both, areas = box_intersection(anchor, gt).item(), box_area(torch.cat((anchor, gt)))
        numbers = {
            "intersection": f"{both:,.0f}",
            "union": f"{areas.sum().item() - both:,.0f}",
            "IoU": f"{self.iou:.3f}",
        }
        numbers |= {
            name: f"{value:.3f}"
            for name, value in zip(("dx", "dy", "dw", "dh"), self.deltas, strict=True)
        }
        right.axis("off")
        for row, (name, value) in enumerate(numbers.items()):
            y = 0.88 - 0.11 * row - 0.06 * (row > 2)  # the deltas are set apart
            right.text(0.18, y, name, fontsize=11, color=viz.INK)
            right.text(0.75, y, value.replace("-", "−"), fontsize=11, ha="right", color=viz.INK)
        return picture


def two_boxes_player(
    image: Tensor | None = None,
    anchor: Sequence[float] | Tensor | None = None,
    gt: Sequence[float] | Tensor | None = None,
) -> TwoBoxes:
    """An anchor and a ground-truth box to drag and resize, with their IoU and deltas.

    image: [C, H, W] in 0..1, by default blank paper of 96 x 96 pixels. anchor, gt: boxes [4] in its
    pixels, from which the reader starts.
    """
    paper = blank(BLANK_SIZE, BLANK_SIZE) if image is None else image
    height, width = size_of(paper)
    corners = torch.tensor([width, height, width, height])
    boxes = [
        (corners * torch.tensor(places)).round() if given is None else torch.as_tensor(given)
        for given, places in ((anchor, (0.2, 0.3, 0.6, 0.7)), (gt, (0.35, 0.4, 0.85, 0.8)))
    ]
    first, second = (box.float().tolist() for box in boxes)
    return TwoBoxes(paper, NOTE, anchor=first, gt=second, grid=GRID if image is None else 0)
