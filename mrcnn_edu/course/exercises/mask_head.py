"""Lesson 08, the larger task: the whole mask head, layer by layer, by hand."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check

Layer = tuple[Tensor, Tensor]  # weight, bias


def mask_head(roi_features: Tensor, convs: list[Layer], deconv: Layer, predictor: Layer) -> Tensor:
    """Mask logits [R, K + 1, 2P, 2P] from RoI features [R, C, P, P] (Mask R-CNN, figure 4, right).

    convs: (weight [D, C, 3, 3], bias [D]) of each 3x3 convolution, padded with one zero on each
    side, and followed by a ReLU. deconv: (weight [D, E, 2, 2], bias [E]), with stride 2 and a ReLU.
    predictor: (weight [K + 1, E, 1, 1], bias [K + 1]) of the 1x1 convolution.
    """
    x = roi_features
    side = x.shape[-1]
    for weight, bias in convs:
        padded = torch.zeros(len(x), x.shape[1], side + 2, side + 2)
        padded[:, :, 1:-1, 1:-1] = x
        x = bias[:, None, None].expand(len(x), -1, side, side)
        for dy in range(3):
            for dx in range(3):
                window = padded[:, :, dy : dy + side, dx : dx + side]
                x = x + torch.einsum("dc,rcij->rdij", weight[:, :, dy, dx], window)
        x = x.clamp(min=0)
    weight, bias = deconv
    larger = torch.zeros(len(x), len(bias), 2 * side, 2 * side)
    for dy in range(2):
        for dx in range(2):
            stamp = torch.einsum("de,rdij->reij", weight[:, :, dy, dx], x)
            larger[:, :, dy::2, dx::2] = stamp
    larger = (larger + bias[:, None, None]).clamp(min=0)
    weight, bias = predictor
    return torch.einsum("ke,reij->rkij", weight[:, :, 0, 0], larger) + bias[:, None, None]


def _layers(widths: list[int], n_masks: int, seed: int = 0) -> tuple[list[Layer], Layer, Layer]:
    """Random layers: convolutions between these numbers of channels, then the other two."""
    generator = torch.Generator().manual_seed(seed)

    def layer(*shape: int, n_biases: int) -> Layer:
        weight = torch.randint(-2, 3, shape, generator=generator) / 2
        return weight, torch.randint(-2, 3, (n_biases,), generator=generator) / 4

    pairs = zip(widths[1:], widths[:-1], strict=True)
    convs = [layer(after, before, 3, 3, n_biases=after) for after, before in pairs]
    last = widths[-1]
    deconv = layer(last, last, 2, 2, n_biases=last)
    return convs, deconv, layer(n_masks, last, 1, 1, n_biases=n_masks)


def check_mask_head(attempt: Callable) -> None:
    """Check a function like `mask_head` on each of its layers alone, and on all of them."""
    none, one = torch.zeros(1), torch.ones(1)
    values = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    kernels = {name: torch.zeros(1, 1, 3, 3) for name in ("center", "right", "all")}
    kernels["center"][..., 1, 1] = kernels["right"][..., 1, 2] = 1
    kernels["all"] += 1
    repeat, only = (torch.ones(1, 1, 2, 2), none), (torch.ones(1, 1, 1, 1), none)
    corners = torch.tensor([[[[1.0, 2.0], [-1.0, 3.0]]]])
    two_masks = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1), torch.tensor([0.5, 0.0])

    def with_conv(name: str, bias: Tensor = none) -> tuple:
        return values, [(kernels[name], bias)], repeat, only

    generator = torch.Generator().manual_seed(0)
    features = torch.randint(-4, 5, (2, 2, 3, 3), generator=generator) / 2
    cases = {
        "no convolution, each value becomes four": (values, [], repeat, only),
        "a kernel that reads its center": with_conv("center"),
        "a kernel that reads the value to the right": with_conv("right"),
        "a kernel that reads all nine values": with_conv("all"),
        "a bias, and negative values become 0": with_conv("center", torch.tensor([-2.5])),
        "the four weights of the deconvolution": (values, [], (corners, none), only),
        "the deconvolution's bias": (values, [], (corners, one), only),
        "two masks": (values, [], repeat, two_masks),
        "two channels, which become three": (features, *_layers([2, 3], 2)),
        "three convolutions": (features, *_layers([2, 3, 2, 4], 4, seed=1)),
        "no RoI": (features[:0], *_layers([2, 3], 2)),
    }
    check(attempt, mask_head, cases)
