"""Models side by side: what they detect in one image, and what they get wrong in many."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mrcnn_edu.detections import Detections
from mrcnn_edu.viz.draw import draw_image
from mrcnn_edu.viz.instances import draw_detections, draw_target, paint_differences
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import LABEL, OTHER_COLORS, legend, legend_above

SIZES = 0, 12, 18, 24, 32, 48, 96  # bounds of object sizes, √area in pixels


def show_detections_of(
    image: Tensor, target: dict, detections: Mapping[str, Detections], classes: Sequence[str]
) -> Picture:
    """An image's ground truth, and what each model detects in it: name -> its detections."""
    picture, panels = _panels(1 + len(detections))
    draw_target(panels[0], image, target, classes, "ground truth")
    for axes, (name, found) in zip(panels[1:], detections.items(), strict=True):
        draw_detections(axes, image, found, classes, name)
    return picture


def show_mask_differences(target: dict, masks: Mapping[str, Tensor]) -> Picture:
    """What each model's masks [M, H, W] of the objects miss (green) and add (crimson).

    Gray pixels are right. Each object's mask is compared with its own ground truth.
    """
    picture, panels = _panels(len(masks))
    for axes, (name, predicted) in zip(panels, masks.items(), strict=True):
        pixels = torch.ones(3, *target["masks"].shape[1:])
        for gt_mask, mask in zip(target["masks"], predicted, strict=True):
            pixels = torch.minimum(pixels, paint_differences(gt_mask, mask))
        wrong = int((target["masks"] ^ predicted).sum())
        draw_image(axes, pixels, f"{name}: {wrong} pixels wrong")
    return picture


def show_ious_by_size(found: Mapping[str, tuple[Tensor, Tensor]]) -> Picture:
    """The mean mask IoU of objects by their size: name -> (IoU [N], √area in pixels [N])."""
    picture = Picture(7, 3)
    axes = picture.subplots()
    bounds = torch.tensor(SIZES)
    names = [f"{low} to {high}" for low, high in pairwise(SIZES)]
    for i, (name, (ious, sizes)) in enumerate(found.items()):
        bins = torch.bucketize(sizes, bounds[1:-1], right=True)
        means = [float(ious[bins == b].mean()) for b in range(len(names))]  # NaN leaves a gap
        shade = OTHER_COLORS[i % len(OTHER_COLORS)]
        axes.plot(range(len(names)), means, "o-", color=shade, label=name, linewidth=1.8)
    axes.set_xticks(range(len(names)), names, fontsize=LABEL)
    axes.set(xlabel="size of the object, √area in pixels", ylabel="mean mask IoU", ylim=(0, 1))
    legend(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_error_kinds(counts: Mapping[str, Mapping[str, int]]) -> Picture:
    """How many detections are of each kind, a bar for each model: name -> {kind: number}."""
    kinds = list(next(iter(counts.values())))
    picture = Picture(7, 0.9 + 0.5 * len(kinds))
    axes, height = picture.subplots(), 0.8 / len(counts)
    for i, (name, numbers) in enumerate(counts.items()):
        rows = [k + (i - (len(counts) - 1) / 2) * height for k in range(len(kinds))]
        shade = OTHER_COLORS[i % len(OTHER_COLORS)]
        bars = axes.barh(rows, [numbers[kind] for kind in kinds], height, color=shade, label=name)
        axes.bar_label(bars, padding=2, fontsize=LABEL)
    axes.set_yticks(range(len(kinds)), kinds, fontsize=LABEL)
    axes.set(xlabel="detections with a score of 0.5 or more, and objects that were missed")
    axes.invert_yaxis()
    legend_above(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def _panels(n: int) -> tuple[Picture, list]:
    width = min(3.4, 10 / n)
    picture = Picture(width * n, width + 0.3)
    return picture, list(picture.subplots(1, n, squeeze=False)[0])
