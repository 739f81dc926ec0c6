"""The progress of training runs: losses, metrics, and what the models detect meanwhile."""

from collections.abc import Mapping, Sequence

import numpy as np

from mrcnn_edu.viz.palette import FewColors
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, OTHER_COLORS, legend


def show_training(
    losses: Sequence[Mapping[str, float]], metrics: Mapping[str, Mapping[int, float]]
) -> Picture:
    """The five or six losses, each the mean of 20 steps, beside validation metrics.

    losses: of every step so far, perhaps none. metrics: name -> {step: value in 0..1}.
    """
    picture = FewColors(10, 3.3)
    left, right = picture.subplots(1, 2)
    for name, shade in zip(losses[0] if losses else (), OTHER_COLORS, strict=False):
        values = np.array([parts[name] for parts in losses])
        sums = np.cumsum(np.insert(values, 0, 0.0))
        end = np.arange(1, len(values) + 1)
        start = np.maximum(end - 20, 0)
        means = (sums[end] - sums[start]) / (end - start)
        left.plot(end, means, label=name, color=shade, linewidth=1.6)
    # recall, mask IoU, filled box, class accuracy: the colors of objectness, mask and class losses
    colors = (OTHER_COLORS[0], OTHER_COLORS[4], GRAY, OTHER_COLORS[2])
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
