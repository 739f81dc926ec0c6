"""The region proposal network: where might there be an object, and what is its box?

Letters: B images, A anchors (of all levels), k anchors at one place, H and W of a map.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrcnn_edu.backbone import Convolution
from mrcnn_edu.boxes import best_first, clip_boxes, decode_boxes, survivors
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
    image_sizes: list[tuple[int, int]],
    n_candidates: int,
    n_proposals: int,
    nms_iou: float,
) -> list[Proposals]:
    """The best boxes of each image, without near-duplicates.

    objectness: [B, A] logits. deltas: [B, A, 4]. anchors: [A_level, 4] of each level. image_sizes:
    (height, width) of each image without padding. Of each level the `n_candidates` best are decoded
    and clipped, NMS with `nms_iou` runs within each level, and the `n_proposals` best of all levels
    come back, with boxes of zeros after them if there are not so many: `without_zeros` takes them
    off. A candidate that has lost its area in clipping is zeros, too, and its score is 0.
    """
    chosen, levels, first = [], [], 0
    for level, n_anchors in enumerate(map(len, anchors)):
        of_level = objectness[:, first : first + n_anchors]
        best = of_level.topk(min(n_candidates, n_anchors)).indices  # [B, at most n_candidates]
        chosen.append(best + first)
        levels.append(torch.full_like(best, level))
        first += n_anchors
    chosen, levels = torch.cat(chosen, dim=1), torch.cat(levels, dim=1)  # both [B, N]
    deltas = deltas.gather(1, chosen[..., None].expand(-1, -1, 4))
    boxes = decode_boxes(deltas, torch.cat(anchors)[chosen])  # [B, N, 4]
    sizes = zip(boxes, image_sizes, strict=True)
    boxes = torch.stack([clip_boxes(of_image, size) for of_image, size in sizes])
    is_box = (boxes[..., 2:] - boxes[..., :2] >= SMALLEST_SIDE).all(dim=-1)
    candidates = torch.where(is_box[..., None], boxes, 0)
    scores = torch.where(is_box, objectness.gather(1, chosen).sigmoid(), 0)

    image = torch.arange(len(boxes), device=boxes.device)[:, None]
    groups = image * len(anchors) + levels  # boxes compete within an image and a level
    flat = (table.flatten(0, 1) for table in (candidates, scores, groups))
    keep = is_box & survivors(*flat, nms_iou).view(is_box.shape)
    best = image, best_first(scores, keep)[:, :n_proposals]  # [B, R] of each image
    kept = keep[best]
    columns = candidates[best] * kept[..., None], scores[best] * kept, candidates, scores, levels
    return [Proposals(*of_image) for of_image in zip(*columns, strict=True)]


def without_zeros(proposals: list[Proposals]) -> list[Proposals]:
    """The proposals of all images without the boxes of zeros at their ends."""
    counts = read([(p.boxes[:, 2] > 0).sum() for p in proposals])
    return [
        p._replace(boxes=p.boxes[:n], scores=p.scores[:n])
        for p, n in zip(proposals, counts, strict=True)
    ]
