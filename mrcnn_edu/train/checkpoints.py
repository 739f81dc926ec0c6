"""Checkpoints: a run that was stopped or killed resumes from its last one.

A checkpoint holds all that a run needs: model, optimizer, losses so far, settings. It holds no
random state, because what a step draws follows from the seed and the step's number.

A checkpoint is first written completely under another name and then renamed, and the one before is
kept. So at any moment there is a good one, even when the disk is full or the last one is damaged.
"""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.files import file_lock
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.distributed import check_same, rank
from mrcnn_edu.train.recipes import Training
from mrcnn_edu.weights import check_parts, load_state, read, save

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-before.pt"
DAMAGED = "checkpoint-damaged.pt"
LOCK = "training.lock"
PARTS = {"config": dict, "model": dict, "training": dict, "optimizer": dict, "losses": list}
FREE_TO_CHANGE = "checkpoint_every", "workers", "activation_checkpointing"  # same result with any


def save_checkpoint(
    model: MaskRCNN,
    optimizer: torch.optim.Optimizer,
    training: Training,
    dataset: Any,
    losses: list[dict[str, float]],
    folder: str | Path,
) -> None:
    """Write the checkpoint from which `resume` continues; of several processes, process 0 does."""
    if rank() > 0:
        return
    run = {"training": asdict(training), **dataset_identity(dataset)}
    run |= {"optimizer": optimizer.state_dict(), "losses": losses, "frozen": frozen_layers(model)}
    last, new = Path(folder) / CHECKPOINT, Path(folder) / f"{CHECKPOINT}.new"
    save(new, model, model.classes, **run)
    if last.exists():
        os.replace(last, last.with_name(PREVIOUS))
    os.replace(new, last)


def latest_checkpoint(folder: str | Path | None) -> tuple[Path, dict] | None:
    """The path and the contents of the last checkpoint that can be read; None if there is none.

    Warns if a damaged one is skipped, and raises its ValueError if there is no other.
    """
    damaged = None
    for name in (CHECKPOINT, PREVIOUS):
        path = None if folder is None else Path(folder) / name
        if path is None or not path.is_file():
            continue
        try:
            contents = read(path)
        except ValueError as error:
            damaged = damaged or error
            continue
        if damaged is not None:
            warnings.warn(f"{damaged}. The run resumes from {path}", stacklevel=2)
        return path, contents
    if damaged is not None:
        raise damaged
    return None


def resume(
    model: MaskRCNN,
    optimizer: torch.optim.Optimizer,
    training: Training,
    dataset: Any,
    folder: str | Path | None,
) -> list[dict[str, float]]:
    """The losses so far; model and optimizer are restored. A new run has [] and starts as it is.

    Raises ValueError, naming what differs, if the folder's run has other settings or data.
    """
    found = latest_checkpoint(folder)
    losses = [] if found is None else found[1].get("losses", [])
    check_same(len(losses) if isinstance(losses, list) else -1, "the number of steps done")
    if found is None:
        return []
    path, saved = found
    last = path.with_name(CHECKPOINT)
    if path != last and last.exists() and rank() == 0:
        os.replace(last, last.with_name(DAMAGED))  # or the next one would replace the good one
    if "training" not in saved:
        raise ValueError(f"{path} is a model, not a run to resume: give another folder")
    check_parts(saved, str(path), PARTS)
    differences = _differences(saved, model, training, dataset)
    if differences:
        raise ValueError(
            f"{path} is of a run with other settings ({'; '.join(differences)}): "
            "give these settings, or another folder"
        )
    load_state(model, saved["model"], str(path))
    try:
        optimizer.load_state_dict(saved["optimizer"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} cannot be resumed, as its optimizer's state is incomplete ({error!r}): remove "
            f"the file, and the run resumes from {PREVIOUS}, or starts again"
        ) from error
    except ValueError as error:  # a file without "frozen"
        raise ValueError(
            f"{path} is of a run that trained other layers: freeze the same ones (requires_grad_), "
            "or give another folder"
        ) from error
    return saved["losses"]


def _differences(saved: dict, model: MaskRCNN, training: Training, dataset: Any) -> list[str]:
    """The settings and data that were others when the checkpoint was saved, in words."""
    data = {"classes": model.classes, **dataset_identity(dataset)}
    if saved["training"].get("frozen_stages", 0) == training.frozen_stages:  # or else that is said
        data["frozen"] = frozen_layers(model)
    before = {field.name: field.default for field in fields(model.config)}  # old files lack some
    before |= saved["config"] | asdict(Training()) | saved["training"]
    before |= {name: saved.get(name, value) for name, value in data.items()}
    now = asdict(model.config) | asdict(training) | data
    return [
        f"{name} was {before.get(name)!r}, and is {value!r} now"
        for name, value in now.items()
        if name not in FREE_TO_CHANGE and before.get(name) != value
    ]


def frozen_layers(model: nn.Module) -> list[str]:
    """The names of the layers and parameters that are not trained; of a layer, not those inside."""
    frozen: list[str] = []
    for name, part in [*model.named_modules(), *model.named_parameters()]:
        parameters = [part] if isinstance(part, nn.Parameter) else [*part.parameters()]
        is_inside = any(name.startswith(f"{outer}.") for outer in frozen)
        if name and parameters and not is_inside and not any(p.requires_grad for p in parameters):
            frozen.append(name)
    return frozen


def dataset_identity(dataset: Any) -> dict[str, int | str]:
    """What distinguishes a dataset from others: its length, its augmentation, its fingerprint."""
    items = as_dataset(dataset)
    return {
        "n_images": len(items),
        "augmentation": items.augmentation,
        "data": items.fingerprint,
    }


@contextmanager
def locked(folder: str | Path | None) -> Iterator[None]:
    """Inside, no other run can use the folder.

    Of several processes that train together, process 0 holds the lock. Raises BlockingIOError if
    another run has it.
    """
    if folder is None or rank() > 0:
        yield
        return
    with file_lock(Path(folder) / LOCK, wait=False):
        yield


class Terminated(SystemExit):
    """The run was asked to end (SIGTERM) and has saved its last step; the exit code is 143."""

    def __init__(self, folder: str | Path | None):
        super().__init__(143)
        self.folder = folder
        self.message = "nothing was kept, because there is no folder for checkpoints"
        if folder is not None:
            self.message = f"{Path(folder) / CHECKPOINT} has the last step"

    def __reduce__(self):  # so that it can be sent to another process
        return type(self), (self.folder,)

    def __str__(self) -> str:
        return self.message


class Sigterm:
    """A context in which SIGTERM is only noted; calling it returns whether the signal has come.

    Clusters send this signal some seconds before they kill a process. Python delivers signals to
    the main thread alone, so in other threads the answer is always False.
    """

    def __enter__(self) -> "Sigterm":
        self.received = False
        self.in_main_thread = threading.current_thread() is threading.main_thread()
        if self.in_main_thread:
            self.previous_handler = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.in_main_thread:
            signal.signal(signal.SIGTERM, self.previous_handler)

    def __call__(self) -> bool:
        return self.received

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.received = True
