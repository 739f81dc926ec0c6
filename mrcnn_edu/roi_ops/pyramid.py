"""The feature pyramid as the RoI operations see it: one table, with a row for every position.

Every bin of a RoI is a weighted sum of a few rows, or their maximum: what PyTorch calls an
embedding bag. The maps of all levels, laid end to end, are one table, so one call pools them all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from mrcnn_edu.boxes import as_float


@dataclass(frozen=True)
class FeatureTable:
    """Feature maps laid end to end: one row for each position of each image and level."""

    maps: list[Tensor]  # one for each level, [B * H * W, C]; image by image, row by row
    shapes: list[tuple[int, int, int]]  # (B, H, W) of each level

    @cached_property
    def rows(self) -> Tensor:
        """All rows [sum of B * H * W, C], level by level."""
        return self.maps[0] if len(self.maps) == 1 else torch.cat(self.maps)

    def map_offsets(self, level: Tensor, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First row, H and W, each [R], of the map that a RoI of this level and image reads."""
        shapes = torch.tensor(self.shapes, device=self.maps[0].device)  # [levels, 3]
        n_rows = shapes.prod(dim=1)
        _, height, width = shapes[level].unbind(1)
        return (n_rows.cumsum(0) - n_rows)[level] + image * height * width, height, width


def feature_table(features: list[Tensor]) -> FeatureTable:
    """The table of feature maps [B, C, H, W]; nothing is copied if they are channels-last."""
    maps = [level.permute(0, 2, 3, 1).flatten(0, 2) for level in features]
    shapes = [(len(level), level.shape[2], level.shape[3]) for level in features]
    return FeatureTable(maps, shapes)


def pool_pyramid(
    table: FeatureTable,
    boxes: list[Tensor],
    strides: tuple[int, ...],
    output_size: int,
    roi_op: Callable[..., Tensor],
    canonical_size: float = 224,
) -> Tensor:
    """RoI features [R, C, P, P] of all images' boxes, a list of [R_i, 4], in their order.

    table: `feature_table` of maps with these strides. Each RoI is read from the level that suits
    its size. roi_op: `align_rois`, `warp_rois` or `pool_rois`, or a function like them.
    """
    image, rois = image_index(boxes), as_float(torch.cat(boxes))
    level = pyramid_level(rois, strides, canonical_size)
    stride = strides[0] * 2**level
    return roi_op(table, level, image, rois / stride[:, None], output_size)


def pyramid_level(boxes: Tensor, strides: tuple[int, ...], canonical_size: float = 224) -> Tensor:
    """The level [R], 0 for the finest, that each box [R, 4] is read from.

    k = floor(4 + log2(sqrt(area) / canonical_size)): a box of the canonical size goes to the map
    of stride 2^4, a box half as wide to stride 2^3 (FPN, equation 1).
    """
    size = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt()
    k = torch.floor(4 + torch.log2(size / canonical_size) + 1e-6)
    finest, coarsest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
    return (k.clamp(finest, coarsest) - finest).long()


def image_index(boxes: list[Tensor]) -> Tensor:
    """For the boxes [R_i, 4] of all images, the index [R] of the image that each belongs to."""
    device = boxes[0].device
    return torch.cat([torch.full((len(b),), i, device=device) for i, b in enumerate(boxes)])


class WeightedGather(torch.autograd.Function):
    """Weighted sums [n, C] of rows [N, C]: of the rows index[i], with the weights weight[i].

    index, weight: [n, taps]. The gradient of a row is the weighted sum of the gradients of the sums
    that read it: another embedding bag, in half the time of embedding_bag's own backward.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, index, weight)
        return embedding_bag(index, rows, mode="sum", per_sample_weights=weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        rows, index, weight = ctx.saved_tensors
        grad_rows = grad_weight = None
        if ctx.needs_input_grad[0]:
            by_row = index.flatten().int().argsort(stable=True)  # taps, those of row 0 first
            n_taps = index.flatten().bincount(minlength=len(rows))  # that read each row
            start, readers = n_taps.cumsum(0) - n_taps, by_row // index.shape[1]
            weights = weight.flatten()[by_row]
            grad_rows = embedding_bag(readers, grad, start, mode="sum", per_sample_weights=weights)
        if ctx.needs_input_grad[2]:
            grad_weight = (rows[index] * grad[:, None]).sum(dim=-1)  # [n, taps, C] -> [n, taps]
        return grad_rows, None, grad_weight


def as_maps(bins: Tensor, n_rois: int, output_size: int) -> Tensor:
    """Bins [R * P * P, C] as RoI features [R, C, P, P], channels-last in memory."""
    return bins.unflatten(0, (n_rois, output_size, output_size)).permute(0, 3, 1, 2)
