"""Non-maximum suppression (NMS): of several boxes on one object, keep the best.

Letters: N boxes, P pairs of boxes.
"""

import torch
from torch import Tensor

from mrcnn_edu.boxes import as_float, box_iou
from mrcnn_edu.kernels import TRITON

CHUNK = 256  # boxes that are compared with others at a time


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices [<= N], best score first, of the boxes [N, 4] that no better kept box overlaps."""
    return batched_nms(boxes, scores, torch.zeros_like(scores, dtype=torch.long), iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each group (a pyramid level, a class): boxes of different groups never compete.

    boxes [N, 4], scores [N], groups [N] integers. Ties keep their order.
    """
    if boxes.ndim != 2 or not len(boxes) == len(scores) == len(groups) or boxes.shape[1] != 4:
        shapes = ", ".join(str(list(values.shape)) for values in (boxes, scores, groups))
        raise ValueError(f"boxes, scores and groups are {shapes}: give [N, 4], [N] and [N]")
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"iou_threshold is {iou_threshold}: give a number in 0..1")
    boxes, scores = as_float(boxes), as_float(scores)
    order = scores.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]  # group by group, best score first
    kept = order[nms_keep_mask(boxes[order], groups[order], iou_threshold)].sort().values
    return kept[scores[kept].argsort(descending=True, stable=True)]


def nms_keep_mask(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes NMS keeps: [N] bool, for boxes [N, 4] sorted by group, then by score.

    The greedy rule, "walk down the scores and drop what overlaps a kept box by more than the
    threshold", has exactly one solution: a box is kept if and only if no better box of its group
    that is kept overlaps it. We apply this rule to all boxes at once until nothing changes. Round k
    settles at least the k-th box of each group, so it ends, usually after a few rounds.
    """
    if boxes.is_cuda and TRITON:
        from mrcnn_edu.kernels.nms import triton_nms

        return triton_nms(boxes, groups, iou_threshold)
    better, worse = _overlapping_pairs(boxes, groups, iou_threshold)
    keep = torch.ones_like(groups, dtype=torch.bool)
    while True:
        updated = torch.ones_like(keep)
        updated[worse[keep[better]]] = False
        if torch.equal(updated, keep):
            return keep
        keep = updated


def _overlapping_pairs(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Indices [2, P], smaller first, of boxes of the same group whose IoU exceeds the threshold.

    A few rows of the IoU table at a time, so that each part fits into the processor's cache.
    """
    counts = groups.unique_consecutive(return_counts=True)[1]
    group_end = counts.cumsum(0).repeat_interleave(counts).tolist()  # of each box's group
    pairs = [groups.new_empty(0, 2)]
    for start in range(0, len(boxes), CHUNK):
        rows = slice(start, min(start + CHUNK, len(boxes)))
        columns = slice(start, group_end[rows.stop - 1])
        overlap = box_iou(boxes[rows], boxes[columns]) > iou_threshold
        overlap &= groups[rows, None] == groups[columns]
        pairs.append(overlap.triu(diagonal=1).nonzero() + start)
    return torch.cat(pairs).T
