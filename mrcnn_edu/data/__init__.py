"""Data: synthetic scenes and COCO folders, checks, augmentation and a cache, all one interface.

dataset         the interface `Dataset`, and the wrapper that passes everything on
masks_to_boxes  the boxes around masks
outlines        outlines of synthetic objects: templates and smooth random curves
shapes          synthetic scenes, drawn from a seed
image_file      image files of any kind as tensors
rle             run-length encoded masks: areas, boxes and overlaps without pixels
rle_codec       COCO's compressed strings, in a readable and a fast version
regions         COCO's regions, polygons or RLE, as masks
coco_json       the fields of COCO's JSON file
coco            a COCO folder as a dataset
export          any dataset as a COCO folder
check_items     what is wrong with images, targets and objects
check           what is wrong with a dataset, files included
transforms      torchvision's transforms on items, and a scale jitter
augment         random changes that depend on seed, pass and index alone
cache           decoded images kept in memory
coverage        how well anchors fit the objects
overview        counts and sizes, and anchor sizes that would fit

Any sequence of (image, target) with the attribute `classes` can be used as a dataset. One that
knows more, such as its images' sizes without reading them, is best a subclass of `Dataset`.
"""

from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.check import check
from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.dataset import Dataset, Wrapper, as_dataset
from mrcnn_edu.data.export import write_coco
from mrcnn_edu.data.shapes import Shapes

__all__ = [
    "Augmentation",
    "Augmented",
    "Cached",
    "CocoFolder",
    "Dataset",
    "Shapes",
    "Wrapper",
    "as_dataset",
    "check",
    "write_coco",
]
