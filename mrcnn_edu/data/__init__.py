"""Data: synthetic scenes and COCO folders, checks, augmentation and a cache, all one interface.

keypoints        left and right twins, and what a mirror image does to them
dataset          the interface `Dataset`, and the wrapper that passes everything on
masks_to_boxes   the boxes around masks
outlines         outlines of synthetic objects: templates and smooth random curves
drawing          polygons and curves as coverage of pixels
palette          the colors of synthetic scenes
textures         smooth fields, stripes, grids and dots, the same at any size
clutter          what lies on the paper of a scene and is no object
paper            the paper that objects lie on
light            the light on a scene, and the camera
cutouts          objects cut out of paper, with a rim and a shadow
scenes           what all synthetic scenes have in common
shapes           synthetic scenes, drawn from a seed
poses            poses of synthetic figures: joints, and the outlines of limbs
figure_parts     the paper parts of a figure, and how they are painted
layers           what lies on top in a scene of figures
figures          synthetic scenes of figures with keypoints, drawn from a seed
image_file       image files of any kind as tensors
rle              run-length encoded masks: areas, boxes and overlaps without pixels
rle_codec        COCO's compressed strings, in a readable and a fast version
fields           how each kind of value in a COCO file is read
regions          COCO's regions, polygons or RLE, as masks
problem          one thing that is wrong, and where
keypoint_names   the keypoints that a COCO file's categories name
coco_json        COCO's JSON file: its lists in order, and what in them is unusable
class_labels     labels 1..K for the categories of a COCO file
reading          what is read from an annotation, and the choices where tools differ
image_names      image files, found by the names in the JSON file
coco             a COCO folder as a dataset
layout           where labeling tools put the images and the JSON file
tally            what of a COCO file is learned, counted before any image is read
export           any dataset as a COCO folder
convert          labelme, YOLO, Pascal VOC and PNG masks, converted to COCO folders
check_keypoints  what is wrong with keypoints, and with their names
check_items      what is wrong with images, targets and objects
check_file       what is wrong with the lists of a COCO file
check            what is wrong with a dataset, files included
transforms       torchvision's transforms on items, and a scale jitter
augment          random changes that depend on seed, pass and index alone
cache            decoded images kept in memory
coverage         how well anchors fit the objects
overview         counts and sizes, and anchor sizes that would fit

Any sequence of (image, target) with the attribute `classes` can be used as a dataset. One that
knows more, such as its images' sizes without reading them, is best a subclass of `Dataset`.
"""

from mrcnn_edu.data.augment import Augmentation, Augmented
from mrcnn_edu.data.cache import Cached
from mrcnn_edu.data.check import check
from mrcnn_edu.data.coco import CocoFolder
from mrcnn_edu.data.dataset import Dataset, Wrapper, as_dataset
from mrcnn_edu.data.export import write_coco
from mrcnn_edu.data.figures import Figures
from mrcnn_edu.data.reading import Reading
from mrcnn_edu.data.shapes import Shapes

__all__ = [
    "Augmentation",
    "Augmented",
    "Cached",
    "CocoFolder",
    "Dataset",
    "Figures",
    "Reading",
    "Shapes",
    "Wrapper",
    "as_dataset",
    "check",
    "write_coco",
]
