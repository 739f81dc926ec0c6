"""The memory and time of a training step, by default and with the options that save memory.

    python benchmarks/memory.py                      # 2 images 400 x 400, ResNet-50-FPN
    python benchmarks/memory.py --short-side 800     # about the paper's size

Each setting runs in its own process. Memory is the most that the step adds to that of the model and
the images: PyTorch's allocations on a GPU, the process's resident memory on a CPU.
"""

import argparse
import subprocess
import sys
import time

import torch

from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit, steps
from mrcnn_edu.train.metrics import peak_memory

SETTINGS = {
    "default": {},
    "activation checkpointing": {"activation_checkpointing": True},
    "grad accumulation 2": {"grad_accumulation": 2},
    "bfloat16": {"precision": "bfloat16"},
    "the first two": {"activation_checkpointing": True, "grad_accumulation": 2},
    "all three": {
        "activation_checkpointing": True,
        "grad_accumulation": 2,
        "precision": "bfloat16",
    },
}


def measure(name: str, short_side: int) -> str:
    """A line of text: the gigabytes and seconds of a step with a setting."""
    fit(
        MaskRCNN(Config.tiny()), Shapes(2), Training(steps=1), progress=False
    )  # imports everything else
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    config = Config(n_classes=6, short_side=short_side, long_side=short_side)
    model = MaskRCNN(config).to(device)
    training = Training(steps=2, batch_size=2, optimizer="sgd", **SETTINGS[name])
    run = steps(model, Shapes(4, size=short_side // 4), training)
    next(run)
    before, start = peak_memory(), time.perf_counter()
    next(run)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return f"{name:24} {(peak_memory() - before) / 1e9:6.2f} GB {seconds:7.1f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short-side", type=int, default=400)
    parser.add_argument("--only", choices=SETTINGS)
    options = parser.parse_args()
    if options.only is not None:
        print(measure(options.only, options.short_side))
    else:
        for name, changes in SETTINGS.items():
            if "precision" in changes and not torch.cuda.is_available():
                continue  # minutes per step on most CPUs, which emulate it; --only measures it
            command = [sys.executable, __file__, "--short-side", str(options.short_side)]
            subprocess.run([*command, "--only", name], check=True)
