"""What the parts of gpu.py share: sizes, alternating measurements, peak memory, precision."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import torch

Runs = dict[str, Callable[[], object]]  # by name: "ours" and what it is compared with


@dataclass(frozen=True)
class Sizes:
    """The sizes of all inputs, and how often each work is measured."""

    device: str
    image: tuple[int, int]  # (height, width) of all images
    tiny: bool  # Config.tiny() instead of the paper's ResNet-50-FPN
    n_bytes_copied: int  # to measure the memory bandwidth
    channels: int  # of the feature maps that RoIAlign reads
    n_rois: int  # in each image
    roi_batches: tuple[int, ...]  # numbers of images for RoIAlign
    roi_output_sizes: tuple[int, ...]  # P
    n_boxes: tuple[int, ...]  # numbers of boxes for NMS
    n_masks: int  # to paste
    detect_batches: tuple[int, ...]
    step_batches: tuple[int, ...]
    n_objects: int  # in each training image
    min_rounds: int
    min_seconds: float  # for each run of a row


FULL = Sizes(
    device="cuda", image=(800, 1333), tiny=False, n_bytes_copied=2**30, channels=256, n_rois=512,
    roi_batches=(1, 16), roi_output_sizes=(7, 14), n_boxes=(1000, 2000, 5000), n_masks=100,
    detect_batches=(1, 8), step_batches=(2, 16), n_objects=7, min_rounds=5,
    min_seconds=1,
)  # fmt: skip
TINY = Sizes(
    device="cpu", image=(64, 96), tiny=True, n_bytes_copied=2**20, channels=8, n_rois=16,
    roi_batches=(1, 2), roi_output_sizes=(3,), n_boxes=(50, 100), n_masks=3,
    detect_batches=(1, 2), step_batches=(1, 2), n_objects=3, min_rounds=1,
    min_seconds=0,
)  # fmt: skip


class Case(NamedTuple):
    """One row of a table, before it is measured."""

    work: str
    measure: Callable[[], dict]  # returns {column: value}
    goals: dict[str, tuple[str, float]]  # {column: ("at most" or "at least", number)}


def medians(runs: Runs, sizes: Sizes) -> dict[str, float]:
    """Each run's median time in milliseconds. They take turns: a slow moment hits all of them."""
    for run in runs.values():
        for _ in range(3 if sizes.device == "cuda" else 1):  # compilation and autotuning
            run()
    taken, start = {name: [] for name in runs}, perf_counter()
    for n in range(200):
        if n >= sizes.min_rounds and perf_counter() - start > sizes.min_seconds * len(runs):
            break
        for name, run in runs.items():
            taken[name].append(milliseconds(run, sizes.device))
    return {f"{name}, ms": statistics.median(times) for name, times in taken.items()}


def milliseconds(run: Callable[[], object], device: str) -> float:
    """The time of one run; on a GPU, between two events in its queue."""
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
    """Megabytes that each run allocates at its peak, beyond those before it; {} on a CPU."""
    megabytes = {}
    for name, run in runs.items() if sizes.device == "cuda" else ():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        megabytes[f"{name}, MB"] = (torch.cuda.max_memory_allocated() - before) / 1e6
    return megabytes


def with_ratio(values: dict) -> dict:
    """The values, and the ratio of our time to torchvision's."""
    return values | {"ratio": values["ours, ms"] / values["torchvision, ms"]}


@contextmanager
def set_precision(precision: str, device: str) -> Iterator[None]:
    """Compute float32 products exactly inside, or in tf32 for "tf32" and "bfloat16".

    tf32 rounds the factors of float32 products to 10 bits of mantissa; with bfloat16, what stays in
    float32 is computed in tf32 too. These are the older of PyTorch's switches: until 2.11
    torch.compile fails where the newer ones are set.
    """
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn) if device == "cuda" else ()
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = precision != "float32"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def autocast(precision: str, device: str):
    """A context in which torchvision's operations use bfloat16 where they can, if requested."""
    return torch.autocast(device, torch.bfloat16) if precision == "bfloat16" else nullcontext()
