"""A GPU's queue in time: what Python launches, what waits, what the GPU computes (lesson 16)."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch, Polygon

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, HIGHLIGHT, INK, LABEL, LEVELS, SMALL, TITLE

Span = tuple[float, float]  # from when to when
COLORS = {"launch": LEVELS[1], "kernel": LEVELS[0], "waits": "#F2CF87", "queue": "#DADDE2"}
PYTHON, QUEUE, GPU = 0.0, 1.3, 2.35  # y of the tops of a timeline's lanes
TALL, PITCH = 0.85, 4.6  # height of a lane; from one timeline to the next
MOST = 4  # kernels in the queue that fill its lane


class QueueTimes(NamedTuple):
    """When each launch, each wait of Python and each kernel on the GPU begins and ends."""

    launches: list[Span]
    waits: list[Span]
    kernels: list[Span]

    @property
    def total(self) -> float:
        """When everything is done."""
        return max((end for _, end in [*self.launches, *self.kernels]), default=0.0)

    @property
    def busy(self) -> float:
        """The fraction of the whole time in which the GPU computes."""
        return sum(end - start for start, end in self.kernels) / self.total if self.total else 0.0

    def queued(self) -> list[tuple[float, int]]:
        """The number of kernels that are launched and have not begun, from each time on."""
        changes = [(end, 1) for _, end in self.launches] + [(s, -1) for s, _ in self.kernels]
        counts, n = [(0.0, 0)], 0
        for time, change in sorted(changes):
            n += change
            if counts[-1][0] == time:
                counts.pop()
            counts.append((time, n))
        return counts


def queue_times(durations: Sequence[float], launch: float, reads: Iterable[int] = ()) -> QueueTimes:
    """The times of kernels that Python launches one after another.

    durations: how long the GPU computes each. launch: how long Python takes to launch one. reads:
    the kernels, by index, whose result Python reads before it goes on. A kernel begins when it has
    been launched and the one before it is done.
    """
    if min([launch, *durations], default=0) < 0:
        raise ValueError("a time is negative: durations and launch are at least 0")
    reads = set(reads)
    times = QueueTimes([], [], [])
    python = gpu = 0.0  # when each of them is free again
    for i, duration in enumerate(durations):
        times.launches.append((python, python + launch))
        python += launch
        start = max(python, gpu)
        gpu = start + duration
        times.kernels.append((start, gpu))
        if i in reads:
            times.waits.append((python, gpu))
            python = gpu
    return times


def show_queue(runs: Mapping[str, QueueTimes], end: float | None = None) -> Picture:
    """Timelines, name -> times in microseconds, below each other on one axis.

    Each has three lanes: Python, which launches kernels and waits where it reads a result; the
    number of kernels in the queue; and the GPU, whose gaps are idle time. end: of the axis.
    """
    end = end or 1.04 * max((times.total for times in runs.values()), default=1.0) or 1.0
    picture = Picture(9.6, 1.4 * len(runs) + 0.5)
    axes = picture.subplots()
    ticks: list[float] = []
    for i, (name, times) in enumerate(runs.items()):
        top = i * PITCH
        draw_times(axes, times, top, end)
        busy = f"the GPU computes for {100 * times.busy:.0f} % of the time"
        title = f"{name}: {times.total:g} µs, {busy}"
        axes.text(0, top - 0.25, title, fontsize=TITLE, color=INK, va="baseline")
        ticks += [top + lane + TALL / 2 for lane in (PYTHON, QUEUE, GPU)]
    axes.set_yticks(ticks, ["Python", "in the queue", "GPU"] * len(runs), fontsize=LABEL)
    axes.set(xlim=(0, end), ylim=(max(len(runs), 1) * PITCH - 1.0, -1.0), xlabel="microseconds")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    draw_key(axes)
    return picture


def draw_times(axes: Axes, times: QueueTimes, top: float, end: float) -> None:
    """Draw the three lanes of one timeline below this y, on an axis with this end."""
    style: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.8}
    for name, spans, lane in (
        ("launch", times.launches, PYTHON),
        ("waits", times.waits, PYTHON),
        ("kernel", times.kernels, GPU),
    ):
        add_boxes(axes, spans, top + lane, facecolor=COLORS[name], **style)
    style = {"facecolor": "white", "edgecolor": HIGHLIGHT, "linewidth": 0.7, "hatch": "////"}
    add_boxes(axes, idle(times), top + GPU, **style)
    low = top + QUEUE + TALL
    counts = [*times.queued(), (times.total, 0)]
    outline = [(0.0, low)]
    for (start, n), (stop, _) in pairwise(counts):
        y = low - TALL * min(n, MOST) / MOST
        outline += [(start, y), (stop, y)]
        if n > 0 and stop - start > 0.018 * end:
            middle = (start + stop) / 2, top + QUEUE + TALL / 2
            style = {"fontsize": SMALL, "ha": "center", "va": "center", "color": INK}
            axes.text(*middle, str(n), **style)
    outline.append((times.total, low))
    axes.add_patch(Polygon(outline, color=COLORS["queue"], linewidth=0))
    axes.plot([0, end], [low, low], color=GRAY, linewidth=0.6)


def add_boxes(axes: Axes, spans: Sequence[Span], y: float, **style: Any) -> None:
    """Draw a box of a lane's height for each span of time."""
    corners = [[(a, y), (b, y), (b, y + TALL), (a, y + TALL)] for a, b in spans]
    axes.add_collection(PolyCollection(corners, **style), autolim=False)


def idle(times: QueueTimes) -> list[Span]:
    """When the GPU has nothing to do, from the beginning to the end."""
    free, gaps = 0.0, []
    for start, stop in times.kernels:
        if start > free:
            gaps.append((free, start))
        free = stop
    return gaps + ([(free, times.total)] if times.total > free else [])


def draw_key(axes: Axes) -> None:
    """Say what the colors mean, above the timelines on the right."""
    named = {"launches": "launch", "waits for a result": "waits", "computes": "kernel"}
    handles = [Patch(facecolor=COLORS[color], label=text) for text, color in named.items()]
    handles.append(Patch(facecolor="white", edgecolor=HIGHLIGHT, hatch="////", label="idle"))
    axes.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False,
        fontsize=SMALL, borderaxespad=0, borderpad=0, columnspacing=1.4, handlelength=1.2,
    )  # fmt: skip
