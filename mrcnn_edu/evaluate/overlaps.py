"""What was found in images beside what is there, and how far the two overlap: masks or boxes.

Comparing takes many small steps, so it is done for some images at once: a table has a row for each
detection, or each object, of any of them. Masks are compared as runs, without their pixels.

Letters: D detections, M true objects, P pairs of the two.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area
from mrcnn_edu.data.coco import target_of
from mrcnn_edu.data.rle import RLEMasks, common_pixels, encode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.detection_list import DetectionList, EncodedMasks

ROWS = 1000  # of detections and objects together, about ten images of COCO, are compared at once


class Objects(NamedTuple):
    """The true objects of some images."""

    group: Tensor  # [M] image and label in one number
    label: Tensor  # [M]
    region: Tensor | RLEMasks  # boxes [M, 4], or masks
    area: Tensor  # [M] square pixels: the annotation's, if it has one
    crowd: Tensor  # [M] bool


class Detected(NamedTuple):
    """The detections in some images."""

    group: Tensor  # [D] image and label in one number
    label: Tensor  # [D]
    region: Tensor | RLEMasks | EncodedMasks  # boxes [D, 4], or masks
    score: Tensor  # [D]


def iter_batches(
    dataset, detections: list[Detections], indices: Iterable[int], kind: str
) -> Iterator[tuple[Detected, Objects]]:
    """Detections and objects, some images at a time. kind: "segm" compares masks, "bbox" boxes."""
    found, objects, n_rows = [], [], 0
    for index in indices:
        objects.append(_objects(target_of(dataset, index), index, kind))
        found.append(_detected(detections, index, kind))
        shapes = [list(side[-1].region.shape) for side in (objects, found)]
        if shapes[0][1:] != shapes[1][1:]:
            raise ValueError(
                f"image {index}: its masks are {shapes[0]}, the detections' {shapes[1]}: are the "
                "detections in the dataset's order?"
            )
        n_rows += shapes[0][0] + shapes[1][0]
        if n_rows >= ROWS:
            yield _join(found), _join(objects)
            found, objects, n_rows = [], [], 0
    if found:
        yield _join(found), _join(objects)


def _objects(target: dict, index: int, kind: str) -> Objects:
    target = {n: v.cpu() if isinstance(v, Tensor) else v for n, v in target.items()}
    boxes, labels, masks = target["boxes"], target["labels"], target.get("masks")
    if isinstance(masks, Tensor):
        masks = None if "area" in target and kind == "bbox" else encode_masks(masks)
    area = target["area"] if "area" in target else area_of(boxes if masks is None else masks)
    crowd = target.get("iscrowd", torch.zeros(len(area))).bool()
    region = _region(masks, boxes, kind)
    return Objects(_group(index, labels), labels, region, area.double(), crowd)


def _detected(detections: list[Detections], index: int, kind: str) -> Detected:
    if isinstance(detections, DetectionList):
        found, masks = detections.packed(index)
    else:
        found = detections[index]
        masks = None if found.masks is None or kind == "bbox" else encode_masks(found.masks)
    region = _region(masks, found.boxes.detach().cpu(), kind)
    labels = found.labels.cpu()
    return Detected(_group(index, labels), labels, region, found.scores.detach().cpu())


def _group(index: int, labels: Tensor) -> Tensor:
    return labels.long() + (index << 32)  # no label is as large


def _region(masks: RLEMasks | EncodedMasks | None, boxes: Tensor, kind: str):
    """What is compared: the masks or the boxes."""
    if kind == "segm" and masks is None:
        raise ValueError("there are no masks to compare: kind='bbox' compares boxes")
    return masks if kind == "segm" else boxes


def _join(parts: list):
    """The tables of some images as one."""
    columns = zip(*parts, strict=True)
    return type(parts[0])(
        *(torch.cat(c) if isinstance(c[0], Tensor) else c[0].join(c) for c in columns)
    )


def area_of(region: Tensor | RLEMasks | EncodedMasks) -> Tensor:
    """Square pixels [N] in float64 of masks or boxes [N, 4]."""
    if isinstance(region, Tensor):
        return box_area(region.double()) if region.ndim == 2 else region.sum(dim=(1, 2)).double()
    return torch.from_numpy(region.areas()).double()


def pair_iou(found: Detected, objects: Objects, d: Tensor, m: Tensor, at_least: float) -> Tensor:
    """IoU [P] of the detections in rows d with the objects in rows m, both [P].

    Of masks it is 0 where their boxes tell that it cannot reach at_least.
    """
    a, b = found.region, objects.region
    areas = area_of(a)[d], area_of(b)[m], objects.crowd[m]
    if isinstance(a, Tensor):
        return ratio(_common_area(a[d], b[m]), *areas)
    boxes = torch.from_numpy(a.boxes())[d], torch.from_numpy(b.boxes())[m]
    most = torch.minimum(_common_area(*boxes), torch.minimum(*areas[:2]))
    possible = torch.where(ratio(most, *areas) >= at_least)[0]
    a, b = a.take(d[possible].numpy()), b.take(m[possible].numpy())
    common = torch.zeros(len(d), dtype=torch.float64)
    common[possible] = torch.from_numpy(common_pixels(a, b)).double()
    return ratio(common, *areas)


def _common_area(a: Tensor, b: Tensor) -> Tensor:
    """Square pixels [P] in float64 that boxes a [P, 4] and b [P, 4] of the same row share."""
    a, b = a.double(), b.double()
    sides = torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])
    return sides.clamp(min=0).prod(dim=1)


def ratio(intersection: Tensor, area: Tensor, object_area: Tensor, crowd: Tensor) -> Tensor:
    """Intersection over union, or of crowds over the detection's own area; 0 of nothing."""
    union = torch.where(crowd, area, area + object_area - intersection)
    return torch.where(intersection > 0, intersection / union, 0)
