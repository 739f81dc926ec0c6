"""Which classes a detector confuses: pairs of an object and a detection, whatever their classes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import match_detections, overlap

EXTRA_ROWS = ("taken object", "background")  # below the classes: where there is no free object
MISSED = "missed"  # the column right of the classes


class Pair(NamedTuple):
    """An object and its detection in one image; -1 where one of them does not exist."""

    row: int  # the object's label - 1; K for a taken object, K + 1 for background
    column: int  # the detection's label - 1; K if the object is missed
    image: int  # index
    object: int  # index among the image's objects
    detection: int  # index among the image's detections


def class_pairs(
    detections: Sequence[Detections],
    targets: Sequence[dict],
    n_classes: int,
    min_score: float = 0.5,
    min_iou: float = 0.5,
) -> list[Pair]:
    """Every object and every detection above a score, in pairs.

    In the order of falling scores, each detection takes the free object that it overlaps most, if
    the IoU of their masks reaches `min_iou`; their classes may differ. A detection that finds no
    free object overlaps one that is taken, or lies on the background. An object that remains free
    is missed. detections, targets: of the same images, with masks.
    """
    pairs = []
    for image, (d, target) in enumerate(zip(detections, targets, strict=True)):
        chosen = torch.where(d.scores > min_score)[0]
        assert d.masks is not None
        iou = overlap(d.masks[chosen], target["masks"])  # [D, M]
        threshold = torch.tensor([min_iou], dtype=torch.float64)
        matched = match_detections(iou, d.scores[chosen], threshold)[0].tolist()
        labels = target["labels"].tolist()
        for index, row, m in zip(chosen.tolist(), iou, matched, strict=True):
            column = int(d.labels[index]) - 1
            if m >= 0:
                pairs.append(Pair(labels[m] - 1, column, image, m, index))
            elif len(row) and row.max() >= min_iou:
                pairs.append(Pair(n_classes, column, image, int(row.argmax()), index))
            else:
                pairs.append(Pair(n_classes + 1, column, image, -1, index))
        for m in sorted(set(range(len(labels))) - set(matched)):
            pairs.append(Pair(labels[m] - 1, n_classes, image, m, -1))
    return pairs


def confusion_matrix(pairs: Sequence[Pair], n_classes: int) -> Tensor:
    """The number of pairs [K + 2, K + 1] in each row and column of the matrix."""
    counts = torch.zeros(n_classes + 2, n_classes + 1, dtype=torch.int64)
    for pair in pairs:
        counts[pair.row, pair.column] += 1
    return counts
