"""Position-sensitive maps: a map for every part of an object, and a RoI read from k x k of them.

A network without a head cannot tell, at a pixel, which of two RoIs is asked about. So each score
gets k x k maps: one answers as if the pixel were in the upper left of an object, another as if in
its middle, and so on. A RoI is cut into k x k cells, and each cell reads its own map alone
(Dai et al. 2016, R-FCN, section 3; Li et al. 2017, FCIS, section 3.1).

Both operations are lookups in the table of `roi_ops`: the map of a cell is taken for the map of
another image. They belong beside RoIAlign, and have a file of their own until the file there moves.

Letters: B images, C scores, k cells along a RoI's side, R RoIs, m side of an assembled map.
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from mrcnn_edu.roi_ops import align, feature_table, image_index, round_half_away


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
    y, n_y = _bins(corners[:, 1], corners[:, 3], height - 1, k)  # each [R, k]
    x, n_x = _bins(corners[:, 0], corners[:, 2], width - 1, k)
    n = (n_y[:, :, None] * n_x[:, None, :]).flatten()  # numbers in each cell [R * k * k]
    offset = n.cumsum(0) - n
    bag = torch.arange(len(n), device=n.device).repeat_interleave(n)
    roi, cell = bag // k**2, bag % k**2
    nth = torch.arange(len(bag), device=n.device) - offset[bag]  # number of its cell
    wide = n_x[roi, cell % k]
    row, column = y[roi, cell // k] + nth // wide, x[roi, cell % k] + nth % wide
    map_ = rois[:, 0].long()[roi] * k**2 + cell  # of this image and cell
    index = (map_ * height + row) * width + column
    means = embedding_bag(index, table.rows, offset, mode="mean")  # [R * k * k, C]
    return means.unflatten(0, (len(rois), k, k)).permute(0, 3, 1, 2)


def _bins(start, end, limit: int, k: int) -> tuple[Tensor, Tensor]:
    """First number and how many [R, k] of each of the k cells between start and end [R]."""
    size = ((end - start).clamp(min=1) / k)[:, None]
    p = torch.arange(k, device=start.device)
    low = ((p * size).floor() + start[:, None]).clamp(0, limit).long()
    high = (((p + 1) * size).ceil() + start[:, None]).clamp(0, limit).long()
    return low, (high - low).clamp(min=0)


def assemble(features: Tensor, boxes: list[Tensor], n_cells: int, size: int, stride: int) -> Tensor:
    """Assembled maps [R, C, m, m]: each pixel of a RoI, read from the map of the cell it lies in.

    features: [B, C * k * k, H, W] of that stride. boxes: [R_i, 4] for each image, in image pixels.
    n_cells: k. size: m, a multiple of k. Nothing is rounded: a RoI's m x m pixels are points of
    the map, read bilinearly (FCIS copies the nearest numbers; lesson 07 shows what that costs).
    Each cell is a RoI of its own, which RoIAlign reads from its own map with a point a pixel.
    """
    k, n = n_cells, size // n_cells
    if size % n_cells:
        raise ValueError(f"size is {size}: give a multiple of n_cells = {n_cells}")
    table = feature_table([maps_of_cells(features, k)])
    image, rois = image_index(boxes), torch.cat(boxes) / stride
    cell = torch.arange(k**2, device=image.device)
    map_ = (image[:, None] * k**2 + cell).flatten()  # [R * k * k]
    place = table.place(torch.zeros_like(map_), map_)
    read = align(table.rows, place, cells(rois, k).flatten(0, 1), n, 1, smallest=0.0)
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
