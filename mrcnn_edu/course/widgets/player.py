"""The player: sliders over a picture. Where no kernel runs, it is a still picture."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import ipywidgets
from matplotlib.transforms import Bbox

from mrcnn_edu.viz import Picture


class Player:
    """Sliders, and a picture that is redrawn whenever one of them moves.

    draw: a function of the sliders' values, by name, that returns a Picture. sliders: any widgets
    with a `value`. In a notebook, a player at the end of a cell shows itself.
    `player.sliders["seed"].value = 3` moves a slider from code, and `player.picture` is the
    current picture.
    """

    picture: Picture

    def __init__(self, draw: Callable[..., Picture], **sliders: Any):
        self.draw, self.sliders = draw, sliders
        self.image = ipywidgets.Image()
        self.positions: list[Bbox] = []  # of the axes: computed for the first picture, then reused
        self.update()
        for name, slider in sliders.items():
            slider.description = slider.description or name.replace("_", " ")
            slider.observe(self.update, "value")
        self.box = ipywidgets.VBox([*sliders.values(), self.image])

    @property
    def values(self) -> dict:
        """The sliders' values by name."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def update(self, _change: Any = None) -> None:
        """Draw the picture for the sliders' current values."""
        self.picture = self.draw(**self.values)
        self.picture.set_positions(self.positions)
        self.image.format = self.picture.format
        self.image.value = self.picture.encoded()
        self.positions = [axes.get_position() for axes in self.picture.axes]
        width = self.picture.get_figwidth() * self.picture.dpi
        self.image.layout.width = f"{width:.0f}px"  # or JupyterLab stretches it

    def __repr__(self) -> str:
        return f"Player({', '.join(f'{name}={value}' for name, value in self.values.items())})"

    def _repr_mimebundle_(self, **options) -> dict:
        still = b64encode(self.image.value).decode()
        bundle = {f"image/{self.image.format}": still, "text/plain": repr(self)}
        return (self.box._repr_mimebundle_(**options) or {}) | bundle
