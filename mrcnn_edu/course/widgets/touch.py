"""Widgets that the reader touches: drawn by the browser, so that nothing waits for the kernel.

The JavaScript files beside this one draw and compute. Python hands over the data, and sees what the
reader did as traits of the widget, once the reader's hand rests. As a player has, a touchable has a
second output, which shows its still picture when the kernel has stopped (still.py).
"""

from base64 import b64encode
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
import torch
from anywidget import AnyWidget
from IPython.display import display, update_display
from PIL import Image
from torch import Tensor
from traitlets import Dict, Int, TraitError, Tuple, Unicode

from mrcnn_edu.course.widgets.background import DRAWING, Drawn
from mrcnn_edu.course.widgets.player import WIDGET_VIEW
from mrcnn_edu.course.widgets.still import still_picture
from mrcnn_edu.images import size_of
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.viz import GRAY, INK, ROLES, Picture, paled
from mrcnn_edu.viz.draw import as_rgb
from mrcnn_edu.viz.style import DASHES, LIGHT, MATCH_COLORS

FOLDER = Path(__file__).parent
LARGE = 512  # pixels; a larger image is sent as JPEG
NOTE = "The kernel of this widget has stopped. To use it again, run the cells down to this one."


def read_script(*names: str) -> str:
    """The JavaScript module of a widget: what all of them share, and the files with these names."""
    return "\n".join(
        (FOLDER / f"{name}.js").read_text("utf-8") for name in ("geometry", "touch", *names)
    )


def check_corners(box: list[float], name: str) -> list[float]:
    """The box, if it is [x1, y1, x2, y2] with an area. Raises TraitError that names the trait."""
    if len(box) != 4 or not all(map(isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
        raise TraitError(f"{name} is {box}: give [x1, y1, x2, y2] with x1 < x2 and y1 < y2")
    return box


def lines() -> dict[str, Any]:
    """The colors and dashes of the lines, for JavaScript: role or label -> its look."""
    anchors = dict.fromkeys(("anchor", *MATCH_COLORS), DASHES["anchor"][1])
    styles: dict[str, Any] = {
        name: {"color": color, "dashes": anchors.get(name, [])}
        for name, color in (ROLES | MATCH_COLORS).items()
    }
    return styles | {"ink": INK, "gray": GRAY, "light": LIGHT}


class Touchable(Drawn, AnyWidget):
    """A widget that is drawn and handled in the browser, and its still picture where none runs.

    A subclass names its script (`_esm`), its traits, and in `remembered` those that the still
    picture shows; it draws that in `picture`, which is called in the background (background.py).
    image: [C, H, W] in 0..1. note: the caption.
    """

    _css = (FOLDER / "touch.css").read_text("utf-8")
    source = Unicode().tag(sync=True)  # the image as a data URL
    size = Tuple(Int(), Int()).tag(sync=True)  # height and width of the drawing, in pixels
    look = Dict().tag(sync=True)
    note = Unicode().tag(sync=True)
    error_line = Unicode().tag(sync=True)
    remembered: tuple[str, ...] = ()

    def __init__(self, image: Tensor, note: str, size: tuple[int, int] | None = None, **traits):
        self.image, self.display_id = image, ""
        super().__init__(
            source=data_url(image), size=size or size_of(image), look=lines(), note=note, **traits
        )
        self.observe(self._update_still, ["note", *self.remembered])

    def picture(self) -> Picture:
        """The still picture of the current state, without its caption."""
        raise NotImplementedError

    def caption(self, text: str) -> Self:
        """The widget itself, with this caption below it and below its still picture."""
        self.note = text
        return self

    def still(self) -> Picture:
        """The still picture of the current state, with its caption."""
        picture = self.picture().caption(self.note)
        if bool((self.image == 1).all()):
            picture.format = "png"  # lines on blank paper take fewer bytes so
        return picture

    def _repr_mimebundle_(self, **_options: Any) -> tuple[dict, dict]:
        data, metadata = self.still()._repr_mimebundle_()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {WIDGET_VIEW: view, **data, "text/plain": repr(self)}, metadata

    def _ipython_display_(self) -> None:
        with DRAWING:
            data, metadata = self._repr_mimebundle_()
            self.display_id = self.display_id or uuid4().hex
            display(data, raw=True, metadata=metadata)
            display(self._still(), raw=True, metadata=LIVE_OUTPUT, display_id=self.display_id)

    def _update_still(self, _change: Any) -> None:
        if self.display_id:
            self.draw_soon()

    def redraw(self) -> None:
        """Draw the still picture of the current state, and show it."""
        names = "note", *self.remembered
        state = [getattr(self, name) for name in names]
        still = self._still()
        if state != [getattr(self, name) for name in names]:
            self.draw_soon()  # a change came halfway
        else:
            update_display(still, raw=True, metadata=LIVE_OUTPUT, display_id=self.display_id)

    def show_error(self, text: str) -> None:
        """Show this line below the caption; none if it is empty."""
        self.error_line = text

    def _still(self) -> dict[str, str]:
        picture = self.still()
        encoded = b64encode(picture.encoded()).decode()
        url = f"data:image/{picture.format};base64,{encoded}"
        return {"text/html": still_picture(url, self.note, picture.shown_size[0], NOTE)}


def data_url(image: Tensor) -> str:
    """An image [C, H, W] in 0..1, paled as it is under annotations, as a data URL."""
    pixels = paled(as_rgb(image).detach().clamp(0, 1)).permute(1, 2, 0).numpy()
    file, kind = BytesIO(), "png" if max(size_of(image)) <= LARGE else "jpeg"
    Image.fromarray((255 * pixels + 0.5).astype(np.uint8)).save(file, kind)
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"


def blank(height: int, width: int) -> Tensor:
    """White paper [3, height, width], for boxes without an image."""
    return torch.ones(3, height, width)
