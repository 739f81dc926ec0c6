"""Position-sensitive maps: a map for every part of an object, and a RoI read from k x k of them.

A network without a head cannot tell, at a pixel, which of two RoIs is asked about. So each score
gets k x k maps: one answers as if the pixel were in the upper left of an object, another as if in
its middle, and so on. A RoI is cut into k x k cells, and each cell reads its own map alone
(Dai et al. 2016, R-FCN, section 3; Li et al. 2017, FCIS, section 3.1).

The map of a cell is taken for the map of another image, and RoIAlign does the rest. R-FCN's own
pooling is `roi_ops.ps_roi_pool`.

Letters: B images, C scores, k cells along a RoI's side, R RoIs, m side of an assembled map.
"""

import torch
from torch import Tensor

from mrcnn_edu.roi_ops import align_rois, bin_maps, feature_table, image_index


def assemble(features: Tensor, boxes: list[Tensor], n_bins: int, size: int, stride: int) -> Tensor:
    """Assembled maps [R, C, m, m]: each pixel of a RoI, read from the map of the cell it lies in.

    features: [B, C * k * k, H, W] of that stride. boxes: [R_i, 4] for each image, in image pixels.
    n_bins: k. size: m, a multiple of k. Nothing is rounded: a RoI's m x m pixels are points of
    the map, read bilinearly (FCIS copies the nearest numbers; lesson 07 shows what that costs).
    Each cell is a RoI of its own, which RoIAlign reads from its own map with a point a pixel.
    """
    k, n = n_bins, size // n_bins
    if size % n_bins:
        raise ValueError(f"size is {size}: give a multiple of n_bins = {n_bins}")
    table = feature_table([bin_maps(features, k)])
    image, rois = image_index(boxes), torch.cat(boxes) / stride
    cell = torch.arange(k**2, device=image.device)
    map_ = (image[:, None] * k**2 + cell).flatten()  # [R * k * k]
    parts, level = cells(rois, k).flatten(0, 1), torch.zeros_like(map_)
    read = align_rois(table, level, map_, parts, n, sampling_ratio=1, min_size=0.0)
    read = read.unflatten(0, (len(rois), k, k))  # [R, k, k, C, n, n]
    return read.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)  # [R, C, m, m]


def cells(boxes: Tensor, k: int) -> Tensor:
    """The k x k parts [R, k * k, 4], row by row, of boxes [R, 4]."""
    share = torch.arange(k + 1, device=boxes.device, dtype=boxes.dtype) / k
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * share  # edges [R, k + 1]
    y = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * share
    cell = torch.arange(k**2, device=boxes.device)
    row, column = cell // k, cell % k
    return torch.stack((x[:, column], y[:, row], x[:, column + 1], y[:, row + 1]), dim=-1)
