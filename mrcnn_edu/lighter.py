"""Lighter training: layers in bfloat16, and maps that are computed twice instead of kept.

Only the layers change, from outside: the model's code does not know of it. What lies between them,
RoI coordinates, the decoding of boxes, RoIAlign and the losses, is computed in float32 as ever.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mrcnn_edu.recipes import Training


@contextmanager
def lighter(model: nn.Module, training: Training) -> Iterator[None]:
    """Inside, the model's layers compute as precision and recompute say."""
    changed = {}
    if training.recompute:
        stages = [s for name, s in model.backbone.named_children() if name.startswith("layer")]
        changed |= {stage: recomputed(stage) for stage in stages}
    if training.precision == "bfloat16":
        changed |= {layer: in_bfloat16(layer) for layer in model.children()}
    elif training.precision != "float32":
        raise ValueError(f"precision is {training.precision!r}: choose 'float32' or 'bfloat16'")
    for layer, forward in changed.items():
        layer.forward = forward
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward  # the class's own shows again


def in_bfloat16(layer: nn.Module) -> Callable:
    """The layer's forward with convolutions and products in bfloat16; float32 comes back."""
    forward = layer.forward

    def lower(*inputs):
        device = next(iter(layer.parameters()), torch.empty(0)).device.type
        with torch.autocast(device, torch.bfloat16):
            return _float32(forward(*inputs))

    return lower


def recomputed(stage: nn.Module) -> Callable:
    """The stage's forward that keeps its input alone: the backward pass computes the rest again."""
    forward = stage.forward

    def again(*inputs):
        contexts = nullcontext(), _no_statistics(stage)
        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=lambda: contexts)

    return again


@contextmanager
def _no_statistics(stage: nn.Module) -> Iterator[None]:
    """Inside, batch norm counts what it sees on a copy, for it has counted it before."""
    kept = [
        (module, name, buffer)
        for module in stage.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in kept:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in kept:
            setattr(module, name, buffer)


def _float32(outputs):
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.is_floating_point() else outputs
    return type(outputs)(map(_float32, outputs))  # of a layer with several outputs
