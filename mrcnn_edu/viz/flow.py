"""The stages of a detector, as boxes and arrows, and what detectors compute how often."""

from collections.abc import Mapping

from matplotlib.patches import FancyBboxPatch, Rectangle

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import (
    EACH,
    FILL,
    GRAY,
    HIGHLIGHT,
    INK,
    LABEL,
    ONCE,
    OUTSIDE,
    SMALL,
    text_color,
)

FLOW_STAGES = (  # the stages of `MaskRCNN.trace` in order, each with what it passes on
    ("image", "C x H x W"),
    ("features", "pyramid"),
    ("proposals", "boxes"),
    ("RoI features", "7 x 7, 14 x 14"),
    ("class, box, mask", "logits, deltas"),
    ("detections", "in the image"),
)


def show_flow(stage: str | None = None) -> Picture:
    """The data flow of Mask R-CNN, left to right, with one stage highlighted.

    Raises ValueError if there is no such stage.
    """
    names = [name for name, _ in FLOW_STAGES]
    if stage is not None and stage not in names:
        raise ValueError(f"stage is {stage!r}: choose one of {', '.join(names)}")
    picture = Picture(9, 1.2)
    axes = picture.subplots()
    for i, (name, output) in enumerate(FLOW_STAGES):
        fill = HIGHLIGHT if name == stage else FILL
        ink = text_color(fill)
        box = FancyBboxPatch(
            (i + 0.1, 0.25), 0.8, 0.5, "round,pad=0.04", facecolor=fill, edgecolor=GRAY
        )
        axes.add_patch(box)
        axes.text(
            i + 0.5, 0.58, name, ha="center", va="center", fontsize=SMALL, weight="bold", color=ink
        )
        axes.text(i + 0.5, 0.38, output, ha="center", va="center", fontsize=SMALL, color=ink)
        if i > 0:
            arrow = {"arrowstyle": "->", "color": INK, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", (i + 0.05, 0.5), (i - 0.05, 0.5), arrowprops=arrow)
    axes.set(xlim=(0, len(FLOW_STAGES)), ylim=(0.1, 0.9))
    axes.axis("off")
    return picture


def show_sharing(grid: Mapping[str, list[str]], columns: list[str]) -> Picture:
    """A grid of computations: row -> a text for each column, colored by its first word.

    The first word is "once" for what is computed once an image, "each" for what is computed for
    each region, or "outside" for what the network does not compute. An empty text leaves a gap.
    """
    colors = {"once": ONCE, "each": EACH, "outside": OUTSIDE, "": "white"}
    picture = Picture(9.4, 0.5 + 0.5 * len(grid))
    axes = picture.subplots()
    for row, texts in enumerate(grid.values()):
        for column, text in enumerate(texts):
            color = colors[text.split(":")[0]]
            axes.add_patch(Rectangle((column - 0.47, row - 0.42), 0.94, 0.84, color=color))
            axes.text(column, row, text, ha="center", va="center", fontsize=LABEL)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(grid) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns, fontsize=LABEL)
    axes.set_yticks(range(len(grid)), list(grid), fontsize=LABEL)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return picture
