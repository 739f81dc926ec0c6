"""Cost: where the time of `detect` goes, and how often the backbone runs.

It works for every detector here, because their stages have the same names.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mrcnn_edu.detections import Detections
from mrcnn_edu.eval_mode import shared_copy
from mrcnn_edu.speed.profiler import synchronized_time
from mrcnn_edu.speed.replace_forward import replaced_forward, replaced_function

STAGES = {  # the part that a stage or a layer belongs to; everything else is "heads"
    "propose": "proposals",
    "rpn_head": "proposals",
    "anchors": "proposals",
    "preprocess": "features",
    "warp": "features",
    "features": "features",
}


@dataclass
class Cost:
    """What one call of `detect` took."""

    proposals: float  # seconds of selective search or of the RPN
    features: float  # seconds of the backbone, with its neck and the preparation of its input
    heads: float  # seconds of everything else
    passes: int  # number of images or warped regions that the backbone has processed
    pixels: int  # number of pixels in all of them

    @property
    def milliseconds(self) -> dict[str, float]:
        """The milliseconds of each of the three parts."""
        return {name: 1000 * getattr(self, name) for name in ("proposals", "features", "heads")}

    @property
    def total(self) -> float:
        """The seconds of all three parts together."""
        return self.proposals + self.features + self.heads


def measure_cost(
    model: nn.Module, images: list[Tensor], **arguments: Any
) -> tuple[list[Detections], Cost]:
    """The detections in the images, and what they cost. arguments: further ones of `detect`."""
    model = shared_copy(model).eval()  # whose layers can be changed
    detect: Any = model.detect
    seconds = {"proposals": 0.0, "features": 0.0}
    inputs: Counter[str] = Counter()

    def count(_, layer_inputs: tuple[Tensor, ...]) -> None:
        batch = layer_inputs[0]
        inputs.update(passes=len(batch), pixels=len(batch) * batch.shape[-2] * batch.shape[-1])

    with ExitStack() as changes:
        hook = model.get_submodule("backbone").register_forward_pre_hook(count)
        changes.callback(hook.remove)
        for name, part in STAGES.items():  # no stage calls another, so nothing is timed twice
            stage = getattr(model, name, None)
            if isinstance(stage, nn.Module):
                forward = _timed(stage.forward, part, seconds)
                changes.enter_context(replaced_forward(stage, forward))
            elif stage is not None:
                timed = _timed(stage, part, seconds)
                changes.enter_context(replaced_function(model, name, timed))
        start = synchronized_time()
        detections = detect(images, **arguments)
        total = synchronized_time() - start
    heads = total - sum(seconds.values())
    return detections, Cost(
        **seconds, heads=heads, passes=inputs["passes"], pixels=inputs["pixels"]
    )


def _timed(run: Callable, part: str, seconds: dict[str, float]) -> Callable:
    """A function that does what `run` does, and adds the time it takes to that part's seconds."""

    def timed(*args, **kwargs):
        start = synchronized_time()
        result = run(*args, **kwargs)
        seconds[part] += synchronized_time() - start
        return result

    return timed


def cost_of_proposals(model: nn.Module, image: Tensor, boxes: Tensor) -> Cost:
    """The cost of an image with these boxes [N, 4] as its proposals.

    A model with an RPN predicts just as many itself: its NMS is made to keep them all.
    """
    if not hasattr(model, "rpn_head"):
        return measure_cost(model, [image], proposals=[boxes])[1]
    model, n = shared_copy(model), len(boxes)
    settings = dict(rpn_pre_nms_top_n_test=n, rpn_post_nms_top_n_test=n, rpn_nms_iou=1.0)
    vars(model)["config"] = replace(vars(model)["config"], **settings)
    return measure_cost(model, [image])[1]


def multiply_adds(run: Callable, *inputs: Tensor) -> int:
    """The multiply-adds of `run(*inputs)`: those of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(*inputs)
    return counter.get_total_flops() // 2  # PyTorch counts a multiply-add as two operations


def n_parameters(model: nn.Module) -> int:
    """The number of learned values: parameters, and R-CNN's SVMs and regressors."""
    statistics = "running_mean", "running_var", "num_batches_tracked"
    return sum(v.numel() for n, v in model.state_dict().items() if not n.endswith(statistics))
