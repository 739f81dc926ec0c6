"""An image with its detections at full size, for a file of its own."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from torch import Tensor

from mrcnn_edu.detections import Detections
from mrcnn_edu.images import Size, size_of
from mrcnn_edu.viz.draw import as_rgb
from mrcnn_edu.viz.instances import draw_objects, paint_objects
from mrcnn_edu.viz.keypoints import PLAIN, Skeleton
from mrcnn_edu.viz.picture import MATPLOTLIB, Picture

LONG_SIDE = 600  # pixels, at least: smaller images are enlarged
USUAL_SIDE, USUAL_DPI = 800, 108  # of a square image with text of usual size; it grows from there


def full_size_png(
    image: Tensor,
    detections: Detections,
    classes: Sequence[str],
    skeleton: Skeleton = PLAIN,
) -> bytes:
    """A PNG of an image [C, H, W] with its detections and nothing around it: no pixel is lost.

    It is paled if there are detections. Small images are enlarged. Text and lines grow with the
    image, so that they can be read where all of it is seen at once. skeleton: of keypoints.
    """
    size, d = size_of(image), detections
    painted = paint_objects(image, d.masks, d.labels) if len(d) else as_rgb(image).clamp(0, 1)
    pixels = painted.mul(255).round().byte().permute(1, 2, 0)
    scale = ceil(LONG_SIDE / max(size))
    pixels = pixels.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    picture = Image.fromarray(pixels.numpy()).convert("RGBA")
    # Drawn separately, because Matplotlib takes ten times as long for a photograph's pixels.
    picture.alpha_composite(_lines_and_names(d, classes, skeleton, size, scale))
    file = BytesIO()
    picture.convert("RGB").save(file, "png")
    return file.getvalue()


def _lines_and_names(
    d: Detections, classes: Sequence[str], skeleton: Skeleton, size: Size, scale: int
) -> Image.Image:
    """What is drawn onto an enlarged image, on a transparent ground."""
    height, width = size
    dpi = USUAL_DPI * max(1, scale * sqrt(height * width) / USUAL_SIDE)
    margin = 0.01  # of a pixel, because Matplotlib rounds down
    figure = Picture((scale * width + margin) / dpi, (scale * height + margin) / dpi)
    figure.set_layout_engine("none")
    figure.set_dpi(dpi)
    figure.set_facecolor("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    draw_objects(axes, d.boxes, d.labels, d.masks, classes, d.scores, d.keypoints, skeleton)
    canvas = FigureCanvasAgg(figure)
    with MATPLOTLIB:
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba()))
