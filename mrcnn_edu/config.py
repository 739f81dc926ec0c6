"""The settings of a model: every number that the paper, or somebody since, has chosen."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Config:
    """Every number of the model. The defaults are the paper's ResNet-50-FPN.

    "v2" is torchvision's maskrcnn_resnet50_fpn_v2, with settings found after the paper.
    """

    # What goes in and comes out
    n_classes: int = 90  # without background; COCO's ids run to 90, of which 80 are in use
    in_channels: int = 3  # of the images: 3 for colour, 1 for grey
    short_side: int = 800  # pixels of the shorter side that images are scaled to (section 3.1)
    long_side: int = 1333  # pixels of the longer side at most
    pixel_mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # ImageNet's; a number for each channel
    pixel_std: tuple[float, ...] = (0.229, 0.224, 0.225)  # likewise

    # Backbone and feature pyramid
    backbone: Literal["resnet50", "resnet101", "resnext101", "tiny", "tiny-deep", "tiny-next"] = (
        "resnet50"
    )
    norm: Literal["frozen", "batch"] = "frozen"  # batch when training from random weights
    # Where regions are read from. fpn: a pyramid. c5: the last stage's map. c4: the map before
    # it; each region then passes the last stage by itself (figure 4, left).
    neck: Literal["fpn", "c4", "c5"] = "fpn"
    fpn_channels: int = 256  # of every level of the pyramid
    head_norm: Literal["batch", "frozen"] | None = None  # in pyramid and heads; "batch" in v2

    # Region proposals
    rpn_convs: int = 1  # 3x3 convolutions of the RPN head; 2 in v2
    # Of each level of the pyramid; c4 and c5, with one level, have them all on it.
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    rpn_positive_iou: float = 0.7  # an anchor with this IoU or more answers for the object
    rpn_negative_iou: float = 0.3  # with less than this it is background
    rpn_batch: int = 256  # anchors an image in the loss, at most
    rpn_positive_fraction: float = 0.5  # of them, at most
    rpn_nms_iou: float = 0.7  # of two boxes that overlap more, the better one is proposed
    train_candidates: int = 2000  # of each level in training, before NMS
    train_proposals: int = 2000  # of an image in training, after NMS
    test_candidates: int = 1000  # the same in detection
    test_proposals: int = 1000  # the same in detection; 300 for the paper's C4

    # Regions and heads
    roi_op: Literal["align", "warp", "pool"] = "align"  # pool is Fast R-CNN's (table 2c)
    roi_reduce: Literal["mean", "max"] = "mean"  # over the sample points of a cell
    sampling_ratio: int = 2  # squared: the paper's four points in each cell
    canonical_size: float = 224  # a RoI of this side is read at stride 16 (FPN, equation 1)
    roi_batch: int = 512  # RoIs an image in the loss; 64 for C4
    roi_positive_iou: float = 0.5  # a RoI with this IoU or more answers for the object
    roi_positive_fraction: float = 0.25  # of the RoIs in the loss, at most: 1 to 3
    box_pool: int = 7  # side of the features that the box head reads
    box_convs: int = 0  # 3x3 convolutions that it starts with; 4 in v2
    box_layers: int = 2  # fully connected layers that follow; 1 in v2
    box_hidden: int = 1024  # neurons in each of them
    mask_head: Literal["fcn", "mlp"] | None = "fcn"  # None is Faster R-CNN: boxes without masks
    mask_size: int = 28  # m; the mask head reads features of half that side
    mask_channels: int = 256  # of the FCN's convolutions
    mask_convs: int = 4  # 3x3 convolutions before the deconvolution
    mask_hidden: int = 1024  # neurons in each layer of the MLP (table 2e)
    mask_layers: int = 2  # of them
    mask_loss: Literal["sigmoid", "softmax"] = "sigmoid"  # softmax: classes compete (table 2b)
    # How a mask learned with softmax is read: its class's probability, that beside the strongest
    # other channel (the class with the most is on), or that beside background alone.
    mask_reading: Literal["probability", "strongest", "background"] = "probability"
    class_agnostic_mask: bool = False  # one mask for all classes

    # Detections
    score_threshold: float = 0.05  # a detection scores more than this
    nms_iou: float = 0.5  # the paper's appendix and torchvision; 0.3 in its main experiments
    max_detections: int = 100  # of an image

    def with_channels(self, n: int) -> "Config":
        """The same settings for images of n channels.

        Channels beyond those there are get the mean of their numbers; so does grey.
        """

        def numbers(old: tuple[float, ...]) -> tuple[float, ...]:
            mean = round(sum(old) / len(old), 6)
            return (*old, *[mean] * (n - len(old))) if n >= len(old) else (mean,) * n

        mean, std = numbers(self.pixel_mean), numbers(self.pixel_std)
        return replace(self, in_channels=n, pixel_mean=mean, pixel_std=std)

    @classmethod
    def c4(cls, **changes) -> "Config":
        """The paper's ResNet-50-C4: one map, the last stage as the head, masks of 14 x 14."""
        numbers = dict(neck="c4", roi_batch=64, test_proposals=300, mask_size=14, mask_convs=0)
        return cls(**numbers | changes)

    @classmethod
    def tiny(cls, n_classes: int = 6, **changes) -> "Config":
        """A model for 96 x 96 scenes that a laptop's CPU trains in minutes."""
        numbers = dict(
            n_classes=n_classes,
            short_side=96,
            long_side=160,
            pixel_mean=(0.5, 0.5, 0.5),
            pixel_std=(0.25, 0.25, 0.25),
            backbone="tiny",
            norm="batch",
            fpn_channels=64,
            anchor_sizes=((12,), (24,), (48,), (72,)),
            rpn_batch=64,
            train_candidates=200,
            train_proposals=200,
            test_candidates=100,
            test_proposals=100,
            canonical_size=80,
            roi_batch=48,
            box_hidden=128,
            mask_channels=48,
            mask_convs=2,
        )
        return cls(**numbers | changes)
