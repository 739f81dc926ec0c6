"""How the shipped weights are made: python -m mrcnn_edu.pretrained.make

Trains the tiny model on synthetic scenes, takes up an interrupted run from runs/shapes-tiny, and
writes shapes-tiny.pt beside this file, with its numbers halved to 16 bits, and shapes-tiny.json:
the settings, the scores of the halved numbers on held-out scenes, seconds, machine and versions.
"""

import json
import platform
import time
from dataclasses import asdict

import torch
from tqdm.auto import tqdm

from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.weights import PRETRAINED, load, save

TRAINING = Training(steps=6_000, batch_size=8, checkpoint_every=250, workers=1)
TRAIN_SCENES = Shapes(1_000_000, seed=0)  # more than are ever drawn: no scene is seen twice
HELD_OUT = Shapes(300, seed=1)


def main() -> None:
    torch.manual_seed(TRAINING.seed)
    model = MaskRCNN(Config.tiny())
    start = time.time()
    fit(model, TRAIN_SCENES, TRAINING, folder="runs/shapes-tiny")
    seconds = time.time() - start

    file = PRETRAINED / "shapes-tiny.pt"
    save(file, model.half(), TRAIN_SCENES.classes)
    model = load("shapes-tiny")
    found = [model.detect([HELD_OUT[i][0]])[0] for i in tqdm(range(len(HELD_OUT)), "detect")]
    record = {
        "command": "python -m mrcnn_edu.pretrained.make",
        "training": asdict(TRAINING),
        "train_scenes": asdict(TRAIN_SCENES),
        "held_out_scenes": asdict(HELD_OUT),
        "scores": {kind: scores(found, kind) for kind in ("segm", "bbox")},
        "parameters": sum(p.numel() for p in model.parameters()),
        "bytes": file.stat().st_size,
        "seconds": round(seconds),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    (PRETRAINED / "shapes-tiny.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["scores"], indent=2))


def scores(found, kind: str) -> dict:
    """The scores on the held-out scenes, null where there is no object of that size."""
    values = asdict(evaluate(HELD_OUT, found, kind))
    return json.loads(json.dumps(values), parse_constant=lambda nan: None)


if __name__ == "__main__":
    main()
