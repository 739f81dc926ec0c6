"""Recipes: the settings of training, and those of the paper and of two libraries.

The recipes as published. For another number of images in a step, `scaled` applies the linear
scaling rule.

                     paper                     torchvision        detectron2's 1x
images in a step     16                        16                 16
steps                160k                      26 epochs, 190k    90k
learning rate        0.02                      0.02               0.02
divided by 10 at     120k                      epochs 16 and 22   60k, 80k
warm-up              not mentioned             1,000 steps        1,000 steps
weight decay         1e-4                      1e-4               1e-4
RoIs in an image     64 (C4), 512 (FPN), 1:3   512, 1:3           512, 1:3
frozen layers        stem, first stage         stem, first stage  stem, first stage
horizontal flips     half of the images        half               half
short side           800                       800                640 to 800, at random

The paper does not mention its frozen layers and flips; they are in the authors' code.

Where training with such a recipe departs from the paper, and why:

setting          paper               here            reason
warm-up          not mentioned       1,000 steps     a new head can diverge at the full rate
RPN              trained separately  trained jointly one run for all; the paper's table 8 does so
smooth L1        linear from 1       from 1/9        torchvision's, whose weights are loaded here
ResNet's stride  in the 1x1          in the 3x3      torchvision's ImageNet weights have it there
mask targets     0 or 1              0..1            fractions describe pixels that an outline cuts
NMS              0.3                 0.5             the paper's appendix, and torchvision
long side        not mentioned       1333 at most    torchvision and detectron2
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from mrcnn_edu.config import Config, check_number, check_settings
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.model import MaskRCNN

COUNTS = "steps", "batch_size", "checkpoint_every", "grad_accumulation"
NOT_NEGATIVE = "weight_decay", "frozen_stages", "workers"


@dataclass(frozen=True)
class Training:
    """How to train. The defaults suit Config.tiny() on a laptop.

    Raises ValueError for values that cannot be used.
    """

    steps: int = 300  # number of optimizer steps
    batch_size: int = 4  # images in a step, over all processes; 8 learn better in twice the time
    optimizer: Literal["adamw", "sgd"] = "adamw"  # optimizer; the paper's: sgd, momentum 0.9
    learning_rate: float = 3e-3  # highest learning rate; the paper's 0.02 is for 16 images and sgd
    warmup_fraction: float = 0.1  # fraction of the steps in which the learning rate rises from 0
    # how the learning rate falls after the warm-up: along half a cosine to 0, or in steps
    schedule: Literal["cosine", "steps"] = "cosine"
    # fractions of the run at which the schedule "steps" divides the learning rate by 10
    milestones: tuple[float, ...] = (0.75,)
    weight_decay: float = 1e-4  # weight decay of the optimizer
    clip_norm: float = 5.0  # longer gradients are scaled down to this norm; inf leaves them alone
    frozen_stages: int = 0  # first stages of the backbone left as they are; 1 with ImageNet weights
    seed: int = 0  # seed of the order of the images and of the sampling of anchors and RoIs
    # scope of a random generator that samples anchors and RoIs: a whole step, or each image, so
    # that it does not matter how images are distributed; always the image with several processes
    # or gradient accumulation
    rng_scope: Literal["step", "image"] = "step"
    checkpoint_every: int = 100  # steps between two checkpoints, from which a stopped run resumes
    workers: int = 0  # processes that load images in the background
    group_by_shape: bool = False  # batch wide images with wide ones, so that less is padding

    # For less memory at the price of time
    grad_accumulation: int = 1  # parts that a process takes its images of a step in, one by one
    precision: Literal["float32", "bfloat16"] = "float32"  # precision of the network's layers
    activation_checkpointing: bool = False  # recompute the backbone's features when needed

    def __post_init__(self):
        limits = dict.fromkeys(COUNTS, (1, math.inf)) | dict.fromkeys(NOT_NEGATIVE, (0, math.inf))
        check_settings(self, limits | {"warmup_fraction": (0, math.inf), "seed": (-(2**62), 2**62)})
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0")
        if self.warmup_fraction > 1:
            raise ValueError(
                f"warmup_fraction is {self.warmup_fraction}: give a fraction of the steps, 0..1"
            )
        for name in ("learning_rate", "weight_decay"):
            if math.isinf(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)}: give a finite number")
        if not all(0 <= milestone <= 1 for milestone in self.milestones):
            raise ValueError(f"milestones is {self.milestones}: give fractions of the steps, 0..1")


@dataclass(frozen=True)
class Recipe:
    """A model, how it is trained, and how its images are augmented."""

    model: Config
    training: Training
    augmentation: Augmentation


# The published recipes do not clip gradients.
PAPER = Training(
    steps=160_000, batch_size=16, optimizer="sgd", learning_rate=0.02, warmup_fraction=1 / 160,
    schedule="steps", milestones=(0.75,), clip_norm=math.inf, frozen_stages=1,
    checkpoint_every=1_000, workers=4,
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
    """The same training with another batch size, for as many images in all.

    The linear scaling rule (Goyal et al. 2017): half the images in a step need half the learning
    rate and twice the steps, of which the warm-up takes the same fraction.
    """
    check_number("batch_size", batch_size, 1, whole=True)
    factor = batch_size / training.batch_size
    rate, steps = training.learning_rate * factor, round(training.steps / factor)
    return replace(training, batch_size=batch_size, learning_rate=rate, steps=steps)


def learning_rate(step: int, training: Training) -> float:
    """The learning rate of a step, which rises linearly and then falls as the schedule says."""
    warmup_steps = max(1, round(training.warmup_fraction * training.steps))
    if step < warmup_steps:
        return training.learning_rate * (step + 1) / warmup_steps
    if training.schedule == "cosine":
        progress = (step - warmup_steps) / max(1, training.steps - warmup_steps)
        return training.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    n_drops = sum(step >= round(fraction * training.steps) for fraction in training.milestones)
    return training.learning_rate / 10**n_drops


@contextmanager
def frozen(model: MaskRCNN, n_stages: int) -> Iterator[None]:
    """Inside, the backbone's stem and first stages are not trained: no gradients, no statistics.

    The edges and textures that they have learned from ImageNet suit other images, too. Raises
    ValueError if the backbone has fewer stages.
    """
    if n_stages == 0:
        yield
        return
    if not 0 < n_stages <= len(model.backbone.strides):
        n = len(model.backbone.strides)
        raise ValueError(f"frozen_stages is {n_stages}, the backbone has {n}: give 0 to {n}")
    backbone = model.backbone
    stages = [backbone.get_submodule(f"layer{i + 1}") for i in range(n_stages)]
    stages = nn.ModuleList([backbone.conv1, backbone.bn1, *stages]).eval()  # norms stop counting
    trained = [p for p in stages.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer for all parameters that require a gradient."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("all layers are frozen: call requires_grad_() on those to be trained")
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=decay, fused=True)
