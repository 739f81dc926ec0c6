"""Lesson 04's experiment: detectors that were trained to read their RoIs from other levels.

Training them all takes long, so their scores come with the package; `tools/make_level_runs.py` made
them. The models differ in nothing but the maps that they read: the same backbone, RPN, heads,
images and number of steps. In "C4 alone" there is only one map, so the RPN reads it, too.
"""

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from mrcnn_edu.ablations.setup import FPN_BASE
from mrcnn_edu.backbone import FPN
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit
from mrcnn_edu.train.recipes import Training
from mrcnn_edu.weights import init_backbone

FILE = Path(__file__).with_suffix(".json")
ANCHOR_SIZES = (12,), (24,), (48,), (96,)
BASE = replace(FPN_BASE, short_side=160, long_side=160, anchor_sizes=ANCHOR_SIZES)
NAMES = "level by size", "all from P2", "all from P4", "C4 alone", "no top-down"
STEPS, SEEDS = 800, range(3)
TRAIN_DATA = Shapes(2_000, 160, seed=0, n_objects=(1, 4), object_size=(1 / 16, 0.8))
SMALL, MEDIUM, LARGE = (1 / 16, 1 / 4), (1 / 4, 1 / 2), (1 / 2, 0.8)  # of 160 pixels
# With a canonical size of 80, objects of up to 40, 80 and 128 pixels belong to P2, P3 and P4.
VAL_DATA = {
    "all sizes": replace(TRAIN_DATA, n=200, seed=3),
    "10 to 40 pixels": replace(TRAIN_DATA, n=100, seed=4, object_size=SMALL),
    "40 to 80 pixels": replace(TRAIN_DATA, n=100, seed=5, object_size=MEDIUM),
    "80 to 128 pixels": replace(TRAIN_DATA, n=100, seed=6, object_size=LARGE),
}


class SeparateMaps(FPN):
    """An FPN without its top-down pathway: each level sees nothing of the coarser ones."""

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        layers = zip(self.inner_blocks, self.layer_blocks, maps, strict=True)
        pyramid = [output(lateral(values)) for lateral, output, values in layers]
        return [*pyramid, max_pool2d(pyramid[-1], kernel_size=1, stride=2)]


def untrained(name: str) -> MaskRCNN:
    """The model of one of NAMES, with a pretrained backbone and random weights elsewhere."""
    if name not in NAMES:
        raise ValueError(f"there is no model {name!r}: choose one of {', '.join(NAMES)}")
    # No RoI is larger than 1,000,000 pixels, so all of them go to P2; all are larger than 1.
    canonical_sizes = {"all from P2": 1_000_000, "all from P4": 1}
    config = replace(BASE, canonical_size=canonical_sizes.get(name, BASE.canonical_size))
    if name == "C4 alone":
        config = replace(config, neck="c5")  # the tiny backbone's last map is C4
    model = MaskRCNN(config)
    if name == "no top-down":
        model.neck = SeparateMaps(model.backbone.channels, config.fpn_channels)
    return init_backbone(model)


def train(name: str, seed: int, steps: int = STEPS) -> MaskRCNN:
    """The trained model of one of NAMES: about three minutes on one core."""
    torch.manual_seed(seed)
    model = untrained(name)
    fit(model, TRAIN_DATA, Training(steps=steps, seed=seed))
    return model


def score(model: MaskRCNN) -> dict[str, float]:
    """The mask AP of a model in percent, for objects of all sizes and for each range of sizes."""
    return {
        sizes: round(100 * evaluate(scenes, detect_all(model, scenes), "segm").ap, 2)
        for sizes, scenes in VAL_DATA.items()
    }


def recorded_scores() -> dict[str, list[dict[str, float]]]:
    """The shipped scores, as `score` returns them: a list by the model's name, seeds in order."""
    return json.loads(FILE.read_text())["scores"]
