"""The heads: small networks that predict a class, a box and a mask for each region.

Letters: R RoIs, C channels, P x P pooled features, K classes, m x m mask.
"""

from itertools import pairwise

from torch import Tensor, nn

from mrcnn_edu.backbone import Convolution, initialize

BOX_SCALE = 10.0, 10.0, 5.0, 5.0  # gives the box head's deltas a standard deviation of about 1


class BoxHead(nn.Module):
    """RoI features [R, C, P, P] to class logits [R, K + 1] and box deltas [R, K + 1, 4].

    Two fully connected layers, then one output layer for the classes and one for the boxes (figure
    4, right). There is a box for every class; class 0 is background. n_convs: number of 3x3
    convolutions before the n_layers fully connected layers; the paper has none.
    """

    def __init__(self, channels, pool_size, n_convs, n_layers, hidden, n_classes, norm=None):
        super().__init__()
        convs = [Convolution(channels, channels, 3, norm, relu=True) for _ in range(n_convs)]
        widths = [channels * pool_size**2] + [hidden] * n_layers
        self.convs = nn.Sequential(*convs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.cls_score = nn.Linear(hidden, n_classes + 1)
        self.bbox_pred = nn.Linear(hidden, 4 * (n_classes + 1))
        initialize(self.convs)

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        x = self.convs(roi_features).flatten(1)
        for layer in self.layers:
            x = layer(x).relu_()
        return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


class MaskHeadFCN(nn.Module):
    """RoI features [R, C, P, P] to mask logits [R, K + 1, m, m], m = 2P: one mask for each class.

    3x3 convolutions preserve the spatial layout, a 2x2 deconvolution doubles the resolution, and a
    1x1 convolution outputs K masks (figure 4, right). Channel 0, background, is never used.
    """

    def __init__(self, in_channels, channels, n_convs, n_classes, norm=None):
        super().__init__()
        widths = [in_channels] + [channels] * n_convs
        convs = [Convolution(a, b, 3, norm, relu=True) for a, b in pairwise(widths)]
        self.convs = nn.Sequential(*convs)
        self.conv5_mask = nn.ConvTranspose2d(widths[-1], channels, 2, stride=2)
        self.mask_fcn_logits = nn.Conv2d(channels, n_classes + 1, 1)
        initialize(self)

    def forward(self, roi_features: Tensor) -> Tensor:
        return self.mask_fcn_logits(self.conv5_mask(self.convs(roi_features)).relu_())
