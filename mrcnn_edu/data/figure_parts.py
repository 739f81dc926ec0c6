"""The paper parts of a synthetic figure: how they lie over one another, and how they are painted.

A figure is a jointed paper doll: limbs are fastened with brass pins. Its parts are painted from
the lowest to the topmost.
"""

from typing import NamedTuple

import numpy as np

from mrcnn_edu.data.clutter import blend
from mrcnn_edu.data.cutouts import Cutout, cut_out_together, printed, shading, shadow
from mrcnn_edu.data.drawing import as_floats, draw_pieces
from mrcnn_edu.data.light import Light
from mrcnn_edu.data.outlines import polar_to_xy, rotate
from mrcnn_edu.data.palette import SKIN_COLORS, object_color, rgb
from mrcnn_edu.data.poses import FOOT, HAND, HEAD, SIDES, Pose, arm, around, leg, random_pose, torso

HEADDRESSES = "hair", "hat", "none"
PINS = {"arm": ("shoulder", "elbow"), "leg": ("hip", "knee")}
BRASS, GLINT, INK = "#C8A045", "#FFF3C4", "#221B20"


class Part(NamedTuple):
    """One piece of paper, or several that are fastened so that nothing can slip between them."""

    cloth: str  # what it is made of: parts of one cloth look alike
    outlines: list[np.ndarray]  # [n, 2] each, overlapping
    limb: str  # "head", "left_arm" and so on: a limb does not hide its own joints
    pins: bool = False  # whether brass pins are in it


class Figure(NamedTuple):
    """A figure in its scene, whose lengths are fractions of the scene's size."""

    parts: list[Part]  # the lowest first
    pose: Pose
    stature: float


def random_figure(rng: np.random.Generator) -> Figure:
    """A figure of stature 1 around the origin, in a random pose."""
    pose, headdress = random_pose(rng), HEADDRESSES[rng.integers(len(HEADDRESSES))]
    legs, arms = (list(SIDES)[:: rng.choice((1, -1))] for _ in range(2))  # either may be on top
    parts = []
    for side in legs:
        limb = f"{side}_leg"
        parts.append(Part("shoes", [around(pose[f"{side}_foot"], FOOT)], limb))
        parts.append(Part("trousers", leg(pose, side), limb, pins=True))
    body, neck = torso(pose)
    parts.append(Part("skin", [neck], "torso"))
    parts.append(Part("shirt", [body], "torso"))
    parts.append(Part("skin", [around(pose["head"], HEAD)], "head"))
    if headdress != "none":
        parts.append(Part(headdress, [_headdress(pose, headdress)], "head"))
    for side in arms:
        limb = f"{side}_arm"
        parts.append(Part("skin", [around(pose[f"{side}_hand"], HAND)], limb))
        parts.append(Part("shirt", arm(pose, side), limb, pins=True))
    return Figure(parts, pose, 1)


def _headdress(pose: Pose, kind: str) -> np.ndarray:
    """The outline [n, 2] of hair, or of a pointed hat."""
    if kind == "hair":
        angle = np.linspace(-0.02, np.pi + 0.02, 30)
        above = 1.12 * HEAD * polar_to_xy(np.ones(30), -angle)
        fringe = HEAD * polar_to_xy(np.full(30, 0.98), -angle[::-1]) * (1, 0.42) + (0, -0.012)
        outline = np.concatenate((above, fringe))
    else:
        outline = HEAD * np.array([(-0.95, -0.45), (0, -2.1), (0.95, -0.45), (0, -0.62)])
    return pose["head"] + rotate(outline, tilt_of(pose))


def tilt_of(pose: Pose) -> float:
    """The angle in radians by which the head is turned from upright."""
    x, y = pose["head"] - pose["neck"]
    return float(np.arctan2(x, -y))


def placed(figure: Figure, center: np.ndarray, stature: float, rotation: float) -> Figure:
    """The figure at another center, of another stature, rotated by an angle in radians."""

    def move(points: np.ndarray) -> np.ndarray:
        return center + stature * rotate(points, rotation)

    parts = [part._replace(outlines=[move(o) for o in part.outlines]) for part in figure.parts]
    pose = {joint: move(position) for joint, position in figure.pose.items()}
    return Figure(parts, pose, stature)


def cut_parts(figure: Figure, size: int) -> list[Cutout]:
    """Each part of a figure, the lowest first, in a scene of size x size pixels."""
    return [
        cut_out_together([size * outline for outline in part.outlines], size)
        for part in figure.parts
    ]


def paint_figure(
    image: np.ndarray,
    figure: Figure,
    cutouts: list[Cutout],
    paper: np.ndarray,
    used: list[int],
    light: Light,
    rng: np.random.Generator,
) -> None:
    """Paint a figure onto an image [3, size, size] of a paper of this color [3, 1, 1].

    cutouts: its parts, as `cut_parts` gives them. used: the palette's colors in the scene so far,
    by index; the figure's are appended.
    """
    cloths = ("shirt", "trousers", "shoes", "hair", "hat")
    colors = {cloth: object_color(paper, used, rng) for cloth in cloths}
    colors["skin"] = SKIN_COLORS[rng.integers(len(SKIN_COLORS))]
    prints = {cloth: int(rng.integers(2**32)) for cloth in colors}  # a seed for each
    prints["skin"] = prints["shoes"] = -1  # they have none
    for part, cutout in zip(figure.parts, cutouts, strict=True):
        window, shape, fill = cutout.window, cutout.shape, colors[part.cloth]
        pixels = image[window.index]
        pixels *= 1 - shadow(shape, window.size, light, height=0.55)
        if prints[part.cloth] >= 0:
            fill = printed(fill, window, np.random.default_rng(prints[part.cloth]))
        blend(pixels, as_floats(shape), fill * shading(shape, window, light))
        if part.limb == "head" and part.cloth == "skin":
            _paint_face(image, figure)
        if part.pins:
            _paint_pins(image, figure, part.limb, light)


def _paint_face(image: np.ndarray, figure: Figure) -> None:
    """Two eyes and a smile: a figure faces us."""
    size, tilt = image.shape[1], tilt_of(figure.pose)
    head, radius = figure.pose["head"], HEAD * figure.stature

    def on_face(points: np.ndarray) -> np.ndarray:
        return head + radius * rotate(points, tilt)

    eyes = [on_face(around(np.array((x, 0.02)), 0.13)) for x in (-0.36, 0.36)]
    angle = np.linspace(0.18, 0.82, 12) * np.pi
    lips = [polar_to_xy(np.full(12, radius), angle) for radius in (0.57, 0.44)]
    smile = on_face(np.array((0, 0.1)) + np.concatenate((lips[0], lips[1][::-1])))
    window, coverage = draw_pieces([*eyes, smile], size)
    blend(image[window.index], coverage, rgb(INK))


def _paint_pins(image: np.ndarray, figure: Figure, limb: str, light: Light) -> None:
    """The brass pins of an arm or a leg, each with a glint of the light."""
    side, _, kind = limb.partition("_")
    centers = [figure.pose[f"{side}_{joint}"] for joint in PINS[kind]]
    radius = 0.011 * figure.stature
    for color, offset, fraction in ((BRASS, 0, 1), (GLINT, 0.35, 0.45)):
        moved = [center + offset * radius * light.direction for center in centers]
        discs = [around(center, fraction * radius) for center in moved]
        window, coverage = draw_pieces(discs, image.shape[1])
        blend(image[window.index], coverage, rgb(color))
