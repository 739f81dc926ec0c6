"""FCIS: instance segmentation without a head (Li, Qi, Dai, Ji and Wei 2017, arXiv 1611.07709).

    images -> preprocess -> backbone -> FPN -> RPN head + anchors -> propose      as in Mask R-CNN
    features -> maps                                                              once an image
    read(maps, boxes) -> class logits, mask logits, box deltas                    for each RoI

All layers with weights run once over the image. A RoI only looks numbers up: `read` has no weight.
Class and mask come from the same maps, two for each class: "inside" says that a pixel is in the
box and on its object, "outside" that it is in the box and beside it (section 3.2).

Letters: B images, R RoIs, D detections, K classes, k cells along a RoI's side, m side of a mask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrcnn_edu.ancestors.merging import merge_masks
from mrcnn_edu.ancestors.position_sensitive import assemble
from mrcnn_edu.backbone import Convolution
from mrcnn_edu.boxes import clip_boxes, decode_boxes
from mrcnn_edu.config import Config
from mrcnn_edu.detections import Detections, SelectedBoxes, select_detections, to_original
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.images import Batch, check_targets, scale_boxes, scale_targets
from mrcnn_edu.losses import at_least_one, box_loss, mask_loss
from mrcnn_edu.model import MaskRCNN, evaluating
from mrcnn_edu.rpn import Proposals, without_zeros
from mrcnn_edu.targets import mask_targets


@dataclass(frozen=True)
class FCISConfig(Config):
    """Every number of the model; those of Mask R-CNN's heads are not used, except mask_size."""

    neck: str = "c5"  # one map (the paper dilates the last stage, to stride 16); of fpn the finest
    n_cells: int = 7  # k, the paper's best
    score_channels: int = 1024  # of the convolution before the maps (section 3.3)
    score_kernel: int = 1  # its side
    nms_iou: float = 0.3  # section 3.3
    test_proposals: int = 300  # likewise
    merge_iou: float = 0.5  # RoIs that overlap a detection more vote on its mask; 1: only its own
    merge_threshold: float = 0.4  # of the votes, to be object; the authors' program has the same

    @classmethod
    def tiny(cls, n_classes: int = 6, **changes) -> "FCISConfig":
        """A model for 96 x 96 scenes; it reads the pyramid's map of stride 4."""
        # With one map of stride 16 a scene would have 6 x 6 numbers, fewer than a RoI has cells. Of
        # stride 4 an object of 48 pixels has 12 x 12: more than 14 points would read them twice.
        numbers = dict(neck="fpn", score_channels=128, score_kernel=3, mask_size=14)
        return super().tiny(n_classes, **numbers | changes)


class Look(NamedTuple):
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
    look: Look  # of the RoIs of all images
    selected: list[SelectedBoxes]
    mask_probs: list[Tensor]  # [D, m, m]
    detections: list[Detections]


class FCIS(MaskRCNN):
    """FCIS: `forward` gives losses, `detect` detections, in any mode, as `MaskRCNN` does.

    Images, targets and every stage up to the proposals are Mask R-CNN's. The layers are `backbone`,
    `neck`, `rpn_head`, and `hidden_layer` and `map_layer`, which give the maps.
    """

    def __init__(self, config: FCISConfig):
        if config.neck == "c4":
            raise ValueError("neck is 'c4', whose last stage is a head: choose 'c5' or 'fpn'")
        if config.mask_size % config.n_cells:
            raise ValueError(
                f"mask_size is {config.mask_size}: give a multiple of n_cells = {config.n_cells}"
            )
        super().__init__(config)
        del self.box_head, self.mask_head  # what FCIS does without
        c = config
        channels = c.fpn_channels if c.neck == "fpn" else self.backbone.channels[-1]
        self.hidden_layer = Convolution(channels, c.score_channels, c.score_kernel, relu=True)
        # Inside and outside of every class, background too, then the four deltas; each k x k times.
        n_scores = 2 * (c.n_classes + 1) + 4
        self.map_layer = nn.Conv2d(c.score_channels, n_scores * c.n_cells**2, 1)
        nn.init.normal_(self.map_layer.weight, std=0.01)
        nn.init.zeros_(self.map_layer.bias)

    def forward(
        self,
        images: list[Tensor],
        targets: list[dict[str, Tensor]],
        generator: torch.Generator | list[torch.Generator] | None = None,
        divide_by: Callable[[int], Tensor | int] = at_least_one,
    ) -> dict[str, Tensor]:
        """The five losses, scalars under Mask R-CNN's names, added with equal weight (section 3.3).

        The arguments, and what they raise, are those of `MaskRCNN.forward`.
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
        look = self.read(self.maps(features), [r.boxes for r in rois])
        labels, deltas = torch.cat([r.labels for r in rois]), torch.cat([r.deltas for r in rois])
        class_logits = look.class_logits
        for_all_classes = look.deltas[:, None].expand(-1, class_logits.shape[1], -1)
        loss_class, loss_box = box_loss(class_logits, for_all_classes, labels, deltas, divide_by)

        positive, rois = labels > 0, [r.positive() for r in rois]
        mask_logits = look.mask_logits[positive]
        boxes, matched = [r.boxes for r in rois], [r.objects for r in rois]
        masks = mask_targets([o["masks"] for o in objects], boxes, matched, c.mask_size)
        loss_mask = mask_loss(mask_logits, labels[positive], masks, divide_by=divide_by)
        return {
            "loss_objectness": loss_objectness,
            "loss_rpn_box_reg": loss_rpn_box,
            "loss_classifier": loss_class,
            "loss_box_reg": loss_box,
            "loss_mask": loss_mask,
        }

    @torch.no_grad()
    def trace(self, images: list[Tensor]) -> FCISTrace:
        """`detect`, stage by stage, with everything that is computed on the way (section 3.3)."""
        c = self.config
        with evaluating(self):
            batch = self.preprocess(images)
            features = self.features(batch)
            anchors = self.anchors(features, batch)
            numbers = c.test_candidates, c.test_proposals
            proposals = self.propose(*self.rpn_head(features), anchors, batch, *numbers)
            proposals = without_zeros(proposals)
            maps = self.maps(features)
            rois = self.with_refined(maps, [p.boxes for p in proposals], batch)
            look = self.read(maps, rois)
            selected = self.select(look, rois, batch)
            mask_probs = self.masks(look, rois, selected)
        images = zip(selected, mask_probs, batch.sizes, batch.original_sizes, strict=True)
        detections = [to_original(*of_image) for of_image in images]
        return FCISTrace(
            batch, features, anchors, proposals, maps, rois, look, selected, mask_probs, detections
        )

    @torch.no_grad()
    def look_at(self, image: Tensor, boxes: Tensor) -> Look:
        """What the maps say of given boxes [R, 4], in pixels of an image: no proposals, no NMS."""
        with evaluating(self):
            batch = self.preprocess([image])
            return self.read(self.maps(self.features(batch)), scale_boxes([boxes], batch))

    # The stages that differ from Mask R-CNN's.

    def scale_targets(self, targets: list[dict], batch: Batch) -> list[dict]:
        """Boxes, labels and masks of each image, checked, in the batch's pixels."""
        check_targets(targets, batch.original_sizes, self.config.n_classes)
        return scale_targets(targets, batch)

    def maps(self, features: list[Tensor]) -> Tensor:
        """The position-sensitive maps [B, (2 * (K + 1) + 4) * k * k, H, W] of the batch.

        They come from the finest map of the neck, and know of no box.
        """
        return self.map_layer(self.hidden_layer(features[0]))

    def read(self, maps: Tensor, boxes: list[Tensor]) -> Look:
        """What the maps say of the boxes [R_i, 4] of all images, in pixels of the batch."""
        c = self.config
        numbers = assemble(maps, boxes, c.n_cells, c.mask_size, self.strides[0])
        scores, deltas = numbers[:, :-4], numbers[:, -4:].mean(dim=(2, 3))
        inside, outside = scores.unflatten(1, (2, -1)).unbind(1)  # each [R, K + 1, m, m]
        return Look(inside, outside, deltas)

    def with_refined(self, maps: Tensor, boxes: list[Tensor], batch: Batch) -> list[Tensor]:
        """The boxes [R, 4] of each image and, after them, as many: each moved by its own deltas."""
        c = self.config
        of_deltas = maps[:, -4 * c.n_cells**2 :]
        deltas = assemble(of_deltas, boxes, c.n_cells, c.mask_size, self.strides[0])
        deltas = deltas.mean(dim=(2, 3)).split([len(b) for b in boxes])
        images = zip(boxes, deltas, batch.sizes, strict=True)
        return [
            torch.cat((b, clip_boxes(decode_boxes(d, b, BOX_SCALE), size))) for b, d, size in images
        ]

    def select(self, look: Look, rois: list[Tensor], batch: Batch) -> list[SelectedBoxes]:
        """The RoIs of each image that survive, with their class and score, unmoved."""
        c = self.config
        numbers = c.score_threshold, c.nms_iou, c.max_detections
        logits = look.class_logits.split([len(r) for r in rois])
        unmoved = [row.new_zeros(*row.shape, 4) for row in logits]
        return select_detections(logits, unmoved, rois, batch.sizes, *numbers)

    def masks(self, look: Look, rois: list[Tensor], selected: list[SelectedBoxes]) -> list[Tensor]:
        """Masks [D, m, m] of the selected boxes of each image: 0.5 or more is the object.

        They are merged (section 3.3), and scaled so that `merge_threshold` becomes that 0.5.
        """
        c, n = self.config, [len(r) for r in rois]
        scores, probs = look.class_logits.softmax(dim=1).split(n), look.mask_logits.sigmoid()
        images = zip(selected, rois, scores, probs.split(n), strict=True)
        merged = [merge_masks(s.boxes, s.labels, *of_rois, c.merge_iou) for s, *of_rois in images]
        return [(votes * 0.5 / c.merge_threshold).clamp(max=1) for votes in merged]
