"""Lesson 11, class confusion: a matrix whose cells open the objects that are counted in them."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn.functional import interpolate
from traitlets import Dict, Int, List, TraitError, Tuple, Unicode, validate

from mrcnn_edu import viz
from mrcnn_edu.course.confusion import EXTRA_ROWS, MISSED, Pair, class_pairs, confusion_matrix
from mrcnn_edu.course.widgets.touch import FOLDER, Touchable, read_script
from mrcnn_edu.detections import Detections
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.confusion import shades as cell_shades
from mrcnn_edu.viz.outlines import draw_outlines, outline_segments

MOST = 12  # objects that a cell shows
ATLAS = 10  # images in a row of the atlas, which is sent to the browser
MARGIN, SMALLEST = 4, 24  # of an object's window, in pixels
COLUMNS, THUMB = 8, 96  # objects in a row of the still picture, and the side of each
GAP, TEXT = 12, 58  # between objects, and below each
NOTE = (
    "A class confusion matrix. The framed cell is open, and its objects are below: ground truth "
    "(green) and detections (crimson)."
)


class Found(NamedTuple):
    """An object of the matrix with its surroundings."""

    window: tuple[int, int, int]  # x, y and side in the atlas
    title: str
    pixels: Tensor  # [C, side, side]
    masks: dict[str, Tensor]  # role -> [side, side]


class Confusion(Touchable):
    """A class confusion matrix; a click on a cell shows the objects that are counted there.

    `cell` is the (row, column) that is open.
    """

    _esm = read_script("confusion")
    _css = Touchable._css + (FOLDER / "confusion.css").read_text("utf-8")
    rows = List(Unicode()).tag(sync=True)
    columns = List(Unicode()).tag(sync=True)
    counts = List(List(Int())).tag(sync=True)
    shades = List(List(Unicode())).tag(sync=True)
    items = Dict().tag(sync=True)  # "row,column" -> the first of its objects, for the browser
    cell = Tuple(Int(), Int()).tag(sync=True)
    remembered = ("cell",)

    def __init__(self, atlas: Tensor, found: dict, **traits):
        self.found = found  # (row, column) -> its first objects
        super().__init__(atlas, NOTE, **traits)

    @validate("cell")
    def _check_cell(self, proposal: dict) -> tuple[int, int]:
        row, column = proposal["value"]
        if not (0 <= row < len(self.rows) and 0 <= column < len(self.columns)):
            raise TraitError(
                f"cell is {(row, column)}: the matrix has {len(self.rows)} rows and "
                f"{len(self.columns)} columns"
            )
        return row, column

    def __repr__(self) -> str:
        row, column = self.cell
        return f"Confusion({self.rows[row]!r} as {self.columns[column]!r}: {self._count()})"

    def _count(self) -> int:
        row, column = self.cell
        return self.counts[row][column]

    def picture(self) -> Picture:
        """The matrix, and below it the objects of the open cell."""
        shown = self.found.get(self.cell, [])
        n_rows = max(1, ceil(len(shown) / COLUMNS))
        width = 7.2
        heights = 0.75 + 0.33 * len(self.rows), n_rows * (width / COLUMNS) * (1 + TEXT / THUMB)
        picture = Picture(width, sum(heights))
        matrix, below = picture.subplots(2, 1, height_ratios=heights)
        viz.draw_confusion(matrix, torch.tensor(self.counts), self.rows, self.columns, self.cell)
        draw_thumbs(below, shown, n_rows)
        return picture


def draw_thumbs(axes: Axes, shown: Sequence["Found"], n_rows: int) -> None:
    """Draw objects, each in a square of its own, with their outlines and titles."""
    step = THUMB + GAP, THUMB + TEXT
    sheet = torch.ones(3, n_rows * step[1], COLUMNS * step[0])
    masks, colors = [], []
    for i, one in enumerate(shown):
        (down, across), to = divmod(i, COLUMNS), (THUMB, THUMB)
        x, y = across * step[0], down * step[1]
        sheet[:, y : y + THUMB, x : x + THUMB] = interpolate(one.pixels[None], to)[0]
        for role, mask in one.masks.items():
            large = interpolate(mask[None, None].float(), to)[0, 0] > 0.5
            masks.append(torch.zeros(sheet.shape[1:], dtype=torch.bool))
            masks[-1][y : y + THUMB, x : x + THUMB] = large
            colors.append(viz.ROLES[role])
        style = {"fontsize": 8, "va": "top", "linespacing": 1.2, "color": viz.INK}
        axes.text(x, y + THUMB + 3, one.title, **style)
    viz.draw_image(axes, viz.paled(sheet), is_paled=True)
    if masks:
        draw_outlines(axes, torch.stack(masks), colors)
    axes.axis("off")


def confusion_player(
    dataset,
    detections: Sequence[Detections],
    min_score: float = 0.5,
    min_iou: float = 0.5,
    cell: tuple[int, int] | None = None,
) -> Confusion:
    """The class confusion matrix of a dataset's detections, whose cells open their objects.

    detections: with masks, one for each item of the dataset, whose images have one size. min_score,
    min_iou: as in `class_pairs`. cell: the (row, column) that is open at first, by default the
    fullest one that is wrong.
    """
    images, targets = zip(*[dataset[i] for i in range(len(dataset))], strict=True)
    classes = list(dataset.classes)
    pairs = class_pairs(detections, targets, len(classes), min_score, min_iou)
    counts = confusion_matrix(pairs, len(classes))
    rows, columns = [*classes, *EXTRA_ROWS], [*classes, MISSED]
    if cell is None:
        wrong = counts.clone()
        wrong.fill_diagonal_(0)
        row, column = divmod(int(wrong.argmax()), len(columns))
        cell = row, column
    found: dict[tuple[int, int], list[Found]] = {}
    for pair in pairs:
        opened = found.setdefault((pair.row, pair.column), [])
        if len(opened) < MOST:
            index = pair.image
            opened.append(_find(pair, images[index], targets[index], detections[index], classes))
    shades = cell_shades(counts, rows, columns)
    return Confusion(
        _atlas(images),
        found,
        rows=rows,
        columns=columns,
        counts=counts.tolist(),
        shades=[[_css_color(color) for color in row] for row in shades.tolist()],
        items={f"{r},{c}": [_item(one) for one in some] for (r, c), some in found.items()},
        cell=cell,
    )


def _find(pair: Pair, image: Tensor, target: dict, d: Detections, classes: list[str]) -> Found:
    """The object and the detection of a pair, cut out of their image."""
    height, width = image.shape[-2:]
    boxes, masks, title = [], {}, [f"scene {pair.image}"]
    if pair.object >= 0:
        boxes.append(target["boxes"][pair.object])
        masks["gt"] = target["masks"][pair.object]
        title.append(f"is {classes[int(target['labels'][pair.object]) - 1]}")
    if pair.detection >= 0:
        assert d.masks is not None
        boxes.append(d.boxes[pair.detection])
        masks["detection"] = d.masks[pair.detection].cpu()
        name = classes[int(d.labels[pair.detection]) - 1]
        title.append(f"{name} {d.scores[pair.detection]:.2f}")
    corners = torch.stack(boxes)
    low, high = corners[:, :2].amin(dim=0), corners[:, 2:].amax(dim=0)
    side = min(max(int((high - low).max()) + 2 * MARGIN, SMALLEST), height, width)
    start = ((low + high - side) / 2).round().int().tolist()
    x, y = (min(max(v, 0), n - side) for v, n in zip(start, (width, height), strict=True))
    inside = slice(y, y + side), slice(x, x + side)
    down, across = divmod(pair.image, ATLAS)
    window = across * width + x, down * height + y, side
    cut = {role: mask[inside] for role, mask in masks.items()}
    return Found(window, "\n".join(title), image[:, *inside], cut)


def _item(found: Found) -> dict:
    """What the browser needs of an object: its window, its title, its outlines as SVG paths."""
    x, y, _ = found.window
    paths = {}
    for role, mask in found.masks.items():
        segments = outline_segments(mask.numpy()) + np.array((x, y))
        paths[role] = "".join(f"M{x1} {y1}L{x2} {y2}" for (x1, y1), (x2, y2) in segments.tolist())
    return {"window": list(found.window), "title": found.title, "paths": paths}


def _atlas(images: Sequence[Tensor]) -> Tensor:
    """All images [C, H, W] in one, `ATLAS` of them in a row."""
    blank = torch.ones_like(images[0])
    n_rows = ceil(len(images) / ATLAS)
    cells = [*images, *[blank] * (n_rows * ATLAS - len(images))]
    rows = [torch.cat(cells[i : i + ATLAS], dim=2) for i in range(0, len(cells), ATLAS)]
    return torch.cat(rows, dim=1)


def _css_color(color: list[float]) -> str:
    return "rgb({} {} {})".format(*(round(255 * value) for value in color))
