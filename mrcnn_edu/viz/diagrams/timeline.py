"""From R-CNN to Mask R-CNN in time: what was new, how accurate it was, and how fast."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mrcnn_edu.viz.diagrams.arrows import line
from mrcnn_edu.viz.diagrams.shapes import MUTED, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import FILL, GRAY, INK, LEVELS, LIGHT, SMALL


class Paper(NamedTuple):
    """A system, with the figures of its paper, or of the one that its comment names.

    published: year and month of its first version on arXiv. voc, box, mask: average precision in %
    on VOC 2007 and COCO. seconds: for an image.
    """

    name: str
    published: tuple[int, int]
    idea: str
    network: str = ""
    voc: float | None = None
    box: float | None = None
    mask: float | None = None
    seconds: float | None = None


PAPERS = [
    # As Fast R-CNN measured it (table 4); the time is that of the network.
    Paper("R-CNN", (2013, 11), "a pass for\neach region", "VGG-16", voc=66.0, seconds=47),
    Paper("SPPnet", (2014, 6), "shared\nfeatures"),
    # The time is with selective search, as Faster R-CNN measured it.
    Paper("Fast\nR-CNN", (2015, 4), "trained in\none stage", "VGG-16", 66.9, 19.7, seconds=1.83),
    Paper("Faster\nR-CNN", (2015, 6), "learned\nproposals", "VGG-16", 69.9, 21.5, seconds=0.198),
    Paper("R-FCN", (2016, 5), "position-\nsensitive maps", "ResNet-101", seconds=0.17),
    # With online hard example mining; the AP as Mask R-CNN quotes it (table 1).
    Paper("FCIS", (2016, 11), "such maps\nfor masks", "ResNet-101", mask=29.2, seconds=0.24),
    Paper("FPN", (2016, 12), "features\nfor all sizes", "ResNet-101", box=36.2, seconds=0.172),
    # Tables 1 and 3; the time is in section 4.4.
    Paper("Mask\nR-CNN", (2017, 3), "RoIAlign,\nmask head", "ResNet-101", box=38.2, mask=35.7,
          seconds=0.195),
]  # fmt: skip
COLUMNS = [1.95 + 1.05 * i for i in range(len(PAPERS))]  # x of the papers
ROWS = {  # what is measured -> its name, the y of 0, and the largest value
    "voc": ("PASCAL VOC 2007\nbox mAP in %", 2.6, 100),
    "box": ("COCO\nbox AP in %", 3.5, 50),
    "mask": ("COCO\nmask AP in %", 4.4, 50),
}
TALL = 0.6  # height of the largest value
TIMES = 4.9, 0.36  # y of 100 seconds, and the height of a factor of ten


def show_timeline() -> Picture:
    """From R-CNN to Mask R-CNN, 2013 to 2017: what was new, its accuracy and its speed.

    The dates are those of the first versions on arXiv. Accuracy has a row for each benchmark,
    because values of different ones cannot be compared: mean AP at an IoU of 0.5 on VOC 2007, and
    AP over IoUs of 0.5 to 0.95 on COCO. All figures are those of the papers (`PAPERS` says which),
    on their own GPUs, and differ in the backbone, too. R-CNN's time leaves out selective search,
    Fast R-CNN's includes it. A gap is a figure that there is none of, or none that can be compared.
    """
    picture, axes = sheet(9.9, 6.3)
    axes.add_patch(
        Rectangle((COLUMNS[-1] - 0.5, 0.75), 1.0, 5.4, color=FILL, linewidth=0, zorder=0)
    )
    draw_years(axes)
    for name, (label, y, largest) in ROWS.items():
        write(axes, 0.1, y - 0.27, label, SMALL, ha="left")
        line(axes, (1.4, y), (9.8, y), color=LIGHT, width=0.8)
        for x, paper in zip(COLUMNS, PAPERS, strict=True):
            value = getattr(paper, name)
            if value is not None:
                tall = TALL * value / largest
                axes.add_patch(Rectangle((x - 0.2, y - tall), 0.4, tall, color=LEVELS[1]))
                write(axes, x, y - tall - 0.1, f"{value:.1f}", SMALL)
                write(axes, x, y + 0.1, paper.network, SMALL, color=MUTED)
    draw_times(axes)
    return picture


def draw_years(axes: Axes) -> None:
    """Draw the line of the years, and lead from each paper's date to its column."""
    line(axes, (place(2013.75), 0.4), (place(2017.4), 0.4), color=GRAY)
    for year in range(2014, 2018):
        line(axes, (place(year), 0.34), (place(year), 0.46), color=GRAY)
        write(axes, place(year), 0.2, str(year), SMALL)
    for x, paper in zip(COLUMNS, PAPERS, strict=True):
        year, month = paper.published
        date = place(year + (month - 0.5) / 12)
        line(axes, (date, 0.4), (date, 0.5), (x, 0.78), (x, 0.86), color=GRAY, width=0.8)
        axes.plot(date, 0.4, "o", color=INK, markersize=6.5, markeredgewidth=0)
        write(axes, x, 1.07, paper.name, weight="bold", linespacing=1.1)
        write(axes, x, 1.32, paper.idea, SMALL, va="top", color=MUTED)


def place(year: float) -> float:
    """The x of a date on the line of the years."""
    return 1.5 + (year - 2013.75) * (9.8 - 1.5) / 3.65


def draw_times(axes: Axes) -> None:
    """Draw the seconds of each paper as dots on a logarithmic scale."""
    top, tall = TIMES
    write(axes, 0.1, top + 1.5 * tall, "seconds\nper image", SMALL, ha="left")
    for power in (2, 1, 0, -1):
        y = top + tall * (2 - power)
        line(axes, (1.4, y), (9.8, y), color=LIGHT, width=0.8)
        write(axes, 1.32, y, f"{10.0**power:g}", SMALL, ha="right", color=MUTED)
    for x, paper in zip(COLUMNS, PAPERS, strict=True):
        if paper.seconds is not None:
            y = top + tall * (2 - np.log10(paper.seconds))
            axes.plot(x, y, "o", color=LEVELS[0], markersize=8, markeredgewidth=0)
            write(axes, x + 0.12, y, f"{paper.seconds:#.2g}".rstrip("."), SMALL, ha="left")
