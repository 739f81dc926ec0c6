"""Draw the README's animation: what each stage of Mask R-CNN computes for one scene.

    python tools/make_animation.py [FOLDER]

Writes `stages.webp`, and its first frame as `stages_still.webp` for readers who want nothing to
move. Nothing is made up for the picture: the model that comes with the package computes every
anchor, box, score, feature and mask in it.
"""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from make_pictures import CARD, FOLDER, SCALE, SCENE, SEED, encoded, rounded
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from stage_drawings import StageDrawings
from traced_scene import TracedScene

from mrcnn_edu.files import write_file
from mrcnn_edu.viz.style import HIGHLIGHT, INK

WIDTH, HEIGHT, DPI = 600, 336, 144  # of the picture, in points, and its pixels for 72 points
MARGIN, TEXT = 14, 342  # where the scene begins, and where the text does, in points
CHARACTERS = 29  # of a line of the sentence
LATER = "#6B7079"  # the color of the stages that follow
HOLD, STEP = 2600, 60  # milliseconds of a stage that stands still, and of a frame that moves
BLEND, MOVE = 2, 7  # the frames between two stages, and those of a stage's movement


class Stage(NamedTuple):
    """A stage's name, what happens in it, and the drawing of its movement, from 0 to 1."""

    name: str
    sentence: str
    draw: Callable[[Axes, float], None]
    frames: int = MOVE


def stages(s: TracedScene) -> list[Stage]:
    """The stages in their order; the first one is the picture for those who see only one."""
    d = StageDrawings(s)
    summary = "Mask R-CNN finds each object, classifies it, and outlines its pixels."
    return [
        Stage("", summary, d.result, 1),
        Stage("Image", "The network sees 96\u00a0×\u00a096\u00a0pixels.", d.image),
        Stage(
            "Feature pyramid",
            "The backbone and the FPN compute four feature maps, from fine to coarse.",
            d.features,
        ),
        Stage(
            "Anchors",
            f"There are {s.n_anchors:,} anchors, three at each position of each feature map.",
            d.anchors,
            19,
        ),
        Stage(
            "Region proposals",
            f"The RPN scores all anchors, and moves the {len(s.moved)} best ones onto objects.",
            d.proposals,
            13,
        ),
        Stage(
            "Non-maximum suppression",
            f"Boxes that overlap a better box are removed; {len(s.kept)} proposals are left.",
            d.suppression,
        ),
        Stage(
            "RoIAlign",
            "RoIAlign reads each proposal's features on a grid, without any rounding.",
            d.roi_align,
            6,
        ),
        Stage(
            "Box head",
            "The box head classifies and refines each proposal. "
            f"That leaves {len(s.boxes)} objects.",
            d.class_and_box,
        ),
        Stage(
            "Mask head",
            "In each box, the mask head predicts 28\u00a0×\u00a028 mask values.",
            d.mask,
        ),
    ]


class Canvas:
    """The figure that all frames are drawn on: the scene to the left, the stages to the right."""

    def __init__(self, all_stages: list[Stage]):
        self.stages = all_stages
        self.figure = Figure((WIDTH / 72, HEIGHT / 72), dpi=DPI, facecolor=CARD)
        side = HEIGHT - 2 * MARGIN
        place = MARGIN / WIDTH, MARGIN / HEIGHT, side / WIDTH, side / HEIGHT
        self.axes = self.figure.add_axes(place)

    def frame(self, index: int, progress: float) -> Image.Image:
        """A stage's picture, at some progress of its movement."""
        self.axes.clear()
        self.stages[index].draw(self.axes, progress)
        self.figure.texts.clear()
        self.write(TEXT, 298, "Mask R-CNN", 22, INK, "bold")
        for i, stage in enumerate(self.stages[1:], 1):
            y, weight = 289 - 22.5 * i, "bold" if i == index else "normal"
            color = HIGHLIGHT if i == index else INK if i < index or index == 0 else LATER
            self.write(TEXT, y, str(i), 12.5, color, "bold")
            self.write(TEXT + 17, y, stage.name, 12.5, color, weight)
        for i, line in enumerate(textwrap.wrap(self.stages[index].sentence, CHARACTERS)):
            self.write(TEXT, 66 - 20 * i, line, 14, INK)
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    def write(
        self, x: float, y: float, text: str, size: float, color: str, weight="normal"
    ) -> None:
        """Write a line of text at (x, y), in points from the lower left corner."""
        self.figure.text(x / WIDTH, y / HEIGHT, text, size=size, color=color, weight=weight)


def timeline(all_stages: list[Stage]) -> Iterator[tuple[Image.Image, int]]:
    """The frames, and for how many milliseconds each is shown."""
    canvas, before = Canvas(all_stages), None
    for index, stage in enumerate(all_stages):
        for i in range(stage.frames):
            frame = canvas.frame(index, i / max(stage.frames - 1, 1))
            if i == 0 and before is not None:
                for j in range(1, BLEND):
                    yield blended(before, frame, j / BLEND), STEP
            is_last = i == stage.frames - 1
            yield frame, HOLD if is_last else STEP
            before = frame


def blended(before: Image.Image, after: Image.Image, progress: float) -> Image.Image:
    """A frame between two stages: the scene changes little by little, the text at once."""
    between = Image.blend(before, after, progress)
    left = round(TEXT * DPI / 72)
    between.paste(after.crop((left, 0, *after.size)), (left, 0))
    return between


def main(folder: Path = FOLDER) -> None:
    """Write the animation and its first frame into a folder."""
    frames, milliseconds = zip(*timeline(stages(TracedScene(SCENE, SEED, SCALE))), strict=True)
    cards = [rounded(frame) for frame in frames]
    still = encoded(cards[0], "webp", quality=88, method=6)
    moving = encoded(  # with a single key frame, so that the file is small
        cards[0], "webp", quality=77, method=4, kmin=1000, kmax=1001, save_all=True,
        append_images=cards[1:], duration=list(milliseconds), loop=0,
    )  # fmt: skip
    write_file(folder / "stages_still.webp", still)
    write_file(folder / "stages.webp", moving)
    print(f"{len(cards)} frames, {sum(milliseconds) / 1000:.0f} s, {len(moving) / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
