"""What came before Mask R-CNN, and its rival FCIS, built from the same parts.

borrow              stages that one system runs exactly as another does
segments            regions of an image, and the similarity of two of them
selective_search    proposals without learning
proposals           proposals that are given: a dataset with them, their recall
rcnn                R-CNN: every proposal passes through the whole network
fit_rcnn            R-CNN's fine-tuning, SVMs and box regressors
fast_rcnn           Fast R-CNN: one pass over the image for all proposals
position_sensitive  maps for the parts of an object, assembled into what a RoI reads
merging             one mask from the masks of many RoIs
fcis                FCIS: instance segmentation in which no layer runs for a RoI
overlaps            average precision of objects whose boxes overlap
mask_branches       two mask branches on the same features, and the steps in their masks
cost                where a detector's time goes
quantize            weights in eight bits
pretrained          the trained systems that are shipped with the package
"""

from mrcnn_edu.ancestors.fast_rcnn import FastRCNN
from mrcnn_edu.ancestors.fcis import FCIS, FCISConfig
from mrcnn_edu.ancestors.pretrained import load
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.ancestors.selective_search import selective_search

__all__ = ["FCIS", "RCNN", "FCISConfig", "FastRCNN", "load", "selective_search"]
