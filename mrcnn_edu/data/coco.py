"""COCO folders: a folder of images and one JSON file, the usual format of labeling tools.

Letters: C channels, H and W in pixels, M objects, J keypoints of an object, K classes (label 0 is
background).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.data.class_labels import Labels, labels_by_id, labels_by_name
from mrcnn_edu.data.coco_json import read_coco_json
from mrcnn_edu.data.dataset import Dataset, Wrapper
from mrcnn_edu.data.fields import has_area, read_id, read_record_size
from mrcnn_edu.data.image_file import read_image, read_image_size
from mrcnn_edu.data.image_names import ImageNames
from mrcnn_edu.data.reading import AnnotationReader, Reading
from mrcnn_edu.data.rle import RLEMasks, with_pixels
from mrcnn_edu.data.rle_codec import decompress
from mrcnn_edu.images import Size, size_of


class CocoFolder(Dataset):
    """The images of a COCO folder, in the order of their ids: items (image [C, H, W], target).

    images: the folder that the JSON's file names are relative to. annotations: the JSON file.
    channels: C, 3 for color, 1 for gray, or as many as the files have. reading: how annotations are
    read where labeling tools differ.
    keep_ids: normally labels are 1..K in the order of the category ids, whatever these are; label k
    has the id `category_ids[k - 1]` and the name `classes[k - 1]`. With keep_ids the ids are the
    labels, gaps included, as published weights with 91 outputs expect; a gap is named "unused 12".

    target: boxes [M, 4], labels [M], masks [M, H, W], iscrowd [M] bool, area [M] and image_id; and
    keypoints [M, J, 3] if a category names them, all 0 for an object that has none.
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
        reading: Reading | None = None,
    ):
        self.folder, self.file, self.channels = Path(images), Path(annotations), channels
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{self.folder}: there is no such folder of images")
        self.coco = read_coco_json(self.file)
        self.records = self.coco.records
        self.names = ImageNames(self.folder)
        with open(self.file, "rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        self.fingerprint = f"{self.file.name}, SHA-256 {digest[:16]}"
        reading = reading or Reading()
        if reading != Reading():
            self.fingerprint += f", {reading}"
        classes, labels = labels_by_id(self.coco.names, keep_ids, self.file)
        self._set_classes(classes, labels, reading)

    def _set_classes(self, classes: list[str], labels: Labels, reading: Reading) -> None:
        self.classes, self.labels = classes, labels
        self.reader = AnnotationReader(labels, reading, self.keypoints)
        ids = {label: self.coco.categories[key]["id"] for key, label in labels.items()}
        self._category_ids = [ids.get(label, label) for label in range(1, len(classes) + 1)]

    @property
    def category_ids(self) -> list[Any]:
        """The id of each label 1..K in the JSON file."""
        return self._category_ids

    @property
    def keypoints(self) -> list[str]:
        """The names of an object's keypoints; an empty list where no category names any."""
        return self.coco.keypoints.names

    @property
    def skeleton(self) -> list[tuple[int, int]]:
        """Pairs of keypoints, by index, that a picture joins by lines."""
        return self.coco.keypoints.skeleton

    @property
    def sigmas(self) -> list[float]:
        """How far off each keypoint may be in evaluation, if the file says so."""
        return self.coco.keypoints.sigmas

    def with_channels(self, n: int) -> "CocoFolder":
        """The same folder, read with n channels."""
        other = copy(self)
        other.channels = n
        return other

    def with_classes(self, classes: Sequence[str]) -> "CocoFolder":
        """The same folder, whose labels 1..K are these classes, found by name."""
        labels = labels_by_name(self.coco.names, classes, self.file)
        other = copy(self)
        other._set_classes(list(classes), labels, self.reader.reading)
        return other

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        image, target = self.encoded_item(index)
        return image, with_pixels(target)

    def encoded_item(self, index: int) -> tuple[Tensor, dict]:
        """An item whose masks are `RLEMasks`, which take far less memory than pixels."""
        record = self.records[index]
        image = self._read_image(record)
        return image, self._read_target(record, size_of(image))

    def image(self, index: int) -> Tensor:
        """The image of an item, without its target."""
        return self._read_image(self.records[index])

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
            return read_record_size(record) or read_image_size(self.find(record))

    def annotations_of(self, record: dict) -> list[dict]:
        """The annotations of an image, in the file's order."""
        return self.coco.annotations[read_id(record["id"])]

    def find(self, record: dict) -> Path:
        """The image file of a record. Raises FileNotFoundError if there is none."""
        return self.names.find(str(record["file_name"]))

    def path(self, record: dict) -> Path:
        """The image file of a record, which may not exist."""
        try:
            return self.find(record)
        except FileNotFoundError:
            return self.folder / str(record["file_name"])

    def _read_image(self, record: dict) -> Tensor:
        with self._locating_errors(record):
            return read_image(self.find(record), read_record_size(record), self.channels)

    def _read_target(self, record: dict, size: Size) -> dict:
        """The target of an image of this size, its masks as `RLEMasks`."""
        rows, strings = [], []
        for annotation in self.annotations_of(record):
            with self._locating_errors(record, annotation):
                labeled = self.reader.labeled(annotation, size)
                if labeled.corners is None or has_area(*labeled.corners):
                    rows.append((annotation, labeled))
                    strings.append(self.reader.region(annotation, size))
        masks = self._decompress(strings, size, record, [annotation for annotation, _ in rows])
        boxes = torch.tensor([labeled.corners for _, labeled in rows if labeled.corners])
        if self.reader.reading.boxes == "from-masks":
            boxes = torch.from_numpy(masks.boxes())
            kept = masks.areas().nonzero()[0]
            boxes, masks, rows = boxes[kept], masks.take(kept), [rows[i] for i in kept]
        boxes = boxes.float().view(-1, 4)
        areas, n_pixels = [], masks.areas().tolist()
        for i, (annotation, _) in enumerate(rows):
            area, (x1, y1, x2, y2) = self.reader.area(annotation), boxes[i].double().tolist()
            areas.append((n_pixels[i] or (x2 - x1) * (y2 - y1)) if area is None else area)
        target = {
            "boxes": boxes,
            "labels": torch.tensor([labeled.label for _, labeled in rows], dtype=torch.int64),
            "masks": masks,
            "iscrowd": torch.tensor([labeled.is_crowd for _, labeled in rows], dtype=torch.bool),
            "area": torch.tensor(areas, dtype=torch.float32),
            "image_id": record["id"],
        }
        if self.reader.reading.boxes_only:
            del target["masks"]
        if self.keypoints:
            keypoints = torch.tensor([labeled.keypoints for _, labeled in rows]).float()
            target["keypoints"] = keypoints.view(-1, len(self.keypoints), 3)
        return target

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
            what = str(error).rstrip("?.")
            raise error_type(f"{where}: {what}. {advice}") from error


def find_coco_folder(dataset: Dataset) -> CocoFolder | None:
    """The COCO folder that a dataset is, or wraps; None if there is none."""
    while isinstance(dataset, Wrapper):
        dataset = dataset.dataset
    return dataset if isinstance(dataset, CocoFolder) else None
