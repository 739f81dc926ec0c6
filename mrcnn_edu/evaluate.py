"""Average precision as COCO measures it, in the open: equal to pycocotools, one screen an idea.

1. Overlap: the IoU of every detection with every true object of its image and class.
2. Match: best score first, each detection takes the free object it overlaps most, if the IoU
   reaches a threshold. A match is correct, a detection without one is wrong.
3. Rank all detections of a class by score. After each one, precision is the share of correct ones
   so far and recall the share of objects found so far. Average precision (AP) is the mean precision
   at the recalls 0, 0.01, ..., 1.
4. Mean over ten IoU thresholds, then over the classes.

Some objects count neither way: crowds, and those outside the range of areas that is asked about.

Letters: D detections, M true objects, T IoU thresholds, K classes, H and W the image's size.
"""

from dataclasses import dataclass, replace
from math import nan
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.boxes import box_area, box_intersection
from mrcnn_edu.detections import Detections, paste_masks

# NumPy's numbers to the last bit: an IoU of exactly 0.6 must fall on the side it falls elsewhere.
IOU_THRESHOLDS = torch.from_numpy(np.linspace(0.5, 0.95, 10))
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
AREAS = {  # in square pixels; both ends included, so that 32² is small as well as medium
    "all": (0, 1e5**2),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e5**2),
}
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


class Found(list):
    """Detections without masks, which would fill the memory; they are pasted when asked for."""

    def __init__(self):
        super().__init__()
        self.seconds = []  # that each image took

    def append(self, found: Detections) -> None:
        size = None if found.masks is None else found.masks.shape[1:]
        super().append((size, replace(found, masks=None)))

    def __getitem__(self, index: int) -> Detections:
        size, found = super().__getitem__(index)
        if size is None:
            return found
        return replace(found, masks=paste_masks(found.mask_probs, found.boxes, size))


def detect_all(model, dataset, progress: bool = True) -> Found:
    """The model's detections in every image of a dataset, in its order, one `Detections` each."""
    found = Found()
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
    judged = {(label, area): [] for label in range(1, len(dataset.classes) + 1) for area in AREAS}
    bar = tqdm(range(len(dataset)), desc="evaluate", leave=False, disable=not progress)
    for index in bar:
        truth = _truth(dataset[index][1], kind)
        found = _found(detections[index], kind)
        if truth["region"].shape[1:] != found["region"].shape[1:]:
            raise ValueError(
                f"image {index}: its masks are {list(truth['region'].shape)}, the detections' "
                f"{list(found['region'].shape)}: are the detections in the dataset's order?"
            )
        for label in torch.cat((truth["label"], found["label"])).unique().tolist():
            if (label, "all") not in judged:
                continue
            objects = _rows(truth, truth["label"] == label)
            best = _rows(found, torch.where(found["label"] == label)[0][:MAX_DETECTIONS])
            iou = overlap(best["region"], objects["region"], objects["crowd"])
            for area, limits in AREAS.items():
                judged[label, area].append(_judge(iou, objects, best, limits))
    ap = {key: _average_precisions(images) for key, images in judged.items()}  # each [T]
    by_class = {area: torch.stack([ap[key] for key in ap if key[1] == area]) for area in AREAS}
    mean = {area: table.nanmean(dim=0) for area, table in by_class.items()}  # each [K, T] -> [T]
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
    union = _size(found)[:, None] + _size(objects) - intersection
    if crowd is not None:
        union = torch.where(crowd, _size(found)[:, None], union)
    return torch.where(intersection > 0, intersection / union, 0)


def match_detections(
    iou: Tensor,
    scores: Tensor,
    thresholds: Tensor = IOU_THRESHOLDS,
    ignored: Tensor | None = None,
    crowd: Tensor | None = None,
) -> Tensor:
    """The object [T, D] that each detection is matched to under each IoU threshold, -1 if none.

    iou: [D, M] of one image and one class. scores: [D]. thresholds: [T]. ignored: [M] bool, objects
    that count neither way; they are taken only where no other object will do. crowd: [M] bool,
    objects that any number of detections may take.
    """
    none = [False] * iou.shape[1]
    ignored = none if ignored is None else ignored.tolist()
    crowd = none if crowd is None else crowd.tolist()
    best_first = scores.argsort(descending=True, stable=True).tolist()
    rows = iou.tolist()  # a handful of objects each: plain Python outruns tensors here
    match = torch.full((len(thresholds), len(rows)), -1)
    for t, threshold in enumerate(thresholds.tolist()):
        free = set(range(len(none)))
        for d in best_first:
            enough = [m for m in free if rows[d][m] >= threshold]
            if enough:
                # of two objects overlapped equally COCO takes the later one
                best = max(enough, key=lambda m, row=rows[d]: (not ignored[m], row[m], m))
                match[t, d] = best
                if not crowd[best]:
                    free.remove(best)
    return match


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


def _truth(target: dict, kind: str) -> dict[str, Tensor]:
    """The objects of an image as columns of M rows; `area` is the annotation's, if it has one."""
    target = {name: value.cpu() for name, value in target.items() if isinstance(value, Tensor)}
    area = target["area"] if "area" in target else _size(target.get("masks", target["boxes"]))
    crowd = target.get("iscrowd", torch.zeros(len(area))).bool()
    region = _region(target.get("masks"), target["boxes"], kind)
    return {"label": target["labels"], "region": region, "area": area, "crowd": crowd}


def _found(detections: Detections, kind: str) -> dict[str, Tensor]:
    """The detections of an image as columns of D rows, best first."""
    region = _region(detections.masks, detections.boxes, kind).detach().cpu()
    score = detections.scores.detach().cpu()
    columns = {"label": detections.labels.cpu(), "region": region, "score": score}
    columns["area"] = _size(region)
    return _rows(columns, score.argsort(descending=True, stable=True))


def _region(masks: Tensor | None, boxes: Tensor, kind: str) -> Tensor:
    """What is compared: the masks or the boxes."""
    if kind == "segm" and masks is None:
        raise ValueError("there are no masks to compare: kind='bbox' compares boxes")
    return masks if kind == "segm" else boxes


def _rows(columns: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    return {name: column[rows] for name, column in columns.items()}


def _size(region: Tensor) -> Tensor:
    """Square pixels [N] of masks [N, H, W] or boxes [N, 4]."""
    return box_area(region.double()) if region.ndim == 2 else region.sum(dim=(1, 2)).double()


def _judge(iou: Tensor, objects: dict, found: dict, limits: tuple[float, float]) -> tuple:
    """Of one image, class and range of areas: score [D], correct [T, D], counts [T, D], n_objects.

    A detection does not count if its object is ignored, nor if it has none and is itself outside
    the range of areas.
    """
    ignored = objects["crowd"] | _outside(objects["area"], limits)  # [M]
    match = match_detections(iou, found["score"], ignored=ignored, crowd=objects["crowd"])
    without = match < 0  # [T, D]
    on_ignored = torch.cat((ignored, ignored.new_zeros(1)))[match]  # no match, -1, reads the last
    counts = ~on_ignored & ~(without & _outside(found["area"], limits))
    return found["score"], ~without, counts, int((~ignored).sum())


def _outside(area: Tensor, limits: tuple[float, float]) -> Tensor:
    return (area < limits[0]) | (area > limits[1])


def _average_precisions(images: list[tuple]) -> Tensor:
    """The average precision [T] of one class and range of areas, from `_judge` of each image."""
    if not images:
        return torch.full((len(IOU_THRESHOLDS),), nan, dtype=torch.float64)
    score, correct, counts, n_objects = zip(*images, strict=True)
    order = torch.cat(score).argsort(descending=True, stable=True)
    correct, counts = torch.cat(correct, dim=1)[:, order], torch.cat(counts, dim=1)[:, order]
    rows = zip(correct, counts, strict=True)  # of each threshold
    precisions = [average_precision(row[counted], sum(n_objects)) for row, counted in rows]
    return torch.tensor(precisions, dtype=torch.float64)
