"""Fast R-CNN: one pass over the image, and every proposal reads its features (Girshick 2015).

    images -> backbone, neck; selective search -> pool -> box head
    forward(images, targets) -> class loss and box loss of a training step
    detect(images)           -> the objects in each image

It is Mask R-CNN without what came later: no RPN, as the proposals are given, and no masks.
Letters: B images, R RoIs, C channels, K classes.
"""

from dataclasses import dataclass, replace

from torch import Generator, Tensor, nn

from mrcnn_edu import refusals
from mrcnn_edu.ancestors.borrow import borrow_stage
from mrcnn_edu.ancestors.proposals import given_proposals, proposals_or_search, without_scores
from mrcnn_edu.ancestors.rcnn import RCNN
from mrcnn_edu.backbone_choices import build_trunk
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.eval_mode import all_finite, evaluates
from mrcnn_edu.head_choices import build_box_head
from mrcnn_edu.images import Batch, scale_boxes
from mrcnn_edu.losses import Losses
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.rpn import Proposals
from mrcnn_edu.validate import check_generators

BACKGROUND_IOU = 0.1  # RoIs with a smaller IoU are not trained on (section 2.3)


@dataclass
class FastTrace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    batch: Batch
    proposals: list[Proposals]  # in pixels of the network's input
    features: list[Tensor]  # [B, C, H, W] each
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]  # after the score threshold and NMS within each class
    detections: list[Detections]


class FastRCNN(nn.Module):
    """Fast R-CNN: `forward` returns the two losses, `detect` detections, in any mode.

    Images and targets as for `MaskRCNN`; each target also has "proposals" [R, 4], in pixels of the
    image. The paper's settings are `FastRCNN.paper`.
    """

    classes: list[str]  # the names of labels 1..K
    mask_head = keypoint_head = None  # so the borrowed stages neither need nor make masks

    detect = borrow_stage(RCNN.detect)  # (images, proposals=None): None runs selective search

    preprocess = borrow_stage(MaskRCNN.preprocess)
    scale_targets = borrow_stage(MaskRCNN.scale_targets)
    features = borrow_stage(MaskRCNN.features)
    sample_rois = borrow_stage(MaskRCNN.sample_rois)
    pool = borrow_stage(MaskRCNN.pool)
    box_losses = borrow_stage(MaskRCNN.box_losses)
    select = borrow_stage(MaskRCNN.select)
    paste = borrow_stage(MaskRCNN.paste)

    @staticmethod
    def paper(config: Config) -> Config:
        """The config with Fast R-CNN's settings (section 2).

        One map, the last and coarsest; RoIPool; 64 RoIs of each image; no masks, no keypoints.
        """
        return replace(
            config, mask_head=None, n_keypoints=0, neck="c5", roi_op="pool", roi_batch_per_image=64
        )

    def __init__(self, config: Config):
        super().__init__()
        if config.mask_head is not None:
            raise ValueError(
                f"mask_head is {config.mask_head!r}, but Fast R-CNN has none: give None"
            )
        if config.n_keypoints:
            raise ValueError(
                f"n_keypoints is {config.n_keypoints}, but Fast R-CNN has none: give 0"
            )
        self.config, trunk = config, build_trunk(config)
        self.classes = [f"class {label}" for label in range(1, config.n_classes + 1)]
        self.backbone, self.neck, self.last_stage = trunk.backbone, trunk.neck, trunk.last_stage
        self.strides = trunk.strides
        self.box_head = build_box_head(config, trunk.roi_channels)

    def forward(
        self, images: list[Tensor], targets: list[dict], generators: list[Generator] | None = None
    ) -> Losses:
        """The class loss and the box loss, scalars: L of equation 1.

        generators: one for each image, to sample RoIs with. Raises TypeError or ValueError, naming
        the image, for what cannot be learned.
        """
        batch = self.preprocess(images, targets)
        generators = check_generators(generators, len(images))
        objects = self.scale_targets(targets, batch)
        proposals = self.propose(images, batch, given_proposals(targets))
        near = self.near_objects(proposals, objects)
        rois = self.sample_rois(near, objects, generators)
        table = feature_table(self.features(batch)[: len(self.strides)])
        return self.box_losses(table, rois)

    @evaluates
    def trace(self, images: list[Tensor], proposals: list[Tensor] | None = None) -> FastTrace:
        """`detect`, stage by stage, with every intermediate result."""
        batch = self.preprocess(images)
        scaled = self.propose(images, batch, proposals)
        features = self.features(batch)
        table = feature_table(features[: len(self.strides)])
        roi_features = self.pool(table, [p.boxes for p in scaled], self.config.box_pool_size)
        class_logits, box_deltas = self.box_head(roi_features)
        finite = all_finite(self, *features, class_logits, box_deltas)
        selected = self.select(class_logits, box_deltas, scaled, batch)
        if not finite:
            raise refusals.not_finite(self)
        detections = self.paste(None, selected, batch)
        return FastTrace(
            batch, scaled, features, roi_features, class_logits, box_deltas, selected, detections
        )

    # The stages that differ from Mask R-CNN's.

    def propose(
        self, images: list[Tensor], batch: Batch, proposals: list[Tensor] | None = None
    ) -> list[Proposals]:
        """Each image's proposals, the given ones or selective search's, in pixels of the batch."""
        n = self.config.rpn_post_nms_top_n_test
        boxes = proposals_or_search(images, proposals, n, like=batch.images)
        sizes = zip(boxes, batch.original_sizes, batch.sizes, strict=True)
        return [without_scores(scale_boxes(b, original, size)) for b, original, size in sizes]

    def near_objects(self, proposals: list[Proposals], objects: list[dict]) -> list[Proposals]:
        """Each image's proposals that have an IoU of at least 0.1 with an object.

        So background RoIs have an IoU in [0.1, 0.5): near misses are the hard examples (section
        2.3). In an image without objects all proposals stay, as background.
        """
        near = []
        for p, o in zip(proposals, objects, strict=True):
            is_near = (box_iou(p.boxes, o["boxes"]) >= BACKGROUND_IOU).any(dim=1)
            near.append(p._replace(boxes=p.boxes[is_near | (len(o["boxes"]) == 0)]))
        return near
