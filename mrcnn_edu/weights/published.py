"""Weights that torchvision publishes: downloaded once, into torch.hub's folder."""

from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.torchvision import load_torchvision

V2 = Config(norm="batch", head_norm="batch", rpn_convs=2, box_convs=4, box_layers=1)
PERSON_KEYPOINTS = Config(n_classes=1, mask_head=None, n_keypoints=17)
PUBLISHED = {  # torchvision's name of the weights of a whole model, and the model they fit
    "coco-resnet50-fpn": ("MaskRCNN_ResNet50_FPN_Weights.COCO_V1", Config()),
    "coco-resnet50-fpn-v2": ("MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1", V2),
    "coco-keypoints-resnet50-fpn": (
        "KeypointRCNN_ResNet50_FPN_Weights.COCO_V1",
        PERSON_KEYPOINTS,
    ),
}
COCO_SKELETON = [  # from COCO's annotations, counted from 0
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
]  # fmt: skip
IMAGENET = {  # torchvision's names of the weights of a backbone that has learned to classify
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
    "resnext101": "ResNeXt101_32X8D_Weights.IMAGENET1K_V1",
}


def is_downloaded(name: str) -> bool:
    """True if a published model's weights are on this machine, so that `load` downloads nothing."""
    return _description(PUBLISHED[name][0])[1].is_file()


def load_published(name: str) -> MaskRCNN:
    """A model with torchvision's published weights, downloaded if they are not on this machine.

    Raises OSError that explains where to put the file if it cannot be downloaded, and ValueError
    that names the file if the downloaded one cannot be used.
    """
    torchvision_name, config = PUBLISHED[name]
    description, _ = _description(torchvision_name)
    file = _downloaded(name, torchvision_name)
    try:
        model = load_torchvision(MaskRCNN(config), file)
    except ValueError as error:
        raise ValueError(f"delete {file}, so that it is downloaded again: {error}") from error
    model.classes = description.meta["categories"][1:]  # without background
    if (head := model.keypoint_head) is not None:
        head.keypoints, head.skeleton = description.meta["keypoint_names"], list(COCO_SKELETON)
    return model.eval()


def imagenet_file(backbone: str) -> Path:
    """The file of the weights that torchvision's ResNet learned on ImageNet, downloaded once."""
    return _downloaded(backbone, IMAGENET[backbone])


def _downloaded(name: str, torchvision_name: str) -> Path:
    """The file of published weights, downloaded if need be; its name ends in part of its hash."""
    description, file = _description(torchvision_name)
    if file.is_file():
        return file
    url = description.url
    print(f"Downloading {url} to {file}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), file.stem.rpartition("-")[2])
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: a wrong SHA-256
        raise OSError(
            f"could not download the weights {name} ({error}): try again, or on another machine "
            f"fetch {url} and put it into {file.parent}"
        ) from error
    return file


def _description(torchvision_name: str) -> tuple[Any, Path]:
    """torchvision's description of published weights, and their file, which may not exist yet."""
    from torchvision.models import get_weight  # only here: other models do not need it

    weights = get_weight(torchvision_name)
    return weights, Path(torch.hub.get_dir(), "checkpoints", weights.url.rpartition("/")[2])
