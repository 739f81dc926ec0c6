"""Where anchors stand, and which objects they reach (lesson 05)."""

from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.viz.picture import ROLES, Picture
from mrcnn_edu.viz.scenes import show_panels


def anchors_at(anchors: Tensor, point: tuple[float, float], k: int = 3) -> Tensor:
    """Of the anchors [A, 4] of a level the k [k, 4] whose centers are nearest to a point (x, y)."""
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    distance = (centers - centers.new_tensor(point)).norm(dim=1)
    return anchors[distance.argsort(stable=True)[:k]]


def show_anchors_at_center(image: Tensor, anchors: list[Tensor], size: tuple[int, int]) -> Picture:
    """The k anchors in the middle of the image for each level, a panel each.

    anchors: [A_level, 4] of each level, in pixels of the image scaled to size (height, width).
    """
    height, width = size
    zoom = image.shape[-1] / width
    panels = {}
    for level in anchors:
        here = anchors_at(level, (width / 2, height / 2)) * zoom
        side = (level[:, 2:] - level[:, :2]).prod(dim=1).max().sqrt()
        panels[f"side {side:.0f}"] = (here, "anchor")
    return show_panels(image, panels)


def draw_coverage(axes: Axes, sides: Tensor, best_iou: Tensor, bands=(0.3, 0.7)) -> None:
    """Best IoU [M] with an anchor over the side [M] of each object, and two levels that matter."""
    for level in bands:
        axes.axhline(level, color="#999999", linewidth=1, linestyle="--")
    axes.plot(sides, best_iou, ".", color=ROLES["anchor"], alpha=0.7)
    axes.set(xlabel="side of the object, pixels", ylabel="best IoU with an anchor", ylim=(0, 1))
    axes.set_xscale("log")
    low, high = (sides.min().item(), sides.max().item()) if len(sides) else (1, 64)
    ticks = [2**i for i in range(12) if low / 2 < 2**i < 2 * high]
    axes.set_xticks(ticks, ticks)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)


def show_coverage(coverages: dict[str, tuple[Tensor, Tensor]]) -> Picture:
    """Anchor coverage of objects, a panel for each title -> (sides [M], best IoU [M])."""
    picture = Picture(4 * len(coverages), 3)
    panels = picture.subplots(1, len(coverages), sharey=True, squeeze=False)[0]
    for axes, (title, coverage) in zip(panels, coverages.items(), strict=True):
        draw_coverage(axes, *coverage)
        axes.set_title(title, fontsize=10)
        axes.label_outer()
    return picture
