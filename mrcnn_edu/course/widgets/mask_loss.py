"""Lesson 09, the mask loss: its widget."""

import torch
from ipywidgets import IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.shapes import TEMPLATES, morph
from mrcnn_edu.detections import predicted_masks
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.viz import Picture


def mask_player(models: dict[str, MaskRCNN], first: str = "star", second: str = "cross") -> Player:
    """An object between two classes, and both classes' masks, by each of the models.

    models: name -> a model of the scenes' classes. Everything is computed beforehand.
    """
    names = {name: TEMPLATES.index(name) + 1 for name in (first, second)}
    scenes = [morph(first, second, share / 100) for share in range(0, 101, 5)]
    looks = {
        name: [model.predict_on_boxes(image, target["boxes"]) for image, target in scenes]
        for name, model in models.items()
    }

    def draw(share: int) -> Picture:
        i = share // 5
        picture = Picture(10, 2.7)
        left, right = picture.subplots(1, 2, width_ratios=(1, 4.4))
        viz.draw_image(left, scenes[i][0], f"{100 - share} % {first}, {share} % {second}")
        viz.draw_boxes(left, scenes[i][1]["boxes"], "truth")
        maps = {}
        for model_name, model in models.items():
            class_logits, mask_logits = looks[model_name][i]
            scores = class_logits.softmax(dim=1)[0]
            for name, label in names.items():
                channel = model.mask_channels(torch.tensor([label]))
                probs = predicted_masks(mask_logits, channel, model.config.mask_loss)[0]
                maps[f"{model_name}: {name}\nclass score {scores[label]:.2f}"] = probs
        viz.draw_row(right, maps, 1)
        return picture

    return Player(draw, share=IntSlider(30, 0, 100, 5, description=f"% {second}"))
