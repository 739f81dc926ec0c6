"""The bins of RoIPool, RoIWarp and RoIAlign, and the values they read (lesson 07)."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.roi_ops import round_half_away, rounded_bins
from mrcnn_edu.viz.draw import draw_boxes
from mrcnn_edu.viz.picture import Picture, row
from mrcnn_edu.viz.style import BOTH, GRAY, KEPT, LIGHT, OP_COLORS, ROLES, SMALL, TITLE

OP_NAMES = {"pool": "RoIPool", "warp": "RoIWarp", "align": "RoIAlign"}
BAR = 0.17  # between two bars, in strides


def bins_read(op: str, box: Tensor, stride: int, output_size: int) -> tuple[Tensor, Tensor]:
    """The bins [P * P, 4] of a RoI [4], and the points [n, 2] they read, in image pixels.

    Value i of a map is taken to lie at pixel i * stride, as in the paper's figure 3. A bin of
    RoIPool extends from the first to the last value that it reads; those of the other two have
    2 x 2 sample points each.
    """
    edges, points = [], []  # along x, then along y
    for start, end in (box[[0, 2], None] / stride, box[[1, 3], None] / stride):
        if op == "pool":
            length = torch.tensor([10_000])  # of a map that ends nowhere near the RoI
            first, count = (v[0] for v in rounded_bins(start, end, length, output_size))
            edges.append(torch.stack((first, first + count - 1), dim=1))
            points.append(torch.arange(int(first[0]), int(first[-1] + count[-1])))
        else:
            if op == "warp":
                start, end = round_half_away(start), round_half_away(end)
            size = (end - start).clamp(min=1)
            borders = start + size * torch.linspace(0, 1, output_size + 1)
            edges.append(torch.stack((borders[:-1], borders[1:]), dim=1))
            points.append(start + size * (torch.arange(2 * output_size) + 0.5) / output_size / 2)
    x, y = (e.float() for e in edges)  # [P, 2] each
    x, y = x.repeat(output_size, 1), y.repeat_interleave(output_size, dim=0)  # [P * P, 2]
    bins = torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), dim=1) * stride
    return bins, torch.cartesian_prod(*(p.float() * stride for p in points))


def show_bins(
    box: Tensor, stride: int, output_size: int = 7, titles: Sequence[str] | None = None
) -> Picture:
    """The two roundings of RoIPool for a RoI [4], to scale over the positions of a map.

    From left to right: the RoI in P x P bins; after it is rounded; and after its bins are rounded,
    with the positions that each bin reads as bars along both axes, and two of the bins in full.
    What belongs to the RoI but is not read is orange, what is read but does not belong to it
    purple. titles: of the three panels; the first is also what RoIAlign reads, the second what
    RoIWarp reads.
    """
    n = output_size
    titles = titles or (
        f"the RoI, in {n} × {n} bins", f"after [x / {stride}]", "after the bins are rounded",
    )  # fmt: skip
    exact, _ = bins_read("align", box, stride, n)
    warped, _ = bins_read("warp", box, stride, n)
    rounded = torch.cat((warped[0, :2], warped[-1, 2:]))
    low = torch.minimum(box[:2], rounded[:2]) - 0.6 * stride
    high = torch.maximum(box[2:], rounded[2:]) + 0.75 * stride
    window = torch.cat((low - BAR * stride * (n + 1), high)).tolist()
    picture, panels = row(3, 3.3, (window[3] - window[1]) / (window[2] - window[0]))
    for axes, title in zip(panels, titles, strict=True):
        draw_positions(axes, window, (low / stride).ceil().int().tolist(), stride)
        axes.set_title(title, fontsize=TITLE)
    draw_areas(panels[1], box, rounded)
    draw_frames(panels[0], exact, "proposal", width=0.7)
    draw_frames(panels[1], warped, "pool", width=0.7)
    for axes in panels:
        draw_frames(axes, box[None], "proposal", width=2)
    draw_frames(panels[1], rounded[None], "pool", width=2)
    read = [positions_read(box[[axis, axis + 2]], stride, n) for axis in (0, 1)]
    for axes, role, spans in (
        (panels[0], "proposal", spans_of(exact, n)),
        (panels[1], "pool", spans_of(warped, n)),
        (panels[2], "pool", read),
    ):
        draw_bars(axes, spans, low.tolist(), stride, role)
    for i, j in ((n // 4, n // 4), (n - 1 - n // 4, n // 2)):
        one, whole = exact[i * n + j], torch.stack((read[0][j], read[1][i]), dim=1).flatten()
        draw_areas(panels[2], one, whole)
        draw_frames(panels[2], whole[None], "pool", width=1.6)
        draw_frames(panels[2], one[None], "proposal", width=1.6)
    return picture


def show_misalignment(box: Tensor, stride: int, output_size: int = 7) -> Picture:
    """For a RoI [4], an arrow from each bin's center to the middle of what each operation reads."""
    exact, _ = bins_read("align", box, stride, output_size)
    margin = torch.tensor([-1.1, -1.1, 1.1, 1.1]) * stride
    window = (box + margin).tolist()
    first = (box[:2] / stride - 1.1).ceil().int().tolist()
    picture, panels = row(3, 3.3, (window[3] - window[1]) / (window[2] - window[0]))
    for axes, (op, name) in zip(panels, OP_NAMES.items(), strict=True):
        bins, _ = bins_read(op, box, stride, output_size)
        (x, y), (to_x, to_y) = centers_of(exact).numpy().T, centers_of(bins).numpy().T
        draw_positions(axes, window, first, stride)
        draw_frames(axes, box[None], "proposal", width=1.6)
        axes.plot(x, y, "o", color=OP_COLORS[op], markersize=3.4)
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.008}
        axes.quiver(x, y, to_x - x, to_y - y, color=OP_COLORS[op], zorder=3, minlength=0, **arrows)
        axes.set_title(name, fontsize=TITLE)
    return picture


def centers_of(bins: Tensor) -> Tensor:
    """The centers (x, y) [N, 2] of bins [N, 4]."""
    return (bins[:, :2] + bins[:, 2:]) / 2


def draw_read(
    axes: Axes,
    values: Tensor,
    window: Sequence[int],
    box: Tensor,
    stride: int,
    output_size: int,
    op: str,
    at: tuple[int, int],
) -> None:
    """Draw what an operation reads for one bin of a RoI [4], on a part of a map in grays.

    values: [h, w] in 0..1, dark at 1. window: first column and row of that part, and those after
    its end. at: row and column of the bin.
    """
    first, last = (torch.tensor(corner) - 0.5 for corner in (window[:2], window[2:]))
    (x1, y1), (x2, y2) = (stride * first).tolist(), (stride * last).tolist()
    draw_grays(axes, values, (x1, x2, y2, y1))
    draw_positions(axes, (x1, y1, x2, y2), window[:2], stride)
    row_, column = at
    exact, _ = bins_read("align", box, stride, output_size)
    read = [positions_read(box[[axis, axis + 2]], stride, output_size) for axis in (0, 1)]
    if op == "pool":
        frame = torch.stack((read[0][column], read[1][row_]), dim=1).flatten()
        draw_boxes(axes, frame[None], op, 2, pale=False)
    else:
        _, points = bins_read(op, box, stride, output_size)
        points = points.view(output_size, 2, output_size, 2, 2)[column, :, row_].flatten(0, 1)
        axes.plot(*points.numpy().T, "o", color=OP_COLORS[op], markersize=4, zorder=4)
    draw_boxes(axes, exact[None, row_ * output_size + column], "proposal", 1.6, pale=False)
    draw_boxes(axes, box[None], "proposal", 2.5, pale=False)


def draw_grays(
    axes: Axes, values: Tensor, extent: tuple[float, float, float, float] | None = None
) -> None:
    """Draw a map [h, w] of values in 0..1 as pale grays, one square for each: 1 is the darkest.

    extent: left, right, bottom and top, by default those of the squares.
    """
    pixels = 1 - KEPT * values.detach().clamp(0, 1).numpy()
    axes.imshow(
        pixels, vmin=0, vmax=1, cmap="gray", interpolation="nearest", extent=extent, zorder=0
    )
    axes.set(xticks=[], yticks=[])


def spans_of(bins: Tensor, n_bins: int) -> list[Tensor]:
    """From where to where bins [P * P, 4], row by row, extend along x and along y: [P, 2] each."""
    return [bins[:n_bins, [0, 2]], bins[::n_bins, [1, 3]]]


def positions_read(edges: Tensor, stride: int, n_bins: int) -> Tensor:
    """From where to where each bin of RoIPool reads along one axis, in image pixels [P, 2].

    edges: [2], of the RoI. Each position counts as one stride wide, with its value in the middle.
    """
    start, end = (edges / stride)[:, None]
    length = torch.tensor([10_000])  # of a map that ends nowhere near the RoI
    first, count = (values[0] for values in rounded_bins(start, end, length, n_bins))
    return stride * torch.stack((first - 0.5, first + count - 0.5), dim=1)


def draw_positions(axes: Axes, window: Sequence[float], first: Sequence[int], stride: int) -> None:
    """Draw a dot at each position of a map within a window, from the first (x, y) on."""
    x1, y1, x2, y2 = window
    columns = range(first[0], ceil(x2 / stride - 0.3))
    rows = range(first[1], ceil(y2 / stride - 0.3))
    dots = np.array([(stride * i, stride * j) for i in columns for j in rows])
    axes.plot(*dots.T, "o", color=GRAY, markersize=2.6, zorder=3)
    axes.set(xlim=(x1, x2), ylim=(y2, y1), aspect="equal")
    axes.set_xticks([stride * i for i in columns], map(str, columns), fontsize=SMALL)
    axes.set_yticks([stride * j for j in rows], map(str, rows), fontsize=SMALL)
    axes.spines[:].set_color(LIGHT)


def draw_areas(axes: Axes, exact: Tensor, read: Tensor) -> None:
    """Shade two boxes [4]: what both share is gray, what only one of them has is in its color."""
    common = torch.cat((torch.maximum(exact, read)[:2], torch.minimum(exact, read)[2:]))
    for (x1, y1, x2, y2), color in (
        (exact.tolist(), soft(ROLES["proposal"])),
        (read.tolist(), soft(OP_COLORS["pool"])),
        (common.tolist(), BOTH),
    ):
        if x1 < x2 and y1 < y2:
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, color=color, linewidth=0))


def draw_frames(axes: Axes, boxes: Tensor, role: str, width: float) -> None:
    """Draw boxes [N, 4] without halos, since there is no image behind them."""
    for x1, y1, x2, y2 in boxes.tolist():
        axes.add_patch(
            Rectangle(
                (x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=(ROLES | OP_COLORS)[role],
                linewidth=width, joinstyle="miter",
            )
        )  # fmt: skip


def draw_bars(
    axes: Axes, spans: Sequence[Tensor], corner: Sequence[float], stride: int, role: str
) -> None:
    """Draw a bar for each bin along x, above the RoI, and for each along y, left of it.

    spans: from where to where each bin reads [P, 2], along x and along y. corner: (x, y) of the
    area that is left for the RoI. role: whose color the bars have.
    """
    step = BAR * stride
    for axis, bins in enumerate(spans):
        for p, along in enumerate(bins.tolist()):
            across = [corner[1 - axis] - (len(bins) - 1 - p) * step] * 2
            line = (along, across) if axis == 0 else (across, along)
            style = {"linewidth": 2.4, "solid_capstyle": "butt"}
            axes.plot(*line, color=(ROLES | OP_COLORS)[role], **style)


def soft(color: str) -> str:
    """A tint of a color, for areas."""
    red, green, blue = (1 - 0.45 * (1 - part) for part in to_rgb(color))
    return to_hex((red, green, blue))
