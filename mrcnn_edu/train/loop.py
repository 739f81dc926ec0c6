"""Training: image-centric stochastic gradient descent on L = Lcls + Lbox + Lmask and the RPN's two.

A run is a function of its seed: which images make up step i, and which anchors and RoIs are drawn
in it, follow from (seed, i) alone. So a run that was killed goes on from its last checkpoint as if
nothing had happened, and on a CPU it ends with the same bits (with as many threads: a sum in
another order has other last bits). On a GPU the same images and the same anchors and RoIs are
drawn, but cuDNN's and the scatters' sums have no fixed order, so two runs drift apart, as runs of
two seeds do; torch.use_deterministic_algorithms(True) makes most of it fixed, and slower.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.batches import loader, micro_batches
from mrcnn_edu.train.checkpoints import Sigterm, Terminated, resume, save_checkpoint
from mrcnn_edu.train.diagnostics import (
    advice_on_memory,
    check_divergence,
    check_finite,
    check_start,
)
from mrcnn_edu.train.distributed import (
    any_rank,
    mean,
    no_sync_if,
    parallel,
    rank,
    share_losses,
)
from mrcnn_edu.train.memory import low_memory
from mrcnn_edu.train.metrics import CSVLogger, format_losses
from mrcnn_edu.train.recipes import Training, frozen, learning_rate, make_optimizer


def fit(
    model: MaskRCNN,
    dataset,
    training: Training | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
    callbacks: tuple[Callable, ...] = (),
) -> list[dict[str, float]]:
    """Train the model in place; the losses of every step, a dict of floats each.

    dataset: a sequence of (image, target) with `classes`. folder: where checkpoints and losses.csv
    go, and from where the run is taken up if there is one of the same settings; None keeps nothing.
    callbacks: each is called with the losses so far after every step. Raises FloatingPointError if a
    loss is not finite, naming the loss and the images, or has blown up; ValueError if the folder
    holds a run with other settings; Terminated, with the last step kept, at SIGTERM.
    """
    training = training or Training()
    with Sigterm() as sigterm:
        run = steps(model, dataset, training, folder, sigterm)
        losses = next(run)
        callbacks = CSVLogger(folder, training, losses), *callbacks
        shown = progress and rank() == 0
        bar = tqdm(run, "train", training.steps, initial=len(losses), disable=not shown)
        for losses in bar:
            if shown:
                bar.set_postfix_str(
                    format_losses(losses[-1], training.batch_size * (bar.format_dict["rate"] or 0))
                )
            for callback in callbacks:
                callback(losses)
            check_divergence(losses, training)
    return losses


def steps(
    model: MaskRCNN,
    dataset,
    training: Training,
    folder: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[dict[str, float]]]:
    """The losses so far, before the first step and after each: `fit`, for who looks on.

    Between two steps the model may be asked anything: `detect` leaves its mode as it was. stop: if
    it says yes, the step is kept and Terminated raised.
    """
    check_start(model, dataset, training)
    model.classes = list(dataset.classes)
    model.train()
    with frozen(model, training.frozen_stages):
        optimizer = make_optimizer(model, training)
        losses = resume(model, optimizer, training, dataset, folder)
        network = parallel(model)
        yield losses

        for images, targets in loader(dataset, training, first_step=len(losses)):
            step = len(losses)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, training)
            optimizer.zero_grad()
            losses.append(backward(model, network, images, targets, training, step, folder))
            nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
            optimizer.step()

            stopped = any_rank(stop())
            due = len(losses) % training.checkpoint_every == 0 or len(losses) == training.steps
            if folder is not None and (due or stopped):
                save_checkpoint(model, optimizer, training, dataset, losses, folder)
            yield losses
            if stopped:
                raise Terminated(folder)
    model.eval()


def backward(
    model, network, images, targets, training: Training, step: int, folder: str | Path | None
) -> dict[str, float]:
    """The losses of a step. The gradients of their sum are added to those of the parameters.

    network: the model, or what makes it one of several processes. Taken in parts, the losses and
    gradients are the means of the parts'; each part's are divided by its own rows.
    """
    n, of_parts = training.grad_accumulation, []
    device = next(model.parameters()).device
    for part in micro_batches(images, targets, training, step, device):
        not_yet = len(of_parts) < n - 1
        with (
            low_memory(model, training),
            no_sync_if(network, not_yet),
            advice_on_memory(part[0], training),
        ):
            losses = share_losses(network(*part))
            values = mean(torch.stack([*losses.values()]).tolist())
            of_parts.append(dict(zip(losses, values, strict=True)))
            check_finite(of_parts[-1], model, *part[:2], step, folder)
            (sum(losses.values()) / n).backward()
    return {name: sum(values[name] for values in of_parts) / n for name in of_parts[0]}
