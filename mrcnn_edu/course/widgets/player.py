"""The player: sliders over a picture. Where no kernel runs, it is a still picture."""

from base64 import b64encode
from collections.abc import Callable
from threading import RLock
from typing import Any, Self
from uuid import uuid4

import ipywidgets
from IPython.display import display, update_display
from matplotlib.transforms import Bbox

from mrcnn_edu.course.widgets.still import still_picture
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.viz import Picture

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Player:
    """Sliders, and a picture that is redrawn whenever one of them moves.

    draw: a function of the sliders' values, by name, that returns a Picture. sliders: any widgets
    with a `value`. In a notebook, a player at the end of a cell shows itself.
    `player.sliders["seed"].value = 3` moves a slider from code, and `player.picture` is the
    current picture. `player.caption("Figure 3. ...")` puts a caption below all of its pictures.
    """

    picture: Picture

    def __init__(self, draw: Callable[..., Picture], **sliders: Any):
        self.draw, self.sliders = draw, sliders
        self.image = ipywidgets.Image()
        self.positions: list[Bbox] = []  # of the axes: computed for the first picture, then reused
        self.lock = RLock()  # JupyterLab moves sliders in a thread, even while a cell runs
        self.display_id = ""  # of the still picture, once the player was shown
        self.text = ""  # of the caption
        self.update()
        for name, slider in sliders.items():
            slider.description = slider.description or name.replace("_", " ")
            slider.observe(self.update, "value")
        self.box = ipywidgets.VBox([*sliders.values(), self.image])
        self.box.add_class("mrcnn-player")

    @property
    def values(self) -> dict:
        """The sliders' values by name."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def caption(self, text: str) -> Self:
        """The player itself, with a caption below its pictures, which begins their alt text."""
        with self.lock:
            self.text, self.positions = text, []
            self._draw()
        return self

    def update(self, _change: Any = None) -> None:
        """Draw the picture for the sliders' current values."""
        with self.lock:
            self._draw()

    def _draw(self) -> None:
        self.picture = self.draw(**self.values)
        if self.text:
            self.picture.caption(self.text)
        self.picture.set_positions(self.positions)
        self.image.format = self.picture.format
        self.image.value = self.picture.encoded()
        self.positions = [axes.get_position() for axes in self.picture.axes]
        self.image.layout.width = f"{self.picture.shown_size[0]}px"  # or JupyterLab stretches it
        if self.display_id:
            update_display(
                self._still(), raw=True, metadata=LIVE_OUTPUT, display_id=self.display_id
            )

    def __repr__(self) -> str:
        return f"Player({', '.join(f'{name}={value}' for name, value in self.values.items())})"

    def _repr_mimebundle_(self, **_options: Any) -> dict:
        # Written by hand, since the widgets of ipywidgets 7 do not have this method.
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {WIDGET_VIEW: view, self._kind(): self._base64(), "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        self.display_id = self.display_id or uuid4().hex
        display(self._repr_mimebundle_(), raw=True, metadata={self._kind(): self.picture.shown})
        display(self._still(), raw=True, metadata=LIVE_OUTPUT, display_id=self.display_id)

    def _still(self) -> dict[str, str]:
        source = f"data:{self._kind()};base64,{self._base64()}"
        titles = [axes.get_title().replace("\n", ", ") for axes in self.picture.axes]
        values = [f"{slider.description}: {slider.value}" for slider in self.sliders.values()]
        alt = "; ".join([*filter(None, (self.picture.alt, *titles)), *values])
        return {"text/html": still_picture(source, alt, width=self.picture.shown_size[0])}

    def _kind(self) -> str:
        return f"image/{self.image.format}"

    def _base64(self) -> str:
        return b64encode(self.image.value).decode()
