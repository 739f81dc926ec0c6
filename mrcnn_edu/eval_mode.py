"""The mode that detection runs in.

Batch norm and dropout compute something else in training than in detection. A model that is being
trained can be asked for detections all the same, also by other threads: its mode is never switched,
but a second model in eval mode, which shares all weights, does the work.
"""

from collections.abc import Callable
from copy import copy, deepcopy
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Model = TypeVar("Model", bound=nn.Module)


def shared_copy(model: Model) -> Model:
    """A second model with the same parameters, buffers and hooks; modes and attributes are its own.

    Training one of them trains both. A copy takes about a millisecond, and hardly any memory.
    """
    copies = {module: copy(module) for module in model.modules()}
    memo = {id(module): twin for module, twin in copies.items()}
    for twin in copies.values():
        own = vars(twin)
        own["_modules"] = {name: copies.get(child) for name, child in own["_modules"].items()}
        if "forward" in own:  # replaced, for example by `speed.in_bfloat16`
            own["forward"] = deepcopy(own["forward"], memo)
    return cast(Model, copies[model])


def in_eval_mode(model: Model) -> Model:
    """The model itself if it is in eval mode, or else a shared copy that is."""
    is_training = any(module.training for module in model.modules())
    return shared_copy(model).eval() if is_training else model


def evaluates(
    method: Callable[Concatenate[Model, Arguments], Result],
) -> Callable[Concatenate[Model, Arguments], Result]:
    """Decorator of a model's method: it runs in eval mode and without gradients."""

    @wraps(method)
    def run(self: Model, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.no_grad():
            return method(in_eval_mode(self), *args, **kwargs)

    return run


def all_finite(model: nn.Module, *outputs: Tensor) -> Tensor:
    """Whether no value is NaN or infinite: a bool on the CPU, for which nobody waits.

    It can be read after the next synchronization point. Beside the outputs, it checks weights that
    do not show there: of norms and biases, whose infinities a ReLU can hide, and of the last heads.
    """
    vectors = [v for v in (*model.parameters(), *model.buffers()) if v.ndim == 1]
    heads = [getattr(model, name, None) for name in ("mask_head", "keypoint_head")]
    weights = [weight for head in heads if head for weight in head.parameters()]
    values = [*outputs, torch.cat(vectors), *weights]
    finite = torch.stack([value.isfinite().all() for value in values]).all()
    return finite.to("cpu", non_blocking=True)
