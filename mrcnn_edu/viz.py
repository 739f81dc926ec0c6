"""Pictures: tensors in, a figure out. One idea a picture, the same colour for the same role.

Truth is green, anchors light blue, proposals and RoIs orange, detections red (Okabe and Ito's
palette). RoIPool is purple, RoIWarp blue, RoIAlign black. Classes have colours of their own, in
order (Paul Tol's). Colour-blind readers tell them apart too, which tests/test_viz.py measures.
Maps are dark at 0 and light at their highest value; where values have a sign, red is negative,
white 0, blue positive.
"""

import textwrap
from base64 import b64encode
from io import BytesIO

import matplotlib.cbook
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image
from torch import Tensor

from mrcnn_edu.roi_ops import round_half_away, rounded_bins

ROLES = {
    "truth": "#009E73",
    "anchor": "#56B4E9",
    "proposal": "#E69F00",
    "detection": "#D55E00",
}
OPS = {"pool": "#CC79A7", "warp": "#0072B2", "align": "#000000"}
OTHERS = ("#222222", "#AA3377", "#33BBEE", "#BBAA33")  # for what has no colour of its own
CLASSES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
STAGES = (  # of `MaskRCNN.trace`, in order, with what each hands on
    ("image", "C x H x W"),
    ("features", "pyramid"),
    ("proposals", "boxes"),
    ("RoI features", "7 x 7, 14 x 14"),
    ("class, box, mask", "numbers"),
    ("detections", "in the image"),
)


class Picture(Figure):
    """A figure that needs no pyplot, and shows itself at the end of a notebook cell.

    `format` is "png" for drawings, and "jpeg" once there are pixels of an image in it: those fill a
    PNG file more than they gain from it.
    """

    format = "png"

    def __init__(self, width: float = 7, height: float = 3, **options):
        super().__init__(figsize=(width, height), dpi=72, layout="constrained", **options)
        FigureCanvasAgg(self)

    def caption(self, text: str) -> "Picture":
        """The picture itself, higher by a sentence below it that says what to look at."""
        letters = int(self.get_figwidth() * self.dpi / 5.2)  # in a line
        lines = textwrap.wrap(text, letters)
        self.supxlabel("\n".join(lines), fontsize=9, color="#333333")
        self.set_figheight(self.get_figheight() + 0.05 + 0.17 * len(lines))
        return self

    def place(self, positions: list) -> None:
        """Put the axes at positions found before; finding them anew takes half of the drawing."""
        if len(positions) == len(self.axes):
            self.set_layout_engine("none")
            for axes, position in zip(self.axes, positions, strict=True):
                axes.set_position(position)

    def encoded(self, format: str | None = None) -> bytes:
        """The picture as the bytes of a file of a format, its own if none is given."""
        self.canvas.draw()
        file = BytesIO()
        pixels = Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")
        pixels.save(file, format=format or self.format, quality=75)
        return file.getvalue()

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        return self.encoded("png")

    def _repr_mimebundle_(self, **_options) -> dict[str, str]:
        data = b64encode(self.encoded()).decode()
        return {f"image/{self.format}": data, "text/plain": repr(self)}


def class_colour(label: int) -> str:
    """The colour of a class, for labels 1, 2, ... of any number."""
    return CLASSES[(label - 1) % len(CLASSES)]


def colour(name: str, place: int = 0) -> str:
    """The colour of a role or an operation, else one by its place among others."""
    return (ROLES | OPS).get(name, OTHERS[place % len(OTHERS)])


# What goes onto given axes


def draw_image(axes: Axes, image: Tensor, title: str = "") -> None:
    """An image [3, H, W] or [1, H, W] in 0..1; pixel corners are at whole numbers."""
    height, width = image.shape[-2:]
    pixels = image.expand(3, -1, -1) if len(image) == 1 else image[:3]
    pixels = pixels.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.figure.format = "jpeg"


def draw_map(
    axes: Axes, values: Tensor, title: str = "", high=None, signed=False, numbers=""
) -> None:
    """A map [h, w] of numbers, one square for each cell.

    From 0 up, dark to light; or, `signed`, red below 0 and blue above. high: the last shade's
    value, the map's own if None. numbers: a format such as ".1f" to write each value into its cell.
    """
    values = values.detach().cpu().float()
    high = (values.abs().max().item() if len(values) else 0) or 1 if high is None else high
    style = {"cmap": "RdBu", "vmin": -high} if signed else {"cmap": "magma", "vmin": 0}
    axes.imshow(values.numpy(), vmax=high, interpolation="nearest", **style)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if not numbers:
        return
    for (row, column), value in np.ndenumerate(values.numpy()):
        dark = abs(value) > 0.6 * high if signed else value < 0.6 * high
        style = {"ha": "center", "va": "center", "fontsize": 9, "color": "wk"[not dark]}
        axes.text(column, row, format(value, numbers), **style)


def draw_row(axes: Axes, maps: dict[str, Tensor], high: float) -> None:
    """Maps of one size, title -> [h, w], side by side on one pair of axes: quick to draw."""
    h, w = next(iter(maps.values())).shape
    step = w + max(1, w // 8)
    strip = torch.full((h, step * len(maps) - (step - w)), torch.nan)
    for i, (title, values) in enumerate(maps.items()):
        strip[:, i * step : i * step + w] = values
        axes.text(
            i * step + w / 2 - 0.5, -0.5 - 0.02 * h, title, ha="center", va="bottom", fontsize=10
        )
    draw_map(axes, strip, high=high)
    axes.axis("off")


def draw_boxes(axes: Axes, boxes: Tensor, role="proposal", width: float = 2, line="-") -> None:
    """Boxes [N, 4]; role: of the boxes, or a colour, or a list with one for each box."""
    names = role if isinstance(role, list) else [role] * len(boxes)
    corners = boxes.detach().cpu()[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].view(-1, 5, 2)
    shade = withStroke(linewidth=width + 1, foreground="#00000044")  # seen on any background
    lines = LineCollection(
        list(corners.numpy()), colors=[(ROLES | OPS).get(name, name) for name in names],
        linewidths=width, linestyles=line, path_effects=[shade], joinstyle="miter",
    )  # fmt: skip
    axes.add_collection(lines, autolim=False)


def paint_masks(image: Tensor, masks: Tensor, labels: Tensor, opacity: float = 0.5) -> Tensor:
    """The image [3, H, W] with masks [N, H, W] laid over it in colour, later ones on top."""
    painted = image.expand(3, -1, -1).clone() if len(image) == 1 else image[:3].clone()
    for mask, label in zip(masks.bool(), labels.tolist(), strict=True):
        paint = painted.new_tensor(to_rgb(class_colour(label)))[:, None]  # [3, 1]
        painted[:, mask] = (1 - opacity) * image[:3, mask] + opacity * paint
    return painted


def draw_instances(axes: Axes, image, boxes, labels, masks, classes, scores=None, title="") -> None:
    """An image with its objects: box and name of each, and its mask and score if there are any."""
    draw_image(axes, image if masks is None else paint_masks(image, masks, labels), title)
    draw_boxes(axes, boxes, [class_colour(label) for label in labels.tolist()])
    for i, (label, (x1, y1, _, _)) in enumerate(
        zip(labels.tolist(), boxes.cpu().tolist(), strict=True)
    ):
        text = classes[label - 1] + (f" {scores[i]:.2f}" if scores is not None else "")
        above = y1 > 0.06 * image.shape[1]  # or the name would be cut off
        axes.text(
            x1, y1, text, fontsize=8, color="white", va="bottom" if above else "top", clip_on=True,
            bbox={"facecolor": class_colour(label), "edgecolor": "none", "pad": 1},
        )  # fmt: skip


# Whole pictures


def row(n: int, side: float = 3.4, ratio: float = 1, lines: int = 1) -> tuple[Picture, list[Axes]]:
    """A picture with n panels side by side, in all at most 10 units of 72 pixels wide.

    side: a panel's width. ratio: its height / width. lines: of text above it.
    """
    side = min(side, 10 / max(n, 1))
    picture = Picture(side * n, side * ratio + 0.05 + 0.25 * lines)
    return picture, list(picture.subplots(1, n, squeeze=False)[0])


def show_truth(image: Tensor, target: dict, classes: list[str]) -> Picture:
    """An image [3, H, W] and its true objects."""
    picture, (left, right) = row(2)
    draw_image(left, image, "the image")
    objects = target["boxes"], target["labels"], target.get("masks")
    draw_instances(right, image, *objects, classes, title="its objects")
    return picture


def show_detections(
    image: Tensor,
    detections,
    classes: list[str],
    target: dict | None = None,
    target_classes: list[str] | None = None,
    width: float = 3.6,
) -> Picture:
    """An image [3, H, W] with what was found in it; beside the truth, if a target is given.

    target_classes: the names of the target's labels, if they are not the detections' `classes`.
    width: of each panel, in units of 72 pixels.
    """
    panels = 1 if target is None else 2
    picture = Picture(width * panels, width * image.shape[1] / image.shape[2] + 0.3)
    axes = picture.subplots(1, panels, squeeze=False)[0]
    if target is not None:
        objects = target["boxes"], target["labels"], target.get("masks")
        draw_instances(axes[0], image, *objects, target_classes or classes, title="truth")
    d = detections
    title = f"{len(d)} detections"
    draw_instances(axes[-1], image, d.boxes, d.labels, d.masks, classes, d.scores, title)
    return picture


def show_flow(stage: str | None = None) -> Picture:
    """The data flow of Mask R-CNN, left to right, with one stage lit."""
    names = [name for name, _ in STAGES]
    if stage is not None and stage not in names:
        raise ValueError(f"stage is {stage!r}: choose one of {', '.join(names)}")
    picture = Picture(9, 1.2)
    axes = picture.subplots()
    for i, (name, what) in enumerate(STAGES):
        lit = name == stage
        style = {"facecolor": ROLES["proposal"] if lit else "#eeeeee", "edgecolor": "#888888"}
        axes.add_patch(FancyBboxPatch((i + 0.1, 0.25), 0.72, 0.5, "round,pad=0.04", **style))
        axes.text(i + 0.46, 0.58, name, ha="center", va="center", fontsize=9, weight="bold")
        axes.text(i + 0.46, 0.38, what, ha="center", va="center", fontsize=8, color="#444444")
        if i > 0:
            axes.annotate("", (i + 0.06, 0.5), (i - 0.14, 0.5), arrowprops={"arrowstyle": "->"})
    axes.set(xlim=(0, len(STAGES)), ylim=(0.1, 0.9))
    axes.axis("off")
    return picture


def show_images(images: dict[str, Tensor]) -> Picture:
    """Images side by side, title -> [3, H, W]."""
    picture, panels = row(len(images))
    for axes, (title, image) in zip(panels, images.items(), strict=True):
        draw_image(axes, image, title)
    return picture


def show_boxes(image: Tensor, boxes: Tensor, role: str, title: str = "") -> Picture:
    """An image [3, H, W] and boxes [N, 4] of one role."""
    return show_panels(image, {title: (boxes, role)}, side=4)


def show_panels(image: Tensor, panels: dict[str, tuple[Tensor, str]], side: float = 3.4) -> Picture:
    """The image once for each panel: title -> (boxes [N, 4], role)."""
    picture, all_axes = row(len(panels), side, image.shape[1] / image.shape[2])
    for axes, (title, (boxes, role)) in zip(all_axes, panels.items(), strict=True):
        draw_image(axes, image, title)
        draw_boxes(axes, boxes, role, width=2 if len(panels) == 1 else 1.5)
    return picture


def show_maps(
    maps: list[Tensor], titles: list[str], image: Tensor | None = None, **style
) -> Picture:
    """Maps [h, w] side by side, each on its own grid, after the image if one is given.

    style: as for `draw_map`; without `high` each map has a scale of its own.
    """
    lines = max(title.count("\n") + 1 for title in titles)
    picture, axes = row(len(maps) + (image is not None), 2.3, lines=lines)
    if image is not None:
        draw_image(axes.pop(0), image, "the image")
    for panel, values, title in zip(axes, maps, titles, strict=True):
        draw_map(panel, values, title, **style)
    return picture


def show_objectness(image: Tensor, maps: list[Tensor], strides: list[int]) -> Picture:
    """Objectness [h, w] in 0..1, the best anchor of each place, for each level beside the image."""
    titles = [
        f"stride {stride}: {len(level)} x {level.shape[1]}"
        for stride, level in zip(strides, maps, strict=True)
    ]
    return show_maps(maps, titles, image, high=1)


def crop(image: Tensor, box: Tensor) -> Tensor:
    """The pixels [C, h, w] of an image that a box [4] touches."""
    height, width = image.shape[-2:]
    x1, y1 = box[:2].float().floor().long().tolist()
    x2, y2 = box[2:].float().ceil().long().tolist()
    return image[:, max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]


def show_regions(image: Tensor, boxes: Tensor, maps: Tensor, titles: list[str]) -> Picture:
    """For each box [N, 4] the piece of the image, and below it a map [N, h, w] made from it."""
    n = len(boxes)
    picture = Picture(1.7 * n, 3.9)
    axes = picture.subplots(2, n, squeeze=False)
    for i, title in enumerate(titles):
        draw_image(axes[0, i], crop(image, boxes[i]), title)
        draw_map(axes[1, i], maps[i])
    return picture


def show_scores(scores: Tensor, names: list[str], titles: list[str]) -> Picture:
    """Bars of scores [N, n] in 0..1, one panel for each row."""
    picture = Picture(2.2 * len(scores), 2.4)
    axes = picture.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for panel, values, title in zip(axes, scores.cpu().numpy(), titles, strict=True):
        colours = ["#999999"] + [class_colour(k) for k in range(1, len(values))]
        panel.barh(range(len(values)), values, color=colours)
        panel.set_xlim(0, 1)
        panel.set_title(title, fontsize=10)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    axes[0].invert_yaxis()
    return picture


def anchors_at(anchors: Tensor, point: tuple[float, float], k: int = 3) -> Tensor:
    """Of the anchors [A, 4] of a level the k [k, 4] whose centres are nearest to a point (x, y)."""
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    distance = (centres - centres.new_tensor(point)).norm(dim=1)
    return anchors[distance.argsort(stable=True)[:k]]


def show_anchors_at_centre(image: Tensor, anchors: list[Tensor], size: tuple[int, int]) -> Picture:
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


def show_lines(x: Tensor, lines: dict[str, Tensor], xlabel: str, ylabel: str) -> Picture:
    """Curves over x [n]: name -> y [n]. The name of a role or an operation has its colour."""
    picture = Picture(6, 3)
    axes = picture.subplots()
    for place, (name, y) in enumerate(lines.items()):
        axes.plot(x, y.detach().cpu(), label=name, color=colour(name, place), linewidth=1.8)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_seeds(values: dict[str, list[float]], paper: dict[str, float], xlabel: str) -> Picture:
    """Scores of each name, a dot for each seed and a bar at their mean; beside them the paper's."""
    panels = 2 if paper else 1
    picture = Picture(4.6 * panels, 0.8 + 0.34 * len(values))
    axes = picture.subplots(1, panels, sharey=True, squeeze=False)[0]
    names = list(values)
    for row, scores in enumerate(values.values()):
        axes[0].plot(scores, [row] * len(scores), "o", color=ROLES["proposal"], alpha=0.6)
        if scores:
            mean = sum(scores) / len(scores)
            axes[0].plot([mean] * 2, [row - 0.3, row + 0.3], color="#222222", linewidth=2)
    axes[0].set(xlabel=f"{xlabel}, here", ylim=(len(names) - 0.5, -0.5))
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    if paper:
        rows = [names.index(name) for name in paper]
        axes[1].plot(list(paper.values()), rows, "D", color="#222222")
        axes[1].set_xlabel(f"{xlabel}, the paper's on COCO")
    for panel in axes:
        panel.grid(axis="x", color="#dddddd", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return picture


def show_spread(values: dict[str, Tensor], xlabel: str) -> Picture:
    """How values spread, a row of bars for each name -> [n], all on one scale."""
    picture = Picture(6, 0.5 + 0.9 * len(values))
    rows = picture.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    high = max(v.abs().max().item() for v in values.values()) + 0.5
    for place, (axes, (name, v)) in enumerate(zip(rows, values.items(), strict=True)):
        bars = {"bins": 61, "range": (-high, high), "color": colour(name, place)}
        axes.hist(v.detach().cpu().numpy(), **bars)
        axes.axvline(0, color="#999999", linewidth=1)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    rows[-1].set_xlabel(xlabel)
    return picture


def show_table(values: Tensor, rows: list[str], columns: list[str], numbers=".2f") -> Picture:
    """A table [n, m] of numbers from 0 up, each cell as light as its number is high."""
    picture = Picture(1.6 + 1.0 * len(columns), 0.6 + 0.42 * len(rows))
    axes = picture.subplots()
    draw_map(axes, values, numbers=numbers)
    axes.set_aspect("auto")
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    return picture


def show_differences(truth: Tensor, found: dict[str, Tensor]) -> Picture:
    """Where masks differ from the true one [H, W]: title -> mask [H, W], around the object.

    Dark is right, green is missing (truth only), red is too much (detection only).
    """
    y, x = torch.where(truth)
    border = 2 + int(x.max() - x.min()) // 8
    window = torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1])
    window = window + torch.tensor([-border, -border, border, border])
    inside = crop(truth[None], window)[0]
    picture, panels = row(len(found), 2.6, inside.shape[0] / inside.shape[1])
    for axes, (title, mask) in zip(panels, found.items(), strict=True):
        mask = crop(mask[None], window)[0]
        pixels = torch.ones(3, *inside.shape)
        missing, extra = inside & ~mask, mask & ~inside
        paints = {"#444444": inside & mask, ROLES["truth"]: missing, ROLES["detection"]: extra}
        for paint, where in paints.items():
            pixels[:, where] = torch.tensor(to_rgb(paint))[:, None]
        draw_image(axes, pixels, title)
    return picture


# Lesson 05: anchors


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


# Lesson 07: what RoIPool, RoIWarp and RoIAlign read


def bins_read(op: str, box: Tensor, stride: int, output_size: int) -> tuple[Tensor, Tensor]:
    """The bins [P * P, 4] of a RoI [4], and the points [n, 2] read in them, in image pixels.

    Number i of a map lies at pixel i * stride (the paper's figure 3). RoIPool's bins reach from the
    first to the last number that they read; the others have 2 x 2 points in each bin.
    """
    edges, points = [], []  # along x, then along y
    for start, end in (box[[0, 2], None] / stride, box[[1, 3], None] / stride):
        if op == "pool":
            beyond = torch.tensor([10_000])  # the end of the map plays no part
            first, count = (v[0] for v in rounded_bins(start, end, beyond, output_size))
            edges.append(torch.stack((first, first + count - 1), dim=1))
            points.append(torch.arange(int(first[0]), int(first[-1] + count[-1])))
        else:
            if op == "warp":
                start, end = round_half_away(start), round_half_away(end)
            size = (end - start).clamp(min=1)
            border = start + size * torch.linspace(0, 1, output_size + 1)
            edges.append(torch.stack((border[:-1], border[1:]), dim=1))
            points.append(start + size * (torch.arange(2 * output_size) + 0.5) / output_size / 2)
    x, y = (e.float().repeat(*n, 1) for e, n in zip(edges, ((output_size,), (1,)), strict=True))
    y = y.repeat_interleave(output_size, dim=0)
    bins = torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), dim=1) * stride
    return bins, torch.cartesian_prod(*(p.float() * stride for p in points))


def show_bins(box: Tensor, stride: int, output_size: int = 2) -> Picture:
    """What each operation reads for a RoI [4], drawn to scale on the numbers of a map."""
    picture = Picture(9.6, 3.5)
    names = {"pool": "RoIPool", "warp": "RoIWarp", "align": "RoIAlign"}
    for axes, (op, name) in zip(picture.subplots(1, 3), names.items(), strict=True):
        x1, y1 = ((box[:2] / stride - 0.8).floor().int() * stride).tolist()
        x2, y2 = ((box[2:] / stride + 0.8).ceil().int() * stride).tolist()
        x, y = range(x1, x2 + 1, stride), range(y1, y2 + 1, stride)
        axes.plot(*np.array([(i, j) for i in x for j in y]).T, "o", color="#bbbbbb", markersize=4)
        (left, top), (right, bottom) = box[:2].tolist(), box[2:].tolist()
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, color="#E69F0055"))
        bins, points = bins_read(op, box, stride, output_size)
        draw_boxes(axes, bins, op, width=1.5)
        axes.plot(*points.numpy().T, "o", color=OPS[op], markersize=4)
        axes.set(xlim=(x1 - 6, x2 + 6), ylim=(y2 + 6, y1 - 6), aspect="equal")
        axes.set_title(name, fontsize=10)
        axes.set_xticks(x, x, fontsize=8)
        axes.set_yticks(y, y, fontsize=8)
    return picture


# Lesson 01: what may be asked of an image


def show_tasks(image: Tensor, target: dict, classes: list[str]) -> Picture:
    """One scene, four answers: names, boxes, each pixel's class, each pixel's object."""
    picture, axes = row(4, lines=2)
    boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
    draw_image(axes[0], image, "classification")
    names = ", ".join(classes[k - 1] for k in labels.unique().tolist())
    axes[0].set_xlabel(names, fontsize=9)
    draw_instances(axes[1], image, boxes, labels, None, classes, title="detection")
    draw_image(axes[2], paint_masks(image, masks, labels, 1), "semantic segmentation")
    numbers = torch.arange(1, len(labels) + 1)
    draw_image(axes[3], paint_masks(image, masks, numbers, 1), "instance segmentation")
    draw_boxes(axes[3], boxes, [class_colour(i) for i in numbers.tolist()])
    return picture


def show_counts(parts: dict[str, Tensor], names: list[str], xlabel: str = "") -> Picture:
    """Bars of counts, a row for each of n names; each part, title -> [n], goes on from the last."""
    picture = Picture(6.5, 0.7 + 0.33 * len(names))
    axes = picture.subplots()
    end = torch.zeros(len(names))
    for place, (title, counts) in enumerate(parts.items()):
        shade = ("#333333", "#9FB8CC", "#E0E0E0")[place % 3]
        axes.barh(names, counts.numpy(), left=end.numpy(), color=shade, label=title)
        end = end + counts
    for row, total in enumerate(end.tolist()):
        axes.text(total, row, f" {total:.0f}", va="center", fontsize=9)
    axes.set(xlabel=xlabel, xlim=(0, 1.1 * max(1, end.max().item())))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_sharing(cells: dict[str, list[str]], columns: list[str]) -> Picture:
    """A grid of stages: row -> a text for each column, coloured by its first word.

    "once" for the image, "each" region anew, "outside" the network; "" is an empty place.
    """
    colours = {"once": "#9fd8c3", "each": "#f2cf87", "outside": "#d5d5d5", "": "white"}
    picture = Picture(9.4, 0.5 + 0.5 * len(cells))
    axes = picture.subplots()
    for row, texts in enumerate(cells.values()):
        for column, text in enumerate(texts):
            colour = colours[text.split(":")[0]]
            axes.add_patch(Rectangle((column - 0.47, row - 0.42), 0.94, 0.84, color=colour))
            axes.text(column, row, text, ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(cells) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(cells)), list(cells), fontsize=9)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return picture


# Lesson 10: how a training goes


def show_training(losses: list[dict[str, float]], measured: dict[str, dict[int, float]]) -> Picture:
    """The five losses, each the mean of 20 steps, beside what was measured: name -> {step: 0..1}.

    losses: of every step so far, perhaps none.
    """
    picture = Picture(10, 3.3)
    left, right = picture.subplots(1, 2)
    colours = ("#222222", "#999999", "#4477AA", "#66CCEE", "#EE6677")
    for name, shade in zip(losses[0] if losses else (), colours, strict=False):
        values = np.array([parts[name] for parts in losses])
        sums = np.cumsum(np.insert(values, 0, 0.0))
        end = np.arange(1, len(values) + 1)
        start = np.maximum(end - 20, 0)
        means = (sums[end] - sums[start]) / (end - start)
        left.plot(end, means, label=name, color=shade, linewidth=1.6)
    for place, (name, values) in enumerate(measured.items()):
        steps, heights = list(values), list(values.values())
        right.plot(
            steps,
            heights,
            "o-",
            label=name,
            color=("#222222", "#EE6677", "#999999", "#4477AA")[place % 4],
        )
    left.set(xlabel="step", ylabel="loss, mean of 20 steps", ylim=(0, None))
    right.set(xlabel="step", ylabel="share, on scenes held out", ylim=(0, 1.03))
    for axes in (left, right):
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return picture


# Lesson 13: position-sensitive maps


def side_by_side(maps: Tensor) -> Tensor:
    """One map of k x k maps [k, k, h, w], each in its place, with a gap of a cell between them."""
    rows, columns, h, w = maps.shape
    sheet = torch.full((rows * (h + 1) - 1, columns * (w + 1) - 1), torch.nan)
    for i in range(rows):
        for j in range(columns):
            y, x = i * (h + 1), j * (w + 1)
            sheet[y : y + h, x : x + w] = maps[i, j]
    return sheet


def show_cells(sheets: dict[str, Tensor], image: Tensor, box: Tensor, k: int) -> Picture:
    """An image with a box [4] cut into k x k cells, and beside it sheets of maps, as signed maps.

    sheets: title -> `side_by_side` maps.
    """
    picture = Picture(9.8, 3.1)
    first, *others = picture.subplots(1, 1 + len(sheets), width_ratios=[0.8] + [1] * len(sheets))
    draw_image(first, image, "the image, a box and its cells")
    x1, y1, x2, y2 = box.tolist()
    for i in range(1, k):
        x, y = x1 + i * (x2 - x1) / k, y1 + i * (y2 - y1) / k
        first.plot([x, x], [y1, y2], [x1, x2], [y, y], color=ROLES["proposal"], linewidth=0.7)
    draw_boxes(first, box[None], "proposal")
    high = max(sheet.nan_to_num().abs().max().item() for sheet in sheets.values())
    for axes, (title, sheet) in zip(others, sheets.items(), strict=True):
        draw_map(axes, sheet, title, high=high, signed=True)
    return picture


def sample_photograph() -> Tensor:
    """A photograph [3, H, W] in 0..1 that comes with Matplotlib: Grace Hopper, by the US Navy."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        pixels = np.asarray(Image.open(file).convert("RGB"))
    return torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)
