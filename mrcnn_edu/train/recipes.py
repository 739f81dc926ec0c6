"""Recipes: how a model is trained, and how the paper and two libraries train theirs.

What the recipes say, with the linear scaling rule (`scaled`) for other numbers of images a step:

                 paper                     torchvision        detectron2's 1x
images a step    16                        16                 16
steps            160k                      26 passes, 190k    90k
rate             0.02                      0.02               0.02
a tenth of it    from 120k on              passes 16 and 22   60k, 80k
warm-up          none is told              1,000 steps        1,000 steps
weight decay     1e-4                      1e-4               1e-4
RoIs an image    64 (C4), 512 (FPN), 1:3   512, 1:3           512, 1:3
frozen           stem, first stage         stem, first stage  stem, first stage
mirror images    half                      half               half
short side       800                       800                640 to 800, at random

That the paper's models were trained with frozen layers and mirror images is in its code alone.

Where a run with such a recipe differs from the paper, and why:

setting          paper              here            because
warm-up          none is told       1,000 steps     at the full rate a fresh head can diverge
RPN              by itself          with the rest   one training for all; table 8 of the paper too
smooth L1        turns at 1         at 1/9          torchvision's, whose weights are loaded here
ResNet's stride  in the 1x1         in the 3x3      torchvision's ImageNet weights are made so
mask targets     0 or 1             soft            a cell that the outline cuts is told so
NMS              0.3                0.5             the paper's appendix and torchvision
long side        not told           1333 at most    torchvision and detectron2
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation


@dataclass(frozen=True)
class Training:
    """How to train. The defaults suit Config.tiny() on a laptop.

    Raises ValueError for numbers with which nothing is trained.
    """

    steps: int = 300
    batch_size: int = 4  # images a step, of all processes; 8 make better models in twice the time
    optimizer: Literal["adamw", "sgd"] = "adamw"  # sgd with momentum 0.9 is the paper's
    learning_rate: float = 3e-3  # the highest; 0.02 for the paper's 16 images a step and sgd
    warmup_fraction: float = 0.1  # share of the steps in which the rate rises from 0; then it falls
    schedule: Literal["cosine", "steps"] = "cosine"  # it falls in half a cosine to 0, or in steps
    milestones: tuple[float, ...] = (0.75,)  # of "steps": from these shares on the rate is a tenth
    weight_decay: float = 1e-4
    clip_norm: float = 5.0  # gradients longer than this are shortened to it
    # Of the backbone so many stages, and the stem before them, stay as they are; 1 from ImageNet.
    frozen_stages: int = 0
    seed: int = 0  # of the order of the images and the choice of anchors and RoIs
    # Who draws anchors and RoIs: one generator for a step, or one for each image, so that it does
    # not matter how images are dealt out. With several processes or parts it is always "image".
    rng_scope: Literal["step", "image"] = "step"
    checkpoint_every: int = 100  # steps; a run that is killed goes on from the last one
    workers: int = 0  # processes that prepare images beside the training
    group_by_shape: bool = False  # wide images come with wide ones: less of a batch is padding
    # Less memory for more time
    grad_accumulation: int = (
        1  # parts that a process takes its images of a step in, one after another
    )
    precision: Literal["float32", "bfloat16"] = "float32"  # of the layers; the rest is float32
    activation_checkpointing: bool = (
        False  # the backbone's maps are computed again when gradients need them
    )

    def __post_init__(self):
        for name in ("steps", "batch_size", "checkpoint_every", "grad_accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give 1 or more")


@dataclass(frozen=True)
class Recipe:
    """A model, how it is trained, and what is done to the images."""

    model: Config
    training: Training
    augmentation: Augmentation


# Gradients are not shortened there, so they are not here.
PAPER = Training(
    steps=160_000, batch_size=16, optimizer="sgd", learning_rate=0.02, warmup_fraction=1 / 160,
    schedule="steps", milestones=(0.75,), clip_norm=math.inf, frozen_stages=1, checkpoint_every=1_000,
    workers=4,
)  # fmt: skip
FLIP = Augmentation(flip=0.5)
RECIPES = {
    "paper-fpn": Recipe(Config(), PAPER, FLIP),
    "paper-c4": Recipe(Config.c4(), PAPER, FLIP),
    "torchvision": Recipe(
        Config(),
        replace(PAPER, steps=190_000, warmup_fraction=1 / 190, milestones=(16 / 26, 22 / 26)),
        FLIP,
    ),
    "detectron2-1x": Recipe(
        Config(rpn_post_nms_top_n_train=1000),
        replace(PAPER, steps=90_000, warmup_fraction=1 / 90, milestones=(2 / 3, 8 / 9)),
        replace(FLIP, short_sides=(640, 672, 704, 736, 768, 800)),
    ),
}


def scaled(training: Training, batch_size: int) -> Training:
    """The same training with another number of images a step: as many images are seen in all.

    The linear scaling rule (Goyal et al. 2017): a step of half the images goes half as far, so the
    rate is halved and the steps are doubled, those of the warm-up too.
    """
    factor = batch_size / training.batch_size
    rate, steps = training.learning_rate * factor, round(training.steps / factor)
    return replace(training, batch_size=batch_size, learning_rate=rate, steps=steps)


def learning_rate(step: int, training: Training) -> float:
    """The rate of a step: a straight rise, then half a cosine down to 0, or drops to a tenth."""
    rise = max(1, round(training.warmup_fraction * training.steps))
    if step < rise:
        return training.learning_rate * (step + 1) / rise
    if training.schedule == "cosine":
        fallen = (step - rise) / max(1, training.steps - rise)
        return training.learning_rate * 0.5 * (1 + math.cos(math.pi * fallen))
    if training.schedule == "steps":
        dropped = sum(step >= round(share * training.steps) for share in training.milestones)
        return training.learning_rate / 10**dropped
    raise ValueError(f"schedule is {training.schedule!r}: choose 'cosine' or 'steps'")


@contextmanager
def frozen(model: nn.Module, n_stages: int) -> Iterator[None]:
    """Inside, the backbone's stem and first stages are not trained: no gradients, no statistics.

    What they have learned from ImageNet, edges and textures, is right for other images, too.
    Raises ValueError if the backbone has fewer stages.
    """
    if n_stages == 0:
        yield
        return
    if not 0 < n_stages <= len(model.backbone.strides):
        n = len(model.backbone.strides)
        raise ValueError(f"frozen_stages is {n_stages}, the backbone has {n}: give 0 to {n}")
    stages = model.backbone.first_stages(n_stages).eval()  # batch norm counts no longer
    trained = [p for p in stages.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer of the settings over all parameters that are to be trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=decay, fused=True)
    raise ValueError(f"optimizer is {training.optimizer!r}: choose 'adamw' or 'sgd'")
