"""Selective search: boxes that may hold an object, found without any learning (Uijlings et al. 2013).

1. Felzenszwalb and Huttenlocher's segmentation cuts the image into small regions of like colour.
2. The two neighbours that are most alike become one region, again and again, until one is left.
3. The box of every region there ever was is a proposal.
4. All of it anew with other colours, other measures of likeness and coarser first regions: what one
   grouping misses, another finds.

Letters: H and W the image's size, n first regions, N boxes. The regions of a grouping are numbered
as they come into being: 0..n - 1 the first ones, n..2n - 2 the merged ones, the last the image.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2hsv, rgb2lab
from skimage.segmentation import felzenszwalb
from torch import Tensor

COLOURS = {  # images [H, W, 3] of 0..1 to the same in another colour space
    "rgb": lambda rgb: rgb,
    "hsv": rgb2hsv,
    "lab": lambda rgb: (rgb2lab(rgb) + (0, 128, 128)) / (100, 255, 255),
}
LIKENESSES = ("colour", "texture", "size", "fill")
COLOUR_BINS, TEXTURE_BINS, ORIENTATIONS = 25, 10, 8  # of each channel's histograms (section 3.2)


class Regions(NamedTuple):
    """Regions by their numbers; of merged ones, once they are there."""

    boxes: np.ndarray  # [2n - 1, 4] whole pixels
    sizes: np.ndarray  # [2n - 1] in pixels
    colour: np.ndarray  # [2n - 1, 75] histogram of every channel, 1 in all
    texture: np.ndarray  # [2n - 1, 240] histogram of every channel and orientation, 1 in all


def selective_search(
    image: Tensor,
    n: int | None = None,
    *,
    colours: Sequence[str] = ("hsv", "lab"),
    likenesses: Sequence[Sequence[str]] = (LIKENESSES, LIKENESSES[1:]),
    scales: Sequence[float] = (50, 100),
    smallest_region: int | None = None,
    smallest_side: float | None = None,
    seed: int = 0,
) -> Tensor:
    """Boxes [N, 4] in pixels of the image [3, H, W] of 0..1, the likeliest first, no two the same.

    n: how many at most; None gives all. colours, likenesses and scales: every combination is a
    grouping; the defaults are the paper's "fast" mode, eight groupings. A scale is Felzenszwalb's
    k: the larger, the larger the first regions. smallest_region: pixels of a first region, at
    least; None takes a 3000th of the image, or 20 if that is more. smallest_side: pixels; boxes
    with a shorter side are left out. None takes a 24th of the image's shorter side.

    Of a grouping, the later a region came into being the likelier it is an object, but large ones
    would always come first: so its place, counted back from the whole image, is multiplied by a
    random number of 0..1, drawn from the seed, and boxes are sorted by that (section 3.3).
    """
    pixels = _pixels(image)
    if smallest_region is None:
        smallest_region = max(20, image[0].numel() // 3000)
    if smallest_side is None:
        smallest_side = min(image.shape[1:]) / 24
    random = np.random.default_rng(seed)
    boxes, places = [], []
    for colour, scale in product(colours, scales):
        converted = COLOURS[colour](pixels)
        segments = felzenszwalb(converted, scale, sigma=0.8, min_size=smallest_region)
        first, pairs = first_regions(converted, segments)
        for likeness in likenesses:
            merged = group(first, pairs, likeness).boxes
            boxes.append(merged)
            places.append(random.random(len(merged)) * np.arange(len(merged), 0, -1))
    boxes = np.concatenate(boxes)[np.concatenate(places).argsort(kind="stable")]
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= smallest_side).all(axis=1)]
    _, first = np.unique(boxes, axis=0, return_index=True)
    return torch.from_numpy(boxes[np.sort(first)][:n]).float()


def _pixels(image: Tensor) -> np.ndarray:
    """The image as [H, W, 3] in float64, a grey one in three equal channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"the image has shape {list(image.shape)}: give [3, H, W], or [1, H, W]")
    if not image.is_floating_point():
        raise TypeError(f"the image has dtype {image.dtype}: give floats in 0..1 (image / 255)")
    return image.detach().cpu().double().expand(3, -1, -1).permute(1, 2, 0).numpy().clip(0, 1)


def first_regions(pixels: np.ndarray, segments: np.ndarray) -> tuple[Regions, np.ndarray]:
    """Regions with their first n rows filled, and the pairs [P, 2] of them that are neighbours.

    pixels: [H, W, 3] of 0..1. segments: [H, W], the number 0..n - 1 of each pixel's region.
    """
    n, area = segments.max() + 1, segments.size
    colour = [_histograms(segments, n, channel, COLOUR_BINS, 1) for channel in pixels.T]
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
        colour=np.zeros((2 * n - 1, 3 * COLOUR_BINS)),
        texture=np.zeros((2 * n - 1, 3 * ORIENTATIONS * TEXTURE_BINS)),
    )
    regions.boxes[:, :2] = area
    label = segments.ravel()
    for side, of_pixel in enumerate((x, y)):
        np.minimum.at(regions.boxes[:, side], label, of_pixel)
        np.maximum.at(regions.boxes[:, side + 2], label, of_pixel + 1)
    regions.sizes[:n] = np.bincount(label)
    for rows, histograms in ((regions.colour, colour), (regions.texture, texture)):
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


def group(first: Regions, pairs: np.ndarray, likenesses: Sequence[str] = LIKENESSES) -> Regions:
    """All regions: of the pairs [P, 2] of neighbours the likest is merged, until one is left.

    Algorithm 1 of the paper, with a queue of pairs that is never cleaned: a pair is passed over
    if one of the two has been merged in the meantime.
    """
    regions = Regions(*(rows.copy() for rows in first))
    neighbours = [set() for _ in regions.sizes]
    for a, b in pairs.tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    a, b = pairs.T
    values = -likeness(regions, a, b, likenesses)
    queue = list(zip(values.tolist(), a.tolist(), b.tolist(), strict=True))
    heapify(queue)
    new = (len(regions.sizes) + 1) // 2
    while queue:
        _, a, b = heappop(queue)
        if b not in neighbours[a]:
            continue
        merge(regions, a, b, new)
        around = (neighbours[a] | neighbours[b]) - {a, b}
        for neighbour in around:
            neighbours[neighbour] -= {a, b}
            neighbours[neighbour].add(new)
        neighbours[a], neighbours[b], neighbours[new] = set(), set(), around
        others = sorted(around)
        values = -likeness(regions, np.array(others, dtype=np.int64), new, likenesses)
        for value, other in zip(values.tolist(), others, strict=True):
            heappush(queue, (value, other, new))
        new += 1
    return regions


def merge(regions: Regions, a: int, b: int, new: int) -> None:
    """Write the region that a and b make into row `new`: nothing is read from the pixels again."""
    regions.boxes[new, :2] = np.minimum(regions.boxes[a, :2], regions.boxes[b, :2])
    regions.boxes[new, 2:] = np.maximum(regions.boxes[a, 2:], regions.boxes[b, 2:])
    size_a, size_b = regions.sizes[a], regions.sizes[b]
    regions.sizes[new] = size_a + size_b
    for rows in (regions.colour, regions.texture):
        rows[new] = (size_a * rows[a] + size_b * rows[b]) / (size_a + size_b)


def likeness(regions: Regions, a, b, measures: Sequence[str] = LIKENESSES) -> np.ndarray:
    """How alike the regions a [P] are to the regions b, [P] or one: the sum of measures of 0..1.

    colour, texture: what their histograms have in common. size: 1 for the smallest, so that small
    ones merge first everywhere. fill: 1 if their common box has no gaps (section 3.2).
    """
    of_image = regions.sizes[: (len(regions.sizes) + 1) // 2].sum()
    total = np.zeros(np.broadcast(a, b).shape)
    both = regions.sizes[a] + regions.sizes[b]
    for measure in measures:
        if measure in ("colour", "texture"):
            rows = getattr(regions, measure)
            total += np.minimum(rows[a], rows[b]).sum(axis=-1)
        elif measure == "size":
            total += 1 - both / of_image
        elif measure == "fill":
            corner = np.minimum(regions.boxes[a, :2], regions.boxes[b, :2])
            opposite = np.maximum(regions.boxes[a, 2:], regions.boxes[b, 2:])
            total += 1 - ((opposite - corner).prod(axis=-1) - both) / of_image
        else:
            raise ValueError(f"a likeness is {measure!r}: choose from {', '.join(LIKENESSES)}")
    return total
