"""RoI operations: a feature of fixed size for every region of interest, whatever its own size.

All of them read the same table. A feature map [B, C, H, W] is a table with B * H * W rows of C
numbers, and every output cell is a weighted sum (RoIAlign, RoIWarp) or a maximum (RoIPool) of a
few of its rows: what PyTorch calls an embedding bag. So an operation is nothing but a choice of
rows and weights ("taps"), and the maps of a pyramid, laid end to end, are pooled in one call.

Letters: R RoIs, P output cells along one side, s sample points along one side of an output cell.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from mrcnn_edu.kernels import in_one_launch
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


def image_index(boxes: list[Tensor]) -> Tensor:
    """Of each box, of the boxes [R_i, 4] of all images, the image it belongs to: [R]."""
    counts = [len(b) for b in boxes]
    images = torch.arange(len(boxes), device=boxes[0].device)
    return images.repeat_interleave(upload(counts, images.device), output_size=sum(counts))


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


def roi_pool(features: Tensor, rois: Tensor, output_size: int, spatial_scale: float) -> Tensor:
    """RoI features [R, C, P, P] by RoIPool: the RoI and its bins are rounded to cells, then max.

    Arguments as for `roi_align` (Fast R-CNN, section 2.1). A bin outside the map gives 0.
    """
    table = feature_table([features])
    image = rois[:, 0].long()
    place = table.place(torch.zeros_like(image), image)
    return _pool(table.rows, place, rois[:, 1:] * spatial_scale, output_size)


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


OPERATIONS = {"pool": roi_pool, "warp": roi_warp, "align": roi_align}


def on_image(boxes: Tensor, image: int = 0) -> Tensor:
    """RoIs [R, 5] = (image, x1, y1, x2, y2) of boxes [R, 4], or of one box [4], in one image."""
    boxes = boxes.view(-1, 4)
    return torch.cat((boxes.new_full((len(boxes), 1), image), boxes), dim=1)


def pyramid_level(boxes: Tensor, strides: tuple[int, ...], canonical_size: float = 224) -> Tensor:
    """The level [R], 0 the finest, that each box [R, 4] is read from.

    k = floor(4 + log2(sqrt(area) / canonical_size)): a box of the canonical size goes to the map of
    stride 2^4, a box half as wide to stride 2^3 (FPN, equation 1).
    """
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt()
    k = torch.floor(4 + torch.log2(side / canonical_size) + 1e-6)
    finest, coarsest = strides[0].bit_length() - 1, strides[-1].bit_length() - 1
    return (k.clamp(finest, coarsest) - finest).long()


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
        return _pool(table.rows, table.place(level, image), scaled, output_size)
    if roi_op == "warp":
        scaled = round_half_away(scaled)
    elif roi_op != "align":
        raise ValueError(f"roi_op is {roi_op!r}: choose 'align', 'warp' or 'pool'")
    return align(table, level, image, scaled, output_size, sampling_ratio, reduce=reduce)


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
        return _as_maps(cells, len(boxes), output_size)
    if sampling_ratio[0] <= 0:
        return _align_adaptively(*where, output_size, smallest, reduce)
    s_y, s_x = sampling_ratio
    rows, (first, height, width) = table.rows, table.place(level, image)
    y, y_weight = _linear_taps(boxes[:, 1], boxes[:, 3], height, output_size, s_y, smallest)
    x, x_weight = _linear_taps(boxes[:, 0], boxes[:, 2], width, output_size, s_x, smallest)
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
    return _as_maps(sums, len(boxes), output_size)


def in_one_kernel(features: Tensor, boxes: Tensor, reduce: str) -> bool:
    """Whether `kernels.roi_align` computes RoIAlign: on a GPU with Triton.

    It knows neither the maximum nor the gradient with respect to boxes, and its gradients are sums
    in any order, so not under `torch.use_deterministic_algorithms`.
    """
    in_order = torch.are_deterministic_algorithms_enabled() and features.requires_grad
    can = reduce == "mean" and not boxes.requires_grad and not in_order
    return can and in_one_launch(features)


def _linear_taps(start, end, length, n_cells, n_points, smallest) -> tuple[Tensor, Tensor]:
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


def _pool(rows, place, boxes, output_size) -> Tensor:
    first, height, width = place
    y, n_y = rounded_bins(boxes[:, 1], boxes[:, 3], height, output_size)  # each [R, P]
    x, n_x = rounded_bins(boxes[:, 0], boxes[:, 2], width, output_size)
    offset, roi, _, row, column = _cells_of_bins(y, n_y, x, n_x)
    index = first[roi] + row * width[roi] + column
    return _as_maps(embedding_bag(index, rows, offset, mode="max"), len(boxes), output_size)


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


def rounded_bins(start, end, length, n_cells) -> tuple[Tensor, Tensor]:
    """First cell and number of cells [R, P] of every bin: both the RoI and its bins are rounded."""
    start, end = round_half_away(start), round_half_away(end)
    size = ((end - start + 1).clamp(min=1) / n_cells)[:, None]
    p = torch.arange(n_cells, device=start.device)
    limit = length[:, None]
    low = torch.minimum(((p * size).floor() + start[:, None]).clamp(min=0), limit).long()
    high = torch.minimum((((p + 1) * size).ceil() + start[:, None]).clamp(min=0), limit).long()
    return low, (high - low).clamp(min=0)


def round_half_away(x: Tensor) -> Tensor:
    """x rounded to whole numbers, halves away from zero; no gradient passes."""
    # torch.round gives a half to the even number; x + 0.5 alone would lift 0.49999997 to 1.
    x = x.detach()  # a step function tells nobody where to go
    return torch.where(x.frac().abs() == 0.5, x + 0.5 * x.sign(), x.round())


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
    y, n_y = _cells_between(corners[:, 1], corners[:, 3], height - 1, k)  # each [R, k]
    x, n_x = _cells_between(corners[:, 0], corners[:, 2], width - 1, k)
    offset, roi, cell, row, column = _cells_of_bins(y, n_y, x, n_x)
    map_ = rois[:, 0].long()[roi] * k**2 + cell  # of this image and cell
    index = (map_ * height + row) * width + column
    return _as_maps(embedding_bag(index, table.rows, offset, mode="mean"), len(rois), k)


def _cells_between(start, end, limit: int, k: int) -> tuple[Tensor, Tensor]:
    """First number and how many [R, k] of each of the k parts between start and end [R]."""
    size = ((end - start).clamp(min=1) / k)[:, None]
    p = torch.arange(k, device=start.device)
    low = ((p * size).floor() + start[:, None]).clamp(0, limit).long()
    high = (((p + 1) * size).ceil() + start[:, None]).clamp(0, limit).long()
    return low, (high - low).clamp(min=0)


def _as_maps(cells: Tensor, n_rois: int, output_size: int) -> Tensor:
    # [R * P * P, C] -> [R, C, P, P], channels-last in memory
    return cells.unflatten(0, (n_rois, output_size, output_size)).permute(0, 3, 1, 2)
