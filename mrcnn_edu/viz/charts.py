"""Numbers: scores, curves, spreads, tables, and how a training goes."""

import numpy as np
import torch
from matplotlib.ticker import EngFormatter
from torch import Tensor

from mrcnn_edu.viz.draw import draw_instances, draw_map
from mrcnn_edu.viz.picture import OTHERS, ROLES, Picture, class_color, color


def show_scores(scores: Tensor, names: list[str], titles: list[str]) -> Picture:
    """Bars of scores [N, n] in 0..1, one panel for each row."""
    picture = Picture(2.2 * len(scores), 2.4)
    axes = picture.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    for panel, values, title in zip(axes, scores.cpu().numpy(), titles, strict=True):
        colors = ["#999999"] + [class_color(k) for k in range(1, len(values))]
        panel.barh(range(len(values)), values, color=colors)
        panel.set_xlim(0, 1)
        panel.set_title(title, fontsize=10)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    axes[0].invert_yaxis()
    return picture


def show_lines(x: Tensor, lines: dict[str, Tensor], xlabel: str, ylabel: str) -> Picture:
    """Curves over x [n]: name -> y [n]. The name of a role or an operation has its color."""
    picture = Picture(6, 3)
    axes = picture.subplots()
    for place, (name, y) in enumerate(lines.items()):
        axes.plot(x, y.detach().cpu(), label=name, color=color(name, place), linewidth=1.8)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_seeds(values: dict[str, list[float]], paper: dict[str, float], xlabel: str) -> Picture:
    """Scores of each name, a dot for each seed and a bar at their mean; beside them the paper's."""
    panels = 2 if paper else 1
    picture = Picture(4.6 * panels, 0.8 + 0.34 * len(values))
    axes = picture.subplots(1, panels, sharey=True, squeeze=False)[0]
    names = list(values)
    for row, scores in enumerate(values.values()):
        axes[0].plot(scores, [row] * len(scores), "o", color=ROLES["proposal"], alpha=0.6)
        if scores:
            mean = sum(scores) / len(scores)
            axes[0].plot([mean] * 2, [row - 0.3, row + 0.3], color="#222222", linewidth=2)
    axes[0].set(xlabel=f"{xlabel}, here", ylim=(len(names) - 0.5, -0.5))
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    if paper:
        rows = [names.index(name) for name in paper]
        axes[1].plot(list(paper.values()), rows, "D", color="#222222")
        axes[1].set_xlabel(f"{xlabel}, the paper's on COCO")
    for panel in axes:
        panel.grid(axis="x", color="#dddddd", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return picture


def show_parts(wholes: dict[str, dict[str, float]], xlabel: str) -> Picture:
    """What wholes are made of, a bar for each: name -> {part: value}; all have the same parts."""
    picture = Picture(7, 0.9 + 0.32 * len(wholes))
    axes, names = picture.subplots(), list(wholes)
    left = [0.0] * len(names)
    for place, part in enumerate(next(iter(wholes.values()))):
        values = [whole[part] for whole in wholes.values()]
        bars = axes.barh(names, values, left=left, label=part, color=color(part, place))
        left = [sum(pair) for pair in zip(left, values, strict=True)]
    axes.bar_label(bars, [f"{total:,.0f}" for total in left], padding=3, fontsize=9)
    axes.set(xlabel=xlabel, xlim=(0, 1.1 * max(left)))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_roofline(
    machines: dict[str, tuple[float, float]],
    work: dict[str, float],
    reached: dict[str, float] | None = None,
) -> Picture:
    """How many operations a second machines can reach, by the operations that work does for a byte.

    machines: name -> (operations a second, bytes a second), both at most: the flat and the slanting
    part of its roof. work: name -> operations a byte; a ring is where it meets a roof. reached:
    name -> operations a second that were measured, a dot.
    """
    picture = Picture(7.4, 3.6)
    axes = picture.subplots()
    x = np.logspace(-0.5, 4, 200)
    for place, (name, (rate, bandwidth)) in enumerate(machines.items()):
        shade = OTHERS[place % len(OTHERS)]
        axes.plot(x, np.minimum(rate, bandwidth * x), color=shade, label=name)
        rings = [min(rate, bandwidth * intensity) for intensity in work.values()]
        axes.plot(list(work.values()), rings, "o", color=shade, markerfacecolor="white")
    for name, rate in (reached or {}).items():
        axes.plot(work[name], rate, "o", color=ROLES["proposal"])
    axes.set(xscale="log", yscale="log", xlim=(x[0], x[-1]))
    low, high = np.log10(axes.get_ylim())
    axes.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))  # whole decades: each has its tick
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter(EngFormatter())  # 10 G, 1 T
    axes.set(xlabel="operations a byte", ylabel="operations a second")
    names = axes.secondary_xaxis("top")
    names.set_xticks(list(work.values()), list(work), rotation=15, ha="left", fontsize=9)
    names.minorticks_off()
    for intensity in work.values():
        axes.axvline(intensity, color="#dddddd", linewidth=1, zorder=0)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.spines["right"].set_visible(False)
    return picture


def show_spread(values: dict[str, Tensor], xlabel: str) -> Picture:
    """How values spread, a row of bars for each name -> [n], all on one scale."""
    picture = Picture(6, 0.5 + 0.9 * len(values))
    rows = picture.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    high = max(v.abs().max().item() for v in values.values()) + 0.5
    for place, (axes, (name, v)) in enumerate(zip(rows, values.items(), strict=True)):
        bars = {"bins": 61, "range": (-high, high), "color": color(name, place)}
        axes.hist(v.detach().cpu().numpy(), **bars)
        axes.axvline(0, color="#999999", linewidth=1)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    rows[-1].set_xlabel(xlabel)
    return picture


def show_table(values: Tensor, rows: list[str], columns: list[str], numbers=".2f") -> Picture:
    """A table [n, m] of numbers from 0 up, each cell as light as its number is high."""
    picture = Picture(1.6 + 1.0 * len(columns), 0.6 + 0.42 * len(rows))
    axes = picture.subplots()
    draw_map(axes, values, numbers=numbers)
    axes.set_aspect("auto")
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    return picture


def show_counts(parts: dict[str, Tensor], names: list[str], xlabel: str = "") -> Picture:
    """Bars of counts, a row for each of n names; each part, title -> [n], goes on from the last."""
    picture = Picture(6.5, 0.7 + 0.33 * len(names))
    axes = picture.subplots()
    end = torch.zeros(len(names))
    for place, (title, counts) in enumerate(parts.items()):
        shade = ("#333333", "#9FB8CC", "#E0E0E0")[place % 3]
        axes.barh(names, counts.numpy(), left=end.numpy(), color=shade, label=title)
        end = end + counts
    for row, total in enumerate(end.tolist()):
        axes.text(total, row, f" {total:.0f}", va="center", fontsize=9)
    axes.set(xlabel=xlabel, xlim=(0, 1.1 * max(1, end.max().item())))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_training(losses: list[dict[str, float]], measured: dict[str, dict[int, float]]) -> Picture:
    """The five losses, each the mean of 20 steps, beside what was measured: name -> {step: 0..1}.

    losses: of every step so far, perhaps none.
    """
    picture = Picture(10, 3.3)
    left, right = picture.subplots(1, 2)
    colors = ("#222222", "#999999", "#4477AA", "#66CCEE", "#EE6677")
    for name, shade in zip(losses[0] if losses else (), colors, strict=False):
        values = np.array([parts[name] for parts in losses])
        sums = np.cumsum(np.insert(values, 0, 0.0))
        end = np.arange(1, len(values) + 1)
        start = np.maximum(end - 20, 0)
        means = (sums[end] - sums[start]) / (end - start)
        left.plot(end, means, label=name, color=shade, linewidth=1.6)
    for place, (name, values) in enumerate(measured.items()):
        steps, heights = list(values), list(values.values())
        right.plot(
            steps,
            heights,
            "o-",
            label=name,
            color=("#222222", "#EE6677", "#999999", "#4477AA")[place % 4],
        )
    left.set(xlabel="step", ylabel="loss, mean of 20 steps", ylim=(0, None))
    right.set(xlabel="step", ylabel="share, on scenes held out", ylim=(0, 1.03))
    for axes in (left, right):
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return picture


def show_side_by_side(
    curves: dict[str, dict[int, float]],
    ylabel: str,
    image: Tensor,
    target: dict,
    found: dict,
    classes: list[str],
) -> Picture:
    """Two settings' scores by step, and what each finds in an image [3, H, W], beside the truth.

    curves: setting -> {step: score}. found: setting -> `Detections`.
    """
    picture = Picture(10.4, 3.2)  # lower ones would cut the titles off
    panels = picture.subplots(1, 2 + len(found), width_ratios=[1.25] + [1] * (1 + len(found)))
    for place, (name, scores) in enumerate(curves.items()):
        shade = OTHERS[place % len(OTHERS)]
        panels[0].plot(list(scores), list(scores.values()), "o-", label=name, color=shade)
    panels[0].set(xlabel="step", ylabel=ylabel, ylim=(0, None))
    panels[0].legend(frameon=False, fontsize=8)
    panels[0].spines[["top", "right"]].set_visible(False)
    objects = target["boxes"], target["labels"], target.get("masks")
    draw_instances(panels[1], image, *objects, classes, title="truth")
    for axes, (name, d) in zip(panels[2:], found.items(), strict=True):
        draw_instances(axes, image, d.boxes, d.labels, d.masks, classes, d.scores, name)
    return picture
