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
# # 08 · Heads and the m x m mask: why a mask must not become a vector
#
# RoIAlign has read every box at one size. The **heads** turn that into predictions: a class and a
# box from one, a mask from the other. After this lesson (75 minutes) you can
#
# - count each head's parameters, and its multiplications, with a pencil;
# - say what a fully connected layer forgets and a convolution keeps, and measure it;
# - write a deconvolution by hand;
# - say what a mask of 14 x 14, 28 x 28 or 56 x 56 can show, and what it cannot.

# %%
from inspect import getsource

import torch

from mrcnn_edu import Config, load, viz
from mrcnn_edu.head_choices import MaskHeadMLP
from mrcnn_edu.heads import BoxHead, MaskHeadFCN

viz.show_flow("class, box, mask")

# %% [markdown]
# ## The problem
#
# A mask is a picture. A class is only a label. The usual way to a label is to flatten all values of
# a map into a **vector**, and to multiply it by a matrix: a **fully connected** layer. It has a
# weight for each pair of an input and an output, and so it does not matter which inputs were
# neighbors. For a label that may do. For a picture? Here is a star's mask, cut to 14 x 14 mask
# pixels, and the same values in another order.

# %%
from mrcnn_edu.data.shapes import morph
from mrcnn_edu.targets import mask_targets

scene, target = morph("star", "cross", 0)
box, first = target["boxes"], [torch.tensor([0])]
star = mask_targets([target["masks"]], [box], first, mask_size=14)[0]  # in its box (lesson 10)
shuffle = torch.randperm(196, generator=torch.Generator().manual_seed(0))
shuffled = star.flatten()[shuffle]
layer = torch.nn.Linear(196, 10)
from_shuffled = layer.weight[:, shuffle] @ shuffled + layer.bias  # weights in the same order
torch.testing.assert_close(layer(star.flatten()), from_shuffled)
maps, titles = [star, shuffled.view(14, 14)], ["14 x 14 pixels", "the same, shuffled"]
picture = viz.show_maps(maps, titles, scene)
picture.caption("To a fully connected layer the two on the right are equally good inputs.")

# %% [markdown]
# ## 1. The box head: a vector will do
#
# The RoI's features, C x 7 x 7, are flattened into a vector; two fully connected layers follow,
# then an **output layer** for each prediction: K + 1 class scores, and a box (four deltas that
# correct the RoI) for each class (figure 4, right). A fully connected layer from a inputs to b
# outputs has a b weights and b **biases**, which are added: (a + 1) b parameters in all.
#
# **Predict:** the paper's sizes are 256 x 7 x 7, 1024 and 1024. Which layer has most of the
# weights: the first, the second or the outputs?


# %%
def size(module):
    return sum(p.numel() for p in module.parameters())


# %%
with torch.device("meta"):  # shapes without values: nothing is stored or computed
    head = BoxHead(256, 7, n_convs=0, n_layers=2, hidden=1024, n_classes=80)
by_hand = [(a + 1) * b for a, b in ((256 * 7 * 7, 1024), (1024, 1024), (1024, 81 * 5))]
assert size(head) == sum(by_hand)
print(f"{sum(by_hand):,}", [f"{n / sum(by_hand):.0%}" for n in by_hand])

# %%
model = load("shapes-tiny")
outputs = model.box_head(torch.rand(3, 64, 7, 7))  # from the features of three RoIs
print("classes and boxes:", [list(output.shape) for output in outputs])
assert size(model.box_head) == (64 * 49 + 1) * 128 + 129 * 128 + 129 * 7 * 5

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The first: 12,544 inputs, and a weight from each to each of 1024, make 90 % of the head. (The
# outputs for 80 classes are only a few percent.) Flattening a map is what costs.
# </details>
#
# ## 2. Two ways to a mask
#
# The mask head must output K masks of m x m. `MaskHeadMLP` works like the box head, and outputs all
# K m² values at once. `MaskHeadFCN`, the paper's, never flattens: 3 x 3 convolutions with a
# **ReLU** (negative values become 0) after each, a deconvolution that doubles height and width
# (section 5), and a 1 x 1 convolution that outputs K values at each position. Every layer keeps the
# layout (section 3): an **FCN**, a fully convolutional network.
#
# **Predict:** the paper's sizes: features 256 x 14 x 14, four convolutions of 256 channels, m = 28,
# or 1024-1024 for the MLP; our `Config()` has K = 90, since COCO's 80 classes have ids up to 90.
# How many times as large is the MLP: 5, 50 or 500?

# %%
c = Config()
with torch.device("meta"):
    fcn = MaskHeadFCN(c.fpn_channels, c.mask_channels, c.mask_convs, c.n_classes)
    mlp = MaskHeadMLP(c.fpn_channels, 14, c.mask_hidden, c.mask_layers, c.n_classes)
    shapes = [list(head(torch.empty(3, 256, 14, 14)).shape) for head in (fcn, mlp)]

# %%
conv, deconv, last = (3 * 3 * 256 + 1) * 256, (2 * 2 * 256 + 1) * 256, (256 + 1) * 91
assert size(fcn) == 4 * conv + deconv + last and shapes == [[3, 91, 28, 28]] * 2
by_hand = (256 * 14 * 14 + 1) * 1024 + (1024 + 1) * 1024 + (1024 + 1) * 91 * 28 * 28
assert size(mlp) == by_hand and round(size(mlp) / size(fcn)) == 47
print(f"FCN {size(fcn) / 1e6:.1f} million, MLP {size(mlp) / 1e6:.1f} million, both to {shapes[0]}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 47. A convolution has weights for 3 x 3 neighbors, the same at every position; the MLP has
# separate weights for every position, of its input and of its output. (The paper, table 2e: the FCN
# reaches 33.6 mask AP, the MLP 31.5, with two layers or three.)
# </details>
#
# Now tiny ones, which we can train here: 64 channels in, two convolutions of 48 channels, or two
# layers of 128. One mask for all classes (and channel 0, which is never used).

# %%
_ = torch.manual_seed(0)
heads = {"FCN": MaskHeadFCN(64, 48, 2, n_classes=1), "MLP": MaskHeadMLP(64, 14, 128, 2, 1)}
assert size(heads["FCN"]) == (9 * 64 + 1) * 48 + (9 * 48 + 1) * 48 + (4 * 48 + 1) * 48 + 49 * 2
assert size(heads["MLP"]) == (64 * 196 + 1) * 128 + 129 * 128 + 129 * 2 * 784
print({name: f"{size(head):,}" for name, head in heads.items()})

# %% [markdown]
# ## 3. Move the features by one position
#
# Neither head has learned anything yet: their weights are random. We move all features of a RoI one
# position to the right; then the mask should move by two of its pixels, since its grid is twice as
# fine. We compare away from the border, since beyond it the convolutions see zeros.
#
# **Predict:** does a *random* FCN move its mask along? A random MLP?

# %%
from mrcnn_edu.roi_ops import feature_table


@torch.no_grad()
def roi_features(images, boxes):
    """Features [R, 64, 14, 14] of the images' boxes, by the model's backbone and RoIAlign."""
    levels = model.features(model.preprocess(images))
    return model.pool(feature_table(levels[: len(model.strides)]), boxes, 14)


@torch.no_grad()
def before_and_after(head, steps=1):
    """The star's mask, moved by this many positions, and the mask from the moved features."""
    x = roi_features([scene], [box])
    return head(x)[0, 1].roll(2 * steps, dims=1), head(x.roll(steps, dims=3))[0, 1]


# %%
for name, head in heads.items():
    moved_mask, mask_of_moved = (mask[:, 6:24] for mask in before_and_after(head))
    error = (mask_of_moved - moved_mask).abs().mean() / moved_mask.std()
    print(f"{name} is off by {error:.2f} standard deviations")
    assert error < 1e-4 if name == "FCN" else error > 0.3

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The FCN does, exactly, whatever its weights: the same weights look at the same neighbors, one
# position further. In the MLP every feature meets a weight that never saw it. It would have to
# *learn*, for each position separately, that a mask goes where its object goes.
# </details>
#
# ## 4. Train both, and be honest
#
# RoIs to learn from come from 150 scenes, and 40 others are the **validation set**, on which we
# measure. Every RoI is an object's ground-truth box; the backbone is `shapes-tiny`'s and stays as
# it is, so the features are computed once. Both heads learn for 150 steps of 32 RoIs, with the loss
# of the next lesson: in each pixel of the mask, how far is the probability of "object" from the
# ground truth? A step computes the loss, then its gradient for every weight (`backward`), and moves
# each weight a little in the direction that lowers the loss (`optimizer.step`; lesson 10).
#
# **Predict:** whose masks of new objects are better? And if every box is shifted down and right by
# one fourteenth of its size, or by two, as a proposal may well be?


# %%
from mrcnn_edu.data import Shapes


def rois(scenes, moved=0):
    """The objects' features and target masks, their boxes moved by a fraction of their size."""
    x, y = [], []
    for image, target in (scenes[i] for i in range(len(scenes))):
        boxes = target["boxes"]
        boxes = boxes + moved * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
        x.append(roi_features([image], [boxes]))
        y.append(mask_targets([target["masks"]], [boxes], [torch.arange(len(boxes))], 28))
    return torch.cat(x), torch.cat(y)


# %%
from mrcnn_edu.progress import progress_bar


def train(head, x, y, steps=150):
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in progress_bar(range(steps), "train"):
        rows = torch.randint(len(x), (32,), generator=generator)
        logits = head(x[rows])[:, 1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %%
x, y = rois(Shapes(150, seed=3))
for head in heads.values():
    train(head, x, y)
print(f"{len(x)} RoIs, each seen by each head about {150 * 32 / len(x):.0f} times")


# %%
def iou(masks, gt_masks):
    both = (masks & gt_masks).sum(dim=(-2, -1))
    return both / (masks | gt_masks).sum(dim=(-2, -1)).clamp(min=1)


shifts = range(4)
val_data = [rois(Shapes(40, seed=1), moved=n / 14) for n in shifts]
with torch.no_grad():
    scores = {
        name: torch.stack([iou(head(x)[:, 1] > 0, y >= 0.5).mean() for x, y in val_data])
        for name, head in heads.items()
    }

# %% tags=["nbval-ignore-output"]
lines = viz.show_lines(torch.arange(4), scores, "shift of the RoI, fourteenths", "IoU of the mask")
lines.axes[0].set(ylim=(0, 1), xticks=shifts)
assert abs(scores["MLP"][0] - scores["FCN"][0]) < 0.05
assert scores["FCN"][0] - scores["FCN"][1] < 0.03 and scores["MLP"][0] - scores["MLP"][1] > 0.08
lines.caption("Objects of the validation set. On the left, boxes that fit exactly, as in training.")

# %% tags=["cover", "nbval-ignore-output"]
shifted = [before_and_after(head, steps=3)[1].sigmoid() for head in heads.values()]
picture = viz.show_maps(shifted, list(heads), scene, high=1)
picture.caption("Each head's mask, from the star's features moved three positions to the right.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# On boxes that fit exactly the MLP is *as good*, to less than 5 points of IoU: every object fills
# its box in much the same way, and the FCN has had only 150 steps. Shifted by one fourteenth,
# the MLP loses 8 points or more, the FCN less than 3. The FCN did not learn that; it is built in.
# Would an MLP learn to follow from boxes that are off? Train on `rois(..., moved=...)` and see.
# (One pair of heads, on features that were trained with an FCN, is an example; lesson 12 trains
# whole models.)
# </details>
#
# ## 5. Deconvolution by hand
#
# A **deconvolution** (transposed convolution) reverses the roles of a convolution: each *input*
# value stamps its kernel, times the value, onto the output. With a 2 x 2 kernel and stride 2 the
# stamps lie side by side: 14 x 14 becomes 28 x 28, and no stamp overlaps another. (The name
# promises too much: it does not undo a convolution.)
#
# **Predict:** input [[1, 2]], kernel [[1, 0], [0, -1]]: what is the 2 x 4 output?


# %%
def deconvolve(x, weight, bias):
    """[C, H, W] and weight [C, D, 2, 2] to [D, 2 H, 2 W]."""
    out = torch.zeros(weight.shape[1], 2 * x.shape[1], 2 * x.shape[2])
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            stamp = (x[:, i, j, None, None, None] * weight).sum(dim=0)  # [D, 2, 2]
            out[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = stamp
    return out + bias[:, None, None]


# %%
values, kernel = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, -1.0]])
output = deconvolve(values[None], kernel[None, None], torch.zeros(1))[0]
titles, style = ["input", "kernel", "output"], dict(signed=True, numbers=".0f", high=2)
viz.show_maps([values, kernel, output], titles, **style).caption("Two stamps, side by side.")

# %%
layer, x = model.mask_head.conv5_mask, torch.rand(48, 14, 14)
with torch.no_grad():
    torch.testing.assert_close(deconvolve(x, layer.weight, layer.bias), layer(x[None])[0])
print(getsource(MaskHeadFCN.forward))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The kernel, and beside it twice the kernel. (If you smoothed between 1 and 2: that is bilinear
# scaling, which learns nothing.) Each of the four positions in a stamp has separate weights, so the
# head can *learn* what lies on which side of an edge.
# </details>
#
# ## 6. Two box heads: the Res5 head and the FPN head
#
# The paper's figure 4 has two heads. On the left, for the backbone **C4** (no pyramid): the RoI, 7
# x 7 x 1024, goes through **res5**, the last stage of a ResNet, to 7 x 7 x 2048, and the mean over
# the 49 positions goes to class and box; a deconvolution outputs 14 x 14 x 256, a 1 x 1 convolution
# 14 x 14 x 80. On the right, for FPN, the heads of sections 1 and 2, with K = 80. We count
# multiply-adds: a weight is used once at each position of its output; a deconvolution's, once at
# each position of its *input*.
#
# **Predict:** by what factor is the box part of the left one more work: 2, 10 or 50?

# %%
from mrcnn_edu.backbone import stage
from mrcnn_edu.backbone_choices import Bottleneck, FrozenBatchNorm2d

with torch.device("meta"):
    res5 = stage(Bottleneck, 3, 1024, 512, stride=1, norm=FrozenBatchNorm2d)
weights = sum(p.numel() for p in res5.parameters() if p.ndim == 4)  # of its convolutions

# %%
c4 = 7 * 7 * weights, 7 * 7 * 2048 * 256 * 4 + 14 * 14 * 256 * 80  # box, mask
fpn = 256 * 49 * 1024 + 1024**2, 14 * 14 * 256**2 * (4 * 9 + 4) + 28 * 28 * 256 * 80
work = torch.tensor([c4, fpn]) / 1e6
assert work.round().tolist() == [[732, 107], [14, 530]] and round(c4[0] / fpn[0]) == 53
viz.show_table(work, ["C4", "FPN"], ["box", "mask"], ".0f").caption("Multiply-adds, in millions.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 53: 732 million against 14. Boxes are predicted for every proposal, 300 with C4 and 1000 with FPN;
# masks only for the 100 best detections. So FPN moves the work from all proposals to the few that
# count, and its features already contain what res5 would compute, once for the whole image. (With
# C4 a mask needs res5 again, 839 in all, because its box has been refined. The paper's times, with
# ResNet-101: about 400 ms per image with C4, 195 with FPN.)
# </details>
#
# ## 7. What can 14, 28, 56 pixels show?
#
# No head can beat its grid. We cut *ground-truth* masks to m x m in their boxes, as the head's
# targets are cut, and paste them back. The IoU that is left is an **upper bound**: a perfect head's
# score.
#
# **Predict:** which lose most at m = 28, objects of 30 pixels or of 300? How much?

# %%
from mrcnn_edu.detections import paste_masks


def through(masks, boxes, m):
    """Masks [M, H, W], cut to m x m inside their boxes and pasted back."""
    cut = mask_targets([masks], [boxes], [torch.arange(len(boxes))], m)
    return paste_masks(cut, boxes, masks.shape[-2:])


# %%
grids = (7, 14, 28, 56)
large = Shapes(120, size=384, seed=1, object_size=(0.06, 0.9), n_objects=(1, 4), overlap=0)
objects = [large[i][1] for i in range(len(large))]
sizes = torch.cat([(t["boxes"][:, 2:] - t["boxes"][:, :2]).prod(dim=1).sqrt() for t in objects])
bound = {
    m: torch.cat([iou(through(t["masks"], t["boxes"], m), t["masks"]) for t in objects])
    for m in grids
}

# %%
from itertools import pairwise

edges = torch.tensor([0.0, 32, 64, 128, 192, 256, 384])
groups = [(sizes >= a) & (sizes < b) for a, b in pairwise(edges)]


def group_means(values):
    return torch.stack([values[inside].mean() for inside in groups])


curves = {f"m = {m}": group_means(best) for m, best in bound.items()}
assert curves["m = 28"][0] > 0.99 and 0.982 < curves["m = 28"][-1] < 0.99
assert curves["m = 14"].min() > 0.95 and curves["m = 7"].min() > 0.85
picture = viz.show_lines(group_means(sizes), curves, "size of the object, pixels", "IoU, at best")
picture.caption(f"{len(sizes)} objects, none of them hidden in part. How much does size matter?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The large ones, but little: 30 image pixels are about 28 mask pixels, and at 300 a mask pixel is
# 11 image pixels wide, which costs between 1 and 2 %. Further right the curves are nearly flat:
# mask pixels grow with the object, and so does its outline. For such compact objects even m = 14
# leaves more than 0.95. The grid is rarely what limits a mask, unless the object is thin.
# </details>
#
# ## Where it breaks: a thin ring
#
# A ring of 100 pixels across, 4 pixels thick. **Predict:** what comes back from m = 7, 14, 28?

# %%
squared = (torch.arange(128) + 0.5 - 64).square()
distance = (squared[:, None] + squared).sqrt()  # of each pixel from the middle
ring, around = (distance <= 50) & (distance > 46), torch.tensor([[14.0, 14, 114, 114]])
pasted = {m: through(ring[None], around, m)[0] for m in grids}
left = {m: iou(mask, ring).item() for m, mask in pasted.items()}
assert left[7] == 0 and left[14] < 0.2 and left[28] < 0.95 < left[56]
covered = {m: mask_targets([ring[None]], [around], first, m) for m in (7, 14)}  # in each mask pixel
assert covered[7].max() < 1 / 3 and 0.5 < covered[14].max() < 0.6
assert (covered[14] > 0.5).float().mean() < 0.2
picture = viz.show_differences(ring, {f"m = {m}: IoU {left[m]:.2f}": pasted[m] for m in grids})
picture.caption("Gray is correct, green is missing, crimson is too much.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Nothing from 7, crumbs from 14, nearly all from 28: a mask is what is over one half. The ring's 4
# pixels fill less than a third of a mask pixel that is 14 wide; of one that is 7 wide they fill
# hardly more than half, and only in a few positions. The ring is already gone from the training
# target. A network could reach zero loss and still predict an empty mask, and nothing would warn
# you. For cables, letters or masts raise `mask_size`.
# </details>
#
# ## Play
#
# A star-shaped frame. With a thickness of 20 %, which m first reaches an IoU of 0.9? Halve the
# thickness: which m now? Go back, and change the size from 50 to 300 pixels: does m have to follow?

# %%
from mrcnn_edu.course.widgets import heads_player

heads_player()

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.upper_bound))`.
#
# **1.** `fcn_parameters(in_channels, channels, n_convs, n_classes)`: how many parameters a
# `MaskHeadFCN` has, biases included, for one 3 x 3 convolution or more, without building one. Its
# last layer outputs n_classes + 1 masks. About 4 lines.
#
# **2.** `deconvolve(values, kernel, stride)`: a map `[h, w]` and a kernel `[k, k]` to a map of
# height `(h - 1) stride + k` and width `(w - 1) stride + k`. Where stamps overlap, they *add*.
# About 5 lines.
#
# **3.** `upper_bound(mask, m)`: a mask `[S, S]` of bool, S a multiple of m, not empty. Take the
# mean of each of m x m blocks, keep those of 0.5 or more, fill the whole block, and return the IoU
# with the mask. About 4 lines.

# %%
from mrcnn_edu.course.exercises import heads as exercises


def fcn_parameters(in_channels, channels, n_convs, n_classes): ...


def deconvolve(values, kernel, stride): ...


def upper_bound(mask, m): ...


exercises.check_fcn_parameters(fcn_parameters)
exercises.check_deconvolve(deconvolve)
exercises.check_upper_bound(upper_bound)

# %% [markdown]
# ## Remember
#
# - A vector forgets which positions were neighbors. For a class that hardly matters; for a mask it
#   does.
# - An FCN keeps the layout: fewer weights, and a mask that moves along with its object.
# - m x m pixels in a box are enough for compact objects of any size, and not for thin ones.
#
# torchvision calls these `TwoMLPHead`, `FastRCNNPredictor`, `MaskRCNNHeads` and
# `MaskRCNNPredictor`; detectron2 `FastRCNNConvFCHead` and `MaskRCNNConvUpsampleHead`.
#
# All parts of the network are there now. Next: **17, what each of them costs**, or **09, the mask
# loss**, if you would rather train them first.
