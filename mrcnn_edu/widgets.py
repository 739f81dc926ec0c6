"""Widgets: sliders over the pictures of `viz`. Where nothing runs they are a still picture."""

from base64 import b64encode
from collections.abc import Callable

import ipywidgets
from ipywidgets import IntSlider

from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture, show_detections


class Player:
    """Sliders, and the picture that is drawn anew whenever one moves.

    draw: takes the sliders' values by name and returns a Picture. sliders: any widgets with a
    `value`. In a notebook the last line of a cell shows it; `player.sliders["seed"].value = 3`
    moves a slider from code, `player.picture` is what is seen.
    """

    def __init__(self, draw: Callable[..., Picture], **sliders: ipywidgets.Widget):
        self.draw, self.sliders = draw, sliders
        self.image = ipywidgets.Image()
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
        self.image.format = self.picture.format
        self.image.value = self.picture.encoded()
        width = self.picture.get_figwidth() * self.picture.dpi
        self.image.layout.width = f"{width:.0f}px"  # or JupyterLab stretches it

    def __repr__(self) -> str:
        return f"Player({', '.join(f'{name}={value}' for name, value in self.values.items())})"

    def _repr_mimebundle_(self, **options) -> dict:
        still = b64encode(self.image.value).decode()
        bundle = {f"image/{self.image.format}": still, "text/plain": repr(self)}
        return self.box._repr_mimebundle_(**options) | bundle


def scene_player(model: MaskRCNN, score_threshold: float = 0.5) -> Player:
    """A scene of the reader's own, by seed, number and size of its objects, and what is found."""

    def draw(seed: int, number: int, size: int) -> Picture:
        share = size / 100
        scenes = Shapes(1, seed=seed, n_objects=(number, number), object_size=(share, share))
        image, target = scenes[0]
        found = model.detect([image])[0]
        found = found[found.scores >= score_threshold]
        return show_detections(image, found, scenes.classes, target)

    return Player(
        draw,
        seed=IntSlider(4, 0, 50, continuous_update=False),
        number=IntSlider(4, 0, 10, continuous_update=False),
        size=IntSlider(30, 8, 60, description="size, %", continuous_update=False),
    )
