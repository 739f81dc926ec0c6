"""What is read from a folder in another format: images, their objects, and what was skipped.

Each format has a function that reads a folder into `Findings`. A label file that cannot be used is
a problem, and all of them are named at once. What a COCO folder cannot hold, such as a line or a
point, is skipped and counted. Nothing is lost in silence.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from mrcnn_edu.data.image_file import is_read_as_stored, read_image_size
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.images import Size

Source = Path | Callable[[], bytes]  # an image file, or a function that returns its contents


class LabeledObject(NamedTuple):
    """An object of an image."""

    name: str  # of its class
    mask: bytes  # the compressed string of its RLE


class LabeledImage(NamedTuple):
    """An image and its objects."""

    name: str  # of the file in the COCO folder's images/, with sub-folders: cats/1.jpg
    source: Source
    size: Size  # (height, width) of the masks
    objects: list[LabeledObject]


@dataclass
class Findings:
    """What is read from a folder."""

    folder: Path
    kind: str  # the format
    images: list[LabeledImage] = field(default_factory=list)
    classes: list[str] | None = None  # in the format's order; None if it has no list of classes
    skipped: dict[str, list[Path]] = field(default_factory=dict)  # what, and each file that has it
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _labeled_by: dict[str, Path] = field(default_factory=dict)  # label files, by their image

    def skip(self, what: str, file: Path) -> None:
        """Count something that is not converted. what: in the singular, such as "circle"."""
        self.skipped.setdefault(what, []).append(file)

    @contextmanager
    def problems_of(self, file: Path) -> Iterator[None]:
        """Errors raised inside become a problem of this file."""
        try:
            yield
        except (ValueError, OSError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            named = words.startswith(str(file))
            self.problems.append(words if named else f"{file}: {words}")

    def add(
        self, file: Path, name: str, source: Source, size: Size, objects: Sequence[LabeledObject]
    ) -> None:
        """Add an image, with the objects whose masks have a pixel. file: the one that labels it.

        Raises ValueError if an image of this name has been added before.
        """
        if name in self._labeled_by:
            raise ValueError(
                f"its image {name} is that of {self._labeled_by[name]}, too: delete or rename one"
            )
        self._labeled_by[name] = file
        areas = decompress([o.mask for o in objects], size).areas() if objects else np.zeros(0)
        for _ in range(int((areas == 0).sum())):
            self.skip("object without a single pixel", file)
        kept = [objects[i] for i in areas.nonzero()[0].tolist()]
        self.images.append(LabeledImage(name, source, size, kept))


def agreed_size(image: Path, given: Size | None = None, whose: str = "") -> Size:
    """The (height, width) of an image, which must be that of its labels, if they give one.

    whose: what gives it, such as "the mask". A photograph that the camera turned may have either of
    its two sizes, as when it is read (`image_file.read_image`).
    """
    try:
        size = read_image_size(image)
    except ValueError as error:
        raise ValueError(f"of its image {image}: {error}") from error
    if given is None or size == given or is_read_as_stored(image, given):
        return given or size
    raise ValueError(
        f"{whose} is {given[1]} x {given[0]} pixels, but the image {image} is {size[1]} x "
        f"{size[0]}: take the image that was labeled, in its size"
    )


def files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files with these suffixes in a folder and its sub-folders, sorted, without hidden ones.

    Links to folders are followed. Raises OSError where a folder cannot be opened.
    """
    found, entered = [], set()
    for path, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        entry = os.path.realpath(path)
        is_new = entry not in entered  # a link may lead back
        folders[:] = sorted(name for name in folders if is_new and not name.startswith("."))
        entered.add(entry)
        files = [Path(path, name) for name in names if is_new and not name.startswith(".")]
        found += [file for file in files if file.suffix.lower() in suffixes]
    return sorted(found)


def _refuse(error: OSError) -> NoReturn:
    raise error


def by_stem(files: list[Path], folder: Path, findings: Findings) -> dict[str, Path]:
    """The files by their path in a folder, without the suffix; two with the same are a problem."""
    found: dict[str, Path] = {}
    for file in files:
        stem = file.relative_to(folder).with_suffix("").as_posix()
        with findings.problems_of(file):
            if stem in found:
                raise ValueError(f"there is {found[stem].name}, too: delete or rename one")
            found[stem] = file
    return found
