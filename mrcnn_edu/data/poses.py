"""Poses of synthetic figures: where the joints are, and the outlines of the limbs between them.

A figure faces us, so its left hand is on the right of the picture, as it is with COCO's people.
Lengths are fractions of its stature, from the top of the head to the soles; the origin is its
middle, x points to the right and y down. Left and right are drawn from the same distributions and
look alike: nothing but the side tells them apart.
"""

from functools import cache

import numpy as np

from mrcnn_edu.data.outlines import circle

KEYPOINTS = (
    "head", "left_elbow", "right_elbow", "left_hand", "right_hand", "left_foot", "right_foot",
)  # fmt: skip
SKELETON = ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (0, 6))  # pairs of these, joined by lines
SIDES = {"left": 1, "right": -1}  # the direction of x on which each side is

HEAD = 0.098  # radii of round parts
HAND, FOOT = 0.034, 0.04
SHOULDER, ELBOW, WRIST = 0.039, 0.031, 0.027  # half the width of a limb there
HIP, KNEE, ANKLE = 0.046, 0.038, 0.031
UPPER_ARM, FOREARM, THIGH, SHIN = 0.15, 0.155, 0.21, 0.22  # lengths

_circle = cache(circle)
Pose = dict[str, np.ndarray]  # the position [2] of each joint, by its name


def random_pose(rng: np.random.Generator) -> Pose:
    """The joints of a figure that stands, walks, waves or jumps."""
    neck, tilt = np.array((0, -0.275)), rng.normal(0, 9)
    pose = {"neck": neck, "head": neck - 0.125 * _direction(1, tilt)}
    for side, sign in SIDES.items():
        shoulder, hip = np.array((sign * 0.085, -0.24)), np.array((sign * 0.052, 0.045))
        arm, leg = rng.uniform(5, 165), rng.uniform(-4, 46)
        elbow = shoulder + UPPER_ARM * _direction(sign, arm)
        knee = hip + THIGH * _direction(sign, leg)
        forearm = arm + np.clip(rng.normal(5, 50), -100, 100)
        shin = leg + np.clip(rng.normal(-8, 20), -55, 40)
        joints = {
            "shoulder": shoulder,
            "elbow": elbow,
            "hand": elbow + FOREARM * _direction(sign, forearm),
            "hip": hip,
            "knee": knee,
            "foot": knee + SHIN * _direction(sign, shin),
        }
        pose |= {f"{side}_{name}": position for name, position in joints.items()}
    return pose


def _direction(sign: int, degrees: float) -> np.ndarray:
    """A unit vector [2], turned by an angle from straight down to the side that sign says."""
    angle = np.deg2rad(degrees)
    return np.array((sign * np.sin(angle), np.cos(angle)))


def arm(pose: Pose, side: str) -> list[np.ndarray]:
    """The outlines [n, 2] of a sleeve's upper arm and forearm, which overlap at the elbow."""
    shoulder, elbow, hand = (pose[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "hand"))
    wrist = elbow + 0.7 * (hand - elbow)
    return [hull([shoulder, elbow], [SHOULDER, ELBOW]), hull([elbow, wrist], [ELBOW, WRIST])]


def leg(pose: Pose, side: str) -> list[np.ndarray]:
    """The outlines [n, 2] of a trouser leg's thigh and shin, which overlap at the knee."""
    hip, knee, foot = (pose[f"{side}_{joint}"] for joint in ("hip", "knee", "foot"))
    ankle = knee + 0.78 * (foot - knee)
    return [hull([hip, knee], [HIP, KNEE]), hull([knee, ankle], [KNEE, ANKLE])]


def torso(pose: Pose) -> list[np.ndarray]:
    """The outline [n, 2] of a shirt, from the shoulders to the hips, with a neck."""
    corners = [pose[f"{side}_{joint}"] for joint in ("shoulder", "hip") for side in SIDES]
    neck = hull([pose["neck"], pose["head"]], [0.03, 0.03])
    return [hull(corners, [SHOULDER, SHOULDER, HIP, HIP]), neck]


def hull(centers: list[np.ndarray], radii: list[float], n: int = 48) -> np.ndarray:
    """The polygon [n, 2] of a rubber band around circles: in each direction, the farthest point."""
    directions, middles, reach = _circle(n), np.array(centers), np.array(radii)
    farthest = (directions @ middles.T + reach).argmax(axis=1)  # [n] indices of circles
    return middles[farthest] + reach[farthest, None] * directions


def around(center: np.ndarray, radius: float) -> np.ndarray:
    """The polygon [n, 2] of a round part."""
    return center + radius * _circle(32)
