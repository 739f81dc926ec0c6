"""A receptive field that grows layer by layer (lesson 04)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from mrcnn_edu.viz.diagrams.shapes import MUTED, write
from mrcnn_edu.viz.diagrams.sheet import measure, sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import GRAY, HIGHLIGHT, LABEL, LEVELS, TITLE

TOP = 0.3  # where the last layer is
LEFT, RIGHT = 0.9, 6.0  # where the pixels begin and end
ROW = 0.62  # from one layer to the next
LARGEST = 63  # receptive field that can be shown, in pixels
SEEN, UNSEEN = LEVELS[1], "#E9EBEE"  # units that the last layer's value depends on, and others


def receptive_fields(layers: Sequence[tuple[int, int]]) -> list[int]:
    """The receptive field, in pixels along one axis, before any layer and after each of them.

    layers: (kernel, stride) of each, in order. Each adds kernel - 1 steps of the map that it reads,
    and a step is as many pixels long as the product of all earlier strides:
    r_l = r_(l-1) + (k_l - 1) * s_1 * ... * s_(l-1).
    """
    fields, step = [1], 1
    for kernel, stride in layers:
        fields.append(fields[-1] + (kernel - 1) * step)
        step *= stride
    return fields


def show_receptive_field(layers: Sequence[tuple[int, int]]) -> Picture:
    """What one value of the last layer sees, along one axis: a row of units for each layer.

    layers: (kernel, stride) of each, in order. The lowest row are the pixels. Each unit is
    connected with the units that it reads, and those that the one on top depends on are dark.
    Raises ValueError for no layers, for a kernel or stride below 1, and beyond 63 pixels.
    """
    check(layers)
    fields, n, steps = receptive_fields(layers), len(layers), [1]
    for _, stride in layers:
        steps.append(steps[-1] * stride)  # of each layer's map, in pixels
    scale = min((RIGHT - LEFT) / (fields[-1] + 4), 0.4)  # of a pixel: two more on each side
    middle, seen = (LEFT + RIGHT) / 2, units_seen(layers, steps)

    picture, axes = sheet(9.8, TOP + ROW * n + 0.75)
    for layer, positions in enumerate(seen):
        y = TOP + ROW * (n - layer)
        step, units = scale * steps[layer], [middle + scale * position for position in positions]
        beside = [units[0] + i * step for i in range(-fields[-1], 2 * fields[-1])]
        beside = [x for x in beside if abs(x - middle) < scale * (fields[-1] / 2 + 2)]
        draw_units(axes, beside, y, scale, UNSEEN)
        draw_units(axes, units, y, scale, HIGHLIGHT if layer == n else SEEN)
        write(axes, 0.1, y, f"layer {layer}" if layer else "pixels", TITLE, ha="left")
        if layer > 0:
            kernel, stride = layers[layer - 1]
            connect(axes, units, y, kernel, scale * steps[layer - 1])
            text = f"{kernel} × {kernel}, stride {stride}"
            write(axes, RIGHT + 0.3, y, text, LABEL, ha="left", color=MUTED)
            before, step = fields[layer - 1], steps[layer - 1]
            equation = rf"r_{{{layer}}} = {before} + ({kernel} - 1) \cdot {step} = {fields[layer]}"
            write(axes, RIGHT + 1.65, y, f"${equation}$", TITLE + 1, ha="left")
    write(axes, RIGHT + 1.65, TOP + ROW * n, "$r_0 = 1$", TITLE + 1, ha="left")
    half, y = scale * fields[-1] / 2, TOP + ROW * n + 0.3
    measure(axes, (middle - half, y), (middle + half, y))
    write(axes, middle, y + 0.18, f"{fields[-1]} pixels", TITLE)
    return picture


def draw_units(axes: Axes, centers: list[float], y: float, scale: float, color: str) -> None:
    """Draw squares at the centers, smaller than a pixel if pixels are small."""
    half = min(0.12, 0.4 * scale)
    square = half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])  # [5, 2]
    corners = square + np.array([(x, y) for x in centers])[:, None]  # [n, 5, 2]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(centers)
    path = Path(corners.reshape(-1, 2), codes)
    axes.add_patch(PathPatch(path, facecolor=color, linewidth=0, zorder=2))


def connect(axes: Axes, units: list[float], y: float, kernel: int, step: float) -> None:
    """Connect each unit with the units in the row below that it reads."""
    ends = []
    for x in units:
        for i in range(kernel):
            ends += [(x, y), (x + (i - (kernel - 1) / 2) * step, y + ROW)]
    path = Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2))
    axes.add_patch(PathPatch(path, edgecolor=GRAY, linewidth=0.6, zorder=1))


def check(layers: Sequence[tuple[int, int]]) -> None:
    """Raise ValueError unless the layers can be shown."""
    if len(layers) == 0:
        raise ValueError("layers is empty: give at least one (kernel, stride)")
    for i, (kernel, stride) in enumerate(layers):
        if kernel < 1 or stride < 1:
            raise ValueError(f"layer {i} is ({kernel}, {stride}): kernel and stride are at least 1")
    field = receptive_fields(layers)[-1]
    if field > LARGEST:
        raise ValueError(
            f"a receptive field of {field} pixels is too wide for this picture: give fewer layers, "
            f"so that it is at most {LARGEST}"
        )


def units_seen(layers: Sequence[tuple[int, int]], steps: Sequence[int]) -> list[list[float]]:
    """The positions of the units that the middle unit of the last layer depends on, for each row.

    Row 0 are the pixels. Positions are in pixels from the middle, in ascending order.
    """
    rows = [[0.0]]
    for (kernel, _), step in zip(reversed(layers), reversed(steps[:-1]), strict=True):
        offsets = [(i - (kernel - 1) / 2) * step for i in range(kernel)]
        rows.append(sorted({unit + offset for unit in rows[-1] for offset in offsets}))
    return rows[::-1]
