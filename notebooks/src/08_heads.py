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
# # 08 · The heads: why a mask should not become a vector
#
# **The question.** RoIAlign turns every box, large or small, into a map of features of one fixed
# size. Two small networks read such maps. One of them predicts a class, the other a mask. Why are
# they built so differently?
#
# **You will be able to**
#
# - draw both heads of the paper's figure 4 with the shapes of all their tensors, and count their
#   parameters with a pencil;
# - explain what a fully connected layer forgets and a convolution keeps, and measure it;
# - write a deconvolution by hand;
# - say what a mask of 14 × 14, 28 × 28 or 56 × 56 can show, and what it cannot.
#
# *Time: 170 minutes, of which 75 are for the exercises. You need lessons 04 (convolutions) and 07
# (RoIAlign). Reading: [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3, "Mask
# Representation" and "Network Architecture". This notebook trains three small heads, which takes
# about a minute.*

# %%
from inspect import getsource
from itertools import pairwise

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from mrcnn_edu import Config, load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.shapes import morph
from mrcnn_edu.detections import paste_masks
from mrcnn_edu.head_choices import MaskHeadMLP
from mrcnn_edu.heads import BoxHead, MaskHeadFCN
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.targets import mask_targets

viz.show_architecture("class, box, mask").caption(
    "Figure 1. The two heads come last. All that they learn about a region, "
    "they read from its RoI features."
)

# %% [markdown]
# ## A mask in two orders
#
# A class is a single word, and a mask is a picture. To predict a word from a map of features, one
# usually flattens the map first. All its values are written into one long row, a **vector**, which
# is then multiplied by a matrix of weights. That is a **fully connected layer**. It computes each
# output as a sum over all inputs,
#
# $$y_j = b_j + \sum_i W_{ji}\, x_i ,$$
#
# with a weight $W_{ji}$ for each pair of an input and an output, and a **bias** $b_j$ for each
# output. The order of the inputs means nothing to such a layer. If we shuffle the inputs, and the
# columns of $W$ in the same way, the outputs stay exactly as they were. So the layer cannot know
# which of its inputs were neighbors.
#
# Let's look at what that ignores. `morph` renders a scene with a single object, here a star, and
# `mask_targets` cuts the object's ground-truth mask to 14 × 14 mask pixels inside its box.

# %%
scene, target = morph("star", "cross", 0)  # 0 % on the way to a cross
box = target["boxes"]  # [1, 4]
first_object = [torch.tensor([0])]
star = mask_targets([target["masks"]], [box], first_object, mask_size=14)[0]

generator = torch.Generator().manual_seed(0)
order = torch.randperm(196, generator=generator)
shuffled = star.flatten()[order].view(14, 14)

titles = ["14 × 14 mask pixels", "the same, shuffled"]
viz.show_maps([star, shuffled], titles, scene).caption(
    "Figure 2. A star's mask, and the same 196 values in another order. You "
    "see a star and noise, but a fully connected layer can work with one as "
    "well as with the other."
)

# %%
layer = torch.nn.Linear(196, 10)
outputs = layer(star.flatten())
from_shuffled = layer.weight[:, order] @ shuffled.flatten() + layer.bias
print(f"largest difference: {(outputs - from_shuffled).abs().max():.4f}")

# %% [markdown]
# To recognize a star, this may be good enough. There is only one answer, wherever in the map the
# evidence was found. But how can a network draw a star if it doesn't know which pixels lie side by
# side? It would have to find that out from examples, for every pair of pixels.
#
# That is the main idea of this lesson, and it explains why Mask R-CNN has two heads that look so
# different. We will see both of them, count what they cost, and put the idea to the test.

# %% tags=["claim"]
torch.testing.assert_close(outputs, from_shuffled)
assert star.shape == (14, 14) and set(star.flatten().tolist()) == set(shuffled.flatten().tolist())

# %% [markdown]
# ## 1. Two heads, and two ways to build them
#
# A **head** is a small network that makes predictions for one region from its RoI features. The
# **box head** predicts the class and a better box, and the **mask head** predicts the mask. The
# paper builds them in two ways, depending on the backbone. Here they are with the shapes of all
# tensors, height × width × channels, for COCO's 80 classes.

# %%
viz.show_two_heads().caption(
    "Figure 3. The heads for a C4 backbone and for FPN, after the paper's "
    "figure 4; fc is a fully connected layer. The way to class and box loses "
    "the layout, and the way to the masks keeps it to the end."
)

# %% [markdown]
# The colors tell the story. With either backbone, the branch for class and box becomes a vector
# sooner or later. The branch for the masks stays yellow from beginning to end. It outputs $K$ masks
# of $m \times m$ pixels, one for each of the $K$ classes. Which of them counts is the subject of
# lesson 09.
#
# The upper head belongs to a backbone without a pyramid, which ends after the ResNet's fourth
# stage, **C4**. The network's last stage, **res5**, becomes a part of the head and runs for every
# region. The lower heads belong to FPN, whose features have been through all stages already, so
# they can be much smaller. We begin with these, and come back to the upper one later.
#
# ## 2. The box head: a vector is good enough
#
# The box head for FPN flattens the RoI features of 256 × 7 × 7 values, and sends them through two
# fully connected layers with 1,024 outputs each. After each of these layers comes a **ReLU**, which
# sets negative values to 0. Finally, there are two **output layers**. One has $K + 1$ class scores,
# for $K$ classes and background, and the other has four box deltas for each of them.
#
# A fully connected layer from $a$ inputs to $b$ outputs has $ab$ weights and $b$ biases, together
#
# $$(a + 1)\, b$$
#
# parameters.
#
# > **Predict.** The head has the layers 256 · 7 · 7 → 1,024, then 1,024 → 1,024, then the output
# > layers with 81 and 81 · 4 outputs. Which of them has most of the parameters: the first, the
# > second, or the output layers? And about what fraction of all?

# %%
layers = {
    "first layer": (256 * 7 * 7 + 1) * 1024,
    "second layer": (1024 + 1) * 1024,
    "output layers": (1024 + 1) * (81 + 81 * 4),
}
total = sum(layers.values())
for name, count in layers.items():
    print(f"{name:13} {count:10,}  {count / total:4.0%}")
print(f"{'together':13} {total:10,}")

# %% [markdown]
# **What happened.** The first layer has 90 % of them. It sees 12,544 inputs, and has a weight from
# each of them to each of its 1,024 outputs. If you thought of the output layers, since they have to
# serve 80 classes, look again: they have 3 %. Flattening a map is what makes a head large.
#
# Our small model has the same kind of head, with smaller layers. For three RoIs it returns three
# rows of class scores, and four deltas for each class.

# %%
model = load("shapes-tiny")
class_logits, deltas = model.box_head(torch.rand(3, 64, 7, 7))
print("class scores:", list(class_logits.shape))  # six and background
print("box deltas:  ", list(deltas.shape))

# %% tags=["claim"]
def size(module):
    return sum(p.numel() for p in module.parameters())


with torch.device("meta"):  # shapes without values
    head = BoxHead(256, 7, n_convs=0, n_layers=2, hidden=1024, n_classes=80)
assert size(head) == total and round(layers["first layer"] / total, 2) == 0.9
assert 256 * 7 * 7 == 12_544 and layers["output layers"] / total < 0.04
assert size(model.box_head) == (64 * 49 + 1) * 128 + 129 * 128 + 129 * 7 * 5

# %% [markdown]
# ## 3. Two ways to a mask
#
# Could the mask head be built in the same way? Certainly. It would flatten its RoI features, which
# have 14 × 14 positions, and its last layer would have an output for every pixel of every mask,
# $K m^2$ in all. Such a network of fully connected layers is called a **multilayer perceptron**, or
# **MLP**. Methods before Mask R-CNN predicted their masks like this, for example
# [DeepMask](https://arxiv.org/abs/1506.06204).
#
# Mask R-CNN's own mask head never flattens. Look at the lowest row of figure 3 again. Four 3 × 3
# convolutions, each with a ReLU, keep the 14 × 14 positions. A deconvolution then doubles height
# and width, and we will soon write one by hand. Last comes a 1 × 1 convolution that outputs, at
# each of the 28 × 28 positions, one value for each class. A network that consists of such layers
# alone is a **fully convolutional network**, or **FCN**, and the idea comes from semantic
# segmentation ([Long et al.](https://arxiv.org/abs/1411.4038)).
#
# How large are the two? A convolution with a $k \times k$ kernel from $C$ to $C'$ channels has
#
# $$(k^2 C + 1)\, C'$$
#
# parameters, at however many positions it is used.
#
# > **Predict.** We take the paper's sizes. The FCN has four convolutions from 256 to 256 channels,
# > a 2 × 2 deconvolution from 256 to 256, and a 1 × 1 convolution to 81 masks, one of which is for
# > background. The MLP has two layers with 1,024 outputs, and then one with $28^2$ outputs for each
# > of the 81 masks. About how many times as many parameters does it have: 5, 50 or 500 times?

# %%
n_masks = 81  # 80 classes and background
fcn_size = 4 * (3 * 3 * 256 + 1) * 256
fcn_size += (2 * 2 * 256 + 1) * 256
fcn_size += (256 + 1) * n_masks

mlp_size = (256 * 14 * 14 + 1) * 1024
mlp_size += (1024 + 1) * 1024
mlp_size += (1024 + 1) * n_masks * 28 * 28

ratio = mlp_size / fcn_size
print(f"FCN: {fcn_size / 1e6:6.1f} million parameters")
print(f"MLP: {mlp_size / 1e6:6.1f} million, {ratio:.0f} times as many")

# %% [markdown]
# **What happened.** It has 44 times as many. The convolutions use one set of weights for all
# positions. The MLP has separate weights for every position of its input, and again for every pixel
# of its output. A whole Mask R-CNN with a ResNet-50 and an FCN has 44 million parameters, and this
# head alone has more than twice as many.
#
# Is it better, at least? The paper says no. On COCO, the FCN reaches a mask AP of 33.6, the MLP
# 31.5, with two hidden layers or with three ([Mask R-CNN](https://arxiv.org/abs/1703.06870), table
# 2e). That is the difference that we want to understand. For that we need heads that are small
# enough to train here. They read 64 channels, have two convolutions of 48 channels or two layers
# with 128 outputs, and predict one mask, whatever the class is. Like torchvision's, they also have
# an output for background, channel 0, which is never used.

# %%
_ = torch.manual_seed(0)
heads = {
    "FCN": MaskHeadFCN(64, 48, n_convs=2, n_classes=1),
    "MLP": MaskHeadMLP(64, 14, hidden=128, n_layers=2, n_classes=1),
}
for name, head in heads.items():
    n_parameters = sum(p.numel() for p in head.parameters())
    print(f"{name}: {n_parameters:9,} parameters")

# %% tags=["claim"]
c = Config()
with torch.device("meta"):
    fcn = MaskHeadFCN(c.fpn_channels, c.mask_channels, c.mask_convs, n_classes=80)
    mlp = MaskHeadMLP(c.fpn_channels, 14, c.mask_hidden, c.mask_layers, n_classes=80)
    for head in (fcn, mlp):
        assert head(torch.empty(3, 256, 14, 14)).shape == (3, 81, 28, 28)
assert size(fcn) == fcn_size and size(mlp) == mlp_size
assert round(mlp_size / fcn_size) == 44 and mlp_size > 2 * 44.4e6  # the published model has 44.4
assert size(heads["FCN"]) == (9 * 64 + 1) * 48 + (9 * 48 + 1) * 48 + (4 * 48 + 1) * 48 + 49 * 2
assert size(heads["MLP"]) == (64 * 196 + 1) * 128 + 129 * 128 + 129 * 2 * 784

# %% [markdown]
# ## 4. Move the RoI by one bin
#
# Now to the test. If an object lies a little further to the right in its box, its mask should lie
# further to the right as well. Nothing else about it should change. Does a mask head know that?
#
# We could shift the features themselves, but then we would have to invent their first column. It is
# better to shift the RoI. RoIAlign divides it into 14 × 14 bins. If we move the whole RoI by
# exactly one bin to the left, each bin reads what its left neighbor has read before, and the new
# column at the left reads what is really there. The star has not moved, but as seen from its box it
# has moved by one bin to the right.

# %%
def shift_boxes(boxes, bins):
    """Boxes [M, 4], moved by so many bins (x, y) of a 14 x 14 grid."""
    bin_size = (boxes[:, 2:] - boxes[:, :2]) / 14
    return boxes + (bin_size * torch.as_tensor(bins)).repeat(1, 2)


crisp, _ = morph("star", "cross", 0, size=384)  # 4 x 96
moved_box = shift_boxes(box, (-1, 0))
panels = {
    "the RoI fits": (4 * box, "proposal"),
    "moved by one bin": (4 * moved_box, "proposal"),
}
viz.show_panels(crisp, panels, width=2.8).caption(
    "Figure 4. A RoI that fits the star, and the same RoI moved to the left "
    "by one of its 14 bins, about 3 pixels of the 96 that the model sees."
)

# %%
@torch.no_grad()
def roi_features(image, boxes):
    """The boxes' features [R, 64, 14, 14] by backbone and RoIAlign."""
    levels = model.features(model.preprocess([image]))
    table = feature_table(levels[: len(model.strides)])
    return model.pool(table, [boxes], 14)


x = roi_features(scene, box)
x_moved = roi_features(scene, moved_box)
difference = (x_moved[..., 1:] - x[..., :-1]).abs().max()
print(f"13 columns are the same, to {difference:.5f}")

# %% [markdown]
# So `x_moved` is `x`, shifted by one column, with a new column at the left. The mask has a grid
# twice as fine as the features, so it should move by two of its pixels. Written as a formula, with
# a head $h$, features $x$, and $T_s$ for a shift by $s$ positions to the right, we would like
#
# $$h(T_s\, x) = T_{2s}\, h(x) .$$
#
# A function that passes on a shift like this is called **equivariant** under shifts. It doesn't
# matter in which order you shift and compute.
#
# > **Predict.** Neither of our two heads has learned anything yet. Their weights are random. Does
# > the *random* FCN pass on the shift? And what does the random MLP's mask do?

# %%
maps, titles = [], []
for name, head in heads.items():
    with torch.no_grad():
        mask, mask_moved = head(x)[0, 1], head(x_moved)[0, 1]
    expected = mask[:, 4:22]  # two columns before
    found = mask_moved[:, 6:24]
    unmoved = mask[:, 6:24]
    off = (found - expected).abs().mean() / mask.std()
    change = (found - unmoved).abs().mean() / mask.std()
    print(f"{name}: {off:.2f} from expected, {change:.2f} from unmoved")
    maps += [expected, found]
    titles += [f"{name}: expected", f"{name}: found"]

viz.show_maps(maps, titles, signed=True).caption(
    "Figure 5. Columns 6 to 23 of what two untrained heads should output for "
    "the moved RoI, and of what they do output. The FCN's two maps are the "
    "same. The MLP's dark pixels appear two columns too far to the left."
)

# %% [markdown]
# **What happened.** The FCN passes on the shift exactly, whatever its weights are. At every
# position it applies the same weights to the same neighbors, so the same input one position further
# gives the same output one position further.
#
# The MLP's mask has not moved. In standard deviations of the mask, it is only 0.21 away from the
# old mask, and 1.18 from the mask that we expected. From one bin to the next, features change
# little, so the MLP sees nearly the same vector as before, and nothing tells it that all values
# have moved to a neighbor. What it outputs is tied to the box, and not to the object.
#
# We have only compared the columns from 6 to 23, and there is a reason. The two convolutions
# together look two positions to each side. Near the border they see the zeros of the padding or the
# new column, and neither has moved along with the star. So an FCN's equivariance ends a few
# positions from the border.
#
# This is a property of the architecture and costs no training. An MLP can learn to imitate it, but
# it has to learn it for each position separately. Whether it does is a question for an experiment.

# %% tags=["claim"]
assert difference < 1e-4
for name, expected, found in (("FCN", *maps[:2]), ("MLP", *maps[2:])):
    error = (found - expected).abs().mean() / expected.std()
    assert error < 1e-4 if name == "FCN" else error > 1
with torch.no_grad():
    before, after = (heads["MLP"](features)[0, 1].flatten() for features in (x, x_moved))
assert torch.corrcoef(torch.stack((before, after)))[0, 1] > 0.95
assert f"{off:.2f} {change:.2f}" == "1.18 0.21"  # the MLP's, which comes last
assert 3.0 < (box - moved_box)[0, 0] < 3.5

# %% [markdown]
# ## 5. Train them, and be fair
#
# We train both heads on the same RoIs. They come from the objects of 150 scenes, and the objects of
# 40 others are the **validation set**, on which we measure. The backbone is that of `shapes-tiny`
# and stays as it is, so we can compute all RoI features beforehand. Every RoI is an object's
# ground-truth box, perhaps shifted by some bins.

# %%
def rois_of(scenes, low, high, copies=1):
    """RoI features [R, 64, 14, 14] and target masks [R, 28, 28].

    Boxes are shifted by `low` to `high` bins in x and in y.
    """
    generator = torch.Generator().manual_seed(0)
    features, masks = [], []
    for index in range(len(scenes)):
        image, target = scenes[index]
        objects = torch.arange(len(target["boxes"])).repeat(copies)
        shape = len(objects), 2
        bins = torch.randint(low, high + 1, shape, generator=generator)
        boxes = shift_boxes(target["boxes"][objects], bins)
        features.append(roi_features(image, boxes))
        masks.append(mask_targets([target["masks"]], [boxes], [objects], 28))
    return torch.cat(features), torch.cat(masks)


# %% [markdown]
# A training step takes 32 RoIs at random. The **loss** compares the predicted masks with the
# targets pixel by pixel, by the binary cross-entropy of lesson 06. `backward` computes the loss's
# gradient, which says for each weight in which direction the loss grows, and the optimizer moves
# each weight a little the other way. Lesson 10 is about all that could be chosen here. For now, it
# is the same for both heads.

# %%
def train(head, features, masks, steps=150):
    """Let a head learn the masks."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    for _ in progress_bar(range(steps), "train"):
        rows = torch.randint(len(features), (32,), generator=generator)
        logits = head(features[rows])[:, 1]  # channel 0 is never used
        loss = binary_cross_entropy_with_logits(logits, masks[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


train_scenes, val_scenes = Shapes(150, seed=3), Shapes(40, seed=1)
train_data = rois_of(train_scenes, 0, 0)
for head in heads.values():
    train(head, *train_data)
print(f"trained on {len(train_data[0])} RoIs")

# %%
def iou(masks, gt_masks):
    """The IoU [N] of masks [N, H, W] and as many others."""
    both = (masks & gt_masks).sum(dim=(-2, -1))
    either = (masks | gt_masks).sum(dim=(-2, -1))
    return both / either.clamp(min=1)


@torch.no_grad()
def mean_iou(head, features, masks):
    """The mean IoU of a head's masks with their targets."""
    return iou(head(features)[:, 1] > 0, masks >= 0.5).mean().item()


val_data = [rois_of(val_scenes, bins, bins) for bins in range(5)]

# %% [markdown]
# > **Predict.** Both heads have learned from boxes that fit exactly. Whose masks of *new* objects
# > are better, if their boxes fit as exactly? And what happens to each of the two if every box is
# > shifted by one bin to the right and down, or by two, three or four? At two bins, a box still
# > has an IoU of 0.58 with the right one, which makes it a positive proposal.

# %% tags=["nbval-ignore-output"]
curves = {}
for name, head in heads.items():
    scores = [mean_iou(head, *data) for data in val_data]
    curves[name] = torch.tensor(scores)
    print(f"{name}:", *(f"{score:.2f}" for score in scores))

bins, label = torch.arange(5), "shift of the RoI, bins"
chart = viz.show_lines(bins, curves, label, "IoU of the mask")
chart.axes[0].set(ylim=(0, 1), xticks=range(5))
chart.caption(
    "Figure 6. Masks of the validation set by how far the RoI is shifted. The "
    "MLP is as good as the FCN while boxes fit, and falls behind at the first "
    "bin."
)

# %% [markdown]
# **What happened.** If the boxes fit, the MLP is just as good. All objects fill their boxes in much
# the same way, so it can learn what belongs where. But shift the box by one bin, and the MLP loses
# about a tenth in IoU, while the FCN loses next to nothing. At three bins the MLP's IoU is hardly
# more than one half. The FCN loses something, too, when the RoI cuts off a larger part of the
# object, which neither head has seen in training.
#
# A picture tells why. We return to the star, shift its RoI by three bins to the right, and paste
# both masks into the image.

# %% tags=["cover", "nbval-ignore-output"]
gt_mask = target["masks"][0]
pasted = {}
for shift in (0, 3):
    roi = shift_boxes(box, (shift, 0))
    for name, head in heads.items():
        with torch.no_grad():
            probs = head(roi_features(scene, roi))[:, 1].sigmoid()
        mask = paste_masks(probs, roi, (96, 96))[0]
        pasted[f"{name}, shifted by {shift}"] = mask

viz.show_differences(gt_mask, pasted).caption(
    "Figure 7. Pasted masks of the star. Gray is correct, green is missing, "
    "crimson is too much. With a shifted RoI, the FCN's star stays where it "
    "is, and the MLP's is drawn along by the box, and frays."
)

# %% [markdown]
# The FCN's mask stays on the star, except for the part on the left that is outside of the RoI. The
# MLP has learned where in a *box* an object is to be expected. So its mask follows the box to the
# right, although the features say something else.
#
# ### Is it only a lack of examples?
#
# You may object that the MLP has never seen a shifted box. That is right, and it is easy to mend.
# We train another MLP on boxes that are shifted at random, by up to two bins in each direction, and
# give it four times as many RoIs.
#
# > **Predict.** Where will its curve lie for shifts of 0, 1 and 2 bins, which it has seen? And for
# > 3 and 4 bins, which it has not?

# %% tags=["nbval-ignore-output"]
_ = torch.manual_seed(0)
taught = MaskHeadMLP(64, 14, hidden=128, n_layers=2, n_classes=1)
train(taught, *rois_of(train_scenes, -2, 2, copies=4))

scores = [mean_iou(taught, *data) for data in val_data]
curves["MLP, shifted boxes"] = torch.tensor(scores)
print("MLP, shifted boxes:", *(f"{score:.2f}" for score in scores))

chart = viz.show_lines(bins, curves, label, "IoU of the mask")
chart.axes[0].set(ylim=(0, 1), xticks=range(5))
chart.caption(
    "Figure 8. The same with an MLP that has learned from boxes shifted by "
    "up to two bins. It copes with what it has seen, and not with more."
)

# %% [markdown]
# **What happened.** Up to two bins the MLP now follows its object nearly as well as the FCN. Beyond
# that, it drops more than twice as fast. It has learned the shifts that it was shown, and little
# about those that it was not. The FCN had seen none of them, and needed none.
#
# This is what "keeping the layout" buys. It is not that an MLP could not do it, but that it must
# spend parameters and examples on something that a convolution knows from the start. Our scenes
# have six shapes, and an MLP can afford to learn six. Lesson 12 trains whole models on random blobs
# instead, no two of which are alike. There the MLP loses six to seven points of mask AP.

# %% tags=["claim"]
from mrcnn_edu.ablations import precomputed

fcn_curve, mlp_curve, taught_curve = curves.values()
assert abs(mlp_curve[0] - fcn_curve[0]) < 0.05 and 0.75 < fcn_curve[0] < 0.88
assert round((12 / 14) ** 2 / (2 - (12 / 14) ** 2), 2) == 0.58
assert fcn_curve[0] - fcn_curve[1] < 0.03 and 0.08 < mlp_curve[0] - mlp_curve[1] < 0.15
assert 0.45 < mlp_curve[3] < 0.6 and mlp_curve[3] < fcn_curve[3] - 0.15
assert (taught_curve[:3] - fcn_curve[:3]).abs().max() < 0.05  # seen
assert taught_curve[2] - taught_curve[4] > 2 * (fcn_curve[2] - fcn_curve[4])  # not seen
blobs = precomputed("2e")
for setting in blobs.table.settings[1:]:
    assert -8 < blobs.difference(setting).low < blobs.difference(setting).high < -5

# %% [markdown]
# ## 6. From 14 to 28: the deconvolution
#
# One layer of the mask head is still a mystery. How does it get from 14 × 14 to 28 × 28? FPN, in
# lesson 04, simply repeated each value four times. The mask head uses a layer with weights, a
# **deconvolution**, also called transposed convolution.
#
# In a convolution, each output collects from several inputs. A deconvolution turns this around.
# Each *input* value is multiplied with a whole kernel, and the result is stamped onto the output.
# With stride $s$, the stamps of neighbors lie $s$ positions apart, and where stamps overlap, they
# are added. Input position $(i, j)$ contributes to the outputs
#
# $$y_{\,si + a,\; sj + b} \mathrel{+}= x_{i,j}\, W_{a,b}, \qquad 0 \le a, b < k ,$$
#
# for a kernel of $k \times k$ weights. From $n$ input positions along one axis we get
#
# $$(n - 1)\, s + k$$
#
# outputs. The mask head has $k = s = 2$, so the stamps lie side by side, nothing overlaps, and 14
# positions become $13 \cdot 2 + 2 = 28$. The name promises too much. A deconvolution doesn't undo a
# convolution.
#
# In code, with $k = s = 2$ and many channels, each pair of an input and an output channel has a
# kernel of its own, and a stamp is the sum over the input channels.

# %%
def deconvolve(x, weight, bias):
    """[C, H, W] and weight [C, D, 2, 2] to [D, 2 H, 2 W]."""
    channels, height, width = x.shape
    output = torch.zeros(weight.shape[1], 2 * height, 2 * width)
    for i in range(height):
        for j in range(width):
            values = x[:, i, j].view(channels, 1, 1, 1)
            stamp = (values * weight).sum(dim=0)  # [D, 2, 2]
            output[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = stamp
    return output + bias[:, None, None]


# %% [markdown]
# > **Predict.** The input is the row (1, 2), and the kernel has the rows (1, 0) and (0, −1). What
# > is the 2 × 4 output?

# %%
values = torch.tensor([[1.0, 2.0]])
kernel = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
output = deconvolve(values[None], kernel[None, None], torch.zeros(1))[0]

titles = ["input", "kernel", "output"]
maps = [values, kernel, output]
viz.show_maps(maps, titles, signed=True, numbers=".0f", high=2).caption(
    "Figure 9. Each input value stamps the kernel, multiplied by the value, "
    "onto the output. The two stamps lie side by side."
)

# %% [markdown]
# **What happened.** On the left stands the kernel, and beside it the kernel times two. If you
# expected values between 1 and 2, you thought of bilinear interpolation, which smooths and has
# nothing to learn. Here each quarter of a stamp has weights of its own, so the head can *learn* to
# draw an edge between the quarters. You have seen such weights before they have learned anything.
# They are the fine pattern in the FCN's maps in figure 5.
#
# Our loop and the model's own layer agree, and the forward pass of the mask head is a single line.
# The names of its layers are torchvision's, so that published weights fit.

# %%
layer = model.mask_head.conv5_mask
features = torch.rand(48, 14, 14)
with torch.no_grad():
    by_hand = deconvolve(features, layer.weight, layer.bias)
    by_pytorch = layer(features[None])[0]
print(f"largest difference: {(by_hand - by_pytorch).abs().max():.4f}")
print(getsource(MaskHeadFCN.forward))

# %% [markdown]
# Why are kernel and stride equal? With $k = 3$ and $s = 2$, some outputs would collect from one
# stamp and others from two or four, in a regular pattern. Networks that generate images with such
# layers are known for [checkerboards](https://doi.org/10.23915/distill.00003) in their output. If
# $k$ is a multiple of $s$, every output collects from the same number of stamps.

# %% tags=["claim"]
assert output.tolist() == [[1, 0, 2, 0], [0, -1, 0, -2]]
assert (by_hand - by_pytorch).abs().max() < 1e-4

# %% [markdown]
# ## 7. Where the work is done
#
# Back to figure 3, and to the upper head. Its **res5** is a whole stage of a ResNet, three blocks
# of convolutions with up to 2,048 channels, and it runs for every single RoI. The FPN's box head
# has two fully connected layers instead. Which of them is more work?
#
# We count multiplications, each with the addition that follows it. A fully connected layer uses
# every weight once. A convolution uses every weight once *at each position of its output*, and a
# deconvolution once at each position of its input. Lesson 17 counts whole detectors like this.

# %%
def conv_work(positions, kernel_area, inputs, outputs):
    """Millions of multiply-adds of a convolution or deconvolution."""
    return positions * kernel_area * inputs * outputs / 1e6


first_conv = conv_work(14 * 14, 3 * 3, 256, 256)
print(f"first convolution of FPN's mask head: {first_conv:.0f} million")

# %% [markdown]
# > **Predict.** The box head for FPN has 14 million parameters, and res5 has 15 million. How much
# > work is res5 for one RoI, compared with that box head: about as much, 5 times as much, or 50
# > times?

# %%
res5_weights = 14_942_208  # of its convolutions, which have no biases
millions = {  # output layers for class and box left out: they are small
    "C4": {
        "box": 7 * 7 * res5_weights / 1e6,
        "mask": conv_work(7 * 7, 2 * 2, 2048, 256)
        + conv_work(14 * 14, 1, 256, 80),
    },
    "FPN": {
        "box": (256 * 7 * 7 * 1024 + 1024 * 1024) / 1e6,
        "mask": 4 * first_conv
        + conv_work(14 * 14, 2 * 2, 256, 256)
        + conv_work(28 * 28, 1, 256, 80),
    },
}
print("millions of multiply-adds for one RoI")
for name, parts in millions.items():
    print(f"{name:3}  box {parts['box']:4.0f}  mask {parts['mask']:4.0f}")

# %% [markdown]
# **What happened.** It is 53 times as much, 732 million against 14. The two have about as many
# parameters, but res5 is convolutional, and uses each of its weights at 49 positions.
#
# For the mask it is the other way around. The FPN's mask head does about five times the work. So
# which choice is better? That depends on how often each branch runs. The box branch runs for every
# proposal, 300 for C4 and 1,000 for FPN in the paper. The mask branch only runs for the 100 best
# detections. With C4, it needs res5 once more for these, because their boxes have been refined.

# %%
counts = {"C4": (300, 100), "FPN": (1000, 100)}
work = {}
for name, (n_proposals, n_masks) in counts.items():
    parts = millions[name]
    mask = parts["mask"] + (parts["box"] if name == "C4" else 0)
    work[name] = {
        "boxes": n_proposals * parts["box"] / 1e3,
        "masks": n_masks * mask / 1e3,
    }
viz.show_parts(work, "billions of multiply-adds for one image").caption(
    "Figure 10. The work of the heads for one image. FPN does most of it for "
    "the masks of a hundred detections, C4 for the boxes of all proposals."
)

# %% [markdown]
# The heads for FPN need less than a quarter of the work, although they look at more than three
# times as many proposals. What res5 computes for each region, an FPN has computed once for the
# whole image. [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 4.4, reports about 400 ms for
# an image with C4 and 195 ms with FPN, both with ResNet-101, and advises against C4 in practice.

# %% tags=["claim"]
from mrcnn_edu.backbone import stage
from mrcnn_edu.backbone_choices import Bottleneck, FrozenBatchNorm2d

with torch.device("meta"):
    res5 = stage(Bottleneck, 3, 1024, 512, stride=1, norm=FrozenBatchNorm2d)
assert sum(p.numel() for p in res5.parameters() if p.ndim == 4) == res5_weights
rounded = {name: [round(count) for count in parts.values()] for name, parts in millions.items()}
assert rounded == {"C4": [732, 107], "FPN": [14, 530]}
assert round(millions["C4"]["box"] / millions["FPN"]["box"]) == 53
assert 4.5 < millions["FPN"]["mask"] / millions["C4"]["mask"] < 5.5
assert 0.2 < sum(work["FPN"].values()) / sum(work["C4"].values()) < 0.25

# %% [markdown]
# ## 8. What can m × m pixels show?
#
# Whatever its weights are, a mask head outputs $m \times m$ pixels, and these are stretched over
# the box. No head can be better than its grid allows. How much is that? We don't need a network to
# find out. We cut *ground-truth* masks to $m \times m$ pixels inside their boxes, exactly as the
# head's targets are cut, and paste them back. The IoU with the original is the **upper bound** for
# this $m$, the score of a perfect head.

# %%
def through(masks, boxes, m):
    """Masks [M, H, W], cut to m x m inside their boxes and pasted back."""
    cut = mask_targets([masks], [boxes], [torch.arange(len(boxes))], m)
    return paste_masks(cut, boxes, masks.shape[-2:])


settings = {"object_size": (0.06, 0.9), "n_objects": (1, 4), "overlap": 0}
large_scenes = Shapes(120, size=384, seed=1, **settings)
sizes = []
best = {56: [], 28: [], 14: [], 7: []}  # m: the IoUs of a perfect head
for index in range(len(large_scenes)):
    _, target = large_scenes[index]
    boxes, masks = target["boxes"], target["masks"]
    sizes.append((boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt())
    for m in best:
        best[m].append(iou(through(masks, boxes, m), masks))
sizes = torch.cat(sizes)

# %% [markdown]
# > **Predict.** With the paper's $m = 28$, which objects lose most: those of 30 pixels, or those of
# > 300 pixels? And how much is it, about 1 %, 10 % or 30 %?

# %%
edges = [0, 32, 64, 128, 192, 256, 384]


def mean_by_size(values):
    """The mean of values [N], for the objects between two edges each."""
    means = []
    for low, high in pairwise(edges):
        means.append(values[(sizes >= low) & (sizes < high)].mean())
    return torch.stack(means)


bounds = {f"m = {m}": mean_by_size(torch.cat(best[m])) for m in best}
mean_sizes = mean_by_size(sizes)
label = "size of the object, pixels"
viz.show_lines(mean_sizes, bounds, label, "IoU of a perfect head").caption(
    f"Figure 11. The upper bound for {len(sizes)} objects by their size. "
    "With 28 × 28 pixels, large objects lose more than small ones, but from "
    "100 pixels on the curve is nearly flat."
)

# %% [markdown]
# **What happened.** The large ones, but only a little, between 1 and 2 %. An object of 30 pixels
# fits into 28 mask pixels nearly one to one. At 300 pixels, each mask pixel is 11 image pixels
# wide, and the object's outline becomes coarse. Yet from about 100 pixels on, the curve is nearly
# flat. If an object grows, its mask pixels grow with it, and so does its outline, so the *fraction*
# that is wrong stays the same.
#
# For compact objects like ours, even $m = 14$ leaves more than 0.95. The FCN of figure 6 reached
# about 0.8. So the head's own mistakes are much larger, and the grid is rarely the limit. But there
# is an exception.

# %% tags=["claim"]
curve = bounds["m = 28"]
assert curve[0] > 0.99 and 0.98 < curve[-1] < 0.99
assert 85 < mean_sizes[2] < 105 and (curve[2:] - curve[-1]).abs().max() < 0.005
assert bounds["m = 14"].min() > 0.95 and bounds["m = 7"].min() > 0.85
assert round(300 / 28) == 11 and (bounds["m = 14"][-3:] - bounds["m = 14"][-1]).abs().max() < 0.01

# %% [markdown]
# ## Where it breaks: a thin ring
#
# A ring is 100 pixels across, and 4 pixels thick. Could you draw it with 28 × 28 mask pixels?

# %%
squared = (torch.arange(128) + 0.5 - 64) ** 2
distance = (squared[:, None] + squared).sqrt()  # from the center
ring = (distance <= 50) & (distance > 46)
around = torch.tensor([[14.0, 14.0, 114.0, 114.0]])

# %% [markdown]
# > **Predict.** We cut the ring to 7 × 7, 14 × 14, 28 × 28 and 56 × 56 mask pixels, and paste it
# > back. What is left of it in each case? Remember that a pixel belongs to the pasted mask if its
# > value is at least one half.

# %%
pasted = {}
for m in (7, 14, 28, 56):
    mask = through(ring[None], around, m)[0]
    pasted[f"m = {m}: IoU {iou(mask, ring):.2f}"] = mask
viz.show_differences(ring, pasted).caption(
    "Figure 12. A thin ring after its way through m × m mask pixels. Gray is "
    "correct, green is missing, crimson is too much. The coarsest grid loses "
    "all of it."
)

# %% [markdown]
# **What happened.** At $m = 7$, a mask pixel spans 14 image pixels. A ring 4 pixels thick never
# covers even a third of it, so everything falls below one half. At $m = 14$ the mask pixels are 7
# wide, and only a few of them are just over half covered. Those are the crumbs that survive. With
# 28 × 28 most of the ring is back.
#
# What makes this dangerous is *where* the ring is lost. It is already gone from the training
# target. A network could reach zero loss and still predict an empty mask, and nothing would warn
# you. So if your objects are thin, such as cables, letters or glasses, compute the upper bound
# before you train, and raise `mask_size` if you have to.

# %% tags=["claim"]
scores = [iou(mask, ring).item() for mask in pasted.values()]
assert scores[0] == 0 and scores[1] < 0.2 and 0.8 < scores[2] < 0.95 < scores[3]
covered = {m: mask_targets([ring[None]], [around], first_object, m)[0] for m in (7, 14)}
assert covered[7].max() < 1 / 3 and 0.5 < covered[14].max() < 0.6
assert (covered[14] > 0.5).float().mean() < 0.2

# %% [markdown]
# ## Play: a frame in m × m pixels
#
# The player draws a frame in the shape of a star, cuts it to $m \times m$ mask pixels, and pastes
# it back. With a thickness of 20 %, the frame's inner outline is 20 % smaller than the outer one.
#
# 1. Take a thickness of 20 %. Which $m$ is the first with an IoU of 0.9?
# 2. Halve the thickness. Which $m$ do you need now? Is it twice the first one?
# 3. Go back to 20 %, and change the size from 52 to 300 pixels. Does $m$ have to grow as much?
#    Explain the answer with figure 11.

# %%
from mrcnn_edu.course.widgets import heads_player

heads_player().caption(
    "Figure 13. A star-shaped frame, cut to 14 × 14 mask pixels and pasted "
    "back. Little more than its tips survives."
)

# %% [markdown]
# ## Exercise 1: the parameters of the mask head
#
# ★☆☆ · about 5 minutes
#
# Write `fcn_parameters(in_channels, channels, n_convs, n_classes)`. Return the number of parameters
# of a `MaskHeadFCN`, biases included, without building one. It has `n_convs` 3 × 3 convolutions (at
# least one), of which the first reads `in_channels` channels. They output `channels` channels each,
# and so does the 2 × 2 deconvolution. The 1 × 1 convolution outputs `n_classes + 1` masks,
# one of them for background.
#
# For example, `fcn_parameters(1, 1, 1, 1)` is 19. The convolution has 9 weights and a bias, the
# deconvolution 4 and a bias, and the last layer 2 weights and 2 biases.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Three terms of the form <em>(k² C + 1) C'</em>, and the first of them <code>n_convs</code> times.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Only the first convolution reads <code>in_channels</code>. The others read <code>channels</code>.
# </details>
# <details><summary><b>Hint 3</b>: what it should give</summary>
# <code>fcn_parameters(64, 48, 2, 1)</code> is that of our own FCN: compare it with
# <code>sum(p.numel() for p in heads["FCN"].parameters())</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Add up the convolutions in two terms, the first one and the other `n_convs - 1`. Our code:
# `exercises.fcn_parameters??`.
# </details>

# %%
from mrcnn_edu.course.exercises import heads as exercises


def fcn_parameters(in_channels, channels, n_convs, n_classes): ...


exercises.check_fcn_parameters(fcn_parameters)

# %% [markdown]
# ## Exercise 2: a deconvolution whose stamps overlap
#
# ★★☆ · about 10 minutes
#
# Write `deconvolve(values, kernel, stride)` for a map `[h, w]` and a kernel `[k, k]`, both with a
# single channel. Return a map of height `(h - 1) * stride + k` and width `(w - 1) * stride + k`. If
# `stride` is smaller than k, stamps overlap, and there they *add*. If it is larger, there are gaps,
# which stay 0.
#
# For example, the input `[[1., 1.]]` and a 2 × 2 kernel of ones give, with stride 1, the output
# `[[1., 2., 1.], [1., 2., 1.]]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Begin with zeros of the right size. Go through all input positions, and add a stamp for each.
# </details>
# <details><summary><b>Hint 2</b>: where a stamp begins</summary>
# The stamp of position (i, j) begins in row <code>i * stride</code> and column
# <code>j * stride</code>.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# In the lesson, stamps are assigned with <code>=</code>. Here that would overwrite what a neighbor
# has left.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Two loops, and `+=` in the innermost line. Our code: `exercises.deconvolve??`.
# </details>

# %%
def deconvolve(values, kernel, stride): ...


exercises.check_deconvolve(deconvolve)

# %% [markdown]
# ## Exercise 3: the upper bound of one mask
#
# ★★☆ · about 15 minutes
#
# Write `upper_bound(mask, m)` for a square mask `[S, S]` of bool that is not empty. S is a multiple
# of m. Divide the mask into m × m blocks, and compute the mean of each. A block whose mean is at
# least 0.5 becomes entirely True, any other block entirely False. Return the IoU of the result with
# the mask.
#
# For example, take a mask of 4 × 4 pixels whose upper left 3 × 3 pixels are True, and m = 2. The
# blocks have the means 1, 0.5, 0.5 and 0.25, so three of them are kept, and the IoU is 8 / 13.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# There are S / m pixels along one side of a block. <code>view</code> can give blocks two
# dimensions of their own, over which you take the mean.
# </details>
# <details><summary><b>Hint 2</b>: the first line</summary>
# <code>small = mask.float().view(m, S // m, m, S // m).mean(dim=(1, 3))</code>
# </details>
# <details><summary><b>Hint 3</b>: the way back</summary>
# <code>repeat_interleave</code>, once for the rows and once for the columns.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Compare the means with 0.5, repeat each block, and divide intersection by union. Our code:
# `exercises.upper_bound??`.
# </details>

# %%
def upper_bound(mask, m): ...


exercises.check_upper_bound(upper_bound)

# %% [markdown]
# ## Exercise 4: the whole mask head
#
# ★★★ · 40 to 50 minutes
#
# All layers of the mask head are sums of products. Write the whole head yourself, with nothing but
# ordinary operations on tensors, and nothing of `torch.nn`:
#
# `mask_head(roi_features, convs, deconv, predictor)`
#
# `roi_features` is `[R, C, P, P]`, and R may be 0. A layer is a pair (weight, bias), with the same
# shapes as in PyTorch.
#
# 1. `convs` is a list of 3 × 3 convolutions with weights `[D, C, 3, 3]` and biases `[D]`. Output
#    channel d at position (i, j) is the bias plus the sum of `weight[d, c, a, b]` times the input's
#    channel c at (i + a − 1, j + b − 1), over all c, a and b. Outside of the map, the input is 0.
#    After each convolution, negative values become 0. The list may be empty.
# 2. `deconv` has a weight `[D, E, 2, 2]` and a bias `[E]`. It is a deconvolution with stride 2, and
#    negative values become 0 afterward.
# 3. `predictor` has a weight `[K + 1, E, 1, 1]` and a bias `[K + 1]`. At each position, it takes
#    weighted sums of the E channels. There is no ReLU after it.
#
# Return the mask logits `[R, K + 1, 2 P, 2 P]`.
#
# For example, without any convolution, and with a deconvolution and a predictor whose weights are
# all 1 and whose biases are all 0, each value of a single channel becomes a square of four.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Write a function for each of the three kinds of layers, and compare each of them with PyTorch's on
# random tensors: <code>torch.nn.functional.conv2d(..., padding=1)</code> and
# <code>conv_transpose2d(..., stride=2)</code>.
# </details>
# <details><summary><b>Hint 2</b>: a convolution without a loop over positions</summary>
# Put the input into a tensor of zeros that is larger by one on each side. For each of the nine
# positions (a, b) of the kernel, the slice <code>padded[:, :, a : a + P, b : b + P]</code> holds
# what that weight is multiplied with, for all positions at once.
# </details>
# <details><summary><b>Hint 3</b>: the sum over channels</summary>
# <code>torch.einsum("dc,rcij->rdij", weight[:, :, a, b], window)</code>
# </details>
# <details><summary><b>Hint 4</b>: the deconvolution</summary>
# Stamps don't overlap. So weight (a, b) alone decides on every second row from a on, and every
# second column from b on: <code>larger[:, :, a::2, b::2] = ...</code>
# </details>
# <details><summary><b>Hint 5</b>: two traps</summary>
# The weight of a deconvolution has its <em>input</em> channels first. And the ReLU comes after the
# bias.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Nine weighted slices, then four, then one. Our code: `larger_task.mask_head??`.
# </details>

# %%
from mrcnn_edu.course.exercises import mask_head as larger_task


def mask_head(roi_features, convs, deconv, predictor): ...


larger_task.check_mask_head(mask_head)

# %% [markdown]
# When the check says "ok", run your head with the weights of `shapes-tiny`, and look at the six
# masks that it predicts for our star. Lesson 09 looks at this picture.
#
# ```python
# trained = model.mask_head
# convs = [(conv[0].weight, conv[0].bias) for conv in trained.convs]
# deconv = (trained.conv5_mask.weight, trained.conv5_mask.bias)
# predictor = (trained.mask_fcn_logits.weight, trained.mask_fcn_logits.bias)
# logits = mask_head(roi_features(scene, box), convs, deconv, predictor)
# viz.show_maps(list(logits[0, 1:].sigmoid()), list(model.classes), high=1)
# ```

# %% [markdown]
# ## Remember
#
# - A fully connected layer doesn't know which of its inputs are neighbors. For a class and a box
#   that is good enough, and for a mask it is not.
# - The mask head is a fully convolutional network. It needs far fewer parameters, and its mask
#   moves along with its object without having learned it.
# - A deconvolution stamps a learned kernel for each input value. With kernel and stride 2 it
#   doubles height and width.
# - Heads for FPN are light where they run often, and heavier where they run only for the
#   detections.
# - $m \times m$ pixels are enough for compact objects of any size, and not for thin ones.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `BoxHead` | `TwoMLPHead`, `FastRCNNPredictor` | `FastRCNNConvFCHead`, `FastRCNNOutputLayers` |
# | `MaskHeadFCN` | `MaskRCNNHeads`, `MaskRCNNPredictor` | `MaskRCNNConvUpsampleHead` |
# | `Res5BoxHead` | – | `Res5ROIHeads` |
# | `mask_size` 28 | `MultiScaleRoIAlign(output_size=14)` | `ROI_MASK_HEAD.POOLER_RESOLUTION` 14 |
#
# The size of the mask is given by that of its RoI features in both libraries, since the head
# doubles it. torchvision has no C4 head and no MLP for masks.
#
# What came after? [Cascade R-CNN](https://arxiv.org/abs/1712.00726) puts several box heads in a
# row, each of which gets better boxes than the one before.
# [PointRend](https://arxiv.org/abs/1912.08193) starts from a coarse mask and predicts single points
# along its outline, as finely as one likes, with a small MLP at each point. So the resolution is no
# longer fixed, and the fully connected layer is back, where there is no layout to lose. [Boundary
# IoU](https://arxiv.org/abs/2103.16562) is a measure that notices what $m \times m$ pixels lose,
# and to which mask IoU is nearly blind for large objects.
#
# **Next:** all parts of the network are there. Lesson 09, [the mask loss](09_mask_loss.ipynb), asks
# which of the K masks should learn from an object. If you would rather know what all the parts
# cost, lesson 17, [what each part costs](17_costs.ipynb), can be read now.
