"""Where a YOLO folder has its files: images, their text files, and the names of the classes."""

import os
import re
from pathlib import Path

from mrcnn_edu.data.convert.class_lists import read_list
from mrcnn_edu.data.convert.findings import Findings, files_in
from mrcnn_edu.data.image_names import SUFFIXES

# Files with the names of the classes, in the order in which they are looked for.
LISTS = ("data.yaml", "*.yaml", "*.yml", "classes.txt", "*.names")
LABELS = re.compile(r"\s*\d+(\.0*)?(\s+[-+.\deE]+){4,}\s*(\n|$)")  # the first line of a text file


def label_file(image: Path) -> Path:
    """The text file of an image: beside it, or else in labels/ instead of images/."""
    beside, parts = image.with_suffix(".txt"), list(image.parts)
    if "images" not in parts:  # perhaps it is above the folder that was given
        parts = list(Path(os.path.abspath(image)).parts)
    if beside.is_file() or "images" not in parts:
        return beside
    parts[_last_images(parts)] = "labels"
    return Path(*parts).with_suffix(".txt")


def has_labels(file: Path) -> bool:
    """Whether a text file begins with the label of an object."""
    with file.open(encoding="utf-8-sig", errors="replace") as text:
        return LABELS.match(text.read(100_000).lstrip()) is not None


def images_of(folder: Path, findings: Findings) -> list[Path]:
    """The images in folders images/, or all where there is no such folder."""
    images = files_in(folder, SUFFIXES)
    inside = [image for image in images if "images" in image.relative_to(folder).parts]
    if not inside:
        return images
    for image in sorted(set(images) - set(inside)):
        findings.skip("image outside of images/", image)
    return inside


def name_of(image: Path, folder: Path) -> str:
    """The image's path in the folder, without images/: train/1.jpg for images/train/1.jpg."""
    parts = list(image.relative_to(folder).parts)
    if "images" in parts:
        del parts[_last_images(parts)]
    return "/".join(parts)


def find_names(folder: Path, findings: Findings) -> dict[int, str]:
    """The class names, from a file in the folder, in its labels/, or in the two folders above."""
    above = Path(os.path.abspath(folder)).parents
    for place in [folder, folder / "labels", *above[:2]]:
        for file in [file for name in LISTS for file in sorted(place.glob(name))]:
            names = read_list(file)
            if names:
                findings.notes.append(f"the classes are those of {file}")
                return names
    raise FileNotFoundError(
        f"{folder}: there is no file with the names of the classes, data.yaml or classes.txt (one "
        "name a line): put it there, or give --classes"
    )


def files_of_no_image(folder: Path, used: set[str]) -> list[Path]:
    """The text files of labels that belong to no image."""
    beside = [
        file for place in {Path(name).parent for name in used} for file in place.glob("*.txt")
    ]
    within = [file for file in files_in(folder, {".txt"}) if "labels" in file.parts]
    files = {os.path.abspath(file): file for file in [*beside, *within]}
    return [file for name, file in sorted(files.items()) if name not in used and has_labels(file)]


def _last_images(parts: list[str]) -> int:
    return len(parts) - 1 - parts[::-1].index("images")
