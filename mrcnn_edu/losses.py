"""The losses: they compare predictions with targets, row by row. Without rows they are 0.

Letters: N sampled anchors, R sampled RoIs, K classes, m x m mask.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from mrcnn_edu.boxes import as_float

# Where smooth L1 turns from quadratic to linear. torchvision's; Fast R-CNN's equation 3 has 1.
SMOOTH_L1_BETA = 1 / 9


class Losses(dict[str, Tensor]):
    """The losses of a step under torchvision's names, and the number of rows each averages over.

    Processes that share a batch weight their losses by `n_rows` (see train/distributed.py).
    """

    def __init__(self, losses: dict[str, Tensor], n_rows: int):
        super().__init__(losses)
        self.n_rows = dict.fromkeys(losses, n_rows)

    def __ior__(self, other: "Losses") -> "Losses":
        self.update(other)
        self.n_rows.update(other.n_rows)
        return self


def rpn_loss(
    objectness: Tensor, deltas: Tensor, labels: Tensor, target_deltas: Tensor
) -> tuple[Tensor, Tensor]:
    """Objectness loss and box loss of the RPN, two scalars, both divided by N.

    objectness: [N] logits of the sampled anchors of all images. labels: [N] 1 or 0. deltas,
    target_deltas: [positives, 4] of the positive anchors. Faster R-CNN's equation 1 divides the box
    loss by the number of locations instead, about 2,400, and multiplies it by 10. With its N = 256
    both weights are nearly the same; dividing by N is torchvision's way.
    """
    n, objectness = max(len(labels), 1), as_float(objectness)
    labels = labels.to(objectness.dtype)
    objectness_loss = F.binary_cross_entropy_with_logits(objectness, labels, reduction="sum") / n
    return objectness_loss, smooth_l1(deltas, target_deltas) / n


def box_loss(
    class_logits: Tensor, deltas: Tensor, labels: Tensor, target_deltas: Tensor
) -> tuple[Tensor, Tensor]:
    """Class loss and box loss of the box head, L_cls and L_box (section 3), both divided by R.

    class_logits: [R, K + 1]. deltas: [R, K + 1, 4], of which only the true class's box counts.
    labels: [R], 0 for background, which has no box to learn. target_deltas: [R, 4].
    """
    n, labels = max(len(labels), 1), labels.long()
    class_loss = F.cross_entropy(as_float(class_logits), labels, reduction="sum") / n
    true_class_deltas = deltas[torch.arange(len(labels), device=labels.device), labels]
    positive = labels[:, None] > 0
    predicted = torch.where(positive, true_class_deltas, 0)
    return class_loss, smooth_l1(predicted, torch.where(positive, target_deltas, 0)) / n


def mask_loss(
    mask_logits: Tensor, labels: Tensor, targets: Tensor, loss_type: str = "sigmoid"
) -> Tensor:
    """L_mask, a scalar: the mean cross-entropy over the pixels of the true class's masks.

    mask_logits: [R, K + 1, m, m] of positive RoIs. labels: [R] 1..K. targets: [R, m, m] in 0..1.
    loss_type: with "sigmoid" (section 3) the other classes' masks do not contribute, so classes do
    not compete for a pixel. With "softmax" each pixel belongs to one class or to background,
    channel 0, as in an FCN for semantic segmentation (table 2b).
    """
    n, rows = max(targets.numel(), 1), torch.arange(len(labels), device=labels.device)
    mask_logits, targets, labels = as_float(mask_logits), as_float(targets), labels.long()
    if loss_type == "softmax":
        log_probs = mask_logits.log_softmax(dim=1)
        foreground, background = log_probs[rows, labels], log_probs[:, 0]  # [R, m, m]
        return -(targets * foreground + (1 - targets) * background).sum() / n
    true_class_logits = mask_logits[rows, labels]  # [R, m, m]
    return F.binary_cross_entropy_with_logits(true_class_logits, targets, reduction="sum") / n


def smooth_l1(predictions: Tensor, targets: Tensor) -> Tensor:
    """The sum over all elements, quadratic up to SMOOTH_L1_BETA and linear beyond, a scalar."""
    return F.smooth_l1_loss(
        as_float(predictions), as_float(targets), reduction="sum", beta=SMOOTH_L1_BETA
    )
