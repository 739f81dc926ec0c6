"""FCIS: instance segmentation without a head (Li, Qi, Dai, Ji and Wei 2017, arXiv 1611.07709).

    images -> preprocess -> backbone -> FPN -> RPN head + anchors -> propose      as in Mask R-CNN
    features -> maps                                                           once for all RoIs
    score_rois(maps, boxes) -> class logits, mask logits, box deltas           for each RoI

All layers with weights run once over the image. A RoI only looks values up in their maps. Its class
and its mask come from the same maps, two for each class: "inside" scores whether a pixel is in the
box and on its object, "outside" whether it is in the box but not on its object (section 2.2).

Letters: B images, R RoIs, D detections, K classes, k x k bins of a RoI, m x m mask.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from torch import Generator, Tensor, nn

from mrcnn_edu import refusals
from mrcnn_edu.ancestors.borrow import borrow_stage
from mrcnn_edu.ancestors.merging import merge_masks
from mrcnn_edu.ancestors.position_sensitive import assemble
from mrcnn_edu.backbone import Convolution
from mrcnn_edu.backbone_choices import build_trunk
from mrcnn_edu.boxes import clip_boxes, decode_boxes
from mrcnn_edu.config import LARGEST, Config, check_number, check_settings
from mrcnn_edu.detections import Detections, SelectedBoxes, rescale_detections, select_detections
from mrcnn_edu.eval_mode import all_finite, evaluates
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.images import Batch, scale_boxes, scale_targets, size_of
from mrcnn_edu.losses import Losses, box_loss, mask_loss
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.rpn import Proposals, RPNHead
from mrcnn_edu.targets import RoITargets, mask_targets
from mrcnn_edu.validate import check_boxes, check_generators, check_targets


@dataclass(frozen=True)
class FCISConfig(Config):
    """Every number of the model; of the settings of Mask R-CNN's heads only mask_size is used."""

    # Where RoIs read their maps. c5: one map (the paper dilates the last stage, to stride 16). fpn:
    # the pyramid's finest map.
    neck: Literal["fpn", "c4", "c5"] = "c5"
    n_bins: int = 7  # bins along a side of a RoI, each with its own maps; 7 is the paper's best
    score_channels: int = 1024  # channels of the convolution before the maps (section 2.3)
    score_kernel: int = 1  # kernel size of the convolution before the maps
    nms_iou: float = 0.3  # IoU above which NMS drops a detection (section 2.3)
    rpn_post_nms_top_n_test: int = 300  # best proposals of an image after NMS (section 2.3)
    merge_iou: float = 0.5  # RoIs with a larger IoU vote on a detection's mask; 1: only its own
    merge_threshold: float = 0.4  # merged probability that is foreground; from the authors' code

    def __post_init__(self):
        super().__post_init__()
        limits: dict = dict.fromkeys(("n_bins", "score_channels", "score_kernel"), (1, LARGEST))
        check_settings(self, limits | dict(merge_iou=(0, 1), merge_threshold=(0, 1)))
        check_number("merge_threshold", self.merge_threshold, 0, above=True)
        if self.score_kernel % 2 == 0:
            raise ValueError(f"score_kernel is {self.score_kernel}: give an odd number")
        if self.neck == "c4":
            raise ValueError("neck is 'c4', whose last stage is a head: choose 'c5' or 'fpn'")
        if self.mask_size % self.n_bins:
            raise ValueError(
                f"mask_size is {self.mask_size}: give a multiple of n_bins = {self.n_bins}"
            )

    @classmethod
    def tiny(cls, n_classes: int = 6, **changes) -> Self:
        """A model for 96 x 96 scenes; it reads the pyramid's map of stride 4."""
        # A map of stride 16 would have only 6 x 6 positions for a scene, fewer than a RoI has bins.
        # At stride 4 an object of 48 pixels covers 12 x 12: masks larger than 14 x 14 gain nothing.
        settings: dict = dict(neck="fpn", score_channels=128, score_kernel=3, mask_size=14)
        return super().tiny(n_classes, **settings | changes)


class RoIScores(NamedTuple):
    """The scores of R RoIs, assembled pixel by pixel from the maps of their bins (section 2.1)."""

    inside: Tensor  # [R, K + 1, m, m]
    outside: Tensor  # [R, K + 1, m, m]
    deltas: Tensor  # [R, 4], the same for all classes

    @property
    def class_logits(self) -> Tensor:
        """[R, K + 1]: the mean over all pixels of the larger of inside and outside.

        Where the box is right, one of the two is high at every pixel; where it is wrong, both are
        low.
        """
        return torch.maximum(self.inside, self.outside).mean(dim=(2, 3))

    @property
    def mask_logits(self) -> Tensor:
        """[R, K + 1, m, m]: softmax over inside and outside is the sigmoid of their difference."""
        return self.inside - self.outside


@dataclass
class FCISTrace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    batch: Batch
    features: list[Tensor]  # [B, C, H, W] of each level
    anchors: list[Tensor]  # [A_level, 4] for each level
    proposals: list[Proposals]  # before NMS (candidates) and after it (boxes)
    maps: Tensor  # [B, (2 * (K + 1) + 4) * k * k, H, W]
    rois: list[Tensor]  # [R, 4]: the proposals, then the same, refined by their own box deltas
    roi_scores: RoIScores  # of the RoIs of all images
    selected: list[SelectedBoxes]  # after the score threshold and NMS within each class
    mask_probs: list[Tensor]  # [D, m, m]
    detections: list[Detections]


class FCIS(nn.Module):
    """FCIS: `forward` returns losses, `detect` detections, in any mode, as `MaskRCNN` does.

    Images, targets and every stage up to the proposals are Mask R-CNN's. The layers are `backbone`,
    `neck`, `rpn_head`, and `hidden_layer` and `map_layer`, which compute the maps.
    """

    classes: list[str]  # the names of labels 1..K

    detect = borrow_stage(MaskRCNN.detect)

    preprocess = borrow_stage(MaskRCNN.preprocess)
    features = borrow_stage(MaskRCNN.features)
    anchors = borrow_stage(MaskRCNN.anchors)
    rpn_losses = borrow_stage(MaskRCNN.rpn_losses)
    propose = borrow_stage(MaskRCNN.propose)
    sample_rois = borrow_stage(MaskRCNN.sample_rois)

    def __init__(self, config: FCISConfig):
        super().__init__()
        c, trunk = config, build_trunk(config)
        self.config, self.backbone, self.neck = config, trunk.backbone, trunk.neck
        self.classes = [f"class {label}" for label in range(1, c.n_classes + 1)]
        self.strides, self.anchor_sizes = trunk.strides, trunk.anchor_sizes
        n_anchors = len(c.anchor_ratios) * len(trunk.anchor_sizes[0])
        self.rpn_head = RPNHead(trunk.channels, n_anchors, c.rpn_convs)
        self.hidden_layer = Convolution(trunk.channels, c.score_channels, c.score_kernel, relu=True)
        # Inside and outside for every class and background, then four deltas; each for k x k bins.
        n_scores = 2 * (c.n_classes + 1) + 4
        self.map_layer = nn.Conv2d(c.score_channels, n_scores * c.n_bins**2, 1)
        nn.init.normal_(self.map_layer.weight, std=0.01)
        nn.init.zeros_(self.map_layer.get_parameter("bias"))

    def forward(
        self, images: list[Tensor], targets: list[dict], generators: list[Generator] | None = None
    ) -> Losses:
        """The five losses, scalars under Mask R-CNN's names, added with equal weight (section 2.3).

        generators: one for each image, to sample anchors and RoIs with. Raises TypeError or
        ValueError, naming the image, for what cannot be learned.
        """
        batch = self.preprocess(images, targets)
        generators = check_generators(generators, len(images))
        objects = self.scale_targets(targets, batch)
        features = self.features(batch)
        losses, rois = self.train_rpn(features, batch, objects, generators)
        losses |= self.roi_losses(self.maps(features), rois, objects)
        return losses

    @evaluates
    def trace(self, images: list[Tensor]) -> FCISTrace:
        """`detect`, stage by stage, with every intermediate result (section 2.3)."""
        batch = self.preprocess(images)
        features = self.features(batch)
        maps = self.maps(features)
        anchors = self.anchors(features, batch)
        objectness, rpn_deltas = self.rpn_head(features)
        finite = all_finite(self, maps, objectness, rpn_deltas)
        proposals = self.propose(objectness, rpn_deltas, anchors, batch)
        if not finite:
            raise refusals.not_finite(self)
        rois = self.add_refined(maps, [p.boxes for p in proposals], batch)
        scores = self.score_rois(maps, rois)
        selected = self.select(scores, rois, batch)
        mask_probs = self.masks(scores, rois, selected)
        parts = zip(selected, mask_probs, batch.sizes, batch.original_sizes, strict=True)
        detections = [rescale_detections(s, p, size, original) for s, p, size, original in parts]
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

    @evaluates
    def predict_on_boxes(self, image: Tensor, boxes: Tensor) -> RoIScores:
        """The scores of boxes [R, 4] that you supply, in pixels of the image: no RPN, no NMS."""
        batch = self.preprocess([image])
        boxes = check_boxes(boxes, size_of(image), "predict_on_boxes").to(batch.images.device)
        rois = scale_boxes(boxes, batch.original_sizes[0], batch.sizes[0])
        return self.score_rois(self.maps(self.features(batch)), [rois])

    # The stages that differ from Mask R-CNN's.

    def scale_targets(self, targets: list[dict], batch: Batch) -> list[dict]:
        """Each image's boxes, labels and masks, checked, in pixels of the batch."""
        checked = check_targets(targets, batch.original_sizes, self.config.n_classes)
        return scale_targets(checked, batch)

    def train_rpn(
        self, features: list[Tensor], batch: Batch, objects: list[dict], generators=None
    ) -> tuple[Losses, list[RoITargets]]:
        """The RPN's two losses, and the RoIs sampled from its proposals, as Mask R-CNN has them."""
        anchors = self.anchors(features, batch)
        objectness, deltas = self.rpn_head(features)
        losses = self.rpn_losses(objectness, deltas, anchors, objects, generators)
        proposals = self.propose(objectness, deltas, anchors, batch, training=True)
        return losses, self.sample_rois(proposals, objects, generators)

    def maps(self, features: list[Tensor]) -> Tensor:
        """The position-sensitive maps [B, (2 * (K + 1) + 4) * k * k, H, W] of the batch.

        They are computed from the neck's finest map, and do not depend on any box.
        """
        return self.map_layer(self.hidden_layer(features[0]))

    def score_rois(self, maps: Tensor, boxes: list[Tensor]) -> RoIScores:
        """The scores of the boxes [R_i, 4] of all images, in pixels of the batch."""
        c = self.config
        assembled = assemble(maps, boxes, c.n_bins, c.mask_size, self.strides[0])
        scores, deltas = assembled[:, :-4], assembled[:, -4:].mean(dim=(2, 3))
        inside, outside = scores.unflatten(1, (2, -1)).unbind(1)  # each [R, K + 1, m, m]
        return RoIScores(inside, outside, deltas)

    def roi_losses(self, maps: Tensor, rois: list[RoITargets], objects: list[dict]) -> Losses:
        """The class, box and mask losses of the RoIs (section 2.3)."""
        scores = self.score_rois(maps, [r.boxes for r in rois])
        labels, deltas = torch.cat([r.labels for r in rois]), torch.cat([r.deltas for r in rois])
        class_logits = scores.class_logits
        class_deltas = scores.deltas[:, None].expand(-1, class_logits.shape[1], -1)
        loss_class, loss_box = box_loss(class_logits, class_deltas, labels, deltas)
        losses = Losses({"loss_classifier": loss_class, "loss_box_reg": loss_box}, len(labels))

        is_positive, positives = labels > 0, [r.positive() for r in rois]
        boxes, matched = [r.boxes for r in positives], [r.objects for r in positives]
        masks = [o["masks"] for o in objects]
        targets = mask_targets(masks, boxes, matched, self.config.mask_size)
        loss = mask_loss(scores.mask_logits[is_positive], labels[is_positive], targets)
        losses |= Losses({"loss_mask": loss}, len(targets))
        return losses

    def add_refined(self, maps: Tensor, boxes: list[Tensor], batch: Batch) -> list[Tensor]:
        """RoIs [2R, 4] of each image: the boxes [R, 4], then the same, refined by their deltas."""
        c = self.config
        delta_maps = maps[:, -4 * c.n_bins**2 :]
        deltas = assemble(delta_maps, boxes, c.n_bins, c.mask_size, self.strides[0])
        deltas = deltas.mean(dim=(2, 3)).split([len(b) for b in boxes])
        rois = []
        for image_boxes, image_deltas, size in zip(boxes, deltas, batch.sizes, strict=True):
            refined = clip_boxes(decode_boxes(image_deltas, image_boxes, BOX_SCALE), size)
            rois.append(torch.cat((image_boxes, refined)))
        return rois

    def select(self, scores: RoIScores, rois: list[Tensor], batch: Batch) -> list[SelectedBoxes]:
        """The best RoIs of each image after NMS; their boxes are not refined again."""
        c = self.config
        logits = list(scores.class_logits.split([len(r) for r in rois]))
        no_deltas = [rows.new_zeros(*rows.shape, 4) for rows in logits]
        return select_detections(
            logits, no_deltas, rois, batch.sizes,
            score_threshold=c.score_threshold, nms_iou=c.nms_iou, max_detections=c.max_detections,
        )  # fmt: skip

    def masks(
        self, scores: RoIScores, rois: list[Tensor], selected: list[SelectedBoxes]
    ) -> list[Tensor]:
        """Mask probabilities [D, m, m] of the selected boxes of each image.

        They are merged from the RoIs' masks (section 2.3), and scaled so that `merge_threshold`
        becomes 0.5, the threshold at which masks are pasted.
        """
        c, n = self.config, [len(r) for r in rois]
        class_scores = scores.class_logits.softmax(dim=1).split(n)
        probs = scores.mask_logits.sigmoid().split(n)
        masks = []
        for s, boxes, *votes in zip(selected, rois, class_scores, probs, strict=True):
            merged = merge_masks(s.boxes, s.labels, boxes, *votes, min_iou=c.merge_iou)
            masks.append((merged * 0.5 / c.merge_threshold).clamp(max=1))
        return masks
