"""The player: sliders over a picture. Where no kernel runs, it is a still picture."""

from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import Any, Self
from uuid import uuid4

import ipywidgets
from IPython.display import display, update_display
from matplotlib.transforms import Bbox

from mrcnn_edu.course.widgets.background import DRAWING, Drawn
from mrcnn_edu.course.widgets.still import still_picture
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.viz import Picture

ERROR_STYLE = "color: var(--jp-error-color1, #d32f2f)"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Player(Drawn):
    """Sliders, and a picture that is redrawn whenever one of them moves.

    draw: a function of the sliders' values, by name, that returns a Picture. It is called in the
    background (background.py), and once at the beginning. sliders: any widgets with a `value`. In a
    notebook, a player at the end of a cell shows itself. `player.sliders["seed"].value = 3` moves a
    slider from code, and `player.picture` is the picture of the sliders' current values.
    `player.caption("Figure 3. ...")` puts a caption below all of its pictures.
    """

    def __init__(self, draw: Callable[..., Picture], **sliders: Any):
        self.draw, self.sliders = draw, sliders
        self.image = ipywidgets.Image()
        self.error_line = ipywidgets.HTML(layout={"display": "none"})
        self.positions: list[Bbox] = []  # of the axes: computed for the first picture, then reused
        self.display_id = ""  # of the still picture, once the player was shown
        self.text = ""  # of the caption
        self.draw_now()
        for name, slider in sliders.items():
            slider.description = slider.description or name.replace("_", " ")
            slider.observe(self.update, "value")
        self.box = ipywidgets.VBox([*sliders.values(), self.error_line, self.image])
        self.box.add_class("mrcnn-player")

    @property
    def values(self) -> dict:
        """The sliders' values by name."""
        return {name: slider.value for name, slider in self.sliders.items()}

    @property
    def picture(self) -> Picture:
        """The picture of the sliders' current values."""
        self.wait()
        return self.drawn

    def caption(self, text: str) -> Self:
        """The player itself, with a caption below its pictures, which begins their alt text."""
        with DRAWING:
            self.text, self.positions = text, []
            self.draw_now()
        return self

    def update(self, _change: Any = None) -> None:
        """Have the picture redrawn for the sliders' current values."""
        self.draw_soon()

    def redraw(self) -> None:
        """Draw the picture for the sliders' current values, and show it."""
        values = self.values
        picture = self.draw(**values)
        if self.text:
            picture.caption(self.text)
        picture.set_positions(self.positions)
        self.image.format, self.image.value = picture.format, picture.encoded()
        self.positions = [axes.get_position() for axes in picture.axes]
        self.image.layout.width = f"{picture.shown_size[0]}px"  # or JupyterLab stretches it
        self.drawn, self.drawn_values = picture, values
        if self.display_id:
            update_display(
                self._still(), raw=True, metadata=LIVE_OUTPUT, display_id=self.display_id
            )

    def show_error(self, text: str) -> None:
        """Show this line between the sliders and the picture; none if it is empty."""
        self.error_line.value = f'<span role="alert" style="{ERROR_STYLE}">{escape(text)}</span>'
        self.error_line.layout.display = None if text else "none"

    def __repr__(self) -> str:
        return f"Player({', '.join(f'{name}={value}' for name, value in self.values.items())})"

    def _repr_mimebundle_(self, **_options: Any) -> dict:
        # Written by hand, since the widgets of ipywidgets 7 do not have this method.
        self.wait()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {WIDGET_VIEW: view, self._kind(): self._base64(), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        with DRAWING:
            data = self._repr_mimebundle_()
            self.display_id = self.display_id or uuid4().hex
            display(data, raw=True, metadata={self._kind(): self.drawn.shown})
            display(self._still(), raw=True, metadata=LIVE_OUTPUT, display_id=self.display_id)

    def _still(self) -> dict[str, str]:
        source = f"data:{self._kind()};base64,{self._base64()}"
        titles = [axes.get_title().replace("\n", ", ") for axes in self.drawn.axes]
        values = [
            f"{self.sliders[name].description}: {value}"
            for name, value in self.drawn_values.items()
        ]
        alt = "; ".join([*filter(None, (self.drawn.alt, *titles)), *values])
        return {"text/html": still_picture(source, alt, width=self.drawn.shown_size[0])}

    def _kind(self) -> str:
        return f"image/{self.image.format}"

    def _base64(self) -> str:
        return b64encode(self.image.value).decode()
