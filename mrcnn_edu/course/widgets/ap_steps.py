"""Lesson 11, average precision: boxes to draw and score, and their AP step by step."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from traitlets import Float, List, TraitError, validate

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.touch import Touchable, blank, check_corners, read_script
from mrcnn_edu.evaluate import average_precision, match_detections, overlap, precision_recall
from mrcnn_edu.validate import as_boxes, check_shape
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.diagrams.ranking import draw_ap_area
from mrcnn_edu.viz.names import Names

BLANK_SIZE = 96  # pixels of blank paper along each side
GT = [[8.0, 10.0, 36.0, 38.0], [52.0, 14.0, 84.0, 40.0], [34.0, 58.0, 58.0, 86.0]]
NOTE = (
    "Objects (green), detections with their scores (crimson), and their average precision step by "
    "step."
)


class Ranked(NamedTuple):
    """One detection of the ranking."""

    index: int  # among the boxes
    match: int  # the object's index, or -1
    iou: float  # with that object, or the highest with any
    precision: float  # after this detection
    recall: float


class APSteps(Touchable):
    """Detections of one class that the reader moves, draws anew and scores, and their AP.

    `boxes` are the detections and `scores` their scores; `threshold` is the IoU that a match needs.
    """

    _esm = read_script("held_boxes", "ap_steps")
    gt = List(List(Float())).tag(sync=True)
    boxes = List(List(Float())).tag(sync=True)
    scores = List(Float()).tag(sync=True)
    threshold = Float(0.5).tag(sync=True)
    remembered = ("boxes", "scores", "threshold")

    @validate("boxes")
    def _check_boxes(self, proposal: dict) -> list[list[float]]:
        return [check_corners(box, "a box") for box in proposal["value"]]

    @validate("scores", "threshold")
    def _check_fraction(self, proposal: dict) -> float | list[float]:
        name, value = proposal["trait"].name, proposal["value"]
        for number in value if isinstance(value, list) else [value]:
            if not 0 <= number <= 1:
                raise TraitError(f"{name} is {value}: give 0..1")
        return value

    def ranking(self) -> list[Ranked]:
        """All detections, best score first."""
        scores, iou, matched = self._matched()
        order = scores.argsort(descending=True, stable=True)
        precision, recall = precision_recall(matched[order] >= 0, len(self.gt))
        rows = []
        for rank, index in enumerate(order.tolist()):
            match = int(matched[index])
            best = iou[index, match] if match >= 0 else iou[index].max()
            curve = precision[rank].item(), recall[rank].item()
            rows.append(Ranked(index, match, best.item(), *curve))
        return rows

    @property
    def ap(self) -> float:
        """The average precision at the current threshold."""
        return average_precision(self._correct(), len(self.gt))

    def _correct(self) -> Tensor:
        return torch.tensor([row.match >= 0 for row in self.ranking()])

    def _matched(self) -> tuple[Tensor, Tensor, Tensor]:
        scores = torch.tensor(self.scores, dtype=torch.float64)
        iou = overlap(torch.tensor(self.boxes), torch.tensor(self.gt))  # [D, M]
        threshold = torch.tensor([self.threshold], dtype=torch.float64)
        return scores, iou, match_detections(iou, scores, threshold)[0]

    def __repr__(self) -> str:
        return f"APSteps({len(self.boxes)} boxes, threshold={self.threshold:g}, ap={self.ap:.3f})"

    def picture(self) -> Picture:
        """The boxes, and beside them the ranking and the area below its envelope."""
        picture = Picture(9.6, 4.2)
        grid = picture.add_gridspec(2, 2, width_ratios=(1, 1.25), height_ratios=(1, 2.1))
        left = picture.add_subplot(grid[:, 0])
        boxes, gt = torch.tensor(self.boxes), torch.tensor(self.gt)
        viz.draw_image(left, self.image)
        viz.draw_boxes(left, torch.cat((gt, boxes)), ["gt"] * len(gt) + ["detection"] * len(boxes))
        names = [f"{chr(65 + i)} {score:.2f}" for i, score in enumerate(self.scores)]
        names += [str(i + 1) for i in range(len(gt))]
        colors = [viz.ROLES["detection"]] * len(boxes) + [viz.ROLES["gt"]] * len(gt)
        left.add_artist(Names(torch.cat((boxes, gt)).numpy(), names, colors))
        self._write_table(picture.add_subplot(grid[0, 1]))
        draw_ap_area(picture.add_subplot(grid[1, 1]), self._correct(), len(gt))
        return picture

    def _write_table(self, axes) -> None:
        axes.axis("off")
        columns = {"box": 0.05, "score": 0.18, "IoU": 0.31, "is": 0.38, "precision": 0.82}
        columns["recall"] = 1.0
        rows = self.ranking()
        lines = [list(columns)]
        for rank, row in enumerate(rows, start=1):
            is_taken = row.match < 0 and row.iou >= self.threshold
            wrong = "wrong: object is taken" if is_taken else "wrong: too little IoU"
            found = sum(other.match >= 0 for other in rows[:rank])
            lines.append(
                [
                    chr(65 + row.index), f"{self.scores[row.index]:.2f}", f"{row.iou:.2f}",
                    f"correct: object {row.match + 1}" if row.match >= 0 else wrong,
                    f"{found}/{rank}", f"{found}/{len(self.gt)}",
                ]
            )  # fmt: skip
        for i, line in enumerate(lines):
            y = 1 - (i + 0.5) / len(lines)
            for (name, x), text in zip(columns.items(), line, strict=True):
                align = "left" if name == "is" else "right"
                weight = "bold" if i == 0 else "normal"
                axes.text(x, y, text, ha=align, va="center", fontsize=9, weight=weight)


def ap_steps_player(
    image: Tensor | None = None,
    gt: Sequence[Sequence[float]] | Tensor | None = None,
    boxes: Sequence[Sequence[float]] | Tensor | None = None,
    scores: Sequence[float] | Tensor = (0.9, 0.8, 0.6),
    threshold: float = 0.5,
) -> APSteps:
    """Detections of one class to move, draw and score, with their average precision step by step.

    image: [C, H, W] in 0..1, by default blank paper. gt: the boxes [M, 4] of the objects. boxes:
    those [D, 4] of the detections, from which the reader starts; by default one for each score,
    near the objects. Raises ValueError if the shapes do not agree.
    """
    paper = blank(BLANK_SIZE, BLANK_SIZE) if image is None else image
    objects = as_boxes(torch.as_tensor(GT if gt is None else gt), "M", "ap_steps_player")
    given = check_shape(torch.as_tensor(scores), "scores", ["M"], "ap_steps_player")
    if boxes is None:
        boxes = objects[torch.arange(len(given)) % len(objects)]
    drawn = as_boxes(torch.as_tensor(boxes), len(given), "ap_steps_player")
    return APSteps(
        paper,
        NOTE,
        gt=objects.float().tolist(),
        boxes=drawn.float().tolist(),
        scores=[round(score, 6) for score in given.tolist()],
        threshold=threshold,
    )
