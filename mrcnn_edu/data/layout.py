"""Where the images and the JSON file of a COCO folder are, in the layouts of labeling tools.

The JSON file is the only one in the folder that is a COCO file with annotations; its images are in
the folder where its first image is. COCO itself, Roboflow (both in train/), CVAT (images/default/
and annotations/instances_default.json), FiftyOne (data/ and labels.json), labelme's script
(JPEGImages/) and Label Studio (result.json) are all found so.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mrcnn_edu.data.coco_json import LISTS, CocoFile, read_coco_json
from mrcnn_edu.files import read_json

DEPTH = 3  # folders below the one that is given
OTHERS = {  # suffixes of what is no COCO folder
    ".json": "JSON files, none of them a COCO file with annotations",
    ".txt": "text files (YOLO's labels?)",
    ".xml": "XML files (Pascal VOC's labels?)",
    ".png": "PNG files (masks?)",
}


class Layout(NamedTuple):
    """A folder of images and a JSON file."""

    images: Path
    annotations: Path


def find_layout(folder: Path) -> Layout:
    """The images and the JSON file in a folder, as this package or a labeling tool writes them.

    Raises FileNotFoundError if there is none or more than one, naming what is there.
    """
    if (folder / "annotations.json").is_file() and (folder / "images").is_dir():
        return Layout(folder / "images", folder / "annotations.json")
    files = [file for file in _json_files(folder) if _is_coco(file)]
    if not files:
        raise FileNotFoundError(
            f"{folder}: there is no COCO file with annotations, only {contents_of(folder)}: export "
            "from your tool as COCO, with images, or let `mrcnn-edu convert` read labelme, YOLO, "
            "Pascal VOC or PNG masks"
        )
    if len(files) > 1:
        names = [str(file) for file in files[:5]]
        others = f" and {len(files) - 5} more" if len(files) > 5 else ""
        raise FileNotFoundError(
            f"{folder}: there are several COCO files, {', '.join(names)}{others}: give the folder "
            "of one, or --annotations FILE with the folder of its images"
        )
    return Layout(images_of(files[0], folder), files[0])


def images_of(file: Path, folder: Path) -> Path:
    """The folder that the JSON file's names are relative to, in or at the given folder."""
    name = _first_name(read_coco_json(file))
    usual = [folder, folder / "images", file.parent, file.parent / "images", folder / "data"]
    for candidate in [*usual, *_folders(folder)]:
        if name and os.path.isfile(candidate / name):
            return candidate
    return folder / "images" if (folder / "images").is_dir() else folder


def _first_name(coco: CocoFile) -> str:
    """The first image's file, with the slashes of this system."""
    return str(coco.records[0]["file_name"]).replace("\\", "/") if coco.records else ""


def _is_coco(file: Path) -> bool:
    try:
        contents = read_json(file, "annotation file")
    except (ValueError, OSError):
        return False
    lists = [contents.get(name) for name in LISTS] if isinstance(contents, dict) else []
    return len(lists) == len(LISTS) and all(isinstance(entries, list) for entries in lists)


def _json_files(folder: Path) -> list[Path]:
    return [f for path in _folders(folder) for f in sorted(path.glob("*.json")) if f.is_file()]


def _folders(folder: Path) -> Iterator[Path]:
    """The folder and those in it, to a certain depth, without hidden ones."""
    for path, names, _ in os.walk(folder):
        depth = len(Path(path).relative_to(folder).parts)
        names[:] = sorted(n for n in names if not n.startswith(".")) if depth < DEPTH else []
        yield Path(path)


def contents_of(folder: Path) -> str:
    """The files in a folder, in words."""
    suffixes: Counter = Counter()
    for path in _folders(folder):
        suffixes.update(file.suffix.lower() for file in path.iterdir() if file.is_file())
    found = [f"{n} {OTHERS[suffix]}" for suffix, n in suffixes.most_common() if suffix in OTHERS]
    return " and ".join(found[:3]) or f"{suffixes.total()} other files"
