"""Position-sensitive maps: a map for each part of an object; a RoI reads k x k of them.

A network without a head cannot know, at a pixel, which of two overlapping RoIs is meant. So each
score gets k x k maps: one predicts the score as if the pixel were in the upper left part of an
object, another as if it were in the middle, and so on. A RoI is divided into k x k bins, and each
bin reads only its own map (Dai et al. 2016, R-FCN, section 3; Li et al. 2017, FCIS, section 2.1).

R-FCN's pooling is `roi_ops.ps_roi_pool`.

Letters: B images, C scores, k x k bins of a RoI, R RoIs, m x m assembled map.
"""

import torch
from torch import Tensor

from mrcnn_edu.roi_ops import align_rois, bin_maps, feature_table, image_index


def assemble(features: Tensor, boxes: list[Tensor], n_bins: int, size: int, stride: int) -> Tensor:
    """Assembled maps [R, C, m, m]: each pixel of a RoI, read from the map of the bin it lies in.

    features: [B, C * k * k, H, W] of that stride. boxes: [R_i, 4] for each image, in image pixels.
    n_bins: k. size: m, a multiple of k. Nothing is rounded: a RoI's m x m pixels are points of the
    map, read bilinearly (FCIS copies the nearest values, a misalignment as in RoIPool).
    """
    k, n = n_bins, size // n_bins
    if size % n_bins:
        raise ValueError(f"size is {size}: give a multiple of n_bins = {n_bins}")
    # To RoIAlign each bin is a RoI, and each of the k x k maps is an image of its own.
    table = feature_table([bin_maps(features, k)])
    image, rois = image_index(boxes), torch.cat(boxes) / stride
    bin_index = torch.arange(k**2, device=image.device)
    map_index = (image[:, None] * k**2 + bin_index).flatten()  # [R * k * k]
    bins, level = split_into_bins(rois, k).flatten(0, 1), torch.zeros_like(map_index)
    pooled = align_rois(table, level, map_index, bins, n, sampling_ratio=1, min_size=0.0)
    pooled = pooled.unflatten(0, (len(rois), k, k))  # [R, k, k, C, n, n]
    return pooled.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)  # [R, C, m, m]


def split_into_bins(boxes: Tensor, k: int) -> Tensor:
    """The k x k bins [R, k * k, 4], row by row, of boxes [R, 4]."""
    fraction = torch.arange(k + 1, device=boxes.device, dtype=boxes.dtype) / k
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * fraction  # edges [R, k + 1]
    y = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * fraction
    bin_index = torch.arange(k**2, device=boxes.device)
    row, column = bin_index // k, bin_index % k
    return torch.stack((x[:, column], y[:, row], x[:, column + 1], y[:, row + 1]), dim=-1)
