"""The heads that a config can choose: those of heads.py, and the ones the paper compares with.

Letters: R RoIs, C channels, P x P pooled features, K classes, m x m mask.
"""

from itertools import pairwise

from torch import Tensor, nn

from mrcnn_edu.backbone_choices import NORMS
from mrcnn_edu.config import Config
from mrcnn_edu.heads import BoxHead, MaskHeadFCN
from mrcnn_edu.keypoint_branch import KeypointHead


def build_box_head(config: Config, channels: int) -> nn.Module:
    """The box head of a config, for RoI features of so many channels."""
    c, norm = config, config.head_norm and NORMS[config.head_norm]
    if c.neck == "c4":
        return Res5BoxHead(channels, c.n_classes)
    return BoxHead(
        channels, c.box_pool_size, c.box_convs, c.box_layers, c.box_hidden, c.n_classes, norm
    )


def build_mask_head(config: Config, channels: int) -> nn.Module | None:
    """The mask head of a config, or None, for RoI features of so many channels."""
    c, norm = config, config.head_norm and NORMS[config.head_norm]
    n_masks = 1 if c.class_agnostic_mask else c.n_classes
    if c.mask_head == "fcn":
        return MaskHeadFCN(channels, c.mask_channels, c.mask_convs, n_masks, norm)
    if c.mask_head == "mlp":
        return MaskHeadMLP(channels, c.mask_size // 2, c.mask_hidden, c.mask_layers, n_masks)
    return None


def build_keypoint_head(config: Config, channels: int) -> KeypointHead | None:
    """The keypoint head of a config, or None, for RoI features of so many channels."""
    c, norm = config, config.head_norm and NORMS[config.head_norm]
    if c.n_keypoints == 0:
        return None
    return KeypointHead(channels, c.keypoint_channels, c.keypoint_convs, c.n_keypoints, norm)


class Res5BoxHead(nn.Module):
    """RoI features [R, C, P, P] to class logits [R, K + 1] and box deltas [R, K + 1, 4].

    The head of a C4 model: after the last stage of a ResNet (res5) has processed each region, the
    features are averaged over the P x P positions and two output layers follow (figure 4, left).
    """

    def __init__(self, channels, n_classes):
        super().__init__()
        self.cls_score = nn.Linear(channels, n_classes + 1)
        self.bbox_pred = nn.Linear(channels, 4 * (n_classes + 1))

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        x = roi_features.mean(dim=(2, 3))
        return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


class MaskHeadMLP(nn.Module):
    """RoI features [R, C, P, P] to mask logits [R, K + 1, m, m], m = 2P: fully connected layers.

    The alternative to the FCN (table 2e): `n_layers` hidden layers, then one that outputs all K m²
    values at once. These layers do not know which positions in the RoI are neighbors.
    """

    def __init__(self, in_channels, pool_size, hidden, n_layers, n_classes):
        super().__init__()
        widths = [in_channels * pool_size**2] + [hidden] * n_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.mask_size = 2 * pool_size
        self.mask_logits = nn.Linear(widths[-1], (n_classes + 1) * self.mask_size**2)

    def forward(self, roi_features: Tensor) -> Tensor:
        x = roi_features.flatten(1)
        for layer in self.layers:
            x = layer(x).relu_()
        return self.mask_logits(x).unflatten(1, (-1, self.mask_size, self.mask_size))
