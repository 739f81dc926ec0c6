"""Heads: what is read off each region's features. A class and a box, and a mask.

Letters: R RoIs, C channels, P side of the pooled features, K classes, m side of the mask.
"""

from itertools import pairwise

from torch import Tensor, nn

from mrcnn_edu.backbone import Convolution, initialise

BOX_SCALE = (10.0, 10.0, 5.0, 5.0)  # brings the box head's deltas to a deviation of about 1


class BoxHead(nn.Module):
    """RoI features [R, C, P, P] to class logits [R, K + 1] and box deltas [R, K + 1, 4].

    Two fully connected layers, then one output layer for each answer (figure 4, right). The deltas
    are a box for every class; class 0 is background. n_convs: 3x3 convolutions before the n_layers
    fully connected ones; the paper has none.
    """

    def __init__(self, channels, pool_size, n_convs, n_layers, hidden, n_classes, norm=None):
        super().__init__()
        convs = [Convolution(channels, channels, 3, norm, relu=True) for _ in range(n_convs)]
        widths = [channels * pool_size**2] + [hidden] * n_layers
        self.convs = nn.Sequential(*convs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.cls_score = nn.Linear(hidden, n_classes + 1)
        self.bbox_pred = nn.Linear(hidden, 4 * (n_classes + 1))
        initialise(self.convs)

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convs(roi_features).flatten(1)
        for layer in self.layers:
            x = layer(x).relu_()
        return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


class AveragedBoxHead(nn.Module):
    """RoI features [R, C, P, P] to class logits [R, K + 1] and box deltas [R, K + 1, 4].

    Two output layers over the average of the P x P cells: all that is left to do once the last
    stage of a ResNet has read the region (figure 4, left).
    """

    def __init__(self, channels, n_classes):
        super().__init__()
        self.cls_score = nn.Linear(channels, n_classes + 1)
        self.bbox_pred = nn.Linear(channels, 4 * (n_classes + 1))

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        x = roi_features.mean(dim=(2, 3))
        return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


class MaskHeadFCN(nn.Module):
    """RoI features [R, C, P, P] to mask logits [R, K + 1, m, m], m = 2P: one mask for each class.

    3x3 convolutions keep the layout, a 2x2 deconvolution with stride 2 doubles the side, and a 1x1
    convolution gives the K masks (figure 4, right). Channel 0, background, is never used.
    """

    def __init__(self, in_channels, channels, n_convs, n_classes, norm=None):
        super().__init__()
        widths = [in_channels] + [channels] * n_convs
        convs = [Convolution(a, b, 3, norm, relu=True) for a, b in pairwise(widths)]
        self.convs = nn.Sequential(*convs)
        self.conv5_mask = nn.ConvTranspose2d(widths[-1], channels, 2, stride=2)
        self.mask_fcn_logits = nn.Conv2d(channels, n_classes + 1, 1)
        initialise(self)

    def forward(self, roi_features: Tensor) -> Tensor:
        return self.mask_fcn_logits(self.conv5_mask(self.convs(roi_features)).relu_())


class MaskHeadMLP(nn.Module):
    """RoI features [R, C, P, P] to mask logits [R, K + 1, m, m], m = 2P: fully connected layers.

    What the FCN is compared with (table 2e): `n_layers` layers, then one that gives all K m^2
    numbers at once. To the layers one place in the RoI is as near to another as any.
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
