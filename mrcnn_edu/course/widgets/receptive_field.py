"""How far the RPN sees from a location of each feature map, measured by the gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.eval_mode import in_eval_mode
from mrcnn_edu.images import Batch
from mrcnn_edu.model import MaskRCNN

NOISE_SIZE = 256  # pixels; a receptive field that is wider cannot be measured


class Field(NamedTuple):
    """The width of the square of pixels that the RPN's outputs at one location depend on."""

    full: int  # pixels; 0 if it is wider than the measurement
    half: int  # pixels; the square around the location with half of the gradient


def receptive_fields(model: MaskRCNN) -> list[Field]:
    """The receptive field of the location in the middle of each feature map, finest first."""
    model, weight = in_eval_mode(model), next(model.parameters())
    shape = 1, model.config.in_channels, NOISE_SIZE, NOISE_SIZE
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(weight)
    noise.requires_grad_()
    size = [(NOISE_SIZE, NOISE_SIZE)]
    fields = []
    with torch.enable_grad():
        for features in model.features(Batch(noise, size, size)):
            hidden = model.rpn_head.conv(features)
            middle = hidden[0, :, hidden.shape[2] // 2, hidden.shape[3] // 2].sum()
            (gradient,) = torch.autograd.grad(middle, noise, retain_graph=True)
            fields.append(measure(gradient[0].abs().sum(dim=0).cpu()))
    return fields


def measure(effect: Tensor) -> Field:
    """The field of a location in the middle of a map [H, W] of each pixel's effect on it."""
    pixels = (effect.sum(dim=0) > 0).nonzero()
    size, middle = effect.shape[1], effect.shape[1] // 2
    touches_the_edge = len(pixels) == 0 or pixels[0] == 0 or pixels[-1] == size - 1
    full = 0 if touches_the_edge else int(pixels[-1] - pixels[0] + 1)
    radius = 1
    while radius < middle:
        square = slice(middle - radius, middle + radius)
        if effect[square, square].sum() >= effect.sum() / 2:
            break
        radius += 1
    return Field(full, 2 * radius)
