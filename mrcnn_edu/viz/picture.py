"""The figure that every picture is drawn on."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from threading import RLock

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from mrcnn_edu.viz.caption import set_caption
from mrcnn_edu.viz.style import DPI, TITLE, style_axes
from mrcnn_edu.viz.svg import chart_svg

PAD = 0.05  # space on each side of each panel, in units of 72 pixels
SHOWN_DPI = 72  # pixels an inch at which a picture is shown; it has twice as many
JPEG = {"quality": 70, "subsampling": 0, "optimize": True}  # colored lines keep their color
LARGEST_SVG = 60_000  # bytes of a chart; a curve of many points is smaller as a PNG
MATPLOTLIB = RLock()  # is not made for threads: two that set formulas at once make errors
CHART_COLORS = 128  # of the PNG beside an SVG: nobody sees the difference to all of them


class Picture(Figure):
    """A figure that needs no pyplot, and shows itself at the end of a notebook cell.

    It has twice as many pixels as it is shown with, for sharp screens and projectors. `format` is
    "png" for drawings, and "jpeg" once there are pixels of an image in it: as PNG, those would make
    the file several times as large.
    """

    format = "png"
    alt = ""  # the caption, once there is one

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

    @property
    def shown(self) -> dict[str, int | str]:
        """How the picture is shown, for a notebook's metadata: width, height and alt text."""
        width, height = self.shown_size
        return {"width": width, "height": height} | ({"alt": self.alt} if self.alt else {})

    def caption(self, text: str) -> "Picture":
        """The picture itself, taller by a caption below it, which also becomes its alt text.

        text: in a lesson, it begins with the picture's number: "Figure 3. A dot is an object."
        """
        if self.alt:
            raise ValueError(f'the picture has a caption already: "{self.alt}"')
        self.alt = " ".join(text.split())
        with MATPLOTLIB:
            caption = set_caption(self.alt, self.get_figwidth())
        strip, height = caption.height, self.get_figheight()
        self.set_figheight(height + strip)
        caption.draw(self)
        if layout := self.get_layout_engine():  # the axes share what is above the caption
            above = (0, strip / (height + strip), 1, height / (height + strip))
            layout.set(rect=above)  # type: ignore
        return self

    def set_positions(self, positions: Sequence[Bbox]) -> None:
        """Put each of the axes at its position, unless their number differs.

        This replaces the automatic layout, which takes half of the time that drawing takes.
        """
        if len(positions) == len(self.axes):
            self.set_layout_engine("none")
            for axes, position in zip(self.axes, positions, strict=True):
                axes.set_position(position)

    def encoded(self, format: str | None = None, colors: int | None = None) -> bytes:
        """The picture as the bytes of an image file, by default in the picture's own format.

        colors: how many there may be in a PNG; by default, all of them are kept.
        """
        canvas, file = FigureCanvasAgg(self), BytesIO()
        with MATPLOTLIB:
            if self.axes and (layout := self.get_layout_engine()):
                layout.execute(self)  # twice, with draw: only now are the images' heights known
            canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        format = format or self.format
        if colors is not None:
            pixels = pixels.quantize(colors)
        pixels.save(file, format=format, **(JPEG if format == "jpeg" else {}))
        return file.getvalue()

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        return self.encoded("png")

    def svg(self) -> str | None:
        """A chart as SVG; None if there are pixels of an image in it, or if it is too large."""
        if self.format != "png" or any(axes.images for axes in self.axes):
            return None
        with MATPLOTLIB:
            text = chart_svg(self)
        return text if len(text.encode()) <= LARGEST_SVG else None

    def _repr_mimebundle_(self, **_options) -> tuple[dict[str, str], dict[str, dict]]:
        """The picture for a notebook. A chart comes as SVG, too.

        JupyterLab draws no SVG in a notebook that it does not trust, so there is always a PNG.
        """
        bundle, svg = {"text/plain": repr(self)}, self.svg()
        if svg is not None:
            bundle["image/svg+xml"] = svg
        contents = self.encoded(colors=None if svg is None else CHART_COLORS)
        bundle[f"image/{self.format}"] = b64encode(contents).decode()
        return bundle, {kind: self.shown for kind in bundle if kind.startswith("image/")}


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
