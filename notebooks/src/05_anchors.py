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
# **The question.** A network's output has a fixed shape. How can it return a variable number of
# boxes?
#
# **You will be able to**
#
# - place anchors by hand, from their sizes, their aspect ratios and the stride of a feature map;
# - decide which anchors learn "object", which learn "background", and which learn nothing, and say
#   why there are two thresholds;
# - measure how well a set of anchors covers the objects of a data set, ours or your own, before you
#   train anything;
# - recognize a bad set of anchors, and name two ways to do without choosing them by hand.
#
# *Time: 160 minutes, of which 45 are for the larger task at the end. You need lessons 02 (IoU and
# box deltas) and 04 (feature maps and strides). Reading:
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), sections 3.1.1, 3.1.2 and 3.3.*

# %%
from dataclasses import replace

import torch
from torch.nn.functional import pad

from mrcnn_edu import load, viz
from mrcnn_edu.anchors import pyramid_anchors
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.coverage import anchor_coverage, pyramid_grids
from mrcnn_edu.matching import BACKGROUND, IGNORED, match

viz.show_architecture("proposals").caption(
    "Figure 1. Anchors belong to the highlighted stage. The region proposal "
    "network starts from them, and everything after it works with the boxes "
    "that it makes of them."
)

# %% [markdown]
# ## Five objects, two objects, one shape
#
# Here are two scenes. The first is the one you know from lesson 00.

# %%
scenes = Shapes(1000, seed=1)  # 96 x 96 pixels, as the network sees them
# The same scenes for our eyes.
large_scenes = Shapes(1000, seed=1, render_size=384, noise=0)

picture, panels = viz.row(2)
for axes, number in zip(panels, (350, 73), strict=True):
    boxes = scenes[number][1]["boxes"]
    viz.draw_image(axes, large_scenes[number][0], f"{len(boxes)} objects")
    viz.draw_boxes(axes, 4 * boxes, "gt")
picture.caption(
    "Figure 2. Two scenes with their ground-truth boxes. A detector has to "
    "return five boxes for the first one and two for the second."
)

# %% [markdown]
# Now suppose we want a convolutional network to output these boxes. We run a convolution on both
# images and look at the shape of what comes out:

# %%
convolution = torch.nn.Conv2d(3, 12, kernel_size=3, stride=16, padding=1)
for number in (350, 73):
    image, target = scenes[number]
    shape = list(convolution(image).shape)
    print(f"{len(target['boxes'])} objects, an output of shape {shape}")

# %% [markdown]
# The shape depends on the size of the image and on the layers, never on what the image shows. A
# network cannot output five boxes here and two boxes there.
#
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.1, turns the problem around. It puts a
# fixed set of boxes all over the image, the **anchors**, and has the network predict the same two
# things for each of them. Is there an object near this anchor? And how should the anchor be shifted
# and resized to fit it? The number of predictions is now fixed, as it must be. What varies is how
# many of them are "object".
#
# Everything else follows from that idea, and this lesson is about its three parts: where the
# anchors are, what each of them learns, and whether they fit the objects at all.
#
# ## 1. One anchor: a size and an aspect ratio
#
# We begin with a single anchor. It should be described by its scale and by its shape, and the two
# should be independent, so that we can first choose how large the anchors are and then how
# elongated. Width and height do not have this property, because changing either one changes both
# scale and shape.
#
# So we describe an anchor of width $w$ and height $h$ by its **size** $s$, the square root of its
# area, and its **aspect ratio** $r$, which is height divided by width:
#
# $$s = \sqrt{w h}, \qquad r = \frac{h}{w}.$$
#
# Solving these two equations for the width and the height gives
#
# $$w = \frac{s}{\sqrt{r}}, \qquad h = s \sqrt{r}.$$
#
# > **Predict.** An anchor has a size of 32 and an aspect ratio of 2. How wide is it, how high is
# > it, and what is its area?


# %%
def anchor_shape(s, r):
    """Width and height of an anchor of size s and aspect ratio r."""
    w = s / r**0.5
    h = s * r**0.5
    return w, h


for r in (0.5, 1, 2):
    w, h = anchor_shape(32, r)
    print(f"r = {r:3}: {w:4.1f} wide, {h:4.1f} high, area {w * h:.0f}")


# %%
def box_around(x, y, w, h):
    """The box (x1, y1, x2, y2) with its center at (x, y)."""
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


# %%
image, target = scenes[350]
large_image = large_scenes[350][0]
three = []
for r in (0.5, 1, 2):
    three.append(box_around(58.5, 60.5, *anchor_shape(32, r)))
viz.show_boxes(large_image, 4 * torch.tensor(three), "anchor").caption(
    "Figure 3. One size and three aspect ratios. The three anchors have the "
    "same center and the same area. Anchors are blue and dashed."
)

# %% [markdown]
# **What happened.** The anchor is 22.6 wide and 45.3 high, and its area is 1,024, which is $32^2$.
# If you said 32 wide and 64 high, you changed the area along with the shape. That would be a valid
# way to define anchors, too, but then a tall anchor of size 32 would be meant for larger objects
# than a square one of size 32.
#
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.3, uses the aspect ratios 1:2, 1:1 and
# 2:1, and nearly everybody has followed. Be careful when you read code, because some authors define
# the ratio as width divided by height.
#
# One anchor covers one spot. Next, we need anchors everywhere.

# %% tags=["claim"]
for r in (0.5, 1, 2):
    w, h = anchor_shape(32, r)
    assert round(w * h) == 1024 and abs(h / w - r) < 1e-9
assert [round(value, 1) for value in anchor_shape(32, 2)] == [22.6, 45.3]
assert [len(scenes[i][1]["boxes"]) for i in (350, 73)] == [5, 2]
assert target["boxes"][2].tolist() == [43, 44, 74, 77]  # the star, around (58.5, 60.5)

# %% [markdown]
# ## 2. Anchors at every location of a feature map
#
# The network makes its predictions with a convolution, which has outputs at every location of a
# feature map. So that is where the anchors go. Every location gets the same $k$ anchors, one for
# each size and aspect ratio, and here $k = 3$. On a map of stride $t$, the location in
# row $i$ and column $j$ has its anchors centered at
#
# $$(x, y) = (t\,j,\; t\,i)$$
#
# in the image, and a map with $H$ rows and $W$ columns has $H W k$ anchors. The network's outputs
# are listed row by row, with the $k$ anchors of a location together, so we list the anchors in the
# same order.
#
# > **Predict.** Our scenes have 96 × 96 pixels. How many anchors does a map of stride 16 have? And
# > a map of stride 4?


# %%
def anchors_everywhere(t, s, ratios=(0.5, 1, 2)):
    """The anchors of size s of a map of stride t, on a scene."""
    anchors = []
    for y in range(0, 96, t):
        for x in range(0, 96, t):
            for r in ratios:
                anchors.append(box_around(x, y, *anchor_shape(s, r)))
    return torch.tensor(anchors)


print("stride 16:", len(anchors_everywhere(t=16, s=24)))
print("stride  4:", len(anchors_everywhere(t=4, s=12)))

# %% [markdown]
# **What happened.** The map of stride 16 has $6 \times 6$ locations and 108 anchors. The map of
# stride 4 has $24 \times 24$ locations and 1,728 anchors. That is sixteen times as many, because
# both directions become four times finer.
#
# Drawn together, even 108 anchors are a blue thicket. So let's look at the locations, and at the
# anchors of two of them. We give the image a white margin, to see what lies outside.

# %%
margin = 24  # pixels of a scene
with_margin = pad(large_image, [4 * margin] * 4, value=1)


def shown(boxes):
    """Boxes of a scene, in pixels of the large image with its margin."""
    return 4 * (boxes + margin)


# %%
coarse = anchors_everywhere(t=16, s=24)
dots = []
for y in range(0, 96, 16):
    for x in range(0, 96, 16):
        dots.append(box_around(x, y, 1, 1))
panels = {
    "36 locations": (shown(torch.tensor(dots)), viz.INK),
    "in the corner": (shown(coarse[:3]), "anchor"),
    "further inside": (shown(coarse[84:87]), "anchor"),
}
viz.show_panels(with_margin, panels).caption(
    "Figure 4. The locations of a map of stride 16, and the anchors of size "
    "24 at two of them. The first location is the corner of the image, so "
    "three quarters of each of its anchors lie outside."
)

# %% [markdown]
# ### What an anchor is not
#
# Three things are easily confused here. First, an anchor is not learned, and it does not depend on
# what the image shows. All images of one size have the same anchors. What the network learns is the
# predictions that go with them.
#
# Second, an anchor is not the part of the image that the network looks at. That is the *receptive
# field* of lesson 04, and the two have different origins: we choose an anchor, while the receptive
# field follows from the layers. In our model a location of the finest map sees 151 × 151 pixels,
# more than the whole scene, although its anchors have a size of only 12. That is fortunate, because
# one has to see the surroundings of a box to judge whether it fits.
#
# Third, an anchor is not a proposal. A proposal is what the network makes of an anchor after it has
# shifted and resized it. That is the subject of lesson 06.
#
# ### One size for each level of the pyramid
#
# Small objects need small anchors at many locations, and large objects need large anchors at few.
# The feature pyramid of lesson 04 offers exactly that, so [FPN](https://arxiv.org/abs/1612.03144),
# section 4.1, gives each of its maps one size. Our model does the same with four maps.

# %%
model = load("shapes-tiny")
sizes = model.config.anchor_sizes  # ((12,), (24,), (48,), (72,))
strides = model.backbone.strides  # (4, 8, 16); the RPN adds one more map
grids = pyramid_grids((96, 96), strides)  # rows and columns of the four maps
levels = pyramid_anchors(grids, (96, 96), sizes, ratios=(0.5, 1.0, 2.0))
anchors = torch.cat(levels)

for (rows, columns), (size,), level in zip(grids, sizes, levels, strict=True):
    print(
        f"stride {96 // rows:2}, {rows:2} x {columns:2} locations, "
        f"anchor size {size}: {len(level):5} anchors"
    )
print(f"together: {len(anchors):,} anchors")

# %% tags=["cover"]
panels = {}
for (rows, _), level in zip(grids, levels, strict=True):
    at_star = viz.anchors_at(level, (64, 64))  # three anchors
    panels[f"stride {96 // rows}"] = (shown(at_star), "anchor")
viz.show_panels(with_margin, panels).caption(
    "Figure 5. The anchors at the location (64, 64) on each of the four maps, "
    "from the finest to the coarsest. The star is larger than the square "
    "anchor of the second map and smaller than that of the third."
)

# %% [markdown]
# Notice that the sizes grow with the strides. Where the map is twice as coarse, the anchors are
# twice as large, and an object that is twice as large looks to the network much as it did one level
# below. That allows one set of weights to serve all levels. Our last level departs from it a
# little, with a size of 72 instead of 96, because no object in our scenes is as large as the scene.
#
# The package rounds the corners of the anchors at a location to whole pixels, as torchvision does,
# and so its anchors differ from ours by up to half a pixel. Weights that were trained with rounded
# anchors need rounded anchors again.
#
# ### Anchors that cross the border
#
# In Figures 4 and 5 some anchors reach out of the image. How many do so on each level?


# %%
def crosses_border(boxes):
    """Which boxes [N, 4] reach out of a scene: [N], True or False."""
    return (boxes[:, :2] < 0).any(dim=1) | (boxes[:, 2:] > 96).any(dim=1)


for (size,), level in zip(sizes, levels, strict=True):
    n_crossing = crosses_border(level).sum().item()
    print(f"anchor size {size}: {n_crossing:3} of {len(level):4} cross it")

# %% [markdown]
# More than a quarter of all anchors do, and on the last level all of them.
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.3, ignores such anchors in training.
# The authors report that otherwise training did not converge, because these anchors bring large
# errors that are hard to correct. [FPN](https://arxiv.org/abs/1612.03144), section 5.1, keeps them,
# and so do torchvision, detectron2 and we.
#
# Why is that fine here? An anchor that reaches far out of the image overlaps no object well, so it
# simply learns "background". One that reaches out by a few pixels may still fit an object inside
# the image, and then it is an example like any other. If the box that the network makes of an
# anchor still sticks out, it is cut off at the border later. And without the crossing anchors we
# would have to do without the largest size altogether. In Exercise 5 you write the paper's rule.
#
# We now have 2,295 boxes, and no idea what to do with them. That is the next part.

# %% tags=["claim"]
from mrcnn_edu.course.widgets.receptive_field import receptive_fields

assert sizes == ((12,), (24,), (48,), (72,)) and strides == (4, 8, 16)
assert len(anchors) == 2295 and [len(level) for level in levels] == [1728, 432, 108, 27]
by_hand = [anchors_everywhere(96 // g[0], s[0]) for g, s in zip(grids, sizes, strict=True)]
assert 0.4 < (torch.cat(by_hand) - anchors).abs().max() <= 0.5
assert len(dots) == 36 and coarse[85].tolist() == [52.0, 52.0, 76.0, 76.0]
counts = [crosses_border(level).sum().item() for level in levels]
assert counts == [321, 197, 93, 27] and 0.25 < sum(counts) / len(anchors) < 0.3
assert receptive_fields(model)[0].full == 151
assert max(scenes[i][1]["boxes"].diff(dim=1).max() for i in range(100)) < 96

# %% [markdown]
# ## 3. Matching: what does each anchor learn?
#
# To train the network, we have to tell it what it should predict. For every anchor we need a label,
# and for those on an object we need the object, too. Deciding this is called **matching**, and IoU
# from lesson 02 is the natural measure. An anchor that overlaps an object well should learn
# "object". An anchor that overlaps none should learn "background".
#
# And in between? Take an anchor that covers half of a star. It would be wrong to teach the network
# that this is background, because what it sees there is a star. To call it an object would be
# doubtful, too, since a neighbor that fits the star much better stands right beside it. And with a
# single threshold between the two, anchors with IoUs of 0.49 and 0.51 would have to learn opposite
# things from nearly the same features. [Faster R-CNN](https://arxiv.org/abs/1506.01497), section
# 3.1.2, therefore has two thresholds and leaves out what lies between them. Let $b_i$ be the box of
# object $i$. An anchor $a$ is
#
# - **positive**, and learns "object", if $\mathrm{IoU}(b_i, a) \ge 0.7$ for some object $i$;
# - **negative**, and learns "background", if $\mathrm{IoU}(b_i, a) < 0.3$ for every object $i$;
# - **ignored** in all other cases, and takes no part in training.
#
# One more rule is needed. Some objects have no anchor that reaches 0.7, and by these rules alone
# the network would never learn to find them. So each object's best anchor is positive as well,
# whatever their IoU is, provided that they overlap. If several anchors are equally good, all of
# them are positive. Libraries call this a **low-quality match**. A positive anchor learns the
# object with which it has the highest IoU.
#
# Let's try the rules on two objects and five anchors. These are their IoUs:

# %%
toy_iou = torch.tensor(
    [
        [0.80, 0.55, 0.10, 0.00, 0.20],  # object 0 with each of the anchors
        [0.05, 0.15, 0.40, 0.29, 0.00],  # object 1
    ]
)

# %% [markdown]
# > **Predict.** Which of the five anchors are positive, which are negative, and which are ignored?

# %%
toy_matched = match(toy_iou, 0.7, 0.3, allow_low_quality_matches=True)
viz.show_matching(toy_iou, toy_matched).caption(
    "Figure 6. Matching as a table, with a row for each anchor. A cell in "
    "dark blue is the object that the anchor learns."
)

# %% [markdown]
# **What happened.** Anchor 0 passes the upper threshold. Anchor 1 lies between the two and is
# ignored. Anchors 3 and 4 stay below the lower threshold with both objects and are negative. The
# interesting one is anchor 2. Its IoU of 0.40 is nothing to be proud of, but without it object 1
# would have no anchor at all.
#
# The thresholds 0.7 and 0.3 are a choice that has proved itself, not a law. What matters is the gap
# between them, which keeps doubtful examples out of training.
#
# Now the real scene.
#
# > **Predict.** The scene has 5 objects and 2,295 anchors. How many anchors do you expect to be
# > positive: about 5, about 50 or about 500? And will most of the others be negative or ignored?

# %%
iou = box_iou(target["boxes"], anchors)  # [5, 2295]
matched = match(iou, 0.7, 0.3, allow_low_quality_matches=True)
positive = matched >= 0  # the index of the object
ignored = matched == IGNORED
negative = matched == BACKGROUND
print("positive:", positive.sum().item())
print("ignored: ", ignored.sum().item())
print("negative:", negative.sum().item())
print(f"highest IoU of all: {iou.max():.2f}")

# %%
kinds = {"positive": positive, "ignored": ignored, "negative": negative}
panels = {}
for (name, is_kind), step in zip(kinds.items(), (1, 25, 350), strict=True):
    some = anchors[is_kind][::step]
    panels[f"{name}: {len(some)} of {is_kind.sum()}"] = (shown(some), name)
viz.show_panels(with_margin, panels).caption(
    "Figure 7. Anchors by what they learn. All positive ones are drawn, and a "
    "few of the others. Ignored ones overlap an object by half or so. "
    "Negative ones miss the objects, or are much smaller or larger than they "
    "are."
)

# %% [markdown]
# **What happened.** Only 7 anchors are positive, 143 are ignored, and 2,145 are negative. Why 7,
# for five objects? Because the star and the orange cross have two equally good anchors each.
# Background outnumbers the positive anchors by three hundred to one. If all anchors counted
# equally, a network that always predicts "background" would be nearly perfect. So each training
# step uses a small sample instead, half of it positive if there are enough. Lesson 06 does that.
#
# Two of the negative anchors in Figure 7 lie on the circle. They are negative because IoU
# compares them with the whole circle, of which they cover only a small part. The network learns
# that a circle of this size is the business of a coarser map with larger anchors, and in this way
# each map specializes in objects of one scale.
#
# Look at the last line, too. In the whole scene no anchor reaches an IoU of 0.7. *All* seven
# positive anchors are low-quality matches. The paper introduces that rule for rare cases. Here the
# network could learn none of the five objects without it, and we should find out why.

# %% tags=["claim"]
assert toy_matched.tolist() == [0, IGNORED, 1, BACKGROUND, BACKGROUND]
assert [kind.sum().item() for kind in kinds.values()] == [7, 143, 2145]
assert iou.max() < 0.7 and set(matched[positive].tolist()) == {0, 1, 2, 3, 4}
n_anchors = matched[positive].bincount().tolist()  # of each object
twice = [scenes.classes[target["labels"][i] - 1] for i, n in enumerate(n_anchors) if n == 2]
assert sorted(n_anchors) == [1, 1, 1, 2, 2] and sorted(twice) == ["cross", "star"]
samples, circle = anchors[negative][::350], target["boxes"][0]
centers = (samples[:, :2] + samples[:, 2:]) / 2
assert ((centers > circle[:2]) & (centers < circle[2:])).all(dim=1).sum() == 2
assert 300 < negative.sum() / positive.sum() < 310

# %% [markdown]
# ## 4. Coverage: does every object have an anchor that fits?
#
# The rules take the anchors as given. But what if they fit badly from the start? We can measure
# that before we train anything. The **coverage** of an object with box $b$ by a set of anchors
# $\mathcal{A}$ is its IoU with the anchor that fits it best:
#
# $$c(b) = \max_{a \in \mathcal{A}} \mathrm{IoU}(b, a).$$
#
# The package's `anchor_coverage` computes it for every object of a data set, and returns it
# together with the sizes of the objects. We take the first 100 scenes.

# %%
ours = anchor_coverage(scenes, model.config, strides, n=100)
print(len(ours.sizes), "objects")

# %% [markdown]
# > **Predict.** Our anchors have the sizes 12, 24, 48 and 72. Which objects are covered worst:
# > those with a size of about 8, of about 17, or of about 24? And which best?

# %%
for size in (8, 17, 24):
    near = (ours.sizes - size).abs() <= 1
    print(f"size {size:2}: mean coverage {ours.best_iou[near].mean():.2f}")

# %%
title = f"{len(ours.sizes)} objects of 100 scenes"
viz.show_coverage({title: ours}).caption(
    "Figure 8. Each dot is an object. The dashed lines are the two thresholds "
    "of matching."
)

# %% [markdown]
# **What happened.** Objects of size 8 are covered worst, because no anchor is smaller than 12.
# Those of size 24 are covered best. In between, at 17, lies a valley, and its depth can be
# computed. If a square of size $s$ lies in the middle of a square anchor of size $s_a \ge s$, the
# object is the intersection and the anchor is the union, so that
#
# $$\mathrm{IoU} = \left(\frac{s}{s_a}\right)^2 .$$
#
# For $s = 17$ and $s_a = 24$ that is one half. The next smaller anchor, of size 12, gives
# $(12 / 17)^2$, which is one half again. So if each size is twice the one before, no square has to
# fall below 0.5 *because of its size*. That is the reason for sizes that double.
#
# But why are even the peaks so ragged? Because an object seldom has its center at a location. Move
# a square anchor of size $s$ away from an equal square by $d$ pixels, both to the right and down.
# The intersection has sides of $s - d$, and therefore
#
# $$\mathrm{IoU} = \frac{(s - d)^2}{2 s^2 - (s - d)^2} .$$
#
# On a map of stride $t$ an object's center is never farther than $t / 2$ from a location in either
# direction. In the worst case $d = t / 2$:


# %%
def worst_iou(s, t):
    """The IoU of equal squares of size s whose centers differ most."""
    d = t / 2
    return (s - d) ** 2 / (2 * s**2 - (s - d) ** 2)


print(f"size 24, stride 8: {worst_iou(24, 8):.2f}")
print(f"size 32, stride 4: {worst_iou(32, 4):.2f}")

# %% [markdown]
# Our anchors are three times as large as their stride, so even an object of exactly the right size
# can end up with a coverage of 0.53. In the second line an anchor is eight times as large as its
# stride, as in FPN, and the worst case is 0.78. That answers our question. With anchors as dense as
# FPN's, a square object of the right size always reaches 0.7, and with ours it depends on where the
# object happens to lie. Fewer than a quarter of our objects reach it, and all the others are
# learned from low-quality matches.
#
# That does little harm, as the detections of this model in lesson 00 show. An anchor need not *be*
# a good box. It has to be near enough that the network can see how to improve it. The lower
# threshold is the one to watch, and no object in our scenes lies below it.
#
# ### Coverage of your own data
#
# The same works for any data set in COCO's format, which lesson 01 introduced. First we write a
# folder of scenes with random outlines. Then we read it back as if it came from somewhere else. To
# measure your own data, skip the first of the two cells, and put the names of your folder and of
# your file into the second one.

# %%
from tempfile import mkdtemp

from mrcnn_edu.data import CocoFolder, write_coco

folder = mkdtemp()  # new and empty, since write_coco replaces what it finds
write_coco(Shapes(40, seed=2, size=160, outlines="blobs"), folder)

# %%
images = f"{folder}/images"  # or your own folder
annotations = f"{folder}/annotations.json"  # or your own file
coco = CocoFolder(images, annotations)
coverage = anchor_coverage(coco, model.config, strides)
viz.show_coverage({f"{len(coverage.sizes)} objects": coverage}).caption(
    "Figure 9. The coverage of a folder of images in COCO's format. Sizes are "
    "those that the network sees, after it has resized the images."
)

# %% tags=["claim"]
assert len(ours.sizes) == 349 and ours.best_iou.min() >= 0.3
assert (ours.best_iou >= 0.7).float().mean() < 0.25
means = [ours.best_iou[(ours.sizes - size).abs() <= 1].mean() for size in (8, 17, 24)]
assert means[0] < means[1] < means[2]
assert round((17 / 24) ** 2, 2) == 0.5 and round((12 / 17) ** 2, 2) == 0.5
assert round(worst_iou(24, 8), 2) == 0.53 and round(worst_iou(32, 4), 2) == 0.78

# %% [markdown]
# ## Where it breaks: anchors made for other images
#
# [FPN](https://arxiv.org/abs/1612.03144), section 4.1, uses the sizes 32, 64, 128, 256 and 512 on
# five maps, for photographs whose shorter side has 800 pixels. These are the defaults of
# torchvision and detectron2, too. Suppose you take them over for our scenes of 96 pixels. Our
# pyramid has only four maps, so the code below uses the first four sizes. The fifth, 512, would be
# more than five times as large as the scene.
#
# > **Predict.** For which fraction of our objects is even the best of these anchors below 0.3? Look
# > at Figure 8 for the sizes of the objects.

# %%
large_sizes = ((32,), (64,), (128,), (256,))
with_large = replace(model.config, anchor_sizes=large_sizes)
theirs = anchor_coverage(scenes, with_large, strides, n=100)

for name, coverage in {"ours": ours, "theirs": theirs}.items():
    low = (coverage.best_iou < 0.3).float().mean()
    high = (coverage.best_iou >= 0.7).float().mean()
    print(f"{name:6}  below 0.3: {low:3.0%}   0.7 or more: {high:3.0%}")

# %%
panels = {"sizes 12 to 72": ours, "sizes 32 to 256": theirs}
viz.show_coverage(panels).caption(
    "Figure 10. The same objects with our anchors (left) and with the first "
    "four sizes of FPN (right)."
)

# %% [markdown]
# **What happened.** For nearly a third of the objects the best anchor is below 0.3, and these are
# all the small ones. Each of them still gets its low-quality match. But while a match at 0.5 does
# little harm, one far below 0.3 is a bad teacher. An object of size 8 inside an anchor of size 32
# has the same low IoU with every anchor that contains it, so dozens of anchors tie as its best. All
# of them learn "object", while their neighbors, which see almost the same, learn "background".
#
# Now look at the second column, which seems to say the opposite. *More* objects than before have an
# anchor of 0.7 or better, 31 % instead of 23 %. Don't conclude that the large anchors are the
# better choice after all. It is the effect of the last section. The anchors of size 32 stand on a
# map of stride 4, so they lie closer together, compared with their size, than any of ours. Every
# object within 2 pixels of size 32 reaches 0.7 with them. With our anchors only 58 % of the objects
# within 2 pixels of size 24 do. In addition, many of our objects happen to have a size near 32,
# where our own anchors leave a valley. The gain concerns objects that our anchors cover well
# enough, and the loss concerns objects that are now hardly learned at all. Whenever you compare two
# sets of anchors, look at the lower line first.
#
# What makes this failure unpleasant is that nothing fails. Training runs, the loss falls, and the
# large objects are found. Only the small ones are missing, and somebody may conclude that small
# objects are just hard. You would notice it in the average precision of small objects (lesson 11),
# or in a chart like Figure 10, before you have trained at all.
#
# ### An object with an awkward shape
#
# Size is one way to miss an object, and shape is the other. The next picture comes with
# scikit-image. Our model knows six shapes and no rockets, so it cannot detect anything here. But
# coverage needs no trained model. It needs a box, and we have measured the rocket's by hand. We
# resize the photograph to a shorter side of 800 pixels and use the sizes from 32 to 512.

# %%
from skimage.data import rocket

photo = torch.from_numpy(rocket()).permute(2, 0, 1) / 255  # [3, 427, 640]
scale = 800 / photo.shape[1]
rocket_box = scale * torch.tensor([308.0, 126.0, 336.0, 407.0])
padded = (800, 1216)  # multiples of 32
photo_grids = pyramid_grids(padded, (4, 8, 16, 32))
photo_sizes = ((32,), (64,), (128,), (256,), (512,))


# %%
def best_anchor(ratios):
    """The anchor that fits the rocket best, IoU, and the number of all."""
    levels = pyramid_anchors(photo_grids, padded, photo_sizes, ratios)
    candidates = torch.cat(levels)
    best, index = box_iou(rocket_box[None], candidates)[0].max(dim=0)
    return candidates[index], best.item(), len(candidates)


# %% [markdown]
# > **Predict.** The rocket is ten times as high as it is wide. Does it have an anchor with an IoU
# > of 0.3 or more, if the aspect ratios are 1/2, 1 and 2?

# %%
choices = {
    "ratios 1/2, 1, 2": (0.5, 1.0, 2.0),
    "ratios 1/2, 1, 2, 8": (0.5, 1.0, 2.0, 8.0),
}
panels = {}
for name, ratios in choices.items():
    anchor, best, n_anchors = best_anchor(ratios)
    print(f"{name:19}  best IoU {best:.2f} of {n_anchors:,} anchors")
    pair = torch.stack((rocket_box, anchor)) / scale
    panels[f"{name}: IoU {best:.2f}"] = (pair, ["gt", "anchor"])
viz.show_panels(photo, panels, width=5).caption(
    "Figure 11. The rocket's box (green) and its best anchor (blue), without "
    "and with one more aspect ratio. Photograph: SpaceX."
)

# %% [markdown]
# **What happened.** The best IoU is 0.28. The cause is the shape alone, for 240,000 anchors leave
# no gaps. If an object's ratio is $\rho$ times the ratio of an anchor, then even with the same
# center and the best possible size, which gives both the same area,
#
# $$\mathrm{IoU} = \frac{1}{2 \sqrt{\rho} - 1} .$$
#
# From 2 to 10 we have $\rho = 5$ and an IoU of at most 0.29. The same formula says why three ratios
# serve most objects well. Between 1/2 and 2 every ratio is at most a factor $\rho = \sqrt{2}$ from
# one of the three, and that allows an IoU of 0.73.
#
# One more ratio raises the IoU to 0.57. Now $\rho = 10/8$ would allow 0.81, and it is the size that
# doesn't fit. The rocket has a size of 166 pixels, and the nearest anchors have 128 and 256. The
# ratio costs 81,000 more anchors, and each of them is scored for every image. For one rocket that
# is a bad bargain, but for a data set of rockets, text lines or pencils it is a good one.

# %% tags=["claim"]
small = theirs.sizes < 16
assert 0.28 < (theirs.best_iou < 0.3).float().mean() < 1 / 3
assert (theirs.best_iou[small] < 0.3).all() and (theirs.best_iou[theirs.sizes > 18] > 0.3).all()
near_24, near_32 = (ours.sizes - 24).abs() <= 2, (theirs.sizes - 32).abs() <= 2
assert (theirs.best_iou[near_32] >= 0.7).all() and near_32.sum() > 50
assert round((ours.best_iou[near_24] >= 0.7).float().mean().item(), 2) == 0.58
assert round((theirs.best_iou >= 0.7).float().mean().item(), 2) == 0.31
assert (theirs.best_iou >= 0.7).float().mean() > (ours.best_iou >= 0.7).float().mean()
assert theirs.best_iou[theirs.sizes >= 24].mean() > ours.best_iou[ours.sizes >= 24].mean()
hundred = torch.cat([scenes[i][1]["boxes"] for i in range(100)])
large_anchors = torch.cat(pyramid_anchors(grids, (96, 96), large_sizes, (0.5, 1.0, 2.0)))
table = box_iou(hundred, large_anchors)
tied = (table == table.amax(dim=1, keepdim=True)).sum(dim=1)
assert 24 < tied[theirs.sizes < 16].float().mean() < 72
assert round(best_anchor((0.5, 1.0, 2.0))[1], 2) == 0.28
assert round(best_anchor((0.5, 1.0, 2.0, 8.0))[1], 2) == 0.57
assert [best_anchor(ratios)[2] for ratios in choices.values()] == [242991, 323988]
assert round(1 / (2 * 1.25**0.5 - 1), 2) == 0.81
assert (rocket_box[2:] - rocket_box[:2]).prod().sqrt().round() == 166
assert round(1 / (2 * 5**0.5 - 1), 2) == 0.29 and round(1 / (2 * 2**0.25 - 1), 2) == 0.73

# %% [markdown]
# ## 5. Do we have to choose them by hand?
#
# Sizes and ratios are numbers that somebody has picked, and much effort has gone into getting rid
# of them. One way is to let the data choose. [YOLO9000](https://arxiv.org/abs/1612.08242), section
# 2, sorts the shapes of all objects into a few groups with the *k-means* algorithm and takes the
# mean of each group as an anchor. You build that in Exercise 6.
#
# The other way is to have no anchors. An **anchor-free detector** such as
# [FCOS](https://arxiv.org/abs/1904.01355) asks every location of the feature maps whether it lies
# inside an object, and if so, how far away the object's four edges are. The location itself takes
# the role of the anchor, so there are no sizes and ratios to choose, but matching still needs a
# rule. **DETR**, the [detection transformer](https://arxiv.org/abs/2005.12872), drops the link to a
# location as well. It always outputs 100 boxes, and in training each object is matched with exactly
# one of them, so that the rest learn "no object" and NMS becomes unnecessary. Even so, its answer
# to the question of this lesson is the one you know. The number of outputs is fixed, and some of
# them are "object".
#
# Are anchors a mistake, then? [ATSS](https://arxiv.org/abs/1912.02424) compared both kinds under
# equal conditions. Once positives and negatives were chosen in the same way, the difference between
# an anchor-based and an anchor-free detector almost vanished. What matters most is matching.
#
# ## Play: a location and its anchors
#
# Click anywhere in the image. You see the location of the feature map that is nearest, its anchors
# in the colors of their labels, and the part of the image that the network sees from there. The
# buttons choose the feature map.
#
# 1. Put the location in the middle of the star and go through the four maps. On which one is the
#    best anchor, and what is its IoU? Is it positive?
# 2. On the map of stride 8, go from the star to the right, one location at a time. After how many
#    pixels are all three anchors negative?
# 3. Compare the receptive field with the anchors on each of the maps. On which one are they closest
#    in size?
#
# Write down the three answers, with their numbers.

# %%
from mrcnn_edu.course.widgets import anchor_player, location_player

location_player(model, large_image, {"boxes": 4 * target["boxes"]}).caption(
    "Figure 12. A location on each of the four feature maps, and its anchors: "
    "positive in blue, ignored in gray, negative in red. Ground-truth boxes "
    "are green."
)

# %% [markdown]
# Now change the anchors themselves. The first slider multiplies all sizes by a factor. The second
# sets the ratio of the elongated anchors. The third chooses the shapes: the square alone (1), the
# wide and the tall one without it (2), or all three (3).
#
# 1. Which factor brings the most objects to 0.7 or more? Which factors leave none below 0.3? Is the
#    best one among them?
# 2. Go from one shape to two, and from two to three. Which step hurts, which one helps, and why is
#    that so for these objects?
# 3. Find the best setting with a single shape. How many anchors does it save?
#
# Write down the settings and the two percentages.

# %%
all_boxes = torch.cat([scenes[i][1]["boxes"] for i in range(100)])
player = anchor_player(
    image,
    all_boxes,
    sizes=(12, 24, 48, 72),
    strides=strides,
    shown=large_image,
)
player.caption(
    "Figure 13. The anchors of the second map at the center of the scene, and "
    "how the anchors of all maps cover the objects of 100 scenes."
)

# %% [markdown]
# ## Exercise 1: one anchor
#
# ★☆☆ · about 5 minutes
#
# Write `anchor_at(x, y, size, ratio)`. Return the anchor `[4]`, (x1, y1, x2, y2), with its center
# at (x, y), an area of size × size, and a height that is `ratio` times its width.
#
# For example, `anchor_at(0, 0, 8, 4)` is `[-2., -8., 2., 8.]`. It is 4 wide and 16 high, and its
# area is 64.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Compute the width and the height first. Half of each lies on either side of the center.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# If you multiply only the height by the ratio, the area changes, too.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>width, height = size / ratio**0.5, size * ratio**0.5</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# $w = s / \sqrt r$ and $h = s \sqrt r$, so that $w h = s^2$ and $h / w = r$. Our code:
# `exercises.anchor_at??`.
# </details>

# %%
from mrcnn_edu.course.exercises import anchors as exercises


def anchor_at(x, y, size, ratio): ...


exercises.check_anchor_at(anchor_at)

# %% [markdown]
# ## Exercise 2: which anchor is number 64?
#
# ★★☆ · about 10 minutes
#
# The RPN predicts one long list of scores. To draw one of them, you must know where its anchor
# lies. Write `locate_anchor(index, width, k, stride)`. All anchors of one level are in a list, row
# by row, with the k anchors of each location together. The feature map has `width` locations in a
# row. For the anchor at `index` in the list, return three whole numbers: the x and the y of its
# location, in pixels, and which of the k anchors it is, from 0 to k − 1. The first location is the
# image's upper left corner.
#
# For example, on a map with 6 locations in a row, 3 anchors at each location and a stride of 16,
# `locate_anchor(20, 6, 3, 16)` is `(0, 16, 2)`. It is the last anchor of the first location in the
# second row.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# First divide by k. The quotient is the number of the location, and the remainder says which anchor
# it is.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>locate_anchor(64, 6, 3, 16)</code> is <code>(48, 48, 1)</code>.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>location, which = index // k, index % k</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# Divide the number of the location by the width. The quotient is the row and the remainder is the
# column. The row times the stride is y, and the column times the stride is x. Our code:
# `exercises.locate_anchor??`.
# </details>


# %%
def locate_anchor(index, width, k, stride): ...


exercises.check_locate_anchor(locate_anchor)

# %% [markdown]
# ## Exercise 3: the coverage of each object
#
# ★☆☆ · about 5 minutes
#
# Write `best_iou(boxes, anchors)`. For M objects with boxes `[M, 4]` and A anchors `[A, 4]`, return
# each object's IoU `[M]` with the anchor that fits it best. M may be 0. You may use
# `mrcnn_edu.boxes.box_iou`.
#
# For example, the box (0, 0, 12, 12) and the anchors (0, 0, 16, 16) and (4, 4, 20, 20) give
# `[0.5625]`, which is 144 / 256.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# <code>box_iou</code> gives a table of all pairs. Which axis of it belongs to the anchors?
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# The result has one value for each <em>object</em>, so its shape is <code>[M]</code> and not
# <code>[A]</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The table `box_iou(boxes, anchors)` is `[M, A]`, and `.amax(dim=1)` takes the maximum over the
# anchors. Our code: `exercises.best_iou??`.
# </details>


# %%
def best_iou(boxes, anchors): ...


exercises.check_best_iou(best_iou)

# %% [markdown]
# ## Exercise 4: positive, negative, ignored
#
# ★★☆ · about 15 minutes
#
# Write `label_anchors(iou, high, low)`. The table `iou` `[M, A]` has the IoU of each of M objects
# (at least one) with each of A anchors. Return a label `[A]` for each anchor:
#
# - 1, positive, if its IoU with an object is at least `high`, or if it is an object's best anchor
#   and overlaps it, with an IoU above 0. If several anchors are equally good and the best for an
#   object, all of them are positive.
# - 0, negative, if it is not positive and its IoU with every object is below `low`.
# - −1, ignored, in all other cases.
#
# For example, with high = 0.7 and low = 0.3, the table `[[0.2, 0.5, 0.5, 0.4]]` gives
# `[0, 1, 1, -1]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Begin with −1 everywhere. Then write the zeros, and the ones last, because being positive beats
# everything else.
# </details>
# <details><summary><b>Hint 2</b>: the best anchors, with ties</summary>
# <code>iou == iou.amax(dim=1, keepdim=True)</code> is true wherever an anchor is the best, or one
# of the best, for an object. <code>argmax</code> would find only the first of them.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# An object that no anchor touches has an IoU of 0 with all of them, so that all would be its best.
# Ask for <code>iou > 0</code>, too.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Three assignments in the right order: below `low` becomes 0, at least `high` becomes 1, and the
# best of each object become 1. Our code: `exercises.label_anchors??`.
# </details>


# %%
def label_anchors(iou, high, low): ...


exercises.check_label_anchors(label_anchors)

# %% [markdown]
# ## Exercise 5: anchors that cross the border
#
# ★☆☆ · about 5 minutes
#
# In [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.3, anchors that cross the border of
# the image take no part in training. Write `ignore_crossing(labels, anchors, height, width)`. Given
# the labels `[A]` of the anchors `[A, 4]`, return them with −1 for every anchor that reaches over a
# border of the image. An anchor that only touches the border stays as it is.
#
# For example, in an image of 40 rows and 60 columns, the anchors (45, 10, 65, 30) and
# (0, 0, 60, 40) with the labels `[1, 0]` give `[-1, 0]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# An anchor lies inside if x1 and y1 are at least 0, x2 is at most the width, and y2 is at most the
# height.
# </details>
# <details><summary><b>Hint 2</b>: the last line</summary>
# <code>return torch.where(inside, labels, -1)</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# An ignored anchor is neither object nor background, whatever its label was before. Our code:
# `exercises.ignore_crossing??`.
# </details>


# %%
def ignore_crossing(labels, anchors, height, width): ...


exercises.check_ignore_crossing(ignore_crossing)

# %% [markdown]
# ## Exercise 6: let the data choose the anchors
#
# ★★★ · 30 to 60 minutes
#
# We have chosen sizes and ratios by hand. [YOLO9000](https://arxiv.org/abs/1612.08242), section 2,
# lets the objects choose them, with *k-means*. It sorts the shapes of all objects into k groups
# and takes the mean of each group as an anchor. The distance between two shapes is not measured in
# pixels, because then large objects would count most. It is 1 − IoU, where both shapes have the
# same center.
#
# Write `anchor_shapes(shapes, start, n_rounds)`. A shape is a pair (width, height). `shapes`
# `[N, 2]` are those of the objects, and `start` `[k, 2]` are the anchors to begin with. In each of
# `n_rounds` rounds,
#
# - every object joins the anchor with which it has the highest IoU (the first of several equal
#   ones);
# - then every anchor becomes the mean, in width and in height, of the objects that joined it. An
#   anchor without objects stays as it is.
#
# Return the anchors `[k, 2]`, ordered by their area, the smallest first.
#
# For example, take the shapes (50, 50) and (14, 14) and the anchors (10, 10), (25, 25) and (92,
# 92). In one round the first object joins the third anchor, since their IoU is 2500 / 8464 = 0.295,
# while it has an IoU of 625 / 2500 = 0.25 with the second. The second object joins the first
# anchor. The result is `[[14., 14.], [25., 25.], [50., 50.]]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Two boxes with the same center have an intersection of min(w, w') times min(h, h'). With that you
# have the IoU of every object with every anchor.
# </details>
# <details><summary><b>Hint 2</b>: shapes</summary>
# <code>torch.minimum(shapes[:, None], anchors)</code> is <code>[N, k, 2]</code>, and
# <code>.prod(dim=2)</code> makes <code>[N, k]</code> of it.
# </details>
# <details><summary><b>Hint 3</b>: the groups</summary>
# <code>joined = iou.argmax(dim=1)</code> says which anchor each object joins, and
# <code>shapes[joined == i]</code> are the objects of anchor i. There may be none.
# </details>
# <details><summary><b>Hint 4</b>: a trap</summary>
# Do not change <code>start</code> itself: begin with <code>start.clone()</code>. And order the
# anchors only at the end.
# </details>
# <details><summary><b>Solution</b></summary>
#
# With the distance in pixels, the object of 50 × 50 in the example would have joined the second
# anchor, which is 35 pixels away, while the third is 59 away. But measured by IoU, the third one
# fits better. Our code: `exercises.anchor_shapes??`.
# </details>


# %%
def anchor_shapes(shapes, start, n_rounds): ...


exercises.check_anchor_shapes(anchor_shapes)

# %% [markdown]
# When the check says "ok", let the objects of our scenes choose in a new cell, and compare the
# result with the sizes 12, 24, 48 and 72 of `shapes-tiny`:
#
# ```python
# shapes = all_boxes[:, 2:] - all_boxes[:, :2]
# start = torch.tensor([[12.0, 12], [24, 24], [48, 48], [72, 72]])
# anchor_shapes(shapes, start, n_rounds=20)
# ```
#
# The first three end up near 12, 22 and 35. The fourth does not move at all. Why not? No object
# joins it, because the largest of our objects is much smaller than 72 pixels.

# %% tags=["claim"]
start = torch.tensor([[12.0, 12], [24, 24], [48, 48], [72, 72]])
shapes = exercises.anchor_shapes(all_boxes[:, 2:] - all_boxes[:, :2], start, n_rounds=20)
assert shapes.prod(dim=1).sqrt().round().tolist() == [12, 22, 35, 72] and shapes[3].eq(72).all()

# %% [markdown]
# ## Remember
#
# - A network with a fixed output shape returns a variable number of boxes by predicting, for each
#   of many fixed anchors, whether there is an object and how the anchor must change to fit it.
# - An anchor is a size $s$ and an aspect ratio $r$ at a location of a feature map, with
#   $w = s / \sqrt r$ and $h = s \sqrt r$. It is neither learned nor a receptive field.
# - Anchors are positive from an IoU of 0.7 or as an object's best, negative below 0.3, and ignored
#   in between, where no label would be right.
# - Coverage is each object's IoU with its best anchor. Sizes that double, ratios that double and a
#   stride that is small compared with the size keep it high. Measure it before you train, because a
#   bad set of anchors raises no error.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `pyramid_anchors` | `AnchorGenerator` | `DefaultAnchorGenerator` |
# | `anchor_sizes`, `anchor_ratios` | `sizes`, `aspect_ratios` | `SIZES`, `ASPECT_RATIOS` |
# | `match` | `Matcher` | `Matcher` |
# | `rpn_positive_iou` | `rpn_fg_iou_thresh` | `RPN.IOU_THRESHOLDS[1]` |
# | `rpn_negative_iou` | `rpn_bg_iou_thresh` | `RPN.IOU_THRESHOLDS[0]` |
#
# Both libraries define the ratio as height divided by width, as we do, and their Mask R-CNN with a
# pyramid uses the sizes 32 to 512 and the ratios 1/2, 1 and 2. torchvision rounds its anchors to
# whole pixels, and detectron2 does not. [RetinaNet](https://arxiv.org/abs/1708.02002), section 4,
# which predicts classes right from the anchors, puts three sizes on each level instead of one, for
# a denser coverage.
#
# **Next:** lesson 06, the region proposal network, shows how the network makes both predictions for
# each of the 2,295 anchors, and how it learns them.
