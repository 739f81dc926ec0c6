"""Lesson 15, which pixels decided: a detection to click, and the gradients of its outputs."""

from base64 import b64encode
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from PIL import Image
from torch import Tensor
from traitlets import Dict, Int, List, TraitError, Unicode, validate

from mrcnn_edu import viz
from mrcnn_edu.course.gradients import OUTPUTS, fraction_within, input_gradients
from mrcnn_edu.course.widgets.touch import Touchable, read_script
from mrcnn_edu.viz import Picture

MOST = 8  # detections whose gradients are computed
NOTE = "A detection, and the pixels whose brightness would change its class score, box or mask."


class InputGradients(Touchable):
    """Detections to click, and the input gradients of each one's class score, box and mask.

    `detection` is the index of the detection and `output` one of OUTPUTS; both can be set. All maps
    are computed beforehand, so that a click needs no kernel. `maps` holds the maps [H, W] of each
    detection by output.
    """

    _esm = read_script("input_gradients")
    boxes = List(List()).tag(sync=True)
    names = List(Unicode()).tag(sync=True)  # of the detections, with their scores
    outputs = List(Unicode()).tag(sync=True)
    urls = List(Dict()).tag(sync=True)  # of each detection: output -> a picture of its map
    inside = List(Dict()).tag(sync=True)  # of each: output -> the fraction of its map in the box
    detection = Int(0).tag(sync=True)
    output = Unicode(OUTPUTS[0]).tag(sync=True)
    remembered = ("detection", "output")
    maps: list[dict[str, Tensor]]

    @validate("detection")
    def _check_detection(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] < len(self.boxes):
            raise TraitError(f"detection is {proposal['value']}: give 0..{len(self.boxes) - 1}")
        return proposal["value"]

    @validate("output")
    def _check_output(self, proposal: dict) -> str:
        if proposal["value"] not in self.outputs:
            names = ", ".join(self.outputs)
            raise TraitError(f"output is {proposal['value']!r}: choose one of {names}")
        return proposal["value"]

    def __repr__(self) -> str:
        return f"InputGradients(detection={self.detection}, output={self.output!r})"

    def picture(self) -> Picture:
        """The chosen detection and the gradients of all its outputs, the chosen one highlighted."""
        box = self.image.new_tensor(self.boxes[self.detection])
        rows = [(box, self.maps[self.detection])]
        return viz.show_gradients(self.image, rows, chosen=self.output)


def gradient_player(model: Any, image: Tensor, min_score: float = 0.5) -> InputGradients:
    """A detection to click: which pixels decide on its class score, its box and its mask?

    image: [C, H, W] in 0..1. Only detections with at least `min_score` are shown, and at most
    eight. Raises ValueError if there is none.
    """
    found = model.detect([image])[0]
    found = found[found.scores >= min_score][:MOST]
    if len(found) == 0:
        raise ValueError(f"the model detects nothing with a score of {min_score} or more")
    boxes, labels = found.boxes.cpu(), found.labels.tolist()
    maps = [input_gradients(model, image, box, k) for box, k in zip(boxes, labels, strict=True)]
    shown = zip(labels, found.scores.tolist(), strict=True)
    widget = InputGradients(
        image,
        NOTE,
        boxes=boxes.tolist(),
        names=[f"{model.classes[label - 1]} {score:.2f}" for label, score in shown],
        outputs=list(maps[0]),
        urls=[{name: heat_url(values) for name, values in of.items()} for of in maps],
        inside=[
            {name: round(fraction_within(values, box), 3) for name, values in of.items()}
            for box, of in zip(boxes, maps, strict=True)
        ],
    )
    widget.maps = maps
    return widget


def heat_url(values: Tensor) -> str:
    """A map [H, W] >= 0 as the data URL of a picture, black at 0 and light at its maximum."""
    values = viz.smoothed(values)
    relative = (values / values.max().clamp(min=1e-12)).numpy()
    colors = matplotlib.colormaps["magma"](relative)[..., :3]
    file = BytesIO()
    Image.fromarray((255 * colors + 0.5).astype(np.uint8)).quantize(64).save(file, "png")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
