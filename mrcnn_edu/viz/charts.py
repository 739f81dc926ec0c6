"""Charts: scores, curves, distributions, counts and tables."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mrcnn_edu.viz.draw import draw_map
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import (
    GRAY,
    INK,
    LABEL,
    LEVELS,
    LIGHT,
    OTHER_COLORS,
    TITLE,
    class_color,
    color,
    legend,
    legend_above,
)


def show_scores(scores: Tensor, names: list[str], titles: list[str]) -> Picture:
    """Bars of scores [N, n] in 0..1, a panel for each row; names: of the n bars."""
    picture = Picture(2.2 * len(scores), 2.4)
    axes = picture.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for panel, values, title in zip(axes, scores.cpu().numpy(), titles, strict=True):
        colors = [GRAY] + [class_color(k) for k in range(1, len(values))]
        panel.barh(range(len(values)), values, color=colors)
        panel.set(xlim=(0, 1), xticks=(0, 0.5, 1))
        panel.set_title(title, fontsize=TITLE)
    axes[0].set_yticks(range(len(names)), names, fontsize=LABEL)
    axes[0].invert_yaxis()
    return picture


def show_lines(x: Tensor, lines: Mapping[str, Tensor], xlabel: str, ylabel: str) -> Picture:
    """Curves over x [n]: name -> y [n]. A curve named like a role or an operation has its color."""
    picture = Picture(6, 3)
    axes = picture.subplots()
    for i, (name, y) in enumerate(lines.items()):
        axes.plot(x, y.detach().cpu(), label=name, color=color(name, i), linewidth=1.8)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    legend(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_seeds(
    values: Mapping[str, Sequence[float]], paper: Mapping[str, float], xlabel: str
) -> Picture:
    """Each name's scores, a dot for each seed and a bar at the mean, beside the paper's score."""
    panels = 2 if paper else 1
    picture = Picture(4.6 * panels, 0.8 + 0.34 * len(values))
    axes = picture.subplots(1, panels, sharey=True, squeeze=False)[0]
    names = list(values)
    for row, scores in enumerate(values.values()):
        axes[0].plot(scores, [row] * len(scores), "o", color=OTHER_COLORS[0], alpha=0.7)
        if scores:
            mean = sum(scores) / len(scores)
            axes[0].plot([mean] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=2)
    axes[0].set(xlabel=f"{xlabel}, here" if paper else xlabel, ylim=(len(names) - 0.5, -0.5))
    axes[0].locator_params(axis="x", nbins=6)
    axes[0].set_yticks(range(len(names)), names, fontsize=LABEL)
    for label in axes[0].get_yticklabels():
        label.set_parse_math(False)  # a dollar sign in a name is no formula
    if paper:
        rows = [names.index(name) for name in paper]
        axes[1].plot(list(paper.values()), rows, "D", color=INK)
        axes[1].set_xlabel(f"{xlabel}, the paper's on COCO")
    for panel in axes:
        panel.grid(axis="x", color=LIGHT, linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return picture


def show_parts(totals: Mapping[str, Mapping[str, float]], xlabel: str) -> Picture:
    """Totals and their parts, a stacked bar for each: name -> {part: value}, with equal parts."""
    picture = Picture(7, 1.1 + 0.32 * len(totals))
    axes, names = picture.subplots(), list(totals)
    bars, left = [], [0.0] * len(names)
    for i, part in enumerate(next(iter(totals.values()))):
        values = [parts[part] for parts in totals.values()]
        bars.append(axes.barh(names, values, left=left, label=part, color=color(part, i)))
        left = [sum(pair) for pair in zip(left, values, strict=True)]
    labels = [f"{total:,.0f}" for total in left]
    axes.bar_label(bars[-1], labels, padding=3, fontsize=LABEL)
    axes.set(xlabel=xlabel, xlim=(0, 1.1 * max(left)))
    axes.invert_yaxis()
    legend_above(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_fractions(totals: Mapping[str, Mapping[str, float]]) -> Picture:
    """Each part's fraction of each total in %, side by side: name -> {part: value}, equal parts."""
    parts = list(next(iter(totals.values())))
    picture = Picture(7, 0.9 + 0.32 * len(parts))
    axes, tall = picture.subplots(), 0.8 / len(totals)
    for i, (name, values) in enumerate(totals.items()):
        percent = [100 * values[part] / sum(values.values()) for part in parts]
        rows = [row + tall * (i - (len(totals) - 1) / 2) for row in range(len(parts))]
        axes.barh(rows, percent, height=0.9 * tall, label=name, color=color(name, i))
    axes.set_yticks(range(len(parts)), parts, fontsize=LABEL)
    axes.set(xlabel="%", ylim=(len(parts) - 0.5, -0.5))
    legend(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_spread(values: Mapping[str, Tensor], xlabel: str) -> Picture:
    """Histograms, name -> values [n], one below the other on one scale."""
    picture = Picture(6, 0.5 + 0.9 * len(values))
    rows = picture.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    high = max(v.abs().max().item() for v in values.values()) + 0.5
    for i, (axes, (name, v)) in enumerate(zip(rows, values.items(), strict=True)):
        bounds = -high, high
        axes.hist(v.detach().cpu().numpy(), bins=61, range=bounds, color=color(name, i))
        axes.axvline(0, color=GRAY, linewidth=1)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    rows[-1].set_xlabel(xlabel)
    return picture


def show_table(
    values: Tensor, rows: Sequence[str], columns: Sequence[str], numbers: str = ".2f"
) -> Picture:
    """A table of values [n, m] >= 0, with a lighter background for a higher value.

    numbers: the format of the values.
    """
    picture = Picture(1.6 + 1.0 * len(columns), 0.6 + 0.42 * len(rows))
    axes = picture.subplots()
    draw_map(axes, values, numbers=numbers)
    axes.set_aspect("auto")
    axes.set_xticks(range(len(columns)), columns, fontsize=LABEL)
    axes.set_yticks(range(len(rows)), rows, fontsize=LABEL)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    return picture


def show_counts(parts: Mapping[str, Tensor], names: list[str], xlabel: str = "") -> Picture:
    """Stacked bars of counts, a row for each of n names; parts: title -> [n]."""
    picture = Picture(6.5, 0.9 + 0.33 * len(names))
    axes = picture.subplots()
    end = torch.zeros(len(names))
    for i, (title, counts) in enumerate(parts.items()):
        shade = LEVELS[i % len(LEVELS)]
        axes.barh(names, counts.numpy(), left=end.numpy(), color=shade, label=title)
        end = end + counts
    for row, total in enumerate(end.tolist()):
        axes.text(total, row, f" {total:.0f}", va="center", fontsize=LABEL)
    axes.set(xlabel=xlabel, xlim=(0, 1.1 * max(1, end.max().item())))
    axes.invert_yaxis()
    legend_above(axes)
    axes.spines[["top", "right"]].set_visible(False)
    return picture
