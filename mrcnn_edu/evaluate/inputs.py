"""The ground truth and the detections of one image, normalized once or refused with a remedy.

The rules are those of training (`validate`), with two exceptions. As in COCO, a box without area
can be scored, though not learned. And a detection whose label is larger than K is skipped: the
model may know more classes than the dataset.

Letters: M objects, D detections, N either of them, H and W the image's size.
"""

from typing import Any

import torch
from torch import Tensor

from mrcnn_edu import refusals
from mrcnn_edu.data.rle import RLEMasks
from mrcnn_edu.detections import Detections
from mrcnn_edu.validate import FLOATS, INTEGERS, as_boxes, check_labels, check_masks, check_shape


def check_iou_type(iou_type: str) -> None:
    """Raise ValueError unless it is one of COCO's three."""
    if iou_type not in ("segm", "bbox", "keypoints"):
        raise ValueError(f"iou_type is {iou_type!r}: choose 'segm', 'bbox' or 'keypoints'")


def check_lengths(dataset, detections) -> None:
    """Raise TypeError or ValueError unless it is a list with one entry for each image."""
    if isinstance(detections, Detections) or not hasattr(detections, "__len__"):
        kind = type(detections).__name__
        raise TypeError(f"detections is of type {kind}: give a list, one `Detections` an image")
    if len(dataset) != len(detections):
        raise ValueError(
            f"{len(detections)} detections for {len(dataset)} images: give one `Detections` for "
            "each image, in the dataset's order"
        )


def check_detections(detections: Detections, name: str, with_masks: bool = True) -> Detections:
    """One image's detections on the CPU: boxes and scores float, labels int64, masks bool.

    name: what errors call them. Without `with_masks`, masks are dropped; mask_probs always are.
    Raises TypeError or ValueError, naming the image, for what cannot be scored.
    """
    if not isinstance(detections, Detections):
        raise TypeError(
            f"{name} is of type {type(detections).__name__}: give "
            "mrcnn_edu.detections.Detections(boxes, labels, scores, masks, mask_probs)"
        )
    labels = check_labels(_on_cpu(detections.labels), None, name)
    for row in torch.where(labels < 1)[0].tolist():
        label = int(labels[row])
        raise ValueError(
            f"{name}, detection {row} has label {label}: 0 is background, classes start at 1"
        )
    boxes = check_coordinates(detections.boxes, len(labels), name, predicted=True)
    scores = _floats(detections.scores, "scores", len(labels), name)
    if scores.isnan().any():
        raise ValueError(f"{name} has scores that are NaN, which cannot be ranked")
    masks = detections.masks if with_masks else None
    if masks is not None:
        masks = _masks(masks, len(labels), name)
    keypoints = detections.keypoints
    if keypoints is not None:
        keypoints = check_keypoints(keypoints, len(labels), "M", name)
    return Detections(boxes, labels, scores, masks, mask_probs=None, keypoints=keypoints)


def check_ground_truth(
    target: dict,
    name: str,
    iou_type: str,
    n_classes: int | None = None,
    n_keypoints: int | None = None,
) -> dict:
    """What evaluation needs of one image's target, on the CPU. n_classes: K, if it is known.

    That is labels [M] int64, iscrowd [M] bool, boxes [M, 4] float and keypoints [M, J, 3] float if
    they are compared, masks [M, H, W] bool or as `RLEMasks` if they are needed, area [M] float64 if
    it is given. n_keypoints: J. Raises TypeError or ValueError, naming the image, for what cannot
    be scored.
    """
    if not isinstance(target, dict):
        raise TypeError(f"{name} is of type {type(target).__name__}: give a dictionary")
    needed = {"bbox": ["boxes"], "segm": ["masks"], "keypoints": ["boxes", "keypoints"]}[iou_type]
    if iou_type == "segm" and target.get("masks") is None:
        raise ValueError(f"{name} has no masks to compare: iou_type='bbox' compares boxes")
    missing = [field for field in ("labels", *needed) if field not in target]
    if missing:
        raise ValueError(f"{name} has no {' and no '.join(missing)}")
    labels = check_labels(_on_cpu(target["labels"]), n_classes, name)
    n = len(labels)
    crowd = torch.zeros(n, dtype=torch.bool)
    if "iscrowd" in target:
        crowd = check_shape(_on_cpu(target["iscrowd"]), "iscrowd", [n], name) > 0
    checked: dict = {"labels": labels, "iscrowd": crowd}
    if "boxes" in needed:
        checked["boxes"] = check_coordinates(target["boxes"], n, name)
    if "keypoints" in needed:
        checked["keypoints"] = check_keypoints(target["keypoints"], n, n_keypoints or "M", name)
    if "area" in target:
        checked["area"] = _floats(target["area"], "area", n, name).double()
    # An object's area is that of its mask, also where boxes are compared.
    if iou_type == "segm" or ("area" not in target and target.get("masks") is not None):
        masks = target["masks"]
        if isinstance(masks, RLEMasks) and len(masks) != n:
            raise ValueError(f"{name} has {n} labels and {len(masks)} masks")
        checked["masks"] = masks if isinstance(masks, RLEMasks) else _masks(masks, n, name)
    return checked


def check_coordinates(boxes: Any, n: int | str, name: str, predicted: bool = False) -> Tensor:
    """Boxes [n, 4] as floats, all finite; with or without area. n: their number, or "M" for any.

    A predicted box may be inverted (x2 < x1): COCO scores it, as a box that overlaps nothing.
    """
    boxes = as_boxes(_on_cpu(boxes), n, name)
    wrong = ~boxes.isfinite().all(dim=1)
    if not predicted:
        wrong |= (boxes[:, 2:] < boxes[:, :2]).any(dim=1)
    for row in torch.where(wrong)[0].tolist():
        raise refusals.wrong_box(name, row, boxes[row].tolist())
    return boxes


def check_keypoints(keypoints: Any, n: int, n_keypoints: int | str, name: str) -> Tensor:
    """Keypoints [n, J, 3] as floats, all finite. n_keypoints: J, or "M" for any number."""
    keypoints = check_shape(_on_cpu(keypoints), "keypoints", [n, n_keypoints, 3], name)
    if keypoints.dtype not in INTEGERS + FLOATS:
        raise refusals.wrong_dtype(name, "keypoints", keypoints, "x, y, visibility as float32")
    keypoints = keypoints if keypoints.dtype == torch.float64 else keypoints.float()
    for row in torch.where(~keypoints.isfinite().all(dim=2).all(dim=1))[0].tolist():
        raise ValueError(f"{name}, object {row} has keypoints that are NaN or infinite")
    return keypoints


def check_new_id(seen: dict[str, int], image_id: Any, index: int) -> None:
    """Remember an image's id. Raises ValueError if an earlier image has the same."""
    first = seen.setdefault(str(image_id), index)
    if first != index:
        raise ValueError(
            f"images {first} and {index} of the dataset have the same image_id {image_id!r}: give "
            "each image its own, or leave one of them out (mrcnn-edu check-data lists all)"
        )


def _masks(masks: Any, n: int, name: str) -> Tensor:
    masks = _on_cpu(masks)
    size: Any = masks.shape[-2:] if isinstance(masks, Tensor) and masks.ndim > 1 else ("H", "W")
    return check_masks(masks, (n, *size), name)


def _floats(values: Any, field: str, n: int, name: str) -> Tensor:
    """Values [n] as float32 or float64, to the last bit."""
    values = check_shape(_on_cpu(values), field, [n], name)
    if values.dtype in (torch.float32, torch.float64):
        return values
    if values.dtype not in INTEGERS + FLOATS:
        raise refusals.wrong_dtype(name, field, values, "float32")
    return values.double()


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value
