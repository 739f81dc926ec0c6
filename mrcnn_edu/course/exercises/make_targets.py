"""Lesson 10, the larger task: all targets of an image's RoIs, from boxes and masks alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.exercises.check import check


def make_targets(
    proposals: Tensor,
    boxes: Tensor,
    labels: Tensor,
    masks: Tensor,
    iou_threshold: float,
    n: int,
    fraction: float,
    mask_size: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sampled RoIs [R, 4], their labels [R], deltas [P, 4] and masks [P, m, m] of an image.

    proposals: [A, 4]. boxes [M, 4], labels [M] and masks [M, H, W] are the ground truth, and the
    boxes are added at the end of the proposals. A RoI is positive if its highest IoU is at least
    `iou_threshold`. Of the positive RoIs the first int(n * fraction) are sampled, and of the others
    as many of the first as are missing to n; all stay in their order. Deltas and masks are those of
    the P positive RoIs among them: the deltas without extra scale, and a mask's pixel is the value
    of the object's mask at the center of this pixel, and False outside the image (Mask R-CNN,
    section 3.1).
    """
    rois = torch.cat((proposals, boxes))
    objects = torch.full((len(rois),), -1)
    if len(boxes) > 0:
        best, nearest = box_iou(boxes, rois).max(dim=0)
        objects = torch.where(best >= iou_threshold, nearest, -1)
    positive = torch.where(objects >= 0)[0][: int(n * fraction)]
    negative = torch.where(objects < 0)[0][: n - len(positive)]
    sampled = torch.cat((positive, negative)).sort().values
    rois, objects = rois[sampled], objects[sampled]

    is_positive = objects >= 0
    roi_labels = torch.zeros(len(rois), dtype=torch.long)
    roi_labels[is_positive] = labels[objects[is_positive]].long()
    own = rois[is_positive]
    gt = boxes[objects[is_positive]]
    size, gt_size = own[:, 2:] - own[:, :2], gt[:, 2:] - gt[:, :2]
    moved = ((gt[:, :2] + gt[:, 2:]) - (own[:, :2] + own[:, 2:])) / 2
    deltas = torch.cat((moved / size, (gt_size / size).log()), dim=1)

    height, width = masks.shape[-2:]
    roi_masks = torch.zeros(len(own), mask_size, mask_size, dtype=torch.bool)
    steps = (torch.arange(mask_size) + 0.5) / mask_size
    for row, (roi, index) in enumerate(zip(own, objects[is_positive], strict=True)):
        x = (roi[0] + steps * (roi[2] - roi[0])).floor().long()
        y = (roi[1] + steps * (roi[3] - roi[1])).floor().long()
        inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
        values = masks[index][y.clamp(0, height - 1)][:, x.clamp(0, width - 1)]
        roi_masks[row] = values.bool() & inside
    return rois, roi_labels, deltas, roi_masks


def check_make_targets(attempt: Callable) -> None:
    """Check a function like `make_targets` on each of its steps alone, and on all of them."""
    masks = torch.zeros(2, 12, 16, dtype=torch.bool)
    masks[0, 2:8, 1:7] = torch.ones(6, 6).tril().bool()
    masks[1, 3:11, 8:14] = True
    masks[1, 5:9, 10:12] = False  # a hole
    boxes = torch.tensor([[1.0, 2, 7, 8], [8, 3, 14, 11]])
    truth = boxes, torch.tensor([4, 2]), masks
    none = torch.zeros(0, 4)
    shifted = torch.tensor([[2.0, 2, 8, 8], [9, 2, 15, 10], [0, 0, 3, 3]])
    half = torch.tensor([[1.0, 2, 4, 8], [8, 3, 14, 7], [8.5, 3, 11, 11]])
    wide = torch.tensor([[0.0, 1, 9, 9], [7, 3, 18, 11]])
    many = torch.cat((shifted, half, wide))
    far = torch.tensor([[0.0, 0, 2, 2], [14, 0, 16, 2], [0, 10, 2, 12], [4, 10, 6, 12]])
    beyond = torch.tensor([[-1.5, 2, 5.5, 8], [9, 4.5, 17, 12.5]])
    empty = none, torch.zeros(0, dtype=torch.long), torch.zeros(0, 12, 16, dtype=torch.bool)
    cases = {
        "no proposals: only the objects' own boxes": (none, *truth, 0.5, 8, 0.5, 4),
        "proposals that are shifted": (shifted, *truth, 0.5, 8, 0.75, 2),
        "an IoU of exactly the threshold": (half, *truth, 0.5, 10, 0.5, 2),
        "another threshold": (many, *truth, 0.6, 20, 0.5, 2),
        "more positives than are sampled": (many, *truth, 0.5, 8, 0.25, 3),
        "few positives: negatives fill up": (far, *truth, 0.75, 5, 0.8, 2),
        "RoIs that reach out of the image": (beyond, *truth, 0.4, 8, 0.75, 4),
        "an image without objects": (far, *empty, 0.5, 3, 0.25, 4),
    }
    check(attempt, make_targets, cases)
