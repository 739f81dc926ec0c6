"""Average precision in pictures: matches, a ranking, the area below its envelope (lesson 11)."""

from collections.abc import Mapping
from itertools import groupby

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.viz.diagrams.shapes import MUTED, blend, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, INK, LABEL, LIGHT, MATCH_COLORS, ROLES, SMALL, TITLE

CORRECT, WRONG = ROLES["gt"], MATCH_COLORS["negative"]
FIRST, LAST = ROLES["anchor"], ROLES["proposal"]  # colors of the first and the last of many curves
ROWS, COLUMNS = 12, 6  # of detections and objects that fit into a picture
CELL = 0.84, 0.36  # width and height of a cell
STEP = 0.55  # from one detection of a ranking to the next
LEFT, TOP = 1.15, 0.5  # where the matrix begins
LINE = "center_baseline"  # texts of one row are on one line
RECALLS = [0.01 * i for i in range(101)]
LABELED = 8  # recalls that a step of the envelope needs for a label of its own


def show_matches(iou: Tensor, scores: Tensor, matched: Tensor, iou_threshold: float) -> Picture:
    """The IoUs [D, M] of detections with objects, and which object each one is matched to.

    The rows are sorted, the best score first. The cell of a match is green; below it its column is
    gray, because an object is matched once. Right of the matrix stands what becomes of each
    detection: correct, duplicate or wrong. scores: [D]. matched: [D], the object's index or -1.

    Raises ValueError for shapes that do not fit, and for more than 12 detections or 6 objects.
    """
    n, m = iou.shape if iou.ndim == 2 else (0, 0)
    if n == 0 or m == 0 or scores.shape != (n,) or matched.shape != (n,):
        shapes = ", ".join(str(list(t.shape)) for t in (iou, scores, matched))
        raise ValueError(f"iou, scores and matched have shapes {shapes}: give [D, M], [D], [D]")
    if n > ROWS or m > COLUMNS:
        raise ValueError(f"{n} detections and {m} objects: show at most {ROWS} and {COLUMNS}")
    order = scores.argsort(descending=True, stable=True)
    picture, axes = sheet(LEFT + m * CELL[0] + 2.6, TOP + n * CELL[1] + 0.1)
    for column in range(m):
        write(axes, LEFT + (column + 0.5) * CELL[0], TOP - 0.2, f"object {column}", LABEL)
    taken: set[int] = set()
    for row, d in enumerate(order.tolist()):
        y, match = TOP + row * CELL[1], int(matched[d])
        middle = y + CELL[1] / 2
        write(axes, LEFT - 0.15, middle, f"score {scores[d]:.2f}", LABEL, ha="right", va=LINE)
        values = iou[d].tolist()
        for column, value in enumerate(values):
            fill = CORRECT if column == match else LIGHT if column in taken else "white"
            corner = LEFT + column * CELL[0], y
            axes.add_patch(Rectangle(corner, *CELL, facecolor=fill, edgecolor=LIGHT, linewidth=1))
            style = {"color": MUTED if column in taken else INK, "va": LINE}
            if column == match:
                style |= {"color": "white", "weight": "bold"}
            write(axes, corner[0] + CELL[0] / 2, middle, f"{value:.2f}", TITLE, **style)
        reached = [c for c, value in enumerate(values) if value >= iou_threshold]
        text = f"wrong: no IoU of {iou_threshold:g} or more"
        if match >= 0:
            text = f"correct: object {match}"
            taken.add(match)
        elif reached:
            text = f"wrong: object {reached[0]} is taken"
        style = {"color": CORRECT if match >= 0 else WRONG, "va": LINE, "ha": "left"}
        write(axes, LEFT + m * CELL[0] + 0.2, middle, text, LABEL, **style)
    return picture


def show_ranking(correct: Tensor, n_objects: int) -> Picture:
    """A ranking as a strip, the best score first, with precision and recall after each detection.

    correct: [D] bool, D <= 16. n_objects: the number of objects to be found.
    """
    n = len(correct)
    if not 0 < n <= 16:
        raise ValueError(f"a ranking of {n} detections does not fit: give 1 to 16")
    left, side = 0.95, 0.34
    picture, axes = sheet(left + n * STEP + 0.1, 1.62)
    for y, text in ((0.14, "rank"), (0.55, "detection"), (1.02, "precision"), (1.42, "recall")):
        write(axes, left - 0.2, y, text, LABEL, ha="right", va=LINE)
    n_correct = 0
    for i, is_correct in enumerate(correct.tolist()):
        x = left + (i + 0.5) * STEP
        n_correct += is_correct
        color = CORRECT if is_correct else WRONG
        write(axes, x, 0.14, str(i + 1), LABEL, va=LINE, color=MUTED)
        corner = x - side / 2, 0.55 - side / 2
        axes.add_patch(
            Rectangle(
                corner, side, side, facecolor=color if is_correct else "white", edgecolor=color,
                linewidth=1.6,
            )
        )  # fmt: skip
        mark = {"color": "white" if is_correct else color, "weight": "bold", "va": LINE}
        write(axes, x, 0.55, "✓" if is_correct else "✗", TITLE, **mark)
        write(axes, x, 1.02, f"{n_correct}/{i + 1}", TITLE, va=LINE)
        write(axes, x, 1.42, f"{n_correct}/{n_objects}", TITLE, va=LINE)
    return picture


def show_curves(rankings: Mapping[str, tuple[Tensor, int]]) -> Picture:
    """Precision-recall curves of rankings: name -> (correct [D] bool, number of objects).

    One curve has a dot for each detection; the colors of several run from blue to orange.
    """
    picture = Picture(6, 3)
    axes = picture.subplots()
    for i, (name, (correct, n_objects)) in enumerate(rankings.items()):
        n_correct = correct.double().cumsum(0)
        precision = n_correct / torch.arange(1, len(correct) + 1)
        recall = n_correct / n_objects
        if len(rankings) == 1:
            axes.plot(recall, precision, color=GRAY, linewidth=1.2)
            axes.plot(recall, precision, "o", color=INK, markersize=3)
        else:
            amount = i / (len(rankings) - 1)
            axes.plot(
                recall, precision, color=blend(FIRST, LAST, amount), linewidth=1.5, label=name
            )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05))
    axes.spines[["top", "right"]].set_visible(False)
    if len(rankings) > 1:
        style = {"frameon": False, "fontsize": SMALL, "bbox_to_anchor": (1, 0.5)}
        axes.legend(loc="center left", labelspacing=0.25, **style)
    return picture


def read_envelope(correct: Tensor, n_objects: int) -> list[float]:
    """The best precision at each of 101 recalls or beyond it, 0 where none is reached.

    correct: [D] bool, the best score first. It is what COCO averages.
    """
    n_correct = correct.double().cumsum(0)
    precision = n_correct / torch.arange(1, len(correct) + 1)
    recall = n_correct / n_objects
    return [max(precision[recall >= r].tolist(), default=0.0) for r in RECALLS]


def show_ap_area(correct: Tensor, n_objects: int) -> Picture:
    """Average precision as an area: the curve of a ranking, its envelope and 101 readings of it.

    Each step of the envelope is a rectangle, labeled with the number of recalls that are read there
    and their precision. correct: [D] bool, the best score first, D > 0.
    """
    picture = Picture(6.6, 3)
    draw_ap_area(picture.subplots(), correct, n_objects)
    return picture


def draw_ap_area(axes: Axes, correct: Tensor, n_objects: int) -> None:
    """Draw the area of `show_ap_area`."""
    n_correct = correct.double().cumsum(0)
    precision = n_correct / torch.arange(1, len(correct) + 1)
    recall = n_correct / n_objects
    best = read_envelope(correct, n_objects)
    color, end = ROLES["detection"], 0
    for value, run in groupby(best):
        n = len(list(run))
        start, end = end, end + n
        left, right = max(0, start - 1) / 100, (end - 1) / 100
        fill = {"facecolor": blend(color, "white", 0.82), "edgecolor": "white", "linewidth": 1.2}
        axes.add_patch(Rectangle((left, 0), right - left, value, **fill))
        if n >= LABELED:
            text = f"{n} × {value:.2f}" if value else f"{n} × 0"
            place = {"ha": "center", "va": "center", "fontsize": SMALL, "color": INK}
            axes.text((left + right) / 2, max(value / 2, 0.06), text, **place)
    axes.plot(recall, precision, color=GRAY, linewidth=1.2, zorder=2)
    axes.plot(recall, precision, "o", color=INK, markersize=3.5, zorder=3)
    axes.plot(RECALLS, best, ".", color=color, markersize=3.5, zorder=4)
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(0, 1.06))
    axes.set_title(f"AP = {sum(best):.1f} / 101 = {sum(best) / 101:.3f}", fontsize=TITLE)
    axes.spines[["top", "right"]].set_visible(False)
