"""How FCIS's weights are made: python -m mrcnn_edu.ancestors.make_fcis [fcis | mask-rcnn ...]

Trains FCIS, and a Mask R-CNN to compare it with, from the backbone that can classify, on the same
scenes and for as many steps; takes up an interrupted run from runs/family; and writes NAME.pt into
ancestors/pretrained, with its numbers halved to 16 bits, and NAME.json: settings, scores, seconds.
"""

import json
import platform
import sys
import time
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import torch

from mrcnn_edu.ablations.start import start_from
from mrcnn_edu.ancestors.fcis import FCIS, FOLDER, FCISConfig, load
from mrcnn_edu.ancestors.overlaps import by_overlap
from mrcnn_edu.config import Config
from mrcnn_edu.data.coco import write_file
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import CHECKPOINT, Training, fit

SYSTEMS = {"fcis": (FCIS, FCISConfig.tiny()), "mask-rcnn": (MaskRCNN, Config.tiny())}
TRAINING = Training(steps=1_500, batch_size=8, checkpoint_every=100, workers=1)
TRAIN_SCENES = Shapes(2_000, seed=0)
HELD_OUT = Shapes(300, seed=1)
CROWDED = Shapes(300, seed=1, n_objects=(3, 6), object_size=(0.25, 0.5), overlap=0.7)


def make(name: str) -> None:
    """Train one system, and write its weights and its record."""
    kind, config = SYSTEMS[name]
    torch.manual_seed(TRAINING.seed)
    model = start_from(kind(config))
    # Its own seconds: what else the machine does, and the worker that draws scenes, are left out.
    runs = Path(f"runs/family/{name}-{TRAINING.steps}")
    taken_up, start = (runs / CHECKPOINT).is_file(), time.process_time()
    fit(model, TRAIN_SCENES, TRAINING, runs)
    seconds = None if taken_up else round(time.process_time() - start)

    file, weights = FOLDER / f"{name}.pt", BytesIO()
    contents = {"system": kind.__name__, "config": asdict(config), "classes": model.classes}
    torch.save(contents | {"model": model.half().state_dict()}, weights)
    write_file(file, weights.getvalue())
    model = load(name)
    found, crowded = (detect_all(model, scenes) for scenes in (HELD_OUT, CROWDED))
    record = {
        "command": f"python -m mrcnn_edu.ancestors.make_fcis {name}",
        "system": kind.__name__,
        "config": asdict(config),
        "training": asdict(TRAINING),
        "train_scenes": asdict(TRAIN_SCENES),
        "held_out_scenes": asdict(HELD_OUT),
        "scores": {kind: asdict(evaluate(HELD_OUT, found, kind)) for kind in ("segm", "bbox")},
        "crowded_scenes": asdict(CROWDED),
        "crowded": {kind: asdict(evaluate(CROWDED, crowded, kind)) for kind in ("segm", "bbox")},
        "crowded_by_overlap": [asdict(part) for part in by_overlap(CROWDED, crowded)],
        "parameters": sum(p.numel() for p in model.state_dict().values()),
        "bytes": file.stat().st_size,
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    text = json.dumps(record).replace("NaN", "null")  # no object is of that size
    write_file(file.with_suffix(".json"), json.dumps(json.loads(text), indent=2).encode() + b"\n")
    print(file.with_suffix(".json").read_text())


if __name__ == "__main__":
    for name in sys.argv[1:] or SYSTEMS:
        make(name)
