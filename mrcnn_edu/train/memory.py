"""Less memory: layers in bfloat16, and activations that are recomputed instead of kept.

Only the forwards of the layers are replaced; the model's code does not change. Boxes, coordinates
of RoIs and the losses are computed in float32 as always.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.speed.accelerate import bf16_forward, is_compiled
from mrcnn_edu.speed.replace_forward import replaced_forwards
from mrcnn_edu.train.recipes import Training


@contextmanager
def low_memory(model: MaskRCNN, training: Training) -> Iterator[None]:
    """Inside, the layers compute with the training's precision and activation checkpointing.

    Raises ValueError for activation checkpointing of a compiled model.
    """
    forwards: dict[nn.Module, Callable[..., Any]] = {}
    if training.activation_checkpointing:
        if is_compiled(model):
            raise ValueError(
                "the activations of a compiled model cannot be recomputed: turn off "
                "activation_checkpointing"
            )
        children = model.backbone.named_children()
        stages = [stage for name, stage in children if name.startswith("layer")]
        forwards |= {stage: checkpointed(stage) for stage in stages}
    if training.precision == "bfloat16":
        forwards |= {layer: bf16_forward(name, layer) for name, layer in model.named_children()}
    with replaced_forwards(forwards):
        yield


def checkpointed(stage: nn.Module) -> Callable[..., Any]:
    """The stage's forward, keeping only its input: the backward pass recomputes the rest."""
    return partial(_recomputed_forward, stage, stage.forward)


def _recomputed_forward(stage: nn.Module, forward: Callable[..., Any], *inputs: Any) -> Any:
    contexts = nullcontext(), _statistics_on_a_copy(stage)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=lambda: contexts)


@contextmanager
def _statistics_on_a_copy(stage: nn.Module) -> Iterator[None]:
    """Update running statistics on a copy during recomputation.

    The first forward pass has already counted this batch.
    """
    originals = [
        (module, name, buffer)
        for module in stage.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in originals:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in originals:
            setattr(module, name, buffer)
