"""A gallery of training runs: the losses of each, over those of a healthy run."""

from collections.abc import Mapping, Sequence
from math import log10

from matplotlib.axes import Axes

from mrcnn_edu.viz.palette import FewColors
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, INK, LABEL, LIGHT, OTHER_COLORS, SMALL

Curves = Mapping[str, Sequence[float]]  # the points of each loss
LOWEST, HIGHEST = 0.01, 10.0  # of the losses' axis; what is beyond is drawn at its end
TICKS = {-2: "0.01", -1: "0.1", 0: "1", 1: "10"}  # of the logarithms, which are quick to draw


def loss_label(name: str) -> str:
    """A loss in a reader's words."""
    words = {
        "loss_objectness": "RPN: objectness",
        "loss_rpn_box_reg": "RPN: box",
        "loss_classifier": "class",
        "loss_box_reg": "box",
        "loss_mask": "mask",
        "loss_keypoint": "keypoint",
    }
    return words.get(name, name)


def show_gallery(
    runs: Mapping[str, Curves], healthy: Curves | None = None, window: int = 1
) -> Picture:
    """The losses of training runs, a panel for each name, perhaps over those of a healthy run.

    The healthy run's curves are thin and gray. window: the steps of which a point is the mean. The
    axis of the losses is logarithmic.
    """
    columns = 3 if len(runs) in (3, 5, 6) else min(4, max(1, len(runs)))
    rows = -(-len(runs) // columns)
    picture = FewColors(10 * columns / 4 if columns < 3 else 10, 1.9 * rows + 0.5)
    grid = picture.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for axes in panels[len(runs) :]:
        axes.axis("off")
    for axes, (name, curves) in zip(panels, runs.items(), strict=False):
        axes.set_title(name, fontsize=LABEL)
        for i, (loss, values) in enumerate(curves.items()):
            if healthy is not None:
                draw_curve(axes, healthy[loss], window, color=GRAY, linewidth=0.8)
            shade = OTHER_COLORS[i % len(OTHER_COLORS)]
            draw_curve(axes, values, window, color=shade, linewidth=1.8, label=loss_label(loss))
        style_losses(axes)
    for axes in panels[: max(0, len(runs) - columns)]:  # the lowest of each column has the numbers
        axes.set_xlabel("")
    for axes in panels[max(0, len(runs) - columns) : len(runs)]:
        axes.tick_params(labelbottom=True)
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(
        handles, labels, loc="outside upper left", ncols=len(labels), frameon=False, fontsize=SMALL
    )
    return picture


def show_run_over(
    run: Curves, name: str, other: Curves, other_name: str, window: int = 1
) -> Picture:
    """The five losses of a run, a panel for each, over those of another run, dashed.

    window: the steps of which a point is the mean.
    """
    picture = FewColors(10, 2.9)
    panels = picture.subplots(1, len(run), sharey=True, squeeze=False)[0]
    for axes, (loss, values) in zip(panels, run.items(), strict=True):
        axes.set_title(loss_label(loss), fontsize=LABEL)
        style = {"color": OTHER_COLORS[1], "linestyle": "--", "linewidth": 1.8}
        draw_curve(axes, other[loss], window, label=other_name, **style)
        draw_curve(axes, values, window, color=INK, linewidth=1.8, label=name)
        style_losses(axes)
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(
        handles[::-1], labels[::-1], loc="outside upper left", frameon=False, fontsize=LABEL
    )
    return picture


def draw_curve(axes: Axes, values: Sequence[float], window: int, **style) -> None:
    """Draw the logarithms of the points of a curve, each in the middle of its window."""
    steps = [(index + 0.5) * window for index in range(len(values))]
    axes.plot(steps, [log10(min(max(value, LOWEST), HIGHEST)) for value in values], **style)


def style_losses(axes: Axes) -> None:
    """An axis of losses, whose logarithms are drawn."""
    axes.set_ylim(log10(LOWEST) - 0.05, log10(HIGHEST) + 0.05)
    axes.set_yticks(list(TICKS), list(TICKS.values()))
    axes.set_xlim(0, None)
    axes.set_xlabel("step", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="y", color=LIGHT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
