"""Lesson 10, training: its widgets."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from ipywidgets import Dropdown, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.course.training_runs import (
    HEALTHY,
    WINDOW,
    curves_of,
    ranked,
    read_losses,
    recorded_runs,
    verdict,
)
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.targets import roi_targets
from mrcnn_edu.viz import Picture


def training_player(image: Tensor, target: dict, proposals: Tensor) -> Player:
    """The RoIs that a training step samples in a scene, by how they are sampled.

    proposals: [R, 4] in the image; the ground-truth boxes are added to them. Positives have the
    color of the object that they are matched to, negatives are dashed.
    """
    boxes = target["boxes"]
    targets_of = partial(roi_targets, [proposals], [boxes], [target["labels"]])
    n_rois = len(proposals) + len(boxes)

    def draw(iou: int, count: int, percent: int) -> Picture:
        generator = torch.Generator().manual_seed(0)
        (sampled,) = targets_of(
            positive_iou=iou / 100,
            batch_size=count,
            positive_fraction=percent / 100,
            generators=[generator],
        )
        every = box_iou(boxes, torch.cat((proposals, boxes))).amax(dim=0) >= iou / 100
        matched = torch.where(sampled.labels > 0, sampled.objects, -1)
        panels = {}
        for name, is_chosen, n in (
            ("positive", matched >= 0, int(every.sum())),
            ("negative", matched < 0, n_rois - int(every.sum())),
        ):
            title = f"{int(is_chosen.sum())} of {n} {name} RoIs"
            panels[title] = sampled.boxes[is_chosen], matched[is_chosen]
        return viz.show_matched(image, boxes, panels, width=2.4)

    return Player(
        draw,
        iou=IntSlider(50, 10, 90, 5, description="IoU, %"),
        count=IntSlider(48, 4, 128, 4, description="RoIs"),
        percent=IntSlider(25, 5, 100, 5, description="positive, %"),
    )


def gallery_player(run: Sequence[Mapping[str, float]] | str | Path | None = None) -> Player:
    """A training run's losses over those of a run of lesson 10's gallery, which can be chosen.

    run: the losses of every step, or a losses.csv, or the folder that it is in; by default, the
    gallery's healthy run. The legend says which run of the gallery it resembles most.
    """
    gallery = {name: recorded["losses"] for name, recorded in recorded_runs().items()}
    if run is None:
        curves, name = gallery[HEALTHY], "the gallery's healthy run"
    else:
        losses = read_losses(run) if isinstance(run, str | Path) else run
        curves, name = curves_of(losses), "your run"
    distances = ranked(curves, gallery)
    if run is not None:
        name = f"your run: {verdict(distances)}"
    longest = max(len(points) for other in gallery.values() for points in other.values())
    curves = {loss: points[:longest] for loss, points in curves.items()}

    def draw(kind: str) -> Picture:
        other = f"{kind} (differs by × {distances[kind]:.2f})"
        return viz.show_run_over(curves, name, gallery[kind], other, WINDOW)

    return Player(
        draw,
        kind=Dropdown(options=list(distances), description="over", value=next(iter(distances))),
    )
