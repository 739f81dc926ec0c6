"""Detections: from the outputs of the heads to boxes, labels, scores and masks in the image.

Letters: R RoIs, D detections, K classes (label 0 is background), m x m predicted mask.
"""

from dataclasses import dataclass, fields, replace
from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import as_float, clip_boxes, decode_boxes, min_side
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.images import Size, scale_boxes
from mrcnn_edu.kernels.paste import paste_on_gpu
from mrcnn_edu.nms import batched_nms

MIN_DETECTION_SIZE = 1e-2  # pixels; a detection with a shorter side after clipping is dropped


@dataclass
class Detections:
    """The objects detected in one image, best score first."""

    boxes: Tensor  # [D, 4] in pixels of the original image
    labels: Tensor  # [D] 1..K
    scores: Tensor  # [D] 0..1
    # Both are None where the model has no mask head:
    masks: Tensor | None  # [D, H, W] bool, of the original image's size
    mask_probs: Tensor | None  # [D, m, m] 0..1: the predicted class's mask inside the box
    # None where the model has no keypoint head:
    keypoints: Tensor | None = None  # [D, J, 3] x, y in pixels of the original image, and score

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows) -> "Detections":
        """The detections at some rows: a slice, indices, or a mask such as `d.scores > 0.5`.

        One index gives one detection, with a length of 1.
        """
        if hasattr(rows, "__index__") and getattr(rows, "ndim", 0) == 0:  # a whole number
            rows = index(rows)
            if not -len(self) <= rows < len(self):
                raise IndexError(f"detection {rows} of {len(self)}")
            rows = [rows]
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{n: c[rows] for n, c in columns.items() if c is not None})


class SelectedBoxes(NamedTuple):
    """The selected boxes of one image, best score first, before their masks are predicted."""

    boxes: Tensor  # [D, 4] in pixels of the network's input
    labels: Tensor  # [D] 1..K
    scores: Tensor  # [D]


def select_detections(
    class_logits: list[Tensor],
    deltas: list[Tensor],
    proposals: list[Tensor],
    image_sizes: list[Size],
    score_threshold: float,
    nms_iou: float,
    max_detections: int,
) -> list[SelectedBoxes]:
    """The best boxes of each image: every class of every RoI is a candidate.

    For each image: class_logits [R, K + 1], deltas [R, K + 1, 4], proposals [R, 4], and the
    (height, width) of the network's input without padding. Only scores above `score_threshold`
    count; NMS with the threshold `nms_iou` runs within each class; then the `max_detections` best
    are kept (section 3.1, inference).
    """
    selected = []
    images = zip(class_logits, deltas, proposals, image_sizes, strict=True)
    for logits, image_deltas, rois, size in images:
        class_scores = as_float(logits).softmax(dim=1)[:, 1:]  # without background
        roi, column = torch.where(class_scores > score_threshold)
        scores, labels = class_scores[roi, column], column + 1
        boxes = decode_boxes(image_deltas[roi, labels], rois[roi], BOX_SCALE)
        boxes = clip_boxes(boxes, size)
        valid = torch.where(min_side(boxes) >= MIN_DETECTION_SIZE)[0]
        boxes, labels, scores = boxes[valid], labels[valid], scores[valid]
        kept = batched_nms(boxes, scores, labels, nms_iou)[:max_detections]
        selected.append(SelectedBoxes(boxes[kept], labels[kept], scores[kept]))
    return selected


def predicted_masks(
    mask_logits: Tensor, labels: Tensor, loss_type: str = "sigmoid", decoding: str = "probability"
) -> Tensor:
    """Probabilities [D, m, m] of the predicted class's mask.

    mask_logits: [D, K + 1, m, m]. labels: [D]. loss_type: the loss the masks were trained with,
    "sigmoid" or "softmax" (`losses.mask_loss`). decoding: for softmax, the class's "probability"
    among all classes and background; or the class against the "strongest" other channel, so that
    each pixel goes to the highest score; or the class against "background" alone.
    """
    rows, labels = torch.arange(len(labels), device=labels.device), labels.long()
    mask_logits = as_float(mask_logits)
    class_logits = mask_logits[rows, labels]
    if loss_type == "sigmoid":
        return class_logits.sigmoid()
    if decoding == "background":
        return (class_logits - mask_logits[:, 0]).sigmoid()
    if decoding == "strongest":
        others = mask_logits.clone()
        others[rows, labels] = -torch.inf
        return (class_logits - others.amax(dim=1)).sigmoid()
    return mask_logits.softmax(dim=1)[rows, labels]


def paste_masks(mask_probs: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5) -> Tensor:
    """Masks [D, H, W] bool in an image of size (H, W): each m x m mask, stretched over its box.

    mask_probs: [D, m, m]. boxes: [D, 4] in pixels of that image. A pixel belongs to the mask if the
    probability, interpolated bilinearly at the pixel's center, is at least `threshold`; outside the
    box it is 0. Nothing is rounded: the m x m grid divides the box evenly wherever it lies.
    (torchvision rounds the box to whole pixels first, which makes masks about a pixel too wide:
    benchmarks/paste_masks.py.)
    """
    height, width = size
    mask_probs = mask_probs.to(boxes.dtype)
    rows = interpolation_weights(boxes[:, 1], boxes[:, 3], height, mask_probs.shape[1])
    columns = interpolation_weights(boxes[:, 0], boxes[:, 2], width, mask_probs.shape[1])
    if boxes.is_cuda:
        return paste_on_gpu(rows, mask_probs, columns, threshold)
    masks = torch.zeros((len(boxes), height, width), dtype=torch.bool)
    corners = torch.cat((boxes[:, :2].floor(), boxes[:, 2:].ceil()), dim=1)
    for d, (x1, y1, x2, y2) in enumerate(clip_boxes(corners, size).int().tolist()):
        probs = rows[d, y1:y2] @ mask_probs[d] @ columns[d, x1:x2].T
        masks[d, y1:y2, x1:x2] = probs >= threshold
    return masks


def interpolation_weights(start: Tensor, end: Tensor, length: int, m: int) -> Tensor:
    """Weights [D, length, m] of m mask pixels, from start to end [D], at each image pixel."""
    center = torch.arange(length, dtype=start.dtype, device=start.device) + 0.5
    fraction = (center - start[:, None]) / (end - start)[:, None]  # [D, length], 0..1 in the box
    at = fraction * m - 0.5  # in mask pixels, whose centers are 0, 1, ... m - 1
    weight = 1 - (at[..., None] - torch.arange(m, device=start.device)).abs()
    return weight.clamp(min=0) * ((fraction >= 0) & (fraction <= 1))[..., None]


def rescale_detections(
    selected: SelectedBoxes, mask_probs: Tensor | None, size: Size, original: Size
) -> Detections:
    """Detections in an image of size `original`, from boxes in the image resized to `size`.

    mask_probs: [D, m, m] of the predicted classes, or None. Sizes are (height, width).
    """
    boxes = scale_boxes(selected.boxes, size, original)
    masks = None if mask_probs is None else paste_masks(mask_probs, boxes, original)
    return Detections(boxes, selected.labels, selected.scores, masks, mask_probs)
