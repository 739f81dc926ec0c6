"""Weights: saving and loading models, our own and torchvision's, without ever unpickling code.

A checkpoint is a dictionary of tensors and plain values: "config", "classes" and "model", and
whatever else its writer needs to go on from there.
"""

import os
import pickle
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import BinaryIO

import torch

from mrcnn_edu.config import Config
from mrcnn_edu.files import atomic_write
from mrcnn_edu.model import MaskRCNN

SHIPPED = Path(__file__).parent / "shipped"
RENAMED = {  # settings of files written before version 0.2, and what they are called now
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
    path: str | Path, model: MaskRCNN, classes: list[str], state: dict | None = None, **more
) -> None:
    """Write a checkpoint that `load` reads. The file is complete or, if anything fails, untouched.

    state: the model's, if it shall be written in another form than `state_dict` has it. more:
    further tensors and plain values to keep beside the model.
    """
    path = Path(path)
    contents = {"config": asdict(model.config), "classes": list(classes)}
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

    Raises FileNotFoundError, or ValueError if the file is damaged or holds anything but tensors and
    plain values.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.pt")))
        raise FileNotFoundError(f"there is no file {path}; weights known by name are {known}")
    try:
        with open(path, "rb") as file:
            _check_sums(file)
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
    for part, names in RENAMED.items():
        if isinstance(contents.get(part), dict):
            settings = contents[part].items()
            contents[part] = {names.get(name, name): value for name, value in settings}
    return contents


def _check_sums(file: BinaryIO) -> None:
    """Raises BadZipFile if a byte has changed since it was written: torch.load does not look."""
    if zipfile.is_zipfile(file):  # torch's oldest files are none
        damaged = zipfile.ZipFile(file).testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} has another check sum")
    file.seek(0)


def model_from_checkpoint(
    contents: dict, name: str, kind: type = MaskRCNN, settings: type = Config
) -> MaskRCNN:
    """The model that a checkpoint's contents describe, of that kind and with settings of that one.

    Raises ValueError that names the checkpoint if it is none, or of other settings.
    """
    missing = {"config", "classes", "model"} - set(contents)
    if missing:
        raise ValueError(
            f"{name} has no {', '.join(sorted(missing))}: it is not a checkpoint of mrcnn_edu "
            "(weights of torchvision are loaded with weights.load_torchvision)"
        )
    unknown = set(contents["config"]) - {field.name for field in fields(settings)}
    if unknown:
        raise ValueError(
            f"{name} has unknown settings: {', '.join(sorted(unknown))}: this version of mrcnn_edu "
            "does not know them"
        )
    model = kind(settings(**contents["config"]))
    load_state(model, contents["model"], name)
    model.classes = contents["classes"]
    return model.eval()


def load_state(
    model: MaskRCNN, state: dict, source: str, names: dict[str, str] | None = None
) -> MaskRCNN:
    """The model with the parameters of `state`. Raises ValueError naming all that do not fit.

    names: what the source calls a parameter, where that is something else.
    """
    own, names = model.state_dict(), names or {}
    problems = [f"missing: {name}" for name in own if name not in state]
    problems += [f"unknown: {names.get(name, name)}" for name in state if name not in own]
    problems += [
        f"shape: {names.get(name, name)} is {list(state[name].shape)} there, "
        f"{list(own[name].shape)} in the model"
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
