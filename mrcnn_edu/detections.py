"""Detections: from the heads' numbers to boxes, labels, scores and masks in the image.

Letters: R RoIs, D detections, K classes (label 0 is background), m the side of a predicted mask.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import batched_nms, clip_boxes, decode_boxes
from mrcnn_edu.heads import BOX_SCALE

SMALLEST_SIDE = 1e-2  # pixels; a detection clipped to less than this is dropped


@dataclass
class Detections:
    """What was found in one image, best score first."""

    boxes: Tensor  # [D, 4] in pixels of the original image
    labels: Tensor  # [D] 1..K
    scores: Tensor  # [D] 0..1
    # None in both where the model has no mask head:
    masks: Tensor | None  # [D, H, W] bool, of the original image's size
    mask_probs: Tensor | None  # [D, m, m] 0..1: the predicted class's mask, as seen inside the box

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows) -> "Detections":
        """The detections at some rows: a slice, indices, or a mask such as `d.scores > 0.5`."""
        values = [getattr(self, field.name) for field in fields(self)]
        return Detections(*(value if value is None else value[rows] for value in values))


class SelectedBoxes(NamedTuple):
    """The boxes of one image that survive, best score first; masks are still to come."""

    boxes: Tensor  # [D, 4] in pixels of the network's input
    labels: Tensor  # [D] 1..K
    scores: Tensor  # [D]


def select_detections(
    class_logits: Tensor,
    deltas: Tensor,
    proposals: Tensor,
    image_size: tuple[int, int],
    score_threshold: float,
    nms_iou: float,
    max_detections: int,
) -> SelectedBoxes:
    """The best boxes of one image: every class of every RoI is a candidate.

    class_logits: [R, K + 1]. deltas: [R, K + 1, 4]. proposals: [R, 4]. image_size: (height, width)
    of the network's input without padding. Scores above `score_threshold` only; NMS with `nms_iou`
    within each class; then the `max_detections` best (section 3.1, inference).
    """
    scores = class_logits.softmax(dim=1)
    roi, k = torch.where(scores[:, 1:] > score_threshold)  # of all classes but background
    labels = k + 1
    scores = scores[roi, labels]
    boxes = decode_boxes(deltas[roi, labels], proposals[roi], BOX_SCALE)
    boxes = clip_boxes(boxes, image_size)
    is_box = (boxes[:, 2:] - boxes[:, :2] >= SMALLEST_SIDE).all(dim=1)
    boxes, scores, labels = boxes[is_box], scores[is_box], labels[is_box]
    keep = batched_nms(boxes, scores, labels, nms_iou)[:max_detections]
    return SelectedBoxes(boxes[keep], labels[keep], scores[keep])


def predicted_masks(
    mask_logits: Tensor, labels: Tensor, kind: str = "sigmoid", reading: str = "probability"
) -> Tensor:
    """Probabilities [D, m, m] of the predicted class's mask.

    mask_logits: [D, K + 1, m, m]. labels: [D]. kind: "sigmoid" or "softmax", as the masks were
    learned (`losses.mask_loss`). reading: of softmax, the class against all others and background
    together ("probability"), against the one of them that is strongest at the pixel ("strongest":
    the mask is where the class has the most), or against "background" alone.
    """
    rows = torch.arange(len(labels), device=labels.device)
    of_class = mask_logits[rows, labels]
    if kind == "sigmoid":
        return of_class.sigmoid()
    if reading == "background":
        return (of_class - mask_logits[:, 0]).sigmoid()
    if reading == "strongest":
        others = mask_logits.clone()
        others[rows, labels] = -torch.inf
        return (of_class - others.amax(dim=1)).sigmoid()
    return mask_logits.softmax(dim=1)[rows, labels]


def paste_masks(
    mask_probs: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = 0.5
) -> Tensor:
    """Masks [D, H, W] bool in an image of size (H, W): each m x m mask stretched over its box.

    mask_probs: [D, m, m]. boxes: [D, 4] in pixels of that image. A pixel is on if the mask, read
    bilinearly at the pixel's centre, is at least `threshold`; outside of its box it is zero.
    Nothing is rounded on the way: the m cells divide the box evenly wherever it lies. (torchvision
    rounds the box to whole pixels, which makes masks a pixel too wide: benchmarks/paste_masks.py.)
    """
    height, width = size
    mask_probs = mask_probs.to(boxes.dtype)
    rows = _resampling(boxes[:, 1], boxes[:, 3], height, mask_probs.shape[1])  # [D, H, m]
    columns = _resampling(boxes[:, 0], boxes[:, 2], width, mask_probs.shape[1])  # [D, W, m]
    masks = torch.zeros((len(boxes), height, width), dtype=torch.bool, device=boxes.device)
    corners = torch.cat((boxes[:, :2].floor(), boxes[:, 2:].ceil()), dim=1)
    for d, (x1, y1, x2, y2) in enumerate(clip_boxes(corners, size).int().tolist()):
        probs = rows[d, y1:y2] @ mask_probs[d] @ columns[d, x1:x2].T  # inside the box only
        masks[d, y1:y2, x1:x2] = probs >= threshold
    return masks


def _resampling(start: Tensor, end: Tensor, length: int, m: int) -> Tensor:
    """Weights [D, length, m] of the m cells between start and end [D] at each pixel's centre."""
    centre = torch.arange(length, dtype=start.dtype, device=start.device) + 0.5
    share = (centre - start[:, None]) / (end - start)[:, None]  # [D, length], 0..1 inside the box
    at = share * m - 0.5  # in cells, whose centres are 0, 1, ... m - 1
    weight = 1 - (at[..., None] - torch.arange(m, device=start.device)).abs()
    return weight.clamp(min=0) * ((share >= 0) & (share <= 1))[..., None]


def to_original(
    selected: SelectedBoxes,
    mask_probs: Tensor | None,
    size: tuple[int, int],
    original: tuple[int, int],
) -> Detections:
    """Detections in an image of size `original` from boxes in the same image scaled to `size`.

    mask_probs: [D, m, m] of the predicted classes, or None. Sizes are (height, width).
    """
    zoom_y, zoom_x = original[0] / size[0], original[1] / size[1]
    boxes = selected.boxes * selected.boxes.new_tensor([zoom_x, zoom_y, zoom_x, zoom_y])
    masks = None if mask_probs is None else paste_masks(mask_probs, boxes, original)
    return Detections(boxes, selected.labels, selected.scores, masks, mask_probs)
