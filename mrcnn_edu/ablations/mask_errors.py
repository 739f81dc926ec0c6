"""Mask errors apart from box errors: the masks that models predict in the ground-truth boxes.

Average precision mixes localization, classification and segmentation. Here every model is given the
boxes and labels, so that only its masks can be wrong.
"""

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor

from mrcnn_edu.detections import paste_masks, predicted_masks
from mrcnn_edu.images import size_of
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.targets import mask_targets

Items = Sequence[tuple[Tensor, dict]]  # (image, target)


def masks_in_gt_boxes(model: MaskRCNN, image: Tensor, target: dict) -> Tensor:
    """The masks [M, H, W] bool that the model predicts for an image's M objects."""
    c, mask_logits = model.config, mask_logits_in_boxes(model, image, target["boxes"])
    channels = model.mask_channels(target["labels"])
    mask_probs = predicted_masks(mask_logits, channels, c.mask_loss, c.mask_decoding)
    return paste_masks(mask_probs, target["boxes"], size_of(image))


def mask_logits_in_boxes(model: MaskRCNN, image: Tensor, boxes: Tensor) -> Tensor:
    """Mask logits [R, K + 1, m, m] of boxes [R, 4]. Raises ValueError without a mask head."""
    _, mask_logits = model.predict_on_boxes(image, boxes)
    if mask_logits is None:
        raise ValueError("the model has no mask head: choose a setting with masks")
    return mask_logits


def ious_and_sizes(model: MaskRCNN, dataset: Items, n: int = 60) -> tuple[Tensor, Tensor]:
    """The IoU [N] of each object's predicted mask, and its size [N], √area in pixels.

    N objects of the first n images.
    """
    ious, sizes = [torch.zeros(0)], [torch.zeros(0)]
    for image, target in first_items(dataset, n):
        predicted, ground_truth = masks_in_gt_boxes(model, image, target), target["masks"]
        intersection = (predicted & ground_truth).sum(dim=(1, 2))
        ious.append(intersection / (predicted | ground_truth).sum(dim=(1, 2)))
        sizes.append(ground_truth.sum(dim=(1, 2)).sqrt())
    return torch.cat(ious), torch.cat(sizes)


def winner_shares(model: MaskRCNN, dataset: Items, n: int = 60) -> dict[str, float]:
    """The fraction of the objects' mask pixels that each channel wins, in the first n images.

    For a model with competing classes (softmax). The winner is the true class, with a probability
    above one half or less than that; or background; or another class. The fractions add up to 1.
    """
    names = "true class, over half", "true class, less", "background", "another class"
    counts = dict.fromkeys(names, 0)
    for image, target in first_items(dataset, n):
        boxes, labels = target["boxes"], target["labels"]
        objects = torch.arange(len(labels))
        probs = mask_logits_in_boxes(model, image, boxes).softmax(dim=1)  # [M, K + 1, m, m]
        inside = mask_targets([target["masks"]], [boxes], [objects], probs.shape[-1]) > 0.5
        winner = probs.argmax(dim=1)  # [M, m, m]
        over_half = probs[objects, labels] > 0.5
        is_true_class = winner == labels[:, None, None]
        is_background = winner == 0
        outcomes = (
            over_half,
            is_true_class & ~over_half,
            is_background,
            ~is_background & ~is_true_class,
        )
        for name, outcome in zip(names, outcomes, strict=True):
            counts[name] += int((outcome & inside).sum())
    total = sum(counts.values())
    return {name: count / max(total, 1) for name, count in counts.items()}


def first_items(dataset: Items, n: int) -> list[tuple[Tensor, dict]]:
    """The first n (image, target) of a dataset, or all if it has fewer."""
    return [dataset[i] for i in islice(range(len(dataset)), n)]
