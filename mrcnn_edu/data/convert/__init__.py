"""Folders in other formats, converted to COCO folders.

findings        what is read from a folder: images, their objects, what was skipped, what is wrong
instance_png    pictures in which every object has a value of its own
labelme_shapes  labelme's shapes as objects
labelme         labelme's JSON files, one for each image
class_lists     the names of numbered classes: data.yaml, classes.txt, labelmap.txt
yolo_files      where a YOLO folder has its files
yolo            YOLO's text files of outlines
voc_classes     the class of each object of a Pascal VOC folder
voc             Pascal VOC's pictures of objects
masks           a folder of images and a folder of masks
formats         which format a folder has, and who reads it
conversion      a folder, read and written as a COCO folder
"""

from mrcnn_edu.data.convert.conversion import (
    Converted,
    UnusableLabels,
    convert,
    read_folder,
)
from mrcnn_edu.data.convert.formats import FORMATS

__all__ = ["FORMATS", "Converted", "UnusableLabels", "convert", "read_folder"]
