"""The command mrcnn-edu: Mask R-CNN from a terminal.

Each public function but `main` and `open_data` is a command, and its docstring the command's help.
Options are its arguments and the fields of the package's own dataclasses. A mistake that can be
mended is a line and exit code 2; with MRCNN_EDU_TRACEBACK=1 it shows its place in the code.
"""

import json
import math
import os
import re
import shlex
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from tqdm.auto import tqdm

from mrcnn_edu import evaluate as evaluation
from mrcnn_edu.checkpoints import newest
from mrcnn_edu.config import Config
from mrcnn_edu.data import (
    CocoFolder,
    Shapes,
    check,
    coco_results,
    read_results,
    write_results,
)
from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.coco import write_file
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.data.overview import (
    POSITIVE,
    UNREACHED,
    coverage_rows,
    images_to_show,
    overview,
    suggest_sizes,
    with_sizes,
)
from mrcnn_edu.fine_tune import start_from
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.processes import detect_shared, joined, rank, world_size
from mrcnn_edu.progress import HeldOut
from mrcnn_edu.recipes import RECIPES, scaled
from mrcnn_edu.train import CHECKPOINT, Terminated, Training, fit
from mrcnn_edu.weights import PUBLISHED, load

MENDABLE = ValueError, OSError, FloatingPointError, torch.OutOfMemoryError
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"}
HELD_OUT = Shapes(n=300, seed=1)  # training takes seed 0
FEW = Shapes(n=10, seed=1)
ENOUGH = 50  # objects to suggest anchors from: fewer say little of those to come
N_SHOWN = 4  # images in TensorBoard
HELP = "mrcnn-edu COMMAND --help lists its options."


@dataclass(frozen=True)
class Model(Config):
    """The model, where it is to differ from the preset."""

    n_classes: tyro.conf.Suppress[int] = 0  # comes from the data


PRESETS = {
    "tiny": Model.tiny(0),
    "resnet50-fpn": Model(),
    "resnet50-c4": Model.c4(),
    "resnet101-fpn": Model(backbone="resnet101"),
    "resnet101-c4": replace(Model.c4(), backbone="resnet101"),
}
Preset = Literal["tiny", "resnet50-fpn", "resnet50-c4", "resnet101-fpn", "resnet101-c4"]
RecipeName = Literal["paper-fpn", "paper-c4", "torchvision", "detectron2-1x"]
Flat = tyro.conf.arg(name="")  # --steps instead of --training.steps
Positional = tyro.conf.Positional
File = tyro.conf.DisallowNone[Path | None]  # or left away; the word None is no file
Name = tyro.conf.DisallowNone[str | None]
Number = tyro.conf.DisallowNone[int | None]


def main(args: Sequence[str] | None = None) -> int:
    """The exit code of the command that args (if not given, the terminal's) ask for."""
    args = list(sys.argv[1:] if args is None else args)
    if args[:1] == ["lab"] and args[1:] not in (["--help"], ["-h"]):
        args.insert(1, "--")  # what follows is for JupyterLab to understand
    try:
        model, training = _defaults(args)
        commands = {
            "lab": lab,
            "demo": demo,
            "train": partial(train, model=model, training=training),
            "evaluate": evaluate,
            "predict": predict,
            "check-data": check_data,
            "ablate": ablate,
        }
        with joined():
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog="mrcnn-edu",
                description=f"Mask R-CNN from a terminal. {HELP}",
                args=args,
            )
    except Terminated as stop:
        print(f"\nStopped: {stop.message}.", file=sys.stderr)
        return stop.code
    except KeyboardInterrupt as stop:
        print(f"\nStopped. {stop}".rstrip(), file=sys.stderr)
        return 130
    except MENDABLE as error:
        if os.environ.get("MRCNN_EDU_TRACEBACK") == "1":
            raise
        first, *more = str(error).splitlines() or [type(error).__name__]
        more = [*more[:3], f"  ... and {len(more) - 3} more"] if len(more) > 4 else more
        print(f"mrcnn-edu: {first}", *more, sep="\n", file=sys.stderr)
        return 2


def lab(options: Positional[tuple[str, ...]] = ()) -> int:
    """Open the course in JupyterLab, at its first notebook.

    Args:
        options: JupyterLab's own, such as --port 8899 or --no-browser.
    """
    roots = Path(__file__).parent.parent, Path.cwd()
    places = [root / "notebooks" / "00_start_here.ipynb" for root in roots]
    notebook = next((place for place in places if place.is_file()), None)
    if notebook is None:
        where = "start this in a checkout of the repository (`make notebooks` builds them there)"
        raise FileNotFoundError(f"there is no notebook {places[0]}: {where}")
    if find_spec("jupyterlab") is None:
        raise FileNotFoundError("JupyterLab is missing: pip install 'mrcnn_edu[notebooks]'")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options = ("--allow-root", *options)  # in a container everybody is root
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebook), *options])


def demo(weights: str = "shapes-tiny", n: int = 50, out: Path = Path("demo.png")) -> int:
    """Find and outline the objects of scenes that the model has never seen.

    Args:
        weights: the shipped model, or a checkpoint of yours.
        n: scenes.
        out: a picture of one of them, truth beside detections.
    """
    from mrcnn_edu.viz import show_detections

    dataset = open_data("shapes", None, replace(HELD_OUT, n=n))
    model = _open_model(weights, dataset)
    found = evaluation.detect_all(model, dataset)
    milliseconds = 1000 * statistics.median(found.seconds)
    print(f"Average precision on {n} scenes ({milliseconds:.0f} ms each); 1 is perfect:\n")
    print(_score_table(_score(dataset, found)))

    fullest = max(range(n), key=lambda i: len(dataset[i][1]["labels"]))
    image, target = dataset[fullest]
    surest = found[fullest][found[fullest].scores >= 0.5]
    picture = show_detections(image, surest, dataset.classes, target)
    write_file(out, picture.png())
    print(f"\nThe fullest scene, truth beside detections: {out.resolve()}")
    print("Next: make lab opens notebook 00, which starts from such a scene.")
    return 0


def train(
    data: str = "shapes",
    annotations: File = None,
    out: File = None,
    preset: Preset = "tiny",
    recipe: RecipeName | None = None,
    weights: Name = None,
    held_out: Name = None,
    measure_every: int = 500,
    tensorboard: bool = False,
    cache: float = 0,
    *,
    training: Annotated[Training, Flat],
    augment: Augmentation,
    model: Model,
    scenes: Shapes,
) -> int:
    """Train a model; with a checkpoint in the folder, go on from there.

    Args:
        data: shapes, or a COCO folder with images/ and annotations.json.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: the folder for checkpoints (default: runs/ and the data's name).
        preset: a laptop's model or the paper's; --model.* changes single numbers.
        recipe: the paper's training, or a library's, and its model; with another --batch-size the
            rate and the steps follow.
        weights: start from these: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder; the
            model is theirs if no preset or recipe is given, and classes may be others. The word
            imagenet starts from a backbone that has learned to classify.
        held_out: a COCO folder that is not trained on, or shapes; the model is measured on it.
        measure_every: so many steps.
        tensorboard: write what TensorBoard shows, with pictures of held-out images.
        cache: gigabytes of memory, of each of the --workers, for images that are decoded.
    """
    dataset = open_data(data, annotations, scenes)
    out = out or Path("runs") / Path(data).resolve().name
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / CHECKPOINT
    last = newest(out)
    done = 0 if last is None else len(last[1].get("losses", []))

    torch.manual_seed(training.seed)
    config = Config(**asdict(model) | {"n_classes": len(dataset.classes)})
    if config.in_channels != len(config.pixel_mean):  # of another number, as it comes with preset
        config = config.with_channels(config.in_channels)
    if isinstance(dataset, CocoFolder):
        dataset.channels = config.in_channels
    network = MaskRCNN(config)
    kept = []
    if weights == "imagenet":
        from mrcnn_edu.ablations import start  # not above: it brings scipy

        start.start_from(network)
    elif weights is not None and not done:
        kept = start_from(network, _open_model(weights).cpu(), dataset.classes, weights)
    network.to(_device())
    n_parameters = sum(p.numel() for p in network.parameters())
    passes = training.steps * training.batch_size / len(dataset)
    print(f"data      {data}: {len(dataset):,} images, {_named(dataset.classes)}")
    shared = "" if world_size() == 1 else f", in {world_size()} processes"
    layers = f"{config.backbone}, {config.neck}, {n_parameters:,} parameters"
    print(f"model     {layers}, on {_device()}{shared}")
    if kept:
        print(f"weights   {weights}: " + ";\n          ".join(kept))
    rate = training.learning_rate
    if weights in PUBLISHED and training.optimizer == "adamw" and rate == Training.learning_rate:
        print(f"          A rate of {rate:g} suits small new models: try --learning-rate 1e-4")
    print(f"training  {training.steps} steps of {training.batch_size} images, {passes:.3g} passes")
    if config.norm == "frozen" and weights is None:
        print("          Frozen norms do not suit random weights: try --model.norm batch")
    on = "is complete" if done == training.steps else f"goes on after step {done}"
    print(f"folder    {out}" + (f", {on}" if done else ""), flush=True)

    images = Cached(dataset, cache * 1e9) if cache else dataset
    if augment != Augmentation():
        transform = augment.transform(config.pixel_mean)
        shown = augment.short_sides, training.seed, math.ceil(passes)
        images = Augmented(images, transform, *shown)
    watchers, unseen, measured = [], dataset, None
    if held_out is not None:
        unseen = open_data(held_out, None, replace(scenes, n=HELD_OUT.n, seed=HELD_OUT.seed))
        if unseen.classes != dataset.classes:
            raise ValueError(f"{held_out} has other classes than {data}: {_named(unseen.classes)}")
        if isinstance(unseen, CocoFolder):
            unseen.channels = config.in_channels
        measured = HeldOut(network, unseen, measure_every, out)
        watchers.append(measured)
    if tensorboard:
        from mrcnn_edu.board import TensorBoard

        shown = [unseen[i] for i in range(min(N_SHOWN, len(unseen)))]
        watchers.append(TensorBoard(network, shown, training, measure_every, out, measured))
    try:
        losses = fit(network, images, training, out, watchers=tuple(watchers))
    except KeyboardInterrupt:
        kept = f"The same command goes on from {checkpoint}."
        none = f"Nothing was kept: the first checkpoint comes at step {training.checkpoint_every}."
        raise KeyboardInterrupt(kept if checkpoint.is_file() else none) from None
    if losses:
        n = -(-len(losses) // 10)
        ends = losses[:n], losses[-n:]
        rows = [
            (name, *(statistics.fmean(step[name] for step in end) for end in ends))
            for name in losses[0]
        ]
        rows.append(("sum", sum(row[1] for row in rows), sum(row[2] for row in rows)))
        print(_table(("mean loss", f"first {n} steps", f"last {n} steps"), *rows))
    better = "" if data == "shapes" else ", better with images that were not trained on"
    command = ["mrcnn-edu", "evaluate", "--weights", str(checkpoint)]
    print(f"\nNext{better}:\n  {shlex.join(command + _options(data, annotations, scenes))}")
    return 0


def evaluate(
    weights: str = "shapes-tiny",
    data: str = "shapes",
    annotations: File = None,
    out: File = None,
    results: File = None,
    detections: File = None,
    scenes: Shapes = HELD_OUT,
) -> int:
    """Score a model: COCO's average precision of its masks, if any, and boxes; time for an image.

    Args:
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: shapes (scenes that training does not see), or a COCO folder.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: a JSON file for the scores.
        results: a JSON file for the detections, in COCO's results format.
        detections: score the detections in this file (COCO's results), and run no model.
    """
    dataset = open_data(data, annotations, scenes, detections is None and weights in PUBLISHED)
    for file in (out, results):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)  # fails before the long work, if it must
    if detections is None:
        found = detect_shared(_open_model(weights, dataset), dataset)
    else:
        found = read_results(dataset, detections)
    if results is not None and rank() == 0:  # before anything else can go wrong
        n = write_results(dataset, found, results)
        print(f"{n} detections are in {results}")
    scores = _score(dataset, found)
    print(_score_table(scores))
    contents = {"weights": weights, "data": data, "n_images": len(dataset)}
    if detections is None:
        milliseconds = 1000 * statistics.median(found.seconds)
        print(f"\n{len(dataset)} images, {milliseconds:.0f} ms each on {_device()} (median)")
        contents |= {"milliseconds_per_image": milliseconds}
    else:
        print(f"\n{len(dataset)} images, detections from {detections}")
        contents["weights"] = None
        contents |= {"detections": str(detections)}
    if out is not None and rank() == 0:
        contents |= {kind: asdict(values) for kind, values in scores.items()}
        contents = json.loads(json.dumps(contents), parse_constant=lambda nan: None)
        write_file(out, json.dumps(contents, indent=2).encode())
        print(f"The scores are in {out}")
    return 0


def predict(
    images: Positional[tuple[Path, ...]] = (),
    weights: str = "shapes-tiny",
    data: Name = None,
    annotations: File = None,
    out: Path = Path("predictions"),
    min_score: float = 0.5,
    scenes: Shapes = FEW,
) -> int:
    """Find the objects in images: a picture of each, and all in detections.json (COCO's results).

    Args:
        images: files, or folders of them.
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: shapes or a COCO folder, instead of images.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: the folder for the results.
        min_score: pictures show detections that score this or more; detections.json has all.
    """
    from mrcnn_edu.viz import show_detections

    if bool(images) == (data is not None):
        raise ValueError("give either images (files or folders of them) or --data")
    dataset = _Files(images)
    if data is not None:
        dataset = open_data(data, annotations, scenes, keep_ids=weights in PUBLISHED)
    model = _open_model(weights, dataset)
    category_ids = dict(enumerate(getattr(dataset, "category_ids", []), start=1))  # of labels
    scene_names = ({"file_name": f"scene-{i}"} for i in range(len(dataset)))
    names = [record["file_name"] for record in getattr(dataset, "records", scene_names)]
    pictures = [out / f"{Path(name).stem}-detections.png" for name in names]
    if len(set(pictures)) < len(pictures):
        (picture, n), *_ = Counter(pictures).most_common(1)
        raise ValueError(f"{picture} would be drawn for {n} images: give each its own --out")
    if not names:
        raise ValueError(f"there is no image in {', '.join(map(str, images))}")
    out.mkdir(parents=True, exist_ok=True)
    results, failures = [], []
    for index in tqdm(range(len(dataset)), "predict"):
        try:
            image, target = dataset[index]
            (found,) = model.detect([image])
        except (ValueError, OSError, RuntimeError) as error:
            failures.append(f"  {names[index]}: {error}")
            continue
        surest = found[found.scores >= min_score]
        width = image.shape[-1] / 72 if image.shape[-1] > 260 else 3.6  # small scenes are enlarged
        picture = show_detections(image, surest, model.classes, width=width)
        write_file(pictures[index], picture.png())
        for result in coco_results([(image, target)], [found]):
            label = result["category_id"]
            result["category_id"] = category_ids.get(label, label)
            known = {"category": model.classes[label - 1], "file_name": names[index]}
            results.append(result | known)
    write_file(out / "detections.json", json.dumps(results).encode())
    n_done = len(dataset) - len(failures)
    print(f"{len(results)} detections in {n_done} images: {out / 'detections.json'}, and pictures")
    if failures:
        first = f"{len(failures)} of {len(dataset)} images failed:"
        print(first, *failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


def check_data(
    folder: Positional[str],
    annotations: File = None,
    all: bool = False,
    out: File = None,
    preset: Literal["tiny", "resnet50-fpn"] = "resnet50-fpn",
    channels: int = 3,
) -> int:
    """List what is wrong with a COCO folder, and what is in it; the exit code is 1 if any is wrong.

    Args:
        folder: with images/ and annotations.json.
        annotations: the JSON file, if it is elsewhere; folder is then that of the images.
        all: print every problem, not only the first three of a kind.
        out: a folder for pictures: counts and sizes, anchor coverage, a sheet of images.
        preset: the model whose input size and anchors the objects are compared with.
        channels: of the images: 3 for colour, 1 for grey, or as many as the files have.
    """
    dataset = open_data(folder, annotations)
    if isinstance(dataset, CocoFolder):
        dataset.channels = channels
    kinds: dict[str, list] = {}  # the message without its particulars -> problems
    for problem in check(dataset):
        kind = re.sub(r"( \(|: ).*", "", problem.message, flags=re.DOTALL)
        kinds.setdefault(re.sub(r"\d([\d., -]*\d)?", "N", kind), []).append(problem)
    for kind, problems in sorted(kinds.items(), key=lambda item: -len(item[1])):
        shown = problems if all else problems[:3]
        print(f"{len(problems)} x {kind}", *shown, sep="\n    ")
        if len(shown) < len(problems):
            print(f"    ... and {len(problems) - len(shown)} more: --all prints them")
    _describe(dataset, PRESETS[preset], preset, out)
    n_images = f"{len(dataset):,} images, {_named(dataset.classes)}"
    if kinds:
        print(f"\n{sum(map(len, kinds.values()))} problems in {n_images}")
        return 1
    options = _options(folder, annotations)
    options += ["--weights", "coco-resnet50-fpn"] if preset == "resnet50-fpn" else []
    print(
        f"\nNothing is wrong in {n_images}.\nNext: {shlex.join(['mrcnn-edu', 'train', *options])}"
    )
    return 0


def ablate(
    table: Positional[str],
    seeds: int = 2,
    seed: Number = None,
    setting: tuple[str, ...] = (),
    steps: Number = None,
    *,
    data: str = "shapes",
    held_out: Name = None,
    config: Literal["tiny", "c4-r50", "c5-r50", "fpn-r50"] = "tiny",
    out: Path = Path("runs/ablations"),
    dask: Name = None,
    plan: bool = False,
    shipped: bool = False,
) -> int:
    """Measure a table of the paper: 2a, 2b, 2c, 2d, 2d-box, 2e, 3, agnostic, points or size.

    Finished runs are kept, and a run that was stopped goes on: the same command takes it up.

    Args:
        table: its name, or a wrong one to see all names.
        seeds: how many; they are 0, 1, ...
        seed: this one alone.
        setting: the names of some settings, if not all are wanted.
        steps: of each training (default: 400; with --config c4-r50 and the like the paper's).
        data: shapes, or a COCO folder to train on.
        held_out: a COCO folder to score on.
        config: the model that is changed; the r50 are of full size and start from ImageNet's.
        out: the folder where runs are kept.
        dask: the address of a Dask scheduler, to run on its workers.
        plan: print a command for each setting and seed, as for an array of SLURM; run nothing.
        shipped: print the results that come with the package; run nothing.
    """
    from mrcnn_edu.ablations import Folder, Lab, run, table_of
    from mrcnn_edu.ablations import shipped as shipped_results
    from mrcnn_edu.viz import show_seeds

    chosen = table_of(table)
    if shipped:
        print(shipped_results(chosen))
        return 0
    wanted = [chosen.setting(name) for name in setting] if setting else chosen.settings
    numbers = range(seeds) if seed is None else [seed]
    if plan:
        given = ["--data", data, "--config", config, "--out", str(out)]
        given += [] if steps is None else ["--steps", str(steps)]
        given += [] if held_out is None else ["--held-out", held_out]
        for number in numbers:
            for one in wanted:
                which = ["ablate", table, "--seed", str(number), "--setting", one.name]
                print(shlex.join(["mrcnn-edu", *which, *given]))
        return 0

    lab = Lab()
    if (data == "shapes") != (held_out is None):
        raise ValueError("give --data and --held-out together: two COCO folders")
    if held_out is not None:
        folders = [open_data(folder) for folder in (data, held_out)]
        lab = Lab("tiny", None, *(Folder(str(f.folder), str(f.file)) for f in folders))
    if config != "tiny":
        neck, size = config.split("-")
        lab = replace(lab, size=size, neck=neck)
    names = [one.name for one in wanted]
    with _cluster(dask) as executor:
        results = run(chosen, numbers, steps, executor, settings=names, lab=lab, folder=out)
    print(results)
    picture = out / f"{chosen.name}.png"
    write_file(picture, show_seeds(*results.by_seed(), f"{results.table.what} AP").png())
    print(f"\nEvery seed, and the paper's numbers: {picture}")
    return 1 if results.failed else 0


# What the commands have in common


def _defaults(args: list[str]) -> tuple[Model, Training]:
    """What the options of `train` are where nothing is said.

    The training is the recipe's. The model is the preset's, else the recipe's, else that of the
    weights, else tiny.
    """
    options = r"^--(preset|recipe|batch-size|weights)[=\n](.*)$"
    given = dict(re.findall(options, "\n".join(args), re.MULTILINE))
    recipe, weights = RECIPES.get(given.get("recipe")), given.get("weights", "imagenet")
    model, training = PRESETS["tiny"], Training()
    if recipe is not None:  # or else tyro says which there are
        training, batch_size = recipe.training, given.get("batch-size", "")
        if batch_size.isdecimal() and int(batch_size) > 0:
            training = scaled(training, int(batch_size))
        model = recipe.model
    elif args[:1] == ["train"] and weights != "imagenet":
        model = PUBLISHED[weights][1] if weights in PUBLISHED else _open_model(weights).config
    model = Model(**asdict(model) | {"n_classes": 0})
    return PRESETS.get(given.get("preset"), model), training


@contextmanager
def _cluster(address: str | None):
    """The executor of a Dask cluster; None, processes of this machine, without an address."""
    if address is None:
        yield None
        return
    if find_spec("distributed") is None:
        raise FileNotFoundError("Dask is missing: pip install 'mrcnn_edu[dask]'")
    from distributed import Client

    with Client(address) as client, client.get_executor() as executor:
        yield executor


def open_data(
    data: str, annotations: Path | None = None, scenes: Shapes = HELD_OUT, keep_ids: bool = False
) -> Shapes | CocoFolder:
    """The data set: the scenes if data is "shapes", or else the COCO folder of that name.

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
        raise ValueError(f"{data} has {counts}: there must be one of each at least")
    return dataset


def _describe(dataset, config: Config, preset: str, out: Path | None) -> None:
    """Print what is in a data set and which anchors fit it; draw it, if there is a folder `out`."""
    found = overview(dataset)
    sides = found.sides(config)
    if len(sides) == 0:
        print("There is no object in it that could be learned.")
        return
    empty = sum(len(labels) == 0 for labels in found.labels)
    print(f"objects   {len(sides):,}, and {found.n_crowds:,} crowds; {empty:,} images without any")
    counted = sorted(zip(found.counts().tolist(), found.classes, strict=True), reverse=True)
    few = ", ".join(f"{name} {n:,}" for n, name in counted[:8])
    print(f"classes   {few}" + (f", ... {counted[-1][1]} {counted[-1][0]:,}" * (len(counted) > 8)))
    low, middle, high = sides.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
    scaled = f"scaled to a short side of {config.short_side}"
    print(f"sides     {scaled}: {low:.0f}, {middle:.0f} and {high:.0f} pixels (10, 50 and 90 %)")
    sizes = [level[0] for level in config.anchor_sizes]
    wanted = suggest_sizes(sides, len(sizes))
    now, then = (found.coverage(c) for c in (config, with_sizes(config, wanted)))
    print(f"anchors   of {preset}: {' '.join(f'{size:g}' for size in sizes)}\n")
    names = "side", "objects", "best IoU", f"{POSITIVE} or more", f"below {UNREACHED}: none reaches"
    print(_table(names, *coverage_rows(now)))
    good, better = ((c.best_iou >= POSITIVE).float().mean() for c in (now, then))
    lost, left = ((c.best_iou < UNREACHED).float().mean() for c in (now, then))
    if len(sides) < ENOUGH:
        print(f"\n{len(sides)} objects are too few to suggest other sizes.")
    elif better > good + 0.02 and left <= lost:
        options = " ".join(f"--model.anchor-sizes.{i} {size}" for i, size in enumerate(wanted))
        print(f"\nbetter    {options}\n          (k-means of the sides' logarithms): ", end="")
        print(f"{100 * better:.0f} % at {POSITIVE} or more, {100 * left:.0f} % below {UNREACHED}")
    else:
        print(f"\nSizes from the sides, {' '.join(map(str, wanted))}, would fit no better.")
    if out is not None:
        _draw(
            dataset, found, sides, {f"of {preset}": sizes, "from the data": wanted}, now, then, out
        )


def _draw(dataset, found, sides, anchors: dict, now, then, out: Path) -> None:
    """Write the pictures of `check_data`."""
    from mrcnn_edu.viz import show_coverage, show_overview, show_sheet

    per_image = torch.tensor([len(labels) for labels in found.labels])
    numbers = found.counts(), sides, found.sizes, per_image
    items = {}
    for index in images_to_show(found, 12):
        with suppress(ValueError, OSError):  # the list of problems has it
            image, target = dataset[index]
            record = getattr(dataset, "records", {}) and dataset.records[index]
            items[Path(record["file_name"]).name if record else f"item {index}"] = image, target
    pictures = {
        "objects.png": show_overview(found.classes, *numbers, anchors),
        "anchors.png": show_coverage(dict(zip(anchors, (now, then), strict=True))),
        "images.png": show_sheet(items, found.classes),
    }
    for name, picture in pictures.items():
        write_file(out / name, picture.png())
    print(f"pictures  {', '.join(str(out / name) for name in pictures)}")


def _coco_paths(data: Path, annotations: Path | None) -> tuple[Path, Path]:
    """The folder of images, and the JSON file, of a COCO folder as labelling tools write it."""
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


def _open_model(weights: str, dataset=None) -> MaskRCNN:
    """The model, which must know the classes of the data set, if one is given, by their labels.

    A data set of files then gives images of as many channels as the model reads.
    """
    model = load(Path(weights) / CHECKPOINT if Path(weights).is_dir() else weights)
    if hasattr(dataset, "channels"):
        dataset.channels = model.config.in_channels
    known = dict(enumerate(model.classes))
    for k, name in enumerate(getattr(dataset, "classes", [])):
        if known.get(k) != name and not name.startswith("unused"):
            raise ValueError(
                f"{weights} knows {_named(model.classes)}, but the data has "
                f"{_named(dataset.classes)}: label {k + 1} must be the same class in both"
            )
    return model.to(_device())


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _named(classes: Sequence[str]) -> str:
    names = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    return f"{len(classes)} class{'' if len(classes) == 1 else 'es'} ({names})"


def _score(dataset, found: evaluation.Found) -> dict[str, evaluation.Scores]:
    """The scores of the masks ("segm"), if there are any, and of the boxes ("bbox")."""
    kinds = ["segm", "bbox"] if found.has_masks else ["bbox"]
    return {kind: evaluation.evaluate(dataset, found, kind) for kind in kinds}


class _Files:
    """Files, and folders of them, as a dataset whose images have no objects."""

    channels = 3

    def __init__(self, paths: Sequence[Path]):
        files = []
        for path in paths:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
            files += [file for file in inside if file == path or file.suffix.lower() in SUFFIXES]
        ids = [int(file.stem) if file.stem.isdecimal() else file.stem for file in files]
        self.records = [{"id": i, "file_name": str(f)} for i, f in zip(ids, files, strict=True)]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict]:
        record = self.records[index]
        image = read_image(Path(record["file_name"]), channels=self.channels)
        return image, {"image_id": record["id"]}


def _options(data: str, annotations: Path | None, scenes: Shapes = HELD_OUT) -> list[str]:
    """The options for this data; of scenes as many, and from the seed, that `evaluate` takes."""
    options = ["--data", data]
    options += [] if annotations is None else ["--annotations", str(annotations)]
    for name, value in asdict(replace(scenes, n=HELD_OUT.n, seed=HELD_OUT.seed)).items():
        if data == "shapes" and value != getattr(HELD_OUT, name):
            values = value if isinstance(value, tuple) else [value]
            options += [f"--scenes.{name.replace('_', '-')}", *map(str, values)]
    return options


def _score_table(scores: dict[str, evaluation.Scores]) -> str:
    columns = [asdict(values) for values in scores.values()]
    columns = [column | column.pop("per_class") for column in columns]
    rows = [(re.sub("^ap_?", "AP ", n), *(column[n] for column in columns)) for n in columns[0]]
    names = {"segm": "masks", "bbox": "boxes"}
    return _table(("", *(names[kind] for kind in scores)), *rows)


def _table(*rows: tuple) -> str:
    """The rows as text, in columns of even width."""
    rows = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, wide)).rstrip() for row in rows)
