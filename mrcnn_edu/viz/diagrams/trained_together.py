"""Which parts of R-CNN, Fast R-CNN, Faster R-CNN and Mask R-CNN learn together."""

from typing import NamedTuple

from matplotlib.axes import Axes

from mrcnn_edu.viz.diagrams.frame import Frame, around
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, key, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import FILL, LEVELS, OUTSIDE, SMALL

FIRST, PITCH = 2.52, 1.51  # x of the first column, and from one column to the next
WIDTH, HEIGHT = 1.32, 0.5  # of a block
TOP, STEP = 0.72, 0.88  # y of the first row, and from one row to the next
MARGIN = 0.1  # between the parts that learn together and the frame around them
SEARCH = "selective\nsearch"  # the one part that does not learn
COLUMNS = "proposals", "backbone", "class", "box", "mask"


class System(NamedTuple):
    """A row: its parts in the order of `COLUMNS`; None where it has no such part.

    together: whether the parts that learn do so with one loss, or else one after the other.
    """

    name: str
    year: int
    training: str
    parts: tuple[str | None, ...]
    together: bool = True


SYSTEMS = [
    System(
        "R-CNN", 2014, "three stages,\none after the other",
        (SEARCH, "1. fine-tuned", "2. SVMs", "3. box\nregressors", None), together=False,
    ),
    System(
        "Fast R-CNN", 2015, "one loss",
        (SEARCH, "backbone", "softmax", "box deltas", None),
    ),
    System(
        "Faster R-CNN", 2015, "RPN and detector\nshare a backbone",
        ("RPN", "backbone", "softmax", "box deltas", None),
    ),
    System(
        "Mask R-CNN", 2017, "one loss,\nmasks included",
        ("RPN", "backbone", "softmax", "box deltas", "mask head"),
    ),
]  # fmt: skip


def show_trained_together() -> Picture:
    """The parts of the four R-CNNs, with a frame around those that learn together.

    R-CNN fine-tunes its backbone, then fits SVMs to its features, and then box regressors (Girshick
    et al. 2014, section 2.3 and appendix C). Fast R-CNN trains all three with one loss (Girshick
    2015, section 2.3). Faster R-CNN trains the RPN, too, on the same backbone, at first in
    alternation and later jointly (Ren et al. 2015, section 3.2). Mask R-CNN adds the mask head (He
    et al. 2017, section 3; the paper's ablations train the RPN separately, its published code does
    not). Selective search does not learn.
    """
    picture, axes = sheet(9.9, 4.3)
    for i, name in enumerate(COLUMNS):
        write(axes, FIRST + PITCH * i, 0.16, name, color=MUTED)
    for row, system in enumerate(SYSTEMS):
        draw_system(axes, system, TOP + STEP * row)
    block(axes, Frame(1.87, 4.015, 0.2, 0.13), fill=FILL, strong=True)
    write(axes, 2.15, 4.08, "learn together", SMALL, ha="left")
    key(axes, 3.6, 4.08, {"learns": LEVELS[1], "does not learn": OUTSIDE}, (1.5, 0))
    return picture


def draw_system(axes: Axes, system: System, y: float) -> None:
    """Draw a system's row, whose middle is at y."""
    write(axes, 0.1, y - 0.18, f"{system.name}, {system.year}", weight="bold", ha="left")
    write(axes, 0.1, y - 0.04, system.training, SMALL, ha="left", va="top", color=MUTED)
    frames = [around((FIRST + PITCH * i, y), WIDTH, HEIGHT) for i in range(len(COLUMNS))]
    parts = {part: frame for part, frame in zip(system.parts, frames, strict=True) if part}
    if system.together:
        learning = [frame for part, frame in parts.items() if part != SEARCH]
        left, right = learning[0].x - MARGIN, learning[-1].x + WIDTH + MARGIN
        around_all = Frame(left, y - HEIGHT / 2 - MARGIN, right - left, HEIGHT + 2 * MARGIN)
        block(axes, around_all, fill=FILL, strong=True)
    for part, frame in parts.items():
        block(axes, frame, part, OUTSIDE if part == SEARCH else LEVELS[1])
