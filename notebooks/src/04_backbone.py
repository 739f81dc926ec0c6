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
# **The question.** A network sees an image through feature maps that become coarser from layer to
# layer. How are these maps made, how much of the image does a value in them see, and from which map
# should an object be read?
#
# **You will be able to**
#
# - compute the size and the stride of a feature map, and say why images are padded to multiples of
#   32;
# - explain why backbones are built of residual blocks, with a measurement of your own;
# - compute a receptive field, and say why only its middle matters much;
# - build a feature pyramid by hand, and say what it has that separate maps lack;
# - say from which level a box is read, and what our experiments say about that rule.
#
# *Time: 175 minutes, of which 80 are for the exercises. You need lessons 00 and 02. Reading:
# [ResNet](https://arxiv.org/abs/1512.03385), section 3, and
# [FPN](https://arxiv.org/abs/1612.03144), sections 3 and 4.*

# %%
from dataclasses import replace

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from mrcnn_edu import load, roi_ops, viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes

viz.show_architecture("features").caption(
    "Figure 1. This lesson is about the highlighted stage. It runs once for "
    "the whole image, and everything that follows reads its maps."
)

# %% [markdown]
# ## Four objects at three resolutions
#
# Let's see what is at stake before we build anything. The scene below shows a large ring, a cross,
# a star and a small triangle. Next to it you see the same scene three times, coarser and coarser.
# Each square has the average color of the 4 × 4, 8 × 8 or 16 × 16 pixels in its place. A real
# feature map describes each square by many learned values instead of one color, but it has exactly
# this layout.

# %%
scenes = Shapes(1000, seed=1)
image, target = scenes[471]  # [3, 96, 96]
large, _ = Shapes(1000, seed=1, render_size=384)[471]  # for our eyes

coarse = {f"stride {s}": avg_pool2d(image, s) for s in (4, 8, 16)}
viz.show_images({"the image": large, **coarse}).caption(
    "Figure 2. One scene, averaged over squares of 4, 8 and 16 pixels. At "
    "stride 16 the ring still covers several squares, but the triangle is "
    "smaller than one, and nothing is left of its shape."
)

# %% [markdown]
# A point of such a grid is a **location**, and the distance between two neighboring locations, in
# pixels of the image, is the map's **stride**. We call the square of pixels around one location a
# **grid cell**. At stride 4 you can still tell the four objects apart. At stride 16 the triangle is
# one pale square, and nothing computed from that color alone can bring its shape back. A feature
# map has more room, because it has many values for each square. How much that helps, we will
# measure further below.
#
# So why not read everything from the finest map? Because a location should know more than what its
# own few pixels look like. To tell whether they belong to the rim of a ring or to the tip of a
# star, it has to look around, and looking around takes many layers. We want maps that are fine
# *and* see far. These two wishes are in conflict, and the conflict is the subject of this lesson.
#
# ## 1. What a convolution makes of an image
#
# The **backbone** is the part of the network that turns the image into feature maps, which all
# other parts share. It consists mostly of convolutions. A **convolution** slides a small square of
# weights, its kernel, over a map. The kernel has weights for every channel of that map. At each
# position the convolution multiplies the weights by the values under them and adds up the products.
# The sums form one **channel** of the output, and a convolution has as many kernels as its output
# has channels. A **feature map** is such an output: a grid of locations with one value, called a
# **feature** or an **activation**, for each channel.
#
# How large is the output? Take one row of $n$ values. **Padding** puts $p$ zeros before and after
# it, so that the kernel can stand at the border, too. The kernel is $k$ values wide. It starts at
# the left end of the padded row, moves on by the convolution's stride $s$, and stops when it no
# longer fits. So the number of outputs is
#
# $$n' = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1,$$
#
# as [Dumoulin and Visin](https://arxiv.org/abs/1603.07285) show with many beautiful drawings. With
# $k = 3$ and $p = 1$, a stride of 1 leaves the size as it is, and a stride of 2 halves it. A
# backbone uses both. Layers whose outputs have the same size form a **stage**, and the last map of
# each stage has a name: C2 is what the image has become after two halvings, C3 after three, C4
# after four. So the stride of the *map* $C_l$ is the product of the strides of all convolutions up
# to it, $2^l$. Here are the maps of our small network for the scene above.

# %%
model = load("shapes-tiny").eval().requires_grad_(False)
batch = model.preprocess([image]).images  # [1, 3, 96, 96], normalized
c2, c3, c4 = model.backbone(batch)

for name, level in {"C2": c2, "C3": c3, "C4": c4}.items():
    _, channels, height, width = level.shape
    print(f"{name}: {height} x {width} locations, {channels} channels")

# %% [markdown]
# Coarser maps have more channels. What do the channels contain? Let's look at five of the 48 that
# C2 has.

# %%
viz.show_channels(c2, large, channels=[16, 26, 42, 43, 22]).caption(
    "Figure 3. Five channels of C2, white where they are high. The first "
    "responds to empty paper and the second to contours. The others respond "
    "to horizontal, vertical and diagonal edges. Nobody told them to."
)

# %% [markdown]
# Don't be surprised by the odd rows and columns along the border, above all at the top and on the
# left. There the kernels see the zeros of the padding.
#
# Such edge detectors should be useful for other images as well. A convolution needs no particular
# size of image, so we can give the backbone a real photograph in all of its 512 × 512 pixels. It
# shows the astronaut Eileen Collins and comes with scikit-image. Our model has been trained on
# paper shapes alone, has never seen a photograph, and has no class for anything in it.
#
# To see all channels at once we reduce each location's feature vector to three numbers, its
# principal components, and show these as red, green and blue. The colors mean nothing by
# themselves. What counts is that similar colors stand for similar features.

# %% tags=["cover"]
from skimage.data import astronaut

photo = torch.from_numpy(astronaut() / 255).float().permute(2, 0, 1)
normalized = (photo[None] - 0.5) / 0.25  # as our model expects it
names = ["C2, stride 4", "C3, stride 8", "C4, stride 16"]
viz.show_feature_colors(model.backbone(normalized), photo, names).caption(
    "Figure 4. The features of a photograph as colors. C2 traces every "
    "contour. On C4 one can hardly guess that there is a person at all."
)

# %% [markdown]
# Early features are general. An edge is an edge, on paper and on a space suit, which is why a
# backbone that was trained on one kind of image is a good start for another. Late features are
# specific. C4 has learned to tell rings from stars, and here it finds neither. And of course C4 is
# also coarse, with only 32 × 32 locations for the whole photograph.
#
# > **Predict.** ResNet-50, the usual backbone of Mask R-CNN, halves its input five times. Suppose
# > the image is 800 pixels high and 1090 wide. How many locations wide is the last map, C5: 34 or
# > 35?

# %%
from mrcnn_edu.backbone_choices import BACKBONES

with torch.device("meta"):  # computes shapes, but no values
    resnet = BACKBONES["resnet50"](in_channels=3, norm=nn.BatchNorm2d)
    resnet_maps = resnet(torch.empty(1, 3, 800, 1090))
for number, level in enumerate(resnet_maps, start=2):
    print(f"C{number}: {list(level.shape[1:])}")

# %% [markdown]
# **What happened.** It is 35 locations wide. With $k = 3$ and $p = 1$, or $k = 7$ and $p = 3$ in
# the first layer, the formula rounds *up* at each halving: 1090, 545, 273, 137, 69, 35. If you said
# 34, you divided 1090 by 32 and rounded down, once, at the end.
#
# **Why are images padded to multiples of 32?** When we build the pyramid we will enlarge a coarse
# map by a factor of 2 and add it to the next finer one. But twice 35 is 70, and C4 is 69 locations
# wide. We could cut off a column or stretch the map a little, but then neighboring levels would no
# longer lie exactly on top of each other. It is simpler to avoid the problem. A detector puts zeros
# to the right of the image and below it, until both sides are multiples of the coarsest stride.
# Then every halving comes out even: 1120, 560, 280, 140, 70, 35. Full-size models pad to multiples
# of 32. In our small one, the coarsest map of the backbone has a stride of 16:

# %%
uneven = torch.rand(3, 96, 130)
padded = model.preprocess([uneven]).images
print(f"{list(uneven.shape[1:])} becomes {list(padded.shape[2:])}")

# %% tags=["claim"]
from mrcnn_edu import MaskRCNN
from mrcnn_edu.config import Config

assert [list(level.shape[2:]) for level in (c2, c3, c4)] == [[24, 24], [12, 12], [6, 6]]
assert c2.shape[1] == 48 and photo.shape == (3, 512, 512)
assert [level.shape[3] for level in resnet_maps] == [273, 137, 69, 35]
assert model.config.pixel_mean == (0.5,) * 3 and model.config.pixel_std == (0.25,) * 3
assert list(padded.shape[2:]) == [96, 144]
width = (target["boxes"][0, 2:] - target["boxes"][0, :2]).max()
assert target["labels"][0] == 1 and width <= 10 < 16  # the triangle
size, sizes = 1120, []
for _ in range(5):
    size = (size + 2 - 3) // 2 + 1
    sizes.append(size)
assert sizes == [560, 280, 140, 70, 35]
with torch.device("meta"):
    assert MaskRCNN(Config()).backbone.strides[-1] == 32

# %% [markdown]
# ## 2. Why residual blocks?
#
# A location sees far if there are many layers before it. So let's stack many layers. It seems
# obvious that more of them can't hurt. A network of 50 layers could do whatever one of 20 layers
# does, if its additional layers simply passed their input on.
#
# In practice that fails. [ResNet](https://arxiv.org/abs/1512.03385), section 1 and figure 1,
# compares plain stacks of 20 and 56 layers, and the deeper one has the *higher training error*.
# This is not overfitting, which would show on new images only. The deep stack could represent the
# better solution, but training does not find it.
#
# The remedy is the **residual block**. Let $x$ be the block's input, and let $F$ be what its
# convolutions compute. A plain block outputs $F(x)$. A residual block outputs
#
# $$y = F(x) + x,$$
#
# as [ResNet](https://arxiv.org/abs/1512.03385) defines it in equation 1. The convolutions now learn
# the *difference* between output and input, the residual. To pass the input on, they only need to
# make $F(x)$ zero, and small weights do that. A network built of such blocks is a **ResNet**.

# %%
viz.show_residual_block().caption(
    "Figure 5. A plain stack, the same stack with a shortcut, and the "
    "bottleneck block of ResNet-50. In a bottleneck, a 1 × 1 convolution "
    "leaves only 64 of 256 channels for the expensive 3 × 3 convolution, and "
    "another one restores them."
)

# %% [markdown]
# The diagram shows one more part. A norm, usually **batch normalization**, follows each
# convolution. It shifts and scales each channel to a mean of 0 and a variance of 1 over all
# locations of all images in a batch, and then applies a learned scale and shift. So values neither
# grow nor fade from layer to layer.
#
# The shortcut also helps in the backward direction. The **gradient** of the loss $L$ with respect
# to $x$ says how fast $L$ changes when $x$ changes a little, and training follows gradients. Leave
# aside the ReLU after the sum. Then the chain rule gives
#
# $$\frac{\partial L}{\partial x}
# = \frac{\partial L}{\partial y} \left( \frac{\partial F}{\partial x} + 1 \right).$$
#
# Thanks to the 1, the gradient at $y$ also reaches $x$ directly, whatever $F$ does to it. Through a
# chain of blocks it has a direct way to the first layer.
#
# Does it matter? We repeat the paper's experiment on a small scale. Four networks learn to tell,
# for each pixel of a 32 × 32 scene, whether it belongs to an object. They have 10 or 34 layers,
# with shortcuts or without. Everything else is the same. The loss is *binary cross-entropy*, the
# usual one for yes-or-no questions. Lesson 06 explains it.
#
# > **Predict.** After 100 training steps, how far is the deep plain network behind the shallow one:
# > not at all, a little, or far? And where there are shortcuts, does depth help, harm, or make no
# > difference?


# %%
class Block(nn.Module):
    """Two convolutions, with or without a shortcut."""

    def __init__(self, channels, has_shortcut):
        super().__init__()
        self.has_shortcut = has_shortcut
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        y = self.layers(x)  # F(x)
        if self.has_shortcut:
            y = y + x
        return y.relu()


# %%
def stack(n_layers, has_shortcut, channels=8):
    """A network from images [B, 3, H, W] to logits [B, 1, H, W]."""
    n_blocks = (n_layers - 2) // 2  # two layers are outside of blocks
    blocks = [Block(channels, has_shortcut) for _ in range(n_blocks)]
    first = nn.Conv2d(3, channels, 3, padding=1)
    last = nn.Conv2d(channels, 1, 1)
    return nn.Sequential(first, *blocks, last)


small_scenes = Shapes(64, 32, seed=5, n_objects=(2, 3), object_size=(0.3, 0.6))
items = [small_scenes[i] for i in range(64)]
pixels = torch.stack([image for image, _ in items])
is_object = torch.stack([target["masks"].any(dim=0) for _, target in items])


# %%
def training_losses(n_layers, has_shortcut, n_steps=100):
    """The loss at each training step, for batches of 8 images."""
    torch.manual_seed(0)
    network = stack(n_layers, has_shortcut)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(n_steps):
        chosen = torch.randperm(len(pixels))[:8]
        logits = network(pixels[chosen])[:, 0]
        labels = is_object[chosen].float()
        loss = binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


# %%
# NBVAL_IGNORE_OUTPUT
curves = {}
for has_shortcut, name in ((False, "plain"), (True, "residual")):
    for n_layers in (10, 34):
        losses = training_losses(n_layers, has_shortcut)
        smooth = losses.unfold(0, 10, 1).mean(dim=1)  # over 10 steps
        curves[f"{name}, {n_layers} layers"] = smooth

viz.show_lines(torch.arange(10, 101), curves, "step", "training loss").caption(
    "Figure 6. The training loss of four networks, each point an average over "
    "10 steps. Only the deep network without shortcuts stays behind."
)

# %% [markdown]
# **What happened.** The plain network with 34 layers learns far more slowly than the one with 10,
# although it could do everything that the smaller one does. With shortcuts the two depths end close
# together, and the deeper one is even a little better. So depth no longer harms, and that is what
# shortcuts promise. On photographs depth pays more. Mask R-CNN gains about 2 points of accuracy
# when ResNet-101 replaces ResNet-50 ([Mask R-CNN](https://arxiv.org/abs/1703.06870), table 2a).
#
# One training run of each is thin evidence, so we repeated this with three seeds. The deep plain
# network was the last each time, by a wide margin. You can change the seed in `training_losses` and
# see for yourself.
#
# One detail is left. The first block of a stage halves the map, so $x$ and $F(x)$ have different
# shapes. There, the shortcut contains a 1 × 1 convolution with a stride of 2
# ([ResNet](https://arxiv.org/abs/1512.03385), equation 2).
#
# So a network can have as many layers as we can afford. Next we compute how far a value sees
# through them.

# %% tags=["claim"]
last = {name: losses[-1].item() for name, losses in curves.items()}
assert last["plain, 34 layers"] > 1.5 * last["plain, 10 layers"]
shallow, deep = last["residual, 10 layers"], last["residual, 34 layers"]
assert max(shallow, deep) < 1.4 * min(shallow, deep)
assert max(shallow, deep) < 1.4 * last["plain, 10 layers"]
assert sum(isinstance(layer, nn.Conv2d) for layer in stack(34, True).modules()) == 34

# %% [markdown]
# ## 3. How far does a value see?
#
# The **receptive field** of a value is the square of pixels that can influence it. Let $r_l$ be its
# width in pixels after layer $l$. A pixel sees itself, so $r_0 = 1$. Layer $l$ reads $k_l$
# neighboring values along each axis. On the map that it reads, neighbors are as far apart as that
# map's stride, $\prod_{i<l} s_i$ pixels. From the first to the last of the $k_l$ values there are
# $k_l - 1$ such steps, and the receptive field grows by their length:
#
# $$r_l = r_{l-1} + (k_l - 1) \prod_{i=1}^{l-1} s_i.$$
#
# [Araujo et al.](https://doi.org/10.23915/distill.00021) derive this formula and its relatives.
# Note that a layer's own stride $s_l$ is not in it. It makes the steps of the *later* layers
# longer. Five convolutions lead to C2, the first two with a stride of 2:

# %%
to_c2 = [(3, 2), (3, 2), (3, 1), (3, 1), (3, 1)]  # (kernel, stride)
viz.show_receptive_field(to_c2).caption(
    "Figure 7. What one value of C2 sees, along one axis. At stride 4 each "
    "further layer adds 8 pixels, whereas the first one added only 2."
)

# %% [markdown]
# From C2 it takes four more convolutions to C3 and another two to C4. In each of the two stages,
# the first convolution has a stride of 2 and the others have a stride of 1.
#
# > **Predict.** The grid cells of C4 are 16 × 16 pixels large. How wide is the receptive field of a
# > value of C4: 16 pixels, 48 pixels, or more than the 96 pixels of the whole image?

# %%
strides = [2, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1]
fields = viz.receptive_fields([(3, stride) for stride in strides])
for name, n_layers in {"C2": 5, "C3": 9, "C4": 11}.items():
    print(f"{name}: {fields[n_layers]} pixels")

# %% [markdown]
# **What happened.** It is 135 pixels wide. A value in the middle of C4 can see the whole image of
# 96 × 96 pixels, and even one in a corner sees about half of it. If you said 48, that is what the
# last convolution reads, three values that are 16 pixels apart. But each of these values has
# already looked around.
#
# We can check this with an experiment. The gradient of a value with respect to a pixel says how
# strongly that pixel influences the value, and where it is zero there is no influence at all. We
# use an image of noise, in which no part is special, and make it large enough for the whole
# receptive field.


# %%
generator = torch.Generator().manual_seed(0)
noise = torch.rand(1, 3, 192, 192, generator=generator)
noise.requires_grad_()


def influence(level):
    """How strongly each pixel of the noise influences the middle of a map."""
    _, _, height, width = level.shape
    value = level[0, :, height // 2, width // 2].sum()
    (gradient,) = torch.autograd.grad(value, noise, retain_graph=True)
    return gradient[0].abs().sum(dim=0)  # [192, 192]


# %%
def width_of(fraction, influences):
    """The width of the middle square with this fraction of the influence."""
    middle, total = 96, influences.sum()
    for radius in range(1, 97):
        rows = slice(middle - radius, middle + radius)
        if influences[rows, rows].sum() >= fraction * total:
            return 2 * radius
    return 192


# %% [markdown]
# > **Predict.** Which square around the middle contains half of the total influence on a value of
# > C4? If all 135 × 135 pixels had the same influence, it would have half of their area, and so be
# > $135 / \sqrt{2} \approx 95$ pixels wide. What do you expect: about 95, 65 or 35 pixels?

# %%
influences = {}
for name, level in zip(("C2", "C3", "C4"), model.backbone(noise), strict=True):
    influences[name] = influence(level)
    seen = (influences[name].sum(dim=0) > 0).sum().item()
    half = width_of(0.5, influences[name])
    print(f"{name}: {seen} pixels wide, half of the influence in {half}")

# %%
names = ["C2", "C4"]
shown = []
for name in names:
    values = influences[name]
    shown.append(0.25 * (values > 0) + values / values.max())
viz.show_maps(shown, names, high=1).caption(
    "Figure 8. Influence of the pixels on one value. Violet pixels belong to "
    "the receptive field, light ones really matter. They lie in its middle."
)

# %% [markdown]
# **What happened.** Formula and gradient agree to the pixel: 31, 87 and 135. But half of the
# influence on C4 comes from a square of only 34 × 34 pixels. [Luo et
# al.](https://arxiv.org/abs/1701.04128) call the part that matters the **effective receptive
# field**, and explain why it is so small. Every influence takes a path through the layers. From the
# corner of the square, only one path leads to the value. From the middle there are very many. It is
# the same as with the sum of many dice. Only one throw gives the largest sum, but very many give a
# medium one, and the frequencies of the sums form a bell. With $n$ equal layers, the receptive
# field grows in proportion to $n$, but the width of the bell only in proportion to $\sqrt{n}$.
#
# Now the conflict from the beginning has numbers. A value of C2 sees 31 pixels at most, and makes
# use of about 14. It will never see our ring, which is 43 pixels wide, as a whole. A value of C4
# sees enough, but an object of 12 × 12 pixels covers hardly more than half of its grid cell.

# %% tags=["claim"]
assert [fields[n] for n in (5, 9, 11)] == [31, 87, 135]
columns = [(values.sum(dim=0) > 0).sum().item() for values in influences.values()]
assert columns == [31, 87, 135]
small_noise = torch.rand(1, 3, 96, 96, generator=generator).requires_grad_()
corner = model.backbone(small_noise)[2][0, :, 0, 0].sum()
(gradient,) = torch.autograd.grad(corner, small_noise)
assert 0.45 < (gradient[0].abs().sum(dim=0) > 0).float().mean() < 0.55  # seen from the corner
halves = [width_of(0.5, values) for values in influences.values()]
assert halves[0] == 14 and halves[2] == 34 and round(135 / 2**0.5) == 95
ring = target["boxes"][target["labels"] == 5][0]
assert ring[2] - ring[0] == 43 and 0.5 < (12 / 16) ** 2 < 0.6
convolutions = [m for m in model.backbone.modules() if isinstance(m, nn.Conv2d)]
on_the_way = [m.stride[0] for m in convolutions if m.kernel_size == (3, 3)]
assert on_the_way == strides

# %% [markdown]
# ## 4. A pyramid: fine maps that see far
#
# How do detectors cope with objects of all sizes? [FPN](https://arxiv.org/abs/1612.03144), figure
# 1, distinguishes four ways.

# %%
viz.show_pyramids().caption(
    "Figure 9. Four ways to find objects of different sizes. Only the image "
    "pyramid and the feature pyramid have fine maps with strong semantics, "
    "and the feature pyramid needs a single pass."
)

# %% [markdown]
# An **image pyramid** shows the network the same image in several sizes. That works well, but all
# of the work is done several times. A *single map* is what [Faster
# R-CNN](https://arxiv.org/abs/1506.01497) reads, and so does Mask R-CNN without a pyramid, which
# its paper calls the C4 model. On a single coarse map small objects get lost. *Separate maps* are
# an obvious idea, since the backbone computes maps of several strides anyway.
# [SSD](https://arxiv.org/abs/1512.02325) finds small objects on a fine map and large ones on a
# coarse map. But fine maps come from early layers. Their features describe how a location looks,
# and say little about the object it belongs to. The second kind of knowledge is what the diagram
# calls *semantics*.
#
# The **feature pyramid network**, or **FPN**, keeps the separate maps and adds a way back. The
# backbone, in which maps become coarser from stage to stage, is its **bottom-up pathway**. Then a
# **top-down pathway** starts at the coarsest map and hands its knowledge down, level by level.

# %%
viz.show_fpn().caption(
    "Figure 10. The feature pyramid of a ResNet-50. Each level receives the "
    "backbone's map of its own stride from the left, and what the coarser "
    "levels know from above. Our small model lacks C5 and P5."
)

# %% [markdown]
# Let's write this down for our three maps. The **lateral connection** of level $l$ is a 1 × 1
# convolution with weights $W_l$. It changes nothing but the number of channels, which must be equal
# on all levels if we want to add them. **Upsampling**, written $\mathrm{up}$, doubles a map by
# repeating each value in a square of 2 × 2. With $*$ for convolution, and with the biases left out,
# the merged maps are
#
# $$M_4 = W_4 * C_4, \qquad M_l = W_l * C_l + \mathrm{up}(M_{l+1}) \quad\text{for } l = 3, 2,$$
#
# and at the end comes a 3 × 3 convolution with weights $V_l$, which smooths the edges of the
# repeated squares:
#
# $$P_l = V_l * M_l.$$
#
# The maps $P_l$ are the **levels** of the pyramid. In code, with the weights of our model:


# %%
def up(level):
    """A map with each value repeated in a square of 2 x 2."""
    return level.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


W, V = model.neck.inner_blocks, model.neck.layer_blocks
m4 = W[2](c4)
m3 = W[1](c3) + up(m4)
m2 = W[0](c2) + up(m3)
p2, p3, p4 = V[0](m2), V[1](m3), V[2](m4)

*levels, extra = model.neck([c2, c3, c4])
torch.testing.assert_close([p2, p3, p4], levels)
print("Our pyramid and the package's agree.")

# %% [markdown]
# The package calls the pyramid the neck of the model. It has one more level, called `extra` here
# and P6 in Figure 10. In our model it is P4 without every second row and column, and only the RPN
# reads it, for the largest anchors.
#
# All levels have 64 channels, or 256 in a full-size model. This is more than a convenience. The
# heads that read the pyramid use the *same weights* on every level, and that can only work if the
# features mean the same on every level that they read. Training has to bring this about, and the
# top-down pathway makes it easier, because each level gets a part of its meaning from above.
#
# > **Predict.** P2 has the same grid as C2, with a stride of 4. How far does a value of P2 see: 31
# > pixels as on C2, 135 as on C4, or farther?

# %%
p2_of_noise = model.neck(model.backbone(noise))[0]
on_p2 = influence(p2_of_noise)
seen = (on_p2.sum(dim=0) > 0).sum().item()
half = width_of(0.5, on_p2)
print(f"P2: {seen} pixels wide, half of the influence in {half}")

# %%
names = ["C2", "P2", "P3", "P4"]
viz.show_feature_colors([c2, p2, p3, p4], large, names).caption(
    "Figure 11. Features as colors. C2 has a color code of its own, and P2 to "
    "P4 share one. C2 marks the contours of all objects alike. On P2 the "
    "objects themselves stand out, even the triangle. P4 is too coarse for "
    "it."
)

# %% [markdown]
# **What happened.** A value of P2 sees 151 pixels. It knows what C4 knows, and its last 3 × 3
# convolution reaches one grid cell of C4 farther. Half of the influence comes from 28 × 28 pixels,
# compared with 14 × 14 on C2. So P2 has the grid of C2 and nearly the view of C4, for the price of
# a few small convolutions.
#
# You have seen this shape before if you know [U-Net](https://arxiv.org/abs/1505.04597), which also
# goes down and up again with connections across. U-Net predicts from the finest map alone. A
# feature pyramid predicts on every level, and so we have to ask which level is the right one.

# %% tags=["claim"]
assert p2.shape[1] == p3.shape[1] == p4.shape[1] == Config.tiny().fpn_channels == 64
assert Config().fpn_channels == 256 and extra.equal(p4[:, :, ::2, ::2])
assert seen == 151 and half == 28

# %% [markdown]
# ## 5. From which level is a box read?
#
# A small box should be read from a fine level and a large one from a coarse level, where it covers
# roughly as many grid cells. For a region of width $w$ and height $h$, in pixels of the image that
# the network sees, [FPN](https://arxiv.org/abs/1612.03144), equation 1, chooses level
#
# $$k = \left\lfloor k_0 + \log_2 \frac{\sqrt{wh}}{224} \right\rfloor, \qquad k_0 = 4.$$
#
# This is the **level assignment**. A region of 224 × 224 pixels, the size of the images on which
# backbones are usually pretrained, is read from P4 and covers 14 × 14 grid cells. One of half the
# width is read from P3, and again covers 14 × 14. So on each level but the finest, a square region
# covers between 14 and 28 grid cells along a side, until the next level takes over. If the result
# is a level that does not exist, the nearest one is taken. Our model sees small images, so it has
# 80 instead of 224, which the package calls the `canonical_size`. With it, a region covers only 5
# to 10 grid cells along a side.
#
# > **Predict.** The largest objects in our scenes are about 48 pixels wide. From which of the
# > levels P2, P3 and P4 are they read?

# %%
widths = torch.arange(8, 500)
zeros = torch.zeros_like(widths)
squares = torch.stack((zeros, zeros, widths, widths), dim=1).float()
ours = 2 + roi_ops.pyramid_level(squares, (4, 8, 16), canonical_size=80)
paper = 2 + roi_ops.pyramid_level(squares, (4, 8, 16, 32), canonical_size=224)

raised = paper + 0.03  # so that neither line hides the other
curves = {"canonical size 80, ours": ours, "224, the paper's": raised}
chart = viz.show_lines(widths, curves, "width of a square region", "level k")
chart.axes[0].set_yticks([2, 3, 4, 5])
chart.caption(
    "Figure 12. The level of a square region by its width in pixels. Each "
    "step up comes at twice the width of the step before."
)

# %% [markdown]
# **What happened.** Regions narrower than 40 pixels are read from P2, all others from P3. P4 would
# begin at 80 pixels, so the heads of our model never read it. Only the RPN uses it, as it uses
# every level. In the paper's model the steps are at 112, 224 and 448 pixels.
#
# A photograph needs all of them. Here is the astronaut again, with five boxes that we have drawn by
# hand. A full-size model would see the photograph enlarged to 800 × 800 pixels.

# %%
outlined = {
    "person": (12, 14, 362, 512),
    "helmet": (285, 345, 512, 512),
    "face": (168, 45, 268, 165),
    "patch": (136, 350, 216, 425),
    "name tag": (288, 344, 338, 384),
}
hand_drawn = torch.tensor(list(outlined.values())).float()
enlarged = hand_drawn * 800 / 512
level_of_box = roi_ops.pyramid_level(enlarged, (4, 8, 16, 32), 224)

# %%
texts = []
for name, level in zip(outlined, level_of_box.tolist(), strict=True):
    texts.append(f"{name}: P{level + 2}")
picture = viz.Picture(3.8, 3.8)
axes = picture.subplots()
each = torch.arange(1, len(texts) + 1)
viz.draw_instances(axes, photo, hand_drawn, each, None, texts)
picture.caption(
    "Figure 13. Boxes drawn by hand, and the level that FPN's rule assigns to "
    "each of them. Objects of one photograph need all four levels."
)

# %% tags=["claim"]
steps = [widths[1:][level.diff() > 0].tolist() for level in (ours, paper)]
assert steps == [[40, 80], [112, 224, 448]]
sizes = torch.cat([scenes[i][1]["boxes"] for i in range(300)])
assert 40 < (sizes[:, 2:] - sizes[:, :2]).max() <= 49
assert level_of_box.tolist() == [3, 2, 1, 1, 0] and model.config.canonical_size == 80

# %% [markdown]
# ## 6. Does the level matter? Five models that learned with different maps
#
# The level assignment sounds reasonable, but is it needed? Measuring that takes some care. If we
# made our trained model read another level, we would learn little about the level, because its
# heads are used to the old one. A fair comparison *trains* every model with the maps that it is
# tested with.
#
# We have done that for five models, in three training runs each. The images have 160 × 160 pixels,
# with objects from 10 to 128 pixels, so that every level has something to do. Backbone, images and
# training are the same for all five. What differs is the maps that the RPN and the heads read:
#
# - *level by size* is FPN's rule, with a canonical size of 80;
# - *all from P2* and *all from P4* read every region from one level, while the RPN still uses all;
# - *C4 alone* has no pyramid, so that the RPN and the heads read the backbone's last map;
# - *no top-down* has separate maps: an FPN without the sums, whose P2 knows nothing of C4.
#
# The training took one core 45 minutes, so the scores come with the package. With
# `level_runs.train("all from P4", seed=0)` you can repeat any of the runs in about three minutes.
# The score is the *average precision* of the masks, or mask AP, which is the subject of lesson 11.
# For now it is enough that it would be 100 if every object were found with the correct label and a
# perfect mask, and 0 if none were. It is measured on held-out images in which all objects belong to
# one level by the rule: P2 for objects of up to 40 pixels, P3 for 40 to 80, and P4 for 80 or more.
#
# > **Predict.** Which of the five models are the worst for the smallest objects? And for the
# > largest objects, is the model that reads all from P4 better than the one that reads all from P2?

# %%
from mrcnn_edu.course import level_runs

scores = level_runs.recorded_scores()
ranges = ["10 to 40 pixels", "40 to 80 pixels", "80 to 128 pixels"]


def mean_score(name, sizes):
    """The mask AP of a model, as a mean over its training runs."""
    runs = scores[name]
    return sum(run[sizes] for run in runs) / len(runs)


print(" " * 13, *ranges, sep="   ")
for name in scores:
    means = [f"{mean_score(name, sizes):15.0f}" for sizes in ranges]
    print(f"{name:13}", *means, sep="   ")

# %%
picture = viz.Picture(9.6, 2.4)
panels = picture.subplots(1, 3, sharey=True)
for axes, sizes in zip(panels, ranges, strict=True):
    for row, runs in enumerate(scores.values()):
        values = [run[sizes] for run in runs]
        axes.plot(values, [row] * len(values), "o", color=viz.HIGHLIGHT)
    axes.set(title=sizes, xlabel="mask AP", xlim=(0, 75))
    axes.set_yticks(range(len(scores)), list(scores))
    axes.grid(alpha=0.4)
panels[0].invert_yaxis()
picture.caption(
    "Figure 14. Mask AP of five models by the size of the objects, a dot for "
    "each training run. Those that read a coarse map lose the small objects, "
    "and for the large ones it is no advantage, either."
)

# %% [markdown]
# **What happened.** From a map of stride 16 many of the small objects get lost, with a pyramid or
# without. The models that read it reach half of the AP of the others. That is what Figure 2 made us
# expect.
#
# The large objects are a surprise. P4 is meant for them, and yet the model with FPN's rule, which
# reads them from P4, reaches only 29, while the one that reads them from P2 reaches 37. To see why,
# count grid cells. An object of 100 pixels covers about 6 × 6 of them on P4, while the mask head
# wants a grid of 14 × 14. The same may explain why reading all from P2 is better in the middle
# range, too. That is not what FPN's authors had in mind. With their canonical size of 224, all
# objects of up to 112 pixels would be read from P2. So it is our 80 that is too small, a choice
# that suits objects of up to 48 pixels, all of which are read from P2 or P3.
#
# The grid is not the whole story, though. *C4 alone* has the same coarse grid and reaches 35 for
# the large objects. But its map has 128 channels instead of 64, so its heads have more weights,
# and they and the RPN share a single map. We can't tell which of these makes the difference.
#
# How much accuracy do the levels bring, then? [FPN](https://arxiv.org/abs/1612.03144), table 2,
# reports 33.9 AP with all levels and 33.4 with P2 alone. That is little, and the authors have an
# explanation. Pooling turns each region into a grid of 7 × 7 values, however large the region is,
# so the heads hardly notice its size. The RPN has no such pooling. It looks at 3 × 3 locations,
# whatever the size of the object, and therefore it is the RPN that needs the levels. With P2 alone,
# the average recall of its proposals, roughly the fraction of objects that they cover, falls from
# 56.3 to 51.3 % ([FPN](https://arxiv.org/abs/1612.03144), table 1). In our runs with a pyramid the
# RPN kept its levels.
#
# There is a second surprise. The model without the top-down pathway is as good as the best of the
# others, at least within the spread of the training runs, while in
# [FPN](https://arxiv.org/abs/1612.03144), table 2, its AP falls from 33.9 to 24.9. Here our
# synthetic images are a special case. Their classes differ in their outlines, and outlines are what
# C2 knows about. Also, only 6 convolutions lie between our C2 and C4, while 39 lie between C2 and
# C5 of a ResNet-50. To tell the fur of a cat from a carpet, you need what the late layers know.
#
# So be careful with conclusions from small experiments, ours included. This one shows that a coarse
# map alone loses small objects. It does not show that the top-down pathway is superfluous.

# %% tags=["claim"]
small, _, large_ones = ranges
coarse_small = [mean_score(name, small) for name in ("all from P4", "C4 alone")]
fine_small = [mean_score(name, small) for name in scores if "4" not in name]
assert min(coarse_small) > 0.4 * max(fine_small) and max(coarse_small) < 0.6 * min(fine_small)
on_p4 = [mean_score(name, large_ones) for name in ("level by size", "all from P4")]
assert all(28 < score < 32.5 for score in on_p4)
assert round(on_p4[0]) == 29 and round(mean_score("all from P2", large_ones)) == 37
assert round(mean_score("C4 alone", large_ones)) == 35 and c4.shape[1] == 128
middle = [mean_score(name, ranges[1]) for name in ("all from P2", "level by size")]
assert middle[0] > middle[1] + 3
assert level_runs.BASE.canonical_size == 80
best = max(mean_score(name, "all sizes") for name in scores)
assert mean_score("no top-down", "all sizes") > best - 1
assert tuple(scores) == level_runs.NAMES and all(len(runs) == 3 for runs in scores.values())

# %% [markdown]
# ## Where it breaks: a mistake that raises no error
#
# The level assignment has no weights, so you can change it after training, and nothing stops you.
# Let's take our trained model and leave its weights as they are, but set the canonical size to
# 1,000,000, which sends every region to P2, or to 1, which sends every region to P4. We count the
# objects that the model still finds in 50 new scenes, with the correct label, a score above 0.5 and
# a box whose IoU with the object is at least 0.5.
#
# > **Predict.** There are about 170 objects. How many does the model find if everything is read
# > from P2, and how many if everything is read from P4: nearly all, about half, or hardly any?


# %%
def found(image, target):
    """The number of objects that the model finds in an image."""
    detections = model.detect([image])[0]
    confident = detections[detections.scores > 0.5]
    is_near = box_iou(target["boxes"], confident.boxes) >= 0.5
    is_same = target["labels"][:, None] == confident.labels
    return (is_near & is_same).any(dim=1).sum().item()


# %%
trained = model.config
n_found = {}
for name, size in {"as trained": 80, "P2": 1_000_000, "P4": 1}.items():
    model.config = replace(trained, canonical_size=size)
    n_found[name] = sum(found(*scenes[i]) for i in range(50))
model.config = trained

n_objects = sum(len(scenes[i][1]["boxes"]) for i in range(50))
for name, number in n_found.items():
    print(f"{name:10} {number} of {n_objects}")

# %% [markdown]
# **What happened.** From P2 the model finds as many as before, because it reads nearly all objects
# from P2 anyway. From P4 it finds not a single one. It is tempting to conclude that P4 is useless,
# and that conclusion would be wrong. In the previous section, the model that was *trained* with P4
# did quite well on all but the small objects. What we see here is that the heads of this model have
# never read from P4, and don't know what its features mean.
#
# Nothing fails loudly in such a case. All shapes fit, no error is raised, and detections come out.
# The same happens if you load weights into a model whose anchors, strides or normalization differ
# from those it was trained with. You notice it only if you measure. So after loading weights,
# always score a few images that you know, and keep the settings together with the weights, as our
# checkpoints do.

# %% tags=["claim"]
assert 160 <= n_objects <= 180 and n_found["P2"] >= 0.95 * n_found["as trained"]
assert n_found["as trained"] > 0.85 * n_objects and n_found["P4"] == 0

# %% [markdown]
# ## Play: one object, all levels
#
# Move the sliders. The framed panel is the level that the object is read from.
#
# 1. Make the object larger and watch the frame. At which sizes does it jump, and how many grid
#    cells does the object cover just before and just after?
# 2. Find the smallest size at which *you* recognize the shape at stride 16. Try it for a star, a
#    ring and a square, by changing the scene. How many grid cells does each of them need?
# 3. Set the canonical size to 224, as in the paper. Which levels are left for objects of this size?
#    What would you have to change about the images to use all levels again?
#
# Write down what you found, with the numbers.

# %%
from mrcnn_edu.course.widgets import backbone_player

backbone_player(model.backbone.strides, 80).caption(
    "Figure 15. An object at the resolution of each level, and the number of "
    "grid cells that its box covers. It is read from the framed level."
)

# %% [markdown]
# ## Exercise 1: how large is the next map?
#
# ★☆☆ · about 5 minutes
#
# Write `map_size(size, kernel, stride, padding)`. Return the height (or width) of a convolution's
# output, for an input of this height (or width).
#
# For example, a 3 × 3 convolution with stride 2 and padding 1 turns 96 positions into 48.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# With its padding, the input has <code>size + 2 * padding</code> positions. The kernel covers the
# first few of them, and then moves on by its stride as long as it fits.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>map_size(97, 3, 2, 1)</code> is 49, and <code>map_size(20, 3, 1, 0)</code> is 18.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# The result is a whole number: use <code>//</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# $\lfloor (n + 2p - k) / s \rfloor + 1$, as in the lesson. To see our code, run
# `exercises.map_size??` in a cell of its own.
# </details>

# %%
from mrcnn_edu.course.exercises import backbone as exercises


def map_size(size, kernel, stride, padding): ...


exercises.check_map_size(map_size)

# %% [markdown]
# ## Exercise 2: the receptive field of a stack of layers
#
# ★☆☆ · about 10 minutes
#
# Write `receptive_field(layers)`. The list `layers` has a pair (kernel, stride) for each
# convolution, in the order in which they run. Return how many pixels, along one axis, a value of
# the last map depends on. Without any layer, that is 1.
#
# For example, two 3 × 3 convolutions, both with stride 2, give `receptive_field([(3, 2), (3, 2)])`
# = 7.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Each layer adds (kernel − 1) steps to the field. A step is the distance, in pixels, between two
# values that the layer reads.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>receptive_field([(7, 2), (3, 2), (1, 1), (3, 1)])</code> is 19.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# A layer's own stride makes the steps of the <em>next</em> layer longer, and not its own.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Keep two numbers, the field and the step. Each layer first makes the field larger and then the
# step longer. Our code:
# `exercises.receptive_field??`.
# </details>

# %%
def receptive_field(layers): ...


exercises.check_receptive_field(receptive_field)

# %% [markdown]
# ## Exercise 3: which pixels does a value see?
#
# ★★☆ · about 15 minutes
#
# The receptive field tells *how many* pixels a value sees. Now find out *which*. Some networks also
# have *dilated* convolutions, whose kernels leave gaps. With a dilation of 2 a kernel of 3 reads
# every second position, so it spans 5 positions.
#
# Write `pixels_seen(layers, index)`. Each layer is (kernel, stride, padding, dilation). Return two
# whole numbers for the value at position `index` of the last map, along one axis: the first pixel
# that it depends on, and the pixel *after* the last one. Pixels in the padding count, too, so the
# first number may be negative.
#
# For example, `pixels_seen([(3, 2, 1, 1)], 3)` is `(5, 8)`. The value at position 3 reads the
# pixels 5, 6 and 7.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Walk backwards, from the last layer to the first. If you know the first and the last position that
# are needed of a layer's output, which positions of its input does it read for them?
# </details>
# <details><summary><b>Hint 2</b>: one layer</summary>
# The output at position i reads the input from i · stride − padding on, in steps of the dilation.
# </details>
# <details><summary><b>Hint 3</b>: what it should give</summary>
# <code>pixels_seen([(3, 2, 1, 1), (3, 2, 1, 1)], 3)</code> is <code>(9, 16)</code>, and
# <code>pixels_seen([(3, 1, 2, 2)], 4)</code> is <code>(2, 7)</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Start with first = last = index. For each layer, from the last to the first, the first position
# becomes `first * stride - padding`, and the last one `last * stride - padding + dilation * (kernel
# - 1)`. Our code:
# `exercises.pixels_seen??`.
# </details>

# %%
def pixels_seen(layers, index): ...


exercises.check_pixels_seen(pixels_seen)

# %% [markdown]
# ## Exercise 4: the level of a box
#
# ★☆☆ · about 5 minutes
#
# Write `level_of(box, canonical_size)`. Return the level k, from 2 to 5, from which a box `[4]` is
# pooled.
#
# For example, with a canonical size of 224, a box of 200 × 200 pixels is read from level 3.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# This is FPN's rule from the lesson, with the root of the box's area.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# A box of 300 × 300 pixels belongs to level 4, one of 10 × 10 to level 2, and one of 1000 × 1200 to
# level 5.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# Round down first, and then clamp the result to the levels that exist.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `floor(4 + log2(size / canonical_size))`, clamped to 2..5, where the size is the root of width
# times height. Our code:
# `exercises.level_of??`.
# </details>

# %%
def level_of(box, canonical_size): ...


exercises.check_level_of(level_of)

# %% [markdown]
# ## Exercise 5: a feature pyramid from its weights
#
# ★★★ · 30 to 60 minutes
#
# In the lesson the layers of the model did the work. Now you get nothing but tensors. Write
# `top_down(maps, lateral, output)`, the top-down pathway of
# [FPN](https://arxiv.org/abs/1612.03144), section 3, for one image.
#
# - `maps` is a list of the backbone's maps `[C_i, H_i, W_i]`, the finest first. Each is half as
#   high and half as wide as the one before it, rounded up.
# - `lateral` is a list of weights `[D, C_i]`, one for the 1 × 1 convolution of each map.
# - `output` is a list of weights `[D, D, 3, 3]`, one for the last convolution of each level. It has
#   a padding of 1. There are no biases.
#
# Start at the coarsest map, whose sum is just its 1 × 1 convolution. On every other level, take the
# sum of the next coarser level, repeat each of its values as 2 × 2 values, cut off a row or column
# that is too many, and add the 1 × 1 convolution of the level's own map. The 3 × 3 convolution of a
# sum is that level's result. Return the list of results `[D, H_i, W_i]`, the finest first, and then
# one more map, for the RPN: every second row and every second column of the coarsest result.
#
# For example, take two maps of one channel, `[[1, 2], [3, 4]]` and `[[10]]`. Let the lateral
# weights be 1, and let the 3 × 3 kernels have a 1 in the middle and zeros around it, so that they
# change nothing. Then the results are `[[11, 12], [13, 14]]`, `[[10]]` and `[[10]]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Loop over the levels from the coarsest to the finest, and keep the sum of the last level in a
# variable. The results come out in the wrong order, so insert each at the front of the list.
# </details>
# <details><summary><b>Hint 2</b>: a 1 × 1 convolution</summary>
# It mixes the channels of each location on its own, so it is a product of matrices:
# <code>torch.einsum("dc,chw->dhw", weights, features)</code>.
# </details>
# <details><summary><b>Hint 3</b>: the enlarged map</summary>
# <code>repeat_interleave(2, dim=1)</code> repeats the rows, and with <code>dim=2</code> the
# columns. Then cut off what does not fit: <code>[:, :height, :width]</code>.
# </details>
# <details><summary><b>Hint 4</b>: a trap</summary>
# What goes down to the next level is the sum <em>before</em> the 3 × 3 convolution, not the result
# after it.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Four lines in a loop make a pyramid: mix the channels, enlarge, add, smooth. With the weights of
# `FPN` in the package your function gives the same maps. Our code:
# `exercises.top_down??`.
# </details>

# %%
def top_down(maps, lateral, output): ...


exercises.check_top_down(top_down)

# %% [markdown]
# ## Remember
#
# A convolution with a stride of 2 halves a map and doubles the distance between its locations.
# Residual blocks add their input to what they compute, so that a network can be deep and still
# learn. The receptive field grows with the kernels and all earlier strides, but a value makes use
# of its middle only. A feature pyramid gives fine maps the view of the coarse ones, and each box is
# read from a level on which it covers enough grid cells.
#
# **In the wild.** torchvision calls the parts `FeaturePyramidNetwork`, `MultiScaleRoIAlign` and
# `LevelMapper`. detectron2 calls them `FPN`, `ROIPooler` and `assign_boxes_to_levels`. One-stage
# detectors such as [RetinaNet](https://arxiv.org/abs/1708.02002) and
# [FCOS](https://arxiv.org/abs/1904.01355) predict directly on every level of such a pyramid. Plain
# vision transformers have no stages and a single stride. [ViTDet](https://arxiv.org/abs/2203.16527)
# makes a pyramid from their last map alone and finds that this is enough, which suggests that what
# a pyramid needs above all is several strides and strong features in each. And
# [deformable convolutions](https://arxiv.org/abs/1703.06211) learn where to look, so that a
# receptive field adapts to the object.
#
# **Next:** [05, anchors](05_anchors.ipynb). We have maps. Next we lay boxes of fixed sizes over
# them, from which the RPN will start.
