"""Lesson 15's experiment: how many labeled coins does a model need, and what should it start from?

All runs together take long, so their scores come with the package; `tools/make_coin_runs.py` made
them. Models are trained on crops of the photograph's left half, in which n coins have labels and
the others are covered, and they are evaluated on its right half. They differ in nothing but the
labels and the weights that they start from.
"""

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mrcnn_edu.course.coins import (
    CLASSES,
    CROP,
    Crops,
    Photographs,
    automatic_masks,
    cover,
    left_half,
    photograph,
    right_half,
    with_polygons,
)
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.images import size_of
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit
from mrcnn_edu.train.recipes import Training
from mrcnn_edu.weights import init_backbone, init_from_model, load

FILE = Path(__file__).with_suffix(".json")
STARTS = "random weights", "classification backbone", "shapes-tiny"
COUNTS = 1, 2, 4, 8, 12
STEPS, BATCH_SIZE, SEEDS = 50, 4, range(5)


def untrained(start: str, seed: int = 0) -> MaskRCNN:
    """A model of one class, coins, with the weights that one of STARTS names.

    seed: of the weights that are random.
    """
    if start not in STARTS:
        raise ValueError(f"there is no start {start!r}: choose one of {', '.join(STARTS)}")
    shapes = load("shapes-tiny")
    torch.manual_seed(seed)
    model = MaskRCNN(replace(shapes.config, n_classes=1))
    model.classes = list(CLASSES)
    if start == "classification backbone":
        init_backbone(model)
    elif start == "shapes-tiny":
        init_from_model(model, shapes, CLASSES)
    return model


def labeled(n: int, seed: int = 0, steps: int = STEPS, masks: Tensor | None = None) -> Crops:
    """Crops of the left half in which n of its 12 coins have labels, and the others are covered.

    seed: which coins, and which crops. With the same seed, more labels are those of fewer, and
    others. masks: of all 24 coins, by default the corrected ones.
    """
    photo = photograph()
    all_masks = with_polygons(automatic_masks(photo)) if masks is None else masks
    image, left = left_half(photo, all_masks)
    order = torch.randperm(len(left), generator=torch.Generator().manual_seed(seed))
    image = cover(image, left[order[n:]])
    return Crops(image, left[order[:n]], n=steps * BATCH_SIZE, seed=seed)


def train(start: str, n: int, seed: int, steps: int = STEPS) -> MaskRCNN:
    """The model that starts from one of STARTS, trained with n labeled coins: 12 s on one core."""
    model = untrained(start, seed)
    settings = Training(steps=steps, batch_size=BATCH_SIZE, seed=seed)
    fit(model, labeled(n, seed, steps), settings, progress=False)
    return model


def at_scale_of_crops(model: MaskRCNN, size: tuple[int, int]) -> MaskRCNN:
    """The model, from now on with images of this (height, width) as small as it saw the crops."""
    scale = model.config.short_side / CROP
    short, long = round(scale * min(size)), round(scale * max(size)) + 1
    model.config = replace(model.config, short_side=short, long_side=long)
    return model


def score(model: MaskRCNN, masks: Tensor | None = None) -> float:
    """The model's mask AP in percent on the right half, at the scale of the crops."""
    photo = photograph()
    all_masks = with_polygons(automatic_masks(photo)) if masks is None else masks
    test = right_half(photo, all_masks)
    before, data = model.config, Photographs([test])
    at_scale_of_crops(model, size_of(test[0]))
    ap = evaluate(data, detect_all(model, data), "segm").ap
    model.config = before
    return round(100 * ap, 2)


def recorded_scores() -> dict[str, dict[int, list[float]]]:
    """The shipped scores: start -> number of labeled coins -> a score for each seed."""
    scores = json.loads(FILE.read_text())["scores"]
    return {start: {int(n): runs for n, runs in of.items()} for start, of in scores.items()}
