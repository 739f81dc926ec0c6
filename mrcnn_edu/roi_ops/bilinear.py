"""RoIAlign and RoIWarp: means (or maxima) of points, each read between the four cells around it."""

import torch
from torch import Tensor

from mrcnn_edu.kernels import in_one_launch
from mrcnn_edu.roi_ops.rounded import round_half_away
from mrcnn_edu.roi_ops.table import FeatureTable, Lookup, as_maps, feature_table


def roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: int,
    spatial_scale: float,
    sampling_ratio: int = 2,
    aligned: bool = False,
    reduce: str = "mean",
) -> Tensor:
    """RoI features [R, C, P, P] by RoIAlign: bilinear samples, nothing rounded (section 3).

    features: [B, C, H, W]. rois: [R, 5] = (image index, x1, y1, x2, y2) in image pixels.
    output_size: P. spatial_scale: cells per image pixel, 1 / stride. sampling_ratio: s, so that
    s * s points are read in each output cell; 0 or less takes as many as the RoI has cells.
    aligned: take half a cell off the coordinates, so that cell i lies at i + 0.5 and not at i; the
    original and torchvision's models do not. reduce: "mean" or "max" over the points of a cell.
    """
    image = rois[:, 0].long()
    boxes = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    smallest = 0.0 if aligned else 1.0
    where = feature_table([features]), torch.zeros_like(image), image, boxes
    return align(*where, output_size, sampling_ratio, smallest, reduce)


def roi_warp(
    features: Tensor,
    rois: Tensor,
    output_size: int,
    spatial_scale: float,
    sampling_ratio: int = 2,
    reduce: str = "mean",
) -> Tensor:
    """RoI features [R, C, P, P] by RoIWarp: the RoI is rounded to cells, then bilinear samples.

    Arguments as for `roi_align`. Half way between RoIPool and RoIAlign: the bins are not rounded,
    but the RoI is, so the features still lie beside the object (section 4.2; Dai et al. 2016).
    """
    image = rois[:, 0].long()
    boxes = round_half_away(rois[:, 1:] * spatial_scale)
    where = feature_table([features]), torch.zeros_like(image), image, boxes
    return align(*where, output_size, sampling_ratio, reduce=reduce)


def align(
    table: FeatureTable,
    level: Tensor,
    image: Tensor,
    boxes: Tensor,
    output_size: int,
    sampling_ratio: int | tuple[int, int],
    smallest: float = 1.0,
    reduce: str = "mean",
) -> Tensor:
    """RoIAlign of boxes [R, 4] in cells, each on the map of its level and image, both [R].

    What every RoIAlign above comes down to; smallest: a RoI's side, in cells, at least.
    sampling_ratio: one number, or those along y and along x.
    """
    if isinstance(sampling_ratio, int):
        sampling_ratio = (sampling_ratio, sampling_ratio)
    where = table, level, image, boxes
    if in_one_kernel(table.maps[0], boxes, reduce):
        from mrcnn_edu.kernels.roi_align import align_cells

        cells = align_cells(*where, output_size, sampling_ratio, smallest)
        return as_maps(cells, len(boxes), output_size)
    if sampling_ratio[0] <= 0:
        return _align_adaptively(*where, output_size, smallest, reduce)
    s_y, s_x = sampling_ratio
    rows, (first, height, width) = table.rows, table.place(level, image)
    y, y_weight = linear_taps(boxes[:, 1], boxes[:, 3], height, output_size, s_y, smallest)
    x, x_weight = linear_taps(boxes[:, 0], boxes[:, 2], width, output_size, s_x, smallest)
    taps = y * width.view(-1, 1, 1, 1), y_weight, x, x_weight  # each [R, P, s, 2]
    if reduce == "mean":  # one sum for an output cell, of all its taps
        y, y_weight, x, x_weight = (values.flatten(2) for values in taps)  # [R, P, s * 2]
        y_weight = y_weight / (s_y * s_x)
    elif reduce == "max":  # one sum for a sample point
        y, y_weight, x, x_weight = (values.flatten(1, 2) for values in taps)  # [R, P * s, 2]
    else:
        raise ValueError(f"reduce is {reduce!r}: choose 'mean' or 'max'")
    # Every tap along y meets every tap along x: [R, sums along y, along x, taps along y, along x].
    index = (first.view(-1, 1, 1) + y)[:, :, None, :, None] + x[:, None, :, None, :]
    weight = (y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]).to(rows.dtype)
    sums = Lookup.apply(rows, *(values.flatten(0, 2).flatten(1) for values in (index, weight)))
    if reduce == "max":
        points = sums.view(len(boxes), output_size, s_y, output_size, s_x, rows.shape[1])
        sums = points.amax(dim=(2, 4)).flatten(0, 2)
    return as_maps(sums, len(boxes), output_size)


def in_one_kernel(features: Tensor, boxes: Tensor, reduce: str) -> bool:
    """Whether `kernels.roi_align` computes RoIAlign: on a GPU with Triton.

    It knows neither the maximum nor the gradient with respect to boxes, and its gradients are sums
    in any order, so not under `torch.use_deterministic_algorithms`.
    """
    in_order = torch.are_deterministic_algorithms_enabled() and features.requires_grad
    can = reduce == "mean" and not boxes.requires_grad and not in_order
    return can and in_one_launch(features)


def linear_taps(start, end, length, n_cells, n_points, smallest) -> tuple[Tensor, Tensor]:
    """Index and weight [R, P, s, 2] of the two cells around every sample point along one axis.

    start, end [R]: the RoI in cells. length [R]: the map's side. A point more than one cell outside
    the map weighs 0; nearer ones take the border's value.
    """
    cell = ((end - start).clamp(min=smallest) / n_cells).view(-1, 1, 1)
    p = torch.arange(n_cells, device=start.device).view(-1, 1)
    i = torch.arange(n_points, device=start.device)
    at = start.view(-1, 1, 1) + p * cell + (i + 0.5) * cell / n_points  # [R, P, s]
    length = length.view(-1, 1, 1)
    inside = (at >= -1) & (at <= length)
    at = torch.minimum(at.clamp(min=0), length - 1)
    low = at.detach().floor().long()
    high = torch.minimum(low + 1, length - 1)
    share = at - low
    weight = torch.stack((1 - share, share), dim=-1) * inside[..., None]
    return torch.stack((low, high), dim=-1), weight


def _align_adaptively(table, level, image, boxes, output_size, smallest, reduce) -> Tensor:
    """RoIAlign with ceil(RoI / P) points along each axis, one call for each number of points."""
    if len(boxes) == 0:  # one call all the same, so that gradients find their way
        return align(table, level, image, boxes, output_size, 1, smallest, reduce)
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=smallest)
    points = (size / output_size).ceil().long().clamp(min=1)  # [R, 2] along x, along y
    pooled = table.rows.new_zeros(len(boxes), table.rows.shape[1], output_size, output_size)
    for s_x, s_y in points.unique(dim=0).tolist():
        of_this_size = torch.where((points == points.new_tensor([s_x, s_y])).all(dim=1))[0]
        part = (column[of_this_size] for column in (level, image, boxes))
        few = align(table, *part, output_size, (s_y, s_x), smallest, reduce)
        pooled = pooled.index_copy(0, of_this_size, few)
    return pooled
