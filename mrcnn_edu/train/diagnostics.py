"""Diagnostics: what goes wrong in training, reported early and with advice.

Labels that the model has no class for, losses that are not finite, divergence, and memory that is
full.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.files import write_file
from mrcnn_edu.refusals import first_not_finite
from mrcnn_edu.train.distributed import rank, world_size
from mrcnn_edu.train.recipes import Training

N_FIRST_STEPS = 1_000  # later, a growing loss does not mean that the learning rate is too high
DIVERGENCE_FACTOR = 10  # stop when the loss exceeds this multiple of the first loss,
PATIENCE = 3  # in this many consecutive steps
MIN_FIRST_LOSS = 1.0  # a first batch without objects would set the limit too low


def check_start(model: nn.Module, dataset: Any) -> None:
    """Raise ValueError unless there are images, and the model has a class for every label."""
    items = as_dataset(dataset)
    if len(items) == 0:
        raise ValueError("the dataset is empty: there is nothing to train on")
    n_data, config = len(items.classes), getattr(model, "config", None)
    n_model = n_data if config is None else config.n_classes  # any module that has losses will do
    if n_data <= n_model:
        return
    example = ""
    for index in range(len(items)):
        target = items.target(index)
        too_large = target["labels"][target["labels"] > n_model].tolist()
        if too_large:
            name = target.get("image_id", f"number {index}")
            example = f", and image {name} has label {too_large[0]}"
            break
    raise ValueError(
        f"the dataset has {n_data} classes, the model {n_model}{example}: make the model with "
        f"n_classes={n_data}"
    )


def check_finite(
    losses: dict[str, float],
    model: nn.Module,
    images: Sequence[Tensor],
    targets: Sequence[dict],
    step: int,
    folder: str | Path | None = None,
) -> None:
    """Raise FloatingPointError, naming the loss and the images, if a loss is NaN or infinite.

    losses: the means over all processes. The batch is written into the folder, if there is one, so
    that it can be examined: `torch.load` returns its images, targets and step.
    """
    not_finite = [name for name, value in losses.items() if not isfinite(value)]
    if not not_finite:
        return
    weight = first_not_finite(model) if step == 0 else None
    if weight is not None:
        raise FloatingPointError(
            f"step 0: {', '.join(not_finite)} is not finite, because {weight} has values that are "
            "NaN or infinite: load the weights again"
        )
    with torch.no_grad():
        alone = [sum(model([i], [t]).values()) for i, t in zip(images, targets, strict=True)]
    names = [t.get("image_id", f"number {i} of the batch") for i, t in enumerate(targets)]
    culprits = [name for name, loss in zip(names, alone, strict=True) if not isfinite(loss)]
    whose, where = f"image {culprits or names}", ""
    if world_size() > 1:
        others = "" if culprits else ", or images of other processes"
        whose += f" of process {rank()}{others}"
    if folder is not None:
        name = f"batch-of-step-{step}" + (f"-process-{rank()}" if world_size() > 1 else "")
        contents, path = BytesIO(), Path(folder) / f"{name}.pt"
        torch.save({"images": list(images), "targets": list(targets), "step": step}, contents)
        write_file(path, contents.getvalue())
        where = f". The batch is in {path}"
    raise FloatingPointError(
        f"step {step}: {', '.join(not_finite)} is not finite; {whose}. "
        "Lower the learning rate, lengthen the warm-up, or look at these images' annotations"
        f"{where}"
    )


def check_divergence(losses: list[dict[str, float]], training: Training) -> None:
    """Raise FloatingPointError if the loss has grown so much in the first steps that it diverges.

    losses: of all steps so far.
    """
    if not PATIENCE < len(losses) <= N_FIRST_STEPS:
        return
    first = sum(losses[0].values())
    limit = DIVERGENCE_FACTOR * max(first, MIN_FIRST_LOSS)
    if all(sum(step.values()) > limit for step in losses[-PATIENCE:]):
        raise FloatingPointError(
            f"step {len(losses) - 1}: the loss is {sum(losses[-1].values()):.3g}, after "
            f"{first:.3g} in the first step: training diverges. Lower the learning rate "
            f"({training.learning_rate:g} for {training.batch_size} images a step), or lengthen "
            f"the warm-up ({training.warmup_fraction:g} of the steps)"
        )


@contextmanager
def advice_on_memory(images: Sequence[Tensor], training: Training) -> Iterator[None]:
    """Inside, an error for lack of memory says which settings need less."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        sizes = [tuple(image.shape[-2:]) for image in images]
        height, width = max(sizes, key=lambda size: size[0] * size[1])
        raise torch.OutOfMemoryError(
            f"the memory is full with {len(images)} images of up to {height} x {width} at a time: "
            f"raise grad_accumulation ({training.grad_accumulation}), choose precision bfloat16, "
            "turn on activation_checkpointing, or lower batch_size (and the learning rate with it) "
            f"or the model's short_side ({error})"
        ) from error


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, of a GPU or of the computer."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)  # of a CPU
