"""A cache that keeps as many decoded images in memory as fit, for use in the next pass."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.config import check_number
from mrcnn_edu.data.dataset import Wrapper
from mrcnn_edu.data.rle import RLEMasks, with_pixels


class Cached(Wrapper):
    """Exactly the items of a dataset; those that fit into `max_bytes` are read only once.

    Images of 8 bits are kept as bytes, a quarter of their size as floats, and masks as bits, or
    run-length encoded if the dataset hands them out so. Other
    images (synthetic ones, or 16 bits) are not kept, because they would come back rounded. Nothing
    is ever evicted: training visits all images in turn, so an image that took another's place would
    be needed later than the one it replaced. Each worker process has a cache of its own.
    """

    def __init__(self, dataset: Any, max_bytes: float):
        super().__init__(dataset)
        check_number("max_bytes", max_bytes, 0)
        self.max_bytes, self.n_bytes = max_bytes, 0
        self._kept: dict[int, tuple[Tensor, dict]] = {}  # pixels [C, H, W] uint8, packed target

    @property
    def n_kept(self) -> int:
        """The number of items in memory."""
        return len(self._kept)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        image, target = self.encoded_item(index)
        return image, with_pixels(target)

    def encoded_item(self, index: int) -> tuple[Tensor, dict]:
        """The item, its masks as `RLEMasks` if those of the dataset are."""
        if index in self._kept:
            pixels, packed = self._kept[index]
            return pixels.float() / 255, _unpack(packed, width=pixels.shape[-1])
        image, target = self.dataset.encoded_item(index)
        pixels = (image * 255).round().byte()
        if (pixels.float() / 255).equal(image):
            packed = _pack(target)
            n_bytes = pixels.nbytes + sum(map(_n_bytes, packed.values()))
            if self.n_bytes + n_bytes <= self.max_bytes:
                self._kept[index] = pixels, packed
                self.n_bytes += n_bytes
        return image, target


def _pack(target: dict) -> dict:
    """A copy of the target, the pixels of its masks [M, H, W] as bits [M, H, ceil(W / 8)]."""
    packed = _copy(target)
    if isinstance(packed.get("masks"), Tensor):
        packed["masks"] = np.packbits(packed["masks"].numpy(), axis=-1)
    return packed


def _unpack(packed: dict, width: int) -> dict:
    target = _copy(packed)
    if isinstance(target.get("masks"), np.ndarray):
        bits = np.unpackbits(target["masks"], axis=-1, count=width)
        target["masks"] = torch.from_numpy(bits.view(bool))
    return target


def _n_bytes(value: Any) -> int:
    if isinstance(value, RLEMasks):
        return value.start.nbytes + value.end.nbytes
    return value.nbytes if isinstance(value, Tensor | np.ndarray) else 0


def _copy(target: dict) -> dict:
    """A copy, so that a change to an item does not change what is kept."""
    return {name: v.clone() if isinstance(v, Tensor) else v for name, v in target.items()}
