"""RoIPool and position-sensitive RoIPool: RoIs and their bins are rounded to whole cells."""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mrcnn_edu.roi_ops.table import as_maps, feature_table


def roi_pool(features: Tensor, rois: Tensor, output_size: int, spatial_scale: float) -> Tensor:
    """RoI features [R, C, P, P] by RoIPool: the RoI and its bins are rounded to cells, then max.

    Arguments as for `roi_align` (Fast R-CNN, section 2.1). A bin outside the map gives 0.
    """
    table = feature_table([features])
    image = rois[:, 0].long()
    place = table.place(torch.zeros_like(image), image)
    return pool_bins(table.rows, place, rois[:, 1:] * spatial_scale, output_size)


def pool_bins(rows: Tensor, place: tuple, boxes: Tensor, output_size: int) -> Tensor:
    """RoIPool of boxes [R, 4] in cells, each on the map that begins at its place in the rows."""
    first, height, width = place
    y, n_y = rounded_bins(boxes[:, 1], boxes[:, 3], height, output_size)  # each [R, P]
    x, n_x = rounded_bins(boxes[:, 0], boxes[:, 2], width, output_size)
    offset, roi, _, row, column = _cells_of_bins(y, n_y, x, n_x)
    index = first[roi] + row * width[roi] + column
    return as_maps(embedding_bag(index, rows, offset, mode="max"), len(boxes), output_size)


def rounded_bins(start, end, length, n_cells) -> tuple[Tensor, Tensor]:
    """First cell and number of cells [R, P] of every bin: both the RoI and its bins are rounded."""
    start, end = round_half_away(start), round_half_away(end)
    size = ((end - start + 1).clamp(min=1) / n_cells)[:, None]
    p = torch.arange(n_cells, device=start.device)
    limit = length[:, None]
    low = torch.minimum(((p * size).floor() + start[:, None]).clamp(min=0), limit).long()
    high = torch.minimum((((p + 1) * size).ceil() + start[:, None]).clamp(min=0), limit).long()
    return low, (high - low).clamp(min=0)


def ps_roi_pool(features: Tensor, rois: Tensor, output_size: int, spatial_scale: float) -> Tensor:
    """RoI features [R, C, k, k]: of each cell the mean of what lies in it on the cell's own map.

    features: [B, C * k * k, H, W]. rois: [R, 5] = (image index, x1, y1, x2, y2) in image pixels.
    output_size: k. spatial_scale: cells per image pixel, 1 / stride. As in RoIPool the RoI and its
    cells are rounded; a cell without a number gives 0. Equal to torchvision's, which leaves out a
    map's last row and column. (The gradient is that of these values; torchvision's counts the last
    row and column all the same.)
    """
    k, (height, width) = output_size, features.shape[-2:]
    table = feature_table([maps_of_cells(features, k)])
    corners = round_half_away(rois[:, 1:] * spatial_scale)
    y, n_y = _cells_between(corners[:, 1], corners[:, 3], height - 1, k)  # each [R, k]
    x, n_x = _cells_between(corners[:, 0], corners[:, 2], width - 1, k)
    offset, roi, cell, row, column = _cells_of_bins(y, n_y, x, n_x)
    map_ = rois[:, 0].long()[roi] * k**2 + cell  # of this image and cell
    index = (map_ * height + row) * width + column
    return as_maps(embedding_bag(index, table.rows, offset, mode="mean"), len(rois), k)


def maps_of_cells(features: Tensor, n_cells: int) -> Tensor:
    """Maps [B * k * k, C, H, W], image by image and cell by cell, of features [B, C * k * k, H, W].

    Channels come score by score, each with its k * k cells row by row, as torchvision has them.
    Raises ValueError if their number is no multiple of k * k.
    """
    if features.shape[1] % n_cells**2:
        raise ValueError(
            f"features has {features.shape[1]} channels: give a multiple of {n_cells} * {n_cells}, "
            "a map for every cell"
        )
    return features.unflatten(1, (-1, n_cells**2)).transpose(1, 2).flatten(0, 1)


def _cells_of_bins(y, n_y, x, n_x) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Every cell of the bins, bin by bin: where each bin starts [R * P * P], then columns [N].

    y, n_y, x, n_x: first cell and number of cells [R, P] of each bin. The columns are a cell's RoI,
    its bin (of P * P), row and column.
    """
    n_bins = y.shape[1]
    n = (n_y[:, :, None] * n_x[:, None, :]).flatten()  # cells in each bin [R * P * P]
    offset = n.cumsum(0) - n
    bag = torch.arange(len(n), device=n.device).repeat_interleave(n)
    roi, bin_ = bag // n_bins**2, bag % n_bins**2
    k = torch.arange(len(bag), device=n.device) - offset[bag]  # k-th cell of its bin
    wide = n_x[roi, bin_ % n_bins]
    row, column = y[roi, bin_ // n_bins] + k // wide, x[roi, bin_ % n_bins] + k % wide
    return offset, roi, bin_, row, column


def _cells_between(start, end, limit: int, k: int) -> tuple[Tensor, Tensor]:
    """First number and how many [R, k] of each of the k parts between start and end [R]."""
    size = ((end - start).clamp(min=1) / k)[:, None]
    p = torch.arange(k, device=start.device)
    low = ((p * size).floor() + start[:, None]).clamp(0, limit).long()
    high = (((p + 1) * size).ceil() + start[:, None]).clamp(0, limit).long()
    return low, (high - low).clamp(min=0)


def round_half_away(x: Tensor) -> Tensor:
    """x rounded to whole numbers, halves away from zero; no gradient passes."""
    # torch.round gives a half to the even number; x + 0.5 alone would lift 0.49999997 to 1.
    x = x.detach()  # a step function tells nobody where to go
    return torch.where(x.frac().abs() == 0.5, x + 0.5 * x.sign(), x.round())
