"""Backbone: the convolutions shared by everything after them, a ResNet and its feature pyramid.

Letters: B images, C channels, H and W of a map. Stage i of a ResNet halves the map's side.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d


class FrozenBatchNorm2d(nn.Module):
    """Batch norm with fixed statistics and affine numbers: a scale and a shift for each channel.

    What fine-tuning uses: the few images of a step are too few for good statistics. `conv_norm`
    applies it.
    """

    eps = 0.0  # left out in the published weights; `load_torchvision` adds others to the variance

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))


NORMS = {"frozen": FrozenBatchNorm2d, "batch": nn.BatchNorm2d}


def conv_norm(x: Tensor, conv: nn.Conv2d, norm: nn.Module | None) -> Tensor:
    """norm(conv(x)), in one step where the norm's statistics are fixed.

    Scaling and shifting a convolution's output is scaling its weights and shifting its bias, and
    there are far fewer weights than outputs. (The step left out: 6 % of `detect`.)
    """
    if norm is None or (isinstance(norm, nn.BatchNorm2d) and norm.training):
        out = conv(x)
        return out if norm is None else norm(out)
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias - norm.running_mean * scale
    weight = conv.weight * scale[:, None, None, None]
    return conv2d(x, weight, shift, conv.stride, conv.padding, groups=conv.groups)


class Convolution(nn.Sequential):
    """A convolution that keeps the side (or divides it by the stride), then norm and ReLU, if any.

    A Sequential, so that its parameters have torchvision's names: 0 the convolution, 1 the norm.
    """

    def __init__(self, in_channels, out_channels, kernel, norm=None, stride=1, relu=False):
        bias = norm is None  # a norm has its own
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)
        )
        if norm is not None:
            self.append(norm(out_channels))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        out = conv_norm(x, self[0], self[1] if len(self) > 1 else None)
        return out.relu_() if self.relu else out


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, added to their input (He et al. 2016, figure 5 left)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = norm(width)
        self.downsample = shortcut(in_channels, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        out = conv_norm(x, self.conv1, self.bn1).relu_()
        return conv_norm(out, self.conv2, self.bn2).add_(self.downsample(x)).relu_()


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, added to the input (He et al. 2016, figure 5 right)."""

    expansion = 4
    groups, group_width = 1, 64  # of the 3x3; the width is that of the first stage

    def __init__(self, in_channels: int, width: int, stride: int, norm):
        super().__init__()
        inner, out = width * self.group_width // 64 * self.groups, width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = norm(inner)
        # The stride sits in the 3x3 (torchvision's "V1.5"), in the paper's ResNet in the first 1x1.
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
    """ResNeXt's: the 3x3 convolution is split into 32 paths of 8 channels (Xie et al. 2017)."""

    groups, group_width = 32, 8


class TinyGroupedBottleneck(Bottleneck):
    """ResNeXt's idea at the tiny model's size: 8 paths, twice as wide inside as outside."""

    expansion = 1
    groups, group_width = 8, 16


def shortcut(in_channels: int, out_channels: int, stride: int, norm) -> nn.Module:
    """What a block adds to its output: the input, brought to the output's shape if need be."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return Convolution(in_channels, out_channels, 1, norm, stride)


class Stages(nn.Module):
    """What every backbone here is: a stem, then stages layer1, layer2, ... that halve the map.

    strides and channels: of the map that each stage gives.
    """

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.stem(images), []
        for i in range(len(self.strides)):
            x = getattr(self, f"layer{i + 1}")(x)
            maps.append(x)
        return maps

    def first_stages(self, n: int) -> nn.ModuleList:
        """The layers of the stem and of the first n stages."""
        return nn.ModuleList(
            [self.conv1, self.bn1, *(getattr(self, f"layer{i + 1}") for i in range(n))]
        )

    def take_last_stage(self) -> nn.Sequential:
        """The last stage, no longer part of the backbone, and with stride 1.

        Read by a head, region by region, it sees 7 x 7 cells: no more are to be lost (section 3.1).
        """
        name = f"layer{len(self.strides)}"
        last = getattr(self, name)
        delattr(self, name)
        self.strides, self.channels = self.strides[:-1], self.channels[:-1]
        for layer in last[0].modules():
            if isinstance(layer, nn.Conv2d):
                layer.stride = (1, 1)
        return last


class ResNet(Stages):
    """Images [B, C, H, W] to the outputs of the four stages C2 to C5, strides 4, 8, 16, 32.

    Parameters are named as torchvision's (without its classifier `fc`).
    """

    strides = (4, 8, 16, 32)

    def __init__(self, block, depths: tuple[int, ...], in_channels: int, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        stages, channels = [], 64
        for i, depth in enumerate(depths):
            width, stride = 64 * 2**i, 1 if i == 0 else 2  # the max pooling came before stage 1
            stages.append(stage(block, depth, channels, width, stride, norm))
            channels = width * 4
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = tuple(64 * 2**i * 4 for i in range(4))
        initialise(self)

    def stem(self, images: Tensor) -> Tensor:
        x = conv_norm(images, self.conv1, self.bn1).relu_()
        return max_pool2d(x, kernel_size=3, stride=2, padding=1)


class TinyResNet(Stages):
    """Images [B, C, H, W] to three stages of strides 4, 8, 16: a ResNet for 96 x 96 scenes."""

    strides = (4, 8, 16)
    channels = (48, 96, 128)

    def __init__(self, block, depths: tuple[int, ...], in_channels: int, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False)
        self.bn1 = norm(32)
        self.layer1 = stage(block, depths[0], 32, 48, 2, norm)
        self.layer2 = stage(block, depths[1], 48, 96, 2, norm)
        self.layer3 = stage(block, depths[2], 96, 128, 2, norm)
        initialise(self)

    def stem(self, images: Tensor) -> Tensor:
        return conv_norm(images, self.conv1, self.bn1).relu_()


def stage(block, depth: int, in_channels: int, width: int, stride: int, norm) -> nn.Sequential:
    """`depth` blocks in a row, the first of which changes the map's size and channels."""
    out_channels = width * block.expansion
    first = block(in_channels, width, stride, norm)
    return nn.Sequential(first, *(block(out_channels, width, 1, norm) for _ in range(depth - 1)))


def initialise(module: nn.Module) -> None:
    """Random convolution weights that keep the size of the signal (He et al. 2015), no bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


BACKBONES = {
    "tiny": partial(TinyResNet, BasicBlock, (2, 2, 1)),
    "tiny-deep": partial(TinyResNet, BasicBlock, (3, 3, 2)),
    "tiny-next": partial(TinyResNet, TinyGroupedBottleneck, (3, 3, 2)),
    "resnet50": partial(ResNet, Bottleneck, (3, 4, 6, 3)),
    "resnet101": partial(ResNet, Bottleneck, (3, 4, 23, 3)),
    "resnext101": partial(ResNet, GroupedBottleneck, (3, 4, 23, 3)),
}


class FPN(nn.Module):
    """Maps [B, C_i, H_i, W_i] to maps of `channels` each that all carry strong semantics.

    From the coarsest down: a 1x1 convolution of the backbone's map plus the coarser result, doubled
    in size; then a 3x3 convolution (FPN, figure 3). One more map, every second cell of the
    coarsest, is added for the RPN's largest anchors.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int, norm=None):
        super().__init__()
        inner = [Convolution(c, channels, 1, norm) for c in in_channels]
        outer = [Convolution(channels, channels, 3, norm) for _ in in_channels]
        for block in inner + outer:
            nn.init.kaiming_uniform_(block[0].weight, a=1)
            if norm is None:
                nn.init.zeros_(block[0].bias)
        self.inner_blocks = nn.ModuleList(inner)
        self.layer_blocks = nn.ModuleList(outer)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        merged = self.inner_blocks[-1](maps[-1])
        pyramid = [self.layer_blocks[-1](merged)]
        for i in reversed(range(len(maps) - 1)):
            lateral = self.inner_blocks[i](maps[i])
            merged = lateral.add_(interpolate(merged, size=lateral.shape[-2:], mode="nearest"))
            pyramid.insert(0, self.layer_blocks[i](merged))
        return [*pyramid, max_pool2d(pyramid[-1], kernel_size=1, stride=2)]


class LastMap(nn.Module):
    """Maps to a list of the coarsest alone: what detectors read before there were pyramids."""

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return maps[-1:]
