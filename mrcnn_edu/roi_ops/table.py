"""The table that every RoI operation reads: a row of C numbers for each cell of each map.

An output cell is a weighted sum of a few rows, or a maximum of them: what PyTorch calls an
embedding bag. The maps of a pyramid, laid end to end, are one table, and are pooled in one call.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from mrcnn_edu.stops import upload


@dataclass(frozen=True)
class FeatureTable:
    """Feature maps laid end to end: one row for every cell of every image of every level."""

    maps: list[Tensor]  # of each level [B * H * W, C]; image by image, row by row
    shapes: list[tuple[int, int, int]]  # (B, H, W) of each level

    @cached_property
    def rows(self) -> Tensor:
        """All rows [sum of B * H * W, C], level by level."""
        return self.maps[0] if len(self.maps) == 1 else torch.cat(self.maps)

    def place(self, level: Tensor, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First row, H and W, each [R], of the map that a RoI of this level and image reads."""
        shapes = upload(self.shapes, self.maps[0].device)  # [L, 3]
        n_rows = shapes.prod(dim=1)
        _, height, width = shapes[level].unbind(1)
        return (n_rows.cumsum(0) - n_rows)[level] + image * height * width, height, width


def feature_table(features: list[Tensor]) -> FeatureTable:
    """The table of the feature maps [B, C, H, W] of a pyramid: no copies if channels come last."""
    maps = [level.permute(0, 2, 3, 1).flatten(0, 2) for level in features]
    return FeatureTable(maps, [(len(level), *level.shape[2:]) for level in features])


class Lookup(torch.autograd.Function):
    """Weighted sums [n, C] of rows [N, C]: of rows index[i], weighted by weight[i], both [n, taps].

    embedding_bag forward, and backward too: the gradient of a row is the weighted sum of the
    gradients of the sums that read it. Half the time of embedding_bag's own backward.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(rows, index, weight)
        return embedding_bag(index, rows, mode="sum", per_sample_weights=weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        rows, index, weight = ctx.saved_tensors
        of_rows = of_weight = None
        if ctx.needs_input_grad[0]:
            by_row = index.flatten().int().argsort(stable=True)  # taps, those of row 0 first
            n_taps = index.flatten().bincount(minlength=len(rows))  # of each row
            start, readers = n_taps.cumsum(0) - n_taps, by_row // index.shape[1]
            weights = weight.flatten()[by_row]
            of_rows = embedding_bag(
                readers, gradient, start, mode="sum", per_sample_weights=weights
            )
        if ctx.needs_input_grad[2]:
            of_weight = (rows[index] * gradient[:, None]).sum(dim=-1)  # [n, taps, C] -> [n, taps]
        return of_rows, None, of_weight


def as_maps(cells: Tensor, n_rois: int, output_size: int) -> Tensor:
    """Output cells [R * P * P, C] as RoI features [R, C, P, P], channels-last in memory."""
    return cells.unflatten(0, (n_rois, output_size, output_size)).permute(0, 3, 1, 2)


def image_index(boxes: list[Tensor]) -> Tensor:
    """Of each box, of the boxes [R_i, 4] of all images, the image it belongs to: [R]."""
    counts = [len(b) for b in boxes]
    images = torch.arange(len(boxes), device=boxes[0].device)
    return images.repeat_interleave(upload(counts, images.device), output_size=sum(counts))


def on_image(boxes: Tensor, image: int = 0) -> Tensor:
    """RoIs [R, 5] = (image, x1, y1, x2, y2) of boxes [R, 4], or of one box [4], in one image."""
    boxes = boxes.view(-1, 4)
    return torch.cat((boxes.new_full((len(boxes), 1), image), boxes), dim=1)
