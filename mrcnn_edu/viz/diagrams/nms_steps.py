"""Non-maximum suppression, one kept box after the other (lesson 02)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.viz.diagrams.shapes import MUTED
from mrcnn_edu.viz.diagrams.sheet import as_boxes
from mrcnn_edu.viz.draw import draw_boxes, draw_image
from mrcnn_edu.viz.names import Names
from mrcnn_edu.viz.picture import Picture, panel_height
from mrcnn_edu.viz.style import LIGHT, ROLES, TITLE

STEPS = 8  # that fit into a picture
COLUMNS = 4


class Step(NamedTuple):
    """What happens in one step of NMS; indices of boxes."""

    kept: int  # the best box that is left
    suppressed: list[int]  # those that overlap it too much
    kept_before: list[int]
    gone_before: list[int]
    left: list[int]  # for later steps


def nms_steps(boxes: Tensor, scores: Tensor, iou_threshold: float) -> list[Step]:
    """The steps of NMS for boxes [N, 4] with scores [N]: in each, the best box left is kept.

    Those that it overlaps by more than the threshold are suppressed: greedy NMS, as in R-CNN,
    section 2.2. The kept boxes are those of `nms.nms`, in its order.
    """
    iou = box_iou(boxes, boxes)
    left = scores.argsort(descending=True, stable=True).tolist()
    steps, kept, gone = [], [], []
    while left:
        best, *others = left
        suppressed = [i for i in others if iou[best, i] > iou_threshold]
        left = [i for i in others if i not in suppressed]
        steps.append(Step(best, suppressed, list(kept), list(gone), left))
        kept, gone = [*kept, best], [*gone, *suppressed]
    return steps


def show_nms_steps(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    image: Tensor | None = None,
    role: str = "detection",
) -> Picture:
    """NMS as a strip: all boxes with their scores, a panel for each step, and what is left.

    In each step a thick box is kept; the dashed ones, with their IoU with it, are suppressed; thin
    ones wait or were kept earlier, and pale gray ones were suppressed earlier. boxes: [N, 4], in
    pixels. scores: [N]. image: [C, H, W], drawn behind them. role: whose color the boxes have.

    Raises ValueError for shapes that do not fit, and for no boxes or more than 8 steps.
    """
    boxes = as_boxes(boxes, "boxes")
    scores = torch.as_tensor(scores).detach().cpu().float()
    check(boxes, scores, iou_threshold)
    steps = nms_steps(boxes, scores, iou_threshold)
    if len(steps) > STEPS:
        raise ValueError(f"NMS takes {len(steps)} steps here: choose boxes for at most {STEPS}")
    kept = [step.kept for step in steps]
    x1, y1, x2, y2 = window(boxes, image)
    n = len(steps) + 2
    columns = min(n, 5) if n < 6 else 4
    rows = -(-n // columns)
    width = min(10 / columns, 2.6)
    height = panel_height(width, (y2 - y1) / (x2 - x1))
    picture = Picture(columns * width, rows * height)
    grid = picture.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[n:]:
        axes.remove()
    for axes in grid[:n]:
        if image is None:
            axes.set(xticks=[], yticks=[], aspect="equal")
            axes.spines[:].set_color(LIGHT)
        else:
            draw_image(axes, image, is_paled=False)
        axes.set(xlim=(x1, x2), ylim=(y2, y1))

    name = [f"{score:.2f}" for score in scores.tolist()]
    draw_group(grid[0], boxes, range(len(boxes)), role, names=name)
    grid[0].set_title("1 box" if len(boxes) == 1 else f"{len(boxes)} boxes", fontsize=TITLE)
    for i, (axes, step) in enumerate(zip(grid[1:], steps, strict=False), start=1):
        draw_step(axes, boxes, step, role, name[step.kept])
        suppress = f", suppress {len(step.suppressed)}" if step.suppressed else ""
        axes.set_title(f"{i}. keep {name[step.kept]}{suppress}", fontsize=TITLE)
    draw_group(grid[n - 1], boxes, kept, role, names=[name[i] for i in kept])
    grid[n - 1].set_title(
        "1 is kept" if len(kept) == 1 else f"{len(kept)} are kept", fontsize=TITLE
    )
    return picture


def draw_step(axes: Axes, boxes: Tensor, step: Step, role: str, score: str) -> None:
    """Draw one step of NMS for boxes [N, 4]. score: what the kept box is called."""
    iou = box_iou(boxes[[step.kept]], boxes)[0].tolist()
    draw_group(axes, boxes, step.gone_before, "#9AA0A8", width=0.8, opacity=0.6)
    draw_group(axes, boxes, step.left, role, width=1.2, opacity=0.35)
    draw_group(axes, boxes, step.kept_before, role, width=1.2)
    draw_group(axes, boxes, step.suppressed, MUTED, width=1.4, line=(0, (3.2, 1.8)))
    draw_group(axes, boxes, [step.kept], role, width=2.6)
    shown = [step.kept, *step.suppressed]  # names of the first are placed first
    names = [score] + [f"IoU {iou[i]:.2f}" for i in step.suppressed]
    colors = [ROLES.get(role, role)] + [MUTED] * len(step.suppressed)
    axes.add_artist(Names(boxes[shown].numpy(), names, colors))


def draw_group(
    axes: Axes,
    boxes: Tensor,
    rows: Sequence[int],
    role: str,
    names: Sequence[str] = (),
    **style: Any,
) -> None:
    """Draw some of the boxes [N, 4], with their names on chips if there are any."""
    some = boxes[list(rows)]
    draw_boxes(axes, some, role, **({"width": 1.6, **style}))
    if names:
        axes.add_artist(Names(some.numpy(), names, [ROLES.get(role, role)] * len(some)))


def window(boxes: Tensor, image: Tensor | None) -> tuple[float, float, float, float]:
    """The part (x1, y1, x2, y2) of the image that is shown: all boxes [N, 4], and a margin."""
    low, high = boxes[:, :2].amin(dim=0), boxes[:, 2:].amax(dim=0)
    margin = 0.15 * (high - low).max().clamp(min=1)
    low, high = low - margin, high + margin
    if image is not None:
        size = boxes.new_tensor([image.shape[-1], image.shape[-2]])
        low, high = low.clamp(min=0), torch.minimum(high, size)
    (x1, y1), (x2, y2) = low.tolist(), high.tolist()
    return x1, y1, x2, y2


def check(boxes: Tensor, scores: Tensor, iou_threshold: float) -> None:
    """Raise ValueError unless NMS can be shown for these."""
    if scores.shape != boxes.shape[:1]:
        shapes = f"{list(boxes.shape)} and {list(scores.shape)}"
        raise ValueError(f"boxes and scores have shapes {shapes}: give [N, 4] and [N]")
    if len(boxes) == 0:
        raise ValueError("boxes is empty: NMS needs at least one")
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"iou_threshold is {iou_threshold}: give a number in 0..1")
