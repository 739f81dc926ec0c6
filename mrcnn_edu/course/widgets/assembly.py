"""Lesson 13, FCIS: a RoI to drag, and the position-sensitive map that each of its parts is from."""

import torch
from torch import Tensor
from traitlets import Dict, Float, Int, List, TraitError, Unicode, validate

from mrcnn_edu import viz
from mrcnn_edu.ancestors.fcis import FCIS
from mrcnn_edu.ancestors.position_sensitive import assemble
from mrcnn_edu.course.widgets.touch import Touchable, check_corners, read_script
from mrcnn_edu.images import size_of
from mrcnn_edu.validate import as_boxes
from mrcnn_edu.viz import Picture

NOTE = (
    "A RoI and the maps that it is assembled from. Each part is copied from its own map, at its "
    "own place. Blue is above zero, red below."
)
READINGS = "inside", "outside", "mask"
SIGNS = {"negative": "#B2182B", "positive": "#2166AC"}  # about the ends of the pictures' color map


class Assembly(Touchable):
    """A RoI that the reader moves and resizes, and what is assembled for it.

    `box` is [x1, y1, x2, y2] in pixels of the network's input, and `reading` is "inside", "outside"
    or "mask", which is inside minus outside; both can be set.
    """

    _esm = read_script("held_boxes", "assembly")
    maps = Dict().tag(sync=True)  # "inside" and "outside": k * k lists of h * w values
    grid = List(Int()).tag(sync=True)  # h and w of the maps
    stride = Int(1).tag(sync=True)
    n_bins = Int(1).tag(sync=True)
    mask_size = Int(1).tag(sync=True)
    signs = Dict(SIGNS).tag(sync=True)
    objects = List(List()).tag(sync=True)  # boxes of the ground truth
    box = List(Float()).tag(sync=True)
    reading = Unicode("inside").tag(sync=True)
    remembered = ("box", "reading")

    @validate("box")
    def _check_box(self, proposal: dict) -> list[float]:
        return check_corners(proposal["value"], "box")

    @validate("reading")
    def _check_reading(self, proposal: dict) -> str:
        if proposal["value"] not in READINGS:
            raise TraitError(f"reading is {proposal['value']!r}: choose of {', '.join(READINGS)}")
        return proposal["value"]

    def part_maps(self) -> Tensor:
        """The maps [k, k, h, w] of the current reading."""
        k = self.n_bins
        inside, outside = (
            torch.tensor(self.maps[name]).view(k, k, *self.grid) for name in READINGS[:2]
        )
        return {"inside": inside, "outside": outside}.get(self.reading, inside - outside)

    def assembled(self) -> Tensor:
        """What is assembled for the box: [m, m]."""
        maps, box = self.part_maps().view(1, -1, *self.grid), torch.tensor([self.box])
        return assemble(maps, [box], self.n_bins, self.mask_size, self.stride)[0, 0]

    def __repr__(self) -> str:
        box = ", ".join(f"{value:g}" for value in self.box)
        return f"Assembly(box=[{box}], reading={self.reading!r})"

    def picture(self) -> Picture:
        """The box with its bins, the maps, and what is assembled."""
        title = {"mask": "inside minus outside"}.get(self.reading, self.reading)
        box, maps = torch.tensor(self.box), self.part_maps()
        picture = viz.show_part_maps(self.image, box, maps, self.assembled(), self.stride, title)
        viz.draw_boxes(picture.axes[0], torch.tensor(self.objects).view(-1, 4), "gt", 1.5)
        return picture


def assembly_player(
    model: FCIS, image: Tensor, target: dict, label: int, box: Tensor | None = None
) -> Assembly:
    """A RoI to drag over an image [C, H, W], and the nine (k x k) maps it is assembled from.

    model: with few bins, so that each map can be looked at. target: with `boxes` [M, 4] in the
    image. label: the class whose maps are shown. box: [4] in the image, where the RoI begins, by
    default the first object's.
    """
    batch = model.preprocess([image])
    size, k = batch.sizes[0], model.config.n_bins
    with torch.no_grad():
        maps = model.maps(model.features(batch))[0].cpu()
    scores = maps[: -4 * k**2].unflatten(0, (2, -1, k**2))[:, label]  # [2, k * k, h, w]
    height, width = size_of(image)
    scale = torch.tensor([size[1] / width, size[0] / height]).repeat(2)
    boxes = as_boxes(target.get("boxes"), "M", "target").cpu()
    first = boxes[0] if box is None else box
    return Assembly(
        image,
        NOTE,
        size,
        maps={
            name: ((100 * values).round() / 100).flatten(1).tolist()
            for name, values in zip(READINGS, scores, strict=False)
        },
        grid=list(maps.shape[-2:]),
        stride=model.strides[0],
        n_bins=k,
        mask_size=model.config.mask_size,
        objects=(boxes * scale).tolist(),
        box=(first * scale).round().tolist(),
    )
