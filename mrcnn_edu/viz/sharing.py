"""What detectors compute once an image, and what for each region."""

from collections.abc import Mapping

from matplotlib.patches import Rectangle

from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, LABEL, ONCE, OUTSIDE


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
