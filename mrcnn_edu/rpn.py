"""The region proposal network (RPN): where might there be an object, and what is its box?

Letters: B images, A anchors (of all levels), k anchors at one position, H and W of a feature map,
N candidates and R proposals of one image.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrcnn_edu.backbone import Convolution
from mrcnn_edu.boxes import as_float, clip_boxes, decode_boxes, min_side
from mrcnn_edu.nms import batched_nms

MIN_PROPOSAL_SIZE = 1e-3  # pixels; a proposal with a shorter side after clipping contains nothing


class RPNHead(nn.Module):
    """Maps [B, C, H, W] to objectness logits [B, A] and box deltas [B, A, 4] of all anchors.

    A small network slides over every level: a 3x3 convolution, then two 1x1 convolutions with k and
    4k outputs (Faster R-CNN, section 3.1). Anchors are ordered as in `pyramid_anchors`. n_convs:
    number of 3x3 convolutions; the paper has one.
    """

    def __init__(self, channels: int, n_anchors: int, n_convs: int = 1):
        super().__init__()
        convs = [Convolution(channels, channels, 3, relu=True) for _ in range(n_convs)]
        self.conv = nn.Sequential(*convs)
        self.cls_logits = nn.Conv2d(channels, n_anchors, 1)
        self.bbox_pred = nn.Conv2d(channels, 4 * n_anchors, 1)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=0.01)
            else:
                nn.init.zeros_(parameter)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        objectness, deltas = [], []
        for level in features:
            hidden = self.conv(level)
            # [B, k * n, H, W] -> [B, H, W, k * n] -> [B, H * W * k * n]
            objectness.append(self.cls_logits(hidden).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.bbox_pred(hidden).permute(0, 2, 3, 1).flatten(1))
        return torch.cat(objectness, dim=1), torch.cat(deltas, dim=1).unflatten(1, (-1, 4))


class Proposals(NamedTuple):
    """The proposals of one image, and the candidates they were chosen from."""

    boxes: Tensor  # [R, 4] in pixels of the network's input, best score first
    scores: Tensor  # [R] objectness, 0..1
    candidates: Tensor  # [N, 4] the best anchors of each level, decoded and clipped, before NMS
    candidate_scores: Tensor  # [N]
    candidate_levels: Tensor  # [N]


def propose(
    objectness: Tensor,
    deltas: Tensor,
    anchors: list[Tensor],
    image_sizes: list[tuple[int, int]],
    pre_nms_top_n: int,
    post_nms_top_n: int,
    nms_iou: float,
) -> list[Proposals]:
    """The best boxes of each image, without near-duplicates.

    objectness: [B, A] logits. deltas: [B, A, 4]. anchors: [A_level, 4] for each level. image_sizes:
    (height, width) of each image without padding. The `pre_nms_top_n` best anchors of each level
    are decoded and clipped, NMS runs within each level, and the `post_nms_top_n` best are returned.
    """
    all_anchors, counts = torch.cat(anchors), [len(level) for level in anchors]
    proposals = []
    for logits, image_deltas, size in zip(as_float(objectness), deltas, image_sizes, strict=True):
        index, level = _top_of_each_level(logits, counts, pre_nms_top_n)
        boxes = clip_boxes(decode_boxes(image_deltas[index], all_anchors[index]), size)
        valid = torch.where(min_side(boxes) >= MIN_PROPOSAL_SIZE)[0]
        boxes, scores, level = boxes[valid], logits[index].sigmoid()[valid], level[valid]
        kept = batched_nms(boxes, scores, level, nms_iou)[:post_nms_top_n]
        proposals.append(Proposals(boxes[kept], scores[kept], boxes, scores, level))
    return proposals


def _top_of_each_level(logits: Tensor, counts: list[int], n: int) -> tuple[Tensor, Tensor]:
    """Index and level of the n best anchors of each level, both [N]. counts: anchors per level."""
    index, levels, first = [], [], 0
    for level, level_logits in enumerate(logits.split(counts)):
        best = level_logits.topk(min(n, len(level_logits))).indices
        index.append(best + first)
        levels.append(torch.full_like(best, level))
        first += len(level_logits)
    return torch.cat(index), torch.cat(levels)
