"""Non-maximum suppression as one kernel: one program for each group walks down its scores.

This is the greedy rule itself: a box that has not been dropped drops the later boxes that it
overlaps too much. That is slow for a single large group, but a GPU handles all groups (levels,
classes) at the same time, and the CPU does not have to wait for intermediate results.
"""

# Triton's constexpr parameters take plain numbers.
# pyright: reportArgumentType=false

import torch
import triton
import triton.language as tl
from torch import Tensor

from mrcnn_edu.kernels.division import div_rn

BLOCK = 1024  # boxes that are compared with one box at a time


def triton_nms(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes NMS keeps: [N] bool, for boxes [N, 4] sorted by group, then by score.

    groups: [N] ascending integers. The same boxes as `nms.nms_keep_mask`, which calls it.
    """
    boxes, groups = boxes.contiguous(), groups.contiguous()
    keep = torch.ones(len(boxes), dtype=torch.int8, device=boxes.device)
    if len(boxes) > 0:
        first = torch.searchsorted(groups, groups)  # where each box's group starts
        end = torch.searchsorted(groups, groups, right=True)
        tiny = torch.finfo(boxes.dtype).tiny
        with torch.cuda.device_of(boxes):  # Triton launches on the current device
            _drop_overlapping[(len(boxes),)](boxes, first, end, keep, iou_threshold, tiny, BLOCK)
    return keep.bool()


@triton.jit
def _drop_overlapping(boxes, first, end, keep, iou_threshold, tiny, BLOCK: tl.constexpr):
    start_of_group = tl.program_id(0)
    # Only the program of a group's first box has work to do.
    is_first = tl.load(first + start_of_group) == start_of_group
    last = tl.where(is_first, tl.load(end + start_of_group), start_of_group)
    for i in range(start_of_group, last):
        if tl.load(keep + i) != 0:
            x1, y1, x2, y2 = _corners(boxes, i, i < last)
            area = (x2 - x1) * (y2 - y1)
            for start in range(i + 1, last, BLOCK):
                j = start + tl.arange(0, BLOCK)
                exists = j < last
                left, top, right, bottom = _corners(boxes, j, exists)
                width = tl.maximum(tl.minimum(x2, right) - tl.maximum(x1, left), 0)
                height = tl.maximum(tl.minimum(y2, bottom) - tl.maximum(y1, top), 0)
                intersection = width * height
                union = area + ((right - left) * (bottom - top) + tiny) - intersection
                drop = exists & (div_rn(intersection, union) > iou_threshold)
                tl.store(keep + j, tl.zeros([BLOCK], tl.int8), drop)
        tl.debug_barrier()  # drops must be visible before the next box is examined


@triton.jit
def _corners(boxes, i, mask):
    at = boxes + i * 4
    return (
        tl.load(at, mask), tl.load(at + 1, mask), tl.load(at + 2, mask), tl.load(at + 3, mask),
    )  # fmt: skip
