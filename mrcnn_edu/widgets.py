"""Widgets: sliders over the pictures of `viz`. Where nothing runs they are a still picture."""

import json
from base64 import b64encode
from collections.abc import Callable

import ipywidgets
import torch
from ipywidgets import FloatLogSlider, FloatSlider, IntSlider
from torch import Tensor

from mrcnn_edu import viz
from mrcnn_edu.anchors import pyramid_anchors, pyramid_grids
from mrcnn_edu.boxes import batched_nms, box_area, box_iou
from mrcnn_edu.data.rle import decode_mask, encode_mask
from mrcnn_edu.data.shapes import TEMPLATES, Shapes, between, draw, morph, template
from mrcnn_edu.detections import Detections, paste_masks, predicted_masks, select_detections
from mrcnn_edu.evaluate import IOU_THRESHOLDS, match_detections, overlap, precision_recall
from mrcnn_edu.model import MaskRCNN, Trace
from mrcnn_edu.roi_ops import OPERATIONS, on_image, pyramid_level
from mrcnn_edu.targets import mask_targets
from mrcnn_edu.viz import Picture


class Player:
    """Sliders, and the picture that is drawn anew whenever one moves.

    draw: takes the sliders' values by name and returns a Picture. sliders: any widgets with a
    `value`. In a notebook the last line of a cell shows it; `player.sliders["seed"].value = 3`
    moves a slider from code, `player.picture` is what is seen.
    """

    def __init__(self, draw: Callable[..., Picture], **sliders: ipywidgets.Widget):
        self.draw, self.sliders = draw, sliders
        self.image = ipywidgets.Image()
        self.places = []  # of the picture's axes: found for the first picture, then kept
        self.update()
        for name, slider in sliders.items():
            slider.description = slider.description or name.replace("_", " ")
            slider.observe(self.update, "value")
        self.box = ipywidgets.VBox([*sliders.values(), self.image])

    @property
    def values(self) -> dict:
        """The sliders' values by name."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def update(self, _change=None) -> None:
        """Draw the picture for the sliders as they stand."""
        self.picture = self.draw(**self.values)
        self.picture.place(self.places)
        self.image.format = self.picture.format
        self.image.value = self.picture.encoded()
        self.places = [axes.get_position() for axes in self.picture.axes]
        width = self.picture.get_figwidth() * self.picture.dpi
        self.image.layout.width = f"{width:.0f}px"  # or JupyterLab stretches it

    def __repr__(self) -> str:
        return f"Player({', '.join(f'{name}={value}' for name, value in self.values.items())})"

    def _repr_mimebundle_(self, **options) -> dict:
        still = b64encode(self.image.value).decode()
        bundle = {f"image/{self.image.format}": still, "text/plain": repr(self)}
        return self.box._repr_mimebundle_(**options) | bundle


def scene_player(model: MaskRCNN, score_threshold: float = 0.5) -> Player:
    """Lesson 00: a scene by seed, number and size of its objects, and what is found in it."""

    def draw(seed: int, number: int, size: int) -> Picture:
        share = size / 100
        scenes = Shapes(1, seed=seed, n_objects=(number, number), object_size=(share, share))
        image, target = scenes[0]
        found = model.detect([image])[0]
        found = found[found.scores >= score_threshold]
        return viz.show_detections(image, found, scenes.classes, target)

    return Player(
        draw,
        seed=IntSlider(4, 0, 50, continuous_update=False),
        number=IntSlider(4, 0, 10, continuous_update=False),
        size=IntSlider(30, 8, 60, description="size, %", continuous_update=False),
    )


def anchor_player(
    image: Tensor, boxes: Tensor, sizes: tuple[float, ...], strides: tuple[int, ...]
) -> Player:
    """Lesson 05: how anchors of other sizes and ratios cover the objects.

    image: [3, H, W], one of the images, on which the anchors of its middle are drawn. boxes: [M, 4]
    of all images, which have the same size. sizes: of the anchors of each level, one more than
    `strides`, those of the backbone.
    """
    height, width = image.shape[-2:]
    grids = pyramid_grids((height, width), strides)
    sides = box_area(boxes).sqrt()

    def draw(factor: float, ratio: float, shapes: int) -> Picture:
        ratios = {1: (1.0,), 2: (1 / ratio, ratio), 3: (1 / ratio, 1.0, ratio)}[shapes]
        levels = pyramid_anchors(
            grids, (height, width), tuple((factor * s,) for s in sizes), ratios
        )
        best = box_iou(boxes, torch.cat(levels)).amax(dim=1)
        picture = Picture(8, 3.4)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        viz.draw_image(left, image, f"{len(torch.cat(levels)):,} anchors; those in the middle")
        for level in levels:
            middle = viz.anchors_at(level, (width / 2, height / 2), len(ratios))
            viz.draw_boxes(left, middle, "anchor", width=1.5)
        viz.draw_coverage(right, sides, best)
        clear, lost = (best >= 0.7).float().mean(), (best < 0.3).float().mean()
        right.set_title(f"0.7 or more: {clear:.0%}   below 0.3: {lost:.0%}", fontsize=10)
        return picture

    return Player(
        draw,
        factor=FloatLogSlider(1, base=2, min=-2, max=2, step=0.25, description="sizes, times"),
        ratio=FloatSlider(value=2, min=1, max=5, step=0.25),
        shapes=IntSlider(3, 1, 3, description="shapes"),
    )


def roi_player(features: Tensor, box: Tensor, stride: int, output_size: int = 7) -> Player:
    """Lesson 07: a RoI that moves by fractions of a pixel, and what each operation makes of it.

    features: [1, H, W], one map. box: [4] in image pixels, where the RoI starts.
    """
    high = features.max().item()

    def draw(right: float, down: float, wider: float) -> Picture:
        moved = box + torch.tensor([right, down, right + wider, down])
        pooled = {
            op: operation(features[None], on_image(moved), output_size, 1 / stride)[0, 0]
            for op, operation in OPERATIONS.items()
        }
        picture = Picture(9.2, 2.9)
        left, right_side = picture.subplots(1, 2, width_ratios=(1, 3.2))
        viz.draw_map(left, features[0], f"the map, stride {stride}", high)
        for op in pooled:  # numbers, not pixels, are the map's coordinates
            bins, _ = viz.bins_read(op, moved, stride, 1)
            viz.draw_boxes(left, bins / stride, op if op != "align" else "proposal")
        viz.draw_row(right_side, pooled, high)
        return picture

    return Player(
        draw,
        right=FloatSlider(value=0, min=0, max=2 * stride, step=0.5, description="right, px"),
        down=FloatSlider(value=0, min=0, max=2 * stride, step=0.5, description="down, px"),
        wider=FloatSlider(value=0, min=0, max=2 * stride, step=0.5, description="wider, px"),
    )


def mask_player(models: dict[str, MaskRCNN], first: str = "star", second: str = "cross") -> Player:
    """Lesson 09: an object between two classes, and both classes' masks, by each of the models.

    models: name -> a model of the scenes' classes. Everything is computed beforehand.
    """
    names = {name: TEMPLATES.index(name) + 1 for name in (first, second)}
    scenes = [morph(first, second, share / 100) for share in range(0, 101, 5)]
    looks = {
        name: [model.look_at(image, target["boxes"]) for image, target in scenes]
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


def region_player(name: str = "star") -> Player:
    """Lesson 01: an outline by polygons of more or fewer corners, and the bytes of each way.

    name: of a template without holes. The corners stand at even angles, the first at a tip.
    """

    def redraw(corners: int, side: int) -> Picture:
        def placed(n: int):  # the outline by n corners, in pixels
            return side * (0.5 + 0.48 * between(name, name, 0, n))

        mask = torch.from_numpy(draw([placed(180)], side) >= 0.5)
        polygon = placed(corners).round(1)
        coarse = decode_mask([polygon.flatten().tolist()], side, side)
        iou = (mask & coarse).sum() / (mask | coarse).sum()
        sizes = {
            "bitmap": mask.numel() // 8,
            "runs": len(encode_mask(mask)["counts"]),
            "polygon": len(json.dumps(polygon.flatten().tolist())),
        }
        picture = Picture(8, 3.2)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        pixels = torch.ones(3, side, side)
        for where, grey in ((mask, 0.75), (mask & coarse, 0.4), (coarse & ~mask, 0.9)):
            pixels[:, where] = grey
        viz.draw_image(left, pixels, f"{corners} corners, IoU {iou:.2f}")
        ring = [*polygon.tolist(), polygon[0].tolist()]
        x, y = zip(*ring, strict=True)
        left.plot(x, y, ".-", color=viz.ROLES["detection"], linewidth=1.5)
        bars = right.barh(list(sizes), list(sizes.values()), color="#999999")
        right.bar_label(bars, padding=3, fontsize=9)
        right.set_title(f"bytes, {side} x {side} pixels", fontsize=10)
        right.set_xlim(0, 1.2 * max(sizes.values()))
        right.invert_yaxis()
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        redraw,
        corners=IntSlider(12, 3, 40),
        side=IntSlider(64, 16, 160, 16, description="side, px"),
    )


def nms_player(model: MaskRCNN, image: Tensor, target: dict) -> Player:
    """Lesson 02: the box head's candidates of a scene, and which of them NMS leaves over.

    Drawn as the network sees the scene, which has the network's own size.
    """
    trace = model.trace([image])
    rois, size = trace.proposals[0].boxes, trace.batch.sizes[0]
    low, everything = 0.05, trace.class_logits.numel()
    found = select_detections(
        trace.class_logits, trace.box_deltas, rois, size, low, 1.0, everything
    )  # no IoU is above 1: nothing is suppressed

    def draw(threshold: float, score: float, by_class: int) -> Picture:
        boxes, labels, scores = (value[found.scores > score] for value in found)
        kept = batched_nms(boxes, scores, labels * by_class, threshold)
        picture = Picture(7, 3.8)
        left, right = picture.subplots(1, 2)
        viz.draw_image(left, image, f"{len(boxes)} candidates over {score:.2f}")
        viz.draw_boxes(left, boxes, "proposal", width=1)
        objects = boxes[kept], labels[kept], None, model.classes, scores[kept]
        how = "by class" if by_class else "across classes"
        title = f"NMS {threshold:.2f} {how}: {len(kept)} for {len(target['boxes'])} objects"
        viz.draw_instances(right, image, *objects, title=title)
        return picture

    return Player(
        draw,
        threshold=FloatSlider(value=0.5, min=0, max=1, step=0.05, description="NMS IoU"),
        score=FloatSlider(value=0.5, min=low, max=0.95, step=0.05, description="score over"),
        by_class=IntSlider(1, 0, 1, description="by class"),
    )


def rpn_player(scenes: Shapes, traces: list[Trace], shown: int = 0) -> Player:
    """Lesson 06: proposals by NMS threshold and number, and how many objects they find.

    traces: of the scenes, in their order. shown: the scene that is drawn. NMS runs beforehand, at
    every threshold: 1 drops nothing.
    """
    most = 40
    kept, curves = {}, {}  # by threshold in percent
    for percent in range(10, 101, 10):
        kept[percent], best = [], []
        for i, trace in enumerate(traces):
            p = trace.proposals[0]
            keep = batched_nms(p.candidates, p.candidate_scores, p.candidate_levels, percent / 100)
            kept[percent].append(p.candidates[keep[:most]])
            iou = box_iou(scenes[i][1]["boxes"], kept[percent][-1])
            padded = torch.nn.functional.pad(iou, (0, most - iou.shape[1]))
            best.append(padded.cummax(dim=1).values)  # of the first n, for each n
        best = torch.cat(best)  # [M, most]
        curves[percent] = {iou: (best >= iou).float().mean(dim=0) for iou in (0.5, 0.7)}
    image, target = scenes[shown]

    def draw(number: int, percent: int) -> Picture:
        boxes = kept[percent][shown][:number]
        picture = Picture(7.6, 3.2)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        viz.draw_image(left, image, f"{len(boxes)} proposals")
        viz.draw_boxes(left, target["boxes"], "truth", width=3)
        viz.draw_boxes(left, boxes, "proposal", width=1.2)
        for iou, line in ((0.5, "-"), (0.7, "--")):
            right.plot(range(1, most + 1), curves[percent][iou], line, color="#222222")
        right.axvline(number, color=viz.ROLES["proposal"], linewidth=1.5)
        found = curves[percent][0.5][number - 1]
        right.set_title(f"{found:.0%} of all objects found at IoU 0.5", fontsize=10)
        right.set(xlabel="proposals a scene", ylabel="recall at IoU 0.5 (dashed: 0.7)")
        right.set(xlim=(0, most), ylim=(0, 1.03), xticks=(0, 10, 20, 30, 40))
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        number=IntSlider(10, 1, most, description="proposals"),
        percent=IntSlider(70, 10, 100, 10, description="NMS IoU, %"),
    )


def average_precision_player(dataset, detections: list[Detections], scene: int = 0) -> Player:
    """Lesson 11: what a scene keeps over a score, and where that score stands on the curve.

    detections: one for each item of the dataset, with masks. scene: the item that is drawn. All
    classes are ranked together. Everything is computed beforehand.
    """
    image, _ = dataset[scene]
    found = detections[scene]
    correct, n_objects = [], 0  # [10, D] of each image
    for i, d in enumerate(detections):
        target = dataset[i][1]
        iou = overlap(d.masks, target["masks"])
        iou = torch.where(d.labels[:, None] == target["labels"], iou, 0)
        correct.append(match_detections(iou, d.scores) >= 0)
        n_objects += len(target["labels"])
    scores = torch.cat([d.scores for d in detections])
    order = scores.argsort(descending=True, stable=True)
    scores, rows = scores[order], torch.cat(correct, dim=1)[:, order]
    curves = [precision_recall(row, n_objects) for row in rows]

    def draw(score: float, iou: float) -> Picture:
        n = int((scores > score).sum())
        t = int((IOU_THRESHOLDS - iou).abs().argmin())
        precision, recall = curves[t]
        kept = found[found.scores > score]
        picture = Picture(8, 3.6)
        left, right = picture.subplots(1, 2)
        objects = kept.boxes, kept.labels, kept.masks
        viz.draw_instances(left, image, *objects, dataset.classes, kept.scores, f"{len(kept)} kept")
        right.plot(recall, precision, color="#999999", linewidth=1.5)
        title = f"{n} kept in all {len(detections)} scenes"
        if n:
            place = recall[n - 1].item(), precision[n - 1].item()
            right.plot(*place, "o", color=viz.ROLES["detection"], markersize=9)
            title += f": precision {place[1]:.2f}, recall {place[0]:.2f}"
        right.set_title(title, fontsize=10)
        right.set(xlabel="recall", ylabel="precision", xlim=(0, 1.03), ylim=(0, 1.03))
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        score=FloatSlider(value=0.5, min=0, max=1, step=0.05, description="score over"),
        iou=FloatSlider(value=0.75, min=0.5, max=0.95, step=0.05, description="IoU, at least"),
    )


def history_player(cost: dict[str, float]) -> Player:
    """Lesson 03: multiply-adds of each generation, for more or fewer proposals and detections.

    cost: of a pass over the "image" and over a "crop", of the "RPN", and of the "box head" and the
    "mask head" for one region each.
    """
    giga = {name: number / 1e9 for name, number in cost.items()}

    def draw(proposals: float, detections: int) -> Picture:
        n = round(proposals)
        shared = giga["image"] + n * giga["box head"]
        totals = {
            "R-CNN": n * (giga["crop"] + giga["box head"]),
            "Fast R-CNN": shared,
            "Faster R-CNN": shared + giga["RPN"],
            "Mask R-CNN": shared + giga["RPN"] + min(n, detections) * giga["mask head"],
        }
        picture = Picture(7, 2.6)
        axes = picture.subplots()
        colours = ["#999999", "#999999", "#999999", viz.ROLES["detection"]]
        bars = axes.barh(list(totals), list(totals.values()), color=colours)
        axes.bar_label(bars, [f"{total:,.0f}" for total in totals.values()], padding=3, fontsize=9)
        title = f"billions of multiply-adds: {n:,} proposals, up to {detections} masks"
        axes.set_title(title, fontsize=10)
        axes.set_xscale("log")
        axes.set_xlim(1, 1e5)
        axes.set_xticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
        axes.minorticks_off()
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        proposals=FloatLogSlider(1000, base=10, min=0, max=3.3, step=0.1),
        detections=IntSlider(100, 0, 100, 5),
    )


def heads_player(name: str = "star") -> Player:
    """Lesson 08: a frame of a template's outline, cut to m x m cells in its box and pasted back.

    name: of a template without holes.
    """

    def redraw(m: int, side: int, thickness: int) -> Picture:
        canvas, outer = side + 8, side / 2 * template(name)[0]
        rings = [outer, (1 - thickness / 100) * outer] if thickness < 100 else [outer]
        mask = torch.from_numpy(draw([canvas / 2 + ring for ring in rings], canvas) >= 0.5)
        y, x = torch.where(mask)
        box = torch.stack((x.min(), y.min(), x.max() + 1, y.max() + 1)).float()[None]
        cells = mask_targets([mask[None]], [box], [torch.tensor([0])], m)
        back = paste_masks(cells, box, mask.shape)[0]
        iou = (mask & back).sum() / (mask | back).sum()
        picture = Picture(8.6, 3.1)
        left, right = picture.subplots(1, 2, width_ratios=(1, 1))
        viz.draw_map(left, cells[0], f"{m} x {m} cells", 1)
        pixels = torch.ones(3, *mask.shape)
        paints = {
            "#444444": mask & back,
            viz.ROLES["truth"]: mask & ~back,
            viz.ROLES["detection"]: back & ~mask,
        }
        for paint, where in paints.items():
            pixels[:, where] = torch.tensor(viz.to_rgb(paint))[:, None]
        viz.draw_image(right, pixels, f"pasted back: IoU {iou:.2f} (green missing, red too much)")
        return picture

    return Player(
        redraw,
        m=IntSlider(14, 4, 56, 2),
        side=IntSlider(100, 16, 300, 4, description="size, px", continuous_update=False),
        thickness=IntSlider(20, 5, 100, 5, description="thickness, %"),
    )


def backbone_player(strides: tuple[int, ...], canonical_size: float) -> Player:
    """Lesson 04: an object of any size, the level that it is read from, and its cells there."""
    levels, size = [f"stride {stride}" for stride in strides], 160

    def redraw(side: int) -> Picture:
        share = side / size
        scene = Shapes(1, size=size, seed=3, n_objects=(1, 1), object_size=(share, share))
        image, target = scene[0]
        box = target["boxes"][0]
        level = pyramid_level(box[None], strides, canonical_size).item()
        picture = Picture(8, 3.4)
        left, right = picture.subplots(1, 2, width_ratios=(3, 4))
        viz.draw_image(left, image, f"read from {levels[level]}")
        lines = range(0, size + 1, strides[level])
        left.hlines(lines, 0, size, color="white", linewidth=0.4)
        left.vlines(lines, 0, size, color="white", linewidth=0.4)
        viz.draw_boxes(left, box[None], "truth")
        area = (box[2:] - box[:2]).prod().item()
        cells = [area / stride**2 for stride in strides]
        shades = [viz.ROLES["proposal"] if i == level else "#999999" for i in range(len(strides))]
        bars = right.barh(levels, cells, color=shades)
        right.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
        right.set_xlim(0, 1.2 * max(cells))
        right.set_title("cells that its box covers", fontsize=10)
        right.invert_yaxis()
        right.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(redraw, side=IntSlider(36, 8, 96, 2, description="size, px"))
