"""The region proposal network: where might there be an object, and what is its box?

Letters: B images, A anchors (of all levels), k anchors at one place, H and W of a map.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrcnn_edu.backbone import Convolution
from mrcnn_edu.boxes import clip_boxes, decode_boxes, survivors
from mrcnn_edu.stops import read

SMALLEST_SIDE = 1e-3  # pixels; a proposal clipped to less than this has nothing to look at


class RPNHead(nn.Module):
    """Maps [B, C, H, W] to objectness logits [B, A] and box deltas [B, A, 4] of every anchor.

    One small network slides over every level: a 3x3 convolution, then two 1x1 convolutions with k
    and 4k channels (Faster R-CNN, section 3.1). Anchors come in the order of `pyramid_anchors`.
    n_convs: 3x3 convolutions, one in the paper.
    """

    def __init__(self, channels: int, n_anchors: int, n_convs: int = 1):
        super().__init__()
        convs = [Convolution(channels, channels, 3, relu=True) for _ in range(n_convs)]
        self.conv = nn.Sequential(*convs)
        self.cls_logits = nn.Conv2d(channels, n_anchors, 1)
        self.bbox_pred = nn.Conv2d(channels, 4 * n_anchors, 1)
        for layer in (*(conv[0] for conv in convs), self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        objectness, deltas = [], []
        for level in features:
            hidden = self.conv(level)
            # [B, k * n, H, W] -> [B, H, W, k * n] -> [B, H * W * k, n]
            objectness.append(self.cls_logits(hidden).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.bbox_pred(hidden).permute(0, 2, 3, 1).flatten(1))
        return torch.cat(objectness, dim=1), torch.cat(deltas, dim=1).unflatten(1, (-1, 4))


class Proposals(NamedTuple):
    """The proposals of one image, and the candidates they were chosen from."""

    boxes: Tensor  # [R, 4] in pixels of the network's input, best first
    scores: Tensor  # [R] objectness, 0..1
    candidates: Tensor  # [N, 4] the best of each level, decoded and clipped, before NMS
    candidate_scores: Tensor  # [N]
    candidate_levels: Tensor  # [N]


def propose(
    objectness: Tensor,
    deltas: Tensor,
    anchors: list[Tensor],
    image_size: tuple[int, int],
    n_candidates: int,
    n_proposals: int,
    nms_iou: float,
) -> Proposals:
    """The best boxes of one image, without near-duplicates.

    objectness: [A] logits. deltas: [A, 4]. anchors: [A_level, 4] of each level. image_size:
    (height, width) without padding. Of each level the `n_candidates` best are decoded and clipped,
    NMS with `nms_iou` runs within each level, and the `n_proposals` best of all levels come back,
    with boxes of zeros after them if there are not so many: `without_zeros` takes them off. A
    candidate that has lost its area in clipping is zeros, too, and its score is 0.
    """
    chosen, levels, first = [], [], 0
    for level, n_anchors in enumerate(map(len, anchors)):
        best = objectness[first : first + n_anchors].topk(min(n_candidates, n_anchors)).indices
        chosen.append(best + first)
        levels.append(torch.full_like(best, level))
        first += n_anchors
    chosen, levels = torch.cat(chosen), torch.cat(levels)
    boxes = decode_boxes(deltas[chosen], torch.cat(anchors)[chosen])
    boxes = clip_boxes(boxes, image_size)
    is_box = (boxes[:, 2:] - boxes[:, :2] >= SMALLEST_SIDE).all(dim=1)
    candidates = torch.where(is_box[:, None], boxes, 0)
    scores = torch.where(is_box, objectness[chosen].sigmoid(), 0)
    keep = is_box & survivors(candidates, scores, levels, nms_iou)
    best = torch.where(keep, scores, -1).argsort(descending=True, stable=True)[:n_proposals]
    kept = keep[best, None]
    boxes, of_boxes = candidates[best] * kept, scores[best] * kept[:, 0]
    return Proposals(boxes, of_boxes, candidates, scores, levels)


def without_zeros(proposals: list[Proposals]) -> list[Proposals]:
    """The proposals of all images without the boxes of zeros at their ends."""
    counts = read([(p.boxes[:, 2] > 0).sum() for p in proposals])
    return [
        p._replace(boxes=p.boxes[:n], scores=p.scores[:n])
        for p, n in zip(proposals, counts, strict=True)
    ]
