"""mrcnn-edu train: a model for your data."""

import shlex
import statistics
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from mrcnn_edu.cli.opening import (
    SYNTHETIC,
    VAL_SCENES,
    device,
    open_data,
    print_data,
    with_classes_of,
)
from mrcnn_edu.cli.options import (
    AS_GIVEN,
    KEYPOINT_HEAD,
    NO_DEFAULT,
    File,
    Flat,
    Model,
    Name,
    Preset,
    Read,
    RecipeName,
    Scenes,
    joined_help,
    options_of,
)
from mrcnn_edu.cli.text import table
from mrcnn_edu.config import Config
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.checkpoints import CHECKPOINT, latest_checkpoint
from mrcnn_edu.train.distributed import world_size
from mrcnn_edu.train.metrics import Validation
from mrcnn_edu.weights import PUBLISHED
from mrcnn_edu.weights.backbones import init_backbone
from mrcnn_edu.weights.fine_tune import init_from_model

N_SHOWN = 4  # images in TensorBoard


@joined_help
def train(
    opened: Callable[[str], MaskRCNN],
    data: str = "shapes",
    annotations: File = None,
    out: File = None,
    preset: Preset = "tiny",
    recipe: Annotated[tyro.conf.DisallowNone[RecipeName | None], NO_DEFAULT] = None,
    weights: Name = None,
    val_data: Name = None,
    val_annotations: File = None,
    eval_every: int = 500,
    tensorboard: bool = False,
    cache: float = 0,
    *,
    training: Annotated[Training, Flat],
    augment: Augmentation,
    model: Model,
    scenes: Scenes,
    reading: Read = AS_GIVEN,
) -> int:
    """Train a model. If the folder already holds a checkpoint, the run resumes from it.

    Args:
        opened: not an option: `open_model`, which remembers the models that it has read.
        data: the word shapes (synthetic scenes) or figures (scenes with keypoints), or a COCO
            folder with images/ and annotations.json.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        out: the folder for checkpoints and losses.csv; runs/NAME-OF-THE-DATA if not given.
        preset: the model, a laptop's or the paper's; --model.* changes single settings.
        recipe: the paper's training, or a library's, with its model and augmentation. With another
            --batch-size, the learning rate and the number of steps are scaled.
        weights: the weights to start from: shapes-tiny, coco-resnet50-fpn, a checkpoint or its
            folder. Without a preset or recipe, the model is theirs too; the classes may differ.
            The word imagenet starts from a backbone that was trained for classification.
        val_data: the data to evaluate on during training: a COCO folder, or the word shapes or
            figures.
        val_annotations: the JSON file of --val-data, if it is not in its folder.
        eval_every: the number of steps between two evaluations.
        tensorboard: also write TensorBoard events, with pictures of a few validation images.
        cache: gigabytes of memory for decoded images, in each of the --workers.
    """
    if eval_every < 1:
        raise ValueError(f"eval-every is {eval_every}: give 1 or more")
    dataset = open_data(data, annotations, scenes, reading=reading)
    print_data(data, dataset)
    out = out or Path("runs") / Path(data).resolve().name
    out.mkdir(parents=True, exist_ok=True)
    last = latest_checkpoint(out)
    n_done = 0 if last is None else len(last[1].get("losses", []))

    torch.manual_seed(training.seed)
    if reading.boxes_only:
        model = replace(model, mask_head=None)
    config = _config(model, dataset)
    dataset = dataset.with_channels(config.in_channels)
    network = MaskRCNN(config)
    notes = [] if n_done else _initialize(network, weights, opened, dataset.classes)
    network.to(device())
    _print_model(network, config)
    if notes:
        print(f"weights   {weights}: " + ";\n          ".join(notes))
    _print_plan(weights, training, config, len(dataset))
    state = "is complete" if n_done == training.steps else f"resumes after step {n_done}"
    print(f"folder    {out}" + (f", {state}" if n_done else ""), flush=True)

    images = Cached(dataset, cache * 1e9) if cache else dataset
    images = augment.wrap(images, training, config.pixel_mean)
    callbacks, val_set, validation = [], dataset, None
    if val_data is not None:
        unseen = replace(scenes, n=VAL_SCENES.n, seed=VAL_SCENES.seed)
        val_set = open_data(val_data, val_annotations, unseen, reading=reading)
        val_set = with_classes_of(val_set, val_data, dataset.classes, data)
        val_set = val_set.with_channels(config.in_channels)
        validation = Validation(network, val_set, eval_every, out, training.steps)
        callbacks.append(validation)
    if tensorboard:
        callbacks.append(_tensorboard(network, val_set, training, eval_every, out, validation))
    losses = _fit(network, images, training, out, callbacks)
    if validation is not None and n_done == training.steps:
        validation.catch_up(losses)  # the run may have been stopped before its last evaluation
    if losses:
        print(_loss_table(losses))
    better = "" if data in SYNTHETIC else ", better on images that were not trained on"
    command = ["mrcnn-edu", "evaluate", "--weights", str(out / CHECKPOINT)]
    print(
        f"\nNext{better}:\n  {shlex.join(command + options_of(data, annotations, scenes, reading))}"
    )
    return 0


def _config(model: Model, dataset) -> Config:
    """The config of the model's options, with as many classes and keypoints as the dataset has.

    Raises ValueError if the options ask for another number of keypoints, unless that is 0.
    """
    settings: dict[str, Any] = asdict(model)
    n_keypoints = len(dataset.keypoints)
    if model.n_keypoints == -1:
        settings["n_keypoints"] = n_keypoints
    elif model.n_keypoints not in (0, n_keypoints):
        raise ValueError(
            f"n-keypoints is {model.n_keypoints}, but the data has {n_keypoints}: leave it out, or "
            "give 0 for a model without keypoints"
        )
    n_channels, n_means = model.in_channels, len(model.pixel_mean)
    settings |= {"n_classes": len(dataset.classes), "in_channels": n_means}
    if settings["n_keypoints"] == 0:  # the record of a model without keypoints has no small head
        settings |= {name: getattr(Config, name) for name in KEYPOINT_HEAD}
    config = Config(**settings)
    if n_channels != n_means:  # the means are those of the preset
        config = config.with_channels(n_channels)
    return config


def _initialize(
    network: MaskRCNN,
    weights: str | None,
    opened: Callable[[str], MaskRCNN],
    classes: list[str],
) -> list[str]:
    """Initialize the network from the weights, and return sentences that say what was copied."""
    if weights is None:
        return []
    if weights == "imagenet":
        init_backbone(network)
        return []
    return init_from_model(network, opened(weights).cpu(), classes, weights)


def _print_model(network: MaskRCNN, config: Config) -> None:
    n_parameters = sum(p.numel() for p in network.parameters())
    shared = "" if world_size() == 1 else f", in {world_size()} processes"
    layers = f"{config.backbone}, {config.neck}, {n_parameters:,} parameters"
    print(f"model     {layers}, on {device()}{shared}")


def _print_plan(weights: str | None, training: Training, config: Config, n_images: int) -> None:
    """Print how long the run is, with advice on settings that do not suit its start."""
    rate = training.learning_rate
    if weights in PUBLISHED and training.optimizer == "adamw" and rate == Training.learning_rate:
        print(f"          A rate of {rate:g} suits small new models: try --learning-rate 1e-4")
    epochs = training.steps * training.batch_size / n_images
    print(f"training  {training.steps} steps of {training.batch_size} images, {epochs:.3g} epochs")
    if config.norm == "frozen" and weights is None:
        print("          Frozen norms do not suit random weights: try --model.norm batch")
    if training.frozen_stages and weights is None:
        print("          Frozen stages would stay random: try --frozen-stages 0")


def _tensorboard(
    network: MaskRCNN,
    dataset: Dataset,
    training: Training,
    every: int,
    out: Path,
    validation: Validation | None,
) -> Callable[[list[dict[str, float]]], None]:
    """The callback that writes TensorBoard events, with pictures of the first images."""
    from mrcnn_edu.train.tensorboard import TensorBoard  # only here: most runs do without it

    shown = [dataset[i] for i in range(min(N_SHOWN, len(dataset)))]
    return TensorBoard(network, shown, training, every, out, validation)


def _fit(network, images, training: Training, out: Path, callbacks: list) -> list[dict]:
    """`fit`; Ctrl-C says from where the run can be resumed."""
    try:
        return fit(network, images, training, out, callbacks=tuple(callbacks))
    except KeyboardInterrupt:
        checkpoint = out / CHECKPOINT
        kept = f"The same command resumes from {checkpoint}."
        none = f"Nothing was saved: the first checkpoint comes at step {training.checkpoint_every}."
        raise KeyboardInterrupt(kept if checkpoint.is_file() else none) from None


def _loss_table(losses: list[dict[str, float]]) -> str:
    """The mean of each loss over the first and over the last tenth of the steps."""
    n = -(-len(losses) // 10)
    ends = losses[:n], losses[-n:]
    means = {
        name: [statistics.fmean(step[name] for step in end) for end in ends] for name in losses[0]
    }
    means["sum"] = [sum(column) for column in zip(*means.values(), strict=True)]
    rows = [(name, *values) for name, values in means.items()]
    return table(("mean loss", f"first {n} steps", f"last {n} steps"), *rows)
