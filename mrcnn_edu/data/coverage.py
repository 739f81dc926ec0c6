"""Anchor coverage: how well the best anchor fits each object of a data set, before any training.

An object that no anchor fits is hardly learned: its one positive example is its best anchor.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.boxes import box_area, box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.images import scaled_size


class Coverage(NamedTuple):
    """Of each object of a data set, M in all."""

    sides: Tensor  # [M] square root of the box's area, in pixels of the network's input
    best_iou: Tensor  # [M] with the anchor that fits it best


def scaled_boxes(dataset, config: Config, n: int | None = None):
    """Of each image: its boxes [M, 4] in pixels of the network's input, and that input's size.

    dataset: a sequence of (image, target), of which the first `n` are looked at, or all.
    """
    for index in tqdm(range(len(dataset) if n is None else min(n, len(dataset))), "boxes"):
        image, target = dataset[index]
        size = height, width = tuple(image.shape[-2:])
        size = scaled_size(size, config.short_side, config.long_side)
        zoom = torch.tensor([size[1] / width, size[0] / height] * 2)
        yield target["boxes"] * zoom, size


def anchor_coverage(dataset, config: Config, strides: tuple[int, ...], n=None) -> Coverage:
    """How well the config's anchors cover the objects of a dataset, or of its first n images.

    strides: of the backbone's maps, as `model.backbone.strides`.
    """
    sides, best = [torch.zeros(0)], [torch.zeros(0)]
    for boxes, size in scaled_boxes(dataset, config, n):
        padded = tuple(-(-side // strides[-1]) * strides[-1] for side in size)
        grids = pyramid_grids(padded, strides)
        anchors = pyramid_anchors(grids, padded, config.anchor_sizes, config.anchor_ratios)
        sides.append(box_area(boxes).sqrt())
        best.append(box_iou(boxes, torch.cat(anchors)).amax(dim=1))
    return Coverage(torch.cat(sides), torch.cat(best))


def pyramid_grids(image_size: tuple[int, int], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """(H, W) of each feature map of a batch of this size, without running the network.

    image_size: (height, width), multiples of the largest of the backbone's `strides`. The last map
    is the RPN's additional one, the coarsest map subsampled by 2.
    """
    grids = [(image_size[0] // stride, image_size[1] // stride) for stride in strides]
    height, width = grids[-1]
    return [*grids, (-(-height // 2), -(-width // 2))]
