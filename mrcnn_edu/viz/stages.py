"""One image through a whole network: every stage of a detection in one picture."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from mrcnn_edu.detections import predicted_masks
from mrcnn_edu.images import size_of
from mrcnn_edu.trace import Trace
from mrcnn_edu.viz.anchors import anchors_at
from mrcnn_edu.viz.draw import draw_boxes, draw_image, draw_map, pale_image
from mrcnn_edu.viz.instances import draw_instances
from mrcnn_edu.viz.maps import tile_maps
from mrcnn_edu.viz.picture import Picture, panel_height
from mrcnn_edu.viz.style import (
    HIGHLIGHT,
    INK,
    LABEL,
    LIGHT,
    OTHER_COLORS,
    SMALL,
    TITLE,
    class_color,
)

WIDTH = 2.0  # of a panel, in units of 72 pixels
PROPOSALS, REGIONS = 10, 4  # how many proposals and regions are shown
AROUND = 2.6  # the width of what is shown around a box, in widths of the box
SMOOTH = 5  # pixels along a side of the squares that maps of gradients are averaged over


def show_stages(model: Any, image: Tensor, min_score: float = 0.5) -> Picture:
    """An image [C, H, W] in 0..1 through all stages of a Mask R-CNN, in eight panels.

    Its input after resizing and padding; anchors of each level around the best region; objectness;
    the best ten proposals; features, class scores and masks of the best four regions; and the
    detections with at least `min_score`. The regions are the best detections, whatever their
    scores, or else the best proposals. Works for any checkpoint with a mask head or without one.
    """
    trace = model.trace([image])
    shape = size_of(trace.batch.images)
    height = panel_height(WIDTH, max(shape[0] / shape[1], 0.6), lines=2)
    picture = Picture(4 * WIDTH, 2 * height)
    panels = picture.subplots(2, 4).ravel().tolist()
    pixels = _input_pixels(model, trace)
    selected, proposals = trace.selected[0], trace.proposals[0]
    boxes = (selected.boxes if len(selected.boxes) else proposals.boxes)[:REGIONS]
    _draw_input(panels[0], pixels, trace)
    _draw_anchors(panels[1], pixels, trace, boxes)
    _draw_objectness(panels[2], pixels, trace)
    n = min(PROPOSALS, len(proposals.boxes))
    draw_image(panels[3], pixels, f"4. the best {n} of\n{len(proposals.boxes)} proposals")
    draw_boxes(panels[3], proposals.boxes[:n], "proposal", 1.5)
    _draw_features(panels[4], trace)
    _draw_scores(panels[5], trace, model.classes)
    _draw_masks(panels[6], model, trace)
    detections = trace.detections[0]
    shown = detections[detections.scores >= min_score]
    title = f"8. {len(shown)} detections\nwith scores ≥ {min_score:g}"
    objects = shown.boxes.cpu(), shown.labels.cpu(), None if shown.masks is None else shown.masks
    draw_instances(panels[7], image, *objects, model.classes, shown.scores.cpu(), title)
    return picture


def _input_pixels(model: Any, trace: Trace) -> Tensor:
    """What the network sees, as an image [3, H, W] in 0..1: the padding has the mean color."""
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (model.config.pixel_mean, model.config.pixel_std)
    )
    return (trace.batch.images[0].cpu().float() * std + mean).clamp(0, 1)


def _draw_input(axes: Axes, pixels: Tensor, trace: Trace) -> None:
    """The input, and a line around what of it is the image."""
    (height, width), (padded_height, padded_width) = trace.batch.sizes[0], size_of(pixels)
    original_height, original_width = trace.batch.original_sizes[0]
    title = f"1. {original_width} × {original_height}, resized to\n{width} × {height}"
    if (height, width) != (padded_height, padded_width):
        title += f", padded to {padded_width} × {padded_height}"
    draw_image(axes, pixels, title)
    edge = [0, width, width, 0, 0], [0, 0, height, height, 0]
    axes.plot(*edge, color=INK, linewidth=1, linestyle=(0, (4, 3)))


def _draw_anchors(axes: Axes, pixels: Tensor, trace: Trace, boxes: Tensor) -> None:
    """The anchors of each level at the location nearest to the best region's center."""
    n = sum(len(level) for level in trace.anchors)
    draw_image(axes, pixels, f"2. {n:,} anchors; those\nof one location a level")
    height, width = trace.batch.sizes[0]
    center = (width / 2, height / 2)
    if len(boxes):
        x1, y1, x2, y2 = boxes[0].tolist()
        center = (x1 + x2) / 2, (y1 + y2) / 2
    for i, (level, features) in enumerate(zip(trace.anchors, trace.features, strict=True)):
        k = len(level) // (features.shape[2] * features.shape[3])
        near = anchors_at(level.cpu(), center, k)
        draw_boxes(axes, near, OTHER_COLORS[i % len(OTHER_COLORS)], 1.2, line="--")
    axes.set(xlim=(0, pixels.shape[2]), ylim=(pixels.shape[1], 0))


def _draw_objectness(axes: Axes, pixels: Tensor, trace: Trace) -> None:
    """The best objectness at each location, of all its anchors and of all levels."""
    values, start, size = [], 0, size_of(pixels)
    for level, features in zip(trace.anchors, trace.features, strict=True):
        scores = trace.objectness[0, start : start + len(level)].sigmoid()
        start += len(level)
        best = scores.view(*size_of(features), -1).amax(dim=-1)
        values.append(interpolate(best[None, None].cpu().float(), size=size, mode="nearest")[0, 0])
    highest = torch.stack(values).amax(dim=0)
    draw_map(axes, highest, "3. objectness,\nfrom 0 to 1", high=1)
    axes.images[0].set_extent((0, size[1], size[0], 0))


def _draw_features(axes: Axes, trace: Trace) -> None:
    """The length of the feature vector in each bin of the best regions."""
    features = trace.roi_features if trace.mask_features is None else trace.mask_features
    features = features if len(features) else trace.roi_features
    lengths = features[:REGIONS].norm(dim=1).cpu()  # [n, P, P]
    side = lengths.shape[-1]
    title = f"5. RoI features, {side} × {side},\nof the best {len(lengths)} regions"
    relative = lengths / lengths.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9)
    draw_map(axes, _tiled(relative), title, high=1)


def _draw_scores(axes: Axes, trace: Trace, classes: Sequence[str]) -> None:
    """The scores of the best regions, with their labels."""
    axes.set_title("6. class scores", fontsize=TITLE)
    selected = trace.selected[0]
    scores = selected.scores[:REGIONS].tolist()
    labels = selected.labels[:REGIONS].tolist()
    for row, (score, label) in enumerate(zip(scores, labels, strict=True)):
        axes.barh(row, score, color=class_color(label), height=0.45)
        axes.text(
            0.02, row - 0.46, f"{row + 1}: {classes[label - 1]} {score:.2f}", va="center",
            fontsize=SMALL,
        )  # fmt: skip
    if not scores:
        axes.text(0.5, 0.5, "no score reaches\nthe threshold", ha="center", fontsize=LABEL)
    axes.set(xlim=(0, 1), xticks=(0, 0.5, 1), yticks=[], ylim=(REGIONS - 0.4, -0.8))
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_masks(axes: Axes, model: Any, trace: Trace) -> None:
    """The mask probabilities of the best regions, each for its own label."""
    if trace.mask_logits is None or len(trace.mask_logits) == 0:
        axes.set_title("7. no masks", fontsize=TITLE)
        axes.axis("off")
        return
    labels, config = trace.selected[0].labels[:REGIONS], model.config
    probs = predicted_masks(
        trace.mask_logits[:REGIONS], model.mask_channels(labels), config.mask_loss,
        config.mask_decoding,
    ).cpu()  # fmt: skip
    side = probs.shape[-1]
    draw_map(axes, _tiled(probs), f"7. masks, {side} × {side},\nfrom 0 to 1", high=1)


def _tiled(maps: Tensor) -> Tensor:
    """Up to four maps [n, h, w] as one, two by two, in reading order; missing ones are empty."""
    filled = torch.full((REGIONS, *maps.shape[1:]), torch.nan)
    filled[: len(maps)] = maps.float()
    return tile_maps(filled.unflatten(0, (2, 2)))


def show_gradients(
    image: Tensor, rows: Sequence[tuple[Tensor, dict[str, Tensor]]], chosen: str = ""
) -> Picture:
    """Which pixels decided: a row for each box [4], with its gradients, title -> [H, W].

    Each panel shows the surroundings of the box. It is black where the gradient is 0 and light
    where it is largest in that panel, after `smoothed`. chosen: a title that is highlighted.
    """
    titles = list(rows[0][1])
    width = min(WIDTH, 10 / (1 + len(titles)))
    picture = Picture(width * (1 + len(titles)), len(rows) * panel_height(width, 1))
    panels = picture.subplots(len(rows), 1 + len(titles), squeeze=False)
    for (first, *others), (box, maps) in zip(panels, rows, strict=True):
        draw_image(first, image, "the image")
        pale_image(first)
        draw_boxes(first, box[None], "detection", 1.5)
        x1, y1, x2, y2 = box.tolist()
        x, y, half = (x1 + x2) / 2, (y1 + y2) / 2, AROUND * max(x2 - x1, y2 - y1) / 2
        for axes, title in zip(others, titles, strict=True):
            draw_map(axes, smoothed(maps[title]), title)
            axes.images[0].set_extent((0, image.shape[2], image.shape[1], 0))
            ring = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
            axes.plot(*ring, color="white", linewidth=1)
            if title == chosen:
                axes.title.set(color=HIGHLIGHT, weight="bold")
        for axes in (first, *others):
            axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half), facecolor=LIGHT)
    return picture


def smoothed(values: Tensor) -> Tensor:
    """A map [H, W] whose values are means over squares of 5 x 5 pixels, as far as they reach."""
    padded = values[None, None]
    return avg_pool2d(padded, SMOOTH, stride=1, padding=SMOOTH // 2, count_include_pad=False)[0, 0]
