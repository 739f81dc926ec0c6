"""The figure that every picture is drawn on, and the colors: one color for each role, everywhere.

Ground truth is green, anchors are light blue, proposals and RoIs orange, detections orange-red
(Okabe and Ito's palette). RoIPool is purple, RoIWarp blue, RoIAlign black. Classes have colors of
their own, in label order (Paul Tol's palette). Color-blind readers can tell the colors of a palette
apart, which tests/test_viz.py measures.
"""

import textwrap
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

ROLES = {
    "gt": "#009E73",  # ground truth
    "anchor": "#56B4E9",
    "proposal": "#E69F00",
    "detection": "#D55E00",
}
OP_COLORS = {"pool": "#CC79A7", "warp": "#0072B2", "align": "#000000"}
CLASS_COLORS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
# For lines and bars that stand for neither a role nor an operation nor a class.
OTHER_COLORS = ("#222222", "#AA3377", "#33BBEE", "#BBAA33", "#4477AA", "#EE6677")


class Picture(Figure):
    """A figure that needs no pyplot, and shows itself at the end of a notebook cell.

    `format` is "png" for drawings, and "jpeg" once there are pixels of an image in it: as PNG,
    those would make the file several times as large.
    """

    format = "png"

    def __init__(self, width: float = 7, height: float = 3, **options):
        super().__init__(figsize=(width, height), dpi=72, layout="constrained", **options)

    def caption(self, text: str) -> "Picture":
        """The picture itself, taller by a caption below it."""
        chars_per_line = int(self.get_figwidth() * self.dpi / 5.2)
        lines = textwrap.wrap(text, chars_per_line)
        self.supxlabel("\n".join(lines), fontsize=9, color="#333333")
        self.set_figheight(self.get_figheight() + 0.05 + 0.17 * len(lines))
        return self

    def set_positions(self, positions: Sequence[Bbox]) -> None:
        """Put each of the axes at its position, unless their number differs.

        This replaces the automatic layout, which takes half of the time that drawing takes.
        """
        if len(positions) == len(self.axes):
            self.set_layout_engine("none")
            for axes, position in zip(self.axes, positions, strict=True):
                axes.set_position(position)

    def encoded(self, format: str | None = None) -> bytes:
        """The picture as the bytes of an image file, by default in the picture's own format."""
        canvas = FigureCanvasAgg(self)
        canvas.draw()
        file = BytesIO()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        pixels.save(file, format=format or self.format, quality=75)
        return file.getvalue()

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        return self.encoded("png")

    def _repr_mimebundle_(self, **_options) -> dict[str, str]:
        data = b64encode(self.encoded()).decode()
        return {f"image/{self.format}": data, "text/plain": repr(self)}


def row(n: int, width: float = 3.4, ratio: float = 1, lines: int = 1) -> tuple[Picture, list[Axes]]:
    """A picture with n panels next to each other, at most 720 pixels wide in all.

    width: of each panel, in units of 72 pixels. ratio: the panel's height / width. lines: number
    of text lines above each panel.
    """
    width = min(width, 10 / max(n, 1))
    picture = Picture(width * n, width * ratio + 0.05 + 0.25 * lines)
    return picture, list(picture.subplots(1, n, squeeze=False)[0])


def class_color(label: int) -> str:
    """The color of a class, for labels 1, 2, ...; the colors repeat after six classes."""
    return CLASS_COLORS[(label - 1) % len(CLASS_COLORS)]


def color(name: str, index: int = 0) -> str:
    """The color of a role or an operation; for any other name, the color with this index."""
    return (ROLES | OP_COLORS).get(name, OTHER_COLORS[index % len(OTHER_COLORS)])
