"""Lesson 02, NMS: a step for each box that is kept."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor
from traitlets import Float, Int, List, TraitError, Unicode, validate

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.widgets.touch import Touchable, blank, read_script
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.validate import as_boxes, check_shape
from mrcnn_edu.viz import Picture

BLANK_SIZE = 96  # pixels, unless a box needs more
MAX_PANELS = 4  # of the still picture
NOTE = (
    "NMS, step by step: keep the best box that is left (crimson), and suppress all boxes that "
    "overlap it by more than the threshold (gray). The others are left (orange)."
)


class Step(NamedTuple):
    """One step of greedy NMS."""

    kept: int  # index of the box that is kept
    suppressed: list[int]  # indices of the boxes that it suppresses, best score first


class NMSSteps(Touchable):
    """Boxes that NMS goes through, one kept box at a time.

    `threshold` is the IoU above which a box is suppressed, `step` the number of boxes kept so far.
    """

    _esm = read_script("nms_steps")
    boxes = List(List(Float())).tag(sync=True)
    scores = List(Float()).tag(sync=True)
    labels = List(Int()).tag(sync=True)
    names = List(Unicode()).tag(sync=True)  # each box's class, or none
    threshold = Float(0.5).tag(sync=True)
    step = Int(0).tag(sync=True)
    remembered = ("threshold", "step")

    @validate("threshold")
    def _check_threshold(self, proposal: dict) -> float:
        if not 0 <= proposal["value"] <= 1:
            raise TraitError(f"threshold is {proposal['value']}: give an IoU in 0..1")
        return proposal["value"]

    @validate("step")
    def _check_step(self, proposal: dict) -> int:
        if proposal["value"] < 0:
            raise TraitError(
                f"step is {proposal['value']}: give the number of steps taken, 0 or more"
            )
        return proposal["value"]

    def steps(self) -> list[Step]:
        """All steps at the current threshold."""
        boxes, labels = torch.tensor(self.boxes).view(-1, 4), torch.tensor(self.labels).long()
        scores, iou = torch.tensor(self.scores), box_iou(boxes, boxes)
        left = scores.argsort(descending=True, stable=True)
        steps = []
        for kept in batched_nms(boxes, scores, labels, self.threshold).tolist():
            left = left[left != kept]
            is_gone = (iou[kept, left] > self.threshold) & (labels[left] == labels[kept])
            steps.append(Step(kept, left[is_gone].tolist()))
            left = left[~is_gone]
        return steps

    def __repr__(self) -> str:
        return f"NMSSteps({len(self.boxes)} boxes, threshold={self.threshold:g}, step={self.step})"

    def picture(self) -> Picture:
        """The first steps, or, if the reader has gone further, the last ones before the current."""
        steps, boxes = self.steps(), torch.tensor(self.boxes).view(-1, 4)
        last = min(max(self.step, MAX_PANELS - 1), len(steps))
        first = max(0, last + 1 - MAX_PANELS)
        ratio = self.image.shape[-2] / self.image.shape[-1]
        picture, panels = viz.row(last + 1 - first, 3.4, ratio)
        for axes, step in zip(panels, range(first, last + 1), strict=True):
            kept = [done.kept for done in steps[:step]]
            gone = [index for done in steps[:step] for index in done.suppressed]
            left = [i for i in range(len(boxes)) if i not in {*kept, *gone}]
            title = f"{len(kept)} kept, {len(left)} left" if step else f"{len(boxes)} boxes"
            viz.draw_image(axes, self.image, f"step {step}: {title}")
            viz.draw_boxes(axes, boxes[gone], viz.GRAY, width=0.8, line="--")
            viz.draw_boxes(axes, boxes[left], "proposal", width=1.2)
            viz.draw_boxes(axes, boxes[kept[:-1]], "detection", width=1.8)
            viz.draw_boxes(axes, boxes[kept[-1:]], "detection", width=3)
        return picture


def nms_steps_player(
    image: Tensor | None,
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor | None = None,
    classes: Sequence[str] = (),
    threshold: float = 0.5,
) -> NMSSteps:
    """Boxes [N, 4] that NMS goes through step by step, at a threshold that the reader chooses.

    image: [C, H, W] in 0..1, or None for blank paper. scores: [N]. labels: [N]; if they are given,
    only boxes of the same label compete, as in `batched_nms`. classes: the names of labels 1, 2,
    ... Raises ValueError if the shapes do not agree.
    """
    boxes = as_boxes(boxes, "M", "nms_steps_player")
    scores = check_shape(scores, "scores", [len(boxes)], "nms_steps_player")
    names = []
    if labels is not None:
        labels = check_shape(labels, "labels", [len(boxes)], "nms_steps_player")
        names = [classes[i - 1] if classes else str(i) for i in labels.tolist()]
    if image is None:
        far = ceil(boxes.max().item()) if len(boxes) else 0
        image = blank(*[max(BLANK_SIZE, far + 4)] * 2)
    return NMSSteps(
        image,
        NOTE,
        boxes=boxes.tolist(),
        scores=scores.tolist(),
        labels=[0] * len(boxes) if labels is None else labels.tolist(),
        names=names,
        threshold=threshold,
    )
