"""What each stage of Mask R-CNN computes, drawn onto the enlarged image of a scene.

Every drawing takes the axes and its progress, from 0 (as the stage before left it) to 1.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D
from torch import Tensor
from traced_scene import TracedScene

from mrcnn_edu.boxes import box_area
from mrcnn_edu.viz import (
    GRAY,
    ROLES,
    bins_read,
    class_color,
    draw_boxes,
    draw_image,
    draw_objects,
    paled,
)
from mrcnn_edu.viz.instances import paint_objects

PLANE = ((0.68, -0.26, 0), (0, 0.19, 0), (0, 0, 1))  # how a map lies in the pyramid
LEFT, FLOOR, RISE = 0.29, 0.78, 0.188  # where it lies, as fractions of the scene's side
MIDDLE = 3 * 6 + 3  # the position in the middle of a map of 6 x 6
BINS = 7  # of a RoI, along each side


class StageDrawings:
    """The drawings of one scene's stages."""

    def __init__(self, scene: TracedScene):
        self.scene = scene
        self.side = scene.large.shape[-1]
        self.pale = paled(scene.large)
        self.colors = feature_colors(scene.features)

    def result(self, axes: Axes, _progress: float) -> None:
        s = self.scene
        draw_image(axes, paint_objects(s.large, s.masks, s.labels), is_paled=True)
        draw_objects(axes, s.boxes, s.labels, s.masks, s.classes, s.scores)

    def image(self, axes: Axes, progress: float) -> None:
        draw_image(
            axes, torch.lerp(self.scene.large, self.scene.pixelated, progress), is_paled=True
        )

    def features(self, axes: Axes, progress: float) -> None:
        """The image tilts, and the maps of the pyramid rise from it."""
        draw_image(axes, torch.ones(3, self.side, self.side), is_paled=True)
        for i, pixels in enumerate((self.scene.pixelated, *self.colors)):
            place = self._tilted(i, progress) + axes.transData
            shown = axes.imshow(
                pixels.permute(1, 2, 0).numpy(), extent=(0, self.side, self.side, 0),
                interpolation="nearest", alpha=1 if i == 0 else progress, zorder=2 * i,
            )  # fmt: skip
            shown.set_transform(place)
            frame = Rectangle((0, 0), self.side, self.side, fill=False, edgecolor="white")
            frame.set(linewidth=1.2, alpha=progress, zorder=2 * i + 1, transform=place)
            axes.add_artist(frame)
        axes.set(xlim=(0, self.side), ylim=(self.side, 0))

    def _tilted(self, i: int, progress: float) -> Affine2D:
        """Where plane i of the pyramid lies: flat on the image at 0, in its place at 1."""
        end = np.array(PLANE)
        end[:2, 2] = self.side * np.array([LEFT, FLOOR - i * RISE])
        return Affine2D(np.eye(3) + progress * (end - np.eye(3)))

    def anchors(self, axes: Axes, progress: float) -> None:
        """The three anchors of one level visit all of its positions, and end in the middle."""
        draw_image(axes, self.pale, is_paled=True)
        triples = self.scene.anchors[2].view(-1, 3, 4)  # three at each of 6 x 6 positions
        centers = ((triples[:, 0, :2] + triples[:, 0, 2:]) / 2).numpy()
        last = round(progress * len(triples))
        axes.plot(*centers.T, "o", color=GRAY, markersize=3, zorder=1)
        axes.plot(*centers[: last + 1].T, "o", color=ROLES["anchor"], markersize=5, zorder=1)
        draw_boxes(axes, triples[last if progress < 1 else MIDDLE], "anchor", 2)
        axes.set(xlim=(0, self.side), ylim=(self.side, 0))

    def proposals(self, axes: Axes, progress: float) -> None:
        """The best anchors appear, and then move onto the objects."""
        s = self.scene
        draw_image(axes, self.pale, is_paled=True)
        moved = max(0.0, 2 * progress - 1)
        moved = moved * moved * (3 - 2 * moved)
        boxes = torch.lerp(s.best_anchors, s.moved, moved)
        draw_boxes(axes, boxes, blend("anchor", "proposal", moved), 1)

    def suppression(self, axes: Axes, progress: float) -> None:
        s = self.scene
        draw_image(axes, self.pale, is_paled=True)
        lost = torch.ones(len(s.moved), dtype=torch.bool)
        lost[s.kept] = False
        draw_boxes(axes, s.moved[lost], "proposal", 1)
        for lines in axes.collections:
            lines.set_alpha(1 - progress)
        draw_boxes(axes, s.moved[s.kept], "proposal", 1 + progress)

    def roi_align(self, axes: Axes, progress: float) -> None:
        """The grid of one RoI after the other, with the points that RoIAlign reads in its bins."""
        draw_image(axes, self.pale, is_paled=True)
        rois = self.scene.sources[box_area(self.scene.sources).argsort()]
        roi = rois[round(progress * (len(rois) - 1))]
        bins, points = bins_read("align", roi, stride=1, output_size=BINS)
        draw_boxes(axes, bins, "proposal", 0.8)
        axes.plot(*points.T.numpy(), "o", color=ROLES["proposal"], markersize=2, zorder=3)

    def class_and_box(self, axes: Axes, progress: float) -> None:
        """One proposal of each object becomes its box, in its class's color; the others go."""
        s = self.scene
        draw_image(axes, self.pale, is_paled=True)
        boxes = torch.lerp(s.sources, s.boxes, progress)
        if progress == 1:
            draw_objects(axes, boxes, s.labels, None, s.classes, s.scores)
            return
        draw_boxes(axes, s.moved[s.kept], "proposal", 2)
        for lines in axes.collections:
            lines.set_alpha(1 - progress)
        colors = [blend("proposal", class_color(int(label)), progress) for label in s.labels]
        draw_boxes(axes, boxes, colors, 2)

    def mask(self, axes: Axes, progress: float) -> None:
        """The mask head's values appear in each box."""
        s = self.scene
        draw_image(axes, self.pale, is_paled=True)
        for box, label, probs in zip(s.boxes, s.labels, s.mask_probs, strict=True):
            x1, y1, x2, y2 = box.tolist()
            pixels = torch.tensor(to_rgb(class_color(int(label)))).expand(*probs.shape, 3)
            pixels = torch.cat((pixels, 0.85 * progress * probs[..., None]), dim=2)
            axes.imshow(pixels.numpy(), extent=(x1, x2, y2, y1), interpolation="nearest", zorder=1)
        axes.set(xlim=(0, self.side), ylim=(self.side, 0))
        draw_objects(axes, s.boxes, s.labels, None, s.classes, s.scores)


def feature_colors(levels: list[Tensor]) -> list[Tensor]:
    """Colors [3, h, w] of feature maps [C, h, w]: their first three principal components."""
    rows = torch.cat([level.flatten(1).T for level in levels])  # [positions, C]
    mean, std = rows.mean(dim=0), rows.std(dim=0) + 1e-6
    _, _, directions = torch.linalg.svd((rows - mean) / std, full_matrices=False)
    colors = []
    for level in levels:
        c = ((level.flatten(1).T - mean) / std) @ directions[:3].T
        low, high = c.quantile(0.02, dim=0), c.quantile(0.98, dim=0)
        c = ((c - low) / (high - low)).clamp(0, 1).T.unflatten(1, level.shape[1:])
        colors.append(0.25 + 0.7 * c)  # neither as dark nor as garish as full colors
    return colors


def blend(first: str, second: str, fraction: float) -> str:
    """The color between two roles or colors, as a hexadecimal name."""
    a, b = (to_rgb(ROLES.get(name, name)) for name in (first, second))
    mixed = [round(255 * ((1 - fraction) * p + fraction * q)) for p, q in zip(a, b, strict=True)]
    return "#" + "".join(f"{value:02X}" for value in mixed)
