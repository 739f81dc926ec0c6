"""Keypoints of objects: which of them are twins, left and right, and what a mirror does to them.

A keypoint is x and y in pixels, and its visibility, as COCO has it: 0 is not labeled (x and y are 0
then, and mean nothing), 1 is labeled but hidden, 2 is visible. A pixel's left and right edges are a
whole number and the next, so a keypoint in the middle of the first pixel has x = 0.5.

Letters: M objects, J keypoints of each.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from mrcnn_edu.images import Size

NOT_LABELED, HIDDEN, VISIBLE = 0, 1, 2
SIDE = re.compile("left|right", re.IGNORECASE)
SIDE_AS_WORD = re.compile("(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


def twins(names: Sequence[str]) -> list[int]:
    """The index [J] of each keypoint's twin on the other side, or its own if it has none.

    The twin of "left_hand" is "right_hand": twins are found by their names, which differ in nothing
    but the side. Upper and lower case make no difference.
    """
    index = {name.lower(): i for i, name in enumerate(names)}
    return [index.get(_other_side(name), i) for i, name in enumerate(names)]


def without_twin(names: Sequence[str]) -> list[str]:
    """The keypoints whose names have a side, but whose twin is missing."""
    pairs = zip(names, twins(names), strict=True)
    return [name for i, (name, j) in enumerate(pairs) if i == j and SIDE_AS_WORD.search(name)]


def _other_side(name: str) -> str:
    """The name in lower case, with left for right and right for left."""
    return SIDE.sub(lambda side: "right" if side[0] == "left" else "left", name.lower())


def swap_sides(keypoints: Tensor, mirrored: Sequence[int]) -> Tensor:
    """Keypoints [M, J, 3] after a mirror moved them: each gets the name of its twin.

    mirrored: the index [J] of each keypoint's twin. Raises ValueError unless it has J indices.
    """
    if len(mirrored) != keypoints.shape[1]:
        raise ValueError(
            f"objects have {keypoints.shape[1]} keypoints, but the dataset names "
            f"{len(mirrored)}: give it the attribute `keypoints`, the names, so that left and "
            "right can be swapped in a mirror image"
        )
    return keypoints[:, list(mirrored)]


def without_outside(keypoints: Tensor, size: Size) -> Tensor:
    """Keypoints [M, J, 3] of which those outside an image of this size are no longer labeled."""
    height, width = size
    x, y, visibility = keypoints.unbind(2)
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height) & (visibility > 0)
    return torch.where(inside[..., None], keypoints, 0)
