"""Lesson 09, the larger task: the mask loss and its gradient, both ways, for any logits."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def loss_and_gradient(
    logits: Tensor, labels: Tensor, targets: Tensor, loss_type: str
) -> tuple[Tensor, Tensor]:
    """The mask loss, a scalar, and its gradient [R, K + 1, m, m] with respect to the logits.

    logits: [R, K + 1, m, m], of any size; channel 0 is background. labels: [R] in 1..K. targets:
    [R, m, m] in 0..1. loss_type: "sigmoid" or "softmax" (Mask R-CNN, section 3 and table 2b).
    Without RoIs the loss is 0.
    """
    n, rows = max(targets.numel(), 1), torch.arange(len(labels))
    gradient = torch.zeros_like(logits)
    if loss_type == "sigmoid":
        x = logits[rows, labels]  # [R, m, m]
        # -y log σ(x) - (1 - y) log(1 - σ(x)), where no exponential can overflow
        loss = x.clamp(min=0) - x * targets + (1 + (-x.abs()).exp()).log()
        gradient[rows, labels] = (x.sigmoid() - targets) / n
        return loss.sum() / n, gradient
    shifted = logits - logits.amax(dim=1, keepdim=True)
    log_probs = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    loss = -(targets * log_probs[rows, labels] + (1 - targets) * log_probs[:, 0])
    gradient = log_probs.exp()
    gradient[rows, labels] -= targets
    gradient[:, 0] -= 1 - targets
    return loss.sum() / n, gradient / n


def check_loss_and_gradient(attempt: Callable) -> None:
    """Check a function like `loss_and_gradient` on both losses, soft targets, and huge logits."""
    generator = torch.Generator().manual_seed(0)

    def heads(n: int, n_classes: int, m: int, scale: float = 2.0) -> tuple[Tensor, Tensor]:
        logits = scale * torch.randn(n, n_classes + 1, m, m, generator=generator)
        return logits, torch.randint(1, n_classes + 1, (n,), generator=generator)

    undecided = torch.zeros(1, 4, 2, 2), torch.tensor([2])
    half = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    one, three = heads(1, 3, 2), heads(3, 4, 3)
    hard = (torch.rand(3, 3, 3, generator=generator) > 0.5).float()
    soft = torch.rand(3, 3, 3, generator=generator)
    huge = heads(3, 4, 3, scale=200.0)
    none = torch.zeros(0, 5, 3, 3), torch.zeros(0, dtype=torch.long), torch.zeros(0, 3, 3)
    cases = {
        "sigmoid, all logits 0": (*undecided, half, "sigmoid"),
        "sigmoid, one RoI": (*one, half, "sigmoid"),
        "sigmoid, three RoIs": (*three, hard, "sigmoid"),
        "sigmoid, soft targets": (*three, soft, "sigmoid"),
        "softmax, all logits 0": (*undecided, half, "softmax"),
        "softmax, one RoI": (*one, half, "softmax"),
        "softmax, three RoIs": (*three, hard, "softmax"),
        "softmax, soft targets": (*three, soft, "softmax"),
        "sigmoid, huge logits": (*huge, hard, "sigmoid"),
        "softmax, huge logits": (*huge, hard, "softmax"),
        "no RoI": (*none, "sigmoid"),
        "no RoI, softmax": (*none, "softmax"),
    }
    check(attempt, loss_and_gradient, cases)
