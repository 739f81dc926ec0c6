"""A folder in another format, read as a dataset and written as a COCO folder."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.data.convert.findings import Findings
from mrcnn_edu.data.convert.formats import FORMATS, recognize
from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.export import write_coco
from mrcnn_edu.data.image_file import read_image
from mrcnn_edu.data.rle import with_pixels
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.data.tally import counted
from mrcnn_edu.images import Size


class Converted(Dataset):
    """What was read from a folder, as a dataset.

    Classes that differ in upper and lower case or in spaces alone are one. They are in the order of
    the format's list of classes, or else of the alphabet.
    """

    def __init__(self, findings: Findings):
        self.findings, self.images = findings, findings.images
        used = Counter(o.name for image in self.images for o in image.objects)
        listed = findings.classes or sorted(used, key=lambda name: (-used[name], name))
        spellings: dict[str, str] = {}  # by folded name: the first in the list, or the commonest
        for name in listed:
            spelling = spellings.setdefault(_folded(name), " ".join(name.split()))
            if name != spelling:
                findings.notes.append(f"the classes {name!r} and {spelling!r} are one: {spelling}")
        self.classes = list(spellings.values())
        if findings.classes is None:
            self.classes.sort(key=str.casefold)
        self._labels = {name: self.classes.index(spellings[_folded(name)]) + 1 for name in listed}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        return self.image(index), with_pixels(self.target(index))

    def image(self, index: int) -> Tensor:
        source = self.images[index].source
        if not isinstance(source, Path):
            raise ValueError(f"{self.images[index].name} lies in a label file: convert the folder")
        return read_image(source, self.images[index].size)

    def target(self, index: int) -> dict:
        """The target; its masks are `RLEMasks`, its boxes those around them."""
        image = self.images[index]
        masks = decompress([o.mask for o in image.objects], image.size)
        labels = [self._labels[o.name] for o in image.objects]
        return {
            "boxes": torch.from_numpy(masks.boxes().astype(np.float32)),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "masks": masks,
        }

    def image_size(self, index: int) -> Size:
        return self.images[index].size


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


class UnusableLabels(ValueError):
    """Label files that cannot be used, with what is wrong in each."""

    def __init__(self, folder: Path, problems: list[str]):
        first = f"{folder}: {counted(len(problems), 'problem')}, and nothing was written:"
        super().__init__("\n  ".join([first, *problems]))


def read_folder(folder: Path, kind: str | None = None, classes: Sequence[str] = ()) -> Converted:
    """What is in a folder. kind: its format, a key of FORMATS; by default it is recognized.

    classes: names of classes, for formats that have none. Raises UnusableLabels, a ValueError that
    lists all files which cannot be used, and ValueError if there is no object.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    folder = Path(os.path.normpath(folder))
    kind = kind or recognize(folder)
    findings = Findings(folder, kind)
    FORMATS[kind](folder, findings, classes)
    if findings.problems:
        raise UnusableLabels(folder, findings.problems)
    if not any(image.objects for image in findings.images):
        where = f"{folder}: there is no object with an outline"
        skipped = [counted(len(files), what) for what, files in findings.skipped.items()]
        raise ValueError(
            f"{where} in {counted(len(findings.images), 'image')}"
            + (f", only {', '.join(skipped)}" if skipped else "")
        )
    return Converted(findings)


def convert(
    folder: str | Path, out: str | Path, kind: str | None = None, classes: Sequence[str] = ()
) -> Converted:
    """Write the COCO folder `out`, with copies of the images under their names; what was read.

    It is written under another name and renamed when it is complete. Arguments and errors as for
    `read_folder`; raises FileExistsError if there is something at `out`.
    """
    folder, out = Path(folder), Path(out)
    is_empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    if os.path.lexists(out) and not is_empty:
        raise FileExistsError(f"{out} exists already: delete it, or give another --out")
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(folder)):
        raise ValueError(f"{out} is inside {folder}, which is read: give a folder beside it")
    data = read_folder(folder, kind, classes)
    place = Path(os.path.abspath(out))
    unfinished = place.with_name(f"{place.name}.unfinished-{os.getpid()}")
    try:
        write_coco(data, unfinished, [(image.name, image.source) for image in data.images])
        os.rename(unfinished, place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # it exists only after an error
    return data
