"""Lesson 07, RoIPool and RoIAlign: a RoI to drag over a map, and one between two objects."""

from collections.abc import Sequence
from math import ceil, floor

import torch
from ipywidgets import FloatSlider
from torch import Tensor
from traitlets import Float, Int, List, TraitError, Tuple, Unicode, validate

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.course.widgets.touch import Touchable, check_corners, read_script
from mrcnn_edu.detections import paste_masks
from mrcnn_edu.images import size_of
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.roi_ops import OPERATIONS, boxes_to_rois
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.style import OP_COLORS, TITLE

AROUND = 1.5  # positions of the map that are shown on each side of the RoI
MOMENTS = 21  # of the way from one object to the other
NOTE = (
    "A RoI (orange) on a feature map, whose values are shown as shades of gray, and what RoIPool, "
    "RoIWarp and RoIAlign pool from it."
)


class DraggedRoI(Touchable):
    """A RoI that the reader drags over a feature map.

    `box` is the RoI [x1, y1, x2, y2] in image pixels, `bin` the (row, column) of the bin that is
    shown, and `operation` is "pool", "warp" or "align". All three can be set.
    """

    _esm = read_script("held_boxes", "roi_align")
    map = List(List(Float())).tag(sync=True)
    stride = Int(1).tag(sync=True)
    bins = Int(7).tag(sync=True)
    high = Float(1).tag(sync=True)  # the value that is black
    origin = Tuple(Int(), Int()).tag(sync=True)  # column and row at the upper left corner
    box = List(Float()).tag(sync=True)
    bin = Tuple(Int(), Int(), default_value=(1, 1)).tag(sync=True)
    operation = Unicode("pool").tag(sync=True)
    remembered = ("box", "bin", "operation")

    @validate("box")
    def _check_box(self, proposal: dict) -> list[float]:
        return check_corners(proposal["value"], "box")

    @validate("bin")
    def _check_bin(self, proposal: dict) -> tuple[int, int]:
        if not all(0 <= i < self.bins for i in proposal["value"]):
            raise TraitError(f"bin is {proposal['value']}: give two numbers in 0..{self.bins - 1}")
        return proposal["value"]

    @validate("operation")
    def _check_operation(self, proposal: dict) -> str:
        if proposal["value"] not in OPERATIONS:
            names = ", ".join(OPERATIONS)
            raise TraitError(f"operation is {proposal['value']!r}: choose one of {names}")
        return proposal["value"]

    def pooled(self) -> dict[str, Tensor]:
        """What each operation pools from the RoI: name -> [P, P]."""
        features = torch.tensor(self.map)[None, None]
        roi = boxes_to_rois(torch.tensor(self.box))
        return {
            name: operation(features, roi, self.bins, 1 / self.stride)[0, 0]
            for name, operation in OPERATIONS.items()
        }

    def __repr__(self) -> str:
        box = ", ".join(f"{value:g}" for value in self.box)
        return f"DraggedRoI(box=[{box}], bin={self.bin}, operation={self.operation!r})"

    def picture(self) -> Picture:
        """The RoI on the map with what one bin reads, and what each operation pools."""
        rows, columns = size_of(self.image)
        picture = Picture(9.9, 3.3)
        first, *others = picture.subplots(1, 4, width_ratios=(1.5, 1, 1, 1))
        window = (*self.origin, self.origin[0] + columns, self.origin[1] + rows)
        viz.draw_read(
            first, 1 - self.image[0], window, torch.tensor(self.box), self.stride, self.bins,
            self.operation, self.bin,
        )  # fmt: skip
        for axes, (name, values) in zip(others, self.pooled().items(), strict=True):
            viz.draw_grays(axes, values / self.high)
            axes.set_title(viz.OP_NAMES[name], fontsize=TITLE)
            row, column = self.bin
            chosen = torch.tensor([[column - 0.5, row - 0.5, column + 0.5, row + 0.5]])
            viz.draw_boxes(axes, chosen, name, pale=False)
        return picture


def roi_player(features: Tensor, box: Tensor, stride: int, output_size: int = 7) -> DraggedRoI:
    """A RoI to drag over a feature map, and what each operation pools from it.

    features: [1, H, W], one map of values from 0 on. box: [4], where the RoI begins, in image
    pixels; the part of the map around it is shown.
    """
    _, height, width = features.shape
    x1, y1, x2, y2 = (box / stride).tolist()
    first = max(floor(x1 - AROUND + 0.5), 0), max(floor(y1 - AROUND + 0.5), 0)
    last = min(ceil(x2 + AROUND - 0.5), width - 1), min(ceil(y2 + AROUND - 0.5), height - 1)
    high = features.max().item() or 1.0
    shown = features[:, first[1] : last[1] + 1, first[0] : last[0] + 1] / high
    rows, columns = size_of(shown)
    widget = DraggedRoI(
        1 - shown,
        NOTE,
        (rows * stride, columns * stride),
        map=features[0].tolist(),
        stride=stride,
        bins=output_size,
        high=high,
        origin=first,
        box=box.tolist(),
    )
    widget.look = widget.look | {op: {"color": color} for op, color in OP_COLORS.items()}
    return widget


def two_objects_player(
    model: MaskRCNN,
    image: Tensor,
    boxes: Tensor,
    classes: Sequence[str],
    crisp: Tensor | None = None,
) -> Player:
    """A RoI that slides from one object to another, with the class and the mask predicted for it.

    boxes: [2, 4], of the two objects, in pixels of the image [C, H, W]. classes: the names of the
    labels. crisp: the same scene with more pixels, to be drawn.
    """
    way = torch.linspace(0, 1, MOMENTS)[:, None]
    rois = boxes[0] + way * (boxes[1] - boxes[0])  # [MOMENTS, 4]
    class_logits, mask_logits = model.predict_on_boxes(image, rois)
    assert mask_logits is not None
    probabilities = class_logits.softmax(dim=1)
    labels = probabilities[:, 1:].argmax(dim=1) + 1  # the best class that is no background
    every = torch.arange(MOMENTS)
    scores = probabilities[every, labels]
    canvas = image if crisp is None else crisp
    scale = canvas.shape[-1] / image.shape[-1]
    masks = paste_masks(mask_logits[every, labels].sigmoid(), scale * rois, size_of(canvas))

    def draw(position: float) -> Picture:
        i = round(position * (MOMENTS - 1))
        picture, (left, right) = viz.row(2, 3.4, canvas.shape[1] / canvas.shape[2])
        viz.draw_image(left, canvas, "the RoI")
        viz.draw_boxes(left, scale * rois[i : i + 1], "proposal", 2.5)
        objects = scale * rois[i : i + 1], labels[i : i + 1], masks[i : i + 1]
        title = f"{classes[int(labels[i]) - 1]}, score {scores[i]:.2f}"
        viz.draw_instances(right, canvas, *objects, classes, scores[i : i + 1], title)
        return picture

    slider = FloatSlider(value=0, min=0, max=1, step=1 / (MOMENTS - 1), readout_format=".2f")
    return Player(draw, position=slider)
