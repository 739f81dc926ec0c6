"""Pictures: tensors in, a figure out. One idea a picture, the same colour for the same role.

truth green, anchors blue, proposals orange, detections red; these four are told apart by
colour-blind readers too (Okabe and Ito's palette). Classes have their own colours, in order.
"""

from base64 import b64encode
from io import BytesIO

import matplotlib.cbook
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image
from torch import Tensor

ROLES = {
    "truth": "#009E73",
    "anchor": "#56B4E9",
    "proposal": "#E69F00",
    "detection": "#D55E00",
}
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


def class_colour(label: int) -> tuple[float, float, float]:
    """The colour of a class, for labels 1, 2, ... of any number."""
    colours = matplotlib.colormaps["tab10"].colors
    return colours[(label - 1) % len(colours)]


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


def draw_map(axes: Axes, values: Tensor, title: str = "", high: float | None = None) -> None:
    """A map [h, w] of numbers from 0 up, dark to light, one square for each cell."""
    axes.imshow(
        values.detach().cpu().numpy(), vmin=0, vmax=high, cmap="magma", interpolation="nearest"
    )
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_boxes(axes: Axes, boxes: Tensor, colour="proposal", width: float = 2) -> None:
    """Boxes [N, 4]; colour: a role, a colour, or a list with one for each box."""
    colours = colour if isinstance(colour, list) else [colour] * len(boxes)
    shade = withStroke(linewidth=width + 1, foreground="#00000044")  # seen on any background
    for (x1, y1, x2, y2), c in zip(boxes.detach().cpu().tolist(), colours, strict=True):
        edge = ROLES.get(c, c) if isinstance(c, str) else c
        style = {"fill": False, "edgecolor": edge, "linewidth": width, "path_effects": [shade]}
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))


def paint_masks(image: Tensor, masks: Tensor, labels: Tensor, opacity: float = 0.5) -> Tensor:
    """The image [3, H, W] with masks [N, H, W] laid over it in colour, later ones on top."""
    painted = image.expand(3, -1, -1).clone() if len(image) == 1 else image[:3].clone()
    for mask, label in zip(masks.bool(), labels.tolist(), strict=True):
        colour = painted.new_tensor(class_colour(label))[:, None]  # [3, 1]
        under = image[:3, mask]
        painted[:, mask] = (1 - opacity) * under + opacity * colour
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


def show_truth(image: Tensor, target: dict, classes: list[str]) -> Picture:
    """An image [3, H, W] and its true objects."""
    picture = Picture(7, 3.4)
    left, right = picture.subplots(1, 2)
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


def show_boxes(image: Tensor, boxes: Tensor, role: str, title: str = "") -> Picture:
    """An image [3, H, W] and boxes [N, 4] of one role."""
    picture = Picture(4, 4)
    axes = picture.subplots()
    draw_image(axes, image, title)
    draw_boxes(axes, boxes, role)
    return picture


def show_panels(image: Tensor, panels: dict[str, tuple[Tensor, str]]) -> Picture:
    """The image once for each panel: title -> (boxes [N, 4], role)."""
    side = min(3.4, 10 / len(panels))
    picture = Picture(side * len(panels), side + 0.3)
    for axes, (title, (boxes, role)) in zip(
        picture.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        draw_image(axes, image, title)
        draw_boxes(axes, boxes, role, width=1.5)
    return picture


def show_maps(maps: list[Tensor], titles: list[str], image: Tensor | None = None) -> Picture:
    """Maps [h, w] side by side, each on its own grid and scale, after the image if one is given."""
    n = len(maps) + (image is not None)
    picture = Picture(2.3 * n, 2.6)
    axes = list(picture.subplots(1, n, squeeze=False)[0])
    if image is not None:
        draw_image(axes.pop(0), image, "the image")
    for panel, values, title in zip(axes, maps, titles, strict=True):
        draw_map(panel, values, title)
    return picture


def show_objectness(image: Tensor, maps: list[Tensor], strides: list[int]) -> Picture:
    """Objectness [h, w] in 0..1, the best anchor of each place, for each level beside the image."""
    titles = [
        f"stride {stride}: {len(level)} x {level.shape[1]}"
        for stride, level in zip(strides, maps, strict=True)
    ]
    picture = show_maps(maps, titles, image)
    for axes in picture.axes[1:]:
        axes.images[0].set_clim(0, 1)
    return picture


def crop(image: Tensor, box: Tensor) -> Tensor:
    """The pixels [3, h, w] of an image that a box [4] touches."""
    height, width = image.shape[-2:]
    x1, y1 = box[:2].floor().long().tolist()
    x2, y2 = box[2:].ceil().long().tolist()
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
    for panel, row, title in zip(axes, scores.cpu().numpy(), titles, strict=True):
        colours = ["#999999"] + [class_colour(k) for k in range(1, len(row))]
        panel.barh(range(len(row)), row, color=colours)
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


def sample_photograph() -> Tensor:
    """A photograph [3, H, W] in 0..1 that comes with Matplotlib: Grace Hopper, by the US Navy."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        pixels = np.asarray(Image.open(file).convert("RGB"))
    return torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)
