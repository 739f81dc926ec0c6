"""Anchors in an image, and how well they cover the objects (lesson 05)."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.scenes import show_panels
from mrcnn_edu.viz.style import GRAY, ROLES, TITLE


def anchors_at(anchors: Tensor, point: tuple[float, float], k: int = 3) -> Tensor:
    """The k anchors [k, 4] of a level [A, 4] whose centers are nearest to a point (x, y)."""
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    distance = (centers - centers.new_tensor(point)).norm(dim=1)
    return anchors[distance.argsort(stable=True)[:k]]


def show_anchors_at_center(image: Tensor, anchors: list[Tensor], size: tuple[int, int]) -> Picture:
    """The anchors at the center of the image [C, H, W], a panel for each level.

    anchors: [A_level, 4] of each level, in pixels of the image resized to `size` (height, width).
    """
    height, width = size
    scale = image.shape[-1] / width
    panels = {}
    for level in anchors:
        centered = anchors_at(level, (width / 2, height / 2)) * scale
        anchor_size = (level[:, 2:] - level[:, :2]).prod(dim=1).max().sqrt()
        panels[f"size {anchor_size:.0f}"] = (centered, "anchor")
    return show_panels(image, panels)


def draw_coverage(
    axes: Axes, sizes: Tensor, best_iou: Tensor, thresholds: tuple[float, ...] = (0.3, 0.7)
) -> None:
    """Draw each object's best IoU [M] with an anchor over its size [M], and lines at thresholds."""
    for threshold in thresholds:
        axes.axhline(threshold, color=GRAY, linewidth=1, linestyle="--")
    axes.plot(sizes, best_iou, ".", color=ROLES["anchor"], alpha=0.7)
    axes.set(xlabel="object size, pixels", ylabel="best IoU with an anchor", ylim=(0, 1))
    axes.set_xscale("log")
    low, high = (sizes.min().item(), sizes.max().item()) if len(sizes) else (1, 64)
    ticks = [2**i for i in range(12) if low / 2 < 2**i < 2 * high]
    axes.set_xticks(ticks, ticks)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)


def show_coverage(coverages: Mapping[str, tuple[Tensor, Tensor]]) -> Picture:
    """How well anchors cover objects, a panel for each title -> (sizes [M], best IoU [M])."""
    picture = Picture(4 * len(coverages), 3)
    panels = picture.subplots(1, len(coverages), sharey=True, squeeze=False)[0]
    for axes, (title, (sizes, best_iou)) in zip(panels, coverages.items(), strict=True):
        draw_coverage(axes, sizes, best_iou)
        axes.set_title(title, fontsize=TITLE)
        axes.label_outer()
    return picture
