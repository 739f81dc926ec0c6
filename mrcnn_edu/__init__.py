"""Mask R-CNN, from scratch and readable.

What stands at the top of this package is Mask R-CNN itself. Read it in this order; each file
imports only from those above it.

kernels           what runs as one kernel on a GPU, out of the story's way (skip it at first)
boxes             IoU, clipping, encoding and decoding
nms               non-maximum suppression
anchors           the reference boxes that the RPN starts from
matching          which object an anchor or a RoI is assigned to; sampling
roi_ops           RoIAlign, RoIWarp and RoIPool, over a whole pyramid
backbone          ResNet and FPN
rpn               the region proposal network: its head, and the proposals
heads             the box head and the mask head
targets           what each output of the network should be, without a network
losses            the comparison of outputs and targets
images            images and targets as the network sees them
detections        from the heads' outputs to boxes and masks in the image
eval_mode         the mode that detection runs in, whatever the model's own is
refusals          what is said when an input is refused: what is wrong, what to do
validate          what is refused, and what is normalized instead
trace             what can be seen of a detection: every intermediate result, named
keypoints         keypoints without a network: targets, loss, positions from heat maps
keypoint_branch   the keypoint head, and what it adds to training and detection
config            every number of the model, validated when it is made
backbone_choices  the norms, blocks, backbones and necks that a config can choose
head_choices      the heads that a config can choose
model             MaskRCNN: forward, detect, trace

Everything else has a room of its own, each of which uses only those above it.

files             files written whole or not at all; locks
extras            what to install where an optional package is missing
progress          progress bars, in a terminal and in a notebook
weights           checkpoints, torchvision's weights, fine-tuning; the models that are shipped
data              synthetic images, COCO folders, converters, checks, augmentation, a cache
evaluate          COCO's average precision
viz               pictures: tensors in, a figure out
speed             bfloat16, torch.compile and CUDA graphs; where the time goes
train             the loop, recipes, checkpoints, several processes, diagnostics
ablations         the paper's tables as data, runs and results
speedrun          minutes of two cores until a model from random weights is good
ancestors         R-CNN, Fast R-CNN and FCIS, from the same parts; selective search
course            widgets and exercises of the notebooks
cli               the command mrcnn-edu
"""

from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.trace import Trace
from mrcnn_edu.weights import load, load_torchvision, save

__version__ = "0.2.0"
__all__ = [
    "Config", "Detections", "MaskRCNN", "Trace", "__version__", "load", "load_torchvision", "save",
]  # fmt: skip
