"""Lesson 16: our kernels for its exercises, from a bias and a ReLU up to RoIAlign.

`small_triton.touched` shows what each of them reads and writes. Letters: N rows or bags
or points, R RoIs, P bins along a side of a RoI, C channels.
"""

# Triton's constexpr parameters take plain numbers, and its pointers are no tensors.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportOptionalOperand=false
# pyright: reportInvalidTypeForm=false

from mrcnn_edu.kernels import TRITON

if TRITON:
    import triton
    import triton.language as tl
else:
    from mrcnn_edu.course.small_triton import tl, triton


@triton.jit
def bias_and_relu(rows, bias, out, C, BLOCK: tl.constexpr):
    """out [N, C] = max(rows + bias, 0); a program for each row and each BLOCK of channels."""
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    exists = channel < C
    at = tl.program_id(0) * C + channel
    total = tl.load(rows + at, exists) + tl.load(bias + channel, exists)
    tl.store(out + at, tl.maximum(total, 0), exists)


@triton.jit
def mean_of_rows(rows, out, N, C, BLOCK: tl.constexpr):
    """out [C] = the mean of rows [N, C]; a program for each BLOCK of channels."""
    channel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = channel < C
    total = tl.zeros([BLOCK], tl.float32)
    for row in range(N):
        total += tl.load(rows + row * C + channel, exists)
    tl.store(out + channel, total / N, exists)


@triton.jit
def weighted_gather(rows, index, weight, out, taps, C, BLOCK: tl.constexpr):
    """out [N, C] = sum of weight [N, taps] times the rows index [N, taps]: an embedding bag."""
    bag = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    exists = channel < C
    total = tl.zeros([BLOCK], tl.float32)
    for k in range(taps):
        row = tl.load(index + bag * taps + k)
        total += tl.load(weight + bag * taps + k) * tl.load(rows + row * C + channel, exists)
    tl.store(out + bag * C + channel, total, exists)


@triton.jit
def read_points(rows, points, out, width, C, BLOCK: tl.constexpr):
    """out [N, C] = a map's features at points [N, 2] (y, x), by bilinear interpolation."""
    point = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    exists = channel < C
    y, x = tl.load(points + 2 * point), tl.load(points + 2 * point + 1)
    top, left = y.to(tl.int32), x.to(tl.int32)
    dy, dx = y - top, x - left
    at = rows + (top * width + left) * C + channel
    above = (1 - dx) * tl.load(at, exists) + dx * tl.load(at + C, exists)
    at += width * C  # one row of the map further down
    below = (1 - dx) * tl.load(at, exists) + dx * tl.load(at + C, exists)
    tl.store(out + point * C + channel, (1 - dy) * above + dy * below, exists)


@triton.jit
def align_boxes(rows, boxes, out, height, width, P, C, BLOCK: tl.constexpr):
    """out [R * P * P, C] = RoIAlign of boxes [R, 4] on one map, with 2 x 2 points in each bin."""
    bin_ = tl.program_id(0)
    roi, i, j = bin_ // (P * P), bin_ // P % P, bin_ % P
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    exists = channel < C
    x1, y1 = tl.load(boxes + 4 * roi), tl.load(boxes + 4 * roi + 1)
    x2, y2 = tl.load(boxes + 4 * roi + 2), tl.load(boxes + 4 * roi + 3)
    total = tl.zeros([BLOCK], tl.float32)
    for point in range(4):
        y = y1 + (i + point // 2 / 2 + 0.25) * (y2 - y1) / P
        x = x1 + (j + point % 2 / 2 + 0.25) * (x2 - x1) / P
        top, left = y.to(tl.int32), x.to(tl.int32)
        dy, dx = y - top, x - left
        bottom, right = tl.minimum(top + 1, height - 1), tl.minimum(left + 1, width - 1)
        above = rows + top * width * C + channel
        below = rows + bottom * width * C + channel
        total += (1 - dy) * (1 - dx) * tl.load(above + left * C, exists)
        total += (1 - dy) * dx * tl.load(above + right * C, exists)
        total += dy * (1 - dx) * tl.load(below + left * C, exists)
        total += dy * dx * tl.load(below + right * C, exists)
    tl.store(out + bin_ * C + channel, total / 4, exists)
