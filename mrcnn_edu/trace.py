"""What `MaskRCNN.trace` returns, every intermediate result of `detect`, and the mode it runs in.

Batch norm and dropout compute something else in training than in detection. A model that is being
trained can be asked for detections all the same, even by other threads: its mode is never switched,
but a second model in eval mode, which shares all weights, does the work.

Letters: B images, C channels, A anchors, R RoIs, D detections, K classes, m x m mask.
"""

from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn

from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.images import Batch
from mrcnn_edu.rpn import Proposals

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Model = TypeVar("Model", bound=nn.Module)


@dataclass
class Trace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    batch: Batch
    features: list[Tensor]  # P2, P3, ..., or the one map of c4 or c5: [B, C, H, W] each
    anchors: list[Tensor]  # [A_level, 4] for each level
    objectness: Tensor  # [B, A] logits
    rpn_deltas: Tensor  # [B, A, 4]
    proposals: list[Proposals]  # before NMS (candidates) and after it (boxes)
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]  # after the score threshold and NMS within each class
    mask_features: Tensor | None  # [D, C, 14, 14] of the selected boxes of all images
    mask_logits: Tensor | None  # [D, K + 1, m, m]: a mask for every class
    detections: list[Detections]


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
