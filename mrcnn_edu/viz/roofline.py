"""The roofline of a machine, and where work lies below it (lesson 16)."""

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.ticker import EngFormatter

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import HIGHLIGHT, LABEL, LIGHT, OTHER_COLORS, legend


def show_roofline(
    machines: Mapping[str, tuple[float, float]],
    work: Mapping[str, float],
    reached: Mapping[str, float] | None = None,
    dashed: Collection[str] = (),
) -> Picture:
    """The roofline: attainable operations per second over operations per byte, for each machine.

    machines: name -> (peak operations per second, peak bytes per second); they give the flat and
    the sloping part of its roof. work: name -> operations per byte, with a ring where it meets a
    roof. reached: name -> measured operations per second, drawn as a dot. dashed: machines whose
    roof is dashed, in the color of the one before: the same machine with another peak.
    """
    picture = Picture(7.4, 3.6)
    axes = picture.subplots()
    x = np.logspace(-0.5, 4, 200)
    i = -1
    for name, (rate, bandwidth) in machines.items():
        i += name not in dashed
        shade, line = OTHER_COLORS[i % len(OTHER_COLORS)], "--" if name in dashed else "-"
        axes.plot(x, np.minimum(rate, bandwidth * x), line, color=shade, label=name)
        rings = [min(rate, bandwidth * intensity) for intensity in work.values()]
        axes.plot(list(work.values()), rings, "o", color=shade, markerfacecolor="white")
    for name, rate in (reached or {}).items():
        axes.plot(work[name], rate, "o", color=HIGHLIGHT)
    axes.set(xscale="log", yscale="log", xlim=(x[0], x[-1]))
    low, high = np.log10(axes.get_ylim())
    axes.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))  # whole decades: each has its tick
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter(EngFormatter())  # 10 G, 1 T
    axes.set(xlabel="operations per byte", ylabel="operations per second")
    names = axes.secondary_xaxis("top")
    names.set_xticks(list(work.values()), list(work), fontsize=LABEL)
    names.tick_params(labelrotation=35)
    for text in names.get_xticklabels():
        text.set(ha="left", rotation_mode="anchor")
    names.minorticks_off()
    for intensity in work.values():
        axes.axvline(intensity, color=LIGHT, linewidth=1, zorder=0)
    legend(axes)
    axes.spines["right"].set_visible(False)
    return picture
