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
# Lesson 05 put thousands of anchors on an image and knew the targets. Now a small network makes the
# predictions, and a hundred boxes remain. After this lesson (60 minutes) you can
#
# - build the RPN's head by hand: its output at one position, and its number of parameters;
# - say which anchors it learns from, and compute both of its losses;
# - move anchors onto their objects, and choose proposals among them, as the package does;
# - measure recall, the fraction of the objects that a number of proposals finds.

# %%
from inspect import getsource

import torch
from torch.nn.functional import pad

from mrcnn_edu import load, viz
from mrcnn_edu.boxes import box_iou, clip_boxes, decode_boxes
from mrcnn_edu.data import Shapes
from mrcnn_edu.nms import batched_nms, nms

viz.show_flow("proposals")

# %% [markdown]
# ## The problem
#
# Five objects, 2,295 anchors. The heads that classify and outline objects look at every box they
# are given. So they should get few boxes, each close to an object, and every object should have
# one.

# %%
model, scenes = load("shapes-tiny"), Shapes(60, seed=1)
traces = [model.trace([scenes[i][0]]) for i in range(60)]
(image, target), trace = scenes[26], traces[26]
boxes, levels, anchors = target["boxes"], trace.anchors, torch.cat(trace.anchors)

panels = {"5 objects": (boxes, "gt"), "every 40th anchor": (anchors[::40], "anchor")}
assert len(boxes) == 5 and len(anchors) == 2295
viz.show_panels(image, panels)

# %% [markdown]
# ## 1. The head: a small network that slides
#
# The RPN's **head** ([Faster R-CNN](03_history.ipynb), section 3.1) is a 3x3 convolution that keeps
# the C channels, then two 1x1 convolutions side by side. At every position one of them outputs k
# **objectness scores**, the network's confidence that each of the k anchors contains an object; the
# other outputs 4 k **box deltas**, which shift and resize each anchor to fit that object.
#
# **Predict:** C = 64, k = 3, and four maps, of 24 x 24 to 3 x 3 positions. About how many
# parameters does the head learn: 1,000, 40,000 or 160,000?

# %%
C, k = 64, 3
by_hand = (3 * 3 * C * C + C) + (C * k + k) + (C * 4 * k + 4 * k)
assert by_hand == sum(p.numel() for p in model.rpn_head.parameters())
print(f"{by_hand:,} parameters, for {len(anchors):,} x 5 outputs")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 40,000, nearly all of them in the 3x3 convolution. (If you said 160,000, you multiplied by
# the four maps.) The same weights slide over *all* positions of *all* maps: an anchor twice as
# large on a map twice as coarse looks the same to them. A larger image needs no additional
# parameter.
# </details>
#
# So one position can be computed separately. It sees 3 x 3 positions of the map, with C values
# each, and a convolution at one position is a matrix product. Note that the head does not look
# *into* an anchor: the scores of all k anchors of a position are computed from the same features,
# by different weights in the last layers. We take the position of stride 8 with the highest score.

# %%
first = len(levels[0])  # where the anchors of the second map, of stride 8, start
best = trace.objectness[0, first : first + len(levels[1])].argmax().item()
y, x = divmod(best // k, 12)  # k anchors for each position, 12 positions in a row
patch = pad(trace.features[1][0], (1, 1, 1, 1))[:, y : y + 3, x : x + 3].flatten()  # 0 outside
print(f"row {y}, column {x} sees {len(patch)} values")

# %%
conv, head = model.rpn_head.conv[0][0], model.rpn_head
hidden = (conv.weight.flatten(1) @ patch + conv.bias).relu()  # [C, 9 C] @ [9 C] -> [C]
objectness = head.cls_logits.weight.flatten(1) @ hidden + head.cls_logits.bias  # [k]
deltas = head.bbox_pred.weight.flatten(1) @ hidden + head.bbox_pred.bias  # [4 k]
print("objectness:", [round(p, 2) for p in objectness.sigmoid().tolist()])

# %%
here = slice(first + k * (12 * y + x), first + k * (12 * y + x) + k)
torch.testing.assert_close(objectness, trace.objectness[0, here], rtol=1e-4, atol=1e-4)
torch.testing.assert_close(deltas.view(k, 4), trace.rpn_deltas[0, here], rtol=1e-4, atol=1e-4)
print(getsource(type(head).forward))

# %% [markdown]
# ## 2. Which map responds?
#
# The objectness scores are **logits**: a **sigmoid**, 1 / (1 + exp(-x)), turns each into a
# probability. Below is the best of the k anchors at each position.
#
# **Predict:** the objects' sizes are 37, 24, 23, 17 and 9 pixels (the square root of a box's area),
# the anchor sizes of the four maps are 12, 24, 48 and 72. Which map will stay dark?

# %%
per_level = trace.objectness[0].sigmoid().split([len(level) for level in levels])
maps = [p.view(n, n, k).amax(dim=2) for p, n in zip(per_level, (24, 12, 6, 3), strict=True)]
assert maps[3].max() < 0.1 and min(level.max() for level in maps[:3]) > 0.9
viz.show_objectness(image, maps, [4, 8, 16, 32]).caption(
    "Dark is 0, bright 1. On which map is each object?"
)

# %%
sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().round().int().tolist()
on_object = box_iou(boxes, anchors) > 0.3  # [M, A]
best = torch.where(on_object, trace.objectness[0], -99).argmax(dim=1)  # for each object
strides = torch.tensor([4, 8, 16, 32]).repeat_interleave(torch.tensor([*map(len, levels)]))
print("(size, stride):", sorted(zip(sizes, strides[best].tolist(), strict=True)))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The last one, of size 72: no object is that large. For every object the scores are high where an
# anchor has about its size, and at several positions: each of them will propose a box.
# </details>
#
# ## 3. What it learns from: a sample
#
# Anchors are positive, negative or ignored (lesson 05). A training step does not use all of them,
# but samples at most 256 per image (our model: 64), half of them positive if there are enough.
#
# **Predict:** suppose that all counted, and the head predicted "background" everywhere. What
# fraction of its predictions would be correct: 90 %, 99 % or more? And if only the samples of 64
# counted?

# %%
from mrcnn_edu.targets import rpn_targets

gt_boxes = [scenes[i][1]["boxes"] for i in range(60)]
assert 3 < sum(map(len, gt_boxes)) / 60 < 4 and max(map(len, gt_boxes)) == 6


def accuracy_of_background(batch_size):
    """The accuracy, over all scenes, of a head that always predicts background."""
    generators = [torch.Generator().manual_seed(0)] * len(gt_boxes)
    sampled = rpn_targets(anchors, gt_boxes, 0.7, 0.3, batch_size, 0.5, generators)
    return (torch.cat([s.labels for s in sampled]) == 0).float().mean().item()


# %%
for name, batch_size in {"all that are not ignored": 10_000, "samples of 64": 64}.items():
    correct = accuracy_of_background(batch_size)
    print(f"{name}: {correct:.1%} correct, one in {1 / (1 - correct):.0f} wrong")
    assert correct > (0.997 if batch_size > 64 else 0.9)

# %%
generator = torch.Generator().manual_seed(0)
(targets,) = rpn_targets(anchors, [boxes], 0.7, 0.3, 64, 0.5, [generator])
sampled = {"positive": targets.positives, "negative": targets.anchors[targets.labels == 0]}
panels = {f"{name}: {len(rows)}": (anchors[rows], "anchor") for name, rows in sampled.items()}
viz.show_panels(image, {"objects": (boxes, "gt")} | panels)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 99.8 %: there are hundreds of negatives for each positive, and nothing is found. On samples it is
# wrong for one anchor in 14 instead of one in 500: enough to learn from. (If you said 50 % for the
# samples: a scene has four or five positives, not 32; negatives fill up the rest.)
# </details>
#
# The loss (Faster R-CNN, equation 1) has two parts. **Binary cross-entropy**, -log of the
# probability given to the true label (0 if that is 1, large if it is near 0), over all sampled
# anchors; and **smooth L1**, only for the deltas of the positives: x² / (2β) for differences |x|
# below β = 1/9, and |x| - β/2 beyond. Both are divided by the number sampled. (β and that division
# are torchvision's; equation 1 divides the second by the number of positions, and weights it by
# 10.)

# %%
from mrcnn_edu.losses import rpn_loss

logits = trace.objectness[0, targets.anchors]  # [N]
p = logits.sigmoid()
p_of_label = torch.where(targets.labels == 1, p, 1 - p)
objectness_loss = -p_of_label.log().sum() / len(p)

deltas, beta = trace.rpn_deltas[0, targets.positives], 1 / 9
error = (deltas - targets.deltas).abs()
box_loss = torch.where(error < beta, error**2 / (2 * beta), error - beta / 2).sum() / len(p)

package = rpn_loss(logits, deltas, targets.labels, targets.deltas)
torch.testing.assert_close((objectness_loss, box_loss), package, rtol=1e-3, atol=1e-5)
print(f"objectness {objectness_loss:.3f}, boxes {box_loss:.3f}")

# %% [markdown]
# ## 4. Deltas: anchors move onto their objects
#
# Lesson 02 encoded a box as deltas from another; here we decode them. A delta (dx, dy, dw, dh)
# moves the center by a fraction of the anchor's size, and multiplies width and height by exp(dw)
# and exp(dh).
#
# **Predict:** take all anchors with an objectness over one half. Their mean IoU with the object
# that fits best is a bit below one half. And after they have moved?


# %%
def decode_by_hand(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    center = (anchors[:, :2] + anchors[:, 2:]) / 2 + deltas[:, :2] * size
    size = size * deltas[:, 2:].exp()
    return torch.cat((center - size / 2, center + size / 2), dim=1)


# %%
moved = decode_by_hand(trace.rpn_deltas[0], anchors)
torch.testing.assert_close(moved, decode_boxes(trace.rpn_deltas[0], anchors))
confident = trace.objectness[0] > 0  # a probability over one half
panels = {f"{confident.sum()} anchors": (anchors[confident], "anchor")}
viz.show_panels(image, panels | {"moved": (moved[confident], "proposal")})

# %%
all_moved = [clip_boxes(decode_by_hand(t.rpn_deltas[0], anchors), (96, 96)) for t in traces]
for when, scene_boxes in {"before": [anchors] * 60, "after": all_moved}.items():
    triples = zip(traces, gt_boxes, scene_boxes, strict=True)
    iou = [box_iou(gt, b[t.objectness[0] > 0]) for t, gt, b in triples]  # [M, confident] each
    box_mean = torch.cat([table.amax(dim=0) for table in iou]).mean()
    object_mean = torch.cat([table.amax(dim=1) for table in iou]).mean()
    print(f"{when:6}: mean IoU of a confident box {box_mean:.2f}, of an object {object_mean:.2f}")
assert box_mean > 0.7 and object_mean > 0.88

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About three quarters, and the best box of each object reaches about 0.9. An anchor need not fit,
# only be near enough to see its object. (All other anchors move too. But only positives learn how,
# so where the others end up means little.)
# </details>
#
# ## 5. Proposals: the best, without near-duplicates
#
# Many boxes now lie on the same object. So, on each map: take the boxes of highest objectness, clip
# them to the image, and apply **NMS** (lesson 02), which walks down the scores and drops each box
# whose IoU with a kept one is over 0.7. Then the best n of all maps are the **proposals**.
#
# **Predict:** our scenes have three or four objects on average, six at most. How many proposals per
# scene are needed to find nine objects of ten: 7, 20 or 100?


# %%
def propose_by_hand(objectness, moved, levels, pre_nms_top_n, post_nms_top_n, nms_iou):
    proposals, scores, first = [], [], 0
    for level in levels:
        rows = slice(first, first + len(level))
        best = objectness[rows].topk(min(pre_nms_top_n, len(level))).indices
        candidates = clip_boxes(moved[rows][best], (96, 96))
        score = objectness[rows][best].sigmoid()
        keep = nms(candidates, score, nms_iou)
        proposals.append(candidates[keep])
        scores.append(score[keep])
        first += len(level)
    order = torch.cat(scores).argsort(descending=True, stable=True)[:post_nms_top_n]
    return torch.cat(proposals)[order]


# %% tags=["cover"]
from mrcnn_edu.rpn import propose

by_hand = propose_by_hand(trace.objectness[0], moved, levels, 100, 100, nms_iou=0.7)
(p,) = propose(trace.objectness, trace.rpn_deltas, levels, [(96, 96)], 100, 100, nms_iou=0.7)
torch.testing.assert_close(by_hand, p.boxes)
print(getsource(propose))
print(f"{len(anchors):,} anchors, {len(p.candidates)} candidates, {len(p.boxes)} proposals")

before, after = p.candidates[p.candidate_scores > 0.5], p.boxes[p.scores > 0.5]
panels = {f"score > 0.5, before NMS: {len(before)}": (before, "proposal")}
viz.show_panels(image, panels | {f"after NMS: {len(after)}": (after, "proposal")})

# %% [markdown]
# Proposals are measured by **recall**: the fraction of the objects that at least one of them
# covers, with an IoU of 0.5 or more, say. We compare with as many plain anchors, those with the
# highest objectness.


# %%
def recalls(scene_boxes, iou, n=25):
    """The recall of the first 1, 2, ..., n boxes of each scene: [n]."""
    pairs = zip(gt_boxes, scene_boxes, strict=True)
    best = [box_iou(gt, b[:n]).cummax(dim=1).values for gt, b in pairs]  # so far: [M, n]
    return (torch.cat(best) >= iou).float().mean(dim=0)


# %%
order = [t.objectness[0].argsort(descending=True) for t in traces]
proposals, best_anchors = [t.proposals[0].boxes for t in traces], [anchors[o] for o in order]
curves = {f"proposals, IoU {iou}": recalls(proposals, iou) for iou in (0.5, 0.7)}
curves |= {f"anchors, IoU {iou}": recalls(best_anchors, iou) for iou in (0.5, 0.7)}
for name, curve in curves.items():
    print(f"{name:17}: {curve[6]:4.0%} with 7 boxes, {curve[24]:4.0%} with 25")
assert curves["proposals, IoU 0.7"][6] >= 0.9 and curves["anchors, IoU 0.7"][24] < 0.35
viz.show_lines(torch.arange(1, 26), curves, "boxes per scene", "recall")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Seven, at an IoU of 0.5 or of 0.7. (Photographs need more: the paper takes 300 or 1,000.) Plain
# anchors never get far at 0.7, because few of them fit that well. To predict which anchors matter
# is half of the RPN's work, to move them is the other half.
# </details>
#
# ## Where it breaks: without NMS, and with too much of it
#
# **Predict:** with NMS at 0.7 and seven proposals per scene, a few percent of the objects are
# missed at an IoU of 0.7. How many without NMS: as many, two or three times as many, or ten times
# as many? And does NMS at 0.1 find more or fewer?


# %%
def proposals_with(nms_iou):
    proposals = [t.proposals[0] for t in traces]
    keep = [batched_nms(*p[2:], nms_iou) for p in proposals]  # candidates, their scores and levels
    return [p.candidates[rows] for p, rows in zip(proposals, keep, strict=True)]


# %%
settings = {"no NMS": 1.0, "NMS 0.7": 0.7, "NMS 0.1": 0.1}
lists = {name: proposals_with(iou) for name, iou in settings.items()}
curves = {name: recalls(b, 0.7) for name, b in lists.items()}
for name, curve in curves.items():
    print(f"{name:7}: {1 - curve[6]:3.0%} missed with 7, {1 - curve[24]:3.0%} with 25")
no_nms, at_70, at_10 = curves.values()
assert 1.8 < (1 - no_nms[6]) / (1 - at_70[6]) < 4 and at_10[24] < at_70[24] - 0.02
viz.show_lines(torch.arange(1, 26), curves, "proposals per scene", "recall at IoU 0.7")

# %%
panels, other = {}, scenes[44]
for name in ("no NMS", "NMS 0.7"):
    found = (box_iou(other[1]["boxes"], lists[name][44][:5]) >= 0.7).any(dim=1).sum()
    panels[f"{name}: the first 5 find {found} objects"] = (lists[name][44][:5], "proposal")
viz.show_panels(other[0], panels)

# %%
on_each = (box_iou(other[1]["boxes"], lists["no NMS"][44][:5]) >= 0.7).sum(dim=1)
n_found = [(box_iou(other[1]["boxes"], b[44][:5]) >= 0.7).any(dim=1).sum() for b in lists.values()]
assert on_each[:2].sum() >= 4 and n_found[1] >= n_found[0] + 2  # on the cross and the large circle


# %%
def found_by(name):
    pairs = zip(gt_boxes, lists[name], strict=True)
    return torch.cat([(box_iou(gt, b[:25]) >= 0.7).any(dim=1) for gt, b in pairs])


lost = found_by("NMS 0.7") & ~found_by("NMS 0.1")
crowded = torch.cat([box_iou(gt, gt).fill_diagonal_(0).amax(dim=1) for gt in gt_boxes]) > 0.1
share, share_of_lost = crowded.float().mean(), crowded[lost].float().mean()
assert share_of_lost > 1.5 * share
print(f"NMS 0.1 loses {lost.sum()} objects: {share_of_lost:.0%} of them overlap another,", end=" ")
print(f"of all objects {share:.0%} do")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Two or three times as many. Here the first boxes lie on the cross and the large circle, and the
# other objects come later. With 25 boxes they catch up. NMS at 0.1 never does: where two *objects*
# overlap, it takes the proposals of one for duplicates of the other's, and drops them for good.
# (Even of an object that stands alone it leaves one box: if that fits badly, there is no second.)
# At 0.7 some duplicates stay, but those cost only time: after the heads, NMS runs once more.
# </details>
#
# ## Play
#
# Move both sliders. With how few proposals do you still find all objects, and at which threshold?
# At 100 % NMS drops nothing. (Green: ground truth.)

# %%
from mrcnn_edu.course.widgets import rpn_player

rpn_player(scenes, traces, shown=44)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.recall))`.
#
# **1.** `head_parameters(channels, k)`: how many parameters the head has, biases included. 1 line.
#
# **2.** `recall(proposals, boxes, iou_threshold)`: the fraction of the objects `boxes [M, 4]` that
# have an IoU of at least the threshold with a proposal `[R, 4]`; 0 if R is 0. 1 line.
#
# **3.** `best_of_each_level(objectness, sizes, n)`: the indices, 0 to A - 1, of the n highest
# logits of each level, level by level, best first. `objectness` is `[A]`, and `sizes` lists how
# many anchors each level has, in order; take all of a level that has fewer than n. 5 lines.

# %%
from mrcnn_edu.course.exercises import rpn as exercises


def head_parameters(channels, k): ...


def recall(proposals, boxes, iou_threshold): ...


def best_of_each_level(objectness, sizes, n): ...


exercises.check_head_parameters(head_parameters)
exercises.check_recall(recall)
exercises.check_best_of_each_level(best_of_each_level)

# %% [markdown]
# ## Remember
#
# - One small head slides over every map: is there an object here, and how must the anchor move?
# - It learns from a sample: background outnumbers objects by hundreds to one.
# - Proposals are the boxes with the highest scores, moved, without near-duplicates; recall measures
#   them.
#
# torchvision calls this `RPNHead` and `RegionProposalNetwork`, detectron2 `StandardRPNHead` and
# `RPN`. Next: **07, RoIPool against RoIAlign**: how the proposals' features are read.
