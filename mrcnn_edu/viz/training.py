"""The progress of training runs: losses, metrics, and what the models detect meanwhile."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from mrcnn_edu.detections import Detections
from mrcnn_edu.viz.instances import draw_instances
from mrcnn_edu.viz.palette import FewColors
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, INK, OTHER_COLORS, legend


def show_training(
    losses: Sequence[Mapping[str, float]], metrics: Mapping[str, Mapping[int, float]]
) -> Picture:
    """The five losses, each the mean of 20 steps, beside validation metrics.

    losses: of every step so far, perhaps none. metrics: name -> {step: value in 0..1}.
    """
    picture = FewColors(10, 3.3)
    left, right = picture.subplots(1, 2)
    colors = OTHER_COLORS[:5]
    for name, shade in zip(losses[0] if losses else (), colors, strict=False):
        values = np.array([parts[name] for parts in losses])
        sums = np.cumsum(np.insert(values, 0, 0.0))
        end = np.arange(1, len(values) + 1)
        start = np.maximum(end - 20, 0)
        means = (sums[end] - sums[start]) / (end - start)
        left.plot(end, means, label=name, color=shade, linewidth=1.6)
    colors = (INK, OTHER_COLORS[1], GRAY, OTHER_COLORS[0])
    for i, (name, values) in enumerate(metrics.items()):
        steps, heights = list(values), list(values.values())
        right.plot(steps, heights, "o-", label=name, color=colors[i % len(colors)])
    left.set(xlabel="step", ylabel="loss, mean of 20 steps", ylim=(0, None))
    right.set(xlabel="step", ylabel="fraction, on the validation set", ylim=(0, 1.03))
    for axes in (left, right):
        if axes.lines:
            legend(axes)
        axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_lockstep(
    curves: Mapping[str, Mapping[int, float]],
    ylabel: str,
    image: Tensor,
    target: dict,
    detections: Mapping[str, Detections],
    classes: Sequence[str],
) -> Picture:
    """The scores of models that train in lockstep, and their detections beside the ground truth.

    curves: setting -> {step: score}. image: [C, H, W]. detections: setting -> in this image.
    """
    picture = Picture(10.4, 3.2)  # a lower one would cut the titles off
    n = len(detections)
    panels = picture.subplots(1, 2 + n, width_ratios=[1.25] + [1] * (1 + n))
    for i, (name, scores) in enumerate(curves.items()):
        shade = OTHER_COLORS[i % len(OTHER_COLORS)]
        panels[0].plot(list(scores), list(scores.values()), "o-", label=name, color=shade)
    panels[0].set(xlabel="step", ylabel=ylabel, ylim=(0, None))
    legend(panels[0])
    panels[0].spines[["top", "right"]].set_visible(False)
    objects = target["boxes"], target["labels"], target.get("masks")
    draw_instances(panels[1], image, *objects, classes, title="ground truth")
    for axes, (name, d) in zip(panels[2:], detections.items(), strict=True):
        draw_instances(axes, image, d.boxes, d.labels, d.masks, classes, d.scores, name)
    return picture
