"""Lighter training: layers in bfloat16, and maps that are computed twice instead of kept.

Only the layers change, from outside: the model's code does not know of it. All that is made of what
they say, boxes, RoI coordinates and the losses, is computed in float32 as ever.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from torch import nn
from torch.utils.checkpoint import checkpoint

from mrcnn_edu.speed.accelerate import bf16_forward
from mrcnn_edu.train.recipes import Training


@contextmanager
def low_memory(model: nn.Module, training: Training) -> Iterator[None]:
    """Inside, the model's layers compute as precision and recompute say."""
    changed = {}
    if training.activation_checkpointing:
        if getattr(model, "is_compiled", False):
            raise ValueError(
                "a compiled model's maps are not recomputed: turn off activation_checkpointing"
            )
        stages = [s for name, s in model.backbone.named_children() if name.startswith("layer")]
        changed |= {stage: checkpointed(stage) for stage in stages}
    if training.precision == "bfloat16":
        changed |= {layer: bf16_forward(name, layer) for name, layer in model.named_children()}
    elif training.precision != "float32":
        raise ValueError(f"precision is {training.precision!r}: choose 'float32' or 'bfloat16'")
    before = {layer: vars(layer).get("forward") for layer in changed}
    for layer, forward in changed.items():
        layer.forward = forward
    try:
        yield
    finally:
        for layer, forward in before.items():
            if forward is None:
                del layer.forward  # the class's own shows again
            else:  # that of `faster`
                layer.forward = forward


def checkpointed(stage: nn.Module) -> Callable:
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
