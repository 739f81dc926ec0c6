"""The clock of the speedrun: minutes in which an entry trained until its model was good enough.

The clock runs only while the entry's own code does. A model is scored on scenes that training may
not use; once it has reached the target, it is scored again on scenes from a seed that nobody knew,
so that a model that was fitted to the first ones is found out.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.speedrun.entries import Entry

TARGET = 60.0  # mask AP, in percent
SCENES = Shapes(300, seed=1)  # to score on; entries take other seeds
TOLERANCE = 2.0  # AP that the score on unknown scenes may lie below the target: 300 scenes are few
CORES = 2


@dataclass(frozen=True)
class Attempt:
    """What came of an entry with one seed."""

    seed: int
    minutes: float  # in which the entry's code ran
    curve: list[tuple[float, float]]  # minutes, and mask AP in percent, of each scored model
    unseen: float | None  # mask AP on unknown scenes, or None if the target was not reached

    def is_valid(self, target: float = TARGET) -> bool:
        """Whether the target was reached, and on the unknown scenes almost."""
        return self.unseen is not None and self.unseen >= target - TOLERANCE


def attempt(entry: Entry, seed: int, target: float = TARGET, limit: float = 60) -> Attempt:
    """Run an entry until its model reaches the target, or gives up, or `limit` minutes are over.

    Raises TypeError if it yields something other than a MaskRCNN, and what the entry raises.
    """
    curve: list[tuple[float, float]] = []
    seconds = 0.0
    title = f"{entry.name}, seed {seed}"
    with two_cores(), progress_bar(total=int(target), description=title) as bar:
        run = iter(entry.train(seed))
        while seconds < 60 * limit:
            start = time.perf_counter()
            model = next(run, None)
            seconds += time.perf_counter() - start
            if model is None:
                break
            if not isinstance(model, MaskRCNN):
                raise TypeError(f"{entry.name} yields {type(model).__name__}: yield the MaskRCNN")
            score = mask_ap(model, SCENES)
            curve.append((seconds / 60, score))
            bar.update(int(min(score, target)) - bar.n)
            bar.set_postfix_str(f"mask AP {score:.1f} after {seconds / 60:.1f} minutes")
            if score >= target:
                unknown = replace(SCENES, seed=2**32 + secrets.randbelow(2**32))
                return Attempt(seed, seconds / 60, curve, mask_ap(model, unknown))
    return Attempt(seed, seconds / 60, curve, None)


def mask_ap(model: MaskRCNN, scenes: Shapes) -> float:
    """Mask AP in percent."""
    found = detect_all(model, scenes, progress=False)
    return 100 * evaluate(scenes, found, "segm", progress=False).ap


@contextmanager
def two_cores() -> Iterator[None]:
    """Inside, PyTorch has two threads, and on Linux all processes two of the cores."""
    threads = torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    torch.set_num_threads(CORES)
    if cores:
        os.sched_setaffinity(0, sorted(cores)[:CORES])
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if cores:
            os.sched_setaffinity(0, cores)
