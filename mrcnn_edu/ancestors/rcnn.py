"""R-CNN: every proposal is cut out and seen by the whole network, by itself (Girshick et al. 2014).

    image -> selective search -> warp each box to one size -> backbone -> class scores, better box
    forward(images, targets) -> the loss of fine-tuning: which class is in a window?
    detect(images)           -> what is in each image

The class scores are those of linear SVMs, trained after the network is done (`fit_rcnn`).
Letters: R proposals of an image, S side of a window, C channels, F features, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, affine_grid, cross_entropy, grid_sample

from mrcnn_edu.ancestors.proposals import given_proposals, proposals_or_search, without_crowds
from mrcnn_edu.backbone import NORMS
from mrcnn_edu.backbone_choices import BACKBONES
from mrcnn_edu.boxes import clip_boxes, decode_boxes, min_side
from mrcnn_edu.config import Config
from mrcnn_edu.detections import MIN_SIZE, Detections
from mrcnn_edu.images import size_of
from mrcnn_edu.losses import Losses
from mrcnn_edu.model import evaluating
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.targets import RoITargets, roi_targets
from mrcnn_edu.validate import check_images, check_targets

CONTEXT = 16 / 227  # of the window's side: what is seen around the box, on each side (appendix A)
CELLS = 3  # the backbone's map of a window, averaged to 3 x 3 cells: its layout is kept
CHUNK = 256  # windows in one pass, for the memory's sake


@dataclass
class RCNNTrace:
    """Everything `detect` computes on the way. Lists have one entry for each image."""

    proposals: list[Tensor]  # [R, 4] in pixels of the image
    windows: list[Tensor]  # [R, C, S, S]
    features: list[Tensor]  # [R, F]
    scores: list[Tensor]  # [R, K] 0..1; of SVMs only their order means something
    boxes: list[Tensor]  # [R, K, 4] what each class makes of the proposal
    detections: list[Detections]


class RCNN(nn.Module):
    """R-CNN: `forward` gives the loss of fine-tuning, `detect` detections, in any mode.

    Images and targets as for `model.MaskRCNN`; targets have "proposals" [R, 4] beside their boxes
    and labels. Of the config it reads what comes in and out, the backbone and its norm, the RoI
    sampler's and the detections' numbers, rpn_post_nms_top_n_test, and canonical_size: a window's side (224
    is ImageNet's, which the backbone has learned on). scores: "svm", the paper's, or "softmax", the
    layer that fine-tuning trains (appendix B).
    """

    def __init__(self, config: Config, scores: Literal["svm", "softmax"] = "svm"):
        super().__init__()
        if scores not in ("svm", "softmax"):
            raise ValueError(f"scores is {scores!r}: choose 'svm' or 'softmax'")
        if config.mask_head is not None:
            raise ValueError(f"mask_head is {config.mask_head!r}, but R-CNN has none: give None")
        self.config, self.scores_from = config, scores
        self.side = int(config.canonical_size)
        self.backbone = BACKBONES[config.backbone](config.in_channels, NORMS[config.norm])
        k, n_features = config.n_classes, self.backbone.channels[-1] * CELLS**2
        self.cls_score = nn.Linear(n_features, k + 1)  # of fine-tuning
        # Found by `fit_rcnn` without gradients. Until then all SVMs say 0, and boxes stay.
        self.register_buffer("svm_weight", torch.zeros(k, n_features))
        self.register_buffer("svm_bias", torch.zeros(k))
        self.register_buffer("box_weight", torch.zeros(k, 4, n_features))
        self.register_buffer("box_bias", torch.zeros(k, 4))

    def forward(
        self,
        images: list[Tensor],
        targets: list[dict[str, Tensor]],
        generators: Sequence[Generator] | None = None,
    ) -> Losses:
        """The loss of fine-tuning, a scalar: the windows' mean cross-entropy (section 2.3).

        The generator draws the windows: IoU >= 0.5 with an object is its class, the rest is
        background, one to three. The arguments, and what they raise, are those of
        `MaskRCNN.forward`.
        """
        check_images(images, self.config.in_channels)
        sizes = [size_of(image) for image in images]
        targets = check_targets(targets, sizes, self.config.n_classes, with_masks=False)
        rois = self.sample(targets, generators)
        pairs = zip(images, rois, strict=True)
        windows = torch.cat([self.warp(image, r.boxes) for image, r in pairs])
        logits, labels = self.cls_score(self.features(windows)), torch.cat([r.labels for r in rois])
        loss = cross_entropy(logits, labels, reduction="sum") / max(len(labels), 1)
        return Losses({"loss_classifier": loss}, n_rows=len(labels))

    @torch.no_grad()
    def detect(
        self, images: list[Tensor], proposals: list[Tensor] | None = None
    ) -> list[Detections]:
        """What is in each image, best score first; there are no masks.

        proposals: boxes [R, 4] of each image, in its pixels; None finds them by selective search.
        """
        return self.trace(images, proposals).detections

    @torch.no_grad()
    def trace(self, images: list[Tensor], proposals: list[Tensor] | None = None) -> RCNNTrace:
        """`detect`, stage by stage, with everything that is computed on the way."""
        with evaluating(self):
            check_images(images, self.config.in_channels)
            proposals = self.propose(images, proposals)
            windows = [self.warp(*pair) for pair in zip(images, proposals, strict=True)]
            features = [self.features(of_image) for of_image in windows]
            scores = [self.scores(of_image) for of_image in features]
            boxes = [self.refine(*pair) for pair in zip(features, proposals, strict=True)]
            of_images = zip(scores, boxes, images, strict=True)
            detections = [self.select(s, b, tuple(i.shape[1:])) for s, b, i in of_images]
        return RCNNTrace(proposals, windows, features, scores, boxes, detections)

    # The stages. Each can be called by itself.

    def propose(self, images, proposals: list[Tensor] | None = None) -> list[Tensor]:
        """Boxes [R, 4] of each image: those given, or else selective search's best."""
        return proposals_or_search(
            images, proposals, self.config.rpn_post_nms_top_n_test, self.svm_bias
        )

    def sample(self, targets, generators=None) -> list[RoITargets]:
        """The windows of each image that fine-tuning uses, with their labels."""
        c, device = self.config, self.svm_bias.device
        objects = [without_crowds(target) for target in targets]
        boxes, labels = (
            [rows.to(device) for rows in column] for column in zip(*objects, strict=True)
        )
        proposals = [p.to(b) for p, b in zip(given_proposals(targets), boxes, strict=True)]
        return roi_targets(
            proposals,
            boxes,
            labels,
            positive_iou=c.roi_positive_iou,
            batch_size=c.roi_batch_per_image,
            positive_fraction=c.roi_positive_fraction,
            generators=generators,
        )

    def warp(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Windows [R, C, S, S] of the image [C, H, W], normalized: what the backbone sees."""
        c, weight = self.config, self.cls_score.weight
        mean, std = (weight.new_tensor(n)[:, None, None] for n in (c.pixel_mean, c.pixel_std))
        image = (image.to(weight) - mean) / std
        return warp_regions(image, boxes, self.side, round(CONTEXT * self.side))

    def features(self, windows: Tensor) -> Tensor:
        """Features [R, F] of the windows [R, C, S, S]: a pass through the backbone for each."""
        if not torch.is_grad_enabled():  # as in `MaskRCNN.features`
            windows = windows.contiguous(memory_format=torch.channels_last)
        none = windows.new_zeros(0, self.cls_score.in_features)
        chunks = windows.split(CHUNK) if len(windows) else []  # batch norm takes no empty batch
        maps = (self.backbone(chunk)[-1] for chunk in chunks)
        return torch.cat([none, *(adaptive_avg_pool2d(m, CELLS).flatten(1) for m in maps)])

    def scores(self, features: Tensor) -> Tensor:
        """Scores [R, K] of 0..1 of every class.

        An SVM's margin has no bounds; the sigmoid keeps its order and 0.5 where it changes its
        mind. It is no probability.
        """
        if self.scores_from == "softmax":
            return self.cls_score(features).softmax(dim=1)[:, 1:]
        return (features @ self.svm_weight.T + self.svm_bias).sigmoid()

    def refine(self, features: Tensor, proposals: Tensor) -> Tensor:
        """Boxes [R, K, 4] that each class's regression leads to (appendix C)."""
        deltas = torch.einsum("rf,kdf->rkd", features, self.box_weight) + self.box_bias
        return decode_boxes(deltas, proposals[:, None])

    def select(self, scores: Tensor, boxes: Tensor, size: tuple[int, int]) -> Detections:
        """The best boxes of an image of size (H, W): scores [R, K], boxes [R, K, 4], then NMS."""
        c = self.config
        roi, k = torch.where(scores > c.score_threshold)
        boxes, scores = clip_boxes(boxes[roi, k], size), scores[roi, k]
        is_box = min_side(boxes) >= MIN_SIZE
        boxes, scores, labels = boxes[is_box], scores[is_box], k[is_box] + 1
        keep = batched_nms(boxes, scores, labels, c.nms_iou)[: c.max_detections]
        return Detections(boxes[keep], labels[keep], scores[keep], masks=None, mask_probs=None)


def warp_regions(image: Tensor, boxes: Tensor, side: int, context: int) -> Tensor:
    """Windows [R, C, S, S] of the image [C, H, W]: each box scaled to one size, its shape ignored.

    side: S. context: cells of the window on each side that show what lies around the box (appendix
    A). Outside of the image is 0, which is the mean color if the image is normalized.
    """
    if len(boxes) == 0:
        return image.new_zeros(0, len(image), side, side)
    height, width = image.shape[1:]
    x1, y1, x2, y2 = boxes.to(image).T
    grow = side / (side - 2 * context)
    zero = torch.zeros_like(x1)
    # grid_sample's coordinates run from -1 to 1 over the image, affine_grid's over the window.
    along_x = torch.stack((grow * (x2 - x1) / width, zero, (x1 + x2) / width - 1), dim=1)
    along_y = torch.stack((zero, grow * (y2 - y1) / height, (y1 + y2) / height - 1), dim=1)
    size = (len(boxes), len(image), side, side)
    grid = affine_grid(torch.stack((along_x, along_y), dim=1), size, align_corners=False)
    return grid_sample(image.expand(len(boxes), -1, -1, -1), grid, align_corners=False)
