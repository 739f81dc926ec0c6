"""Worlds: the data that an ablation can be run on, by name, or COCO folders of the reader's own."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mrcnn_edu.ablations.job import Folder
from mrcnn_edu.ablations.setup import TRAIN_DATA, VAL_DATA
from mrcnn_edu.data.shapes import Shapes


class World(NamedTuple):
    """What is trained on, and what is scored on."""

    description: str
    train: Shapes | Folder
    val: Shapes | Folder


def _world(description: str, **changes) -> World:
    return World(description, replace(TRAIN_DATA, **changes), replace(VAL_DATA, **changes))


WORLDS = {
    "shapes": _world("six outlines, three to six objects in a scene"),
    "blobs": _world("outlines of which no two are alike, a single class", outlines="blobs"),
    "lobes": _world("outlines with two to five lobes, whose number is the class", outlines="lobes"),
    "crowded": _world("eight to twelve objects, which hide much of one another",
                      n_objects=(8, 12), overlap=0.7),
    "small": _world("small objects, at most a sixth of the image", object_size=(1 / 16, 1 / 6)),
}  # fmt: skip


def open_world(name: str, val: str | None = None) -> World:
    """The world of that name, or that of two COCO folders: one to train on, one to score on.

    Each folder has images/ and annotations.json. Raises ValueError that lists the names, or
    FileNotFoundError that names the file that is missing.
    """
    if name in WORLDS and val is None:
        return WORLDS[name]
    if not Path(name).is_dir():
        raise ValueError(
            f"there is no world {name!r}: choose {', '.join(WORLDS)}, or a COCO folder"
        )
    if val is None:
        raise ValueError(f"{name} is a folder to train on: give a second one to score on")
    folders = [_coco(Path(folder)) for folder in (name, val)]
    return World(f"the COCO folders {name} and {val}", *folders)


def _coco(folder: Path) -> Folder:
    annotations = folder / "annotations.json"
    if not annotations.is_file():
        raise FileNotFoundError(f"{annotations}: there is no such file; a COCO folder has one")
    images = folder / "images"
    return Folder(str(images if images.is_dir() else folder), str(annotations))
