"""Profiler: the seconds, the operators and the bytes of a piece of code, on a CPU or a GPU."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode

from mrcnn_edu import detections, rpn
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.speed.replace_forward import replaced_function

RESHAPED = torch.ops.aten._unsafe_view.default  # the view at the end of a reshape that copies
PARTS = "backbone", "RPN", "NMS", "RoIAlign", "heads", "paste", "rest"


def synchronized_time() -> float:
    """Seconds of a clock without a fixed start, once all queued work of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # kernels run asynchronously
    return perf_counter()


def seconds(run: Callable[[], object], times: int = 5) -> float:
    """The shortest time of several runs: other programs can only make a run longer."""
    taken = []
    for _ in range(times):
        start = synchronized_time()
        run()
        taken.append(synchronized_time() - start)
    return min(taken)


def bytes_written(run: Callable[[], object]) -> int:
    """The bytes that all operators in it write. Views write nothing, and do not count."""
    with _Written() as written:
        run()
    return written.bytes


class _Written(TorchDispatchMode):
    bytes = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        results = operator(*args, **(kwargs or {}))
        if not (operator.is_view or operator is RESHAPED):
            several = results if isinstance(results, tuple | list) else [results]
            self.bytes += sum(result.nbytes for result in several if isinstance(result, Tensor))
        return results


def profile_detect(model: MaskRCNN, images: list[Tensor]) -> dict[str, Counter]:
    """The operators, CPU milliseconds and GPU milliseconds of each of the `PARTS` of `detect`.

    Only operators called from Python are counted, not those that they call. Each belongs to the
    innermost part around it: NMS is called by the RPN and by the heads.
    """
    model.detect(images)  # warm-up
    with ExitStack() as named:
        for part, owner, name in _functions_of_detect(model):
            run = record_function(part)(getattr(owner, name))
            named.enter_context(replaced_function(owner, name, run))
        with profile() as profiler:
            model.detect(images)
    operators, cpu, gpu = Counter(), Counter(), Counter()
    for event in profiler.events():
        if event.device_type != DeviceType.CPU:
            continue  # the CPU's events include the GPU time of what they launched
        part, caller = _part_of(event), event.cpu_parent
        operators[part] += event.name.startswith("aten::") and (
            caller is None or not caller.name.startswith("aten::")
        )
        cpu[part] += event.self_cpu_time_total / 1000
        gpu[part] += event.self_device_time_total / 1000
    return {"operators": operators, "CPU": cpu, "GPU": gpu}


def _functions_of_detect(model: MaskRCNN) -> list[tuple[str, object, str]]:
    """The functions that `detect` calls: part, owner and name of each."""
    heads = [head for head in (model.box_head, model.mask_head) if head is not None]
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
    ]


def _part_of(event) -> str:
    while event is not None and event.name not in PARTS:
        event = event.cpu_parent
    return "rest" if event is None else event.name
