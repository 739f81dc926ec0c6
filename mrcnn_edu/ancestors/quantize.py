"""Weights in eight bits: a whole number for each weight, and a scale for each output channel.

Beside 16 bits a file is half as large, and a weight is off by at most a 254th of its channel's
largest: less than noise in the scores. Computing is done in 32 bits, as always.
"""

import torch
from torch import Tensor

LARGEST = 127  # of a signed eight-bit number
SCALE = ".scale"  # what is added to a name for its scales


def quantize(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with int8 in the place of each weight [F, ...], and its scales [F] beside it.

    What has fewer than two dimensions (biases, norms) goes to 16 bits; whole numbers stay.
    """
    packed = {}
    for name, values in state.items():
        if not values.is_floating_point():
            packed[name] = values
        elif values.ndim < 2:
            packed[name] = values.half()
        else:
            scale = values.flatten(1).abs().amax(dim=1) / LARGEST
            rows = _along(scale.clamp(min=torch.finfo(scale.dtype).tiny), values)  # of zeros, too
            packed[name] = (values / rows).round().to(torch.int8)
            packed[name + SCALE] = scale
    return packed


def dequantize(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state that `quantize` has packed, in 32 bits."""
    state = {}
    for name, values in packed.items():
        if values.dtype == torch.int8:
            scale = packed[name + SCALE]
            state[name] = values.to(scale) * _along(scale, values)
        elif not name.endswith(SCALE):
            state[name] = values.float() if values.is_floating_point() else values
    return state


def _along(scale: Tensor, values: Tensor) -> Tensor:
    """Scales [F] as [F, 1, ...], one for each row of the values [F, ...]."""
    return scale.reshape(-1, *[1] * (values.ndim - 1))
