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
# # 07 · RoIPool against RoIAlign: what rounding to whole numbers costs
#
# The heads read every box at one size, 7 x 7 say. *How* the features under a box are read decides
# how good masks can be. After this lesson (75 minutes) you can
#
# - draw what RoIPool rounds, twice, and measure what that costs in image pixels;
# - write RoIAlign by hand, and as one weighted lookup;
# - say what matters (round nothing) and what hardly does (how many points are read, and where);
# - find out whether half a position is missing (`aligned`), by an experiment with the network.

# %%
from inspect import getsource

import torch
from torch.nn.functional import avg_pool2d, embedding_bag

from mrcnn_edu import load, roi_ops, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate

viz.show_flow("RoI features")

# %% [markdown]
# ## The problem
#
# A **RoI** (region of interest) is a box that the RPN proposed: four coordinates in image pixels. A
# **feature map** of stride 16 has one value for every 16 pixels in each direction. To look at one,
# we take the simplest possible: how dark each block of 16 x 16 pixels is, on average. Our RoI is
# the box around the upper cross.

# %%
image, target = Shapes(1, size=384, seed=1805, n_objects=(4, 4), object_size=(0.2, 0.4))[0]
features = avg_pool2d(1 - image.mean(dim=0, keepdim=True), 16)  # [1, 24, 24]
picture = viz.show_maps([features[0]], ["the map, 24 x 24"], image)
picture.caption("Dark blocks are light on the map. Find the upper cross.")

# %%
cross = 0  # of the four objects
roi = target["boxes"][cross]
assert roi[0] / 16 == 14.25 and roi[2] / 16 == 19.25
print(f"{roi.tolist()} pixels, {(roi / 16).tolist()} on the map")

# %% [markdown]
# The left edge falls at x = 14.25 on the map. But the map only has values at whole positions: a
# column 14 and a column 15, and nothing in between. That is the whole problem.
#
# ## 1. RoIPool rounds twice
#
# **RoIPool** ([Fast R-CNN](03_history.ipynb), section 2.1) takes `[x / 16]`, the nearest whole
# position: the first rounding. It divides that range, both ends included, into bins, whose borders
# are rounded outward to whole positions: the second. Each bin returns the largest value in it.
#
# **Predict:** by how many image pixels can the first rounding alone move a border?

# %%
from math import ceil, floor


def bins_by_hand(start, end, stride, n_bins):
    """The first and the last position that each bin reads, along one axis."""
    first, last = floor(start / stride + 0.5), floor(end / stride + 0.5)  # the RoI is rounded
    size = (last - first + 1) / n_bins
    ends = [(floor(p * size), ceil((p + 1) * size)) for p in range(n_bins)]  # and so are its bins
    return [(first + a, first + b - 1) for a, b in ends]


# %% tags=["cover"]
x1, y1, x2, y2 = roi.tolist()
print("7 bins along x:", bins_by_hand(x1, x2, 16, n_bins=7))
text = "Gray dots: the map's positions. Orange: the RoI. Colored: bins, and the points they read."
viz.show_bins(roi, 16, output_size=3).caption(text)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# By up to half a stride, 8 pixels, and each border independently. (If you said one pixel: one step
# *of the map* is 16 pixels of the image.) The second rounding is added to it: bins differ in size,
# and neighbors may read the same value, as most of the 7 above do.
# </details>
#
# The figure, which is to scale, shows two remedies. **RoIWarp** (Dai et al. 2016, as section 3 of
# Mask R-CNN describes it) rounds the RoI, but not its bins. **RoIAlign** (section 3) rounds
# nothing: its points lie between the positions.
#
# ## 2. RoIAlign: read between the positions
#
# Between four positions, read the **bilinear** mean of their values: the nearer one is, the more it
# counts, with `1 - dx` or `dx` along x, times `1 - dy` or `dy` along y. A bin is the mean of four
# such points.
#
# **Predict:** take a map whose value in row i, column j is j itself: a ramp. What does RoIAlign
# read in the three columns of our RoI, which goes from x = 14.25 to 19.25?


# %%
def bilinear(values, y, x):
    top, left = int(y), int(x)
    dy, dx = y - top, x - left
    weights = torch.tensor([[(1 - dy) * (1 - dx), (1 - dy) * dx], [dy * (1 - dx), dy * dx]])
    return (values[top : top + 2, left : left + 2] * weights).sum()


# %%
FOUR = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]  # (y, x) as fractions of a bin


def align_by_hand(values, box, stride, n_bins, points=FOUR):
    x1, y1, x2, y2 = (box / stride).tolist()  # not rounded
    h, w = (y2 - y1) / n_bins, (x2 - x1) / n_bins

    def one_bin(i, j):
        read = [bilinear(values, y1 + (i + v) * h, x1 + (j + u) * w) for v, u in points]
        return torch.stack(read).mean()

    rows = [torch.stack([one_bin(i, j) for j in range(n_bins)]) for i in range(n_bins)]
    return torch.stack(rows)  # [P, P]


# %%
ramp = torch.arange(24.0).expand(24, 24)
align_by_hand(ramp, roi, stride=16, n_bins=3)[0]

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The centers of the three bins: 14.25 + 0.5, 1.5 and 2.5 times 5 / 3. On a ramp, what is read
# *is* where it was read. Keep this trick; it will be our ruler.
# </details>
#
# Both of our operations against the package's, which takes RoIs as rows `(image, x1, y1, x2, y2)`.

# %%
rois = roi_ops.boxes_to_rois(roi)  # [1, 5]
ys, xs = bins_by_hand(y1, y2, 16, 7), bins_by_hand(x1, x2, 16, 7)
pooled = [[features[0, a : b + 1, c : d + 1].max() for c, d in xs] for a, b in ys]
package = roi_ops.roi_pool(features[None], rois, output_size=7, spatial_scale=1 / 16)
torch.testing.assert_close(torch.tensor(pooled), package[0, 0])
package = roi_ops.roi_align(features[None], rois, output_size=7, spatial_scale=1 / 16)
torch.testing.assert_close(align_by_hand(features[0], roi, 16, 7), package[0, 0])

# %% [markdown]
# ## 3. Slide the RoI
#
# The RPN's boxes have no reason to lie on whole positions. Slide the RoI to the right by a quarter
# of a pixel at a time, over two positions of the map, and watch one bin.
#
# **Predict:** RoIPool's output will jump. How often will RoIWarp's, which does not round the bins:
# never, half as often, or as often?

# %%
shifts = torch.arange(0, 32, 0.25)
sliding = roi_ops.boxes_to_rois(roi + shifts[:, None] * torch.tensor([1, 0, 1, 0]))  # [128, 5]
read = {op: f(features[None], sliding, 7, 1 / 16)[:, 0] for op, f in roi_ops.OPERATIONS.items()}
one_bin = {op: values[:, 3, 5] for op, values in read.items()}
viz.show_lines(shifts, one_bin, "shift, pixels", "one bin").caption("Which two lines jump?")

# %%
for op, values in read.items():
    change = values.diff(dim=0).flatten(1).abs().amax(dim=1)  # of the whole 7 x 7, each step
    print(f"{op:6} changes at {(change > 1e-4).sum():3} of {len(change)} steps")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# As often, and at the same moments: what jumps is the rounded RoI, whenever its left or its right
# border passes the middle between two positions. Ours is exactly five positions wide, so both pass
# at once: one jump in 16 pixels (with nearly all other widths, two). Between two jumps the RoI
# moves on, and neither operation notices. RoIAlign changes with every step.
# </details>
#
# ## 4. The misalignment, in image pixels
#
# Now the ruler: on a map whose value i is 16 i, its location in the image, RoIAlign's output is the
# location that it reads. For RoIPool we take the middle between the largest and the smallest value
# of the bin. How far that is from the bin's true center is the misalignment. We measure 500 random
# RoIs.
#
# **Predict:** how far off is RoIPool's worst bin: about 4, 8 or 16 pixels?

# %%
generator = torch.Generator().manual_seed(0)
corners = 40 + 160 * torch.rand(500, 2, generator=generator)
sizes = 40 + 100 * torch.rand(500, 2, generator=generator)
boxes = torch.cat((corners, corners + sizes), dim=1)
centers = boxes[:, :1] + (torch.arange(7) + 0.5) * sizes[:, :1] / 7  # of the bins, x: [500, 7]


# %%
def misalignment(operation):
    ruler, rois = (16 * ramp)[None, None], roi_ops.boxes_to_rois(boxes)
    high, low = (s * operation(s * ruler, rois, 7, 1 / 16)[:, 0, 0] for s in (1, -1))
    return ((high + low) / 2 - centers).flatten()


errors = {op: misalignment(operation) for op, operation in roi_ops.OPERATIONS.items()}
largest = {op: round(error.abs().max().item(), 1) for op, error in errors.items()}
print("off by, at most:", largest)
assert largest["align"] == 0 and largest["warp"] < 8 and largest["pool"] > 15
viz.show_spread(errors, "misalignment of a bin, pixels").caption("3,500 bins of 500 RoIs.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 16: half a stride from the RoI's rounding, as much again from the bins'. For a class it
# hardly matters: a cross that lies 8 pixels further is a cross, so it did no harm in Fast R-CNN. A
# mask *consists of* locations.
# </details>
#
# ## 5. Only one of them tells the box where to go
#
# An output that follows the box has a **gradient** with respect to the box. A rounded coordinate
# stays the same when the box moves a little: its gradient is zero, and PyTorch does not even build
# one.

# %%
for op, operation in roi_ops.OPERATIONS.items():
    moving = rois.clone().requires_grad_()
    output = operation(features[None], moving, 7, 1 / 16)[0, 0, 3, 1]
    slope = torch.autograd.grad(output, moving)[0][0, 1:] if output.requires_grad else None
    print(f"{op:6}", "none" if slope is None else (1000 * slope).round().tolist())

# %% [markdown]
# (In thousandths of darkness per pixel of x1, y1, x2, y2. Mask R-CNN does not use this gradient:
# it passes proposals on as constants, as lesson 09 shows. Networks that learn *where to look*
# do: Dai et al. built RoIWarp for this gradient, and their layer has one. What is rounded, as in
# section 1, has none.)
#
# ## 6. How many points, and where? It hardly matters
#
# The paper found the result insensitive to the number and location of the points, "as long as no
# quantization is performed". We read 20 RoIs with 1, 4, 9 and 16 points, and with four at random
# locations, and compare with 100 points. Then a whole Mask R-CNN: `shapes-tiny`, which was trained
# with four points. We change how it reads, and nothing else, and run it on 40 scenes. Its **AP** is
# 100 if it finds every object with a perfect mask (lesson 11); AP75 counts masks whose IoU with the
# ground truth is 0.75 or more.
#
# **Predict:** which is nearer to the 100 points: four at *random* locations in each bin, or
# RoIWarp's four at the best locations of a RoI that was rounded?


# %%
def even(n):
    return [((i + 0.5) / n, (j + 0.5) / n) for i in range(n) for j in range(n)]


choices = {f"{n * n} points": even(n) for n in (10, 1, 2, 3, 4)}
choices["4 anywhere"] = torch.rand(4, 2, generator=generator).tolist()
read = {
    name: torch.stack([align_by_hand(features[0], box, 16, 7, points) for box in boxes[:20]])
    for name, points in choices.items()
}
rois_20 = roi_ops.boxes_to_rois(boxes[:20])
for op in ("warp", "pool"):
    read[op] = roi_ops.OPERATIONS[op](features[None], rois_20, 7, 1 / 16)[:, 0]
hundred = read.pop("100 points")
for name, values in read.items():
    print(f"{name:10} differs by {(values - hundred).abs().mean() / hundred.std():.1%}")

# %%
from dataclasses import replace

model, scenes, ap = load("shapes-tiny"), Shapes(40, seed=1), {}
trained = model.config  # roi_op="align", sampling_ratio=2: 2 x 2 points
for op, s in (("align", 1), ("align", 2), ("align", 3), ("align", 4), ("warp", 2), ("pool", 2)):
    model.config = replace(trained, roi_op=op, sampling_ratio=s)
    scores = evaluate(scenes, detect_all(model, scenes))
    ap[op, s] = scores.ap
    print(f"{op:6}{s} x {s}   mask AP {100 * scores.ap:3.0f}   AP75 {100 * scores.ap75:3.0f}")
model.config = trained
assert all(abs(ap["align", s] - ap["align", 2]) < 0.02 for s in (1, 3, 4))
assert ap["pool", 2] + 0.2 < ap["warp", 2] < ap["align", 2] - 0.2

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The four at random locations. From 1 point to 16 the AP hardly changes; one rounding takes a
# third of it, two take most of it, and AP75, which requires exact outlines, falls furthest. To be
# fair: this model never saw rounded features. *Trained* with RoIPool it would lose less; lesson 12
# does that. (The paper, table 2c: 26.9 with RoIPool, 27.2 with RoIWarp, 30.3 with RoIAlign.)
# </details>
#
# ## 7. Half a position: which pixel does value i describe?
#
# So far value i lay at pixel 16 i. Does it? Our map's value i is the mean of pixels 16 i to 16 i +
# 16: it lies at 16 i + 8. `aligned=True` subtracts half a position of the map. Without it our
# reading is off by a *constant*, which a network may learn to compensate; but is it there in the
# feature maps of a network?
#
# **Predict:** around which pixel does value 3 of `shapes-tiny`'s map of stride 16 look: 48 or 56?
# The gradient shows which pixels matter.

# %%
pixels = (torch.arange(384) + 0.5).expand(1, 1, 384, 384)  # the x of each pixel's center
means, rois_500 = avg_pool2d(pixels, 16), roi_ops.boxes_to_rois(boxes)
for aligned in (False, True):
    error = roi_ops.roi_align(means, rois_500, 7, 1 / 16, aligned=aligned)[:, 0, 0] - centers
    print(f"aligned={aligned!s:5} off by {error.min():4.1f} to {error.max():3.1f} pixels")

# %%
noise = torch.rand(4, 3, 96, 96, generator=generator).requires_grad_()
influence = torch.zeros(96)  # of each column of pixels
for value in model.backbone(noise)[2][:, :, 3, 3].sum(dim=0):  # in each channel
    influence += torch.autograd.grad(value, noise, retain_graph=True)[0].abs().sum(dim=(0, 1, 2))
middle = (influence * (torch.arange(96) + 0.5)).sum() / influence.sum()
assert abs(middle - 48.5) < 2
print(f"value 3 looks at the pixels around {middle:.1f}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Around 48 = 16 x 3, give or take a pixel, since learned weights are not symmetric. A 3 x 3
# convolution of stride 2 with padding 1 is centered on every second pixel, from the first on. So in
# a ResNet value i *does* lie at pixel 16 i, and `aligned=False`, the original's and torchvision's
# choice, is correct to half a pixel. For maps made of block means `aligned=True` is.
# </details>
#
# ## 8. RoIAlign is one weighted lookup
#
# Each output is a weighted sum of a few values of the map. Which weights? Pool the *identity*: a
# map with a channel for each position, which is 1 there and 0 elsewhere.
#
# `embedding_bag` looks up rows of a table and adds them up with weights; it was made for words. The
# package's RoIAlign is nothing else: it finds rows and weights along x and y, and looks up all RoIs
# at once.

# %%
identity = torch.eye(24 * 24).view(1, 24 * 24, 24, 24)
weights = roi_ops.roi_align(identity, rois, 7, 1 / 16)[0, :, 3, 1]  # [24 * 24], for one bin
nearby = weights.view(24, 24)[4:9, 13:18]
viz.show_maps([nearby], ["weights of one bin"], numbers=".2f").caption("They add up to 1.")

# %%
rows = weights.nonzero().T  # [1, n]
table = features.flatten(1).T  # [24 * 24, 1]: a row for each position of the map
looked_up = embedding_bag(rows, table, per_sample_weights=weights[rows], mode="sum")
torch.testing.assert_close(looked_up[0], package[0, :, 3, 1])
print(getsource(roi_ops.sample_points))

# %% [markdown]
# ## 9. What it does to a mask
#
# Cut the cross's mask, as maps of three strides see it, to 28 x 28 with each operation, and paste
# it back over the box. (The maps are block means, so all three get the half position of section 7.)

# %%
from mrcnn_edu.detections import paste_masks

mask, pasted, iou = target["masks"][[cross]], {}, {}  # mask: [1, 384, 384]
for stride in (4, 8, 16):
    coarse = avg_pool2d(mask[None].float(), stride)
    shifted = roi_ops.boxes_to_rois(roi - stride / 2)
    for op, operation in roi_ops.OPERATIONS.items():
        cut = operation(coarse, shifted, 28, 1 / stride)[0]
        pasted[stride, op] = result = paste_masks(cut, roi[None], (384, 384))
        iou[stride, op] = ((result & mask).sum() / (result | mask).sum()).item()
    print(f"stride {stride:2}", *(f"  {op} {iou[stride, op]:.2f}" for op in roi_ops.OPERATIONS))
results = {f"{op}: IoU {iou[16, op]:.2f}": pasted[16, op][0] for op in roi_ops.OPERATIONS}
viz.show_differences(mask[0], results).caption("Stride 16. Green: missing. Crimson: too much.")

# %% [markdown]
# ## Where it breaks: a RoI smaller than one stride of the map
#
# **Predict:** a RoI of 12 pixels, at stride 16. How many *different* values are in RoIPool's 7 x 7?

# %%
small = roi_ops.boxes_to_rois(torch.tensor([281.0, 89, 293, 101]))
reads = {op: f(features[None], small, 7, 1 / 16)[0, 0] for op, f in roi_ops.OPERATIONS.items()}
corner = 280 + torch.cartesian_prod(torch.arange(16.0), torch.arange(16.0))  # every whole pixel
moved = roi_ops.boxes_to_rois(torch.cat((corner, corner + 12), dim=1))
all_different = torch.arange(24 * 24.0).view(1, 1, 24, 24)
pooled = roi_ops.roi_pool(all_different, moved, 7, 1 / 16)[:, 0]
n_values = [len(values.unique()) for values in pooled]
assert set(n_values) == {1, 2, 4} and sum(n > 1 for n in n_values) > len(n_values) / 2
different = {op: len(values.unique()) for op, values in reads.items()}
assert different["pool"] == 1 and different["align"] == 49
viz.show_maps(list(reads.values()), [f"{op}: {n} different" for op, n in different.items()])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# One: all 49 bins have the same value of the map. (At most other locations two or four: a RoI of
# less than a stride never covers more.) Where it is one, nothing that comes later can tell left
# from right, so no mask head can work with that. RoIAlign's 49 are all different, but do not take
# it for super-resolution: they are mixtures of the same few values of the map. It keeps locations,
# and adds no detail. Small objects lose most: one reason to read them from the finer maps of a
# pyramid (lesson 04).
# </details>
#
# ## Play
#
# Move the RoI by half pixels, and widen it. When does each of the three change? On the map, purple
# is what RoIPool reads, blue what RoIWarp reads, orange the RoI itself.

# %%
from mrcnn_edu.course.widgets import roi_player

roi_player(features, roi, stride=16)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.sample_points))`.
#
# **1.** `moved_by_rounding(box, stride)`: by how many image pixels `[4]` RoIPool's first rounding
# moves each border of `box [4]`, in pixels of the image; right and down are positive. 1 line.
#
# **2.** `sample_points(start, end, n_bins, n_points)`: where RoIAlign reads along one axis of a RoI
# from start to end, as `[n_bins * n_points]`, in order; each bin has n_points equal parts, with a
# point in the middle of each. 2 lines.
#
# **3.** `align_1d(values, start, end, n_bins)`: RoIAlign along one axis `[n_bins]`, two points in a
# bin; `values [n]` has value i at coordinate i, and the RoI lies between 0 and n - 1. 5 lines.

# %%
from mrcnn_edu.course.exercises import roi_align as exercises


def moved_by_rounding(box, stride): ...


def sample_points(start, end, n_bins, n_points): ...


def align_1d(values, start, end, n_bins): ...


exercises.check_moved_by_rounding(moved_by_rounding)
exercises.check_sample_points(sample_points)
exercises.check_align_1d(align_1d)

# %% [markdown]
# ## Remember
#
# - RoIPool rounds the RoI and then its bins: a bin can be a whole stride off, and each differently.
# - RoIAlign rounds nothing. How many points it reads, and where, hardly matters.
# - It is a weighted lookup that follows the box, and so it could tell the box where to go.
#
# torchvision calls them `ops.roi_pool` and `ops.roi_align` (`aligned=False` in its models),
# detectron2 `ROIPool`, `ROIAlign` and, aligned, `ROIAlignV2`; RoIWarp is in neither. Next: **08,
# heads and the m x m mask**.
