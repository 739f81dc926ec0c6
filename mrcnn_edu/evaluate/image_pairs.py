"""The ground truth of each image beside its detections: what a score compares, checked.

Letters: M ground-truth objects, D detections, N either of them, J keypoints of each, H and W the
image's size.
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
    check_keypoints,
    check_lengths,
    check_new_id,
)
from mrcnn_edu.evaluate.oks import Poses, keypoint_sigmas, predicted_poses
from mrcnn_edu.evaluate.scores import MAX_DETECTIONS, MAX_POSES
from mrcnn_edu.progress import progress_bar

# What is compared: boxes [N, 4], keypoints, or masks, the latter as pixels [N, H, W] or compressed.
Regions = Tensor | RLEMasks | EncodedMasks | Poses


class GroundTruth(NamedTuple):
    """The annotated objects of an image, or of several."""

    labels: Tensor  # [M]
    regions: Regions
    areas: Tensor  # [M] square pixels: the annotation's, or else the mask's or the box's
    crowd: Tensor  # [M] bool
    ignored: Tensor  # [M] bool, those that count neither way: crowds, and poses without a keypoint


class Predictions(NamedTuple):
    """The detections in an image, or in several."""

    labels: Tensor  # [D]
    regions: Regions
    scores: Tensor  # [D]


def iter_pairs(
    dataset,
    detections: Sequence[Detections],
    iou_type: str,
    progress: bool = False,
    sigmas: Sequence[float] | None = None,
) -> Iterator[tuple[GroundTruth, Predictions]]:
    """Each image's ground truth and its detections, in the dataset's order.

    iou_type: "segm" compares masks, "bbox" boxes, "keypoints" keypoints, with these sigmas. Raises
    TypeError or ValueError, naming the image, for what cannot be compared.
    """
    check_iou_type(iou_type)
    check_lengths(dataset, detections)
    dataset = as_dataset(dataset)
    predicted = as_detection_list(detections, with_masks=iou_type == "segm")
    n_classes, seen = len(dataset.classes), {}
    widths = keypoint_sigmas(dataset, sigmas) if iou_type == "keypoints" else torch.zeros(0)
    for index in progress_bar(range(len(dataset)), "evaluate", leave=False, disable=not progress):
        target = dataset.target(index)
        gt = _ground_truth(target, index, iou_type, n_classes, widths)
        check_new_id(seen, image_id_of(target, index), index)
        predictions = _predictions(predicted, index, iou_type, widths)
        if iou_type == "segm":
            _check_sizes(gt.regions, predictions.regions, index)
        yield gt, predictions


def _check_sizes(gt_masks: Any, masks: Any, index: int) -> None:
    """Raise ValueError unless the masks of both have the same height and width."""
    if gt_masks.shape[1:] != masks.shape[1:]:
        raise ValueError(
            f"image {index}: its masks are {list(gt_masks.shape)}, the detections' "
            f"{list(masks.shape)}: are the detections in the dataset's order?"
        )


def _ground_truth(
    target: dict, index: int, iou_type: str, n_classes: int, sigmas: Tensor
) -> GroundTruth:
    name = f"image {index}: the target"
    target = check_ground_truth(target, name, iou_type, n_classes, len(sigmas))
    masks: Any = target.get("masks")
    ignored = target["iscrowd"]
    if iou_type == "segm":
        regions = encode_masks(masks) if isinstance(masks, Tensor) else masks
    elif iou_type == "keypoints":
        keypoints = target["keypoints"].double()
        regions = Poses(keypoints, target["boxes"].double(), sigmas)
        ignored = ignored | ~(keypoints[..., 2] > 0).any(dim=1)
    else:
        regions = target["boxes"]
    if "area" in target:
        areas = target["area"]
    else:
        areas = region_areas(regions if masks is None else masks)
    return GroundTruth(target["labels"], regions, areas, target["iscrowd"], ignored)


def _predictions(
    detections: DetectionList, index: int, iou_type: str, sigmas: Tensor
) -> Predictions:
    boxes, masks = detections.encoded(index)
    if iou_type == "bbox":
        return Predictions(boxes.labels, boxes.boxes, boxes.scores)
    if iou_type == "keypoints":
        name = f"image {index}: the prediction"
        if boxes.keypoints is None:
            raise ValueError(f"{name} has no keypoints to compare: iou_type='bbox' compares boxes")
        keypoints = check_keypoints(boxes.keypoints, len(boxes), len(sigmas), name)
        return Predictions(boxes.labels, predicted_poses(keypoints, sigmas), boxes.scores)
    if masks is None:
        raise ValueError(
            f"image {index}: the prediction has no masks to compare: iou_type='bbox' compares boxes"
        )
    return Predictions(boxes.labels, masks, boxes.scores)


def max_detections(regions: Regions) -> int:
    """The most detections of one class in one image that are scored."""
    return MAX_POSES if isinstance(regions, Poses) else MAX_DETECTIONS


def region_areas(regions: Regions) -> Tensor:
    """Square pixels [N] in float64 of boxes [N, 4], of masks, or of the boxes around keypoints."""
    if not isinstance(regions, Tensor):
        return torch.from_numpy(regions.areas()).double()
    if regions.ndim == 2:
        return box_area(regions.double())
    return regions.sum(dim=(1, 2)).double()


def decode_rows(regions: Regions, rows: Tensor) -> Tensor | Poses:
    """The boxes [N, 4], keypoints, or pixels of masks [N, H, W] at some rows [N] of one image."""
    if isinstance(regions, Tensor):
        return regions[rows]
    if isinstance(regions, Poses):
        return regions.take(rows.numpy())
    return decode_masks(regions.take(rows.numpy()))
