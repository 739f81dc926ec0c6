"""Lesson 00, a scene: its widget."""

from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture


def scene_player(model: MaskRCNN, score_threshold: float = 0.5) -> Player:
    """A scene by seed, number and size of its objects, and the detections in it."""

    def draw(seed: int, number: int, size: int) -> Picture:
        fraction = size / 100
        extent = fraction, fraction
        scenes = Shapes(
            1, 96, seed, n_objects=(number, number), object_size=extent, noise=0, render_size=384
        )
        image, target = scenes[0]  # 384 x 384 pixels, of which the network sees 96 x 96
        detections = model.detect([image])[0]
        detections = detections[detections.scores >= score_threshold]
        return viz.show_detections(image, detections, scenes.classes, target, width=3.2)

    return Player(
        draw,
        seed=IntSlider(36, 0, 50, continuous_update=False),
        number=IntSlider(5, 0, 10, continuous_update=False),
        size=IntSlider(30, 8, 60, description="size, %", continuous_update=False),
    )
