"""The regions of a batch of images, each read from the level of the pyramid that suits its size."""

import torch
from torch import Tensor

from mrcnn_edu.roi_ops.bilinear import align
from mrcnn_edu.roi_ops.rounded import pool_bins, round_half_away
from mrcnn_edu.roi_ops.table import FeatureTable, image_index
from mrcnn_edu.stops import upload


def pool_pyramid(
    table: FeatureTable,
    boxes: list[Tensor],
    strides: tuple[int, ...],
    output_size: int,
    roi_op: str = "align",
    sampling_ratio: int = 2,
    canonical_size: float = 224,
    reduce: str = "mean",
) -> Tensor:
    """RoI features [R, C, P, P] of the boxes, a list of [R_i, 4] for each image, in their order.

    table: `feature_table` of maps of the given strides. Each RoI reads the level of its size.
    roi_op: "align", "warp" or "pool". reduce: "mean" or "max" over sample points, of the first two.
    """
    image, boxes = image_index(boxes), torch.cat(boxes)
    level = pyramid_level(boxes, strides, canonical_size)
    scaled = boxes / upload(strides, boxes.device, boxes.dtype)[level, None]
    if roi_op == "pool":
        return pool_bins(table.rows, table.place(level, image), scaled, output_size)
    if roi_op == "warp":
        scaled = round_half_away(scaled)
    elif roi_op != "align":
        raise ValueError(f"roi_op is {roi_op!r}: choose 'align', 'warp' or 'pool'")
    return align(table, level, image, scaled, output_size, sampling_ratio, reduce=reduce)


def pyramid_level(boxes: Tensor, strides: tuple[int, ...], canonical_size: float = 224) -> Tensor:
    """The level [R], 0 the finest, that each box [R, 4] is read from.

    k = floor(4 + log2(sqrt(area) / canonical_size)): a box of the canonical size goes to the map of
    stride 2^4, a box half as wide to stride 2^3 (FPN, equation 1).
    """
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt()
    k = torch.floor(4 + torch.log2(side / canonical_size) + 1e-6)
    finest, coarsest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
    return (k.clamp(finest, coarsest) - finest).long()
