"""Fast R-CNN: one pass over the image, and every proposal reads its features (Girshick 2015).

    images -> backbone, neck; selective search -> pool -> box head
    forward(images, targets) -> class loss and box loss of a training step
    detect(images)           -> what is in each image

It is Mask R-CNN without what came after it: the boxes are given, so there is no RPN, and no mask.
Letters: B images, R RoIs, C channels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn

from mrcnn_edu.ancestors.borrow import stage
from mrcnn_edu.ancestors.proposals import given_proposals, proposals_or_search
from mrcnn_edu.backbone_choices import build_trunk
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.head_choices import build_box_head
from mrcnn_edu.images import Batch, scale_boxes
from mrcnn_edu.losses import Losses
from mrcnn_edu.model import MaskRCNN, evaluating
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.rpn import Proposals
from mrcnn_edu.targets import RoITargets, roi_targets


@dataclass
class FastTrace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    batch: Batch
    proposals: list[Proposals]  # in pixels of the network's input
    features: list[Tensor]  # [B, C, H, W] each
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]
    detections: list[Detections]


class FastRCNN(nn.Module):
    """Fast R-CNN: `forward` returns the two losses, `detect` detections, in any mode.

    Images and targets as for `model.MaskRCNN`; each target also has "proposals" [R, 4], in pixels
    of the image. The paper's settings are `FastRCNN.paper`.
    """

    background_iou = 0.1  # RoIs with a smaller IoU are not trained on (section 2.3)
    mask_head = None

    # What Mask R-CNN does in the same way.
    preprocess = stage(MaskRCNN.preprocess)
    scale_targets = stage(MaskRCNN.scale_targets)
    features = stage(MaskRCNN.features)
    pool = stage(MaskRCNN.pool)
    box_losses = stage(MaskRCNN.box_losses)
    select = stage(MaskRCNN.select)
    paste = stage(MaskRCNN.paste)

    @staticmethod
    def paper(config: Config) -> Config:
        """The config with Fast R-CNN's settings (section 2).

        One map, the last and coarsest; RoIPool; two fully connected layers; 64 RoIs an image.
        """
        return replace(config, mask_head=None, neck="c5", roi_op="pool", roi_batch_per_image=64)

    def __init__(self, config: Config):
        super().__init__()
        if config.mask_head is not None:
            raise ValueError(f"mask_head is {config.mask_head!r}, but Fast R-CNN has none: None")
        self.config, trunk = config, build_trunk(config)
        self.backbone, self.neck, self.last_stage = trunk.backbone, trunk.neck, trunk.last_stage
        self.strides = trunk.strides
        self.box_head = build_box_head(config, trunk.roi_channels)

    def forward(
        self,
        images: list[Tensor],
        targets: list[dict[str, Tensor]],
        generators: Sequence[Generator] | None = None,
    ) -> Losses:
        """The class loss and the box loss, scalars: L of equation 1.

        The arguments, and the errors raised, are those of `MaskRCNN.forward`.
        """
        batch = self.preprocess(images, targets)
        objects = self.scale_targets(targets, batch)
        proposals = self.proposals(images, batch, given_proposals(targets))
        rois = self.sample_rois(proposals, objects, generators)
        table = feature_table(self.features(batch)[: len(self.strides)])
        return self.box_losses(table, rois)

    @torch.no_grad()
    def detect(
        self, images: list[Tensor], proposals: list[Tensor] | None = None
    ) -> list[Detections]:
        """The objects in each image, in pixels of the images as given, best score first; no masks.

        proposals: boxes [R, 4] of each image, in its pixels; None runs selective search.
        """
        return self.trace(images, proposals).detections

    @torch.no_grad()
    def trace(self, images: list[Tensor], proposals: list[Tensor] | None = None) -> FastTrace:
        """`detect`, stage by stage, with every intermediate result."""
        with evaluating(self):
            batch = self.preprocess(images)
            scaled = self.proposals(images, batch, proposals)
            features = self.features(batch)
            table = feature_table(features[: len(self.strides)])
            roi_features = self.pool(table, [p.boxes for p in scaled], self.config.box_pool_size)
            class_logits, box_deltas = self.box_head(roi_features)
            selected = self.select(class_logits, box_deltas, scaled, batch)
            detections = self.paste(None, selected, batch)
        return FastTrace(
            batch, scaled, features, roi_features, class_logits, box_deltas, selected, detections
        )

    # The stages that differ from Mask R-CNN's.

    def proposals(self, images, batch: Batch, proposals=None) -> list[Proposals]:
        """Each image's proposals, the given ones or selective search's, in pixels of the batch."""
        boxes = proposals_or_search(
            images, proposals, self.config.rpn_post_nms_top_n_test, batch.images
        )
        pairs = zip(boxes, batch.original_sizes, batch.sizes, strict=True)
        # Selective search ranks its boxes but has no scores; and there are no other candidates.
        none = batch.images.new_zeros(0)
        return [Proposals(scale_boxes(*pair), none, none, none, none) for pair in pairs]

    def sample_rois(self, proposals, objects, generators=None) -> list[RoITargets]:
        """The RoIs of each image that the head is trained on, and their targets.

        Background RoIs have an IoU in [0.1, 0.5) with an object: near misses are the hard ones
        (section 2.3). In an image without objects every RoI is background.
        """
        c, near = self.config, []
        for p, o in zip(proposals, objects, strict=True):
            iou = box_iou(p.boxes, o["boxes"])
            near.append(p.boxes[(iou >= self.background_iou).any(dim=1) | (len(o["boxes"]) == 0)])
        return roi_targets(
            near,
            [o["boxes"] for o in objects],
            [o["labels"] for o in objects],
            positive_iou=c.roi_positive_iou,
            batch_size=c.roi_batch_per_image,
            positive_fraction=c.roi_positive_fraction,
            generators=generators,
        )
