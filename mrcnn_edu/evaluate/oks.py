"""Object keypoint similarity (OKS), which takes the place of the IoU where keypoints are compared.

Like the IoU it is 1 for a perfect detection and falls to 0, so everything that follows, matching,
precision and recall, is the same. Each labeled keypoint has a similarity exp(-d² / (2 s² k²)): d is
the distance between the predicted and the annotated position, s² the object's area, and k = 2 sigma
says how far apart two people would annotate this kind of keypoint, as a fraction of s. The mean of
these is the OKS. (COCO's keypoint evaluation, https://cocodataset.org/#keypoints-eval.)

Letters: D detections, M objects, N either of them, J keypoints of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.boxes import box_area
from mrcnn_edu.data.dataset import Dataset

# COCO's 17 keypoints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
)  # fmt: skip


@dataclass(frozen=True)
class Poses:
    """The keypoints of N objects, or of N detections; of an image, or of several."""

    keypoints: Tensor  # [N, J, 3] float64: x, y, and the visibility or the score
    boxes: Tensor  # [N, 4] float64, given for objects; of detections, those around the keypoints
    sigmas: Tensor  # [J] float64

    def __len__(self) -> int:
        return len(self.keypoints)

    def areas(self) -> np.ndarray:
        """Square pixels [N] of the boxes: COCO takes a detection to be as large."""
        return box_area(self.boxes).numpy()

    def take(self, rows: np.ndarray) -> "Poses":
        """The keypoints at some rows."""
        return Poses(self.keypoints[rows], self.boxes[rows], self.sigmas)

    @staticmethod
    def join(parts: Sequence["Poses"]) -> "Poses":
        """The keypoints of several images."""
        keypoints = torch.cat([part.keypoints for part in parts])
        return Poses(keypoints, torch.cat([part.boxes for part in parts]), parts[0].sigmas)


def predicted_poses(keypoints: Tensor, sigmas: Tensor) -> Poses:
    """The keypoints [D, J, 3] of detections, with the boxes around them."""
    keypoints = keypoints.double()
    return Poses(keypoints, boxes_around(keypoints), sigmas)


def boxes_around(keypoints: Tensor) -> Tensor:
    """The smallest boxes [N, 4] around all J keypoints of each row [N, J, 3]."""
    return torch.cat((keypoints[..., :2].amin(dim=1), keypoints[..., :2].amax(dim=1)), dim=1)


def pairwise_similarity(predicted: Poses, gt: Poses, gt_areas: Tensor) -> Tensor:
    """OKS [D, M] of every detection with every object, whose areas are [M]."""
    return keypoint_similarity(
        predicted.keypoints[:, None], gt.keypoints, gt.boxes, gt_areas, gt.sigmas
    )


def keypoint_similarity(
    keypoints: Tensor, gt_keypoints: Tensor, gt_boxes: Tensor, gt_areas: Tensor, sigmas: Tensor
) -> Tensor:
    """OKS [...] of predicted keypoints [..., J, 3] with annotated ones [..., J, 3], in float64.

    gt_boxes: [..., 4] of the objects. gt_areas: [...]. sigmas: [J]. An object without labeled
    keypoints is similar to every detection whose keypoints lie around it, within a box of three
    times its sides: it counts neither way, and such a detection is no mistake.
    """
    points, labeled = keypoints[..., :2], gt_keypoints[..., 2] > 0  # [..., J, 2], [..., J]
    has_labels = labeled.any(dim=-1, keepdim=True)  # [..., 1]
    corner, opposite = gt_boxes[..., None, :2], gt_boxes[..., None, 2:]  # [..., 1, 2]
    side = opposite - corner
    outside = (corner - side - points).clamp(min=0) + (points - opposite - side).clamp(min=0)
    offset = torch.where(has_labels[..., None], points - gt_keypoints[..., :2], outside)
    squared_distance = offset.square().sum(dim=-1)  # [..., J]
    # The smallest float64 above 1 keeps an object without area from dividing by 0, as in COCO.
    scale = (gt_areas + torch.finfo(torch.float64).eps)[..., None]  # s²
    similarity = (-squared_distance / (2 * sigmas) ** 2 / scale / 2).exp()
    counted = labeled | ~has_labels
    return (similarity * counted).sum(dim=-1) / counted.sum(dim=-1)


def are_sigmas_known(dataset: Dataset) -> bool:
    """Whether a dataset has keypoints that can be scored without giving sigmas."""
    n = len(dataset.keypoints)
    return n > 0 and (len(dataset.sigmas) > 0 or n == len(COCO_SIGMAS))


def keypoint_sigmas(dataset: Dataset, sigmas: Sequence[float] | None = None) -> Tensor:
    """The sigmas [J] of a dataset's keypoints: those given, the dataset's, or COCO's for COCO's 17.

    Raises ValueError if they are not known, or not J numbers above 0.
    """
    n = len(dataset.keypoints)
    if n == 0:
        raise ValueError(
            "the data has no keypoints: the dataset's attribute `keypoints`, a list of their "
            "names, is empty"
        )
    chosen = dataset.sigmas if sigmas is None else sigmas
    if len(chosen) == 0 and n == len(COCO_SIGMAS):
        chosen = COCO_SIGMAS
    if len(chosen) == 0:
        raise ValueError(
            f"the sigmas of {n} keypoints are not known: give them, how far apart two people "
            "would annotate each, as a fraction of the square root of the object's area; COCO's "
            "are 0.025 for an eye, 0.062 for a wrist, 0.107 for a hip"
        )
    table = torch.as_tensor(chosen, dtype=torch.float64).flatten()
    if len(table) != n or not (table > 0).all() or not table.isfinite().all():
        raise ValueError(f"sigmas is {list(chosen)}: give {n} numbers above 0, one a keypoint")
    return table
