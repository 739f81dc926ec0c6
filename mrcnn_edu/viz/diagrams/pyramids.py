"""Four ways to find objects of different sizes: what each of them predicts from."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mrcnn_edu.viz.diagrams.arrows import arrow
from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.scene import PAPER
from mrcnn_edu.viz.diagrams.shapes import MUTED, blend, slab, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import ONCE, ROLES, SMALL, TITLE

WEAKEST, STRONGEST = blend(ONCE, "white", 0.75), blend(ONCE, "#1F6F57", 0.35)
SIZES = 0.72, 0.5, 0.34  # widths of maps at three levels
HEIGHTS = 1.48, 1.12, 0.84  # and their y
BELOW = 1.84  # y of the image
PITCH = 2.48  # from one way to the next


def shade(strength: float) -> str:
    """The fill of a map whose semantics are as strong, from 0 to 1."""
    return blend(WEAKEST, STRONGEST, strength)


def show_pyramids() -> Picture:
    """Four ways to find objects of different sizes (FPN, Lin et al. 2017, section 1 and figure 1).

    An image pyramid takes one pass of the network for every size. A single map has one resolution.
    Maps of the backbone, used separately as in SSD (Liu et al. 2016), have weak semantics where
    they are fine. FPN has strong semantics at every resolution, after one pass. Darker maps have
    stronger semantics; a small box stands for predictions.
    """
    picture, axes = sheet(9.9, 2.45)
    ways = {
        "Image pyramid": ("one pass for every size", draw_image_pyramid),
        "Single map": ("one coarse resolution", draw_single_map),
        "Separate maps": ("weak semantics where fine", draw_separate_maps),
        "Feature pyramid": ("strong semantics everywhere", draw_feature_pyramid),
    }
    for i, (name, (remark, draw)) in enumerate(ways.items()):
        middle = 1.24 + PITCH * i
        write(axes, middle, 0.15, name, TITLE, weight="bold")
        write(axes, middle, 0.38, remark, SMALL, color=MUTED)
        draw(axes, middle)
    sheet_of_map(axes, (2.3, 2.3), 0.34, PAPER)
    write(axes, 2.55, 2.3, "image", SMALL, ha="left")
    draw_semantics_key(axes, 3.6, 2.3)
    axes.add_patch(prediction(6.7, 2.3))
    write(axes, 6.91, 2.3, "predictions", SMALL, ha="left")
    return picture


def draw_semantics_key(axes: Axes, x: float, y: float) -> None:
    """Say what the shades of maps mean."""
    for i in range(3):
        sheet_of_map(axes, (x + 0.3 * i, y), 0.34, shade(i / 2))
    write(axes, x + 0.87, y, "semantics, weak to strong", SMALL, ha="left")


def draw_image_pyramid(axes: Axes, x: float) -> None:
    """Images of three sizes, each with a map of its own."""
    for width, y in zip(SIZES, HEIGHTS, strict=True):
        image = sheet_of_map(axes, (x - 0.62, y), width, PAPER)
        maps = sheet_of_map(axes, (x + 0.35, y), width, shade(1))
        arrow(axes, image.right, maps.left)
        predict(axes, maps)


def draw_single_map(axes: Axes, x: float) -> None:
    """One image, and predictions from the last map alone."""
    predict(axes, backbone(axes, x - 0.1)[-1])


def draw_separate_maps(axes: Axes, x: float) -> None:
    """One image, and predictions from each of the backbone's maps."""
    for maps in backbone(axes, x - 0.1):
        predict(axes, maps)


def draw_feature_pyramid(axes: Axes, x: float) -> None:
    """One image, and predictions from maps that have been merged from the coarsest one down."""
    maps = backbone(axes, x - 0.62)
    merged = [
        sheet_of_map(axes, (x + 0.35, y), width, shade(1))
        for width, y in zip(SIZES, HEIGHTS, strict=True)
    ]
    for before, after in zip(maps, merged, strict=True):
        arrow(axes, before.right, after.left)
        predict(axes, after)
    for coarse, fine in zip(merged[1:], merged, strict=False):
        arrow(axes, coarse.bottom, fine.top)


def backbone(axes: Axes, x: float) -> list[Frame]:
    """The image and the backbone's three maps above it, from fine to coarse."""
    below, maps = sheet_of_map(axes, (x, BELOW), 0.9, PAPER), []
    for i, (width, y) in enumerate(zip(SIZES, HEIGHTS, strict=True)):
        maps.append(sheet_of_map(axes, (x, y), width, shade(i / 2)))
        arrow(axes, below.top, maps[-1].bottom)
        below = maps[-1]
    return maps


def sheet_of_map(axes: Axes, center: Point, width: float, fill: str) -> Frame:
    """A thin map of this width."""
    return slab(axes, around(center, width, 0.2 * width + 0.02), 0.03, fill)


def predict(axes: Axes, maps: Frame) -> None:
    """An arrow from a map to a small box, which stands for the predictions from it."""
    x, y = maps.right
    arrow(axes, (x, y), (x + 0.3, y))
    axes.add_patch(prediction(x + 0.3, y))


def prediction(left: float, middle: float) -> Rectangle:
    """The small box that stands for predictions."""
    return Rectangle(
        (left, middle - 0.06), 0.12, 0.12, fill=False, edgecolor=ROLES["detection"], linewidth=1.2,
        clip_on=False,
    )  # fmt: skip
