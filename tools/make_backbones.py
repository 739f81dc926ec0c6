"""Trains the small backbones that ablations and the R-CNN family start from.

    python tools/make_backbones.py [NAME ...]   # all of them, if none is named

It takes 20 minutes on one core. The task is ImageNet's, on synthetic images: one object in each,
which of ten outlines is it? There are no boxes, masks, RoIs or pyramids in it, and the prediction
is an average over the whole map, so it cannot favor any RoI operation or mask head. Everything in a
model besides the backbone starts from random weights.
"""

import argparse
import time
from io import BytesIO

import torch
from records import write_record
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader
from torch.utils.data import Dataset as TorchDataset
from tqdm import trange

from mrcnn_edu.backbone_choices import BACKBONES, NORMS
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.files import write_file
from mrcnn_edu.weights import backbone_file

NAMES = "tiny", "tiny-deep", "tiny-next"
STEPS, BATCH, RATE = 1_000, 64, 3e-3


class Labeled(TorchDataset):
    """(image, label): the first object of each scene. first: the label of the first outline."""

    def __init__(self, scenes: Shapes, first: int):
        self.scenes, self.first = scenes, first

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int):
        image, target = self.scenes[index]
        return image, self.first + target["labels"][0] - 1


def labeled(n: int, seed: int) -> ConcatDataset:
    """n images of each kind of outline: six templates, and blobs of two to five lobes."""
    kinds = [
        Shapes(n, 48, seed, outlines=outlines, n_objects=(1, 1), object_size=(0.4, 0.9))
        for outlines in ("templates", "lobes")
    ]
    return ConcatDataset([Labeled(kinds[0], 0), Labeled(kinds[1], len(kinds[0].classes))])


def make(name: str) -> None:
    """Train one backbone, and write its weights, in 16 bits, and its record."""
    torch.manual_seed(0)
    backbone = BACKBONES[name](in_channels=3, norm=NORMS["batch"])
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
            correct += int((logits.argmax(dim=1) == labels).sum())
    record = {
        "accuracy": correct / 1000,
        "steps": STEPS,
        "batch": BATCH,
        "parameters": sum(p.numel() for p in backbone.parameters()),
    }
    command = f"python tools/make_backbones.py {name}"
    write_record(backbone_file(name), command, time.time() - start, record)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    for name in parser.parse_args().names or NAMES:
        make(name)


if __name__ == "__main__":
    main()
