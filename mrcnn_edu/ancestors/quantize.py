"""Weights in eight bits: a whole number for each weight, and a scale for each output channel.

A file is half as large as with 16 bits, and the error of a weight is at most a 254th of the largest
weight of its channel, which hardly changes any score. Computation stays in 32 bits.
"""

import torch
from torch import Tensor

INT8_MAX = 127
SCALE = ".scale"  # suffix of the name under which a weight's scales are stored


def quantize(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with weights [F, ...] as int8, each followed by its scales [F].

    Tensors with fewer than two dimensions (biases, norms) become float16; integers stay as they
    are.
    """
    packed = {}
    for name, values in state.items():
        if not values.is_floating_point():
            packed[name] = values
        elif values.ndim < 2:
            packed[name] = values.half()
        else:
            scale = values.flatten(1).abs().amax(dim=1) / INT8_MAX
            positive = scale.clamp(min=torch.finfo(scale.dtype).tiny)  # for channels of zeros
            packed[name] = (values / _per_channel(positive, values)).round().to(torch.int8)
            packed[name + SCALE] = scale
    return packed


def dequantize(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that `quantize` has packed, in float32."""
    state = {}
    for name, values in packed.items():
        if values.dtype == torch.int8:
            scale = packed[name + SCALE]
            state[name] = values.to(scale) * _per_channel(scale, values)
        elif not name.endswith(SCALE):
            state[name] = values.float() if values.is_floating_point() else values
    return state


def _per_channel(scale: Tensor, values: Tensor) -> Tensor:
    """Scales [F] as [F, 1, ...], which broadcasts over the values [F, ...]."""
    return scale.reshape(-1, *[1] * (values.ndim - 1))
