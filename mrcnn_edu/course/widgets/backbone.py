"""Lesson 04, backbone and pyramid: its widget."""

from ipywidgets import IntSlider
from torch.nn.functional import avg_pool2d

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.roi_ops import pyramid_level
from mrcnn_edu.viz import Picture

IMAGE_SIZE = 160  # pixels; a multiple of each stride
SMALLEST, LARGEST = 8, 128  # pixels of the object


def backbone_player(strides: tuple[int, ...], canonical_size: int) -> Player:
    """An object of any size at the resolution of each level, and the level that it is read from.

    Each grid cell of a level has the average color of its pixels. canonical_size: where its slider
    begins.
    """

    def redraw(size: int, canonical: int, scene: int) -> Picture:
        fraction = size / IMAGE_SIZE
        settings = {"size": IMAGE_SIZE, "seed": scene, "n_objects": (1, 1), "noise": 0.0}
        image, target = Shapes(1, object_size=(fraction, fraction), **settings)[0]
        (box,) = target["boxes"]
        level = int(pyramid_level(box[None], strides, canonical))
        width, height = (box[2:] - box[:2]).tolist()
        picture, (first, *panels) = viz.row(1 + len(strides), 2.4, lines=2)
        viz.draw_image(first, image, f"the object:\n{width:.0f} × {height:.0f} pixels")
        for i, (axes, stride) in enumerate(zip(panels, strides, strict=True)):
            cells = f"{width / stride:.1f} × {height / stride:.1f} grid cells"
            viz.draw_image(axes, avg_pool2d(image, stride), f"stride {stride}:\n{cells}")
            if i == level:
                axes.spines[:].set(color=viz.HIGHLIGHT, linewidth=3.5)
                axes.title.set_color(viz.HIGHLIGHT)
        return picture

    return Player(
        redraw,
        size=IntSlider(36, SMALLEST, LARGEST, 2, description="size, px"),
        canonical=IntSlider(canonical_size, 40, 224, 8, description="canonical"),
        scene=IntSlider(87, 50, 90, description="scene"),
    )
