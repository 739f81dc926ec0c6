"""A picture, and the colors: the same one for the same role in the whole course.

Truth is green, anchors light blue, proposals and RoIs orange, detections orange-red (Okabe and
Ito's palette). RoIPool is purple, RoIWarp blue, RoIAlign black. Classes have colors of their own,
in order (Paul Tol's). Color-blind readers tell them apart too, which tests/test_viz.py measures.
"""

import textwrap
from base64 import b64encode
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

ROLES = {
    "truth": "#009E73",
    "anchor": "#56B4E9",
    "proposal": "#E69F00",
    "detection": "#D55E00",
}
OPS = {"pool": "#CC79A7", "warp": "#0072B2", "align": "#000000"}
# For what has no color of its own.
OTHERS = ("#222222", "#AA3377", "#33BBEE", "#BBAA33", "#4477AA", "#EE6677")
CLASSES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")


class Picture(Figure):
    """A figure that needs no pyplot, and shows itself at the end of a notebook cell.

    `format` is "png" for drawings, and "jpeg" once there are pixels of an image in it: those fill a
    PNG file more than they gain from it.
    """

    format = "png"

    def __init__(self, width: float = 7, height: float = 3, **options):
        super().__init__(figsize=(width, height), dpi=72, layout="constrained", **options)
        FigureCanvasAgg(self)

    def caption(self, text: str) -> "Picture":
        """The picture itself, higher by a sentence below it that says what to look at."""
        letters = int(self.get_figwidth() * self.dpi / 5.2)  # in a line
        lines = textwrap.wrap(text, letters)
        self.supxlabel("\n".join(lines), fontsize=9, color="#333333")
        self.set_figheight(self.get_figheight() + 0.05 + 0.17 * len(lines))
        return self

    def place(self, positions: list) -> None:
        """Put the axes at positions found before; finding them anew takes half of the drawing."""
        if len(positions) == len(self.axes):
            self.set_layout_engine("none")
            for axes, position in zip(self.axes, positions, strict=True):
                axes.set_position(position)

    def encoded(self, format: str | None = None) -> bytes:
        """The picture as the bytes of a file of a format, its own if none is given."""
        self.canvas.draw()
        file = BytesIO()
        pixels = Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")
        pixels.save(file, format=format or self.format, quality=75)
        return file.getvalue()

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        return self.encoded("png")

    def _repr_mimebundle_(self, **_options) -> dict[str, str]:
        data = b64encode(self.encoded()).decode()
        return {f"image/{self.format}": data, "text/plain": repr(self)}


def row(n: int, side: float = 3.4, ratio: float = 1, lines: int = 1) -> tuple[Picture, list[Axes]]:
    """A picture with n panels side by side, in all at most 10 units of 72 pixels wide.

    side: a panel's width. ratio: its height / width. lines: of text above it.
    """
    side = min(side, 10 / max(n, 1))
    picture = Picture(side * n, side * ratio + 0.05 + 0.25 * lines)
    return picture, list(picture.subplots(1, n, squeeze=False)[0])


def class_color(label: int) -> str:
    """The color of a class, for labels 1, 2, ... of any number."""
    return CLASSES[(label - 1) % len(CLASSES)]


def color(name: str, place: int = 0) -> str:
    """The color of a role or an operation, else one by its place among others."""
    return (ROLES | OPS).get(name, OTHERS[place % len(OTHERS)])
