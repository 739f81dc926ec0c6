"""What `MaskRCNN.trace` returns, every intermediate result of `detect`, and the mode it runs in.

Letters: B images, C channels, A anchors, R RoIs, D detections, K classes, m x m mask.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from mrcnn_edu.detections import Detections, SelectedBoxes
from mrcnn_edu.images import Batch
from mrcnn_edu.rpn import Proposals


@dataclass
class Trace:
    """Everything `detect` computes, in order. Lists have one entry for each image."""

    batch: Batch
    features: list[Tensor]  # P2, P3, ..., or the one map of c4 or c5: [B, C, H, W] each
    anchors: list[Tensor]  # [A_level, 4] for each level
    objectness: Tensor  # [B, A] logits
    rpn_deltas: Tensor  # [B, A, 4]
    proposals: list[Proposals]  # before NMS (candidates) and after it (boxes)
    roi_features: Tensor  # [R, C, 7, 7] of the proposals of all images
    class_logits: Tensor  # [R, K + 1]
    box_deltas: Tensor  # [R, K + 1, 4]
    selected: list[SelectedBoxes]  # after the score threshold and NMS within each class
    mask_features: Tensor | None  # [D, C, 14, 14] of the selected boxes of all images
    mask_logits: Tensor | None  # [D, K + 1, m, m]: a mask for every class
    detections: list[Detections]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode inside (batch norm uses its running statistics), and back afterward."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
