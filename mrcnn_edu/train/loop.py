"""The training loop: image-centric SGD on the sum of Mask R-CNN's losses (section 3.1).

A run is a function of its seed: which images make up step i, and which anchors and RoIs are sampled
in it, follow from (seed, i) alone. So a run that was killed resumes from its last checkpoint as if
nothing had happened, and on a CPU it ends with the same bits, given the same number of threads: a
sum in another order has other last bits.

On a GPU the same images, anchors and RoIs are drawn, but cuDNN and scatter operations add up in no
fixed order, so two runs drift apart, as runs with two seeds do.
torch.use_deterministic_algorithms(True) fixes most of it, and is slower.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mrcnn_edu.data.dataset import Dataset, as_dataset
from mrcnn_edu.eval_mode import shared_copy
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.train.batches import loader, micro_batches
from mrcnn_edu.train.checkpoints import Sigterm, Terminated, locked, resume, save_checkpoint
from mrcnn_edu.train.diagnostics import (
    advice_on_memory,
    check_divergence,
    check_finite,
    check_start,
)
from mrcnn_edu.train.distributed import any_rank, mean, no_sync_if, parallel, rank, share_losses
from mrcnn_edu.train.memory import low_memory
from mrcnn_edu.train.metrics import CSVLogger, format_losses
from mrcnn_edu.train.recipes import Training, frozen, learning_rate, make_optimizer

Callback = Callable[[list[dict[str, float]]], None]  # called with the losses of all steps so far


def fit(
    model: MaskRCNN,
    dataset: Any,
    training: Training | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> list[dict[str, float]]:
    """Train the model in place. Returns the losses of every step, as a dict of floats each.

    dataset: a sequence of (image, target) with `classes`. folder: for checkpoints and losses.csv;
    if it has a checkpoint of a run with the same settings, the run resumes from it. With None,
    nothing is kept. callbacks: each is called with the losses so far after every step.

    Raises FloatingPointError if a loss is not finite (naming the loss and the images) or diverges;
    ValueError if the folder holds a run with other settings; BlockingIOError if another run is
    using it; Terminated, after saving the last step, on SIGTERM.
    """
    training = training or Training()
    with Sigterm() as sigterm, closing(steps(model, dataset, training, folder, sigterm)) as run:
        losses = next(run)
        logger = CSVLogger(folder, training, losses)
        shown = progress and rank() == 0
        bar = progress_bar(run, "train", training.steps, initial=len(losses), disable=not shown)
        for losses in bar:
            if shown:
                images_per_second = training.batch_size * (bar.format_dict["rate"] or 0)
                bar.set_postfix_str(format_losses(losses[-1], images_per_second))
            for callback in (logger, *callbacks):
                callback(losses)
            check_divergence(losses, training)
    return losses


def steps(
    model: MaskRCNN,
    dataset: Any,
    training: Training,
    folder: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[list[dict[str, float]], None, None]:
    """Generator form of `fit`: yields the losses so far, before the first step and after each.

    Between two steps the model can be used: `detect` leaves its mode unchanged. stop: called after
    each step; if it returns True, the step is saved and Terminated raised. The folder is locked
    until the generator ends or is closed.
    """
    data = as_dataset(dataset)
    check_start(model, data)
    take_names(model, data)
    model.train()
    with locked(folder), frozen(model, training.frozen_stages):
        optimizer = make_optimizer(model, training)
        losses = resume(model, optimizer, training, data, folder)
        saves_memory = training.activation_checkpointing or training.precision != "float32"
        learner = shared_copy(model) if saves_memory else model  # others may `detect` meanwhile
        network = parallel(learner)
        yield losses

        for images, targets in loader(data, training, first_step=len(losses)):
            step = len(losses)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, training)
            optimizer.zero_grad()
            losses.append(backward(learner, network, images, targets, training, step, folder))
            nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
            optimizer.step()

            stopped = any_rank(stop())
            due = len(losses) % training.checkpoint_every == 0 or len(losses) == training.steps
            if folder is not None and (due or stopped):
                save_checkpoint(model, optimizer, training, data, losses, folder)
            yield losses
            if stopped:
                raise Terminated(folder)
    model.eval()


def take_names(model: MaskRCNN, data: Dataset) -> None:
    """Call the model's classes, and its keypoints if it has some, as the data does."""
    model.classes = list(data.classes)
    head = getattr(model, "keypoint_head", None)  # other networks are trained here, too
    if head is not None and data.keypoints:
        head.keypoints, head.skeleton = list(data.keypoints), list(data.skeleton)


def with_progress(
    run: Iterable[list[dict[str, float]]], n_steps: int, title: str = "train"
) -> Iterator[list[dict[str, float]]]:
    """What `steps` yields, with a progress bar up to n_steps."""
    with progress_bar(total=n_steps, description=title) as bar:
        for losses in run:
            bar.update(len(losses) - bar.n)
            yield losses


def backward(
    model: MaskRCNN,
    network: nn.Module,
    images: Sequence[Tensor],
    targets: Sequence[dict],
    training: Training,
    step: int,
    folder: str | Path | None,
) -> dict[str, float]:
    """The losses of a step; the gradients of their sum are added to those of the parameters.

    network: the model itself, or wrapped for several processes. With gradient accumulation, losses
    and gradients are means over the micro-batches, each of which averages over its own rows.
    """
    n = training.grad_accumulation
    device = next(model.parameters()).device
    values: list[dict[str, float]] = []  # of each micro-batch
    for part in micro_batches(images, targets, training, step, device):
        is_last = len(values) == n - 1
        with (
            low_memory(model, training),
            no_sync_if(not is_last, network),
            advice_on_memory(part.images, training),
        ):
            losses = share_losses(network(part.images, part.targets, part.generators))
            stacked = torch.stack([*losses.values()])
            values.append(dict(zip(losses, mean(stacked.tolist()), strict=True)))
            check_finite(values[-1], model, part.images, part.targets, step, folder)
            (stacked.sum() / n).backward()
    return {name: sum(part[name] for part in values) / n for name in values[0]}
