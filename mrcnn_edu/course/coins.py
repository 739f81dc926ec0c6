"""Lesson 15's photograph: 24 coins that come with scikit-image, and masks for them.

The photograph shows Greek coins from Pompeii, in gray, 303 x 384 pixels. It has no annotations, so
the masks are made here: a watershed finds them, and two were corrected by hand. Coins are numbered
as one reads, 0 to 23, row by row. Letters: M coins, H and W in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.regions import decode_mask
from mrcnn_edu.extras import require
from mrcnn_edu.images import size_of

CLASSES = ["coin"]
DARK, BRIGHT = 30, 150  # gray levels, of 255, that are certainly paper and certainly a coin
SMALLEST = 400  # pixels; a smaller region is a speck of dust
COLUMNS, ROW = 6, 70  # coins in a row, and about how many pixels one row lies below another
CUT = 184  # the column that divides the photograph into a half to train on and one to test on
CROP = 144  # pixels along a side of a training crop
LEAST = 50  # pixels of a coin that a crop has to show, or it counts as none
FLAWED = 6, 12  # the two coins that were corrected: a bright corner too much, a dark rim missing
CORRECTED: dict[int, list[tuple[float, float]]] = {  # by the coin: the corners (x, y)
    6: [
        (45, 103.9), (50.7, 104.7), (55.6, 107.8), (63, 114), (65.9, 118.9), (66.6, 123),
        (65.9, 127.1), (63.8, 132.8), (58.8, 137.2), (54.6, 140.6), (50.7, 142.3), (45.8, 144.6),
        (40.9, 145.1), (36, 143.4), (32.3, 140.5), (28.4, 136.8), (26.4, 130.4), (25.1, 123.8),
        (25.4, 119.8), (27.9, 114), (32.8, 109.1), (38.5, 105.9),
    ],
    12: [
        (43.8, 177.4), (48.7, 178.1), (53.6, 180.4), (57.7, 183.6), (60.5, 188.9), (61.5, 192.9),
        (62.5, 197), (61.8, 203.5), (59.6, 209.5), (56, 213.8), (51, 216.6), (45.5, 216.8),
        (40.6, 216.3), (35.7, 214.5), (30, 211.3), (27.7, 206), (27, 201.1), (25.7, 197),
        (25.7, 192.9), (27, 188), (30, 184), (34, 180.7), (38.1, 178.4),
    ],
}  # fmt: skip


def photograph() -> Tensor:
    """The photograph [3, 303, 384] in 0..1; red, green and blue are the same gray."""
    pixels = require("skimage.data", "history", "the photograph of coins").coins()
    return torch.from_numpy(pixels / np.float32(255)).expand(3, -1, -1).contiguous()


def automatic_masks(photo: Tensor) -> Tensor:
    """The masks [24, H, W] that a watershed on the edges finds, without any correction.

    It floods the photograph from what is certainly paper and what is certainly a coin, and the two
    meet where the brightness changes most.
    """
    filters = require("skimage.filters", "history", "finding coins")
    segmentation = require("skimage.segmentation", "history", "finding coins")
    measure = require("skimage.measure", "history", "finding coins")
    fill_holes = require("scipy.ndimage", "history", "finding coins").binary_fill_holes
    gray = (255 * photo[0]).round().numpy()
    seeds = np.zeros(gray.shape, dtype=int)
    seeds[gray < DARK], seeds[gray > BRIGHT] = 1, 2
    flooded = segmentation.watershed(filters.sobel(gray / 255), seeds)
    labels = measure.label(fill_holes(flooded == 2))
    regions = [r for r in measure.regionprops(labels) if r.area >= SMALLEST]
    return in_reading_order(torch.from_numpy(np.stack([labels == r.label for r in regions])))


def in_reading_order(masks: Tensor) -> Tensor:
    """The masks [24, H, W] of all coins, row by row and from left to right."""
    boxes = masks_to_boxes(masks)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    by_y = centers[:, 1].argsort().tolist()
    rows = [by_y[i : i + COLUMNS] for i in range(0, len(by_y), COLUMNS)]
    return masks[[i for row in rows for i in sorted(row, key=lambda i: centers[i, 0].item())]]


def polygon_around(mask: Tensor, tolerance: float = 0.8) -> list[list[float]]:
    """The corners [x, y] of a polygon around a mask [H, W] without holes.

    tolerance: by how many pixels the outline may be missed. Coordinates are those of pixels whose
    corners are at whole numbers, as in COCO's polygons.
    """
    measure = require("skimage.measure", "history", "finding the outline of a mask")
    padded = np.pad(mask.numpy().astype(float), 1)
    outline = max(measure.find_contours(padded, 0.5), key=len)  # its last point is its first
    corners = measure.approximate_polygon(outline, tolerance)[:-1, ::-1]  # (row, column) to (x, y)
    return [[round(float(v) - 0.5, 1) for v in corner] for corner in corners]


def with_polygons(
    masks: Tensor, polygons: Mapping[int, Sequence[Sequence[float]]] | None = None
) -> Tensor:
    """The masks [M, H, W] with those of some coins replaced by polygons: coin -> its corners.

    polygons: by default, those that were drawn by hand for the lesson.
    """
    masks = masks.clone()
    for coin, corners in (CORRECTED if polygons is None else polygons).items():
        flat = [float(value) for corner in corners for value in corner]
        masks[coin] = decode_mask([flat], *size_of(masks))
    return masks


def coin_target(masks: Tensor, is_cut: Tensor | None = None) -> dict:
    """The target of an image with coins of these masks [M, H, W], none of them empty.

    is_cut: which of them [M] are to be ignored, as crowd regions are.
    """
    n = len(masks)
    target = {"boxes": masks_to_boxes(masks).float().view(-1, 4), "masks": masks}
    target["labels"] = torch.ones(n, dtype=torch.int64)
    target["iscrowd"] = torch.zeros(n, dtype=torch.bool) if is_cut is None else is_cut
    return target


def left_half(photo: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of the cut: pixels [3, H, 184], and the 12 coins' masks, the last one cut."""
    left = masks[..., :CUT]
    return photo[..., :CUT].contiguous(), left[left.flatten(1).any(dim=1)]


def right_half(photo: Tensor, masks: Tensor) -> tuple[Tensor, dict]:
    """What is right of the cut, as an item: 12 coins, and the rest of the cut one as a crowd.

    The evaluator ignores what is detected on a crowd region, so nothing is gained or lost there.
    """
    right = masks[..., CUT:]
    shown = right.flatten(1).any(dim=1)
    is_cut = masks[..., :CUT].flatten(1).any(dim=1)
    return photo[..., CUT:].contiguous(), coin_target(right[shown], is_cut[shown])


def cover(photo: Tensor, masks: Tensor) -> Tensor:
    """The photograph with paper painted over the coins of these masks [M, H, W].

    A coin without a label would otherwise be taught to be background. The paper has the brightness
    and the grain of the pixels around the coin.
    """
    covered = photo.clone()
    generator = torch.Generator().manual_seed(0)
    everything = grown(masks.any(dim=0)[None].float(), 3)[0]
    for mask in masks:
        coin = grown(mask[None].float(), 3)[0]
        ring = grown(mask[None].float(), 9)[0] & ~everything
        paper = photo[0][ring]
        noise = torch.randn(int(coin.sum()), generator=generator)
        covered[:, coin] = (paper.median() + paper.std() / 2 * noise).clamp(0, 1)
    return covered


def grown(mask: Tensor, n: int) -> Tensor:
    """The mask [1, H, W] with all pixels that are at most n pixels away, along x and y: bool."""
    return max_pool2d(mask, 2 * n + 1, stride=1, padding=n) > 0


@dataclass
class Crops(Dataset):
    """Square pieces of a photograph, each with at least one whole coin, turned and mirrored.

    photo: [3, H, W]. masks: [M, H, W], M >= 1. Item i is a function of (seed, i) alone. A coin has
    no upper side, so all four quarter turns and their mirror images are as good as the original.
    """

    photo: Tensor
    masks: Tensor
    n: int = 200
    size: int = CROP
    seed: int = 0

    def __post_init__(self):
        self.classes = CLASSES
        self.boxes = masks_to_boxes(self.masks)
        self.fingerprint = f"{self.n} crops of {self.size}, {len(self.masks)} coins, {self.seed}"

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        if not 0 <= index < self.n:
            raise IndexError(f"item {index} of {self.n}")
        generator = np.random.default_rng((self.seed, index))
        x1, y1, x2, y2 = self.boxes[generator.integers(len(self.boxes))].int().tolist()
        height, width = size_of(self.photo)
        top = generator.integers(max(0, y2 - self.size), min(y1, height - self.size) + 1)
        left = generator.integers(max(0, x2 - self.size), min(x1, width - self.size) + 1)
        window = (..., slice(top, top + self.size), slice(left, left + self.size))
        turns, is_mirrored = int(generator.integers(4)), bool(generator.integers(2))
        pieces = []
        for values in (self.photo, self.masks):
            piece = values[window].rot90(turns, (1, 2))
            pieces.append((piece.flip(2) if is_mirrored else piece).contiguous())
        image, masks = pieces
        return image, coin_target(masks[masks.flatten(1).sum(dim=1) >= LEAST])


@dataclass
class Photographs(Dataset):
    """A few images with their targets, in memory."""

    items: Sequence[tuple[Tensor, dict]]

    def __post_init__(self):
        self.classes = CLASSES

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        return self.items[index]
