"""Profiler: the seconds, the operators and the bytes of a piece of code, on a CPU or a GPU."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

import torch
from torch import Tensor
from torch.profiler import profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode

from mrcnn_edu import detections, rpn
from mrcnn_edu.config import check_number
from mrcnn_edu.eval_mode import shared_copy
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.speed.replace_forward import replaced_function

RESHAPE_VIEW = torch.ops.aten._unsafe_view.default  # the view at the end of a reshape that copies
PARTS = "backbone", "RPN", "NMS", "RoIAlign", "heads", "paste", "rest"


def synchronized_time() -> float:
    """The time in seconds, after the GPU has computed everything queued; only differences count."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter()


def seconds(run: Callable[[], object], times: int = 5) -> float:
    """The shortest time of several runs: longer ones were disturbed by other processes."""
    check_number("times", times, 1, whole=True)
    durations = []
    for _ in range(times):
        start = synchronized_time()
        run()
        durations.append(synchronized_time() - start)
    return min(durations)


def bytes_written(run: Callable[[], object]) -> int:
    """The bytes of the results of all operators. Views do not count: they write nothing."""
    with _CountBytes() as counter:
        run()
    return counter.bytes


class _CountBytes(TorchDispatchMode):
    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        if not (func.is_view or func is RESHAPE_VIEW):
            tensors = results if isinstance(results, tuple | list) else [results]
            self.bytes += sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))
        return results


def profile_detect(model: MaskRCNN, images: list[Tensor]) -> dict[str, Counter]:
    """What each of the `PARTS` of `detect` costs: "operators", and milliseconds of "CPU" and "GPU".

    An operator is a call of PyTorch, without the calls inside it. It is counted for the innermost
    part around it, so NMS is apart from the RPN and the heads, which both call it.
    """
    model = shared_copy(model).eval()  # whose functions can be replaced
    model.detect(images)  # warm up
    with ExitStack() as replaced:
        for part, owner, name in _functions_of_detect(model):
            function = record_function(part)(getattr(owner, name))
            replaced.enter_context(replaced_function(owner, name, function))
        with profile() as profiler:
            model.detect(images)
    operators, cpu, gpu = Counter(), Counter(), Counter()
    for event in profiler.events() or []:
        if event.device_type.name != "CPU":
            continue  # a kernel; its time is also in the CPU event that launched it
        part, parent = _part_of(event), event.cpu_parent
        is_outermost = parent is None or not parent.name.startswith("aten::")
        operators[part] += event.name.startswith("aten::") and is_outermost
        cpu[part] += event.self_cpu_time_total / 1000
        gpu[part] += event.self_device_time_total / 1000
    return {"operators": operators, "CPU": cpu, "GPU": gpu}


def _functions_of_detect(model: MaskRCNN) -> list[tuple[str, object, str]]:
    """The functions that `detect` calls: part, owner of the function, and its name there."""
    heads = [h for h in (model.box_head, model.mask_head, model.keypoint_head) if h is not None]
    return [
        ("backbone", model, "features"),
        ("RPN", model.rpn_head, "forward"),
        ("RPN", model, "propose"),
        ("NMS", rpn, "batched_nms"),
        ("NMS", detections, "batched_nms"),
        ("RoIAlign", model, "pool"),
        *(("heads", head, "forward") for head in heads),
        ("heads", model, "select"),
        ("paste", model, "paste"),
        ("paste", model, "trace_keypoints"),
    ]


def _part_of(event) -> str:
    """The innermost part that an event of the profiler lies in."""
    while event is not None and event.name not in PARTS:
        event = event.cpu_parent
    return "rest" if event is None else event.name
