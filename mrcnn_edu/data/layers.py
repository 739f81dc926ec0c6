"""What lies on top in a scene of figures: their masks, and which of their keypoints are hidden."""

from typing import NamedTuple

import numpy as np

from mrcnn_edu.data.cutouts import Cutout
from mrcnn_edu.data.figure_parts import Figure
from mrcnn_edu.data.keypoints import HIDDEN, NOT_LABELED, VISIBLE
from mrcnn_edu.data.poses import KEYPOINTS

# The limb that each of the keypoints is on.
LIMBS = "head", "left_arm", "right_arm", "left_arm", "right_arm", "left_leg", "right_leg"


class Layers(NamedTuple):
    """What is on top at each pixel of a scene."""

    figure: np.ndarray  # [H, W] the index of the topmost figure, -1 where there is none
    part: np.ndarray  # [H, W] the index of its topmost part


def empty_layers(size: int) -> Layers:
    """A scene of size x size pixels without figures."""
    return Layers(np.full((size, size), -1), np.full((size, size), -1))


def lay_on(layers: Layers, parts: list[Cutout], index: int) -> Layers:
    """The layers with one more figure on top."""
    layers = Layers(layers.figure.copy(), layers.part.copy())
    for part, cutout in enumerate(parts):
        layers.figure[cutout.window.index][cutout.mask] = index
        layers.part[cutout.window.index][cutout.mask] = part
    return layers


def keypoints_of(
    figure: Figure, index: int, layers: Layers, size: int
) -> list[tuple[float, float, int]]:
    """x, y and visibility of each keypoint of a figure, in a picture of size x size pixels.

    index: the figure's in the layers, which may have another size.
    """
    n, keypoints = len(layers.figure), []
    for name, limb in zip(KEYPOINTS, LIMBS, strict=True):
        x, y = figure.pose[name].tolist()
        if not (0 <= x < 1 and 0 <= y < 1):
            keypoints.append((0, 0, NOT_LABELED))
            continue
        top, part = (layer[int(n * y), int(n * x)] for layer in layers)
        topmost = max(i for i, own in enumerate(figure.parts) if own.limb == limb)
        is_hidden = top > index or (top == index and part > topmost)
        keypoints.append((size * x, size * y, HIDDEN if is_hidden else VISIBLE))
    return keypoints
