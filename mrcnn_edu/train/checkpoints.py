"""Checkpoints: a run that is stopped, killed or out of disk space goes on from its last one.

A checkpoint has all that a run needs: model, optimizer, losses so far, settings. Nothing random is
in it: what a step draws follows from the seed and the step's number. It is written whole beside the
last one and takes its place then, and the one before is kept: so at any moment there is a good one,
also if the disk is full or the last one has been damaged.
"""

import os
import signal
import threading
import warnings
from dataclasses import asdict
from pathlib import Path

from mrcnn_edu.train.distributed import check_same, rank
from mrcnn_edu.train.recipes import Training
from mrcnn_edu.weights import load_state, read, save

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-before.pt"
DAMAGED = "checkpoint-damaged.pt"
FREE_TO_CHANGE = (
    "checkpoint_every",
    "workers",
    "activation_checkpointing",
)  # they do not change the result


def save_checkpoint(
    model, optimizer, training: Training, dataset, losses, folder: str | Path
) -> None:
    """Write the checkpoint from which `resume` goes on; with several processes the first does."""
    if rank() > 0:
        return
    run = {"training": asdict(training), **dataset_identity(dataset)}
    run |= {"optimizer": optimizer.state_dict(), "losses": losses}
    last, new = Path(folder) / CHECKPOINT, Path(folder) / f"{CHECKPOINT}.new"
    save(new, model, model.classes, **run)
    if last.exists():
        os.replace(last, last.with_name(PREVIOUS))
    os.replace(new, last)


def latest_checkpoint(folder: str | Path | None) -> tuple[Path, dict] | None:
    """The path and the contents of the last checkpoint that can be read; None if there is none.

    Warns of a damaged one that is passed over; raises its ValueError if no other is left.
    """
    damaged = None
    for name in (CHECKPOINT, PREVIOUS) if folder is not None else ():
        path = Path(folder) / name
        if not path.is_file():
            continue
        try:
            contents = read(path)
        except ValueError as error:
            damaged = damaged or error
            continue
        if damaged is not None:
            warnings.warn(f"{damaged}. The run goes on from {path}", stacklevel=2)
        return path, contents
    if damaged is not None:
        raise damaged
    return None


def resume(
    model, optimizer, training: Training, dataset, folder: str | Path | None
) -> list[dict[str, float]]:
    """The losses so far, with model and optimizer as they then were; [] for a new run."""
    found = latest_checkpoint(folder)
    check_same(0 if found is None else len(found[1].get("losses", [])), "the number of steps kept")
    if found is None:
        return []
    path, kept = found
    last = path.with_name(CHECKPOINT)
    if path != last and last.exists() and rank() == 0:  # or it would replace the good one
        os.replace(last, last.with_name(DAMAGED))
    if "training" not in kept:
        raise ValueError(f"{path} holds a model but no run to go on from: give another folder")
    there = kept["config"] | asdict(Training()) | kept["training"]
    asked = asdict(model.config) | asdict(training)
    now = {"classes": model.classes, **dataset_identity(dataset)}
    asked |= now
    there |= {name: kept.get(name, value) for name, value in now.items()}  # older ones lack some
    differing = [
        f"{name} is {there.get(name)!r} there, {value!r} now"
        for name, value in asked.items()
        if name not in FREE_TO_CHANGE and there.get(name) != value
    ]
    if differing:
        raise ValueError(
            f"{path} is of a run with other settings ({'; '.join(differing)}): "
            "give these settings, or another folder"
        )
    load_state(model, kept["model"], str(path))
    optimizer.load_state_dict(kept["optimizer"])
    return kept["losses"]


def dataset_identity(dataset) -> dict[str, int | str]:
    """What tells a data set from others: how many images, what is done to them, which they are."""
    return {
        "n_images": len(dataset),
        "augmentation": getattr(dataset, "augmentation", "none"),
        "data": getattr(dataset, "fingerprint", ""),
    }


class Terminated(SystemExit):
    """The run was asked to end (SIGTERM) and has kept its last step; the exit code is 143."""

    def __init__(self, folder: str | Path | None):
        super().__init__(143)
        kept = "nothing was kept, for there is no folder for checkpoints"
        self.message = kept if folder is None else f"{Path(folder) / CHECKPOINT} has the last step"
        self.folder = folder

    def __reduce__(self):  # so that another process can hear of it
        return type(self), (self.folder,)

    def __str__(self) -> str:
        return self.message


class Sigterm:
    """Called, it says whether the process was asked to end since it was entered (SIGTERM).

    A cluster gives this warning some seconds before it kills. Only a program's main thread hears
    of signals; in another one the answer is always no.
    """

    def __enter__(self) -> "Sigterm":
        self.asked = False
        self.hears = threading.current_thread() is threading.main_thread()
        if self.hears:
            self.before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_) -> None:
        if self.hears:
            signal.signal(signal.SIGTERM, self.before)

    def __call__(self) -> bool:
        return self.asked

    def _note(self, *_) -> None:
        self.asked = True
