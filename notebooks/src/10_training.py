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
# # 10 · Training: which boxes does a network learn from, and how do you see that it learns?
#
# A loss that falls is not enough: it falls for wrong data too.
# After this lesson (90 minutes) you can
#
# - lay out the targets of anchors and RoIs as tables, before there is any network;
# - say what each of the five losses is at the start, and why, and find a fault in that way;
# - *overfit* one scene (learn it by heart), then train, and read recall and mask IoU beside losses;
# - tell three faults of training apart by the check that catches each.
#
# This notebook trains a model while you watch: it computes for about two minutes in all.

# %%
from inspect import getsource
from itertools import islice
from math import log

import torch
from IPython.display import display

from mrcnn_edu import Config, MaskRCNN, viz
from mrcnn_edu.boxes import box_iou, clip_boxes, decode_boxes, encode_boxes
from mrcnn_edu.data import Shapes, check
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.targets import mask_targets, roi_targets, rpn_targets

viz.show_flow("class, box, mask")

# %% [markdown]
# ## The problem
#
# A scene has five objects, and an annotation for each. But the network does not make predictions
# for objects. It makes them for boxes: thousands of **anchors** (lesson 05), hundreds of
# **proposals** (lesson 06). A box for which a head must make a prediction is a **RoI**. Where does
# the target of each of them come from? We need no network to find out: proposals can be made up, 40
# near the objects and 100 anywhere.

# %%
scenes = Shapes(10_000, seed=381)
image, target = scenes[0]
boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
generator = torch.Generator().manual_seed(0)
near = decode_boxes(0.25 * torch.randn(40, 4, generator=generator), boxes.repeat(8, 1))
center = 96 * torch.rand(100, 2, generator=generator)
half = 4 + 20 * torch.rand(100, 2, generator=generator)
anywhere = torch.cat((center - half, center + half), dim=1)
proposals = clip_boxes(torch.cat((near, anywhere)), (96, 96))

panels = {"5 objects": (boxes, "gt")}
panels |= {"every third of 140 proposals": (proposals[::3], "proposal")}
assert len(boxes) == 5 and len(proposals) == 140
viz.show_panels(image, panels).caption("Which boxes on the right are assigned to which object?")

# %% [markdown]
# ## 1. Which object is a RoI assigned to?
#
# "An RoI is considered positive if it has IoU with a ground-truth box of at least 0.5 and negative
# otherwise" (section 3.1). A **positive** is assigned to the object that it overlaps most, a
# **negative** is background, label 0.
#
# **Predict:** two objects of 10 x 10 pixels, 10 apart, and six RoIs: the upper half of object 0;
# its box 2 pixels too low, and 4; a box that contains half of each and the gap; one that contains
# object 1 and as much again below it; and one elsewhere. How many are positive? The IoU is the area
# in both boxes divided by the area in either.

# %%
from mrcnn_edu.matching import match

toy = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
half_of_it, shifted_2, shifted_4 = [0.0, 0, 10, 5], [0.0, 2, 10, 12], [0.0, 4, 10, 14]
across, twice, elsewhere = [5.0, 0, 25, 10], [20.0, 0, 30, 20], [40.0, 0, 50, 10]
rois = torch.tensor([half_of_it, shifted_2, shifted_4, across, twice, elsewhere])
iou = box_iou(toy, rois)  # [M, R]

best, nearest = iou.max(dim=0)  # over the objects
matched = torch.where(best >= 0.5, nearest, -1)  # [R]: the object, or -1
assert matched.equal(match(iou, 0.5, 0.5)) and matched.tolist() == [0, 0, -1, -1, 1, -1]

names = ["half of 0", "0, 2 lower", "0, 4 lower", "across both", "twice 1", "elsewhere"]
table = viz.show_table(iou.T, names, ["object 0", "object 1"])
table.caption("The IoU of each RoI with each object. Is there 0.5 or more in its row?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Three: 0.5 itself is enough. (If you said four: a box that is 4 pixels too low still contains 60 %
# of its object, but its IoU is 0.43.)
# </details>
#
# For anchors the rule is stricter, as lesson 05 showed: positive from 0.7, negative below 0.3,
# ignored between, and the best anchor of each object is positive in any case.
#
# ## 2. One positive to three negatives
#
# As with the anchors (lesson 06), a step does not use all RoIs. It **samples** them, that is, it
# draws at random, at most N per image, but here "with a ratio of 1:3 of positive to negatives"
# (section 3.1); for anchors it was 1:1. Our N is 48. The ground-truth boxes are added to the
# proposals, because an untrained network proposes nothing good. A positive also needs **box
# deltas** (lesson 02): how its box must move to become its object's.
#
# **Predict:** suppose that only five RoIs are positive. How many negatives are sampled: 15, 36 or
# 43?


# %%
def sample_by_hand(matched, n, fraction, generator):
    positive, negative = torch.where(matched >= 0)[0], torch.where(matched == -1)[0]
    drawn = positive[torch.randperm(len(positive), generator=generator)[: int(n * fraction)]]
    rest = negative[torch.randperm(len(negative), generator=generator)[: n - len(drawn)]]
    return torch.cat((drawn, rest)).sort().values


# %%
all_rois = torch.cat((proposals, boxes))
best, nearest = box_iou(boxes, all_rois).max(dim=0)
matched = torch.where(best >= 0.5, nearest, -1)
sampled = sample_by_hand(matched, 48, 0.25, generator.manual_seed(0))
deltas = encode_boxes(boxes[nearest[sampled]], all_rois[sampled], BOX_SCALE)  # from RoI to object

# %%
(rois,) = roi_targets([proposals], [boxes], [labels], 0.5, 48, 0.25, [generator.manual_seed(0)])
positive = rois.labels > 0
assert positive.equal(matched[sampled] >= 0) and (positive.sum(), (matched >= 0).sum()) == (12, 38)
torch.testing.assert_close(rois.deltas[positive], deltas[positive], rtol=0, atol=0)
print(getsource(roi_targets).split('"""')[2])

# %%
few = sample_by_hand(torch.tensor([0] * 5 + [-1] * 140), 48, 0.25, None)
assert ((few < 5).sum(), (few >= 5).sum()) == (5, 43)
panels = {"12 of 38 positives": (rois.boxes[positive], "proposal")}
panels |= {"36 negatives": (rois.boxes[~positive], "proposal")}
picture = viz.show_panels(image, panels)
picture.caption("What the heads learn from in this step. Does every negative show background?")

# %%
from mrcnn_edu.anchors import pyramid_anchors

for row in [*torch.where(positive)[0][:3], *torch.where(~positive)[0][:2]]:
    name = ["background", *scenes.classes][rois.labels[row]]
    deltas = [f"{d:5.1f}" for d in rois.deltas[row].tolist()] if positive[row] else ["none"]
    print(f"RoI {sampled[row]:3}: label {rois.labels[row]}, {name:10}  deltas", *deltas)

c = Config.tiny()
grids = [(24, 24), (12, 12), (6, 6), (3, 3)]
anchors = torch.cat(pyramid_anchors(grids, (96, 96), c.anchor_sizes, c.anchor_ratios))
(targets,) = rpn_targets(anchors, [boxes], 0.7, 0.3, 64, 0.5, [generator.manual_seed(0)])
n = int(targets.labels.sum())
assert len(anchors) == 2295 and len(targets.labels) == 64 and n == len(targets.deltas)
print(f"{len(anchors):,} anchors: {n} with label 1 and deltas, {64 - n} with label 0")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 43: negatives fill up the rest of N. (If you said 15 or 36, you kept the ratio.) And many
# negatives show a good piece of an object: they teach what is *not good enough*.
# </details>
#
# The last output shows the targets as what they are, rows of a table: for each RoI a label and, if
# it is positive, deltas. The anchors have the same, with label 1 for any object; our model samples
# 64 of them, at most half of them positive.
#
# ## 3. The mask that a RoI must learn
#
# Only positives have a mask to learn. "The mask target is the intersection between an RoI and its
# associated ground-truth mask" (section 3.1), resampled to m x m pixels.
#
# **Predict:** a RoI covers the right half of an object, so its IoU is 0.5. What is its target: the
# whole object, squeezed; the half of it that lies in the RoI; or nothing?

# %%
mask, roi = torch.ones(8, 8).tril().bool(), torch.tensor([[4.0, 0, 8, 8]])
by_hand = mask[:, 4:].float().view(2, 4, 2, 2).mean(dim=(1, 3))  # m = 2: blocks of 4 x 2 pixels
package = mask_targets([mask[None]], [roi], [torch.tensor([0])], mask_size=2)[0]
torch.testing.assert_close(package, by_hand)

# %%
titles = ["ground truth, 8 x 8", "target, 2 x 2"]
picture = viz.show_maps([mask.float(), by_hand], titles, high=1, numbers=".3g")
viz.draw_boxes(picture.axes[0], roi - 0.5, "proposal")
picture.caption("Orange: the RoI. A pixel of the target is the fraction that the mask covers.")

# %%
to_learn = rois.positive()
soft = mask_targets([masks], [to_learn.boxes], [to_learn.objects], mask_size=28)  # [12, 28, 28]
iou = box_iou(boxes, to_learn.boxes).amax(dim=0)
picture = viz.show_regions(image, to_learn.boxes[:6], soft[:6], [f"IoU {v:.2f}" for v in iou[:6]])
picture.caption("Above: what six RoIs see. Below: what they learn. A mask ends where its RoI ends.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The half in the RoI: the mask head outlines what is *in the box*. So a mask cannot repair a box
# that is too small. And targets are soft: a pixel on the outline is partly covered. (The whole
# object, squeezed, would require pixels that the head does not see.)
# </details>
#
# ## 4. Few images, many RoIs
#
# Training is **image-centric** (section 3.1, after [Fast R-CNN](03_history.ipynb)): a step takes a
# few images and many RoIs of each, since all RoIs of an image share its features. The **learning
# rate** determines how far each step moves the weights. The paper's settings beside ours:

# %%
from mrcnn_edu.train import Training, steps, with_progress

paper, training = Config(), Training(steps=300)
assert (paper.roi_batch_per_image, c.roi_batch_per_image, training.batch_size) == (512, 48, 4)
rows = {
    "images per step": ("16, two on each of 8 GPUs", training.batch_size),
    "RoIs per image": (f"{paper.roi_batch_per_image}; 64 for C4", c.roi_batch_per_image),
    "positive RoIs": (f"{paper.roi_positive_fraction:.0%}", f"{c.roi_positive_fraction:.0%}"),
    "steps": ("160,000", training.steps),
    "learning rate": ("0.02, a tenth from 120,000 on", training.learning_rate),
    "optimizer": ("SGD, momentum 0.9", training.optimizer),
    "weight decay": ("0.0001", training.weight_decay),
}
for name, (theirs, ours) in rows.items():
    print(f"{name:17} {theirs:30} {ours}")

# %% [markdown]
# (C4 and FPN are the two backbones of lesson 04. SGD, stochastic gradient descent, goes down the
# slope of the loss; momentum 0.9 carries nine tenths of the last step into the next. AdamW scales
# the step of every weight by the size of its recent gradients, and needs other learning rates than
# SGD. **Weight decay** pulls weights to 0. Our learning rate rises over the first steps, the
# **warm-up**, and falls along half a cosine.)
#
# ## 5. What should the losses be before the first step?
#
# L = Lcls + Lbox + Lmask (section 3), and two more of the RPN. An untrained network should give
# every label the same probability. A cross-entropy is -log of the probability given to the true
# label: with n equal probabilities that is log n.
#
# **Predict:** the class loss (6 classes and background), the objectness loss (yes or no) and the
# mask loss (yes or no, for each pixel). Will all three be what you computed?


# %%
def losses_at_start(model):
    images, targets = zip(*(scenes[i] for i in range(16)), strict=True)
    with torch.no_grad():
        losses = model(list(images), list(targets), [torch.Generator().manual_seed(0)] * 16)
    return {name.removeprefix("loss_"): loss.item() for name, loss in losses.items()}


# %%
torch.manual_seed(0)
model = MaskRCNN(Config.tiny())
start, expected = losses_at_start(model), dict(objectness=log(2), classifier=log(7), mask=log(2))
print({name: f"{value:.1f}" for name, value in start.items()})
assert start["objectness"] < 0.71 and 1.4 < start["classifier"] < 2.4 and start["mask"] > 1.2

# %%
for layer in (model.mask_head.mask_fcn_logits, model.box_head.cls_score):  # too large?
    layer.weight.data, layer.bias.data = layer.weight.data / 100, 0 * layer.bias.data
small = losses_at_start(model)
print({name: f"{small[name]:.2f}" for name in expected})
assert all(abs(small[name] - value) < 0.02 for name, value in expected.items())

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Objectness is, at log 2 = 0.69: its last layer starts small. The class loss is only near log 7 =
# 1.95. The mask loss is about twice what it should be: the head begins with high confidence, at
# random. Are its last weights too large? The second code cell makes the last layers of both heads a
# hundred times smaller, and all three agree. (We initialize the mask layer as torchvision does, by
# Kaiming's rule, which gives large weights to a layer with few outputs. The first steps correct it,
# so we leave it. But the check has found something, and that is what it is for.) The two box losses
# (`box_reg` and `rpn_box_reg`) have no such expected value: they depend on how far boxes are off.
# They are small, because few rows have deltas, and the sum is divided by the number of *all* rows.
# </details>
#
# ## 6. First of all: one scene, again and again
#
# Before you train for hours, train on a single scene. A network that cannot overfit *one* will not
# learn ten thousand. If it fails here, look for a mistake in the code, not for more data. (`steps`
# trains: it yields the list of losses so far, empty before the first step.)
#
# **Predict:** we take 60 steps on our scene. Will each of the five losses be lower in the last 20
# of them, on average, than at the start?

# %%
# NBVAL_IGNORE_OUTPUT
overfitting = Training(steps=60, batch_size=1, learning_rate=1e-3)
torch.manual_seed(0)
model, n_positive = MaskRCNN(Config.tiny()), []
for losses in with_progress(steps(model, Shapes(1, seed=381), overfitting), 60):
    if len(losses) in (0, 60):
        proposed = model.trace([image]).proposals[0].boxes
        n_positive.append((box_iou(boxes, proposed) >= 0.5).any(dim=0).sum().item())
late = {name: sum(step[name] for step in losses[-20:]) / 20 for name in losses[0]}
for name, value in late.items():
    print(f"{name:17} {losses[0][name]:.3f} -> {value:.3f}")
print(f"positive proposals {n_positive[0]} -> {n_positive[1]}")
assert sum(late.values()) < 0.4 * sum(losses[0].values()) and n_positive[0] < n_positive[1]
assert [name for name in late if late[name] >= losses[0][name]] == ["loss_box_reg"]
assert max(step["loss_box_reg"] for step in losses) > 4 * losses[0]["loss_box_reg"]
p = soft.double().clamp(0, 1)  # as if each probability were its target
floor = -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean().item()
print(f"the lowest mask loss of the 12 RoIs of section 3: {floor:.2f}")

# %%
# NBVAL_IGNORE_OUTPUT
detections = model.detect([image])[0]
confident = detections[detections.scores > 0.5]
picture = viz.show_detections(image, confident, scenes.classes, target)
picture.caption("Left: ground truth. Right: what was learned by heart. Are all five found?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No: the box head's box loss, `loss_box_reg`, goes up several times over before it falls, and that
# is as it should be. Before training, almost the only positive RoIs are the ground-truth boxes we
# added ourselves, and their regression targets are zero. Later more proposals are positive, and
# each has deltas to learn; after 60 steps the loss is not yet back to where it started. And the
# mask loss cannot reach 0: a pixel on an outline has a target such as 0.4, and even the prediction
# 0.4 costs something (the last line printed says how much). So judge a training run by what the
# model finds, not only by its losses.
# </details>
#
# ## 7. Now in earnest
#
# `train.steps` yields the losses so far, before the first step and after each. In between we
# evaluate the model on 16 scenes that it never trains on, a small **validation set**. **Recall** is
# the fraction of objects that a proposal covers at an IoU of 0.5. **Mask IoU** is the IoU of the
# mask that is predicted in each object's *ground-truth* box with the ground-truth mask. To fill the
# whole box takes no skill and has an IoU, too: that of the **filled box** is what a mask must beat.
# And **class accuracy** is the fraction of the ground-truth boxes that the box head classifies
# correctly. At the end we evaluate everything at once, found, classified and outlined: **AP**, 100
# at best (lesson 11).
#
# Detectors seldom start at random: Faster R-CNN's backbone had learned to classify ImageNet's
# photographs. Ours has learned to classify single outlines, which is the same idea
# (`weights/backbones.py`); pyramid and heads are new. `init_backbone` loads it into a model.
#
# **Predict:** which comes first: finding objects, outlining them, or classifying them?

# %%
from mrcnn_edu.detections import paste_masks, predicted_masks

unseen = [Shapes(300, seed=1)[i] for i in range(16)]


def measure(model):
    """The proposals' recall; in the objects' boxes mask IoU, filled box IoU and class accuracy."""
    found, predicted, filled, correct = [], [], [], []
    for image, target in unseen:
        boxes, labels, gt_masks = target["boxes"], target["labels"], target["masks"]
        proposed = model.trace([image]).proposals[0].boxes
        found.append((box_iou(boxes, proposed) >= 0.5).any(dim=1))
        class_logits, mask_logits = model.predict_on_boxes(image, boxes)
        correct.append(class_logits[:, 1:].argmax(dim=1) + 1 == labels)
        probs = predicted_masks(mask_logits, labels)
        for iou, values in ((predicted, probs), (filled, torch.ones_like(probs))):
            masks = paste_masks(values, boxes, (96, 96))
            iou.append((masks & gt_masks).sum(dim=(1, 2)) / (masks | gt_masks).sum(dim=(1, 2)))
    return [torch.cat(rows).float().mean().item() for rows in (found, predicted, filled, correct)]


# %% tags=["cover"]
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.weights import init_backbone

torch.manual_seed(0)
model = init_backbone(MaskRCNN(Config.tiny()))
curves = {"recall": {}, "mask IoU": {}, "filled box": {}, "class accuracy": {}}
for losses in with_progress(steps(model, scenes, training), training.steps):
    step = len(losses)
    if step % 25 == 0:
        for curve, value in zip(curves.values(), measure(model), strict=True):
            curve[step] = value
        picture = viz.show_training(losses, curves)
        picture.caption("Left: the losses. Right: what we train for. Which curve rises first?")
        if step == 0:
            shown = display(picture, display_id=True)
        else:
            shown.update(picture)

# %%
# NBVAL_IGNORE_OUTPUT
import json
from importlib.resources import files

from mrcnn_edu.evaluate import detect_all, evaluate

record = json.loads(files("mrcnn_edu").joinpath("weights/shipped/shapes-tiny.json").read_text())
val_data = Shapes(40, seed=1)
ap = 100 * evaluate(val_data, detect_all(model, val_data)).ap
long, long_ap = record["training"], 100 * record["scores"]["segm"]["ap"]
print(getsource(steps).split('"""')[2])
print(f"{training.steps:5,} steps of {training.batch_size} scenes: mask AP {ap:.0f}")
print(f"{long['steps']:5,} steps of {long['batch_size']} scenes: mask AP {long_ap:.0f}")
recall, mask_iou, filled_box, accuracy = curves.values()
assert recall[300] > 0.8 > 0.5 > recall[0] and mask_iou[300] > filled_box[300]
assert mask_iou[25] < filled_box[25] and recall[100] > 0.9
assert mask_iou[100] > 0.9 * mask_iou[300] and accuracy[100] < 0.9 * accuracy[300]
n_scenes = training.steps * training.batch_size
assert 20 < ap < 60 < 75 < long_ap and long["batch_size"] == 8
assert long["steps"] * long["batch_size"] >= 40 * n_scenes

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Finding, by far. Then come outlines, at first no better than the filled box (and at the start an
# outline is chance: the random masks with high confidence of section 5). Classes come last,
# although the backbone had learned outlines: at step 100 nearly every object is found and the
# outlines are almost as good as at the end, but many classes are still wrong, and that curve keeps
# rising. A wrong class makes a detection worthless, so AP stays far behind recall.
# No sum of losses tells you this. `shapes-tiny` is the same network, trained on such scenes from
# random weights: according to its record, for thousands of steps of 8 scenes, many times as many
# scenes as ours. A loss that looks flat is no reason to stop.
# </details>
#
# ## Where it breaks
#
# Three faults, each on purpose. First, labels that count from 0, as in many other programs. Here 0
# is background: the first class would be learned as background. **The check: the package validates
# every target**, and names image and object. (It only notices if there is a triangle, whose label 1
# has become 0: all other labels are still valid, but those of another class.)
#
# Second, a learning rate 100 times too high: with plain SGD, and with AdamW as the package uses it,
# which also clips long gradients (`clip_norm`). **Predict:** which of them ends with an error?

# %%
some_image, some_target = next(scenes[i] for i in range(100) if 1 in scenes[i][1]["labels"])
try:
    model([some_image], [some_target | {"labels": some_target["labels"] - 1}])
except ValueError as error:
    print(error)

# %%
# NBVAL_IGNORE_OUTPUT
from dataclasses import replace

plain = replace(training, optimizer="sgd", learning_rate=100 * 0.02, clip_norm=float("inf"))
too_fast = {"SGD": plain, "AdamW": replace(training, learning_rate=100 * training.learning_rate)}
highest, message = {}, {}
for name, settings in too_fast.items():
    torch.manual_seed(0)
    try:
        for bad in islice(steps(MaskRCNN(Config.tiny()), scenes, settings), 16):
            highest[name] = max((sum(step.values()) for step in bad), default=0)
    except FloatingPointError as error:
        message[name] = str(error)
    print(f"{name}: loss up to {highest[name]:.0e}. {message.get(name, 'No error.')}")
assert "SGD" in message and min(highest.values()) > 400

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# SGD: soon its losses are infinite or NaN, and the error names them and the images. AdamW continues
# as if nothing had happened, with losses a hundred times too high and more. It is the same fault,
# but only one of them stops by itself. **The check: look at the curve.**
# </details>
#
# Third, boxes written as (y1, x1, y2, x2). **Predict:** after 75 steps, how do the losses compare
# with those of the correct boxes after 75: far higher, about the same, or lower?


# %%
class Swapped(Shapes):
    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, target | {"boxes": target["boxes"][:, [1, 0, 3, 2]]}


# %%
# NBVAL_IGNORE_OUTPUT
torch.manual_seed(0)
confused = init_backbone(MaskRCNN(Config.tiny()))
run = islice(steps(confused, Swapped(10_000, seed=381), training), 76)
*_, swapped = with_progress(run, 75)
scores = {"correct": (recall[75], mask_iou[75]), "swapped": measure(confused)[:2]}
total, mask_part = {}, {}
for name, history in {"correct": losses, "swapped": swapped}.items():
    total[name] = sum(sum(step.values()) for step in history[55:75]) / 20
    mask_part[name] = sum(step["loss_mask"] for step in history[55:75]) / 20
    print(f"{name:8} loss {total[name]:.2f}, mask loss {mask_part[name]:.2f}", end="; ")
    print("recall {:.2f}, mask IoU {:.2f}".format(*scores[name]))
assert total["swapped"] < 1.2 * total["correct"] and scores["swapped"][1] < 0.1 < mask_iou[75]
assert mask_part["swapped"] < mask_part["correct"] and 0.5 < scores["swapped"][0] < recall[75]

# %%
problems = check(Swapped(10, seed=381))
print(f"{len(problems)} problems in 10 scenes; unswapped: {len(check(Shapes(10, seed=381)))}")
print(problems[0])
picture = viz.show_ground_truth(*Swapped(1, seed=381)[0], scenes.classes)
picture.caption("The targets, drawn: do the boxes lie around the objects?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No error, and the losses fall as those of correct boxes do. Their sum is about the same, and the
# mask's part of it even lower: in a wrong box the object's mask is mostly empty, and empty is easy
# to learn. Recall does not settle it: it is lower, but among a hundred boxes most objects still
# find one. **The check: mask IoU** on the validation set: it is 0, or close to it. That takes
# steps. Quicker, before any training: **draw the targets**, and let `mrcnn_edu.data.check` (on the
# command line `mrcnn-edu check-data`) look at all of them. (If you said far higher: a loss only
# compares with what you gave it.)
# </details>
#
# ## Play
#
# Require an IoU of 80 %, then of 20 %: what do positives look like? When do negatives fill up the
# sample, and when are there too many positives? (Green: ground truth.)

# %%
from mrcnn_edu.course.widgets import training_player

training_player(image, target, proposals)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.rate_of_step))`.
#
# **1.** `rate_of_step(step, highest, warmup_steps, milestones)`: a learning rate with warm-up and
# the paper's steps. Steps count from 0; in the first `warmup_steps` steps, if any, it rises evenly
# from `highest / warmup_steps` to `highest`; from each of the steps in the list `milestones` on, it
# is a tenth of what it was before, so after two drops a hundredth. 3 lines.
#
# **2.** `scaled(rate, steps, batch, new_batch)`: learning rate and steps `[2]` when a step takes
# `new_batch` images: the rate grows with the batch, and as many images are seen in all. (For
# ResNeXt the paper uses one image on each of the 8 GPUs, half as many, and halves the rate too, to
# 0.01; but it takes no more steps.) 1 line.
#
# **3.** `mask_of_roi(iou, threshold)`: the object `[R]` whose mask each RoI learns, -1 for none, as
# in section 1: the threshold itself is enough. `iou [M, R]`; M may be 0. About 4 lines.

# %%
from mrcnn_edu.course.exercises import training as exercises


def rate_of_step(step, highest, warmup_steps, milestones): ...


def scaled(rate, steps, batch, new_batch): ...


def mask_of_roi(iou, threshold): ...


exercises.check_rate_of_step(rate_of_step)
exercises.check_scaled(scaled)
exercises.check_mask_of_roi(mask_of_roi)

# %% [markdown]
# ## Remember
#
# - Targets are tables made without a network: draw them before you train.
# - Know the losses before the first step, overfit one scene, then train.
# - A falling loss shows that the targets are learned, not that they are correct: evaluate, too.
#
# torchvision trains with `train_one_epoch` in its `references/detection`, detectron2 with
# `DefaultTrainer` and `IMS_PER_BATCH`, `BASE_LR`, `BATCH_SIZE_PER_IMAGE` (our
# `roi_batch_per_image`) and `POSITIVE_FRACTION`. Next: **11, detections and average precision**.
