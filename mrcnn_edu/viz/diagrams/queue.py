"""A GPU's queue in time: what Python launches, what waits, what the GPU computes (lesson 16)."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, HIGHLIGHT, INK, LABEL, LEVELS, SMALL, TITLE

Span = tuple[float, float]  # from when to when
COLORS = {"launch": LEVELS[1], "kernel": LEVELS[0], "waits": "#F2CF87", "queue": "#DADDE2"}
PYTHON, QUEUE, GPU = 0.0, 1.3, 2.35  # y of the tops of the three lanes
TALL = 0.85  # height of a lane
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
    picture = Picture(9.6, 1.36 * len(runs) + 0.75)
    panels = picture.subplots(max(len(runs), 1), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, times) in zip(panels, runs.items(), strict=True):
        draw_times(axes, times, end)
        title = (
            f"{name}: {times.total:g} µs, the GPU computes for {100 * times.busy:.0f} % of the time"
        )
        axes.set_title(title, fontsize=TITLE, loc="left")
        axes.set(xlim=(0, end), ylim=(GPU + TALL + 0.1, PYTHON - 0.1))
        middles = [top + TALL / 2 for top in (PYTHON, QUEUE, GPU)]
        axes.set_yticks(middles, ["Python", "in the queue", "GPU"], fontsize=LABEL)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[-1].set_xlabel("microseconds")
    draw_key(panels[0])
    return picture


def draw_times(axes: Axes, times: QueueTimes, end: float) -> None:
    """Draw the three lanes of one timeline, on an axis with this end."""
    for name, spans, top in (
        ("launch", times.launches, PYTHON),
        ("waits", times.waits, PYTHON),
        ("kernel", times.kernels, GPU),
    ):
        boxes = [(start, stop - start) for start, stop in spans]
        axes.broken_barh(boxes, (top, TALL), color=COLORS[name], edgecolor="white", linewidth=0.8)
    gaps = idle(times)
    axes.broken_barh(
        [(start, stop - start) for start, stop in gaps], (GPU, TALL), facecolor="white",
        edgecolor=HIGHLIGHT, linewidth=0.7, hatch="////",
    )  # fmt: skip
    counts = [*times.queued(), (times.total, 0)]
    for (start, n), (stop, _) in pairwise(counts):
        height = TALL * min(n, MOST) / MOST
        corner = start, QUEUE + TALL - height
        axes.add_patch(Rectangle(corner, stop - start, height, color=COLORS["queue"], linewidth=0))
        if n > 0 and stop - start > 0.018 * end:
            axes.text(
                (start + stop) / 2, QUEUE + TALL / 2, str(n), fontsize=SMALL, ha="center",
                va="center", color=INK,
            )  # fmt: skip
    axes.axhline(QUEUE + TALL, color=GRAY, linewidth=0.6)


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
    handles = [
        Rectangle((0, 0), 1, 1, color=COLORS["launch"], label="launches"),
        Rectangle((0, 0), 1, 1, color=COLORS["waits"], label="waits for a result"),
        Rectangle((0, 0), 1, 1, color=COLORS["kernel"], label="computes"),
        Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=HIGHLIGHT, hatch="////", label="idle"),
    ]
    axes.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False,
        fontsize=SMALL, borderaxespad=0.2, borderpad=0, columnspacing=1.4, handlelength=1.2,
    )  # fmt: skip
