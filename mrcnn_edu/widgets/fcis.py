"""Lesson 13, FCIS against Mask R-CNN: its widget."""

from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.ancestors.overlaps import two_objects
from mrcnn_edu.data.shapes import TEMPLATES
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture
from mrcnn_edu.widgets.player import Player


def fcis_player(
    models: dict[str, MaskRCNN], behind: str = "square", front: str = "square"
) -> Player:
    """Two objects that slide over one another, and what each of the models finds there.

    models: name -> a model of the scenes' classes, with `detect`. behind, front: the templates.
    """

    def draw(distance: int, seed: int) -> Picture:
        image, target = two_objects(behind, front, distance, seed=seed)
        picture = Picture(9.8, 3.5)
        left, *others = picture.subplots(1, 1 + len(models))
        objects = target["boxes"], target["labels"], target["masks"]
        viz.draw_instances(left, image, *objects, TEMPLATES, title="truth")
        for axes, (name, model) in zip(others, models.items(), strict=True):
            (found,) = model.detect([image])
            found = found[found.scores > 0.3]
            objects = found.boxes, found.labels, found.masks
            viz.draw_instances(axes, image, *objects, TEMPLATES, found.scores, name)
        return picture

    return Player(
        draw,
        distance=IntSlider(24, 8, 56, 2, description="distance, px"),
        seed=IntSlider(3, 0, 19, description="scene"),
    )
