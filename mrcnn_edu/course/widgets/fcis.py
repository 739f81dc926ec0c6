"""Lesson 13, FCIS against Mask R-CNN: its widget."""

from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.ancestors.overlaps import two_objects
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.shapes import TEMPLATES
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture

DISTANCES = range(8, 57, 4)  # pixels
SCENES = range(1, 5)


def fcis_player(
    models: dict[str, MaskRCNN], behind: str = "square", front: str = "square"
) -> Player:
    """Two objects that slide over one another, and what each of the models finds there.

    models: name -> a model of the scenes' classes, with `detect`. behind, front: the templates.
    Everything is found beforehand.
    """
    scenes = {s: [two_objects(behind, front, d, seed=s) for d in DISTANCES] for s in SCENES}
    found = {
        (name, scene): model.detect([image for image, _ in items])
        for name, model in models.items()
        for scene, items in scenes.items()
    }

    def draw(distance: int, scene: int) -> Picture:
        place = DISTANCES.index(distance)
        image, target = scenes[scene][place]
        picture = Picture(9.8, 3.5)
        left, *others = picture.subplots(1, 1 + len(models))
        objects = target["boxes"], target["labels"], target["masks"]
        viz.draw_instances(left, image, *objects, TEMPLATES, title="truth")
        for axes, name in zip(others, models, strict=True):
            d = found[name, scene][place]
            d = d[d.scores > 0.3]
            objects = d.boxes, d.labels, d.masks
            viz.draw_instances(axes, image, *objects, TEMPLATES, d.scores, name)
        return picture

    return Player(
        draw,
        distance=IntSlider(
            20, DISTANCES[0], DISTANCES[-1], DISTANCES.step, description="distance, px"
        ),
        scene=IntSlider(3, SCENES[0], SCENES[-1]),
    )
