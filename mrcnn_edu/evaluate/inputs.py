"""The ground truth and the detections of one image, normalized once or refused with a remedy.

As in COCO, boxes without area are valid here, and labels outside of 1..K: neither can be learned,
but both can be scored. An object or a detection of no class is skipped.

Letters: M objects, D detections, N either of them, H and W the image's size.
"""

from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.data.rle import RLEMasks
from mrcnn_edu.detections import Detections
from mrcnn_edu.validate import INTEGERS, check_masks


def check_iou_type(iou_type: str) -> None:
    """Raise ValueError unless it is one of COCO's two."""
    if iou_type not in ("segm", "bbox"):
        raise ValueError(f"iou_type is {iou_type!r}: choose 'segm' or 'bbox'")


def check_lengths(dataset, detections) -> None:
    """Raise ValueError unless there is one entry for each image."""
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
    labels = _labels(detections.labels, name)
    boxes = _boxes(detections.boxes, len(labels), name)
    scores = _floats(detections.scores, "scores", len(labels), name)
    if scores.isnan().any():
        raise ValueError(f"{name} has scores that are NaN, which cannot be ranked")
    masks = detections.masks if with_masks else None
    if masks is not None:
        masks = _masks(masks, len(labels), name)
    return Detections(boxes, labels, scores, masks, mask_probs=None)


def check_ground_truth(target: dict, name: str, iou_type: str) -> dict:
    """What evaluation needs of one image's target, on the CPU.

    That is labels [M] int64, iscrowd [M] bool, boxes [M, 4] float if they are compared, masks
    [M, H, W] bool or as `RLEMasks` if they are needed, area [M] float64 if it is given. Raises
    TypeError or ValueError, naming the image, for what cannot be scored.
    """
    needed = "boxes" if iou_type == "bbox" else "masks"
    if iou_type == "segm" and target.get("masks") is None:
        raise ValueError(f"{name} has no masks to compare: iou_type='bbox' compares boxes")
    missing = [field for field in ("labels", needed) if field not in target]
    if missing:
        raise ValueError(f"{name} has no {' and no '.join(missing)}")
    labels = _labels(target["labels"], name)
    n = len(labels)
    crowd = torch.zeros(n, dtype=torch.bool)
    if "iscrowd" in target:
        crowd = _column(target["iscrowd"], "iscrowd", n, name).bool()
    checked: dict = {"labels": labels, "iscrowd": crowd}
    if iou_type == "bbox":
        checked["boxes"] = _boxes(target["boxes"], n, name)
    if "area" in target:
        checked["area"] = _floats(target["area"], "area", n, name).double()
    # An object's area is that of its mask, also where boxes are compared.
    if iou_type == "segm" or ("area" not in target and target.get("masks") is not None):
        masks = target["masks"]
        if isinstance(masks, RLEMasks) and len(masks) != n:
            raise ValueError(f"{name} has {n} labels and {len(masks)} masks")
        checked["masks"] = masks if isinstance(masks, RLEMasks) else _masks(masks, n, name)
    return checked


def _labels(labels: Any, name: str) -> Tensor:
    labels = _on_cpu(labels, "labels", name)
    if labels.ndim != 1:
        raise ValueError(f"{name} has labels of shape {list(labels.shape)}: expected one dimension")
    if labels.dtype not in INTEGERS and len(labels):  # torch.tensor([]) is float
        raise TypeError(f"{name} has labels of {labels.dtype}: give whole numbers (int64)")
    return labels.long()


def _boxes(boxes: Any, n: int, name: str) -> Tensor:
    boxes = _on_cpu(boxes, "boxes", name)
    if n == 0 and boxes.numel() == 0:
        return boxes.new_zeros(0, 4, dtype=torch.float32)
    if boxes.shape != (n, 4):
        raise ValueError(
            f"{name} has {n} labels and boxes of shape {list(boxes.shape)}: expected [{n}, 4], "
            "each of them x1, y1, x2, y2 in pixels"
        )
    return _as_float(boxes, "boxes", name)


def _masks(masks: Any, n: int, name: str) -> Tensor:
    masks = _on_cpu(masks, "masks", name)
    return check_masks(masks, (n, *masks.shape[-2:]), name)


def _floats(values: Any, field: str, n: int, name: str) -> Tensor:
    return _as_float(_column(values, field, n, name), field, name)


def _column(values: Any, field: str, n: int, name: str) -> Tensor:
    values = _on_cpu(values, field, name)
    if values.shape != (n,):
        raise ValueError(
            f"{name} has {n} labels and {field} of shape {list(values.shape)}: expected [{n}]"
        )
    return values


def _as_float(values: Tensor, field: str, name: str) -> Tensor:
    """The values as float32 or float64, to the last bit."""
    if values.dtype in (torch.float32, torch.float64):
        return values
    if values.dtype not in (*INTEGERS, torch.float16, torch.bfloat16):
        raise TypeError(f"{name} has {field} of {values.dtype}: give float32")
    return values.double()


def _on_cpu(value: Any, field: str, name: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} has {field} of type {type(value).__name__}: give a tensor "
            "(torch.as_tensor converts lists and arrays)"
        )
    return value.detach().cpu()
