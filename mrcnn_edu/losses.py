"""Losses: they only compare rows. Which rows, and with what, `targets.py` has decided.

Formulas survive having no rows: the sum over nothing is 0, and it is divided by at least 1.
divide_by: given the number of rows, what the sum is divided by; of several processes that share a
batch, for example, the mean of their numbers.
Letters: N sampled anchors, R sampled RoIs, K classes, m the side of a mask.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    smooth_l1_loss,
)

# Where the box loss turns from quadratic to linear: torchvision's. Fast R-CNN's equation 3 has 1.
SMOOTH_L1_BETA = 1 / 9


def at_least_one(n: int) -> int:
    """n, or 1 for 0."""
    return max(n, 1)


def rpn_loss(
    objectness: Tensor,
    deltas: Tensor,
    labels: Tensor,
    target_deltas: Tensor,
    divide_by: Callable[[int], Tensor | int] = at_least_one,
) -> tuple[Tensor, Tensor]:
    """Objectness loss and box loss of the RPN, two scalars.

    objectness: [N] logits of the sampled anchors of all images. labels: [N] 1 or 0. deltas and
    target_deltas: [positives, 4]. Both are divided by N (Faster R-CNN, equation 1).
    """
    n = divide_by(len(labels))
    labels = labels.to(objectness.dtype)
    objectness_loss = binary_cross_entropy_with_logits(objectness, labels, reduction="sum") / n
    return objectness_loss, smooth_l1(deltas, target_deltas) / n


def box_loss(
    class_logits: Tensor,
    deltas: Tensor,
    labels: Tensor,
    target_deltas: Tensor,
    divide_by: Callable[[int], Tensor | int] = at_least_one,
) -> tuple[Tensor, Tensor]:
    """Class loss and box loss of the box head, two scalars: L_cls and L_box (section 3).

    class_logits: [R, K + 1]. deltas: [R, K + 1, 4], of which only the true class's count. labels:
    [R], 0 background. target_deltas: [R, 4]. Both are divided by R.
    """
    n = divide_by(len(labels))
    true_class_deltas = deltas[torch.arange(len(labels), device=labels.device), labels]
    positive = labels[:, None] > 0  # background has no box to learn
    of_positives = (torch.where(positive, d, 0) for d in (true_class_deltas, target_deltas))
    class_loss = cross_entropy(class_logits, labels, reduction="sum") / n
    return class_loss, smooth_l1(*of_positives) / n


def mask_loss(
    mask_logits: Tensor,
    labels: Tensor,
    targets: Tensor,
    kind: str = "sigmoid",
    divide_by: Callable[[int], Tensor | int] = at_least_one,
) -> Tensor:
    """L_mask, a scalar: the mean cross-entropy of a pixel with the true class's mask (section 3).

    mask_logits: [R, K + 1, m, m] of positive RoIs. labels: [R] 1..K. targets: [R, m, m] in 0..1.
    kind: with "sigmoid", the paper's, the other classes' masks take no part, so classes do not
    compete for a pixel. With "softmax" every pixel is of one class or background, channel 0, as in
    an FCN for semantic segmentation (table 2b).
    """
    n, rows = divide_by(targets.numel()), torch.arange(len(labels), device=labels.device)
    if kind == "softmax":
        log_probs = mask_logits.log_softmax(dim=1)
        of_class, of_background = log_probs[rows, labels], log_probs[:, 0]  # [R, m, m]
        return -(targets * of_class + (1 - targets) * of_background).sum() / n
    true_class_logits = mask_logits[rows, labels]  # [R, m, m]
    return binary_cross_entropy_with_logits(true_class_logits, targets, reduction="sum") / n


def smooth_l1(predictions: Tensor, targets: Tensor) -> Tensor:
    """The sum over all elements, quadratic up to SMOOTH_L1_BETA and linear beyond, a scalar."""
    return smooth_l1_loss(predictions, targets, reduction="sum", beta=SMOOTH_L1_BETA)
