"""What is read from an annotation: the choices where labeling tools differ, and the one reader.

Letters: H and W in pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mrcnn_edu.data.fields import (
    has_area,
    in_words,
    read_area,
    read_corners,
    read_crowd,
    read_id,
    read_keypoints,
)
from mrcnn_edu.data.regions import encode_region, parts_of
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.images import Size


@dataclass(frozen=True)
class Reading:
    """How annotations are read where tools differ."""

    # What an annotation with iscrowd is: a region of objects that nobody told apart, as in COCO,
    # which is not learned; or an object, for tools that set iscrowd wherever a mask is stored as
    # RLE (CVAT's brush, for example).
    crowds: Literal["regions", "objects"] = "regions"
    # Where boxes come from: the file's bbox, or the smallest boxes around the masks.
    boxes: Literal["given", "from-masks"] = "given"
    # Whether masks are left out, for a model without a mask head.
    boxes_only: bool = False

    def __post_init__(self):
        if self.crowds not in ("regions", "objects"):
            raise ValueError(f"crowds is {self.crowds!r}: give 'regions' or 'objects'")
        if self.boxes not in ("given", "from-masks"):
            raise ValueError(f"boxes is {self.boxes!r}: give 'given' or 'from-masks'")
        if self.boxes_only and self.boxes == "from-masks":
            raise ValueError("boxes-only leaves the masks out that boxes from-masks needs")


class Labeled(NamedTuple):
    """What an annotation says, apart from its mask."""

    label: int  # 1..K
    is_crowd: bool
    corners: tuple[float, float, float, float] | None  # x1, y1, x2, y2; None with from-masks
    keypoints: list[float]  # x, y and visibility of each; empty if the data names none


class AnnotationReader:
    """Reads annotations, each field by one rule.

    labels: the label 1..K of each category's id. names: those of an object's keypoints.
    """

    def __init__(self, labels: dict[int | str, int], reading: Reading, names: Sequence[str] = ()):
        self.labels, self.reading, self.names = labels, reading, names

    def label(self, annotation: dict) -> int:
        """The label 1..K. Raises ValueError for an unknown category."""
        category = annotation.get("category_id")
        if category is None:
            raise ValueError("there is no category_id: give the object a class in your tool")
        try:
            key = read_id(category)
        except ValueError as error:
            raise ValueError(f"the category_id is {error}") from None
        if key not in self.labels:
            raise ValueError(f"category_id is {in_words(category)}, which no category has")
        return self.labels[key]

    def is_crowd(self, annotation: dict) -> bool:
        """Whether it is a region of several objects, which is not learned."""
        return read_crowd(annotation) and self.reading.crowds == "regions"

    def corners(self, annotation: dict) -> tuple[float, float, float, float] | None:
        """The box x1, y1, x2, y2; None if it is to be taken from the mask."""
        if self.reading.boxes == "from-masks":
            return None
        try:
            return read_corners(annotation)
        except ValueError as error:
            raise ValueError(f"{error} (--boxes from-masks takes the mask's box)") from None

    def area(self, annotation: dict) -> float | None:
        """The area in pixels; None, which stands for the mask's, unless it can be read."""
        try:
            return read_area(annotation)
        except ValueError:
            return None

    def region(self, annotation: dict, size: Size) -> bytes:
        """The mask's compressed string; an empty mask's if masks are not read."""
        region = None if self.reading.boxes_only else annotation.get("segmentation")
        return encode_region(region, *size)

    def keypoints(self, annotation: dict) -> list[float]:
        """x, y and visibility of each keypoint that the data names."""
        return read_keypoints(annotation, len(self.names)) if self.names else []

    def labeled(self, annotation: dict, size: Size | None) -> Labeled:
        """What the annotation says apart from its mask, in an image of a size, if it is known.

        Raises ValueError if it cannot be read, or if its box is outside of the image.
        """
        corners = self.corners(annotation)
        if corners is not None and size is not None and has_area(*corners):
            x1, y1, x2, y2 = corners
            if x1 >= size[1] or y1 >= size[0] or x2 <= 0 or y2 <= 0:
                box = ", ".join(f"{value:.6g}" for value in corners)
                raise ValueError(f"the box ({box}) is outside of the image")
        label, is_crowd = self.label(annotation), self.is_crowd(annotation)
        return Labeled(label, is_crowd, corners, self.keypoints(annotation))

    def problems(self, annotation: dict, size: Size | None) -> Iterator[str]:
        """Everything in the fields that cannot be read, in words.

        size: the image's (height, width); if it is not known, the region is not examined.
        """
        rules: list[Callable[[dict], Any]] = [
            self.label,
            self.is_crowd,
            self.corners,
            self.keypoints,
        ]
        if size is not None:
            rules.append(lambda annotation: decompress([self.region(annotation, size)], size))
        for rule in rules:
            try:
                rule(annotation)
            except ValueError as error:
                yield str(error)


def has_region(annotation: dict) -> bool:
    """Whether an annotation has a mask: RLE, or a polygon of at least three points.

    Raises ValueError if the region cannot be read.
    """
    parts = parts_of(annotation.get("segmentation"))
    return any(isinstance(part, dict) or len(part) >= 6 for part in parts)


def is_learned(labeled: Labeled) -> bool:
    """Whether it is an object, with a box that has an area."""
    return not labeled.is_crowd and (labeled.corners is None or has_area(*labeled.corners))
