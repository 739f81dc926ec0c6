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
# # 07 · RoIPool against RoIAlign: how to read a box that does not fit the grid
#
# **The question.** The detector has found a box around an object. How should it read the feature
# map inside that box, so that a mask drawn from what it reads lands exactly on the object?
#
# **You will be able to**
#
# - carry out RoIPool by hand, and show both places where it rounds;
# - measure in image pixels what each rounding costs, and see what that does to a mask;
# - write RoIAlign yourself, in about ten lines, and check it against the package;
# - tell which of its details matter, and which hardly do;
# - decide by an experiment whether `aligned` should be true for your network.
#
# *Time: 200 minutes, of which 80 are for the exercises. You need lessons 04 (feature maps and
# strides) and 06 (proposals). Reading: [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3,
# "RoIAlign", and section 4.2.*

# %%
from inspect import getsource

import torch
from torch.nn.functional import avg_pool2d, embedding_bag

from mrcnn_edu import load, roi_ops, viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import Detections, paste_masks
from mrcnn_edu.evaluate import detect_all, evaluate

viz.show_architecture("RoI features").caption(
    "Figure 1. Between the feature maps and the heads stands an operation "
    "that turns boxes of all sizes into features of one size."
)

# %% [markdown]
# ## A box that does not fit the grid
#
# The heads of Mask R-CNN expect an input of one fixed size, 7 × 7 for the box head and 14 × 14 for
# the mask head. A proposal, however, may be large or small, wide or tall. Something has to turn the
# part of the feature map under a box into a grid of fixed size. This step looks like a detail, but
# the way in which it was done kept masks from being exact until Mask R-CNN.
#
# To see clearly, we replace the network's feature map by the simplest one imaginable. Each value is
# the average darkness of a block of 16 × 16 pixels, so a dark object gets high values. The map has
# a **stride** of 16, which means that one step on the map is 16 pixels in the image.

# %%
options = {"n_objects": (4, 4), "object_size": (0.2, 0.4)}
image, target = Shapes(1, size=384, seed=1805, **options)[0]

darkness = 1 - image.mean(dim=0, keepdim=True)
features = avg_pool2d(darkness, kernel_size=16)  # [1, 24, 24]

viz.show_maps([features[0]], ["feature map, 24 × 24"], image).caption(
    "Figure 2. A scene and its feature map, brighter where the image is "
    "darker. The upper cross is five values wide, and that is all the heads "
    "will ever learn of it."
)

# %% [markdown]
# Suppose that the RPN has proposed a box for the upper cross. It is a few pixels off, as proposals
# are. Such a box, whose features we are going to read, is a **region of interest**, or **RoI**.
# Dividing its corners by the stride carries it over to the map.

# %%
roi = torch.tensor([230.0, 58, 308, 150])  # x1, y1, x2, y2
print("in the image:      ", roi.tolist())
print("on the feature map:", (roi / 16).tolist())

# %% [markdown]
# The left edge falls at $x = 14.375$ on the map. But the map only has values at whole positions. It
# has a column 14 and a column 15, and nothing in between. What do we read at 14.375? RoIPool,
# RoIWarp and RoIAlign answer this question in three ways, and everything in this lesson follows
# from their answers.

# %% tags=["claim"]
assert (roi / 16).tolist() == [14.375, 3.625, 19.25, 9.375]
assert target["boxes"][0].tolist() == [228, 66, 308, 145]
assert 0.8 < box_iou(roi[None], target["boxes"][:1]) < 0.9

# %% [markdown]
# ## 1. RoIPool, on a map that you can check in your head
#
# **RoIPool** comes from [Fast R-CNN](https://arxiv.org/abs/1504.08083), section 2.1. It gives the
# obvious answer, which is to round to the nearest position. Before we measure anything, let's carry
# it out once, on a map of 4 × 4 whole numbers with a stride of 16. Our RoI has the corners (10, 12)
# and (42, 38), and we want 2 × 2 outputs.

# %%
values = torch.tensor(
    [[1.0, 0, 2, 1], [0, 3, 7, 1], [2, 5, 1, 8], [1, 6, 0, 2]]
)
small_roi = torch.tensor([10.0, 12, 42, 38])
print("on the map:", (small_roi / 16).tolist())
viz.show_roi_pool_steps(values, small_roi / 16, n_bins=2, steps=1).caption(
    "Figure 3. A feature map of whole numbers, and a RoI (orange). Each value "
    "lies in the middle of its square."
)

# %% [markdown]
# There are three steps.
#
# 1. Round the four coordinates. The RoI then reaches from one whole position to another, and *both
#    ends belong to it*, so it has one row more than $y_2 - y_1$, and one column more than
#    $x_2 - x_1$.
# 2. Divide its rows into two equal parts, and its columns, too, because we want 2 × 2 outputs. This
#    gives four **bins**. If their borders aren't whole numbers, round them outward, so that each
#    bin covers whole positions.
# 3. Return the largest value in each bin.
#
# > **Predict.** Take a pencil. Which four numbers does RoIPool return?

# %%
rois = roi_ops.boxes_to_rois(small_roi)  # [1, 5]: image index, then the box
pooled = roi_ops.roi_pool(values[None, None], rois, 2, spatial_scale=1 / 16)
print(pooled[0, 0].int().tolist())
viz.show_roi_pool_steps(values, small_roi / 16, n_bins=2).caption(
    "Figure 4. RoIPool, step by step. The rounded RoI (purple) has two rows "
    "and three columns, and the middle column belongs to two bins."
)

# %% [markdown]
# **What happened.** The RoI goes from $x = 0.625$ to $2.625$ and from $y = 0.75$ to $2.375$. After
# rounding it contains the columns 1 to 3 and the rows 1 and 2. Two rows for two bins is easy, but
# three columns for two bins would be one and a half columns each. The borders are rounded outward,
# so the first bin takes the columns 1 and 2, and the second one the columns 2 and 3.
#
# Look at what has become of the RoI. It never touched column 3, and yet the 8 from there is the
# largest number in the output. And the 7, of which there is only one, appears twice.
#
# > **Predict.** Now the RPN proposes the same box 3 pixels farther to the right. How many of the
# > four outputs change?

# %%
moved_roi = small_roi + torch.tensor([3.0, 0, 3, 0])
both = roi_ops.boxes_to_rois(torch.stack((small_roi, moved_roi)))
before, after = roi_ops.roi_pool(values[None, None], both, 2, 1 / 16)[:, 0]
print("before:", before.int().tolist(), " after:", after.int().tolist())

# %% [markdown]
# **What happened.** None of them. On the map, the RoI has moved by $3/16$ of a position, which was
# not enough for any edge to be rounded differently. The heads get exactly the same numbers, and
# nothing in these numbers could tell them that the box has moved. Whatever they draw, they draw
# into a box that is now 3 pixels away from where it was. In a class label that makes no difference,
# but a mask would be off by 3 pixels.
#
# How far can a box move before RoIPool notices?

# %% tags=["claim"]
assert pooled[0, 0].tolist() == [[7, 7], [5, 8]] and torch.equal(before, after)
assert (small_roi / 16).tolist() == [0.625, 0.75, 2.625, 2.375]

# %% [markdown]
# ## 2. Two roundings, in image pixels
#
# Let's write the rule down. With stride $s$, an edge at image coordinate $x$ is moved to the
# position
#
# $$[x / s] = \left\lfloor \frac{x}{s} + \frac{1}{2} \right\rfloor .$$
#
# That is the first rounding. If the RoI then reaches from position $a$ to position $b$, it has
# $b - a + 1$ of them, and for $P$ bins, bin $p = 0, 1, \ldots, P - 1$ reads the positions
#
# $$a + \left\lfloor p\, \frac{b - a + 1}{P} \right\rfloor \quad\text{to}\quad
# a + \left\lceil (p + 1)\, \frac{b - a + 1}{P} \right\rceil - 1 .$$
#
# The floor and the ceiling are the second rounding.
#
# > **Predict.** With a stride of 16, how far can the first rounding alone move an edge, measured in
# > image pixels? And when the RoI of our cross is divided into 7 bins, how many columns of the map
# > will they share among them?

# %%
from math import ceil, floor


def roipool_bins(start, end, stride, n_bins):
    """The first and the last position that each bin reads."""
    a = floor(start / stride + 0.5)  # first rounding: the RoI
    b = floor(end / stride + 0.5)
    bin_size = (b - a + 1) / n_bins

    bins = []
    for p in range(n_bins):
        first = a + floor(p * bin_size)  # second rounding: the bin
        last = a + ceil((p + 1) * bin_size) - 1
        bins.append((first, last))
    return bins


# %%
x1, y1, x2, y2 = roi.tolist()
rounded = 16 * (roi / 16 + 0.5).floor()
print("edges are moved by", (rounded - roi).int().tolist(), "pixels")
print("bins along x:", roipool_bins(x1, x2, stride=16, n_bins=7))

# %% [markdown]
# **What happened.** Rounding moves an edge by at most half a step, and half a step of 16 pixels is
# **8 pixels**. If you said "half a pixel", you were thinking of the map, where the rounding is
# small. But the map is sixteen times coarser than the image. In our example, the left edge moves to
# the left by 6 pixels and the right edge by 4, while the upper edge moves down and the lower edge
# up, by 6 pixels each.
#
# Look at the bins as well. Seven of them share six columns. The first and the last read a single
# column, and the others two, one of which the neighbor reads too. To the head, they look like seven
# evenly spaced measurements. They are not.

# %% tags=["cover"]
viz.show_bins(roi, stride=16, output_size=7).caption(
    "Figure 5. The two roundings of RoIPool, to scale. The bars above and "
    "beside the RoI show what each of the 7 bins covers along x and along y. "
    "Orange areas belong to the RoI and are lost, purple areas are added. At "
    "the right you see two of the 49 bins (small, orange) with what RoIPool "
    "reads for them (large, purple)."
)

# %% [markdown]
# In the left panel, the RoI and its bins lie where they should, between the positions. The middle
# panel shows the RoI after the first rounding. It has lost three of its strips and has gained one
# that lies beside it. In the right panel the bins are rounded as well. A bin that should cover a
# rectangle of 11 by 13 pixels reads four values, which stand for 32 by 32 pixels and may come from
# beside the RoI.
#
# The figure also suggests two remedies. You could stop after the middle panel, so that only the RoI
# is rounded and its bins stay equal. That is **RoIWarp**, in the version that [Mask
# R-CNN](https://arxiv.org/abs/1703.06870), section 4.2, compares with. Or you could read what the
# left panel shows, and round nothing at all. That is **RoIAlign**, and for it we need a way to read
# a value where there is none.

# %% tags=["claim"]
assert (rounded - roi).tolist() == [-6, 6, -4, -6]
bins_x = roipool_bins(x1, x2, 16, 7)
assert bins_x == [(14, 14), (14, 15), (15, 16), (16, 17), (17, 18), (18, 19), (19, 19)]
assert round((x2 - x1) / 7) == 11 and round((y2 - y1) / 7) == 13
rois = roi_ops.boxes_to_rois(roi)
by_hand = [
    [features[0, a : b + 1, c : d + 1].max() for c, d in bins_x]
    for a, b in roipool_bins(y1, y2, 16, 7)
]
package = roi_ops.roi_pool(features[None], rois, output_size=7, spatial_scale=1 / 16)
torch.testing.assert_close(torch.tensor(by_hand), package[0, 0])

# %% [markdown]
# ## 3. RoIAlign: read between the positions
#
# The standard tool is **bilinear interpolation**. Take the four values around the point, and
# average them with more weight for the nearer ones. For a point at $(x, y)$, with
# $\Delta x = x - \lfloor x \rfloor$ and $\Delta y = y - \lfloor y \rfloor$,
#
# $$
# v(x, y) =
#   (1 - \Delta y)(1 - \Delta x)\, v_{00} + (1 - \Delta y)\,\Delta x\, v_{01}
#   + \Delta y\,(1 - \Delta x)\, v_{10} + \Delta y\,\Delta x\, v_{11},
# $$
#
# where $v_{00}$ is the value above and to the left of the point, $v_{01}$ the one to its right, and
# so on. If $f_{ij}$ is the value of the map in row $i$ and column $j$, we can write the same thing
# for the whole map:
#
# $$v(x, y) = \sum_{i,j} f_{ij}\, \max(0,\, 1 - |x - j|)\, \max(0,\, 1 - |y - i|).$$
#
# This form will be useful later. It says that each value is a small tent over its position, which
# has fallen to zero one step away.
#
# > **Predict.** In the map of whole numbers (Figure 3), what is the value at $x = 1.25$, $y = 1.5$?
# > Interpolate along x first, in row 1 and in row 2.


# %%
def bilinear(feature_map, y, x):
    """The value of a feature map [H, W] between its positions."""
    row, column = int(y), int(x)
    dy, dx = y - row, x - column
    upper, lower = feature_map[row], feature_map[row + 1]
    above = (1 - dx) * upper[column] + dx * upper[column + 1]
    below = (1 - dx) * lower[column] + dx * lower[column + 1]
    return (1 - dy) * above + dy * below


print(f"value at (1.25, 1.5): {bilinear(values, y=1.5, x=1.25):.3f}")

# %%
viz.show_bilinear(values[1:3, 1:3], dx=0.25, dy=0.5).caption(
    "Figure 6. Bilinear interpolation as areas. The point divides the square "
    "between four positions into rectangles, and each value weighs as much "
    "as the rectangle opposite it."
)

# %% [markdown]
# **What happened.** In row 1 we are a quarter of the way from 3 to 7, which is 4. In row 2 we are a
# quarter of the way from 5 to 1, which is 4 as well. Halfway between 4 and 4 is **4**. The figure
# shows where the weights come from. The nearer the point is to a position, the larger is the
# rectangle on the opposite side.
#
# RoIAlign divides the RoI into equal bins, without rounding, and reads $n \times n$ points in each
# of them, at the centers of $n \times n$ equal parts. Along x, these **sample points** are
#
# $$x_{p,u} = \frac{x_1}{s} + \left(p + \frac{u + 1/2}{n}\right) \frac{x_2 - x_1}{s\,P}, \qquad
# u = 0, \ldots, n - 1,$$
#
# and the same along y. A bin returns the mean of its points. Mask R-CNN reads four, so $n = 2$, and
# the points lie at a quarter and at three quarters of the bin.


# %%
FOUR = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]


def align_by_hand(feature_map, roi, stride, n_bins, points=FOUR):
    """RoIAlign [P, P]; points: (down, right) as fractions of a bin."""
    x1, y1, x2, y2 = (roi / stride).tolist()  # without any rounding
    bin_height, bin_width = (y2 - y1) / n_bins, (x2 - x1) / n_bins
    output = torch.zeros(n_bins, n_bins)
    for i in range(n_bins):
        for j in range(n_bins):
            read = []
            for down, right in points:
                y = y1 + (i + down) * bin_height
                x = x1 + (j + right) * bin_width
                read.append(bilinear(feature_map, y, x))
            output[i, j] = torch.stack(read).mean()
    return output


# %% [markdown]
# Such a loop is slow, but easy to trust. The package does the same in a single lookup, as we will
# see. First, we compare the two on the cross's RoI. Then we read the two small RoIs from before, of
# which the second is 3 pixels farther to the right.

# %%
rois = roi_ops.boxes_to_rois(roi)
package = roi_ops.roi_align(features[None], rois, 7, 1 / 16)[0, 0]
by_hand = align_by_hand(features[0], roi, stride=16, n_bins=7)
print("same as the package's:", torch.allclose(by_hand, package))

for name, box in {"before": small_roi, "after": moved_roi}.items():
    output = align_by_hand(values, box, stride=16, n_bins=2)
    rows = [[round(value, 2) for value in row] for row in output.tolist()]
    print(f"{name + ':':7}", rows)

# %% [markdown]
# With RoIAlign, all four outputs change. When the box moves, the head can tell.
#
# > **Predict.** Take a map in which the value in column $j$ is $j$ itself, in every row. It is a
# > ramp. What does RoIAlign read in three bins along x of the cross's RoI, which reaches from
# > $14.375$ to $19.25$?

# %%
ramp = torch.arange(24.0).expand(24, 24)
output = align_by_hand(ramp, roi, stride=16, n_bins=3)
print([round(value, 4) for value in output[0].tolist()])

# %% [markdown]
# **What happened.** It reads 15.1875, 16.8125 and 18.4375. A bin is $(19.25 - 14.375)/3 = 1.625$
# positions wide, so its center lies at $14.375 + (p + \tfrac{1}{2}) \cdot 1.625$, and these are
# exactly the three centers. On a ramp, what is read *is* where it was read. Keep this trick,
# because the ramp will be our ruler.

# %% tags=["claim"]
assert bilinear(values, 1.5, 1.25) == 4
package = roi_ops.roi_align(features[None], rois, output_size=7, spatial_scale=1 / 16)
torch.testing.assert_close(align_by_hand(features[0], roi, 16, 7), package[0, 0])
for box in (small_roi, moved_roi):
    package = roi_ops.roi_align(values[None, None], roi_ops.boxes_to_rois(box), 2, 1 / 16)
    torch.testing.assert_close(align_by_hand(values, box, 16, 2), package[0, 0])
changes = align_by_hand(values, small_roi, 16, 2) - align_by_hand(values, moved_roi, 16, 2)
assert (changes.abs() > 0.1).all() and output[0].tolist() == [15.1875, 16.8125, 18.4375]

# %% [markdown]
# ## 4. Slide the RoI
#
# The boxes of the RPN have no reason to lie on whole positions. So let's move the cross's RoI to
# the right, a quarter of a pixel at a time, over two positions of the map. We watch one of the 49
# outputs first, and then all of them.
#
# > **Predict.** RoIPool's outputs will stay the same for a while, and then jump. RoIWarp doesn't
# > round its bins. Will its outputs never jump, jump less often, or jump at the same moments?

# %%
shifts = torch.arange(0, 32, 0.25)
slid = roi + shifts[:, None] * torch.tensor([1.0, 0, 1, 0])  # [128, 4]
rois = roi_ops.boxes_to_rois(slid)

read = {}
for name, operation in roi_ops.OPERATIONS.items():
    title = viz.OP_NAMES[name]  # "pool" is RoIPool, and so on
    read[title] = operation(features[None], rois, 7, 1 / 16)[:, 0]

one_bin = {name: outputs[:, 3, 5] for name, outputs in read.items()}
y_label = "output of one bin, darkness"
viz.show_lines(shifts, one_bin, "shift, pixels", y_label).caption(
    "Figure 7. One bin of the cross while its RoI slides to the right. "
    "RoIPool and RoIWarp jump, and see nothing of what happens in between."
)

# %%
for name, outputs in read.items():
    changes = outputs.diff(dim=0).flatten(1).abs().amax(dim=1) > 1e-4
    moments = shifts[1:][changes].tolist()
    where = f"of {len(changes)} steps"
    if len(moments) < 10:
        where += f": after {moments} pixels"
    print(f"{name:8} changes in {len(moments):3} {where}")

# %% [markdown]
# **What happened.** They jump at the same moments. What jumps is the rounded RoI, whenever its left
# or its right edge passes the middle between two positions. The left edge starts at pixel 230 and
# passes the middle at 232, after 2 pixels. The right edge starts at 308 and passes 312, after 4.
# Sixteen pixels later both of them do it again. In Figure 7, RoIPool's line shows no jump at 2 and
# 18 pixels, because the largest value of that bin happens to be the same before and after. Other
# bins do change there. Between two jumps the RoI moves on, and neither operation notices. RoIAlign
# changes in every single step.

# %% tags=["claim"]
moments = {}
for name, outputs in read.items():
    changes = outputs.diff(dim=0).flatten(1).abs().amax(dim=1) > 1e-4
    moments[name] = shifts[1:][changes].tolist()
assert moments["RoIPool"] == moments["RoIWarp"] == [2, 4, 18, 20]
assert len(moments["RoIAlign"]) == 127
assert shifts[1:][one_bin["RoIPool"].diff().abs() > 1e-4].tolist() == [4, 20]

# %% [markdown]
# ## 5. How far off is each bin?
#
# Now we use the ruler. The value in column $j$ is $16 j$ this time, because that is the pixel at
# which column $j$ lies. So what RoIAlign and RoIWarp output for a bin is the pixel at which they
# have read it. RoIPool outputs the pixel of the last column that it reads. If we change the sign of
# the ruler, the largest value belongs to the first column, and the middle between the first and the
# last one is where RoIPool has read the bin. We compare that with where the bin's center really is.
# The difference is the **misalignment**.

# %%
viz.show_misalignment(roi, stride=16).caption(
    "Figure 8. An arrow from the center of each bin to the middle of what is "
    "read for it. RoIWarp is off by a smooth pattern, RoIPool by an irregular "
    "one, and RoIAlign not at all."
)

# %% [markdown]
# That was one RoI. Its pattern is different for every other one. So let's measure 500 random RoIs,
# of 40 to 140 pixels.
#
# > **Predict.** Rounding the RoI moves an edge by up to 8 pixels. How far off is RoIPool's worst
# > bin along x: about 8, 12 or 17 pixels?

# %%
generator = torch.Generator().manual_seed(0)
corners = 40 + 160 * torch.rand(500, 2, generator=generator)
sizes = 40 + 100 * torch.rand(500, 2, generator=generator)
boxes = torch.cat((corners, corners + sizes), dim=1)

p = torch.arange(7)
centers = boxes[:, :1] + (p + 0.5) * sizes[:, :1] / 7  # [500, 7]
ruler = 16 * ramp[None, None]
rois_500 = roi_ops.boxes_to_rois(boxes)

# %%
errors = {}
for name, operation in roi_ops.OPERATIONS.items():
    largest = operation(ruler, rois_500, 7, 1 / 16)[:, 0, 0]
    smallest = -operation(-ruler, rois_500, 7, 1 / 16)[:, 0, 0]
    error = ((largest + smallest) / 2 - centers).flatten()
    errors[viz.OP_NAMES[name]] = error
    print(f"{name:5} off by up to {error.abs().max():4.1f} pixels")

viz.show_spread(errors, "misalignment of a bin along x, pixels").caption(
    "Figure 9. The misalignment of 3,500 bins. RoIPool's spreads the widest, "
    "and all of RoIAlign's bins are exactly where they should be."
)

# %% [markdown]
# **What happened.** RoIPool's worst bin is off by almost 17 pixels, more than a whole step of the
# map. Rounding the RoI explains only half of it. Let's see where the rest comes from.

# %%
a = (boxes[:, :1] / 16 + 0.5).floor()
b = (boxes[:, 2:3] / 16 + 0.5).floor()
first_edge = a - 0.5  # position a stands for a - 0.5 to a + 0.5
both_ends = 16 * (first_edge + (p + 0.5) * (b - a + 1) / 7)
worst = (both_ends - centers).abs().max()
print(f"with both ends, but equal bins: off by up to {worst:.1f} pixels")

# %% [markdown]
# RoIPool counts both ends of the rounded RoI, so it spreads the bins over $b - a + 1$ positions
# although the RoI is only $b - a$ wide. The first bin is thereby pushed to the left and the last
# one to the right, by nearly half a position each. This raises the largest error from 8 to 15
# pixels. Rounding the bins adds the rest. In the worst case all three point in the same direction.
#
# In Fast R-CNN, none of this did much harm. A cross that is read 8 pixels too far to the left is
# still a cross. But a mask *consists of* locations.

# %% tags=["claim"]
assert errors["RoIAlign"].abs().max() < 1e-3 and 7.5 < errors["RoIWarp"].abs().max() < 8
assert 16.5 < errors["RoIPool"].abs().max() < 17.5 and 14.5 < worst < 15.5
assert sizes.min() > 40 and sizes.max() < 140

# %% [markdown]
# ## 6. What it does to a mask
#
# So let's look at a mask. We pretend to have a perfect network, whose feature map is the cross's
# mask itself, averaged in blocks of $s \times s$ pixels. Each operation reads 28 × 28 values from
# it in the RoI, and we paste them back over the same RoI, as the mask head's output will be. So
# whatever is lost was lost in the reading.
#
# One detail is needed to be fair. The value $i$ of a block mean belongs to the block's center,
# which is at pixel $s\,i + s/2$ and not at $s\,i$, so we shift the RoI by $s/2$. We will come
# back to that, because it is a question of its own.
#
# > **Predict.** What IoU will the cross's mask and the pasted one have at a stride of 16, with
# > RoIPool and with RoIAlign? And at a stride of 4?

# %%
gt_mask = target["masks"][:1]  # [1, 384, 384]
pasted, mask_iou = {}, {}
for stride in (4, 8, 16):
    coarse = avg_pool2d(gt_mask[None].float(), stride)
    rois = roi_ops.boxes_to_rois(roi - stride / 2)
    for name, operation in roi_ops.OPERATIONS.items():
        cut = operation(coarse, rois, 28, 1 / stride)[0]  # [1, 28, 28]
        mask = paste_masks(cut, roi[None], (384, 384))
        common, union = (mask & gt_mask).sum(), (mask | gt_mask).sum()
        pasted[stride, name] = mask
        mask_iou[stride, name] = (common / union).item()

# %%
for stride in (4, 8, 16):
    numbers = []
    for name in roi_ops.OPERATIONS:
        numbers.append(f"{name} {mask_iou[stride, name]:.2f}")
    print(f"stride {stride:2}:", ", ".join(numbers))

results = {}
for name, title in viz.OP_NAMES.items():
    results[f"{title}: {mask_iou[16, name]:.2f}"] = pasted[16, name][0]
viz.show_differences(gt_mask[0], results).caption(
    "Figure 10. The cross's mask, read at a stride of 16 and pasted back, "
    "with its IoU. Missing pixels are green, extra ones crimson. RoIPool's "
    "mask is too small on all sides, and RoIWarp's is shifted to the left."
)

# %% [markdown]
# **What happened.** At a stride of 16, RoIPool's mask has an IoU of 0.66, RoIWarp's of 0.76 and
# RoIAlign's of 0.82. In the figure you can see why. RoIPool's mask has shrunk, because it counts
# both ends. It has read six columns of the map and squeezes them into a RoI that is hardly five
# columns wide, so each of them gets too little room. RoIWarp's mask is nearly as large as
# RoIAlign's, but lies almost 3 pixels farther to the left. What RoIAlign still misses isn't its
# fault, since a map of 16-pixel blocks doesn't contain the corners of a cross.
#
# At a stride of 4 the three reach 0.90, 0.93 and 0.97. The finer the map, the smaller the step, and
# the less there is to round.
#
# That is one object and a perfect network. Does it matter in a real one?

# %% tags=["claim"]
rounded_iou = {key: round(value, 2) for key, value in mask_iou.items()}
assert [rounded_iou[16, n] for n in roi_ops.OPERATIONS] == [0.66, 0.76, 0.82]
assert pasted[16, "pool"].sum() < 0.8 * gt_mask.sum()
assert pasted[16, "warp"].sum() > 0.85 * gt_mask.sum()
centers_x = {n: pasted[16, n][0].nonzero()[:, 1].float().mean() for n in roi_ops.OPERATIONS}
assert 2.5 < centers_x["align"] - centers_x["warp"] < 3
bins_at_16 = roipool_bins(x1 - 8, x2 - 8, 16, 28)
assert bins_at_16[-1][1] - bins_at_16[0][0] + 1 == 6
assert mask_iou[4, "pool"] > 0.895 and mask_iou[4, "warp"] > 0.93 and mask_iou[4, "align"] > 0.965

# %% [markdown]
# ## 7. What it does to a trained network
#
# `shapes-tiny` is a complete Mask R-CNN, trained with RoIAlign. We change how it reads its RoIs,
# and nothing else, and let it detect the objects in 40 scenes. Its mask AP would be 100 if it
# found every object with a perfect mask. Lesson 11 explains how it is computed. AP50 counts a mask
# as correct if its IoU with the ground truth is at least 0.5, and AP75 if it is at least 0.75.
#
# We can ask one more question at the same time. Is it important how many points a bin reads? The
# paper found that it isn't, "as long as no quantization is performed" ([Mask
# R-CNN](https://arxiv.org/abs/1703.06870), section 3). We try it with 1, 4, 9 and 16 points.
#
# > **Predict.** With four points the network has a mask AP of 80. What will remain of it with
# > RoIWarp's reading, and what with RoIPool's? How much will the number of points change? And
# > which will suffer more, AP50 or AP75?

# %%
from dataclasses import replace

model, scenes = load("shapes-tiny"), Shapes(40, seed=1)
trained = model.config  # roi_op="align", sampling_ratio=2: 2 x 2 points


def scores_with(operation, n):
    """Mask AP, AP50, AP75 with an operation and n x n points in a bin."""
    model.config = replace(trained, roi_op=operation, sampling_ratio=n)
    scores = evaluate(scenes, detect_all(model, scenes))
    model.config = trained
    return [100 * s for s in (scores.ap, scores.ap50, scores.ap75)]


# %%
readings = [("align", n) for n in (1, 2, 3, 4)] + [("warp", 2), ("pool", 2)]
network = {}
print("                      AP  AP50  AP75")
for operation, n in readings:
    network[operation, n] = scores_with(operation, n)
    points = "maximum" if operation == "pool" else f"{n} x {n} points"
    numbers = "  ".join(f"{s:4.0f}" for s in network[operation, n])
    print(f"{operation:5} {points:13} {numbers}")

# %% [markdown]
# **What happened.** RoIWarp's single rounding takes more than a third of the AP, from 80 to 52.
# RoIPool leaves 19. AP75, which asks for accurate outlines, suffers most. With RoIPool it is nearly
# zero, while more than half of AP50 is still there. The objects are found, but their masks don't
# fit. The number of points, on the other hand, changes the AP by less than one point.
#
# To be fair, this network has never seen rounded features. Had it been *trained* with them, it
# would have learned to live with some of their defects. That is what the paper's ablation does, and
# it finds a mask AP of 26.9 with RoIPool, 27.2 with RoIWarp and 30.3 with RoIAlign ([Mask
# R-CNN](https://arxiv.org/abs/1703.06870), table 2c, at a stride of 16). At a stride of 32 the
# numbers are 23.6 with RoIPool and 30.9 with RoIAlign, a gain of 7.3 points (table 2d).
#
# We have trained our small models in the same way, and you will study the results in lesson 12. At
# a stride of 8, RoIPool costs about 14 of 34 points of mask AP, and RoIWarp hardly less. At a
# stride of 16, RoIPool costs about half of the AP. These losses are larger than the paper's. The
# most likely reason is the size of our objects, which measure only a few steps of the map, so that
# half a step is a large part of them.
#
# Training changes something else, too. In the table above, RoIWarp was much better than RoIPool.
# Once both are trained, they are nearly equal, in the paper as well as here. A head can
# probably get used to maxima and to uneven bins. But what the two have in common can't be
# learned away, because the features don't tell by how much *this* RoI was moved.

# %% tags=["claim"]
from mrcnn_edu.ablations.precomputed import precomputed

assert [round(s) for s in (network["align", 2][0], network["warp", 2][0])] == [80, 52]
assert round(network["pool", 2][0]) == 19 and network["pool", 2][2] < 6
assert network["pool", 2][1] > 0.5 * network["align", 2][1]
assert all(abs(network["align", n][0] - network["align", 2][0]) < 1 for n in (1, 3, 4))
fine, coarse_table = precomputed("2c"), precomputed("2d")
names = "RoIAlign, mean", "RoIWarp, mean", "RoIPool"
aligned_ap, warp_ap, pool_ap = (fine.mean(fine.table.setting(n)).mean for n in names)
assert 32 < aligned_ap < 36 and 12.5 < aligned_ap - pool_ap < 15.5
assert 11.5 < aligned_ap - warp_ap < 13.7 and warp_ap - pool_ap < 3
coarse_ap = {n: coarse_table.mean(coarse_table.table.setting(n)).mean for n in names[2:]}
coarse_align = coarse_table.mean(coarse_table.table.setting("RoIAlign")).mean
assert 0.43 < 1 - coarse_ap["RoIPool"] / coarse_align < 0.6

# %% [markdown]
# ## 8. Where the points lie, and whether the box can learn
#
# The number of points hardly matters. Do their locations? Here is an extreme test. We read 20 RoIs
# of our darkness map with four points at *random* locations in each bin, different ones for each
# RoI, and compare that with 100 points. As a unit for the differences we take the standard
# deviation of what the 100 points read.
#
# > **Predict.** Which is nearer to the 100 points: four random points in the right bins, or
# > RoIWarp's four regular points in bins that were rounded?


# %%
def even(n):
    """The centers of n x n equal parts of a bin."""
    return [((i + 0.5) / n, (j + 0.5) / n) for i in range(n) for j in range(n)]


def read_20(points_of):
    """RoIAlign of 20 RoIs; points_of: a function of the RoI's number."""
    outputs = []
    for i, box in enumerate(boxes[:20]):
        one = align_by_hand(features[0], box, 16, 7, points_of(i))
        outputs.append(one)
    return torch.stack(outputs)


anywhere = torch.rand(20, 4, 2, generator=generator)
hundred = read_20(lambda i: even(10))

# %%
readings = {
    "1 regular point": read_20(lambda i: even(1)),
    "4 regular points": read_20(lambda i: even(2)),
    "9 regular points": read_20(lambda i: even(3)),
    "4 random points": read_20(lambda i: anywhere[i].tolist()),
}
rois_20 = roi_ops.boxes_to_rois(boxes[:20])
for name in ("warp", "pool"):
    operation = roi_ops.OPERATIONS[name]
    outputs = operation(features[None], rois_20, 7, 1 / 16)[:, 0]
    readings[viz.OP_NAMES[name]] = outputs

differences = {}
for name, outputs in readings.items():
    differences[name] = (outputs - hundred).abs().mean() / hundred.std()
    print(f"{name:16} differs by {differences[name]:5.1%}")

# %% [markdown]
# **What happened.** Even random points are about twice as near as RoIWarp's regular ones. A point
# may lie anywhere in its bin, as long as it is the right bin. This is what the paper's "as long as
# no quantization is performed" means. And four regular points are so near to a hundred that there
# is little left to gain.
#
# There is another consequence of not rounding, which is easy to overlook. An output that follows
# the box has a **gradient** with respect to the box. If a sample point moves to the right by a
# little, its value changes by
#
# $$\frac{\partial v}{\partial x} = (1 - \Delta y)(v_{01} - v_{00}) + \Delta y\,(v_{11} - v_{10}).$$
#
# A rounded coordinate, however, stays where it is when the box moves a little, so its derivative is
# zero.
#
# > **Predict.** For which of the three operations can PyTorch compute a gradient with respect to
# > the box?

# %%
rois = roi_ops.boxes_to_rois(roi)
for name, operation in roi_ops.OPERATIONS.items():
    leaf = rois.clone().requires_grad_()
    output = operation(features[None], leaf, 7, 1 / 16)[0, 0, 3, 1]
    if output.requires_grad:
        (gradient,) = torch.autograd.grad(output, leaf)
        print(f"{name:5}", (1000 * gradient[0, 1:]).round().int().tolist())
    else:
        print(f"{name:5} none")

# %% [markdown]
# **What happened.** Only RoIAlign has one. The four numbers say how much this output grows, in
# thousandths, if $x_1$, $y_1$, $x_2$ or $y_2$ grows by a pixel. Our bin is in the second of seven
# columns, so it follows the left edge of the box much more than the right edge, and 5 is larger
# than 1. It is in the middle row, so $y_1$ and $y_2$ move it equally.
#
# With such a gradient, a box can learn where to lie. Let's try it. We read the 49 values in the
# ground-truth box of the cross, and then ask the RPN's box to move until it reads the same values.
# The loss is the squared difference, and each step moves the four coordinates against its gradient.

# %%
gt_rois = roi_ops.boxes_to_rois(target["boxes"][0])
wanted = roi_ops.roi_align(features[None], gt_rois, 7, 1 / 16)

learned = roi.clone()
for step in range(61):
    learned.requires_grad_()
    rois = roi_ops.boxes_to_rois(learned)
    seen = roi_ops.roi_align(features[None], rois, 7, 1 / 16)
    loss = ((seen - wanted) ** 2).sum()
    (gradient,) = torch.autograd.grad(loss, learned)
    if step % 20 == 0:
        print(f"step {step:2}:", [round(c, 1) for c in learned.tolist()])
    learned = learned.detach() - 60 * gradient
print("ground truth:", target["boxes"][0].tolist())

# %% [markdown]
# The box finds the cross to within a fraction of a pixel, although it was told only what it should
# read there, and not where that is. With RoIPool or RoIWarp, it couldn't have taken the first step.
#
# Perhaps you are surprised that RoIWarp has none, since it was invented for exactly this purpose.
# In the paper where it comes from, [MNC](https://arxiv.org/abs/1512.04412), the warping
# is differentiable in the box, so that the later stages can teach the earlier ones where to look.
# What has no gradient is the version with a rounded RoI, with which Mask R-CNN compares, and that
# is the one we use here.
#
# Mask R-CNN itself makes no use of the gradient. It passes proposals on as constants, as lesson 09
# shows. Networks that learn where to look do need it.


# %% tags=["claim"]
def output_of(box):
    """What one bin reads, for the gradient."""
    return roi_ops.roi_align(features[None], roi_ops.boxes_to_rois(box), 7, 1 / 16)[0, 0, 3, 1]


leaf = roi.clone().requires_grad_()
(by_autograd,) = torch.autograd.grad(output_of(leaf), leaf)
by_steps = torch.stack([output_of(roi + one) - output_of(roi) for one in torch.eye(4)])
torch.testing.assert_close(by_autograd, by_steps, rtol=1e-3, atol=1e-6)
assert (1000 * by_autograd).round().tolist() == [5, -4, 1, -4]
torch.testing.assert_close(by_autograd[1], by_autograd[3])
assert (learned - target["boxes"][0]).abs().max() < 0.5 < (roi - target["boxes"][0]).abs().max()
assert 0.4 < differences["4 random points"] / differences["RoIWarp"] < 0.65
assert differences["4 regular points"] < 0.015
assert differences["RoIWarp"] < differences["RoIPool"]

# %% [markdown]
# ## 9. Half a position: which pixel does value i describe?
#
# So far we have assumed that value $i$ of a map lies at pixel $s\,i$. In the experiment with the
# perfect network it did not, and we had to shift the RoI by half a step. In the libraries there is
# a switch for that shift. It is called `aligned`, and it is the most confusing argument of
# `roi_align`, because the two large libraries disagree about it. torchvision's models use
# `aligned=False`. The documentation of [detectron2](https://github.com/facebookresearch/detectron2)
# says that this reads from a slightly incorrect position, and its models use `aligned=True`. Who is
# right?
#
# Let's work it out. We say that pixel $j$ of the image has its center at $j + \tfrac{1}{2}$, since
# it covers the area from $j$ to $j + 1$. A convolution with a kernel of $k$, a stride of $t$ and a
# padding of $q$ looks, at its output $i$, at the inputs $ti - q$ to $ti - q + k - 1$, and their
# middle is $ti - q + (k - 1)/2$. Two kinds of layers are in use.
#
# - With $q = (k - 1)/2$, as in a ResNet, the middle is input $ti$. Through all layers, value $i$ of
#   a map with stride $s$ stays with pixel $s\,i$, whose center is at $s\,i + \tfrac{1}{2}$.
# - With $k = t$ and no padding, as in our block means, the middle is $ti + (t - 1)/2$. Value $i$
#   then belongs to the center of its block, which is at $s\,i + s/2$.
#
# `aligned=False` assumes that value $i$ lies at $s\,i$. `aligned=True` subtracts half a position
# from the coordinates on the map, and thereby assumes that it lies at $s\,(i + \tfrac{1}{2})$.
#
# > **Predict.** In the map of stride 16 that `shapes-tiny` computes with its small ResNet, around
# > which pixel does value 6 look, about 96 or about 104? We measure it by the gradient, which shows
# > which pixels have an influence.

# %%
generator = torch.Generator().manual_seed(0)
noise = torch.rand(1, 3, 192, 192, generator=generator).requires_grad_()
columns = torch.arange(192) + 0.5  # the centers of the pixels


def influence_on(feature_map, i):
    """How much each column of pixels [192] influences value i."""
    influence = torch.zeros(192)
    row = feature_map.shape[2] // 2
    for value in feature_map[0, :, row, i]:  # channel by channel
        (gradient,) = torch.autograd.grad(value, noise, retain_graph=True)
        influence += gradient.abs().sum(dim=(0, 1, 2))
    return influence / influence.sum()


# %%
c4 = model.backbone(noise)[2]  # [1, 64, 12, 12]
influence = influence_on(c4, 6)
middle = (influence * columns).sum()
print(f"value 6 looks at the pixels around {middle:.1f}")

where = {"influence on value 6": influence}
viz.show_lines(columns, where, "x of the pixel", "fraction").caption(
    "Figure 11. The influence of each column of pixels on value 6 of a map "
    "of stride 16. It is centered near 96 = 16 × 6."
)

# %% [markdown]
# **What happened.** It looks around 96.4, and the formula says 96.5. So in a ResNet,
# `aligned=False` is right up to half a pixel, and `aligned=True` is off by $(s - 1)/2$, which is
# 7.5 pixels at a stride of 16. For block means it is the other way round:

# %%
means = avg_pool2d(columns.expand(1, 1, 192, 192), 16)  # the x of each block
box = torch.tensor([[22.0, 22, 64, 64]])
bin_centers = 22 + (p + 0.5) * 42 / 7
for aligned in (False, True):
    rois = roi_ops.boxes_to_rois(box)
    x = roi_ops.roi_align(means, rois, 7, 1 / 16, aligned=aligned)[0, 0, 0]
    off = (x - bin_centers)[3]  # in the middle bin
    print(f"aligned={aligned!s:5} is off by {off:.1f} pixels")

# %% [markdown]
# So both libraries are right, each about a different kind of map. detectron2's documentation says
# that value $i$ of any grid is a sample at $i + \tfrac{1}{2}$. This is true of an image, and of a
# mask, from which you may want to cut the part in a RoI as a training target. It is also true of a
# feature map that is like an image of a lower resolution, as our block means are, and the maps of
# networks that begin with patches, such as the vision transformers of
# [ViTDet](https://arxiv.org/abs/2203.16527). It isn't true of the map of a ResNet.
#
# And yet, detectron2 trains ResNets with `aligned=True`, and they work. Its documentation also
# says that the choice makes no difference to the accuracy if convolutions are involved. The shift
# is the *same* for every RoI, in training as in detection, so the layers before and after RoIAlign
# can learn to make up for it. That is the contrast with RoIPool, whose error differs from one RoI
# to the next and can't be learned.
#
# So the choice hardly matters, but you must stay with it. `shapes-tiny` was trained with
# `aligned=False`. What if we detect with `aligned=True`? To find out, we replace the function that
# the model calls to read its RoIs by one that subtracts half a position first.
#
# > **Predict.** Half a position is 2, 4 or 8 pixels, depending on the level of the pyramid. What
# > will remain of the mask AP of 80?


# %%
def half_a_position_back(table, level, image, boxes, *rest, **options):
    """RoIAlign as with aligned=True; the boxes are in positions."""
    moved = boxes - 0.5
    return roi_ops.align_rois(table, level, image, moved, *rest, **options)


roi_ops.ON_TABLES["align"] = half_a_position_back
half_back = evaluate(scenes, detect_all(model, scenes))
roi_ops.ON_TABLES["align"] = roi_ops.align_rois
print(f"AP {100 * half_back.ap:.0f}, AP75 {100 * half_back.ap75:.0f}")

# %% [markdown]
# **What happened.** It drops to 21, nearly as low as with RoIPool, and the reason is the same. The
# heads read features that lie beside the object. If you load published weights into a library of
# your own, this is the first thing to check. Nothing will warn you, as every shape fits, and many
# of the objects are still found.
#
# One thing is left to check. In Figure 11 we measured a map of the backbone, but the heads read the
# pyramid. On its top-down pathway each coarse value is copied to 2 × 2 finer ones, so some of what
# arrives at a position belongs to its neighbor. Here is the same measurement for `shapes-tiny`'s
# pyramid, at two neighboring positions of each map:

# %%
pyramid = model.neck(model.backbone(noise))
for level, stride in enumerate((4, 8, 16)):
    n = 192 // stride
    offsets = []
    for i in (n // 2 - 1, n // 2):
        middle = (influence_on(pyramid[level], i) * columns).sum()
        offsets.append(middle.item() - stride * i)
    print(f"stride {stride:2}: off by", [round(o, 1) for o in offsets])

# %% [markdown]
# The middle stays within two pixels of $s\,i$, which on the coarse map is far from
# $s\,(i + \tfrac{1}{2})$. Don't take the decimals seriously, since learned weights aren't
# symmetric.

# %% tags=["claim"]
assert round(100 * half_back.ap) == 21 and half_back.ap50 > 0.6
assert abs((influence * columns).sum() - 96.5) < 1
shifts_of = {}
for aligned in (False, True):
    x = roi_ops.roi_align(means, roi_ops.boxes_to_rois(box), 7, 1 / 16, aligned=aligned)
    shifts_of[aligned] = (x[0, 0, 0] - bin_centers)[3].item()
assert abs(shifts_of[False] - 8) < 1e-3 and abs(shifts_of[True]) < 1e-3
assert max(map(abs, offsets)) < 2  # of the last level, whose half position is 8 pixels

# %% [markdown]
# ## 10. RoIAlign is one weighted lookup
#
# Our loop calls `bilinear` 196 times for a single RoI on a single channel, and a detector reads a
# thousand RoIs on 256 channels. But look again at the formula with the tents. Each output is a
# *weighted sum of a few values of the map*, and the weights depend on the RoI alone, not on the
# values. To find them, we pool the identity, a map with one channel for each position, which is 1
# at its own position and 0 elsewhere.

# %%
rois = roi_ops.boxes_to_rois(roi)
identity = torch.eye(24 * 24).view(1, 24 * 24, 24, 24)
weights = roi_ops.roi_align(identity, rois, 7, 1 / 16)[0, :, 3, 1]

nearby = weights.view(24, 24)[5:9, 13:18]
title = "rows 5 to 8, columns 13 to 17"
viz.show_maps([nearby], [title], numbers=".2f").caption(
    "Figure 12. The weights with which one bin reads the map. They sum to 1."
)

# %% [markdown]
# PyTorch has an operation for exactly this. `embedding_bag` looks up rows of a table and adds them
# with weights. It was made for the meanings of words, but it doesn't mind if the rows are the
# channels of a feature map.

# %%
index = weights.nonzero().T  # [1, 4]: where the weights are
table = features.flatten(1).T  # [576, 1]: a row for each position
bag = embedding_bag(
    index, table, per_sample_weights=weights[index], mode="sum"
)
package = roi_ops.roi_align(features[None], rois, 7, 1 / 16)
print(f"looked up {bag[0, 0]:.6f}, RoIAlign {package[0, 0, 3, 1]:.6f}")

# %% [markdown]
# The package's RoIAlign is nothing else. It computes index and weight of the positions around every
# sample point, along y and along x, multiplies them, and looks up all bins of all RoIs in one call.
# This is the part for one axis.

# %%
print(getsource(roi_ops.sample_points))

# %% [markdown]
# You recognize the formula of the sample points in `at`. New is what happens at the border of the
# map, where torchvision's rule is followed. A point up to one position outside takes the value of
# the border, and one farther outside counts as 0.

# %% tags=["claim"]
assert len(FOUR) * 49 == 196
torch.testing.assert_close(bag[0], package[0, :, 3, 1])
torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
assert index.shape == (1, 4)

# %% [markdown]
# ## 11. Two objects in one RoI
#
# RoIAlign delivers what lies inside the box, whatever it is. What if two objects lie there? Here
# are a square and a ring that overlap. We move the RoI from the box of the square to the box of the
# ring, stop at five places, and ask the heads what they see at each. The image, the feature maps
# and the weights remain the same. Only the RoI moves.
#
# > **Predict.** Halfway, the RoI contains the right half of the square and the left half of the
# > ring. What will the heads draw: the square, the ring, both of them or neither?

# %%
scene, objects = Shapes(240, seed=1)[239]
crisp, _ = Shapes(240, seed=1, render_size=384, noise=0)[239]  # to look at
square, ring = objects["boxes"][1], objects["boxes"][2]

way = torch.linspace(0, 1, 5)[:, None]
moving = square + way * (ring - square)  # [5, 4]
class_logits, mask_logits = model.predict_on_boxes(scene, moving)

probabilities = class_logits.softmax(dim=1)[:, 1:]  # without background
scores, best = probabilities.max(dim=1)
labels = best + 1
mask_probs = mask_logits[torch.arange(5), labels].sigmoid()

# %%
shown = {}
for i, where in enumerate(("0", "1/4", "1/2", "3/4", "1")):
    box = 4 * moving[i : i + 1]  # for 384 pixels instead of 96
    one = slice(i, i + 1)
    mask = paste_masks(mask_probs[one], box, (384, 384))
    found = box, labels[one], scores[one], mask, mask_probs[one]
    shown[where] = Detections(*found)

viz.show_comparison(crisp, shown, model.classes, columns=5).caption(
    "Figure 13. A RoI on its way from the square to the ring, with the class "
    "and the mask that the heads predict for it. They switch all at once."
)

# %% [markdown]
# **What happened.** Only one of them, and halfway it is the ring. The heads don't blend the two
# masks and they don't draw both. How do they know which object is meant?
#
# They know it from training. There, the targets for a RoI are the class and the mask of the object
# with which it has the largest IoU, if that IoU is at least 0.5. Our RoI has these:

# %%
iou = box_iou(moving, torch.stack((square, ring)))
for fraction, (with_square, with_ring) in zip(way[:, 0], iou, strict=True):
    print(
        f"at {fraction:.2f}: IoU {with_square:.2f} with the square,",
        f"{with_ring:.2f} with the ring",
    )

# %% [markdown]
# Halfway, the ring is just ahead, by 0.50 to 0.49. The RoI tells the heads which object is meant by
# putting it into the middle of the 14 × 14 grid. That is why the grid must lie where the box lies.
# If RoIPool moves it by half a step, it doesn't only blur the outline. In a crowd, it may point at
# the neighbor.
#
# Move the RoI yourself.
#
# 1. Where exactly does the class switch? What happens to the score just before?
# 2. Does the mask ever contain parts of both objects?
# 3. Behind the ring there is a star. Why do the heads never draw its mask?

# %%
from mrcnn_edu.course.widgets import roi_player, two_objects_player

pair = torch.stack((square, ring))
two_objects_player(model, scene, pair, model.classes, crisp).caption(
    "Figure 14. A RoI between two objects, and the mask that is predicted for "
    "it. The feature maps are computed once and stay the same."
)

# %% tags=["claim"]
names = [model.classes[label - 1] for label in labels.tolist()]
assert names == ["square", "square", "ring", "ring", "ring"]
assert [round(value, 2) for value in iou[2].tolist()] == [0.49, 0.50]

# %% [markdown]
# ## Where it breaks: a RoI smaller than one step
#
# > **Predict.** A RoI of 12 × 12 pixels is read at a stride of 16. How many *different* values are
# > there among RoIPool's 7 × 7 outputs, and how many among RoIAlign's?

# %%
tiny = torch.tensor([281.0, 73, 293, 85])  # a corner of the cross
rois = roi_ops.boxes_to_rois(tiny)
outputs = {}
for name, operation in roi_ops.OPERATIONS.items():
    output = operation(features[None], rois, 7, 1 / 16)[0, 0]
    n_different = len(output.unique())
    outputs[f"{viz.OP_NAMES[name]}, different values: {n_different}"] = output

highest = max(output.max().item() for output in outputs.values())
maps, titles = list(outputs.values()), list(outputs)
viz.show_maps(maps, titles, high=highest).caption(
    "Figure 15. A RoI of 12 pixels, read from a map of stride 16, in the same "
    "colors. RoIPool returns a single value, 49 times."
)

# %% [markdown]
# **What happened.** RoIPool returns one value, 49 times. All of its bins read the same position of
# the map. At most other locations there are two or four, because the RoI happens to lie across the
# middle between two positions. From a single value nobody can tell left from right, so no mask head
# could do anything with it.
#
# RoIWarp and RoIAlign return 49 different values, but don't mistake that for a higher resolution.
# They are all mixtures of the same few values of the map. RoIAlign keeps the location, and adds no
# detail. And for RoIs as small as this one, it isn't quite exact either. With `aligned=False`, a
# RoI narrower than one position is read as if it were one position wide. This is a rule of the
# original code, which torchvision and we have kept. Our 12 pixels are read as 16, and the last bin
# is off by almost 4 pixels.
#
# How would you notice this in your own model? Compute the AP for small objects separately, as COCO
# does. If it is far below the rest, compare the size of those objects with the stride from which
# they are read. The remedy is a finer map, and this is one of the reasons for the pyramid of lesson
# 04, which reads small RoIs from fine levels. With it, RoIAlign's advantage becomes smaller, but it
# doesn't go away. [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 4.2, reports a gain of
# 1.5 points of mask AP with FPN.

# %% tags=["claim"]
pieces = 280 + torch.cartesian_prod(torch.arange(16.0), torch.arange(16.0))
everywhere = roi_ops.boxes_to_rois(torch.cat((pieces, pieces + 12), dim=1))
all_different = torch.arange(24 * 24.0).view(1, 1, 24, 24)
pooled = roi_ops.roi_pool(all_different, everywhere, 7, 1 / 16)[:, 0]
n_values = [len(output.unique()) for output in pooled]
assert set(n_values) == {1, 2, 4} and sum(n > 1 for n in n_values) > len(n_values) / 2
counts = [len(output.unique()) for output in maps]
assert counts == [1, 49, 49]
read_at = roi_ops.roi_align(ruler, roi_ops.boxes_to_rois(tiny), 7, 1 / 16)[0, 0, 0]
assert 3.5 < (read_at - (281 + (p + 0.5) * 12 / 7))[-1] < 4

# %% [markdown]
# ## Play: drag the RoI
#
# This is the part of the map around the upper cross, with a dot at each position. Drag the RoI, or
# one of its corners. At the right you see what the three operations pool from it. Click one of the
# 49 bins there to see what is read for it.
#
# 1. Move the RoI slowly to the right. Which of the three outputs change with every pixel?
# 2. Choose the bin in the second row and second column. How far can you move the RoI before RoIPool
#    reads other positions? Check with a calculation like that below Figure 7.
# 3. Make the RoI so that RoIPool's worst bin is off by as little as possible. What must be true of
#    its edges and of its width? Then make it as bad as you can.
# 4. Shrink the RoI to less than one step of the map, and move it. What do the 49 outputs of RoIPool
#    look like when it crosses the middle between two positions? And why is RoIAlign off now?

# %%
roi_player(features, roi, stride=16).caption(
    "Figure 16. The cross's RoI on the map (left), with one of its bins and "
    "what RoIPool reads for it, and the outputs of the three operations."
)

# %% [markdown]
# ## Exercise 1: how far does rounding move a box?
#
# ★☆☆ · about 5 minutes
#
# Write `moved_by_rounding(box, stride)`. Given a box `[4]` (x1, y1, x2, y2 in image pixels), return
# by how many pixels RoIPool's first rounding moves each of its four edges, as a tensor `[4]`.
# Positive means to the right or down.
#
# For example, with stride 16 the left edge of our RoI moves from 230 to 224, so the first entry is
# −6.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Carry the box over to the feature map, round it there, and come back. Then compare.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# For our RoI and stride 16: <code>[-6., 6., -4., -6.]</code>.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# <code>torch.round</code> rounds halves to the nearest <em>even</em> number. RoIPool rounds them
# up.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Round `box / stride` by adding one half and taking the floor, multiply by the stride, and subtract
# the box. Our code: `exercises.moved_by_rounding??`.
# </details>

# %%
from mrcnn_edu.course.exercises import roi_align as exercises


def moved_by_rounding(box, stride): ...


exercises.check_moved_by_rounding(moved_by_rounding)

# %% [markdown]
# ## Exercise 2: when does it jump?
#
# ★★☆ · about 10 minutes
#
# When our RoI slid to the right (Figure 7), RoIPool noticed nothing until it jumped. Write
# `next_jump(start, end, stride)`, for a RoI that reaches from `start` to `end` along x, in pixels.
# Return how many pixels it must move to the right until one of its edges is next rounded
# differently. An edge halfway between two positions is rounded up.
#
# For example, `next_jump(230.0, 308.0, 16)` is 2.0, because the left edge is rounded to position 14
# until it reaches pixel 232.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Each edge jumps at the next middle between two positions that lies to its right. The first of the
# two jumps counts.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>next_jump(226.0, 310.5, 16)</code> is 1.5. Here the right edge comes first.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# An edge that lies exactly in the middle has just jumped. Its next jump is a whole stride away.
# </details>
# <details><summary><b>Solution</b></summary>
#
# An edge e is rounded to floor(e / stride + 0.5), and half a position farther it jumps. Our code:
# `exercises.next_jump??`.
# </details>

# %%
def next_jump(start, end, stride): ...


exercises.check_next_jump(next_jump)

# %% [markdown]
# ## Exercise 3: where RoIAlign reads
#
# ★☆☆ · about 5 minutes
#
# Write `sample_points(start, end, n_bins, n_points)`. A RoI reaches from `start` to `end` along one
# axis, in positions of the map. Return the coordinates of all its sample points along this axis, in
# order, as a tensor `[n_bins * n_points]`. Each bin has `n_points` equal parts, with a point in the
# middle of each.
#
# For example, two bins with one point each, from 2.5 to 4.5, give `[3., 4.]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# If you only look at the points, the bins don't matter. How far apart are two neighbors?
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>sample_points(0.0, 8.0, 4, 2)</code> is <code>[0.5, 1.5, 2.5, ..., 7.5]</code>.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>step = (end - start) / (n_bins * n_points)</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# Point k lies at `start + (k + 0.5) * step`. Our code: `exercises.sample_points??`.
# </details>

# %%
def sample_points(start, end, n_bins, n_points): ...


exercises.check_sample_points(sample_points)

# %% [markdown]
# ## Exercise 4: RoIAlign along one axis, without a loop
#
# ★★☆ · about 15 minutes
#
# Write `align_1d(values, start, end, n_bins)`. The `values` `[n]` are a map with a single row,
# value i at coordinate i. The RoI reaches from `start` to `end` and lies between 0 and n − 1.
# Return the mean of two sample points in each bin, `[n_bins]`. Use your `sample_points`, and no
# loop.
#
# For example, `align_1d(torch.arange(10.0), 1.0, 5.0, 2)` is `[2., 4.]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Compute all points at once. For each, you need the index to its left, the one to its right, and
# how far it lies between them.
# </details>
# <details><summary><b>Hint 2</b>: the first lines</summary>
# <code>at = sample_points(start, end, n_bins, 2)</code> and
# <code>left = at.floor().long()</code>
# </details>
# <details><summary><b>Hint 3</b>: the last line</summary>
# You have two values for each bin in a row: <code>.view(n_bins, 2).mean(dim=1)</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# A tensor can be indexed by a tensor: `values[left]` are the values to the left of all points. Our
# code: `exercises.align_1d??`.
# </details>

# %%
def align_1d(values, start, end, n_bins): ...


exercises.check_align_1d(align_1d)

# %% [markdown]
# ## Exercise 5: all points of a bin
#
# ★★★ · 40 to 50 minutes
#
# One point, four points, a hundred points: why not *all* of them? The mean over all points of a bin
# is an integral of the interpolated map, and it can be computed exactly, without a single sample
# point. [IoU-Net](https://arxiv.org/abs/1807.11590) introduced it as **precise RoI pooling**,
# because its gradient with respect to the box is smoother still. For a bin from $x_a$ to $x_b$ and
# from $y_a$ to $y_b$, the output is
#
# $$\frac{1}{(x_b - x_a)(y_b - y_a)} \int_{y_a}^{y_b}\!\! \int_{x_a}^{x_b} v(x, y)\, dx\, dy .$$
#
# Write `precise_roi_pool(features, box, stride, n_bins)`. The `features` are `[C, H, W]`, and value
# i lies at pixel `i * stride`. The `box` `[4]`, in image pixels, lies within the map. Return
# `[C, n_bins, n_bins]`. You may not sample.
#
# For example, a map that is 0 everywhere, except for an 8 in row 2, column 3, gives 2.0 in a single
# bin that reaches from one position before it to one position after it, in both directions. Its
# tent has a volume of 8, and the bin has an area of 4.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Put the formula with the tents into the integral. The tent is a function of x times a
# function of y, so the integral of each value's tent is one number for x times one number for y.
# You need a matrix of weights for the rows, <code>[P, H]</code>, and one for the columns,
# <code>[P, W]</code>.
# </details>
# <details><summary><b>Hint 2</b>: one tent</summary>
# Let T(t) be the area of the tent max(0, 1 − |t|) from its left end up to t. It is 0 at t = −1, one
# half at 0, and 1 at t = 1. Between −1 and 1 it is 1/2 + t − t |t| / 2. Draw it.
# </details>
# <details><summary><b>Hint 3</b>: a bin</summary>
# The area of the tent over position i between two edges a and b is T(b − i) − T(a − i). With
# <code>clamp(-1, 1)</code> you need no cases.
# </details>
# <details><summary><b>Hint 4</b>: all bins at once</summary>
# There are P + 1 edges. Compute T for every edge and every position, <code>[P + 1, W]</code>, and
# take <code>.diff(dim=0)</code>. Divide by the width of a bin.
# </details>
# <details><summary><b>Hint 5</b>: the last line</summary>
# <code>rows @ features @ columns.T</code> works for all channels.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The weights along one axis are ten lines, and both axes use the same function. Our code:
# `precise_roi.precise_roi_pool??` and `precise_roi.bin_weights??`.
# </details>

# %%
from mrcnn_edu.course.exercises import precise_roi


def precise_roi_pool(features, box, stride, n_bins): ...


precise_roi.check_precise_roi_pool(precise_roi_pool)

# %% [markdown]
# When the check says "ok", compare your result with RoIAlign's for more and more points, in a new
# cell. By how much does the difference fall when you double n?
#
# ```python
# exact = precise_roi_pool(features, roi, 16, 7)
# rois = roi_ops.boxes_to_rois(roi)
# for n in (1, 2, 4, 8, 16):
#     close = roi_ops.roi_align(features[None], rois, 7, 1 / 16, n)[0]
#     print(n, (close - exact).abs().max())
# ```

# %% [markdown]
# ## Remember
#
# - RoIPool rounds the RoI and then its bins, and it counts both ends. At a stride of 16, a bin can
#   be a whole step of the map off, each bin differently, and differently for each RoI.
# - RoIAlign rounds nothing. It reads a few points in each bin by bilinear interpolation. How many
#   points, and where in the bin, hardly matters.
# - A class survives the rounding, and a mask doesn't, because a mask consists of locations.
# - RoIAlign is one weighted lookup. It follows the box, so it has a gradient with respect to it.
# - A constant shift, as by `aligned`, can be learned. An error that differs from RoI to RoI can't.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `roi_ops.roi_pool` | `ops.roi_pool` | `"ROIPool"` |
# | `roi_ops.roi_align` | `ops.roi_align` | `ROIAlign` |
# | `aligned=False` | the default, used by its models | `"ROIAlign"` |
# | `aligned=True` | `aligned=True` | `"ROIAlignV2"`, used by its models |
# | `sampling_ratio=2` | `sampling_ratio=2` in its models | 0: as many points as fit the RoI |
# | `pool_pyramid` | `ops.MultiScaleRoIAlign` | `ROIPooler` |
# | `roi_ops.roi_warp` | none | none |
#
# Where did the idea go? [Deformable ConvNets](https://arxiv.org/abs/1703.06211), from the same
# month, learns an offset for each bin, which takes a gradient with respect to the location.
# [PointRend](https://arxiv.org/abs/1912.08193) reads features at single points along the outline,
# by the same bilinear interpolation, where a grid of 28 × 28 is too coarse. And
# [DETR](https://arxiv.org/abs/2005.12872) needs no RoIs at all, since its decoder attends to the
# whole map.
#
# **Next:** every proposal has become a grid of features, which lies where the box lies. Lesson 08,
# [the heads and the m × m mask](08_heads.ipynb), turns it into a class, a better box and a mask,
# and asks why a mask head must never flatten what we have aligned with so much care.
