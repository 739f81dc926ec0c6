"""Keypoints, without a network: targets, loss, and the positions that heat maps show (section 5).

A keypoint is a mask of which a single position is foreground. Its row is x, y and a visibility: 0
not labeled, 1 labeled but hidden, 2 visible. Letters: M objects, J keypoints of each, R RoIs,
D detections, m x m heat map.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mrcnn_edu import refusals
from mrcnn_edu.boxes import as_float
from mrcnn_edu.images import Size
from mrcnn_edu.validate import FLOATS, INTEGERS, check_shape


class KeypointTargets(NamedTuple):
    """Where the keypoints of each RoI are in its heat maps."""

    positions: Tensor  # [R, J] index of the true position among all m * m, row by row
    is_valid: Tensor  # [R, J] bool: labeled and inside the RoI; other positions are meaningless


def check_keypoints(keypoints: Any, n_objects: int, n_keypoints: int, name: str) -> Tensor:
    """Keypoints [M, J, 3] as float32 or float64, finite, with a visibility of 0, 1 or 2.

    Raises TypeError or ValueError with the remedy. name: what the error calls the target.
    """
    if keypoints is None:
        raise refusals.no_keypoints(name, n_keypoints)
    if isinstance(keypoints, Tensor) and keypoints.shape == (0,):  # torch.tensor([])
        keypoints = keypoints.view(0, n_keypoints, 3)
    keypoints = check_shape(keypoints, "keypoints", [n_objects, n_keypoints, 3], name)
    if keypoints.dtype not in INTEGERS + FLOATS:
        remedy = "x, y and visibility as float32"
        raise refusals.wrong_dtype(name, "keypoints", keypoints, remedy)
    keypoints, visibility = as_float(keypoints), keypoints[..., 2]
    is_known = (visibility == 0) | (visibility == 1) | (visibility == 2)
    for row, j in torch.nonzero(~(is_known & keypoints.isfinite().all(dim=2))).tolist():
        raise refusals.wrong_keypoint(name, row, j, keypoints[row, j].tolist())
    return keypoints


def scale_keypoints(keypoints: Tensor, size: Size, new_size: Size) -> Tensor:
    """Keypoints [..., 3] of an image of one size, in pixels of the same image resized to another.

    The third column, a visibility or a score, stays as it is.
    """
    return keypoints * keypoints.new_tensor([new_size[1] / size[1], new_size[0] / size[0], 1.0])


def keypoint_targets(
    keypoints: list[Tensor], rois: list[Tensor], objects: list[Tensor], heat_map_size: int
) -> KeypointTargets:
    """For each RoI and keypoint, the one position of the m x m heat map that is foreground.

    For each image: keypoints [M, J, 3], rois [R_i, 4], and objects [R_i], the object of each RoI.
    The RoI is divided into m x m equal cells, and a keypoint belongs to the cell that it lies in.
    """
    boxes = as_float(torch.cat(rois))
    matched = torch.cat([k[o] for k, o in zip(keypoints, objects, strict=True)])  # [R, J, 3]
    points, start, end = matched[..., :2], boxes[:, None, :2], boxes[:, None, 2:]
    cell = ((points - start) * (heat_map_size / (end - start))).floor()  # [R, J, 2]: x, y
    cell = torch.where(points == end, heat_map_size - 1, cell)  # the RoI's border belongs to it
    is_inside = ((cell >= 0) & (cell < heat_map_size)).all(dim=2)
    is_valid = is_inside & (matched[..., 2] > 0)
    positions = torch.where(is_valid, cell[..., 1] * heat_map_size + cell[..., 0], 0)
    return KeypointTargets(positions.long(), is_valid)


def keypoint_loss(
    heat_maps: Tensor, targets: KeypointTargets, loss_type: str = "softmax"
) -> Tensor:
    """The keypoint loss, a scalar: the mean cross-entropy of the valid keypoints.

    heat_maps: [R, J, m, m] logits of positive RoIs. loss_type: with "softmax" (section 5) the m * m
    positions of a heat map compete, and one of them wins. With "sigmoid" every position decides by
    itself whether it is the keypoint, and the loss is the mean over positions, as for masks.
    """
    valid = torch.where(targets.is_valid.flatten())[0]
    logits = as_float(heat_maps.flatten(0, 1)[valid]).flatten(1)  # [valid keypoints, m * m]
    positions = targets.positions.flatten()[valid]
    if loss_type == "softmax":
        return F.cross_entropy(logits, positions, reduction="sum") / max(len(positions), 1)
    one_hot = torch.zeros_like(logits).scatter(1, positions[:, None], 1)
    loss = F.binary_cross_entropy_with_logits(logits, one_hot, reduction="sum")
    return loss / max(logits.numel(), 1)


def decode_keypoints(heat_maps: Tensor, boxes: Tensor, decoding: str = "bicubic") -> Tensor:
    """Keypoints [D, J, 3]: x, y in the pixels of the boxes, and the score, the logit at its peak.

    heat_maps: [D, J, m, m] logits. boxes: [D, 4]. decoding: "bicubic" stretches each heat map over
    the pixels of its box and takes the center of the highest pixel, as torchvision does; "argmax"
    takes the center of the highest of the m x m cells. The first is more exact for boxes larger
    than m pixels, and less exact for smaller ones. A side shorter than a pixel counts as one.
    """
    heat_maps, boxes = as_float(heat_maps), as_float(boxes)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # [D, 2]: width, height
    keypoints = heat_maps.new_zeros(len(boxes), heat_maps.shape[1], 3)
    for d, (width, height) in enumerate(sides.ceil().int().tolist()):
        maps = heat_maps[d][:, None]  # [J, 1, m, m]
        if decoding == "bicubic":
            maps = F.interpolate(maps, size=(height, width), mode="bicubic", align_corners=False)
        score, peak = maps.flatten(1).max(dim=1)  # [J]
        rows, columns = maps.shape[-2:]
        x = (peak % columns + 0.5) * (sides[d, 0] / columns)
        y = (peak // columns + 0.5) * (sides[d, 1] / rows)
        keypoints[d] = torch.stack((boxes[d, 0] + x, boxes[d, 1] + y, score), dim=1)
    return keypoints
