"""The figure that every picture is drawn on."""

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

from mrcnn_edu.viz.style import DPI, LABEL, TITLE, style_axes

PAD = 0.05  # space on each side of each panel, in units of 72 pixels
SHOWN_DPI = 72  # pixels an inch at which a picture is shown; it has twice as many
JPEG = {"quality": 75, "subsampling": 0, "optimize": True}  # colored lines keep their color


class Picture(Figure):
    """A figure that needs no pyplot, and shows itself at the end of a notebook cell.

    It has twice as many pixels as it is shown with, for sharp screens and projectors. `format` is
    "png" for drawings, and "jpeg" once there are pixels of an image in it: as PNG, those would make
    the file several times as large.
    """

    format = "png"

    def __init__(self, width: float = 7, height: float = 3, **options):
        super().__init__(figsize=(width, height), dpi=DPI, layout="constrained", **options)
        self.get_layout_engine().set(w_pad=PAD, h_pad=PAD, wspace=0, hspace=0)  # type: ignore

    def add_subplot(self, *args, **options) -> Axes:
        """New axes, in the style of all pictures."""
        axes = super().add_subplot(*args, **options)
        style_axes(axes)
        return axes

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) in pixels at which the picture is shown."""
        width, height = self.get_size_inches()
        return round(width * SHOWN_DPI), round(height * SHOWN_DPI)

    def caption(self, text: str) -> "Picture":
        """The picture itself, taller by a caption below it."""
        chars_per_line = int(self.get_figwidth() * SHOWN_DPI / 5.2)
        lines = textwrap.wrap(text, chars_per_line)
        self.supxlabel("\n".join(lines), fontsize=LABEL, color="#333333")
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
        if self.axes and (layout := self.get_layout_engine()):
            layout.execute(self)  # twice, with draw: only now are the images' heights known
        canvas.draw()
        file = BytesIO()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        format = format or self.format
        pixels.save(file, format=format, **(JPEG if format == "jpeg" else {}))
        return file.getvalue()

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        return self.encoded("png")

    def _repr_mimebundle_(self, **_options) -> tuple[dict[str, str], dict[str, dict]]:
        kind, data = f"image/{self.format}", b64encode(self.encoded()).decode()
        width, height = self.shown_size
        return {kind: data, "text/plain": repr(self)}, {kind: {"width": width, "height": height}}


def panel_height(width: float, ratio: float, lines: int = 1) -> float:
    """The height of a panel that leaves no space below an image; as `row`."""
    title = 0.22 + (lines - 1) * 1.2 * TITLE / SHOWN_DPI
    return (width - 2 * PAD) * ratio + 2 * PAD + title


def row(n: int, width: float = 3.4, ratio: float = 1, lines: int = 1) -> tuple[Picture, list[Axes]]:
    """A picture with n panels next to each other, at most 720 pixels wide in all.

    width: of each panel, in units of 72 pixels. ratio: the panel's height / width. lines: number
    of text lines above each panel.
    """
    width = min(width, 10 / max(n, 1))
    picture = Picture(width * n, panel_height(width, ratio, lines))
    return picture, list(picture.subplots(1, n, squeeze=False)[0])
