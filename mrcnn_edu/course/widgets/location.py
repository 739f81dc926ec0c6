"""Lessons 05 and 06, anchors and RPN: a location to click, its receptive field and its anchors."""

import torch
from torch import Tensor
from traitlets import Dict, Int, List, TraitError, Tuple, validate

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.level_facts import describe_levels, most_varied
from mrcnn_edu.course.widgets.touch import Touchable, read_script
from mrcnn_edu.images import scale_boxes, size_of
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.validate import as_boxes
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.style import MATCH_COLORS

MARGIN = 1 / 8  # paper around the image, for anchors that stick out: a fraction of its size
NOTE = (
    "A location on the feature map and its anchors: positive anchors are blue, negative ones red, "
    "and ignored ones gray. Ground-truth boxes are green."
)


class Location(Touchable):
    """A location on a feature map that the reader chooses, and the anchors there.

    `level` is the index of the feature map, finest first, and `location` is (row, column) on it;
    both can be set.
    """

    _esm = read_script("location")
    levels = List(Dict()).tag(sync=True)  # what `describe_levels` returns
    objects = List(List()).tag(sync=True)  # boxes of the ground truth
    margin = Int(0).tag(sync=True)
    level = Int(0).tag(sync=True)
    location = Tuple(Int(), Int(), default_value=(0, 0)).tag(sync=True)
    remembered = ("level", "location")

    @validate("level")
    def _check_level(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] < len(self.levels):
            raise TraitError(f"level is {proposal['value']}: give 0..{len(self.levels) - 1}")
        return proposal["value"]

    @validate("location")
    def _check_location(self, proposal: dict) -> tuple[int, int]:
        row, column = proposal["value"]
        if row < 0 or column < 0:
            raise TraitError(f"location is {(row, column)}: give (row, column), 0 or more")
        return row, column

    @property
    def point(self) -> tuple[int, int]:
        """The location (x, y) in pixels of the network's input."""
        (row, column), stride = self.location, self.levels[self.level]["stride"]
        return column * stride[1], row * stride[0]

    def nearest(self, level: int) -> tuple[int, int]:
        """The location (row, column) of a feature map that is nearest to the chosen one."""
        (x, y), (rows, columns) = self.point, self.levels[level]["grid"]
        stride = self.levels[level]["stride"]
        return min(round(y / stride[0]), rows - 1), min(round(x / stride[1]), columns - 1)

    def anchors(self, level: int | None = None) -> dict[str, list]:
        """What is known of the k anchors at the location: "box", "iou", "match" and more.

        level: another feature map, of which the nearest location is taken.
        """
        level = self.level if level is None else level
        (row, column), described = self.nearest(level), self.levels[level]
        rows, columns = described["grid"]
        k = len(described["anchors"]["box"]) // (rows * columns)
        first = (row * columns + column) * k
        return {name: values[first : first + k] for name, values in described["anchors"].items()}

    def __repr__(self) -> str:
        stride, (row, column) = self.levels[self.level]["stride"][0], self.location
        return f"Location(stride={stride}, row={row}, column={column})"

    def picture(self) -> Picture:
        """A panel for each feature map, with the anchors at its location nearest to the chosen."""
        height, width = self.size
        picture, panels = viz.row(len(self.levels), 3.4, height / width)
        for index, axes in enumerate(panels):
            anchors, stride = self.anchors(index), self.levels[index]["stride"]
            title = f"stride {stride[0]}: best IoU {max(anchors['iou']):.2f}"
            viz.draw_image(axes, self.image, title)
            axes.images[0].set_extent((0, width, height, 0))
            colors = [MATCH_COLORS[name] for name in anchors["match"]]
            viz.draw_boxes(axes, torch.tensor(self.objects).view(-1, 4), "gt")
            viz.draw_boxes(axes, torch.tensor(anchors["box"]), colors, 1.5, line="--")
            row, column = self.nearest(index)
            x, y = column * stride[1], row * stride[0]
            axes.plot(x, y, "o", color=viz.INK, markersize=5, markeredgecolor="white")
            axes.set_xlim(-self.margin, width + self.margin)
            axes.set_ylim(height + self.margin, -self.margin)
        return picture


def location_player(
    model: MaskRCNN, image: Tensor, target: dict, predictions: bool = False
) -> Location:
    """A location to click: its receptive field, and its anchors with their IoU and label.

    image: [C, H, W] in 0..1. target: with `boxes` [M, 4], M may be 0. predictions: whether to show
    what the RPN predicts for each anchor, too: its score, and the box that it is moved to. The
    widget begins where the anchors' labels differ most.
    """
    trace = model.trace([image])
    size = trace.batch.sizes[0]  # all is in pixels of the network's input
    boxes = scale_boxes(as_boxes(target.get("boxes"), "M", "target").cpu(), size_of(image), size)
    levels = describe_levels(model, trace, boxes, predictions)
    level, location = most_varied(levels)
    return Location(
        image,
        NOTE,
        size,
        levels=levels,
        objects=boxes.tolist(),
        margin=round(MARGIN * max(size)),
        level=level,
        location=location,
    )
