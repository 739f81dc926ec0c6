"""Where every ablation starts: a small backbone that has learned to classify, as the paper's had.

    python -m mrcnn_edu.ablations.start        makes the files again (20 minutes on one core)

The task is ImageNet's, drawn: one object an image, which of ten outlines is it? There are no boxes,
masks, RoIs or pyramids in it, and its answer is an average over the whole map, so it can favor no
way of reading a region and no mask head. What a model has beside the backbone starts at random.
"""

import json
import platform
import sys
import time
from io import BytesIO

import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader
from tqdm import trange

from mrcnn_edu.backbone_choices import BACKBONES, NORMS
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.files import write_file
from mrcnn_edu.weights import backbone_file

BACKBONES_OF_THE_LAB = "tiny", "tiny-deep", "tiny-next"
ALONE = dict(size=48, n_objects=(1, 1), object_size=(0.4, 0.9))
STEPS, BATCH, RATE = 1_000, 64, 3e-3


class Labeled:
    """(image, label): the first object of each scene; labels of two kinds of outlines in a row."""

    def __init__(self, scenes: Shapes, first: int):
        self.scenes, self.first = scenes, first

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int):
        image, target = self.scenes[index]
        return image, self.first + target["labels"][0] - 1


def labeled(n: int, seed: int) -> ConcatDataset:
    """n images of each kind of outline: six templates, and blobs of two to five lobes."""
    templates = Shapes(n, outlines="templates", seed=seed, **ALONE)
    lobes = Shapes(n, outlines="lobes", seed=seed, **ALONE)
    return ConcatDataset([Labeled(templates, 0), Labeled(lobes, len(templates.classes))])


def make(name: str) -> None:
    """Train one backbone, and write its weights, halved to 16 bits, and a record."""
    torch.manual_seed(0)
    backbone = BACKBONES[name](3, NORMS["batch"])
    classify = nn.Linear(backbone.channels[-1], 10)
    parameters = [*backbone.parameters(), *classify.parameters()]
    optimizer = torch.optim.AdamW(parameters, RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS, pct_start=0.1)
    batches = DataLoader(labeled(STEPS * BATCH // 2, seed=0), BATCH, shuffle=True)
    start, bar = time.time(), trange(STEPS, desc=name)
    for _, (images, labels) in zip(bar, batches, strict=True):
        logits = classify(backbone((images - 0.5) / 0.25)[-1].mean(dim=(2, 3)))
        loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        bar.set_postfix_str(f"loss {loss.item():.3f}")

    backbone.half()
    weights = BytesIO()
    torch.save(backbone.state_dict(), weights)
    write_file(backbone_file(name), weights.getvalue())
    backbone.float().eval()
    correct = 0
    with torch.no_grad():
        for images, labels in DataLoader(labeled(500, seed=1), 100):
            logits = classify(backbone((images - 0.5) / 0.25)[-1].mean(dim=(2, 3)))
            correct += (logits.argmax(dim=1) == labels).sum().item()
    record = {
        "command": f"python -m mrcnn_edu.ablations.start {name}",
        "accuracy": correct / 1000,
        "steps": STEPS,
        "batch": BATCH,
        "parameters": sum(p.numel() for p in backbone.parameters()),
        "seconds": round(time.time() - start),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    write_file(backbone_file(name).with_suffix(".json"), json.dumps(record, indent=2).encode())
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    for name in sys.argv[1:] or BACKBONES_OF_THE_LAB:
        make(name)
