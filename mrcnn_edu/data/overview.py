"""What is in a data set, in numbers, before any training: sizes, counts, and fitting anchors.

Letters: M objects of an image, N objects of all images.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mrcnn_edu.backbone import NORMS
from mrcnn_edu.backbone_choices import BACKBONES
from mrcnn_edu.boxes import box_area
from mrcnn_edu.config import Config
from mrcnn_edu.data.coco import CocoFolder, has_area, read_box
from mrcnn_edu.data.coverage import Coverage, anchor_coverage
from mrcnn_edu.images import scaled_size

POSITIVE, UNREACHED = 0.7, 0.3  # IoU from which, and below which, the RPN calls an anchor so


@dataclass
class Overview:
    """The objects of a data set without its pixels. Crowds are counted apart: none is learned."""

    classes: list[str]
    sizes: list[tuple[int, int]]  # (height, width) of each image
    boxes: list[Tensor]  # of each image [M, 4]
    labels: list[Tensor]  # of each image [M]
    n_crowds: int

    def counts(self) -> Tensor:
        """How many objects there are of each class [K]."""
        return torch.cat(self.labels).bincount(minlength=len(self.classes) + 1)[1:]

    def sides(self, config: Config) -> Tensor:
        """The square root of each box's area [N], in pixels of the network's input."""
        sides = [torch.zeros(0)]
        for boxes, (height, width) in zip(self.boxes, self.sizes, strict=True):
            h, w = scaled_size((height, width), config.short_side, config.long_side)
            sides.append((box_area(boxes) * (h / height) * (w / width)).sqrt())
        return torch.cat(sides)

    def coverage(self, config: Config, n: int = 500) -> Coverage:
        """How well the config's anchors fit the objects of n images, evenly spread."""
        picked = range(0, len(self.sizes), max(1, len(self.sizes) // n))
        items = [(torch.empty(0, *self.sizes[i]), {"boxes": self.boxes[i]}) for i in picked]
        return anchor_coverage(items, config, _strides(config))


def _strides(config: Config) -> tuple[int, ...]:
    with torch.device("meta"):  # its weights take no memory
        return BACKBONES[config.backbone](config.in_channels, NORMS[config.norm]).strides


def overview(dataset) -> Overview:
    """The overview of a dataset; of a CocoFolder from its JSON, past all that cannot be used."""
    items = _annotations(dataset) if isinstance(dataset, CocoFolder) else _targets(dataset)
    sizes, boxes, labels, n_crowds = [], [], [], 0
    for size, box, label, crowd in items:
        sizes.append(size)
        boxes.append(box[~crowd])
        labels.append(label[~crowd])
        n_crowds += int(crowd.sum())
    return Overview(list(dataset.classes), sizes, boxes, labels, n_crowds)


def _targets(dataset) -> Iterator[tuple]:
    for index in range(len(dataset)):
        image, target = dataset[index]
        crowd = target.get("iscrowd", torch.zeros(len(target["labels"]))).bool()
        yield tuple(image.shape[-2:]), target["boxes"], target["labels"], crowd


def _annotations(dataset: CocoFolder) -> Iterator[tuple]:
    for index, record in enumerate(dataset.records):
        rows = []
        try:
            size = dataset.image_size(index)
        except (ValueError, FileNotFoundError):
            continue  # `check` has told
        for annotation in dataset.annotations_of.get(record["id"], []):
            try:
                x, y, width, height = read_box(annotation)
                box = x, y, x + width, y + height
                if has_area(*box):
                    crowd = bool(annotation.get("iscrowd", False))
                    rows.append((*box, dataset.label(annotation), crowd))
            except ValueError:
                continue
        table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
        yield size, table[:, :4].float(), table[:, 4].long(), table[:, 5] > 0


def suggest_sizes(sides: Tensor, n: int) -> list[int]:
    """Anchor sizes for n levels, the finest first, for objects of the sides [N]; [] for none.

    The centers of n groups of the sides' logarithms (k-means): the size next to an object is then
    off by the smallest factor, on average (squared). What is alike is moved apart by a fifth.
    """
    if len(sides) == 0:
        return []
    logs = sides.clamp(min=1).double().log()
    centers = logs.quantile((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    for _ in range(100):
        nearest = (logs[:, None] - centers).abs().argmin(dim=1)  # [N]
        members = [logs[nearest == i] for i in range(n)]
        pairs = zip(members, centers, strict=True)
        moved = torch.stack([m.mean() if len(m) else c for m, c in pairs])
        if moved.equal(centers):
            break
        centers = moved
    sizes: list[int] = []
    for center in sorted(centers.exp().tolist()):
        least = round(1.2 * sizes[-1] + 0.5) if sizes else 4
        sizes.append(max(least, round(center)))
    return sizes


def with_sizes(config: Config, sizes: list[int]) -> Config:
    """The config with one anchor size for each level."""
    return replace(config, anchor_sizes=tuple((float(size),) for size in sizes))


def coverage_rows(coverage: Coverage) -> list[tuple]:
    """Of objects by size, each twice as large as the last: range, count, mean best IoU and shares.

    The shares are of objects that an anchor fits well (POSITIVE) and that no anchor reaches.
    """
    rows, octave = [], coverage.sides.clamp(min=1).log2().floor().long()
    for power in octave.unique().tolist():
        best = coverage.best_iou[octave == power]
        rows.append((f"{2**power} to {2 ** (power + 1)}", *_row(best)))
    return [*rows, ("all", *_row(coverage.best_iou))]


def _row(best: Tensor) -> tuple:
    shares = ((best >= POSITIVE).float().mean(), (best < UNREACHED).float().mean())
    return len(best), float(best.mean()), *(f"{100 * float(share):.0f} %" for share in shares)


def images_to_show(found: Overview, n: int) -> list[int]:
    """Indices of up to n images: first those with classes that are not seen yet, then any."""
    chosen: list[int] = []
    unseen = set(torch.where(found.counts() > 0)[0].add(1).tolist())
    while unseen and len(chosen) < n:
        best = max(range(len(found.labels)), key=lambda i: len(unseen & set(_list(found, i))))
        chosen.append(best)
        unseen -= set(_list(found, best))
    others = [i for i in range(len(found.sizes)) if i not in set(chosen)]
    step = max(1, len(others) // max(1, n - len(chosen)))
    return chosen + others[::step][: n - len(chosen)]


def _list(found: Overview, index: int) -> list[int]:
    return found.labels[index].tolist()
