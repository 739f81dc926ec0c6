"""Feature maps as colors: three principal components of all channels, or channels one by one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mrcnn_edu.viz.draw import draw_image
from mrcnn_edu.viz.picture import Picture, panel_height, row
from mrcnn_edu.viz.style import LIGHT, TITLE

EDGE = 2  # positions at a map's border at most, whose values padding distorts
SPAN = 0.98  # fraction of a map's values that lie between the darkest and the lightest color
CALM = 1.5  # above 1, features that hardly differ from the average stay gray
WEAKEST = 0.25  # a component that hardly varies, next to the strongest one, is not amplified
COLUMNS, CHANNELS = 6, 12  # panels in a row of `show_channels`, and panels in all


def show_feature_colors(
    features: Sequence[Tensor], image: Tensor, titles: Sequence[str] | None = None
) -> Picture:
    """The image [C, H, W], and its feature maps [1, C, h, w] as `feature_colors` paints them.

    Where two positions have the same color, their features are similar. titles: of the maps, by
    default their sizes.
    """
    maps = [as_map(values, f"features[{i}]") for i, values in enumerate(features)]
    if len(maps) == 0:
        raise ValueError("features is empty: give at least one feature map, as in trace.features")
    if titles is None:
        titles = [f"{values.shape[1]} × {values.shape[2]}" for values in maps]
    if len(titles) != len(maps):
        raise ValueError(f"{len(titles)} titles for {len(maps)} feature maps: give one for each")
    lines = max(title.count("\n") + 1 for title in titles)
    picture, (first, *panels) = row(1 + len(maps), 2.4, image.shape[1] / image.shape[2], lines)
    draw_image(first, image, "the image")
    for axes, colors, title in zip(panels, feature_colors(maps), titles, strict=True):
        draw_image(axes, colors, title, is_paled=True)
    return picture


def show_channels(
    features: Tensor, image: Tensor | None = None, channels: Sequence[int] | None = None
) -> Picture:
    """Single channels of a feature map [1, C, h, w] as a grid, after the image if one is given.

    channels: which ones, by default those that vary most. Each is black at its lowest value and
    white at its highest, not counting the border.
    """
    values = as_map(features, "features")
    if channels is None:
        n = CHANNELS - (image is not None)
        spread = inner(values).flatten(1).var(dim=1, correction=0)
        channels = spread.argsort(descending=True, stable=True)[:n].tolist()
    if len(channels) == 0 or min(channels) < 0 or max(channels) >= len(values):
        raise ValueError(f"channels is {list(channels)}: give numbers from 0 to {len(values) - 1}")
    n = len(channels) + (image is not None)
    columns = min(n, COLUMNS)
    rows, width = -(-n // columns), min(10 / columns, 2.4)
    height = panel_height(width, values.shape[1] / values.shape[2])
    picture = Picture(columns * width, rows * height)
    panels = picture.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[n:]:
        axes.remove()
    if image is not None:
        draw_image(panels.pop(0), image, "the image")
    for axes, channel in zip(panels, channels, strict=False):
        low, high = value_range(inner(values[channel]))
        axes.imshow(values[channel].numpy(), vmin=low, vmax=high, cmap="gray")
        axes.set_title(f"channel {channel}", fontsize=TITLE)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(LIGHT)
    return picture


def feature_colors(features: Sequence[Tensor]) -> list[Tensor]:
    """Images [3, h, w] in 0..1 of feature maps [1, C, h, w]: principal components as RGB.

    The three components are the directions in which the features of different positions differ
    most. Maps with the same number of channels, such as those of a pyramid, share them. A map is
    gray where its features are its average, and the sign of a component is the one for which rare
    values are high: objects are rarer than background. The border is painted, but counts nowhere.
    """
    maps = [as_map(values, f"features[{i}]") for i, values in enumerate(features)]
    centered = [values - inner(values).mean(dim=(1, 2), keepdim=True) for values in maps]
    components = {}
    for n_channels in {len(values) for values in maps}:
        alike = [inner(values).flatten(1) for values in centered if len(values) == n_channels]
        components[n_channels] = principal_components(torch.cat(alike, dim=1))
    images = []
    for values in centered:
        image = torch.einsum("kc,chw->khw", components[len(values)], values)
        high = inner(image).flatten(1).abs().quantile(SPAN, dim=1)
        high = high.clamp(min=max(WEAKEST * high.max().item(), 1e-6))
        strength = (image / high[:, None, None]).clamp(-1, 1)
        images.append(0.5 + 0.5 * (strength.sign() * strength.abs() ** CALM).float())
    return images


def principal_components(values: Tensor) -> Tensor:
    """The three principal components [3, C] of features [C, n] whose average is 0.

    Where there are fewer, the others are 0.
    """
    directions, _, _ = torch.linalg.svd(values, full_matrices=False)  # [C, min(C, n)]
    components = directions.new_zeros(3, len(values))
    components[: directions.shape[1]] = directions.T[:3]
    skew = ((components @ values) ** 3).sum(dim=1, keepdim=True)
    return components * torch.where(skew < 0, -1, 1)


def inner(values: Tensor) -> Tensor:
    """A map [..., h, w] without its border, whose values depend on the padding."""
    height, width = values.shape[-2:]
    edge = min(EDGE, height // 6, width // 6)
    return values[..., edge : height - edge, edge : width - edge]


def value_range(values: Tensor) -> tuple[float, float]:
    """The lowest and the highest value, without the most extreme ones on both sides."""
    low, high = values.flatten().quantile(values.new_tensor([1 - SPAN, SPAN])).tolist()
    return low, max(high, low + 1e-6)


def as_map(values: Tensor, name: str) -> Tensor:
    """A feature map [C, h, w] on the CPU in double precision; name: what errors call it."""
    shape = list(values.shape)
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"{name} has shape {shape}: give the features of one image, [1, C, h, w]")
    values = values.detach().cpu().double()
    if not values.isfinite().all():
        raise ValueError(f"{name} has values that are NaN or infinite: look at the model's weights")
    return values
