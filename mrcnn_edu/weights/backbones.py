"""Pretrained backbones: networks that have learned to classify, from which detectors are trained.

The paper starts from ImageNet. So do the full-size backbones here, with torchvision's weights; the
small ones, which come with the package, have learned to classify synthetic images.
"""

from pathlib import Path

from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.checkpoint import SHIPPED
from mrcnn_edu.weights.published import IMAGENET, imagenet_file
from mrcnn_edu.weights.torchvision import load_torchvision


def backbone_file(backbone: str) -> Path:
    """The file of a pretrained backbone's weights; a full-size one is downloaded once."""
    if backbone in IMAGENET:
        return imagenet_file(backbone)
    return SHIPPED / "backbones" / f"{backbone}.pt"


def init_backbone(model: MaskRCNN) -> MaskRCNN:
    """The model with a pretrained backbone; its other layers are left as they are.

    With the neck c4 this includes the last stage, which is part of the heads.
    """
    return load_torchvision(model, backbone_file(model.config.backbone))
