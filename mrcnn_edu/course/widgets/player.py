"""Player: sliders over a picture; where nothing runs it is a still picture."""

from base64 import b64encode
from collections.abc import Callable

import ipywidgets

from mrcnn_edu.viz import Picture


class Player:
    """Sliders, and the picture that is drawn anew whenever one moves.

    draw: takes the sliders' values by name and returns a Picture. sliders: any widgets with a
    `value`. In a notebook the last line of a cell shows it; `player.sliders["seed"].value = 3`
    moves a slider from code, `player.picture` is what is seen.
    """

    def __init__(self, draw: Callable[..., Picture], **sliders: ipywidgets.Widget):
        self.draw, self.sliders = draw, sliders
        self.image = ipywidgets.Image()
        self.places = []  # of the picture's axes: found for the first picture, then kept
        self.update()
        for name, slider in sliders.items():
            slider.description = slider.description or name.replace("_", " ")
            slider.observe(self.update, "value")
        self.box = ipywidgets.VBox([*sliders.values(), self.image])

    @property
    def values(self) -> dict:
        """The sliders' values by name."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def update(self, _change=None) -> None:
        """Draw the picture for the sliders as they stand."""
        self.picture = self.draw(**self.values)
        self.picture.place(self.places)
        self.image.format = self.picture.format
        self.image.value = self.picture.encoded()
        self.places = [axes.get_position() for axes in self.picture.axes]
        width = self.picture.get_figwidth() * self.picture.dpi
        self.image.layout.width = f"{width:.0f}px"  # or JupyterLab stretches it

    def __repr__(self) -> str:
        return f"Player({', '.join(f'{name}={value}' for name, value in self.values.items())})"

    def _repr_mimebundle_(self, **options) -> dict:
        still = b64encode(self.image.value).decode()
        bundle = {f"image/{self.image.format}": still, "text/plain": repr(self)}
        return self.box._repr_mimebundle_(**options) | bundle
