"""RoIAlign as one kernel: a program reads the points of one output cell, all channels at once.

`roi_ops.align` builds a list of rows and weights for every output cell and hands it to an embedding
bag. Here nothing is built: each program computes its few rows and weights where it needs them, and
the only memory touched is the features read and the output written.

The features have a row of C numbers for each cell (channels last), so a whole pyramid is one
launch: a RoI needs only to know where its map begins, its H and W.

Sums are in float32 whatever the features are (in float64 for float64). Letters: R RoIs, P output
cells along a side, s sample points along a side of an output cell, N rows, C channels.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from mrcnn_edu.kernels.division import div_rn


def triton_roi_align(
    table, level: Tensor, image: Tensor, boxes: Tensor, output_size: int, points: tuple[int, int],
    smallest: float,
) -> Tensor:  # fmt: skip
    """RoI features [R * P * P, C] of boxes [R, 4] in cells; the same numbers as `roi_ops.align`.

    table: a `roi_ops.FeatureTable`; each RoI reads the map of its level and image, both [R].
    points: s along y and x; of 0 or less as many as the output cell has cells of the map. smallest:
    a RoI's side, in cells, at least. There is no gradient with respect to the boxes.
    """
    place = (column.contiguous() for column in table.map_offsets(level, image))
    numbers = output_size, *points, smallest
    return _Align.apply(level, *place, boxes.detach(), *numbers, *table.maps)


class _Align(torch.autograd.Function):
    @staticmethod
    def forward(ctx, level, first, height, width, boxes, P, s_y, s_x, smallest, *maps):
        maps = [of_level.contiguous() for of_level in maps]  # a kernel reads memory, not strides
        boxes = boxes.to(_sums_in(maps[0])).contiguous()
        out = maps[0].new_empty(len(boxes) * P * P, maps[0].shape[1])
        place = height, width, boxes
        if out.numel() > 0:
            at = first * out.shape[1] + _to_device(_gaps(maps), first.device)[level]
            numbers = out.shape[1], P, s_y, s_x, smallest
            with torch.cuda.device_of(out):  # Triton launches on the current one
                _forward[_grid(out)](maps[0], out, at, *place, *numbers, **_block(out))
        ctx.save_for_backward(first, *place)
        ctx.numbers, ctx.lengths = (P, s_y, s_x, smallest), [len(of_level) for of_level in maps]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        gradient = gradient.contiguous()
        # Programs add to the same row at the same time, in any order: in float32, and atomically.
        of_rows = gradient.new_zeros(sum(ctx.lengths), gradient.shape[1], dtype=_sums_in(gradient))
        if gradient.numel() > 0:
            numbers = gradient.shape[1], *ctx.numbers
            first, *place = ctx.saved_tensors
            at = first * gradient.shape[1]
            with torch.cuda.device_of(gradient):
                _backward[_grid(gradient)](
                    of_rows, gradient, at, *place, *numbers, **_block(gradient)
                )
        return *[None] * 9, *of_rows.to(gradient.dtype).split(ctx.lengths)


def _gaps(maps: list[Tensor]) -> list[int]:
    """By how many numbers each map lies farther from the first than if all lay end to end.

    So one pointer reads them all, and none is copied to lie beside the others.
    """
    gaps, rows = [], 0
    for of_level in maps:
        numbers = (of_level.data_ptr() - maps[0].data_ptr()) // of_level.element_size()
        gaps.append(numbers - rows * of_level.shape[1])
        rows += len(of_level)
    return gaps


def _to_device(values: list[int], device: torch.device) -> Tensor:
    """The values as a tensor on the device, copied from pinned memory: the CPU does not wait."""
    tensor = torch.tensor(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _block(out: Tensor) -> dict[str, int]:
    """The channels of a program, at most 128, and how many warps of 32 threads share them."""
    block = min(128, triton.next_power_of_2(out.shape[1]))
    return {"BLOCK": block, "num_warps": triton.cdiv(block, 32)}


def _grid(out: Tensor) -> tuple[int, int]:
    """A program for each output cell and block of channels."""
    return len(out), triton.cdiv(out.shape[1], _block(out)["BLOCK"])


def _sums_in(values: Tensor) -> torch.dtype:
    return torch.float64 if values.dtype == torch.float64 else torch.float32


@triton.jit
def _forward(
    rows, out, first, height, width, boxes, C, P: tl.constexpr, S_Y: tl.constexpr,
    S_X: tl.constexpr, smallest, BLOCK: tl.constexpr,
):  # fmt: skip
    own, exists, roi, p_y, p_x = _own_cell(C, P, BLOCK)
    x1, y1, x2, y2 = _box(boxes, roi)
    h, w = tl.load(height + roi), tl.load(width + roi)
    s_y, s_x = _points(y1, y2, P, S_Y, smallest), _points(x1, x2, P, S_X, smallest)
    start = rows + _first_cell(first, roi, BLOCK)
    total = tl.zeros([BLOCK], dtype=boxes.dtype.element_ty)
    for i in range(s_y):
        top, bottom, near_top, near_bottom = _two_cells(y1, y2, h, p_y, i, P, s_y, smallest)
        for j in range(s_x):
            left, right, near_left, near_right = _two_cells(x1, x2, w, p_x, j, P, s_x, smallest)
            # The four cells around the point, weighted by how near they are.
            total += near_top * near_left * tl.load(start + (top * w + left) * C, exists)
            total += near_top * near_right * tl.load(start + (top * w + right) * C, exists)
            total += near_bottom * near_left * tl.load(start + (bottom * w + left) * C, exists)
            total += near_bottom * near_right * tl.load(start + (bottom * w + right) * C, exists)
    mean = div_rn(total, s_y * s_x).to(out.dtype.element_ty)
    tl.store(out + own, mean, exists)


@triton.jit
def _backward(
    of_rows, gradient, first, height, width, boxes, C, P: tl.constexpr, S_Y: tl.constexpr,
    S_X: tl.constexpr, smallest, BLOCK: tl.constexpr,
):  # fmt: skip
    # The same walk: what was read is now added to, with the same weight.
    own, exists, roi, p_y, p_x = _own_cell(C, P, BLOCK)
    x1, y1, x2, y2 = _box(boxes, roi)
    h, w = tl.load(height + roi), tl.load(width + roi)
    s_y, s_x = _points(y1, y2, P, S_Y, smallest), _points(x1, x2, P, S_X, smallest)
    start = of_rows + _first_cell(first, roi, BLOCK)
    g = tl.load(gradient + own, exists)
    g = div_rn(g.to(of_rows.dtype.element_ty), s_y * s_x)
    for i in range(s_y):
        top, bottom, near_top, near_bottom = _two_cells(y1, y2, h, p_y, i, P, s_y, smallest)
        for j in range(s_x):
            left, right, near_left, near_right = _two_cells(x1, x2, w, p_x, j, P, s_x, smallest)
            _add(start + (top * w + left) * C, near_top * near_left * g, exists)
            _add(start + (top * w + right) * C, near_top * near_right * g, exists)
            _add(start + (bottom * w + left) * C, near_bottom * near_left * g, exists)
            _add(start + (bottom * w + right) * C, near_bottom * near_right * g, exists)


@triton.jit
def _add(at, values, exists):
    # "relaxed": whole sums, but no word on when others see them; the default stops for that.
    tl.atomic_add(at, values, exists, sem="relaxed")


@triton.jit
def _own_cell(C, P: tl.constexpr, BLOCK: tl.constexpr):
    """This program's numbers in the output, which of them exist, its RoI and its cell in it."""
    cell = tl.program_id(0)  # of R * P * P
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    own = cell.to(tl.int64) * C + channel
    return own, channel < C, cell // (P * P), cell // P % P, cell % P


@triton.jit
def _first_cell(first, roi, BLOCK: tl.constexpr):
    """Where this program's channels of the first cell of the RoI's map are in the table."""
    return tl.load(first + roi) + tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)


@triton.jit
def _box(boxes, roi):
    at = boxes + roi * 4
    return tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3)


@triton.jit
def _points(start, end, P: tl.constexpr, S: tl.constexpr, smallest):
    """How many sample points an output cell has along one axis."""
    if S > 0:
        return S
    else:
        return tl.maximum(tl.ceil(div_rn(tl.maximum(end - start, smallest), P)), 1).to(tl.int32)


@triton.jit
def _two_cells(start, end, length, p, i, P: tl.constexpr, s, smallest):
    """The two cells around the i-th sample point of output cell p along one axis; their weights.

    The nearer cell weighs more; both weigh 0 if the point is more than a cell outside the map. As
    `roi_ops.sample_points`, in the same order of operations.
    """
    size = div_rn(tl.maximum(end - start, smallest), P)
    at = start + p * size + div_rn((i + 0.5) * size, s)
    inside = tl.where((at >= -1) & (at <= length), 1.0, 0.0)
    at = tl.minimum(tl.maximum(at, 0.0), (length - 1).to(at.dtype))
    low = at.to(tl.int64)  # downward, since it is not negative
    high = tl.minimum(low + 1, length - 1)
    share = at - low
    return low, high, (1 - share) * inside, share * inside
