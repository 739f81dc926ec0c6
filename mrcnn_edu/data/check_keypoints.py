"""What is wrong with keypoints: with those of an object, and with what a dataset says of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from mrcnn_edu.data.fields import in_words, read_integer
from mrcnn_edu.data.keypoints import without_twin
from mrcnn_edu.images import Size

# How far outside of the image a keypoint may be, as a fraction of the image's longer side: a hidden
# foot may well be labeled a little below the edge.
OUTSIDE = 0.1


def check_keypoints(
    keypoints: Sequence[Sequence[float]],
    names: Sequence[str],
    box: Sequence[float] | None,
    size: Size | None,
) -> Iterator[str]:
    """What is wrong with the keypoints (x, y, visibility) of one object, in an image of a size."""
    pairs = zip(names, keypoints, strict=True)
    labeled = [(name, x, y) for name, (x, y, visibility) in pairs if visibility > 0]
    if not labeled:
        return
    if size is not None:
        height, width = size
        largest = max(max(abs(x), abs(y)) for _, x, y in labeled)
        if len(labeled) > 1 and 0 < largest <= 1 and max(width, height) > 2:
            yield "the keypoints look like fractions of the image: COCO's are pixels"
            return
        margin = OUTSIDE * max(height, width)
        for name, x, y in labeled:
            if not (-margin <= x <= width + margin and -margin <= y <= height + margin):
                where = f"{name} is at ({x:g}, {y:g})"
                yield f"a keypoint is far outside of the image of {width} x {height}: {where}"
    if box is not None and not any(_is_near(x, y, box) for _, x, y in labeled):
        corners = ", ".join(f"{value:.6g}" for value in box)
        where = f"corners ({corners}), the first at ({labeled[0][1]:g}, {labeled[0][2]:g})"
        yield f"box and keypoints disagree, none is near the box: {where}"


def _is_near(x: float, y: float, box: Sequence[float]) -> bool:
    """Whether a point is in a box, or no farther from it than half of its sides."""
    x1, y1, x2, y2 = box
    x_margin, y_margin = (x2 - x1) / 2, (y2 - y1) / 2
    return x1 - x_margin <= x <= x2 + x_margin and y1 - y_margin <= y <= y2 + y_margin


def check_count(annotation: dict, keypoints: Sequence[Sequence[float]]) -> Iterator[str]:
    """Whether an annotation's num_keypoints, if there is one, counts its labeled keypoints."""
    if annotation.get("num_keypoints") is None:
        return
    n = sum(visibility > 0 for _, _, visibility in keypoints)
    try:
        given = read_integer(annotation["num_keypoints"])
    except ValueError:
        yield f"num_keypoints is {in_words(annotation['num_keypoints'])} where {n} belongs"
        return
    if given != n:
        yield f"num_keypoints and keypoints disagree: num_keypoints is {given}, {n} are labeled"


def check_mirrored(names: Sequence[str], mirrored: Sequence[int]) -> Iterator[str]:
    """Whether each keypoint's twin is another's, or its own, and both are each other's."""
    numbers = range(len(names))
    is_paired = len(mirrored) == len(names) and all(j in numbers for j in mirrored)
    if not is_paired or any(mirrored[mirrored[i]] != i for i in numbers):
        yield (
            f"mirrored is {list(mirrored)}: give the index of each keypoint's twin on the other "
            f"side, or its own, for each of {len(names)}"
        )


def missing_twins(names: Sequence[str]) -> Iterator[str]:
    """A note on keypoints that have a side, but no twin on the other one."""
    for name in without_twin(names):
        yield (
            f"the keypoint {name!r} has no twin on the other side: a flip would leave its name, "
            "which is then wrong"
        )


def as_triples(numbers: Sequence[Any]) -> list[tuple]:
    """Numbers in threes: x, y and visibility of each keypoint."""
    return list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
