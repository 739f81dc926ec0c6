"""Average precision as COCO measures it, in the open: equal to pycocotools, one screen an idea.

1. Overlap: the IoU of every detection with every true object of its image and class.
2. Match: best score first, each detection takes the free object it overlaps most, if the IoU
   reaches a threshold. A match is correct, a detection without one is wrong.
3. Rank all detections of a class by score. After each one, precision is the share of correct ones
   so far and recall the share of objects found so far. Average precision (AP) is the mean precision
   at the recalls 0, 0.01, ..., 1.
4. Mean over ten IoU thresholds, then over the classes.

1 and 2 look at an image once, for all classes, thresholds and ranges of areas together. Most
detections cannot reach the lowest threshold with any object, and need no matching.

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

from mrcnn_edu.boxes import box_area, box_intersection
from mrcnn_edu.data.coco import target_of
from mrcnn_edu.data.found import Found, PackedMasks
from mrcnn_edu.data.runs import Runs, common_pixels, find_runs
from mrcnn_edu.detections import Detections

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
    images = []  # of each what `_judge` says
    bar = tqdm(range(len(dataset)), desc="evaluate", leave=False, disable=not progress)
    for index in bar:
        truth = _truth(target_of(dataset, index), kind)
        found = _found(detections, index, kind)
        sizes = [getattr(side["region"], "size", None) for side in (truth, found)]
        if kind == "segm" and sizes[0] != sizes[1]:
            shapes = [
                [len(s["region"]), *size] for s, size in zip((truth, found), sizes, strict=True)
            ]
            raise ValueError(
                f"image {index}: its masks are {shapes[0]}, the detections' {shapes[1]}: are the "
                "detections in the dataset's order?"
            )
        images.append(_judge(found, truth))
    table = _average_precisions(images, len(dataset.classes))  # [K, A, T]
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
    return _ratio(intersection, _size(found)[:, None], _size(objects), crowd)


def _ratio(intersection: Tensor, area: Tensor, object_area: Tensor, crowd: Tensor) -> Tensor:
    """Intersection over union, or of crowds over the detection's own area; 0 of nothing."""
    union = torch.where(crowd, area, area + object_area - intersection)
    return torch.where(intersection > 0, intersection / union, 0)


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
    # Small tables, many steps: NumPy's are quicker than tensors'.
    ignored, crowd = ignored.cpu().numpy()[..., None, :], crowd.cpu().numpy()
    iou, thresholds = iou.cpu().numpy(), thresholds.numpy()[:, None]
    free = np.ones((*ignored.shape[:-2], len(thresholds), len(crowd)), dtype=bool)  # [..., T, M]
    match = np.full((*free.shape[:-1], len(iou)), -1)
    each = np.arange(len(crowd))
    for d in scores.argsort(descending=True, stable=True).tolist() if len(crowd) else []:
        enough = free & (iou[d] >= thresholds)
        better = enough & ~ignored
        choice = np.where(better.any(axis=-1, keepdims=True), better, enough)
        # of two objects overlapped equally COCO takes the later one
        best = each[-1] - np.where(choice, iou[d], -1)[..., ::-1].argmax(axis=-1)  # [..., T]
        match[..., d] = np.where(enough.any(axis=-1), best, -1)
        free &= (match[..., d, None] != each) | crowd
    return torch.from_numpy(match)


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


def _truth(target: dict, kind: str) -> dict:
    """The objects of an image as columns of M rows; `area` is the annotation's, if it has one."""
    target = {name: value.cpu() for name, value in target.items() if isinstance(value, Tensor)}
    masks = target.get("masks")
    masks = None if masks is None or ("area" in target and kind == "bbox") else find_runs(masks)
    region = _region(masks, target["boxes"], kind)
    area = (
        target["area"] if "area" in target else _size(target["boxes"] if masks is None else masks)
    )
    crowd = target.get("iscrowd", torch.zeros(len(area))).bool()
    return {"label": target["labels"], "region": region, "area": area.double(), "crowd": crowd}


def _found(detections: list[Detections], index: int, kind: str) -> dict:
    """The detections of an image as columns of D rows."""
    if isinstance(detections, Found):
        found, masks = detections.packed(index)
    else:
        found = detections[index]
        masks = None if found.masks is None or kind == "bbox" else find_runs(found.masks)
    region = _region(masks, found.boxes.detach().cpu(), kind)
    score, label = found.scores.detach().cpu(), found.labels.cpu()
    return {"label": label, "region": region, "score": score, "area": _size(region)}


def _region(masks: Runs | PackedMasks | None, boxes: Tensor, kind: str):
    """What is compared: the masks or the boxes."""
    if kind == "segm" and masks is None:
        raise ValueError("there are no masks to compare: kind='bbox' compares boxes")
    return masks if kind == "segm" else boxes


def _size(region: Tensor | Runs | PackedMasks) -> Tensor:
    """Square pixels [N] in float64 of masks or boxes [N, 4]."""
    if isinstance(region, Tensor):
        return box_area(region.double()) if region.ndim == 2 else region.sum(dim=(1, 2)).double()
    return torch.from_numpy(region.areas()).double()


class _Judged(NamedTuple):
    """One image. A detection that does not count is neither right nor wrong."""

    label: Tensor  # [D] of the detections
    score: Tensor  # [D]
    correct: Tensor  # [A, T, D]
    counts: Tensor  # [A, T, D]
    there: Tensor  # [M] the objects' labels
    ignored: Tensor  # [A, M]


def _judge(found: dict, objects: dict) -> _Judged:
    """What becomes of the detections, the best of each class, and of the objects of an image.

    A detection does not count if its object is ignored, nor if it has none and is itself outside
    the range of areas.
    """
    iou = torch.where(found["label"][:, None] == objects["label"], _iou(found, objects), 0)
    best = _best(found["label"], found["score"])
    iou, label, score = iou[best], found["label"][best], found["score"][best]
    ignored = objects["crowd"] | _outside(objects["area"])  # [A, M]
    correct = torch.zeros(len(AREAS), len(IOU_THRESHOLDS), len(best), dtype=torch.bool)
    counts = ~_outside(found["area"][best])[:, None].repeat(1, len(IOU_THRESHOLDS), 1)

    near = torch.where((iou >= IOU_THRESHOLDS[0]).any(dim=1))[0]  # all others match nothing
    match = match_detections(iou[near], score[near], ignored=ignored, crowd=objects["crowd"])
    matched = match >= 0  # [A, T, near]
    on_counting = (~ignored).gather(1, match.clamp(min=0).flatten(1)).view(match.shape)
    correct[..., near] = matched
    counts[..., near] = torch.where(matched, on_counting, counts[..., near])
    return _Judged(label, score, correct, counts, objects["label"], ignored)


def _iou(found: dict, objects: dict) -> Tensor:
    """IoU [D, M] of boxes or masks; of masks 0 where it cannot reach the lowest threshold."""
    if isinstance(found["region"], Tensor):
        return overlap(found["region"], objects["region"], objects["crowd"])
    a, b = found["region"], objects["region"]
    area_a, area_b = _size(a)[:, None], _size(b)
    boxes = (torch.from_numpy(side.boxes()).double() for side in (a, b))
    most = torch.minimum(box_intersection(*boxes), torch.minimum(area_a, area_b))  # in common
    same = found["label"][:, None] == objects["label"]
    possible = same & (_ratio(most, area_a, area_b, objects["crowd"]) >= IOU_THRESHOLDS[0])
    d, m = torch.where(possible)
    common = torch.from_numpy(common_pixels(a.take(d.numpy()), b.take(m.numpy()))).double()
    iou = torch.zeros(same.shape, dtype=torch.float64)
    iou[d, m] = _ratio(common, area_a[d, 0], area_b[m], objects["crowd"][m])
    return iou


def _best(label: Tensor, score: Tensor) -> Tensor:
    """The rows of the best detections of each class, best first."""
    order = score.argsort(descending=True, stable=True)
    if len(order) <= MAX_DETECTIONS:
        return order
    return torch.cat([order[label[order] == k][:MAX_DETECTIONS] for k in label.unique()])


def _outside(area: Tensor) -> Tensor:
    """Which areas [N] are outside of each range: [A, N]."""
    return (area < LOW) | (area > HIGH)


def _average_precisions(images: list[_Judged], n_classes: int) -> Tensor:
    """The average precision [K, A, T] of each class, range of areas and threshold."""
    ap = torch.full((n_classes, len(AREAS), len(IOU_THRESHOLDS)), nan, dtype=torch.float64)
    if not images:
        return ap
    label, score, correct, counts, there, ignored = (
        torch.cat(column, dim=-1) for column in zip(*images, strict=True)
    )
    order = score.argsort(descending=True, stable=True)
    for k in range(n_classes):
        rows = order[label[order] == k + 1]
        n_objects = (~ignored[:, there == k + 1]).sum(dim=1)  # [A], in each range
        # `average_precision` for A x T at once; a row that does not count repeats the one before.
        of_class, counted = correct[..., rows], counts[..., rows]
        n_correct = (of_class & counted).cumsum(-1).double()  # [A, T, D] like all here
        precision = n_correct / counted.cumsum(-1).clamp(min=1)
        recall = n_correct / n_objects[:, None, None]
        envelope = precision.flip(-1).cummax(-1).values.flip(-1)
        envelope = torch.cat((envelope, envelope.new_zeros(*envelope.shape[:-1], 1)), dim=-1)
        reached = torch.searchsorted(recall, RECALLS.expand(*recall.shape[:-1], -1).contiguous())
        ap[k] = envelope.gather(-1, reached).mean(-1).where(n_objects[:, None] > 0, nan)
    return ap
