"""RoIAlign as one kernel: each program reads the sample points of one bin, many channels at once.

`roi_ops.align_rois` builds the list of rows and weights of every bin and hands it to an embedding
bag. Here nothing is built: each program computes its few rows and weights where it needs them, so
the only memory traffic is the features read and the output written.

The features have a row of C values for each position (channels last), so a whole pyramid takes one
launch: a RoI only needs to know where its map begins, and its H and W.

Sums are computed in float32 whatever the features' dtype is (in float64 for float64). Letters: R
RoIs, P bins along a side of a RoI, s sample points along a side of a bin, N rows, C channels.
"""

# Triton's constexpr parameters take plain numbers.
# pyright: reportArgumentType=false

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from mrcnn_edu.kernels.division import div_rn


def triton_roi_align(
    table, level: Tensor, image: Tensor, boxes: Tensor, output_size: int, points: tuple[int, int],
    min_size: float,
) -> Tensor:  # fmt: skip
    """RoI features [R * P * P, C] of boxes [R, 4]; the same values as `roi_ops.align_rois`.

    table: a `roi_ops.FeatureTable`; each RoI reads the map of its level and image, both [R]. boxes:
    in positions of that map. points: s along y and x; 0 or less adapts s to the RoI's size.
    min_size: smaller RoIs are treated as this large. The boxes get no grad.
    """
    first, height, width = (column.contiguous() for column in table.map_offsets(level, image))
    bins = _Align.apply(
        level, first, height, width, boxes.detach(), output_size, *points, min_size, *table.maps
    )
    if min(points) > 0:
        return bins
    has_area = ((boxes[:, 2:] - boxes[:, :2]).clamp(min=min_size) > 0).all(dim=1)
    has_area = has_area.view(-1, 1, 1).expand(-1, output_size**2, -1).flatten(0, 1)
    return torch.where(has_area, bins, 0)  # no points in a RoI without area


class _Align(torch.autograd.Function):
    @staticmethod
    def forward(ctx, level, first, height, width, boxes, P, s_y, s_x, min_size, *maps):
        maps = [level_map.contiguous() for level_map in maps]  # a kernel reads memory, not strides
        boxes = boxes.to(_sums_in(maps[0])).contiguous()
        out = maps[0].new_empty(len(boxes) * P * P, maps[0].shape[1])
        if out.numel() > 0:
            at = first * out.shape[1] + _to_device(_gaps(maps), first.device)[level]
            C = out.shape[1]
            with torch.cuda.device_of(out):  # Triton launches on the current one
                _forward[_grid(out)](
                    maps[0], out, at, height, width, boxes, C, P, s_y, s_x, min_size, **_block(out)
                )
        ctx.save_for_backward(first, height, width, boxes)
        ctx.arguments, ctx.lengths = (P, s_y, s_x, min_size), [len(m) for m in maps]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        grad = grad.contiguous()
        # Programs add to the same row at the same time, in any order: in float32, and atomically.
        grad_rows = grad.new_zeros(sum(ctx.lengths), grad.shape[1], dtype=_sums_in(grad))
        if grad.numel() > 0:
            C = grad.shape[1]
            first, height, width, boxes = ctx.saved_tensors
            at = first * grad.shape[1]
            with torch.cuda.device_of(grad):
                _backward[_grid(grad)](
                    grad_rows, grad, at, height, width, boxes, C, *ctx.arguments, **_block(grad)
                )
        return *[None] * 9, *grad_rows.to(grad.dtype).split(ctx.lengths)


def _gaps(maps: list[Tensor]) -> list[int]:
    """How many elements farther from the first map each map lies than if all lay end to end.

    With these, one pointer reads all maps, and none has to be copied.
    """
    gaps, rows = [], 0
    for level_map in maps:
        distance = (level_map.data_ptr() - maps[0].data_ptr()) // level_map.element_size()
        gaps.append(distance - rows * level_map.shape[1])
        rows += len(level_map)
    return gaps


def _to_device(values: list[int], device: torch.device) -> Tensor:
    """The values as a tensor on the device, copied from pinned memory: the CPU does not wait."""
    tensor = torch.tensor(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _block(out: Tensor) -> dict[str, int]:
    """The channels of a program, at most 128, and how many warps of 32 threads fraction them."""
    block = min(128, triton.next_power_of_2(out.shape[1]))
    return {"BLOCK": block, "num_warps": triton.cdiv(block, 32)}


def _grid(out: Tensor) -> tuple[int, int]:
    """A program for each bin and block of channels."""
    return len(out), triton.cdiv(out.shape[1], _block(out)["BLOCK"])


def _sums_in(values: Tensor) -> torch.dtype:
    return torch.float64 if values.dtype == torch.float64 else torch.float32


@triton.jit
def _forward(
    rows, out, first, height, width, boxes, C, P: tl.constexpr, S_Y: tl.constexpr,
    S_X: tl.constexpr, min_size, BLOCK: tl.constexpr,
):  # fmt: skip
    outputs, exists, roi, p_y, p_x = _this_bin(C, P, BLOCK)
    x1, y1, x2, y2 = _box(boxes, roi)
    h, w = tl.load(height + roi), tl.load(width + roi)
    s_y, s_x = _points(y1, y2, P, S_Y, min_size), _points(x1, x2, P, S_X, min_size)
    start = rows + _map_start(first, roi, BLOCK)
    total = tl.zeros([BLOCK], dtype=boxes.dtype.element_ty)
    for i in range(s_y):
        top, bottom, near_top, near_bottom = _two_neighbors(y1, y2, h, p_y, i, P, s_y, min_size)
        for j in range(s_x):
            left, right, near_left, near_right = _two_neighbors(x1, x2, w, p_x, j, P, s_x, min_size)
            # The four positions around the point, weighted by how near they are.
            total += near_top * near_left * tl.load(start + (top * w + left) * C, exists)
            total += near_top * near_right * tl.load(start + (top * w + right) * C, exists)
            total += near_bottom * near_left * tl.load(start + (bottom * w + left) * C, exists)
            total += near_bottom * near_right * tl.load(start + (bottom * w + right) * C, exists)
    mean = div_rn(total, s_y * s_x).to(out.dtype.element_ty)
    tl.store(out + outputs, mean, exists)


@triton.jit
def _backward(
    grad_rows, grad, first, height, width, boxes, C, P: tl.constexpr, S_Y: tl.constexpr,
    S_X: tl.constexpr, min_size, BLOCK: tl.constexpr,
):  # fmt: skip
    # The same loop: to what was read, the gradient is added with the same weight.
    outputs, exists, roi, p_y, p_x = _this_bin(C, P, BLOCK)
    x1, y1, x2, y2 = _box(boxes, roi)
    h, w = tl.load(height + roi), tl.load(width + roi)
    s_y, s_x = _points(y1, y2, P, S_Y, min_size), _points(x1, x2, P, S_X, min_size)
    start = grad_rows + _map_start(first, roi, BLOCK)
    g = tl.load(grad + outputs, exists)
    g = div_rn(g.to(grad_rows.dtype.element_ty), s_y * s_x)
    for i in range(s_y):
        top, bottom, near_top, near_bottom = _two_neighbors(y1, y2, h, p_y, i, P, s_y, min_size)
        for j in range(s_x):
            left, right, near_left, near_right = _two_neighbors(x1, x2, w, p_x, j, P, s_x, min_size)
            _add(start + (top * w + left) * C, near_top * near_left * g, exists)
            _add(start + (top * w + right) * C, near_top * near_right * g, exists)
            _add(start + (bottom * w + left) * C, near_bottom * near_left * g, exists)
            _add(start + (bottom * w + right) * C, near_bottom * near_right * g, exists)


@triton.jit
def _add(at, values, exists):
    # "relaxed": sums are complete, in no order; the default order would add memory barriers.
    tl.atomic_add(at, values, exists, sem="relaxed")


@triton.jit
def _this_bin(C, P: tl.constexpr, BLOCK: tl.constexpr):
    """This program's outputs, which of them exist, its RoI, and the row and column of its bin."""
    bin_ = tl.program_id(0)  # of R * P * P
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    outputs = bin_.to(tl.int64) * C + channel
    return outputs, channel < C, bin_ // (P * P), bin_ // P % P, bin_ % P


@triton.jit
def _map_start(first, roi, BLOCK: tl.constexpr):
    """Where this program's channels of the first row of the RoI's map are in the table."""
    return tl.load(first + roi) + tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)


@triton.jit
def _box(boxes, roi):
    at = boxes + roi * 4
    return tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3)


@triton.jit
def _points(start, end, P: tl.constexpr, S: tl.constexpr, min_size):
    """How many sample points a bin has along one axis."""
    if S > 0:
        return S
    else:
        return tl.maximum(tl.ceil(div_rn(tl.maximum(end - start, min_size), P)), 1).to(tl.int32)


@triton.jit
def _two_neighbors(start, end, length, p, i, P: tl.constexpr, s, min_size):
    """The two positions around the i-th sample point of bin p along one axis, and their weights.

    The nearer one weighs more; both weigh 0 if the point is more than one position outside the map.
    The same as `roi_ops.sample_points`, in the same order of operations.
    """
    size = div_rn(tl.maximum(end - start, min_size), P)
    at = start + p * size + div_rn((i + 0.5) * size, s)
    inside = tl.where((at >= -1) & (at <= length), 1.0, 0.0)
    at = tl.minimum(tl.maximum(at, 0.0), (length - 1).to(at.dtype))
    low = at.to(tl.int64)  # rounds down, since it is not negative
    high = tl.minimum(low + 1, length - 1)
    fraction = at - low
    return low, high, (1 - fraction) * inside, fraction * inside
