"""Matching: which object does each box answer for, and which boxes are used in this step.

Letters: A boxes (anchors or proposals), M objects of one image.
"""

import torch
from torch import Tensor

from mrcnn_edu.stops import read, rows_where, upload

BACKGROUND = -1  # overlaps no object enough: must be told apart from every object
IGNORED = -2  # neither clearly an object nor clearly background: takes no part in the loss


def match(
    iou: Tensor, positive_iou: float, negative_iou: float, rescue_objects: bool = False
) -> Tensor:
    """The object's index [A] that each box answers for, or BACKGROUND (-1), or IGNORED (-2).

    iou: [M, A]. A box answers for the object it overlaps most, if by at least `positive_iou`; it is
    background below `negative_iou`, ignored between. With `rescue_objects` the boxes that overlap
    an object most, ties included, also answer (for the object they overlap most themselves),
    however small the overlap, so that no object goes without (Faster R-CNN, section 3.1.2). An
    object that touches no box at all rescues none; torchvision makes every box positive there.
    """
    n_objects, n_boxes = iou.shape
    if n_objects == 0:
        return torch.full((n_boxes,), BACKGROUND, device=iou.device)
    best_iou, best_object = iou.max(dim=0)  # [A]
    matched = best_object.clone()
    matched[best_iou < positive_iou] = IGNORED
    matched[best_iou < negative_iou] = BACKGROUND
    if rescue_objects and n_boxes > 0:
        best_of_object = iou.max(dim=1, keepdim=True).values  # [M, 1]
        rescued = ((iou == best_of_object) & (iou > 0)).any(dim=0)  # [A]
        matched = torch.where(rescued, best_object, matched)
    return matched


def sample(
    matched: list[Tensor],
    count: int,
    positive_fraction: float,
    generator: torch.Generator | list[torch.Generator] | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """Of each image the indices of the positive and of the negative boxes, drawn at random.

    matched: [A] of each image, as `match` returns it. `count` are drawn in all. At most count *
    positive_fraction are positive; negatives fill up the rest as far as there are any. Both come
    back in ascending order. generator: one that draws for all, or one for each image.
    """
    generators = generator if isinstance(generator, list) else [generator] * len(matched)
    kinds = [(of_image >= 0, of_image == BACKGROUND) for of_image in matched]
    counts = read([torch.stack([kind.sum() for kind in of_image]) for of_image in kinds])
    drawn = []
    for of_image, n, own in zip(kinds, counts, generators, strict=True):
        positive, negative = (rows_where(*kind) for kind in zip(of_image, n, strict=True))
        n_positive = min(len(positive), int(count * positive_fraction))
        n_negative = min(len(negative), count - n_positive)
        drawn.append(
            (
                _choose(positive, n_positive, own).sort().values,
                _choose(negative, n_negative, own).sort().values,
            )
        )
    return drawn


def _choose(indices: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    # The order is drawn on the generator's device, so that one seed gives one choice everywhere.
    device = generator.device if generator is not None else indices.device
    order = torch.randperm(len(indices), generator=generator, device=device)
    return indices[upload(order[:count], indices.device)]
