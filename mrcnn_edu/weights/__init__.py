"""Weights: models saved and loaded, our own and torchvision's, and adapted to other classes.

checkpoint   files of tensors and plain values, read without unpickling any code
norms        frozen norms loaded from trained ones, and the other way around
torchvision  torchvision's names of our parameters
published    the weights that torchvision publishes, downloaded once
backbones    pretrained backbones, from which detectors are trained
fine_tune    a model for other classes or channels, initialized from another model's weights
"""

from pathlib import Path

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.backbones import backbone_file, init_backbone
from mrcnn_edu.weights.checkpoint import (
    SHIPPED,
    check_parts,
    load_state,
    model_from_checkpoint,
    read,
    save,
)
from mrcnn_edu.weights.fine_tune import init_from_model
from mrcnn_edu.weights.published import (
    IMAGENET,
    PUBLISHED,
    V2,
    imagenet_file,
    is_downloaded,
    load_published,
)
from mrcnn_edu.weights.torchvision import load_torchvision

__all__ = [
    "IMAGENET", "PUBLISHED", "SHIPPED", "V2", "backbone_file", "check_parts", "imagenet_file",
    "init_backbone", "init_from_model", "is_downloaded", "load", "load_published", "load_state",
    "load_torchvision", "model_from_checkpoint", "read", "save",
]  # fmt: skip


def load(name: str | Path) -> MaskRCNN:
    """A model with its weights, ready to `detect`; its `classes` are the names of labels 1..K.

    name: "shapes-tiny", "shapes-tiny-softmax" or "shapes-tiny-agnostic" (trained with other mask
    losses), which come with the package; "coco-resnet50-fpn", "coco-resnet50-fpn-v2" or
    "coco-keypoints-resnet50-fpn" (persons with 17 keypoints), which are downloaded from torchvision
    once; or the path of a checkpoint. Raises FileNotFoundError that lists the names, or ValueError
    for a file that is not a checkpoint.
    """
    if str(name) in PUBLISHED:
        return load_published(str(name))
    shipped = SHIPPED / f"{name}.pt"
    path = shipped if shipped.is_file() else name
    if not Path(path).is_file():
        known = ", ".join([*sorted(file.stem for file in SHIPPED.glob("*.pt")), *PUBLISHED])
        raise FileNotFoundError(f"there is no file {path}; weights known by name are {known}")
    return model_from_checkpoint(read(path), str(name))
