"""mrcnn-edu check-data: what is wrong with a dataset, and what is in it."""

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor

from mrcnn_edu.cli.opening import open_data, print_data
from mrcnn_edu.cli.options import (
    AS_GIVEN,
    NO_DEFAULT,
    PRESETS,
    File,
    Positional,
    Read,
    joined_help,
    options_of,
)
from mrcnn_edu.cli.text import named, table
from mrcnn_edu.data import CocoFolder, check
from mrcnn_edu.data.coverage import Coverage
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.overview import (
    POSITIVE,
    UNREACHED,
    Overview,
    coverage_rows,
    images_to_show,
    overview,
    suggest_sizes,
    with_sizes,
)
from mrcnn_edu.data.problem import Problem
from mrcnn_edu.data.tally import counted
from mrcnn_edu.files import write_file

SMALL = 320  # pixels of the longer side: the tiny model's input is 96 x 160
ENOUGH = 50  # objects from which anchor sizes are suggested: fewer say little about new images
VALUE = r'(the (?:text|number|list|object)) ("(?:[^"\\]|\\.)*"|\[.*\]|\{.*\}|[^ ,]+)'  # in messages


@joined_help
def check_data(
    folder: Annotated[Positional[str], tyro.conf.arg(metavar="FOLDER")],
    annotations: File = None,
    all: bool = False,
    out: File = None,
    preset: Annotated[
        tyro.conf.DisallowNone[Literal["tiny", "resnet50-fpn"] | None], NO_DEFAULT
    ] = None,
    channels: int = 3,
    reading: Read = AS_GIVEN,
) -> int:
    """List the problems of a COCO folder, and describe its contents.

    The exit code is 1 if there are problems.

    Args:
        folder: the COCO folder, with images/ and annotations.json.
        annotations: the JSON file, if it is not in the COCO folder; folder is then that of the
            images.
        all: print every problem, not only the first three of each kind.
        out: a folder for pictures: counts and sizes, anchor coverage, a sheet of images.
        preset: the model whose input size and anchors the objects are compared with; by default the
            tiny one for images of up to 320 pixels, and the paper's for larger ones.
        channels: channels of the images: 3 for color, 1 for gray, or as many as the files have.
    """
    dataset = open_data(folder, annotations, reading=reading).with_channels(channels)
    print_data(folder, dataset, must_be_learnable=False)
    n_problems = _print_problems(dataset, all)
    contents = overview(dataset)
    model = preset or _preset_for(contents)
    _describe(dataset, contents, model, out)
    n_images = f"{counted(len(dataset), 'image')}, {named(dataset.classes)}"
    if n_problems:
        print(f"\n{counted(n_problems, 'problem')} in {n_images}")
        return 1
    options = options_of(folder, annotations, reading=reading)
    options += ["--weights", "coco-resnet50-fpn"] if model == "resnet50-fpn" else []
    print(
        f"\nNothing is wrong in {n_images}.\nNext: {shlex.join(['mrcnn-edu', 'train', *options])}"
    )
    return 0


def _preset_for(contents: Overview) -> str:
    """The model that suits the images' size."""
    longest = sorted(max(size) for size in contents.image_sizes)
    return "tiny" if longest and longest[len(longest) // 2] <= SMALL else "resnet50-fpn"


def _print_problems(dataset: Dataset, all: bool) -> int:
    """Print the problems and notes by kind, the most frequent first; the number of problems."""
    kinds: dict[str, list[Problem]] = {}
    for problem in check(dataset):
        kinds.setdefault(_kind_of(problem.message), []).append(problem)
    for kind, problems in sorted(kinds.items(), key=lambda i: (i[1][0].is_note, -len(i[1]))):
        shown = problems if all else problems[:3]
        if problems[0].is_note:
            print(*(f"note      {problem}" for problem in shown), sep="\n")
            continue
        print(f"{len(problems)} x {kind}", *shown, sep="\n    ")
        if len(shown) < len(problems):
            print(f"    ... and {len(problems) - len(shown)} more: --all prints them")
    return sum(len(p) for p in kinds.values() if not p[0].is_note)


def _kind_of(message: str) -> str:
    """What many problems have in common: a message without its values and particulars."""
    kind = re.sub(VALUE, r"\1 ...", message, flags=re.DOTALL)
    kind = re.sub(r"( \(|: ).*", "", kind, flags=re.DOTALL)
    return re.sub(r"(?<![a-z])\d([\d., -]*\d)?", "N", kind)


def _describe(dataset: Dataset, contents: Overview, preset: str, out: Path | None) -> None:
    """Print what a dataset contains and which anchors fit it; draw it, if there is a folder."""
    config = PRESETS[preset]
    sizes = contents.object_sizes(config)
    if len(sizes) == 0:
        print("There is no object that could be learned.")
        return
    _print_contents(contents)
    low, middle, high = sizes.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
    scaled = f"scaled to a short side of {config.short_side}"
    print(f"sizes     {scaled}: {low:.0f}, {middle:.0f} and {high:.0f} pixels (10, 50 and 90 %)")
    anchors = [level[0] for level in config.anchor_sizes]
    suggested = suggest_sizes(sizes, len(anchors))
    print(f"anchors   of {preset}: {' '.join(f'{size:g}' for size in anchors)}\n")
    coverage = contents.coverage(config)
    new_coverage = contents.coverage(with_sizes(config, suggested))
    reached = f"{POSITIVE} or more", f"below {UNREACHED}: none reaches"
    print(table(("size", "objects", "best IoU", *reached), *coverage_rows(coverage)))
    _print_suggestion(suggested, len(sizes), coverage.best_iou, new_coverage.best_iou)
    if out is not None:
        titles = {f"of {preset}": anchors, "from the data": suggested}
        _draw(dataset, contents, sizes, titles, [coverage, new_coverage], out)


def _print_contents(contents: Overview) -> None:
    n_objects = sum(len(labels) for labels in contents.labels)
    n_empty = sum(len(labels) == 0 for labels in contents.labels)
    print(
        f"objects   {n_objects:,}, and {contents.n_crowds:,} crowds; {n_empty:,} images without any"
    )
    counts = sorted(zip(contents.counts().tolist(), contents.classes, strict=True), reverse=True)
    classes = [f"{name} {n:,}" for n, name in counts]
    rarest = ["...", classes[-1]] if len(classes) > 8 else []
    print(f"classes   {', '.join(classes[:8] + rarest)}")


def _print_suggestion(sizes: list[int], n: int, best_iou: Tensor, new_best_iou: Tensor) -> None:
    """Print the options for other anchor sizes, if they fit more of the n objects.

    best_iou: of each object with the present anchors; new_best_iou: with those of these sizes.
    """
    fraction, new_fraction = ((iou >= POSITIVE).float().mean() for iou in (best_iou, new_best_iou))
    lost, new_lost = ((iou < UNREACHED).float().mean() for iou in (best_iou, new_best_iou))
    if n < ENOUGH:
        print(f"\n{n} objects are too few to suggest other sizes.")
    elif new_fraction > fraction + 0.02 and new_lost <= lost:
        options = " ".join(f"--model.anchor-sizes.{i} {size}" for i, size in enumerate(sizes))
        print(f"\nbetter    {options}\n          (k-means of the sizes' logarithms): ", end="")
        print(f"{100 * new_fraction:.0f} % at {POSITIVE} or more, ", end="")
        print(f"{100 * new_lost:.0f} % below {UNREACHED}")
    else:
        print(f"\nSizes fitted to the objects, {' '.join(map(str, sizes))}, would not be better.")


def _draw(
    dataset: Dataset,
    contents: Overview,
    sizes: Tensor,
    anchors: dict[str, list],
    coverages: list[Coverage],
    out: Path,
) -> None:
    """Write the pictures of `check_data`. anchors: title -> anchor sizes."""
    from mrcnn_edu.viz import Skeleton, show_coverage, show_overview, show_sheet

    per_image = torch.tensor([len(labels) for labels in contents.labels])
    items = {}
    for index in images_to_show(contents, 12):
        with suppress(ValueError, OSError):  # it is in the list of problems
            image, target = dataset[index]
            name = f"item {index}"
            if isinstance(dataset, CocoFolder):
                name = Path(dataset.records[index]["file_name"]).name
            items[name] = image, target
    pictures = {
        "objects.png": show_overview(
            contents.classes, contents.counts(), sizes, contents.image_sizes, per_image, anchors
        ),
        "anchors.png": show_coverage(dict(zip(anchors, coverages, strict=True))),
        "images.png": show_sheet(items, contents.classes, Skeleton.of(dataset)),
    }
    for name, picture in pictures.items():
        write_file(out / name, picture.png())
    print(f"pictures  {', '.join(str(out / name) for name in pictures)}")
