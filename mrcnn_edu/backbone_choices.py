"""What a config can choose before the heads: norms, blocks, backbones and necks."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrcnn_edu.backbone import FPN, BasicBlock, ResNet, conv_norm, scale_and_shift, shortcut
from mrcnn_edu.config import Config


class FrozenBatchNorm2d(nn.Module):
    """Batch norm with fixed statistics and parameters: a scale and a shift for each channel.

    Used for fine-tuning, where the few images of a step are too few for good statistics.
    """

    eps = 0.0  # as the published weights expect; `load_torchvision` adds others to the variance

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = scale_and_shift(self)
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)  # bfloat16 stays


NORMS = {"frozen": FrozenBatchNorm2d, "batch": nn.BatchNorm2d}


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


class SingleLevel(nn.Module):
    """Only the coarsest of the maps, as in detectors before feature pyramids."""

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return maps[-1:]


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
    c, norm, head_norm = config, NORMS[config.norm], config.head_norm and NORMS[config.head_norm]
    backbone: ResNet = BACKBONES[c.backbone](in_channels=c.in_channels, norm=norm)
    n_levels = len(backbone.strides) + 1
    if len(c.anchor_sizes) != n_levels or len({len(sizes) for sizes in c.anchor_sizes}) != 1:
        raise ValueError(
            f"anchor_sizes is {c.anchor_sizes}, but backbone {c.backbone!r} has {n_levels} levels: "
            "give one tuple for each, all of the same length"
        )
    if c.neck == "fpn":
        fpn, n = FPN(backbone.channels, c.fpn_channels, head_norm), c.fpn_channels
        return Trunk(backbone, fpn, nn.Identity(), n, n, backbone.strides, c.anchor_sizes)
    roi_channels = backbone.channels[-1]
    last_stage = pop_last_stage(backbone) if c.neck == "c4" else nn.Identity()
    channels, strides = backbone.channels[-1], backbone.strides[-1:]
    all_sizes = (tuple(size for level in c.anchor_sizes for size in level),)
    return Trunk(backbone, SingleLevel(), last_stage, channels, roi_channels, strides, all_sizes)


def pop_last_stage(backbone: ResNet) -> nn.Module:
    """Remove the last stage from the backbone and return it, with stride 1.

    As the head of a C4 model it reads 7 x 7 RoI features, too few to halve (section 3.1).
    """
    name = f"layer{len(backbone.strides)}"
    last = backbone.get_submodule(name)
    delattr(backbone, name)
    backbone.strides, backbone.channels = backbone.strides[:-1], backbone.channels[:-1]
    for layer in last.get_submodule("0").modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    return last
