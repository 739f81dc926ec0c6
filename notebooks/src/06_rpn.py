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
# Lesson 05 put thousands of anchors on an image and knew the right answers. Now a small network
# gives the answers, and a hundred boxes remain. After this lesson (60 minutes) you can
#
# - build the RPN's head by hand: one place of it, and its number of parameters;
# - say which anchors it learns from, and compute both of its losses;
# - move anchors onto their objects, and choose proposals among them, as the package does;
# - measure recall, the share of the objects that a number of proposals finds.

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
# Five objects, 2,295 anchors. The heads that name and outline objects look at every box they are
# given. So they should get few boxes, each close to an object, and no object should go without.

# %%
model, scenes = load("shapes-tiny"), Shapes(60, seed=1)
traces = [model.trace([scenes[i][0]]) for i in range(60)]
(image, target), trace = scenes[9], traces[9]
boxes, levels, anchors = target["boxes"], trace.anchors, torch.cat(trace.anchors)

some = {"5 objects": (boxes, "gt"), "every 15th anchor": (anchors[::15], "anchor")}
assert len(boxes) == 5 and len(anchors) == 2295
viz.show_panels(image, some)

# %% [markdown]
# ## 1. The head: a small network that slides
#
# The RPN's **head** ([Faster R-CNN](03_history.ipynb), section 3.1) is a 3x3 convolution that keeps
# the C channels, then two 1x1 convolutions side by side. At every place they give k numbers of
# **objectness**, how sure it is of an object at each of the k anchors, and 4 k **deltas**, how each
# should move.
#
# **Predict:** C = 64, k = 3, and four maps, of 24 x 24 to 3 x 3 places. About how many numbers does
# the head learn: 1,000, 40,000 or 160,000?

# %%
C, k = 64, 3
by_hand = (3 * 3 * C * C + C) + (C * k + k) + (C * 4 * k + 4 * k)
assert by_hand == sum(p.numel() for p in model.rpn_head.parameters())
print(f"{by_hand:,} parameters, for {len(anchors):,} x 5 answers")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 40,000, nearly all of them in the 3x3 convolution. (The usual wrong answer multiplies by the
# four maps.) The same weights slide over *all* places of *all* maps: an anchor twice as large on a
# map twice as coarse looks the same to them. A larger image needs no parameter more.
# </details>
#
# So one place can be computed alone. It sees 3 x 3 cells of the map, C numbers each, and a
# convolution at one place is a matrix product. Note that nobody looks *into* an anchor: all k of a
# place are judged from the same numbers, by different weights in the last layers. We take the place
# of stride 8 that is surest.

# %%
first = len(levels[0])  # where the anchors of the second map, of stride 8, start
surest = trace.objectness[0, first : first + len(levels[1])].argmax().item()
y, x = divmod(surest // k, 12)  # k anchors a place, 12 places a row
patch = pad(trace.features[1][0], (1, 1, 1, 1))[:, y : y + 3, x : x + 3].flatten()  # 0 outside
print(f"row {y}, column {x} sees {len(patch)} numbers")

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
# ## 2. Which map lights up?
#
# The numbers are **logits**: a **sigmoid**, 1 / (1 + exp(-x)), makes a probability of each. Below
# is the best of the k anchors at each place.
#
# **Predict:** the objects' sides are 45, 22, 16, 10 and 7 pixels (the root of a box's area), the
# anchors' of the four maps 12, 24, 48 and 72. Which map will stay dark?

# %%
per_level = trace.objectness[0].sigmoid().split([len(level) for level in levels])
maps = [p.view(n, n, k).amax(dim=2) for p, n in zip(per_level, (24, 12, 6, 3), strict=True)]
assert maps[3].max() < 0.1 and min(level.max() for level in maps[:3]) > 0.9
viz.show_objectness(image, maps, [4, 8, 16, 32]).caption(
    "Dark is 0, bright 1. On which map is each object?"
)

# %%
sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().round().int().tolist()
on_object = box_iou(boxes, anchors) > 0.3  # [M, A]
surest = torch.where(on_object, trace.objectness[0], -99).argmax(dim=1)  # of each object
of_stride = torch.tensor([4, 8, 16, 32]).repeat_interleave(torch.tensor([*map(len, levels)]))
print("(side, stride):", sorted(zip(sides, of_stride[surest].tolist(), strict=True)))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The last one, of size 72: no object is that large. Every object lights up where an anchor has
# about its size, and at several places: each of them will propose a box.
# </details>
#
# ## 3. What it learns from: a sample
#
# Anchors are positive, negative or ignored (lesson 05). A training step does not use all of them,
# but draws at most 256 an image (our model: 64), half of them positive if there are enough.
#
# **Predict:** suppose that all counted, and the head said "background" everywhere. What share of
# its answers would be right: 90 %, 99 % or more? And if only the samples of 64 counted?

# %%
from mrcnn_edu.targets import rpn_targets

targets = [scenes[i][1]["boxes"] for i in range(60)]
assert round(sum(map(len, targets)) / 60) == 3 and max(map(len, targets)) == 6


def saying_background(count):
    """The share of right answers, over all scenes, of a head that says nothing else."""
    generator = torch.Generator().manual_seed(0)
    drawn = rpn_targets(anchors, targets, 0.7, 0.3, count, 0.5, [generator] * len(targets))
    return (torch.cat([of_image.labels for of_image in drawn]) == 0).float().mean().item()


# %%
for name, count in {"all that are not ignored": 10_000, "samples of 64": 64}.items():
    right = saying_background(count)
    print(f"{name}: {right:.1%} right, one in {1 / (1 - right):.0f} wrong")
    assert right > (0.997 if count > 64 else 0.9)

# %%
generator = torch.Generator().manual_seed(0)
(answers,) = rpn_targets(anchors, [boxes], 0.7, 0.3, 64, 0.5, [generator])
drawn = {"positive": answers.positives, "negative": answers.anchors[answers.labels == 0]}
panels = {f"{name}: {len(rows)}": (anchors[rows], "anchor") for name, rows in drawn.items()}
viz.show_panels(image, {"objects": (boxes, "gt")} | panels)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 99.8 %: hundreds of negatives for each positive, and nothing is found. Over samples it is wrong
# for one answer in 17 instead of one in 595: enough to learn from. (The usual wrong answer for the
# samples is 50 % right. But a scene has about four positives, not 32; negatives fill up the rest.)
# </details>
#
# The loss (Faster R-CNN, equation 1) has two parts. **Binary cross-entropy**, -log of the
# probability given to the right answer (0 if that is 1, large if it is near 0), over all sampled
# anchors; and **smooth L1**, for the deltas of the positives only: x² / (2β) for differences |x|
# below β = 1/9, and |x| - β/2 beyond. Both are divided by the number sampled. (β and that division
# are torchvision's; equation 1 divides the second by the number of places, and takes it 10 times.)

# %%
from mrcnn_edu.losses import rpn_loss

p = trace.objectness[0, answers.anchors].sigmoid()  # [N]
given_to_the_truth = torch.where(answers.labels == 1, p, 1 - p)
objectness_loss = -given_to_the_truth.log().sum() / len(p)

off, beta = (trace.rpn_deltas[0, answers.positives] - answers.deltas).abs(), 1 / 9
box_loss = torch.where(off < beta, off**2 / (2 * beta), off - beta / 2).sum() / len(p)

said = trace.objectness[0, answers.anchors], trace.rpn_deltas[0, answers.positives]
package = rpn_loss(*said, answers.labels, answers.deltas)
torch.testing.assert_close((objectness_loss, box_loss), package, rtol=1e-3, atol=1e-5)
print(f"objectness {objectness_loss:.3f}, boxes {box_loss:.3f}")

# %% [markdown]
# ## 4. Deltas: anchors move onto their objects
#
# Lesson 02 wrote a box as deltas from another; here is the way back. A delta (dx, dy, dw, dh) moves
# the center by a share of the anchor's size, and multiplies width and height by exp(dw) and
# exp(dh).
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
sure = trace.objectness[0] > 0  # a probability over one half
panels = {f"{sure.sum()} anchors": (anchors[sure], "anchor"), "moved": (moved[sure], "proposal")}
viz.show_panels(image, panels)

# %%
every_moved = [clip_boxes(decode_by_hand(t.rpn_deltas[0], anchors), (96, 96)) for t in traces]
for when, of_scenes in {"before": [anchors] * 60, "after": every_moved}.items():
    pairs = list(zip(traces, targets, of_scenes, strict=True))
    iou = [box_iou(boxes, b[t.objectness[0] > 0]) for t, boxes, b in pairs]  # [M, sure] each
    of_box, of_object = (torch.cat([i.amax(dim=d) for i in iou]).mean() for d in (0, 1))
    print(f"{when:6}: a sure box {of_box:.2f}, an object's best {of_object:.2f}")
assert of_box > 0.7 and of_object > 0.88

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About three quarters, and the best box of each object reaches about 0.9. An anchor need not fit,
# only be near enough to see its object. (All other anchors move too. But only positives learn how,
# so where the others end means little.)
# </details>
#
# ## 5. Proposals: the best, without near-duplicates
#
# Many boxes now lie on the same object. So, on each map: take the boxes of highest objectness, clip
# them to the image, and apply **NMS** (lesson 02), which walks down the scores and drops each box
# whose IoU with a kept one is over 0.7. Then the best n of all maps are the **proposals**.
#
# **Predict:** our scenes have three objects on average, six at most. How many proposals a scene
# are needed to find 95 % of the objects: 7, 20 or 100?


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

numbers = {"pre_nms_top_n": 100, "post_nms_top_n": 100, "nms_iou": 0.7}
mine = propose_by_hand(trace.objectness[0], moved, levels, **numbers)
(package,) = propose(trace.objectness, trace.rpn_deltas, levels, [(96, 96)], **numbers)
torch.testing.assert_close(mine, package.boxes)
print(getsource(propose))
print(f"{len(anchors):,} anchors, {len(package.candidates)} candidates, {len(mine)} proposals")

p = package
before, after = p.candidates[p.candidate_scores > 0.5], p.boxes[p.scores > 0.5]
panels = {f"sure, before NMS: {len(before)}": (before, "anchor")}
viz.show_panels(image, panels | {f"sure, after NMS: {len(after)}": (after, "proposal")})

# %% [markdown]
# Boxes are judged by **recall**: the share of the objects that at least one of them covers, with
# an IoU of 0.5 or more, say. We compare with as many plain anchors, those of highest objectness.


# %%
def recalls(boxes_of_scenes, iou, most=25):
    """The recall of the first 1, 2, ..., `most` boxes of each scene: [most]."""
    pairs = zip(targets, boxes_of_scenes, strict=True)
    best = [box_iou(t, b[:most]).cummax(dim=1).values for t, b in pairs]  # so far: [M, most]
    return (torch.cat(best) >= iou).float().mean(dim=0)


# %%
order = [t.objectness[0].argsort(descending=True) for t in traces]
kinds = {"proposal": [t.proposals[0].boxes for t in traces], "anchor": [anchors[o] for o in order]}
curves = {f"{kind}s, IoU {iou}": recalls(b, iou) for kind, b in kinds.items() for iou in (0.5, 0.7)}
for name, curve in curves.items():
    print(f"{name:17}: {curve[6]:4.0%} with 7 boxes, {curve[24]:4.0%} with 25")
assert curves["proposals, IoU 0.7"][6] >= 0.945 and curves["anchors, IoU 0.7"][24] < 0.25
viz.show_lines(torch.arange(1, 26), curves, "boxes a scene", "recall")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Seven, at an IoU of 0.5 or of 0.7. (Photographs need more: the paper takes 300 or 1,000.) Plain
# anchors never get far at 0.7, for few of them fit that well. To say which anchors matter is half
# of the RPN's work, to move them the other half.
# </details>
#
# ## Where it breaks: without NMS, and with too much of it
#
# **Predict:** with NMS at 0.7 and seven proposals a scene, 5 % of the objects go unfound at an IoU
# of 0.7. How many without NMS: 5 %, 15 % or 50 %? And does NMS at 0.1 find more or fewer?


# %%
def proposals_with(nms_iou):
    every = [t.proposals[0] for t in traces]
    keep = [batched_nms(*p[2:], nms_iou) for p in every]  # candidates, their scores and levels
    return [p.candidates[rows] for p, rows in zip(every, keep, strict=True)]


# %%
settings = {"no NMS": 1.0, "NMS 0.7": 0.7, "NMS 0.1": 0.1}
lists = {name: proposals_with(iou) for name, iou in settings.items()}
curves = {name: recalls(b, 0.7) for name, b in lists.items()}
for name, curve in curves.items():
    print(f"{name:7}: {1 - curve[6]:3.0%} unfound with 7, {1 - curve[24]:3.0%} with 25")
no_nms, at_70, at_10 = curves.values()
assert no_nms[6] < at_70[6] - 0.08 and at_10[24] < at_70[24] - 0.02
viz.show_lines(torch.arange(1, 26), curves, "proposals a scene", "recall at IoU 0.7")

# %%
panels, other = {}, scenes[1]
for name in ("no NMS", "NMS 0.7"):
    found = (box_iou(other[1]["boxes"], lists[name][1][:5]) >= 0.7).any(dim=1).sum()
    panels[f"{name}: the first 5 find {found} objects"] = (lists[name][1][:5], "proposal")
viz.show_panels(other[0], panels)

# %%
on_each = (box_iou(other[1]["boxes"], lists["no NMS"][1][:5]) >= 0.7).sum(dim=1)
assert on_each.max() == 4 and other[1]["labels"][on_each.argmax()] == 1  # a triangle


# %%
def found_by(name):
    pairs = zip(targets, lists[name], strict=True)
    return torch.cat([(box_iou(t, b[:25]) >= 0.7).any(dim=1) for t, b in pairs])


lost = found_by("NMS 0.7") & ~found_by("NMS 0.1")
crowded = torch.cat([box_iou(t, t).fill_diagonal_(0).amax(dim=1) for t in targets]) > 0.1
assert crowded[lost].all() and crowded.float().mean() < 0.25
print(f"NMS 0.1 loses {lost.sum()} objects, and all of them overlap another;", end=" ")
print(f"of all objects {crowded.float().mean():.0%} do")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 14 %, nearly three times as many. Here most of the first boxes lie on one triangle, and the
# other objects have to wait. Given 25 boxes they catch up. NMS at 0.1 never does: where two
# *objects* overlap, it takes the proposals of one for duplicates of the other's, and drops them for
# good. At 0.7 some duplicates stay, but those cost only time: after the heads, NMS runs once more.
# </details>
#
# ## Play
#
# Move both sliders. With how few proposals do you still find all objects, and at which threshold?
# At 100 % NMS drops nothing. (Green: truth.)

# %%
from mrcnn_edu.course.widgets import rpn_player

rpn_player(scenes, traces, shown=9)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.recall))`.
#
# **1.** `head_parameters(channels, k)`: how many numbers the head learns, biases included. 1 line.
#
# **2.** `recall(proposals, boxes, iou_threshold)`: the share of the objects `boxes [M, 4]` that
# have an IoU of at least the threshold with a proposal `[R, 4]`; 0 if R is 0. 1 line.
#
# **3.** `best_of_each_level(objectness, sizes, n)`: of logits `[A]` the indices, 0 to A - 1, of the
# n highest of each level, level by level, best first. `sizes` lists how many anchors each level
# has, in order; of a level with fewer than n take all. 5 lines.

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
# - One small head slides over every map: is an object here, and how must the anchor move?
# - It learns from a sample: background outnumbers objects by hundreds to one.
# - Proposals are the surest boxes, moved, without near-duplicates; recall is what they are for.
#
# torchvision calls this `RPNHead` and `RegionProposalNetwork`, detectron2 `StandardRPNHead` and
# `RPN`. Next: **07, RoIPool against RoIAlign**: how the proposals' features are read.
