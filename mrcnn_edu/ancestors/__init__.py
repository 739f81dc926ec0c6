"""The systems that Mask R-CNN grew out of, from the same parts.

position_sensitive  maps for the parts of an object: R-FCN's pooling, and FCIS's assembling
merging             one mask from the masks of many boxes
fcis                FCIS: instance segmentation in which a RoI costs next to nothing
overlaps            how well objects are found that share their box with others
make_fcis           how the weights are made
"""

from mrcnn_edu.ancestors.fcis import FCIS, FCISConfig, load

__all__ = ["FCIS", "FCISConfig", "load"]
