"""What is known of each feature map's anchors: their IoU and label, and what the RPN predicts."""

from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou, clip_boxes, decode_boxes
from mrcnn_edu.course.widgets.receptive_field import receptive_fields
from mrcnn_edu.images import size_of
from mrcnn_edu.matching import BACKGROUND, IGNORED, match
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.trace import Trace

NAMES = {BACKGROUND: "negative", IGNORED: "ignored"}  # any other match is positive


def describe_levels(
    model: MaskRCNN, trace: Trace, boxes: Tensor, predictions: bool
) -> list[dict[str, Any]]:
    """Each feature map's stride, grid and receptive field, and what is known of its anchors.

    boxes: [M, 4] of the ground truth, in pixels of the network's input.
    """
    anchors, config = torch.cat(trace.anchors).cpu(), model.config
    iou = box_iou(boxes, anchors)  # [M, A]
    matched = match(iou, config.rpn_positive_iou, config.rpn_negative_iou, True)
    best, nearest = iou.max(dim=0) if len(boxes) else (torch.zeros(len(anchors)),) * 2
    known = {"box": anchors, "iou": best, "object": nearest.long(), "match": matched}
    if predictions:
        decoded = decode_boxes(trace.rpn_deltas[0].cpu(), anchors)
        known["score"] = trace.objectness[0].sigmoid().cpu()
        known["predicted"] = clip_boxes(decoded, trace.batch.sizes[0])
    counts = [len(level) for level in trace.anchors]
    parts = {
        name: [short(part).tolist() for part in values.split(counts)]
        for name, values in known.items()
    }
    parts["match"] = [[NAMES.get(i, "positive") for i in part] for part in parts["match"]]
    padded, levels = size_of(trace.batch.images), []
    for index, field in enumerate(receptive_fields(model)):
        grid = size_of(trace.features[index])
        levels.append(
            {
                "grid": grid,
                "stride": (padded[0] // grid[0], padded[1] // grid[1]),
                "field": field._asdict(),
                "anchors": {name: part[index] for name, part in parts.items()},
            }
        )
    return levels


def short(values: Tensor) -> Tensor:
    """The values with four decimals, which make short texts for the browser."""
    return (values.double() * 1e4).round() / 1e4 if values.is_floating_point() else values


def most_varied(levels: list[dict]) -> tuple[int, tuple[int, int]]:
    """The level and location whose anchors differ most in their labels, or else fit best."""
    best, found = (0, -1.0), (0, (0, 0))
    for index, level in enumerate(levels):
        (rows, columns), anchors = level["grid"], level["anchors"]
        k = len(anchors["box"]) // (rows * columns)
        for first in range(0, rows * columns * k, k):
            here = slice(first, first + k)
            value = len(set(anchors["match"][here])), max(anchors["iou"][here])
            if value > best:
                best, found = value, (index, divmod(first // k, columns))
    return found
