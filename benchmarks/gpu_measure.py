"""What the parts of gpu.py share: how large everything is, medians in turns, memory, precision."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import torch

Runs = dict[str, Callable[[], object]]  # "ours" and its rivals


@dataclass(frozen=True)
class Sizes:
    """How large everything is, and how often it is measured."""

    device: str
    image: tuple[int, int]  # (height, width) of all images
    tiny: bool  # Config.tiny() instead of the paper's ResNet-50-FPN
    copied: int  # bytes that are copied to measure how fast memory is
    channels: int  # of the maps that RoIAlign reads
    n_rois: int  # of each image
    roi_batches: tuple[int, ...]  # images that RoIAlign reads
    roi_sides: tuple[int, ...]  # P
    n_boxes: tuple[int, ...]  # for NMS
    n_masks: int  # that are pasted
    detect_batches: tuple[int, ...]
    step_batches: tuple[int, ...]
    n_objects: int  # of each image
    rounds: int  # at least
    seconds: float  # of each row, at least


FULL = Sizes(
    device="cuda", image=(800, 1333), tiny=False, copied=2**30, channels=256, n_rois=512,
    roi_batches=(1, 16), roi_sides=(7, 14), n_boxes=(1000, 2000, 5000), n_masks=100,
    detect_batches=(1, 8), step_batches=(2, 16), n_objects=7, rounds=5, seconds=1,
)  # fmt: skip
TINY = Sizes(
    device="cpu", image=(64, 96), tiny=True, copied=2**20, channels=8, n_rois=16,
    roi_batches=(1, 2), roi_sides=(3,), n_boxes=(50, 100), n_masks=3,
    detect_batches=(1, 2), step_batches=(1, 2), n_objects=3, rounds=1, seconds=0,
)  # fmt: skip


class Case(NamedTuple):
    """A row of the table to come."""

    work: str
    measure: Callable[[], dict]  # what was measured, under the names of the table's columns
    goals: dict[str, tuple[str, float]]  # {column: ("at most" or "at least", number)}


def medians(runs: Runs, sizes: Sizes) -> dict[str, float]:
    """Milliseconds of each run, its median. They take turns: a slower moment hits all of them."""
    for run in runs.values():
        for _ in range(3 if sizes.device == "cuda" else 1):  # what is done once, and chosen
            run()
    taken, start = {name: [] for name in runs}, perf_counter()
    for n in range(200):
        if n >= sizes.rounds and perf_counter() - start > sizes.seconds * len(runs):
            break
        for name, run in runs.items():
            taken[name].append(milliseconds(run, sizes.device))
    return {f"{name}, ms": statistics.median(times) for name, times in taken.items()}


def milliseconds(run: Callable[[], object], device: str) -> float:
    """How long a run takes: on a GPU between two events in its queue."""
    if device != "cuda":
        start = perf_counter()
        run()
        return 1000 * (perf_counter() - start)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def peaks(runs: Runs, sizes: Sizes) -> dict[str, float]:
    """Megabytes that each run takes at its peak, on top of what there is. Nothing on a CPU."""
    found = {}
    for name, run in runs.items() if sizes.device == "cuda" else ():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        found[f"{name}, MB"] = (torch.cuda.max_memory_allocated() - before) / 1e6
    return found


def beside(values: dict) -> dict:
    """The values, and how much of torchvision's time ours takes."""
    return values | {"ratio": values["ours, ms"] / values["torchvision, ms"]}


@contextmanager
def precision(name: str, device: str) -> Iterator[None]:
    """Inside, float32 is float32, unless the name is "tf32" or "bfloat16".

    tf32 is float32 whose products round to 10 bits after the point; what bfloat16 leaves in float32
    is computed so, too. These are the older two of PyTorch's switches: until 2.11 torch.compile
    fails where the newer ones are set.
    """
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn) if device == "cuda" else ()
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = name != "float32"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def autocast(name: str, device: str):
    """Inside, torchvision's operations choose bfloat16 where they can, if that is the name."""
    return torch.autocast(device, torch.bfloat16) if name == "bfloat16" else nullcontext()
