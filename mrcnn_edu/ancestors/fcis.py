"""FCIS: instance segmentation without a head (Li, Qi, Dai, Ji and Wei 2017, arXiv 1611.07709).

    images -> preprocess -> backbone -> FPN -> RPN head + anchors -> propose      as in Mask R-CNN
    features -> maps                                                              once an image
    score_rois(maps, boxes) -> class logits, mask logits, box deltas                    for each RoI

All layers with weights run once over the image. A RoI only looks numbers up: `read` has no weight.
Class and mask come from the same maps, two for each class: "inside" says that a pixel is in the
box and on its object, "outside" that it is in the box and beside it (section 3.2).

Letters: B images, R RoIs, D detections, K classes, k cells along a RoI's side, m side of a mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from mrcnn_edu.ancestors.borrow import stage
from mrcnn_edu.ancestors.merging import merge_masks
from mrcnn_edu.ancestors.position_sensitive import assemble
from mrcnn_edu.backbone import Convolution
from mrcnn_edu.backbone_choices import build_trunk
from mrcnn_edu.boxes import clip_boxes, decode_boxes
from mrcnn_edu.config import Config
from mrcnn_edu.detections import (
    Detections,
    SelectedBoxes,
    rescale_detections,
    select_detections,
)
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.images import Batch, scale_boxes, scale_targets, size_of
from mrcnn_edu.losses import Losses, box_loss, mask_loss
from mrcnn_edu.model import MaskRCNN, evaluating
from mrcnn_edu.rpn import Proposals, RPNHead
from mrcnn_edu.targets import RoITargets, mask_targets
from mrcnn_edu.validate import check_boxes, check_targets


@dataclass(frozen=True)
class FCISConfig(Config):
    """Every number of the model; those of Mask R-CNN's heads are not used, except mask_size."""

    neck: str = "c5"  # one map (the paper dilates the last stage, to stride 16); of fpn the finest
    n_bins: int = 7  # k, the paper's best
    score_channels: int = 1024  # of the convolution before the maps (section 3.3)
    score_kernel: int = 1  # its side
    nms_iou: float = 0.3  # section 3.3
    rpn_post_nms_top_n_test: int = 300  # likewise
    merge_iou: float = 0.5  # RoIs that overlap a detection more vote on its mask; 1: only its own
    merge_threshold: float = 0.4  # of the votes, to be object; the authors' program has the same

    @classmethod
    def tiny(cls, n_classes: int = 6, **changes) -> "FCISConfig":
        """A model for 96 x 96 scenes; it reads the pyramid's map of stride 4."""
        # With one map of stride 16 a scene would have 6 x 6 numbers, fewer than a RoI has cells. Of
        # stride 4 an object of 48 pixels has 12 x 12: more than 14 points would read them twice.
        numbers = dict(neck="fpn", score_channels=128, score_kernel=3, mask_size=14)
        return super().tiny(n_classes, **numbers | changes)


class RoIScores(NamedTuple):
    """What the maps say of R RoIs, assembled pixel by pixel from the cells (section 3.1)."""

    inside: Tensor  # [R, K + 1, m, m]
    outside: Tensor  # [R, K + 1, m, m]
    deltas: Tensor  # [R, 4], the same for all classes

    @property
    def class_logits(self) -> Tensor:
        """[R, K + 1]: the mean over all pixels of the larger of inside and outside.

        Either of them says that the box is right, at this pixel; both low, that it is wrong.
        """
        return torch.maximum(self.inside, self.outside).mean(dim=(2, 3))

    @property
    def mask_logits(self) -> Tensor:
        """[R, K + 1, m, m]: a softmax over inside and outside is the sigmoid of the difference."""
        return self.inside - self.outside


@dataclass
class FCISTrace:
    """Everything `detect` computes on the way, in order. Lists have one entry for each image."""

    batch: Batch
    features: list[Tensor]
    anchors: list[Tensor]
    proposals: list[Proposals]
    maps: Tensor  # [B, (2 * (K + 1) + 4) * k * k, H, W]
    rois: list[Tensor]  # [R, 4]: the proposals, then the same after their own box deltas
    roi_scores: RoIScores  # of the RoIs of all images
    selected: list[SelectedBoxes]
    mask_probs: list[Tensor]  # [D, m, m]
    detections: list[Detections]


class FCIS(nn.Module):
    """FCIS: `forward` returns losses, `detect` detections, in any mode, as `MaskRCNN` does.

    Images, targets and every stage up to the proposals are Mask R-CNN's. The layers are `backbone`,
    `neck`, `rpn_head`, and `hidden_layer` and `map_layer`, which compute the maps.
    """

    preprocess = stage(MaskRCNN.preprocess)
    features = stage(MaskRCNN.features)
    anchors = stage(MaskRCNN.anchors)
    rpn_losses = stage(MaskRCNN.rpn_losses)
    propose = stage(MaskRCNN.propose)
    sample_rois = stage(MaskRCNN.sample_rois)

    def __init__(self, config: FCISConfig):
        super().__init__()
        if config.neck == "c4":
            raise ValueError("neck is 'c4', whose last stage is a head: choose 'c5' or 'fpn'")
        if config.mask_size % config.n_bins:
            raise ValueError(
                f"mask_size is {config.mask_size}: give a multiple of n_bins = {config.n_bins}"
            )
        c, trunk = config, build_trunk(config)
        self.config, self.backbone, self.neck = config, trunk.backbone, trunk.neck
        self.strides, self.anchor_sizes = trunk.strides, trunk.anchor_sizes
        n_anchors = len(c.anchor_ratios) * len(trunk.anchor_sizes[0])
        self.rpn_head = RPNHead(trunk.channels, n_anchors, c.rpn_convs)
        self.hidden_layer = Convolution(trunk.channels, c.score_channels, c.score_kernel, relu=True)
        # Inside and outside for every class and background, then four deltas; each k x k times.
        n_scores = 2 * (c.n_classes + 1) + 4
        self.map_layer = nn.Conv2d(c.score_channels, n_scores * c.n_bins**2, 1)
        nn.init.normal_(self.map_layer.weight, std=0.01)
        nn.init.zeros_(self.map_layer.bias)

    def forward(
        self,
        images: list[Tensor],
        targets: list[dict[str, Tensor]],
        generators: Sequence[Generator] | None = None,
    ) -> Losses:
        """The five losses, scalars under Mask R-CNN's names, added with equal weight (section 3.3).

        The arguments, and the errors raised, are those of `MaskRCNN.forward`.
        """
        batch = self.preprocess(images, targets)
        objects = self.scale_targets(targets, batch)
        features = self.features(batch)
        anchors = self.anchors(features, batch)
        objectness, rpn_deltas = self.rpn_head(features)
        losses = self.rpn_losses(objectness, rpn_deltas, anchors, objects, generators)
        proposals = self.propose(objectness, rpn_deltas, anchors, batch, training=True)
        rois = self.sample_rois(proposals, objects, generators)
        losses |= self.roi_losses(self.maps(features), rois, objects)
        return losses

    @torch.no_grad()
    def detect(self, images: list[Tensor]) -> list[Detections]:
        """The objects in each image, in pixels of the images as given, best score first."""
        return self.trace(images).detections

    @torch.no_grad()
    def trace(self, images: list[Tensor]) -> FCISTrace:
        """`detect`, stage by stage, with every intermediate result (section 3.3)."""
        with evaluating(self):
            batch = self.preprocess(images)
            features = self.features(batch)
            anchors = self.anchors(features, batch)
            proposals = self.propose(*self.rpn_head(features), anchors, batch)
            maps = self.maps(features)
            rois = self.with_refined(maps, [p.boxes for p in proposals], batch)
            scores = self.score_rois(maps, rois)
            selected = self.select(scores, rois, batch)
            mask_probs = self.masks(scores, rois, selected)
        images_ = zip(selected, mask_probs, batch.sizes, batch.original_sizes, strict=True)
        detections = [rescale_detections(*parts) for parts in images_]
        return FCISTrace(
            batch,
            features,
            anchors,
            proposals,
            maps,
            rois,
            scores,
            selected,
            mask_probs,
            detections,
        )

    @torch.no_grad()
    def predict_on_boxes(self, image: Tensor, boxes: Tensor) -> RoIScores:
        """The scores of boxes [R, 4] that you supply, in pixels of the image: no RPN, no NMS."""
        with evaluating(self):
            batch = self.preprocess([image])
            boxes = check_boxes(boxes, size_of(image), "predict_on_boxes").to(batch.images.device)
            rois = scale_boxes(boxes, batch.original_sizes[0], batch.sizes[0])
            return self.score_rois(self.maps(self.features(batch)), [rois])

    # The stages that differ from Mask R-CNN's.

    def scale_targets(self, targets: list[dict], batch: Batch) -> list[dict]:
        """Each image's boxes, labels and masks, checked, in pixels of the batch."""
        checked = check_targets(targets, batch.original_sizes, self.config.n_classes)
        return scale_targets(checked, batch)

    def roi_losses(self, maps: Tensor, rois: list[RoITargets], objects: list[dict]) -> Losses:
        """The class, box and mask losses of the RoIs (section 3.3)."""
        scores = self.score_rois(maps, [r.boxes for r in rois])
        labels, deltas = torch.cat([r.labels for r in rois]), torch.cat([r.deltas for r in rois])
        class_logits = scores.class_logits
        for_all_classes = scores.deltas[:, None].expand(-1, class_logits.shape[1], -1)
        loss_class, loss_box = box_loss(class_logits, for_all_classes, labels, deltas)
        losses = Losses({"loss_classifier": loss_class, "loss_box_reg": loss_box}, len(labels))

        positive, positives = labels > 0, [r.positive() for r in rois]
        masks, matched = [o["masks"] for o in objects], [r.objects for r in positives]
        targets = mask_targets(masks, [r.boxes for r in positives], matched, self.config.mask_size)
        loss = mask_loss(scores.mask_logits[positive], labels[positive], targets)
        losses |= Losses({"loss_mask": loss}, len(targets))
        return losses

    def maps(self, features: list[Tensor]) -> Tensor:
        """The position-sensitive maps [B, (2 * (K + 1) + 4) * k * k, H, W] of the batch.

        They come from the finest map of the neck, and know of no box.
        """
        return self.map_layer(self.hidden_layer(features[0]))

    def score_rois(self, maps: Tensor, boxes: list[Tensor]) -> RoIScores:
        """What the maps say of the boxes [R_i, 4] of all images, in pixels of the batch."""
        c = self.config
        numbers = assemble(maps, boxes, c.n_bins, c.mask_size, self.strides[0])
        scores, deltas = numbers[:, :-4], numbers[:, -4:].mean(dim=(2, 3))
        inside, outside = scores.unflatten(1, (2, -1)).unbind(1)  # each [R, K + 1, m, m]
        return RoIScores(inside, outside, deltas)

    def with_refined(self, maps: Tensor, boxes: list[Tensor], batch: Batch) -> list[Tensor]:
        """The boxes [R, 4] of each image and, after them, as many: each moved by its own deltas."""
        c = self.config
        of_deltas = maps[:, -4 * c.n_bins**2 :]
        deltas = assemble(of_deltas, boxes, c.n_bins, c.mask_size, self.strides[0])
        deltas = deltas.mean(dim=(2, 3)).split([len(b) for b in boxes])
        images = zip(boxes, deltas, batch.sizes, strict=True)
        return [
            torch.cat((b, clip_boxes(decode_boxes(d, b, BOX_SCALE), size))) for b, d, size in images
        ]

    def select(self, scores: RoIScores, rois: list[Tensor], batch: Batch) -> list[SelectedBoxes]:
        """The RoIs of each image that survive, with their class and score, unmoved."""
        c = self.config
        numbers = c.score_threshold, c.nms_iou, c.max_detections
        logits = scores.class_logits.split([len(r) for r in rois])
        unmoved = [row.new_zeros(*row.shape, 4) for row in logits]
        return select_detections(logits, unmoved, rois, batch.sizes, *numbers)

    def masks(
        self, scores: RoIScores, rois: list[Tensor], selected: list[SelectedBoxes]
    ) -> list[Tensor]:
        """Masks [D, m, m] of the selected boxes of each image: 0.5 or more is the object.

        They are merged (section 3.3), and scaled so that `merge_threshold` becomes that 0.5.
        """
        c, n = self.config, [len(r) for r in rois]
        class_scores = scores.class_logits.softmax(dim=1).split(n)
        probs = scores.mask_logits.sigmoid().split(n)
        images = zip(selected, rois, class_scores, probs, strict=True)
        merged = [merge_masks(s.boxes, s.labels, *votes, c.merge_iou) for s, *votes in images]
        return [(mask * 0.5 / c.merge_threshold).clamp(max=1) for mask in merged]
