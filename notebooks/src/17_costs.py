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
# # 17 · What each part costs
#
# **The question.** A detector computes some things once for an image and others for every region.
# How much work is each of them, and how much does it save to share what regions have in common?
#
# **You will be able to**
#
# - count the multiply-adds of a convolution and of a fully connected layer by hand;
# - say from how many regions on it pays to share the backbone, and what the mask head adds;
# - measure where a detector spends its time, and explain why time and multiply-adds disagree;
# - tell which of the papers' times can be compared.
#
# *Time: 120 minutes, of which 60 are for the exercises. You need lessons 03 to 08. Reading: [Fast
# R-CNN](https://arxiv.org/abs/1504.08083), sections 3.1 and 4.4.*

# %%
import time

import torch

from mrcnn_edu import Config, MaskRCNN, ancestors, load, viz
from mrcnn_edu.ancestors.cost import cost_of_proposals, multiply_adds
from mrcnn_edu.data import Shapes
from mrcnn_edu.roi_ops import feature_table

viz.show_architecture().caption(
    "Figure 1. Mask R-CNN by how often each part runs, once for the image "
    "(green) or for each region that reaches it (yellow). We count both."
)

# %% [markdown]
# ## A pixel lies in many regions
#
# `shapes-tiny` proposes 100 regions in the scene below. They overlap, and where they do, they look
# at the same pixels. Let us count for each pixel in how many regions it lies.

# %%
model = load("shapes-tiny").eval()
image, target = Shapes(100, seed=5)[58]
proposals = model.trace([image]).proposals[0].boxes  # [100, 4]

n_regions = torch.zeros(image.shape[-2:])  # in how many regions each pixel is
for x1, y1, x2, y2 in proposals.round().long().tolist():
    n_regions[y1:y2, x1:x2] += 1

title = f"regions at each pixel, up to {n_regions.max():.0f}"
viz.show_maps([n_regions], [title], image).caption(
    "Figure 2. A scene, and in how many of its 100 regions each pixel lies. "
    "The brighter a pixel, the more often R-CNN would compute its features."
)

# %% [markdown]
# A pixel of an object lies in 8 of the 100 regions on average. If R-CNN got these regions, it would
# send each of them through its network by itself, and compute that pixel's features 8 times. In
# lesson 03 it was more than a hundred times, because selective search proposes far more. How much
# work is that? It depends on what one pass costs, and for that we need a unit.

# %% tags=["claim"]
on_objects = n_regions[target["masks"].any(dim=0)]
assert 7.5 < on_objects.mean() < 8.5 and len(proposals) == 100

# %% [markdown]
# ## 1. The unit: multiply-adds
#
# Convolutions and fully connected layers compute sums of products. Each product costs one
# multiplication and the addition that follows it, together a **multiply-add**, or MAC. A
# convolution whose input has $C$ channels and whose output has $C'$ channels of $H' \times W'$
# values, with a kernel of $k \times k$, costs
#
# $$\underbrace{C' H' W'}_{\text{output values}} \times
# \underbrace{C k^2}_{\text{products in each of them}}$$
#
# multiply-adds. A fully connected layer with $n$ inputs and $n'$ outputs costs $n' \times n$, since
# each output is a sum over all inputs. Batch norm, ReLU, pooling and interpolation are left out,
# because they need far fewer operations.
#
# Papers call the same thing FLOPs, and some of them count two operations for a multiply-add. So
# before you compare two papers, find out which of the two they do.
#
# > **Predict.** The first layer of `shapes-tiny` computes 32 channels of 48 × 48 values from an
# > image with 3 channels, with a 3 × 3 kernel. How many multiply-adds is that: about 20 thousand, 2
# > million, or 200 million?

# %%
n_values = 32 * 48 * 48  # C' H' W'
n_products = 3 * 3 * 3  # C k²
print(f"{n_values:,} x {n_products} = {n_values * n_products:,}")

pixels = torch.zeros(1, 3, 96, 96)
print(f"PyTorch counts {multiply_adds(model.backbone.conv1, pixels):,}")

# %% [markdown]
# **What happened.** About 2 million, and PyTorch's own counter agrees. If you said 20 thousand, you
# left out the channels. The number of input channels and the number of output channels are both
# factors, so a layer from 256 to 256 channels costs 65,536 times as much as one from 1 to 1.

# %% tags=["claim"]
assert multiply_adds(model.backbone.conv1, pixels) == n_values * n_products == 1_990_656
assert 256 * 256 == 65_536

# %% [markdown]
# ## 2. The parts of Mask R-CNN
#
# Now to the model of the paper, ResNet-50 with a feature pyramid, on an image of 800 × 800 pixels.
# On PyTorch's device `meta`, tensors have shapes but no values. Nothing is really computed, so
# counting takes no time.

# %%
with torch.device("meta"):
    large = MaskRCNN(Config()).eval()
    trunk = torch.nn.Sequential(large.backbone, large.neck)  # ResNet, FPN
    whole_image = torch.zeros(1, 3, 800, 800)
    crop = torch.zeros(1, 3, 224, 224)  # a warped region
    features = trunk(whole_image)
    box_features = torch.zeros(1, 256, 7, 7)
    mask_features = torch.zeros(1, 256, 14, 14)

# %%
cost = {
    "image": multiply_adds(trunk, whole_image),
    "crop": multiply_adds(trunk, crop),
    "RPN": multiply_adds(large.rpn_head, features),
    "box head": multiply_adds(large.box_head, box_features),
    "mask head": multiply_adds(large.mask_head, mask_features),
}
for part, count in cost.items():
    print(f"{part:9}  {count / 1e9:7.3f} billion")

# %% [markdown]
# The backbone with its pyramid costs 88 billion for the image. The RPN, which is three small
# layers, costs a good third of that, because it runs at all 53,294 locations of the pyramid. One
# run of the box head is cheap, only 0.014 billion. One run of the mask head costs as much as 37 of
# them, since its convolutions compute values at 14 × 14 positions and then at 28 × 28.
#
# > **Predict.** The box head runs for 1,000 proposals, the mask head only for the detections that
# > are left. With 100 detections, how much does it add to the cost of all other parts together:
# > about 4, 40, or 400 %? You can work it out from the table.

# %%
shared = {"backbone, FPN": cost["image"], "RPN": cost["RPN"]}
parts = {}
for n_masks in (0, 10, 100, 1000):
    heads = {"box head": 1000 * cost["box head"]}
    heads["mask head"] = n_masks * cost["mask head"]
    both = shared | heads
    parts[f"{n_masks:,} masks"] = {p: both[p] / 1e9 for p in both}

viz.show_parts(parts, "billions of multiply-adds for one image").caption(
    "Figure 3. An image with 1,000 proposals, and masks for more and more of "
    "them. With none, the model is Faster R-CNN."
)

# %% [markdown]
# **What happened.** Without masks the image costs 134 billion. For 100 detections the mask head
# adds 53 billion, which is 40 %, and for ten detections it adds 4 %. If it ran on all 1,000
# proposals, it would cost four times as much as everything else. That is one reason why Mask R-CNN
# selects its boxes first. The other is that masks in these boxes are more accurate. The paper
# reports about 20 % more *time* for typical models ([Mask R-CNN](https://arxiv.org/abs/1703.06870),
# section 3.1, "Inference"), half of our 40 %. Time is not the same as multiply-adds, as we will
# see.

# %% tags=["claim"]
totals = {name: sum(row.values()) for name, row in parts.items()}
without = totals["0 masks"]
assert 0.39 < totals["100 masks"] / without - 1 < 0.41
assert 0.035 < totals["10 masks"] / without - 1 < 0.045
assert round(without, 2) == 134.38  # as torchvision's weights say
assert 3.9 < totals["1,000 masks"] / without - 1 < 4.1 and 134 < without < 135
assert round(cost["mask head"] / cost["box head"]) == 37
assert sum(f.shape[2] * f.shape[3] for f in features) == 53_294
assert 0.35 < cost["RPN"] / cost["image"] < 0.37 and round(cost["image"] / 1e9) == 88
fully_connected = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * 91 + 1024 * 4 * 91
assert cost["box head"] == fully_connected  # the formula, inputs times outputs

# %% [markdown]
# ## 3. When sharing pays
#
# R-CNN and Fast R-CNN can now be compared. Let $c_{crop}$ be the cost of a pass over a warped
# region, $c_{image}$ that of a pass over the image, and $c_{head}$ that of a head. For $n$ regions,
#
# $$\text{R-CNN:} \quad n\,(c_{crop} + c_{head}) \qquad\qquad
# \text{Fast R-CNN:} \quad c_{image} + n\,c_{head}$$
#
# The head runs for every region in both, so it doesn't matter for the comparison. Fast R-CNN is
# cheaper as soon as $n\,c_{crop} > c_{image}$.
#
# > **Predict.** A convolutional network's cost grows with the area of its input. The image has 800
# > × 800 pixels and a crop has 224 × 224. From how many regions on does it pay to share?

# %%
n = torch.arange(1, 2001)
ways = {
    "R-CNN": n * (cost["crop"] + cost["box head"]) / 1e9,
    "Fast R-CNN": (cost["image"] + n * cost["box head"]) / 1e9,
}
chart = viz.show_lines(n, ways, "regions", "billions of multiply-adds")
chart.axes[0].loglog()
chart.caption(
    "Figure 4. The cost of an image by the number of its regions, on "
    "logarithmic axes. The lines cross where sharing begins to pay."
)

# %%
first = int((ways["Fast R-CNN"] < ways["R-CNN"]).nonzero()[0]) + 1
ratio = (ways["R-CNN"][-1] / ways["Fast R-CNN"][-1]).item()
print(f"the image costs {cost['image'] / cost['crop']:.2f} crops")
print(f"sharing pays from {first} regions on")
print(f"at 2,000 regions it saves a factor of {ratio:.0f}")

# %% [markdown]
# **What happened.** The image has $800^2 / 224^2 \approx 12.8$ times the area of a crop, so up to
# 12 regions it is cheaper to run the network on each of them. From 13 on sharing pays, and with the
# 2,000 regions of R-CNN it saves a factor of more than a hundred.
#
# It would save even more if the heads cost nothing. With VGG-16, the network of the first papers,
# they cost a lot. Its two fully connected layers have 25,088 and 4,096 inputs and 4,096 outputs
# each. With the two small output layers, that is 0.12 billion multiply-adds for every region and
# 240 billion for 2,000. The convolutions over the whole image, at 600 × 1,000 pixels, cost 183
# billion. So more than half of Fast R-CNN's work was in its heads, and they took nearly half of its
# time. Girshick then approximated their large matrices by products of small ones, which brought an
# image from 0.32 down to 0.22 seconds ([Fast R-CNN](https://arxiv.org/abs/1504.08083), section 3.1
# and table 4).

# %% tags=["claim"]
assert first == 13 and 12.7 < cost["image"] / cost["crop"] < 12.8 and ratio > 100


def vgg_cost(height, width):
    """Multiply-adds of the 13 convolutions of VGG-16."""
    total, inputs = 0, 3
    for channels, layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(layers):
            total, inputs = total + height * width * channels * inputs * 9, channels
        height, width = height // 2, width // 2
    return total


vgg_head = 25_088 * 4096 + 4096 * 4096 + 4096 * (21 + 84)  # VOC: 20 classes
assert round(vgg_cost(600, 1000) / 1e9) == 183 and round(2000 * vgg_head / 1e9) == 240
assert round(vgg_head / 1e9, 2) == 0.12

# %% [markdown]
# ## 4. Does sharing change the features?
#
# Is this just a faster way to compute the same thing? A value of the feature map depends on all
# pixels in its receptive field, and lesson 04 showed that a receptive field is large. R-CNN cuts
# off whatever lies outside of the region. So we compute a region's features twice, from the scene
# as it is, and from a copy in which everything outside of the region is gray.

# %%
region = target["boxes"][2:3]  # the star's
x1, y1, x2, y2 = region[0].long().tolist()
alone = torch.full_like(image, 0.5)
alone[:, y1:y2, x1:x2] = image[:, y1:y2, x1:x2]
viz.show_images({"the scene": image, "only the region": alone}).caption(
    "Figure 5. The same star, with its surroundings and without them. Inside "
    "of the region, the two images are equal pixel by pixel."
)

# %% [markdown]
# > **Predict.** We read the region's features from both images, with RoIAlign. How large is their
# > difference, compared with the features themselves: zero, about a tenth, or more than half?

# %%
with torch.no_grad():
    maps = model.features(model.preprocess([image, alone]))
    table = feature_table(maps[:3])  # RoIAlign reads these levels
    in_scene, by_itself = model.pool(table, [region, region], output_size=7)

difference = (by_itself - in_scene).norm() / in_scene.norm()
print(f"the features differ by {difference:.0%}")

# %% [markdown]
# **What happened.** They differ by more than half, although no pixel of the region has changed. A
# part of that comes from the gray itself, which makes a sharp edge around the region. If you fill
# the outside with the color of the paper, the difference is still about 40 %. The star is about 25
# pixels wide, and each value of its features also depends on pixels farther away. So Fast R-CNN is
# not R-CNN made faster. It is another computation, in which a region's features know their
# surroundings. That can help, because a cup often stands on a saucer, and R-CNN gave its regions 16
# pixels of context for the same reason ([R-CNN](https://arxiv.org/abs/1311.2524), appendix A).

# %% tags=["claim"]
assert 0.5 < difference < 1 and image[:, y1:y2, x1:x2].equal(alone[:, y1:y2, x1:x2])
assert 22 < x2 - x1 < 28
paper_color = image.flatten(1).median(dim=1).values
on_paper = paper_color[:, None, None].expand_as(image).clone()
on_paper[:, y1:y2, x1:x2] = image[:, y1:y2, x1:x2]
with torch.no_grad():
    maps = model.features(model.preprocess([on_paper]))
    (among_paper,) = model.pool(feature_table(maps[:3]), [region], output_size=7)
assert 0.35 < (among_paper - in_scene).norm() / in_scene.norm() < 0.45

# %% [markdown]
# ## 5. The four detectors, part by part
#
# Here are the four R-CNNs of lesson 03 with what each of their parts costs. All of them have the
# same ResNet-50 with its pyramid, and the same box head in place of R-CNN's SVMs, so that nothing
# but the method differs.

# %% tags=["cover"]
billions = {part: f"{count / 1e9:.2g} G" for part, count in cost.items()}
crop_each = f"each: {billions['crop']}"
image_once = f"once: {billions['image']}"
rpn_once = f"once: {billions['RPN']}"
box_each = f"each: {billions['box head']}"
mask_each = f"each: {billions['mask head']}"
grid = {
    "R-CNN": ["outside", crop_each, box_each, ""],
    "Fast R-CNN": ["outside", image_once, box_each, ""],
    "Faster R-CNN": [rpn_once, image_once, box_each, ""],
    "Mask R-CNN": [rpn_once, image_once, box_each, mask_each],
}
columns = ["proposals", "backbone, FPN", "class and box", "mask"]
viz.show_sharing(grid, columns).caption(
    "Figure 6. Multiply-adds in billions (G), once for the image or for each "
    "region. Gray is computed outside of the network."
)

# %% [markdown]
# Read it from top to bottom. The one expensive yellow block, the backbone for each region, turns
# green in the second row. In the third row the proposals become green, too, at a price that is
# about a third of the backbone's. In the last row a yellow block is added, but it runs for the
# detections only.
#
# ## 6. What the clock says
#
# Multiply-adds are work, not time. For time we need a clock, and the small detectors that were
# trained on our synthetic images. We run them on a photograph, so that selective search has an
# image of the usual size to work on. They know six shapes and nothing else, so whatever they detect
# there is nonsense, and we look at their time alone. To see the network by itself, we give R-CNN
# and Fast R-CNN proposals that were found beforehand. The other two are made to propose as many.

# %%
photo = viz.sample_photograph()  # [3, 600, 512]
start = time.perf_counter()
searched = ancestors.selective_search(photo)
search_seconds = time.perf_counter() - start

names = ["R-CNN", "Fast R-CNN", "Faster R-CNN", "Mask R-CNN"]
files = ["rcnn", "fast-rcnn", "faster-rcnn", "mask-rcnn"]
systems = {}
for name, file in zip(names, files, strict=True):
    systems[name] = ancestors.load(file)

# %% [markdown]
# > **Predict.** We go from 10 to 1,000 proposals, a hundred times as many. Which detector's time
# > will grow most, and will it take a hundred times as long?

# %%
# NBVAL_IGNORE_OUTPUT
def network_seconds(system, n):
    """The shortest of three times, as other programs run here, too."""
    costs = [cost_of_proposals(system, photo, searched[:n]) for _ in range(3)]
    return min(cost.total for cost in costs)


counts = torch.tensor([10, 100, 300, 1000])
seconds = {}
for name, system in systems.items():
    seconds[name] = torch.tensor([network_seconds(system, n) for n in counts])
    growth = seconds[name][-1] / seconds[name][0]
    print(f"{name:12} {growth:3.0f} times as long")

viz.show_lines(counts, seconds, "proposals", "seconds per image").caption(
    "Figure 7. The time of the network alone, without selective search, for "
    "one photograph and more and more proposals."
)

# %% [markdown]
# **What happened.** R-CNN's time grows most, and in a straight line, since each proposal is another
# pass through the backbone. With few proposals R-CNN can even be the fastest, because sharing pays
# only with many regions. The others pay for the backbone once, and what grows is the time of their
# heads, and of everything else that is done for each region. Mask R-CNN's line bends, because it
# computes masks only for its detections, and there are never more than 100 of them. None of the
# four takes a hundred times as long as with 10 proposals, not even R-CNN, because some work is done
# once, such as preparing the photograph. The numbers differ from run to run and from machine to
# machine, but R-CNN's line is always the steep one.
#
# Now we add the proposals themselves. Selective search runs on this photograph for seconds, and the
# RPN's time is contained in Figure 7 already.
#
# > **Predict.** In lesson 03, selective search took 1.51 of Fast R-CNN's 1.83 seconds, so 83 % of
# > them. Our network is tiny. With 300 proposals, will the fraction be smaller here, about the
# > same, or larger?

# %%
# NBVAL_IGNORE_OUTPUT
fast = seconds["Fast R-CNN"][2].item()
fraction = search_seconds / (search_seconds + fast)
print(f"selective search takes {fraction:.0%} of the time here")

# %% [markdown]
# **What happened.** It is larger, nearly all of the time, because our network is tiny while
# selective search gets the photograph at its full size. Either way, most of the time is spent
# before the network begins. That is why the RPN was invented. Figure 8 shows what it changed, with
# the numbers of [Faster R-CNN](https://arxiv.org/abs/1506.01497), table 5.

# %%
milliseconds = {
    "Fast R-CNN": {"proposals": 1510, "backbone": 146, "heads": 174},
    "Faster R-CNN": {"proposals": 10, "backbone": 141, "heads": 47},
}
viz.show_parts(milliseconds, "milliseconds, VGG-16 on a K40 GPU").caption(
    "Figure 8. An image's time with selective search (above) and the RPN "
    "(below). The heads are faster, too, with 300 regions instead of 2,000."
)

# %% tags=["claim"]
longer = {name: (row[-1] / row[0]).item() for name, row in seconds.items()}
assert 3 < longer["R-CNN"] < 100  # with room for what else runs on the machine
assert seconds["R-CNN"][-1] > 1.2 * max(s[-1] for n, s in seconds.items() if n != "R-CNN")
assert fraction > 0.83 and round(1510 / 1830, 2) == 0.83
assert sum(milliseconds["Fast R-CNN"].values()) == 1830
assert sum(milliseconds["Faster R-CNN"].values()) == 198

# %% [markdown]
# ## 7. Which times can be compared?
#
# Here are the times per image that the papers report.
#
# | | seconds | includes proposals? | network | GPU |
# |---|---:|---|---|---|
# | R-CNN | 47.0 | no | VGG-16 | K40 |
# | Fast R-CNN | 0.32 | no | VGG-16 | K40 |
# | Fast R-CNN | 1.83 | yes | VGG-16 | K40 |
# | Faster R-CNN | 0.198 | yes | VGG-16 | K40 |
# | Mask R-CNN | 0.195 | yes | ResNet-101-FPN | M40 |
#
# The first two are from [Fast R-CNN](https://arxiv.org/abs/1504.08083), table 4, the next two from
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), table 5, and the last one is from [Mask
# R-CNN](https://arxiv.org/abs/1703.06870), section 4.4. So the first two belong together, and so do
# the third and the fourth. To set 0.32 against 0.198 would compare a time without proposals with
# one that includes them. Mask R-CNN's time stands alone, with another network on another GPU.
#
# Even a ratio needs care. [Fast R-CNN](https://arxiv.org/abs/1504.08083), table 4, says that it is
# 146 times as fast as R-CNN. Divide the printed times, and you get $47.0 / 0.32 = 146.9$, which
# rounds to 147. The table's ratios were probably computed before rounding. A time that is printed
# as 0.32 can be anything from 0.315 to 0.325 seconds, so the two numbers only tell us that the
# ratio lies between 144 and 150. The honest summary is "about 150 times".

# %% tags=["claim"]
assert round(47.0 / 0.32, 1) == 146.9
assert 144.4 < 46.95 / 0.325 < 144.5 and 149.3 < 47.05 / 0.315 < 149.4

# %% [markdown]
# ## Where it breaks
#
# Counting multiply-adds works well for convolutions. It fails where the work is not in sums of
# products. [FCIS](https://arxiv.org/abs/1611.07709), Mask R-CNN's rival in lesson 03, has no heads.
# A region only looks up values in maps that have been computed for the image. So the count hardly
# depends on the number of regions. From 10 to 1,000 proposals it rises by 8 %.
#
# > **Predict.** And FCIS's time? Does it rise by about 8 %, does it double, or does it take several
# > times as long?

# %%
# NBVAL_IGNORE_OUTPUT
fcis = ancestors.load("fcis")
macs, times = [], []
for n in counts:
    macs.append(multiply_adds(cost_of_proposals, fcis, photo, searched[:n]))
    times.append(network_seconds(fcis, n))
macs, times = torch.tensor(macs), torch.tensor(times)

curves = {"multiply-adds": macs / macs[0], "seconds": times / times[0]}
chart = viz.show_lines(counts, curves, "proposals", "relative to 10 proposals")
chart.caption(
    "Figure 9. FCIS with more and more proposals. Its multiply-adds and its "
    "seconds are divided by those with 10 proposals."
)

# %% [markdown]
# **What happened.** It takes several times as long. Each value that a region looks up is fetched
# from memory, weighted, summed up and written back, at every position of every region. That is
# interpolation, which our count leaves out, since it is a small part of most networks. In FCIS it
# is most of what is done for a region. The 8 % are matrix products that merge and paste the masks.
# Besides, moving data often takes more time than computing with it, and lesson 16 makes a theory of
# that, the roofline.
#
# How would you notice it? By dividing. If two parts do the same kind of work, they should take
# about as many milliseconds per billion multiply-adds. A part that needs ten times as many is busy
# with something that you don't count. In Figure 9, FCIS needs several times as many at the right
# end as at the left.

# %% tags=["claim"]
assert 1.05 < macs[-1] / macs[0] < 1.11 and times[-1] / times[0] > 2

# %% [markdown]
# ## Play
#
# The dots show the multiply-adds of an image for ResNet-50 at 800 × 800 pixels. Selective search is
# not counted, as it has no multiply-adds to speak of. Write down what you find.
#
# - From which number of proposals on is R-CNN more expensive than Faster R-CNN, and why is that a
#   larger number than for Fast R-CNN?
# - Set the proposals to 1,000. How many detections make Mask R-CNN a quarter more expensive than
#   Faster R-CNN?
# - Why is Fast R-CNN always left of Faster R-CNN here, although it is the slower one?

# %%
from mrcnn_edu.course.widgets import cost_player

cost_player(cost).caption(
    "Figure 10. What an image costs each of the four detectors, without "
    "selective search. Each grid line stands for ten times the one before."
)

# %% [markdown]
# ## Exercise 1: count a convolution
#
# ★☆☆ · about 5 minutes
#
# Write `convolution_cost(height, width, inputs, outputs, kernel, stride)`, the multiply-adds of a
# convolution on an input of `[inputs, height, width]`, with `outputs` output channels and a kernel
# of `kernel` × `kernel`. The output's height and width are the input's, divided by the stride and
# rounded up. All arguments and the result are integers.
#
# For example, the first layer of `shapes-tiny` is `convolution_cost(96, 96, 3, 32, 3, 2)`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
#
# The formula above the first prediction needs the output's height and width. Find these first.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
#
# 1,990,656 for the example, and for a 1 × 1 convolution from 1 to 1 channel with stride 1 simply
# height times width.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
#
# An input 7 pixels high gives an output 4 pixels high with stride 2. `7 // 2` is 3.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Run `exercises.convolution_cost??` in a cell of its own.
# </details>

# %%
from mrcnn_edu.course.exercises import cost as exercises


def convolution_cost(height, width, inputs, outputs, kernel, stride): ...


exercises.check_convolution_cost(convolution_cost)

# %% [markdown]
# ## Exercise 2: when does sharing pay?
#
# ★★☆ · about 10 minutes
#
# Write `sharing_pays_from(image, crop)`. `image` is the cost of a pass over the image and `crop`
# that of a pass over a warped region, both as integers. Return the smallest number of regions, an
# integer, for which one pass over the image costs *less* than a pass over each region.
#
# For example, `sharing_pays_from(100, 30)` is 4, because three crops cost 90 and four cost 120.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
#
# How many crops fit into the cost of the image? One more is more expensive.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
#
# If the image costs exactly five crops, then five regions cost the same, so sharing pays from six
# on. Rounding up would say five.
# </details>
# <details><summary><b>Hint 3</b>: another trap</summary>
#
# The costs can be so large that a float can't represent them exactly. Divide integers by `//`.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Run `exercises.sharing_pays_from??` in a cell of its own.
# </details>

# %%
def sharing_pays_from(image, crop): ...


exercises.check_sharing_pays_from(sharing_pays_from)

# %% [markdown]
# ## Exercise 3: a whole detector
#
# ★★★ · 30 to 60 minutes
#
# Write `detector_cost(layers, widths, image_size, crop_size, n_regions)`, which answers the
# question of this lesson for any backbone and any head.
#
# - `layers`: a list of the backbone's convolutions, each as `(outputs, kernel, stride)`. The first
#   one has 3 input channels, and each other one has the outputs of the one before it.
# - `widths`: the numbers of outputs of the head's fully connected layers. The first of them has 7 ×
#   7 inputs for each channel of the backbone's last layer.
# - `image_size`, `crop_size`: `(height, width)` of the image and of a warped region.
# - Return three integers: the multiply-adds of R-CNN for `n_regions` regions, those of Fast R-CNN,
#   and the smallest number of regions for which sharing pays.
#
# For example, a single 1 × 1 convolution to 4 channels and a head with one layer of 5 outputs,
# `detector_cost([(4, 1, 1)], [5], (8, 8), (4, 4), 10)`, gives `(11720, 10568, 5)`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
#
# Write a helper that gives the cost of the backbone for one input size. It walks through the layers
# and keeps height, width and channels up to date. Then call it twice.
# </details>
# <details><summary><b>Hint 2</b>: the numbers of the example</summary>
#
# The convolution costs 768 for the image and 192 for a crop. The head costs 7 × 7 × 4 × 5 = 980.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
#
# The head's input is always 7 × 7, whatever the backbone's last map is. That is what RoIPool is
# for.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Run `exercises.detector_cost??` in a cell of its own.
# </details>
#
# When your function passes, try it on a network that interests you. For Fast R-CNN with 2,000
# regions, which is cheaper, a deep backbone with a small head, or a shallow one with a large head?

# %%
def detector_cost(layers, widths, image_size, crop_size, n_regions): ...


exercises.check_detector_cost(detector_cost)

# %% tags=["claim"]
assert exercises.detector_cost([(4, 1, 1)], [5], (8, 8), (4, 4), 10) == (11720, 10568, 5)
assert exercises.convolution_cost(96, 96, 3, 32, 3, 2) == 1_990_656
assert exercises.sharing_pays_from(100, 30) == 4

# %% [markdown]
# ## Remember
#
# - A convolution costs its number of output values times the products in each of them. Both numbers
#   of channels are factors.
# - What is computed for every region is multiplied by the number of regions. R-CNN multiplied its
#   most expensive part.
# - Sharing pays as soon as the crops together have more pixels than the image, here from 13 regions
#   on. It changes the features, too, which then depend on the region's surroundings.
# - Multiply-adds are not time. Lookups and memory cost time that no count of multiply-adds shows.
# - Before you compare two times, ask what they include, and on which network and GPU.
#
# **In the wild.** torchvision states the billions of multiply-adds of a model with its weights,
# under `meta["_ops"]`. For `FasterRCNN_ResNet50_FPN_Weights.COCO_V1` it says 134.38, exactly the
# sum that we counted without masks. It says 134.38 for `MaskRCNN_ResNet50_FPN_Weights.COCO_V1`,
# too, although that model has a mask head, so this count leaves the masks out. In detectron2,
# `tools/analyze_model.py` counts a model's operations, and PyTorch's `torch.utils.flop_counter`
# counts those of any model of yours. One-stage detectors such as
# [YOLO](https://arxiv.org/abs/1506.02640) and [RetinaNet](https://arxiv.org/abs/1708.02002) have no
# work per region at all, and [Huang et al.](https://arxiv.org/abs/1611.10012) (2017) compare the
# accuracy, time and multiply-adds of many combinations.
#
# **Next:** [09, the mask loss](09_mask_loss.ipynb), which trains the most expensive of the heads.
