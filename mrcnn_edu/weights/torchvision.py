"""torchvision's weights: its names for our parameters, and the files it publishes."""

from http.client import HTTPException
from pathlib import Path

import torch

from mrcnn_edu.backbone import FrozenBatchNorm2d
from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.checkpoint import load_state, read

V2 = Config(norm="batch", head_norm="batch", rpn_convs=2, box_convs=4, box_layers=1)
PUBLISHED = {  # torchvision's names of its weights, and the model they are for
    "coco-resnet50-fpn": ("MaskRCNN_ResNet50_FPN_Weights.COCO_V1", Config()),
    "coco-resnet50-fpn-v2": ("MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1", V2),
}
IMAGENET = {  # what the paper's training starts from: backbones that have learned to classify
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
    "resnext101": "ResNeXt101_32X8D_Weights.IMAGENET1K_V1",
}

# torchvision's names and ours, in the order of a forward pass; the first that fits counts.
TORCHVISION_NAMES = {
    "backbone.body.": "backbone.",
    "backbone.fpn.": "neck.",
    "rpn.head.": "rpn_head.",
    "roi_heads.box_head.fc6.": "box_head.layers.0.",
    "roi_heads.box_head.fc7.": "box_head.layers.1.",
    "roi_heads.box_head.5.": "box_head.layers.0.",  # v2's, after four convolutions
    "roi_heads.box_head.": "box_head.convs.",
    "roi_heads.box_predictor.": "box_head.",
    "roi_heads.mask_head.": "mask_head.convs.",
    "roi_heads.mask_predictor.": "mask_head.",
}


def is_downloaded(name: str) -> bool:
    """Whether published weights lie in torch.hub's cache, so that `load` downloads nothing."""
    return _published(PUBLISHED[name][0])[1].is_file()


def load_published(name: str) -> MaskRCNN:
    """A model with torchvision's published weights, from torch.hub's cache or downloaded into it.

    Raises OSError that says what to put where if they cannot be downloaded, and ValueError that
    names the file if the one in the cache cannot be used.
    """
    weights, file = _published(PUBLISHED[name][0])
    if not file.is_file():
        _download(name, weights.url, file)
    try:
        model = load_torchvision(MaskRCNN(PUBLISHED[name][1]), file)
    except ValueError as error:
        raise ValueError(f"delete {file}, and it is downloaded anew: {error}") from error
    model.classes = weights.meta["categories"][1:]  # without background
    return model.eval()


def imagenet_file(backbone: str) -> Path:
    """The file of the weights that torchvision's ResNet learned on ImageNet, downloaded once."""
    weights, file = _published(IMAGENET[backbone])
    if not file.is_file():
        _download(backbone, weights.url, file)
    return file


def _published(torchvisions_name: str) -> tuple:
    """torchvision's description of published weights, and their file, downloaded or not."""
    import torchvision  # only here: models of our own do without it

    weights = torchvision.models.get_weight(torchvisions_name)
    return weights, Path(torch.hub.get_dir(), "checkpoints", weights.url.rpartition("/")[2])


def _download(name: str, url: str, file: Path) -> None:
    """Nothing comes back; the file is there, whole: its name ends in the start of its SHA-256."""
    print(f"Downloading {url} to {file}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), file.stem.rpartition("-")[2])
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError is a wrong SHA-256
        raise OSError(
            f"could not download the weights {name} ({error}): try again, or on another machine "
            f"fetch {url} and put it into {file.parent}"
        ) from error


def load_torchvision(
    model: MaskRCNN, source: dict | str | Path, norm_eps: float | None = None
) -> MaskRCNN:
    """The model with weights of torchvision.

    source: the state_dict, or the path of its file, of maskrcnn_resnet50_fpn, its _v2,
    fasterrcnn_resnet50_fpn (mask_head=None); or of a resnet made for classification, of which the
    backbone is taken and the rest of the model left as it is. norm_eps: what torchvision's frozen
    batch norm adds to the variance; 0 in its published detection models, 1e-5 in a resnet and in
    models fine-tuned from one. Raises ValueError that lists every name that is missing, unknown or
    of another shape.
    """
    if not isinstance(source, dict):
        return load_torchvision(model, read(source), norm_eps)
    is_resnet = "conv1.weight" in source
    own, state, names = model.state_dict(), {}, {}
    last_stage = f"backbone.layer{len(model.backbone.strides) + 1}."
    for name, value in source.items():
        ours = _our_name(f"backbone.body.{name}" if is_resnet else name)
        if ours not in own:  # with the neck c4 the heads have the last stage
            ours = ours.replace(last_stage, "last_stage.")
        if ours in state:  # given twice, by its older and its present name
            ours = name
        unused = ours.endswith("num_batches_tracked") or (is_resnet and name.startswith("fc."))
        if ours in own or not unused:
            state[ours], names[ours] = value, name
    if norm_eps is None:
        norm_eps = 1e-5 if is_resnet else 0.0
    for name, module in model.named_modules():
        if isinstance(module, FrozenBatchNorm2d) and f"{name}.running_var" in state:
            state[f"{name}.running_var"] = state[f"{name}.running_var"] + norm_eps
    if is_resnet:
        of_resnet = "backbone.", "last_stage."
        state |= {name: value for name, value in own.items() if not name.startswith(of_resnet)}
    return load_state(model, state, "this state_dict of torchvision", names)


def _our_name(name: str) -> str:
    """Our name of torchvision's parameter, by its present name or by that in the oldest files."""
    prefix = next((p for p in TORCHVISION_NAMES if name.startswith(p)), "")
    parts = (TORCHVISION_NAMES.get(prefix, "") + name.removeprefix(prefix)).split(".")
    match parts:  # the oldest files know no lists of layers
        case ["rpn_head", "conv", kind]:
            return f"rpn_head.conv.0.0.{kind}"
        case ["neck", blocks, i, kind]:
            return f"neck.{blocks}.{i}.0.{kind}"
        case ["mask_head", "convs", conv, kind] if conv.startswith("mask_fcn"):
            return f"mask_head.convs.{int(conv.removeprefix('mask_fcn')) - 1}.0.{kind}"
    return ".".join(parts)
