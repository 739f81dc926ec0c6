"""Anchor coverage: how well the best anchor fits each object of a dataset, before any training.

An object that no anchor fits is hardly learned: its only positive example is its best anchor.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.boxes import box_area, box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.images import Size, scale_boxes, scaled_size, size_of
from mrcnn_edu.progress import progress_bar


class Coverage(NamedTuple):
    """How well M objects are covered by anchors."""

    sizes: Tensor  # [M] square root of each box's area, in pixels of the network's input
    best_iou: Tensor  # [M] IoU with the anchor that fits best


def scaled_boxes(items: Any, config: Config, n: int | None = None) -> Iterator[tuple[Tensor, Size]]:
    """For each image, its boxes [M, 4] in pixels of the network's input, and the input's size.

    items: a sequence of (image, target), of which the first `n` are used, or all.
    """
    for index in progress_bar(range(len(items) if n is None else min(n, len(items))), "boxes"):
        image, target = items[index]
        size = scaled_size(size_of(image), config.short_side, config.long_side)
        yield scale_boxes(target["boxes"], size_of(image), size), size


def anchor_coverage(
    items: Any, config: Config, strides: Sequence[int], n: int | None = None
) -> Coverage:
    """How well the config's anchors cover the objects of a dataset, or of its first n images.

    items: as in `scaled_boxes`. strides: the backbone's, as in `model.backbone.strides`.
    """
    sizes, best_iou = [torch.zeros(0)], [torch.zeros(0)]
    for boxes, (height, width) in scaled_boxes(items, config, n):
        coarsest = strides[-1]
        padded = -(-height // coarsest) * coarsest, -(-width // coarsest) * coarsest
        grids = pyramid_grids(padded, strides)
        anchors = pyramid_anchors(grids, padded, config.anchor_sizes, config.anchor_ratios)
        sizes.append(box_area(boxes).sqrt())
        best_iou.append(box_iou(boxes, torch.cat(anchors)).amax(dim=1))
    return Coverage(torch.cat(sizes), torch.cat(best_iou))


def pyramid_grids(image_size: Size, strides: Sequence[int]) -> list[Size]:
    """(H, W) of each feature map for a batch of this size, without running the network.

    image_size: (height, width), multiples of the largest of the backbone's `strides`. The last map
    is the RPN's additional one, the coarsest map subsampled by 2.
    """
    grids = [(image_size[0] // stride, image_size[1] // stride) for stride in strides]
    height, width = grids[-1]
    return [*grids, (-(-height // 2), -(-width // 2))]
