"""Boxes: area, overlap, clipping, and the encoding in which the network predicts them.

A box is (x1, y1, x2, y2) in float pixels. Right and bottom are exclusive: the box of one pixel at
column 3, row 5 is (3, 5, 4, 6), its area is 1 and its center (3.5, 5.5). Every box in this package
follows this convention. Letters: N, M numbers of boxes.
"""

import math

import torch
from torch import Tensor

# exp() of a wild prediction must not overflow: a box grows by at most 1000 / 16 in one decoding.
MAX_LOG_SCALE = math.log(1000 / 16)


def as_float(x: Tensor) -> Tensor:
    """x as float32, or float64 if it is: whole numbers and half precision are too coarse here."""
    return x if x.dtype == torch.float64 else x.float()


def box_area(boxes: Tensor) -> Tensor:
    """Areas [N] of boxes [N, 4], in square pixels."""
    boxes = as_float(boxes)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Areas [N, M] of the intersection of every box of a [N, 4] with every box of b [M, 4]."""
    a_x1, a_y1, a_x2, a_y2 = as_float(a).T[:, :, None]  # each [N, 1]
    b_x1, b_y1, b_x2, b_y2 = as_float(b).T.contiguous()  # each [M]
    # In place, because allocating more tables [N, M] would take longer than the arithmetic.
    width = torch.minimum(a_x2, b_x2).sub_(torch.maximum(a_x1, b_x1)).clamp_(min=0)
    height = torch.minimum(a_y2, b_y2).sub_(torch.maximum(a_y1, b_y1)).clamp_(min=0)
    return width.mul_(height)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union [N, M] of every box of a [N, 4] with every box of b [M, 4].

    Two boxes without area have IoU 0.
    """
    intersection = box_intersection(a, b)
    area_b = box_area(b)
    area_b = area_b + torch.finfo(area_b.dtype).tiny  # so that no union is 0
    return intersection / (box_area(a)[:, None] + area_b).sub_(intersection)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes [..., 4] clipped to an image of size (height, width)."""
    height, width = size
    x1, y1, x2, y2 = as_float(boxes).unbind(-1)
    x1, x2 = x1.clamp(0, width), x2.clamp(0, width)
    y1, y2 = y1.clamp(0, height), y2.clamp(0, height)
    return torch.stack((x1, y1, x2, y2), dim=-1)


def min_side(boxes: Tensor) -> Tensor:
    """The shorter side [N] of boxes [N, 4], in pixels."""
    return (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)


def encode_boxes(boxes: Tensor, anchors: Tensor, scale=(1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Deltas [..., 4] = (dx, dy, dw, dh) that turn anchors [..., 4] into boxes [..., 4].

    The center moves by a fraction of the anchor's size, and the size changes by a factor, of which
    we take the logarithm (R-CNN, appendix C): a delta means the same for a small anchor and a large
    one. `scale` multiplies the four deltas, to bring them to a standard deviation of about 1.
    """
    x, y, width, height = _center_and_size(boxes)
    anchor_x, anchor_y, anchor_width, anchor_height = _center_and_size(anchors)
    dx = scale[0] * (x - anchor_x) / anchor_width
    dy = scale[1] * (y - anchor_y) / anchor_height
    dw = scale[2] * torch.log(width / anchor_width)
    dh = scale[3] * torch.log(height / anchor_height)
    return torch.stack((dx, dy, dw, dh), dim=-1)


def decode_boxes(deltas: Tensor, anchors: Tensor, scale=(1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Boxes [..., 4] from deltas [..., 4] and anchors [..., 4]: the inverse of `encode_boxes`."""
    anchor_x, anchor_y, anchor_width, anchor_height = _center_and_size(anchors)
    dx, dy, dw, dh = as_float(deltas).unbind(-1)
    x = dx / scale[0] * anchor_width + anchor_x
    y = dy / scale[1] * anchor_height + anchor_y
    half_width = 0.5 * anchor_width * torch.exp((dw / scale[2]).clamp(max=MAX_LOG_SCALE))
    half_height = 0.5 * anchor_height * torch.exp((dh / scale[3]).clamp(max=MAX_LOG_SCALE))
    corners = (x - half_width, y - half_height, x + half_width, y + half_height)
    return torch.stack(corners, dim=-1)


def _center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = as_float(boxes).unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height
