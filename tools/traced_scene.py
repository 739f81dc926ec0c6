"""One scene and everything that the shipped model computes for it, enlarged for a picture."""

import torch
from torch import Tensor

from mrcnn_edu import load
from mrcnn_edu.boxes import clip_boxes, decode_boxes
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import paste_masks
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.nms import batched_nms


class TracedScene:
    """A scene, and the boxes, features and masks of each stage, in pixels of the enlarged image.

    scene, seed: the scene's index and the seed of its scenes. scale: the enlarged image's pixels
    for each pixel that the network sees.
    """

    def __init__(self, scene: int, seed: int, scale: int):
        scenes = Shapes(scene + 1, seed=seed)
        side = scale * scenes.size
        self.classes, image = scenes.classes, scenes[scene][0]
        self.large = Shapes(scene + 1, seed=seed, render_size=side)[scene][0]  # [3, side, side]
        self.pixelated = image.repeat_interleave(scale, 1).repeat_interleave(scale, 2)

        model = load("shapes-tiny").eval()
        trace = model.trace([image])
        self.features = [level[0] for level in trace.features]  # [C, h, w] for each level
        self.anchors = [scale * level for level in trace.anchors]  # [A_level, 4]
        self.n_anchors = sum(len(level) for level in self.anchors)

        # The anchors that the RPN scores above one half, moved by its deltas, and what NMS keeps.
        scores, all_anchors = trace.objectness[0].sigmoid(), torch.cat(trace.anchors)
        (best,) = torch.where(scores > 0.5)
        counts = torch.tensor([len(level) for level in trace.anchors])
        levels = torch.arange(len(counts)).repeat_interleave(counts)
        moved = decode_boxes(trace.rpn_deltas[0, best], all_anchors[best])
        moved = clip_boxes(moved, (scenes.size, scenes.size))
        self.best_anchors, self.moved = scale * all_anchors[best], scale * moved  # [N, 4] each
        self.kept = batched_nms(moved, scores[best], levels[best], model.config.rpn_nms_iou)

        # The detections, and the proposal that each was refined from.
        found = trace.detections[0][trace.detections[0].scores > 0.5]
        assert found.mask_probs is not None
        self.labels, self.scores, self.mask_probs = found.labels, found.scores, found.mask_probs
        self.boxes = scale * found.boxes  # [D, 4]
        self.masks = paste_masks(found.mask_probs, self.boxes, (side, side))  # [D, side, side]
        proposals = trace.proposals[0].boxes
        self.sources = torch.stack(
            [
                scale * proposals[_source(trace.box_deltas[:, label], proposals, box)]
                for label, box in zip(found.labels, found.boxes, strict=True)
            ]
        )


def _source(deltas: Tensor, proposals: Tensor, box: Tensor) -> int:
    """The proposal [R, 4] that its deltas [R, 4] move onto a box [4]."""
    distances = (decode_boxes(deltas, proposals, BOX_SCALE) - box).abs().amax(dim=1)
    return int(distances.argmin())
