"""R-CNN: the whole network sees each proposal by itself, cut out (Girshick et al. 2014).

    image -> selective search -> warp each box to one size -> backbone -> class scores, better boxes
    forward(images, targets) -> the loss of fine-tuning: which class is in a warped region?
    detect(images)           -> the objects in each image

The class scores are those of linear SVMs, which are fitted after the network is trained
(`fit_rcnn`).
Letters: R proposals of an image, S size of a warped region, C channels, F features, K classes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from mrcnn_edu import refusals
from mrcnn_edu.ancestors.borrow import borrow_stage
from mrcnn_edu.ancestors.proposals import (
    given_proposals,
    proposals_or_search,
    without_crowds,
    without_scores,
)
from mrcnn_edu.backbone import ResNet
from mrcnn_edu.backbone_choices import BACKBONES, NORMS
from mrcnn_edu.boxes import clip_boxes, decode_boxes, min_side
from mrcnn_edu.config import Config
from mrcnn_edu.detections import MIN_DETECTION_SIZE, Detections
from mrcnn_edu.eval_mode import all_finite, evaluates
from mrcnn_edu.images import Size, size_of
from mrcnn_edu.losses import Losses
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.validate import check_generators, check_images, check_targets

CONTEXT = 16 / 227  # the margin around the box, as a fraction of a region's size (appendix A)
POOL_SIZE = 3  # a region's feature map is averaged over 3 x 3 bins, which keeps its layout
MAX_BATCH = 256  # regions in one pass through the backbone, to bound the memory


@dataclass
class RCNNTrace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    proposals: list[Tensor]  # [R, 4] in pixels of the image
    regions: list[Tensor]  # [R, C, S, S] the warped regions
    features: list[Tensor]  # [R, F]
    scores: list[Tensor]  # [R, K] in 0..1; of an SVM's scores only the order has a meaning
    boxes: list[Tensor]  # [R, K, 4] the proposal, as each class's regressor refines it
    detections: list[Detections]


class RCNN(nn.Module):
    """R-CNN: `forward` returns the loss of fine-tuning, `detect` detections, in any mode.

    Images and targets as for `MaskRCNN`; each target also has "proposals" [R, 4], in pixels of the
    image. From the config it reads the settings of the input, the backbone and its norm, the RoI
    sampler and the detections, rpn_post_nms_top_n_test as the number of proposals, and
    canonical_size as the size S of a warped region (224 is ImageNet's, on which the backbone was
    trained). scores: "svm", the paper's, or "softmax", the layer that fine-tuning trains (appendix
    B).
    """

    classes: list[str]  # the names of labels 1..K
    svm_weight: Tensor  # [K, F]
    svm_bias: Tensor  # [K]
    box_weight: Tensor  # [K, 4, F]
    box_bias: Tensor  # [K, 4]

    sample_rois = borrow_stage(MaskRCNN.sample_rois)

    def __init__(self, config: Config, scores: Literal["svm", "softmax"] = "svm"):
        super().__init__()
        if scores not in ("svm", "softmax"):
            raise ValueError(f"scores is {scores!r}: choose 'svm' or 'softmax'")
        if config.mask_head is not None:
            raise ValueError(f"mask_head is {config.mask_head!r}, but R-CNN has none: give None")
        if config.n_keypoints:
            raise ValueError(f"n_keypoints is {config.n_keypoints}, but R-CNN has none: give 0")
        self.config, self.scores_from = config, scores
        self.classes = [f"class {label}" for label in range(1, config.n_classes + 1)]
        self.region_size = int(config.canonical_size)
        self.backbone: ResNet = BACKBONES[config.backbone](config.in_channels, NORMS[config.norm])
        k, n_features = config.n_classes, self.backbone.channels[-1] * POOL_SIZE**2
        self.cls_score = nn.Linear(n_features, k + 1)  # for fine-tuning
        # `fit_rcnn` fits these without gradients. Until then all margins are 0, and boxes stay.
        self.register_buffer("svm_weight", torch.zeros(k, n_features))
        self.register_buffer("svm_bias", torch.zeros(k))
        self.register_buffer("box_weight", torch.zeros(k, 4, n_features))
        self.register_buffer("box_bias", torch.zeros(k, 4))

    def forward(
        self, images: list[Tensor], targets: list[dict], generators: list[Generator] | None = None
    ) -> Losses:
        """The loss of fine-tuning, a scalar: the regions' mean cross-entropy (section 2.3).

        generators: one for each image, to sample regions with. A region belongs to the class of an
        object if their IoU is at least 0.5, and otherwise to the background, in a ratio of one to
        three. Raises TypeError or ValueError, naming the image, for what cannot be learned.
        """
        c, device = self.config, self.svm_bias.device
        check_images(images, c.in_channels)
        generators = check_generators(generators, len(images))
        sizes = [size_of(image) for image in images]
        checked = check_targets(targets, sizes, c.n_classes, with_masks=False)
        singles = [without_crowds(target) for target in checked]
        objects = [{name: rows.to(device) for name, rows in single.items()} for single in singles]
        given = zip(given_proposals(targets), objects, strict=True)
        proposals = [without_scores(boxes.to(o["boxes"])) for boxes, o in given]
        rois = self.sample_rois(proposals, objects, generators)

        pairs = zip(images, rois, strict=True)
        regions = torch.cat([self.warp(image, r.boxes) for image, r in pairs])
        logits, labels = self.cls_score(self.features(regions)), torch.cat([r.labels for r in rois])
        loss = F.cross_entropy(logits, labels, reduction="sum") / max(len(labels), 1)
        return Losses({"loss_classifier": loss}, n_rows=len(labels))

    def detect(
        self, images: list[Tensor], proposals: list[Tensor] | None = None
    ) -> list[Detections]:
        """The objects in each image, in its pixels, best score first, without masks.

        proposals: boxes [R, 4] of each image, in its pixels; None runs selective search.
        """
        return self.trace(images, proposals).detections

    @evaluates
    def trace(self, images: list[Tensor], proposals: list[Tensor] | None = None) -> RCNNTrace:
        """`detect`, stage by stage, with every intermediate result."""
        check_images(images, self.config.in_channels)
        proposals = self.propose(images, proposals)
        pairs = zip(images, proposals, strict=True)
        regions = [self.warp(image, boxes) for image, boxes in pairs]
        features = [self.features(image_regions) for image_regions in regions]
        scores = [self.scores(rows) for rows in features]
        pairs = zip(features, proposals, strict=True)
        boxes = [self.refine(rows, image_proposals) for rows, image_proposals in pairs]
        finite = all_finite(self, *features, *scores, *boxes)
        parts = zip(scores, boxes, images, strict=True)
        detections = [self.select(s, b, size_of(image)) for s, b, image in parts]
        if not finite:
            raise refusals.not_finite(self)
        return RCNNTrace(proposals, regions, features, scores, boxes, detections)

    # The stages. Each can be called by itself; none of them depends on the mode.

    def propose(self, images: list[Tensor], proposals: list[Tensor] | None = None) -> list[Tensor]:
        """Boxes [R, 4] of each image: the given ones, or the best of selective search."""
        n = self.config.rpn_post_nms_top_n_test
        return proposals_or_search(images, proposals, n, like=self.svm_bias)

    def warp(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Warped regions [R, C, S, S] of the image [C, H, W], normalized: the backbone's input."""
        c, weight = self.config, self.cls_score.weight
        mean, std = (weight.new_tensor(n)[:, None, None] for n in (c.pixel_mean, c.pixel_std))
        image = (image.to(weight) - mean) / std
        return warp_regions(image, boxes, self.region_size, round(CONTEXT * self.region_size))

    def features(self, regions: Tensor) -> Tensor:
        """Features [R, F] of warped regions [R, C, S, S]: each passes through the backbone."""
        if not torch.is_grad_enabled():  # as in `MaskRCNN.features`
            regions = regions.contiguous(memory_format=torch.channels_last)
        none = regions.new_zeros(0, self.cls_score.in_features)
        batches = regions.split(MAX_BATCH) if len(regions) else []  # batch norm needs a region
        maps = (self.backbone(batch)[-1] for batch in batches)
        return torch.cat([none, *(F.adaptive_avg_pool2d(m, POOL_SIZE).flatten(1) for m in maps)])

    def scores(self, features: Tensor) -> Tensor:
        """The score [R, K], in 0..1, of each class.

        An SVM's margin is unbounded. The sigmoid preserves the order and maps the decision boundary
        to 0.5, but it is not a probability.
        """
        if self.scores_from == "softmax":
            return self.cls_score(features).softmax(dim=1)[:, 1:]
        return (features @ self.svm_weight.T + self.svm_bias).sigmoid()

    def refine(self, features: Tensor, proposals: Tensor) -> Tensor:
        """Boxes [R, K, 4]: each class's box regressor applied to the proposals (appendix C)."""
        deltas = torch.einsum("rf,kdf->rkd", features, self.box_weight) + self.box_bias
        return decode_boxes(deltas, proposals[:, None])

    def select(self, scores: Tensor, boxes: Tensor, size: Size) -> Detections:
        """The best boxes after NMS. scores: [R, K]. boxes: [R, K, 4]. size: the image's."""
        c = self.config
        roi, k = torch.where(scores > c.score_threshold)
        boxes, scores, labels = clip_boxes(boxes[roi, k], size), scores[roi, k], k + 1
        valid = min_side(boxes) >= MIN_DETECTION_SIZE
        boxes, scores, labels = boxes[valid], scores[valid], labels[valid]
        kept = batched_nms(boxes, scores, labels, c.nms_iou)[: c.max_detections]
        return Detections(boxes[kept], labels[kept], scores[kept], masks=None, mask_probs=None)


def warp_regions(image: Tensor, boxes: Tensor, size: int, context: int) -> Tensor:
    """Warped regions [R, C, S, S] of the image [C, H, W]: boxes stretched to one size and shape.

    size: S. context: pixels on each side of the result that show the surroundings of the box
    (appendix A). Outside of the image it is 0, the mean color if the image is normalized.
    """
    if len(boxes) == 0:
        return image.new_zeros(0, len(image), size, size)
    height, width = image.shape[1:]
    x1, y1, x2, y2 = boxes.to(image).T
    grow = size / (size - 2 * context)
    zero = torch.zeros_like(x1)
    # grid_sample's coordinates run from -1 to 1 over the image, affine_grid's over the region.
    along_x = torch.stack((grow * (x2 - x1) / width, zero, (x1 + x2) / width - 1), dim=1)
    along_y = torch.stack((zero, grow * (y2 - y1) / height, (y1 + y2) / height - 1), dim=1)
    shape = [len(boxes), len(image), size, size]
    grid = F.affine_grid(torch.stack((along_x, along_y), dim=1), shape, align_corners=False)
    return F.grid_sample(image.expand(len(boxes), -1, -1, -1), grid, align_corners=False)
