"""A cache: decoded images stay in memory, as many as fit, and are not decoded in every pass."""

import numpy as np
import torch
from torch import Tensor


class Cached:
    """The items of a dataset, exactly; those that fit into `max_bytes` are read only once.

    Images of 8 bits are kept as such, a quarter of their size as floats, and masks as bits. Images
    of more bits, or drawn ones, are not kept: they would come back rounded. What is full stays as
    it is: training asks for all images in turn, so nothing that could be dropped would be asked for
    later than what took its place. Each process that prepares images has a cache of its own.
    """

    def __init__(self, dataset, max_bytes: float):
        self.dataset, self.classes = dataset, dataset.classes
        self.fingerprint = getattr(dataset, "fingerprint", "")
        self.max_bytes, self.n_bytes = max_bytes, 0
        self._kept: dict[int, tuple] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def image_size(self, index: int) -> tuple[int, int]:
        """(height, width) of an image, for data sets that know it without reading the image."""
        return self.dataset.image_size(index)

    @property
    def n_kept(self) -> int:
        """How many items are in memory."""
        return len(self._kept)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        if index in self._kept:
            return _unpack(*self._kept[index])
        image, target = self.dataset[index]
        pixels = (image * 255).round().byte()
        if (pixels.float() / 255).equal(image):
            packed = pixels, _pack(target)
            n_bytes = sum(v.nbytes for v in (pixels, *packed[1].values()) if hasattr(v, "nbytes"))
            if self.n_bytes + n_bytes <= self.max_bytes:
                self._kept[index], self.n_bytes = packed, self.n_bytes + n_bytes
        return image, target


def _pack(target: dict) -> dict:
    """The target with its masks [M, H, W], if it has any, as bits [M, H, ceil(W / 8)]."""
    kept = {n: v.clone() if isinstance(v, Tensor) else v for n, v in target.items()}
    if "masks" in kept:
        kept["masks"] = np.packbits(kept["masks"].numpy(), axis=-1)
    return kept


def _unpack(pixels: Tensor, kept: dict) -> tuple[Tensor, dict]:
    target = {n: v.clone() if isinstance(v, Tensor) else v for n, v in kept.items()}
    if "masks" in target:
        bits = np.unpackbits(target["masks"], axis=-1, count=pixels.shape[-1])
        target["masks"] = torch.from_numpy(bits.view(bool))
    return pixels.float() / 255, target
