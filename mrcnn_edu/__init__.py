"""Mask R-CNN, from scratch and readable. Read the files in this order; each imports only upward.

stops       where Python waits for a GPU (this and the kernels can wait)
kernels     NMS and RoIAlign as one launch on a GPU, in Triton
boxes       IoU, the code of a box, non-maximum suppression
anchors     the boxes that the RPN starts from
matching    which object each box answers for, and which boxes are used
roi_ops     RoIAlign, RoIWarp and RoIPool over a pyramid, as lookups in one table
backbone    ResNet and FPN
rpn         the region proposal network
heads       class and box, and mask, of a region
targets     the right answers, laid out like the predictions
losses      the comparison of the two
images      images and targets as the network sees them
detections  from the heads' numbers to boxes and masks in the image
config      every number of the model
model       MaskRCNN: forward, detect, trace
files       written whole or not at all
weights     saving and loading, our own and torchvision's
fine_tune   a model for other classes or channels, from another's weights
data        synthetic scenes, COCO folders, what is in yours and wrong with it, augmentation
regions     what was found in images beside what is there, and how far the two overlap
evaluate    COCO's average precision
recipes     how a model is trained: the settings, the paper's and two libraries'
processes   several that train one model: torchrun
batches     the images of a step, and what is drawn at random for each
checkpoints written so that nothing is lost, and how a run goes on
faster      on a GPU: bfloat16, channels-last memory, torch.compile, CUDA graphs
lighter     bfloat16, and maps that are computed twice instead of kept
trouble     losses that are no numbers, wrong labels, a full memory: told early
progress    what a run shows and writes of itself
train       the loop
ablations   the paper's tables as data, and as runs
profiler    the seconds, operators and bytes of a piece of code
ancestors   R-CNN, Fast R-CNN and FCIS, from the same parts; selective search
pretrained  the weights that come with the package, and how they were made
viz         pictures; widgets: sliders over them; exercises: the checks of the notebooks
board       what TensorBoard shows of a run
cli         the command mrcnn-edu
"""

from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections
from mrcnn_edu.model import MaskRCNN, Trace
from mrcnn_edu.weights import load, load_torchvision, save

__all__ = ["Config", "Detections", "MaskRCNN", "Trace", "load", "load_torchvision", "save"]
