"""What a dataset contains: its counts and sizes, and a sheet of its images."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.viz.instances import draw_target
from mrcnn_edu.viz.keypoints import PLAIN, Skeleton
from mrcnn_edu.viz.picture import Picture, panel_height
from mrcnn_edu.viz.style import GRAY, OTHER_COLORS, ROLES, SMALL, legend

COLUMNS = 4
MAX_CLASSES = 20  # the most frequent classes are shown, at most this many


def show_overview(
    classes: Sequence[str],
    counts: Tensor,
    object_sizes: Tensor,
    image_sizes: Sequence[tuple[int, int]],
    per_image: Tensor,
    anchors: Mapping[str, Sequence[float]],
) -> Picture:
    """Objects of each class [K], sizes of the objects [N] and images, and objects in each image.

    object_sizes: square root of each box's area, in pixels of the network's input. image_sizes:
    (height, width). per_image: number of objects in each image. anchors: name -> anchor sizes,
    which are drawn over the objects' sizes; at most two names.
    """
    n_bars = min(len(counts), MAX_CLASSES)
    picture = Picture(10, 1.2 + max(4.4, 0.24 * n_bars))
    panels = picture.subplots(2, 2)
    upper_left, upper_right, lower_left, lower_right = panels.flatten()
    _draw_counts(upper_left, classes, counts)
    _draw_object_sizes(upper_right, object_sizes, anchors)
    _draw_image_sizes(lower_left, image_sizes)
    _draw_crowding(lower_right, per_image)
    for axes in panels.flatten():
        axes.spines[["top", "right"]].set_visible(False)
    return picture


def _draw_counts(axes: Axes, classes: Sequence[str], counts: Tensor) -> None:
    order = counts.argsort(descending=True, stable=True)[:MAX_CLASSES].tolist()
    bars = axes.barh([classes[k] for k in order], counts[order].numpy(), color=ROLES["gt"])
    axes.bar_label(bars, padding=2, fontsize=SMALL)
    axes.invert_yaxis()
    hidden = f", the first {MAX_CLASSES} of {len(classes)} classes"
    xlabel = "objects" + (hidden if len(classes) > MAX_CLASSES else "")
    axes.set(xlabel=xlabel, xlim=(0, 1.15 * max(1, int(counts.max()))))
    axes.locator_params(axis="x", integer=True)  # counts are whole numbers


def _draw_object_sizes(
    axes: Axes, object_sizes: Tensor, anchors: Mapping[str, Sequence[float]]
) -> None:
    shown = [size for sizes in anchors.values() for size in sizes]
    if len(object_sizes):
        shown += [object_sizes.min().item(), object_sizes.max().item()]
    else:
        shown += [1, 64]
    first, last = torch.tensor([min(shown) / 1.2, max(shown) * 1.2]).log10().tolist()
    edges = torch.logspace(first, last, 31)
    axes.hist(object_sizes.numpy(), bins=edges.tolist(), color=ROLES["gt"])
    styles = {"anchor": "-", "proposal": "--"}
    for (name, sizes), (role, style) in zip(anchors.items(), styles.items(), strict=False):
        for i, size in enumerate(sizes):
            label = name if i == 0 else None
            axes.axvline(size, color=ROLES[role], linestyle=style, linewidth=2, label=label)
    axes.set(xscale="log", xlabel="object size at the input, pixels", ylabel="objects")
    ticks = [2**i for i in range(14) if edges[0] <= 2**i <= edges[-1]]
    axes.set_xticks(ticks, ticks)
    axes.minorticks_off()
    legend(axes)
    axes.locator_params(axis="y", integer=True)  # counts are whole numbers


def _draw_image_sizes(axes: Axes, image_sizes: Sequence[tuple[int, int]]) -> None:
    heights, widths = zip(*image_sizes, strict=True)
    axes.plot(widths, heights, "o", color=OTHER_COLORS[0], alpha=0.4)
    axes.axline((0, 0), slope=1, color=GRAY, linewidth=1)
    axes.set(xlabel="width of the image, pixels", ylabel="height", xlim=(0, None))
    axes.set_ylim(0, None)


def _draw_crowding(axes: Axes, per_image: Tensor) -> None:
    n = int(per_image.max()) if len(per_image) else 0
    bounds = -0.5, n + 0.5
    axes.hist(per_image.numpy(), bins=min(40, n + 1), range=bounds, color=OTHER_COLORS[0])
    axes.set(xlabel="objects in the image", ylabel="images")
    axes.locator_params(integer=True)  # both are counts


def show_sheet(
    items: Mapping[str, tuple[Tensor, dict]],
    classes: Sequence[str],
    skeleton: Skeleton = PLAIN,
) -> Picture:
    """Images with their objects in rows of four: title -> (image [C, H, W], target).

    A crowd is drawn like an object, and the title counts the crowds. skeleton: of keypoints.
    """
    rows = -(-len(items) // COLUMNS)
    picture = Picture(3.4 * min(COLUMNS, max(1, len(items))), panel_height(3.4, 1) * max(1, rows))
    panels = picture.subplots(rows or 1, min(COLUMNS, len(items)) or 1, squeeze=False).flatten()
    for axes, (title, (image, target)) in zip(panels, items.items(), strict=False):
        crowds = int(target["iscrowd"].sum()) if "iscrowd" in target else 0
        if crowds:
            title += f" ({crowds} crowd{'s' * (crowds > 1)})"
        draw_target(axes, image, target, classes, title, skeleton)
    for axes in panels[len(items) :]:
        axes.axis("off")
    return picture
