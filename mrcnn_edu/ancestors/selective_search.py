"""Selective search: boxes that may hold an object, found without learning (Uijlings et al. 2013).

1. Felzenszwalb and Huttenlocher's segmentation cuts the image into small regions of like colour.
2. The two neighbours that are most alike become one region, again and again, until one is left.
3. The box of every region there ever was is a proposal.
4. All of it anew with other colours, other measures of likeness and coarser first regions: what one
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

from mrcnn_edu.ancestors.regions import LIKENESSES, Regions, first_regions, likeness, merge

LAB_RANGE, LAB_SHIFT = (100, 255, 255), (0, 128 / 255, 128 / 255)  # brings them to 0..1
COLOURS = {  # images [H, W, 3] of 0..1 to the same in another colour space
    "rgb": lambda rgb: rgb,
    "hsv": rgb2hsv,
    "lab": lambda rgb: rgb2lab(rgb) / LAB_RANGE + LAB_SHIFT,
}


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
        for measures in likenesses:
            merged = group(first, pairs, measures).boxes
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


def group(first: Regions, pairs: np.ndarray, measures: Sequence[str] = LIKENESSES) -> Regions:
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
    values = -likeness(regions, a, b, measures)
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
        values = -likeness(regions, np.array(others, dtype=np.int64), new, measures)
        for value, other in zip(values.tolist(), others, strict=True):
            heappush(queue, (value, other, new))
        new += 1
    return regions
