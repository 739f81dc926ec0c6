"""The backbone: a ResNet and its feature pyramid, whose features all heads share.

Letters: B images, C channels, H and W of a feature map. Each stage of a ResNet halves H and W.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d


def scale_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """What a norm with fixed statistics does to each channel: a scale and a shift, both [C]."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def conv_norm(x: Tensor, conv: Any, norm: Any) -> Tensor:
    """norm(conv(x)), norm may be None; in detection one convolution, with the norm folded in.

    There are far fewer weights to scale than outputs, which saves 6 % of `detect`.
    """
    if norm is None:
        return conv(x)
    if torch.is_grad_enabled() or not _can_fold(conv, norm):
        return norm(conv(x))
    scale, shift = scale_and_shift(norm)
    weight = conv.weight * scale[:, None, None, None]
    return conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation, conv.groups)


def _can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether statistics are fixed, and no forward hook expects that the layers are called."""
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks for layer in (conv, norm))
    return not hooked and not norm.training and getattr(norm, "running_var", None) is not None


class Convolution(nn.Sequential):
    """A convolution that keeps H and W (or divides them by the stride), then norm and ReLU, if any.

    A Sequential, so that its parameters have torchvision's names: 0 the convolution, 1 the norm.
    """

    def __init__(self, in_channels, out_channels, kernel, norm=None, stride=1, relu=False):
        bias, padding = norm is None, kernel // 2  # a norm has a bias of its own
        super().__init__(nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias))
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


def shortcut(in_channels: int, out_channels: int, stride: int, norm) -> nn.Module:
    """What a block adds to its output: the input, projected if its shape differs."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return Convolution(in_channels, out_channels, 1, norm, stride)


class ResNet(nn.Module):
    """Images [B, C, H, W] to the outputs of its stages, with strides 4, 8, 16 (and 32).

    block: the class of the residual blocks. depths: number of blocks in each stage. The defaults
    are the paper's; parameters have torchvision's names (without its classifier `fc`).
    """

    def __init__(
        self, block, depths, in_channels, norm, stem_width=64, stem_kernel=7, max_pool=True,
        widths=(64, 128, 256, 512),
    ):  # fmt: skip
        super().__init__()
        padding = stem_kernel // 2
        self.conv1 = nn.Conv2d(in_channels, stem_width, stem_kernel, 2, padding, bias=False)
        self.bn1, self.max_pool = norm(stem_width), max_pool
        channels = [stem_width, *(width * block.expansion for width in widths)]
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            stride = 1 if i == 0 and max_pool else 2
            self.add_module(f"layer{i + 1}", stage(block, depth, channels[i], width, stride, norm))
        self.channels = tuple(channels[1:])
        self.strides = tuple(4 * 2**i for i in range(len(depths)))
        initialize(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = conv_norm(images, self.conv1, self.bn1).relu_(), []
        if self.max_pool:
            x = max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for i in range(len(self.strides)):
            x = self.get_submodule(f"layer{i + 1}")(x)
            maps.append(x)
        return maps


def stage(block, depth: int, in_channels: int, width: int, stride: int, norm) -> nn.Sequential:
    """`depth` blocks in a row, the first of which changes H, W and the channels."""
    out_channels = width * block.expansion
    first = block(in_channels, width, stride, norm)
    return nn.Sequential(first, *(block(out_channels, width, 1, norm) for _ in range(depth - 1)))


def initialize(module: nn.Module) -> None:
    """Random convolution weights that preserve the variance (He et al. 2015), zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class FPN(nn.Module):
    """Maps [B, C_i, H_i, W_i] to maps of `channels` channels, all with strong semantics.

    Top-down pathway: a 1x1 convolution of the backbone's map (the lateral connection) plus the
    coarser result, upsampled; then a 3x3 convolution (FPN, figure 3). One more level, the coarsest
    map subsampled by 2, is for the RPN's largest anchors.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int, norm=None):
        super().__init__()
        self.inner_blocks = nn.ModuleList(Convolution(c, channels, 1, norm) for c in in_channels)
        self.layer_blocks = nn.ModuleList(
            Convolution(channels, channels, 3, norm) for _ in in_channels
        )
        for parameter in self.parameters():
            if parameter.ndim == 4:
                nn.init.kaiming_uniform_(parameter, a=1)
            elif norm is None:
                nn.init.zeros_(parameter)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        merged = self.inner_blocks[-1](maps[-1])
        pyramid = [self.layer_blocks[-1](merged)]
        for i in reversed(range(len(maps) - 1)):
            upsampled = interpolate(merged, size=maps[i].shape[-2:], mode="nearest")
            merged = upsampled.add_(self.inner_blocks[i](maps[i]))
            pyramid.insert(0, self.layer_blocks[i](merged))
        return [*pyramid, max_pool2d(pyramid[-1], kernel_size=1, stride=2)]
