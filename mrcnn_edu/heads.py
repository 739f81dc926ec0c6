"""Heads: what is read off each region's features. A class and a box, and a mask.

Letters: R RoIs, C channels, P side of the pooled features, K classes, m side of the mask.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

BOX_SCALE = (10.0, 10.0, 5.0, 5.0)  # brings the box head's deltas to a deviation of about 1


class BoxHead(nn.Module):
    """RoI features [R, C, P, P] to class logits [R, K + 1] and box deltas [R, K + 1, 4].

    Two fully connected layers, then one output layer for each answer (figure 4, right). The deltas
    are a box for every class; class 0 is background.
    """

    def __init__(self, channels: int, pool_size: int, hidden: int, n_classes: int):
        super().__init__()
        self.fc6 = nn.Linear(channels * pool_size**2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.cls_score = nn.Linear(hidden, n_classes + 1)
        self.bbox_pred = nn.Linear(hidden, 4 * (n_classes + 1))

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = relu(self.fc7(relu(self.fc6(roi_features.flatten(1)))))
        return self.cls_score(hidden), self.bbox_pred(hidden).unflatten(1, (-1, 4))


class MaskHeadFCN(nn.Module):
    """RoI features [R, C, P, P] to mask logits [R, K + 1, m, m], m = 2P: one mask for each class.

    3x3 convolutions keep the layout, a 2x2 deconvolution with stride 2 doubles the side, and a 1x1
    convolution gives the K masks (figure 4, right). Channel 0, background, is never used.
    """

    def __init__(self, in_channels: int, channels: int, n_convs: int, n_classes: int):
        super().__init__()
        widths = [in_channels] + [channels] * n_convs
        self.convs = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU()) for a, b in pairwise(widths))
        )
        self.conv5_mask = nn.ConvTranspose2d(widths[-1], channels, 2, stride=2)
        self.mask_fcn_logits = nn.Conv2d(channels, n_classes + 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, roi_features: Tensor) -> Tensor:
        return self.mask_fcn_logits(relu(self.conv5_mask(self.convs(roi_features))))
