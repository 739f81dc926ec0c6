"""Milliseconds from a slider's move to the new picture, in Python: python benchmarks/players.py

Prints the median and the maximum of 20 moves of each widget of the course; the goal is a median of
100 ms. `python tests/browser.py NOTEBOOK PICTURE` measures the time in the browser as well.
"""

import statistics
import time

import torch

from mrcnn_edu import ancestors, load
from mrcnn_edu.course import widgets
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all


def start_here():
    return widgets.scene_player(load("shapes-tiny"))


def annotations():
    return widgets.region_player()


def anchors():
    scenes = Shapes(60, seed=1)
    boxes = torch.cat([scenes[i][1]["boxes"] for i in range(60)])
    return widgets.anchor_player(scenes[1][0], boxes, (12, 24, 48, 72), (4, 8, 16))


def roi_align():
    model, (image, target) = load("shapes-tiny"), Shapes(240, seed=1)[239]
    return widgets.two_objects_player(model, image, target["boxes"][1:3], model.classes)


def mask_loss():
    names = {"sigmoid": "shapes-tiny", "softmax": "shapes-tiny-softmax"}
    return widgets.mask_player({loss: load(name) for loss, name in names.items()})


def boxes():
    return widgets.nms_player(load("shapes-tiny"), *Shapes(300, seed=1)[259])


def rpn():
    model, scenes = load("shapes-tiny"), Shapes(10, seed=1)
    traces = [model.trace([scenes[i][0]]) for i in range(10)]
    return widgets.rpn_player(scenes, traces, shown=1)


def training():
    image, target = Shapes(1, seed=13)[0]
    generator = torch.Generator().manual_seed(0)
    corners = 60 * torch.rand(100, 2, generator=generator)
    near = target["boxes"].repeat(8, 1)
    near = near + 2 * torch.randn(near.shape, generator=generator)
    proposals = torch.cat((near, torch.cat((corners, corners + 30), dim=1)))
    return widgets.training_player(image, target, proposals)


def gallery():
    return widgets.gallery_player()


def average_precision():
    scenes = Shapes(60, seed=1)
    detections = detect_all(load("shapes-tiny"), scenes)
    return widgets.average_precision_player(scenes, detections, scene=28)


def history():
    systems = {"R-CNN": ancestors.load("rcnn"), "Fast R-CNN": ancestors.load("fast-rcnn")}
    image, target = Shapes(100, seed=5)[58]
    proposals = ancestors.selective_search(image, n=100)
    return widgets.history_player(systems, image, target, proposals)


def heads():
    return widgets.heads_player()


def backbone():
    return widgets.backbone_player((4, 8, 16), 80)


def fcis():
    names = {"FCIS": "fcis", "Mask R-CNN": "mask-rcnn"}
    return widgets.fcis_player({title: ancestors.load(name) for title, name in names.items()})


def cost():
    parts = {"image": 88e9, "crop": 7e9, "RPN": 32e9, "box head": 14e6, "mask head": 5e8}
    return widgets.cost_player(parts)


def gpu():
    return widgets.gpu_player({"3 x 3": (18e9, 8.4e6), "box head": (13e9, 20e6)})


def queue():
    return widgets.queue_player()


PLAYERS = [
    start_here,
    annotations,
    boxes,
    history,
    backbone,
    anchors,
    rpn,
    roi_align,
    heads,
    mask_loss,
    training,
    gallery,
    average_precision,
    fcis,
    gpu,
    queue,
    cost,
]


def moved(slider):
    """Another value that the slider can take."""
    if hasattr(slider, "options"):
        n = len(slider.options)
        return slider.options[(slider.index + (4 % n or 1)) % n]
    if hasattr(slider, "base"):  # the slider runs along the exponent
        return slider.base**slider.min if slider.value > 1 else slider.base**slider.max
    step = getattr(slider, "step", 1)
    at_the_end = slider.value + 4 * step > slider.max
    return slider.value - 4 * step if at_the_end else slider.value + 4 * step


def ends(slider) -> tuple:
    """The first and the last value that the slider can take."""
    if hasattr(slider, "options"):
        return slider.options[0], slider.options[-1]
    low, high = slider.min, slider.max
    return (slider.base**low, slider.base**high) if hasattr(slider, "base") else (low, high)


def milliseconds(player, moves: int = 20) -> list[float]:
    """The time of each move, of the player's sliders in turn."""
    times, sliders = [], list(player.sliders.values())
    for i in range(moves):
        slider = sliders[i % len(sliders)]
        value = moved(slider)
        start = time.perf_counter()
        slider.value = value
        player.wait()
        times.append(1000 * (time.perf_counter() - start))
    return times


def main() -> None:
    for make in PLAYERS:
        times = milliseconds(make())
        print(f"{make.__name__:12} {statistics.median(times):4.0f} ms (slowest {max(times):4.0f})")


if __name__ == "__main__":
    main()
