"""Lesson 09, the mask loss: its widget."""

from collections.abc import Mapping

import torch
from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.outlines import TEMPLATES
from mrcnn_edu.data.shapes import morph
from mrcnn_edu.detections import predicted_masks
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture

STEP = 5  # percent


def mask_player(
    models: Mapping[str, MaskRCNN], first: str = "star", second: str = "cross"
) -> Player:
    """An object between two classes, and both classes' masks as each model predicts them.

    models: name -> a model of the synthetic scenes' classes. Everything is computed beforehand.
    """
    labels = {name: TEMPLATES.index(name) + 1 for name in (first, second)}
    scenes = [morph(first, second, percent / 100) for percent in range(0, 101, STEP)]
    logits = {
        name: [model.predict_on_boxes(image, target["boxes"]) for image, target in scenes]
        for name, model in models.items()
    }

    def draw(percent: int) -> Picture:
        i = percent // STEP
        picture = Picture(10, 2.25)
        left, right = picture.subplots(1, 2, width_ratios=(1, 4.4))
        viz.draw_image(left, scenes[i][0], f"{100 - percent} % {first}, {percent} % {second}")
        viz.draw_boxes(left, scenes[i][1]["boxes"], "gt")
        maps = {}
        for model_name, model in models.items():
            class_logits, mask_logits = logits[model_name][i]
            assert mask_logits is not None
            scores = class_logits.softmax(dim=1)[0]
            for name, label in labels.items():
                channel = model.mask_channels(torch.tensor([label]))
                probs = predicted_masks(mask_logits, channel, model.config.mask_loss)[0]
                maps[f"{model_name}: {name}\nclass score {scores[label]:.2f}"] = probs
        viz.draw_row(right, maps, 1)
        return picture

    return Player(draw, percent=IntSlider(30, 0, 100, STEP, description=f"% {second}"))
