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
# # 13 · FCIS against Mask R-CNN: a mask without a head, and what it costs
#
# FCIS (Li et al. 2017) won COCO's segmentation challenge in the year before Mask R-CNN. Its RoIs
# pass no layer at all. After this lesson (60 minutes) you can
#
# - say why one map cannot tell two overlapping objects apart, and how k x k maps can;
# - assemble a RoI from position-sensitive maps by hand, and read class and mask from the same maps;
# - merge the masks of many boxes into one;
# - measure what overlap does to FCIS and to Mask R-CNN, and to which part of them.

# %%
from inspect import getsource

import torch

from mrcnn_edu import ancestors, load, viz
from mrcnn_edu.ancestors.overlaps import by_overlap, two_objects

viz.show_flow("RoI features")

# %% [markdown]
# ## The problem
#
# In Mask R-CNN each RoI (a proposed box) passes a box head and a mask head of its own. All layers
# before are shared. Could *all* layers be shared, so that a RoI costs nothing?
#
# A **fully convolutional** network gives each pixel its numbers once. But the marked pixel lies in
# both boxes: to the one it is object, to the other background.

# %%
image, target = two_objects("square", "square", distance=24, seed=16)
boxes, pixel, on = target["boxes"], (44.5, 40.5), target["masks"][:, 40, 44].tolist()
picture = viz.show_boxes(image, boxes, "gt", "one pixel, two boxes")
picture.axes[0].plot(*pixel, "o", color="white", markeredgecolor="black")
picture.caption(f"Is it on the object behind? {on[0]}. In front? {on[1]}.")

# %% [markdown]
# ## 1. A map for every part
#
# **Position-sensitive maps** (section 2.1): cut each box into k x k **cells**, and let the network
# give k x k maps instead of one. The map of the cell in the upper left answers: "if this pixel were
# in the upper left of an object, would it be on it?" A RoI asks each of its pixels on the map of
# the cell in which the pixel lies *in this RoI*.
#
# **Predict:** k = 3. On which of the 9 maps (row and column, from 0) does each of the two boxes
# look its pixel up?


# %%
def cell_by_hand(x, y, box, k):
    x1, y1, x2, y2 = box.tolist()
    return int((y - y1) / (y2 - y1) * k), int((x - x1) / (x2 - x1) * k)  # row, column


asked = [cell_by_hand(*pixel, box, k=3) for box in boxes]
assert asked[0] != asked[1]
print("behind:", asked[0], " in front:", asked[1])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# In the box of the object behind the pixel is to the right, in that of the object in front to the
# left. So the two ask different maps, and may get different answers. With k = 1 both would ask the
# same map: one answer for both.
# </details>
#
# ## 2. Assembling a RoI
#
# To see who is asked, take 9 maps of which each says its own number everywhere. A RoI is then read
# pixel by pixel, m x m of them, each from its cell's map.
#
# **Predict:** what does the assembled 6 x 6 map look like? And can its reading have a weight that
# is learned?


# %%
def assemble_by_hand(maps, box, stride, k, m):
    """maps [k, k, H, W] of one score; the nearest number is read."""
    x1, y1, x2, y2 = box.tolist()
    assembled = torch.zeros(m, m)
    for i in range(m):
        for j in range(m):
            y, x = y1 + (i + 0.5) / m * (y2 - y1), x1 + (j + 0.5) / m * (x2 - x1)
            row, column = cell_by_hand(x, y, box, k)
            assembled[i, j] = maps[row, column, round(y / stride), round(x / stride)]
    return assembled


# %%
from mrcnn_edu.ancestors.position_sensitive import assemble

numbers = torch.arange(9.0).view(3, 3, 1, 1).expand(3, 3, 24, 24)
by_hand = assemble_by_hand(numbers, boxes[0], stride=4, k=3, m=6)
package = assemble(numbers.reshape(1, 9, 24, 24), [boxes[:1]], n_bins=3, size=6, stride=4)
torch.testing.assert_close(by_hand, package[0, 0])
viz.show_maps([by_hand], ["from which map?"], image, numbers=".0f")

# %%
print(getsource(assemble).split('"""')[2])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# A mosaic of 3 x 3 cells, each with the number of its map. Reading has no weight: everything that
# is learned has happened before any box was known. (The package reads between the numbers, with
# RoIAlign: a cell is a little RoI on its own map. Lesson 07 is why.)
# </details>
#
# (With the mean of each cell instead of its pixels this is position-sensitive RoI pooling, from
# FCIS's predecessor R-FCN: enough for a class, too coarse for a mask.)
#
# ## 3. Inside and outside
#
# For each class there are *two* such sets (section 2.2): **inside**, "in a box of this class, and
# on its object", and **outside**, "in a box of this class, and beside its object". With background
# counted that makes 2 k² (C + 1) maps for C classes, and 4 k² for the box deltas. Our FCIS has
# k = 7 and C = 6. It learned from the same scenes, and for the same 1,500 steps, as the Mask R-CNN
# that we compare it with.

# %%
fcis, mask_rcnn = ancestors.load("fcis"), ancestors.load("mask-rcnn")
maps = fcis.maps(fcis.features(fcis.preprocess([image]))).detach()
k, n_classes = fcis.config.n_bins, fcis.config.n_classes
assert maps.shape[1] == 2 * k**2 * (n_classes + 1) + 4 * k**2
print(list(maps.shape), "maps, at stride", fcis.strides[0])

# %% [markdown]
# **Predict:** below are the maps of the class *square*, each in the place of its cell. How will the
# inside maps of the left column differ from those of the right column?

# %%
square = 2
inside, outside = maps[0, : -4 * k**2].unflatten(0, (2, n_classes + 1, k, k))[:, square]
middle = {"inside": inside[..., 5:20, 3:22], "outside": outside[..., 5:20, 3:22]}
sheets = {name: viz.tile_maps(of_cells) for name, of_cells in middle.items()}
viz.show_cells(sheets, image, boxes[0], k).caption("Both objects, on all 7 x 7 maps. Blue: yes.")

# %%
yes = inside.clamp(min=0).sum(dim=2)  # [k, k, W]
place = (yes * torch.arange(24)).sum(dim=2) / yes.sum(dim=2)  # where, from left to right: [k, k]
by_column = place[1:-1].mean(dim=0)
assert (by_column.diff() > 0).all()
print("mean place of what is blue, by column:", [round(x, 1) for x in by_column.tolist()])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# What is blue moves, from the left parts of *both* objects to the right parts of both. (The usual
# wrong answer: each map shows one cell of the image. Each shows all of it; no box is known yet.)
# </details>
#
# ## 4. Class and mask from the same maps
#
# Assembled for a RoI, the two maps answer both questions. **Mask:** at each pixel a softmax over
# inside and outside. **Class:** at each pixel the larger of the two, then the mean over all pixels,
# then a softmax over the classes.
#
# **Predict:** a RoI's pixel has a low inside *and* a low outside for the class square. What is it?

# %%
look = fcis.predict_on_boxes(image, boxes)  # each [2, C + 1, m, m]
maps_of_roi = [look.inside[1, square], look.outside[1, square]]
mask = torch.stack(maps_of_roi).softmax(dim=0)[0]
logits = torch.maximum(look.inside[1], look.outside[1]).mean(dim=(1, 2))  # [C + 1]

# %% tags=["cover"]
torch.testing.assert_close(mask, look.mask_logits[1, square].sigmoid())
torch.testing.assert_close(logits, look.class_logits[1])
print("score for 'square':", round(logits.softmax(dim=0)[square].item(), 2))
assert (torch.maximum(*maps_of_roi) > 0).float().mean() > 0.8
high = max(m.abs().max() for m in maps_of_roi).item()
titles = ["inside", "outside", "mask"]
picture = viz.show_maps(
    [*maps_of_roi, high * (2 * mask - 1)], titles, image, signed=True, high=high
)
picture.caption("The RoI of the object in front.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# A pixel that speaks against the class: neither on a square nor beside one, as far as this cell's
# maps know. Where a box is right, one of the two is above zero at nearly every pixel, so the mean
# is high. So the same numbers that draw the mask also judge the box.
# </details>
#
# What does a RoI cost? In Mask R-CNN all of a head's multiplications; here no weight, only lookups.
# (They are not free: on a CPU, FCIS took no less time in lesson 03.)

# %%
heads = {"box head": mask_rcnn.box_head, "mask head": mask_rcnn.mask_head}
weights = {name: sum(p.numel() for p in head.parameters()) for name, head in heads.items()}
print("weights that a RoI passes in Mask R-CNN:", weights, " in FCIS: 0")
print("numbers that a RoI looks up in FCIS:", (2 * (n_classes + 1) + 4) * mask.numel())

# %% [markdown]
# ## 5. Merging masks
#
# FCIS does not refine a mask, it takes a vote (section 2.3). All proposals are read, and then read
# again where their own box deltas lead. Non-maximum suppression at an IoU of 0.3 picks the
# detections. Then all RoIs with an IoU of over 0.5 with a detection are asked for their mask of its
# class: the mean, weighted by their scores, is the mask. A RoI votes 0 beyond its own box, which
# makes masks narrow; so a pixel is on from 0.4 (`merge_threshold`), as in the authors' program.
#
# **Predict:** two RoIs, scores 0.9 and 0.3, at a pixel: the masks say 0.1 and 1.0. Is it on?

# %%
from mrcnn_edu.ancestors.merging import merge_masks

one_place = torch.tensor([[0.0, 0, 10, 10]]).repeat(2, 1)  # two RoIs, the same box
scores = torch.tensor([[0.1, 0.9], [0.7, 0.3]])  # background, object
probs = torch.tensor([0.1, 1.0]).view(2, 1, 1, 1).expand(2, 2, 1, 1)
merged = merge_masks(one_place[:1], torch.tensor([1]), one_place, scores, probs, min_iou=0.5)
torch.testing.assert_close(merged.item(), (0.9 * 0.1 + 0.3 * 1.0) / (0.9 + 0.3))
print(f"merged: {merged.item():.3f}")

# %%
from dataclasses import replace

from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate

scenes = Shapes(40, seed=1, n_objects=(3, 6), object_size=(0.25, 0.5), overlap=0.7)
found = {"FCIS": detect_all(fcis, scenes), "Mask R-CNN": detect_all(mask_rcnn, scenes)}
merging = fcis.config
fcis.config = replace(merging, merge_iou=1, merge_threshold=0.5)  # as a mask head's
found["FCIS, not merged"] = detect_all(fcis, scenes)
found["Mask R-CNN, longer"] = detect_all(load("shapes-tiny"), scenes)
fcis.config = merging
ap = {name: evaluate(scenes, d).ap for name, d in found.items()}
assert ap["FCIS"] < ap["FCIS, not merged"]
print("\n".join(f"{name:18} mask AP {100 * value:.0f}" for name, value in ap.items()))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No: (0.09 + 0.3) / 1.2 = 0.325, under 0.4. (The usual wrong answer takes the plain mean, 0.55.)
# And a surprise: here merging *costs* points. A RoI that lies beside its object asks the wrong
# cells, and draws a worse mask: below, the masks of all RoIs that may vote, by how well they lie.
# What helped in the paper need not help everywhere. It is an option (`merge_iou`), and on, as in
# the paper.
# </details>

# %%
from itertools import pairwise

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.detections import paste_masks


def iou_of_masks(a, b):
    return (a & b).sum(dim=(1, 2)) / (a | b).sum(dim=(1, 2))


pairs = []  # IoU of a RoI with its object's box, and of its mask with its object's mask
for scene, truth in (scenes[i] for i in range(15)):
    trace = fcis.trace([scene])
    fit, which = box_iou(trace.rois[0], truth["boxes"]).max(dim=1)
    probs = trace.roi_scores.mask_logits.sigmoid()[range(len(fit)), truth["labels"][which]]
    masks = paste_masks(probs, trace.rois[0], (96, 96))
    pairs.append(torch.stack((fit, iou_of_masks(masks, truth["masks"][which]))))

# %%
fit, drawn = torch.cat(pairs, dim=1)
edges = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
means = torch.stack([drawn[(fit > a) & (fit <= b)].mean() for a, b in pairwise(edges)])
picture = viz.show_lines(edges[:-1] + 0.05, {"FCIS": means}, "IoU of the RoI", "IoU of its mask")
picture.caption("The better a RoI lies on its object, the better its mask. Means over 15 scenes.")

# %% [markdown]
# ## Where it breaks: without positions, and with neighbors
#
# First we break it: all cells ask the *same* map, the mean of theirs.
#
# **Predict:** what is left of the two masks: both objects in each, half of each object, or less?

# %%
one_map = maps.unflatten(1, (-1, k * k)).mean(dim=2, keepdim=True)  # [1, scores, 1, H, W]
one_map = one_map.expand(-1, -1, k * k, -1, -1).flatten(1, 2)  # for every cell
panels, truth = {}, target["masks"]
for name, answer in (("k x k maps", look), ("one map", fcis.score_rois(one_map, [boxes]))):
    probs = answer.mask_logits[:, square].sigmoid()
    iou = iou_of_masks(paste_masks(probs, boxes, (96, 96)), truth)
    print(f"{name:10} IoU {iou[0]:.2f} behind, {iou[1]:.2f} in front")
    panels |= {
        f"{name}\n{place}": m for place, m in zip(("behind", "in front"), probs, strict=True)
    }
viz.show_maps(list(panels.values()), list(panels), high=1)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Less: a blob in the middle of each. A pixel at the left edge of one box is in the middle of the
# other, so the maps must contradict each other there, and their mean says nothing. Only far from
# all edges do they agree.
# </details>
#
# Positions help, but cells know nothing of each other, and Mask R-CNN's paper says that FCIS
# "exhibits systematic artifacts on overlapping objects" (figure 6). We sort the objects of our
# crowded scenes by **overlap**, the largest share of an object's box that another box covers.
#
# **Predict:** Mask R-CNN suffers from overlap too. Which of the two keeps the larger *share* of its
# AP, from the objects apart to those that overlap most?


# %%
def ap_by_overlap(iou_type):
    bins = [by_overlap(scenes, d, iou_type=iou_type) for d in found.values()]
    return torch.tensor([[100 * b.scores.ap for b in row] for row in bins]), bins[0]


# %%
masks_ap, bins = ap_by_overlap("segm")
titles = [f"{b.low:.0%} to {b.high:.0%}\n{b.n_objects} objects" for b in bins]
viz.show_table(masks_ap, list(found), titles, ".0f").caption("Mask AP, by overlap of the objects.")

# %%
boxes_ap, _ = ap_by_overlap("bbox")
kept = {"masks": masks_ap[:, -1] / masks_ap[:, 0], "boxes": boxes_ap[:, -1] / boxes_ap[:, 0]}
for kind, shares in kept.items():
    print(f"percent kept, {kind}:", dict(zip(found, (100 * shares).int().tolist(), strict=True)))
    assert (shares[:3].amax() - shares[:3].amin()) < 0.15 and shares.argmax() == 3

# %% [markdown]
# Is it the masks' fault? We give both systems the *true* boxes and classes, and measure how much of
# each mask lies on a neighbor.

# %%
from mrcnn_edu.ancestors.overlaps import EDGES, covered_fraction


def spilled(logits, truth):
    """Of each mask the share [M] that lies on other objects."""
    probs = logits[range(len(logits)), truth["labels"]].sigmoid()
    masks = paste_masks(probs, truth["boxes"], (96, 96))
    others = truth["masks"].any(dim=0) & ~truth["masks"]
    return (masks & others).sum(dim=(1, 2)) / masks.sum(dim=(1, 2)).clamp(min=1)


rows = {"overlap": [], "FCIS": [], "Mask R-CNN": []}
for scene, truth in (scenes[i] for i in range(len(scenes))):
    rows["overlap"].append(covered_fraction(truth["boxes"]))
    rows["FCIS"].append(spilled(fcis.predict_on_boxes(scene, truth["boxes"]).mask_logits, truth))
    rows["Mask R-CNN"].append(spilled(mask_rcnn.predict_on_boxes(scene, truth["boxes"])[1], truth))

# %%
overlap, *spills = (torch.cat(values) for values in rows.values())
which = torch.bucketize(overlap, torch.tensor(EDGES[1:-1]), right=True)  # 0, 1 or 2
means = torch.tensor([[100 * s[which == b].mean() for b in range(3)] for s in spills])
assert (means[0] < means[1])[1:].all() and means[:, 0].max() < 1  # percent
viz.show_table(means, list(rows)[1:], titles, ".1f").caption("Percent of a mask on other objects.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Here, neither. Equally trained, both keep about a third, and with the boxes given FCIS's masks
# spill even less onto neighbors than Mask R-CNN's. Longer training, on scenes that hardly ever
# repeat, helps more than the choice of the system. Does that refute figure 6? No: it shows
# photographs, at stride 16, and systems trained for days; these are two small models, one of each,
# on drawn scenes. But it shows that a claim about two systems is worth measuring again, with equal
# training.
# </details>
#
# ## Play
#
# Slide one square over another, in several scenes. Look for pieces of one mask in the other, and
# for straight edges along the cells.

# %%
from mrcnn_edu.course.widgets import fcis_player

fcis_player({"FCIS": fcis, "Mask R-CNN": mask_rcnn})

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.cells_of))`.
#
# **1.** `cells_of(points, box, k)`: of points `[N, 2]`, (x, y), in a box `[4]` the row and column
# `[N, 2]` of the cell in which each lies, without a loop. A point on the right or the lower border
# is in the last cell. 2 lines.
#
# **2.** `mask_logit(inside, outside)`: the assembled maps `[m, m]` of a class make the mask by a
# softmax over two. Which one map `[m, m]` gives the same mask by a sigmoid? 1 line.
#
# **3.** `merge(probs, scores)`: the merged mask `[m, m]` of n boxes in one place: `probs
# [n, m, m]`, `scores [n]`. 1 line.

# %%
from mrcnn_edu.course.exercises import fcis as exercises


def cells_of(points, box, k): ...


def mask_logit(inside, outside): ...


def merge(probs, scores): ...


exercises.check_cells_of(cells_of)
exercises.check_mask_logit(mask_logit)
exercises.check_merge(merge)

# %% [markdown]
# ## Remember
#
# - Position-sensitive maps let one map answer differently for different boxes: it is asked by cell.
# - Inside and outside give the mask by comparing and the class by their maximum; a RoI has no head.
# - Overlap hurts both systems; here, equally trained, about equally. Photographs may differ.
#
# torchvision has `ops.ps_roi_pool` and `ops.ps_roi_align`, R-FCN's, but no FCIS; detectron2 has
# neither. Next: **16, the GPU and a kernel**.
