"""COCO folders: a folder of images and one JSON file, the usual format of labeling tools.

Letters: C channels, H and W in pixels, M objects, K classes (label 0 is background).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from hashlib import file_digest
from pathlib import Path

import torch
from torch import Tensor

from mrcnn_edu.data.coco_json import (
    has_area,
    read_area,
    read_box,
    read_category_names,
    read_coco_json,
    read_corners,
    read_record_size,
)
from mrcnn_edu.data.dataset import Dataset, Wrapper
from mrcnn_edu.data.image_file import read_image, read_image_size
from mrcnn_edu.data.regions import encode_region
from mrcnn_edu.data.rle import RLEMasks, decode_masks
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.images import Size, size_of


class CocoFolder(Dataset):
    """The images of a COCO folder, in the order of their ids: items (image [C, H, W], target).

    images: the folder that the JSON's file names are relative to. annotations: the JSON file.
    channels: C, 3 for color, 1 for gray, or as many as the files have.
    keep_ids: normally labels are 1..K in the order of the category ids, whatever these are; label k
    has the id `category_ids[k - 1]` and the name `classes[k - 1]`. With keep_ids the ids are the
    labels, gaps included, as published weights with 91 outputs expect; a gap is named "unused 12".

    target: boxes [M, 4], labels [M], masks [M, H, W], iscrowd [M] bool, area [M] and image_id.
    An object whose box has no width or no height is left out: no box delta leads to it. An object
    without a region (no `segmentation`, or polygons of two points) gets an empty mask, and the area
    of its box if it has none.
    A file is read when its item is requested; `check` lists everything that is wrong at once.
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
        self.contents = read_coco_json(self.file)  # as it is in the file, for `check`
        with open(self.file, "rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        self.fingerprint = f"{self.file.name}, SHA-256 {digest[:16]}"
        self.records = sorted(self.contents["images"], key=lambda record: record["id"])
        self.annotations: dict = {}  # image id -> its annotations, in the file's order
        for annotation in self.contents["annotations"]:
            self.annotations.setdefault(annotation.get("image_id"), []).append(annotation)

        names = read_category_names(self.contents)
        ids = sorted(names)
        if keep_ids and ids:
            if ids[0] < 1:
                raise ValueError(
                    f"{self.file}: category id {ids[0]} cannot be kept as a label, 0 is the "
                    "background: leave keep_ids off, and the labels become 1, 2, 3, ..."
                )
            ids = list(range(1, ids[-1] + 1))
        self._category_ids = ids
        self.classes = [names.get(i, f"unused {i}") for i in ids]
        self.labels = {i: label for label, i in enumerate(ids, start=1) if i in names}

    @property
    def category_ids(self) -> list[int]:
        """The id of each label 1..K in the JSON file."""
        return self._category_ids

    def with_channels(self, n: int) -> "CocoFolder":
        """The same folder, read with n channels."""
        other = copy(self)
        other.channels = n
        return other

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        record = self.records[index]
        image = self._read_image(record)
        target = self._read_target(record, size_of(image))
        return image, target | {"masks": decode_masks(target["masks"])}

    def target(self, index: int) -> dict:
        """The target alone, its masks as `RLEMasks`.

        The image is read only if the JSON does not give its size.
        """
        record = self.records[index]
        with self._locating_errors(record):
            size = read_record_size(record)
        return self._read_target(record, size or size_of(self._read_image(record)))

    def image_size(self, index: int) -> Size:
        """(height, width) of an image, from the JSON or else from the head of the image file."""
        record = self.records[index]
        with self._locating_errors(record):
            return read_record_size(record) or read_image_size(self.path(record))

    def path(self, record: dict) -> Path:
        """The image file of a record."""
        return self.folder / record["file_name"]

    def label(self, annotation: dict) -> int:
        """The label 1..K of an annotation. Raises ValueError for an unknown category."""
        category = annotation.get("category_id")
        if category not in self.labels:
            raise ValueError(f"category id {category} is not in the list of categories")
        return self.labels[category]

    def _read_image(self, record: dict) -> Tensor:
        with self._locating_errors(record):
            return read_image(self.path(record), read_record_size(record), self.channels)

    def _read_target(self, record: dict, size: Size) -> dict:
        """The target of an image of this size, its masks as `RLEMasks`."""
        annotations, boxes, labels, areas, strings = [], [], [], [], []
        for annotation in self.annotations.get(record["id"], []):
            with self._locating_errors(record, annotation):
                x1, y1, x2, y2 = read_corners(annotation)
                if not has_area(x1, y1, x2, y2):
                    continue
                strings.append(encode_region(annotation.get("segmentation"), *size))
                labels.append(self.label(annotation))
                areas.append(read_area(annotation))
            boxes.append((x1, y1, x2, y2))
            annotations.append(annotation)
        masks = self._decompress(strings, size, record, annotations)
        n_pixels = masks.areas().tolist()
        for i, annotation in enumerate(annotations):
            if areas[i] is None:
                _, _, width, height = read_box(annotation)
                areas[i] = n_pixels[i] or width * height
        crowds = [bool(annotation.get("iscrowd", False)) for annotation in annotations]
        return {
            "boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "masks": masks,
            "iscrowd": torch.tensor(crowds, dtype=torch.bool),
            "area": torch.tensor(areas, dtype=torch.float32),
            "image_id": record["id"],
        }

    def _decompress(
        self, strings: list[bytes], size: Size, record: dict, annotations: list[dict]
    ) -> RLEMasks:
        try:
            return decompress(strings, size)
        except ValueError:  # find out which one it is
            for annotation, string in zip(annotations, strings, strict=True):
                with self._locating_errors(record, annotation):
                    decompress([string], size)
            raise

    @contextmanager
    def _locating_errors(self, record: dict, annotation: dict | None = None) -> Iterator[None]:
        """Errors raised inside name the image file, the image and the annotation."""
        try:
            yield
        except (ValueError, FileNotFoundError) as error:
            where = f"{self.path(record)} (image id {record['id']}"
            where += f", annotation id {annotation.get('id')})" if annotation else ")"
            error_type = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            advice = f"`mrcnn-edu check-data` lists everything that is wrong in {self.file}."
            raise error_type(f"{where}: {error}. {advice}") from error


def find_coco_folder(dataset: Dataset) -> CocoFolder | None:
    """The COCO folder that a dataset is, or wraps; None if there is none."""
    while isinstance(dataset, Wrapper):
        dataset = dataset.dataset
    return dataset if isinstance(dataset, CocoFolder) else None
