"""Detections: from the heads' numbers to boxes, labels, scores and masks in the image.

Letters: R RoIs, D detections, K classes (label 0 is background), m the side of a predicted mask.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import best_first, clip_boxes, decode_boxes, survivors
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.roi_ops import image_index
from mrcnn_edu.stops import on_gpu, read, rows_where, upload

SMALLEST_SIDE = 1e-2  # pixels; a detection clipped to less than this is dropped
AT_ONCE = 16  # masks that a GPU pastes together: 70 MB of float32 at 800 x 1333


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
    class_logits: list[Tensor],
    deltas: list[Tensor],
    proposals: list[Tensor],
    image_sizes: list[tuple[int, int]],
    score_threshold: float,
    nms_iou: float,
    max_detections: int,
) -> list[SelectedBoxes]:
    """The best boxes of each image: every class of every RoI is a candidate.

    Of each image: class_logits [R, K + 1], deltas [R, K + 1, 4], proposals [R, 4], and the (height,
    width) of the network's input without padding. Scores above `score_threshold` only; NMS with
    `nms_iou` within each class; then the `max_detections` best (section 3.1, inference).
    """
    scores = [logits.softmax(dim=1)[:, 1:] for logits in class_logits]  # without background
    high = [of_image > score_threshold for of_image in scores]
    counts = read([of_image.sum() for of_image in high])
    images = zip(scores, high, counts, deltas, proposals, image_sizes, strict=True)
    candidates = [_candidates(*of_image) for of_image in images]

    boxes, labels, of_boxes = (torch.cat(column) for column in zip(*candidates, strict=True))
    image = image_index([c.boxes for c in candidates])
    groups = image * class_logits[0].shape[1] + labels  # boxes compete within an image and a class
    keep = (boxes[:, 2] > 0) & survivors(boxes, of_boxes, groups, nms_iou)
    kept = keep.split(counts)
    numbers = [min(n, max_detections) for n in read([of_image.sum() for of_image in kept])]
    best = [best_first(c.scores, k)[:n] for c, k, n in zip(candidates, kept, numbers, strict=True)]
    return [
        SelectedBoxes(*(column[rows] for column in of_image))
        for of_image, rows in zip(candidates, best, strict=True)
    ]


def _candidates(
    scores: Tensor,
    high: Tensor,
    n_high: int,
    deltas: Tensor,
    proposals: Tensor,
    image_size: tuple[int, int],
) -> SelectedBoxes:
    """All boxes of an image whose scores are high; those without area are zeros."""
    place = rows_where(high.flatten(), n_high)
    roi, labels = place // high.shape[1], place % high.shape[1] + 1
    boxes = decode_boxes(deltas[roi, labels], proposals[roi], BOX_SCALE)
    boxes = clip_boxes(boxes, image_size)
    is_box = (boxes[:, 2:] - boxes[:, :2] >= SMALLEST_SIDE).all(dim=1)
    return SelectedBoxes(torch.where(is_box[:, None], boxes, 0), labels, scores[roi, labels - 1])


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
    if on_gpu(boxes):  # whole images, many at once, so that no box has to be known
        parts = zip(*(t.split(AT_ONCE) for t in (masks, rows, mask_probs, columns)), strict=True)
        for part, along_y, probs, along_x in parts:
            part.copy_(along_y @ probs @ along_x.mT >= threshold)
        return masks
    corners = torch.cat((boxes[:, :2].floor(), boxes[:, 2:].ceil()), dim=1)
    for d, (x1, y1, x2, y2) in enumerate(clip_boxes(corners, size).int().tolist()):
        probs = rows[d, y1:y2] @ mask_probs[d] @ columns[d, x1:x2].T
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
    zoom = upload([zoom_x, zoom_y, zoom_x, zoom_y], selected.boxes.device, selected.boxes.dtype)
    boxes = selected.boxes * zoom
    masks = None if mask_probs is None else paste_masks(mask_probs, boxes, original)
    return Detections(boxes, selected.labels, selected.scores, masks, mask_probs)
