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
# # 13 · FCIS against Mask R-CNN: masks without a mask head
#
# **The question.** In Mask R-CNN every RoI goes through a box head and a mask head. Could all
# layers run once for the whole image instead, and none for each RoI? What would we pay for that?
#
# **You will be able to**
#
# - say why one map cannot tell two overlapping objects apart, and how a map for every part can;
# - assemble a RoI by hand, and read its class and its mask from the same values;
# - merge the masks of many RoIs into one, and measure whether that helps;
# - test a claim of a paper with an experiment of your own, and say what your result does not show;
# - find the straight edges that this design draws into its masks, and explain where they come from.
#
# *Time: 180 minutes, of which 45 are for the larger task at the end. The cells run for about two
# minutes, because we train five small networks. You need lessons 07 (RoIAlign), 08 (the heads) and
# 11 (average precision). Reading: [FCIS](https://arxiv.org/abs/1611.07709), section 2, and
# [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 2.*

# %%
from inspect import getsource

import torch

from mrcnn_edu import ancestors, load, viz
from mrcnn_edu.ancestors.overlaps import by_overlap, two_objects

viz.show_architecture().caption(
    "Figure 1. Mask R-CNN. The green parts are computed once for an image. "
    "The orange ones, with both heads, are computed again for every region."
)

# %% [markdown]
# ## One pixel, two objects
#
# The design that we take apart today won. **FCIS**, fully convolutional instance-aware
# segmentation, took first place in COCO's segmentation challenge of 2016, one year before Mask
# R-CNN. It is the strongest rival that the Mask R-CNN paper compares itself with, and it was built
# on a thought that is hard to resist. A network that consists of convolutions alone computes
# everything once for the whole image. Why should a detector stop doing so halfway, and run further
# layers for each of three hundred boxes?
#
# Let's see what stands in the way. Here are two squares, and we look at a single pixel.

# %%
pixel = (46.5, 50.5)  # x, y
image, target = two_objects("square", "square", distance=24, seed=16)
boxes, masks = target["boxes"], target["masks"]  # [2, 4], [2, 96, 96]

# for the pictures, the same scene in four times the resolution
crisp, _ = two_objects("square", "square", distance=96, size=384, seed=16)

picture = viz.show_boxes(crisp, 4 * boxes, "gt", "one pixel, two boxes")
x, y = pixel
picture.axes[0].plot(4 * x, 4 * y, "o", color="white", markeredgecolor="black")
picture.caption(
    "Figure 2. The white dot lies in the boxes of both squares. It is on the "
    "blue one in front, and so it is not on the orange one behind."
)

# %% [markdown]
# A mask answers the question "is this pixel on the object?" for every pixel of a box. For the
# square in front, our pixel must answer *yes*. For the square behind, the same pixel must answer
# *no*. But a **fully convolutional network** outputs one value for each pixel of the image, and it
# has never heard of boxes. Whatever that value is, it is the same for both.
#
# For a single map, this is hopeless. Semantic segmentation, which only asks for the class at every
# pixel, is fine with it, since our pixel is "square" in any case. Instance segmentation is not.
# Mask R-CNN's way out is to give every RoI its own features and its own pass through the mask head.
# FCIS found another one.

# %% tags=["claim"]
row, column = 50, 46
assert masks[:, row, column].tolist() == [False, True]
(x1, y1), (x2, y2) = boxes[:, :2].amax(dim=0).tolist(), boxes[:, 2:].amin(dim=0).tolist()
assert x1 < pixel[0] < x2 and y1 < pixel[1] < y2

# %% [markdown]
# ## 1. A map for every part
#
# Suppose we let the network output not one map but several, and ask each of them a different
# question. The first one is asked: "If this pixel lay in the upper left part of an object's box,
# would it be on that object?" The next one is asked the same about the top part, then the upper
# right, and so on, for all $k \times k$ parts of a box. Such maps are called **position-sensitive
# maps**. The idea was born in [InstanceFCN](https://arxiv.org/abs/1603.08678) and in
# [R-FCN](https://arxiv.org/abs/1605.06409), and [FCIS](https://arxiv.org/abs/1611.07709), section
# 2.1, puts it to work on both classes and masks.
#
# None of these maps knows a box. Each of them still covers the whole image and is computed once.
# The box comes in only when we read. A RoI is cut into $k \times k$ **bins**, and each of its
# pixels is looked up on the map of the bin it lies in. For a pixel at $(x, y)$ in a RoI
# $(x_1, y_1, x_2, y_2)$, that is the bin in
#
# $$
# \text{row}\quad r = \left\lfloor k\,\frac{y - y_1}{y_2 - y_1} \right\rfloor
# \qquad\text{and column}\quad c = \left\lfloor k\,\frac{x - x_1}{x_2 - x_1} \right\rfloor,
# $$
#
# counted from 0. Now two boxes can ask the same pixel two different questions.
#
# > **Predict.** Take $k = 3$ and number the nine bins row by row, from 1 in the upper left to 9 in
# > the lower right. Estimate from Figure 2 on which of the nine maps the square in front looks our
# > pixel up, and on which one the square behind does.

# %%
def bin_of(x, y, box, k):
    """The row and the column of the bin that a point lies in."""
    x1, y1, x2, y2 = box.tolist()
    row = int(k * (y - y1) / (y2 - y1))
    column = int(k * (x - x1) / (x2 - x1))
    return row, column


for name, box in zip(("behind", "in front"), boxes, strict=True):
    row, column = bin_of(*pixel, box, k=3)
    print(f"{name:8}: row {row}, column {column}, bin {3 * row + column + 1}")

# %%
titles = ["the box of the square behind", "the box of the square in front"]
viz.show_box_bins(crisp, 4 * boxes, 3, titles, [4 * x, 4 * y]).caption(
    "Figure 3. The same pixel lies at the right of one box and in the left "
    "column of the other, so the two boxes look it up on different maps."
)

# %% [markdown]
# **What happened.** In the box of the square behind, the pixel lies at the right, in bin 6. In the
# box of the square in front, it lies at the left, in bin 4. The two boxes ask different maps, so
# they *may* get different answers, and the map for left parts can learn to say *yes* where the map
# for right parts says *no*. With $k = 1$ there is only one bin and one map, and we are back where
# we started.
#
# Note the careful "may". Two boxes that look a pixel up in the same bin still get the same answer,
# and we will come back to that.

# %% tags=["claim"]
assert [bin_of(*pixel, box, 3) for box in boxes] == [(1, 2), (1, 0)]

# %% [markdown]
# ## 2. Assembling a RoI
#
# When all pixels of a RoI have been looked up, its nine bins have come from nine maps. The paper
# calls this **assembling**.

# %% tags=["cover"]
viz.show_assembly().caption(
    "Figure 4. Assembling a RoI with k = 3. Each map covers the whole image "
    "and answers for one part of an object. Every bin of the RoI is copied "
    "from its own map, at its own place."
)

# %% [markdown]
# Let $f_{rc}$ be the map for the bin in row $r$ and column $c$, and let $s$ be the stride of the
# maps. The assembled map has $m \times m$ pixels, as a mask does. Pixel $(i, j)$ lies at
#
# $$
# x = x_1 + \frac{j + \frac12}{m}\,(x_2 - x_1), \qquad
# y = y_1 + \frac{i + \frac12}{m}\,(y_2 - y_1),
# $$
#
# and its value is
#
# $$A_{ij} = f_{rc}\!\left(\frac{x}{s},\ \frac{y}{s}\right)
# \qquad\text{with}\quad r = \left\lfloor \frac{k\,i}{m} \right\rfloor,\quad
# c = \left\lfloor \frac{k\,j}{m} \right\rfloor.$$
#
# That is all. In the formula there is nothing to learn, because everything that is learned has
# happened in the maps. To see who is asked where, we take nine maps of a special kind. The first is
# 1 everywhere, the second is 2 everywhere, and so on up to 9.
#
# > **Predict.** We assemble a RoI of 6 × 6 pixels from these nine maps. Draw what you expect.

# %%
def assemble_by_hand(maps, box, stride, m):
    """One RoI's assembled map [m, m] from maps [k, k, H, W]."""
    k = len(maps)
    x1, y1, x2, y2 = box.tolist()
    assembled = torch.zeros(m, m)
    for i in range(m):
        for j in range(m):
            x = x1 + (j + 0.5) / m * (x2 - x1)
            y = y1 + (i + 0.5) / m * (y2 - y1)
            part = maps[k * i // m, k * j // m]  # the bin's map
            assembled[i, j] = part[round(y / stride), round(x / stride)]
    return assembled


# %%
numbers = torch.arange(1.0, 10.0).view(3, 3, 1, 1).expand(3, 3, 24, 24)
assembled = assemble_by_hand(numbers, boxes[0], stride=4, m=6)
viz.show_maps([assembled], ["which map?"], numbers=".0f").caption(
    "Figure 5. A RoI assembled from nine maps that hold their own number. "
    "The result is a mosaic of nine tiles, two pixels wide and high each."
)

# %% [markdown]
# **What happened.** The result is a mosaic of 3 × 3 tiles, each filled from one map. Notice how
# abruptly the tiles meet. Nothing in this operation makes two neighboring bins agree, and with
# these nine maps they don't. Remember this picture, because we will see it again where we would
# rather not.
#
# Our function takes the nearest value of the map, which is what FCIS does. The package interpolates
# between the values, as RoIAlign does in lesson 07. In fact it *is* RoIAlign. The package treats
# each bin as a small RoI, and each of the nine maps as an image of its own, and so it needs no new
# code to read them. Does it make the same mosaic?

# %%
from mrcnn_edu.ancestors.position_sensitive import assemble

package = assemble(
    numbers.reshape(1, 9, 24, 24), [boxes[:1]], n_bins=3, size=6, stride=4
)
print("the same mosaic:", torch.allclose(package[0, 0], assembled))

# %% [markdown]
# ### When two boxes still ask the same map
#
# Two boxes that lie close together share a lot of pixels. Let's say that both are $w$ pixels wide,
# and that the second one lies $d$ pixels to the right of the first. Bin $c$ of the second box then
# lies $d$ pixels to the right of bin $c$ of the first, and the two have a stretch of
# $\max(0,\ w/k - d)$ pixels in common. In that stretch both boxes ask the same map at the same
# place. So both get the same answer, no matter how the network was trained.
#
# > **Predict.** Two boxes are 30 pixels wide, and 4 pixels apart. They overlap by 26 columns. In
# > which fraction of these 26 columns do both ask the same map, with $k = 1$, with $k = 3$ and with
# > $k = 7$?

# %%
first = torch.tensor([20.0, 20, 50, 50])
second = first + torch.tensor([4.0, 0, 4, 0])
columns = torch.arange(24, 50, 0.01) + 0.005  # of the overlap, in hundredths

for k in (1, 3, 7):
    bin_in_first = (k * (columns - first[0]) / 30).floor()
    bin_in_second = (k * (columns - second[0]) / 30).floor()
    alike = (bin_in_first == bin_in_second).float().mean()
    print(f"k = {k}: {alike:.0%} of the columns")

# %% [markdown]
# **What happened.** With $k = 3$ a bin is 10 pixels wide, and 6 of them are in common. For three
# bins that makes 18 of 26 columns, or 69 %. In general, as long as $d < w/k$, the fraction is
#
# $$\frac{w - k\,d}{w - d}.$$
#
# With $k = 7$ it is 2 of 26 columns, 8 %, and with $k = 1$ it is always 100 %. So $k$ is a dial.
# The larger it is, the better close neighbors can be told apart. But a large $k$ has a price, too.
# The number of maps grows with $k^2$, and each of them learns from a small part of every object
# only. [FCIS](https://arxiv.org/abs/1611.07709) uses $k = 7$.

# %% tags=["claim"]
for k in (1, 3, 7):
    same = (k * (columns - 20) / 30).floor() == (k * (columns - 24) / 30).floor()
    assert abs(same.float().mean().item() - (30 - 4 * k) / 26) < 0.002
assert [round(100 * (30 - 4 * k) / 26) for k in (1, 3, 7)] == [100, 69, 8]
torch.testing.assert_close(assembled, package[0, 0])

# %% [markdown]
# ## 3. Inside and outside
#
# So far we have spoken of "a score". FCIS has *two* sets of $k \times k$ maps for each class
# ([FCIS](https://arxiv.org/abs/1611.07709), section 2.2).
#
# - The **inside map** scores: "This pixel lies in the box of an object of this class, and it is on
#   the object."
# - The **outside map** scores: "This pixel lies in the box of an object of this class, but it is
#   beside the object."
#
# Background counts as a class, as it does in every detector of this family. Four more sets of maps
# predict the box deltas.
#
# > **Predict.** COCO has $C = 80$ classes, and FCIS has $k = 7$. How many maps does its last layer
# > output? Is it a few hundred, a few thousand or tens of thousands?

# %%
def n_maps(k, n_classes):
    """Inside and outside of each class and background, and 4 deltas."""
    return (2 * (n_classes + 1) + 4) * k**2


print(f"COCO, k = 7:       {n_maps(7, 80):,}")
print(f"our scenes, k = 7: {n_maps(7, 6):,}")
print(f"our scenes, k = 3: {n_maps(3, 6):,}")

# %% [markdown]
# **What happened.** With $2\,k^2\,(C + 1)$ maps for the classes and $4\,k^2$ for the deltas, COCO
# needs more than eight thousand maps, most of which are never read in a given image. That is the
# bill for asking $k^2$ questions about each class. We save the layers of every RoI, and pay with a
# very wide last layer.
#
# The package has two FCIS models, one with $k = 7$ and one with $k = 3$. Both learned from the same
# scenes as the Mask R-CNN that we compare them with, and each of the three was trained for 1,500
# steps. We begin with $k = 3$, because one can look at nine maps, but not at forty-nine.

# %%
fcis3 = ancestors.load("fcis-3x3")
k, n_classes = fcis3.config.n_bins, fcis3.config.n_classes
stride = fcis3.strides[0]

features = fcis3.features(fcis3.preprocess([image]))
maps = fcis3.maps(features).detach()
print(list(maps.shape), "maps of stride", stride)

# %%
scores = maps[0, : -4 * k**2]  # without the maps of the deltas
scores = scores.unflatten(0, (2, n_classes + 1, k, k))
square = 2  # the class label
inside, outside = scores[:, square]  # [3, 3, 24, 24] each
print(list(inside.shape))

# %% [markdown]
# > **Predict.** Below are the nine inside maps of the class *square*, each at the place of its bin.
# > Each map covers the whole image with both squares. In what way will the maps in the left column
# > differ from those in the right one?

# %%
look = fcis3.predict_on_boxes(image, boxes)  # both boxes, assembled
viz.show_part_maps(
    image, boxes[1], inside, look.inside[1, square], stride, "inside"
).caption(
    "Figure 6. The RoI of the square in front, the nine inside maps with the "
    "bin that is read from each, and what they make. Blue is above zero, red "
    "below. In the middle row one sees best that each map answers for both "
    "squares, but only for one part of each."
)

# %%
strength = inside.clamp(min=0).sum(dim=2)  # [3, 3, 24], by column of the map
x_on_map = torch.arange(24)
mean_x = (strength * x_on_map).sum(dim=2) / strength.sum(dim=2)  # [3, 3]
left, middle, right = (stride * mean_x.mean(dim=0)).tolist()
print(f"blue in the left maps:   x = {left:.0f} on average")
print(f"blue in the middle maps: x = {middle:.0f}")
print(f"blue in the right maps:  x = {right:.0f}")

# %% [markdown]
# **What happened.** The maps in the left column are blue on the left parts of *both* squares, and
# those in the right column on the right parts of both. If you expected each map to show one ninth
# of the image, remember that no box is known yet when the maps are computed. Each map answers its
# question for any object, wherever in the image it is. Only the reading, with the orange bins,
# picks out the parts that belong to one RoI. The maps of the corners have little blue, because a
# tilted square leaves the corners of its box nearly empty.

# %% tags=["claim"]
assert n_maps(7, 80) == 8134 and maps.shape[1] == n_maps(3, 6) == 162 and n_maps(7, 6) == 882
assert (mean_x.mean(dim=0).diff() > 0).all()
assert fcis3.config.n_bins == 3 and ancestors.load("fcis").config.n_bins == 7

# %% [markdown]
# ## 4. Class and mask from the same values
#
# For one RoI and one class we now have two assembled maps, $I_{ij}$ from the inside maps and
# $O_{ij}$ from the outside maps. They answer two questions at once
# ([FCIS](https://arxiv.org/abs/1611.07709), section 2.2).
#
# **Where is the object?** At each pixel, inside competes with outside. A softmax over the two gives
# the probability that the pixel belongs to the mask:
#
# $$p_{ij} = \frac{e^{I_{ij}}}{e^{I_{ij}} + e^{O_{ij}}} = \sigma(I_{ij} - O_{ij}).$$
#
# **Is there an object of this class?** If the RoI really is the box of such an object, then every
# pixel is either on the object or beside it, and so one of the two scores should be high
# everywhere. FCIS takes the larger of the two at each pixel, and then the mean over all pixels:
#
# $$z = \frac{1}{m^2} \sum_{i,j} \max(I_{ij},\ O_{ij}).$$
#
# The scores $z_0, z_1, \dots, z_C$ of all classes go through a softmax, as in any box head. So the
# difference of the two maps draws the mask, and their maximum judges the box.
#
# > **Predict.** At some pixel of a RoI, both inside and outside are low for the class *square*.
# > What does the network want to tell us about this pixel? And in which kind of RoI will there be
# > many such pixels?

# %%
fitting_box = boxes[1]
shifted_box = fitting_box + torch.tensor([14.0, 0, 14, 0])  # half beside it
both = torch.stack((fitting_box, shifted_box))
look = fcis3.predict_on_boxes(image, both)

evidence = torch.maximum(look.inside, look.outside)  # [2, 7, 18, 18]
class_scores = evidence.mean(dim=(2, 3))  # [2, 7]
probabilities = class_scores.softmax(dim=1)
for name, p in zip(("it fits", "shifted"), probabilities, strict=True):
    print(f"{name}: square {p[square]:.2f}, background {p[0]:.2f}")

# %%
shown = {}
for i, name in enumerate(("it fits", "shifted")):
    shown[f"{name}\ninside"] = look.inside[i, square]
    shown[f"{name}\noutside"] = look.outside[i, square]
    shown[f"{name}\nthe larger one"] = evidence[i, square]
high = max(values.abs().max().item() for values in shown.values())
titles = list(shown)
viz.show_maps(list(shown.values()), titles, signed=True, high=high).caption(
    "Figure 7. A RoI that fits the square in front, and the same RoI 14 "
    "pixels to the right. Where the box fits, inside or outside is above "
    "zero (blue) nearly everywhere. Where it doesn't, both are low at many "
    "pixels."
)

# %% [markdown]
# **What happened.** A pixel that is low on both maps is neither on a square nor beside one, as far
# as the maps of this bin can tell. It speaks against the box. In the RoI that fits, such pixels are
# rare, the mean is high, and the class is *square* with near certainty. In the shifted RoI the maps
# for left parts find no left part, and a good deal of the RoI is low on both. Background wins. It
# is elegant that FCIS gets both answers from the same values, and that the mask of a RoI and the
# trust we may have in its box are learned together.
#
# Perhaps you wonder why outside is blue in the middle of the RoI that fits, where the object is.
# Nothing forces it to be low there, as long as inside is higher still. Only the difference of the
# two draws the mask, and so we take the sigmoid of it.

# %%
mask_logits = look.inside[0, square] - look.outside[0, square]
mask = mask_logits.sigmoid()
viz.show_masks_of_bins({"the RoI that fits": mask}, {}).caption(
    "Figure 8. The mask probabilities of the RoI that fits, from 0 (black) to "
    "1 (white). The tilted square is there, and no mask head has drawn it."
)

# %% [markdown]
# What have we saved? In Mask R-CNN, the features of every RoI go through two heads. In FCIS, not a
# single weight is applied to a RoI.

# %%
mask_rcnn = ancestors.load("mask-rcnn")
for name in ("box_head", "mask_head"):
    parameters = getattr(mask_rcnn, name).parameters()
    n = sum(parameter.numel() for parameter in parameters)
    print(f"Mask R-CNN's {name}: {n:,} weights")

n_pixels = fcis3.config.mask_size**2
n_scores = 2 * (n_classes + 1) + 4
print(f"FCIS: 0 weights, but {n_scores * n_pixels:,} lookups for each RoI")

# %% [markdown]
# A lookup has to be paid for as well. It fetches four values from scattered places in memory, and
# weighs and adds them up. Lesson 17 measures what that means. With more and more RoIs, the time of
# FCIS grows several times over, while its multiplications hardly increase. On a CPU our FCIS is
# even slower than our Mask R-CNN, whose heads are small. With heads that are deep networks, the
# account looks different. [FCIS](https://arxiv.org/abs/1611.07709) reports 0.24 seconds for an
# image. [MNC](https://arxiv.org/abs/1512.04412), the winner of the year before, which computes
# layers for every RoI, needs 1.37.

# %% tags=["claim"]
import time


def seconds_of(model):
    took = []
    for _ in range(5):
        start = time.process_time()
        model.detect([image])
        took.append(time.process_time() - start)
    return min(took)


assert seconds_of(ancestors.load("fcis")) > seconds_of(mask_rcnn)
torch.testing.assert_close(mask_logits, look.mask_logits[0, square])
torch.testing.assert_close(class_scores, look.class_logits)
assert probabilities[0, square] > 0.9 and probabilities[1].argmax() == 0
assert (evidence[0, square] > 0).float().mean() > (evidence[1, square] > 0).float().mean() + 0.2

# %% [markdown]
# ## 5. Many RoIs, one mask
#
# Mask R-CNN computes the mask of a detection once, in its final box. FCIS takes a vote
# ([FCIS](https://arxiv.org/abs/1611.07709), section 2.3). It scores every proposal, refines its
# box, and scores the refined box as well. Non-maximum suppression with an IoU threshold of 0.3
# chooses the detections. Then, for each detection, all RoIs whose IoU with it is above 0.5 vote.
# RoI number $n$ has a mask $p^{(n)}$ of the detection's class and a score $s_n$ for this class, and
# the merged mask is the weighted mean
#
# $$\bar p_{ij} = \frac{\sum_n s_n\, p^{(n)}_{ij}}{\sum_n s_n}.$$
#
# This is called **mask merging** or mask voting. A RoI votes 0 outside of its own box, which makes
# merged masks a little narrow. So a pixel belongs to the mask if $\bar p$ is at least 0.4, the
# threshold in the authors' program.
#
# > **Predict.** Two RoIs vote on a pixel. The first has a score of 0.9 and a mask probability of
# > 0.1 there, the second a score of 0.3 and a probability of 1.0. Does the pixel belong to the
# > merged mask?

# %%
score = torch.tensor([0.9, 0.3])
probability = torch.tensor([0.1, 1.0])
merged = (score * probability).sum() / score.sum()
print(f"merged: {merged:.3f}")

# %% [markdown]
# **What happened.** The merged probability is $(0.09 + 0.3) / 1.2 = 0.325$, which is below 0.4, so
# the pixel stays out. The plain mean would be 0.55, but the first RoI is three times as confident
# in its class, and so its vote counts three times.
#
# The idea sounds good, since many witnesses should know more than one. Does it work? We compare our
# FCIS with $k = 7$ as it is, and with `merge_iou` = 1, which leaves each detection with its own
# RoI's mask alone. A single mask isn't narrow, so its threshold is 0.5 again. The test scenes are
# crowded with large objects that overlap, and so they are harder than those of the other lessons.
#
# > **Predict.** By how many points does merging raise the mask AP? Or does it lower it?

# %%
from dataclasses import replace

from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import detect_all, evaluate

crowded = dict(n_objects=(3, 6), object_size=(0.25, 0.5), overlap=0.7)
scenes = Shapes(40, seed=1, **crowded)

fcis = ancestors.load("fcis")
as_published = fcis.config
found = {"FCIS": detect_all(fcis, scenes)}
fcis.config = replace(as_published, merge_iou=1, merge_threshold=0.5)
found["FCIS, not merged"] = detect_all(fcis, scenes)
fcis.config = as_published

# %%
ap = {}
for name, detections in found.items():
    ap[name] = 100 * evaluate(scenes, detections).ap
    print(f"{name:17} mask AP {ap[name]:.0f}")

# %% [markdown]
# **What happened.** Here merging *costs* two points. To see why, we look at the witnesses. For
# every RoI, we compute how well its box fits the object, how well the mask that it draws fits the
# object's mask, and the score that its vote is weighted with.

# %%
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.detections import paste_masks


def mask_iou(a, b):
    """The IoU [N] of masks [N, H, W], pair by pair."""
    return (a & b).sum(dim=(1, 2)) / (a | b).sum(dim=(1, 2))

# %%
box_fits, mask_fits, weights = [], [], []
for index in range(15):
    scene, gt = scenes[index]
    trace = fcis.trace([scene])
    iou, nearest = box_iou(trace.rois[0], gt["boxes"]).max(dim=1)
    rows, labels = torch.arange(len(iou)), gt["labels"][nearest]
    own = trace.roi_scores.mask_logits[rows, labels].sigmoid()
    drawn = paste_masks(own, trace.rois[0], (96, 96))
    class_probs = trace.roi_scores.class_logits.softmax(dim=1)
    box_fits.append(iou)
    mask_fits.append(mask_iou(drawn, gt["masks"][nearest]))
    weights.append(class_probs[rows, labels])

# %%
box_fit, mask_fit = torch.cat(box_fits), torch.cat(mask_fits)
weight = torch.cat(weights)
mask_means, weight_means = [], []
for low in (0.5, 0.6, 0.7, 0.8, 0.9):
    chosen = (box_fit > low) & (box_fit <= low + 0.1)
    mask_means.append(mask_fit[chosen].mean())
    weight_means.append(weight[chosen].mean())

middles = torch.tensor([0.55, 0.65, 0.75, 0.85, 0.95])
lines = {
    "IoU of its mask": torch.stack(mask_means),
    "its score": torch.stack(weight_means),
}
viz.show_lines(middles, lines, "IoU of the RoI's box", "mean").caption(
    "Figure 9. The better a RoI fits its object, the better the mask that it "
    "draws, and the higher its score. A RoI that barely gets a vote (left) "
    "draws a poor mask, and still has half the weight of one that fits."
)

# %% [markdown]
# A RoI that is too far off its object cuts it into the wrong bins, asks the wrong maps, and draws a
# poor mask. Yet it may vote as soon as its IoU is above 0.5. Its score is lower, too, but not low
# enough to silence it. This may well be different in the paper. Its boxes lie on large objects in
# photographs, its models are far larger, and noise that differs from RoI to RoI may then be worth
# averaging away. So keep this result for what it is, two points on forty scenes. A step that helps
# in one setting can hurt in another, and it takes five lines to find out.

# %% tags=["claim"]
from mrcnn_edu.ancestors.merging import merge_masks

places = torch.tensor([[0.0, 0, 10, 10]]).repeat(2, 1)
two_scores = torch.tensor([[0.1, 0.9], [0.7, 0.3]])  # background, object
two_masks = probability.view(2, 1, 1, 1).expand(2, 2, 1, 1)
package = merge_masks(places[:1], torch.tensor([1]), places, two_scores, two_masks, min_iou=0.5)
torch.testing.assert_close(package.flatten()[0], merged)
assert round(merged.item(), 3) == 0.325 and 1 < ap["FCIS, not merged"] - ap["FCIS"] < 3
mask_line, score_line = lines.values()
assert mask_line.diff().min() > 0 and mask_line[0] < 0.65
assert score_line.diff().min() > 0 and 0.4 < score_line[0] / score_line[-1] < 0.65

# %% [markdown]
# ## 6. Without positions
#
# How much do the positions matter? We break the model on purpose. Every set of $k \times k$ maps is
# replaced by its mean, so that all bins ask the same map, and the network has lost its sense of
# left and right.
#
# > **Predict.** What will be left of the two masks of our squares? Will each of them show both
# > squares, half of its own, or something else?

# %%
maps7 = fcis.maps(fcis.features(fcis.preprocess([image]))).detach()
one_map = maps7.unflatten(1, (-1, 49)).mean(dim=2, keepdim=True)
one_map = one_map.expand(-1, -1, 49, -1, -1).flatten(1, 2)

panels = {}
for name, m in (("7 × 7 maps", maps7), ("one map", one_map)):
    look = fcis.score_rois(m, [boxes])
    probs = look.mask_logits[:, square].sigmoid()
    iou = mask_iou(paste_masks(probs, boxes, (96, 96)), masks)
    print(f"{name:10}: IoU {iou[0]:.2f} behind, {iou[1]:.2f} in front")
    panels[f"{name}\nbehind"] = probs[0]
    panels[f"{name}\nin front"] = probs[1]

# %%
viz.show_masks_of_bins(panels, {}).caption(
    "Figure 10. Mask probabilities of both boxes, from FCIS as it is and from "
    "the mean of its maps. Without positions, the outlines dissolve."
)

# %% [markdown]
# **What happened.** Each mask becomes a blurred blob in the middle of its box. To see why, we ask
# all the maps about one pixel at the left edge of the square behind.

# %%
sets = maps7[0].unflatten(0, (-1, 7, 7))  # all inside maps, then all outside
difference = sets[square] - sets[square + n_classes + 1]  # [7, 7, 24, 24]
by_column = difference[:, :, 12, 6].mean(dim=0)  # at (24, 48) in the image
print("from left to right:", [round(value, 1) for value in by_column.tolist()])
print(f"mean of all maps:   {by_column.mean():.1f}")

# %% [markdown]
# The maps for left parts say *yes*, this is the left part of a square. The maps for right parts
# look for the right part of one, find none, and say *no*. Both are correct, and their mean says
# next to nothing. Only deep inside an object, where most of the maps agree, is something left. The
# differences between the maps, which we have averaged away, are what tells one object from another.
#
# These maps were never trained to be averaged, so we haven't shown how well a network with $k = 1$
# could do. The paper did train one ([FCIS](https://arxiv.org/abs/1611.07709), section 4.1), and it
# fell far behind.

# %% tags=["claim"]
whole, blurred = (
    mask_iou(paste_masks(score_of.mask_logits[:, square].sigmoid(), boxes, (96, 96)), masks)
    for score_of in (fcis.score_rois(maps7, [boxes]), fcis.score_rois(one_map, [boxes]))
)
assert whole.min() > 0.85 and (blurred < whole - 0.2).all()
assert by_column[:2].min() > 2 and by_column[-2:].max() < -2 and abs(by_column.mean()) < 1

# %% [markdown]
# ## 7. A claim to be tested
#
# Positions tell two objects apart. But every bin decides for itself. No layer ever looks at a whole
# RoI and asks whether its parts fit together. Does it show? The authors of
# [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 2, write that FCIS "exhibits systematic
# errors on overlapping instances and creates spurious edges", and their figure 6 shows photographs
# in which it does.
#
# That is two claims. Let's test them one after the other, and begin with overlap. For every object
# of our crowded scenes, we compute the largest fraction of its box that another box covers, and
# sort the objects into three groups. All three systems are evaluated on each of the groups. The
# fourth row is `shapes-tiny`, the Mask R-CNN of the other lessons, which was trained for longer, on
# scenes that hardly ever repeat.
#
# > **Predict.** All of them will suffer from overlap. Which will suffer less, FCIS or Mask R-CNN?
# > Look at the fraction of its AP that a system keeps from the first group to the third.

# %%
found["Mask R-CNN"] = detect_all(mask_rcnn, scenes)
found["Mask R-CNN, longer"] = detect_all(load("shapes-tiny"), scenes)

# %%
curves = {}
for name, detections in found.items():
    groups = by_overlap(scenes, detections)
    curves[name] = torch.tensor([100 * group.scores.ap for group in groups])
    kept = curves[name][-1] / curves[name][0]
    numbers = "  ".join(f"{value:3.0f}" for value in curves[name])
    print(f"{name:18} AP {numbers}   kept {kept:.0%}")

# %%
ranges = [f"{group.low:.0%} to {group.high:.0%}" for group in groups]
picture = viz.show_lines(
    torch.arange(3), curves, "part of the box that another box covers", "AP"
)
picture.axes[0].set_xticks(range(3), ranges)
picture.axes[0].set_ylim(bottom=0)
picture.caption(
    "Figure 11. Mask AP of objects apart, of objects that overlap a little, "
    "and of those that overlap a lot. With equal training, FCIS and Mask "
    "R-CNN fall alike. The longer training run keeps more."
)

# %% [markdown]
# **What happened.** Overlap takes about two thirds of the AP from FCIS *and* from the Mask R-CNN
# that was trained equally long. The fractions that they keep, 33 % and 31 %, are as good as equal.
# What helps is longer training on more scenes, and it helps more than the choice of the system.
#
# Perhaps the boxes hide what the masks do, since an object that is not found has no mask that could
# be wrong. So we give both systems the ground-truth boxes and classes. What fraction of each mask
# lies on a neighbor?

# %%
from mrcnn_edu.ancestors.overlaps import EDGES, covered_fraction


def spilled(logits, gt):
    """The fraction [M] of each mask that lies on other objects."""
    rows = torch.arange(len(logits))
    probs = logits[rows, gt["labels"]].sigmoid()
    drawn = paste_masks(probs, gt["boxes"], (96, 96))
    others = gt["masks"].any(dim=0) & ~gt["masks"]
    on_others = (drawn & others).sum(dim=(1, 2))
    return on_others / drawn.sum(dim=(1, 2)).clamp(min=1)


# %%
overlap, spills = [], {"FCIS": [], "Mask R-CNN": []}
for index in range(len(scenes)):
    scene, gt = scenes[index]
    overlap.append(covered_fraction(gt["boxes"]))
    logits = fcis.predict_on_boxes(scene, gt["boxes"]).mask_logits
    spills["FCIS"].append(spilled(logits, gt))
    _, logits = mask_rcnn.predict_on_boxes(scene, gt["boxes"])
    spills["Mask R-CNN"].append(spilled(logits, gt))

# %%
group = torch.bucketize(torch.cat(overlap), torch.tensor(EDGES[1:-1]))
mean_spill = {}
for name, values in spills.items():
    values = torch.cat(values)
    mean_spill[name] = [100 * values[group == g].mean() for g in range(3)]
    numbers = "  ".join(f"{value:4.1f}" for value in mean_spill[name])
    print(f"{name:10} percent on a neighbor: {numbers}")

# %% [markdown]
# Here FCIS even does a little *better* than the equally trained Mask R-CNN. So on our scenes the
# first claim, that FCIS is worse at overlapping objects, does not hold. We must be careful about
# what that means. The paper looked at photographs and at systems that were trained for days. We
# have two small models, one of each kind, on rendered scenes. We haven't refuted a claim about
# COCO. But we have learned that it does not follow from the design alone, and that a comparison of
# two systems should give both the same training.
#
# That leaves the second claim, and this one does follow from the design.

# %% tags=["claim"]
kept = {name: (curve[-1] / curve[0]).item() for name, curve in curves.items()}
equal = [kept[name] for name in ("FCIS", "FCIS, not merged", "Mask R-CNN")]
assert max(equal) - min(equal) < 0.15 and min(equal) > 0.2 and max(equal) < 0.45
assert abs(kept["FCIS"] - kept["Mask R-CNN"]) < 0.05 and kept["Mask R-CNN, longer"] > max(equal)
assert all(mean_spill["FCIS"][g] < mean_spill["Mask R-CNN"][g] for g in (1, 2))

# %% [markdown]
# ## Where it breaks: the search for spurious edges
#
# Think back to the mosaic in Figure 5. At the border of two bins, two neighboring pixels are read
# from two different maps. If both maps are sure, they agree, and nobody sees the border. But what
# if they have reason to doubt? On a neighbor of the same class, say? One map, asked for the left
# part of an object, may lean to *yes*, and the next one, asked for the middle, to *no*. Then the
# mask gets an edge that is no object's outline. It runs straight, along the bins.
#
# To find out, we build an experiment in which the mask branches differ and all else stays the same.
# All branches read the same fixed features, those of the Mask R-CNN from above. They learn from the
# same 160 scenes, each with two overlapping objects of the same class, and get the same
# ground-truth boxes in the same order, for 150 steps. They know no classes and only learn masks.
#
# Four branches read position-sensitive maps. Their $k$ is 3 or 7, and their stride is 4, as in our
# FCIS models, or 16, as in the paper. The fifth has a small mask head of three convolutions that
# runs for every RoI, on features of stride 16.

# %%
from mrcnn_edu.ancestors import mask_branches
from mrcnn_edu.ancestors.overlaps import pairs_of_one_class

train_pairs = pairs_of_one_class(160, seed=0)
test_pairs = pairs_of_one_class(60, seed=1)


def levels_and_targets(pairs):
    """The fixed features of each level, and the targets, of all pairs."""
    batch = mask_rcnn.preprocess([image for image, _ in pairs])
    with torch.no_grad():
        levels = mask_rcnn.features(batch)
    return levels, [target for _, target in pairs]


train_levels, train_targets = levels_and_targets(train_pairs)
test_levels, test_targets = levels_and_targets(test_pairs)
print([list(level.shape) for level in train_levels[:3]])

# %%
print(getsource(mask_branches.PositionSensitiveBranch))

# %%
from mrcnn_edu.ancestors.mask_branches import (
    HeadBranch,
    PositionSensitiveBranch,
    fit_branch,
)

torch.manual_seed(0)
branches = {  # and the index of the level that each of them reads
    "maps, stride 4, k = 3": (PositionSensitiveBranch(64, 4, 3, 18), 0),
    "maps, stride 4, k = 7": (PositionSensitiveBranch(64, 4, 7, 28), 0),
    "maps, stride 16, k = 3": (PositionSensitiveBranch(64, 16, 3, 18), 2),
    "maps, stride 16, k = 7": (PositionSensitiveBranch(64, 16, 7, 28), 2),
    "mask head, stride 16": (HeadBranch(64, 16, 18), 2),
}
for branch, level in branches.values():
    fit_branch(branch, train_levels[level], train_targets, steps=150)

# %%
test_boxes = [target["boxes"] for target in test_targets]
drawn = {}
for name, (branch, level) in branches.items():
    with torch.no_grad():
        logits = branch(test_levels[level], test_boxes)
    drawn[name] = logits.sigmoid()  # [120, m, m], two masks for each pair

# %% [markdown]
# Each branch has now drawn the masks of sixty pairs that it had never seen. This is one of them.

# %%
shown = 1  # the pair
image, target = test_pairs[shown]
viz.show_ground_truth(image, target, mask_rcnn.classes, width=2.8).caption(
    "Figure 12. One of the sixty test pairs, two circles. The next figure "
    "shows masks of the one behind."
)

# %% [markdown]
# > **Predict.** Three branches draw the mask of the circle behind. Two of them read 3 × 3 maps, one
# > with stride 4 and one with stride 16. With stride 16 a map has fewer values, and within a bin
# > they change slowly. Will the borders of the bins stand out more or less than with stride 4? And
# > what will you find at the same places in the mask of the third branch, the mask head?

# %%
# NBVAL_IGNORE_OUTPUT
names = [name for name in branches if "k = 7" not in name]
panels = {}
for name in names:
    panels[name.replace(", s", "\ns", 1)] = drawn[name][2 * shown]
bins = {title: 3 for title in panels if "k = 3" in title}
viz.show_masks_of_bins(panels, bins).caption(
    "Figure 13. Three masks of the circle behind, in its box. The lines are "
    "the borders of the bins. Position-sensitive masks fall apart into "
    "tiles, most of all with stride 16. The mask head's is blurred instead."
)

# %% [markdown]
# **What happened.** The border of a bin can be seen in both position-sensitive masks, and with
# stride 16 the mask is hardly more than nine tiles. The mask head has no tiles. With stride 16 it
# has other worries, since it gets few values to draw from, and its mask is a blur.
#
# But one picture is an anecdote. To measure, we take every pair of neighboring pixels in every
# mask, and compute the *step* between them, the absolute difference of their probabilities. We
# leave out all pairs with a true outline between them, so that every step that is left is one too
# many. We average over the pairs that lie on another object, and separately over all the rest.

# %%
from mrcnn_edu.ancestors.mask_branches import at_borders, mean_steps
from mrcnn_edu.targets import mask_targets


def cut_out(masks, boxes, size):
    """Masks [M, H, W] of each image, one for each of its boxes: [R, m, m]."""
    rows = [torch.arange(len(of_image)) for of_image in boxes]
    return mask_targets(masks, boxes, rows, size) > 0.5

# %%
own = [target["masks"] for target in test_targets]
other = [target["masks"].flip(0) for target in test_targets]
profiles = {}
for name, masks_of_branch in drawn.items():
    m = masks_of_branch.shape[-1]
    wanted = cut_out(own, test_boxes, m)
    on_other = cut_out(other, test_boxes, m)
    profiles[name] = mean_steps(masks_of_branch, wanted, on_other)

# %%
# NBVAL_IGNORE_OUTPUT
viz.show_steps({name: tuple(profiles[name]) for name in names}, k=3).caption(
    "Figure 14. The mean step between neighboring pixels, by their place in "
    "the mask. Dashed lines are the borders of 3 × 3 bins. Position-sensitive "
    "masks step exactly there, most of all on other objects."
)

# %%
# NBVAL_IGNORE_OUTPUT
print("border / other steps                 on another object       elsewhere")
ratios = {}
for name, (away, on_another) in profiles.items():
    k = 7 if "k = 7" in name else 3
    border = at_borders(len(away) + 1, k)
    inner = ~border
    inner[:3] = inner[-3:] = False  # the edge of the mask has its own
    ratios[name] = [
        (steps[border].mean() / steps[inner].mean()).item()
        for steps in (away, on_another)
    ]
    print(f"{name:36} {ratios[name][1]:17.1f} {ratios[name][0]:15.1f}")

# %% [markdown]
# There they are. With position-sensitive maps, the mask steps at the borders of the bins. On
# another object of the same class, where the maps are in doubt, a border step is about two to eight
# times as high as the other steps. The mask head has nothing of the kind at these places. Its
# profile rises only near the edge of the mask, where its convolutions are padded with zeros, a
# weakness of its own.
#
# Why are the ratios so much larger with stride 16? In Figure 14 the border steps themselves are not
# much higher than with stride 4. But within a bin the coarse maps hardly change, and so nothing
# hides the border.
#
# These are the "spurious edges" of the [Mask R-CNN](https://arxiv.org/abs/1703.06870) paper, and
# the reason why they appear on overlapping instances. The systematic part lies in the design. A bin
# is decided from its own map, nothing ties it to the bin next to it, and where the evidence is weak
# each of them falls back on what is usual for its part.
#
# ### Why didn't we see them before?
#
# Our FCIS with $k = 7$ made masks without visible tiles in Figure 10. Let's measure the same for
# both trained systems, on the crowded scenes.

# %%
def border_ratio(model, n_scenes=30):
    """Border steps / other steps, away from other objects and on them."""
    size = model.config.mask_size
    probs, wanted, on_other = [], [], []
    for index in range(n_scenes):
        scene, gt = scenes[index]
        boxes_of_scene, own = [gt["boxes"]], gt["masks"]
        others = own.any(dim=0) & ~own
        logits = model.predict_on_boxes(scene, gt["boxes"]).mask_logits
        rows = torch.arange(len(logits))
        probs.append(logits[rows, gt["labels"]].sigmoid())
        wanted.append(cut_out([own], boxes_of_scene, size))
        on_other.append(cut_out([others], boxes_of_scene, size))

    parts = [torch.cat(part) for part in (probs, wanted, on_other)]
    steps = mean_steps(*parts)  # [2, m - 1]
    border = at_borders(size, model.config.n_bins)
    at_border = steps[:, border].mean(dim=1)
    return (at_border / steps[:, ~border].mean(dim=1)).tolist()

# %%
for name, model in {"FCIS, k = 3": fcis3, "FCIS, k = 7": fcis}.items():
    away, on_another = border_ratio(model)
    print(f"{name}: {on_another:.1f} on others, {away:.1f} everywhere else")

# %% [markdown]
# With $k = 7$, stride 4 and 14 × 14 pixels, the ratio is close to 1. A bin has only 2 × 2 pixels,
# every other step is a border, and the fine map follows the objects closely. We had built our FCIS
# in a way that hides its weakness. If you had asked the question of that model alone, you would
# have answered "there are no such edges", with a clear conscience and a number to prove it. With
# $k = 3$ the same system, trained equally long, shows them. You can look for them below, in
# Figure 16.
#
# So here is what a RoI without weights costs. Class and mask come for the price of a lookup. At a
# fine stride, and on average over our crowded scenes, the masks are about as good as Mask R-CNN's.
# But no layer ever looks at a RoI as a whole.

# %% tags=["claim"]
maps_only = [name for name in branches if name.startswith("maps")]
assert all(ratios[name][1] > 1.5 and ratios[name][1] > ratios[name][0] - 1 for name in maps_only)
for k in (3, 7):
    coarse, fine = (ratios[f"maps, stride {s}, k = {k}"][1] for s in (16, 4))
    assert coarse > fine + 1 and coarse > 4
assert all(1.7 < ratios[name][1] < 9 for name in maps_only)
assert max(ratios["mask head, stride 16"]) < 1.3
fine, coarse = (profiles[f"maps, stride {s}, k = 3"][1] for s in (4, 16))
border = at_borders(18, 3)
assert 1 < coarse[border].mean() / fine[border].mean() < 1.6
assert coarse[~border].mean() < 0.8 * fine[~border].mean()
assert len(test_targets) == 60 and len(train_targets) == 160
assert border_ratio(fcis)[0] < 1.2 and border_ratio(fcis)[1] < 1.5
assert border_ratio(fcis3)[1] > border_ratio(fcis)[1] + 0.3

# %% [markdown]
# ## Play: where does each part come from?
#
# Drag the orange RoI over the image, or resize it by a corner. The nine maps stay as they are, as
# they don't depend on the RoI. Only the bins that are read move.
#
# 1. Put the RoI exactly on the square in front. Then move it to the right, one pixel at a time.
#    Which of the nine parts changes first, and what happens to the assembled map?
# 2. Choose *inside minus outside*, the mask. Move the RoI from one square to the other. At which
#    positions does it contain pieces of both, and along which lines are they cut off?
# 3. Make the RoI so large that it holds both squares. Which parts still answer *yes*?

# %%
from mrcnn_edu.course.widgets import assembly_player, fcis_player

image, target = two_objects("square", "square", distance=24, seed=16)
crisp, _ = two_objects("square", "square", distance=96, size=384, seed=16)
on_crisp = {"boxes": 4 * target["boxes"]}
start = on_crisp["boxes"][1] + 12  # a little off the square in front
assembly_player(fcis3, crisp, on_crisp, label=square, box=start).caption(
    "Figure 15. A RoI to drag (orange), the nine maps with the bin that is "
    "read from each of them, and the assembled map. Ground truth is green."
)

# %% [markdown]
# Next, slide one square over another, in several scenes, and compare what the two systems detect.
#
# 1. From which distance on does each of the systems merge the two squares into one, or lose one?
# 2. Look for straight edges in the masks. Are they outlines, borders of boxes or borders of bins?

# %%
fcis_player({"FCIS, k = 3": fcis3, "Mask R-CNN": mask_rcnn}).caption(
    "Figure 16. Two squares at a distance of your choice, and the detections "
    "of FCIS and of Mask R-CNN."
)

# %% [markdown]
# ## Exercise 1: which bin?
#
# ★☆☆ · about 5 minutes
#
# Write `bins_of(points, box, k)`. Given points `[N, 2]`, each (x, y), in a box `[4]` that is cut
# into k × k bins, return the row and the column `[N, 2]` of the bin that each point lies in, as
# whole numbers and without a loop. A point on the right or on the lower border of the box belongs
# to the last bin.
#
# For example, in the box (0, 0, 12, 12) with k = 3, the point (5, 9) lies in row 2, column 1.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Where does the point lie in the box, as a fraction from 0 to 1? Multiply by k, and drop what comes
# after the decimal point.
# </details>
# <details><summary><b>Hint 2</b>: two traps</summary>
# A point is (x, y), but the answer is (row, column). And a fraction of exactly 1 would give a bin
# k, which does not exist.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>fractions = (points - box[:2]) / (box[2:] - box[:2])</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# `.long()` drops the decimals, `.clamp(max=k - 1)` takes care of the border, and `.flip(1)` swaps
# x and y. Our code: `exercises.bins_of??`.
# </details>

# %%
from mrcnn_edu.course.exercises import fcis as exercises


def bins_of(points, box, k): ...


exercises.check_bins_of(bins_of)

# %% [markdown]
# ## Exercise 2: one map instead of two
#
# ★☆☆ · about 5 minutes
#
# Write `mask_logit(inside, outside)`. From the assembled maps `[m, m]` of a class, FCIS computes
# the mask by a softmax over the two. Return the one map `[m, m]` whose sigmoid is the same mask.
#
# For example, where inside is 2 and outside is −3, the answer is 5.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Divide the numerator and the denominator of the softmax by the numerator.
# </details>
# <details><summary><b>Hint 2</b>: a check</summary>
# <code>torch.stack((inside, outside)).softmax(dim=0)[0]</code> should be the sigmoid of what you
# return.
# </details>
# <details><summary><b>Solution</b></summary>
#
# $e^I / (e^I + e^O) = 1 / (1 + e^{-(I - O)})$, so it is the difference. Our code:
# `exercises.mask_logit??`.
# </details>

# %%
def mask_logit(inside, outside): ...


exercises.check_mask_logit(mask_logit)

# %% [markdown]
# ## Exercise 3: a vote
#
# ★★☆ · about 10 minutes
#
# Write `merge(probs, scores, inside)`. Given the mask probabilities `[n, m, m]` of n RoIs at the
# pixels of a detection, the RoIs' scores `[n]`, and for each pixel whether it lies in the RoI's own
# box, `[n, m, m]` of bool, return the merged mask `[m, m]`. Outside of its own box a RoI votes 0,
# whatever `probs` holds there.
#
# For example, two RoIs with scores 0.9 and 0.6 and probabilities 1 and 1, at a pixel that lies only
# in the first one's box, give 0.9 / 1.5 = 0.6.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# The formula is above, where RoIs vote. Set the probabilities to 0 where they don't count, and then
# take the weighted mean over the RoIs.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# To vote 0 is not the same as to abstain. The sum of the scores below the line is the same for
# every pixel.
# </details>
# <details><summary><b>Hint 3</b>: shapes</summary>
# <code>scores[:, None, None]</code> has the shape <code>[n, 1, 1]</code>, and so it multiplies each
# RoI's mask by its score.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `(scores[:, None, None] * probs * inside).sum(dim=0) / scores.sum()`. If RoIs abstained instead,
# merged masks would not be too narrow, and a threshold of 0.5 would do. Our code:
# `exercises.merge??`.
# </details>

# %%
def merge(probs, scores, inside): ...


exercises.check_merge(merge)

# %% [markdown]
# ## Exercise 4: where do two boxes ask the same map?
#
# ★★☆ · about 20 minutes
#
# Above, two boxes of the same size asked the same map in a fraction $(w - kd)/(w - d)$ of
# their common columns. Write `asked_alike(first, second, k)` for any two boxes `[4]`, of any sizes
# and positions. Return the fraction of the *area* of their intersection in which both ask the same
# map, as a number. If they don't intersect, return 0. Compute it exactly, without sampling points.
#
# For example, the boxes (0, 0, 30, 30) and (4, 6, 34, 36) with k = 3 give
# 18/26 · 12/24 = 0.346.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# At a point, both boxes ask the same map if they agree on its row and on its column, and rows have
# nothing to do with columns. So the fraction of the area is the product of two fractions, one along
# x and one along y.
# </details>
# <details><summary><b>Hint 2</b>: one axis</summary>
# Bin c of the first box and bin c of the second are two intervals. How long is their intersection?
# Add up the lengths for all c, and divide by the length of the intersection of the two boxes.
# </details>
# <details><summary><b>Hint 3</b>: two traps</summary>
# The bins of a large box are wider than those of a small one. And two intervals that lie apart have
# an intersection of length 0, not of a negative length.
# </details>
# <details><summary><b>Hint 4</b>: what it should give</summary>
# A box (10, 10, 20, 20) in the middle of (0, 0, 30, 30), with k = 3, gives 1/9. Only the middle bin
# of the small box lies in the same bin of the large one.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The case of Hint 4 is worth a thought. When a small object lies in front of the middle of a large
# one of its class, their boxes ask the same map in only a ninth of the small one's area. So even
# $k = 3$ can tell most of it apart, if the maps have learned it. Our code:
# `exercises.asked_alike??`.
# </details>

# %%
def asked_alike(first, second, k): ...


exercises.check_asked_alike(asked_alike)

# %% [markdown]
# ## Exercise 5: FCIS, from maps to masks
#
# ★★★ · about 45 minutes
#
# Write all that FCIS does with its RoIs: `read_rois(maps, boxes, stride, size)`
# ([FCIS](https://arxiv.org/abs/1611.07709), sections 2.1 and 2.2). The maps
# `[2, C + 1, k, k, H, W]` are inside (0) and outside (1) for each class, of which class 0 is
# background, and for each bin's row and column. `boxes` are R boxes `[R, 4]` in image pixels,
# `stride` is that of the maps, and `size` is m, a multiple of k. For each box,
#
# 1. *assemble* inside and outside of every class, with m × m pixels whose positions are those of
#    the formula above. A pixel at (x, y) takes the nearest value of its bin's map, at column
#    $\lfloor x/s + \frac12 \rfloor$ and row $\lfloor y/s + \frac12 \rfloor$, but never beyond the
#    map's border;
# 2. *score* each class by the mean of the larger of the two, and take a softmax over all $C + 1$
#    classes;
# 3. *choose* the best class that is not background as the label, with its probability as the score;
# 4. *draw* that class's mask probabilities.
#
# Return the labels `[R]` as whole numbers, the scores `[R]` and the masks `[R, m, m]`. R may be 0.
#
# For example, take a single bin and two classes, with maps that are the same everywhere. Let inside
# of class 2 be 1, outside of class 2 be 2, outside of class 1 be 0.5, and all others 0. Then the
# class scores are 0, 0.5 and 2, the label is 2, the score is 0.736, and the mask is
# $\sigma(1 - 2) = 0.269$ everywhere.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Begin with a function that assembles one map of shape <code>[k, k, H, W]</code> for one box, as
# <code>assemble_by_hand</code> does. When it works, think about all classes at once.
# </details>
# <details><summary><b>Hint 2</b>: indices instead of loops</summary>
# Compute the m rows and the m columns of the values to be read, and the m bins, once.
# <code>maps[:, :, bins[:, None], bins, rows[:, None], columns]</code> has the shape
# <code>[2, C + 1, m, m]</code>.
# </details>
# <details><summary><b>Hint 3</b>: three traps</summary>
# The pixel's center is at j + 0.5, not at j. Python's <code>round</code> rounds halves to even
# numbers. And H limits the rows, W the columns.
# </details>
# <details><summary><b>Hint 4</b>: the label</summary>
# <code>probs[1:].argmax() + 1</code> leaves out background, even if background has the highest
# score. The softmax still counts it.
# </details>
# <details><summary><b>Hint 5</b>: no box at all</summary>
# <code>torch.stack</code> refuses an empty list. Return empty tensors of the shapes
# <code>[0]</code>, <code>[0]</code> and <code>[0, m, m]</code>, of which the first holds whole
# numbers.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The package's `FCIS.score_rois` does the same for all boxes at once, and reads between the values.
# Our code: `read_rois_exercise.read_rois??`.
# </details>

# %%
from mrcnn_edu.course.exercises import read_rois as read_rois_exercise


def read_rois(maps, boxes, stride, size): ...


read_rois_exercise.check_read_rois(read_rois)

# %% [markdown]
# When the check says "ok", let your function read the maps of the trained model, in a new cell. You
# should find two squares with a high score.
#
# ```python
# labels, confidence, masks = read_rois(scores, target["boxes"], 4, 18)
# labels, confidence
# ```
#
# Then look at the masks with `viz.show_masks_of_bins`. What has changed, now that values are copied
# from the nearest position instead of being interpolated?

# %% tags=["claim"]
labels, confidence, _ = read_rois_exercise.read_rois(scores, target["boxes"], 4, 18)
assert labels.tolist() == [square, square] and confidence.min() > 0.5
flat = torch.zeros(2, 3, 1, 1, 4, 4)
flat[0, 2], flat[1, 2], flat[1, 1] = 1, 2, 0.5
_, confidence, drawn_masks = read_rois_exercise.read_rois(flat, target["boxes"] / 10, 4, 2)
assert round(confidence[0].item(), 3) == 0.736 and round(drawn_masks[0, 0, 0].item(), 3) == 0.269
alike = exercises.asked_alike(torch.tensor([0.0, 0, 30, 30]), torch.tensor([4.0, 6, 34, 36]), 3)
assert round(alike, 3) == 0.346

# %% [markdown]
# ## Remember
#
# - A network that outputs one value per pixel cannot say *yes* to one object and *no* to another.
#   Position-sensitive maps ask $k \times k$ questions about each pixel, and a RoI reads the one
#   that fits its bin.
# - Inside and outside scores give the mask by their difference and the class by their maximum. No
#   layer runs for a RoI. But the last layer needs $2k^2(C + 1)$ maps, and lookups aren't free.
# - Two boxes that look a pixel up in the same bin always get the same answer. A larger $k$ makes
#   that rarer.
# - No layer sees a RoI as a whole, so masks can step at the borders of bins. On other objects and
#   at a coarse stride they do.
# - Here overlap hurts FCIS and Mask R-CNN alike, with equal training. A weakness can hide in one
#   setting and be plain in the next, so search before you say that there is none.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `assemble` | none | none |
# | `roi_ops.ps_roi_pool`, a mean for each bin | `ops.ps_roi_pool` | none |
# | position-sensitive RoIAlign | `ops.ps_roi_align` | none |
# | `FCIS` | none | none |
#
# torchvision has the operations of [R-FCN](https://arxiv.org/abs/1605.06409), which classifies RoIs
# with position-sensitive maps but draws no masks. Neither library has FCIS itself. On COCO's test
# images, [Mask R-CNN](https://arxiv.org/abs/1703.06870), table 1, compares 29.2 mask AP for FCIS
# with 35.7 for its own model with a pyramid, both with ResNet-101.
#
# The wish for masks without a head did not die with FCIS.
# [YOLACT](https://arxiv.org/abs/1904.02689) computes a few dozen prototype masks once for the whole
# image, and each object only predicts how to mix them, so a RoI costs one small matrix product. Its
# maps know positions as well, but no bins cut them apart.
#
# **Next:** so far, a program drew every scene and knew every outline. Lesson 15,
# [real photographs](15_photographs.ipynb), begins with a picture that nobody has labeled.
