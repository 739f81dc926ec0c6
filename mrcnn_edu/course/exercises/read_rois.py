"""Lesson 13, the larger task: from position-sensitive maps to classes, scores and masks."""

from collections.abc import Callable

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.check import check


def read_rois(maps: Tensor, boxes: Tensor, stride: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Labels [R], scores [R] and mask probabilities [R, m, m] of boxes [R, 4] (FCIS, section 2.2).

    maps: [2, C + 1, k, k, H, W], inside and outside for each class (0 is background) and bin.
    stride: of the maps. size: m, a multiple of k. Pixel (i, j) of a box reads the nearest value of
    its bin's map, halves rounded up, and never beyond the map's border. The class score is the
    softmax over all classes of the mean, over the pixels, of the larger of inside and outside. The
    label is the best class that is not background, and the mask is that class's.
    """
    k, (height, width) = maps.shape[2], maps.shape[-2:]
    labels, scores, masks = [], [], []
    pixel = torch.arange(size)
    index = pixel * k // size  # of the bin, along either axis
    for x1, y1, x2, y2 in boxes.tolist():
        x = x1 + (pixel + 0.5) / size * (x2 - x1)
        y = y1 + (pixel + 0.5) / size * (y2 - y1)
        column = (x / stride + 0.5).floor().long().clamp(0, width - 1)
        row = (y / stride + 0.5).floor().long().clamp(0, height - 1)
        read = maps[:, :, index[:, None], index, row[:, None], column]  # [2, C + 1, m, m]
        inside, outside = read
        probs = torch.maximum(inside, outside).mean(dim=(1, 2)).softmax(dim=0)
        label = int(probs[1:].argmax()) + 1
        labels.append(label)
        scores.append(probs[label])
        masks.append((inside[label] - outside[label]).sigmoid())
    if not labels:
        empty = maps.new_zeros
        return torch.zeros(0, dtype=torch.long), empty(0), empty(0, size, size)
    return torch.tensor(labels), torch.stack(scores), torch.stack(masks)


def check_read_rois(attempt: Callable) -> None:
    """Check a function like `read_rois` on each of its steps alone, and on all of them."""
    generator = torch.Generator().manual_seed(0)

    def random(n_classes: int, k: int, height: int, width: int) -> Tensor:
        shape = 2, n_classes + 1, k, k, height, width
        return (4 * torch.randn(*shape, generator=generator)).round() / 4

    flat = torch.zeros(2, 3, 1, 1, 6, 6)  # one bin, and the same values everywhere
    flat[0, 2], flat[1, 2], flat[1, 1] = 1.0, 2.0, 0.5
    parts = torch.arange(4.0).view(1, 1, 2, 2, 1, 1).expand(2, 2, 2, 2, 6, 6).clone()
    parts[1] = 1.0
    background = flat.clone()
    background[0, 0] = 5.0
    box, wide = torch.tensor([[4.0, 4, 16, 16]]), torch.tensor([[2.0, 6, 22, 14]])
    cases = {
        "one bin, values that are the same everywhere": (flat, box, 4, 2),
        "every bin from its own map": (parts, box, 4, 4),
        "background has the highest score": (background, box, 4, 2),
        "one bin, values that differ": (random(1, 1, 6, 6), box, 4, 4),
        "a wide box on a wide map": (random(2, 1, 5, 9), wide, 4, 4),
        "points halfway between two values": (
            random(1, 1, 6, 6), torch.tensor([[0.0, 0, 16, 16]]), 4, 4,
        ),
        "a box that reaches the border": (
            random(2, 2, 6, 6), torch.tensor([[10.0, 12, 24, 24]]), 4, 4,
        ),
        "several boxes and bins": (random(3, 3, 6, 8), torch.cat((box, wide)), 4, 6),
        "no box": (flat, box[:0], 4, 2),
    }  # fmt: skip
    check(attempt, read_rois, cases)
