"""Mask R-CNN, put together: the three things it does with images.

    images -> preprocess -> backbone -> FPN -> RPN head + anchors -> propose
    forward(images, targets) -> the five losses of a training step; a sixth with keypoints
    detect(images)           -> the objects in each image
    trace(images)            -> the same, with every intermediate result

Letters: B images, C channels, A anchors, R RoIs, D detections, K classes, m x m mask.
"""

from functools import partial

import torch
from torch import Generator, Tensor, nn

from mrcnn_edu import detections, keypoint_branch, refusals, validate
from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.backbone_choices import build_trunk
from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.eval_mode import all_finite, evaluates
from mrcnn_edu.head_choices import build_box_head, build_keypoint_head, build_mask_head
from mrcnn_edu.images import Batch, make_batch, scale_targets, size_of
from mrcnn_edu.losses import Losses, box_loss, mask_loss, rpn_loss
from mrcnn_edu.roi_ops import ON_TABLES, FeatureTable, feature_table, pool_pyramid
from mrcnn_edu.rpn import Proposals, RPNHead, propose
from mrcnn_edu.targets import RoITargets, mask_targets, roi_targets, rpn_targets
from mrcnn_edu.trace import Trace, predict_on_boxes


class MaskRCNN(nn.Module):
    """Mask R-CNN (He et al. 2017): `forward` returns losses, `detect` detections, in any mode.

    images: a list of float tensors [C, H, W] in 0..1, of any sizes. targets: for each image a
    dict(boxes [M, 4], labels [M] in 1..K, masks [M, H, W], keypoints [M, J, 3] if the model has
    them); objects marked `iscrowd` are left out. The layers are `backbone`, `neck`, `rpn_head`,
    `box_head`, `mask_head` and `keypoint_head`. Each can be compiled (`model.backbone.compile()`);
    the first three in a row, an nn.Sequential, can be exported.
    """

    classes: list[str]  # the names of labels 1..K
    predict_on_boxes = predict_on_boxes  # (image, boxes [R, 4]) -> logits, without RPN and NMS
    add_keypoints, keypoint_losses, trace_keypoints, keypoints_on_boxes = keypoint_branch.STAGES

    def __init__(self, config: Config):
        super().__init__()
        self.config, trunk = config, build_trunk(config)
        self.classes = [f"class {label}" for label in range(1, config.n_classes + 1)]
        self.backbone, self.neck, self.last_stage = trunk.backbone, trunk.neck, trunk.last_stage
        self.strides, self.anchor_sizes = trunk.strides, trunk.anchor_sizes
        n_anchors = len(config.anchor_ratios) * len(trunk.anchor_sizes[0])
        self.rpn_head = RPNHead(trunk.channels, n_anchors, config.rpn_convs)
        self.box_head = build_box_head(config, trunk.roi_channels)
        self.mask_head = build_mask_head(config, trunk.roi_channels)
        self.keypoint_head = build_keypoint_head(config, trunk.roi_channels)

    def forward(
        self, images: list[Tensor], targets: list[dict], generators: list[Generator] | None = None
    ) -> Losses:
        """The five losses, scalars under torchvision's names; L is their sum (section 3).

        Without a mask head there is no loss_mask, and targets need no masks; with a keypoint head
        there is loss_keypoint, and they need keypoints. generators: one for each image (or the same
        one several times), to sample anchors and RoIs with. Raises TypeError or ValueError, naming
        the image, for what cannot be learned.
        """
        batch = self.preprocess(images, targets)
        generators = validate.check_generators(generators, len(images))
        objects = self.scale_targets(targets, batch)
        features = self.features(batch)
        anchors = self.anchors(features, batch)
        objectness, rpn_deltas = self.rpn_head(features)
        losses = self.rpn_losses(objectness, rpn_deltas, anchors, objects, generators)

        proposals = self.propose(objectness, rpn_deltas, anchors, batch, training=True)
        rois = self.sample_rois(proposals, objects, generators)
        table = feature_table(features[: len(self.strides)])
        losses |= self.box_losses(table, rois)
        if self.mask_head is not None:
            losses |= self.mask_losses(table, rois, objects)
        if self.keypoint_head is not None:
            losses |= self.keypoint_losses(table, rois, objects)
        return losses

    def detect(self, images: list[Tensor]) -> list[Detections]:
        """The objects in each image, in pixels of the images as given, best score first."""
        return self.trace(images).detections

    @evaluates
    def trace(self, images: list[Tensor]) -> Trace:
        """`detect`, stage by stage, with every intermediate result."""
        batch = self.preprocess(images)
        features = self.features(batch)
        anchors = self.anchors(features, batch)
        objectness, rpn_deltas = self.rpn_head(features)
        proposals = self.propose(objectness, rpn_deltas, anchors, batch)
        table = feature_table(features[: len(self.strides)])
        roi_features = self.pool(table, [p.boxes for p in proposals], self.config.box_pool_size)
        class_logits, box_deltas = self.box_head(roi_features)
        finite = all_finite(self, objectness, rpn_deltas, class_logits, box_deltas)
        selected = self.select(class_logits, box_deltas, proposals, batch)
        if not finite:  # a NaN is no detection, and nobody would notice
            raise refusals.not_finite(self)
        mask_features = mask_logits = None
        if self.mask_head is not None:
            boxes = [s.boxes for s in selected]
            mask_features = self.pool(table, boxes, self.config.mask_size // 2)
            mask_logits = self.mask_head(mask_features)
        found = self.paste(mask_logits, selected, batch)
        trace = Trace(
            batch, features, anchors, objectness, rpn_deltas, proposals, roi_features,
            class_logits, box_deltas, selected, mask_features, mask_logits, found,
        )  # fmt: skip
        return trace if self.keypoint_head is None else self.trace_keypoints(table, trace)

    # The stages. Each can be called by itself; none of them depends on the mode.

    def preprocess(self, images: list[Tensor], targets: list[dict] | None = None) -> Batch:
        """The batch the network sees: images checked, normalized, resized and padded.

        An image is resized to its target's `short_side`, if it has one, or else to the config's.
        """
        c, weight = self.config, next(self.parameters())
        validate.check_images(images, c.in_channels)
        short_sides = [c.short_side] * len(images)
        if targets is not None:
            validate.check_list(targets, "targets", dict, "dictionaries", len(images))
            short_sides = [target.get("short_side", c.short_side) for target in targets]
        return make_batch(
            images, c.pixel_mean, c.pixel_std, short_sides, c.long_side,
            multiple=self.backbone.strides[-1], device=weight.device, dtype=weight.dtype,
        )  # fmt: skip

    def scale_targets(self, targets: list[dict], batch: Batch) -> list[dict]:
        """Each image's boxes, labels, masks and keypoints, checked, in pixels of the batch."""
        sizes, with_masks = batch.original_sizes, self.mask_head is not None
        checked = validate.check_targets(targets, sizes, self.config.n_classes, with_masks)
        objects = scale_targets(checked, batch, with_masks)
        return self.add_keypoints(objects, checked, batch) if self.keypoint_head else objects

    def features(self, batch: Batch) -> list[Tensor]:
        """The feature maps [B, C, H, W] of the neck. The pyramid's last is for the RPN alone."""
        images = batch.images
        if not torch.is_grad_enabled():  # convolutions are a quarter faster then, gradients not
            images = images.contiguous(memory_format=torch.channels_last)
        return self.neck(self.backbone(images))

    def anchors(self, features: list[Tensor], batch: Batch) -> list[Tensor]:
        """Anchors [A_level, 4] of each level, the same for all images of the batch."""
        grids, padded = [size_of(level) for level in features], size_of(batch.images)
        ratios, device = self.config.anchor_ratios, batch.images.device
        return pyramid_anchors(grids, padded, self.anchor_sizes, ratios, device)

    def rpn_losses(self, objectness, deltas, anchors, objects, generators=None) -> Losses:
        """The RPN's two losses, on anchors sampled in each image."""
        c = self.config
        targets = rpn_targets(
            torch.cat(anchors), [o["boxes"] for o in objects], generators=generators,
            positive_iou=c.rpn_positive_iou, negative_iou=c.rpn_negative_iou,
            batch_size=c.rpn_batch_per_image, positive_fraction=c.rpn_positive_fraction,
        )  # fmt: skip
        labels = torch.cat([t.labels for t in targets])
        target_deltas = torch.cat([t.deltas for t in targets])
        logits = torch.cat([row[t.anchors] for row, t in zip(objectness, targets, strict=True)])
        deltas = torch.cat([row[t.positives] for row, t in zip(deltas, targets, strict=True)])
        loss_object, loss_box = rpn_loss(logits, deltas, labels, target_deltas)
        return Losses({"loss_objectness": loss_object, "loss_rpn_box_reg": loss_box}, len(labels))

    def propose(self, objectness, deltas, anchors, batch, training=False) -> list[Proposals]:
        """The best boxes of each image, without near-duplicates; no gradient passes."""
        c = self.config
        top_n = c.rpn_pre_nms_top_n_test, c.rpn_post_nms_top_n_test  # before and after NMS
        if training:
            top_n = c.rpn_pre_nms_top_n_train, c.rpn_post_nms_top_n_train
        objectness, deltas = objectness.detach(), deltas.detach()
        return propose(objectness, deltas, anchors, batch.sizes, *top_n, nms_iou=c.rpn_nms_iou)

    def sample_rois(self, proposals, objects, generators=None) -> list[RoITargets]:
        """The RoIs of each image that the heads are trained on, and their targets."""
        c = self.config
        boxes, labels = [o["boxes"] for o in objects], [o["labels"] for o in objects]
        return roi_targets(
            [p.boxes for p in proposals], boxes, labels, generators=generators,
            positive_iou=c.roi_positive_iou, batch_size=c.roi_batch_per_image,
            positive_fraction=c.roi_positive_fraction,
        )  # fmt: skip

    def pool(self, table: FeatureTable, boxes: list[Tensor], output_size: int) -> Tensor:
        """Features [R, C, P, P] of the boxes [R_i, 4] of all images, each read from its level.

        With the neck c4, each RoI then passes the backbone's last stage.
        """
        c, roi_op = self.config, ON_TABLES[self.config.roi_op]
        if c.roi_op != "pool":
            roi_op = partial(roi_op, sampling_ratio=c.sampling_ratio, reduce=c.roi_aggregate)
        pooled = pool_pyramid(table, boxes, self.strides, output_size, roi_op, c.canonical_size)
        return self.last_stage(pooled)

    def box_losses(self, table: FeatureTable, rois: list[RoITargets]) -> Losses:
        """The class loss and the box loss of the RoIs: L_cls and L_box."""
        features = self.pool(table, [r.boxes for r in rois], self.config.box_pool_size)
        class_logits, box_deltas = self.box_head(features)
        labels, deltas = torch.cat([r.labels for r in rois]), torch.cat([r.deltas for r in rois])
        loss_class, loss_box = box_loss(class_logits, box_deltas, labels, deltas)
        return Losses({"loss_classifier": loss_class, "loss_box_reg": loss_box}, len(labels))

    def mask_losses(self, table: FeatureTable, rois: list[RoITargets], objects: list) -> Losses:
        """The mask loss of the positive RoIs: L_mask."""
        c, rois = self.config, [r.positive() for r in rois]
        boxes, labels = [r.boxes for r in rois], torch.cat([r.labels for r in rois])
        assert self.mask_head is not None
        mask_logits = self.mask_head(self.pool(table, boxes, c.mask_size // 2))
        masks, matched = [o["masks"] for o in objects], [r.objects for r in rois]
        targets = mask_targets(masks, boxes, matched, c.mask_size)
        loss = mask_loss(mask_logits, self.mask_channels(labels), targets, c.mask_loss)
        return Losses({"loss_mask": loss}, len(labels))

    def select(self, class_logits, box_deltas, proposals, batch) -> list[SelectedBoxes]:
        """The best boxes of each image, before their masks are predicted."""
        c, boxes = self.config, [p.boxes for p in proposals]
        n = [len(b) for b in boxes]
        return detections.select_detections(
            class_logits.split(n), box_deltas.split(n), boxes, batch.sizes,
            score_threshold=c.score_threshold, nms_iou=c.nms_iou, max_detections=c.max_detections,
        )  # fmt: skip

    def mask_channels(self, labels: Tensor) -> Tensor:
        """The channel of the mask logits for each label: the class's own, or the only one."""
        return labels.clamp(max=1) if self.config.class_agnostic_mask else labels

    def paste(self, mask_logits, selected: list[SelectedBoxes], batch: Batch) -> list[Detections]:
        """Each image's detections in its own pixels, with the predicted class's mask pasted in."""
        c, probs, labels = self.config, [None] * len(selected), [s.labels for s in selected]
        if mask_logits is not None:
            channels = self.mask_channels(torch.cat(labels))
            masks = detections.predicted_masks(mask_logits, channels, c.mask_loss, c.mask_decoding)
            probs = masks.split([len(image_labels) for image_labels in labels])
        images = zip(selected, probs, batch.sizes, batch.original_sizes, strict=True)
        return [detections.rescale_detections(*image) for image in images]
