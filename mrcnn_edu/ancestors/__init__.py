"""What came before Mask R-CNN, and beside it, built from its parts.

regions             of an image, and how alike two of them are
selective_search    proposals without learning
proposals           what they cover, and a dataset that has them
rcnn                R-CNN: every proposal through the whole network
fit_rcnn            its fine-tuning, its SVMs and its regressions
fast_rcnn           Fast R-CNN: one pass for all proposals
position_sensitive  maps for the parts of an object, assembled to what a RoI reads
merging             one mask from the masks of many boxes
fcis                FCIS: instance segmentation in which a RoI costs next to nothing
overlaps            how well objects are found that share their box with others
cost                where a detector's time goes
quantize          weights that take little room
shipped             the trained systems that come with the package
make                how they were made
"""

from mrcnn_edu.ancestors.fast_rcnn import FastRCNN
from mrcnn_edu.ancestors.fcis import FCIS, FCISConfig
from mrcnn_edu.ancestors.pretrained import load
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.ancestors.selective_search import selective_search

__all__ = ["FCIS", "RCNN", "FCISConfig", "FastRCNN", "load", "selective_search"]
