"""Keypoints in an image: a dot for each, and lines along the skeleton; left and right differ.

A keypoint that is labeled but hidden is hollow. One that is not labeled is left out, and so are the
lines to it. Letters: M objects, J keypoints of each.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from torch import Tensor

from mrcnn_edu.data.keypoints import HIDDEN, NOT_LABELED, VISIBLE, twins
from mrcnn_edu.viz.style import HALO, SIDES

LIMB, DOT, RIM = 1.7, 4.4, 0.9  # width of a line, diameter of a dot, width of its rim, in points
ORDER = 2.2  # how far in front keypoints are: on top of outlines and boxes, below names


class Skeleton(NamedTuple):
    """What a picture has to know of keypoints."""

    names: Sequence[str] = ()  # [J]; twins such as left_hand and right_hand have a side
    limbs: Sequence[tuple[int, int]] = ()  # pairs of keypoints, by index, that lines join

    @classmethod
    def of(cls, source: Any) -> "Skeleton":
        """That of a dataset, or of a model that has learned from one; empty without keypoints."""
        source = getattr(source, "keypoint_head", source)
        return cls() if source is None else cls(source.keypoints, source.skeleton)

    def sides(self, n: int) -> list[str]:
        """The side of each of n keypoints: "left", "right", or "middle" without a twin."""
        sides = ["middle"] * n
        for i, j in enumerate(twins(self.names)[:n]):
            if i != j:
                sides[i] = "left" if "left" in self.names[i].lower() else "right"
        return sides


PLAIN = Skeleton()  # dots without sides and lines


def draw_keypoints(
    axes: Axes, keypoints: Tensor, skeleton: Skeleton = PLAIN, predicted: bool = False
) -> None:
    """Draw keypoints [M, J, 3]: x, y, and the visibility 0, 1 or 2.

    predicted: the third column is a score, and all keypoints are drawn alike. Raises ValueError if
    the skeleton has a keypoint that is not there.
    """
    n = keypoints.shape[1]
    if any(not 0 <= j < n for limb in skeleton.limbs for j in limb):
        raise ValueError(f"the skeleton {list(skeleton.limbs)} joins others than {n} keypoints")
    table = keypoints.detach().cpu().float().numpy()
    points, seen = table[..., :2], table[..., 2]  # [M, J, 2], [M, J]
    if predicted:
        seen = np.full_like(seen, VISIBLE)
    sides = skeleton.sides(n)
    _draw_limbs(axes, points, seen != NOT_LABELED, skeleton, sides)
    labeled = points[seen != NOT_LABELED]
    _draw_dots(axes, labeled, 0, DOT + 2 * RIM, "white", "white")
    for side, color in SIDES.items():
        of_side = np.array([name == side for name in sides], dtype=bool)
        _draw_dots(axes, points[(seen == VISIBLE) & of_side], 1, DOT, color, color)
        _draw_dots(axes, points[(seen == HIDDEN) & of_side], 1, DOT, "white", color)


def _draw_limbs(
    axes: Axes, points: np.ndarray, labeled: np.ndarray, skeleton: Skeleton, sides: list[str]
) -> None:
    """Draw lines between points [M, J, 2] that are labeled [M, J], over white halos.

    A line has the side of its ends; one from left to right has none.
    """
    lines, colors = [], []
    for i, j in skeleton.limbs:
        both = labeled[:, i] & labeled[:, j]
        ends = {sides[i], sides[j]} - {"middle"}
        lines += list(points[both][:, [i, j]])
        colors += [SIDES[ends.pop() if len(ends) == 1 else "middle"]] * int(both.sum())
    # All halos are below all lines, or the halo of one limb would hide the lines of others.
    for order, width, shades in ((0.0, LIMB + HALO, ["white"] * len(lines)), (0.1, LIMB, colors)):
        collection = LineCollection(
            lines, colors=shades, linewidths=width, capstyle="round", zorder=ORDER + order
        )
        axes.add_collection(collection, autolim=False)


def _draw_dots(
    axes: Axes, points: np.ndarray, layer: int, size: float, fill: str, edge: str
) -> None:
    """Draw dots at points [n, 2]. layer: the dots of a higher one lie on top."""
    if len(points):
        dots = Line2D(
            points[:, 0], points[:, 1], linestyle="none", marker="o", markersize=size,
            markerfacecolor=fill, markeredgecolor=edge, markeredgewidth=RIM,
            zorder=ORDER + 0.2 + 0.1 * layer,
        )  # fmt: skip
        axes.add_artist(dots)
