"""Cost: where the time of `detect` goes, and how often the backbone looks at pixels.

It works for every detector here, because their stages have the same names.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mrcnn_edu.detections import Detections
from mrcnn_edu.speed.profiler import synchronized_time

STAGES = {  # methods and layers by what they do; all others are the heads', and what follows them
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

    proposals: float  # seconds, by selective search or by an RPN
    features: float  # seconds, of the backbone and what leads to it
    heads: float  # seconds, all the rest
    passes: int  # images or windows that the backbone has seen
    pixels: int  # in all of them

    @property
    def milliseconds(self) -> dict[str, float]:
        """Of each of the three parts."""
        return {name: 1000 * getattr(self, name) for name in ("proposals", "features", "heads")}

    @property
    def total(self) -> float:
        """Seconds of the whole."""
        return self.proposals + self.features + self.heads


def measure_cost(model: nn.Module, images: list[Tensor], **given) -> tuple[list[Detections], Cost]:
    """The detections in the images, and what they cost. given: further arguments of `detect`."""
    seconds, seen = Counter(), Counter()

    def count(_, inputs: tuple) -> None:
        batch = inputs[0]
        seen.update(passes=len(batch), pixels=len(batch) * batch.shape[-2] * batch.shape[-1])

    counting = model.backbone.register_forward_pre_hook(count)
    try:
        with _timed(model, seconds):
            start = synchronized_time()
            found = model.detect(images, **given)
            total = synchronized_time() - start
    finally:
        counting.remove()
    of_stages = {stage: seconds[stage] for stage in ("proposals", "features")}
    heads = total - sum(of_stages.values())
    return found, Cost(**of_stages, heads=heads, passes=seen["passes"], pixels=seen["pixels"])


def cost_of_proposals(model: nn.Module, image: Tensor, boxes: Tensor) -> Cost:
    """What an image costs with these boxes [N, 4] as its proposals.

    A model that makes its own proposals makes as many: NMS leaves them all.
    """
    if not hasattr(model, "rpn_head"):
        return measure_cost(model, [image], proposals=[boxes])[1]
    config, n = model.config, len(boxes)
    model.config = replace(
        config, rpn_pre_nms_top_n_test=n, rpn_post_nms_top_n_test=n, rpn_nms_iou=1.0
    )
    try:
        return measure_cost(model, [image])[1]
    finally:
        model.config = config


def multiply_adds(run: Callable, *inputs: Tensor) -> int:
    """The multiply-adds of `run(*inputs)`, as PyTorch counts them: of convolutions and products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(*inputs)
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


def n_parameters(model: nn.Module) -> int:
    """How many numbers were learned: parameters, and R-CNN's SVMs and regressions."""
    statistics = "running_mean", "running_var", "num_batches_tracked"
    return sum(v.numel() for n, v in model.state_dict().items() if not n.endswith(statistics))


@contextmanager
def _timed(model: nn.Module, seconds: Counter):
    """Inside, the seconds of each stage are added up. No stage calls another."""

    def with_clock(run: Callable, stage: str) -> Callable:
        def timed(*args, **more):
            start = synchronized_time()
            result = run(*args, **more)
            seconds[stage] += synchronized_time() - start
            return result

        return timed

    changed = []
    try:
        for name, stage in STAGES.items():
            part = getattr(model, name, None)
            if part is None:
                continue
            owner, attribute = (part, "forward") if isinstance(part, nn.Module) else (model, name)
            vars(owner)[attribute] = with_clock(getattr(owner, attribute), stage)
            changed.append((owner, attribute))
        yield
    finally:
        for owner, attribute in changed:
            del vars(owner)[attribute]
