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
# # 06 · The region proposal network: which anchors are worth a look?
#
# **The question.** An image carries thousands of anchors, and nearly all of them show background.
# How can a tiny network pick out the few that lie near an object, and turn them into boxes that
# fit?
#
# **You will be able to**
#
# - draw the head of the region proposal network, and compute its outputs at one location by hand;
# - say which anchors it learns from, and why not from all of them;
# - write down its loss, and explain the shape of smooth L1;
# - follow the way from its outputs to proposals, step by step;
# - measure proposals by their recall, and recognize when NMS has done too little or too much.
#
# *Time: 180 minutes, of which 50 are for the larger task at the end. You need lessons 02 (box
# deltas and NMS), 04 (feature maps) and 05 (anchors and their labels). Reading:
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), sections 3.1 and 3.3.*

# %%
from inspect import getsource

import torch
from torch.nn.functional import pad

from mrcnn_edu import load, viz
from mrcnn_edu.boxes import box_iou, clip_boxes, decode_boxes, min_side
from mrcnn_edu.data import Shapes
from mrcnn_edu.losses import rpn_loss
from mrcnn_edu.nms import batched_nms, nms
from mrcnn_edu.targets import rpn_targets

viz.show_architecture("proposals").caption(
    "Figure 1. The region proposal network reads the feature maps and hands "
    "its proposals to the heads, which look at no other boxes."
)

# %% [markdown]
# ## Five objects, 2,295 anchors
#
# In lesson 05 we placed anchors all over an image. Here is a scene with five objects, and next to
# it a small part of its anchors. The model sees the scene with 96 × 96 pixels. For our eyes we
# render it with 384 × 384, and multiply all boxes by 4 to draw them there.

# %%
model = load("shapes-tiny")
scenes = Shapes(1000, seed=1)
crisp_scenes = Shapes(1000, seed=1, render_size=384, noise=0)

image, target = scenes[26]
crisp, _ = crisp_scenes[26]
gt = target["boxes"]  # [5, 4]
trace = model.trace([image])  # everything that the model computes
anchors = torch.cat(trace.anchors)  # [2295, 4], of all four levels

# %%
generator = torch.Generator().manual_seed(0)
a_few = torch.randperm(len(anchors), generator=generator)[:30]
panels = {
    f"{len(gt)} objects": (4 * gt, "gt"),
    f"30 of {len(anchors):,} anchors": (4 * anchors[a_few], "anchor"),
}
viz.show_panels(crisp, panels, width=3).caption(
    "Figure 2. What we look for, and what we start from. None of the anchors "
    "knows where the objects are. The strip at the bottom is printed on the "
    "paper, and is no object."
)

# %% [markdown]
# The later stages of Mask R-CNN look at every box separately. They read its features, classify it
# and correct it once more. For 2,295 boxes that would be a lot of work, nearly all of it wasted on
# background. A photograph of 800 × 1,333 pixels has about 268,000 anchors, and there it would be
# hopeless. So we want few boxes, each of them close to an object, and we want at least one for
# every object. Such a box is a **proposal**.
#
# Earlier detectors took their proposals from a separate algorithm, which did not learn and was
# slower than the detector itself. The contribution of Faster R-CNN is to let a small network do it,
# on the feature maps that the detector needs anyway. This is the **region proposal network**, or
# **RPN**.

# %% tags=["claim"]
assert len(gt) == 5 and len(anchors) == 2295
locations = sum(-(-800 // s) * -(-1344 // s) for s in (4, 8, 16, 32, 64))  # padded to 32
assert 268_000 < 3 * locations < 269_000

# %% [markdown]
# ## 1. A small network that slides
#
# For every anchor, the RPN must answer two questions. Is there an object near this anchor? And how
# should the anchor be shifted and resized to fit that object? The network that answers them is
# called the RPN's head, and it is as simple as it could be.

# %%
viz.show_rpn_window().caption(
    "Figure 3. The head at one location. A 3 × 3 convolution reads a window "
    "of the feature map, and two 1 × 1 convolutions output a score and four "
    "deltas for each of the k anchors there."
)

# %% [markdown]
# First comes a 3 × 3 convolution that keeps the number of channels. It looks at a location together
# with its eight neighbors, which helps with both questions, since an object's edge to the left
# matters for whether there is an object as much as for how wide it is. Then the head splits into
# two branches, one for each question. They are 1 × 1 convolutions, which look at a single location
# only. They don't need to look farther, because the layer before them has already collected what is
# around.
#
# One branch outputs $k$ **objectness scores**, the network's confidence that each of the $k$
# anchors lies on an object, of whatever class. The other outputs $4k$ box deltas, four for each
# anchor. The figure calls them $t$, as the paper does, and we write $d$, as in lesson 02. Its $p$
# is the score after it has been turned into a probability, which we will explain next. We have
# $k = 3$ anchors at each location, one for each aspect ratio.
#
# Why only 3 × 3? Because each value of the feature map already depends on a large part of the
# image, its receptive field. [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.1, gives
# that as the reason for the small window.
#
# > **Predict.** Our maps have $C = 64$ channels and sizes from 24 × 24 down to 3 × 3. About how
# > many **parameters**, weights and biases together, does the head have: 1,000, 40,000 or 160,000?

# %%
head = model.rpn_head
for name, parameter in head.named_parameters():
    print(f"{name:20} {parameter.numel():6,}")
total = sum(parameter.numel() for parameter in head.parameters())
print(f"{'total':20} {total:6,}")

# %% [markdown]
# **What happened.** About 38,000, nearly all of them in the 3 × 3 convolution, `conv.0.0`. If you
# said 160,000, you probably multiplied by the four maps. But the same weights are used at every
# location of every map, so neither a larger image nor one more level would add a single parameter.
#
# **Why may all locations share their weights?** Because an object looks the same wherever it is. If
# it moves to the right, its features move along, and so do the scores and the deltas, which are
# relative to an anchor that has moved as well. Faster R-CNN calls this translation invariance and
# contrasts it with [MultiBox](https://arxiv.org/abs/1312.2249), whose 800 anchors are fixed boxes
# in the image.
#
# **And why may all levels share them?** Because the anchors grow with the strides, as lesson 05
# showed. With sizes of 12, 24 and 48 pixels at strides of 4, 8 and 16, a square anchor is 3 grid
# cells wide on each of the first three levels. An object twice as large on a map twice as coarse
# covers the same number of grid cells, and one and the same set of weights can recognize it. Only
# our last level departs from that, with 72 pixels at a stride of 32, which is 2.25 grid cells. The
# sizes of [FPN](https://arxiv.org/abs/1612.03144), from 32 at stride 4 to 512 at stride 64, have no
# such exception. Its section 4.1 also reports that separate weights for each level give a similar
# accuracy.
#
# Since the head works on each location by itself, we can follow one by hand. The purple circle near
# the left edge of our scene has its center at (19, 34). On the map of stride 8, the nearest
# location is column 2, row 4.

# %%
features = trace.features[1][0]  # [64, 12, 12], the map of stride 8
row, column = 4, 2

padded = pad(features, (1, 1, 1, 1))  # a frame of zeros, as in the convolution
window = padded[:, row : row + 3, column : column + 3]
x = window.flatten()
print(f"a window of {list(window.shape)}: {len(x)} values")

# %% [markdown]
# At a single location, a convolution is a matrix product. Let $\mathbf{x}$ be the $9C$ values in
# the window. Then
#
# $$\mathbf{h} = \max(0,\ W\mathbf{x} + \mathbf{b}), \qquad
# \mathbf{z} = W_z\,\mathbf{h} + \mathbf{b}_z, \qquad
# \mathbf{d} = W_d\,\mathbf{h} + \mathbf{b}_d,$$
#
# where $\mathbf{h}$ are the $C$ values after the 3 × 3 convolution and its ReLU, $\mathbf{z}$ are
# the $k$ scores and $\mathbf{d}$ the $4k$ deltas. The matrices $W$ and the vectors $\mathbf{b}$ are
# the parameters that we have just counted.

# %%
conv, cls_logits, bbox_pred = head.conv[0][0], head.cls_logits, head.bbox_pred

h = (conv.weight.flatten(1) @ x + conv.bias).clamp(min=0)  # [64]
z = cls_logits.weight.flatten(1) @ h + cls_logits.bias  # [3]
d = bbox_pred.weight.flatten(1) @ h + bbox_pred.bias  # [12]
d = d.view(3, 4)  # a row (dx, dy, dw, dh) for each anchor

print("scores:", [round(value, 1) for value in z.tolist()])
print("deltas of the first anchor:", [round(v, 2) for v in d[0].tolist()])

# %% [markdown]
# What do they mean? Lesson 02 taught us to decode deltas, so let's apply them to the three anchors
# of this location. Below, `level_sizes` counts the anchors of each level, and the location's own
# anchors come after all those of earlier levels, rows and columns.

# %%
level_sizes = [len(level) for level in trace.anchors]
first = level_sizes[0] + 3 * (12 * row + column)  # 12 locations in a row
here = slice(first, first + 3)
became = decode_boxes(d, anchors[here])

before = box_iou(gt[3:4], anchors[here])[0].tolist()
after = box_iou(gt[3:4], became)[0].tolist()
print("IoU with the circle, before:", *(f"{iou:.2f}" for iou in before))
print("IoU with the circle, after: ", *(f"{iou:.2f}" for iou in after))

# %%
panels = {
    "3 anchors at one location": (4 * anchors[here], "anchor"),
    "the boxes they become": (4 * became, "proposal"),
}
viz.show_panels(crisp, panels, width=3).caption(
    "Figure 4. Three anchors of different shapes at one location. Their "
    "deltas turn all of them into nearly the same box, that of the circle."
)

# %% [markdown]
# The three anchors read the same window and the same $\mathbf{h}$. Only the last layers differ,
# with separate weights for each of the $k$ anchors. So the head never looks *into* an anchor. It
# learns instead what a wide, a square or a tall anchor at this location would have to do.
#
# The package's head does the same for all locations and levels at once.

# %% tags=["claim"]
assert total == 37_903 and head.conv[0][0].weight.numel() > 0.9 * total
sizes = [size for (size,) in model.config.anchor_sizes]
cells = [size / stride for size, stride in zip(sizes, (4, 8, 16, 32), strict=True)]
assert cells == [3, 3, 3, 2.25]
x1, y1, x2, y2 = gt[3].tolist()
assert ((x1 + x2) / 2, (y1 + y2) / 2) == (19, 34)
names = [model.classes[label - 1] for label in target["labels"].tolist()]
assert names == ["square", "star", "circle", "circle", "circle"]
torch.testing.assert_close(z, trace.objectness[0, here], rtol=1e-4, atol=1e-4)
torch.testing.assert_close(d, trace.rpn_deltas[0, here], rtol=1e-4, atol=1e-4)
assert max(before) < 0.7 and min(after) > 0.7

# %% [markdown]
# ## 2. Objectness: which map responds?
#
# The scores $\mathbf{z}$ may be any number, negative or positive. Such a score is called a
# **logit**. The **sigmoid** turns a logit $z$ into a probability:
#
# $$p = \sigma(z) = \frac{1}{1 + e^{-z}}.$$
#
# A logit of 0 becomes a probability of one half, and our three logits above become 0.99 or 1.00.
#
# If you read the paper, you will find $2k$ scores where we have $k$. Faster R-CNN predicts two
# logits for each anchor, $z_1$ for "object" and $z_0$ for "no object", and compares them in a
# softmax. But that is the same thing, since
#
# $$\frac{e^{z_1}}{e^{z_1} + e^{z_0}} = \frac{1}{1 + e^{-(z_1 - z_0)}} = \sigma(z_1 - z_0).$$
#
# Only the difference of the two matters, so one logit is enough.
# [Faster R-CNN](https://arxiv.org/abs/1506.01497) says so itself, in a footnote to section 3.1.1.
#
# > **Predict.** The five objects have sizes of 37, 24, 23, 17 and 9 pixels, where size means the
# > square root of a box's area, as for anchors. The anchors of the four maps have sizes of 12, 24,
# > 48 and 72. On which map or maps will each of the five objects appear?

# %% tags=["cover"]
probabilities = trace.objectness[0].sigmoid().split(level_sizes)
maps = []
for level, side in zip(probabilities, (24, 12, 6, 3), strict=True):
    best_of_location = level.view(side, side, 3).amax(dim=2)
    maps.append(best_of_location)

titles = ["stride 4", "stride 8", "stride 16", "stride 32"]
viz.show_maps(maps, titles, crisp, high=1).caption(
    "Figure 5. The objectness of the best anchor at each location, from 0 "
    "(dark) to 1 (light)."
)

# %%
confident = trace.objectness[0] > 0  # a probability above one half
moved = decode_boxes(trace.rpn_deltas[0], anchors)  # [2295, 4]
nearest = box_iou(gt, moved[confident]).argmax(dim=0)  # the object of each

strides = []
for stride, n_anchors in zip((4, 8, 16, 32), level_sizes, strict=True):
    strides.append(torch.full((n_anchors,), stride))
strides = torch.cat(strides)[confident]
print(f"{len(strides)} anchors have an objectness above one half")

# %%
print("confident anchors for each object, by stride")
for index, box in enumerate(gt):
    size = (box[2:] - box[:2]).prod().sqrt()
    counts = []
    for stride in (4, 8, 16, 32):
        counts.append(((strides == stride) & (nearest == index)).sum())
    print(f"size {size:2.0f}:", *(f"{count:4}" for count in counts))

# %% [markdown]
# **What happened.** The objects of 24 and 23 pixels appear on one map only, the one whose anchors
# have their size, and the smallest object only on the finest map. The star of 17 pixels lies
# between 12 and 24, and the square of 37 lies between 24 and 48. Both of them appear on two maps.
# The last map stays dark, as in lesson 00.
#
# Let's call an anchor *confident* if its objectness is above one half. Every object has several
# confident anchors, from 8 to 13. Each of them will become a box, so we can already see that we
# will need NMS.
#
# But how has the head learned to give these scores?

# %% tags=["claim"]
assert maps[3].max() < 0.1 and min(level.max() for level in maps[:3]) > 0.9
gt_sizes = (gt[:, 2:] - gt[:, :2]).prod(dim=1).sqrt().round().int().tolist()
assert gt_sizes == [37, 17, 9, 24, 23]
assert (z.sigmoid() > 0.98).all()
counts = torch.stack([strides[nearest == m].bincount(minlength=33) for m in range(5)])
assert counts[:, [4, 8, 16, 32]].gt(0).int().tolist() == [
    [0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0],
]  # fmt: skip
assert nearest.bincount().tolist() == [12, 13, 9, 11, 8]

# %% [markdown]
# ## 3. What the head learns from: a sample
#
# Lesson 05 gave every anchor a label. An anchor is *positive* if it has an IoU of at least 0.7 with
# an object or is that object's best anchor, *negative* if its IoU with every object is below 0.3,
# and *ignored* otherwise. Let's count them in 60 scenes.

# %%
gt_boxes = []
for index in range(60):
    gt_boxes.append(scenes[index][1]["boxes"])


# %%
def labels_of_sample(batch_size):
    """The labels [n] of the anchors that a training step would use."""
    generators = [torch.Generator().manual_seed(i) for i in range(60)]
    samples = rpn_targets(
        anchors,
        gt_boxes,
        positive_iou=0.7,
        negative_iou=0.3,
        batch_size=batch_size,
        positive_fraction=0.5,
        generators=generators,
    )
    return torch.cat([sample.labels for sample in samples])


# %%
labels = labels_of_sample(batch_size=10_000)  # more than there are: all
print(f"in each scene, {(labels == 1).sum() / 60:.1f} positive anchors")
print(f"and {(labels == 0).sum() / 60:,.0f} negative ones")

# %% [markdown]
# This is a problem, because the easiest thing to learn from such data is to call everything
# background.
#
# The remedy is **sampling**. A training step uses only 256 anchors of each image, chosen at random,
# and up to half of them are positive. In our small model it is 64. If there are not enough
# positives, negatives fill up the rest ([Faster R-CNN](https://arxiv.org/abs/1506.01497), section
# 3.1.3).
#
# > **Predict.** A lazy head calls every anchor background. In what fraction of its training anchors
# > is it right, if all positive and negative anchors count? And if only the samples of 64 count?

# %%
for name, batch_size in {"all anchors": 10_000, "samples of 64": 64}.items():
    labels = labels_of_sample(batch_size)
    accuracy = (labels == 0).float().mean().item()
    print(f"{name:13}: right in {accuracy:.1%},", end=" ")
    print(f"wrong once in {1 / (1 - accuracy):.0f}")

# %% [markdown]
# **What happened.** If all anchors count, the lazy head is right in 99.8 % of them, and finds
# nothing. In the samples it is wrong for one anchor in 14 instead of one in 500, so the objects
# have about 35 times as much influence on what is learned. If you said one half for the samples,
# you overlooked the words "up to". Our scenes have four or five positive anchors on average, not
# 32, and negatives take the remaining places.
#
# Here is such a sample.

# %%
generator = torch.Generator().manual_seed(0)
(sample,) = rpn_targets(anchors, [gt], 0.7, 0.3, 64, 0.5, [generator])
positives = anchors[sample.positives]
negatives = anchors[sample.anchors[sample.labels == 0]]

both = 4 * torch.cat((gt, positives))
roles = ["gt"] * len(gt) + ["anchor"] * len(positives)
panels = {
    f"{len(gt)} objects, {len(positives)} positive anchors": (both, roles),
    f"20 of {len(negatives)} negative anchors": (
        4 * negatives[::3],
        "negative",
    ),
}
viz.show_panels(crisp, panels, width=3).caption(
    "Figure 6. From a sample of 64 anchors for one training step: all "
    "positive ones (blue), and a third of the negative ones (red). Each "
    "object (green) has a positive anchor, although most don't fit well."
)

# %% [markdown]
# Some of the negative anchors reach beyond the image. As lesson 05 explained, Faster R-CNN leaves
# those out, and we keep them.
#
# We now know which anchors count. The next question is how to count them.

# %% tags=["claim"]
shares = [1 - (labels_of_sample(n) == 0).float().mean().item() for n in (10_000, 64)]
assert round(shares[0], 3) == 0.002 and round(1 / shares[1]) == 14
assert 480 < 1 / shares[0] < 520 and round(shares[1] / shares[0]) in (34, 35)
assert len(positives) == 5 and len(negatives) == 59
assert box_iou(gt, positives).amax(dim=1).lt(0.7).sum() >= 3
assert negatives.amin() < 0 or negatives.amax() > 96

# %% [markdown]
# ## 4. The loss
#
# A **loss** is a single number that training makes small. That of the RPN has one part for each
# branch. [Faster R-CNN](https://arxiv.org/abs/1506.01497), equation 1, writes it as
#
# $$L = \frac{1}{N_{cls}} \sum_i L_{cls}(p_i, p_i^*)
# \;+\; \frac{\lambda}{N_{reg}} \sum_i p_i^*\, L_{reg}(\mathbf{d}_i, \mathbf{d}_i^*).$$
#
# Here $i$ runs over the sampled anchors. $p_i$ is the predicted probability of an object, and the
# label $p_i^*$ is 1 for a positive anchor and 0 for a negative one. $\mathbf{d}_i$ are the
# predicted deltas, and the targets $\mathbf{d}_i^*$ are those that lead from the anchor to its
# object. The paper writes $t$ where we write $d$. The factor $p_i^*$ in the second sum switches the
# box loss off for negative anchors, since they have no object to move to.
#
# The first part uses **binary cross-entropy**, minus the logarithm of the probability that the head
# gave to the correct label:
#
# $$L_{cls}(p, p^*) = -p^* \ln p - (1 - p^*) \ln (1 - p).$$
#
# It is 0 for a prediction that is right with certainty, $\ln 2 \approx 0.69$ for an undecided
# $p = 1/2$, and it grows without limit for a prediction that is certain and wrong.
#
# ### Why smooth L1?
#
# The second part compares each of the four deltas with its target, and adds up the four losses. The
# obvious choice for the loss of an error $x$ is its square, the **L2 loss**, and the next one its
# absolute value $|x|$, the **L1 loss**. The RPN uses a mixture, **smooth L1**, which [Fast
# R-CNN](https://arxiv.org/abs/1504.08083), equation 3, introduced:
#
# $$\mathrm{smooth}_{L_1}(x) = \begin{cases}
# \dfrac{x^2}{2\beta} & \text{if } |x| < \beta, \\[2ex]
# |x| - \dfrac{\beta}{2} & \text{otherwise.}
# \end{cases}$$
#
# What matters for learning is not the loss itself but its derivative, because that decides how
# strongly each anchor pulls at the weights. In the figure, the L2 loss is scaled to
# $x^2 / (2\beta)$, so that it agrees with smooth L1 near 0.

# %%
viz.show_regression_losses().caption(
    "Figure 7. Three losses and their derivatives. For large errors, smooth "
    "L1 is parallel to L1. In the shaded range around 0 it is L2."
)

# %% [markdown]
# > **Predict.** Three anchors have an error of 0.05, and a fourth one, which fits its object badly,
# > has an error of 1. Suppose that they all pull at the same weight. What fraction of the pull
# > comes from the fourth anchor, with L2 and with smooth L1? Take $\beta = 1/9$. The derivatives
# > are $x/\beta$ in the parabola, and 1 on the straight part.

# %%
errors = torch.tensor([0.05, 0.05, 0.05, 1.0])
beta = 1 / 9
l2_derivative = errors / beta
smooth_derivative = torch.where(errors < beta, errors / beta, 1.0)

slopes = {"L2": l2_derivative, "smooth L1": smooth_derivative}
for name, slope in slopes.items():
    print(f"{name:9}: {slope[3] / slope.sum():.0%} from the fourth anchor")

# %% [markdown]
# **What happened.** With L2, the one bad anchor contributes 87 % of the gradient, and the others
# have hardly a say. With smooth L1 it is 43 %. [Fast R-CNN](https://arxiv.org/abs/1504.08083)
# calls the loss "less sensitive to outliers" (section 2.3), and adds that L2 needs carefully tuned
# learning rates, or else the gradients can explode.
#
# So why not L1? Its derivative is 1 however small the error is. Near the goal the deltas would
# jump back and forth over it, by steps that don't get smaller. With smooth L1 the pull fades as the
# error does.
#
# ### The numbers in front
#
# In the paper, $N_{cls} = 256$ is the number of sampled anchors, $N_{reg} \approx 2400$ is the
# number of *locations*, and $\lambda = 10$ balances the two parts. That looks arbitrary, but do the
# division. The box loss gets the weight $\lambda / N_{reg} = 10/2400 = 1/240$, and the other part
# $1/256$, so the two weights are nearly the same. The paper adds that results depend little on
# $\lambda$, and that the normalization "is not required and could be simplified". torchvision takes
# it at its word, and so do we. Both sums are divided by the number $N$ of sampled anchors, here 64,
# and there is no $\lambda$.
#
# There is one more difference, which is easy to miss. Fast R-CNN has $\beta = 1$. For our anchors
# nearly all errors would then lie in the parabola. The code that the authors of Faster R-CNN
# published has $\beta = 1/9$ for the RPN, and torchvision and we use the same.

# %%
p = trace.objectness[0, sample.anchors].sigmoid()  # [N]
p_of_label = torch.where(sample.labels == 1, p, 1 - p)
N = len(p)
objectness_loss = -p_of_label.log().sum() / N

d = trace.rpn_deltas[0, sample.positives]  # [positives, 4]
error = (d - sample.deltas).abs()
parabola = error**2 / (2 * beta)
smooth_l1 = torch.where(error < beta, parabola, error - beta / 2)
box_loss = smooth_l1.sum() / N

print(f"objectness loss {objectness_loss:.4f}, box loss {box_loss:.4f}")

# %% [markdown]
# Both are close to 0, as the model is fully trained and the scene is an easy one. The package's
# version computes the same, except that it goes from logits to the loss in one step. That is safer
# where a probability would be rounded to 0 or 1.

# %%
print(getsource(rpn_loss))

# %% [markdown]
# For comparison, here are the losses of a head whose outputs are all 0. A head starts out much like
# that, because its weights are initialized with a standard deviation of only 0.01.

# %%
objectness_at_start, boxes_at_start = rpn_loss(
    objectness=torch.zeros(N),
    deltas=torch.zeros_like(sample.deltas),
    labels=sample.labels,
    target_deltas=sample.deltas,
)
print(f"objectness loss {objectness_at_start:.4f},", end=" ")
print(f"box loss {boxes_at_start:.4f}")

# %% [markdown]
# The objectness loss begins at $\ln 2$. Keep this number in mind, because a run that starts with a
# very different one probably has a bug. The box loss is much smaller, since only 5 of the 64
# anchors contribute to it.

# %% tags=["claim"]
logits = trace.objectness[0, sample.anchors]
package = rpn_loss(logits, d, sample.labels, sample.deltas)
torch.testing.assert_close((objectness_loss, box_loss), package, rtol=1e-2, atol=1e-5)
assert objectness_loss < 0.01 and box_loss < 0.01
assert round(objectness_at_start.item(), 2) == 0.69 and boxes_at_start < objectness_at_start / 2
assert max(sample.deltas.abs().max(), error.max()) < 1  # in the parabola with beta = 1
fractions = [(slope[3] / slope.sum()).item() for slope in slopes.values()]
assert [round(fraction, 2) for fraction in fractions] == [0.87, 0.43]

# %% [markdown]
# ## 5. From outputs to proposals
#
# Training is over, and the head has given every anchor a score and four deltas. Now we have to turn
# them into proposals. First, all anchors move. We draw those with an objectness above one half.

# %%
panels = {
    f"{confident.sum()} anchors": (4 * anchors[confident], "anchor", 0.8),
    "moved": (4 * moved[confident], "proposal", 0.5),
}
viz.show_panels(crisp, panels, width=2.8).caption(
    "Figure 8. All anchors with an objectness above one half, before and "
    "after they are moved by their deltas. They gather on the five objects."
)

# %% [markdown]
# There are still 53 boxes, but they form five groups, one on each object. How well do they fit? We
# look at all 60 scenes, and compute the IoU of every confident anchor with the object that it fits
# best.

# %%
traces = []
for index in range(60):
    traces.append(model.trace([scenes[index][0]]))


# %%
def mean_iou(boxes_of_scenes):
    """The mean IoU of confident boxes with the object that each fits best."""
    best = []
    for index, boxes in enumerate(boxes_of_scenes):
        is_confident = traces[index].objectness[0] > 0
        iou = box_iou(gt_boxes[index], boxes[is_confident])  # [M, n]
        best.append(iou.amax(dim=0))
    return torch.cat(best).mean().item()


print(f"anchors: mean IoU {mean_iou([anchors] * 60):.2f}")

# %% [markdown]
# > **Predict.** What will the mean IoU be after the anchors have moved? Figure 4 and the numbers
# > above it give you an idea. But remember that you saw a single object there, and anchors right at
# > its center.

# %%
moved_of_scenes = [decode_boxes(one.rpn_deltas[0], anchors) for one in traces]
print(f"moved: mean IoU {mean_iou(moved_of_scenes):.2f}")

# %% [markdown]
# **What happened.** Moving raises the mean IoU from below one half to about three quarters. An
# anchor need not fit. It only has to be near enough for the head to see the object and to say where
# it lies. All other anchors move, too, but the head has only learned deltas for positive anchors,
# so where the others end up means little.
#
# What remains is to choose. We go through the steps once, for the map of stride 8, and print how
# many boxes are left.
#
# 1. Take the anchors with the highest scores, here 100. NMS compares all pairs of boxes, so it
#    should not get more than necessary.
# 2. Decode their deltas, which moves them.
# 3. **Clip** the boxes to the image. What lies outside of it cannot be seen, and should not count
#    in IoU.
# 4. Drop boxes that have no area left. The others are called **candidates**.
# 5. Run NMS with a threshold of 0.7, and drop the near-duplicates.

# %%
deltas = trace.rpn_deltas[0].split(level_sizes)[1]  # [432, 4], of stride 8
logits = trace.objectness[0].split(level_sizes)[1]  # [432]
best = logits.topk(100).indices  # 1. the best anchors
candidates = decode_boxes(deltas[best], trace.anchors[1][best])  # 2.
candidates = clip_boxes(candidates, (96, 96))  # 3.
has_area = min_side(candidates) > 0.001  # 4.
kept = nms(candidates[has_area], logits[best][has_area], 0.7)  # 5.

for counted in (logits, best, candidates[has_area], kept):
    print(f"{len(counted):4} left")

# %% [markdown]
# Step 4 drops nothing in this scene, and NMS drops nearly half. It is a coincidence that 53 boxes
# are left, as many as there are confident anchors on all levels. Most of these 53 have a low score.
#
# The same happens on every level. Then the results of all levels are put together, and the 100
# boxes with the highest objectness are the proposals. The paper keeps about 2,000 in training and
# 300 for detection. The package does all this in `mrcnn_edu.rpn.propose`, and in the larger task at
# the end you'll write it yourself.
#
# What does NMS achieve here? We take the candidates of all levels whose objectness is above one
# half, which are the moved boxes of Figure 8, clipped to the image, and run NMS on exactly these.

# %%
(proposals,) = trace.proposals
is_likely = proposals.candidate_scores > 0.5
likely = proposals.candidates[is_likely]
scores = proposals.candidate_scores[is_likely]
levels = proposals.candidate_levels[is_likely]
chosen = batched_nms(likely, scores, levels, 0.7)  # within each level

panels = {
    f"after NMS: {len(chosen)} boxes": (4 * likely[chosen], "proposal"),
}
viz.show_panels(crisp, panels, width=2.8).caption(
    "Figure 9. What NMS leaves of the boxes on the right of Figure 8: 13 of "
    "53, for five objects."
)

# %% [markdown]
# There are still more boxes than objects, for two reasons. NMS runs within each level, and an
# object that appears on two levels keeps boxes of both. And the threshold of 0.7 is lenient on
# purpose. A duplicate costs a little time, because the box head looks at it and NMS runs once more
# after that. A proposal that has been dropped is lost for good.
#
# Do our 100 proposals suffice to find all objects? This question needs a measure.

# %% tags=["claim"]
assert confident.sum() == 53 and len(likely) == 53 and len(chosen) == 13
assert 0.4 < mean_iou([anchors] * 60) < 0.5 and 0.7 < mean_iou(moved_of_scenes) < 0.8
assert len(proposals.boxes) == 100 == len(trace.proposals[0].boxes)
assert has_area.all() and len(kept) == 53 and (logits[best][kept] < 0).float().mean() > 0.5
of_level = proposals.candidates[proposals.candidate_levels == 1]
torch.testing.assert_close(candidates[has_area], of_level)
assert likely[chosen].equal(proposals.boxes[proposals.scores > 0.5])  # a true before and after

# %% [markdown]
# ## 6. Recall: do the proposals find the objects?
#
# Whatever the RPN misses, no later stage can bring back. So we measure the **recall** of the
# proposals, the fraction of the objects that at least one proposal finds. Let $g_1, \dots, g_M$ be
# the boxes of all objects and $b_1, b_2, \dots$ the proposals of their scene, best first. An object
# counts as found by the first $n$ if one of them has an IoU of at least $\tau$ with it:
#
# $$\mathrm{recall}(n) = \frac{1}{M}\,
# \Bigl|\bigl\{\, m : \max_{r \le n} \mathrm{IoU}(g_m, b_r) \ge \tau \,\bigr\}\Bigr|.$$
#
# We compare the proposals with plain anchors, ranked by the same scores but not moved. Such anchors
# can be no better than what lesson 05 called their coverage, however many of them we take.
#
# > **Predict.** Remember the coverage that lesson 05 measured. What recall do plain anchors reach
# > with $\tau = 0.7$: about 1/4, about 1/2 or nearly 1? And how many proposals per scene, which
# > have moved, find nine objects in ten: fewer than 10, about 25 or about 100?


# %%
def recall_curve(boxes_of_scenes, tau, n=25):
    """The recall of the first 1, 2, ..., n boxes of each scene: [n]."""
    found = []
    for gt_of_scene, boxes in zip(gt_boxes, boxes_of_scenes, strict=True):
        iou = box_iou(gt_of_scene, boxes[:n])  # [M, n]
        best_so_far = iou.cummax(dim=1).values
        found.append(best_so_far >= tau)
    return torch.cat(found).float().mean(dim=0)


# %%
by_score = [one.objectness[0].argsort(descending=True) for one in traces]
ranked = {
    "proposal": [one.proposals[0].boxes for one in traces],
    "anchor": [anchors[order] for order in by_score],
}
curves = {}
for role, boxes_of_scenes in ranked.items():
    for tau in (0.5, 0.7):
        curves[role, tau] = recall_curve(boxes_of_scenes, tau)

# %%
chart = viz.Picture(6, 3)
axes = chart.subplots()
n = torch.arange(1, 26)
for (role, tau), curve in curves.items():
    line = "-" if tau == 0.5 else "--"
    label = f"{role}s, IoU {tau}"
    axes.plot(n, curve, line, color=viz.ROLES[role], label=label)
axes.set(xlabel="boxes per scene", ylabel="recall", ylim=(0, 1.03))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
chart.caption(
    "Figure 10. Recall by the number of boxes, over 60 scenes, for proposals "
    "and for anchors that don't move."
)

# %% [markdown]
# **What happened.** Plain anchors stop at 26 %. That is exactly the fraction of the objects in
# these 60 scenes that have an anchor with an IoU of at least 0.7. The proposals are not bound by
# it, because they move. Their first seven find more than nine objects in ten, at an IoU of 0.5 and
# of 0.7 alike. To choose the right anchors is one half of the RPN's work, and to move them is the
# other half.
#
# Seven would not be enough in general. Our scenes have at most six objects, and a quiet background.
# Photographs have more objects, which are harder to tell from what is behind them, and [Faster
# R-CNN](https://arxiv.org/abs/1506.01497), section 4.1, uses up to 300 proposals.

# %% tags=["claim"]
coverage = torch.cat([box_iou(boxes, anchors).amax(dim=1) for boxes in gt_boxes])
assert round((coverage >= 0.5).float().mean().item(), 2) == 0.97
assert round((coverage >= 0.7).float().mean().item(), 2) == 0.26
assert round(curves["anchor", 0.7][-1].item(), 2) == 0.26
assert curves["proposal", 0.5][6] > 0.9 and curves["proposal", 0.7][6] > 0.9
assert max(map(len, gt_boxes)) == 6

# %% [markdown]
# ## 7. Two photographs: what is an object?
#
# The RPN doesn't know any classes. It has only learned what an object looks like, as opposed to
# what lies behind. So it may react to things that it has never seen. Our model has been trained on
# synthetic paper shapes alone. Let's show it two photographs that come with scikit-image, and look
# at its best proposals.

# %%
from skimage.data import coffee, moon

gray = torch.from_numpy(moon() / 255)  # [512, 512]
photographs = {
    "the surface of the moon": gray.expand(3, -1, -1),
    "a cup of coffee": torch.from_numpy(coffee() / 255).permute(2, 0, 1),
}

# %%
picture = viz.Picture(6.5, 2.9)
panels = picture.subplots(1, 2, width_ratios=(1, 1.5))
for panel, (title, photo) in zip(panels, photographs.items(), strict=True):
    photo = photo.float()
    seen = model.trace([photo])
    scale = photo.shape[2] / seen.batch.sizes[0][1]  # from the model's pixels
    viz.draw_image(panel, photo, title)
    best = scale * seen.proposals[0].boxes[:10]
    viz.draw_boxes(panel, best, "proposal", width=1.5)
picture.caption(
    "Figure 11. The ten best proposals in two photographs. On the moon they "
    "find the three features that stand out most. On the table, most of them "
    "lie on parts of the cup and its saucer."
)

# %% [markdown]
# The first photograph is a pleasant surprise. All ten proposals lie on the three features that
# stand out most, although no crater was among the training images. This is what it means that
# objectness asks for an object of whatever class.
#
# The second photograph shows the limits. The saucer is larger than any object the model has learned
# from, since none of those is wider than half of its scene. The cup has a handle and holds coffee,
# and paper shapes do neither. So the RPN proposes parts, and even a dark corner of the table. What
# counts as an object is not a property of the image. The RPN has taken it from its training data.

# %% tags=["claim"]
found = model.trace([photographs["the surface of the moon"].float()]).proposals[0]
groups = box_iou(found.boxes[:10], found.boxes[:10]) > 0.02
assert len(groups.int().unique(dim=0)) <= 4 and found.scores[9] > 0.5
assert (found.scores > 0.5).sum() < 20

# %% [markdown]
# ## Where it breaks: without NMS, and with too much of it
#
# NMS at 0.7 is a compromise. What happens if we leave it out, and what if we make it much stricter?
# We repeat it on the candidates of all scenes with three thresholds. A threshold of 1
# drops nothing, because no IoU is above 1.
#
# > **Predict.** With seven proposals per scene and $\tau = 0.7$, the RPN misses 5 % of the objects.
# > What changes without NMS, and what changes with a threshold of 0.1? In which of the two cases
# > would it help to take more proposals?


# %%
def proposals_with(nms_iou):
    """All candidates of each scene that NMS leaves, best first."""
    left = []
    for one in traces:
        p = one.proposals[0]
        kept = batched_nms(
            p.candidates, p.candidate_scores, p.candidate_levels, nms_iou
        )
        left.append(p.candidates[kept])
    return left


# %%
settings = {"no NMS": 1.0, "NMS at 0.7": 0.7, "NMS at 0.1": 0.1}
results = {}
nms_curves = {}
for name, nms_iou in settings.items():
    results[name] = proposals_with(nms_iou)
    nms_curves[name] = recall_curve(results[name], tau=0.7)

# %%
for name, curve in nms_curves.items():
    missed = 1 - curve
    print(f"{name:10}: {missed[6]:3.0%} missed with 7,", end=" ")
    print(f"{missed[24]:2.0%} with 25 proposals")

chart = viz.show_lines(
    torch.arange(1, 26), nms_curves, "proposals per scene", "recall at IoU 0.7"
)
chart.caption(
    "Figure 12. Recall by the number of proposals, over 60 scenes, with three "
    "thresholds of NMS."
)

# %% [markdown]
# **What happened.** Without NMS, the RPN misses three times as many objects with seven proposals,
# because duplicates of the most confident objects take the first places. But nothing has been
# dropped, so more proposals help, and with 25 it is even slightly ahead. NMS at 0.1 starts well,
# but then its curve stays flat. It misses 6 % of the objects for good, twice as many as NMS at 0.7,
# however many proposals we take.
#
# Both failures can be seen. Here are the first five proposals for a scene with five objects.

# %%
crowded, _ = crisp_scenes[44]
gt_of_scene = gt_boxes[44]
panels = {}
for name in ("no NMS", "NMS at 0.7"):
    first_five = results[name][44][:5]
    iou = box_iou(gt_of_scene, first_five)
    n_found = (iou >= 0.7).any(dim=1).sum()
    title = f"{name}: 5 boxes, {n_found} objects"
    panels[title] = (4 * first_five, "proposal")
viz.show_panels(crowded, panels, width=3).caption(
    "Figure 13. Without NMS, two pairs of proposals are on the same objects. "
    "With NMS, five proposals find five objects."
)

# %% [markdown]
# And here is a scene in which NMS at 0.1 fails. For each object we look for the best of all its
# proposals.

# %%
touching, _ = crisp_scenes[42]
gt_of_scene = gt_boxes[42]
panels = {}
for name in ("NMS at 0.7", "NMS at 0.1"):
    iou = box_iou(gt_of_scene, results[name][42])
    best_iou, best = iou.max(dim=1)
    title = f"{name}: worst IoU {best_iou.min():.2f}"
    panels[title] = (4 * results[name][42][best], "proposal")
viz.show_panels(touching, panels, width=3).caption(
    "Figure 14. The best proposal for each of five objects. With NMS at 0.1, "
    "the good boxes of the gray cross, which others overlap, are dropped."
)

# %% [markdown]
# Where two objects overlap, strict NMS takes the proposals for one of them for duplicates of the
# other. An object that stands alone suffers as well. It keeps a single box of its level, and if
# that box fits badly, there is no second one.
#
# How would you notice this in your own data? The losses won't tell you, because NMS is not a part
# of them, and the proposals that remain look clean. Compute the recall with as many proposals as
# your heads will get, once after NMS and once without it. If an object is missing only after NMS, a
# higher threshold can bring it back. If it is missing in both cases, the cause lies in the anchors
# or in the training.

# %% tags=["claim"]
no_nms, at_70, at_10 = (1 - curve for curve in nms_curves.values())
assert round(at_70[6].item(), 2) == 0.05 and 2.5 < no_nms[6] / at_70[6] < 3.5
assert no_nms[24] <= at_70[24] and round(at_10[24].item(), 2) == 0.06
assert 1.8 < at_10[24] / at_70[24] < 2.4 and at_10[24] == at_10[19]
found = []
for boxes, left in zip(gt_boxes, results["NMS at 0.1"], strict=True):
    found.append((box_iou(boxes, left) >= 0.7).any(dim=1))
assert round(1 - torch.cat(found).float().mean().item(), 2) == 0.06  # with all of them
iou = box_iou(gt_boxes[44], results["no NMS"][44][:5]) >= 0.7
assert sorted(iou.sum(dim=1).tolist()) == [0, 0, 1, 2, 2]
assert (box_iou(gt_boxes[44], results["NMS at 0.7"][44][:5]) >= 0.7).any(dim=1).all()
x1, y1, x2, y2 = gt_boxes[42][best_iou.argmin()].tolist()  # the gray cross
assert 15 < x1 < 20 and 35 < y1 < 40 and 48 < x2 < 54 and 68 < y2 < 74
assert best_iou.min() < 0.7 <= box_iou(gt_boxes[42], results["NMS at 0.7"][42]).amax(dim=1).min()

# %% [markdown]
# ## Play: proposals in your own hands
#
# Move the two sliders. The left side shows the proposals of one scene together with its ground
# truth, the right side the recall over all 60 scenes.
#
# 1. With how few proposals does every object of this scene have a box that fits it well? Try the
#    thresholds from 100 % down to 50 %. Which of them need the fewest?
# 2. Keep ten proposals and lower the threshold step by step. Which object loses its good box first,
#    and why that one?
# 3. Compare the solid curve with the dashed one. Which of them reacts more to the threshold?

# %%
from mrcnn_edu.course.widgets import location_player, rpn_player

rpn_player(scenes, traces, shown=56).caption(
    "Figure 15. Proposals (orange) and ground truth (green) by the threshold "
    "of NMS and the number of proposals, and their recall."
)

# %% [markdown]
# Next, click anywhere in the image. You see the anchors there with their labels, the score that the
# RPN predicts for each of them, and, if that score is above one half, the box that it is moved to.
#
# 1. Find an ignored anchor with a high score, and a positive one with a lower score. Is that a
#    mistake of the RPN?
# 2. Go away from an object, one location at a time. From how far does the RPN still move an anchor
#    onto it? How does the score change?
# 3. Click on empty paper. Which scores do you find there? Why does the player show no moved boxes,
#    and why would they not be worth looking at?
#
# Write down one location for each of the three, and what you found there.

# %%
location_player(model, crisp, {"boxes": 4 * gt}, predictions=True).caption(
    "Figure 16. A location on each of the maps, and its anchors. Positive "
    "anchors are blue, negative ones red, and ignored ones gray."
)

# %% [markdown]
# ## Exercise 1: the parameters of the head
#
# ★☆☆ · about 5 minutes
#
# Write `head_parameters(channels, k)`. Return the number of parameters of the RPN's head, biases
# included, for feature maps with this number of channels and k anchors at each position. The 3 × 3
# convolution keeps the number of channels, and the two 1 × 1 convolutions have k and 4k outputs.
#
# For example, `head_parameters(1, 1)` is 20. The 3 × 3 convolution has 9 weights and a bias, and
# the 1 × 1 convolutions have 1 and 4 weights and as many biases.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# A convolution has a weight for each input channel, each output channel and each position of its
# kernel, and a bias for each output channel.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>head_parameters(64, 3)</code> is 37,903. Compare that with
# <code>sum(p.numel() for p in model.rpn_head.parameters())</code>.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# The same head slides over every position of every level. The size of the maps does not matter.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Three convolutions, each with weights and biases. Our code:
# `exercises.head_parameters??`.
# </details>

# %%
from mrcnn_edu.course.exercises import rpn as exercises


def head_parameters(channels, k): ...


exercises.check_head_parameters(head_parameters)

# %% [markdown]
# ## Exercise 2: recall
#
# ★☆☆ · about 5 minutes
#
# Write `recall(proposals, boxes, iou_threshold)`. Given R proposals `[R, 4]` and the boxes `[M, 4]`
# of M objects (at least one), return the fraction of the objects that have an IoU of at least the
# threshold with a proposal. R may be 0. You may use `box_iou`.
#
# For example, three proposals that lie exactly on the first of two objects, and none on the second,
# give 0.5.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Make the table of all IoUs. An object is found if there is a large enough value among those that
# belong to it.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Recall counts objects. Many proposals on one object find it only once.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>is_found = (box_iou(boxes, proposals) >= iou_threshold).any(dim=1)</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# The mean of `is_found` as a float is the fraction. Without proposals `any` is False, so the empty
# case needs no line of its own. Our code: `exercises.recall??`.
# </details>

# %%
def recall(proposals, boxes, iou_threshold): ...


exercises.check_recall(recall)

# %% [markdown]
# ## Exercise 3: how many proposals are enough?
#
# ★★☆ · about 15 minutes
#
# Every proposal costs time, so we would like as few as possible. Write `proposals_needed(proposals,
# boxes, iou_threshold)`. The proposals `[R, 4]` are sorted, the best one first. Return the smallest
# n for which the first n proposals find every object of `boxes` `[M, 4]`, which means that each has
# an IoU of at least the threshold with one of them. Return −1 if not even all proposals do. Without
# any object, the answer is 0.
#
# For example, if there are two objects, and the proposals 0 and 1 lie on the first and the
# proposals 2 and 3 on the second, the answer is 3.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Make the table <code>[R, M]</code> of who finds whom. Try n = 0, 1, 2, ... until every object is
# found among the first n rows.
# </details>
# <details><summary><b>Hint 2</b>: two traps</summary>
# n counts proposals, so it is one larger than the index of the last one that is needed. And n may
# be R itself.
# </details>
# <details><summary><b>Hint 3</b>: a shorter way</summary>
# If you find, for each object, the index of the first proposal that finds it, the object that is
# found last decides.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `finds[:n].any(dim=0).all()` asks whether the first n proposals find all. For n = 0 and at least
# one object it is False, and without objects it is True. Our code:
# `exercises.proposals_needed??`.
# </details>

# %%
def proposals_needed(proposals, boxes, iou_threshold): ...


exercises.check_proposals_needed(proposals_needed)

# %% [markdown]
# ## Exercise 4: the best anchors of each level
#
# ★★☆ · about 10 minutes
#
# Write `best_of_each_level(objectness, sizes, n)`. The objectness logits `[A]` of all levels are in
# one tensor, and the list `sizes` says how many anchors each level has, A in all. Return the
# indices, from 0 to A − 1, of the n highest logits of each level: level by level, and the best of a
# level first. If a level has fewer than n anchors, take all of them.
#
# For example, the logits `[1., 3., 2., 9., 8.]` of two levels with 3 and 2 anchors give, for n = 1,
# the indices `[1, 3]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Cut the tensor into levels, and take <code>topk</code> in each. Its indices count from the level's
# own beginning, so add the number of anchors before it.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# The same logits with n = 2 give <code>[1, 2, 3, 4]</code>.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# <code>topk</code> raises an error if you ask for more than there are: take
# <code>min(n, size)</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# A variable `first` holds the index of the level's first anchor and grows by the level's size. Our
# code: `exercises.best_of_each_level??`.
# </details>

# %%
def best_of_each_level(objectness, sizes, n): ...


exercises.check_best_of_each_level(best_of_each_level)

# %% [markdown]
# ## Exercise 5: from the RPN's outputs to proposals
#
# ★★★ · 45 to 60 minutes
#
# All pieces are there. Put them together, and write what turns the outputs of the RPN into
# proposals for one image ([Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.3, with the
# levels of [FPN](https://arxiv.org/abs/1612.03144), section 4.1):
#
# `propose(objectness, deltas, anchors, image_size, n_before, n_after, iou_threshold)`
#
# `objectness` `[A]` are logits and `deltas` `[A, 4]` are (dx, dy, dw, dh), without extra scale.
# `anchors` is a list with the anchors `[A_level, 4]` of each level, A in all and in the same order.
# `image_size` is (height, width). In each level,
#
# 1. take the `n_before` anchors with the highest objectness, or all if there are fewer;
# 2. *decode* their deltas: the center moves by dx times the anchor's width and dy times its
#    height, and the sides are multiplied by exp(dw) and exp(dh);
# 3. *clip* the boxes to the image;
# 4. drop boxes of which a side is shorter than 1 pixel;
# 5. run *NMS*: go from the highest objectness down, and drop a box if its IoU with a kept box of
#    this level is above `iou_threshold`.
#
# Then collect what is left of all levels, and return the `n_after` boxes with the highest
# objectness, `[R, 4]`, the best one first. You may use `box_iou`, but nothing else of the package.
#
# For example, take one level with the anchors (0, 0, 16, 16) and (32, 0, 48, 16), the logits 0.5
# and 2.0, and the deltas (0.25, 0, 0, 0) and (0, 0, 0, 0). In an image of 40 rows and 44 columns
# the proposals are (32, 0, 44, 16) and (4, 0, 20, 16).
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Write one small function for each of the steps 2, 3 and 5, and try each of them in a cell of its
# own. Then write the loop over the levels.
# </details>
# <details><summary><b>Hint 2</b>: what belongs together</summary>
# Boxes and their logits must stay in the same order through every step. Whenever you choose among
# the boxes, choose among the logits in the same way.
# </details>
# <details><summary><b>Hint 3</b>: decode</summary>
# Compute <code>size</code> and <code>center</code> of the anchors <code>[n, 2]</code>. Then
# <code>center + deltas[:, :2] * size</code> and <code>size * deltas[:, 2:].exp()</code> are those
# of the boxes.
# </details>
# <details><summary><b>Hint 4</b>: two traps</summary>
# x is limited by the width, which comes <em>second</em> in <code>image_size</code>. And a box that
# lies outside the image has no width any more after it is clipped, so drop boxes only after that.
# </details>
# <details><summary><b>Hint 5</b>: no box at all</summary>
# If nothing is left, the result is an empty tensor of shape <code>[0, 4]</code>. Most operations
# give that by themselves if you index with tensors and lists.
# </details>
# <details><summary><b>Solution</b></summary>
#
# This is `mrcnn_edu.rpn.propose` for one image. Both return the same boxes, except that the package
# also keeps those that are less than 1 pixel wide or high. It decodes only the anchors that were
# chosen, as you do, because it has no use for the others. Our code:
# `exercises.propose??`.
# </details>

# %%
def propose(
    objectness,
    deltas,
    anchors,
    image_size,
    n_before,
    n_after,
    iou_threshold,
): ...


exercises.check_propose(propose)

# %% [markdown]
# When the check says "ok", compare your proposals with the model's in a new cell. How many of the
# 100 are the same?
#
# ```python
# outputs = trace.objectness[0], trace.rpn_deltas[0], trace.anchors
# mine = propose(*outputs, trace.batch.sizes[0], 100, 100, 0.7)
# (box_iou(mine, trace.proposals[0].boxes) > 0.999).any(dim=1).sum()
# ```

# %% [markdown]
# ## Remember
#
# - The RPN is a 3 × 3 convolution and two 1 × 1 convolutions that slide over every map. For each
#   anchor they output an objectness score and four deltas.
# - The weights are shared by all locations and all levels, because deltas are relative to the
#   anchor and anchors grow with the stride.
# - Background outnumbers objects by hundreds to one, so the RPN learns from a sample with up to one
#   half positives. Its loss is binary cross-entropy plus smooth L1, which no single bad anchor can
#   dominate.
# - Proposals are the best anchors, moved, clipped and freed from near-duplicates by NMS. Recall
#   tells whether they find the objects.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `RPNHead` | `RPNHead` | `StandardRPNHead` |
# | `propose` | `RegionProposalNetwork.filter_proposals` | `find_top_rpn_proposals` |
# | `rpn_targets` | `assign_targets_to_anchors` | `RPN.label_and_sample_anchors` |
# | `rpn_loss` | `RegionProposalNetwork.compute_loss` | `RPN.losses` |
# | `rpn_batch_per_image` | `rpn_batch_size_per_image` | `MODEL.RPN.BATCH_SIZE_PER_IMAGE` |
#
# The three agree in nearly everything. One difference is that detectron2's default is L1 instead of
# smooth L1, which is the limit of a very small $\beta$.
#
# What came after? If the head predicted a score for each class instead of one objectness score, we
# could do without the second stage. That is the idea of [SSD](https://arxiv.org/abs/1512.02325) and
# of [RetinaNet](https://arxiv.org/abs/1708.02002). RetinaNet doesn't sample, but keeps all anchors
# and gives less weight to those that are already classified well.
# [FCOS](https://arxiv.org/abs/1904.01355) replaces the anchors by the locations themselves, and
# [DETR](https://arxiv.org/abs/2005.12872) needs neither proposals nor NMS.
#
# **Next:** we have a hundred boxes of all sizes, but the heads expect an input of one size. Lesson
# 07, [RoIPool and RoIAlign](07_roi_align.ipynb), reads the features inside a box, and shows what a
# rounding of half a step can ruin.
