"""Lesson 09, the mask loss: the k-th mask alone, how masks are read out, and competition."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mrcnn_edu.course.exercises import check


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The mean binary cross-entropy of each RoI's true mask [R, m, m] with its own class's logits.

    logits: [R, K + 1, m, m], channel 0 is background. labels: [R] 1..K.
    """
    own = logits[torch.arange(len(labels)), labels]  # [R, m, m]
    return binary_cross_entropy_with_logits(own, targets)


def _heads(n: int, n_classes: int = 3, m: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes + 1, m, m, generator=generator)
    labels = torch.randint(1, n_classes + 1, (n,), generator=generator)
    return logits, labels, (torch.rand(n, m, m, generator=generator) > 0.5).float()


def check_mask_loss(attempt: Callable) -> None:
    """Checks a function like `mask_loss` on logits of 0, on one RoI and on several."""
    logits, labels, targets = _heads(1, m=2)
    cases = [(torch.zeros_like(logits), labels, targets), (logits, labels, targets)]
    check(attempt, mask_loss, [*cases, _heads(2, seed=1), _heads(5, n_classes=6, seed=2)])


def read_masks(logits: Tensor, labels: Tensor) -> Tensor:
    """The masks [D, m, m] bool: where the probability of the predicted class's mask is over 0.5.

    logits: [D, K + 1, m, m] of a head with one sigmoid for each class. labels: [D] 1..K.
    """
    return logits[torch.arange(len(labels)), labels].sigmoid() > 0.5


def check_read_masks(attempt: Callable) -> None:
    """Checks a function like `read_masks` on one detection, on several, and on none."""
    cases = [_heads(1, m=2), _heads(3, seed=1), _heads(6, n_classes=5, seed=2), _heads(0)]
    check(attempt, read_masks, [(logits, labels) for logits, labels, _ in cases])


def softmax_gradient(logits: Tensor, label: int) -> Tensor:
    """The gradient [K + 1] of the softmax loss of one pixel with respect to its logits [K + 1].

    label: of the pixel, 0 where it is background. The loss is -log of that label's probability.
    """
    truth = torch.zeros_like(logits)
    truth[label] = 1
    return logits.softmax(dim=0) - truth


def check_softmax_gradient(attempt: Callable) -> None:
    """Checks a function like `softmax_gradient` on even and uneven logits, background included."""
    cases = [([0.0, 0, 0], 1), ([0.0, 1, 2, 1], 2), ([3.0, -1, 0.5, 0], 0), ([0.0, 8, -8], 2)]
    check(attempt, softmax_gradient, [(torch.tensor(logits), label) for logits, label in cases])
