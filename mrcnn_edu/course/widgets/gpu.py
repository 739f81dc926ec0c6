"""Lesson 16, the GPU and a kernel: its widgets, and the peak rates of some machines."""

from typing import NamedTuple

from ipywidgets import Dropdown, IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.viz import Picture

DTYPES = {"float32": 4, "TF32": 4, "bfloat16": 2}  # bytes of a value in memory
N_KERNELS, LONGEST = 10, 205  # of the queue; microseconds on its axis
# Positions on all levels, for an image of 800 x 1216 pixels.
PYRAMID = sum((800 // stride) * (1216 // stride) for stride in (4, 8, 16, 32))


class Card(NamedTuple):
    """The peak rates of a machine, from its data sheet."""

    bandwidth: float  # bytes per second between memory and processor
    float32: float  # operations per second; a multiplication and an addition are two
    tf32: float  # the same in matrix products of float32, by units made for these
    bfloat16: float  # and in those of bfloat16


CARDS = {
    # By hand: two channels of 8 bytes, DDR5-5600; 8 cores of 3.5 GHz, each with two AVX2 units that
    # multiply and add 8 values at once. It has no units for TF32 and bfloat16.
    "a laptop's CPU": Card(2 * 8 * 5.6e9, *[8 * 3.5e9 * 2 * 8 * 2] * 3),
    # NVIDIA's white paper on the Ada architecture, and data sheets of the A100 80 GB and the H100,
    # both SXM; all without sparsity.
    "GeForce RTX 4090": Card(1.008e12, 82.6e12, 82.6e12, 165.2e12),
    "A100": Card(2.039e12, 19.5e12, 156e12, 312e12),
    "H100": Card(3.35e12, 67e12, 494.7e12, 989.4e12),
}


def roi_align_work(
    n_rois: int, channels: int, points: int, bytes_per_value: int
) -> tuple[int, int, int]:
    """Operations, bytes read and bytes written of RoIAlign to 7 x 7 bins.

    points: sample points along one side of a bin. Each position of the pyramid of an image of
    800 x 1216 pixels is read at most once, because a cache keeps it.
    """
    outputs = n_rois * 7 * 7
    n_read = 4 * points**2  # four neighbors of each sample point
    operations = 2 * n_read * outputs * channels
    row_bytes = channels * bytes_per_value
    return operations, min(n_read * outputs, PYRAMID) * row_bytes, outputs * row_bytes


def gpu_player(layers: dict[str, tuple[int, int]]) -> Player:
    """RoIAlign below a machine's roofline, with its bytes, operations and minimal time.

    layers: name -> operations, and values read and written, of layers to compare it with.
    """

    def draw(rois: int, channels: int, points: int, dtype: str, card: str) -> Picture:
        n_bytes, machine = DTYPES[dtype], CARDS[card]
        operations, read, written = roi_align_work(rois, channels, points, n_bytes)
        work = {"RoIAlign": operations / (read + written)}
        work |= {name: n / (moved * n_bytes) for name, (n, moved) in layers.items()}
        # RoIAlign is no matrix product: it multiplies and adds in float32.
        seconds = max((read + written) / machine.bandwidth, operations / machine.float32)
        roof = {f"{card}, {dtype}": (getattr(machine, dtype.lower()), machine.bandwidth)}
        picture = viz.show_roofline(roof, work, {"RoIAlign": operations / seconds})
        picture.axes[0].set_ylim(1e10, 2e15)  # the same for all machines
        picture.axes[0].set_title(
            f"{read / 1e6:,.1f} MB read, {written / 1e6:,.1f} MB written, "
            f"{operations / 1e6:,.0f} million operations: at least {1e6 * seconds:,.1f} µs",
            fontsize=10,
        )
        return picture

    return Player(
        draw,
        rois=IntSlider(512, 1, 2000, description="RoIs"),
        channels=IntSlider(256, 32, 1024, 32),
        points=IntSlider(2, 1, 4, description="points a side"),
        dtype=Dropdown(options=list(DTYPES)),
        card=Dropdown(options=list(CARDS), value="H100"),
    )


def queue_player() -> Player:
    """A queue of ten equal kernels in time: how long each takes, and how often Python reads."""

    def draw(kernel: int, launch: int, read_after_every: int) -> Picture:
        reads = range(read_after_every - 1, N_KERNELS, read_after_every)
        without = viz.queue_times([kernel] * N_KERNELS, launch)
        times = viz.queue_times([kernel] * N_KERNELS, launch, reads)
        runs = {"never reads": without, f"reads {len(reads)} times": times}
        return viz.show_queue(runs, end=LONGEST)

    return Player(
        draw,
        kernel=IntSlider(8, 1, 12, description="operator, µs"),
        launch=IntSlider(5, 1, 8, description="launch, µs"),
        read_after_every=IntSlider(3, 1, N_KERNELS, description="a read after"),
    )
