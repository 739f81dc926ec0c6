# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Anchors: the boxes to start from
#
# A network's output has a fixed shape. How can it return a *variable* number of boxes? It starts
# from many fixed ones. After this lesson (60 minutes) you can
#
# - place anchors by hand: sizes, ratios, strides;
# - measure how well they cover the objects, of our scenes and of your own data, and choose better;
# - say which anchors learn "object", which "background", and which nothing.

# %%
import torch

from mrcnn_edu import load, viz
from mrcnn_edu.data import Shapes

viz.show_flow("proposals")

# %% [markdown]
# ## The problem
#
# This image has six objects, the next one two. A convolution outputs equally many values for
# both. The way out ([Faster R-CNN](03_history.ipynb), section 3.1): put fixed boxes, **anchors**,
# all over the image, and predict for *each*: is there an object about here, and how must the anchor
# move to fit it?

# %%
scenes = Shapes(100, seed=1)
image, target = scenes[72]
assert [len(scenes[i][1]["boxes"]) for i in (72, 73)] == [6, 2]
picture = viz.show_boxes(image, target["boxes"], "gt", f"{len(target['boxes'])} objects")
picture.caption("Ground truth is green in all pictures that do not show classes by their colors.")

# %% [markdown]
# ## 1. One anchor: a size and a ratio
#
# The **size** s is the square root of the anchor's area; the **ratio** r is height divided by
# width. So width = s / √r and height = s √r. (The paper: 3 ratios, 1/2, 1 and 2.)
#
# **Predict:** an anchor of size 32 and ratio 2. How wide, how high, and how large is its area?


# %%
def shape(size, ratio):
    return size / ratio**0.5, size * ratio**0.5


for ratio in (0.5, 1, 2):
    width, height = shape(32, ratio)
    print(f"ratio {ratio:3}: {width:4.1f} wide, {height:4.1f} high, area {width * height:.0f}")


# %%
def around(x, y, size, ratio):
    width, height = shape(size, ratio)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


three = torch.tensor([around(48, 48, 32, ratio) for ratio in (0.5, 1, 2)])
picture = viz.show_boxes(image, three, "anchor", "one size, three ratios")
picture.caption("Anchors are blue and dashed. The three have the same area.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 22.6 wide and 45.3 high, with an area of 1,024 = 32² like the other two. (If it were 32 wide and
# 64 high, a ratio would also change the size, and sizes would no longer tell how large the objects
# are that an anchor fits.)
# </details>
#
# ## 2. Everywhere: anchors at each position of a map
#
# The feature map decides where the anchors are. A map of **stride** 16 has a position every 16
# pixels, with the same k anchors at each; here k = 3. They are listed row by row, in the order of
# the network's outputs.
#
# **Predict:** how many anchors does the map of stride 16 have on our 96 x 96 image? And stride 4?


# %%
def everywhere(stride, size, ratios=(0.5, 1, 2)):
    positions = range(0, 96, stride)
    centers = [(x, y) for y in positions for x in positions]
    return torch.tensor([around(x, y, size, ratio) for x, y in centers for ratio in ratios])


coarse = everywhere(stride=16, size=48)
print("stride 16:", len(coarse), "anchors;  stride 4:", len(everywhere(4, 12)))

# %% tags=["cover"]
dots = torch.tensor([around(x, y, 0.5, 1) for y in range(0, 96, 16) for x in range(0, 96, 16)])
few = coarse[[0, 1, 2, 63, 64, 65]]
panels = {
    "36 positions": (dots, viz.ROLES["anchor"]),
    "the anchors of two": (few, "anchor"),
    "all 108": (coarse, "anchor"),
}
viz.show_panels(image, panels).caption("Stride 16. Do anchors stick out of the image?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 6 x 6 x 3 = 108, and 24 x 24 x 3 = 1,728: a stride four times finer has 16 times as many, because
# both directions count. The first position is the image's corner, so some anchors stick out;
# torchvision keeps those too.
# </details>
#
# No anchor is learned, and none depends on what the image shows: all images of a size have the
# same ones. What is learned is the prediction for each (lesson 06). Nor is an anchor what its
# position sees: that is the receptive field (lesson 04), which is far larger here.
#
# A **pyramid** (lesson 04) has a map for each scale of object: fine maps carry small anchors,
# coarse maps large ones. The pyramid of `shapes-tiny` has four maps, one size each.

# %%
from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.data.coverage import pyramid_grids

model = load("shapes-tiny")
sizes, strides = model.config.anchor_sizes, model.backbone.strides
grids = pyramid_grids((96, 96), strides)
levels = pyramid_anchors(grids, (96, 96), sizes, ratios=(0.5, 1.0, 2.0))

# %%
for grid, size, level in zip(grids, sizes, levels, strict=True):
    print(f"map {grid[0]:2} x {grid[1]:2}, anchor size {size[0]}: {len(level):5} anchors")

# %%
anchors = torch.cat(levels)  # [2295, 4]
by_hand = torch.cat([everywhere(96 // g[0], s[0]) for g, s in zip(grids, sizes, strict=True)])
difference = (by_hand - anchors).abs().max()
assert difference <= 0.5
print(f"{len(anchors):,} anchors; those by hand differ by up to {difference:.2f} pixels")

# %% [markdown]
# Half a pixel, because the package rounds the three anchors of a size to whole pixels, as
# torchvision does: its published weights learned from those. (detectron2 does not round.)

# %%
from inspect import getsource

from mrcnn_edu.anchors import base_anchors

rounded = torch.tensor([around(0, 0, 12, ratio) for ratio in (0.5, 1, 2)]).round()
torch.testing.assert_close(rounded, base_anchors((12,), (0.5, 1, 2)))
print(getsource(base_anchors))

# %% [markdown]
# ## 3. Coverage: does every object have an anchor that fits?
#
# How well two boxes fit is their **IoU** (lesson 02): the area they share, divided by the area that
# either covers; 1 for equal boxes, 0 for boxes apart. For each object we measure the IoU with its
# *best* anchor. The network can move an anchor, but first the object must be assigned to it.
#
# **Predict:** anchor sizes are 12, 24, 48 and 72. Which objects are covered worst: those with a
# size of about 8, about 17, or about 24?

# %%
from mrcnn_edu.boxes import box_iou

boxes = torch.cat([scenes[i][1]["boxes"] for i in range(100)])
best = box_iou(boxes, anchors).amax(dim=1)  # [M, A] -> [M]

# %%
object_sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
picture = viz.show_coverage({f"{len(boxes)} objects of 100 scenes": (object_sizes, best)})
picture.caption("A dot is an object. At which sizes are the peaks, and at which the valleys?")

# %%
mean = {}
for size, (low, high) in {"8": (6, 10), "17": (15, 19), "24": (22, 26)}.items():
    mean[size] = best[(object_sizes >= low) & (object_sizes < high)].mean().item()
assert mean["8"] < mean["17"] < mean["24"]
print("mean best IoU about size", {size: round(value, 2) for size, value in mean.items()})

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Those of size 8: no anchor is smaller than 12. Coverage is low between two sizes as well: a square
# of 17 within one of 24 has an IoU of 17² / 24², about a half, and so has one of 12 within it. So
# sizes are spaced by a factor of two at most. The dashed lines are for section 4.
# </details>
#
# The same for **your own data**: put the name of a COCO folder in place of ours (lesson 01; images
# in `images/`, and `annotations.json`). Ours has blobs, whose outlines are random.

# %%
from tempfile import mkdtemp

from mrcnn_edu.data import write_coco

folder = mkdtemp()  # or the name of your folder
write_coco(Shapes(40, seed=2, size=160, outlines="blobs"), folder)

# %%
from mrcnn_edu.data import CocoFolder
from mrcnn_edu.data.coverage import anchor_coverage

coco = CocoFolder(f"{folder}/images", f"{folder}/annotations.json")
coverage = anchor_coverage(coco, model.config, strides)  # sizes as the network sees them
viz.show_coverage({"a COCO folder": coverage}).caption("Which of your objects are at risk?")

# %% [markdown]
# ## 4. Which anchors learn what: positive, negative, ignored
#
# To train, each anchor needs a target (Faster R-CNN, section 3.1.2):
#
# - **positive**, "object": IoU of 0.7 or more with an object, *or* the best anchor of an object;
# - **negative**, "background": IoU below 0.3 with every object;
# - **ignored**: all others. They are neither one nor the other, and take no part.
#
# Here are two objects and five anchors. **Predict** the five targets.

# %%
iou = torch.tensor(
    [
        [0.80, 0.55, 0.10, 0.00, 0.20],  # object 0 with each anchor
        [0.05, 0.15, 0.40, 0.29, 0.00],  # object 1
    ]
)
best_iou = iou.amax(dim=0)
targets = torch.where(best_iou >= 0.7, 1, torch.where(best_iou < 0.3, 0, -1))
print("by the two thresholds:  ", targets.tolist())
targets[iou.argmax(dim=1)] = 1  # the best anchor of each object
print("and each object's best: ", targets.tolist())

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Positive, ignored, positive, negative, negative. The third has an IoU of only 0.40 but is the best
# that object 1 has: without it, that object would not be learned. (The second one is not
# background: half of it lies on an object, and to punish a high score there would teach nothing.)
# </details>
#
# The package's version returns the index of the object instead of 1. On our scene:

# %%
from mrcnn_edu.matching import BACKGROUND, IGNORED, match

assert (match(iou, 0.7, 0.3, allow_low_quality_matches=True) >= 0).equal(targets == 1)

# %%
matched = match(box_iou(target["boxes"], anchors), 0.7, 0.3, allow_low_quality_matches=True)
masks = {"positive": matched >= 0, "ignored": matched == IGNORED, "negative": matched == BACKGROUND}
print({name: mask.sum().item() for name, mask in masks.items()})

# %%
panels = {"objects": (target["boxes"], "gt")}
for (name, mask), step in zip(masks.items(), (1, 10, 60), strict=True):
    panels[f"{name}: {mask.sum()}"] = (anchors[mask][::step], "anchor")
picture = viz.show_panels(image, panels)
picture.caption("Only every 10th of the ignored and every 60th of the negative ones is drawn.")

# %% [markdown]
# Background outnumbers objects by hundreds to one. If all anchors counted, predicting "background"
# everywhere would be nearly perfect. So each step samples at most 256 (the tiny model: 64), half of
# them positive if there are enough: `matching.sample`.
#
# ## Where it breaks: anchors made for other images
#
# The paper's sizes, 32 to 512, suit photographs of 800 pixels. **Predict:** put them on our scenes
# of 96 pixels. For what fraction of the objects is even the best anchor below 0.3?


# %%
def coverage_with(sizes):
    levels = pyramid_anchors(grids, (96, 96), tuple((s,) for s in sizes), (0.5, 1.0, 2.0))
    return object_sizes, box_iou(boxes, torch.cat(levels)).amax(dim=1)


chosen = {"ours": (12, 24, 48, 72), "the paper's": (32, 64, 128, 256)}
both = {f"{name}: {four}": coverage_with(four) for name, four in chosen.items()}
viz.show_coverage(both).caption("Which objects fell below the lower line?")

# %%
for name, (_, best) in both.items():
    print(f"{name:32} 0.7 or more: {(best >= 0.7).float().mean():4.0%}", end="")
    print(f"   below 0.3: {(best < 0.3).float().mean():4.0%}")
ours, small, large = both["ours: (12, 24, 48, 72)"][1], object_sizes < 16, object_sizes >= 24
assert (ours < 0.3).sum() == 0 and 0.28 < (best < 0.3).float().mean() < 1 / 3
assert (ours >= 0.7).float().mean() < 0.25

# %%
assert (best[small] < 0.3).all() and best[large].mean() > ours[large].mean()
paper_sizes = tuple((s,) for s in chosen["the paper's"])
iou = box_iou(boxes, torch.cat(pyramid_anchors(grids, (96, 96), paper_sizes, (0.5, 1.0, 2.0))))
tied = (iou == iou.amax(dim=1, keepdim=True)).sum(dim=1)  # how many anchors are an object's best
assert 24 < tied[small].float().mean() < 72

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Nearly a third: all the small ones. Each of them is learned only from bad examples: every anchor
# that contains it has the same low IoU with it, so that dozens tie as its best, while those around
# them are trained to predict "background". Nothing fails: training runs, the loss falls, the large
# objects, which are covered even better than before, are found, and the small ones hardly are.
# Coverage warns you before you train. (Look at the lower line, not at the upper one: with our
# sizes, too, fewer than a quarter of the objects have an anchor of 0.7 or more. The others are
# learned from their best anchor, which has an IoU of 0.3 at least.)
# </details>
#
# ## Play
#
# Change all sizes by a factor, and the ratios. What covers best? Does a second ratio help more than
# a third? (Objects here are about as high as wide; are yours?)

# %%
from mrcnn_edu.course.widgets import anchor_player

anchor_player(image, boxes, sizes=(12, 24, 48, 72), strides=strides)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.anchor_at))`.
#
# **1.** `anchor_at(x, y, size, ratio)`: the anchor `[4]` with its center at (x, y). 2 lines.
#
# **2.** `best_iou(boxes, anchors)`: for each object, the IoU `[M]` with the anchor that fits it
# best; M may be 0. 1 line, with `box_iou`.
#
# **3.** `label_anchors(iou, high, low)`: 1, 0 or -1 for each anchor `[A]`, from the IoUs `[M, A]`
# with M > 0, as in section 4; if several anchors of an object are equally good and the best, all of
# them are positive. 5 lines.
#
# **To discuss.** Your objects are lines of text, ten times as wide as high. What IoU does the best
# of the paper's anchors have with one? Which ratios would you take, and what do more anchors cost?

# %%
from mrcnn_edu.course.exercises import anchors as exercises


def anchor_at(x, y, size, ratio): ...


def best_iou(boxes, anchors): ...


def label_anchors(iou, high, low): ...


exercises.check_anchor_at(anchor_at)
exercises.check_best_iou(best_iou)
exercises.check_label_anchors(label_anchors)

# %% [markdown]
# ## Remember
#
# - An anchor is a size and a ratio at a position; the map's stride decides the positions.
# - Measure coverage before you train: an object that no anchor fits is hardly learned.
# - Positive from 0.7 or as an object's best, negative below 0.3, and nothing in between.
#
# torchvision calls this `AnchorGenerator(sizes, aspect_ratios)` and `Matcher`, detectron2
# `DefaultAnchorGenerator` and `Matcher`. Next: **06, the region proposal network**, which makes
# the predictions.
