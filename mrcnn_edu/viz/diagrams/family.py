"""R-CNN, Fast R-CNN, Faster R-CNN and Mask R-CNN side by side, with what is new in each."""

from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes

from mrcnn_edu.viz.diagrams.arrows import arrow
from mrcnn_edu.viz.diagrams.frame import Frame, around
from mrcnn_edu.viz.diagrams.scene import RATIO, draw_scene
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, key, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, ONCE, OUTSIDE, SMALL, TITLE

PITCH = 2.5  # from one system to the next
SIDE, MAIN = 0.45, 1.65  # x of proposals and of everything else, in a system's column
ROWS = 1.87, 2.57, 3.27, 3.97  # y of cropping, backbone, pooling and heads
WIDTH, HEIGHT = 1.1, 0.48  # of a block


class System(NamedTuple):
    """What a column shows. heads: text, and shift and width of the block."""

    name: str
    year: int
    idea: str
    proposals: str
    pool: str
    heads: list[tuple[str, float, float]]
    new: tuple[str, ...] = ()  # texts of the blocks that differ from the system before


SYSTEMS = [
    System(
        "R-CNN", 2014, "a network pass per region",
        "selective search", "", [("SVMs, box\nregressors", 0, WIDTH)],
    ),
    System(
        "Fast R-CNN", 2015, "one pass, shared features",
        "selective search", "RoIPool", [("box head", 0, WIDTH)],
        ("backbone", "RoIPool", "box head"),
    ),
    System(
        "Faster R-CNN", 2015, "proposals from the network",
        "RPN", "RoIPool", [("box head", 0, WIDTH)], ("RPN",),
    ),
    System(
        "Mask R-CNN", 2017, "exact positions, and masks",
        "RPN", "RoIAlign", [("box\nhead", -0.33, 0.58), ("mask\nhead", 0.33, 0.58)],
        ("RoIAlign", "mask\nhead"),
    ),
]  # fmt: skip


def show_family() -> Picture:
    """The four R-CNNs in one layout, so that you see what moved from each one to the next.

    R-CNN (Girshick et al. 2014, section 2) crops and warps every region and sends it through the
    whole network. Fast R-CNN (Girshick 2015, section 2) runs the backbone once, and pools each
    region's features. Faster R-CNN (Ren et al. 2015, section 3) replaces selective search by the
    RPN, which reads the same features. Mask R-CNN (He et al. 2017, section 3) replaces RoIPool by
    RoIAlign and adds a mask head. Colors tell what is computed once for the image, what for each
    region, and what outside the network; black outlines mark what changed from the system before.
    """
    picture, axes = sheet(9.9, 5.15)
    for i, system in enumerate(SYSTEMS):
        draw_system(axes, system, PITCH * i)
    fills = {
        "once for the image": ONCE, "for each region": EACH, "outside the network": OUTSIDE
    }  # fmt: skip
    key(axes, 1.2, 4.98, fills, (1.95, 0))
    block(axes, Frame(7.05, 4.915, 0.2, 0.13), fill="white", strong=True)
    write(axes, 7.33, 4.98, "what changed", SMALL, ha="left")
    return picture


def draw_system(axes: Axes, system: System, left: float) -> None:
    """Draw one system in the column that begins at x = left."""
    side, main = left + SIDE, left + MAIN
    write(axes, left + 1.12, 0.17, f"{system.name}, {system.year}", TITLE, weight="bold")
    write(axes, left + 1.12, 0.4, system.idea, SMALL, color=MUTED)

    def add(x: float, row: int, text: str, fill: str, width: float = WIDTH) -> Frame:
        frame = around((x, ROWS[row]), width, HEIGHT)
        return block(axes, frame, text, fill, text in system.new, cards=3 if fill == EACH else 1)

    image = around((main, 1.05), 0.9, 0.9 * RATIO)
    draw_scene(axes, image)
    heads = {text: add(main + shift, 3, text, EACH, width) for text, shift, width in system.heads}
    if system.name == "R-CNN":
        crop, backbone = add(main, 0, "crop, warp", EACH), add(main, 1, "backbone", EACH)
        steps = [image, crop, backbone]
    else:
        backbone, crop = add(main, 1, "backbone", ONCE), add(main, 2, system.pool, EACH)
        steps = [image, backbone, crop]
    for first, second in pairwise(steps):
        arrow(axes, first.bottom, second.top)
    for text, head in heads.items():
        x = head.top[0]
        arrow(axes, (x, steps[-1].bottom[1]), head.top)
        arrow(axes, head.bottom, (x, 4.4))
        write(axes, x, 4.5, "mask" if "mask" in text else "class, box", SMALL)

    if "RPN" in system.proposals:
        proposals = add(side, 1, "RPN", ONCE, 0.8)
        arrow(axes, backbone.left, proposals.right)
    else:
        proposals = add(side, 0, "selective\nsearch", OUTSIDE, 0.8)
        arrow(axes, image.left, (side, image.left[1]), proposals.top)
    if proposals.center[1] == crop.center[1]:
        arrow(axes, proposals.right, crop.left)
    else:
        arrow(axes, proposals.bottom, (side, crop.left[1]), crop.left)
