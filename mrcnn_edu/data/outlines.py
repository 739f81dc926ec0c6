"""Outlines of synthetic objects: six templates, and smooth random curves.

An outline is a list of polygons [n, 2], each a row of points (x, y) around the origin, none farther
from it than 1. The first polygon is the boundary; the others are holes.
"""

import numpy as np

TEMPLATES = ("triangle", "square", "circle", "star", "ring", "cross")
LOBES = (2, 3, 4, 5)
CLASSES = {  # class names for each kind of outline
    "templates": list(TEMPLATES),
    "blobs": ["blob"],
    "lobes": [f"{n} lobes" for n in LOBES],
}


def outline(kind: str, label: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A randomly rotated outline of the class `label`. kind: a key of CLASSES."""
    rotation = rng.uniform(0, 2 * np.pi)
    if kind == "templates":
        return [rotate(polygon, rotation) for polygon in template(TEMPLATES[label - 1])]
    n_lobes = LOBES[label - 1] if kind == "lobes" else None
    return [rotate(smooth_polygon(rng, n_lobes), rotation)]


def template(name: str) -> list[np.ndarray]:
    """The outline of a template. Raises ValueError for an unknown name."""
    if name == "triangle":
        return [circle(3)]
    if name == "square":
        return [circle(4)]
    if name == "circle":
        return [circle(48)]
    if name == "star":
        radius = np.tile((1, 0.42), 5)  # tips and notches alternate
        return [circle(10) * radius[:, None]]
    if name == "ring":
        return [circle(48), 0.55 * circle(48)]
    if name == "cross":
        half_width = 0.34
        arm = np.array([(1, -half_width), (1, half_width), (half_width, half_width)])
        arm = arm / np.hypot(1, half_width)
        return [np.concatenate([rotate(arm, quarter * np.pi / 2) for quarter in range(4)])]
    raise ValueError(f"there is no template {name!r}: choose one of {', '.join(TEMPLATES)}")


def smooth_polygon(rng: np.random.Generator, n_lobes: int | None = None) -> np.ndarray:
    """A smooth random polygon [72, 2]: a circle whose radius varies as a sum of cosine waves.

    n_lobes: this wave dominates, so that the polygon has so many lobes. None: no wave does, and the
    polygon is squeezed along y.
    """
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    frequencies = np.arange(2, 7)
    amplitude = rng.normal(0, 0.35, len(frequencies)) / frequencies
    if n_lobes is not None:
        amplitude *= 0.3
        amplitude[frequencies == n_lobes] = rng.uniform(0.25, 0.4)
    phase = rng.uniform(0, 2 * np.pi, len(frequencies))
    waves = amplitude[:, None] * np.cos(frequencies[:, None] * angle + phase[:, None])
    radius = np.maximum(1 + waves.sum(axis=0), 0.15)
    polygon = polar_to_xy(radius, angle)
    if n_lobes is None:
        polygon = polygon * (1, rng.uniform(0.55, 1))
    return polygon / np.linalg.norm(polygon, axis=1).max()


def interpolate_outline(first: str, second: str, fraction: float, n: int = 180) -> np.ndarray:
    """A polygon [n, 2] between two templates: fraction 0 is the first template, 1 the second.

    At each angle the radius is interpolated linearly. Both templates must be without holes.
    """
    angle = 2 * np.pi * np.arange(n) / n
    start, end = radius_at(template(first)[0], angle), radius_at(template(second)[0], angle)
    return polar_to_xy((1 - fraction) * start + fraction * end, angle)


def radius_at(polygon: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The distance [n] from the origin to a polygon [m, 2] around it, at each angle [n].

    A ray in that direction is intersected with all m edges.
    """
    start = polygon
    edge = np.roll(polygon, -1, axis=0) - start
    direction = polar_to_xy(np.ones(len(angle)), angle)[:, None]  # [n, 1, 2]
    denominator = cross_product(direction, edge)  # [n, m], 0 where ray and edge are parallel
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = cross_product(start, edge) / denominator  # along the ray
        fraction = cross_product(start, direction) / denominator  # along the edge
    hit = (distance > 0) & (fraction >= -1e-9) & (fraction <= 1 + 1e-9)
    return np.where(hit, distance, 0).max(axis=1)


def cross_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The z component of the cross product of vectors a and b [..., 2]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def circle(n: int) -> np.ndarray:
    """n points [n, 2], evenly spaced on the circle of radius 1."""
    return polar_to_xy(np.ones(n), 2 * np.pi * np.arange(n) / n)


def polar_to_xy(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points (x, y) [n, 2] at these distances [n] and angles [n], in radians."""
    return radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Points [n, 2] rotated about the origin by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])
