"""torchvision's models to compare with: the oracle of the tests and the rival of the benchmarks.

Their weights are random, but no number is trivial, and the output layers are fitted to a picture
such that scores and boxes spread out like those of trained models: otherwise all scores are about
equal, and the order of proposals and of detections is noise.
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
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

from mrcnn_edu import Config, MaskRCNN


def maskrcnn_resnet50_fpn(**settings) -> nn.Module:
    """torchvision's, with the norm of its published weights: frozen, without eps."""
    return _spread(detection.MaskRCNN(_resnet50_fpn(), 91, **settings))


def fasterrcnn_resnet50_fpn(**settings) -> nn.Module:
    """The same without masks."""
    return _spread(detection.FasterRCNN(_resnet50_fpn(), 91, **settings))


def maskrcnn_resnet50_fpn_v2(**settings) -> nn.Module:
    """torchvision's second version, with batch norm everywhere."""
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
    """The settings that do not change the layers, under torchvision's names."""
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
    """The backbone and FPN of a model of ours, as torchvision's detectors want them."""

    def __init__(self, model: MaskRCNN):
        super().__init__()
        self.body, self.fpn = model.backbone, model.neck
        self.out_channels = model.config.fpn_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {str(i): level for i, level in enumerate(self.fpn(self.body(images)))}


def maskrcnn_of_the_same_layers(config: Config) -> nn.Module:
    """torchvision's MaskRCNN with the layers and settings of ours, such as Config.tiny()."""
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
    return _spread(model)


@torch.no_grad()
def _spread(model: nn.Module) -> nn.Module:
    """The model, ready to detect, with norms and biases that do something, and fitted outputs."""
    for name, value in model.state_dict().items():  # of the model itself, not copies
        if name.endswith(("bias", "running_mean")):
            value.uniform_(-0.1, 0.1)
        if name.endswith("running_var"):
            value.uniform_(0.8, 1.2)
        if name.endswith("bn3.weight"):
            value.fill_(0.3)  # else the signal, and any rounding error, doubles in every block

    size = (192, 256)
    image = 4 * smooth_images([size], seed=1)[0][None] - 2  # about as normalized
    rpn, heads = model.eval().rpn, model.roi_heads
    features = model.backbone(image)
    seen = rpn.head.conv(features["0"])
    _fit(rpn.head.cls_logits, seen, deviation=1)
    _fit(rpn.head.bbox_pred, seen, deviation=0.15)

    proposals, _ = rpn(ImageList(image, [size]), features)
    proposals = [proposals[0][:40]]  # enough
    seen = heads.box_head(heads.box_roi_pool(features, proposals, [size]))
    _fit(heads.box_predictor.cls_score, seen, deviation=2)
    _fit(heads.box_predictor.bbox_pred, seen, deviation=1)
    heads.box_predictor.cls_score.bias[0] += 3  # most regions show background

    if heads.has_mask():
        seen = heads.mask_head(heads.mask_roi_pool(features, proposals, [size]))
        seen = heads.mask_predictor.conv5_mask(seen).relu()
        _fit(heads.mask_predictor.mask_fcn_logits, seen, deviation=2)
    return model


def _fit(layer: nn.Module, seen: Tensor, deviation: float) -> None:
    """What the layer says of what is seen gets mean 0 and that deviation, in each channel."""
    said = layer(seen).transpose(0, 1).flatten(1)
    factor = deviation / said.std(dim=1)
    layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
    layer.bias.sub_(said.mean(dim=1)).mul_(factor)


def smooth_images(sizes: list[tuple[int, int]], seed: int = 0) -> list[Tensor]:
    """Images [3, height, width] in 0..1 of blurred colors, one for each size."""
    generator = torch.Generator().manual_seed(seed)
    coarse = [torch.rand(1, 3, 12, 12, generator=generator) for _ in sizes]
    pairs = zip(coarse, sizes, strict=True)
    return [interpolate(c, size, mode="bicubic")[0].clamp(0, 1) for c, size in pairs]
