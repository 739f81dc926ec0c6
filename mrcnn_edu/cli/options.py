"""Options: presets, the types that several commands share, and the defaults of `train`."""

import inspect
import re
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from mrcnn_edu.cli.opening import SYNTHETIC, VAL_SCENES
from mrcnn_edu.config import Config
from mrcnn_edu.data import Reading, Shapes
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.recipes import RECIPES, Training, scaled
from mrcnn_edu.weights import PUBLISHED

Function = TypeVar("Function", bound=Callable)

NO_DEFAULT = tyro.conf.arg(help_behavior_hint="")  # instead of "(default: None)"
Flat = tyro.conf.arg(name="")  # --steps instead of --training.steps
Positional = tyro.conf.Positional
# Optional, but the word None is not a file, name or number.
File = Annotated[tyro.conf.DisallowNone[Path | None], NO_DEFAULT]
Name = Annotated[tyro.conf.DisallowNone[str | None], NO_DEFAULT]
Number = Annotated[tyro.conf.DisallowNone[int | None], NO_DEFAULT]

Read = Annotated[Reading, Flat]
AS_GIVEN = Reading()
Scenes = Annotated[
    Shapes, tyro.conf.arg(help="The synthetic scenes, where the data is shapes or figures.")
]


def joined_help(command: Function) -> Function:
    """A decorator that joins the lines of each option's help: tyro would break them as they are."""
    command.__doc__ = re.sub(r"\n {8}(?=\S)", " ", inspect.getdoc(command) or "")
    return command


@dataclass(frozen=True)
class Model(Config):
    """The model's settings, to change single ones of the preset."""

    n_classes: tyro.conf.Suppress[int] = 0  # that of the data
    n_keypoints: int = -1  # -1: the keypoints of the data, if it has any; 0: no keypoint head

    def __post_init__(self):
        """Not checked: it becomes a `Config`, which is, once the data is known."""


PRESETS = {
    "tiny": Model.tiny(0, n_keypoints=-1),
    "resnet50-fpn": Model(),
    "resnet50-c4": Model.c4(),
    "resnet101-fpn": Model(backbone="resnet101"),
    "resnet101-c4": replace(Model.c4(), backbone="resnet101"),
}
KEYPOINT_HEAD = "keypoint_size", "keypoint_channels", "keypoint_convs"
if TYPE_CHECKING:
    Preset = RecipeName = str
else:  # the choices that --help lists
    Preset, RecipeName = Literal[*PRESETS], Literal[*RECIPES]


def defaults(
    args: list[str], opened: Callable[[str], MaskRCNN]
) -> tuple[Model, Training, Augmentation]:
    """The defaults of `train`, which depend on --preset, --recipe, --batch-size and --weights.

    Training and augmentation are the recipe's. The model is the preset's, else the recipe's, else
    that of the weights (which `opened` reads), else the tiny one.
    """
    training, augmentation = Training(), Augmentation()
    if args[:1] != ["train"]:
        return PRESETS["tiny"], training, augmentation
    given = _given(args, "--preset", "--recipe", "--batch-size", "--weights")
    recipe, weights = RECIPES.get(given["recipe"]), given["weights"]
    model: Config = PRESETS["tiny"]
    if recipe is not None:
        model, training, augmentation = recipe.model, recipe.training, recipe.augmentation
        batch_size = given["batch_size"]
        if batch_size.isdecimal() and int(batch_size) > 0:
            training = scaled(training, int(batch_size))
    elif weights not in ("", "imagenet"):
        model = PUBLISHED[weights][1] if weights in PUBLISHED else opened(weights).config
    settings: dict[str, Any] = asdict(model)
    settings |= {"n_classes": 0, "n_keypoints": -1}
    if not model.n_keypoints and model.backbone.startswith("tiny"):  # a new head as small as these
        settings |= {name: getattr(PRESETS["tiny"], name) for name in KEYPOINT_HEAD}
    return PRESETS.get(given["preset"], Model(**settings)), training, augmentation


def _given(args: list[str], *options: str) -> dict[str, str]:
    """The values of some options, by their names with underscores; "" where one is not given.

    They are read before all others, because tyro has to know the defaults that depend on them. It
    then reads them again, with the others, and reports values that are wrong.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    for option in options:
        name = option.removeprefix("--").replace("-", "_")
        spellings = {option, f"--{name}"}  # tyro accepts both
        parser.add_argument(*spellings, nargs="?", default="", const="", dest=name)
    return vars(parser.parse_known_args(args)[0])


def options_of(
    data: str,
    annotations: Path | None,
    scenes: Shapes = VAL_SCENES,
    reading: Reading = AS_GIVEN,
) -> list[str]:
    """The options that name this data; synthetic scenes, with the number and seed of `evaluate`."""
    options = ["--data", data]
    options += [] if annotations is None else ["--annotations", str(annotations)]
    for name, value in asdict(reading).items():
        if value != getattr(AS_GIVEN, name):
            options += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    for name, value in asdict(replace(scenes, n=VAL_SCENES.n, seed=VAL_SCENES.seed)).items():
        if data in SYNTHETIC and value != getattr(VAL_SCENES, name):
            values = value if isinstance(value, tuple) else [value]
            options += [f"--scenes.{name.replace('_', '-')}", *map(str, values)]
    return options
