"""The command mrcnn-edu: Mask R-CNN from a terminal.

Each public function is a command and its docstring the command's help; options are its arguments
and the fields of the package's own dataclasses. A mistake that can be mended is one line and exit
code 2 (with MRCNN_EDU_TRACEBACK=1 the place in the code too).
"""

import json
import os
import re
import shlex
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal, NamedTuple

import torch
import tyro
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.data import CocoFolder, Shapes, check, coco_results
from mrcnn_edu.data.coco import read_image
from mrcnn_edu.detections import Detections, paste_masks
from mrcnn_edu.evaluate import Scores
from mrcnn_edu.evaluate import evaluate as score
from mrcnn_edu.model import Config, MaskRCNN
from mrcnn_edu.train import CHECKPOINT, Training, fit
from mrcnn_edu.weights import load, load_state, read

MENDABLE = ValueError, OSError, FloatingPointError, torch.OutOfMemoryError
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class Model(Config):
    """The model, where it is to differ from the preset."""

    n_classes: tyro.conf.Suppress[int] = 0  # the data's


PRESETS = {"tiny": Model.tiny(0), "resnet50-fpn": Model()}
Preset = Literal["tiny", "resnet50-fpn"]
Flat = tyro.conf.arg(name="")  # --steps, not --training.steps


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command that the arguments (default: the terminal's) name; its exit code."""
    args = list(sys.argv[1:] if args is None else args)
    if args[:1] == ["lab"] and args[1:] not in (["--help"], ["-h"]):
        args.insert(1, "--")  # what follows is JupyterLab's to understand
    preset = "tiny"
    if args[:1] == ["train"]:  # the preset gives the other options' defaults, so it is read first
        options = {"return_unknown_args": True, "add_help": False}
        preset, _ = tyro.cli(_preset, prog="mrcnn-edu train", args=args[1:], **options)
    commands = {
        "lab": lab,
        "demo": demo,
        "train": partial(train, model=PRESETS[preset]),
        "evaluate": evaluate,
        "predict": predict,
        "check-data": check_data,
    }
    try:
        return tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="mrcnn-edu",
            description="Mask R-CNN from a terminal. mrcnn-edu COMMAND --help lists its options.",
            args=args,
            config=(tyro.conf.DisallowNone,),
        )
    except KeyboardInterrupt as stop:
        print(f"\nStopped. {stop}".rstrip(), file=sys.stderr)
        return 130
    except MENDABLE as error:
        if os.environ.get("MRCNN_EDU_TRACEBACK") == "1":
            raise
        first, *more = str(error).splitlines() or [type(error).__name__]
        more = [*more[:3], f"  ... and {len(more) - 3} more"] if len(more) > 4 else more
        print("\n".join([f"mrcnn-edu: {first}", *more]), file=sys.stderr)
        return 2


# The commands


def lab(options: tyro.conf.Positional[tuple[str, ...]] = ()) -> int:
    """Open the course in JupyterLab, at the first notebook.

    Args:
        options: JupyterLab's own, such as --port 8899 or --no-browser.
    """
    folders = [root / "notebooks" for root in (Path(__file__).parent.parent, Path.cwd())]
    found = [folder / "00_start_here.ipynb" for folder in folders]
    notebook = next((file for file in found if file.is_file()), None)
    if notebook is None:
        raise FileNotFoundError(
            f"there is no notebook {found[0]}: run this in a checkout of the repository, where "
            "`make notebooks` builds them"
        )
    if find_spec("jupyterlab") is None:
        raise FileNotFoundError(
            "JupyterLab is not installed: pip install 'mrcnn_edu[notebooks]', or in a checkout "
            "make lab"
        )
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebook), *options])


def demo(weights: str = "shapes-tiny", n: int = 50, out: Path = Path("demo.png")) -> int:
    """Find and outline the objects in scenes that the shipped model has never seen.

    Args:
        weights: a model of the scenes' six classes.
        n: how many scenes.
        out: the picture of one of them, truth beside detections.
    """
    from mrcnn_edu.viz import show_detections

    model, dataset = _open_model(weights), Shapes(n=n, seed=1)
    _same_classes(model, dataset)
    found, _ = _detect(model, dataset)
    truth = [dataset[i][1]["labels"] for i in range(min(n, 5))]
    rows = [(i, _names(model, labels), _names(model, found[i])) for i, labels in enumerate(truth)]
    print(_table(("scene", "there", "found, surest first"), *rows))
    print(f"\nAverage precision on {n} scenes (1 is perfect):")
    print(_score_table(score(dataset, found), score(dataset, found, "bbox")))

    fullest = max(range(n), key=lambda i: len(dataset[i][1]["labels"]))
    image, target = dataset[fullest]
    picture = show_detections(image, _surest(found[fullest]), dataset.classes, target)
    _write(out, picture.png())
    print(f"\nThe fullest scene, truth beside detections: {out.resolve()}")
    print("Next: make lab (or mrcnn-edu lab) opens notebook 00, which shows how this works.")
    return 0


def train(
    data: str = "shapes",
    annotations: Path | None = None,
    out: Path | None = None,
    preset: Preset = "tiny",
    weights: str | None = None,
    training: Annotated[Training, Flat] = Training(),
    model: Model = PRESETS["tiny"],
    scenes: Shapes = Shapes(),
) -> int:
    """Train a model. Given a folder with a checkpoint, go on from there.

    Args:
        data: shapes, or a COCO folder: images/ and annotations.json.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: where checkpoints go; runs/ and the data's name if not given.
        preset: a laptop's model or the paper's; --model.* changes single numbers of it.
        weights: start from these: shapes-tiny, a checkpoint or a folder with one.
    """
    dataset = open_data(data, annotations, scenes)
    out = out or Path("runs") / Path(data).resolve().name
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / CHECKPOINT
    done = len(read(checkpoint).get("losses", [])) if checkpoint.is_file() else 0

    torch.manual_seed(training.seed)
    config = Config(**asdict(model) | {"n_classes": len(dataset.classes)})
    network = MaskRCNN(config)
    if weights is not None:
        load_state(network, _open_model(weights).state_dict(), weights)
    network.to(_device())
    n_parameters = sum(p.numel() for p in network.parameters())
    passes = training.steps * training.batch_size / len(dataset)
    print(f"data      {data}: {len(dataset):,} images, {_describe(dataset.classes)}")
    print(f"model     {preset}, {n_parameters:,} parameters, on {_device()}")
    print(f"training  {training.steps} steps of {training.batch_size} images ({passes:.3g} passes)")
    print(f"folder    {out}" + (f", going on from step {done}" if done else ""))
    if config.norm == "frozen" and weights is None:
        print("note      frozen norms do not suit random weights: try --model.norm batch")

    try:
        losses = fit(network, dataset, training, out)
    except KeyboardInterrupt:
        kept = f"The same command goes on from {checkpoint}."
        none = f"Nothing was kept: the first checkpoint comes at step {training.checkpoint_every}."
        raise KeyboardInterrupt(kept if checkpoint.is_file() else none) from None
    if losses:
        n = -(-len(losses) // 10)
        columns = [_mean_losses(losses[:n]), _mean_losses(losses[-n:])]
        rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
        print(_table((f"mean of {n} steps", "first", "last"), *rows))
    command = ["mrcnn-edu", "evaluate", "--weights", str(checkpoint), "--data", data]
    command += ["--annotations", str(annotations)] if annotations else []
    command += _scene_options(scenes) if data == "shapes" else []
    print("\nNext" + (":" if data == "shapes" else ", better on images it was not trained on:"))
    print(f"  {shlex.join(command)}")
    return 0


def evaluate(
    weights: str = "shapes-tiny",
    data: str = "shapes",
    annotations: Path | None = None,
    out: Path | None = None,
    scenes: Shapes = Shapes(n=300, seed=1),
) -> int:
    """Score a model: COCO's average precision of its masks and boxes, and its time per image.

    Args:
        weights: shapes-tiny, a checkpoint or a folder with one.
        data: shapes (by default scenes that training does not see), or a COCO folder.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: a JSON file for the scores.
    """
    model, dataset = _open_model(weights), open_data(data, annotations, scenes)
    _same_classes(model, dataset)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)  # an error that should not come at the end
    found, milliseconds = _detect(model, dataset)
    masks, boxes = score(dataset, found), score(dataset, found, "bbox")
    print(_score_table(masks, boxes))
    print(f"\n{len(dataset)} images, {milliseconds:.0f} ms each on {_device()} (median)")
    if out is not None:
        scores = {"segm": asdict(masks), "bbox": asdict(boxes)}
        about = {"weights": weights, "data": data, "n_images": len(dataset)}
        contents = about | {"milliseconds_per_image": milliseconds} | scores
        _write(out, json.dumps(_without_nan(contents), indent=2).encode())
        print(f"The scores are in {out}")
    return 0


def predict(
    images: tyro.conf.Positional[tuple[Path, ...]] = (),
    weights: str = "shapes-tiny",
    data: str | None = None,
    annotations: Path | None = None,
    out: Path = Path("predictions"),
    min_score: float = 0.5,
    scenes: Shapes = Shapes(n=10, seed=1),
) -> int:
    """Find the objects in images: a picture of each, and detections.json in COCO's results format.

    Args:
        images: files, or folders of them.
        weights: shapes-tiny, a checkpoint or a folder with one.
        data: shapes or a COCO folder, in place of images.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: the folder for the results.
        min_score: the pictures show what scores at least this; detections.json has everything.
    """
    from mrcnn_edu.viz import show_detections

    model, dataset = _open_model(weights), None
    if data is not None or annotations is not None:
        dataset = open_data(data or "shapes", annotations, scenes)
        _same_classes(model, dataset)
    category_ids = getattr(dataset, "category_ids", range(1, len(model.classes) + 1))
    sources = _sources(images, dataset, out)
    out.mkdir(parents=True, exist_ok=True)
    results, failures = [], []
    for source in tqdm(sources, "predict"):
        try:
            image = source.read()
            (found,) = model.detect([image])
        except (ValueError, OSError, RuntimeError) as error:
            failures.append(f"  {source.file_name}: {error}")
            continue
        picture = show_detections(image, _surest(found, min_score), model.classes)
        _write(source.picture, picture.png())
        for result in coco_results([(image, {"image_id": source.image_id})], [found]):
            label = result["category_id"]
            names = {"category": model.classes[label - 1], "file_name": source.file_name}
            results.append(result | names | {"category_id": category_ids[label - 1]})
    _write(out / "detections.json", json.dumps(results).encode())
    n_done = len(sources) - len(failures)
    print(f"{len(results)} detections in {n_done} images: {out / 'detections.json'}, and pictures")
    if failures:
        print("These images failed:", *failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


def check_data(
    folder: tyro.conf.Positional[str],
    annotations: Path | None = None,
    all: bool = False,
) -> int:
    """List what is wrong with a COCO folder; the exit code is 1 if anything is.

    Args:
        folder: with images/ and annotations.json.
        annotations: the JSON file, if it is elsewhere; folder is then that of the images.
        all: print every problem, not just the first three of a kind.
    """
    dataset = open_data(folder, annotations)
    kinds: dict[str, list] = {}
    for problem in check(dataset):
        kind = re.sub(r"( \(|: ).*", "", problem.message, flags=re.DOTALL)
        kind = re.sub(r"\d([\d., -]*\d)?", "N", kind)
        kinds.setdefault(kind, []).append(problem)
    for kind, problems in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(problems)} x  {kind}")
        shown = problems if all else problems[:3]
        print(*(f"      {problem}" for problem in shown), sep="\n")
        if len(shown) < len(problems):
            print(f"      ... and {len(problems) - len(shown)} more (--all prints them)")
    n_images = f"{len(dataset):,} images of {_describe(dataset.classes)}"
    if kinds:
        print(f"\n{sum(map(len, kinds.values()))} problems in {n_images}.")
        return 1
    print(f"Nothing wrong with {n_images}. Next: mrcnn-edu train --data {shlex.quote(folder)}")
    return 0


# What the commands have in common


def open_data(data: str, annotations: Path | None = None, scenes: Shapes | None = None):
    """The data set: the scenes for the word "shapes", or else the COCO folder of that name."""
    if data == "shapes" and annotations is None:
        dataset = scenes or Shapes()
    elif not Path(data).is_dir():
        raise FileNotFoundError(
            f"there is no folder {data}: --data is 'shapes', or a folder with images/ and "
            "annotations.json, or a folder of images beside --annotations FILE"
        )
    elif annotations is not None:
        dataset = CocoFolder(data, annotations)
    else:
        dataset = CocoFolder(Path(data) / "images", Path(data) / "annotations.json")
    if len(dataset) == 0 or len(dataset.classes) == 0:
        raise ValueError(
            f"{data} has {len(dataset)} images and {len(dataset.classes)} classes: "
            "there must be one of each at least"
        )
    return dataset


def _open_model(weights: str) -> MaskRCNN:
    path = Path(weights) / CHECKPOINT if Path(weights).is_dir() else weights
    return load(path).to(_device())


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _preset(preset: Preset = "tiny") -> str:
    return preset


def _same_classes(model: MaskRCNN, dataset) -> None:
    if list(model.classes) != list(dataset.classes):
        raise ValueError(
            f"the weights are for {_describe(model.classes)}; the data has "
            f"{_describe(dataset.classes)}. Both must have the same, in the same order"
        )


def _describe(classes: Sequence[str]) -> str:
    names = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    return f"{len(classes)} {'class' if len(classes) == 1 else 'classes'} ({names})"


class _Found(Sequence):
    """Detections, one for each image. Masks are pasted when asked for: all at once fill memory."""

    def __init__(self):
        self.kept: list[tuple[tuple, Detections]] = []

    def append(self, found: Detections) -> None:
        self.kept.append((found.masks.shape[1:], replace(found, masks=found.masks[:0])))

    def __getitem__(self, index: int) -> Detections:
        size, found = self.kept[index]
        return replace(found, masks=paste_masks(found.mask_probs, found.boxes, size))

    def __len__(self) -> int:
        return len(self.kept)


def _detect(model: MaskRCNN, dataset) -> tuple[_Found, float]:
    """The detections in every image, and the median milliseconds that one takes."""
    found, seconds = _Found(), []
    for index in tqdm(range(len(dataset)), "detect"):
        image, _ = dataset[index]
        start = perf_counter()
        found.append(*model.detect([image]))
        seconds.append(perf_counter() - start)
    return found, 1000 * statistics.median(seconds)


def _surest(found: Detections, min_score: float = 0.5) -> Detections:
    """The detections that score at least `min_score`."""
    rows = found.scores >= min_score
    return Detections(*(getattr(found, field.name)[rows] for field in fields(found)))


def _names(model: MaskRCNN, objects: Tensor | Detections) -> str:
    """The names of labels [M], or of the surest detections with their scores."""
    if isinstance(objects, Tensor):
        return ", ".join(model.classes[label - 1] for label in objects.tolist())
    surest = _surest(objects)
    pairs = zip(surest.labels.tolist(), surest.scores.tolist(), strict=True)
    return ", ".join(f"{model.classes[label - 1]} {value:.2f}" for label, value in pairs)


class _Source(NamedTuple):
    image_id: int | str
    file_name: str
    picture: Path  # where the result is drawn
    read: Callable[[], Tensor]


def _sources(images: Sequence[Path], dataset, out: Path) -> list[_Source]:
    """Every image to look at: of files, folders and a data set."""
    named = []  # (image_id, file_name, read)
    for path in images:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        files = [file for file in inside if file.suffix.lower() in SUFFIXES]
        for file in files if path.is_dir() else [path]:
            image_id = int(file.stem) if file.stem.isdecimal() else file.stem
            named.append((image_id, str(file), partial(read_image, file)))
    if isinstance(dataset, CocoFolder):
        for record in dataset.records:
            size = record.get("height"), record.get("width")
            read_record = partial(read_image, dataset.folder / record["file_name"], size)
            named.append((record["id"], record["file_name"], read_record))
    elif dataset is not None:
        for i in range(len(dataset)):
            named.append((i, f"scene-{i}.png", lambda i=i: dataset[i][0]))
    if not named:
        raise ValueError("there is nothing to look at: give images, folders of images, or --data")
    by_picture: dict[Path, _Source] = {}
    for image_id, file_name, read_source in named:
        source = _Source(image_id, file_name, out / f"{Path(file_name).stem}.png", read_source)
        other = by_picture.setdefault(source.picture, source)
        if other is not source:
            raise ValueError(
                f"{other.file_name} and {file_name} would both be drawn in {source.picture}: "
                "predict them one after the other, with --out of their own"
            )
    for path in images:
        if out.resolve() in (path.resolve(), path.resolve().parent):
            raise ValueError(f"pictures in {out} could replace {path}: give another folder, --out")
    return list(by_picture.values())


def _mean_losses(losses: list[dict[str, float]]) -> dict[str, float]:
    means = {name: statistics.fmean(step[name] for step in losses) for name in losses[0]}
    return means | {"sum": sum(means.values())}


def _scene_options(scenes: Shapes) -> list[str]:
    """The options for scenes like these, but as many and from the seed that `evaluate` takes."""
    options = []
    for name, value in asdict(scenes).items():
        if name not in ("n", "seed") and value != getattr(Shapes(), name):
            values = value if isinstance(value, tuple) else [value]
            options += [f"--scenes.{name.replace('_', '-')}", *map(str, values)]
    return options


def _score_table(masks: Scores, boxes: Scores) -> str:
    columns = [asdict(scores) for scores in (masks, boxes)]
    columns = [column | column.pop("per_class") for column in columns]
    names = {name: re.sub("^ap_?", "AP ", name).strip() for name in columns[0]}
    rows = [(names[name], *(column[name] for column in columns)) for name in columns[0]]
    return _table(("", "masks", "boxes"), *rows)


def _table(*rows: tuple) -> str:
    """The rows as lines of text with columns of equal width."""
    rows = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, wide)).rstrip() for row in rows]
    return "\n".join(lines)


def _without_nan(value):
    """The value with None for nan, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(inside) for key, inside in value.items()}
    return None if value != value else value


def _write(path: Path, contents: bytes) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_bytes(contents)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
