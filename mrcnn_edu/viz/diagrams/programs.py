"""What each program of a kernel reads and writes, position by position (lesson 16)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from mrcnn_edu.viz.diagrams.arrows import line
from mrcnn_edu.viz.diagrams.frame import Point
from mrcnn_edu.viz.diagrams.shapes import MUTED, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import BOTH, GRAY, HIGHLIGHT, LABEL, LIGHT, OTHER_COLORS, SMALL

WIDTH, LEFT = 9.8, 0.95  # of the sheet, and of the names of its two bands
SIDE, TALL = 0.26, 3.0  # of the largest square; height of the tallest tensor
GAP = 0.45  # between two tensors
ERROR = "#A51E25"  # a cross on what lies beyond the end of a tensor
UNTOUCHED = "#FFFFFF"


class Access(NamedTuple):
    """What one load or store of one program touches.

    positions: in the tensor as it lies in memory, from 0; they may lie beyond its end. masked:
    positions that the mask of the load or store leaves out.
    """

    program: tuple[int, ...]
    tensor: str
    writes: bool
    positions: list[int]
    masked: list[int]


class Touched(NamedTuple):
    """What a kernel touches: the shapes of its tensors by name, and all accesses in their order."""

    shapes: dict[str, tuple[int, ...]]
    accesses: list[Access]

    def programs(self) -> list[tuple[int, ...]]:
        """The programs that touch anything, in the order in which they ran."""
        return list(dict.fromkeys(access.program for access in self.accesses))

    def of(self, tensor: str, writes: bool) -> dict[int, list[tuple[int, ...]]]:
        """For each touched position of a tensor, the programs that read it, or that write it."""
        found: dict[int, list[tuple[int, ...]]] = {}
        for access in self.accesses:
            if access.tensor == tensor and access.writes == writes:
                for position in access.positions:
                    programs = found.setdefault(position, [])
                    if access.program not in programs:
                        programs.append(access.program)
        return found

    def masked(self, tensor: str, writes: bool) -> set[int]:
        """The positions of a tensor that a mask leaves out, and that nothing else touches."""
        left_out = {
            position
            for access in self.accesses
            if access.tensor == tensor and access.writes == writes
            for position in access.masked
        }
        return left_out - set(self.of(tensor, writes))


def show_programs(touched: Touched, highlight: tuple[int, ...] | None = None) -> Picture:
    """The positions that the programs of a kernel read (above) and write (below), as squares.

    A tensor of two dimensions is drawn row by row. Each program has a color; what several of them
    touch is gray. highlight: one program, such as (3,) or (2, 0): it alone has a color. Behind a
    tensor of one dimension, dashed squares are positions that a mask leaves out, and a cross marks
    what is touched although it lies beyond the end.
    """
    bands = {
        "read": [n for n in touched.shapes if touched.of(n, False) or touched.masked(n, False)],
        "written": [n for n in touched.shapes if touched.of(n, True) or touched.masked(n, True)],
    }
    widest = max((extent(touched, n)[1] for band in bands.values() for n in band), default=1)
    tallest = max((extent(touched, n)[0] for band in bands.values() for n in band), default=1)
    side = min(SIDE, (WIDTH - LEFT - 0.1) / widest, TALL / tallest)
    places, height = layout(touched, bands, side)
    picture, axes = sheet(WIDTH, height + 0.34)
    shades = colors_of(touched.programs(), highlight)
    for band, names in bands.items():
        tops = [places[band, name] for name in names]
        if tops:
            top = min(y for _, y in tops)
            write(axes, 0.05, top + side / 2, band, LABEL, ha="left", weight="bold")
        for name in names:
            draw_tensor(axes, touched, name, band == "written", places[band, name], side, shades)
    draw_key(axes, key_of(touched, shades, highlight), height + 0.12)
    return picture


def extent(touched: Touched, name: str) -> tuple[int, int]:
    """The rows and columns of squares that a tensor takes, with those behind its end."""
    shape = touched.shapes[name]
    if len(shape) > 1:
        return shape[0], shape[1]
    beyond = [-1]
    for writes in (False, True):
        beyond += [*touched.of(name, writes), *touched.masked(name, writes)]
    return 1, max(*shape, max(beyond) + 1)


def layout(
    touched: Touched, bands: Mapping[str, Sequence[str]], side: float
) -> tuple[dict[tuple[str, str], Point], float]:
    """The corner of each band's tensors, and the height of all of them together."""
    places, y = {}, 0.3
    for band, names in bands.items():
        x, low = LEFT, y
        for name in names:
            n_rows, n_columns = extent(touched, name)
            if x > LEFT and x + n_columns * side > WIDTH - 0.1:
                x, y = LEFT, low + 0.36
            places[band, name] = (x, y)
            x += max(n_columns * side, 0.085 * len(title_of(touched, name))) + GAP
            low = max(low, y + n_rows * side)
        y = low + 0.5
    return places, y - 0.3


def title_of(touched: Touched, name: str) -> str:
    """A tensor's name with its shape."""
    return f"{name} {list(touched.shapes[name])}"


def draw_tensor(
    axes: Axes, touched: Touched, name: str, writes: bool, corner: Point, side: float, shades: dict
) -> None:
    """Draw a tensor's squares, filled with the colors of the programs that touch them."""
    x, y = corner
    n_rows, n_columns = extent(touched, name)
    n_values = touched.shapes[name][0] if len(touched.shapes[name]) == 1 else n_rows * n_columns
    users, masked = touched.of(name, writes), touched.masked(name, writes)
    write(axes, x, y - 0.13, title_of(touched, name), SMALL, ha="left", color=MUTED)
    filled: dict[str, list[int]] = {}  # color -> positions
    for position in range(n_values):
        filled.setdefault(fill_of(users.get(position, []), shades), []).append(position)
    for shade, positions in filled.items():
        path = squares(x, y, positions, n_columns, side)
        axes.add_patch(PathPatch(path, facecolor=shade, edgecolor=GRAY, linewidth=0.6))
    if len(touched.shapes[name]) > 1:  # behind a row is the next row
        masked = set()
    behind = sorted(p for p in masked | set(users) if p >= n_values)
    if behind:
        path = squares(x, y, behind, n_columns, side)
        style = {"fill": False, "edgecolor": GRAY, "linewidth": 0.6, "linestyle": (0, (2, 2))}
        axes.add_patch(PathPatch(path, **style))
    for position in users:
        if position >= n_values:  # somebody else's memory
            left, top = x + position % n_columns * side, y + position // n_columns * side
            a, b = 0.2 * side, 0.8 * side
            line(axes, (left + a, top + a), (left + b, top + b), color=ERROR, width=1.6)
            line(axes, (left + a, top + b), (left + b, top + a), color=ERROR, width=1.6)


def squares(x: float, y: float, positions: Sequence[int], n_columns: int, side: float) -> Path:
    """The squares of the positions, in rows of n_columns, as one path: it is smaller than many."""
    corners: list[Point] = []
    for position in positions:
        row, column = divmod(position, n_columns)
        left, top = x + column * side, y + row * side
        right, low = left + side, top + side
        corners += [(left, top), (right, top), (right, low), (left, low), (left, top)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(corners, codes * len(positions))


def fill_of(programs: Sequence[tuple[int, ...]], shades: Mapping) -> str:
    """The color of a position that these programs touch."""
    if not programs:
        return UNTOUCHED
    found = {shades[p] for p in programs}
    if HIGHLIGHT in found:
        return HIGHLIGHT
    return found.pop() if len(programs) == 1 or found == {LIGHT} else BOTH


def colors_of(programs: Sequence[tuple[int, ...]], highlight: tuple[int, ...] | None) -> dict:
    """The color of each program."""
    if highlight is None:
        return {p: OTHER_COLORS[i % len(OTHER_COLORS)] for i, p in enumerate(programs)}
    return {p: HIGHLIGHT if p == highlight else LIGHT for p in programs}


def key_of(touched: Touched, shades: Mapping, highlight: tuple[int, ...] | None) -> dict[str, str]:
    """What the colors mean: text -> color; "" for a square that is not filled, but dashed."""
    if highlight is None:
        texts = {f"program {label(p)}": shade for p, shade in list(shades.items())[:6]}
    else:
        texts = {f"program {label(highlight)}": HIGHLIGHT}
        texts |= {"other programs": LIGHT} if len(shades) > 1 else {}
    every = [touched.of(name, writes) for name in touched.shapes for writes in (False, True)]
    if any(fill_of(programs, shades) == BOTH for users in every for programs in users.values()):
        texts["several programs"] = BOTH
    lines = [name for name, shape in touched.shapes.items() if len(shape) == 1]
    if any(touched.masked(name, writes) for name in lines for writes in (False, True)):
        texts["masked"] = ""
    return texts


def draw_key(axes: Axes, texts: Mapping[str, str], y: float) -> None:
    """Draw a square and a text for each color."""
    x = LEFT
    for text, shade in texts.items():
        style: Any = {"facecolor": shade} if shade else {"fill": False, "linestyle": (0, (2, 2))}
        corner = (x, y - 0.07)
        axes.add_patch(Rectangle(corner, 0.14, 0.14, edgecolor=GRAY, linewidth=0.6, **style))
        write(axes, x + 0.2, y, text, SMALL, ha="left")
        x += 0.42 + 0.078 * len(text)


def label(program: tuple[int, ...]) -> str:
    """A program's number: 3, or (2, 0) in a grid of two axes."""
    return str(program[0]) if len(program) == 1 else str(program)
