"""Fast R-CNN: one pass over the image, and every proposal reads its features (Girshick 2015).

    images -> backbone, neck; selective search -> pool -> box head
    forward(images, targets) -> class loss and box loss of a training step
    detect(images)           -> what is in each image

It is Mask R-CNN without what came after it: the boxes are given, so there is no RPN, and no mask.
Letters: B images, R RoIs, C channels, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mrcnn_edu.ancestors.proposals import given_or_found, given_proposals
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.images import Batch, scale_boxes
from mrcnn_edu.losses import at_least_one, box_loss
from mrcnn_edu.model import MaskRCNN, evaluating
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.rpn import Proposals
from mrcnn_edu.targets import RoITargets


@dataclass
class FastTrace:
    """Everything `detect` computes on the way, in order. Lists have one entry for each image."""

    batch: Batch
    proposals: list[Proposals]  # in pixels of the network's input
    features: list[Tensor]  # [B, C, H, W] each
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]
    detections: list[Detections]


class FastRCNN(MaskRCNN):
    """Fast R-CNN: `forward` gives the two losses, `detect` detections, in any mode.

    Images and targets as for `model.MaskRCNN`; targets have "proposals" [R, 4] beside their boxes
    and labels, in pixels of the image. The paper's settings are `FastRCNN.paper`.
    """

    background_iou = 0.1  # a RoI that touches the objects less is not trained on (section 2.3)

    @staticmethod
    def paper(config: Config) -> Config:
        """The config with Fast R-CNN's settings (section 2).

        One map, the last and coarsest; RoIPool; two fully connected layers; 64 RoIs an image.
        """
        return replace(config, mask_head=None, neck="c5", roi_op="pool", roi_batch=64)

    def __init__(self, config: Config):
        if config.mask_head is not None:
            raise ValueError(f"mask_head is {config.mask_head!r}, but Fast R-CNN has none: None")
        super().__init__(config)
        del self.rpn_head

    def forward(
        self,
        images: list[Tensor],
        targets: list[dict[str, Tensor]],
        generator: torch.Generator | list[torch.Generator] | None = None,
        divide_by: Callable[[int], Tensor | int] = at_least_one,
    ) -> dict[str, Tensor]:
        """The class loss and the box loss, scalars: L of equation 1.

        The arguments, and what they raise, are those of `MaskRCNN.forward`.
        """
        batch = self.preprocess(images, targets)
        objects = self.scale_targets(targets, batch)
        proposals = self.propose(images, batch, given_proposals(targets))
        rois = self.roi_targets(proposals, objects, generator)
        table = feature_table(self.features(batch)[: len(self.strides)])
        roi_features = self.pool(table, [r.boxes for r in rois], self.config.box_pool)
        labels, deltas = torch.cat([r.labels for r in rois]), torch.cat([r.deltas for r in rois])
        said = self.box_head(roi_features)
        loss_class, loss_box = box_loss(*said, labels, deltas, divide_by)
        return {"loss_classifier": loss_class, "loss_box_reg": loss_box}

    @torch.inference_mode()
    def detect(
        self, images: list[Tensor], proposals: list[Tensor] | None = None
    ) -> list[Detections]:
        """What is in each image, in pixels of the images as given, best score first; no masks.

        proposals: boxes [R, 4] of each image, in its pixels; None finds them by selective search.
        """
        return self.trace(images, proposals).detections

    @torch.no_grad()
    def trace(self, images: list[Tensor], proposals: list[Tensor] | None = None) -> FastTrace:
        """`detect`, stage by stage, with everything that is computed on the way."""
        with evaluating(self):
            batch = self.preprocess(images)
            proposals = self.propose(images, batch, proposals)
            features = self.features(batch)
            table = feature_table(features[: len(self.strides)])
            roi_features = self.pool(table, [p.boxes for p in proposals], self.config.box_pool)
            class_logits, box_deltas = self.box_head(roi_features)
            selected = self.select(class_logits, box_deltas, proposals, batch)
            detections = self.paste(None, selected, batch)
        return FastTrace(
            batch, proposals, features, roi_features, class_logits, box_deltas, selected, detections
        )

    def propose(self, images, batch: Batch, proposals=None) -> list[Proposals]:
        """The proposals of each image: those given, or else selective search's best."""
        found = given_or_found(images, proposals, self.config.test_proposals, batch.images)
        scaled = scale_boxes(found, batch)
        # Selective search knows an order, but no scores; and what is not learned has no candidates.
        return [Proposals(boxes, *[boxes.new_zeros(0)] * 4) for boxes in scaled]

    def roi_targets(self, proposals, objects, generator=None) -> list[RoITargets]:
        """The sampled RoIs of each image, and the heads' answers for them.

        Background are RoIs with an IoU of [0.1, 0.5) with an object: near misses are the hard ones
        (section 2.3). In an image without objects every RoI is background.
        """
        near = []
        for p, o in zip(proposals, objects, strict=True):
            best = box_iou(p.boxes, o["boxes"])
            keep = (best >= self.background_iou).any(dim=1) | (len(o["boxes"]) == 0)
            near.append(p._replace(boxes=p.boxes[keep]))
        return super().roi_targets(near, objects, generator)
