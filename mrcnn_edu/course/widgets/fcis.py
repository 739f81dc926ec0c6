"""Lesson 13, FCIS against Mask R-CNN: its widget."""

from collections.abc import Mapping
from typing import Any

from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.ancestors.overlaps import two_objects
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.outlines import TEMPLATES
from mrcnn_edu.viz import Picture

DISTANCES = range(8, 57, 4)  # pixels
SEEDS = range(1, 5)  # of the scenes


def fcis_player(models: Mapping[str, Any], behind: str = "square", front: str = "square") -> Player:
    """Two objects that slide over one another, and what each model detects.

    models: name -> a model of the synthetic scenes' classes, with `detect`. behind, front: the
    objects' templates. Everything is detected beforehand.
    """
    scenes = {seed: [two_objects(behind, front, d, seed=seed) for d in DISTANCES] for seed in SEEDS}
    detections = {
        (name, seed): model.detect([image for image, _ in items])
        for name, model in models.items()
        for seed, items in scenes.items()
    }

    def draw(distance: int, scene: int) -> Picture:
        index = DISTANCES.index(distance)
        image, target = scenes[scene][index]
        picture = Picture(9.8, 3.5)
        left, *others = picture.subplots(1, 1 + len(models))
        objects = target["boxes"], target["labels"], target["masks"]
        viz.draw_instances(left, image, *objects, TEMPLATES, title="ground truth")
        for axes, name in zip(others, models, strict=True):
            d = detections[name, scene][index]
            d = d[d.scores > 0.3]
            objects = d.boxes, d.labels, d.masks
            viz.draw_instances(axes, image, *objects, TEMPLATES, d.scores, name)
        return picture

    return Player(
        draw,
        distance=IntSlider(
            20, DISTANCES[0], DISTANCES[-1], DISTANCES.step, description="distance, px"
        ),
        scene=IntSlider(3, SEEDS[0], SEEDS[-1]),
    )
