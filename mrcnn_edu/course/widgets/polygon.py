"""Lesson 15, your own data: polygons whose vertices the reader drags, adds and removes."""

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
from torch import Tensor
from traitlets import Float, Int, List, TraitError, Unicode, validate

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.touch import Touchable, read_script
from mrcnn_edu.images import size_of
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.style import HALO, LABEL, ROLES

LEAST = 3  # vertices of a polygon
SHOWN_WIDTH = 4.2  # of the still picture's longer side, in units of 72 pixels
LEAST_WIDTH = 4.6  # of the still picture, which has a caption
NOTE = "Outlines to correct. Each has the vertices that are shown as dots."


class PolygonEditor(Touchable):
    """Polygons over an image that the reader corrects by hand.

    `polygons` is a list of polygons [[x, y], ...] in pixels of the image, and `chosen` is the index
    of the one whose vertices can be moved; both can be set. `given` is what the reader began with.
    Raises TraitError for a polygon with fewer than three vertices.
    """

    _esm = read_script("polygon")
    polygons = List(List(List(Float()))).tag(sync=True)
    given = List(List(List(Float()))).tag(sync=True)
    names = List(Unicode()).tag(sync=True)
    chosen = Int(0).tag(sync=True)
    remembered = ("polygons", "chosen")

    @validate("polygons")
    def _check_polygons(self, proposal: dict) -> list[list[list[float]]]:
        for polygon in proposal["value"]:
            pairs = [len(corner) == 2 and all(map(isfinite, corner)) for corner in polygon]
            if len(polygon) < LEAST or not all(pairs):
                raise TraitError(f"{polygon} is no polygon: give at least {LEAST} corners [x, y]")
        return proposal["value"]

    @validate("chosen")
    def _check_chosen(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] < len(self.names):
            raise TraitError(f"chosen is {proposal['value']}: give 0..{len(self.names) - 1}")
        return proposal["value"]

    @property
    def is_changed(self) -> bool:
        """Whether the reader has changed anything."""
        return self.polygons != self.given

    def by_name(self) -> dict[str, list[list[float]]]:
        """The polygons by their names."""
        return dict(zip(self.names, self.polygons, strict=True))

    def __repr__(self) -> str:
        vertices = ", ".join(f"{len(polygon)}" for polygon in self.polygons)
        return f"PolygonEditor(vertices=[{vertices}], chosen={self.names[self.chosen]!r})"

    def picture(self) -> Picture:
        """The image with all polygons, and the vertices of the chosen one."""
        height, width = size_of(self.image)
        wide = SHOWN_WIDTH * width / max(height, width)
        picture = Picture(max(wide, LEAST_WIDTH), SHOWN_WIDTH * height / max(height, width))
        axes = picture.subplots()
        viz.draw_image(axes, self.image)
        viz.pale_image(axes)
        for index, (name, polygon) in enumerate(self.by_name().items()):
            x, y = np.array([*polygon, polygon[0]]).T
            line = 2.0 if index == self.chosen else 1.2
            axes.plot(x, y, color="white", linewidth=line + HALO)
            marker = "o" if index == self.chosen else ""
            axes.plot(
                x, y, marker=marker, color=ROLES["gt"], linewidth=line, markerfacecolor="white",
                markersize=4.5,
            )  # fmt: skip
            axes.annotate(
                name, (x.mean(), y.mean()), ha="center", va="center", color=ROLES["gt"],
                fontsize=LABEL, weight="bold",
            )  # fmt: skip
        return picture


def polygon_player(
    image: Tensor, polygons: Mapping[str, Sequence[Sequence[float]]]
) -> PolygonEditor:
    """Polygons over an image to correct: vertices are dragged, added and removed.

    image: [C, H, W] in 0..1. polygons: name -> the corners (x, y) in its pixels, at least three.
    """
    corners = [[[float(v) for v in corner] for corner in polygon] for polygon in polygons.values()]
    return PolygonEditor(image, NOTE, names=list(polygons), polygons=corners, given=corners)
