"""Trained systems, shipped with the package: all were trained equally long, on one dataset."""

from pathlib import Path

from torch import nn

from mrcnn_edu.ancestors.fast_rcnn import FastRCNN
from mrcnn_edu.ancestors.fcis import FCIS, FCISConfig
from mrcnn_edu.ancestors.quantize import dequantize
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights import check_parts, model_from_checkpoint, read

FOLDER = Path(__file__).parent / "shipped"
SYSTEMS = {  # name in a file: class of the model, class of its settings
    "RCNN": (RCNN, Config),
    "FastRCNN": (FastRCNN, Config),
    "MaskRCNN": (MaskRCNN, Config),
    "FCIS": (FCIS, FCISConfig),
}


def load(name: str | Path) -> nn.Module:
    """A trained system, ready to `detect`; its `classes` are the names of labels 1..K.

    name: "rcnn", "fast-rcnn", "faster-rcnn", "mask-rcnn", "mask-rcnn-c4", "fcis" or "fcis-3x3"
    (with 3 x 3 bins instead of 7 x 7), which are shipped with the package, or the path of a file
    written by tools/make_ancestors.py. Raises FileNotFoundError, which lists the names, or
    ValueError.
    """
    file = FOLDER / f"{name}.pt"
    if not file.is_file():
        file = Path(name)
    if not file.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.pt"))) or "none so far"
        raise FileNotFoundError(f"there are no weights {name!r}: those shipped are {known}")
    contents = read(file)
    if "system" not in contents:
        raise ValueError(f"{file} names no system: tools/make_ancestors.py has not written it")
    if str(contents["system"]) not in SYSTEMS:
        raise ValueError(
            f"{file} has the system {contents['system']!r}: known are {', '.join(SYSTEMS)}"
        )
    check_parts(contents, str(file), {"model": dict})
    try:
        contents["model"] = dequantize(contents["model"])
    except (AttributeError, KeyError, RuntimeError) as error:
        raise ValueError(f"{file} has weights that are incomplete: {error!r}") from error
    return model_from_checkpoint(contents, str(file), *SYSTEMS[contents["system"]])
