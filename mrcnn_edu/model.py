"""Mask R-CNN, put together: the three things it does with images.

    images -> preprocess -> backbone -> FPN -> RPN head + anchors -> propose
    forward(images, targets) -> the five losses of a training step
    detect(images)           -> what is in each image
    trace(images)            -> the same, with every intermediate on the way

Letters: B images, C channels, A anchors, R RoIs, D detections, K classes, m side of a mask.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.backbone import BACKBONES, FPN, NORMS, LastMap
from mrcnn_edu.config import Config
from mrcnn_edu.detections import (
    Detections,
    SelectedBoxes,
    predicted_masks,
    select_detections,
    to_original,
)
from mrcnn_edu.heads import AveragedBoxHead, BoxHead, MaskHeadFCN, MaskHeadMLP
from mrcnn_edu.images import (
    Batch,
    check_images,
    check_targets,
    make_batch,
    scale_boxes,
    scale_targets,
)
from mrcnn_edu.losses import at_least_one, box_loss, mask_loss, rpn_loss
from mrcnn_edu.roi_ops import FeatureTable, feature_table, pool_pyramid
from mrcnn_edu.rpn import Proposals, RPNHead, propose, without_zeros
from mrcnn_edu.targets import RoITargets, RPNTargets, mask_targets, roi_targets, rpn_targets


@dataclass
class Trace:
    """Everything `detect` computes on the way, in order. Lists have one entry for each image."""

    batch: Batch
    features: list[Tensor]  # P2, P3, ..., or the one map of c4 or c5: [B, C, H, W] each
    anchors: list[Tensor]  # of each level [A_level, 4]
    objectness: Tensor  # [B, A] logits
    rpn_deltas: Tensor  # [B, A, 4]
    proposals: list[Proposals]  # before NMS (candidates) and after it (boxes)
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images, as the heads read them
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]  # over the threshold, NMS within each class, the best 100
    mask_features: Tensor | None  # [D, C, 14, 14] of the selected boxes of all images
    mask_logits: Tensor | None  # [D, K + 1, m, m]: a mask for every class
    detections: list[Detections]


class MaskRCNN(nn.Module):
    """Mask R-CNN (He et al. 2017): `forward` gives losses, `detect` detections, in any mode.

    images: a list of float tensors [C, H, W] in 0..1, of any sizes. targets: for each image a
    dict(boxes [M, 4], labels [M] in 1..K, masks [M, H, W]); objects marked `iscrowd` are left out.
    The layers are `backbone`, `neck`, `rpn_head`, `box_head` and `mask_head`. Each can be compiled
    (`model.backbone.compile()`); the first three in a row, an nn.Sequential, can be exported.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = c = config
        self.backbone = _choose("backbone", c.backbone, BACKBONES)(
            c.in_channels, _choose("norm", c.norm, NORMS)
        )
        head_norm = c.head_norm and _choose("head_norm", c.head_norm, NORMS)
        n_stages = len(self.backbone.strides)
        _check(c, n_levels=n_stages + 1)
        self.last_stage = nn.Identity()  # of the backbone, where each region passes it by itself
        if _choose("neck", c.neck, {"fpn": True, "c4": False, "c5": False}):
            self.neck = FPN(self.backbone.channels, c.fpn_channels, head_norm)
            self.strides = self.backbone.strides  # of the maps that regions are read from
            self.anchor_sizes = c.anchor_sizes
            channels = roi_channels = c.fpn_channels
        else:
            roi_channels = self.backbone.channels[-1]
            if c.neck == "c4":
                self.last_stage = self.backbone.take_last_stage()
            self.neck = LastMap()
            self.strides = self.backbone.strides[-1:]
            self.anchor_sizes = (tuple(size for level in c.anchor_sizes for size in level),)
            channels = self.backbone.channels[-1]

        n_anchors = len(c.anchor_ratios) * len(self.anchor_sizes[0])
        self.rpn_head = RPNHead(channels, n_anchors, c.rpn_convs)
        if c.neck == "c4":
            self.box_head = AveragedBoxHead(roi_channels, c.n_classes)
        else:
            self.box_head = BoxHead(
                roi_channels, c.box_pool, c.box_convs, c.box_layers, c.box_hidden, c.n_classes,
                head_norm,
            )  # fmt: skip
        n_masks = 1 if c.class_agnostic_mask else c.n_classes
        mask_heads = {
            "fcn": lambda: MaskHeadFCN(
                roi_channels, c.mask_channels, c.mask_convs, n_masks, head_norm
            ),
            "mlp": lambda: MaskHeadMLP(
                roi_channels, c.mask_size // 2, c.mask_hidden, c.mask_layers, n_masks
            ),
        }
        self.mask_head = None
        if c.mask_head is not None:
            self.mask_head = _choose("mask_head", c.mask_head, mask_heads)()

    def forward(
        self,
        images: list[Tensor],
        targets: list[dict[str, Tensor]],
        generator: torch.Generator | list[torch.Generator] | None = None,
        divide_by: Callable[[int], Tensor | int] = at_least_one,
    ) -> dict[str, Tensor]:
        """The five losses, scalars under torchvision's names; L is their sum (section 3).

        Without a mask head there is no loss_mask, and targets need no masks.

        The generator, or one for each image, draws which anchors and RoIs are used. divide_by: what
        a loss is divided by, given its rows. Raises TypeError or ValueError, naming the image, for
        what cannot be learned from.
        """
        c = self.config
        batch = self.preprocess(images, targets)
        objects = self.scale_targets(targets, batch)
        features = self.features(batch)
        anchors = self.anchors(features, batch)

        objectness, rpn_deltas = self.rpn_head(features)
        answers = self.rpn_targets(anchors, objects, generator)
        loss_objectness, loss_rpn_box = self.rpn_losses(objectness, rpn_deltas, answers, divide_by)

        numbers = c.train_candidates, c.train_proposals
        proposals = self.propose(objectness.detach(), rpn_deltas.detach(), anchors, batch, *numbers)
        rois = self.roi_targets(proposals, objects, generator)
        table = feature_table(features[: len(self.strides)])
        roi_features = self.pool(table, [r.boxes for r in rois], c.box_pool)
        labels, deltas = torch.cat([r.labels for r in rois]), torch.cat([r.deltas for r in rois])
        said = self.box_head(roi_features)
        loss_class, loss_box = box_loss(*said, labels, deltas, divide_by)
        losses = {
            "loss_objectness": loss_objectness,
            "loss_rpn_box_reg": loss_rpn_box,
            "loss_classifier": loss_class,
            "loss_box_reg": loss_box,
        }

        if self.mask_head is not None:
            rois = [r.positive() for r in rois]
            boxes, matched = [r.boxes for r in rois], [r.objects for r in rois]
            labels = torch.cat([r.labels for r in rois])
            mask_logits = self.mask_head(self.pool(table, boxes, c.mask_size // 2))
            masks = mask_targets([o["masks"] for o in objects], boxes, matched, c.mask_size)
            channels = self.mask_channels(labels)
            losses["loss_mask"] = mask_loss(mask_logits, channels, masks, c.mask_loss, divide_by)
        return losses

    @torch.inference_mode()
    def detect(self, images: list[Tensor]) -> list[Detections]:
        """What is in each image, in pixels of the images as given, best score first."""
        return self.trace(images).detections

    @torch.no_grad()
    def trace(self, images: list[Tensor]) -> Trace:
        """`detect`, stage by stage, with everything that is computed on the way."""
        c = self.config
        with evaluating(self):
            batch = self.preprocess(images)
            features = self.features(batch)
            anchors = self.anchors(features, batch)
            objectness, rpn_deltas = self.rpn_head(features)
            numbers = c.test_candidates, c.test_proposals
            proposals = self.propose(objectness, rpn_deltas, anchors, batch, *numbers)
            proposals = without_zeros(proposals)
            table = feature_table(features[: len(self.strides)])
            roi_features = self.pool(table, [p.boxes for p in proposals], c.box_pool)
            class_logits, box_deltas = self.box_head(roi_features)
            selected = self.select(class_logits, box_deltas, proposals, batch)
            mask_features = mask_logits = None
            if self.mask_head is not None:
                mask_features = self.pool(table, [s.boxes for s in selected], c.mask_size // 2)
                mask_logits = self.mask_head(mask_features)
            detections = self.paste(mask_logits, selected, batch)
        return Trace(
            batch, features, anchors, objectness, rpn_deltas, proposals, roi_features,
            class_logits, box_deltas, selected, mask_features, mask_logits, detections,
        )  # fmt: skip

    @torch.no_grad()
    def look_at(self, image: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the heads say of given boxes [R, 4] of an image: no proposals, no NMS.

        Class logits [R, K + 1], and mask logits [R, K + 1, m, m] (None without a mask head). Boxes
        are in pixels of the image, and are not refined before their masks are read.
        """
        c = self.config
        with evaluating(self):
            batch = self.preprocess([image])
            boxes = scale_boxes([boxes], batch)
            table = feature_table(self.features(batch)[: len(self.strides)])
            class_logits, _ = self.box_head(self.pool(table, boxes, c.box_pool))
            mask_logits = None
            if self.mask_head is not None:
                mask_logits = self.mask_head(self.pool(table, boxes, c.mask_size // 2))
        return class_logits, mask_logits

    # The stages. Each can be called by itself; none of them depends on the mode.

    def preprocess(self, images: list[Tensor], targets: Sequence[dict] = ()) -> Batch:
        """The batch the network sees: images checked, normalised, scaled and padded.

        An image is scaled to its target's short_side, if it has one, or else to the config's.
        """
        c = self.config
        check_images(images, c.in_channels)
        weight = next(self.parameters())
        multiple = self.backbone.strides[-1]
        short_sides = [c.short_side] * len(images)
        for i, target in enumerate(targets[: len(images)]):  # counted where they are checked
            short_sides[i] = target.get("short_side", c.short_side)
        return make_batch(
            images, c.pixel_mean, c.pixel_std, short_sides, c.long_side, multiple,
            weight.device, weight.dtype,
        )  # fmt: skip

    def scale_targets(self, targets: list[dict], batch: Batch) -> list[dict]:
        """Boxes, labels and masks of each image, checked, in the batch's pixels."""
        with_masks = self.mask_head is not None
        check_targets(targets, batch.original_sizes, self.config.n_classes, with_masks)
        return scale_targets(targets, batch, with_masks)

    def features(self, batch: Batch) -> list[Tensor]:
        """The maps [B, C, H, W] of the neck. The pyramid's last is for the RPN alone."""
        images = batch.images
        if not torch.is_grad_enabled():
            # Pixel by pixel, all channels together, convolutions are a quarter faster; their
            # gradients on a CPU are not.
            images = images.contiguous(memory_format=torch.channels_last)
        return self.neck(self.backbone(images))

    def anchors(self, features: list[Tensor], batch: Batch) -> list[Tensor]:
        """Anchors [A_level, 4] of each level, the same for all images of the batch."""
        grids = [tuple(level.shape[-2:]) for level in features]
        padded = tuple(batch.images.shape[-2:])
        c = self.config
        device = batch.images.device
        return pyramid_anchors(grids, padded, self.anchor_sizes, c.anchor_ratios, device)

    def rpn_targets(self, anchors, objects, generator=None) -> list[RPNTargets]:
        """The sampled anchors of each image, and the RPN's answers for them."""
        c = self.config
        numbers = c.rpn_positive_iou, c.rpn_negative_iou, c.rpn_batch, c.rpn_positive_fraction
        boxes = [o["boxes"] for o in objects]
        return rpn_targets(torch.cat(anchors), boxes, *numbers, generator)

    def rpn_losses(
        self, objectness, deltas, answers: list[RPNTargets], divide_by: Callable = at_least_one
    ) -> tuple[Tensor, Tensor]:
        """The loss of the sampled anchors' objectness, and that of the positives' deltas."""
        return rpn_loss(
            torch.cat([row[a.anchors] for row, a in zip(objectness, answers, strict=True)]),
            torch.cat([row[a.positives] for row, a in zip(deltas, answers, strict=True)]),
            torch.cat([a.labels for a in answers]),
            torch.cat([a.deltas for a in answers]),
            divide_by,
        )

    def propose(
        self, objectness, deltas, anchors, batch, n_candidates, n_proposals
    ) -> list[Proposals]:
        """The best boxes of each image, without near-duplicates; zeros where there are fewer."""
        numbers = n_candidates, n_proposals, self.config.rpn_nms_iou
        return propose(objectness, deltas, anchors, batch.sizes, *numbers)

    def roi_targets(self, proposals, objects, generator=None) -> list[RoITargets]:
        """The sampled RoIs of each image, and the heads' answers for them."""
        c = self.config
        numbers = c.roi_positive_iou, c.roi_batch, c.roi_positive_fraction
        boxes, labels = [o["boxes"] for o in objects], [o["labels"] for o in objects]
        rois = [p.boxes for p in proposals]
        return roi_targets(rois, boxes, labels, *numbers, generator)

    def pool(self, table: FeatureTable, boxes: list[Tensor], output_size: int) -> Tensor:
        """Features [R, C, P, P] of the boxes [R_i, 4] of all images, each read from its level.

        With the neck c4 they have passed the backbone's last stage, too.
        """
        c = self.config
        pooled = pool_pyramid(
            table, boxes, self.strides, output_size, c.roi_op, c.sampling_ratio, c.canonical_size,
            c.roi_reduce,
        )  # fmt: skip
        return self.last_stage(pooled)

    def select(self, class_logits, box_deltas, proposals, batch) -> list[SelectedBoxes]:
        """The best boxes of each image, still without masks."""
        c = self.config
        boxes = [p.boxes for p in proposals]
        n = [len(of_image) for of_image in boxes]
        numbers = c.score_threshold, c.nms_iou, c.max_detections
        of_images = class_logits.split(n), box_deltas.split(n), boxes, batch.sizes
        return select_detections(*of_images, *numbers)

    def mask_channels(self, labels: Tensor) -> Tensor:
        """The channel of the mask logits that belongs to each label: its own, or the only one."""
        return labels.clamp(max=1) if self.config.class_agnostic_mask else labels

    def paste(self, mask_logits, selected: list[SelectedBoxes], batch: Batch) -> list[Detections]:
        """Each image's detections in its own pixels, with the predicted class's mask pasted in."""
        probs = [None] * len(selected)
        if mask_logits is not None:
            channels = self.mask_channels(torch.cat([s.labels for s in selected]))
            c = self.config
            of_all = predicted_masks(mask_logits, channels, c.mask_loss, c.mask_reading)
            probs = of_all.split([len(s.labels) for s in selected])
        images = zip(selected, probs, batch.sizes, batch.original_sizes, strict=True)
        return [to_original(s, p, size, original) for s, p, size, original in images]


def _choose(name: str, value: str, choices: dict):
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}")
    return choices[value]


def _check(c: Config, n_levels: int) -> None:
    """Raises ValueError, with both numbers, where two settings do not fit together."""
    if not len(c.pixel_mean) == len(c.pixel_std) == c.in_channels:
        raise ValueError(
            f"in_channels is {c.in_channels}, but pixel_mean has {len(c.pixel_mean)} numbers and "
            f"pixel_std {len(c.pixel_std)}: give one for each channel"
        )
    for name in ("short_side", "long_side", "box_pool", "mask_size"):
        if getattr(c, name) < 1:
            raise ValueError(f"{name} is {getattr(c, name)}: give 1 or more")
    if len(c.anchor_sizes) != n_levels or len({len(sizes) for sizes in c.anchor_sizes}) != 1:
        raise ValueError(
            f"anchor_sizes is {c.anchor_sizes}, but backbone {c.backbone!r} has {n_levels} levels: "
            "give one tuple for each, all of the same length"
        )
    _choose("mask_loss", c.mask_loss, {"sigmoid": 0, "softmax": 0})
    _choose("mask_reading", c.mask_reading, {"probability": 0, "strongest": 0, "background": 0})
    if c.mask_size % 2:
        raise ValueError(f"mask_size is {c.mask_size}: give an even number, twice the features'")


@contextmanager
def evaluating(model: nn.Module):
    """Batch norm uses its running statistics inside, whatever the mode outside."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
