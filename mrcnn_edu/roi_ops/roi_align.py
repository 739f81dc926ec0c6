"""RoIAlign: each bin is the mean (or maximum) of points that lie between the grid positions."""

import torch
from torch import Tensor

from mrcnn_edu.kernels import TRITON
from mrcnn_edu.roi_ops.pyramid import FeatureTable, WeightedGather, as_maps


def align_rois(
    table: FeatureTable,
    level: Tensor,
    image: Tensor,
    boxes: Tensor,
    output_size: int,
    sampling_ratio: int | tuple[int, int] = 2,
    reduce: str = "mean",
    min_size: float = 1.0,
) -> Tensor:
    """RoIAlign on a table of maps: each of the boxes [R, 4] on the map of its level and image.

    level, image: [R]. boxes: in positions of that map (image pixels / stride). sampling_ratio: one
    number, or one along y and one along x. min_size: smaller RoIs are treated as this large.
    """
    if reduce not in ("mean", "max"):
        raise ValueError(f"reduce is {reduce!r}: choose 'mean' or 'max'")
    if isinstance(sampling_ratio, int):
        sampling_ratio = (sampling_ratio, sampling_ratio)
    s_y, s_x = sampling_ratio
    if use_triton(table.maps[0], boxes, reduce):
        from mrcnn_edu.kernels.roi_align import triton_roi_align

        bins = triton_roi_align(table, level, image, boxes, output_size, sampling_ratio, min_size)
        return as_maps(bins, len(boxes), output_size)
    if s_y <= 0:
        return _align_adaptively(table, level, image, boxes, output_size, reduce, min_size)
    first, height, width = table.map_offsets(level, image)
    y, y_weight = sample_points(boxes[:, 1], boxes[:, 3], height, output_size, s_y, min_size)
    x, x_weight = sample_points(boxes[:, 0], boxes[:, 2], width, output_size, s_x, min_size)
    taps = y * width.view(-1, 1, 1, 1), y_weight, x, x_weight  # each [R, P, s, 2]
    if reduce == "mean":  # one sum for each bin, over all its taps
        y, y_weight, x, x_weight = (values.flatten(2) for values in taps)  # [R, P, s * 2]
        y_weight = y_weight / (s_y * s_x)
    else:  # one sum for each sample point
        y, y_weight, x, x_weight = (values.flatten(1, 2) for values in taps)  # [R, P * s, 2]
    # Every tap along y meets every tap along x: [R, sums along y, along x, taps along y, along x].
    index = (first.view(-1, 1, 1) + y)[:, :, None, :, None] + x[:, None, :, None, :]
    weight = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
    index, weight = (values.flatten(0, 2).flatten(1) for values in (index, weight))
    sums = WeightedGather.apply(table.rows, index, weight.to(table.rows.dtype))
    if reduce == "max":
        points = sums.view(len(boxes), output_size, s_y, output_size, s_x, sums.shape[1])
        sums = points.amax(dim=(2, 4)).flatten(0, 2)
    return as_maps(sums, len(boxes), output_size)


def sample_points(start, end, length, n_bins, n_points, min_size) -> tuple[Tensor, Tensor]:
    """Index and weight [R, P, s, 2] of the two positions around every sample point along one axis.

    start, end [R]: the RoI. length [R]: the map's height or width. A point more than one position
    outside the map weighs 0; a nearer one takes the border's value.
    """
    bin_size = ((end - start).clamp(min=min_size) / n_bins).view(-1, 1, 1)
    p = torch.arange(n_bins, device=start.device).view(-1, 1)
    i = torch.arange(n_points, device=start.device)
    at = start.view(-1, 1, 1) + p * bin_size + (i + 0.5) * bin_size / n_points  # [R, P, s]
    length = length.view(-1, 1, 1)
    inside = (at >= -1) & (at <= length)
    at = torch.minimum(at.clamp(min=0), length - 1)
    low = at.detach().floor().long()
    high = torch.minimum(low + 1, length - 1)
    fraction = at - low
    weight = torch.stack((1 - fraction, fraction), dim=-1) * inside[..., None]
    return torch.stack((low, high), dim=-1), weight


def use_triton(features: Tensor, boxes: Tensor, reduce: str) -> bool:
    """Whether `kernels.roi_align` computes RoIAlign: on a GPU with Triton.

    It supports neither the maximum nor gradients of the boxes, nor deterministic gradients.
    """
    deterministic = torch.are_deterministic_algorithms_enabled() and features.requires_grad
    supported = reduce == "mean" and not boxes.requires_grad and not deterministic
    return features.is_cuda and TRITON and supported


def _align_adaptively(table, level, image, boxes, output_size, reduce, min_size) -> Tensor:
    """RoIAlign with ceil(RoI / P) points along each axis, one call for each number of points."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=min_size)
    points = (size / output_size).ceil().long()  # [R, 2] along x, along y
    pooled = table.rows.new_zeros(len(boxes), table.rows.shape[1], output_size, output_size)
    pooled = pooled + table.rows[:0].sum()  # so that gradients have a path without any RoI, too
    for s_x, s_y in points[(points > 0).all(dim=1)].unique(dim=0).tolist():  # without area: 0
        rows = torch.where((points[:, 0] == s_x) & (points[:, 1] == s_y))[0]
        part = align_rois(
            table, level[rows], image[rows], boxes[rows], output_size, (s_y, s_x), reduce, min_size
        )
        pooled = pooled.index_copy(0, rows, part)
    return pooled
