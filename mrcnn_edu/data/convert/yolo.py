"""YOLO's folders: images/ and labels/, with a text file of outlines for each image.

A line is one object: the number of its class and the corners x1 y1 x2 y2 ... of its outline, as
fractions of the image's width and height. A line of four numbers after the class is a box without
an outline. An image without a text file has no objects.
"""

import os
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from mrcnn_edu.data.convert.findings import Findings, LabeledObject, agreed_size
from mrcnn_edu.data.convert.yolo_files import (
    files_of_no_image,
    find_names,
    images_of,
    label_file,
    name_of,
)
from mrcnn_edu.data.fields import read_integer, read_number
from mrcnn_edu.data.regions import encode_region
from mrcnn_edu.images import Size
from mrcnn_edu.progress import progress_bar

BOX = "box without an outline"
MARGIN = 0.01  # the fraction of an image by which outlines may leave it, as tools round
SPLITS = ("train", "val", "valid", "test")


def read_yolo(folder: Path, findings: Findings, classes: Sequence[str] = ()) -> None:
    """Read the images in a folder and its sub-folders, and their text files.

    classes: the names of classes 0, 1, ...; by default those of a file in the folder or above it.
    """
    names = dict(enumerate(classes)) or find_names(folder, findings)
    findings.classes = [names[number] for number in sorted(names)]
    images = images_of(folder, findings)
    used, without, n_objects = set(), [], 0
    for image in progress_bar(images, "read labels", leave=False):
        file = label_file(image)
        with findings.problems_of(file):
            if os.path.abspath(file) in used:
                raise ValueError(f"{image} is the second image of this name: delete or rename one")
            used.add(os.path.abspath(file))
            size, objects = agreed_size(image), []
            if file.is_file():
                objects = _objects(file, size, names, findings)
            else:
                without.append(image)
            findings.add(file, name_of(image, folder), image, size, objects)
            n_objects += len(objects)
    for file in files_of_no_image(folder, used):
        with findings.problems_of(file):
            raise ValueError(
                "there is no JPEG, PNG or TIFF image of this name: put it in images/, or delete "
                "the file"
            )
    _note(folder, images, without, findings)
    if BOX in findings.skipped and n_objects == 0:
        findings.problems.append(
            f"{findings.skipped[BOX][0]}: as in all text files, the lines are boxes (class, x, y, "
            "width, height) without outlines: export from your tool for segmentation"
        )


def _objects(file: Path, size: Size, names: dict, findings: Findings) -> list[LabeledObject]:
    """The objects of a text file, of an image of a size."""
    objects = []
    for i, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), start=1):
        try:
            words = line.split()
            if not words:
                continue
            name, values = _class(words[0], names), [read_number(word) for word in words[1:]]
            if any(not -MARGIN <= value <= 1 + MARGIN for value in values):
                far = max(values, key=lambda value: abs(value - 0.5))
                raise ValueError(f"{far:g} is no fraction of the image: YOLO's numbers are 0 to 1")
            if len(values) == 4:
                findings.skip(BOX, file)
                continue
            if len(values) < 6 or len(values) % 2:
                raise ValueError(
                    f"{len(values)} numbers follow the class, and an outline has x y of at least "
                    "three corners: leave out keypoints and confidences"
                )
            sides = cycle((size[1], size[0]))
            polygon = [min(max(v, 0), 1) * side for v, side in zip(values, sides, strict=False)]
            objects.append(LabeledObject(name, encode_region([polygon], *size)))
        except ValueError as error:
            raise ValueError(f"line {i}: {error}") from None
    return objects


def _class(word: str, names: dict[int, str]) -> str:
    number = read_integer(word)
    if number not in names:
        raise ValueError(f"the class {number} has no name: there are {len(names)}, from 0")
    return names[number]


def _note(folder: Path, images: list[Path], without: list[Path], findings: Findings) -> None:
    """Note which images have no text file, and that there are several splits."""
    if without:
        findings.notes.append(
            f"{len(without):,} of {len(images):,} images have no text file, and so no objects, "
            f"such as {without[0]}"
        )
    splits = {}
    for image in images:
        for i, part in enumerate(image.relative_to(folder).parts):
            if part in SPLITS:
                splits.setdefault(part, folder.joinpath(*image.relative_to(folder).parts[: i + 1]))
    if len(splits) > 1:
        findings.notes.append(
            f"the images of {', '.join(splits)} are converted into one folder: to keep them apart, "
            f"convert {' and '.join(map(str, splits.values()))}, each by itself"
        )
