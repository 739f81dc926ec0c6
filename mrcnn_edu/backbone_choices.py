"""The backbones that a config can choose, and the layers before the heads that they are part of."""

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from mrcnn_edu.backbone import FPN, NORMS, BasicBlock, ResNet, SingleLevel, conv_norm, shortcut
from mrcnn_edu.config import Config


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, added to the input (He et al. 2016, figure 5 right)."""

    expansion = 4
    groups, group_width = 1, 64  # of the 3x3 convolution; the width of a group in the first stage

    def __init__(self, in_channels: int, width: int, stride: int, norm):
        super().__init__()
        inner, out = width * self.group_width // 64 * self.groups, width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = norm(inner)
        # torchvision puts the stride into the 3x3 ("V1.5"); the paper's ResNet, into the first 1x1.
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=self.groups, bias=False)
        self.bn2 = norm(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = norm(out)
        self.downsample = shortcut(in_channels, out, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        out = conv_norm(x, self.conv1, self.bn1).relu_()
        out = conv_norm(out, self.conv2, self.bn2).relu_()
        return conv_norm(out, self.conv3, self.bn3).add_(self.downsample(x)).relu_()


class GroupedBottleneck(Bottleneck):
    """ResNeXt's block: the 3x3 convolution has 32 groups of 8 channels (Xie et al. 2017)."""

    groups, group_width = 32, 8


class TinyGroupedBottleneck(Bottleneck):
    """ResNeXt's idea at the tiny model's size: 8 groups, twice as wide inside as outside."""

    expansion = 1
    groups, group_width = 8, 16


TINY = dict(stem_width=32, stem_kernel=3, max_pool=False, widths=(48, 96, 128))  # for 96 x 96
BACKBONES = {
    "tiny": partial(ResNet, BasicBlock, (2, 2, 1), **TINY),
    "tiny-deep": partial(ResNet, BasicBlock, (3, 3, 2), **TINY),
    "tiny-next": partial(ResNet, TinyGroupedBottleneck, (3, 3, 2), **TINY),
    "resnet50": partial(ResNet, Bottleneck, (3, 4, 6, 3)),
    "resnet101": partial(ResNet, Bottleneck, (3, 4, 23, 3)),
    "resnext101": partial(ResNet, GroupedBottleneck, (3, 4, 23, 3)),
}


class Trunk(NamedTuple):
    """The layers before the heads, and what the heads have to know of them."""

    backbone: ResNet
    neck: nn.Module
    last_stage: nn.Module  # with neck "c4" the backbone's, which each RoI passes by itself
    channels: int  # of the neck's maps, which the RPN reads
    roi_channels: int  # of the RoI features, which the heads read
    strides: tuple[int, ...]  # of the maps that RoIs are read from
    anchor_sizes: tuple[tuple[float, ...], ...]  # of each of the neck's maps


def build_trunk(config: Config) -> Trunk:
    """The backbone and the neck of a config.

    Raises ValueError unless it has anchor sizes for each level, all equally many.
    """
    c = config
    backbone: ResNet = BACKBONES[c.backbone](in_channels=c.in_channels, norm=NORMS[c.norm])
    n_levels = len(backbone.strides) + 1
    if len(c.anchor_sizes) != n_levels or len({len(sizes) for sizes in c.anchor_sizes}) != 1:
        raise ValueError(
            f"anchor_sizes is {c.anchor_sizes}, but backbone {c.backbone!r} has {n_levels} levels: "
            "give one tuple for each, all of the same length"
        )
    if c.neck == "fpn":
        fpn = FPN(backbone.channels, c.fpn_channels, c.head_norm and NORMS[c.head_norm])
        channels = c.fpn_channels, c.fpn_channels
        return Trunk(backbone, fpn, nn.Identity(), *channels, backbone.strides, c.anchor_sizes)
    roi_channels, last_stage = backbone.channels[-1], nn.Identity()
    if c.neck == "c4":
        last_stage = backbone.pop_last_stage()
    all_sizes = (tuple(size for level in c.anchor_sizes for size in level),)
    return Trunk(
        backbone, SingleLevel(), last_stage, backbone.channels[-1], roi_channels,
        backbone.strides[-1:], all_sizes,
    )  # fmt: skip
