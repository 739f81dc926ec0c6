"""Options: presets, the types that several commands share, and the defaults of `train`."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from mrcnn_edu.cli.opening import VAL_SCENES
from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.recipes import RECIPES, Training, scaled
from mrcnn_edu.weights import PUBLISHED

Flat = tyro.conf.arg(name="")  # --steps instead of --training.steps
Positional = tyro.conf.Positional
File = tyro.conf.DisallowNone[Path | None]  # or left away; the word None is no file
Name = tyro.conf.DisallowNone[str | None]
Number = tyro.conf.DisallowNone[int | None]


@dataclass(frozen=True)
class Model(Config):
    """The model, where it is to differ from the preset."""

    n_classes: tyro.conf.Suppress[int] = 0  # the data's

    def __post_init__(self):
        """Not checked here: it becomes a `Config`, and is checked, when the data is known."""


PRESETS = {
    "tiny": Model.tiny(0),
    "resnet50-fpn": Model(),
    "resnet50-c4": Model.c4(),
    "resnet101-fpn": Model(backbone="resnet101"),
    "resnet101-c4": replace(Model.c4(), backbone="resnet101"),
}
Preset = Literal[*PRESETS]
RecipeName = Literal[*RECIPES]


def defaults(
    args: list[str], opened: Callable[[str], MaskRCNN]
) -> tuple[Model, Training, Augmentation]:
    """What the options of `train` are where nothing is said, which other options decide.

    Training and augmentation are the recipe's. The model is the preset's, else the recipe's, else
    that of the weights (as `opened`, `open_model`, gives them), else tiny.
    """
    options = r"^--(preset|recipe|batch[-_]size|weights)[=\n](.*)$"
    found = re.findall(options, "\n".join(args), re.MULTILINE)
    given = {name.replace("_", "-"): value for name, value in found}  # tyro takes both
    recipe, weights = RECIPES.get(given.get("recipe")), given.get("weights", "imagenet")
    model, training, augmentation = PRESETS["tiny"], Training(), Augmentation()
    if recipe is not None:  # or else tyro says which there are
        training, batch_size = recipe.training, given.get("batch-size", "")
        if batch_size.isdecimal() and int(batch_size) > 0:
            training = scaled(training, int(batch_size))
        model, augmentation = recipe.model, recipe.augmentation
    elif args[:1] == ["train"] and weights != "imagenet":
        model = PUBLISHED[weights][1] if weights in PUBLISHED else opened(weights).config
    model = Model(**asdict(model) | {"n_classes": 0})
    return PRESETS.get(given.get("preset"), model), training, augmentation


def options_of(data: str, annotations: Path | None, scenes: Shapes = VAL_SCENES) -> list[str]:
    """The options for this data; of scenes as many, and from the seed, that `evaluate` takes."""
    options = ["--data", data]
    options += [] if annotations is None else ["--annotations", str(annotations)]
    for name, value in asdict(replace(scenes, n=VAL_SCENES.n, seed=VAL_SCENES.seed)).items():
        if data == "shapes" and value != getattr(VAL_SCENES, name):
            values = value if isinstance(value, tuple) else [value]
            options += [f"--scenes.{name.replace('_', '-')}", *map(str, values)]
    return options
