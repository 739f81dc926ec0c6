"""Data: synthetic scenes, COCO folders, and what is wrong with a dataset; augmentation, a cache.

A dataset is any sequence of items (image, target) with the attribute `classes`, the names of the
labels 1, 2, ..., K. image: [3, H, W] float32 of 0..1. target: a dict of boxes [M, 4], labels [M],
masks [M, H, W] bool, and where known iscrowd [M] bool, area [M] and image_id.
It may also have `target(index)`, the target without the image, with masks as such or as `RLEMasks`:
then detections are scored without reading images or drawing masks.
"""

from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.check import check
from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.export import write_coco
from mrcnn_edu.data.shapes import Shapes

__all__ = [
    "Augmentation",
    "Augmented",
    "Cached",
    "CocoFolder",
    "Shapes",
    "check",
    "write_coco",
]
