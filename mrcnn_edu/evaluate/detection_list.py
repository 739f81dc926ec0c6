"""The detections of a whole dataset in little memory: masks are compressed, pixels made on demand.

Letters: D detections, H and W the image's size.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Protocol, overload

import numpy as np
from torch import Tensor

from mrcnn_edu.data.dataset import Dataset
from mrcnn_edu.data.rle import decode_masks, encode_masks
from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate.encoded_masks import EncodedMasks
from mrcnn_edu.evaluate.inputs import check_detections
from mrcnn_edu.progress import progress_bar


class DetectionList(Sequence[Detections]):
    """One `Detections` for each image; masks are kept compressed, and decoded when asked for.

    `mask_probs` are not kept: at 28 x 28 they need ten times as much memory as the masks.
    """

    def __init__(self):
        self.seconds: list[float] = []  # what detection took for each image, if it was measured
        self._images: list[tuple[Detections, EncodedMasks | None]] = []

    def __len__(self) -> int:
        return len(self._images)

    def append(
        self, detections: Detections, masks: EncodedMasks | None = None, with_masks: bool = True
    ) -> None:
        """Add the next image's detections. masks: their masks, if they are compressed already.

        Without `with_masks`, their masks are dropped. Raises TypeError or ValueError, naming the
        image by its position, for shapes and dtypes that are not those of detections.
        """
        name = f"image {len(self)}: the prediction"
        checked = check_detections(detections, name, with_masks and masks is None)
        if masks is None and checked.masks is not None:
            masks = EncodedMasks.from_rle(encode_masks(checked.masks))
        if masks is not None and len(masks) != len(checked):
            raise ValueError(f"{name} has {len(checked)} labels and {len(masks)} masks")
        self._images.append((replace(checked, masks=None), masks))

    @overload
    def __getitem__(self, index: int) -> Detections: ...
    @overload
    def __getitem__(self, index: slice) -> list[Detections]: ...
    def __getitem__(self, index: int | slice) -> Detections | list[Detections]:
        """An image's detections, with the pixels of their masks [D, H, W]."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        detections, masks = self._images[index]
        if masks is None:
            return detections
        return replace(detections, masks=decode_masks(masks.take(np.arange(len(masks)))))

    @property
    def has_masks(self) -> bool:
        """Whether there is a mask for every detection."""
        return all(masks is not None for _, masks in self._images)

    @property
    def has_keypoints(self) -> bool:
        """Whether there are keypoints for every detection."""
        return all(detections.keypoints is not None for detections, _ in self._images)

    def encoded(self, index: int) -> tuple[Detections, EncodedMasks | None]:
        """An image's detections without masks, and their masks as they are kept."""
        return self._images[index]


def as_detection_list(detections: Sequence[Detections], with_masks: bool = True) -> DetectionList:
    """The detections as a `DetectionList`: themselves if they are one, or else compressed.

    Without `with_masks`, the masks of detections that are not compressed yet are dropped.
    """
    if isinstance(detections, DetectionList):
        return detections
    compressed = DetectionList()
    for image_detections in detections:
        compressed.append(image_detections, with_masks=with_masks)
    return compressed


class Detector(Protocol):
    """A model with a method `detect`: each R-CNN of this package is one."""

    def detect(self, images: list[Tensor], /) -> list[Detections]: ...


def detect_all(model: Detector, dataset, progress: bool = True) -> DetectionList:
    """The model's detections in every image of a dataset, in its order, one `Detections` each."""
    detections = DetectionList()
    for index in progress_bar(range(len(dataset)), "detect", disable=not progress):
        image = dataset.image(index) if isinstance(dataset, Dataset) else dataset[index][0]
        start = perf_counter()
        (image_detections,) = model.detect([image])
        detections.append(image_detections)
        detections.seconds.append(perf_counter() - start)
    return detections
