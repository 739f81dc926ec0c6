"""Average precision as COCO measures it, in the open: equal to pycocotools, one screen an idea.

1. Overlap: the IoU of every detection with every true object of its image and class.
2. Match: best score first, each detection takes the free object it overlaps most, if the IoU
   reaches a threshold. A match is correct, a detection without one is wrong.
3. Rank all detections of a class by score. After each one, precision is the share of correct ones
   so far and recall the share of objects found so far. Average precision (AP) is the mean precision
   at the recalls 0, 0.01, ..., 1.
4. Mean over ten IoU thresholds, then over the classes.

1 and 2 look at an image once, for all classes, thresholds and ranges of areas together, and at some
images at a time. Most detections cannot reach the lowest threshold with any object, and need no
matching.

Some objects count neither way: crowds, and those outside the range of areas that is asked about.

Letters: D detections, M true objects, T IoU thresholds, A ranges of areas, K classes, H and W the
image's size.
"""

from dataclasses import dataclass
from math import nan
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.boxes import box_intersection
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.detection_list import DetectionList
from mrcnn_edu.evaluate.overlaps import Detected, Objects, area_of, iter_batches, pair_iou, ratio

# NumPy's numbers to the last bit: an IoU of exactly 0.6 must fall on the side it falls elsewhere.
IOU_THRESHOLDS = torch.from_numpy(np.linspace(0.5, 0.95, 10))
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
AREAS = {  # in square pixels; both ends included, so that 32² is small as well as medium
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
LOW, HIGH = torch.tensor(list(AREAS.values()), dtype=torch.float64).T[..., None]  # each [A, 1]
MAX_DETECTIONS = 100  # of one class in one image


@dataclass(frozen=True)
class Scores:
    """Average precisions of 0..1; nan where there was no object to find."""

    ap: float  # the mean over IoU 0.5, 0.55, ..., 0.95
    ap50: float
    ap75: float
    ap_small: float  # objects of at most 32² pixels
    ap_medium: float
    ap_large: float  # of at least 96²
    per_class: dict[str, float]  # class name -> ap

    def __str__(self) -> str:
        names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        lines = [
            (name.replace("ap", "AP").replace("_", " "), getattr(self, name)) for name in names
        ]
        lines += self.per_class.items()
        wide = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:{wide}}  {value:.3f}" for name, value in lines)


def detect_all(model, dataset, progress: bool = True) -> DetectionList:
    """The model's detections in every image of a dataset, in its order, one `Detections` each."""
    found = DetectionList()
    for index in tqdm(range(len(dataset)), "detect", disable=not progress):
        image, _ = dataset[index]
        start = perf_counter()
        found.append(*model.detect([image]))
        found.seconds.append(perf_counter() - start)
    return found


def evaluate(
    dataset, detections: list[Detections], kind: str = "segm", progress: bool = True
) -> Scores:
    """COCO's scores of the detections, one `Detections` for each item of the dataset in its order.

    kind: "segm" compares masks, "bbox" boxes, which need no masks. Detections with a label that the
    dataset has no name for are passed over.
    """
    if kind not in ("segm", "bbox"):
        raise ValueError(f"kind is {kind!r}: choose 'segm' or 'bbox'")
    if len(dataset) != len(detections):
        raise ValueError(f"{len(detections)} detections for {len(dataset)} images")
    bar = tqdm(range(len(dataset)), desc="evaluate", leave=False, disable=not progress)
    judged = [_match_batch(*tables) for tables in iter_batches(dataset, detections, bar, kind)]
    table = _average_precisions(judged, len(dataset.classes))  # [K, A, T]
    by_class = dict(zip(AREAS, table.unbind(1), strict=True))  # each [K, T]
    mean = {area: rows.nanmean(dim=0) for area, rows in by_class.items()}  # each [T]
    names_and_rows = zip(dataset.classes, by_class["all"], strict=True)
    return Scores(
        ap=float(mean["all"].mean()),
        ap50=float(mean["all"][0]),
        ap75=float(mean["all"][5]),
        ap_small=float(mean["small"].mean()),
        ap_medium=float(mean["medium"].mean()),
        ap_large=float(mean["large"].mean()),
        per_class={name: float(row.mean()) for name, row in names_and_rows},
    )


def overlap(found: Tensor, objects: Tensor, crowd: Tensor | None = None) -> Tensor:
    """IoU [D, M] in float64 of found masks [D, H, W] or boxes [D, 4] with those of the objects.

    crowd: [M] bool. A crowd is many objects in one region, so a detection need not fill it: there
    the intersection is divided by the detection's own area.
    """
    if found.ndim == 2:
        found, objects = found.double(), objects.double()  # both [N, 4]
        intersection = box_intersection(found, objects)  # [D, M]
    else:
        # A matrix product counts the pixels in common; float32 counts exactly up to 2^24.
        exact = torch.float32 if found.shape[1] * found.shape[2] <= 2**24 else torch.float64
        intersection = (found.flatten(1).to(exact) @ objects.flatten(1).to(exact).T).double()
    crowd = torch.zeros(len(objects), dtype=torch.bool) if crowd is None else crowd
    return ratio(intersection, area_of(found)[:, None], area_of(objects), crowd)


def match_detections(
    iou: Tensor,
    scores: Tensor,
    thresholds: Tensor = IOU_THRESHOLDS,
    ignored: Tensor | None = None,
    crowd: Tensor | None = None,
) -> Tensor:
    """The object [T, D] that each detection is matched to under each IoU threshold, -1 if none.

    iou: [D, M] of one image and one class; 0 where the classes differ serves as well. scores: [D].
    thresholds: [T]. ignored: [M] bool, objects that count neither way; they are taken only where no
    other object will do. crowd: [M] bool, objects that any number of detections may take.

    ignored may also be [A, M], several choices at once, and then the matches are [A, T, D].
    """
    none = torch.zeros(iou.shape[1], dtype=torch.bool)
    ignored, crowd = (none if x is None else x for x in (ignored, crowd))
    # Small tables, many steps: NumPy's are quicker than tensors'. Column 0 stands for no object.
    iou, ignored, crowd = (
        np.insert(table.cpu().numpy(), 0, of_none, axis=-1)
        for table, of_none in ((iou, -np.inf), (ignored, False), (crowd, False))
    )
    reached = iou[:, None] >= thresholds.numpy()[:, None]  # [D, T, 1 + M]
    # Objects rank by IoU, the ignored behind all others. Of two overlapped equally COCO takes the
    # later one.
    d, m = np.nonzero(reached.any(axis=1))
    order = np.lexsort((m, iou[d, m]))
    rank = np.zeros(iou.shape, dtype=np.int64)
    rank[d[order], m[order]] = np.arange(1, len(d) + 1)
    rank = rank + len(d) * ~ignored[..., None, :]  # [..., D, 1 + M]

    free = np.ones((*ignored.shape[:-1], *reached.shape[1:]), dtype=bool)  # [..., T, 1 + M]
    each = np.ix_(*map(np.arange, free.shape[:-1]))
    match = np.zeros((*free.shape[:-1], len(iou)), dtype=np.int64)
    for d in scores.argsort(descending=True, stable=True).tolist():
        best = ((free & reached[d]) * rank[..., d, None, :]).argmax(axis=-1)  # [..., T]
        free[*each, best] = crowd[best]
        match[..., d] = best
    return torch.from_numpy(match) - 1


def precision_recall(correct: Tensor, n_objects: int) -> tuple[Tensor, Tensor]:
    """Precision [D] and recall [D] after each detection. correct: [D] bool, best score first."""
    n_correct = correct.cumsum(0).double()
    return n_correct / torch.arange(1, len(correct) + 1), n_correct / n_objects


def average_precision(correct: Tensor, n_objects: int) -> float:
    """The mean, over 101 recalls, of the best precision at that recall or a higher one.

    correct: [D] bool, best score first. A recall that is never reached has precision 0. nan if
    there is no object to find.
    """
    if n_objects == 0:
        return nan
    precision, recall = precision_recall(correct, n_objects)
    envelope = precision.flip(0).cummax(0).values.flip(0)  # [D], never rising
    envelope = torch.cat((envelope, envelope.new_zeros(1)))
    return float(envelope[torch.searchsorted(recall, RECALLS)].mean())


class _Matched(NamedTuple):
    """The detections in some images, and what is to be found."""

    label: Tensor  # [D] of the detections
    score: Tensor  # [D]
    verdict: Tensor  # [A, T, D] int8: 1 correct, 0 wrong, -1 does not count
    there: Tensor  # [M] the objects' labels
    ignored: Tensor  # [A, M]


def _match_batch(found: Detected, objects: Objects) -> _Matched:
    """What becomes of the detections, the best of each class of an image, and of the objects.

    A detection does not count if its object is ignored, nor if it has none and is itself outside
    the range of areas.
    """
    best = _best(found.group, found.score)
    label, score, area = found.label[best], found.score[best], area_of(found.region)[best]
    ignored = objects.crowd | _outside(objects.area)  # [A, M]
    verdict = -_outside(area).to(torch.int8)[:, None].repeat(1, len(IOU_THRESHOLDS), 1)

    d, m = torch.where(found.group[best, None] == objects.group)  # pairs of one image and class
    lowest = float(IOU_THRESHOLDS[0])
    iou = pair_iou(found, objects, best[d], m, lowest)
    near = iou >= lowest  # all others match nothing
    (rows, d), (columns, m) = (x[near].unique(return_inverse=True) for x in (d, m))
    table = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    table[d, m] = iou[near]
    ignored_here = ignored[:, columns]
    match = match_detections(
        table, score[rows], IOU_THRESHOLDS, ignored_here, objects.crowd[columns]
    )
    matched = torch.where(ignored_here, -1, 1).to(torch.int8)  # what a match with each is worth
    matched = matched.gather(1, match.clamp(min=0).flatten(1)).view(match.shape)
    verdict[..., rows] = torch.where(match >= 0, matched, verdict[..., rows])
    return _Matched(label, score, verdict, objects.label, ignored)


def _best(group: Tensor, score: Tensor) -> Tensor:
    """The rows of the best detections of each group, group by group, best first."""
    order = score.argsort(descending=True, stable=True)
    order = order[group[order].argsort(stable=True)]
    n = group[order].unique_consecutive(return_counts=True)[1]
    place = torch.arange(len(order)) - (n.cumsum(0) - n).repeat_interleave(n)
    return order[place < MAX_DETECTIONS]


def _outside(area: Tensor) -> Tensor:
    """Which areas [N] are outside of each range: [A, N]."""
    return (area < LOW) | (area > HIGH)


def _average_precisions(batches: list[_Matched], n_classes: int) -> Tensor:
    """The average precision [K, A, T] of each class, range of areas and threshold."""
    ap = torch.full((n_classes, len(AREAS), len(IOU_THRESHOLDS)), nan, dtype=torch.float64)
    if not batches:
        return ap
    label, score, verdict, there, ignored = (
        torch.cat(column, dim=-1) for column in zip(*batches, strict=True)
    )
    order = score.argsort(descending=True, stable=True)
    for k in range(n_classes):
        of_class = verdict[..., order[label[order] == k + 1]]  # [A, T, D]
        n_objects = (~ignored[:, there == k + 1]).sum(dim=1)  # [A], in each range
        # `average_precision` for A x T at once. A detection that is correct in none of them leaves
        # recall as it is and does not raise precision: the envelope does without it.
        correct = of_class > 0
        some = correct.any(dim=0).any(dim=0)
        n_counted = (of_class >= 0).cumsum(-1, dtype=torch.int32)[..., some]
        n_correct = correct[..., some].cumsum(-1).double()
        precision = n_correct / n_counted.clamp(min=1)
        recall = n_correct / n_objects[:, None, None]
        envelope = precision.flip(-1).cummax(-1).values.flip(-1)
        envelope = torch.cat((envelope, envelope.new_zeros(*envelope.shape[:-1], 1)), dim=-1)
        reached = torch.searchsorted(recall, RECALLS.expand(*recall.shape[:-1], -1).contiguous())
        ap[k] = envelope.gather(-1, reached).mean(-1).where(n_objects[:, None] > 0, nan)
    return ap
