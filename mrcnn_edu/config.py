"""The settings of a model: every number that the paper, or somebody since, has chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, product
from math import inf, isfinite, isnan, sqrt
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

POSITIVE = (
    "n_classes", "in_channels", "short_side", "long_side", "fpn_channels", "box_pool_size",
    "box_hidden", "mask_size", "mask_channels", "mask_hidden", "keypoint_size",
    "keypoint_channels",
)  # fmt: skip
NOT_NEGATIVE = (
    "rpn_batch_per_image", "rpn_pre_nms_top_n_train", "rpn_post_nms_top_n_train",
    "rpn_pre_nms_top_n_test", "rpn_post_nms_top_n_test", "roi_batch_per_image", "max_detections",
)  # fmt: skip
LAYERS = "rpn_convs", "box_convs", "mask_convs", "mask_layers", "keypoint_convs"
FRACTIONS = (
    "rpn_positive_iou", "rpn_negative_iou", "rpn_positive_fraction", "rpn_nms_iou",
    "roi_positive_iou", "roi_positive_fraction", "score_threshold", "nms_iou",
)  # fmt: skip
LARGEST = 1_000_000  # pixels, channels, classes, boxes: no setting that can be used has more
MOST_LAYERS = 100


@dataclass(frozen=True)
class Config:
    """Every number of the model. The defaults are the paper's ResNet-50-FPN.

    "v2" is torchvision's maskrcnn_resnet50_fpn_v2, with settings found after the paper. Raises
    ValueError for values that cannot be used.
    """

    # Inputs and classes
    n_classes: int = 90  # classes without background; COCO's ids run to 90, of which 80 are used
    in_channels: int = 3  # channels of the images: 3 for color, 1 for gray
    short_side: int = 800  # pixels of the shorter side that images are resized to (section 3.1)
    long_side: int = 1333  # largest number of pixels of the longer side
    pixel_mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # mean of each channel; ImageNet's
    pixel_std: tuple[float, ...] = (0.229, 0.224, 0.225)  # standard deviation of each channel

    # Backbone and feature pyramid

    # network that computes the feature maps
    backbone: Literal["resnet50", "resnet101", "resnext101", "tiny", "tiny-deep", "tiny-next"] = (
        "resnet50"
    )
    norm: Literal["frozen", "batch"] = "frozen"  # backbone's norm; batch to train from scratch
    # Where RoIs read their features. fpn: from a pyramid. c5: from the last stage's map. c4: from
    # the map before it, and each RoI then passes the last stage by itself (figure 4, left).
    neck: Literal["fpn", "c4", "c5"] = "fpn"
    fpn_channels: int = 256  # channels of every level of the pyramid
    head_norm: Literal["batch", "frozen"] | None = None  # norm in pyramid and heads; batch in v2

    # Region proposals
    rpn_convs: int = 1  # 3x3 convolutions of the RPN head; 2 in v2
    # Anchor sizes in pixels, level by level; the single level of c4 and c5 has all of them.
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # heights of the anchors divided by widths
    rpn_positive_iou: float = 0.7  # anchors with at least this IoU are assigned to the object
    rpn_negative_iou: float = 0.3  # anchors with a smaller IoU than this are background
    rpn_batch_per_image: int = 256  # anchors of an image that are sampled for the RPN loss
    rpn_positive_fraction: float = 0.5  # largest fraction of positives among the sampled anchors
    rpn_nms_iou: float = 0.7  # IoU above which NMS drops the worse of two proposals
    rpn_pre_nms_top_n_train: int = 2000  # best anchors of each level before NMS, in training
    rpn_post_nms_top_n_train: int = 2000  # best proposals of an image after NMS, in training
    rpn_pre_nms_top_n_test: int = 1000  # best anchors of each level before NMS, in detection
    rpn_post_nms_top_n_test: int = 1000  # best proposals of an image after NMS; the paper's C4: 300

    # RoIs and heads
    roi_op: Literal["align", "warp", "pool"] = "align"  # RoI operation; pool is Fast R-CNN's (2c)
    roi_aggregate: Literal["mean", "max"] = "mean"  # how a bin aggregates its sample points
    sampling_ratio: int = 2  # sample points along a side of a bin; 2 gives the paper's four points
    canonical_size: float = 224  # side of a RoI that is read at stride 16 (FPN, equation 1)
    roi_batch_per_image: int = 512  # RoIs of an image that are sampled for the loss; 64 for C4
    roi_positive_iou: float = 0.5  # RoIs with at least this IoU are assigned to the object
    roi_positive_fraction: float = 0.25  # largest fraction of positives among the sampled RoIs
    box_pool_size: int = 7  # height and width of the features that the box head reads
    box_convs: int = 0  # 3x3 convolutions at the start of the box head; 4 in v2
    box_layers: int = 2  # fully connected layers of the box head; 1 in v2
    box_hidden: int = 1024  # neurons in each fully connected layer of the box head
    mask_head: Literal["fcn", "mlp"] | None = "fcn"  # None is Faster R-CNN: boxes without masks
    mask_size: int = 28  # height and width m of a mask; its head reads features of half the size
    mask_channels: int = 256  # channels of the mask FCN's convolutions
    mask_convs: int = 4  # 3x3 convolutions of the mask FCN before its deconvolution
    mask_hidden: int = 1024  # neurons in each hidden layer of the mask MLP (table 2e)
    mask_layers: int = 2  # hidden layers of the mask MLP
    mask_loss: Literal["sigmoid", "softmax"] = "sigmoid"  # softmax: classes compete (table 2b)
    # How a softmax mask becomes a probability: the class's own, or the class against the strongest
    # other channel (each pixel goes to the highest score), or against background alone.
    mask_decoding: Literal["probability", "strongest", "background"] = "probability"
    class_agnostic_mask: bool = False  # one mask for all classes instead of one for each class
    n_keypoints: int = 0  # keypoints of an object, 17 in COCO; 0: no keypoint head (section 5)
    keypoint_size: int = 56  # height and width m of a heat map; its head reads features of a fourth
    keypoint_channels: int = 512  # channels of the keypoint head's convolutions
    keypoint_convs: int = 8  # 3x3 convolutions of the keypoint head before its deconvolution
    # softmax: the positions of a heat map compete; sigmoid: each decides by itself, as in a mask.
    keypoint_loss: Literal["softmax", "sigmoid"] = "softmax"
    # Where a heat map has its peak: among the box's pixels, after bicubic upsampling, or its cells.
    keypoint_decoding: Literal["bicubic", "argmax"] = "bicubic"

    # Detections
    score_threshold: float = 0.05  # detections score more than this
    nms_iou: float = 0.5  # IoU above which NMS drops a detection; 0.3 in the paper's main text
    max_detections: int = 100  # most detections in an image

    def __post_init__(self):
        limits = dict.fromkeys(POSITIVE, (1, LARGEST)) | dict.fromkeys(NOT_NEGATIVE, (0, inf))
        limits |= dict.fromkeys(FRACTIONS, (0, 1)) | dict(
            canonical_size=(0, LARGEST), sampling_ratio=(-1, 100), box_layers=(1, MOST_LAYERS)
        )
        limits |= dict.fromkeys(LAYERS, (0, MOST_LAYERS)) | {"n_keypoints": (0, LARGEST)}
        check_settings(self, limits)
        check_number("canonical_size", self.canonical_size, 0, above=True)
        if self.rpn_negative_iou > self.rpn_positive_iou:
            raise ValueError(
                f"rpn_negative_iou is {self.rpn_negative_iou}: give at most rpn_positive_iou, "
                f"which is {self.rpn_positive_iou}"
            )
        if not len(self.pixel_mean) == len(self.pixel_std) == self.in_channels:
            raise ValueError(
                f"in_channels is {self.in_channels}, but pixel_mean has {len(self.pixel_mean)} "
                f"values and pixel_std {len(self.pixel_std)}: give one for each channel"
            )
        if not all(std > 0 for std in self.pixel_std):
            raise ValueError(f"pixel_std is {self.pixel_std}: give positive numbers")
        if self.mask_size % 2:
            raise ValueError(
                f"mask_size is {self.mask_size}: give an even number, twice the features' size"
            )
        if self.keypoint_size % 4:
            raise ValueError(
                f"keypoint_size is {self.keypoint_size}: give a multiple of 4, four times the "
                "features' size"
            )
        check_anchors(self.anchor_sizes, self.anchor_ratios)

    def with_channels(self, n: int) -> "Config":
        """The same settings for images of n channels.

        Additional channels get the mean of the existing means and standard deviations, and so does
        a single gray channel.
        """

        def adapted(values: tuple[float, ...]) -> tuple[float, ...]:
            mean = round(sum(values) / len(values), 6)
            return (*values, *[mean] * (n - len(values))) if n >= len(values) else (mean,) * n

        mean, std = adapted(self.pixel_mean), adapted(self.pixel_std)
        return replace(self, in_channels=n, pixel_mean=mean, pixel_std=std)

    @classmethod
    def c4(cls, **changes) -> Self:
        """The paper's ResNet-50-C4: one map, the last stage as the head, masks of 14 x 14."""
        settings: dict = dict(
            neck="c4",
            roi_batch_per_image=64,
            rpn_post_nms_top_n_test=300,
            mask_size=14,
            mask_convs=0,
        )
        return cls(**settings | changes)

    @classmethod
    def tiny(cls, n_classes: int = 6, **changes) -> Self:
        """A model for 96 x 96 images that a laptop's CPU trains in minutes."""
        settings: dict = dict(
            n_classes=n_classes,
            short_side=96,
            long_side=160,
            pixel_mean=(0.5, 0.5, 0.5),
            pixel_std=(0.25, 0.25, 0.25),
            backbone="tiny",
            norm="batch",
            fpn_channels=64,
            anchor_sizes=((12,), (24,), (48,), (72,)),
            rpn_batch_per_image=64,
            rpn_pre_nms_top_n_train=200,
            rpn_post_nms_top_n_train=200,
            rpn_pre_nms_top_n_test=100,
            rpn_post_nms_top_n_test=100,
            canonical_size=80,
            roi_batch_per_image=48,
            box_hidden=128,
            mask_channels=48,
            mask_convs=2,
        )
        if changes.get("n_keypoints"):  # records of models without keypoints stay as they are
            settings |= dict(keypoint_channels=64, keypoint_convs=4)
        return cls(**settings | changes)


def check_settings(settings: Any, limits: Mapping[Any, tuple[float, float]]) -> None:
    """Raise ValueError for a field of a dataclass with a value of the wrong type, or out of limits.

    limits: the smallest and the largest value of numbers, by the field's name. Lists become tuples,
    and NumPy's numbers Python's.
    """
    for field in fields(settings):
        value, choices = plain(getattr(settings, field.name)), _choices(field.type)
        object.__setattr__(settings, field.name, value)
        if choices and value not in choices:
            listed = ", ".join(map(str, choices))
            raise ValueError(f"{field.name} is {value!r}: choose one of {listed}")
        if field.type is bool and not isinstance(value, bool):
            raise ValueError(f"{field.name} is {value!r}: give True or False")
        if value is None and type(None) in get_args(field.type):
            continue
        whole = field.type in (int, int | None)
        if whole and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{field.name} is {value!r}: give a whole number")
        if field.type is float and not _is_number(value):
            raise ValueError(f"{field.name} is {value!r}: give a number")
        if get_origin(field.type) is tuple and not _is_tuple_of_numbers(value, field.type):
            raise ValueError(
                f"{field.name} is {value!r}: give finite numbers, as in {field.default}"
            )
        if field.name in limits:
            check_number(field.name, value, *limits[field.name])


def check_number(
    name: str, value: Any, low: float, high: float = inf, whole: bool = False, above: bool = False
) -> None:
    """Raise ValueError unless the value, of that name, is a number from low to high.

    whole: whether it has to be a whole number. above: whether it has to be larger than low.
    """
    if not _is_number(value) or (whole and value != int(value)):
        raise ValueError(f"{name} is {value!r}: give a {'whole ' * whole}number")
    if value < low or (above and value == low):
        raise ValueError(
            f"{name} is {value}: give " + (f"more than {low}" if above else f"{low} or more")
        )
    if value > high:
        raise ValueError(f"{name} is {value}: give {high} or less")


def check_anchors(sizes: Sequence[Sequence[float]], ratios: Sequence[float]) -> None:
    """Raise ValueError unless every anchor has an area after rounding (`anchors.base_anchors`)."""
    for name, values in (("anchor_ratios", ratios), ("anchor_sizes", sizes)):
        if not values or not all(values):
            raise ValueError(f"{name} is {values}: give numbers above 0, and at least one")
    for size, ratio in product(chain.from_iterable(sizes), ratios):
        if size <= 0 or ratio <= 0:
            raise ValueError(
                f"anchor_sizes is {sizes}, anchor_ratios {ratios}: give positive numbers"
            )
        if min(round(size / sqrt(ratio) / 2), round(size * sqrt(ratio) / 2)) < 1:
            raise ValueError(
                f"anchor_sizes has {size} and anchor_ratios {ratio}: rounded to whole pixels, such "
                "anchors have no area; give larger sizes, or ratios nearer to 1"
            )


def plain(value: Any) -> Any:
    """The value with tuples for lists, and Python's numbers for NumPy's."""
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    if isinstance(value, Real) and not isinstance(value, int | float):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value)


def _is_tuple_of_numbers(value: Any, annotation: Any) -> bool:
    """Whether a value is as tuple[float, ...] or tuple[tuple[int, int], ...] says, and finite."""
    if not isinstance(value, tuple):
        return False
    inner = get_args(annotation)[0]
    if get_origin(inner) is tuple:
        return all(_is_tuple_of_numbers(part, inner) for part in value)
    if ... not in get_args(annotation) and len(value) != len(get_args(annotation)):
        return False
    return all(_is_number(v) and isfinite(v) and (inner is float or v == int(v)) for v in value)


def _choices(annotation: Any) -> tuple:
    """The values that an annotation such as Literal["a", "b"] | None lists; () for other types."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        parts = get_args(annotation)
        listed = [value for part in parts for value in _choices(part)]
        return (*listed, None) if listed and type(None) in parts else tuple(listed)
    return ()
