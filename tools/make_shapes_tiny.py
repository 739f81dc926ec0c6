"""Trains the tiny Mask R-CNNs that come with the package, on synthetic scenes.

    python tools/make_shapes_tiny.py [NAME ...]   # all of them, if none is named

An interrupted run resumes from runs/NAME. Into mrcnn_edu/weights/shipped it writes NAME.pt, in 16
bits, and NAME.json: settings, scores of the 16-bit weights on validation scenes, seconds, machine.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import torch
from records import write_record

from mrcnn_edu.cli.opening import VAL_SCENES
from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import DetectionList, detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.weights import SHIPPED, load, save

MODELS: dict[str, dict] = {  # what differs; all else, the seed included, is the same for all
    "shapes-tiny": {},
    "shapes-tiny-softmax": {"mask_loss": "softmax"},  # lesson 09: classes compete for a pixel
    "shapes-tiny-agnostic": {"class_agnostic_mask": True},  # lesson 09: one mask for all classes
}
# Twice the steps of a first version, 3 points of mask AP more: new scenes never run out.
TRAINING = Training(steps=12_000, batch_size=8, checkpoint_every=250, workers=1)
TRAIN_SCENES = Shapes(1_000_000, seed=0)  # more than a run sees: no scene is seen twice


def make(name: str) -> None:
    """Train one model, and write its weights and its record."""
    torch.manual_seed(TRAINING.seed)
    model = MaskRCNN(Config.tiny(**MODELS[name]))
    folder, start = Path("runs", name), time.time()
    is_resumed = (folder / "checkpoint.pt").exists()
    fit(model, TRAIN_SCENES, TRAINING, folder=folder)
    seconds = None if is_resumed else time.time() - start

    file = SHIPPED / f"{name}.pt"
    save(file, model.half(), TRAIN_SCENES.classes)
    detections = detect_all(load(name), VAL_SCENES)
    record = {
        "changes": MODELS[name],
        "training": asdict(TRAINING),
        "train_scenes": asdict(TRAIN_SCENES),
        "val_scenes": asdict(VAL_SCENES),
        "scores": {t: scores(VAL_SCENES, detections, t) for t in ("segm", "bbox")},
        "parameters": sum(p.numel() for p in model.parameters()),
        "bytes": file.stat().st_size,
    }
    write_record(file, f"python tools/make_shapes_tiny.py {name}", seconds, record)


def scores(scenes: Shapes, detections: DetectionList, iou_type: str) -> dict:
    """The average precisions, for a record."""
    return asdict(evaluate(scenes, detections, iou_type))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODELS))
    for name in parser.parse_args().names or MODELS:
        make(name)


if __name__ == "__main__":
    main()
