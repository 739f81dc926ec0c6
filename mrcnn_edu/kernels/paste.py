"""Pasting masks on a GPU: whole images, many at a time, so that no box has to be read back."""

import torch
from torch import Tensor

MASKS_PER_CHUNK = 16  # 70 MB of float32 at 800 x 1333


def paste_on_gpu(rows: Tensor, mask_probs: Tensor, columns: Tensor, threshold: float) -> Tensor:
    """Masks [D, H, W] bool: where rows @ mask_probs @ columns.T is at least the threshold.

    mask_probs: [D, m, m]. rows [D, H, m] and columns [D, W, m]: what each mask pixel contributes
    to each pixel of the image, along y and along x. Loops over boxes would wait for their corners.
    """
    shape = len(rows), rows.shape[1], columns.shape[1]
    masks = torch.zeros(shape, dtype=torch.bool, device=rows.device)
    chunks = zip(
        *(tensor.split(MASKS_PER_CHUNK) for tensor in (masks, rows, mask_probs, columns)),
        strict=True,
    )
    for chunk, along_y, probs, along_x in chunks:
        chunk.copy_(along_y @ probs @ along_x.mT >= threshold)
    return masks
