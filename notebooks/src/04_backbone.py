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
# # 04 · Backbone and pyramid: which map should an object be read from?
#
# A network sees an image through feature maps that get smaller and smaller. A small object is lost
# on the coarse ones, and the fine ones see too little at once.
#
# After this lesson (60 minutes) you can
#
# - compute the size of every map, and what part of the image one of its values can see;
# - measure that on a network, and say why it uses less;
# - build a feature pyramid by hand, and say what it adds to a single map;
# - say from which level a box is read, and what goes wrong if it is another.

# %%
from inspect import getsource

import torch

from mrcnn_edu import load, roi_ops, viz
from mrcnn_edu.data import Shapes

viz.show_flow("features")

# %% [markdown]
# ## The problem
#
# The **backbone** is the part of the network that all others share: here a small **ResNet**, a
# stack of 3 x 3 convolutions in which every pair adds its result to its input. It outputs three
# **feature maps**, C2, C3 and C4 (the 4 means stride 2^4 = 16). At each position a map has many
# values, or **features**, one in each of its *channels*. We paint the objects over with the image's
# mean color, and draw how much the features at each position change.

# %%
model = load("shapes-tiny").eval().requires_grad_(False)
image, target = Shapes(1000, seed=1)[395]
painted = torch.where(target["masks"].any(dim=0), image.mean(dim=(1, 2), keepdim=True), image)
maps, without = (model.backbone(model.preprocess([i]).images) for i in (image, painted))

# %% tags=["cover"]
changes = [(a - b)[0].norm(dim=0) for a, b in zip(maps, without, strict=True)]
picture = viz.show_maps(changes, ["C2, stride 4", "C3, stride 8", "C4, stride 16"], image)
picture.caption("Light: changes much. On which of the maps can you find the small triangle?")

# %% [markdown]
# Only on C2: on C4 what changes most is not even where an object is, since its values see far
# (section 2).
#
# ## 1. A convolution of stride 2 halves a map
#
# A 3 x 3 convolution looks at a square of 3 x 3 positions. With **stride** 2 it moves on by two;
# with **padding** 1 there is a border of zeros, one wide, around the map. So n values in a row
# become `(n + 2 padding - kernel) // stride + 1`.
#
# The stride of a *map* is the product of all strides up to it: the distance between two of its
# positions, in pixels.
#
# **Predict:** the paper's ResNet-50, which halves five times, on an image of 800 x 1090 pixels. How
# wide is its last map: 34 positions, or 35?


# %%
def map_size(size, kernel=3, stride=2, padding=1):
    return (size + 2 * padding - kernel) // stride + 1


size, sizes = 96, []
for _ in range(4):  # four convolutions of stride 2; those of stride 1 change nothing
    size = map_size(size)
    sizes.append(size)
print("by hand:", sizes, "  the maps:", [tuple(level.shape[1:]) for level in maps])
assert sizes[1:] == [level.shape[-1] for level in maps]

# %%
from mrcnn_edu.backbone_choices import BACKBONES, FrozenBatchNorm2d

# FrozenBatchNorm2d: each channel times a fixed factor, plus a fixed shift.
with torch.device("meta"):  # shapes only: no value is computed
    for level in BACKBONES["resnet50"](3, FrozenBatchNorm2d)(torch.rand(1, 3, 800, 1090)):
        print(tuple(level.shape[1:]))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 35: each halving rounds *up*, 1090, 545, 273, 137, 69, 35. (34 would be 1090 / 32, rounded down.)
# Twice 35 is not 69, and section 4 doubles maps; they could be stretched, but then their positions
# would not lie over each other. So images are padded to multiples of 32. The fewer the positions,
# the more channels there are: from 256 to 2048.
# </details>
#
# ## 2. The receptive field: what one value can see
#
# The **receptive field** of a value is the square of pixels that can change it. It starts at 1,
# and each layer adds `(kernel - 1)` times the product of the strides *before* it, which is the
# distance in pixels between the values that the layer reads.
#
# **Predict:** a value of C4 stands for 16 x 16 pixels. How wide is what it can see: 16, 48 or more
# than the whole image of 96?


# %%
def receptive_field(strides):  # of 3 x 3 convolutions
    field = step = 1
    for stride in strides:
        field, step = field + (3 - 1) * step, step * stride
    return field


# %%
convolutions = [2, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1]  # their strides; C2, C3, C4 end after 5, 9, 11
fields = [receptive_field(convolutions[:n]) for n in (5, 9, 11)]
print(fields)

# %% [markdown]
# Now by experiment. The **gradient** of a value tells, for each pixel (or weight, or box), how fast
# the value changes when that pixel changes a little; `torch.autograd.grad` computes it. Where it is
# not 0 a pixel can change the value; all others cannot.

# %%
noise = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0)).requires_grad_()
gradients = []
for level in model.backbone(noise):
    middle = level[0, :, level.shape[2] // 2, level.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, noise, retain_graph=True)
    gradients.append(gradient[0].abs().sum(dim=0))
assert [(gradient.sum(dim=0) > 0).sum() for gradient in gradients] == fields

# %%
titles = [f"{name}: {field} pixels" for name, field in zip(("C2", "C3", "C4"), fields, strict=True)]
strength = [(gradient > 0) * 0.25 + gradient / gradient.max() for gradient in gradients]
picture = viz.show_maps(strength, titles, high=1)
picture.caption("192 x 192 pixels. Purple: can change the middle value. Light: changes it much.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 135 pixels, more than the image. (48 pixels, three positions, is what the *last* convolution sees
# of its input at that stride.) Formula and gradient agree to the pixel.
# </details>
#
# But most of the square is dark. Far fewer paths lead from its border to the value than from its
# middle: the **effective** receptive field is bell-shaped, and smaller.

# %%
profiles = [gradient.sum(dim=0) / gradient.sum() for gradient in gradients]
for field, profile in zip(fields, profiles, strict=True):
    half = (profile.sort(descending=True).values.cumsum(0) < 0.5).sum().item() + 1
    assert half < field / 2
    print(f"{field:3} columns of pixels, {half:2} of which have half of the gradient")

# %%
lines = dict(zip(titles, profiles, strict=True))
picture = viz.show_lines(torch.arange(192), lines, "column of pixels", "fraction of the gradient")
picture.caption("Wide at the foot, narrow where it counts.")

# %% [markdown]
# ## 3. One map for all objects, or several
#
# The paper's **C4** variant reads every object from one map of stride 16. A **grid cell** is the
# square of stride x stride pixels around one position.
#
# **Predict:** an object of 12 x 12 pixels: how many grid cells does it cover at stride 16, and at
# 4?

# %%
sizes, strides = torch.tensor([8, 12, 24, 48, 96]), torch.tensor([4, 8, 16])
cells = (sizes / strides[:, None]) ** 2
rows = [f"stride {stride}" for stride in strides.tolist()]
picture = viz.show_table(cells, rows, [f"{size} px" for size in sizes.tolist()], ".1f")
picture.caption("Grid cells that an object covers. Where is it less than one?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 0.6 of a cell, and 9 cells. So small objects should be read from fine maps. But a value of C2 sees
# 31 pixels at most: it never sees the whole of a larger object.
# </details>
#
# ## 4. A feature pyramid, by hand
#
# The **FPN** (feature pyramid network, figure 3 of its paper; in the code the model's `neck`)
# passes what the coarse maps know on to the fine ones. Its maps are the **levels**. (It is not a
# pyramid of images: the network sees the image once.) Its **top-down pathway** starts at the
# coarsest map: a 1 x 1 convolution (the *lateral connection*), which mixes the channels of each
# position separately, gives all maps the same number of channels; the coarser result is doubled,
# each value becoming 2 x 2, and added; a 3 x 3 convolution ends it.
#
# **Predict:** how far can a value of P2, the finest result, see: 31 pixels, like C2, or further?

# %%
lateral, smooth = model.neck.inner_blocks, model.neck.layer_blocks
c2, c3, c4 = maps
m4 = lateral[2](c4)
m3 = lateral[1](c3) + m4.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
m2 = lateral[0](c2) + m3.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
by_hand = [smooth[0](m2), smooth[1](m3), smooth[2](m4)]

# %%
*pyramid, extra = model.neck(maps)  # extra: one more level, of stride 32, only for the RPN
torch.testing.assert_close(by_hand, pyramid)
print(getsource(type(model.neck).forward))

# %%
p2 = model.neck(model.backbone(noise))[0][0, :, 24, 24].sum()
columns = torch.autograd.grad(p2, noise)[0].abs().sum(dim=(0, 1, 2)) > 0
assert columns.sum() > 135

# %%
others = model.neck(without)[:3]
changes = [(a - b)[0].norm(dim=0) for a, b in zip(pyramid, others, strict=True)]
picture = viz.show_maps(changes, ["P2, stride 4", "P3, stride 8", "P4, stride 16"], image)
picture.caption(f"A value of P2 sees {columns.sum()} columns of pixels. Compare P2 with C2.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Further: it has C4's receptive field, and the 3 x 3 adds to it. P2 has C2's positions and C4's
# view. That is the point of the top-down pathway.
# </details>
#
# ## 5. Which level a box is read from
#
# k = floor(4 + log2(√area / 224)) (FPN, equation 1): a box of 224 x 224 goes to the map of stride
# 2^4, one half as wide to 2^3. Our model's images are small, so it uses 80 instead of 224
# (`canonical_size`); where a level does not exist, the nearest one is read.
#
# **Predict:** the objects of our scenes are at most 48 pixels wide. Which levels are read?

# %%
from math import floor, log2


def level_by_hand(width, canonical_size):
    return min(max(floor(4 + log2(width / canonical_size)), 2), 4)


# %%
widths = torch.arange(8, 500)
boxes = torch.stack((0 * widths, 0 * widths, widths, widths), dim=1).float()  # squares
level = 2 + roi_ops.pyramid_level(boxes, (4, 8, 16), canonical_size=80)
assert level.tolist() == [level_by_hand(width, 80) for width in widths.tolist()]

# %%
paper = 2 + roi_ops.pyramid_level(boxes, (4, 8, 16, 32), canonical_size=224)
steps = [widths[1:][k.diff() > 0].tolist() for k in (level, paper)]
assert steps == [[40, 80], [112, 224, 448]]
lines = {"80, ours": level, "224, the paper's": paper + 0.03}
picture = viz.show_lines(widths, lines, "width of the box, pixels", "level k")
picture.caption("Where does each line step up? (One is raised a little, to be seen.)")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# P2 below 40 pixels, P3 from there on, and P4 never: the first step up is at 40, the second at 80.
# (The RPN still uses all levels.) The paper's steps are at 112, 224 and 448.
# </details>
#
# ## Where it breaks: every box from one level
#
# A large `canonical_size` sends every box to the finest level, a small one to the coarsest. **AP**
# is 100 if every object is found with a perfect mask (lesson 11); *small* is below 32 x 32 pixels,
# *medium* from there on.
#
# **Predict:** which costs more: everything from P2, or everything from P4?

# %%
from dataclasses import replace

from mrcnn_edu.evaluate import detect_all, evaluate

scenes, trained, ap = Shapes(100, seed=1), model.config, {}
for name, size in (("as trained", 80), ("all from P2", 1e6), ("all from P4", 1)):
    model.config = replace(trained, canonical_size=size)
    ap[name] = scores = evaluate(scenes, detect_all(model, scenes))
    print(f"{name:12} small {100 * scores.ap_small:3.0f}   medium {100 * scores.ap_medium:3.0f}")
model.config = trained
boxes = torch.cat([scenes[i][1]["boxes"] for i in range(100)])
assert 40 < (boxes[:, 2:] - boxes[:, :2]).max() <= 48
assert ap["all from P4"].ap < 0.01 and ap["all from P2"].ap > ap["as trained"].ap - 0.01
assert ap["all from P2"].ap_medium > ap["as trained"].ap_medium

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# All from P4 finds nothing. All from P2 is even *better* here. Only the few boxes over 40 pixels
# change their level; P2 sees far enough for them and has finer grid cells, and the heads met it
# most in training. (If you said P2: it is not C2, whose values see too little.) Why then the rule?
# A box of 500 pixels in a photograph covers 125 x 125 grid cells of P2, and 7 x 7 bins would have
# to stand for them. To be fair: the heads hardly ever met P4 in training, so part of this loss is
# habit, not blindness. This measures what a *wrong level* costs, not what training on one level
# would give.
# </details>
#
# ## Play
#
# Make the object larger. When does its level change, and how many grid cells does it cover just
# before and just after?

# %%
from mrcnn_edu.course.widgets import backbone_player

backbone_player(model.backbone.strides, model.config.canonical_size)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `exercises.receptive_field??`.
#
# **1.** `map_size(size, kernel, stride, padding)`: the height or width of a map after a
# convolution. 1 line.
#
# **2.** `receptive_field(layers)`: how many pixels, along one axis, a value sees after `layers`, a
# list of (kernel, stride) from first to last; 1 if it is empty. About 5 lines.
#
# **3.** `level_of(box, canonical_size)`: the whole number k, from 2 to 5, of the level that
# `box [4]` is read from. 3 lines.

# %%
from mrcnn_edu.course.exercises import backbone as exercises


def map_size(size, kernel, stride, padding): ...


def receptive_field(layers): ...


def level_of(box, canonical_size): ...


exercises.check_map_size(map_size)
exercises.check_receptive_field(receptive_field)
exercises.check_level_of(level_of)

# %% [markdown]
# ## Remember
#
# - Each stride of 2 halves a map and doubles the distance between its positions.
# - A value can see much more than its grid cell, and mostly uses the middle of what it sees.
# - A pyramid gives fine maps the coarse ones' view; each box is read from the level of its size.
#
# torchvision calls them `FeaturePyramidNetwork` and `LevelMapper`, detectron2 `FPN` and
# `assign_boxes_to_levels`. Next: **05, anchors**.
