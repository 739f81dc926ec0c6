"""The feature pyramid network: bottom-up, lateral and top-down, level by level."""

from matplotlib.axes import Axes

from mrcnn_edu.viz.diagrams.arrows import arrow, dot, plus
from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.pyramids import draw_semantics_key, shade
from mrcnn_edu.viz.diagrams.scene import RATIO, draw_scene
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, slab, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import SMALL

# x of the backbone's maps, the lateral convolutions, the sums, the output convolutions, the outputs
BACKBONE, LATERAL, SUMS, OUTPUT, PYRAMID = 1.5, 3.3, 4.25, 5.2, 7.05
LEVELS, P6 = {5: 1.03, 4: 1.55, 3: 2.15, 2: 2.87}, 0.68  # y of the levels
WIDEST = 1.9  # width of the maps at level 2; each level halves it
DEPTHS = {2: 0.04, 3: 0.07, 4: 0.1, 5: 0.13}  # thickness of the backbone's maps
BLOCK = 0.6, 0.26  # of a convolution
HEADINGS = {
    BACKBONE: "backbone,\nbottom-up", LATERAL: "lateral\nconnection", SUMS: "top-down\npathway",
    OUTPUT: "output\nconvolution", PYRAMID: "pyramid", 8.95: "stride", 9.55: "anchor\nsize",
}  # fmt: skip


def show_fpn() -> Picture:
    """The feature pyramid network, level by level (FPN, Lin et al. 2017, section 3 and figure 3).

    The backbone's maps C2 to C5 get smaller, and each means more: darker maps have stronger
    semantics. A 1×1 convolution gives all of them the same number of channels (the lateral
    connection), the coarser sum is upsampled by 2 and added (the top-down pathway), and a 3×3
    convolution outputs P2 to P5. P6 is P5, subsampled by 2, for the RPN's largest anchors (the
    same, section 4.1). Maps are drawn to scale: each is half as wide as the one below it.
    """
    picture, axes = sheet(9.9, 4.2)
    for x, text in HEADINGS.items():
        write(axes, x, 0.22, text, SMALL, color=MUTED)
    draw_levels(axes)
    draw_semantics_key(axes, 7.1, 3.95)
    return picture


def draw_levels(axes: Axes) -> None:
    """Draw the large pyramid, from the coarsest level to the finest."""
    above: Frame | None = None  # the coarser level's sum
    bottom_of_coarser = 0.0
    for level, y in LEVELS.items():
        strength, width = (level - 2) / 3, WIDEST / 2 ** (level - 2)
        c = draw_map(axes, (BACKBONE, y), width, DEPTHS[level], shade(strength))
        p = draw_map(axes, (PYRAMID, y), width, DEPTHS[2], shade(1))
        lateral = block(axes, around((LATERAL, y), *BLOCK), "1 × 1")
        output = block(axes, around((OUTPUT, y), *BLOCK), "3 × 3")
        arrow(axes, c.right, lateral.left)
        arrow(axes, output.right, p.left)
        if above is None:
            arrow(axes, p.top, draw_map(axes, (PYRAMID, P6), width / 2, DEPTHS[2], shade(1)).bottom)
            here = around((SUMS, y), 0, 0)
            dot(axes, here.center)
            arrow(axes, lateral.right, output.left)
        else:
            here = plus(axes, (SUMS, y))
            arrow(axes, lateral.right, here.left)
            arrow(axes, here.right, output.left)
            arrow(axes, above.bottom, here.top)
            write(
                axes, SUMS + 0.1, (above.bottom[1] + here.top[1]) / 2, "upsample", SMALL, ha="left"
            )
            arrow(axes, c.top, (BACKBONE, bottom_of_coarser))
        above, bottom_of_coarser = here, c.bottom[1]
        write(axes, 0.3, y, f"C{level}")
    image = around((BACKBONE, 3.74), 0.9, 0.9 * RATIO)
    draw_scene(axes, image)
    arrow(axes, image.top, (BACKBONE, bottom_of_coarser))
    for level, y in {**LEVELS, 6: P6}.items():
        write(axes, 8.4, y, f"P{level}")
        write(axes, 9.02, y, str(2**level), ha="right")
        write(axes, 9.69, y, str(2 ** (level + 3)), ha="right")


def draw_map(axes: Axes, center: Point, width: float, depth: float, fill: str) -> Frame:
    """A map of this width, as thick as it has channels."""
    return slab(axes, around(center, width, 0.24 * width + depth), depth, fill)
