"""Acceleration: four changes to a model, one line each, that make it faster on a GPU.

    compiled(model)        # torch.compile fuses the operations between two convolutions
    in_bfloat16(model)     # convolutions and matrix products in 16 bits, summed in 32
    channels_last(model)   # weights and feature maps with a pixel's channels side by side
    in_graphs(model)       # `detect` launches the kernels of each dense layer with one call

They can be combined, in this order. Each changes the model in place and returns it. Only the way
the layers compute changes: the weights keep their names, shapes and precision, and the model's code
stays the same.
"""

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.speed.cuda_graphs import (
    Maps,
    check_not_recorded,
    in_graphs,
    map_tensors,
    tensors_of,
)
from mrcnn_edu.speed.replace_forward import has_replaced_forward, replace_forward

__all__ = ["bf16_forward", "channels_last", "compiled", "in_bfloat16", "in_graphs", "is_compiled"]

BF16_OUTPUTS = "backbone", "neck", "last_stage"  # layers whose outputs only other layers read


def compiled(model: MaskRCNN, **options: Any) -> MaskRCNN:
    """The model with its layers compiled, each when it first runs, and again for other shapes.

    options: those of `torch.compile`. Raises ValueError if a layer's forward is replaced already. A
    compiled model cannot be trained with activation checkpointing.
    """
    for name, layer in _layers_with_weights(model).items():
        if has_replaced_forward(layer):
            raise ValueError(f"{name} is changed already: call compiled(model) before the others")
        # The class's function is compiled, not a wrapper of it: torch.compile caches by code, so
        # all layers would share one wrapper's cache, and soon exceed its size.
        replace_forward(layer, MethodType(torch.compile(type(layer).forward, **options), layer))
    vars(model)["is_compiled"] = True  # copies of the model have it too
    return model


def is_compiled(model: nn.Module) -> bool:
    """Whether the model has passed through `compiled`."""
    return vars(model).get("is_compiled", False)


def in_bfloat16(model: MaskRCNN) -> MaskRCNN:
    """The model with convolutions and matrix products in bfloat16 (`torch.autocast`).

    Feature maps and RoI features are bfloat16, too. The outputs of the heads are float32, and so is
    everything computed from them: boxes, scores, masks and losses. Raises ValueError after
    `in_graphs`.
    """
    for name, layer in _layers_with_weights(model).items():
        check_not_recorded(name, layer)
        replace_forward(layer, bf16_forward(name, layer))
    return model


def bf16_forward(name: str, layer: nn.Module) -> Callable[[Maps], Maps]:
    """The layer's forward in bfloat16. name: the layer's name in the model."""
    return partial(_run_in_bf16, layer.forward, name in BF16_OUTPUTS)


def _run_in_bf16(forward: Callable[[Maps], Maps], keeps_bf16: bool, x: Maps) -> Maps:
    with torch.autocast(tensors_of(x)[0].device.type, torch.bfloat16):
        output = forward(x)
    return output if keeps_bf16 else map_tensors(Tensor.float, output)


def channels_last(model: MaskRCNN) -> MaskRCNN:
    """The model with its weights in channels-last memory, and so the maps of its convolutions."""
    return model.to(memory_format=torch.channels_last)


def _layers_with_weights(model: MaskRCNN) -> dict[str, nn.Module]:
    """The model's layers that have parameters, by name."""
    layers = dict(model.named_children())
    return {name: layer for name, layer in layers.items() if any(True for _ in layer.parameters())}
