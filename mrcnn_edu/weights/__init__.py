"""Weights: saving and loading models, our own and torchvision's.

checkpoint   files of tensors and plain values, read without unpickling any code
torchvision  torchvision's names for our parameters, and the files it publishes
fine_tune    a model for other classes or channels, initialized from another model's weights
"""

from pathlib import Path

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.checkpoint import SHIPPED, load_state, model_from_checkpoint, read, save
from mrcnn_edu.weights.torchvision import (
    IMAGENET,
    PUBLISHED,
    imagenet_file,
    is_downloaded,
    load_published,
    load_torchvision,
)

__all__ = [
    "IMAGENET",
    "PUBLISHED",
    "SHIPPED",
    "imagenet_file",
    "is_downloaded",
    "load",
    "load_published",
    "load_state",
    "load_torchvision",
    "model_from_checkpoint",
    "read",
    "save",
]  # fmt: skip


def load(name: str | Path) -> MaskRCNN:
    """A model with its weights, ready to `detect`; its `classes` are the names of labels 1..K.

    name: "shapes-tiny", "shapes-tiny-softmax" or "shapes-tiny-agnostic" (trained with other mask
    losses), which come with the package; "coco-resnet50-fpn" or
    "coco-resnet50-fpn-v2", which is downloaded from torchvision once; or the path of a checkpoint.
    """
    if name in PUBLISHED:
        return load_published(name)
    shipped = SHIPPED / f"{name}.pt"
    return model_from_checkpoint(read(shipped if shipped.is_file() else name), str(name))
