"""Selective search: boxes that may hold an object, found without learning (Uijlings et al. 2013).

1. Felzenszwalb and Huttenlocher's segmentation splits the image into small, uniform regions.
2. The two most similar neighbors are merged into one region, again and again, until one is left.
3. The box of every region that existed at any time is a proposal.
4. All of this is repeated with other color spaces, other measures of similarity and coarser initial
   regions: what one grouping misses, another finds.

Letters: H and W in pixels, N boxes, P pairs of regions.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.ancestors.segments import SIMILARITIES, Regions, initial_regions, merge, similarity
from mrcnn_edu.config import check_number
from mrcnn_edu.extras import require

LAB_RANGE, LAB_SHIFT = (100, 255, 255), (0, 128 / 255, 128 / 255)  # map Lab's channels to 0..1


def selective_search(
    image: Tensor,
    n: int | None = None,
    *,
    colors: Sequence[str] = ("hsv", "lab"),
    similarities: Sequence[Sequence[str]] = (SIMILARITIES, SIMILARITIES[1:]),
    scales: Sequence[float] = (50, 100),
    min_region: int | None = None,
    min_side: float | None = None,
    seed: int = 0,
) -> Tensor:
    """Boxes [N, 4] in pixels of the image [3, H, W] in 0..1, the most likely first, all different.

    n: the largest number of boxes; None returns all. colors ("rgb", "hsv", "lab"), similarities and
    scales: every combination is a grouping; the defaults are the paper's "fast" mode with eight
    groupings. A scale is Felzenszwalb's k: the larger, the larger the initial regions. min_region:
    fewest pixels of an initial region; None takes a 3000th of the image, but at least 20.
    min_side: boxes with a shorter side, in pixels, are left out; None takes a 24th of the image's
    shorter side. Needs scikit-image.

    The later a grouping creates a region, the more likely it is an object, but then large regions
    would always come first. So a region's rank, counted back from the whole image, is multiplied by
    a random number in 0..1 that depends on the seed, and boxes are sorted by that (section 3.3).
    """
    for name, value in dict(n=n, min_region=min_region, min_side=min_side, seed=seed).items():
        if value is not None:
            check_number(name, value, 0, whole=name != "min_side")
    for scale in scales:
        check_number("scales", scale, 0, above=True)
    felzenszwalb = require("skimage.segmentation", "history", "selective search").felzenszwalb
    pixels = _pixels(image)
    if min_region is None:
        min_region = max(20, image[0].numel() // 3000)
    if min_side is None:
        min_side = min(image.shape[1:]) / 24
    random = np.random.default_rng(seed)
    box_groups, ranks = [], []
    for color, scale in product(colors, scales):
        converted = _in_color_space(pixels, color)
        segments = felzenszwalb(converted, scale, sigma=0.8, min_size=min_region)
        initial, pairs = initial_regions(converted, segments)
        for measures in similarities:
            grouped = hierarchical_grouping(initial, pairs, measures).boxes
            box_groups.append(grouped)
            ranks.append(random.random(len(grouped)) * np.arange(len(grouped), 0, -1))
    boxes = np.concatenate(box_groups)[np.concatenate(ranks).argsort(kind="stable")]
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= min_side).all(axis=1)]
    _, first = np.unique(boxes, axis=0, return_index=True)  # where each box occurs first
    return torch.from_numpy(boxes[np.sort(first)][:n]).float()


def _pixels(image: Tensor) -> np.ndarray:
    """The image as [H, W, 3] in float64; a gray one in three equal channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"the image has shape {list(image.shape)}: give [3, H, W], or [1, H, W]")
    if not image.is_floating_point():
        raise TypeError(f"the image has dtype {image.dtype}: give floats in 0..1 (image / 255)")
    return image.detach().cpu().double().expand(3, -1, -1).permute(1, 2, 0).numpy().clip(0, 1)


def _in_color_space(rgb: np.ndarray, color: str) -> np.ndarray:
    """The pixels [H, W, 3] in another color space, in 0..1."""
    convert = require("skimage.color", "history", "selective search")
    if color == "rgb":
        return rgb
    if color == "hsv":
        return convert.rgb2hsv(rgb)
    if color == "lab":
        return convert.rgb2lab(rgb) / LAB_RANGE + LAB_SHIFT
    raise ValueError(f"{color!r} is not a color space known here: choose from rgb, hsv, lab")


def hierarchical_grouping(
    initial: Regions, pairs: np.ndarray, measures: Sequence[str] = SIMILARITIES
) -> Regions:
    """All regions: of the pairs [P, 2] of neighbors the most similar is merged until one is left.

    Algorithm 1 of the paper, with a queue of pairs that is never cleaned: a pair is skipped if one
    of the two has been merged in the meantime.
    """
    regions = Regions(*(rows.copy() for rows in initial))
    neighbors = [set() for _ in regions.sizes]
    for a, b in pairs.tolist():
        neighbors[a].add(b)
        neighbors[b].add(a)
    a, b = pairs.T
    keys = -similarity(regions, a, b, measures)  # the queue's smallest key comes first
    queue = list(zip(keys.tolist(), a.tolist(), b.tolist(), strict=True))
    heapify(queue)
    new = (len(regions.sizes) + 1) // 2
    while queue:
        _, a, b = heappop(queue)
        if b not in neighbors[a]:
            continue
        merge(regions, a, b, new)
        around = (neighbors[a] | neighbors[b]) - {a, b}
        for neighbor in around:
            neighbors[neighbor] -= {a, b}
            neighbors[neighbor].add(new)
        neighbors[a], neighbors[b], neighbors[new] = set(), set(), around
        others = sorted(around)
        keys = -similarity(regions, np.array(others, dtype=np.int64), new, measures)
        for key, other in zip(keys.tolist(), others, strict=True):
            heappush(queue, (key, other, new))
        new += 1
    return regions
