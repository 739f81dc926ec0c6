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
# # 02 · Boxes: IoU, box deltas, and NMS
#
# Mask R-CNN is a machine that handles boxes: it starts from thousands, moves them, compares them,
# and throws nearly all of them away. After this lesson (60 minutes) you can
#
# - say exactly what four numbers mean as a box, and how much two boxes overlap (IoU);
# - encode a box relative to another, as the network predicts it, and say why the deltas are scaled;
# - write NMS, which leaves one box for each object, as a loop and as one sentence;
# - say when NMS loses an object, and why it must not ignore the classes.

# %%
from inspect import getsource

import torch

from mrcnn_edu import boxes, load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.nms import batched_nms, nms, nms_keep_mask

viz.show_flow("proposals")

# %% [markdown]
# ## The problem
#
# The highlighted stage outputs boxes and nothing else, but boxes are everywhere: the ground truth,
# the anchors, the candidates and proposals of the RPN, the detections. Which of these many belong
# to the same object, how does one become a better one, and which of them should stay?

# %%
model, scenes = load("shapes-tiny"), Shapes(1000, seed=1)
image, target = scenes[762]
trace = model.trace([image])
proposals, detections = trace.proposals[0], trace.detections[0]
confident = detections.boxes[detections.scores > 0.5]

# %%
gt_boxes = target["boxes"]
panels = {f"{len(gt_boxes)} objects": (gt_boxes, "gt")}
panels |= {f"{len(proposals.candidates)} candidates": (proposals.candidates, "anchor")}
panels |= {f"{len(proposals.boxes)} proposals": (proposals.boxes, "proposal")}
viz.show_panels(image, panels | {f"{len(confident)} detections": (confident, "detection")})

# %% [markdown]
# ## 1. A box, and how much two of them overlap
#
# A box is `(x1, y1, x2, y2)` in pixels; y grows downward, and right and bottom are **exclusive**:
# the box of the one pixel in column 3, row 5 is (3, 5, 4, 6). So a width is `x2 - x1`, and the
# coordinates need not be whole numbers. The **IoU** (intersection over union) of two boxes is the
# area that they share, divided by the area that either covers.
#
# **Predict:** move a square of 4 x 4 to the right by half its width. What is its IoU with the
# square where it was: 1/2, 1/3 or 1/4? And if it also moves down by half?


# %%
def pixels(box, size=8):
    x1, y1, x2, y2 = box
    grid = torch.zeros(size, size)
    grid[y1:y2, x1:x2] = 1  # ends are exclusive, as those of Python's slices
    return grid


# %% tags=["cover"]
start, right, diagonal = (1, 1, 5, 5), (3, 1, 7, 5), (3, 3, 7, 7)
covered = [pixels(start) + pixels(moved) for moved in (right, diagonal)]
grids = viz.show_maps(covered, ["moved right", "moved right and down"], numbers=".0f")
grids.caption("How many of the two boxes cover a pixel. Count.")

# %%
for times in covered:
    both, either = (times == 2).sum().item(), (times > 0).sum().item()
    print(f"{both} pixels in both, {either} in either: IoU {both / either:.3f}")
assert (covered[0] == 2).sum() * 3 == (covered[0] > 0).sum()


# %%
def iou_by_hand(a, b):
    # No grid: the intersection runs from the later start to the earlier end; boxes apart have none.
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (area_a + area_b - width * height)


assert [round(iou_by_hand(start, moved), 3) for moved in (right, diagonal)] == [0.333, 0.143]
by_hand = [[iou_by_hand(a, b) for b in gt_boxes.tolist()] for a in proposals.boxes.tolist()]
table = boxes.box_iou(proposals.boxes, gt_boxes)  # [100, 5], all pairs at once
torch.testing.assert_close(torch.tensor(by_hand), table)
print(getsource(boxes.box_iou))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 8 / 24 = 1/3, and 4 / 28 = 1/7. (If you said 1/2, you took the fraction of *one* box; but the
# union grows while the intersection shrinks.) IoU is strict: 0.5, which counts as "about the same
# location", is closer than it sounds.
# </details>
#
# ## 2. Box deltas: how to get there from here
#
# The network does not predict pixels. It predicts how to move the box that it looks at
# ([R-CNN](03_history.ipynb), appendix C): the center by `dx`, `dy`, as fractions of that box's
# size, and the size by a factor, as its logarithm `dw`, `dh`. These four are the **box deltas**; to
# find them is to **encode** the box, and the inverse, from deltas to a box, is to **decode** them.
#
# **Predict:** an anchor of 10 x 10 should move right by 2 pixels and become twice as wide, an
# anchor of 40 x 40 should move right by 8 and become twice as wide. Which deltas differ?


# %%
def encode_by_hand(box, anchor):
    (width, height), (w, h) = ((b[2] - b[0], b[3] - b[1]) for b in (box, anchor))
    dx = ((box[0] + box[2]) / 2 - (anchor[0] + anchor[2]) / 2) / w
    dy = ((box[1] + box[3]) / 2 - (anchor[1] + anchor[3]) / 2) / h
    return torch.stack((dx, dy, torch.log(width / w), torch.log(height / h)))


# %%
anchors = torch.tensor([[10.0, 20, 20, 30], [34.0, 34, 74, 74]])
wider = torch.tensor([[7.0, 20, 27, 30], [22.0, 34, 102, 74]])
for box, anchor in zip(wider, anchors, strict=True):
    print("pixels", (box - anchor).int().tolist(), " deltas", end=" ")
    print([round(delta, 2) for delta in encode_by_hand(box, anchor).tolist()])

# %%
three = torch.tensor([[5.0, 8, 15, 18], [24, 6, 44, 26], [40, 40, 76, 76]])
moved = boxes.decode_boxes(torch.tensor([0.4, 0.2, 0.0, 0.4]), three)  # the inverse
roles = ["anchor"] * 3 + ["proposal"] * 3
white, title = torch.ones(3, 96, 96), "one delta, from each blue box to its orange one"
viz.show_boxes(white, torch.cat((three, moved)), roles, title)

# %%
# Encode and decode undo each other: ground-truth boxes relative to real proposals.
best, nearest = table.max(dim=1)  # for each proposal
deltas = boxes.encode_boxes(gt_boxes[nearest], proposals.boxes)  # [100, 4]
pairs = zip(gt_boxes[nearest], proposals.boxes, strict=True)
torch.testing.assert_close(torch.stack([encode_by_hand(*pair) for pair in pairs]), deltas)
decoded = boxes.decode_boxes(deltas, proposals.boxes)
torch.testing.assert_close(decoded, gt_boxes[nearest], atol=1e-3, rtol=0)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# None: (0.2, 0, 0.69, 0) both times. (If you said dx, because 2 pixels are not 8: the head reads
# every box as 7 x 7 bins, large or small; it cannot see how many pixels they were, and need not.)
#
# Why the logarithm? Twice as wide is +0.69 and half as wide -0.69, equally far from "as it is", and
# whatever value the network outputs, the factor exp(dw) is positive: no box turns inside out.
# </details>
#
# ## 3. Why (10, 10, 5, 5)?
#
# To train is to make a **loss** small: one number that says how far a network's predictions are
# from the ground truth. The box head learns the deltas of the proposals that have an IoU of 0.5 or
# more with an object. Before the loss compares them they are multiplied by `BOX_SCALE` =
# (10, 10, 5, 5). We collect the deltas of such proposals from 40 scenes.
#
# **Predict:** how large is the standard deviation of `dx` before it is scaled: 1, 0.1 or 0.01?

# %%
from mrcnn_edu.heads import BOX_SCALE

collected = []
for image_i, target_i in (scenes[i] for i in range(40)):
    rois, objects = model.trace([image_i]).proposals[0].boxes, target_i["boxes"]
    overlap, nearest = boxes.box_iou(rois, objects).max(dim=1)
    near = overlap >= 0.5
    collected.append(boxes.encode_boxes(objects[nearest[near]], rois[near]))
deltas = torch.cat(collected)
scaled = deltas * torch.tensor(BOX_SCALE)
for name, values in {"before": deltas, "after": scaled}.items():
    print(f"{name:6}", [f"{deviation:.1f}" for deviation in values.std(dim=0)])
assert ((scaled.std(dim=0) > 0.6) & (scaled.std(dim=0) < 1.5)).all()

# %%
shown = {"dx": deltas[:, 0], "dw": deltas[:, 2], "10 dx": scaled[:, 0], "5 dw": scaled[:, 2]}
spread = viz.show_spread(shown, "value")
spread.caption(f"Deltas of {len(deltas)} proposals, before the scale (two above) and after it.")

# %%
from mrcnn_edu.losses import smooth_l1  # the box loss (lesson 06)

lazy = [smooth_l1(torch.zeros_like(d), d).item() / len(d) for d in (deltas, scaled)]
print(f"loss of never moving a box: {lazy[0]:.1f} before, {lazy[1]:.1f} after")
assert 9 < lazy[1] / lazy[0] < 11

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 0.1, and 0.2 for `dw`. It must be small: with an IoU of 0.5 or more a box cannot be far off.
# The box loss is added to the class loss. Unscaled, never moving a box would cost little, and there
# would be little to learn from; scaled, the deltas have a standard deviation of about 1, and it
# costs about ten times as much. (The RPN, whose anchors fit less well, has scale 1.)
# </details>
#
# ## 4. NMS: when boxes overlap too much, the best one stays
#
# **Non-maximum suppression** walks down the scores, and drops each box whose IoU with a box kept
# before is above a threshold.
#
# **Predict:** six boxes in a chain, the best one on the left. Neighbors have an IoU of 0.43, boxes
# two apart 0.15. Which stay, with a threshold of 0.3?


# %%
def nms_by_hand(candidates, scores, threshold):
    iou, kept = boxes.box_iou(candidates, candidates), []
    for i in scores.argsort(descending=True).tolist():
        if (iou[i, kept] <= threshold).all():
            kept.append(i)
    return torch.tensor(kept)


chain = torch.tensor([[5.0 + 10 * i, 25 + 3 * i, 35 + 10 * i, 55 + 3 * i] for i in range(6)])
chain_scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
print("IoU with the first:", [f"{iou:.2f}" for iou in boxes.box_iou(chain[:1], chain)[0]])
kept = nms_by_hand(chain, chain_scores, threshold=0.3)
print("kept:", kept.tolist())

# %%
both = {"candidates": (chain, "anchor"), "kept": (chain[kept], "proposal")}
viz.show_panels(white, both)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The first, third and fifth. (If you said the first alone: each of the others does have a better
# neighbor, but a box that has been dropped suppresses no other.) NMS only selects. It moves no box
# and averages none, and it trusts the scores: what stays is the box with the highest score, which
# need not be the one that fits best.
# </details>
#
# ## 5. The same in one sentence
#
# The loop goes box by box. The rule behind it does not: **a box is kept if and only if no better
# kept box overlaps it.** The package starts by keeping all boxes, and applies the rule to all of
# them at once until nothing changes any more.
#
# **Predict:** how many rounds does the chain of six take? And 1,000 random boxes: about 10, 100 or
# 1,000?


# %%
def rounds(candidates, scores, threshold):
    """The indices, best first, and after each round which of them are kept."""
    order = scores.argsort(descending=True)
    beats = (boxes.box_iou(candidates, candidates) > threshold)[order][:, order]
    beats = beats.triu(diagonal=1)  # row: the better one, column: the worse
    keep = [torch.ones_like(order, dtype=torch.bool)]
    while len(keep) < 2 or not keep[-1].equal(keep[-2]):
        keep.append(~beats[keep[-1]].any(dim=0))
    return order, keep


# %%
order, keep = rounds(chain, chain_scores, threshold=0.3)
for number, kept_now in enumerate(keep):
    print("round", number, "".join(".#"[k] for k in kept_now.int().tolist()))
assert order[keep[-1]].equal(kept) and len(keep) - 1 == 6

# %%
generator = torch.Generator().manual_seed(0)
for n in (10, 30, 100, 300, 1000):
    corner = 96 * torch.rand(n, 2, generator=generator)
    extent = 10 + 20 * torch.rand(n, 2, generator=generator)
    candidates = torch.cat((corner, corner + extent), dim=1)
    scores = torch.rand(n, generator=generator)
    order, keep = rounds(candidates, scores, threshold=0.5)
    assert order[keep[-1]].equal(nms_by_hand(candidates, scores, 0.5))
    assert order[keep[-1]].equal(nms(candidates, scores, 0.5)) and len(keep) - 1 < 10
    print(f"{n:5} boxes: {keep[-1].sum():4} kept after {len(keep) - 1} rounds")
print("", getsource(nms_keep_mask), sep="\n")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Six, the last of which only confirms; and for 1,000 boxes fewer than ten. Round 1 settles the best
# box, round 2 the next one at least, and so on: the loop's result is always reached. A chain is the
# worst case, and long chains are rare.
# </details>
#
# ## 6. Too low, too high
#
# One threshold has to tell "twice the same object" from "two objects side by side". Here are two
# objects of one class, and what the box head predicts for them before NMS: `select_detections` with
# a threshold that no IoU exceeds.
#
# **Predict:** the ground-truth boxes have an IoU of 0.45. What is left at 0.3, at 0.5 and at 0.9?

# %%
from mrcnn_edu.detections import select_detections


def before_nms(image):
    """The box head's boxes, labels and scores over 0.5, best first."""
    t = model.trace([image])
    predicted = [t.class_logits], [t.box_deltas], [t.proposals[0].boxes]
    return select_detections(*predicted, t.batch.sizes, 0.5, nms_iou=1.0, max_detections=1000)[0]


two = Shapes(3000, seed=6, n_objects=(2, 2), object_size=(0.35, 0.5), overlap=0.6)
close, objects = two[514]
selected = before_nms(close)
print(f"IoU of the two objects: {boxes.box_iou(*objects['boxes'][:, None])[0, 0]:.2f}")

# %%
panels = {f"{len(selected.boxes)} before NMS": (selected.boxes, "anchor")}
for threshold in (0.3, 0.5, 0.9):
    kept = batched_nms(selected.boxes, selected.scores, selected.labels, threshold)
    panels[f"{threshold}: {len(kept)} left"] = (selected.boxes[kept], "detection")
assert list(panels)[1:3] == ["0.3: 1 left", "0.5: 2 left"]
on_each = boxes.box_iou(selected.boxes[kept], objects["boxes"]) >= 0.5  # those kept at 0.9
assert on_each.sum(dim=0).min() > 2
viz.show_panels(close, panels)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# At 0.3 one object is gone, at 0.5 both have one box, at 0.9 both have several. No threshold is
# right for all: two objects whose boxes overlap *more* than the threshold cannot both stay.
# </details>
#
# The same on 100 crowded scenes: an object is a **false negative** if no box of its class has an
# IoU of 0.5 or more with it; all boxes beyond one for each object found are **false positives**.


# %%
crowd = Shapes(100, seed=2, n_objects=(2, 6), object_size=(0.2, 0.5), overlap=0.6)
predictions = [(before_nms(image), target) for image, target in (crowd[i] for i in range(100))]


def errors(threshold, by_class=True):
    """The numbers of false negatives and of false positives."""
    negatives = positives = 0
    for (candidates, labels, scores), target in predictions:
        kept = batched_nms(candidates, scores, labels * by_class, threshold)
        correct = boxes.box_iou(candidates[kept], target["boxes"]) >= 0.5
        correct &= labels[kept, None] == target["labels"]
        n_found = correct.any(dim=0).sum().item()
        negatives += len(target["boxes"]) - n_found
        positives += len(kept) - n_found
    return negatives, positives


# %%
thresholds = torch.arange(1, 17) / 20
counts = torch.tensor([errors(t) for t in thresholds.tolist()])
assert (counts[5] - counts[9]).abs().max() < 10  # from 0.3 to 0.5
assert errors(1.0)[0] > 0.6 * counts[5, 0]  # false negatives before NMS, and at 0.3
curves = {"false negatives": counts[:, 0], "false positives": counts[:, 1]}
picture = viz.show_lines(thresholds, curves, "NMS threshold, IoU", "in 100 scenes")
picture.axes[0].set_ylim(0)
picture

# %% [markdown]
# Between 0.3 and 0.5 it hardly matters. (NMS is not to blame for most of the false negatives: even
# before it there was no good box of their class.) The paper's main experiments use 0.3 for the
# detections, its appendix and torchvision 0.5; the RPN uses 0.7, since the box head can still
# reject a redundant proposal.
#
# ## Where it breaks: NMS that ignores the classes
#
# `batched_nms` lets boxes compete only within a group: at the end, within a class. Here are two
# objects of different classes. **Predict:** what happens if all boxes compete? And can it do good?

# %%
mixed, objects = two[435]
selected = before_nms(mixed)
within = batched_nms(selected.boxes, selected.scores, selected.labels, 0.5)
across = nms(selected.boxes, selected.scores, 0.5)
assert sorted(selected.labels[within].tolist()) == sorted(objects["labels"].tolist())
assert len(within) == 2 and len(across) == 1
panels = {"the objects": (objects["boxes"], "gt")}
panels["within each class"] = (selected.boxes[within], "detection")
viz.show_panels(mixed, panels | {"classes ignored": (selected.boxes[across], "detection")})

# %%
print("(false negatives, false positives)")
for threshold in (0.1, 0.3, 0.5):
    within, across = errors(threshold), errors(threshold, by_class=False)
    assert across[0] > within[0] and across[1] < within[1]
    print(f"{threshold}: within classes {within}, across classes {across}")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# One of the two is lost, though the network had found both with high confidence. Nothing fails, and
# no score warns you. It can do good: where *one* object gets two class labels, the one with the
# lower score goes, so there are fewer false positives. But a wrong label still has a score that you
# can threshold; a lost object has nothing.
# </details>
#
# ## Play
#
# Left: the candidates. Right: those that are kept. Where is the threshold too low, and where too
# high? What does it cost here to ignore the classes (`by class` 0)? And what is gained by it, if
# `score above` is 0.05?

# %%
from mrcnn_edu.course.widgets import nms_player

heap = Shapes(1000, seed=2, n_objects=(4, 6), object_size=(0.2, 0.5), overlap=0.6)
nms_player(model, *heap[985])

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.iou))`.
#
# **1.** `iou(a, b)`: the IoU of two boxes `[4]`; mind those that lie apart. About 4 lines.
#
# **2.** `encode_box(box, anchor)`: the deltas `[4]` from an anchor `[4]` to a box `[4]`, with scale
# 1. About 3 lines.
#
# **3.** `nms(boxes, scores, labels, threshold)`: the indices of the boxes that are kept, best
# first, among boxes `[N, 4]`; only boxes of the same label compete, and an IoU *above* the
# threshold drops one. They do not come sorted, and N may be 0. About 6 lines.
#
# **To discuss.** In a crowd the boxes of neighbors have an IoU of 0.6. Which threshold do you
# take, and what does it cost? Would comparing masks instead of boxes help?

# %%
from mrcnn_edu.course.exercises import boxes as exercises


def iou(a, b): ...


def encode_box(box, anchor): ...


def nms(boxes, scores, labels, threshold): ...


exercises.check_iou(iou)
exercises.check_encode_box(encode_box)
exercises.check_nms(nms)

# %% [markdown]
# ## Remember
#
# - Right and bottom are exclusive; IoU is the shared area over the area that either covers.
# - A delta is relative to the box it starts from, so that it means the same for small and large.
# - NMS: a box stays if no better box that stays overlaps it too much, within its class.
#
# torchvision calls these `ops.box_iou`, `BoxCoder` (weights 10, 10, 5, 5) and `ops.batched_nms`,
# detectron2 `pairwise_iou`, `Box2BoxTransform` and `batched_nms`. Next: **03, from R-CNN to Mask
# R-CNN**.
