"""What came before Mask R-CNN, built from its parts.

regions           of an image, and how alike two of them are
selective_search  proposals without learning
proposals         what they cover, and a dataset that has them
rcnn              every proposal through the whole network
fit_rcnn          its fine-tuning, its SVMs and its regressions
fast_rcnn         one pass for all proposals
cost              where a detector's time goes
shipped           the trained systems that come with the package
make              how they were made
"""

from mrcnn_edu.ancestors.fast_rcnn import FastRCNN
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.ancestors.selective_search import selective_search
from mrcnn_edu.ancestors.shipped import load

__all__ = ["RCNN", "FastRCNN", "load", "selective_search"]
