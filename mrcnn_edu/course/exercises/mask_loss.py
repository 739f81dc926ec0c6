"""Lesson 09, the mask loss: the true class's mask, predicted masks, the softmax gradient."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mrcnn_edu.course.exercises.check import check


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The mean binary cross-entropy, a scalar, of the logits of each RoI's class and its target.

    logits: [R, K + 1, m, m]; channel 0 is background. labels: [R] in 1..K. targets: [R, m, m].
    """
    class_logits = logits[torch.arange(len(labels)), labels]  # [R, m, m]
    return binary_cross_entropy_with_logits(class_logits, targets)


def _heads(n: int, n_classes: int = 3, m: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes + 1, m, m, generator=generator)
    labels = torch.randint(1, n_classes + 1, (n,), generator=generator)
    return logits, labels, (torch.rand(n, m, m, generator=generator) > 0.5).float()


def check_mask_loss(attempt: Callable) -> None:
    """Check a function like `mask_loss` on logits of 0, one RoI and several."""
    logits, labels, targets = _heads(1, m=2)
    cases = {
        "all logits 0": (torch.zeros_like(logits), labels, targets),
        "one RoI": (logits, labels, targets),
        "two RoIs": _heads(2, seed=1),
        "five RoIs of six classes": _heads(5, n_classes=6, seed=2),
    }
    check(attempt, mask_loss, cases)


def read_masks(logits: Tensor, labels: Tensor) -> Tensor:
    """Masks [D, m, m] bool: where the mask probability of the predicted class is above 0.5.

    logits: [D, K + 1, m, m] of a head with a sigmoid for each class. labels: [D] in 1..K.
    """
    return logits[torch.arange(len(labels)), labels].sigmoid() > 0.5


def check_read_masks(attempt: Callable) -> None:
    """Check a function like `read_masks` on one detection, several, and none."""
    cases = {
        "one detection": _heads(1, m=2)[:2],
        "three detections": _heads(3, seed=1)[:2],
        "six detections of five classes": _heads(6, n_classes=5, seed=2)[:2],
        "no detection": _heads(0)[:2],
    }
    check(attempt, read_masks, cases)


def softmax_gradient(logits: Tensor, label: int) -> Tensor:
    """The gradient [K + 1] of the softmax loss of one pixel with respect to its logits [K + 1].

    label: of the pixel, 0 for background. The loss is -log of the label's probability.
    """
    target = torch.zeros_like(logits)
    target[label] = 1
    return logits.softmax(dim=0) - target


def check_softmax_gradient(attempt: Callable) -> None:
    """Check a function like `softmax_gradient` on equal and unequal logits, background included."""
    cases = {
        "equal logits": (torch.zeros(3), 1),
        "unequal logits": (torch.tensor([0.0, 1.0, 2.0, 1.0]), 2),
        "background": (torch.tensor([3.0, -1.0, 0.5, 0.0]), 0),
        "certain and wrong": (torch.tensor([0.0, 8.0, -8.0]), 2),
    }
    check(attempt, softmax_gradient, cases)
