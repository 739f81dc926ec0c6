"""The memories of a GPU, from the registers to the memory of the computer (lesson 16)."""

from collections.abc import Mapping
from typing import NamedTuple

from mrcnn_edu.viz.diagrams.arrows import arrow
from mrcnn_edu.viz.diagrams.frame import Frame
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, FILL, LABEL, ONCE, OUTSIDE, SMALL, TITLE

TALL, STEP, MIDDLE = 0.5, 0.92, 3.5  # height of a level, from one to the next; x of all
TOP = 0.12


class MemoryLevels(NamedTuple):
    """The sizes of a GPU's memories in bytes, and its bandwidths in bytes per second.

    registers and shared are those of one of its processors; the bandwidths are those of the GPU's
    own memory, and of its connection to the computer in each direction.
    """

    name: str
    processors: int
    registers: float
    shared: float
    cache: float
    memory: float
    bandwidth: float
    connection: float


# NVIDIA's white paper on the architecture of the H100, SXM5.
H100_MEMORY = MemoryLevels("H100", 132, 256 * 1024, 256 * 1024, 50e6, 80e9, 3.35e12, 64e9)


def show_memory_levels(works: Mapping[str, float], levels: MemoryLevels = H100_MEMORY) -> Picture:
    """The levels of a GPU's memory as bands, the fastest on top, beside the bytes of some work.

    works: name -> bytes, written beside the cache of all programs if it can hold them, and
    otherwise beside the GPU's memory.
    """
    n = levels.processors
    rows = [
        (f"registers, {n} × {size(levels.registers)}", "a program's own values", ONCE),
        (f"shared memory and L1 cache, {n} × {size(levels.shared)}",
         "for the programs on one processor", ONCE),
        (f"L2 cache, {size(levels.cache)}", "for all programs", EACH),
        (f"memory, {size(levels.memory)}", "where all tensors are", OUTSIDE),
        ("the computer's memory", "where Python and the images are", FILL),
    ]  # fmt: skip
    picture, axes = sheet(9.8, TOP + STEP * (len(rows) - 1) + TALL + TOP)
    for i, (name, use, fill) in enumerate(rows):
        width, y = 3.6 + 0.65 * i, TOP + STEP * i
        block(axes, Frame(MIDDLE - width / 2, y, width, TALL), fill=fill)
        write(axes, MIDDLE, y + 0.17, name, LABEL, weight="bold")
        write(axes, MIDDLE, y + 0.36, use, SMALL, color=MUTED)
        if i > 0:
            up, down = y - STEP + TALL + 0.04, y - 0.04
            arrow(axes, (MIDDLE - 0.3, up), (MIDDLE - 0.3, down))
            arrow(axes, (MIDDLE + 0.3, down), (MIDDLE + 0.3, up))
    speeds = f"{levels.bandwidth / 1e12:.3g} TB/s", f"{levels.connection / 1e9:.3g} GB/s"
    for i, speed in enumerate(speeds):
        y = TOP + (3 + i) * STEP - (STEP - TALL) / 2
        write(axes, MIDDLE + 0.5, y, speed, TITLE, ha="left", weight="bold")
    fits = [f"{name}, {size(b)}" for name, b in works.items() if b <= levels.cache]
    too_large = [f"{name}, {size(b)}" for name, b in works.items() if b > levels.cache]
    for i, names, before in ((2, fits, "room for"), (3, too_large, "too large for L2:")):
        if names:
            text = "\n".join([before, *names])
            write(axes, 6.75, TOP + STEP * i + TALL / 2, text, SMALL, ha="left")
    return picture


def size(n_bytes: float) -> str:
    """Bytes as text: 256 KB, 50 MB, 80 GB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.3g} {name}"
    return f"{n_bytes / 1024:.3g} KB"
