"""Lesson 16, the GPU and a kernel: its widget, and what some machines can do at most."""

from typing import NamedTuple

from ipywidgets import Dropdown, IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.viz import Picture

NUMBERS = {"float32": 4, "bfloat16": 2}  # bytes of one
PYRAMID = sum((800 // stride) * (1216 // stride) for stride in (4, 8, 16, 32))  # cells, all levels


class Card(NamedTuple):
    """What a machine does at most, from its data sheet."""

    bandwidth: float  # bytes a second between memory and processor
    float32: float  # operations a second; a multiplication and an addition are two
    bfloat16: float  # in products of matrices, by units that do nothing else


CARDS = {
    # By hand: two channels of 8 bytes, DDR5-5600; 8 cores of 3.5 GHz, each with two AVX2 units that
    # multiply and add 8 numbers at once. It has no units for bfloat16.
    "a laptop's CPU": Card(2 * 8 * 5.6e9, 8 * 3.5e9 * 2 * 8 * 2, 8 * 3.5e9 * 2 * 8 * 2),
    # NVIDIA's white paper on the Ada architecture, and data sheets of the A100 80 GB and the H100,
    # both SXM; all without sparsity.
    "GeForce RTX 4090": Card(1.008e12, 82.6e12, 165.2e12),
    "A100": Card(2.039e12, 19.5e12, 312e12),
    "H100": Card(3.35e12, 67e12, 989e12),
}


def work_of_roi_align(
    n_rois: int, channels: int, points: int, bytes_a_number: int
) -> tuple[int, int, int]:
    """Operations, and bytes read and written, of RoIAlign to 7 x 7, `points` along a side of each.

    Read is each cell of the pyramid of 800 x 1216 pixels at most once: others come from a cache.
    """
    outputs = n_rois * 7 * 7
    taps = 4 * points**2  # the four cells around each point
    operations = 2 * taps * outputs * channels
    row = channels * bytes_a_number
    return operations, min(taps * outputs, PYRAMID) * row, outputs * row


def gpu_player(layers: dict[str, tuple[int, int]]) -> Player:
    """RoIAlign's bytes, operations and least time on a card, on its roof; beside it some layers.

    layers: name -> operations, and how many numbers are read and written.
    """

    def draw(rois: int, channels: int, points: int, numbers: str, card: str) -> Picture:
        size, machine = NUMBERS[numbers], CARDS[card]
        operations, read, written = work_of_roi_align(rois, channels, points, size)
        work = {"RoIAlign": operations / (read + written)}
        work |= {name: n / (moved * size) for name, (n, moved) in layers.items()}
        # RoIAlign is no product of matrices: it multiplies and adds in float32.
        slow = max((read + written) / machine.bandwidth, operations / machine.float32)
        roof = {f"{card}, {numbers}": (getattr(machine, numbers), machine.bandwidth)}
        picture = viz.show_roofline(roof, work, {"RoIAlign": operations / slow})
        picture.axes[0].set_ylim(1e10, 2e15)  # the same for all cards
        picture.axes[0].set_title(
            f"{read / 1e6:,.1f} MB read, {written / 1e6:,.1f} MB written, "
            f"{operations / 1e6:,.0f} million operations: {1e6 * slow:,.1f} µs at least",
            fontsize=10,
        )
        return picture

    return Player(
        draw,
        rois=IntSlider(512, 1, 2000, description="RoIs"),
        channels=IntSlider(256, 32, 1024, 32),
        points=IntSlider(2, 1, 4, description="points a side"),
        numbers=Dropdown(options=list(NUMBERS)),
        card=Dropdown(options=list(CARDS), value="H100"),
    )
