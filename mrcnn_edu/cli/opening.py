"""The data and the model that options name."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mrcnn_edu.cli.text import named
from mrcnn_edu.data import CocoFolder, Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.checkpoints import CHECKPOINT
from mrcnn_edu.weights import load

VAL_SCENES = Shapes(n=300, seed=1)  # training takes seed 0


def open_data(
    data: str, annotations: Path | None = None, scenes: Shapes = VAL_SCENES, keep_ids: bool = False
) -> Shapes | CocoFolder:
    """The dataset: the scenes if data is "shapes", or else the COCO folder of that name.

    keep_ids: labels are the category ids, as weights published for COCO expect.
    """
    if data == "shapes" and annotations is None:
        dataset = scenes
    elif not Path(data).is_dir():
        raise FileNotFoundError(
            f"there is no folder {data}: data is the word shapes, a folder with images/ and "
            "annotations.json, or a folder of images with --annotations FILE"
        )
    else:
        dataset = CocoFolder(*_coco_paths(Path(data), annotations), keep_ids)
    if len(dataset) == 0 or len(dataset.classes) == 0:
        counts = f"{len(dataset)} images and {len(dataset.classes)} classes"
        raise ValueError(f"{data} has {counts}: give at least one of each")
    return dataset


def _coco_paths(data: Path, annotations: Path | None) -> tuple[Path, Path]:
    """The folder of images, and the JSON file, of a COCO folder as labeling tools write it."""
    if annotations is not None:
        return data, annotations
    file = data / "annotations.json"
    others = sorted([*data.glob("*.json"), *data.glob("annotations/*.json")])
    if not file.is_file() and others:
        raise FileNotFoundError(
            f"{file}: there is no such annotation file; is it --annotations {others[0]}? "
            f"data is then the folder of images: {data / 'images'}, or {data} itself"
        )
    return data / "images", file


def open_model(weights: str, classes: Sequence[str] = ()) -> MaskRCNN:
    """The model of a name, a checkpoint or its folder, on the device where models run.

    classes: those of the data. Raises ValueError unless the model gives them the same labels.
    """
    model = load(Path(weights) / CHECKPOINT if Path(weights).is_dir() else weights)
    known = dict(enumerate(model.classes))
    for k, name in enumerate(classes):
        if known.get(k) != name and not name.startswith("unused"):
            raise ValueError(
                f"{weights} knows {named(model.classes)}, but the data has {named(classes)}: "
                f"label {k + 1} must be the same class in both"
            )
    return model.to(device())


def device() -> str:
    """Where models run: on the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
