"""COCO folders, the exchange format of instance segmentation: reading one.

A COCO folder is a folder of images and one JSON file with three lists: `images` (id, file name,
size), `categories` (id, name) and `annotations` (of which image, category, box as x y width height,
region). A region is a list of polygons [x, y, x, y, ...] or "run-length encoded" (RLE): the lengths
of the runs of 0 and 1 down the columns. Runs keep holes and single pixels; polygons do not.

Letters: M objects, K classes (label 0 is background), H and W the image's size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from math import isfinite
from pathlib import Path

import torch
from numpy import float32
from torch import Tensor

from mrcnn_edu.data.image_file import read_image, read_size
from mrcnn_edu.data.regions import encode_region
from mrcnn_edu.data.rle import decode_masks, decompress
from mrcnn_edu.files import read_json


class CocoFolder:
    """Items (image [C, H, W] of 0..1, target) of a COCO folder, in the order of the image ids.

    images: the folder that the JSON's file names start from. annotations: the JSON file. channels:
    C, of the images: 3 for color, 1 for gray, or as many as the files have.
    keep_ids: labels are 1..K in the order of the category ids, whatever the ids are; label k has id
    `category_ids[k - 1]` and name `classes[k - 1]`. With keep_ids the ids are the labels, gaps and
    all, which published weights with 91 outputs expect; the gaps are named "unused 12".

    target: boxes [M, 4], labels [M], masks [M, H, W] bool, iscrowd [M] bool, area [M], image_id.
    An object whose box has no width or no height is left out: no box delta leads to it. An object
    without a region (`segmentation` absent or empty, polygons of two points) has an empty mask, and
    its box's area if none is given.
    A file is read when its item is asked for; `check` lists at once all that is wrong.
    """

    def __init__(
        self,
        images: str | Path,
        annotations: str | Path,
        keep_ids: bool = False,
        channels: int = 3,
    ):
        self.folder, self.file, self.channels = Path(images), Path(annotations), channels
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{self.folder}: there is no such folder of images")
        self.contents = _read_coco(self.file)  # as it stands in the file, for `check`
        with open(self.file, "rb") as file:
            hashed = file_digest(file, "sha256").hexdigest()
        self.fingerprint = f"{self.file.name}, SHA-256 {hashed[:16]}"  # none other has it
        self.records = sorted(self.contents["images"], key=lambda record: record["id"])
        self.annotations_of: dict = {}  # image id -> its annotations, in the file's order
        for annotation in self.contents["annotations"]:
            self.annotations_of.setdefault(annotation.get("image_id"), []).append(annotation)

        categories = self.contents["categories"]
        names = {c["id"]: str(c["id"] if c.get("name") is None else c["name"]) for c in categories}
        ids = sorted(names)
        if keep_ids and ids:
            if ids[0] < 1:
                raise ValueError(
                    f"{self.file}: category id {ids[0]} cannot be kept as a label, 0 is the "
                    "background: leave keep_ids off, and the labels become 1, 2, 3, ..."
                )
            ids = list(range(1, ids[-1] + 1))
        self.category_ids = ids
        self.classes = [names.get(i, f"unused {i}") for i in ids]
        self.label_of = {i: label for label, i in enumerate(ids, start=1) if i in names}

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        record = self.records[index]
        image = self._image(record)
        target = self._target(record, *image.shape[1:])
        return image, target | {"masks": decode_masks(target["masks"])}

    def target(self, index: int) -> dict:
        """The target alone, its masks as `RLEMasks`: scoring detections takes no pixels.

        The image is read only if the JSON does not say how large it is.
        """
        record = self.records[index]
        with self._say_where(record):
            size = size_in_json(record)
        return self._target(record, *(self._image(record).shape[1:] if None in size else size))

    def _image(self, record: dict) -> Tensor:
        with self._say_where(record):
            size = size_in_json(record)
            return read_image(self.folder / record["file_name"], size, self.channels)

    def _target(self, record: dict, height: int, width: int) -> dict:
        kept, boxes, sizes, given, labels, strings = [], [], [], [], [], []
        for annotation in self.annotations_of.get(record["id"], []):
            with self._say_where(record, annotation):
                x, y, w, h = read_box(annotation)
                box = x, y, x + w, y + h
                if not has_area(*box):
                    continue
                strings.append(encode_region(annotation.get("segmentation"), height, width))
                labels.append(self.label(annotation))
                given.append(read_area(annotation))
            boxes.append(box)
            sizes.append(w * h)
            kept.append(annotation)
        try:
            masks = decompress(strings, (height, width))
        except ValueError:  # of which of them?
            for annotation, string in zip(kept, strings, strict=True):
                with self._say_where(record, annotation):
                    decompress([string], (height, width))
            raise
        areas = zip(given, masks.areas().tolist(), sizes, strict=True)
        area = [n_pixels or size if a is None else a for a, n_pixels, size in areas]
        crowd = [bool(annotation.get("iscrowd", False)) for annotation in kept]
        return {
            "boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "masks": masks,
            "iscrowd": torch.tensor(crowd, dtype=torch.bool),
            "area": torch.tensor(area, dtype=torch.float32),
            "image_id": record["id"],
        }

    def image_size(self, index: int) -> tuple[int, int]:
        """(height, width) of an image, in pixels: the JSON's, else that in the file's head."""
        record = self.records[index]
        with self._say_where(record):
            if None not in (size := size_in_json(record)):
                return size
            return read_size(self.folder / record["file_name"])

    def label(self, annotation: dict) -> int:
        """The label 1..K of an annotation."""
        category = annotation.get("category_id")
        if category not in self.label_of:
            raise ValueError(f"category id {category} is not in the list of categories")
        return self.label_of[category]

    @contextmanager
    def _say_where(self, record: dict, annotation: dict | None = None) -> Iterator[None]:
        try:
            yield
        except (ValueError, FileNotFoundError) as error:
            where = f"{self.folder / record['file_name']} (image id {record['id']}"
            where += f", annotation id {annotation.get('id')})" if annotation else ")"
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            advice = f"`mrcnn-edu check-data` lists all such places in {self.file}."
            raise kind(f"{where}: {error}. {advice}") from error


def target_of(dataset, index: int) -> dict:
    """The target of an item, without its image where the dataset can give it alone."""
    return dataset.target(index) if hasattr(dataset, "target") else dataset[index][1]


def _read_coco(file: Path) -> dict:
    """The JSON file's contents, with the three lists of dicts that make it a COCO file."""
    contents = read_json(file, "annotation file")
    needed = {"images": ("id", "file_name"), "annotations": (), "categories": ("id",)}
    for name, keys in needed.items():
        entries = contents.get(name) if isinstance(contents, dict) else None
        if not isinstance(entries, list):
            raise ValueError(
                f"{file}: there is no list {name!r}; a COCO file is one JSON object with the lists "
                "'images', 'annotations' and 'categories'"
            )
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise ValueError(f"{file}: entry {i} of {name!r} is no JSON object")
            missing = [key for key in keys if key not in entry]
            if missing:
                raise ValueError(f"{file}: entry {i} of {name!r} has no {missing[0]!r}: {entry}")
    for name in ("images", "categories"):
        kinds = {type(entry["id"]).__name__ for entry in contents[name]}
        if not (kinds <= {"int", "float"} or kinds <= {"str"}):
            raise ValueError(
                f"{file}: the ids of {name!r} are {' and '.join(sorted(kinds))}: give all of them "
                "as whole numbers, and in 'annotations' too"
            )
    return contents


def size_in_json(record: dict) -> tuple[int | None, int | None]:
    """(height, width) of an image as its record gives them; None where it does not."""
    size = record.get("height"), record.get("width")
    for side in size:
        good = isinstance(side, int | float) and side > 0 and float(side).is_integer()
        if not (side is None or good):
            raise ValueError(f"the JSON gives height {size[0]!r} and width {size[1]!r} in pixels")
    return tuple(None if side is None else int(side) for side in size)


def read_box(annotation: dict) -> tuple[float, float, float, float]:
    """The annotation's (x, y, width, height)."""
    try:
        x, y, width, height = map(float, annotation["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        box = annotation.get("bbox")
        raise ValueError(f"the bbox is not [x, y, width, height] but {box}") from error
    return x, y, width, height


def has_area(x1: float, y1: float, x2: float, y2: float) -> bool:
    """Whether a box has any area in float32, which targets are, and is finite."""
    finite = isfinite(x1) and isfinite(y1) and isfinite(x2) and isfinite(y2)
    return finite and bool(float32(x2) > float32(x1) and float32(y2) > float32(y1))


def read_area(annotation: dict) -> float | None:
    """The annotation's area, in pixels, if it has one."""
    area = annotation.get("area")
    if not (area is None or isinstance(area, int | float)):
        raise ValueError(f"the area is {area!r}, not a number of pixels")
    return area if area is not None and isfinite(area) else None


def image_id_of(target: dict, index: int):
    """The image's id; its position where the target has none."""
    image_id = target.get("image_id", index)
    return image_id.item() if isinstance(image_id, Tensor) else image_id


def xyxy_to_xywh(box: Tensor) -> list[float]:
    """A box [4] of corners as a file has it: x, y, width, height."""
    x1, y1, x2, y2 = box.tolist()  # in float64, where the difference of two float32 is exact
    return [x1, y1, x2 - x1, y2 - y1]
