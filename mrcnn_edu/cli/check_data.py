"""mrcnn-edu check-data: what is wrong with a dataset, and what is in it."""

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from mrcnn_edu.cli.opening import open_data
from mrcnn_edu.cli.options import PRESETS, File, Positional, options_of
from mrcnn_edu.cli.text import named, table
from mrcnn_edu.config import Config
from mrcnn_edu.data import CocoFolder, check
from mrcnn_edu.data.overview import (
    POSITIVE,
    UNREACHED,
    coverage_rows,
    images_to_show,
    overview,
    suggest_sizes,
    with_sizes,
)
from mrcnn_edu.files import write_file

ENOUGH = 50  # objects to suggest anchors from: fewer say little of those to come


def check_data(
    folder: Positional[str],
    annotations: File = None,
    all: bool = False,
    out: File = None,
    preset: Literal["tiny", "resnet50-fpn"] = "resnet50-fpn",
    channels: int = 3,
) -> int:
    """List the problems of a COCO folder and describe its contents; with problems, exit code 1.

    Args:
        folder: the COCO folder, with images/ and annotations.json.
        annotations: the JSON file, if it is not in the COCO folder; folder is then that of the
            images.
        all: print every problem, not only the first three of each kind.
        out: a folder for pictures: counts and sizes, anchor coverage, a sheet of images.
        preset: the model whose input size and anchors the objects are compared with.
        channels: channels of the images: 3 for color, 1 for gray, or as many as the files have.
    """
    dataset = open_data(folder, annotations).with_channels(channels)
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
    n_images = f"{len(dataset):,} images, {named(dataset.classes)}"
    if kinds:
        print(f"\n{sum(map(len, kinds.values()))} problems in {n_images}")
        return 1
    options = options_of(folder, annotations)
    options += ["--weights", "coco-resnet50-fpn"] if preset == "resnet50-fpn" else []
    print(
        f"\nNothing is wrong in {n_images}.\nNext: {shlex.join(['mrcnn-edu', 'train', *options])}"
    )
    return 0


def _describe(dataset, config: Config, preset: str, out: Path | None) -> None:
    """Print what is in a data set and which anchors fit it; draw it, if there is a folder `out`."""
    found = overview(dataset)
    sides = found.object_sizes(config)
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
    print(table(names, *coverage_rows(now)))
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
    numbers = found.counts(), sides, found.image_sizes, per_image
    items = {}
    for index in images_to_show(found, 12):
        with suppress(ValueError, OSError):  # the list of problems has it
            image, target = dataset[index]
            name = f"item {index}"
            if isinstance(dataset, CocoFolder):
                name = Path(dataset.records[index]["file_name"]).name
            items[name] = image, target
    pictures = {
        "objects.png": show_overview(found.classes, *numbers, anchors),
        "anchors.png": show_coverage(dict(zip(anchors, (now, then), strict=True))),
        "images.png": show_sheet(items, found.classes),
    }
    for name, picture in pictures.items():
        write_file(out / name, picture.png())
    print(f"pictures  {', '.join(str(out / name) for name in pictures)}")
