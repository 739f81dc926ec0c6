"""How the family's weights are made: python tools/make_ancestors.py [NAME ...]

Trains each system named (all, if none is) from the backbone that can classify, on the same scenes
and for as many images; takes up an interrupted run from runs/family/NAME; and writes NAME.pt, with
its numbers halved to 16 bits, and NAME.json: settings, scores on held-out scenes, seconds.

    --steps 20      a trial of everything, scored on 20 scenes: its files go to runs/family/20-steps
"""

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from make_shapes_tiny import scores
from records import write_record

from mrcnn_edu.ancestors.cost import n_parameters
from mrcnn_edu.ancestors.fast_rcnn import FastRCNN
from mrcnn_edu.ancestors.fcis import FCIS, FCISConfig
from mrcnn_edu.ancestors.fit_rcnn import fit_rcnn
from mrcnn_edu.ancestors.overlaps import by_overlap
from mrcnn_edu.ancestors.pretrained import FOLDER, load
from mrcnn_edu.ancestors.proposals import WithProposals
from mrcnn_edu.ancestors.quantize import quantize
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.weights import init_backbone, save

SYSTEMS = {  # of each its class and settings
    # 8 images a step with 16 windows each: the paper's 32 positives and 96 of background
    "rcnn": (
        RCNN,
        Config.tiny(
            mask_head=None, canonical_size=48, roi_batch_per_image=16, rpn_post_nms_top_n_test=300
        ),
    ),
    # Its one map has a stride of 16, so scenes are scaled up, as the paper's images are, to 600. At
    # 96 pixels a small object is half a cell, and AP is 29 instead of 53 after 300 steps.
    "fast-rcnn": (
        FastRCNN,
        FastRCNN.paper(Config.tiny(short_side=192, long_side=320, rpn_post_nms_top_n_test=300)),
    ),
    "faster-rcnn": (MaskRCNN, Config.tiny(mask_head=None)),
    "mask-rcnn": (MaskRCNN, Config.tiny()),
    "mask-rcnn-c4": (MaskRCNN, Config.tiny(neck="c4", mask_size=14, mask_convs=0)),
    "fcis": (FCIS, FCISConfig.tiny()),
}
GIVEN = RCNN, FastRCNN  # their proposals are given, not learned
TRAINING = Training(steps=1_500, batch_size=8, checkpoint_every=100, workers=1)
TRAIN_SCENES = Shapes(2_000, seed=0)  # each is seen six times: selective search runs once for each
SVM_IMAGES = 600  # of them, whose windows R-CNN's SVMs and regressions see
VAL_SCENES = Shapes(300, seed=1)
CROWDED = Shapes(300, seed=1, n_objects=(3, 6), object_size=(0.25, 0.5), overlap=0.7)
RUNS = Path("runs/family")


def make(name: str, training: Training = TRAINING, folder: Path = FOLDER) -> None:
    """Train one system, and write its weights and its record."""
    val_data, crowded = VAL_SCENES, CROWDED
    if training != TRAINING:
        val_data, crowded = replace(VAL_SCENES, n=20), replace(CROWDED, n=20)
    kind, config = SYSTEMS[name]
    torch.manual_seed(training.seed)
    model: Any = init_backbone(kind(config))
    runs, scenes = RUNS / f"{name}-{training.steps}", TRAIN_SCENES
    if kind in GIVEN:
        scenes = WithProposals(TRAIN_SCENES, config.rpn_post_nms_top_n_train, RUNS / "proposals")
    # Its own seconds: what else the machine does, and the worker that draws scenes, are left out.
    start = time.process_time()
    if kind is RCNN:
        fit_rcnn(model, scenes, training, runs, SVM_IMAGES)
    else:
        fit(model, scenes, training, runs)
    seconds = time.process_time() - start

    file = folder / f"{name}.pt"
    packed = quantize(model.state_dict())
    save(file, model, model.classes, packed, system=kind.__name__)
    trained: Any = load(file)
    found = detect_all(trained, val_data)
    kinds = ("bbox",) if config.mask_head is None else ("segm", "bbox")
    record = {
        "system": kind.__name__,
        "config": asdict(config),
        "training": asdict(training),
        "train_scenes": asdict(TRAIN_SCENES),
        "held_out_scenes": asdict(val_data),
        "scores": {kind: scores(val_data, found, kind) for kind in kinds},
        "parameters": n_parameters(model),
        "bytes": file.stat().st_size,
    }
    if config.mask_head is not None:  # masks: how well, where objects hide one another?
        found = detect_all(trained, crowded)
        record["crowded_scenes"] = asdict(crowded)
        record["crowded"] = {kind: scores(crowded, found, kind) for kind in kinds}
        record["crowded_by_overlap"] = [asdict(part) for part in by_overlap(crowded, found)]
    write_record(file, f"python tools/make_ancestors.py {name}", seconds, record)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SYSTEMS)} (all)")
    parser.add_argument("--steps", type=int, default=TRAINING.steps, help="fewer for a trial")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in SYSTEMS]
    if unknown:
        parser.error(f"there is no system {unknown[0]!r}: choose from {', '.join(SYSTEMS)}")
    is_trial = options.steps != TRAINING.steps
    folder = RUNS / f"{options.steps}-steps" if is_trial else FOLDER
    for name in options.names or SYSTEMS:
        make(name, replace(TRAINING, steps=options.steps), folder)


if __name__ == "__main__":
    main()
