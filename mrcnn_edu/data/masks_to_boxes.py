"""The boxes around masks, of which labels, checks and augmentation all need the same definition."""

import torch
from torch import Tensor


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The smallest boxes [M, 4] around masks [M, H, W] bool; zeros for an empty mask.

    Right and bottom are exclusive: a single pixel has a box of width and height 1. (torchvision's
    function of this name returns the last row and column instead, boxes a pixel smaller.)
    """
    boxes = torch.zeros(len(masks), 4, device=masks.device)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = torch.where(mask.any(dim=1))[0], torch.where(mask.any(dim=0))[0]
        if len(rows) > 0:
            box[:] = torch.stack((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return boxes
