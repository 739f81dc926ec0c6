"""The command mrcnn-edu: Mask R-CNN from a terminal.

Each public function but `main` and `open_data` is a command, and its docstring the command's help.
Options are its arguments and the fields of the package's own dataclasses. A mistake that can be
mended is a line and exit code 2; with MRCNN_EDU_TRACEBACK=1 it shows its place in the code.
"""

import json
import os
import re
import shlex
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from tqdm.auto import tqdm

from mrcnn_edu import evaluate as evaluation
from mrcnn_edu.ablations.start import start_from
from mrcnn_edu.checkpoints import newest
from mrcnn_edu.config import Config
from mrcnn_edu.data import CocoFolder, Shapes, check, coco_results
from mrcnn_edu.data.coco import read_image, write_file
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.processes import detect_shared, joined, rank, world_size
from mrcnn_edu.progress import HeldOut
from mrcnn_edu.recipes import RECIPES, scaled
from mrcnn_edu.train import CHECKPOINT, Terminated, Training, fit
from mrcnn_edu.weights import PUBLISHED, load, load_state

MENDABLE = ValueError, OSError, FloatingPointError, torch.OutOfMemoryError
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
HELD_OUT = Shapes(n=300, seed=1)  # training takes seed 0
FEW = Shapes(n=10, seed=1)
N_SHOWN = 4  # images in TensorBoard
HELP = "mrcnn-edu COMMAND --help lists its options."


@dataclass(frozen=True)
class Model(Config):
    """The model, where it is to differ from the preset."""

    n_classes: tyro.conf.Suppress[int] = 0  # comes from the data


PRESETS = {"tiny": Model.tiny(0), "resnet50-fpn": Model(), "resnet50-c4": Model.c4()}
Preset = Literal["tiny", "resnet50-fpn", "resnet50-c4"]
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
    model, training = _defaults(" ".join(args))
    commands = {
        "lab": lab,
        "demo": demo,
        "train": partial(train, model=model, training=training),
        "evaluate": evaluate,
        "predict": predict,
        "check-data": check_data,
        "ablate": ablate,
    }
    try:
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
    print(_score_table(_score(model, dataset, found)))

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
    *,
    training: Annotated[Training, Flat],
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
        weights: start from these: shapes-tiny, a checkpoint or its folder, or the word imagenet for
            a backbone that has learned to classify.
        held_out: a COCO folder that is not trained on, or shapes; the model is measured on it.
        measure_every: so many steps.
        tensorboard: write what TensorBoard shows, with pictures of held-out images.
    """
    dataset = open_data(data, annotations, scenes)
    out = out or Path("runs") / Path(data).resolve().name
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / CHECKPOINT
    kept = newest(out)
    done = 0 if kept is None else len(kept[1].get("losses", []))

    torch.manual_seed(training.seed)
    config = Config(**asdict(model) | {"n_classes": len(dataset.classes)})
    network = MaskRCNN(config)
    if weights == "imagenet":
        start_from(network)
    elif weights is not None:
        load_state(network, _open_model(weights).state_dict(), weights)
    network.to(_device())
    n_parameters = sum(p.numel() for p in network.parameters())
    passes = training.steps * training.batch_size / len(dataset)
    print(f"data      {data}: {len(dataset):,} images, {_named(dataset.classes)}")
    shared = "" if world_size() == 1 else f", in {world_size()} processes"
    print(f"model     {recipe or preset}, {n_parameters:,} parameters, on {_device()}{shared}")
    print(f"training  {training.steps} steps of {training.batch_size} images, {passes:.3g} passes")
    if config.norm == "frozen" and weights is None:
        print("          Frozen norms do not suit random weights: try --model.norm batch")
    on = "is complete" if done == training.steps else f"goes on after step {done}"
    print(f"folder    {out}" + (f", {on}" if done else ""), flush=True)

    watchers, unseen, measured = [], dataset, None
    if held_out is not None:
        unseen = open_data(held_out, None, replace(scenes, n=HELD_OUT.n, seed=HELD_OUT.seed))
        if unseen.classes != dataset.classes:
            raise ValueError(f"{held_out} has other classes than {data}: {_named(unseen.classes)}")
        measured = HeldOut(network, unseen, measure_every, out)
        watchers.append(measured)
    if tensorboard:
        from mrcnn_edu.board import TensorBoard

        shown = [unseen[i] for i in range(min(N_SHOWN, len(unseen)))]
        watchers.append(TensorBoard(network, shown, training, measure_every, out, measured))
    try:
        losses = fit(network, dataset, training, out, watchers=tuple(watchers))
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
    scenes: Shapes = HELD_OUT,
) -> int:
    """Score a model: COCO's average precision of its masks, if any, and boxes; time for an image.

    Args:
        weights: shapes-tiny, coco-resnet50-fpn, a checkpoint or its folder.
        data: shapes (scenes that training does not see), or a COCO folder.
        annotations: the JSON file, if it is elsewhere; data is then the folder of images.
        out: a JSON file for the scores.
    """
    dataset = open_data(data, annotations, scenes, keep_ids=weights in PUBLISHED)
    model = _open_model(weights, dataset)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)  # fails, if it must, before the long work
    found = detect_shared(model, dataset)
    milliseconds = 1000 * statistics.median(found.seconds)
    scores = _score(model, dataset, found)
    print(_score_table(scores))
    print(f"\n{len(dataset)} images, {milliseconds:.0f} ms each on {_device()} (median)")
    if out is not None and rank() == 0:
        contents = {"weights": weights, "data": data, "n_images": len(dataset)}
        contents |= {"milliseconds_per_image": milliseconds}
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


def check_data(folder: Positional[str], annotations: File = None, all: bool = False) -> int:
    """List what is wrong with a COCO folder; the exit code is 1 if anything is.

    Args:
        folder: with images/ and annotations.json.
        annotations: the JSON file, if it is elsewhere; folder is then that of the images.
        all: print every problem, not only the first three of a kind.
    """
    dataset = open_data(folder, annotations)
    kinds: dict[str, list] = {}  # the message without its particulars -> problems
    for problem in check(dataset):
        kind = re.sub(r"( \(|: ).*", "", problem.message, flags=re.DOTALL)
        kinds.setdefault(re.sub(r"\d([\d., -]*\d)?", "N", kind), []).append(problem)
    for kind, problems in sorted(kinds.items(), key=lambda item: -len(item[1])):
        shown = problems if all else problems[:3]
        print(f"{len(problems)} x {kind}", *shown, sep="\n    ")
        if len(shown) < len(problems):
            print(f"    ... and {len(problems) - len(shown)} more: --all prints them")
    n_images = f"{len(dataset):,} images, {_named(dataset.classes)}"
    if kinds:
        print(f"\n{sum(map(len, kinds.values()))} problems in {n_images}")
        return 1
    command = ["mrcnn-edu", "train", *_options(folder, annotations)]
    print(f"Nothing is wrong in {n_images}.\nNext: {shlex.join(command)}")
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


def _defaults(args: str) -> tuple[Model, Training]:
    """What the options of `train` are where nothing is said: the preset's, or the recipe's."""
    preset, recipe, batch = (
        re.search(rf" --{option}[ =](\S+)", args) for option in ("preset", "recipe", "batch-size")
    )
    model, training = PRESETS.get(preset and preset[1], PRESETS["tiny"]), Training()
    if recipe and recipe[1] in RECIPES:  # or else tyro says which there are
        chosen = RECIPES[recipe[1]]
        training = chosen.training
        if batch and batch[1].isdecimal() and int(batch[1]) > 0:
            training = scaled(training, int(batch[1]))
        if preset is None:
            model = Model(**asdict(chosen.model) | {"n_classes": 0})
    return model, training


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
        folder = Path(data) if annotations else Path(data) / "images"
        dataset = CocoFolder(folder, annotations or Path(data) / "annotations.json", keep_ids)
    if len(dataset) == 0 or len(dataset.classes) == 0:
        counts = f"{len(dataset)} images and {len(dataset.classes)} classes"
        raise ValueError(f"{data} has {counts}: there must be one of each at least")
    return dataset


def _open_model(weights: str, dataset=None) -> MaskRCNN:
    """The model, which must know the classes of the data set, if one is given, by their labels."""
    model = load(Path(weights) / CHECKPOINT if Path(weights).is_dir() else weights)
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


def _score(model: MaskRCNN, dataset, found: evaluation.Found) -> dict[str, evaluation.Scores]:
    """The scores of the masks ("segm"), if the model makes any, and of the boxes ("bbox")."""
    kinds = ["bbox"] if model.mask_head is None else ["segm", "bbox"]
    return {kind: evaluation.evaluate(dataset, found, kind) for kind in kinds}


class _Files:
    """Files, and folders of them, as a dataset whose images have no objects."""

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
        return read_image(Path(record["file_name"])), {"image_id": record["id"]}


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
