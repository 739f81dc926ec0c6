"""What is in a data set: its counts and sizes, and a sheet of its images."""

import torch
from torch import Tensor

from mrcnn_edu.viz.draw import draw_instances
from mrcnn_edu.viz.picture import OTHERS, ROLES, Picture

COLUMNS = 4


def show_overview(
    classes: list[str],
    counts: Tensor,
    sides: Tensor,
    sizes: list[tuple[int, int]],
    per_image: Tensor,
    anchors: dict[str, list[float]],
) -> Picture:
    """Counts [K] of the classes, sides [N] of the objects, sizes of the images, objects in each.

    sides: in pixels of the network's input. per_image: objects of each image. anchors: a role, or
    a name -> sizes, which are drawn over the sides.
    """
    most = counts.argsort(descending=True, stable=True)[:20].tolist()
    picture = Picture(10, 1.2 + max(4.4, 0.24 * len(most)))
    panels = picture.subplots(2, 2)
    bars, histogram, scatter, crowding = panels.flatten()

    bars.barh([classes[k] for k in most], counts[most].numpy(), color=ROLES["truth"])
    bars.bar_label(bars.containers[0], padding=2, fontsize=8)
    bars.invert_yaxis()
    left = f", the first 20 of {len(classes)} classes" if len(classes) > 20 else ""
    bars.set(xlabel=f"objects{left}", xlim=(0, 1.15 * max(1, int(counts.max()))))

    low, high = (sides.min().item(), sides.max().item()) if len(sides) else (1, 64)
    known = [low, high, *(size for sizes in anchors.values() for size in sizes)]
    edges = torch.logspace(*torch.tensor([min(known) / 1.2, max(known) * 1.2]).log10().tolist(), 31)
    histogram.hist(sides.numpy(), bins=edges.numpy(), color=ROLES["truth"])
    styles = {"anchor": "-", "proposal": "--"}
    for (name, lines), (role, style) in zip(anchors.items(), styles.items(), strict=False):
        for i, size in enumerate(lines):
            label = {"label": name} if i == 0 else {}
            histogram.axvline(size, color=ROLES[role], linestyle=style, linewidth=2, **label)
    histogram.set(xscale="log", xlabel="side of the object at the input, pixels", ylabel="objects")
    ticks = [2**i for i in range(14) if edges[0] <= 2**i <= edges[-1]]
    histogram.set_xticks(ticks, ticks)
    histogram.minorticks_off()
    histogram.legend(frameon=False, fontsize=8)

    heights, widths = zip(*sizes, strict=True)
    scatter.plot(widths, heights, "o", color=ROLES["proposal"], alpha=0.4)
    scatter.axline((0, 0), slope=1, color="#999999", linewidth=1)
    scatter.set(xlabel="width of the image, pixels", ylabel="height", xlim=(0, None))
    scatter.set_ylim(0, None)

    most = int(per_image.max()) if len(per_image) else 0
    crowding.hist(
        per_image.numpy(), bins=min(40, most + 1), range=(-0.5, most + 0.5), color=OTHERS[4]
    )
    crowding.set(xlabel="objects in the image", ylabel="images")
    for axis in (bars.xaxis, histogram.yaxis, crowding.xaxis, crowding.yaxis):
        axis.get_major_locator().set_params(integer=True)  # nothing is counted in halves
    for axes in panels.flatten():
        axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_sheet(items: dict[str, tuple[Tensor, dict]], classes: list[str]) -> Picture:
    """Images with their objects in rows of four: title -> (image [C, H, W], target).

    A crowd is drawn as an object, and its title says so.
    """
    rows = -(-len(items) // COLUMNS)
    picture = Picture(3.4 * min(COLUMNS, max(1, len(items))), 0.2 + 3.1 * max(1, rows))
    panels = picture.subplots(rows or 1, min(COLUMNS, len(items)) or 1, squeeze=False).flatten()
    for axes, (title, (image, target)) in zip(panels, items.items(), strict=False):
        crowds = int(target["iscrowd"].sum()) if "iscrowd" in target else 0
        title += f" ({crowds} crowd{'s' * (crowds > 1)})" if crowds else ""
        objects = target["boxes"], target["labels"], target.get("masks")
        draw_instances(axes, image, *objects, classes, title=title)
    for axes in panels[len(items) :]:
        axes.axis("off")
    return picture
