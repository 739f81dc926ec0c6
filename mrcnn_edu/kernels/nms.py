"""Non-maximum suppression as one kernel: a program for each group walks down its scores.

That is the rule as it is told: a box that is still there drops the later ones that it overlaps too
much. One box after another is slow for a single group, but a GPU walks through all groups (levels
of all images, classes) at the same time, and Python need not ask how far it has come.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from mrcnn_edu.kernels.division import div_rn

BLOCK = 1024  # boxes that are compared with one at a time


def triton_nms(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes survive [N] bool, of boxes [N, 4] that come group by group, the best first.

    groups: [N] ascending integers. The same boxes as `nms.nms_keep_mask`, which calls it.
    """
    boxes, groups = boxes.contiguous(), groups.contiguous()
    keep = torch.ones(len(boxes), dtype=torch.int8, device=boxes.device)
    if len(boxes) > 0:
        first = torch.searchsorted(groups, groups)  # of each box's group
        end = torch.searchsorted(groups, groups, right=True)
        tiny = torch.finfo(boxes.dtype).tiny
        with torch.cuda.device_of(boxes):  # Triton launches on the current one
            _walk[(len(boxes),)](boxes, first, end, keep, iou_threshold, tiny, BLOCK)
    return keep.bool()


@triton.jit
def _walk(boxes, first, end, keep, iou_threshold, tiny, BLOCK: tl.constexpr):
    own = tl.program_id(0)
    # Only the program of a group's first box has work to do.
    last = tl.where(tl.load(first + own) < own, own, tl.load(end + own))
    for i in range(own, last):
        if tl.load(keep + i) != 0:
            x1, y1, x2, y2 = _corners(boxes, i, i < last)
            area = (x2 - x1) * (y2 - y1)
            for start in range(i + 1, last, BLOCK):
                j = start + tl.arange(0, BLOCK)
                there = j < last
                left, top, right, bottom = _corners(boxes, j, there)
                width = tl.maximum(tl.minimum(x2, right) - tl.maximum(x1, left), 0)
                height = tl.maximum(tl.minimum(y2, bottom) - tl.maximum(y1, top), 0)
                common = width * height
                union = area + ((right - left) * (bottom - top) + tiny) - common
                drop = there & (div_rn(common, union) > iou_threshold)
                tl.store(keep + j, tl.zeros([BLOCK], tl.int8), drop)
        tl.debug_barrier()  # what is dropped must be written before the next box is looked at


@triton.jit
def _corners(boxes, i, there):
    at = boxes + i * 4
    return (
        tl.load(at, there), tl.load(at + 1, there), tl.load(at + 2, there), tl.load(at + 3, there),
    )  # fmt: skip
