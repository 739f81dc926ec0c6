"""How the shipped weights are made: python -m mrcnn_edu.pretrained.make [NAME ...]

Trains each tiny model named (all, if none is) on synthetic scenes, takes up an interrupted run from
runs/NAME, and writes NAME.pt beside this file, with its numbers halved to 16 bits, and NAME.json:
the settings, the scores of the halved numbers on held-out scenes, seconds, machine and versions.
"""

import json
import platform
import sys
import time
from dataclasses import asdict

import torch

from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.weights import SHIPPED, load, save

MODELS = {  # what each differs in; the rest, seed included, is the same, so that they compare
    "shapes-tiny": {},
    "shapes-tiny-softmax": {"mask_loss": "softmax"},  # lesson 09: classes compete for a pixel
    "shapes-tiny-agnostic": {"class_agnostic_mask": True},  # lesson 09: one mask for all classes
}
TRAINING = Training(steps=6_000, batch_size=8, checkpoint_every=250, workers=1)
TRAIN_SCENES = Shapes(1_000_000, seed=0)  # more than are ever drawn: no scene is seen twice
VAL_SCENES = Shapes(300, seed=1)


def make(name: str) -> None:
    """Train one model, and write its weights and its record."""
    torch.manual_seed(TRAINING.seed)
    model = MaskRCNN(Config.tiny(**MODELS[name]))
    start = time.time()
    fit(model, TRAIN_SCENES, TRAINING, folder=f"runs/{name}")
    seconds = time.time() - start

    file = SHIPPED / f"{name}.pt"
    save(file, model.half(), TRAIN_SCENES.classes)
    found = detect_all(load(name), VAL_SCENES)
    record = {
        "command": f"python -m mrcnn_edu.pretrained.make {name}",
        "changes": MODELS[name],
        "training": asdict(TRAINING),
        "train_scenes": asdict(TRAIN_SCENES),
        "held_out_scenes": asdict(VAL_SCENES),
        "scores": {kind: scores(VAL_SCENES, found, kind) for kind in ("segm", "bbox")},
        "parameters": sum(p.numel() for p in model.parameters()),
        "bytes": file.stat().st_size,
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    (SHIPPED / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["scores"], indent=2))


def scores(scenes: Shapes, found, kind: str) -> dict:
    """The scores on held-out scenes, null where there is no object of that size."""
    return without_nan(asdict(evaluate(scenes, found, kind)))


def without_nan(values):
    """The same with null for each nan, which is no JSON."""
    return json.loads(json.dumps(values), parse_constant=lambda nan: None)


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        make(name)
