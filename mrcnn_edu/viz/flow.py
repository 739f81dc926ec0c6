"""The stages of a detector, as boxes and arrows."""

from matplotlib.patches import FancyBboxPatch, Rectangle

from mrcnn_edu.viz.picture import ROLES, Picture

STAGES = (  # of `MaskRCNN.trace`, in order, with what each hands on
    ("image", "C x H x W"),
    ("features", "pyramid"),
    ("proposals", "boxes"),
    ("RoI features", "7 x 7, 14 x 14"),
    ("class, box, mask", "numbers"),
    ("detections", "in the image"),
)


def show_flow(stage: str | None = None) -> Picture:
    """The data flow of Mask R-CNN, left to right, with one stage lit."""
    names = [name for name, _ in STAGES]
    if stage is not None and stage not in names:
        raise ValueError(f"stage is {stage!r}: choose one of {', '.join(names)}")
    picture = Picture(9, 1.2)
    axes = picture.subplots()
    for i, (name, what) in enumerate(STAGES):
        lit = name == stage
        style = {"facecolor": ROLES["proposal"] if lit else "#eeeeee", "edgecolor": "#888888"}
        axes.add_patch(FancyBboxPatch((i + 0.1, 0.25), 0.72, 0.5, "round,pad=0.04", **style))
        axes.text(i + 0.46, 0.58, name, ha="center", va="center", fontsize=9, weight="bold")
        axes.text(i + 0.46, 0.38, what, ha="center", va="center", fontsize=8, color="#444444")
        if i > 0:
            axes.annotate("", (i + 0.06, 0.5), (i - 0.14, 0.5), arrowprops={"arrowstyle": "->"})
    axes.set(xlim=(0, len(STAGES)), ylim=(0.1, 0.9))
    axes.axis("off")
    return picture


def show_sharing(cells: dict[str, list[str]], columns: list[str]) -> Picture:
    """A grid of stages: row -> a text for each column, colored by its first word.

    "once" for the image, "each" region anew, "outside" the network; "" is an empty place.
    """
    colors = {"once": "#9fd8c3", "each": "#f2cf87", "outside": "#d5d5d5", "": "white"}
    picture = Picture(9.4, 0.5 + 0.5 * len(cells))
    axes = picture.subplots()
    for row, texts in enumerate(cells.values()):
        for column, text in enumerate(texts):
            color = colors[text.split(":")[0]]
            axes.add_patch(Rectangle((column - 0.47, row - 0.42), 0.94, 0.84, color=color))
            axes.text(column, row, text, ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(cells) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(cells)), list(cells), fontsize=9)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return picture
