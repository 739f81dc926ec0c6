"""RoIPool and position-sensitive RoIPool: RoIs and their bins are rounded to whole positions."""

import math

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mrcnn_edu.boxes import as_float
from mrcnn_edu.roi_ops.pyramid import FeatureTable, as_maps, feature_table


def check_rois(
    features: Tensor, rois: Tensor, output_size: int, spatial_scale: float
) -> tuple[Tensor, Tensor]:
    """Image index [R], and boxes [R, 4] in positions of the map, of RoIs [R, 5].

    Raises ValueError for RoIs that are not finite or of no image: they would read other memory.
    """
    if features.ndim != 4:
        raise ValueError(f"features has shape {list(features.shape)}: give [B, C, H, W]")
    if not isinstance(rois, Tensor) or rois.ndim != 2 or rois.shape[1] != 5:
        shape = list(rois.shape) if isinstance(rois, Tensor) else type(rois).__name__
        raise ValueError(f"rois is {shape}: give [R, 5], image index, x1, y1, x2, y2")
    if output_size != int(output_size) or output_size < 1:
        raise ValueError(f"output_size is {output_size}: give a whole number above 0")
    if not 0 < spatial_scale < math.inf:
        raise ValueError(f"spatial_scale is {spatial_scale}: give 1 / stride, above 0")
    rois = as_float(rois)
    if not rois.isfinite().all():
        raise ValueError("rois has values that are NaN or infinite")
    image = rois[:, 0].long()
    if len(rois) and not 0 <= image.min() <= image.max() < len(features):
        extremes = f"{image.min()} to {image.max()}"
        raise ValueError(f"rois has image indices {extremes}: there are {len(features)} images")
    return image, rois[:, 1:] * spatial_scale


def pool_rois(
    table: FeatureTable, level: Tensor, image: Tensor, boxes: Tensor, output_size: int
) -> Tensor:
    """RoIPool on a table of maps: each of the boxes [R, 4] on the map of its level and image.

    level, image: [R]. boxes: in positions of that map (image pixels / stride).
    """
    first, height, width = table.map_offsets(level, image)
    y, n_y = rounded_bins(boxes[:, 1], boxes[:, 3], height, output_size)  # each [R, P]
    x, n_x = rounded_bins(boxes[:, 0], boxes[:, 2], width, output_size)
    offset, roi, _, row, column = _positions_in_bins(y, n_y, x, n_x)
    index = first[roi] + row * width[roi] + column
    return as_maps(embedding_bag(index, table.rows, offset, mode="max"), len(boxes), output_size)


def rounded_bins(start, end, length, n_bins: int) -> tuple[Tensor, Tensor]:
    """First position and number of positions [R, P] of every bin along one axis.

    start, end [R]: the RoI. length [R]: the map's height or width. Both the RoI and its bins are
    rounded, the bins outward.
    """
    start, end = round_half_away(start), round_half_away(end)
    size = ((end - start + 1).clamp(min=1) / n_bins)[:, None]
    p = torch.arange(n_bins, device=start.device)
    limit = length[:, None]
    low = torch.minimum(((p * size).floor() + start[:, None]).clamp(min=0), limit).long()
    high = torch.minimum((((p + 1) * size).ceil() + start[:, None]).clamp(min=0), limit).long()
    return low, (high - low).clamp(min=0)


def ps_roi_pool(features: Tensor, rois: Tensor, output_size: int, spatial_scale: float) -> Tensor:
    """RoI features [R, C, k, k]: in each bin, the mean of the map that belongs to this bin.

    features: [B, C * k * k, H, W], k * k maps for each score. rois: [R, 5] = (image index, x1, y1,
    x2, y2) in image pixels. output_size: k. spatial_scale: 1 / stride. As in RoIPool, the RoI and
    its bins are rounded; an empty bin gives 0. Equal to torchvision's, which never reads a map's
    last row and column. (Our gradient matches these values; torchvision's gradient does count the
    last row and column.)
    """
    k, (height, width) = output_size, features.shape[-2:]
    image, boxes = check_rois(features, rois, output_size, spatial_scale)
    table, corners = feature_table([bin_maps(features, k)]), round_half_away(boxes)
    y, n_y = _equal_parts(corners[:, 1], corners[:, 3], height - 1, k)  # each [R, k]
    x, n_x = _equal_parts(corners[:, 0], corners[:, 2], width - 1, k)
    offset, roi, bin_, row, column = _positions_in_bins(y, n_y, x, n_x)
    map_ = image[roi] * k**2 + bin_  # the map of this image and bin
    index = (map_ * height + row) * width + column
    return as_maps(embedding_bag(index, table.rows, offset, mode="mean"), len(rois), k)


def bin_maps(features: Tensor, n_bins: int) -> Tensor:
    """Maps [B * k * k, C, H, W], image by image and bin by bin, of features [B, C * k * k, H, W].

    Channels are ordered score by score, each with its k * k bins row by row, as in torchvision.
    Raises ValueError if their number is not a multiple of k * k.
    """
    if features.shape[1] % n_bins**2:
        raise ValueError(
            f"features has {features.shape[1]} channels: give a multiple of {n_bins} * {n_bins}, "
            "one map for every bin"
        )
    return features.unflatten(1, (-1, n_bins**2)).transpose(1, 2).flatten(0, 1)


def _positions_in_bins(y, n_y, x, n_x) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All positions in the bins, bin by bin: where each bin starts [R * P * P], then columns [N].

    y, n_y, x, n_x: first position and number of positions [R, P] of each bin. The columns are each
    position's RoI, its bin (0 to P * P - 1), its row and its column in the map.
    """
    n_bins = y.shape[1]
    n = (n_y[:, :, None] * n_x[:, None, :]).flatten()  # positions in each bin [R * P * P]
    offset = n.cumsum(0) - n
    bag = torch.arange(len(n), device=n.device).repeat_interleave(n)
    roi, bin_ = bag // n_bins**2, bag % n_bins**2
    k = torch.arange(len(bag), device=n.device) - offset[bag]  # number within its bin
    width = n_x[roi, bin_ % n_bins]
    row, column = y[roi, bin_ // n_bins] + k // width, x[roi, bin_ % n_bins] + k % width
    return offset, roi, bin_, row, column


def _equal_parts(start, end, limit: int, k: int) -> tuple[Tensor, Tensor]:
    """First position and number of positions [R, k] of each of k parts between start and end."""
    size = ((end - start).clamp(min=1) / k)[:, None]
    p = torch.arange(k, device=start.device)
    low = ((p * size).floor() + start[:, None]).clamp(0, limit).long()
    high = (((p + 1) * size).ceil() + start[:, None]).clamp(0, limit).long()
    return low, (high - low).clamp(min=0)


def round_half_away(x: Tensor) -> Tensor:
    """x rounded to whole numbers, halves away from zero; no gradient passes."""
    # torch.round rounds halves to even; floor(x + 0.5) would round 0.49999997 up to 1.
    x = x.detach()  # the gradient of a step function is zero
    return torch.where(x.frac().abs() == 0.5, x + 0.5 * x.sign(), x.round())
