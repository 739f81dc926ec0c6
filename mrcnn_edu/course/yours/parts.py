"""The parts of Mask R-CNN that a reader can replace, and how each takes the place of ours.

A reader's function has the arguments that its lesson has taught, and no others. Around it stands a
function with the arguments of ours, which also looks at what comes back.

Letters: N and M boxes, A anchors, R RoIs, D detections, K classes, L levels, P bins along a side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu import anchors, boxes, detections, losses, matching, nms, roi_ops
from mrcnn_edu import evaluate as evaluation
from mrcnn_edu.course.yours.returned import PartError, indices_of, number_of, numbers_of, tensor_of

Function = Callable[..., Any]
ALMOST = 1e-4  # positions; `bilinear` reads the last row from just above it


@dataclass(frozen=True)
class Part:
    """A part that the reader writes.

    ours: the function that does the same. install: from the reader's function to the functions that
    take the place of ours, {ours: replacement}. trains: it is used in training only.
    """

    lesson: str
    signature: str  # of the reader's function, and what it returns
    ours: Function
    install: Callable[[Function], dict[Function, Function]]
    trains: bool = False


def _box_iou(yours: Function) -> dict[Function, Function]:
    def box_iou(a: Tensor, b: Tensor) -> Tensor:
        return tensor_of(yours(a, b), "box_iou", (len(a), len(b)))

    return {boxes.box_iou: box_iou}


def _encode_boxes(yours: Function) -> dict[Function, Function]:
    def encode_boxes(targets: Tensor, base: Tensor, scale=(1.0, 1.0, 1.0, 1.0)) -> Tensor:
        deltas = tensor_of(yours(targets, base), "encode_boxes", targets.shape)
        return deltas * deltas.new_tensor(scale)

    return {boxes.encode_boxes: encode_boxes}


def _decode_boxes(yours: Function) -> dict[Function, Function]:
    def decode_boxes(deltas: Tensor, base: Tensor, scale=(1.0, 1.0, 1.0, 1.0)) -> Tensor:
        deltas = boxes.as_float(deltas) / deltas.new_tensor(scale)
        return tensor_of(yours(deltas, base), "decode_boxes", deltas.shape)

    return {boxes.decode_boxes: decode_boxes}


def _nms(yours: Function) -> dict[Function, Function]:
    def one_group(candidates: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
        return indices_of(yours(candidates, scores, iou_threshold), "nms", len(candidates))

    def batched_nms(
        candidates: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
    ) -> Tensor:
        kept = [torch.zeros(0, dtype=torch.long)]
        for group in groups.unique():
            rows = torch.where(groups == group)[0]
            kept.append(rows[one_group(candidates[rows], scores[rows], iou_threshold)])
        rows = torch.cat(kept).sort().values
        return rows[scores[rows].argsort(descending=True, stable=True)]

    return {nms.nms: one_group, nms.batched_nms: batched_nms}


def _batched_nms(yours: Function) -> dict[Function, Function]:
    def batched_nms(
        candidates: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
    ) -> Tensor:
        kept = yours(candidates, scores, groups, iou_threshold)
        return indices_of(kept, "batched_nms", len(candidates))

    return {nms.batched_nms: batched_nms}


def _pyramid_anchors(yours: Function) -> dict[Function, Function]:
    def pyramid_anchors(grids, image_size, sizes, ratios, device="cpu") -> list[Tensor]:
        levels = yours(grids, image_size, sizes, ratios)
        if not isinstance(levels, list | tuple) or len(levels) != len(grids):
            raise PartError(
                f"your pyramid_anchors returned {type(levels).__name__}: return a list of "
                f"{len(grids)} tensors, one for each level"
            )
        checked = []
        for level, (height, width), level_sizes in zip(levels, grids, sizes, strict=True):
            n = height * width * len(level_sizes) * len(ratios)
            checked.append(tensor_of(level, "pyramid_anchors", (n, 4)).float().to(device))
        return checked

    return {anchors.pyramid_anchors: pyramid_anchors}


def _match(yours: Function) -> dict[Function, Function]:
    def match(
        iou: Tensor, positive_iou: float, negative_iou: float, allow_low_quality_matches=False
    ) -> Tensor:
        matched = yours(iou, positive_iou, negative_iou, allow_low_quality_matches)
        n_objects, n_boxes = iou.shape
        meaning = f"-2, -1, or the index of one of {n_objects} objects"
        return numbers_of(matched, "match", n_boxes, range(-2, n_objects), meaning)

    return {matching.match: match}


def _pyramid_level(yours: Function) -> dict[Function, Function]:
    def pyramid_level(rois: Tensor, strides: tuple[int, ...], canonical_size=224.0) -> Tensor:
        level, levels = yours(rois, strides, canonical_size), range(len(strides))
        meaning = f"0 to {len(strides) - 1}"
        return numbers_of(level, "pyramid_level", len(rois), levels, meaning, "levels")

    return {roi_ops.pyramid_level: pyramid_level}


def _roi_align(yours: Function) -> dict[Function, Function]:
    ours = roi_ops.align_rois

    def align_rois(
        table, level, image, rois, output_size, sampling_ratio=2, reduce="mean", min_size=1.0
    ) -> Tensor:
        if not isinstance(sampling_ratio, int) or sampling_ratio <= 0 or reduce != "mean":
            given = sampling_ratio, reduce, min_size
            return ours(table, level, image, rois, output_size, *given)  # not in the lesson
        channels = table.maps[0].shape[1]
        pooled = rois.new_zeros(len(rois), channels, output_size, output_size)
        for i, (rows, (b, height, width)) in enumerate(zip(table.maps, table.shapes, strict=True)):
            here = torch.where(level == i)[0]
            if len(here) == 0:
                continue
            features = rows.view(b, height, width, channels).permute(0, 3, 1, 2)
            numbered = torch.cat((image[here, None].to(rois.dtype), rois[here]), dim=1)
            bins = yours(features, numbered, output_size, 1.0, sampling_ratio)
            shape = (len(here), channels, output_size, output_size)
            bins = tensor_of(bins, "roi_align", shape).to(pooled.dtype)
            pooled = pooled.index_put((here,), bins)
        return pooled

    return {ours: align_rois}


def align_with(bilinear: Function) -> Function:
    """RoIAlign that reads each of its points with a function like lesson 07's `bilinear`.

    bilinear(feature_map [H, W, C], y, x) -> [C]. One call for each point: it takes its time.
    """

    def aligned(features, rois, output_size, spatial_scale, sampling_ratio=2) -> Tensor:
        channels = features.shape[1]
        outputs = []
        for index, *corners in rois.tolist():
            feature_map = features[int(index)].permute(1, 2, 0)
            x1, y1, x2, y2 = (spatial_scale * corner for corner in corners)
            n = output_size * sampling_ratio
            step_y, step_x = max(y2 - y1, 1.0) / n, max(x2 - x1, 1.0) / n
            points = [(y1 + (i + 0.5) * step_y, x1 + (j + 0.5) * step_x)
                      for i in range(n) for j in range(n)]  # fmt: skip
            values = [_value_at(bilinear, feature_map, y, x) for y, x in points]
            grid = torch.stack(values).view(
                output_size, sampling_ratio, output_size, sampling_ratio, channels
            )
            outputs.append(grid.mean(dim=(1, 3)).permute(2, 0, 1))
        empty = features.new_zeros(0, channels, output_size, output_size)
        return torch.stack(outputs) if outputs else empty

    return aligned


def _value_at(bilinear: Function, feature_map: Tensor, y: float, x: float) -> Tensor:
    """What `bilinear` reads inside of the map; 0 more than one position outside, as RoIAlign."""
    height, width, channels = feature_map.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return feature_map.new_zeros(channels)
    y = min(max(y, 0.0), height - 1 - ALMOST)
    x = min(max(x, 0.0), width - 1 - ALMOST)
    return tensor_of(bilinear(feature_map, y, x), "bilinear", (channels,))


def _bilinear(yours: Function) -> dict[Function, Function]:
    return _roi_align(align_with(yours))


def _mask_loss(yours: Function) -> dict[Function, Function]:
    ours = losses.mask_loss

    def mask_loss(mask_logits, labels, targets, loss_type="sigmoid") -> Tensor:
        if loss_type != "sigmoid":
            return ours(mask_logits, labels, targets, loss_type)
        loss = number_of(yours(mask_logits, labels, targets), "mask_loss")
        if not isinstance(loss, Tensor) or (mask_logits.requires_grad and not loss.requires_grad):
            raise PartError(
                "your mask_loss returned a number without a gradient: compute it with tensors, "
                "without .item(), .detach() or float()"
            )
        return loss

    return {ours: mask_loss}


def _paste_masks(yours: Function) -> dict[Function, Function]:
    def paste_masks(mask_probs: Tensor, at: Tensor, size, threshold: float = 0.5) -> Tensor:
        masks = tensor_of(yours(mask_probs, at, size), "paste_masks", (len(at), *size))
        return masks if masks.dtype == torch.bool else masks >= threshold

    return {detections.paste_masks: paste_masks}


def _average_precision(yours: Function) -> dict[Function, Function]:
    def average_precision(correct: Tensor, n_objects: int) -> float:
        if n_objects == 0:
            return float("nan")  # there is nothing to find
        return float(number_of(yours(correct, n_objects), "average_precision"))

    def evaluate(dataset, found, iou_type="segm", progress=True) -> Any:
        return evaluation.evaluate_by_definition(dataset, found, iou_type)

    return {evaluation.average_precision: average_precision, evaluation.evaluate: evaluate}


def bilinear(feature_map: Tensor, y: float, x: float) -> Tensor:
    """The values [C] of a feature map [H, W, C] between its positions (RoIAlign, section 3)."""
    row, column = int(y), int(x)
    dy, dx = y - row, x - column
    above = (1 - dx) * feature_map[row, column] + dx * feature_map[row, column + 1]
    below = (1 - dx) * feature_map[row + 1, column] + dx * feature_map[row + 1, column + 1]
    return (1 - dy) * above + dy * below


PARTS = {
    "box_iou": Part("02", "box_iou(a [N, 4], b [M, 4]) -> [N, M]", boxes.box_iou, _box_iou),
    "encode_boxes": Part(
        "02", "encode_boxes(boxes [N, 4], anchors [N, 4]) -> deltas [N, 4]",
        boxes.encode_boxes, _encode_boxes, trains=True,
    ),
    "decode_boxes": Part(
        "02", "decode_boxes(deltas [N, 4], anchors [N, 4]) -> boxes [N, 4]",
        boxes.decode_boxes, _decode_boxes,
    ),
    "nms": Part(
        "02", "nms(boxes [N, 4], scores [N], iou_threshold) -> kept indices, best first",
        nms.nms, _nms,
    ),
    "batched_nms": Part(
        "02", "batched_nms(boxes, scores, groups [N], iou_threshold) -> kept indices, best first",
        nms.batched_nms, _batched_nms,
    ),
    "pyramid_level": Part(
        "04", "pyramid_level(boxes [R, 4], strides, canonical_size) -> [R] from 0 to L - 1",
        roi_ops.pyramid_level, _pyramid_level,
    ),
    "pyramid_anchors": Part(
        "05", "pyramid_anchors(grids, image_size, sizes, ratios) -> a list of [A, 4], by level",
        anchors.pyramid_anchors, _pyramid_anchors,
    ),
    "match": Part(
        "05", "match(iou [M, A], positive_iou, negative_iou, allow_low_quality_matches) -> [A]",
        matching.match, _match, trains=True,
    ),
    "bilinear": Part(
        "07", "bilinear(feature_map [H, W, C], y, x) -> [C]", bilinear, _bilinear
    ),
    "roi_align": Part(
        "07", "roi_align(features [B, C, H, W], rois [R, 5], output_size, spatial_scale, "
        "sampling_ratio) -> [R, C, P, P]", roi_ops.roi_align, _roi_align,
    ),
    "mask_loss": Part(
        "09", "mask_loss(mask_logits [R, K + 1, m, m], labels [R], targets [R, m, m]) -> a scalar",
        losses.mask_loss, _mask_loss, trains=True,
    ),
    "paste_masks": Part(
        "11", "paste_masks(mask_probs [D, m, m], boxes [D, 4], (H, W)) -> [D, H, W] bool",
        detections.paste_masks, _paste_masks,
    ),
    "average_precision": Part(
        "11", "average_precision(correct [D] bool, n_objects) -> a number in 0..1",
        evaluation.average_precision, _average_precision,
    ),
}  # fmt: skip
# Of each of these pairs, one part contains the other.
EITHER = ("nms", "batched_nms"), ("bilinear", "roi_align")
