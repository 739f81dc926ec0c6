"""Regions of an image, and how alike two of them are: what selective search groups.

A region is known by its box, its size and two histograms. Those of two regions together follow
from those of each, so the pixels are read once only (Uijlings et al. 2013, section 3.2).

Letters: H and W the image's size, n first regions, P pairs. Regions are numbered as they come into
being: 0..n - 1 the first ones, n..2n - 2 the merged ones, the last the whole image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

SIMILARITIES = ("color", "texture", "size", "fill")
COLOR_BINS, TEXTURE_BINS, ORIENTATIONS = 25, 10, 8  # of each channel's histograms


class Regions(NamedTuple):
    """Regions by their numbers; of merged ones, once they are there."""

    boxes: np.ndarray  # [2n - 1, 4] whole pixels
    sizes: np.ndarray  # [2n - 1] in pixels
    color: np.ndarray  # [2n - 1, 75] histogram of every channel, 1 in all
    texture: np.ndarray  # [2n - 1, 240] histogram of every channel and orientation, 1 in all


def first_regions(pixels: np.ndarray, segments: np.ndarray) -> tuple[Regions, np.ndarray]:
    """Regions with their first n rows filled, and the pairs [P, 2] of them that are neighbors.

    pixels: [H, W, 3] of 0..1. segments: [H, W], the number 0..n - 1 of each pixel's region.
    """
    n, area = segments.max() + 1, segments.size
    color = [_histograms(segments, n, channel, COLOR_BINS, 1) for channel in pixels.T]
    texture = []
    for channel in pixels.T:
        # pixels.T is [3, W, H]: its first axis is x
        slope_x, slope_y = (gaussian_filter(channel, 1, order) for order in ((1, 0), (0, 1)))
        steepest = np.hypot(slope_x, slope_y).max()
        for angle in np.arange(ORIENTATIONS) * 2 * np.pi / ORIENTATIONS:
            slope = np.cos(angle) * slope_x + np.sin(angle) * slope_y
            texture.append(_histograms(segments, n, slope.clip(0), TEXTURE_BINS, steepest))
    y, x = np.divmod(np.arange(area), segments.shape[1])
    regions = Regions(
        boxes=np.zeros((2 * n - 1, 4), dtype=np.int64),
        sizes=np.zeros(2 * n - 1, dtype=np.int64),
        color=np.zeros((2 * n - 1, 3 * COLOR_BINS)),
        texture=np.zeros((2 * n - 1, 3 * ORIENTATIONS * TEXTURE_BINS)),
    )
    regions.boxes[:, :2] = area
    label = segments.ravel()
    for side, of_pixel in enumerate((x, y)):
        np.minimum.at(regions.boxes[:, side], label, of_pixel)
        np.maximum.at(regions.boxes[:, side + 2], label, of_pixel + 1)
    regions.sizes[:n] = np.bincount(label)
    for rows, histograms in ((regions.color, color), (regions.texture, texture)):
        rows[:n] = np.concatenate(histograms, axis=1)
        rows[:n] /= rows[:n].sum(axis=1, keepdims=True)

    beside = np.stack((segments[:, :-1].ravel(), segments[:, 1:].ravel()), axis=1)
    below = np.stack((segments[:-1].ravel(), segments[1:].ravel()), axis=1)
    low, high = np.sort(np.concatenate((beside, below)), axis=1).T
    numbered = np.unique((low * n + high)[low < high])  # a pair as one number: quick to sort
    return regions, np.stack(np.divmod(numbered, n), axis=1)


def _histograms(segments, n, values, n_bins, highest) -> np.ndarray:
    """Counts [n, n_bins] of the values [W, H] of each region's pixels, from 0 to `highest`."""
    bins = (values.T * (n_bins / (highest or 1))).astype(np.int64).clip(0, n_bins - 1)
    counts = np.bincount((segments * n_bins + bins).ravel(), minlength=n * n_bins)
    return counts.reshape(n, n_bins)


def merge(regions: Regions, a: int, b: int, new: int) -> None:
    """Write the region that a and b make into row `new`: nothing is read from the pixels again."""
    regions.boxes[new, :2] = np.minimum(regions.boxes[a, :2], regions.boxes[b, :2])
    regions.boxes[new, 2:] = np.maximum(regions.boxes[a, 2:], regions.boxes[b, 2:])
    size_a, size_b = regions.sizes[a], regions.sizes[b]
    regions.sizes[new] = size_a + size_b
    for rows in (regions.color, regions.texture):
        rows[new] = (size_a * rows[a] + size_b * rows[b]) / (size_a + size_b)


def similarity(regions: Regions, a, b, measures: Sequence[str] = SIMILARITIES) -> np.ndarray:
    """How alike the regions a [P] are to the regions b, [P] or one: the sum of measures of 0..1.

    color, texture: what their histograms have in common. size: 1 for the smallest, so that small
    ones merge first everywhere. fill: 1 if their common box has no gaps (section 3.2).
    """
    of_image = regions.sizes[: (len(regions.sizes) + 1) // 2].sum()
    total = np.zeros(np.broadcast(a, b).shape)
    both = regions.sizes[a] + regions.sizes[b]
    for measure in measures:
        if measure in ("color", "texture"):
            rows = getattr(regions, measure)
            total += np.minimum(rows[a], rows[b]).sum(axis=-1)
        elif measure == "size":
            total += 1 - both / of_image
        elif measure == "fill":
            corner = np.minimum(regions.boxes[a, :2], regions.boxes[b, :2])
            opposite = np.maximum(regions.boxes[a, 2:], regions.boxes[b, 2:])
            total += 1 - ((opposite - corner).prod(axis=-1) - both) / of_image
        else:
            raise ValueError(f"a similarity is {measure!r}: choose from {', '.join(SIMILARITIES)}")
    return total
