"""The whole of Mask R-CNN, from the image to the masks, with one stage highlighted."""

from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from matplotlib.axes import Axes

from mrcnn_edu.viz.diagrams.arrows import arrow, dot, line
from mrcnn_edu.viz.diagrams.frame import Frame, Point, around
from mrcnn_edu.viz.diagrams.scene import (
    RATIO,
    anchors_around,
    draw_scene,
    object_boxes,
    outline_boxes,
    proposal_boxes,
)
from mrcnn_edu.viz.diagrams.shapes import MUTED, block, key, slab, soft, write
from mrcnn_edu.viz.diagrams.sheet import sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import EACH, FILL, ONCE, SMALL

ARCHITECTURE_STAGES = (
    "image",
    "features",
    "proposals",
    "RoI features",
    "class, box, mask",
    "detections",
)
PER_REGION = "RoI features", "class, box, mask"
COLUMNS = [3.28 + 1.03 * i for i in range(7)]  # x of the blocks
LANES = 1.2, 2.35, 3.5  # y of the rows: RPN, box head, mask head
WIDTH, HEIGHT = 0.82, 0.54  # of a block
BACKBONE, PYRAMID, BUS = 0.62, 1.78, 2.58  # x of the two columns of maps, and of their output
LEVELS = {  # y and width of a level's maps, and the thickness of the backbone's
    2: (2.92, 0.94, 0.04), 3: (2.46, 0.74, 0.07), 4: (2.04, 0.58, 0.10), 5: (1.66, 0.45, 0.13)
}  # fmt: skip


def show_architecture(stage: str | None = None) -> Picture:
    """The architecture of Mask R-CNN as it detects, with one stage highlighted (He et al. 2017).

    Three rows read the same features. The RPN proposes boxes (Faster R-CNN, section 3.1). RoIAlign
    reads the features of each proposal, and the box head classifies and refines it (Mask R-CNN,
    section 3). For the boxes that are selected, and for no others, RoIAlign reads features again,
    for the mask head (the same, section 3.1, "Inference"). The colors tell what is computed once
    for the image from what is computed for each region.

    stage: one of `ARCHITECTURE_STAGES`; the others turn gray. Raises ValueError for another name.
    """
    if stage is not None and stage not in ARCHITECTURE_STAGES:
        raise ValueError(f"stage is {stage!r}: choose one of {', '.join(ARCHITECTURE_STAGES)}")
    picture, axes = sheet(9.9, 4.15)
    drawing = Drawing(axes, stage)
    drawing.features()
    drawing.proposals_and_heads()
    key(axes, 7.6, 0.3, {"computed once for the image": ONCE, "computed for each region": EACH})
    return picture


@dataclass
class Drawing:
    """The parts of the diagram on its axes. `stage` is the one that is highlighted, if any."""

    axes: Axes
    stage: str | None

    def features(self) -> None:
        """The image, the backbone's maps, and the pyramid."""
        axes, own = self.axes, "features"
        strong = self.stage == own
        fill = self.fill(own) if strong else soft(self.fill(own))
        below = self.scene("image", (BACKBONE, 3.62), paint="full").top
        write(axes, BACKBONE, 4.03, "image", SMALL)
        columns = {"C": {}, "P": {}}
        for level, (y, width, thickness) in LEVELS.items():
            for name, x in (("C", BACKBONE), ("P", PYRAMID)):
                deep = thickness if name == "C" else 0.06
                frame = around((x, y), width, 0.25 * width + deep)
                columns[name][level] = slab(axes, frame, deep, fill, strong)
            c, p = columns["C"][level], columns["P"][level]
            arrow(axes, c.right, p.left)
        for level in LEVELS:
            arrow(axes, below, columns["C"][level].bottom)
            below = columns["C"][level].top
        for level in (5, 4, 3):
            arrow(axes, columns["P"][level].bottom, columns["P"][level - 1].top)
        last = around((PYRAMID, 1.34), 0.35, 0.15)
        arrow(axes, columns["P"][5].top, slab(axes, last, 0.06, fill, strong).bottom)
        write(axes, BACKBONE, 1.02, "backbone")
        write(axes, PYRAMID, 1.02, "FPN")
        line(axes, (2.35, 1.28), (2.43, 1.28), (2.43, 3.0), (2.35, 3.0))

    def proposals_and_heads(self) -> None:
        """The three rows that read the features."""
        rpn = self.block("proposals", 0, 0, "RPN\nhead", "objectness,\nbox deltas")
        decode = self.block("proposals", 1, 0, "decode,\nNMS")
        anchors = self.scene("proposals", (COLUMNS[1], 0.4), "anchor", cross_anchors)
        proposals = self.scene("proposals", (COLUMNS[2], LANES[0]), "proposal", proposal_boxes)
        pool = self.block("RoI features", 2, 1, "RoIAlign", "7 × 7")
        box = self.block("class, box, mask", 3, 1, "box\nhead", "class scores,\nbox deltas")
        select = self.block("detections", 4, 1, "select,\nNMS")
        detections = self.scene("detections", (COLUMNS[5], LANES[1]), "detection")
        pool_again = self.block("RoI features", 4, 2, "RoIAlign", "14 × 14")
        mask = self.block("class, box, mask", 5, 2, "mask\nhead", "28 × 28 masks,\none per class")
        pasted = self.scene("detections", (COLUMNS[6], LANES[2]), "detection", paint="masks")
        rows = (rpn, decode, proposals), (pool, box, select, detections), (pool_again, mask, pasted)
        for first, second in chain.from_iterable(pairwise(row) for row in rows):
            arrow(self.axes, first.right, second.left)
        for first, second in (anchors, decode), (proposals, pool), (select, pool_again):
            arrow(self.axes, first.bottom, second.top)
        arrow(self.axes, detections.right, (COLUMNS[6], LANES[1]), pasted.top)
        for reader in rpn, pool_again:
            arrow(self.axes, (BUS, LANES[1]), (BUS, reader.left[1]), reader.left)
        arrow(self.axes, (2.43, LANES[1]), pool.left)
        dot(self.axes, (BUS, LANES[1]))
        for y in LANES[1:]:
            write(self.axes, COLUMNS[0], y - 0.11, "features", SMALL)
        write(self.axes, anchors.x - 0.08, anchors.center[1], "anchors", SMALL, ha="right")
        write(self.axes, proposals.center[0], proposals.y - 0.11, "proposals", SMALL)
        write(self.axes, detections.center[0], detections.y - 0.11, "detections", SMALL)
        write(self.axes, pasted.center[0], pasted.bottom[1] + 0.11, "masks", SMALL)

    def block(self, own: str, column: int, lane: int, text: str, result: str = "") -> Frame:
        """A block of the stage `own`. result: what it computes, written below it."""
        frame = around((COLUMNS[column], LANES[lane]), WIDTH, HEIGHT)
        cards = 3 if own in PER_REGION else 1
        (x, _), below = frame.center, frame.y + HEIGHT + 0.06
        write(self.axes, x, below, result, SMALL, va="top", color=MUTED)
        return block(self.axes, frame, text, self.fill(own), self.stage == own, cards)

    def scene(self, own: str, center: Point, role="", boxes=object_boxes, paint="pale") -> Frame:
        """The scene with the boxes that a function makes for its frame, in a role's color."""
        frame, shown = around(center, WIDTH, WIDTH * RATIO), self.stage in (None, own)
        draw_scene(self.axes, frame, paint if shown else "gray", self.stage == own)
        if role:
            outline_boxes(self.axes, boxes(frame), role, faded=not shown)
        return frame

    def fill(self, own: str) -> str:
        """The fill of what belongs to the stage `own`."""
        color = EACH if own in PER_REGION else ONCE
        return color if self.stage in (None, own) else FILL


def cross_anchors(frame: Frame) -> np.ndarray:
    """Anchors [3, 4] around the center of the cross."""
    x1, y1, x2, y2 = object_boxes(frame)[2]
    return anchors_around(((x1 + x2) / 2, (y1 + y2) / 2), 0.36 * frame.width)
