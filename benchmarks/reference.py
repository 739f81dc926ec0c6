"""torchvision's models to compare with, in the tests and in the benchmarks.

Their weights are random, but none is trivial (0 or 1), and the output layers are fitted to an image
so that scores and boxes spread out like those of a trained model. Otherwise all scores would be
about equal, and the order of proposals and detections would be noise.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

from mrcnn_edu import Config, MaskRCNN


def maskrcnn_resnet50_fpn(**settings) -> nn.Module:
    """torchvision's model with the norm of its published weights: frozen, without eps."""
    return _spread(detection.MaskRCNN(_resnet50_fpn(), 91, **settings))


def fasterrcnn_resnet50_fpn(**settings) -> nn.Module:
    """The same model without masks."""
    return _spread(detection.FasterRCNN(_resnet50_fpn(), 91, **settings))


def keypointrcnn_resnet50_fpn(**settings) -> nn.Module:
    """torchvision's model for COCO's 17 keypoints of a person, which has no masks."""
    return _spread(detection.KeypointRCNN(_resnet50_fpn(), 2, **{"min_size": 800} | settings))


def maskrcnn_resnet50_fpn_v2(**settings) -> nn.Module:
    """torchvision's second version, which has batch norm everywhere."""
    torch.manual_seed(0)
    model = detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, **settings)
    return _spread(model)


def _resnet50_fpn() -> nn.Module:
    torch.manual_seed(0)
    norm = partial(FrozenBatchNorm2d, eps=0.0)
    return resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=norm, trainable_layers=5
    )


def settings_of(c: Config) -> dict:
    """The settings of a config that do not change the layers, under torchvision's names."""
    return dict(
        min_size=c.short_side,
        max_size=c.long_side,
        image_mean=c.pixel_mean,
        image_std=c.pixel_std,
        rpn_pre_nms_top_n_train=c.rpn_pre_nms_top_n_train,
        rpn_post_nms_top_n_train=c.rpn_post_nms_top_n_train,
        rpn_pre_nms_top_n_test=c.rpn_pre_nms_top_n_test,
        rpn_post_nms_top_n_test=c.rpn_post_nms_top_n_test,
        rpn_nms_thresh=c.rpn_nms_iou,
        rpn_fg_iou_thresh=c.rpn_positive_iou,
        rpn_bg_iou_thresh=c.rpn_negative_iou,
        rpn_batch_size_per_image=c.rpn_batch_per_image,
        rpn_positive_fraction=c.rpn_positive_fraction,
        box_score_thresh=c.score_threshold,
        box_nms_thresh=c.nms_iou,
        box_detections_per_img=c.max_detections,
        box_fg_iou_thresh=c.roi_positive_iou,
        box_bg_iou_thresh=c.roi_positive_iou,
        box_batch_size_per_image=c.roi_batch_per_image,
        box_positive_fraction=c.roi_positive_fraction,
    )


class Pyramid(nn.Module):
    """The backbone and FPN of one of our models, as torchvision's detectors expect them."""

    def __init__(self, model: MaskRCNN):
        super().__init__()
        self.body, self.fpn = model.backbone, model.neck
        self.out_channels = model.config.fpn_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {str(i): level for i, level in enumerate(self.fpn(self.body(images)))}


def maskrcnn_of_the_same_layers(config: Config) -> nn.Module:
    """torchvision's MaskRCNN with the layers and settings of a config, such as Config.tiny().

    With keypoints, too, if the config has them.
    """
    c = config
    torch.manual_seed(0)
    pyramid = Pyramid(MaskRCNN(config))
    levels = [str(i) for i in range(len(pyramid.body.strides))]
    pool = partial(
        MultiScaleRoIAlign,
        levels,
        sampling_ratio=c.sampling_ratio,
        canonical_scale=c.canonical_size,
    )
    model = detection.MaskRCNN(
        pyramid,
        size_divisible=pyramid.body.strides[-1],
        rpn_anchor_generator=AnchorGenerator(
            c.anchor_sizes, (c.anchor_ratios,) * len(c.anchor_sizes)
        ),
        box_roi_pool=pool(output_size=c.box_pool_size),
        box_head=TwoMLPHead(c.fpn_channels * c.box_pool_size**2, c.box_hidden),
        box_predictor=FastRCNNPredictor(c.box_hidden, c.n_classes + 1),
        mask_roi_pool=pool(output_size=c.mask_size // 2),
        mask_head=MaskRCNNHeads(c.fpn_channels, [c.mask_channels] * c.mask_convs, 1),
        mask_predictor=MaskRCNNPredictor(c.mask_channels, c.mask_channels, c.n_classes + 1),
        **settings_of(c),
    )
    if c.n_keypoints:
        heads, widths = model.roi_heads, [c.keypoint_channels] * c.keypoint_convs
        heads.keypoint_roi_pool = pool(output_size=c.keypoint_size // 4)
        heads.keypoint_head = KeypointRCNNHeads(c.fpn_channels, widths)
        heads.keypoint_predictor = KeypointRCNNPredictor(c.keypoint_channels, c.n_keypoints)
    return _spread(model)


@torch.no_grad()
def _spread(model: nn.Module) -> nn.Module:
    """The model in eval mode, with nontrivial norms and biases and fitted output layers."""
    for name, value in model.state_dict().items():  # views of the parameters, not copies
        if name.endswith(("bias", "running_mean")):
            value.uniform_(-0.1, 0.1)
        if name.endswith("running_var"):
            value.uniform_(0.8, 1.2)
        if name.endswith("bn3.weight"):
            value.fill_(0.3)  # otherwise the signal and its rounding errors double in every block

    size = (192, 256)
    image = 4 * smooth_images([size], seed=1)[0][None] - 2  # roughly normalized
    rpn, heads = model.eval().rpn, model.roi_heads
    features = model.backbone(image)
    inputs = rpn.head.conv(features["0"])
    _fit(rpn.head.cls_logits, inputs, deviation=1)
    _fit(rpn.head.bbox_pred, inputs, deviation=0.15)

    proposals, _ = rpn(ImageList(image, [size]), features)
    proposals = [proposals[0][:40]]  # are enough
    inputs = heads.box_head(heads.box_roi_pool(features, proposals, [size]))
    _fit(heads.box_predictor.cls_score, inputs, deviation=2)
    _fit(heads.box_predictor.bbox_pred, inputs, deviation=1)
    heads.box_predictor.cls_score.bias[0] += 3  # most RoIs are background

    if heads.has_mask():
        inputs = heads.mask_head(heads.mask_roi_pool(features, proposals, [size]))
        inputs = heads.mask_predictor.conv5_mask(inputs).relu()
        _fit(heads.mask_predictor.mask_fcn_logits, inputs, deviation=2)
    if heads.has_keypoint():
        inputs = heads.keypoint_head(heads.keypoint_roi_pool(features, proposals, [size]))
        _fit(heads.keypoint_predictor.kps_score_lowres, inputs, deviation=2)
    return model


def _fit(layer: nn.Module, inputs: Tensor, deviation: float) -> None:
    """Give each output channel of the layer mean 0 and this standard deviation on the inputs."""
    outputs = layer(inputs).transpose(0, 1).flatten(1)
    factor = deviation / outputs.std(dim=1)
    channels_at = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    shape = [-1 if dim == channels_at else 1 for dim in range(layer.weight.ndim)]
    layer.weight.mul_(factor.view(shape))
    layer.bias.sub_(outputs.mean(dim=1)).mul_(factor)


def smooth_images(sizes: list[tuple[int, int]], seed: int = 0) -> list[Tensor]:
    """Images [3, height, width] in 0..1 of blurred random colors, one for each size."""
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.rand(1, 3, 12, 12, generator=generator) for _ in sizes]
    pairs = zip(coarse, sizes, strict=True)
    return [interpolate(c, size, mode="bicubic")[0].clamp(0, 1) for c, size in pairs]
