"""The ground truth of each image beside its detections: what a score compares, checked.

Letters: M ground-truth objects, D detections, N either of them, H and W the image's size.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area
from mrcnn_edu.data.coco_json import image_id_of
from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.data.rle import RLEMasks, decode_masks, encode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.detection_list import DetectionList, as_detection_list
from mrcnn_edu.evaluate.encoded_masks import EncodedMasks
from mrcnn_edu.evaluate.inputs import (
    check_ground_truth,
    check_iou_type,
    check_lengths,
    check_new_id,
)
from mrcnn_edu.progress import progress_bar

# What is compared: boxes [N, 4] or masks, the latter as pixels [N, H, W] or compressed.
Regions = Tensor | RLEMasks | EncodedMasks


class GroundTruth(NamedTuple):
    """The annotated objects of an image, or of several."""

    labels: Tensor  # [M]
    regions: Regions
    areas: Tensor  # [M] square pixels: the annotation's, or else the mask's or the box's
    crowd: Tensor  # [M] bool


class Predictions(NamedTuple):
    """The detections in an image, or in several."""

    labels: Tensor  # [D]
    regions: Regions
    scores: Tensor  # [D]


def iter_pairs(
    dataset, detections: Sequence[Detections], iou_type: str, progress: bool = False
) -> Iterator[tuple[GroundTruth, Predictions]]:
    """Each image's ground truth and its detections, in the dataset's order.

    iou_type: "segm" compares masks, "bbox" boxes. Raises TypeError or ValueError, naming the image,
    for what cannot be compared.
    """
    check_iou_type(iou_type)
    check_lengths(dataset, detections)
    dataset = as_dataset(dataset)
    predicted = as_detection_list(detections, with_masks=iou_type == "segm")
    n_classes, seen = len(dataset.classes), {}
    for index in progress_bar(range(len(dataset)), "evaluate", leave=False, disable=not progress):
        target = dataset.target(index)
        gt = _ground_truth(target, index, iou_type, n_classes)
        check_new_id(seen, image_id_of(target, index), index)
        predictions = _predictions(predicted, index, iou_type)
        if iou_type == "segm" and gt.regions.shape[1:] != predictions.regions.shape[1:]:
            raise ValueError(
                f"image {index}: its masks are {list(gt.regions.shape)}, the detections' "
                f"{list(predictions.regions.shape)}: are the detections in the dataset's order?"
            )
        yield gt, predictions


def _ground_truth(target: dict, index: int, iou_type: str, n_classes: int) -> GroundTruth:
    target = check_ground_truth(target, f"image {index}: the target", iou_type, n_classes)
    masks: Any = target.get("masks")
    if iou_type == "segm":
        regions = encode_masks(masks) if isinstance(masks, Tensor) else masks
    else:
        regions = target["boxes"]
    if "area" in target:
        areas = target["area"]
    else:
        areas = region_areas(regions if masks is None else masks)
    return GroundTruth(target["labels"], regions, areas, target["iscrowd"])


def _predictions(detections: DetectionList, index: int, iou_type: str) -> Predictions:
    boxes, masks = detections.encoded(index)
    if iou_type == "bbox":
        return Predictions(boxes.labels, boxes.boxes, boxes.scores)
    if masks is None:
        raise ValueError(
            f"image {index}: the prediction has no masks to compare: iou_type='bbox' compares boxes"
        )
    return Predictions(boxes.labels, masks, boxes.scores)


def region_areas(regions: Regions) -> Tensor:
    """Square pixels [N] in float64 of boxes [N, 4] or of masks."""
    if not isinstance(regions, Tensor):
        return torch.from_numpy(regions.areas()).double()
    if regions.ndim == 2:
        return box_area(regions.double())
    return regions.sum(dim=(1, 2)).double()


def decode_rows(regions: Regions, rows: Tensor) -> Tensor:
    """The boxes [N, 4] or the pixels of the masks [N, H, W] at some rows [N] of one image."""
    if isinstance(regions, Tensor):
        return regions[rows]
    return decode_masks(regions.take(rows.numpy()))
