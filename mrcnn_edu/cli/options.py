"""Options: presets, the types that several commands share, and the defaults of `train`."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
File = tyro.conf.DisallowNone[Path | None]  # optional, but the word None is not a file
Name = tyro.conf.DisallowNone[str | None]
Number = tyro.conf.DisallowNone[int | None]


@dataclass(frozen=True)
class Model(Config):
    """The model's settings, to change single ones of the preset."""

    n_classes: tyro.conf.Suppress[int] = 0  # that of the data

    def __post_init__(self):
        """Not checked: it becomes a `Config`, which is, once the data is known."""


PRESETS = {
    "tiny": Model.tiny(0),
    "resnet50-fpn": Model(),
    "resnet50-c4": Model.c4(),
    "resnet101-fpn": Model(backbone="resnet101"),
    "resnet101-c4": replace(Model.c4(), backbone="resnet101"),
}
if TYPE_CHECKING:
    Preset = RecipeName = str
else:  # the choices that --help lists
    Preset, RecipeName = Literal[*PRESETS], Literal[*RECIPES]


def defaults(
    args: list[str], opened: Callable[[str], MaskRCNN]
) -> tuple[Model, Training, Augmentation]:
    """The defaults of `train`, which depend on --preset, --recipe, --batch-size and --weights.

    Training and augmentation are the recipe's. The model is the preset's, else the recipe's, else
    that of the weights (which `opened` reads), else the tiny one. tyro has to know the defaults
    before it reads the options, so these four are looked up first.
    """
    options = r"^--(preset|recipe|batch[-_]size|weights)[=\n](.*)$"
    found = re.findall(options, "\n".join(args), re.MULTILINE)
    given = {name.replace("_", "-"): value for name, value in found}  # tyro takes both
    recipe, weights = RECIPES.get(given.get("recipe", "")), given.get("weights", "imagenet")
    model, training, augmentation = PRESETS["tiny"], Training(), Augmentation()
    if recipe is not None:  # for a name that does not exist, tyro lists the recipes
        training, batch_size = recipe.training, given.get("batch-size", "")
        if batch_size.isdecimal() and int(batch_size) > 0:
            training = scaled(training, int(batch_size))
        model, augmentation = recipe.model, recipe.augmentation
    elif args[:1] == ["train"] and weights != "imagenet":
        model = PUBLISHED[weights][1] if weights in PUBLISHED else opened(weights).config
    settings: dict[str, Any] = asdict(model)
    settings["n_classes"] = 0
    return PRESETS.get(given.get("preset", ""), Model(**settings)), training, augmentation


def options_of(data: str, annotations: Path | None, scenes: Shapes = VAL_SCENES) -> list[str]:
    """The options that name this data; synthetic scenes, with the number and seed of `evaluate`."""
    options = ["--data", data]
    options += [] if annotations is None else ["--annotations", str(annotations)]
    for name, value in asdict(replace(scenes, n=VAL_SCENES.n, seed=VAL_SCENES.seed)).items():
        if data == "shapes" and value != getattr(VAL_SCENES, name):
            values = value if isinstance(value, tuple) else [value]
            options += [f"--scenes.{name.replace('_', '-')}", *map(str, values)]
    return options
