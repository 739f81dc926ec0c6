"""The five losses of Mask R-CNN, and which parts of the network their gradients reach."""

from collections.abc import Collection, Mapping

from matplotlib.axes import Axes

from mrcnn_edu.viz.diagrams.arrows import arrow, line
from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, FILL, HIGHLIGHT, ONCE, SMALL, TITLE

LANES = {"rpn_head": 0.75, "box_head": 2.2, "mask_head": 3.4}  # y of the heads
NAMES = {"rpn_head": "RPN head", "box_head": "box head", "mask_head": "mask head"}
LOSSES = {  # name in torchvision and here: text, head, and y from the head's
    "loss_objectness": ("RPN: objectness", "rpn_head", -0.24),
    "loss_rpn_box_reg": ("RPN: box", "rpn_head", 0.24),
    "loss_classifier": ("class  $L_{cls}$", "box_head", -0.24),
    "loss_box_reg": ("box  $L_{box}$", "box_head", 0.24),
    "loss_mask": ("mask  $L_{mask}$", "mask_head", 0.0),
}
SHARED = {"backbone", "neck"}
FEATURES, POOL = Frame(0.15, 0.3, 1.25, 3.55), Frame(2.35, 1.75, 1.0, 2.1)
HEADS, COSTS = 5.0, 8.75  # x of the heads and of the losses
APART = 0.065  # half of the distance between an arrow and the gradient's arrow


def show_loss_gradients(reached: Mapping[str, Collection[str]]) -> Picture:
    """Which loss trains what: the network, its losses, and the gradients that flow back.

    reached: for each loss, by its name in torchvision, the parts that its gradient reaches, among
    "backbone", "neck", "rpn_head", "box_head" and "mask_head". An orange arrow is drawn where a
    gradient was found, so the picture shows what was measured. Where nothing passes from RoIs back
    to the RPN, the way of the proposals is cut (Faster R-CNN, Ren et al. 2015, section 3.2,
    "approximate joint training"). Raises ValueError for an unknown loss or part.
    """
    unknown = {*reached} - {*LOSSES} or set().union(*reached.values()) - {*LANES} - SHARED
    if unknown:
        known = ", ".join([*LOSSES, *sorted(SHARED), *LANES])
        raise ValueError(f"{sorted(unknown)[0]!r} is none of {known}")
    picture, axes = sheet(9.9, 4.3)
    block(axes, FEATURES, "backbone\nand FPN", ONCE)
    block(axes, POOL, "RoIAlign", FILL)
    for head, y in LANES.items():
        draw_head(axes, head, y, reached)
    draw_proposals(axes, reached)
    draw_key(axes)
    return picture


def reaches(reached: Mapping[str, Collection[str]], head: str, parts: Collection[str]) -> bool:
    """Whether a loss of this head reaches one of the parts."""
    own = [name for name, (_, of, _) in LOSSES.items() if of == head]
    return any({*parts} & {*reached.get(name, ())} for name in own)


def draw_head(axes: Axes, head: str, y: float, reached: Mapping[str, Collection[str]]) -> None:
    """Draw a head, where its features come from, and its losses."""
    frame = block(
        axes, around((HEADS, y), 1.15, 0.82), NAMES[head], ONCE if head == "rpn_head" else EACH
    )
    shared = reaches(reached, head, SHARED)
    if head == "rpn_head":
        both_ways(axes, (FEATURES.x + FEATURES.width, y), (frame.x, y), shared)
    else:
        both_ways(axes, (FEATURES.x + FEATURES.width, y), (POOL.x, y), shared)
        both_ways(axes, (POOL.x + POOL.width, y), (frame.x, y), shared)
    for name, (text, of, below) in LOSSES.items():
        if of == head:
            cost = block(axes, around((COSTS, y + below), 1.75, 0.38), text, "white")
            start = (frame.x + frame.width, y + below)
            both_ways(axes, start, cost.left, head in reached.get(name, ()))
    if head == "mask_head":
        middle = (frame.x + frame.width + COSTS - 0.875) / 2
        text = "the mask of the\nground-truth class"
        write(axes, middle, y - APART - 0.06, text, SMALL, va="bottom", color=MUTED)


def draw_proposals(axes: Axes, reached: Mapping[str, Collection[str]]) -> None:
    """Draw the way of the proposals from the RPN to RoIAlign, cut where no gradient passes."""
    x, top = POOL.center[0], LANES["rpn_head"] + 0.41
    level = 1.45
    is_open = any(reaches(reached, head, ["rpn_head"]) for head in ("box_head", "mask_head"))
    arrow(axes, (HEADS, top), (HEADS, level), (x, level), (x, POOL.y), color=MUTED)
    middle = (x + HEADS) / 2
    write(axes, middle + 0.2, level - 0.17, "proposals", SMALL, ha="left", color=MUTED)
    if is_open:
        low = level + 2 * APART
        points = (x + 2 * APART, POOL.y), (x + 2 * APART, low), (HEADS + 2 * APART, low)
        arrow(axes, *points, (HEADS + 2 * APART, top), color=HIGHLIGHT)
        return
    for shift in (-0.05, 0.05):
        ends = (middle + shift - 0.05, level + 0.12), (middle + shift + 0.05, level - 0.12)
        line(axes, *ends, color=HIGHLIGHT, width=1.8)
    text = "detach: no gradient passes"
    write(axes, middle + 0.2, level + 0.16, text, SMALL, ha="left", va="center", color=HIGHLIGHT)


def both_ways(axes: Axes, start: Point, end: Point, has_gradient: bool) -> None:
    """Draw what is computed from left to right, and below it the gradient on its way back."""
    (x1, y), (x2, _) = start, end
    arrow(axes, (x1, y - APART), (x2, y - APART), color=MUTED)
    if has_gradient:
        arrow(axes, (x2, y + APART), (x1, y + APART), color=HIGHLIGHT)


def draw_key(axes: Axes) -> None:
    """Say what the two kinds of arrows mean."""
    arrow(axes, (2.6, 4.15), (3.1, 4.15), color=MUTED)
    write(axes, 3.2, 4.15, "is computed from it", SMALL, ha="left")
    arrow(axes, (5.6, 4.15), (5.1, 4.15), color=HIGHLIGHT)
    write(axes, 5.7, 4.15, "the gradient of a loss", SMALL, ha="left")
    write(axes, COSTS, 0.17, "losses", TITLE, weight="bold")
