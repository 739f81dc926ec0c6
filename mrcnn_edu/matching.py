"""Matching: which object is each box assigned to, and which boxes are sampled for the loss?

Letters: A boxes (anchors or proposals), M objects, all of one image.
"""

import torch
from torch import Tensor

BACKGROUND = -1  # overlaps no object enough: a negative example
IGNORED = -2  # neither clearly an object nor clearly background: left out of the loss


def match(
    iou: Tensor, positive_iou: float, negative_iou: float, allow_low_quality_matches: bool = False
) -> Tensor:
    """For each box, the index [A] of the object it is assigned to, or BACKGROUND, or IGNORED.

    iou: [M, A]. A box is assigned to the object it overlaps most if that IoU is at least
    `positive_iou`; it is background below `negative_iou`, and ignored in between. With
    `allow_low_quality_matches`, the boxes with the highest IoU for an object, ties included, are
    assigned too (to the object they overlap most themselves), so that every object has an anchor
    (Faster R-CNN, section 3.1.2). Only an object that touches no box at all is left without one;
    torchvision would make every box positive there.
    """
    n_objects, n_boxes = iou.shape
    if n_objects == 0:
        return torch.full((n_boxes,), BACKGROUND, device=iou.device)
    best_iou, best_object = iou.max(dim=0)  # [A]
    matched = best_object.clone()
    matched[best_iou < positive_iou] = IGNORED
    matched[best_iou < negative_iou] = BACKGROUND
    if allow_low_quality_matches and n_boxes > 0:
        best_iou_of_object = iou.max(dim=1, keepdim=True).values  # [M, 1]
        is_best = ((iou == best_iou_of_object) & (iou > 0)).any(dim=0)  # [A]
        matched = torch.where(is_best, best_object, matched)
    return matched


def sample(
    matched: Tensor,
    batch_size: int,
    positive_fraction: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Indices of the sampled positive boxes and of the sampled negative ones, both ascending.

    matched: [A], the result of `match`. `batch_size` boxes are sampled, of which at most
    batch_size * positive_fraction are positive; negatives fill up the rest as far as there are any.
    """
    positive = torch.where(matched >= 0)[0]
    negative = torch.where(matched == BACKGROUND)[0]
    n_positive = min(len(positive), int(batch_size * positive_fraction))
    n_negative = min(len(negative), batch_size - n_positive)
    positive = _choose(positive, n_positive, generator)
    return positive, _choose(negative, n_negative, generator)


def _choose(indices: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    # Shuffle on the generator's device, so that one seed gives the same choice on every device.
    device = generator.device if generator is not None else indices.device
    order = torch.randperm(len(indices), generator=generator, device=device)
    return indices[order[:count].to(indices.device)].sort().values
