"""Weights: saving and loading models, our own and torchvision's, without ever unpickling code.

A checkpoint is a dictionary of tensors and plain values: "config", "classes" and "model", and
whatever else its writer needs to go on from there.
"""

import os
import pickle
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from urllib.error import URLError

import torch

from mrcnn_edu.model import Config, MaskRCNN

PRETRAINED = Path(__file__).parent / "pretrained"
PUBLISHED = {"coco-resnet50-fpn": "MaskRCNN_ResNet50_FPN_Weights.COCO_V1"}  # torchvision's names

# Our names and torchvision's, in the order of a forward pass.
TORCHVISION_NAMES = {
    "backbone.body.": "backbone.",
    "backbone.fpn.": "neck.",
    "rpn.head.": "rpn_head.",
    "roi_heads.box_head.": "box_head.",
    "roi_heads.box_predictor.": "box_head.",
    "roi_heads.mask_head.": "mask_head.convs.",
    "roi_heads.mask_predictor.": "mask_head.",
}


def save(path: str | Path, model: MaskRCNN, classes: list[str], **more) -> None:
    """Write a checkpoint that `load` reads. The file is complete or, if anything fails, untouched.

    more: further tensors and plain values to keep beside the model.
    """
    path = Path(path)
    contents = {"config": asdict(model.config), "classes": list(classes)}
    contents |= {"model": model.state_dict(), **more}
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:
        raise OSError(f"could not write the checkpoint {path}: {error}") from error
    finally:
        with suppress(OSError):  # if all went well there is none
            unfinished.unlink()


def read(path: str | Path) -> dict:
    """The contents of a checkpoint or of a file of weights, read without running code from it.

    Raises FileNotFoundError, or ValueError if the file is damaged or holds anything but tensors and
    plain values.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(["shapes-tiny", *PUBLISHED])
        raise FileNotFoundError(f"there is no file {path}; weights known by name are {known}")
    try:
        with open(path, "rb") as file:
            contents = torch.load(file, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is not a file of weights: it holds something else than tensors and plain "
            "values, and nothing else is ever loaded, because a pickle can run any program"
        ) from error
    except Exception as error:  # damaged bytes can raise anything
        raise ValueError(
            f"{path} is damaged or cut short ({error}): copy it again, or take an older one"
        ) from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} holds a {type(contents).__name__}, not weights by their names")
    return contents


def load(name: str | Path) -> MaskRCNN:
    """A model with its weights, ready to `detect`; its `classes` are the names of labels 1..K.

    name: "shapes-tiny", which comes with the package; "coco-resnet50-fpn", which is downloaded from
    torchvision once; or the path of a checkpoint.
    """
    if name in PUBLISHED:
        return load_published(name)
    shipped = PRETRAINED / f"{name}.pt"
    contents = read(shipped if shipped.is_file() else name)
    missing = {"config", "classes", "model"} - set(contents)
    if missing:
        raise ValueError(
            f"{name} has no {', '.join(sorted(missing))}: it is not a checkpoint of mrcnn_edu "
            "(weights of torchvision are loaded with weights.load_torchvision)"
        )
    unknown = set(contents["config"]) - {field.name for field in fields(Config)}
    if unknown:
        raise ValueError(
            f"{name} has settings that this version of mrcnn_edu does not know: "
            f"{', '.join(sorted(unknown))}"
        )
    model = MaskRCNN(Config(**contents["config"]))
    load_state(model, contents["model"], str(name))
    model.classes = contents["classes"]
    return model.eval()


def on_this_machine(name: str) -> bool:
    """Whether published weights lie in torch.hub's cache, so that `load` downloads nothing."""
    import torchvision

    file = torchvision.models.get_weight(PUBLISHED[name]).url.rpartition("/")[2]
    return Path(torch.hub.get_dir(), "checkpoints", file).is_file()


def load_published(name: str) -> MaskRCNN:
    """A model with torchvision's published weights, from torch.hub's cache or downloaded into it.

    Raises OSError that says what to put where if there is no way to download it.
    """
    import torchvision  # only here: models of our own do without it

    weights = torchvision.models.get_weight(PUBLISHED[name])
    try:
        state = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except URLError as error:
        raise OSError(
            f"could not download the weights {name} ({error.reason}): on a machine with a "
            f"connection fetch {weights.url} and put it into {torch.hub.get_dir()}/checkpoints"
        ) from error
    model = load_torchvision(MaskRCNN(Config()), state)
    model.classes = weights.meta["categories"][1:]  # without background
    return model.eval()


def load_torchvision(model: MaskRCNN, source: dict | str | Path) -> MaskRCNN:
    """The model with the weights of torchvision's maskrcnn_resnet50_fpn.

    source: its state_dict, or the path of the published file. Raises ValueError that lists every
    name that is missing, unknown or of another shape.
    """
    if not isinstance(source, dict):
        return load_torchvision(model, read(source))
    own, renamed = model.state_dict(), {}
    for name, value in source.items():
        prefix = next((p for p in TORCHVISION_NAMES if name.startswith(p)), None)
        ours = name if prefix is None else TORCHVISION_NAMES[prefix] + name.removeprefix(prefix)
        if ours in own or not ours.endswith("num_batches_tracked"):  # frozen norms count nothing
            renamed[_current_name(ours)] = value
    return load_state(model, renamed, "these weights of torchvision")


def _current_name(name: str) -> str:
    """Today's name of a parameter: the published file has older ones, without the inner lists."""
    parts = name.split(".")
    if name.startswith("rpn_head.conv.") and len(parts) == 3:
        return f"rpn_head.conv.0.0.{parts[-1]}"
    if name.startswith("neck.") and len(parts) == 4:
        return ".".join([*parts[:3], "0", parts[3]])
    if name.startswith("mask_head.convs.mask_fcn"):
        i = int(parts[2].removeprefix("mask_fcn")) - 1
        return f"mask_head.convs.{i}.0.{parts[-1]}"
    return name


def load_state(model: MaskRCNN, state: dict, source: str) -> MaskRCNN:
    """The model with the parameters of `state`. Raises ValueError naming all that do not fit."""
    own = model.state_dict()
    problems = [f"missing: {name}" for name in own if name not in state]
    problems += [f"unknown: {name}" for name in state if name not in own]
    problems += [
        f"shape: {name} is {list(state[name].shape)} there, {list(own[name].shape)} in the model"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if problems:
        raise ValueError(
            f"{source} does not fit this model (n_classes={model.config.n_classes}, backbone="
            f"{model.config.backbone!r}): {len(problems)} problems\n  " + "\n  ".join(problems)
        )
    model.load_state_dict(state)
    return model
