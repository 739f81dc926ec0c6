"""The data and the model that options name."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import torch

from mrcnn_edu.cli.text import named
from mrcnn_edu.data import CocoFolder, Figures, Reading, Shapes
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.layout import find_layout, images_of
from mrcnn_edu.data.tally import tally
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.checkpoints import CHECKPOINT
from mrcnn_edu.weights import load

VAL_SCENES = Shapes(n=300, seed=1)  # training takes seed 0
SYNTHETIC = "shapes", "figures"  # the words that name synthetic scenes


def open_data(
    data: str,
    annotations: Path | None = None,
    scenes: Shapes = VAL_SCENES,
    keep_ids: bool = False,
    reading: Reading | None = None,
) -> Shapes | Figures | CocoFolder:
    """The dataset: the scenes if data is "shapes" or "figures", or the COCO folder of that name.

    Figures have those settings of the scenes that are not the default. keep_ids: labels are the
    category ids, as weights published for COCO expect.
    """
    if data == "shapes" and annotations is None:
        dataset = scenes
    elif data == "figures" and annotations is None:
        dataset = _figures(scenes)
    elif not Path(data).is_dir():
        raise FileNotFoundError(
            f"there is no folder {data}: data is the word shapes or figures, a folder as a "
            "labeling tool exports it as COCO, or a folder of images with --annotations FILE"
        )
    elif annotations is None:
        dataset = CocoFolder(*find_layout(Path(data)), keep_ids, reading=reading)
    else:
        dataset = CocoFolder(data, annotations, keep_ids, reading=reading)
        if dataset.records and not dataset.path(dataset.records[0]).is_file():
            images = images_of(annotations, Path(data))
            dataset = CocoFolder(images, annotations, keep_ids, reading=reading)
    if len(dataset) == 0 or len(dataset.classes) == 0:
        counts = f"{len(dataset)} images and {len(dataset.classes)} classes"
        problems = dataset.coco.problems if isinstance(dataset, CocoFolder) else []
        why = f" ({problems[0].message})" if problems else ""
        raise ValueError(f"{data} has {counts}{why}: give at least one of each")
    return dataset


def _figures(scenes: Shapes) -> Figures:
    """Scenes of figures with the same number, size and seed, and whatever else is not the default.

    Raises ValueError for a setting that only shapes have.
    """
    changed = {
        field.name: getattr(scenes, field.name)
        for field in fields(Shapes)
        if getattr(scenes, field.name) != field.default
    }
    unknown = sorted(set(changed) - {field.name for field in fields(Figures)})
    if unknown:
        raise ValueError(f"figures have no {', '.join(unknown)}: leave it out, or use shapes")
    return Figures(**changed)


def print_data(data: str, dataset: Dataset, must_be_learnable: bool = True) -> None:
    """Print what a dataset has and what of it is learned, with a warning if much is not.

    Raises ValueError if an annotation cannot be read, or if nothing can be learned.
    """
    known = named(dataset.classes)
    if dataset.keypoints:
        known += f", {len(dataset.keypoints)} keypoints"
    if not isinstance(dataset, CocoFolder):
        print(f"data      {data}: {len(dataset):,} images, {known}")
        return
    count = tally(dataset)
    print(f"data      {data}: {count}, {known}")
    if (dataset.folder, dataset.file) != (Path(data) / "images", Path(data) / "annotations.json"):
        print(f"          images in {dataset.folder}, annotations in {dataset.file}")
    for warning in count.warnings():
        print(f"          Warning: {warning}.")
    if must_be_learnable:
        count.check(data)


def open_model(weights: str) -> MaskRCNN:
    """The model of a name, a checkpoint or its folder, on the device where models run."""
    model = load(Path(weights) / CHECKPOINT if Path(weights).is_dir() else weights)
    return model.to(device())


def with_classes_of(dataset: Dataset, data: str, classes: Sequence[str], whose: str) -> Dataset:
    """The dataset with the labels of other data, or of weights: those of its classes' names.

    Raises ValueError unless every class of the data is among them.
    """
    known = dict(enumerate(classes))
    if all(known.get(k) == n or n.startswith("unused") for k, n in enumerate(dataset.classes)):
        return dataset
    if isinstance(dataset, CocoFolder):
        with suppress(ValueError):
            matched = dataset.with_classes(classes)
            print(f"classes   of {data} are matched by name with those of {whose}")
            return matched
    raise ValueError(
        f"{whose} knows {named(classes)}, but {data} has {named(dataset.classes)}: a class must "
        "have the same name in both"
    )


def device() -> str:
    """Where models run: on the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
