"""Boxes: area, overlap, the code the network predicts them in, and non-maximum suppression.

A box is (x1, y1, x2, y2) in float pixels. Right and bottom are exclusive: the box of one pixel at
column 3, row 5 is (3, 5, 4, 6), its area is 1 and its centre (3.5, 5.5). Every box in this package
is of this kind. Letters: N, M counts of boxes, G groups.
"""

import math

import torch
from torch import Tensor

from mrcnn_edu.kernels import in_one_launch

# exp() of a wild prediction must not overflow: a box grows at most from 16 to 1000 pixels at once.
LARGEST_LOG_SCALE = math.log(1000 / 16)


def box_area(boxes: Tensor) -> Tensor:
    """Areas [N] in square pixels of boxes [N, 4]."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Areas [N, M] that every box of a [N, 4] has in common with every box of b [M, 4]."""
    a_x1, a_y1, a_x2, a_y2 = a.T[:, :, None]  # each [N, 1]
    b_x1, b_y1, b_x2, b_y2 = b.T.contiguous()  # each [M]
    # Tables [N, M] are changed in place: making new ones would take longer than the arithmetic.
    width = torch.minimum(a_x2, b_x2).sub_(torch.maximum(a_x1, b_x1)).clamp_(min=0)
    height = torch.minimum(a_y2, b_y2).sub_(torch.maximum(a_y1, b_y1)).clamp_(min=0)
    return width.mul_(height)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union [N, M] of every box of a [N, 4] with every box of b [M, 4].

    Two boxes without area have IoU 0.
    """
    intersection = box_intersection(a, b)
    area = box_area(b) + torch.finfo(b.dtype).tiny  # so that no union is 0
    return intersection / (box_area(a)[:, None] + area).sub_(intersection)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes [..., 4] cut off at the border of an image of size (height, width)."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    x1, x2 = x1.clamp(0, width), x2.clamp(0, width)
    y1, y2 = y1.clamp(0, height), y2.clamp(0, height)
    return torch.stack((x1, y1, x2, y2), dim=-1)


def encode_boxes(boxes: Tensor, anchors: Tensor, scale=(1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Deltas [..., 4] = (dx, dy, dw, dh) that lead from anchors [..., 4] to boxes [..., 4].

    The centre moves by a share of the anchor's size and the size changes by a factor, given as its
    logarithm (R-CNN, appendix C), so that a delta means the same for a small and a large anchor.
    `scale` multiplies the four numbers to bring them to a standard deviation of about 1.
    """
    x, y, width, height = _centre_and_size(boxes)
    anchor_x, anchor_y, anchor_width, anchor_height = _centre_and_size(anchors)
    dx = scale[0] * (x - anchor_x) / anchor_width
    dy = scale[1] * (y - anchor_y) / anchor_height
    dw = scale[2] * torch.log(width / anchor_width)
    dh = scale[3] * torch.log(height / anchor_height)
    return torch.stack((dx, dy, dw, dh), dim=-1)


def decode_boxes(deltas: Tensor, anchors: Tensor, scale=(1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes [..., 4] that deltas [..., 4] lead to from anchors [..., 4]: the inverse of encode."""
    anchor_x, anchor_y, anchor_width, anchor_height = _centre_and_size(anchors)
    dx, dy, dw, dh = deltas.unbind(-1)
    x = dx / scale[0] * anchor_width + anchor_x
    y = dy / scale[1] * anchor_height + anchor_y
    half_width = 0.5 * anchor_width * torch.exp((dw / scale[2]).clamp(max=LARGEST_LOG_SCALE))
    half_height = 0.5 * anchor_height * torch.exp((dh / scale[3]).clamp(max=LARGEST_LOG_SCALE))
    corners = (x - half_width, y - half_height, x + half_width, y + half_height)
    return torch.stack(corners, dim=-1)


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices [<= N], best score first, of the boxes [N, 4] that no better kept box overlaps."""
    return batched_nms(boxes, scores, torch.zeros_like(scores, dtype=torch.long), iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each group (level, class): boxes of different groups never compete."""
    kept = torch.where(survivors(boxes, scores, groups, iou_threshold))[0]
    return kept[scores[kept].argsort(descending=True, stable=True)]  # ties keep their order


def survivors(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes `batched_nms` keeps: [N] bool.

    boxes [N, 4], scores [N], groups [N] of integers. The greedy rule, "walk down the scores and
    drop what overlaps a kept box by more than the threshold", has exactly one solution: a box is
    kept if and only if no kept box before it beats it. We apply that sentence to all boxes at once
    until nothing changes. Round k settles at least the k-th box, so it ends, and in practice after
    a few rounds.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]  # group by group, the best first
    boxes, groups = boxes[order], groups[order]
    if in_one_launch(boxes):
        from mrcnn_edu.kernels.nms import walk

        keep = walk(boxes, groups, iou_threshold)
    else:
        better, worse = _overlapping_pairs(boxes, groups, iou_threshold)
        keep = torch.ones_like(order, dtype=torch.bool)
        while True:
            survives = torch.ones_like(keep)
            survives[worse[keep[better]]] = False
            if torch.equal(survives, keep):
                break
            keep = survives
    return torch.zeros_like(keep).index_copy_(0, order, keep)


def best_first(scores: Tensor, keep: Tensor) -> Tensor:
    """Indices [..., N] that put what is kept first, best score first; ties keep their order.

    scores: [..., N] of 0 or more. keep: [..., N] bool.
    """
    return torch.where(keep, scores, -1).argsort(dim=-1, descending=True, stable=True)


def _overlapping_pairs(boxes: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Positions [2, pairs], smaller first, of boxes of one group whose IoU exceeds the threshold.

    Boxes come group by group. So a few rows of the table of all IoUs, which the processor's cache
    holds, need only the columns up to the end of their group.
    """
    _, group, counts = groups.unique_consecutive(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    first, end = (ends - counts)[group].tolist(), ends[group].tolist()  # of each box's group
    pairs, i = [groups.new_empty(0, 2)], 0
    while i < len(boxes):
        stop = min(i + 256, len(boxes))
        if first[stop - 1] > i:  # several groups: only whole ones
            stop = first[stop - 1]
        rows, columns = slice(i, stop), slice(i, end[stop - 1])
        overlap = box_iou(boxes[rows], boxes[columns]) > iou_threshold
        if end[i] < columns.stop:
            overlap &= group[rows, None] == group[columns]
        pairs.append(overlap.triu(diagonal=1).nonzero() + i)
        i = stop
    return torch.cat(pairs).T
