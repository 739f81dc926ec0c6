"""The boxes around masks, of which labels, checks and augmentation all need the same definition."""

import torch
from torch import Tensor


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The smallest boxes [M, 4] around masks [M, H, W] bool; zeros for an empty mask.

    Right and bottom are exclusive: a single pixel has a box of width and height 1. (torchvision's
    function of this name returns the last row and column instead, boxes a pixel smaller.)
    """
    pixels = masks.bool().view(torch.uint8)  # of bytes the maximum is faster than `any` of bools
    rows, columns = pixels.amax(dim=2), pixels.amax(dim=1)  # [M, H], [M, W]
    left, top = columns.argmax(dim=1), rows.argmax(dim=1)
    right = masks.shape[2] - columns.flip(1).argmax(dim=1)
    bottom = masks.shape[1] - rows.flip(1).argmax(dim=1)
    boxes = torch.stack((left, top, right, bottom), dim=1).float()
    return boxes * rows.amax(dim=1, keepdim=True)  # zeros if no row has a pixel
