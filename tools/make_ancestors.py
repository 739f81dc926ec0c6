"""Trains the models of the R-CNN family that come with the package.

    python tools/make_ancestors.py [NAME ...]   # all of them, if none is named
    python tools/make_ancestors.py --steps 20   # a trial run; its files go to runs/family/20-steps

Every model starts from the same pretrained backbone, and sees the same scenes equally often. An
interrupted run resumes from runs/family. Into mrcnn_edu/ancestors/shipped it writes NAME.pt, in 8
bits, and NAME.json: settings, scores of the 8-bit weights on validation scenes, seconds, machine.
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
from mrcnn_edu.cli.opening import VAL_SCENES
from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.weights import init_backbone, save

SYSTEMS = {  # the class and the settings of each model
    # 8 images per step with 16 regions each: the paper's 32 positives and 96 of background
    "rcnn": (
        RCNN,
        Config.tiny(
            mask_head=None, canonical_size=48, roi_batch_per_image=16, rpn_post_nms_top_n_test=300
        ),
    ),
    # Its only map has stride 16, so scenes are enlarged, as the paper enlarges images, to 600
    # pixels. At 96 pixels a small object covers half a grid cell, and AP is 29 instead of 53 after
    # 300 steps.
    "fast-rcnn": (
        FastRCNN,
        FastRCNN.paper(Config.tiny(short_side=192, long_side=320, rpn_post_nms_top_n_test=300)),
    ),
    "faster-rcnn": (MaskRCNN, Config.tiny(mask_head=None)),
    "mask-rcnn": (MaskRCNN, Config.tiny()),
    "mask-rcnn-c4": (MaskRCNN, Config.tiny(neck="c4", mask_size=14, mask_convs=0)),
    "fcis": (FCIS, FCISConfig.tiny()),
}
FOR_LESSONS = {  # models that a lesson looks into, and that are no step of the family's history
    # Few enough maps to look at each of them, in bins of 6 x 6 pixels of a mask.
    "fcis-3x3": (FCIS, FCISConfig.tiny(n_bins=3, mask_size=18)),
}
WITH_PROPOSALS = RCNN, FastRCNN  # they need proposals as input, from selective search
TRAINING = Training(steps=1_500, batch_size=8, checkpoint_every=100, workers=1)
TRAIN_SCENES = Shapes(2_000, seed=0)  # few enough for selective search; each is seen six times
SVM_IMAGES = 600  # training scenes whose regions R-CNN's SVMs and regressions are fitted to
CROWDED = replace(VAL_SCENES, n_objects=(3, 6), object_size=(0.25, 0.5), overlap=0.7)
RUNS = Path("runs/family")


def make(name: str, training: Training = TRAINING, folder: Path = FOLDER) -> None:
    """Train one model, and write its weights and its record."""
    val_data, crowded = VAL_SCENES, CROWDED
    if training != TRAINING:
        val_data, crowded = replace(VAL_SCENES, n=20), replace(CROWDED, n=20)
    systems: dict[str, tuple[Any, Any]] = SYSTEMS | FOR_LESSONS
    model_class, config = systems[name]
    torch.manual_seed(training.seed)
    model: Any = init_backbone(model_class(config))
    run_folder, scenes = RUNS / f"{name}-{training.steps}", TRAIN_SCENES
    if model_class in WITH_PROPOSALS:
        scenes = WithProposals(TRAIN_SCENES, config.rpn_post_nms_top_n_train, RUNS / "proposals")
    # This process's seconds, without the worker that renders scenes, or other programs.
    start = time.process_time()
    if model_class is RCNN:
        fit_rcnn(model, scenes, training, run_folder, SVM_IMAGES)
    else:
        fit(model, scenes, training, run_folder)
    seconds = time.process_time() - start

    file = folder / f"{name}.pt"
    packed = quantize(model.state_dict())
    save(file, model, model.classes, packed, system=model_class.__name__)
    trained: Any = load(file)
    detections = detect_all(trained, val_data)
    iou_types = ("bbox",) if config.mask_head is None else ("segm", "bbox")
    record = {
        "system": model_class.__name__,
        "config": asdict(config),
        "training": asdict(training),
        "train_scenes": asdict(TRAIN_SCENES),
        "val_scenes": asdict(val_data),
        "scores": {t: scores(val_data, detections, t) for t in iou_types},
        "parameters": n_parameters(model),
        "bytes": file.stat().st_size,
    }
    if config.mask_head is not None:  # how good are masks where objects hide one another?
        detections = detect_all(trained, crowded)
        record["crowded_scenes"] = asdict(crowded)
        record["crowded"] = {t: scores(crowded, detections, t) for t in iou_types}
        record["crowded_by_overlap"] = [asdict(part) for part in by_overlap(crowded, detections)]
    write_record(file, f"python tools/make_ancestors.py {name}", seconds, record)


def main(arguments: list[str] | None = None) -> None:
    known = SYSTEMS | FOR_LESSONS
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(known)} (default: all)"
    )
    parser.add_argument("--steps", type=int, default=TRAINING.steps, help="fewer for a trial run")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no system {unknown[0]!r}: choose from {', '.join(known)}")
    is_trial = options.steps != TRAINING.steps
    folder = RUNS / f"{options.steps}-steps" if is_trial else FOLDER
    for name in options.names or known:
        make(name, replace(TRAINING, steps=options.steps), folder)


if __name__ == "__main__":
    main()
