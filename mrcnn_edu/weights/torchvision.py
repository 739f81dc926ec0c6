"""torchvision's weights in our models: the names of parameters, and the eps of the norms."""

from pathlib import Path

from torch import Tensor, nn

from mrcnn_edu.config import check_number
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights.checkpoint import load_state, read
from mrcnn_edu.weights.norms import COUNT, fit_norms, norm_epsilons

# torchvision's names and ours, in the order of a forward pass; the first that matches is used.
TORCHVISION_NAMES = {
    "backbone.body.": "backbone.",
    "backbone.fpn.": "neck.",
    "rpn.head.": "rpn_head.",
    "roi_heads.box_head.fc6.": "box_head.layers.0.",
    "roi_heads.box_head.fc7.": "box_head.layers.1.",
    "roi_heads.box_head.5.": "box_head.layers.0.",  # in v2, after four convolutions
    "roi_heads.box_head.": "box_head.convs.",
    "roi_heads.box_predictor.": "box_head.",
    "roi_heads.mask_head.": "mask_head.convs.",
    "roi_heads.mask_predictor.": "mask_head.",
    "roi_heads.keypoint_head.": "keypoint_head.convs.",
    "roi_heads.keypoint_predictor.": "keypoint_head.",
}
BATCH_NORM_EPS = 1e-5  # the default of nn.BatchNorm2d and of torchvision's FrozenBatchNorm2d
PUBLISHED_EPS = 0.0  # the frozen norms of torchvision's published detection models


def load_torchvision(
    model: MaskRCNN, source: nn.Module | dict | str | Path, norm_eps: float | None = None
) -> MaskRCNN:
    """The model with the weights of a model of torchvision.

    source: the torchvision model, its state_dict, or the path of a state_dict's file. It may be a
    maskrcnn_resnet50_fpn, its v2, a fasterrcnn_resnet50_fpn (mask_head=None), a
    keypointrcnn_resnet50_fpn (mask_head=None, n_keypoints=17) or a ResNet made for classification,
    which only gives the backbone. norm_eps: what its norms add to the variance.
    By default it is read from a torchvision model. A state_dict does not have it, and then it is
    1e-5 for norms that were trained and for ResNets, and 0, as in the published detection models,
    for frozen norms; so give the model itself, or norm_eps=1e-5, if you fine-tuned a model with
    frozen norms from a ResNet. Raises ValueError that lists every parameter that does not fit.
    """
    if norm_eps is not None:
        check_number("norm_eps", norm_eps, 0, 1)
    saved_eps = norm_epsilons(source) if isinstance(source, nn.Module) else {}
    origin = f"{source}" if isinstance(source, str | Path) else "this model of torchvision"
    given = _state_dict(source)
    is_resnet = "conv1.weight" in given
    state, names = _with_our_names(given, model, is_resnet)
    our_eps = {}
    for ours, theirs in names.items():
        norm = theirs.removesuffix(".running_var")
        if norm != theirs:
            known = saved_eps.get(norm, _likely_eps(norm, given, is_resnet))
            our_eps[ours.removesuffix(".running_var")] = known if norm_eps is None else norm_eps
    fit_norms(model, state, our_eps)
    if is_resnet:
        backbone = "backbone.", "last_stage."
        state |= {n: value for n, value in model.state_dict().items() if not n.startswith(backbone)}
    return load_state(model, state, origin, names)


def _state_dict(source: nn.Module | dict | str | Path) -> dict[str, Tensor]:
    if isinstance(source, nn.Module):
        return source.state_dict()
    state = source if isinstance(source, dict) else read(source)
    for part in ("model", "state_dict"):  # training scripts keep more beside the weights
        if isinstance(state.get(part), dict):
            state = state[part]
    origin = "the state_dict" if isinstance(source, dict) else source
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"{origin} has the entry {name!r}: {type(value).__name__}, which is no parameter: "
                "give a state_dict, the names and tensors of a model"
            )
    return state


def _with_our_names(
    given: dict[str, Tensor], model: MaskRCNN, is_resnet: bool
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A state_dict of torchvision under our names, and torchvision's name for each of ours."""
    expected = model.state_dict()
    last_stage = f"backbone.layer{len(model.backbone.strides) + 1}."
    state, names = {}, {}
    for name, value in given.items():
        ours = our_name(f"backbone.body.{name}" if is_resnet else name)
        if ours not in expected:  # with the neck c4 the last stage is part of the heads
            ours = ours.replace(last_stage, "last_stage.")
        if ours in state:  # given twice, by its older and its present name
            ours = name
        if is_resnet and name.startswith("fc."):  # its classifier
            continue
        state[ours], names[ours] = value, name
    return state, names


def our_name(name: str) -> str:
    """Our name for torchvision's parameter, by its present name or by that in the oldest files."""
    prefix = next((p for p in TORCHVISION_NAMES if name.startswith(p)), "")
    parts = (TORCHVISION_NAMES.get(prefix, "") + name.removeprefix(prefix)).split(".")
    match parts:  # the oldest files know no lists of layers
        case ["rpn_head", "conv", kind]:
            return f"rpn_head.conv.0.0.{kind}"
        case ["neck", blocks, i, kind]:
            return f"neck.{blocks}.{i}.0.{kind}"
        case ["mask_head", "convs", conv, kind] if conv.startswith("mask_fcn"):
            return f"mask_head.convs.{int(conv.removeprefix('mask_fcn')) - 1}.0.{kind}"
        case ["keypoint_head", "convs", i, kind] if i.isdecimal():  # its ReLUs are counted, too
            return f"keypoint_head.convs.{int(i) // 2}.0.{kind}"
    return ".".join(parts)


def _likely_eps(norm: str, given: dict[str, Tensor], is_resnet: bool) -> float:
    """The eps of a norm of a state_dict, as far as it can be known from its other entries."""
    was_trained = f"{norm}.{COUNT}" in given
    return BATCH_NORM_EPS if was_trained or is_resnet else PUBLISHED_EPS
