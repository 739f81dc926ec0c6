"""Learning rates over a training run."""

from collections.abc import Mapping, Sequence

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import OTHER_COLORS, TITLE


def show_schedules(schedules: Mapping[str, Sequence[float]]) -> Picture:
    """Learning rates, a panel for each name, of all steps or of evenly spaced ones.

    Each panel has its own axis, as rates of different optimizers cannot be compared.
    """
    n = len(schedules)
    picture = Picture(3.6 * n, 2.3)
    panels = picture.subplots(1, n, squeeze=False)[0]
    for i, (axes, (name, rates)) in enumerate(zip(panels, schedules.items(), strict=True)):
        progress = [100 * (index + 0.5) / len(rates) for index in range(len(rates))]
        axes.plot(progress, rates, color=OTHER_COLORS[i % len(OTHER_COLORS)], linewidth=2)
        axes.set_title(name, fontsize=TITLE)
        axes.set(xlabel="% of the steps", ylabel="learning rate", xlim=(0, 100))
        axes.set_ylim(0, 1.08 * max(rates))
        axes.spines[["top", "right"]].set_visible(False)
    return picture
