"""Masks in little memory: COCO's compressed string for each mask, instead of its pixels or runs.

Letters: D masks, H and W the image's size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mrcnn_edu.data.rle import RLEMasks, sizes_at, sizes_of
from mrcnn_edu.data.rle_codec import compress, decompress


class EncodedMasks(NamedTuple):
    """D masks, any of which can be decompressed without the others."""

    strings: list[bytes]  # one for each mask
    size: tuple[int, int] | np.ndarray  # H and W, or those of each mask [2, D]
    area: np.ndarray  # [D] pixels
    box: np.ndarray  # [D, 4], the smallest around each mask

    def __len__(self) -> int:
        return len(self.strings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W) of masks of one size."""
        return len(self), int(self.size[0]), int(self.size[1])

    def areas(self) -> np.ndarray:
        """The area [D] of each mask in pixels."""
        return self.area

    def boxes(self) -> np.ndarray:
        """The smallest boxes [D, 4] around the masks."""
        return self.box

    def take(self, rows: np.ndarray) -> RLEMasks:
        """The masks at some rows, decompressed; a row may be asked for several times."""
        return decompress([self.strings[row] for row in rows], sizes_at(self.size, rows))

    @staticmethod
    def from_rle(masks: RLEMasks) -> "EncodedMasks":
        """The same masks in less memory."""
        areas, boxes = masks.areas().astype(np.int32), masks.boxes().astype(np.int32)
        return EncodedMasks(compress(masks), masks.size, areas, boxes)

    @staticmethod
    def join(parts: Sequence["EncodedMasks"]) -> "EncodedMasks":
        """The masks of several images, whose sizes may differ."""
        strings = [string for part in parts for string in part.strings]
        area = np.concatenate([part.area for part in parts])
        box = np.concatenate([part.box for part in parts])
        return EncodedMasks(strings, sizes_of(parts), area, box)
