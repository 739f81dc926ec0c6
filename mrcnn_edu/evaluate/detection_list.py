"""The detections of many images in little memory: masks as COCO's strings instead of pixels.

Letters: D detections, H and W the image's size.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mrcnn_edu.data.rle import (
    RLEMasks,
    compress,
    decode_masks,
    decompress,
    encode_masks,
    sizes_at,
    sizes_of,
)
from mrcnn_edu.detections import Detections


class EncodedMasks(NamedTuple):
    """D masks, of which any can be unpacked without the others."""

    strings: list[bytes]  # one for each mask
    size: tuple[int, int] | np.ndarray  # H and W, or those of each mask [2, D]
    area: np.ndarray  # [D] pixels
    box: np.ndarray  # [D, 4], the smallest around each mask

    def __len__(self) -> int:
        return len(self.strings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W) of masks of one size."""
        return len(self), *self.size

    def areas(self) -> np.ndarray:
        """Pixels [D] of each mask."""
        return self.area

    def boxes(self) -> np.ndarray:
        """The smallest boxes [D, 4] around the masks."""
        return self.box

    def take(self, rows: Sequence[int]) -> RLEMasks:
        """The runs of the masks at some rows, of which any may come several times."""
        return decompress([self.strings[row] for row in rows], sizes_at(self.size, rows))

    @staticmethod
    def join(parts: Sequence["EncodedMasks"]) -> "EncodedMasks":
        """All masks of some images, whose sizes may differ."""
        strings = [string for part in parts for string in part.strings]
        area, box = (np.concatenate([getattr(p, name) for p in parts]) for name in ("area", "box"))
        return EncodedMasks(strings, sizes_of(parts), area, box)


def pack(runs: RLEMasks) -> EncodedMasks:
    """The same masks in less memory."""
    return EncodedMasks(
        compress(runs), runs.size, runs.areas().astype(np.int32), runs.boxes().astype(np.int32)
    )


class DetectionList(Sequence):
    """Detections, one `Detections` for each image; their masks are drawn when asked for.

    `mask_probs` are not kept: at 28 x 28 they need ten times as much memory as the masks.
    """

    def __init__(self):
        self.seconds = []  # that each image took
        self._images: list[tuple[Detections, EncodedMasks | None]] = []

    def __len__(self) -> int:
        return len(self._images)

    def append(self, found: Detections, masks: EncodedMasks | None = None) -> None:
        """Keep the detections of one more image. masks: instead of theirs."""
        if masks is None and found.masks is not None:
            masks = pack(encode_masks(found.masks))
        columns = (column.detach().cpu() for column in (found.boxes, found.labels, found.scores))
        self._images.append((Detections(*columns, masks=None, mask_probs=None), masks))

    def __getitem__(self, index: int) -> Detections:
        found, masks = self._images[index]
        if masks is None:
            return found
        return replace(found, masks=decode_masks(masks.take(range(len(found)))))

    @property
    def has_masks(self) -> bool:
        """Whether there is a mask for every detection."""
        return all(masks is not None for _, masks in self._images)

    def packed(self, index: int) -> tuple[Detections, EncodedMasks | None]:
        """The detections of an image, and their masks apart, not drawn."""
        return self._images[index]
