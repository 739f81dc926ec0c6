"""Selective search: boxes that may hold an object, found without learning (Uijlings et al. 2013).

1. Felzenszwalb and Huttenlocher's segmentation cuts the image into small regions of like color.
2. The two neighbors that are most alike become one region, again and again, until one is left.
3. The box of every region there ever was is a proposal.
4. All of it anew with other colors, other measures of similarity and coarser first regions: what one
   grouping misses, another finds.

Letters: H and W the image's size, N boxes, P pairs of regions.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import product

import numpy as np
import torch
from skimage.color import rgb2hsv, rgb2lab
from skimage.segmentation import felzenszwalb
from torch import Tensor

from mrcnn_edu.ancestors.segments import SIMILARITIES, Regions, first_regions, merge, similarity

LAB_RANGE, LAB_SHIFT = (100, 255, 255), (0, 128 / 255, 128 / 255)  # brings them to 0..1
COLORS = {  # images [H, W, 3] of 0..1 to the same in another color space
    "rgb": lambda rgb: rgb,
    "hsv": rgb2hsv,
    "lab": lambda rgb: rgb2lab(rgb) / LAB_RANGE + LAB_SHIFT,
}


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
    """Boxes [N, 4] in pixels of the image [3, H, W] of 0..1, the likeliest first, no two the same.

    n: how many at most; None gives all. colors, similarities and scales: every combination is a
    grouping; the defaults are the paper's "fast" mode, eight groupings. A scale is Felzenszwalb's
    k: the larger, the larger the first regions. min_region: pixels of a first region, at
    least; None takes a 3000th of the image, or 20 if that is more. min_side: pixels; boxes
    with a shorter side are left out. None takes a 24th of the image's shorter side.

    Of a grouping, the later a region came into being the likelier it is an object, but large ones
    would always come first: so its place, counted back from the whole image, is multiplied by a
    random number of 0..1, drawn from the seed, and boxes are sorted by that (section 3.3).
    """
    pixels = _pixels(image)
    if min_region is None:
        min_region = max(20, image[0].numel() // 3000)
    if min_side is None:
        min_side = min(image.shape[1:]) / 24
    random = np.random.default_rng(seed)
    boxes, places = [], []
    for color, scale in product(colors, scales):
        converted = COLORS[color](pixels)
        segments = felzenszwalb(converted, scale, sigma=0.8, min_size=min_region)
        first, pairs = first_regions(converted, segments)
        for measures in similarities:
            merged = group(first, pairs, measures).boxes
            boxes.append(merged)
            places.append(random.random(len(merged)) * np.arange(len(merged), 0, -1))
    boxes = np.concatenate(boxes)[np.concatenate(places).argsort(kind="stable")]
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= min_side).all(axis=1)]
    _, first = np.unique(boxes, axis=0, return_index=True)
    return torch.from_numpy(boxes[np.sort(first)][:n]).float()


def _pixels(image: Tensor) -> np.ndarray:
    """The image as [H, W, 3] in float64, a gray one in three equal channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"the image has shape {list(image.shape)}: give [3, H, W], or [1, H, W]")
    if not image.is_floating_point():
        raise TypeError(f"the image has dtype {image.dtype}: give floats in 0..1 (image / 255)")
    return image.detach().cpu().double().expand(3, -1, -1).permute(1, 2, 0).numpy().clip(0, 1)


def group(first: Regions, pairs: np.ndarray, measures: Sequence[str] = SIMILARITIES) -> Regions:
    """All regions: of the pairs [P, 2] of neighbors the likest is merged, until one is left.

    Algorithm 1 of the paper, with a queue of pairs that is never cleaned: a pair is passed over
    if one of the two has been merged in the meantime.
    """
    regions = Regions(*(rows.copy() for rows in first))
    neighbors = [set() for _ in regions.sizes]
    for a, b in pairs.tolist():
        neighbors[a].add(b)
        neighbors[b].add(a)
    a, b = pairs.T
    values = -similarity(regions, a, b, measures)
    queue = list(zip(values.tolist(), a.tolist(), b.tolist(), strict=True))
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
        values = -similarity(regions, np.array(others, dtype=np.int64), new, measures)
        for value, other in zip(values.tolist(), others, strict=True):
            heappush(queue, (value, other, new))
        new += 1
    return regions
