"""Training: image-centric stochastic gradient descent on L = Lcls + Lbox + Lmask and the RPN's two.

A run is a function of its seed: which images make up step i, and which anchors and RoIs are drawn
in it, follow from (seed, i) alone. So a run that was killed goes on from its last checkpoint as if
nothing had happened, and on a CPU it ends with the same bits.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights import load_state, read, save

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Training:
    """How to train. The defaults suit Config.tiny() on a laptop."""

    steps: int = 300
    batch_size: int = 4  # images a step; 8 make better models in twice the time
    optimizer: Literal["adamw", "sgd"] = "adamw"  # sgd with momentum 0.9 is the paper's
    learning_rate: float = 3e-3  # the highest; 0.02 for the paper's 16 images a step and sgd
    warmup: float = 0.1  # share of the steps in which the rate rises from 0; then it falls to 0
    weight_decay: float = 1e-4
    clip_norm: float = 5.0  # gradients longer than this are shortened to it
    seed: int = 0  # of the order of the images and the choice of anchors and RoIs
    checkpoint_every: int = 100  # steps; a run that is killed goes on from the last one
    workers: int = 0  # processes that prepare images beside the training


def fit(
    model: MaskRCNN,
    dataset,
    training: Training | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train the model in place; the losses of every step, a dict of floats each.

    dataset: a sequence of (image, target) with `classes`. folder: where checkpoints go, and from
    where the run is taken up if there is one of the same settings; None keeps nothing. Raises
    FloatingPointError if a loss is not finite, naming the loss and the images, and ValueError if
    the folder holds a run with other settings.
    """
    training = training or Training()
    run = steps(model, dataset, training, folder)
    losses = next(run)
    bar = tqdm(run, "train", training.steps, initial=len(losses), disable=not progress)
    for losses in bar:
        bar.set_postfix_str(f"loss {sum(losses[-1].values()):.3f}")
    return losses


def steps(
    model: MaskRCNN, dataset, training: Training, folder: str | Path | None = None
) -> Iterator[list[dict[str, float]]]:
    """The losses so far, before the first step and after each: `fit`, for who looks on.

    Between two steps the model may be asked anything: `detect` leaves its mode as it was.
    """
    if len(dataset) == 0:
        raise ValueError("the data set is empty: there is nothing to train on")
    model.classes = list(dataset.classes)
    model.train()
    optimizer = make_optimizer(model, training)
    losses = resume(model, optimizer, training, dataset, folder)
    device = next(model.parameters()).device
    yield losses

    for images, targets in loader(dataset, training, first_step=len(losses)):
        step = len(losses)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, training)
        generator = torch.Generator(device).manual_seed(training.seed * 1_000_003 + step)
        parts = model(images, targets, generator)
        check_finite(parts, model, images, targets, step)

        optimizer.zero_grad()
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        optimizer.step()

        losses.append({name: loss.item() for name, loss in parts.items()})
        last = len(losses) == training.steps
        if folder is not None and (last or len(losses) % training.checkpoint_every == 0):
            keep(model, optimizer, training, dataset, losses, folder)
        yield losses
    model.eval()


def learning_rate(step: int, training: Training) -> float:
    """The rate of a step: a straight rise, then half a cosine down to 0."""
    rise = max(1, round(training.warmup * training.steps))
    if step < rise:
        return training.learning_rate * (step + 1) / rise
    fallen = (step - rise) / max(1, training.steps - rise)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * fallen))


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer of the settings over all parameters that are to be trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=decay, fused=True)
    raise ValueError(f"optimizer is {training.optimizer!r}: choose 'adamw' or 'sgd'")


def loader(dataset, training: Training, first_step: int = 0) -> DataLoader:
    """Batches (list of images, list of targets) for the steps from `first_step` on."""
    steps = step_indices(len(dataset), training)
    indices = [batch for step, batch in enumerate(steps) if step >= first_step]
    return DataLoader(
        dataset,
        batch_sampler=indices,
        collate_fn=lambda items: tuple(zip(*items, strict=True)),
        num_workers=training.workers,
    )


def step_indices(n: int, training: Training) -> Iterator[list[int]]:
    """For every step the indices of its images: all n in random order, again and again."""
    generator = torch.Generator().manual_seed(training.seed)
    rounds = (torch.randperm(n, generator=generator).tolist() for _ in count())
    stream = chain.from_iterable(rounds)
    for _ in range(training.steps):
        yield list(islice(stream, training.batch_size))


def check_finite(parts: dict[str, Tensor], model, images, targets, step: int) -> None:
    """Raises FloatingPointError that names the loss and the images if a loss is NaN or infinite."""
    bad = [name for name, loss in parts.items() if not loss.isfinite()]
    if not bad:
        return
    with torch.no_grad():
        alone = [sum(model([i], [t]).values()) for i, t in zip(images, targets, strict=True)]
    names = [t.get("image_id", f"number {i} of the batch") for i, t in enumerate(targets)]
    culprits = [name for name, loss in zip(names, alone, strict=True) if not loss.isfinite()]
    raise FloatingPointError(
        f"step {step}: {', '.join(bad)} is not finite; image {culprits or names}. "
        "Lower the learning rate, lengthen the warm-up, or look at these images' annotations"
    )


def keep(model, optimizer, training: Training, dataset, losses, folder: str | Path) -> None:
    """Write the checkpoint from which `resume` goes on."""
    run = {"training": asdict(training), "n_images": len(dataset)}
    run |= {"optimizer": optimizer.state_dict(), "losses": losses}
    save(Path(folder) / CHECKPOINT, model, model.classes, **run)


def resume(
    model, optimizer, training: Training, dataset, folder: str | Path | None
) -> list[dict[str, float]]:
    """The losses so far, with model and optimizer as they then were; [] for a new run."""
    path = Path(folder or ".") / CHECKPOINT
    if folder is None or not path.is_file():
        return []
    kept = read(path)
    if "training" not in kept:
        raise ValueError(f"{path} holds a model but no run to go on from: give another folder")
    found = kept["config"] | kept["training"]
    found |= {"classes": kept["classes"], "n_images": kept["n_images"]}
    asked = asdict(model.config) | asdict(training)
    asked |= {"classes": model.classes, "n_images": len(dataset)}
    differing = [
        f"{name} is {found.get(name)!r} there, {value!r} now"
        for name, value in asked.items()
        if name not in ("checkpoint_every", "workers") and found.get(name) != value
    ]
    if differing:
        raise ValueError(
            f"{path} is of a run with other settings ({'; '.join(differing)}): "
            "give these settings, or another folder"
        )
    load_state(model, kept["model"], str(path))
    optimizer.load_state_dict(kept["optimizer"])
    return kept["losses"]
