"""Checkpoints: models in files, complete or not written at all, read without running code.

A checkpoint is a dictionary of tensors and plain values: "config", "classes" and "model"; of a
model with keypoints also "keypoints" (their names) and "skeleton"; and whatever else its writer
needs, such as the state of a training run.
"""

import os
import pickle
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import torch
from torch import Tensor, nn

from mrcnn_edu.config import Config
from mrcnn_edu.files import atomic_write
from mrcnn_edu.model import MaskRCNN

Model = TypeVar("Model", bound=nn.Module)

SHIPPED = Path(__file__).parent / "shipped"
RENAMED = {  # settings in files written before version 0.2, and their present names
    "config": {
        "train_candidates": "rpn_pre_nms_top_n_train",
        "train_proposals": "rpn_post_nms_top_n_train",
        "test_candidates": "rpn_pre_nms_top_n_test",
        "test_proposals": "rpn_post_nms_top_n_test",
        "rpn_batch": "rpn_batch_per_image",
        "roi_batch": "roi_batch_per_image",
        "roi_reduce": "roi_aggregate",
        "box_pool": "box_pool_size",
        "mask_reading": "mask_decoding",
        "n_cells": "n_bins",
    },
    "training": {
        "draws": "rng_scope",
        "drops": "milestones",
        "warmup": "warmup_fraction",
        "accumulate": "grad_accumulation",
        "recompute": "activation_checkpointing",
    },
}


def save(
    path: str | Path, model: nn.Module, classes: list[str], state: dict | None = None, **more: Any
) -> None:
    """Write a checkpoint that `load` reads. The file is complete or, if anything fails, untouched.

    state: the model's state, if it is to be written in another form than `state_dict` gives. more:
    further tensors and plain values to keep beside the model.
    """
    path = Path(path)
    config = cast(Config, model.config)
    _check_classes(classes, config.n_classes, str(path))
    contents = {"config": asdict(config), "classes": list(classes)}
    head = getattr(model, "keypoint_head", None)
    if head is not None:
        contents |= {"keypoints": list(head.keypoints), "skeleton": list(head.skeleton)}
    contents |= {"model": model.state_dict() if state is None else state, **more}
    try:
        with atomic_write(path) as file:
            torch.save(contents, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        raise OSError(f"could not write the checkpoint {path}: {error}") from error


def read(path: str | Path) -> dict:
    """The contents of a checkpoint or of a file of weights, read without running code from it.

    Settings have their present names. Raises FileNotFoundError, or ValueError if the file is
    damaged or holds anything but tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with open(path, "rb") as file:
            _check_sums(file)
            contents = torch.load(file, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is not a file of weights: it holds more than tensors and plain values, and "
            "nothing else is ever loaded, because a pickle can run any program"
        ) from error
    except Exception as error:  # damaged bytes can raise anything
        raise ValueError(
            f"{path} is damaged or cut short ({error}): copy it again, or use an older one"
        ) from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} holds a {type(contents).__name__}, not weights by their names")
    for part, names in RENAMED.items():
        if isinstance(contents.get(part), dict):
            settings = contents[part].items()
            contents[part] = {names.get(name, name): value for name, value in settings}
    return contents


def _check_sums(file: BinaryIO) -> None:
    """Raise BadZipFile if a byte has changed since it was written: torch.load does not check."""
    if zipfile.is_zipfile(file):  # torch's oldest files are not
        damaged = zipfile.ZipFile(file).testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
    file.seek(0)


def model_from_checkpoint(
    contents: dict, name: str, model_class: type = MaskRCNN, config_class: type = Config
) -> Any:
    """The model that a checkpoint's contents describe, a `model_class` with a `config_class`.

    Raises ValueError that names the checkpoint if it is none, or has settings that are unknown.
    """
    check_parts(contents, name, {"config": dict, "classes": list, "model": dict})
    unknown = set(contents["config"]) - {field.name for field in fields(config_class)}
    if unknown:
        raise ValueError(
            f"{name} has unknown settings: {', '.join(sorted(map(str, unknown)))} (it was written "
            "by another version of mrcnn_edu)"
        )
    try:
        config = config_class(**contents["config"])
    except ValueError as error:
        raise ValueError(f"{name} has a wrong setting: {error}") from error
    classes = contents["classes"]
    _check_classes(classes, config.n_classes, name)
    with torch.device("meta"):  # where settings that ask for a huge model take no memory
        check_state(model_class(config), contents["model"], name)
    model = model_class(config)
    model.load_state_dict(contents["model"])
    model.classes = classes
    head = getattr(model, "keypoint_head", None)
    if head is not None and "keypoints" in contents:
        head.keypoints, head.skeleton = _keypoints_of(contents, config.n_keypoints, name)
    return model.eval()


def _keypoints_of(contents: dict, n: int, name: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The names of a checkpoint's n keypoints, and the pairs that lines join."""
    names, pairs = contents["keypoints"], contents.get("skeleton", [])
    check_parts(contents, name, {"keypoints": list, "skeleton": list})
    if len(names) != n or not all(isinstance(keypoint, str) for keypoint in names):
        raise ValueError(
            f"{name} has the keypoints {names!s:.100}: give the names of the model's {n} keypoints"
        )
    for pair in pairs:
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(type(j) is int and 0 <= j < n for j in pair):
            raise ValueError(
                f"{name} has {pair!s:.100} in its skeleton: give pairs of numbers from 0 to {n - 1}"
            )
    return names, [(first, second) for first, second in pairs]


def _check_classes(classes: list[str], n_classes: int, name: str) -> None:
    if len(classes) != n_classes or not all(isinstance(c, str) for c in classes):
        raise ValueError(
            f"{name} has the classes {classes!s:.100}: give the names of the model's "
            f"{n_classes} classes"
        )


def check_parts(contents: dict, name: str, parts: dict[str, type]) -> None:
    """Raise ValueError that names the checkpoint if one of its parts is missing or another type."""
    missing = set(parts) - set(contents)
    if missing:
        raise ValueError(
            f"{name} has no {', '.join(sorted(missing))}: it is not a checkpoint of mrcnn_edu "
            "(weights of torchvision are loaded with weights.load_torchvision)"
        )
    for part, kind in parts.items():
        if not isinstance(contents[part], kind):
            raise ValueError(
                f"{name} is not a checkpoint of mrcnn_edu: its {part} is a "
                f"{type(contents[part]).__name__}, and should be a {kind.__name__}"
            )


def load_state(
    model: Model, state: dict[str, Tensor], source: str, names: dict[str, str] | None = None
) -> Model:
    """The model with the parameters of `state`. Raises ValueError as `check_state` does."""
    check_state(model, state, source, names)
    model.load_state_dict(state)
    return model


def check_state(
    model: nn.Module, state: dict[str, Tensor], source: str, names: dict[str, str] | None = None
) -> None:
    """Raise ValueError that lists all parameters in `state` that do not fit the model.

    names: what the source calls a parameter, where it has another name there.
    """
    expected, names = model.state_dict(), names or {}
    problems = [f"missing: {name}" for name in expected if name not in state]
    problems += [f"unknown: {names.get(name, name)}" for name in state if name not in expected]
    for name, value in expected.items():
        if name not in state:
            continue
        given, known_as = state[name], names.get(name, name)
        if not isinstance(given, Tensor):
            problems.append(f"no tensor: {known_as} is a {type(given).__name__}")
        elif given.shape != value.shape:
            problems.append(
                f"shape: {known_as} is {list(given.shape)}, but the model needs {list(value.shape)}"
            )
        elif given.is_floating_point() != value.is_floating_point() or given.is_sparse:
            problems.append(f"type: {known_as} is {given.dtype}, but the model needs {value.dtype}")
    if problems:
        config = cast(Config, model.config)
        raise ValueError(
            f"{source} does not fit this model (n_classes={config.n_classes}, backbone="
            f"{config.backbone!r}): {len(problems)} problems\n  " + "\n  ".join(problems)
        )
