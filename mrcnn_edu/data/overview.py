"""What a dataset contains, before any training: counts, sizes, and anchor sizes that would fit.

Letters: M objects of one image, N objects of all images, K classes.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.backbone_choices import BACKBONES, NORMS
from mrcnn_edu.boxes import box_area
from mrcnn_edu.config import Config
from mrcnn_edu.data.coco import CocoFolder, find_coco_folder
from mrcnn_edu.data.coverage import Coverage, anchor_coverage
from mrcnn_edu.data.dataset import Dataset, as_dataset
from mrcnn_edu.data.fields import has_area
from mrcnn_edu.images import Size, is_crowd, scale_boxes, scaled_size, size_of

POSITIVE, UNREACHED = 0.7, 0.3  # IoUs of the RPN: from here positive, below here negative


@dataclass
class Overview:
    """The objects of a dataset without its pixels. Crowds are only counted: none is learned."""

    classes: list[str]
    image_sizes: list[Size]  # (height, width) of each image
    boxes: list[Tensor]  # [M, 4] for each image
    labels: list[Tensor]  # [M] for each image
    n_crowds: int

    def counts(self) -> Tensor:
        """The number of objects [K] of each class."""
        return torch.cat(self.labels).bincount(minlength=len(self.classes) + 1)[1:]

    def object_sizes(self, config: Config) -> Tensor:
        """The square root of each box's area [N], in pixels of the network's input."""
        sizes = [torch.zeros(0)]
        for boxes, image_size in zip(self.boxes, self.image_sizes, strict=True):
            input_size = scaled_size(image_size, config.short_side, config.long_side)
            sizes.append(box_area(scale_boxes(boxes, image_size, input_size)).sqrt())
        return torch.cat(sizes)

    def coverage(self, config: Config, n: int = 500) -> Coverage:
        """How well the config's anchors fit the objects of about n images, evenly spread."""
        rows = range(0, len(self.image_sizes), max(1, len(self.image_sizes) // n))
        items = [(torch.empty(0, *self.image_sizes[i]), {"boxes": self.boxes[i]}) for i in rows]
        return anchor_coverage(items, config, _strides(config))


def _strides(config: Config) -> tuple[int, ...]:
    with torch.device("meta"):  # the weights take no memory
        return BACKBONES[config.backbone](config.in_channels, NORMS[config.norm]).strides


def overview(dataset: Any) -> Overview:
    """The overview of a dataset.

    For a CocoFolder, wrapped or not, it is made from the JSON alone, skipping what cannot be used;
    unless the folder is augmented.
    """
    dataset = as_dataset(dataset)
    folder = find_coco_folder(dataset)
    if folder is None or dataset.augmentation != Dataset.augmentation:
        items = _read_targets(dataset)
    else:
        items = _read_annotations(folder)
    found = Overview(list(dataset.classes), [], [], [], n_crowds=0)
    for size, boxes, labels, crowd in items:
        found.image_sizes.append(size)
        found.boxes.append(boxes[~crowd])
        found.labels.append(labels[~crowd])
        found.n_crowds += int(crowd.sum())
    return found


def _read_targets(dataset: Dataset) -> Iterator[tuple[Size, Tensor, Tensor, Tensor]]:
    """Each image's size, boxes, labels and crowds."""
    for index in range(len(dataset)):
        image, target = dataset[index]
        yield size_of(image), target["boxes"], target["labels"], is_crowd(target)


def _read_annotations(folder: CocoFolder) -> Iterator[tuple[Size, Tensor, Tensor, Tensor]]:
    """The same, from the annotations that can be used."""
    for index, record in enumerate(folder.records):
        try:
            size = folder.image_size(index)
        except (ValueError, FileNotFoundError):
            continue  # `check` reports it
        if folder.reader.reading.boxes == "from-masks":
            with suppress(ValueError, FileNotFoundError):
                target = folder.target(index)
                yield size, target["boxes"], target["labels"], target["iscrowd"]
            continue
        rows = []
        for annotation in folder.annotations_of(record):
            with suppress(ValueError):  # `check` reports it
                labeled = folder.reader.labeled(annotation, size)
                if labeled.corners is not None and has_area(*labeled.corners):
                    rows.append((*labeled.corners, labeled.label, labeled.is_crowd))
        table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
        yield size, table[:, :4].float(), table[:, 4].long(), table[:, 5] > 0


def suggest_sizes(object_sizes: Tensor, n: int) -> list[int]:
    """Anchor sizes for n levels, the finest first, that fit these objects [N]; [] if N is 0.

    They are the centers of n clusters of the sizes' logarithms (k-means), which minimizes the mean
    squared logarithm of the factor between an object and its nearest anchor size. Sizes that are
    too similar are moved a fifth apart.
    """
    if len(object_sizes) == 0:
        return []
    logs = object_sizes.clamp(min=1).double().log()
    centers = logs.quantile((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    for _ in range(100):
        nearest = (logs[:, None] - centers).abs().argmin(dim=1)  # [N]
        new_centers = centers.clone()
        for i in range(n):
            members = logs[nearest == i]
            if len(members) > 0:
                new_centers[i] = members.mean()
        if new_centers.equal(centers):
            break
        centers = new_centers
    sizes: list[int] = []
    for center in sorted(centers.exp().tolist()):
        smallest = round(1.2 * sizes[-1] + 0.5) if sizes else 4
        sizes.append(max(smallest, round(center)))
    return sizes


def with_sizes(config: Config, sizes: list[int]) -> Config:
    """The config with one anchor size for each level."""
    return replace(config, anchor_sizes=tuple((float(size),) for size in sizes))


def coverage_rows(coverage: Coverage) -> list[tuple]:
    """A table of coverage by object size, each row's sizes twice the last row's, and all sizes.

    Columns: range of sizes, number of objects, mean best IoU, percentage of objects that an anchor
    fits well (POSITIVE), and percentage that no anchor reaches (UNREACHED).
    """
    rows, octave = [], coverage.sizes.clamp(min=1).log2().floor().long()
    for power in octave.unique().tolist():
        best_iou = coverage.best_iou[octave == power]
        rows.append((f"{2**power} to {2 ** (power + 1)}", *_summary(best_iou)))
    return [*rows, ("all", *_summary(coverage.best_iou))]


def _summary(best_iou: Tensor) -> tuple[int, float, str, str]:
    positive = float((best_iou >= POSITIVE).float().mean())
    unreached = float((best_iou < UNREACHED).float().mean())
    mean = float(best_iou.mean())
    return len(best_iou), mean, f"{100 * positive:.0f} %", f"{100 * unreached:.0f} %"


def images_to_show(data: Overview, n: int) -> list[int]:
    """Indices of up to n images: first those with classes not shown yet, then an even selection."""
    classes_in = [set(labels.tolist()) for labels in data.labels]
    missing = set(torch.where(data.counts() > 0)[0].add(1).tolist())
    chosen: list[int] = []
    while missing and len(chosen) < n:
        n_new = [len(missing & classes) for classes in classes_in]
        best = n_new.index(max(n_new))
        chosen.append(best)
        missing -= classes_in[best]
    others = [i for i in range(len(data.labels)) if i not in chosen]
    step = max(1, len(others) // max(1, n - len(chosen)))
    return chosen + others[::step][: n - len(chosen)]
