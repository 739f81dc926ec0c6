"""Trouble in a training, told early and with advice: losses that are no numbers, wrong labels, a
full memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import isfinite
from pathlib import Path

import torch

from mrcnn_edu.files import write_file
from mrcnn_edu.train.distributed import rank, world_size
from mrcnn_edu.train.recipes import Training

N_FIRST_STEPS = 1_000  # in which a loss that grows means a rate that is too high
DIVERGENCE_FACTOR = 10  # times the first step's loss, for this many steps in a row:
PATIENCE = 3
MIN_FIRST_LOSS = 1.0  # the first step's loss counts as: without objects in it, it says little


def check_start(model, dataset, training: Training) -> None:
    """Raises ValueError unless there is something to learn from, and a place for every class."""
    if len(dataset) == 0:
        raise ValueError("the data set is empty: there is nothing to train on")
    n_classes = getattr(getattr(model, "config", None), "n_classes", len(dataset.classes))
    if len(dataset.classes) <= n_classes:
        return
    for index in range(len(dataset)):
        target = dataset[index][1]
        beyond = target["labels"][target["labels"] > n_classes].tolist()
        if beyond:
            name = target.get("image_id", f"number {index}")
            has = f", and image {name} has label {beyond[0]}"
            break
    else:
        has = ""
    raise ValueError(
        f"the data set has {len(dataset.classes)} classes, the model {n_classes}{has}: make the "
        f"model with n_classes={len(dataset.classes)}"
    )


def check_finite(
    values: dict[str, float], model, images, targets, step: int, folder: str | Path | None = None
) -> None:
    """Raises FloatingPointError that names the loss and the images if a loss is NaN or infinite.

    values: the losses of all processes together. The batch is written into the folder, if there is
    one, so that it can be studied: `torch.load` gives its images, targets and step.
    """
    bad = [name for name, value in values.items() if not isfinite(value)]
    if not bad:
        return
    with torch.no_grad():
        alone = [sum(model([i], [t]).values()) for i, t in zip(images, targets, strict=True)]
    names = [t.get("image_id", f"number {i} of the batch") for i, t in enumerate(targets)]
    culprits = [name for name, loss in zip(names, alone, strict=True) if not loss.isfinite()]
    whose, where = f"image {culprits or names}", ""
    if world_size() > 1:
        others = "" if culprits else ", or images of other processes"
        whose += f" of process {rank()}{others}"
    if folder is not None:
        name = f"batch-of-step-{step}" + (f"-process-{rank()}" if world_size() > 1 else "")
        contents, path = BytesIO(), Path(folder) / f"{name}.pt"
        torch.save({"images": list(images), "targets": list(targets), "step": step}, contents)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, contents.getvalue())
        where = f". The batch is in {path}"
    raise FloatingPointError(
        f"step {step}: {', '.join(bad)} is not finite; {whose}. "
        "Lower the learning rate, lengthen the warm-up, or look at these images' annotations"
        f"{where}"
    )


def check_divergence(losses: list[dict[str, float]], training: Training) -> None:
    """Raises FloatingPointError if the loss has grown so far in the first steps that it is lost.

    losses: of all steps so far. The measure is the first step's sum of losses, or 1 if it is less.
    """
    if not PATIENCE < len(losses) <= N_FIRST_STEPS:
        return
    first = sum(losses[0].values())
    limit = DIVERGENCE_FACTOR * max(first, MIN_FIRST_LOSS)
    if all(sum(parts.values()) > limit for parts in losses[-PATIENCE:]):
        raise FloatingPointError(
            f"step {len(losses) - 1}: the loss is {sum(losses[-1].values()):.3g}, after "
            f"{first:.3g} in the first step: the training has blown up. Lower the learning rate "
            f"({training.learning_rate:g} for {training.batch_size} images a step), or lengthen "
            f"the warm-up ({training.warmup_fraction:g} of the steps)"
        )


@contextmanager
def advice_on_memory(images, training: Training) -> Iterator[None]:
    """Inside, running out of memory is told with what to lower."""
    try:
        yield
    except RuntimeError as error:  # OutOfMemoryError is one; a CPU's has no name of its own
        if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)):
            raise
        largest = max(
            (tuple(image.shape[-2:]) for image in images), key=lambda size: size[0] * size[1]
        )
        raise torch.OutOfMemoryError(
            f"the memory is full with {len(images)} images of up to {largest[0]} x {largest[1]} at "
            f"a time: raise grad_accumulation ({training.grad_accumulation}), choose precision bfloat16, turn on "
            "activation_checkpointing, or lower batch_size (and the learning rate with it) or the model's "
            f"short_side ({error})"
        ) from error
