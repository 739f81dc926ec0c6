"""Lesson 06, the region proposal network: its widget."""

from collections.abc import Sequence

import torch
from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.nms import batched_nms
from mrcnn_edu.trace import Trace
from mrcnn_edu.viz import Picture

MAX_PROPOSALS = 40  # of a scene


def rpn_player(scenes: Shapes, traces: Sequence[Trace], shown: int = 0) -> Player:
    """Proposals by NMS threshold and number, and their recall.

    traces: of the scenes, in their order. shown: index of the scene to draw. NMS runs beforehand,
    at every threshold; a threshold of 1 suppresses nothing.
    """
    kept, recalls = {}, {}  # by threshold in percent
    for percent in range(10, 101, 10):
        kept[percent], best = [], []
        for i, trace in enumerate(traces):
            p = trace.proposals[0]
            keep = batched_nms(p.candidates, p.candidate_scores, p.candidate_levels, percent / 100)
            kept[percent].append(p.candidates[keep[:MAX_PROPOSALS]])
            iou = box_iou(scenes[i][1]["boxes"], kept[percent][-1])
            padded = torch.nn.functional.pad(iou, (0, MAX_PROPOSALS - iou.shape[1]))
            best.append(padded.cummax(dim=1).values)  # of the first n proposals, for each n
        best = torch.cat(best)  # [M, MAX_PROPOSALS]
        recalls[percent] = {iou: (best >= iou).float().mean(dim=0) for iou in (0.5, 0.7)}
    image, target = scenes[shown]

    def draw(number: int, percent: int) -> Picture:
        boxes = kept[percent][shown][:number]
        picture = Picture(7.6, 3.2)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        viz.draw_image(left, image, f"{len(boxes)} proposals")
        viz.draw_boxes(left, target["boxes"], "gt", width=3)
        viz.draw_boxes(left, boxes, "proposal", width=1.2)
        for iou, line in ((0.5, "-"), (0.7, "--")):
            right.plot(range(1, MAX_PROPOSALS + 1), recalls[percent][iou], line, color=viz.INK)
        right.axvline(number, color=viz.ROLES["proposal"], linewidth=1.5)
        recall = recalls[percent][0.5][number - 1]
        right.set_title(f"recall at IoU 0.5, over all scenes: {recall:.0%}", fontsize=10)
        right.set(xlabel="proposals per scene", ylabel="recall at IoU 0.5 (dashed: 0.7)")
        right.set(xlim=(0, MAX_PROPOSALS), ylim=(0, 1.03), xticks=(0, 10, 20, 30, 40))
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        number=IntSlider(10, 1, MAX_PROPOSALS, description="proposals"),
        percent=IntSlider(70, 10, 100, 10, description="NMS IoU, %"),
    )
