"""Matching as a colored matrix of IoUs: which boxes are positive, negative, ignored (lesson 05)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from torch import Tensor

from mrcnn_edu.matching import BACKGROUND, IGNORED
from mrcnn_edu.viz.diagrams.shapes import blend, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK, LABEL, MATCH_COLORS, TITLE

CELL = 0.84, 0.36  # width and height of a cell of the matrix
ROWS, COLUMNS = 20, 6  # that fit into a picture
LEFT, TOP = 1.1, 0.5  # where the matrix begins
LINE = "center_baseline"  # texts of one row are on one line
POSITIVE, NEGATIVE = MATCH_COLORS["positive"], MATCH_COLORS["negative"]
FILLS = {
    "chosen": POSITIVE,
    "positive": blend(POSITIVE, "white", 0.84),
    "negative": blend(NEGATIVE, "white", 0.84),
    "ignored": "white",  # with hatches
}
HATCHES = blend(MATCH_COLORS["ignored"], "white", 0.6)


def show_matching(
    iou: Tensor,
    matched: Tensor,
    positive_iou: float = 0.7,
    negative_iou: float = 0.3,
    best: bool = True,
    of: str = "anchor",
) -> Picture:
    """The IoUs [M, A] of M objects with A boxes, a row for each box, colored by what it is.

    A positive row is blue, and dark blue for the object that the box is assigned to; a negative
    one is red, and an ignored one is hatched. matched: [A], the result of `matching.match`.
    positive_iou, negative_iou: its thresholds (Faster R-CNN, section 3.1.2, for anchors; for RoIs
    both are 0.5: Mask R-CNN, section 3.1). best: whether to frame each object's highest IoU, by
    which its box is positive even below the threshold. of: what the boxes are called.

    Raises ValueError for shapes that do not fit, and for more than 6 objects or 20 boxes.
    """
    iou, matched = iou.detach().cpu().float(), matched.detach().cpu()
    n_objects, n_boxes = check(iou, matched)
    width, height = n_objects * CELL[0], n_boxes * CELL[1]
    notes = legend(positive_iou, negative_iou, best)
    picture, axes = sheet(LEFT + width + 2.9, TOP + height + 0.25 + 0.27 * len(notes))
    for column in range(n_objects):
        write(axes, LEFT + (column + 0.5) * CELL[0], TOP - 0.2, f"object {column}", LABEL)
    for row, (values, index) in enumerate(zip(iou.T.tolist(), matched.tolist(), strict=True)):
        y = TOP + row * CELL[1]
        kind = {BACKGROUND: "negative", IGNORED: "ignored"}.get(index, "positive")
        for column, value in enumerate(values):
            x = LEFT + column * CELL[0]
            cell(axes, x, y, kind, f"{value:.2f}", is_chosen=column == index)
        middle = y + CELL[1] / 2
        write(axes, LEFT - 0.15, middle, f"{of} {row}", LABEL, ha="right", va=LINE)
        result, style = kind, {"ha": "left", "va": LINE, "color": MATCH_COLORS[kind]}
        if kind == "positive":
            above = values[index] >= positive_iou
            result = f"positive: object {index}" + ("" if above or not best else ", as its best")
            style["weight"] = "bold"
        write(axes, LEFT + width + 0.2, middle, result, LABEL, **style)
    if best:
        highest = (iou == iou.max(dim=1, keepdim=True).values) & (iou > 0)
        for column, row in highest.nonzero().tolist():
            corner = LEFT + column * CELL[0], TOP + row * CELL[1]
            axes.add_patch(Rectangle(corner, *CELL, fill=False, edgecolor=INK, linewidth=2.2))
    write_legend(axes, notes, TOP + height + 0.3)
    return picture


def check(iou: Tensor, matched: Tensor) -> tuple[int, int]:
    """The numbers of objects and boxes; raises ValueError if they cannot be shown."""
    if iou.ndim != 2 or matched.shape != iou.shape[1:]:
        shapes = f"{list(iou.shape)} and {list(matched.shape)}"
        raise ValueError(f"iou and matched have shapes {shapes}: give [M, A] and [A]")
    n_objects, n_boxes = iou.shape
    if n_objects == 0 or n_boxes == 0:
        raise ValueError("iou is empty: give at least one object and one box")
    if n_objects > COLUMNS or n_boxes > ROWS:
        raise ValueError(
            f"{n_boxes} boxes and {n_objects} objects do not fit into a picture: choose at most "
            f"{ROWS} boxes and {COLUMNS} objects, as in iou[:, :{ROWS}]"
        )
    if matched.min() < IGNORED or matched.max() >= n_objects:
        raise ValueError(
            f"matched has values from {matched.min()} to {matched.max()}: give the index of one of "
            f"{n_objects} objects, {BACKGROUND} for negative or {IGNORED} for ignored"
        )
    return n_objects, n_boxes


def cell(axes: Axes, x: float, y: float, kind: str, text: str, is_chosen: bool) -> None:
    """Draw a cell of the matrix with its upper left corner at x, y."""
    fill(axes, (x, y, *CELL), "chosen" if is_chosen else kind)
    style = {"color": "white", "weight": "bold"} if is_chosen else {}
    write(axes, x + CELL[0] / 2, y + CELL[1] / 2, text, TITLE, va=LINE, **style)


def fill(axes: Axes, frame: tuple[float, float, float, float], kind: str) -> None:
    """Fill a frame (x, y, width, height) with the color, or the hatches, of a kind of row."""
    x, y, width, height = frame
    edge = {"edgecolor": "white", "linewidth": 1.5}
    patch = axes.add_patch(Rectangle((x, y), width, height, facecolor=FILLS[kind], **edge))
    if kind == "ignored":
        starts = np.arange(x - height, x + width, 0.075)
        corners = np.stack(
            (starts, 0 * starts + y + height, starts + height, 0 * starts + y), axis=1
        )
        codes = [Path.MOVETO, Path.LINETO] * len(starts)
        lines = PathPatch(Path(corners.reshape(-1, 2), codes), edgecolor=HATCHES, linewidth=0.8)
        axes.add_patch(lines).set_clip_path(patch)


def legend(positive_iou: float, negative_iou: float, best: bool) -> dict[str, str]:
    """What the colors and frames mean: kind -> a text."""
    texts = {"positive": f"positive: an IoU of at least {positive_iou:g}"}
    if best:
        texts["positive"] += ", or the highest of an object"
    if negative_iou < positive_iou:
        texts["ignored"] = (
            f"ignored: the highest IoU is between {negative_iou:g} and {positive_iou:g}"
        )
    texts["negative"] = f"negative: every IoU is below {negative_iou:g}"
    if best:
        texts["best"] = "the highest IoU of an object"
    return texts


def write_legend(axes: Axes, texts: dict[str, str], top: float) -> None:
    """Write what the colors and frames mean, one below the other."""
    for i, (kind, text) in enumerate(texts.items()):
        y, frame = top + 0.27 * i, (LEFT, top + 0.27 * i - 0.08, 0.3, 0.16)
        if kind == "best":
            axes.add_patch(Rectangle(frame[:2], *frame[2:], fill=False, edgecolor=INK, linewidth=2))
        else:
            fill(axes, frame, kind)
        write(axes, LEFT + 0.42, y, text, LABEL, ha="left")
