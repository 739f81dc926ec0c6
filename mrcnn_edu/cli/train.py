"""mrcnn-edu train: a model for your data."""

import shlex
import statistics
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch

from mrcnn_edu.cli.opening import VAL_SCENES, device, open_data
from mrcnn_edu.cli.options import File, Flat, Model, Name, Preset, RecipeName, options_of
from mrcnn_edu.cli.text import named, table
from mrcnn_edu.config import Config
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.augment import Augmentation
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, fit
from mrcnn_edu.train.checkpoints import CHECKPOINT, latest_checkpoint
from mrcnn_edu.train.distributed import world_size
from mrcnn_edu.train.metrics import Validation
from mrcnn_edu.weights import PUBLISHED
from mrcnn_edu.weights.backbones import init_backbone
from mrcnn_edu.weights.fine_tune import init_from_model

N_SHOWN = 4  # images in TensorBoard


def train(
    opened: Callable[[str], MaskRCNN],
    data: str = "shapes",
    annotations: File = None,
    out: File = None,
    preset: Preset = "tiny",
    recipe: RecipeName | None = None,
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
    scenes: Shapes,
) -> int:
    """Train a model. If the folder already holds a checkpoint, the run resumes from it.

    Args:
        opened: not an option: `open_model`, which remembers the models that it has read.
        data: the word shapes (synthetic scenes), or a COCO folder with images/ and
            annotations.json.
        annotations: the JSON file, if it is not in the COCO folder; data is then the folder of
            the images.
        out: the folder for checkpoints and losses.csv; runs/NAME-OF-THE-DATA if not given.
        preset: the model, a laptop's or the paper's; --model.* changes single settings.
        recipe: the paper's training, or a library's, with its model and augmentation. With another
            --batch-size, the learning rate and the number of steps are scaled.
        weights: the weights to start from: shapes-tiny, coco-resnet50-fpn, a checkpoint or its
            folder. Without a preset or recipe, the model is theirs too; the classes may differ.
            The word imagenet starts from a backbone that was trained for classification.
        val_data: the data to evaluate on during training: a COCO folder, or the word shapes.
        val_annotations: the JSON file of val_data, if it is not in its folder.
        eval_every: the number of steps between two evaluations.
        tensorboard: also write TensorBoard events, with pictures of a few validation images.
        cache: gigabytes of memory for decoded images, in each of the --workers.
    """
    if eval_every < 1:
        raise ValueError(f"eval-every is {eval_every}: give 1 or more")
    dataset = open_data(data, annotations, scenes)
    out = out or Path("runs") / Path(data).resolve().name
    out.mkdir(parents=True, exist_ok=True)
    last = latest_checkpoint(out)
    done = 0 if last is None else len(last[1].get("losses", []))

    torch.manual_seed(training.seed)
    config = _config(model, dataset)
    dataset = dataset.with_channels(config.in_channels)
    network = MaskRCNN(config)
    kept = [] if done else _start(network, weights, opened, dataset.classes)
    network.to(device())
    n_parameters = sum(p.numel() for p in network.parameters())
    passes = training.steps * training.batch_size / len(dataset)
    print(f"data      {data}: {len(dataset):,} images, {named(dataset.classes)}")
    shared = "" if world_size() == 1 else f", in {world_size()} processes"
    layers = f"{config.backbone}, {config.neck}, {n_parameters:,} parameters"
    print(f"model     {layers}, on {device()}{shared}")
    _print_plan(weights, kept, training, passes, config)
    on = "is complete" if done == training.steps else f"resumes after step {done}"
    print(f"folder    {out}" + (f", {on}" if done else ""), flush=True)

    images = Cached(dataset, cache * 1e9) if cache else dataset
    images = augment.wrap(images, training, config.pixel_mean)
    callbacks, unseen, measured = [], dataset, None
    if val_data is not None:
        unseen = _validation_set(
            val_data, val_annotations, scenes, data, dataset, config.in_channels
        )
        measured = Validation(network, unseen, eval_every, out, training.steps)
        callbacks.append(measured)
    if tensorboard:
        from mrcnn_edu.train.tensorboard import TensorBoard

        shown = [unseen[i] for i in range(min(N_SHOWN, len(unseen)))]
        callbacks.append(TensorBoard(network, shown, training, eval_every, out, measured))
    losses = _fit(network, images, training, out, callbacks)
    if measured is not None and done == training.steps:
        measured.catch_up(losses)  # the run may have been stopped before its last evaluation
    if losses:
        print(_loss_table(losses))
    better = "" if data == "shapes" else ", better on images that were not trained on"
    command = ["mrcnn-edu", "evaluate", "--weights", str(out / CHECKPOINT)]
    print(f"\nNext{better}:\n  {shlex.join(command + options_of(data, annotations, scenes))}")
    return 0


def _config(model: Model, dataset) -> Config:
    """The config of the model's options, with as many classes as the dataset has."""
    settings: dict[str, Any] = asdict(model)
    n_channels, n_means = model.in_channels, len(model.pixel_mean)
    settings |= {"n_classes": len(dataset.classes), "in_channels": n_means}
    config = Config(**settings)
    if n_channels != n_means:  # the means are those of the preset
        config = config.with_channels(n_channels)
    return config


def _start(network: MaskRCNN, weights: str | None, opened: Callable, classes: list) -> list[str]:
    """Initialize the network from the weights; sentences that say what was copied."""
    if weights is None:
        return []
    if weights == "imagenet":
        init_backbone(network)
        return []
    return init_from_model(network, opened(weights).cpu(), classes, weights)


def _print_plan(weights, kept: list[str], training: Training, passes: float, config: Config):
    """Print what the run starts from and how long it is, with advice on both."""
    if kept:
        print(f"weights   {weights}: " + ";\n          ".join(kept))
    rate = training.learning_rate
    if weights in PUBLISHED and training.optimizer == "adamw" and rate == Training.learning_rate:
        print(f"          A rate of {rate:g} suits small new models: try --learning-rate 1e-4")
    print(f"training  {training.steps} steps of {training.batch_size} images, {passes:.3g} passes")
    if config.norm == "frozen" and weights is None:
        print("          Frozen norms do not suit random weights: try --model.norm batch")
    if training.frozen_stages and weights is None:
        print("          Frozen stages would stay random: try --frozen-stages 0")


def _validation_set(
    val_data: str, annotations: Path | None, scenes: Shapes, data: str, dataset, channels: int
):
    """The validation set, whose classes must be those of the training set."""
    unseen = open_data(val_data, annotations, replace(scenes, n=VAL_SCENES.n, seed=VAL_SCENES.seed))
    if unseen.classes != dataset.classes:
        raise ValueError(f"{val_data} has other classes than {data}: {named(unseen.classes)}")
    return unseen.with_channels(channels)


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
