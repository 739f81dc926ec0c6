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
# # 03 · From R-CNN to Mask R-CNN: compute once, use for every region
#
# Four networks and a rival, one idea: what several regions need, compute once. All five are here,
# trained in the same way, and run while you watch. After this lesson (75 minutes) you can
#
# - say what each generation shares, what it computes for every region, and what is not learned;
# - count the multiply-adds of a layer, and of a detector, by hand;
# - say from how many regions on sharing pays off, and what the mask branch adds;
# - measure where a detector spends its time, and tell which of the papers' times can be compared.

# %%
from inspect import getsource

import torch
from torch.nn.functional import interpolate

from mrcnn_edu import Config, MaskRCNN, ancestors, load, viz
from mrcnn_edu.ancestors.cost import cost_of_proposals, measure_cost, multiply_adds
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.roi_ops import feature_table

viz.show_flow("features")

# %% [markdown]
# ## The problem
#
# A network that classifies *one* object is old; an image holds several, anywhere. So cut the
# problem in two: **proposals**, boxes that may hold an object, and a network that looks at each.
# But boxes overlap. Here are the 100 proposals that `shapes-tiny` predicts for one scene. Must the
# features of an object be computed again for every box that it lies in?

# %%
model, (image, target) = load("shapes-tiny").eval(), Shapes(100, seed=5)[16]
trace = model.trace([image])
proposals = trace.proposals[0].boxes  # [100, 4]
panels = {"objects": (target["boxes"], "gt"), "100 proposals": (proposals, "proposal")}
viz.show_panels(image, panels).caption("Which pixels lie in many boxes?")

# %% [markdown]
# ## 1. R-CNN: every region through the whole network
#
# **R-CNN** (regions with features of a CNN, a convolutional network) takes about 2,000 proposals
# from a method that is not learned (selective search, which merges pieces of similar color). Such
# a box is called a **region** or **RoI**, region of interest; it is not a set of pixels, as in
# lesson 01. R-CNN crops each one, **warps** it (scales it to one size, whatever its shape), and
# sends it through the backbone, the many convolutions that turn pixels into features.


# %%
def warp(box, size=96):
    return interpolate(viz.crop(image, box)[None], size=(size, size), mode="bilinear")[0]


pictures = {f"proposal {i}": warp(proposals[i]) for i in (0, 5, 30, 60, 90)}
viz.show_images(pictures).caption("What R-CNN's backbone sees: five of a hundred such images.")

# %% [markdown]
# What does that cost? Count **multiply-adds**: one multiplication and the addition that follows. A
# convolution computes H x W values for each output channel, and each of them is a sum over C input
# channels times the k x k positions of its **kernel**, the square of weights that slides:
#
# multiply-adds = (H x W x output channels) x (input channels x k x k)
#
# **Predict:** the first layer of `shapes-tiny` computes 32 channels of 48 x 48 from 3 channels of
# 96 x 96, with a 3 x 3 kernel. Is that about 20 thousand, 2 million or 200 million multiply-adds?
#
# PyTorch counts for us, by watching what is computed (`multiply_adds`). Convolutions count, and
# **fully connected** layers, in which each output is a weighted sum of *all* inputs. Sums, **ReLU**
# (negative values become 0) and **pooling** (a few neighbors become one value), which are far less
# work, do not.

# %%
pixels, first_layer = torch.zeros(1, 3, 96, 96), (48 * 48 * 32) * (3 * 3 * 3)
assert multiply_adds(model.backbone.conv1, pixels) == first_layer
whole = multiply_adds(torch.nn.Sequential(model.backbone, model.neck), pixels)  # neck: lesson 04
print(f"first layer: {48 * 48 * 32:,} outputs of 27 each, {first_layer:,}")
print(f"one pass: {whole / 1e9:.2f} billion; 100 regions: {100 * whole / 1e9:.1f} billion")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 2 million: 73,728 outputs of 27 multiply-adds each. (If you said 20 thousand, you multiplied
# H x W x 9, without the channels. The numbers of input channels and of output channels are both
# factors, and that is where the work is.)
# </details>
#
# ## 2. Fast R-CNN: one pass, then pool
#
# **Fast R-CNN** sends the image through the backbone *once*. Each region takes its piece of that
# feature map: RoIPool (section 2.1) turns any box into 7 x 7 values per channel (lesson 07 has its
# better successor, RoIAlign, which our model uses). Then come two fully connected layers, and two
# outputs side by side: a class, and a better box. Here it is, step by step.

# %%
with torch.no_grad():
    features = model.features(trace.batch)  # once
    table = feature_table(features[:3])  # for lookups (lesson 07); only the RPN reads the fourth
    pooled = model.pool(table, [proposals], output_size=7)  # [100, 64, 7, 7]
    class_logits, box_deltas = model.box_head(pooled)
torch.testing.assert_close(class_logits, trace.class_logits)  # the package's
torch.testing.assert_close(box_deltas, trace.box_deltas)
print(getsource(type(model.box_head).forward))

# %% [markdown]
# **Predict:** for 100 regions of this model, how many times fewer multiply-adds does Fast R-CNN's
# way need than R-CNN's: about 10, 75 or 100 times?

# %%
head = multiply_adds(model.box_head, torch.zeros(1, 64, 7, 7))  # for each region, both ways
n = torch.arange(1, 101)
ways = {"R-CNN's way": n * (whole + head) / 1e9, "Fast R-CNN's way": (whole + n * head) / 1e9}
picture = viz.show_lines(n, ways, "regions", "multiply-adds, billions")
picture.caption("One line climbs by a whole pass for each region. What does the other climb by?")

# %%
fewer = (ways["R-CNN's way"] / ways["Fast R-CNN's way"])[-1].item()
print(f"a pass {whole / 1e6:.1f} million, a head {head / 1e6:.2f} million; {fewer:.0f} times fewer")
assert 70 < fewer < 80 and 0.23 < 100 * head / (whole + 100 * head) < 0.27

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 75 times. (100 times would be right if only the backbone cost anything. The head still runs
# for every region, and at 100 regions it is a quarter of Fast R-CNN's work.)
# </details>
#
# ## 3. It is not the same computation
#
# Is sharing only faster, or does it change the result? A value of the feature map depends on far
# more pixels than lie in the box; R-CNN cuts those off. So we read the features of one region from
# the scene, and from the scene with everything outside the box painted gray.
#
# **Predict:** the region is a ground-truth box. How much do its features change when only what is
# *outside* the box turns gray: not at all, by about a tenth, or by more than half?

# %%
box, alone = target["boxes"][1:2], torch.full_like(image, 0.5)
x1, y1, x2, y2 = box[0].long().tolist()
alone[:, y1:y2, x1:x2] = image[:, y1:y2, x1:x2]
viz.show_images({"the scene": image, "surroundings gray": alone}).caption(
    "The violet triangle, twice."
)

# %%
batch = model.preprocess([image, alone])
with torch.no_grad():
    scene, gray = model.pool(feature_table(model.features(batch)[:3]), [box, box], output_size=7)
print(f"features changed by {(gray - scene).norm() / scene.norm():.0%}, box {x2 - x1} pixels wide")
assert 0.5 < (gray - scene).norm() / scene.norm() < 1

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# By more than half. The box is 24 pixels wide, and each value was computed from pixels further away
# than that: Fast R-CNN's features have seen the surroundings. R-CNN's crop has lost them, and has
# another scale besides: it is a different computation. ("Not at all" would be right for pixels, but
# features are not pixels.)
# </details>
#
# ## 4. Faster R-CNN and Mask R-CNN: proposals from the same features, and one more branch
#
# Up to here proposals came from outside. **Faster R-CNN** (section 3) adds the **RPN** (lesson 06),
# a small network that slides over the *same* feature maps and predicts where an object may be. Let
# us count at the paper's size: ResNet-50 with a pyramid, 800 x 800 pixels, 1,000 proposals. On the
# device `meta` tensors have shapes but no values, so nothing is really computed.

# %%
with torch.device("meta"):
    large, faster = MaskRCNN(Config()).eval(), MaskRCNN(Config(mask_head=None)).eval()
    shared = torch.nn.Sequential(large.backbone, large.neck)
    scene, crop = torch.zeros(1, 3, 800, 800), torch.zeros(1, 3, 224, 224)
    region, mask_region = torch.zeros(1, 256, 7, 7), torch.zeros(1, 256, 14, 14)
    inputs = scene, crop, shared(scene), region, mask_region

# %%
stages = shared, shared, large.rpn_head, large.box_head, large.mask_head
names = "image", "crop", "RPN", "box head", "mask head"
cost = {n: multiply_adds(*run) for n, *run in zip(names, stages, inputs, strict=True)}
four_layers = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * 91 + 1024 * 4 * 91
assert cost["box head"] == four_layers  # fully connected: inputs times outputs

# %% [markdown]
# **Mask R-CNN** (section 3) leaves all that as it is and adds a branch beside class and box: a mask
# for each region, from RoIAlign's features. When it detects, the branch runs on the 100 best
# *detections* only, not on 1,000 proposals. `mask_head=None` removes it: Faster R-CNN.
#
# **Predict:** the RPN looks at every position of every map. Is its work less than half of the
# shared pass, about as much, or several times as much? Does sharing pay off for 10 regions? And for
# an image with 100 detections, how much does the mask branch add to the rest: 4, 40 or 400 %?

# %%
print("billions:", {name: round(number / 1e9, 3) for name, number in cost.items()})
print(f"RPN: {cost['RPN'] / cost['image']:.0%} of the pass over the image")
print(f"one image is {cost['image'] / cost['crop']:.2f} crops")
assert cost["RPN"] < cost["image"] / 2 and 12 < cost["image"] / cost["crop"] < 13

# %%
without = cost["image"] + cost["RPN"] + 1000 * cost["box head"]
more = {n: n * cost["mask head"] / without for n in (10, 100, 1000)}
print("masks add to the rest", {n: f"{fraction:.0%}" for n, fraction in more.items()})
print(f"a mask costs as much as {cost['mask head'] / cost['box head']:.0f} boxes")
assert faster.mask_head is None and 0.38 < more[100] < 0.42  # all other layers are the same

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Less than half. At 10 regions, crops of 224 pixels are *cheaper* than a pass over 800 x 800:
# sharing pays off from 13 on, and not always, as one might think. With 1,000 regions the question
# does not arise. The mask branch adds 40 % at most, and 4 % for an image with ten objects; the
# paper reports about 20 % in *time*, since operations are not time. One mask costs as much as 37
# boxes, since its convolutions run over 14 x 14 positions; run for all 1,000 proposals it would
# cost four times the rest of the network.
# </details>
#
# ## 5. The family, running
#
# Here is what each computes once, and what for every region. **FCIS** is the rival, the first fully
# convolutional network to learn masks end to end: it has no head at all. Its maps predict for each
# *part* of an object where it is, and a region only looks that up (lesson 13). The package has all
# five, each trained on the same 2,000 scenes (`python tools/make_ancestors.py`). Its Faster
# R-CNN is Mask R-CNN without masks: it reads a pyramid with RoIAlign. Fast R-CNN reads one map with
# RoIPool, as in the paper.

# %% tags=["cover"]
columns = ["proposals", "backbone", "region's features", "class, box", "mask"]
family = {
    "R-CNN": ["outside", "each: region", "each: crop, warp", "each: region", ""],
    "Fast R-CNN": ["outside", "once", "each: RoIPool", "each: region", ""],
    "Faster R-CNN": ["once: RPN", "once", "each: RoIPool", "each: region", ""],
    "FCIS": ["once: RPN", "once", "each: lookup", "each: mean", "each: lookup"],
    "Mask R-CNN": ["once: RPN", "once", "each: RoIAlign", "each: region", "each: detection"],
}
viz.show_sharing(family, columns).caption("From top to bottom: which fields turn green?")

# %%
files = "rcnn", "fast-rcnn", "faster-rcnn", "fcis", "mask-rcnn"
systems = {name: ancestors.load(file) for name, file in zip(family, files, strict=True)}
detections = {name: system.detect([image])[0] for name, system in systems.items()}
confident = {name: d[d.scores > 0.5] for name, d in detections.items()}
viz.show_comparison(image, confident, systems["R-CNN"].classes).caption("Which have masks?")

# %% [markdown]
# Now a photograph. Our five know only the six outlines of the synthetic images, and every class
# label that they predict there would be wrong, so we look at their *time* alone: `measure_cost`
# runs `detect` with a clock. R-CNN and Fast R-CNN get 300 proposals from selective search, the
# others get theirs from an RPN.
#
# **Predict:** what takes most of R-CNN's time, and what most of Fast R-CNN's?

# %%
# NBVAL_IGNORE_OUTPUT
photo = viz.sample_photograph()
for _ in range(2):  # the first time is to warm up
    costs = {name: measure_cost(system, [photo])[1] for name, system in systems.items()}
print("backbone passes:", {name: c.passes for name, c in costs.items()})
assert costs["Fast R-CNN"].proposals > costs["Fast R-CNN"].total / 2
picture = viz.show_parts({name: c.milliseconds for name, c in costs.items()}, "milliseconds")
picture.caption("One photograph. Which bar is nearly of one color?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Selective search, for both: it runs on the photograph at full size, while Fast R-CNN's network
# sees it scaled down. R-CNN's 300 passes are added to that (two runs of the search differ by more
# than these take, so either bar may be the longer); with VGG16 and about 2,000 regions they took 47
# seconds, far more than any search. Fast R-CNN spent 1.51 of 1.83 seconds on the search: once the
# network had become fast, it was the proposals that were slow, and so the RPN was invented.
# </details>
#
# And with more proposals? We give R-CNN and Fast R-CNN more of them, found beforehand, so that the
# search does not count, and let each RPN propose as many.
#
# **Predict:** from 10 to 1,000 proposals, how many times as long does each of the five take?

# %%
# NBVAL_IGNORE_OUTPUT
counts, boxes = torch.tensor([10, 100, 300, 1000]), ancestors.selective_search(photo)
lines = {
    name: torch.tensor(
        [min(cost_of_proposals(system, photo, boxes[:n]).total for _ in range(3)) for n in counts]
    )
    for name, system in systems.items()
}  # the shortest of three times: other programs use this computer, too
longer = {name: (seconds[-1] / seconds[0]).item() for name, seconds in lines.items()}
print("times as long:", {name: round(times) for name, times in longer.items()})
slowest, second = sorted(lines, key=lambda name: -lines[name][-1])[:2]
assert slowest == "R-CNN" and lines[slowest][-1] > 1.5 * lines[second][-1]
viz.show_lines(counts, lines, "proposals", "seconds").caption("Whose line climbs, and why?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# R-CNN more than ten times, the others a few times. R-CNN pays a whole pass for each proposal, the
# others pay for their heads, and FCIS, which has none, for reading its maps. So R-CNN's line is
# straight and steep, and theirs are low: this is sharing, as the clock sees it.
# </details>
#
# And the papers' times per image, in seconds. (Those of Fast R-CNN's first comparison come from
# notes on the paper. VGG16 and ResNet-101 are backbones.) Which may be compared? Look at the parts.

# %%
rcnn, fast, fast_and_proposals, faster_rcnn, mask_rcnn = 47, 0.32, 1.830, 0.198, 0.195
assert abs(fast - (0.146 + 0.174)) < 1e-9  # convolutions and heads: proposals are not in it
assert abs(fast_and_proposals - (0.146 + 1.510 + 0.174)) < 1e-9  # selective search: 1.510
assert abs(faster_rcnn - (0.141 + 0.010 + 0.047)) < 1e-9  # RPN: 0.010
print(f"R-CNN {rcnn} s, Fast R-CNN {fast} s, both with VGG16: {rcnn / fast:.0f} times")
print(f"with proposals: {fast_and_proposals} s, Faster R-CNN: {faster_rcnn} s")
print(f"Mask R-CNN: {mask_rcnn} s, another backbone (ResNet-101-FPN) and another GPU (M40)")

# %% [markdown]
# 47 and 0.32 belong together, and so do 1.830 and 0.198; 0.32 against 0.198 would compare a time
# without proposals with one that includes them. Mask R-CNN's 0.195 stands alone.
#
# ## Where it breaks: a region that nobody proposed
#
# Heads score proposals, and move them a little. We remove those that overlap one object, in
# steps: first those with an IoU of 0.7 or more, then 0.5, then 0.3.
#
# **Predict:** with the proposals of 0.3 and more gone, others still touch the object. Will the box
# head move one of them onto it?

# %%
iou = box_iou(target["boxes"], proposals)  # [5, 100]


def detect_without(row, limit):
    keep = iou[row] < limit
    kept = trace.proposals[0]._replace(boxes=proposals[keep])
    selected = model.select(class_logits[keep], box_deltas[keep], [kept], trace.batch)[0]
    return selected.boxes[selected.scores > 0.5]


# %%
for row, gt_box in enumerate(target["boxes"]):
    detected = [detect_without(row, limit) for limit in (2, 0.7, 0.5, 0.3)]  # 2: all are kept
    best = [box_iou(gt_box[None], boxes).max().item() for boxes in detected]
    print(f"object {row}: best IoU of a detection", [round(value, 2) for value in best])
    assert min(best[:2]) > 0.7 and best[-1] < 0.3

# %%
n_removed, n_left = (iou[0] >= 0.3).sum(), ((iou[0] > 0) & (iou[0] < 0.3)).sum()
print(f"{n_removed} proposals of object 0 removed; {n_left} that touch it remain")
before, after = detect_without(0, 2), detect_without(0, 0.3)
panels = {"all proposals": (before, "detection"), "without object 0's": (after, "detection")}
viz.show_panels(image, panels).caption("Which object has no box on the right?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No. A head can correct a proposal (without those of 0.7 and more, each object is still found), but
# it classifies what lies beside an object as background. Nothing that comes later can bring an
# object back. That is why the RPN's **recall** matters, the fraction of the objects that get a
# proposal (lesson 06). Sharing has a weak spot, too: a region's piece of a shared map must be read
# at the right position, and RoIPool does not do that (lesson 07).
# </details>
#
# ## Play
#
# Change the number of proposals, and the number of detections that get a mask. Where do the bars of
# R-CNN and Fast R-CNN meet? How much does the mask branch add to Mask R-CNN's bar, with 10
# detections and with 100?

# %%
from mrcnn_edu.course.widgets import history_player

history_player(cost)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.convolution_cost))`.
#
# **1.** `convolution_cost(height, width, inputs, outputs, kernel, stride)`: the multiply-adds of a
# convolution on a map of height x width, both of which it divides by the stride and rounds up.
# Inputs and outputs are numbers of channels, kernel is the k of k x k. 2 lines.
#
# **2.** `regions_cost(n, image, crop, head)`: the multiply-adds of n regions as a tuple, R-CNN's
# and then Fast R-CNN's, given those of a pass over the image, over a crop, and of the head. 1 line.
#
# **3.** `sharing_pays_from(image, crop)`: the smallest number of regions, a whole number, for which
# sharing needs fewer multiply-adds; all numbers are whole. 1 line.

# %%
from mrcnn_edu.course.exercises import history as exercises


def convolution_cost(height, width, inputs, outputs, kernel, stride): ...


def regions_cost(n, image, crop, head): ...


def sharing_pays_from(image, crop): ...


exercises.check_convolution_cost(convolution_cost)
exercises.check_regions_cost(regions_cost)
exercises.check_sharing_pays_from(sharing_pays_from)

# %% [markdown]
# ## Remember
#
# - R-CNN computes everything for each region; Fast R-CNN shares the backbone's pass, Faster R-CNN
#   the proposals' too, and Mask R-CNN adds a mask branch on the same features.
# - Multiply-adds of a convolution: the number of outputs, times the number of products in each.
# - An object without a proposal is missed, whatever the heads can do.
#
# torchvision has `fasterrcnn_resnet50_fpn` and `maskrcnn_resnet50_fpn`; in detectron2 they are one
# `GeneralizedRCNN`, with `MASK_ON` or without. Next: **04, backbone and pyramid**, the pass that
# all regions share.
