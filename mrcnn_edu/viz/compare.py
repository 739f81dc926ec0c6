"""Settings compared over seeds: their paired differences, and how their models learned."""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, HIGHLIGHT, INK, LABEL, LIGHT, OTHER_COLORS, SMALL, legend

Interval = tuple[float, float]  # its ends, NaN where there is none
Curve = Mapping[float, float]  # step -> value


def show_paired_differences(
    differences: Mapping[str, Sequence[float]],
    intervals: Mapping[str, Interval],
    xlabel: str,
    paper: Mapping[str, float] | None = None,
    unpaired: Mapping[str, Interval] | None = None,
) -> Picture:
    """A forest plot: a row for each name, with a dot for each pair, their mean and its interval.

    differences: name -> the difference of each pair, usually of a seed; perhaps none. intervals:
    name -> the ends of the mean's confidence interval. One that excludes 0 is highlighted. paper:
    the paper's difference, where there is one. unpaired: the intervals that ignore which scores
    belong together, drawn in gray to show what pairing is worth.
    """
    paper, unpaired, names = paper or {}, unpaired or {}, list(differences)
    picture = Picture(7.2, 1.0 + 0.5 * max(1, len(names)))
    axes = picture.subplots()
    axes.axvline(0, color=GRAY, linewidth=1)
    for row, (name, values) in enumerate(differences.items()):
        axes.plot(values, [row - 0.2] * len(values), "o", color=OTHER_COLORS[0], alpha=0.7, ms=5)
        if values:
            _draw_mean(axes, row, sum(values) / len(values), intervals.get(name))
        _draw_interval(axes, row + 0.24, unpaired.get(name), GRAY, 1.2)
        if name in paper:
            axes.plot(paper[name], row, "D", color=INK, markerfacecolor="white", ms=6)
    _name_rows(axes, names)
    axes.set(xlabel=xlabel)
    axes.grid(axis="x", color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _explain(axes, bool(paper), bool(unpaired))
    return picture


def _draw_mean(axes: Axes, row: float, mean: float, interval: Interval | None) -> None:
    """The mean as a square on its interval, with the numbers at the right edge."""
    low, high = interval or (float("nan"), float("nan"))
    is_clear = low > 0 or high < 0
    shade = HIGHLIGHT if is_clear else INK
    _draw_interval(axes, row, interval, shade, 2.4)
    axes.plot(mean, row, "s", color=shade, ms=6)
    text = f"{mean:+.1f}" if isnan(low) else f"{mean:+.1f} ± {(high - low) / 2:.1f}"
    axes.annotate(
        text, (1, row), xycoords=("axes fraction", "data"), xytext=(6, 0),
        textcoords="offset points", va="center", color=shade, fontsize=LABEL,
        weight="bold" if is_clear else "normal",
    )  # fmt: skip


def _draw_interval(
    axes: Axes, row: float, interval: Interval | None, shade: str, width: float
) -> None:
    if interval is not None and not any(map(isnan, interval)):
        axes.plot(interval, [row, row], "|-", color=shade, linewidth=width, ms=7)


def _name_rows(axes: Axes, names: list[str]) -> None:
    """The names beside the rows, the first on top; a dollar sign in a name is no formula."""
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names, fontsize=LABEL)
    axes.tick_params(axis="y", length=0)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)


def _explain(axes: Axes, has_paper: bool, has_unpaired: bool) -> None:
    """A legend above the rows, of marks that are drawn nowhere else."""
    marks = [("o", OTHER_COLORS[0], OTHER_COLORS[0], "a pair"), ("s-", INK, INK, "mean, 95 %")]
    marks += [("D", INK, "white", "the paper")] * has_paper
    marks += [("|-", GRAY, GRAY, "95 %, without pairs")] * has_unpaired
    for style, shade, face, label in marks:
        axes.plot([], [], style, color=shade, markerfacecolor=face, label=label, ms=5)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(marks), frameon=False, fontsize=SMALL,
        borderaxespad=0.2, borderpad=0, columnspacing=1.6, handlelength=1.4,
    )  # fmt: skip


def show_learning(
    losses: Mapping[str, Sequence[Curve]], scores: Mapping[str, Sequence[Curve]], ylabel: str
) -> Picture:
    """The losses and the scores of training runs over their steps, a line for each run.

    losses, scores: name -> {step: value} of each run; the runs of a name have one color.
    """
    picture = Picture(10, 3.3)
    left, right = picture.subplots(1, 2)
    for axes, curves in ((left, losses), (right, scores)):
        for i, (name, runs) in enumerate(curves.items()):
            shade = OTHER_COLORS[i % len(OTHER_COLORS)]
            _draw_runs(axes, runs, name, shade, "-" if axes is left else "o-")
        if axes.lines:
            legend(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    right.set(xlabel="step", ylabel=ylabel, ylim=(0, None))
    return picture


def _draw_runs(axes: Axes, runs: Iterable[Curve], name: str, shade: str, style: str) -> None:
    for n, run in enumerate(runs):
        label = None if n else name.replace("$", r"\$")
        steps, values = list(run), list(run.values())
        axes.plot(steps, values, style, color=shade, label=label, linewidth=1.3, alpha=0.8, ms=3.5)


def show_pairs(scores: Mapping[str, Sequence[float]], ylabel: str) -> Picture:
    """The scores of two settings, seed by seed: a line joins the two runs of each seed.

    scores: the two names -> a score for each seed, in the same order.
    """
    picture = Picture(4.2, 3.2)
    axes, (left, right) = picture.subplots(), scores.values()
    for pair in zip(left, right, strict=True):
        axes.plot((0, 1), pair, "o-", color=OTHER_COLORS[0], alpha=0.7, linewidth=1.4)
    for x, values in enumerate((left, right)):
        mean = sum(values) / len(values)
        axes.plot((x - 0.12, x + 0.12), (mean, mean), color=INK, linewidth=2.4)
    axes.set_xticks((0, 1), list(scores), fontsize=LABEL)
    axes.set(xlim=(-0.4, 1.4), ylim=(0, None), ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_pairing(correlations: Sequence[float], ratios: Sequence[float]) -> Picture:
    """What pairing is worth: a dot for each comparison, and a line where it makes no difference.

    correlations: of the two settings' scores over the seeds. ratios: the width of the paired
    interval divided by that of the unpaired one.
    """
    picture = Picture(6, 3.2)
    axes = picture.subplots()
    axes.axhline(1, color=GRAY, linewidth=1)
    axes.axvline(0, color=LIGHT, linewidth=1)
    for r, ratio in zip(correlations, ratios, strict=True):
        shade = OTHER_COLORS[0] if ratio < 1 else HIGHLIGHT
        axes.plot(r, ratio, "o", color=shade, alpha=0.8, ms=6)
    axes.set(
        xlim=(-1, 1), ylim=(0, None), xlabel="correlation of the two settings over the seeds",
        ylabel="paired width / Welch's",
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_by_amount(
    scores: Mapping[str, Mapping[float, Sequence[float]]], xlabel: str, ylabel: str
) -> Picture:
    """Scores over an amount, such as the number of labels: name -> amount -> a score for each seed.

    A dot for each seed, and a line through the means. Amounts are drawn on a logarithmic scale.
    """
    picture = Picture(7, 3.6)
    axes, marks = picture.subplots(), "osD^v"
    for i, (name, runs) in enumerate(scores.items()):
        shade, mark = OTHER_COLORS[i % len(OTHER_COLORS)], marks[i % len(marks)]
        amounts = [amount for amount, values in runs.items() if values]
        means = [sum(runs[amount]) / len(runs[amount]) for amount in amounts]
        axes.plot(amounts, means, f"{mark}-", color=shade, label=name, linewidth=2, ms=6)
        for amount in amounts:
            shifted = [amount * 1.03 ** (i - (len(scores) - 1) / 2)] * len(runs[amount])
            axes.plot(shifted, runs[amount], mark, color=shade, alpha=0.35, ms=4)
    ticks = sorted({amount for runs in scores.values() for amount in runs})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 100))
    axes.grid(axis="y", color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)
    legend(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture
