"""The trained systems that come along: all learned from the same scenes, equally long."""

from pathlib import Path

from torch import nn

from mrcnn_edu.ancestors.fast_rcnn import FastRCNN
from mrcnn_edu.ancestors.fcis import FCIS, FCISConfig
from mrcnn_edu.ancestors.quantize import dequantize
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.config import Config
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.weights import model_from_checkpoint, read

FOLDER = Path(__file__).parent / "shipped"
KINDS = {  # name: class and class of the settings
    "RCNN": (RCNN, Config),
    "FastRCNN": (FastRCNN, Config),
    "MaskRCNN": (MaskRCNN, Config),
    "FCIS": (FCIS, FCISConfig),
}


def load(name: str | Path) -> nn.Module:
    """A trained system, ready to `detect`; its `classes` are the names of labels 1..K.

    name: of weights that come with the package, such as "rcnn" or "fast-rcnn", or the path of a
    file that `make` has written. Raises FileNotFoundError that lists the names, or ValueError.
    """
    file = FOLDER / f"{name}.pt"
    if not file.is_file():
        file = Path(name)
    if not file.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.pt"))) or "none so far"
        raise FileNotFoundError(f"there are no weights {name!r}: those that come along are {known}")
    contents = read(file)
    if "system" not in contents:
        raise ValueError(f"{file} has no system: it is not a file of ancestors.make")
    if contents["system"] not in KINDS:
        raise ValueError(f"{file} is of a {contents['system']}: known are {', '.join(KINDS)}")
    contents["model"] = dequantize(contents["model"])
    return model_from_checkpoint(contents, str(file), *KINDS[contents["system"]])
