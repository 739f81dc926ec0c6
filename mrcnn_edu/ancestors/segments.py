"""Regions of an image and how similar two of them are: what selective search groups.

A region is described by its box, its size and two histograms. Those of a merged region follow from
those of its two parts, so the pixels are read only once (Uijlings et al. 2013, section 3.2).

Letters: H and W in pixels, n initial regions, P pairs of regions. Regions are numbered in the order
in which they are created: 0..n - 1 are the initial ones, n..2n - 2 the merged ones, and the last is
the whole image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mrcnn_edu.extras import require

SIMILARITIES = ("color", "texture", "size", "fill")
COLOR_BINS, TEXTURE_BINS, ORIENTATIONS = 25, 10, 8  # of each channel's histograms


class Regions(NamedTuple):
    """Regions by number; the row of a merged region is filled when it is merged."""

    boxes: np.ndarray  # [2n - 1, 4] whole pixels
    sizes: np.ndarray  # [2n - 1] number of pixels
    color: np.ndarray  # [2n - 1, 75] histograms of the channels, which sum to 1
    texture: np.ndarray  # [2n - 1, 240] histograms by channel and orientation, which sum to 1


def initial_regions(pixels: np.ndarray, segments: np.ndarray) -> tuple[Regions, np.ndarray]:
    """Regions with their first n rows filled, and the pairs [P, 2] of neighbors among these.

    pixels: [H, W, 3] in 0..1. segments: [H, W], the number 0..n - 1 of each pixel's region.
    """
    n, area = segments.max() + 1, segments.size
    color = [_histograms(segments, n, channel, COLOR_BINS, 1) for channel in pixels.T]
    texture = []
    for channel in pixels.T:  # [W, H]: the first axis is x
        gradient_x, gradient_y = _gradient(channel)
        steepest = np.hypot(gradient_x, gradient_y).max()
        for angle in np.arange(ORIENTATIONS) * 2 * np.pi / ORIENTATIONS:
            slope = np.cos(angle) * gradient_x + np.sin(angle) * gradient_y
            texture.append(_histograms(segments, n, slope.clip(0), TEXTURE_BINS, steepest))
    regions = Regions(
        boxes=np.zeros((2 * n - 1, 4), dtype=np.int64),
        sizes=np.zeros(2 * n - 1, dtype=np.int64),
        color=np.zeros((2 * n - 1, 3 * COLOR_BINS)),
        texture=np.zeros((2 * n - 1, 3 * ORIENTATIONS * TEXTURE_BINS)),
    )
    y, x = np.divmod(np.arange(area), segments.shape[1])
    number = segments.ravel()  # the region of each pixel
    regions.boxes[:, :2] = area
    for axis, position in enumerate((x, y)):
        np.minimum.at(regions.boxes[:, axis], number, position)
        np.maximum.at(regions.boxes[:, axis + 2], number, position + 1)
    regions.sizes[:n] = np.bincount(number)
    for rows, histograms in ((regions.color, color), (regions.texture, texture)):
        rows[:n] = np.concatenate(histograms, axis=1)
        rows[:n] /= rows[:n].sum(axis=1, keepdims=True)
    return regions, _neighbors(segments, n)


def _gradient(channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of a channel along its two axes, smoothed."""
    smooth = require("scipy.ndimage", "history", "selective search").gaussian_filter
    return smooth(channel, 1, (1, 0)), smooth(channel, 1, (0, 1))


def _neighbors(segments: np.ndarray, n: int) -> np.ndarray:
    """The pairs [P, 2] of regions that touch one another, each pair once and in order."""
    beside = np.stack((segments[:, :-1].ravel(), segments[:, 1:].ravel()), axis=1)
    below = np.stack((segments[:-1].ravel(), segments[1:].ravel()), axis=1)
    low, high = np.sort(np.concatenate((beside, below)), axis=1).T
    codes = np.unique((low * n + high)[low < high])  # a pair as one number sorts faster
    return np.stack(np.divmod(codes, n), axis=1)


def _histograms(segments, n, values, n_bins, highest) -> np.ndarray:
    """Counts [n, n_bins] of the values [W, H] of each region's pixels, from 0 to `highest`."""
    bins = (values.T * (n_bins / (highest or 1))).astype(np.int64).clip(0, n_bins - 1)
    counts = np.bincount((segments * n_bins + bins).ravel(), minlength=n * n_bins)
    return counts.reshape(n, n_bins)


def merge(regions: Regions, a: int, b: int, new: int) -> None:
    """Merge the regions a and b into row `new`, without reading the pixels again."""
    regions.boxes[new, :2] = np.minimum(regions.boxes[a, :2], regions.boxes[b, :2])
    regions.boxes[new, 2:] = np.maximum(regions.boxes[a, 2:], regions.boxes[b, 2:])
    size_a, size_b = regions.sizes[a], regions.sizes[b]
    regions.sizes[new] = size_a + size_b
    for rows in (regions.color, regions.texture):
        rows[new] = (size_a * rows[a] + size_b * rows[b]) / (size_a + size_b)


def similarity(regions: Regions, a, b, measures: Sequence[str] = SIMILARITIES) -> np.ndarray:
    """The similarity [P] of the regions a [P] to the regions b, [P] or one: a sum of measures.

    Each measure lies in 0..1. "color" and "texture" are the intersections of the histograms. "size"
    is largest for small regions, so that these merge first everywhere. "fill" is 1 if the common
    box has no gaps (section 3.2).
    """
    image_size = regions.sizes[: (len(regions.sizes) + 1) // 2].sum()
    total = np.zeros(np.broadcast(a, b).shape)
    merged_size = regions.sizes[a] + regions.sizes[b]
    for measure in measures:
        if measure in ("color", "texture"):
            rows = getattr(regions, measure)
            total += np.minimum(rows[a], rows[b]).sum(axis=-1)
        elif measure == "size":
            total += 1 - merged_size / image_size
        elif measure == "fill":
            corner = np.minimum(regions.boxes[a, :2], regions.boxes[b, :2])
            opposite = np.maximum(regions.boxes[a, 2:], regions.boxes[b, 2:])
            box_size = (opposite - corner).prod(axis=-1)
            total += 1 - (box_size - merged_size) / image_size
        else:
            known = ", ".join(SIMILARITIES)
            raise ValueError(f"{measure!r} is not a measure of similarity: choose from {known}")
    return total
