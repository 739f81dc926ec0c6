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
# # 11 · Detections and average precision: one number for all that can go wrong
#
# **The question.** A detector returns a list of boxes, class labels, masks and scores. Some of them
# are right, some are wrong, and some objects are missing. How can a single number say how good such
# a list is, and what does that number hide?
#
# **You will be able to**
#
# - follow the class scores of all RoIs to a short list of detections, and an $m \times m$ mask to
#   the pixels of the image;
# - decide which detections are correct, and compute precision, recall and average precision by
#   hand;
# - compute COCO's AP with sizes, crowds and limits, and get the numbers of pycocotools;
# - explain why AP small and AP medium can both be higher than AP;
# - sort a detector's mistakes by their kind, look at them, and choose a score for use.
#
# *Time: 220 minutes, of which 50 are for the larger task at the end. You need lessons 02 (IoU and
# NMS), 06 (recall) and 08 (the heads). Reading: [Microsoft COCO](https://arxiv.org/abs/1405.0312)
# and [The Pascal VOC Challenge](https://doi.org/10.1007/s11263-009-0275-4), section 4.2.*

# %%
from inspect import getsource

import torch

from mrcnn_edu import load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import (
    average_precision,
    detect_all,
    evaluate,
    match_detections,
    overlap,
)

viz.show_architecture("detections").caption(
    "Figure 1. The last steps of detection. The box head has scored and moved "
    "every RoI, a short list is selected, and each entry gets its mask."
)

# %% [markdown]
# ## Five objects, eight detections
#
# We run `shapes-tiny` on 60 scenes that it has never seen. Here is one of them.


# %%
class Items(list):
    """Pairs of an image and its target, as a dataset in memory."""

    classes = Shapes(1).classes


model = load("shapes-tiny")
scenes = Items(Shapes(60, seed=1))
targets = [target for image, target in scenes]
detections = list(detect_all(model, scenes))

viz.show_detections(
    scenes[7][0], detections[7], scenes.classes, targets[7], width=3.2
).caption(
    "Figure 2. A scene with five objects, and what the model detects in it. "
    "All five are found, and three more detections lie on the small triangle."
)

# %% [markdown]
# There are five objects, and the model returns eight detections. Is that bad? If you had to click
# three wrong outlines away for every five good ones, you would say so. But look at the **scores**,
# the model's confidence in each of its detections.

# %%
d = detections[7]
for label, score in zip(d.labels.tolist(), d.scores.tolist(), strict=True):
    print(f"{score:.2f}  {scenes.classes[label - 1]}")

# %% [markdown]
# The list is sorted. Its first five entries are the five objects. The other three are the triangle
# again, under wrong names, and they come last, with low scores. Whoever reads the list from the top
# has found everything before the first mistake appears. So a detector returns more than a set of
# answers. It returns a **ranking**, and a fair measure should reward a model that knows which of
# its detections to trust.
#
# Before we measure such a list, let's see where it comes from.

# %% tags=["claim"]
assert len(targets[7]["labels"]) == 5 and len(d) == 8
first = match_detections(overlap(d.masks, targets[7]["masks"]), d.scores, torch.tensor([0.5]))[0]
assert (first[:5] >= 0).all() and (first[5:] == -1).all()
assert d.labels[:5].equal(targets[7]["labels"][first[:5]]) and d.scores[5] < 0.5
assert targets[7]["labels"][1] == 1
assert (overlap(d.masks[4:], targets[7]["masks"])[:, 1] > 0.5).all()

# %% [markdown]
# ## 1. From class scores to detections
#
# For every RoI, the box head predicts a score for each class and, for each class, a box (lesson
# 08). With $R$ RoIs and $K$ classes that makes $R \cdot K$ **candidates**, since *every class of
# every RoI* might become a detection. Three rules thin them out.
#
# 1. The score must be above 0.05.
# 2. NMS (lesson 02) drops a box whose IoU with a better box *of its class* is above 0.5.
# 3. Of what is left in an image, the best 100 remain.
#
# NMS and the 100 are from [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3.1. The values
# 0.05 and 0.5 are those of torchvision and detectron2.
#
# > **Predict.** Can one RoI become two detections? If so, what would such a RoI look like?

# %%
from mrcnn_edu.boxes import clip_boxes, decode_boxes
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.nms import batched_nms

trace = model.trace([scenes[39][0]])
scores = trace.class_logits.softmax(dim=1)  # [R, K + 1], background first
n_candidates = scores[:, 1:].numel()
roi, k = torch.where(scores[:, 1:] > 0.05)  # rule 1
score = scores[roi, k + 1]
deltas, proposals = trace.box_deltas[roi, k + 1], trace.proposals[0].boxes[roi]
boxes = clip_boxes(decode_boxes(deltas, proposals, BOX_SCALE), (96, 96))
keep = batched_nms(boxes, score, k, iou_threshold=0.5)  # rule 2
keep = keep[:100]  # rule 3, as they are sorted

n_rois = len(roi[keep].unique())
print(f"{n_candidates} candidates, {len(roi)} above 0.05")
print(f"{len(keep)} detections from {n_rois} RoIs")

# %%
busiest = roi[keep].bincount().argmax()
print("the RoI with the most detections:")
for index in keep[roi[keep] == busiest]:
    print(f"  {score[index]:.2f}  {scenes.classes[k[index]]}")

# %%
# The same scene at four times its size, to be looked at.
crisp, _ = Shapes(60, seed=1, render_size=384, noise=0)[39]
panels = {
    f"{len(roi)} candidates above 0.05": (4 * boxes, "proposal", score),
    f"{len(keep)} detections": (4 * boxes[keep], "detection", score[keep]),
}
viz.show_panels(crisp, panels, width=2.4).caption(
    "Figure 3. The candidates of a crowded scene before and after NMS within "
    "each class. The fainter a box, the lower its score."
)

# %% [markdown]
# **What happened.** Yes, it can. The 26 detections come from only 21 RoIs, and one of these is
# listed three times, as a triangle, as a cross and as a star. None of the rules asks a RoI to
# decide for one class. Each class whose score is above 0.05 gets an entry, and the entries don't
# compete, since NMS only compares boxes of one class.
#
# This looks careless, but it is deliberate. If the first choice is wrong, the second choice is
# still in the list, with a lower score. Later we will see what such second choices cost. The
# package's version of these lines is `detections.select_detections`.

# %% tags=["claim"]
torch.testing.assert_close(boxes[keep], trace.selected[0].boxes)
assert n_rois == 21 and len(keep) == len(detections[39]) == 26
assert [scenes.classes[i] for i in k[keep[roi[keep] == busiest]]] == ["triangle", "cross", "star"]
assert n_candidates == 600

# %% [markdown]
# ## 2. From an m × m mask to the image
#
# Each detection still has its mask as $m \times m$ probabilities, in our model $28 \times 28$,
# whatever the size of its box. It has to be *pasted* into the image. As in RoIAlign (lesson 07), we
# have to read between the given values, and again we use **bilinear interpolation**. Only the
# direction is reversed. RoIAlign fills a small grid from a large map, and now we fill the pixels of
# a large image from a small grid. For the center of each image pixel, we compute where it lies in
# the mask. Let the box reach from $x_1$ to $x_2$. The center of column $c$ is at
# $c + \tfrac{1}{2}$, so its position along the mask is
#
# $$x = m \cdot \frac{c + \frac{1}{2} - x_1}{x_2 - x_1},$$
#
# and rows work in the same way. We interpolate between the four nearest mask pixels, whose centers
# are at $\tfrac{1}{2}, 1\tfrac{1}{2}, \dots$, and the image pixel belongs to the mask if the result
# is at least one half. A border of zeros around the mask stands in for the neighbors that a pixel
# at the edge lacks.
#
# > **Predict.** In a mask of $3 \times 3$ pixels, the middle one has a probability of 0.4. The row
# > above it and the column to its left have 0.8 or more, the other three neighbors less than 0.2.
# > Over the middle mask pixel lie nine image pixels. Are all nine off?

# %%
from torch.nn.functional import pad


def paste_by_hand(mask, box, size):
    """A mask [m, m] of probabilities, in its box, as pixels [H, W]."""
    (x1, y1, x2, y2), m = box.tolist(), len(mask)
    padded = pad(mask, (1, 1, 1, 1))  # zeros around it
    pasted = torch.zeros(size, dtype=torch.bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x = m * (column + 0.5 - x1) / (x2 - x1) + 0.5
            y = m * (row + 0.5 - y1) / (y2 - y1) + 0.5
            if not (0.5 <= x <= m + 0.5 and 0.5 <= y <= m + 0.5):
                continue  # outside of the box
            left, top = int(x), int(y)  # in `padded`, centers are whole
            four = padded[top : top + 2, left : left + 2]
            across = torch.tensor([1 - (x - left), x - left])
            down = torch.tensor([1 - (y - top), y - top])
            pasted[row, column] = down @ four @ across >= 0.5
    return pasted


# %%
toy = torch.tensor([[0.95, 0.9, 0.85], [0.9, 0.4, 0.15], [0.8, 0.1, 0.0]])
box = torch.tensor([1.5, 1, 10.3, 9.8])
pasted = paste_by_hand(toy, box, (12, 12))

over_middle = pasted[4:7, 4:7]
print(f"{over_middle.sum()} of the 9 pixels over the middle are on")

# %%
picture = viz.Picture(3.8, 2.2)
left, right = picture.subplots(1, 2)
viz.draw_map(left, toy, "3 × 3 probabilities", high=1, numbers=".2f")
viz.draw_map(right, pasted, "12 × 12 pixels", high=1)
nine = torch.tensor([4.0, 4, 7, 7])
outlines = torch.stack((box, nine)) - 0.5  # a picture's pixels begin at -0.5
viz.draw_boxes(right, outlines, ["detection", "gray"], pale=False)
picture.caption(
    "Figure 4. A mask, and what becomes of it in its box (crimson). The nine "
    "pixels are framed in gray. The outline is finer than the mask."
)

# %% [markdown]
# **What happened.** Five of the nine are on, those that lie near a neighbor with a high
# probability. Only the center of the mask pixel itself has 0.4, and toward such a neighbor the
# interpolated value rises. So the outline in the image is finer than the $m \times m$ mask, as long
# as the mask's values are real probabilities and not just zeros and ones. The leftmost column
# inside the box is off for a similar reason. Its centers lie exactly on the box's edge, halfway to
# the border of zeros, so they get only half of the mask's values.
#
# Here is a place where libraries differ. torchvision first cuts the box's coordinates to whole
# pixels, and so moves each edge by up to one. We interpolate where the box really is, as detectron2
# does. The package does all rows and columns at once, in `detections.paste_masks`.
#
# Now we have detections, each with a class label, a score, a box and a mask. Which of them are
# right?

# %% tags=["claim"]
from mrcnn_edu.detections import paste_masks

assert (pasted == paste_masks(toy[None], box[None], (12, 12))[0]).all()
assert over_middle.sum() == 5 and not pasted[:, 1].any() and model.config.mask_size == 28

# %% [markdown]
# ## 3. Which detections are correct?
#
# Take one image and one class. A detection should count as correct if it lies on an object of that
# class, and how well it lies there is measured by the IoU, here of the two masks. So we need a
# threshold $\tau$, and it is tempting to say that every detection with an IoU of at least $\tau$
# with an object is correct. But then a detector could list the same object a hundred times and be
# right every time. Each object may be found only once.
#
# COCO's rule is a greedy one, as in NMS. Go through the detections from the best score to the
# worst. Each one takes, of the objects that are still free, the one that it overlaps most, if the
# IoU is at least $\tau$. With $F$ for the set of free objects, detection $d$ is matched to
#
# $$\mathrm{match}(d) = \underset{g \,\in\, F,\ \mathrm{IoU}(d, g) \,\ge\, \tau}{\arg\max}
# \ \mathrm{IoU}(d, g),$$
#
# that is, to the free object $g$ with the highest IoU, which is then removed from $F$. A detection
# with a match is a **true positive**, one without a match is a **false positive**, and an object
# that is still free at the end is a **false negative**.
#
# To see every case in one picture, we make up four detections for a scene with two stars. Each is a
# copy of one of the two ground-truth masks, moved by a few pixels.

# %%
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.detections import Detections

is_star = targets[25]["labels"] == 4
gt = {key: targets[25][key][is_star] for key in ("boxes", "labels", "masks")}

moves = [(1, 1, 0), (0, 0, 1), (0, 3, 3), (1, -2, 2)]  # star, right, down
masks = []
for star, right, down in moves:
    masks.append(gt["masks"][star].roll((down, right), dims=(0, 1)))
masks = torch.stack(masks)
scores = torch.tensor([0.98, 0.95, 0.60, 0.30])
labels = torch.full((4,), 4)
star_boxes = masks_to_boxes(masks)
stars = Detections(star_boxes, labels, scores, masks, mask_probs=None)

# %%
viz.show_detections(
    scenes[25][0], stars, scenes.classes, gt, width=2.3
).caption(
    "Figure 5. Two stars, and four detections that we have made up: each is "
    "one of the two masks, moved by one to four pixels."
)

# %% [markdown]
# > **Predict.** Four stars are detected, and two are there. How many of the detections are correct
# > at $\tau = 0.5$? Which ones, and for what reason are the others wrong?

# %%
iou = overlap(stars.masks, gt["masks"])  # [D, M]
free, matched = {0, 1}, []
for row in iou.tolist():  # best score first
    reached = {m: row[m] for m in free if row[m] >= 0.5}
    match = max(reached, key=reached.get, default=-1)
    matched.append(match)
    free -= {match}

viz.show_matches(iou, scores, torch.tensor(matched), 0.5).caption(
    "Figure 6. The IoU of each detection with each star. A match is green, "
    "and below it the star's column is gray, because it is taken."
)

# %% [markdown]
# **What happened.** Two are correct. The third detection overlaps its star by less than one half.
# The fourth one would be good enough, but its star has been taken by a better score. It is a
# **duplicate**, and counts as wrong as if it lay on nothing. That may seem harsh. But a user who
# counts stars would count four, and a metric that forgave duplicates would make NMS pointless.
#
# By now this course has a good many thresholds, and they are easily mixed up.
#
# | threshold | where | decides |
# |---|---|---|
# | IoU 0.7 and 0.3 | training, RPN | what an anchor learns |
# | IoU 0.5 | training, heads | what a RoI learns |
# | IoU 0.7 | RPN | what NMS drops among proposals |
# | IoU 0.5 | detection | what NMS drops among detections of one class |
# | score 0.05 | detection | what is listed at all |
# | probability 0.5 | mask | which pixels belong to an object |
# | IoU $\tau$ | evaluator | which detections are correct |
#
# All but the last belong to the model, and may be tuned. The last one belongs to the
# **evaluator**, the program that measures, and is the same for everybody.

# %% tags=["claim"]
assert iou[3].max() >= 0.5 > iou[2].max() and matched == [1, 0, -1, -1]
assert matched == match_detections(iou, scores, torch.tensor([0.5]))[0].tolist()

# %% [markdown]
# ## 4. Precision and recall
#
# We now know of every detection whether it is correct. Take all scenes, still one class, and put
# its detections into one list, sorted by score. Let $c_i$ be 1 if the detection at rank $i$ is
# correct and 0 if not, and let $M$ be the number of objects of this class in all scenes. After the
# first $n$ detections,
#
# $$\mathrm{precision}(n) = \frac{1}{n} \sum_{i=1}^{n} c_i, \qquad
# \mathrm{recall}(n) = \frac{1}{M} \sum_{i=1}^{n} c_i.$$
#
# **Precision** is the fraction of the detections so far that are correct. **Recall** is the
# fraction of the objects that have been found so far. Both have the same numerator, and only the
# denominator differs. The recall of lesson 06 was less strict than this one, as it knew neither
# classes nor an order, and one proposal could find two objects.
#
# > **Predict.** There are 37 stars in our scenes. Suppose that a ranking starts with correct,
# > wrong, correct. What are precision and recall after these three detections? And which of the two
# > can go down as you read on?

# %%
start = torch.tensor([True, False, True, True, False])
viz.show_ranking(start, n_objects=37).caption(
    "Figure 7. Precision and recall after each detection of a ranking. "
    "Precision falls and rises, recall never falls."
)

# %% [markdown]
# **What happened.** Precision is 2/3 and recall 2/37. If you said 2/3 for both, you divided by the
# detections twice. Recall never goes down, because an object that has been found remains found.
# Precision drops with every wrong detection, and recovers with every correct one.
#
# Now the model's own stars. We require an IoU of 0.85, which is strict, so that there is something
# to see.


# %%
def ranking(label, tau):
    """Which detections of a class are correct [D], and M."""
    scores, correct, n_objects = [], [], 0
    threshold = torch.tensor([tau], dtype=torch.float64)  # as the IoUs
    for all_classes, target in zip(detections, targets, strict=True):
        found = all_classes[all_classes.labels == label]
        gt_masks = target["masks"][target["labels"] == label]
        iou = overlap(found.masks, gt_masks)
        match = match_detections(iou, found.scores, threshold)[0]
        correct.append(match >= 0)
        scores.append(found.scores)
        n_objects += len(gt_masks)
    best_first = torch.cat(scores).argsort(descending=True, stable=True)
    return torch.cat(correct)[best_first], n_objects


# %%
correct, n_objects = ranking(label=4, tau=0.85)
n_correct = correct.double().cumsum(dim=0)
precision = n_correct / torch.arange(1, len(correct) + 1)
recall = n_correct / n_objects

print("rank           precision  recall")
for rank in (1, 2, 12, 13, 14, 26, 27, 61, 62):
    verdict = "correct" if correct[rank - 1] else "wrong"
    p, r = precision[rank - 1], recall[rank - 1]
    print(f"{rank:4}  {verdict:7}    {p:.3f}   {r:.3f}")

# %%
viz.show_curves({"IoU 0.85": (correct, n_objects)}).caption(
    "Figure 8. The precision-recall curve of the stars at IoU 0.85, a dot for "
    "each detection. A correct one leads to the right, a wrong one straight "
    "down."
)

# %% [markdown]
# This is a **precision-recall curve**. Read it as a list of offers. At each dot you could stop
# reading the ranking, and you would have found that many objects at that price in mistakes. A
# perfect detector would go along the upper edge to the right corner. Ours holds on until about a
# third of the stars, wobbles, and falls off a cliff at a little more than one half. The cliff is
# the tail of the ranking. First come stars whose masks are not exact enough for 0.85, and after
# them second choices with low scores.
#
# Two curves may cross. To compare two detectors, people want one number.

# %% tags=["claim"]
assert n_objects == 37 and correct[:12].all() and not correct[12] and correct[13]
assert int(n_correct[-1]) == 20 and not correct[26:].any() and correct[25]
at_half, _ = ranking(label=4, tau=0.5)
assert at_half[26:33].all() and at_half[36:].float().mean() < 0.1
assert 0.3 < recall[11] < 0.35 and 0.5 < recall[-1] < 0.6 and len(correct) == 62

# %% [markdown]
# ## 5. Average precision is an area
#
# The natural number is the area below the curve, since it is large if precision stays high while
# recall grows. There is a small obstacle. The curve has teeth. Where a wrong detection is followed
# by correct ones, precision dips and recovers, and whether it dips at this rank or one later is
# mostly luck. [The Pascal VOC Challenge](https://doi.org/10.1007/s11263-009-0275-4), section 4.2,
# therefore fills the dips before it measures. At each recall $r$ it takes the best precision that
# is reached there *or at any higher recall*,
#
# $$p_\mathrm{env}(r) = \max_{n:\ \mathrm{recall}(n) \,\ge\, r} \mathrm{precision}(n),$$
#
# and 0 if that recall is never reached. This is the curve's **envelope**. It makes sense for a
# user, too. Whoever wants to find at least a fraction $r$ of the objects is free to read on, and
# would stop where the precision is best. VOC then read this curve at 11 recalls.
#
# COCO reads it at 101 recalls, $0, 0.01, \dots, 1$, and takes the mean. That is **average
# precision**, or **AP**, of one class at one IoU threshold:
#
# $$\mathrm{AP} = \frac{1}{101} \sum_{r \,\in\, \{0,\ 0.01,\ \dots,\ 1\}} p_\mathrm{env}(r)
# \;\approx\; \int_0^1 p_\mathrm{env}(r)\, dr.$$
#
# Since the envelope is a staircase, the area consists of a few rectangles, and you can compute it
# on paper.
#
# > **Predict.** There are five objects, and the ranking is correct, correct, wrong, correct, wrong,
# > wrong, correct, wrong. One object is never found. Write precision and recall below each of the
# > eight. Then draw the envelope, and add up its rectangles. What is AP?

# %%
by_hand = torch.tensor([1, 1, 0, 1, 0, 0, 1, 0]).bool()
viz.show_ranking(by_hand, n_objects=5).caption(
    "Figure 9. The ranking with precision and recall after each detection. "
    "Four of the five objects are found."
)

# %%
viz.show_ap_area(by_hand, n_objects=5).caption(
    "Figure 10. AP as an area. The gray curve dips, and the envelope fills "
    "the dips. It is read at 101 recalls (crimson dots). A step's label is "
    "the number of recalls that are read on it, times its precision."
)

# %% [markdown]
# **What happened.** The envelope has three steps. It is 1 up to a recall of 2/5, 3/4 up to 3/5, and
# 4/7 up to 4/5. The last fifth is never reached and counts as 0. With the numbers of recalls that
# are read on each step,
#
# $$\mathrm{AP} = \frac{41 \cdot 1 + 20 \cdot \frac{3}{4} + 20 \cdot \frac{4}{7} + 20 \cdot 0}{101}
# \approx 0.668.$$
#
# Why 41 on the first step and not 40? Because the recall 0 is read, too. Note what did *not*
# matter. The precisions 2/3, 3/5 and 3/6 lie below the envelope and are never read. And the wrong
# detection at the very end comes after the last correct one, where it costs nothing at all.
#
# In code, with a loop over the recalls:

# %%
recalls = [index / 100 for index in range(101)]
envelope = []
for r in recalls:
    reached = precision[recall >= r]
    envelope.append(reached.max().item() if len(reached) else 0.0)

# %% [markdown]
# > **Predict.** We go back to the stars at IoU 0.85. The table above Figure 8 ends with the recall
# > that is reached in the end. Without computing more, how large could AP be at the very most? And
# > which is larger, AP or the plain mean of all 62 precisions?

# %% tags=["cover"]
curve = viz.show_ap_area(correct, n_objects)
n_reached = sum(value > 0 for value in envelope)
print(f"{n_reached} of 101 recalls are reached")
print(f"so AP is at most {n_reached / 101:.3f}")
print(f"AP is {sum(envelope) / 101:.3f}")
print(f"the mean of the precisions is {precision.mean():.3f}")
curve.caption(
    "Figure 11. The stars at IoU 0.85. Nearly half of the recalls are never "
    "reached, and AP is the shaded area."
)

# %% [markdown]
# **What happened.** AP can't be much larger than the last recall, because every recall beyond it
# counts as 0, and every other one at most as 1. The mean of the precisions is higher, since it
# knows nothing of the 17 stars that are missed.
#
# Three things AP is not. It is not an accuracy, for an accuracy would also count what was correctly
# *not* detected, and nobody can count those boxes. It is not the fraction of the detections that
# are correct, which would be 20 of 62. And it is not the fraction of the stars that are found,
# which would be 20 of 37. It lies close to the latter here, because most of these 20 come first in
# the ranking.
#
# The package's version avoids the loop. Read backward, the envelope is a running maximum. A binary
# search finds the first detection that reaches each of the 101 recalls in `RECALLS`, and a zero at
# the end is for the recalls that none reaches.

# %%
print(getsource(average_precision).split('"""')[2])

# %% tags=["claim"]
assert abs(average_precision(by_hand, 5) - (41 + 20 * 0.75 + 20 * 4 / 7) / 101) < 1e-9
assert abs(sum(envelope) / 101 - average_precision(correct, n_objects)) < 1e-9
assert round(average_precision(by_hand, 5), 3) == 0.668
assert n_reached == int(100 * 20 / 37) + 1 and precision.mean() > sum(envelope) / 101
assert 0.5 < 20 / 37 < 0.55 and sum(envelope) / 101 > 0.5

# %% [markdown]
# ## Play: three boxes and their AP
#
# Here you are the detector. The scene has three triangles. Drag the three boxes, draw them anew on
# free paper, type other scores, and watch every step of the computation, from the matches to the
# area. Nothing here needs the kernel.
#
# 1. Reach an AP of 1. Then change only the scores. Does any order of the three still give 1?
# 2. Put two boxes on the same triangle. For which scores does the duplicate cost something, and for
#    which is it free?
# 3. Place the boxes so that AP is high at an IoU of 0.5, and 0 at 0.95. By how little may the box
#    of the small triangle be off before it counts as wrong at 0.95?
# 4. Can you make AP *rise* by moving a box that is wrong to another wrong place? And by lowering
#    its score?
#
# Write down a sentence on each before you go on.

# %%
from mrcnn_edu.course.widgets import ap_steps_player

three, three_target = Shapes(600, seed=1, render_size=384, noise=0)[551]
triangles = three_target["boxes"]
drawn = torch.tensor(
    [[278.0, 119, 367, 243], [255, 105, 372, 236], [59, 40, 153, 150]]
)
ap_steps_player(three, triangles, drawn).caption(
    "Figure 12. Three triangles (green) and three detections (crimson), with "
    "their matches, their precision-recall curve and its area."
)

# %% tags=["claim"]
start_of_play = ap_steps_player(three, triangles, drawn)
assert [row.match for row in start_of_play.ranking()] == [1, -1, -1]
start_of_play.threshold = 0.5
assert abs(start_of_play.ap - 34 / 101) < 1e-9

# %% [markdown]
# ## 6. COCO's AP: ten thresholds, all classes
#
# So far we had one class and one threshold. **AP50** is the mean over all classes of the AP at an
# IoU of 0.5, and **AP75** the same at 0.75. An IoU of 0.5 is generous, as lesson 02 showed, and a
# metric that stops there does not notice whether an outline is exact. COCO's main number, plain
# **AP**, is the mean over $K$ classes and over ten thresholds:
#
# $$\mathrm{AP} = \frac{1}{K} \sum_{k=1}^{K} \frac{1}{10}
# \sum_{\tau \,\in\, \{0.5,\ 0.55,\ \dots,\ 0.95\}} \mathrm{AP}_k(\tau).$$
#
# When a paper says AP, this is what it means. What we computed above is $\mathrm{AP}_k(\tau)$ for
# the stars and $\tau = 0.85$.
#
# > **Predict.** As $\tau$ rises, fewer detections are correct, and AP falls. For which class does
# > it fall faster, for the squares or for the stars? Why?

# %%
from mrcnn_edu.evaluate import IOU_THRESHOLDS

taus = IOU_THRESHOLDS.tolist()
ap_of_iou = {}
for name, label in {"square": 2, "star": 4}.items():
    values = [average_precision(*ranking(label, tau)) for tau in taus]
    ap_of_iou[name] = torch.tensor(values)

chart = viz.Picture(6, 3)
axes = chart.subplots()
for name, label in {"square": 2, "star": 4}.items():
    color = viz.class_color(label)
    axes.plot(taus, ap_of_iou[name], "o-", color=color, label=name)
axes.set(xlabel="IoU threshold", ylabel="AP", ylim=(0, 1.05))
axes.legend(frameon=False)
chart.caption(
    "Figure 13. The AP of two classes at each IoU threshold. Each line's mean "
    "is the class's AP."
)

# %%
star_rankings = {f"IoU {tau:.2f}": ranking(4, tau) for tau in taus}
viz.show_curves(star_rankings).caption(
    "Figure 14. The ten precision-recall curves of the stars, whose areas are "
    "the points of the star's line. A stricter threshold moves the cliff to "
    "the left. Those at 0.70 and 0.75 coincide, and at 0.95 no star is "
    "correct."
)

# %% [markdown]
# **What happened.** The stars. Both classes are found almost perfectly at 0.5, but from 0.65 on the
# stars lose ground. A mask that is off by one pixel all along its outline loses IoU in proportion
# to the length of that outline, and a star has a long outline for its area. So AP50 says whether
# objects are found, and the higher thresholds say how exactly they are drawn.
#
# `evaluate` computes all the kinds of AP that COCO has, for masks or for boxes. Here are those of
# the masks.

# %%
mask_scores = evaluate(scenes, detections, "segm")
box_scores = evaluate(scenes, detections, "bbox")
print(f"masks\n{mask_scores}")

# %% [markdown]
# If you compare this AP with the other lessons, you will find that `shapes-tiny` gets a slightly
# different one nearly everywhere. It is always the same model, but each lesson measures it on
# scenes of its own. Even scenes of the same kind give other numbers. Here are three more sets of
# 60, with AP in percent, as most papers print it.

# %%
all_sets = [mask_scores.ap]
for seed in (2, 3, 4):
    others = Items(Shapes(60, seed=seed))
    scores = evaluate(others, detect_all(model, others), progress=False)
    all_sets.append(scores.ap)
    print(f"seed {seed}: mask AP {100 * scores.ap:.1f}")

# %% [markdown]
# Together with our first set, the numbers spread over about two points (a point is an AP of 0.01),
# from nothing but the choice of scenes. So compare two models only on the same images, and don't
# make much of a difference of one point on sixty of them. Lesson 12 finds out how much it may mean.
#
# ### The same from pycocotools
#
# Would COCO's own evaluator agree? **pycocotools** reads files, so we write the ground truth as
# one, and give it our detections in COCO's results format.

# %%
from contextlib import redirect_stdout
from io import StringIO
from tempfile import TemporaryDirectory

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.data import write_coco
from mrcnn_edu.evaluate import coco_results


# %%
def coco_stats(dataset, detections, iou_type="segm"):
    """The twelve numbers that pycocotools computes."""
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        write_coco(dataset, folder)
        gt = COCO(f"{folder}/annotations.json")
        results = gt.loadRes(coco_results(dataset, detections, iou_type))
        evaluator = COCOeval(gt, results, iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats.tolist()


# %%
names = ("ap", "ap50", "ap75", "ap_small", "ap_medium")
for iou_type, ours in {"segm": mask_scores, "bbox": box_scores}.items():
    theirs = coco_stats(scenes, detections, iou_type)
    largest = 0.0
    for name, value in zip(names, theirs, strict=False):
        largest = max(largest, abs(getattr(ours, name) - value))
    print(f"{iou_type}: largest difference {largest:.6f}")

# %% [markdown]
# The five numbers agree, for masks and for boxes. There are twelve in all. The next two sections
# are about those that we have not explained yet.

# %% tags=["claim"]
fall = {name: (values[0] - values[7]).item() for name, values in ap_of_iou.items()}
assert fall["star"] > 2 * fall["square"] and min(values[0] for values in ap_of_iou.values()) > 0.95
assert ap_of_iou["square"][3] > 0.98 and ap_of_iou["star"][3] < 0.9
for name, values in ap_of_iou.items():
    assert abs(values.mean() - mask_scores.per_class[name]) < 1e-5
assert star_rankings["IoU 0.70"][0].equal(star_rankings["IoU 0.75"][0])
assert not star_rankings["IoU 0.95"][0].any()
assert 0.018 < max(all_sets) - min(all_sets) < 0.026
assert largest < 1e-9

# %% [markdown]
# ## 7. Small and medium: two parts above the whole
#
# COCO also gives AP by size. An object is *small* if its mask has at most $32^2 = 1024$ pixels,
# *medium* up to $96^2$, and *large* beyond that. In a photograph that is useful, because it
# tells you that your detector fails on what is far away. Our scenes have $96 \times 96$ pixels and
# no large object.

# %%
for name, s in {"masks": mask_scores, "boxes": box_scores}.items():
    print(f"{name}: AP {s.ap:.3f}", end="")
    print(f", small {s.ap_small:.3f}, medium {s.ap_medium:.3f}")

# %% [markdown]
# Look at the second line. For the boxes, AP small *and* AP medium are higher than AP. But every
# object is either small or medium. If the model is better than 0.827 on the one part, and better
# than 0.827 on the other part, how can it be 0.827 on all of them?
#
# > **Predict.** What is wrong with this reasoning? Think of what else is in a ranking besides the
# > objects, and of the mean over classes.

# %%
from mrcnn_edu.evaluate.average_precision import (
    class_average_precisions,
    select_class,
)
from mrcnn_edu.evaluate.image_pairs import iter_pairs

images = list(iter_pairs(scenes, detections, iou_type="bbox"))

# %%
ranges = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2)}
by_class = {}
print("          objects          box AP")
print("          small  medium    all    small  medium")
for label, name in enumerate(scenes.classes, start=1):
    areas = []
    for target in targets:
        of_class = target["masks"][target["labels"] == label]
        areas.append(of_class.flatten(1).sum(dim=1))
    n_small = int((torch.cat(areas) <= 1024).sum())
    n_medium = len(torch.cat(areas)) - n_small
    chosen = [select_class(*pair, label) for pair in images]
    ap = [class_average_precisions(chosen, r).mean() for r in ranges.values()]
    by_class[name] = [n_small, n_medium, *torch.stack(ap).tolist()]
    numbers = "  ".join(f"{value:.3f}" for value in by_class[name][2:])
    print(f"{name:10}{n_small:4}{n_medium:7}     {numbers}")

# %% [markdown]
# **What happened.** Two things, and the table shows both.
#
# *The means run over different classes.* Only squares and circles have medium objects here, six in
# all, and the other four classes don't take part in AP medium. Squares and circles happen to be
# among the easier shapes. So AP medium says less about size than about which classes come in that
# size.
#
# *A false positive counts in one range only.* Look at the triangles. All 33 of them are small, so
# AP and AP small are about the very same objects, and still AP small is higher. The rule behind
# this is COCO's treatment of what lies outside of a range:
#
# - an object outside of the range is *ignored*, and so is a detection that is matched to it;
# - a detection without a match is ignored if *its own* area is outside of the range.
#
# Some wrong triangles have boxes with more than 1024 pixels. They count in AP. In AP small they are
# ignored, and in AP medium there is no triangle to be found, so that the whole class drops out.
# Such a mistake is charged in the total, and in none of the parts.
#
# Even if every class has both sizes, two parts can beat the whole, because each part has a ranking
# of its own. A miniature makes it plain. One class, four detections, three objects:

# %%
miniature = ["medium", "small", "medium", "small"]  # sizes, best score first
is_correct = torch.tensor([True, True, False, True])
print(f"all:    AP {average_precision(is_correct, 3):.3f}")
for size, n_objects in {"small": 2, "medium": 1}.items():
    in_range = torch.tensor([other == size for other in miniature])
    ap = average_precision(is_correct[in_range], n_objects)
    print(f"{size:7} AP {ap:.3f}")

# %% [markdown]
# The wrong detection is medium. Among the medium ones it comes after the last correct one, where
# mistakes are free. In the common ranking a small object comes after it, and there it costs. So AP
# is no average of AP small and AP medium, and was never meant to be. Compare AP small between two
# models, and not with AP medium of the same model.

# %% tags=["claim"]
assert box_scores.ap < min(box_scores.ap_small, box_scores.ap_medium)
assert round(box_scores.ap, 3) == 0.827
assert by_class["triangle"][:2] == [33, 0] and by_class["triangle"][3] > by_class["triangle"][2]
assert {name for name, row in by_class.items() if row[1]} == {"square", "circle"}
assert sum(row[1] for row in by_class.values()) == 6
means = [sum(row[2] for row in by_class.values()) / 6]
means.append((by_class["square"][2] + by_class["circle"][2]) / 2)
assert abs(means[0] - box_scores.ap) < 1e-6 and means[1] > means[0]
ours = sorted(by_class, key=lambda name: by_class[name][2])
assert {"square", "circle"} <= set(ours[3:]) | {ours[2]}
# Without the wrong triangles above 1024 pixels, AP is AP small.
fewer = []
for d, target in zip(detections, targets, strict=True):
    iou = overlap(d.boxes, target["boxes"]) * (d.labels[:, None] == target["labels"])
    unmatched = (match_detections(iou, d.scores)[0] < 0) & (d.labels == 1)
    area = (d.boxes[:, 2:] - d.boxes[:, :2]).prod(dim=1)
    fewer.append(d[~(unmatched & (area > 1024))])
without = evaluate(scenes, fewer, "bbox", progress=False).per_class["triangle"]
assert by_class["triangle"][2] < without <= by_class["triangle"][3] + 1e-9

# %% [markdown]
# ## 8. Crowds, and a limit on detections
#
# ### Crowds
#
# Photographs hold things that nobody can outline one by one, such as the spectators in a stadium or
# the apples in a crate. COCO's annotators drew one region around such a group and marked it with
# `iscrowd`. What should the evaluator do with it? To see the choices, we make a crowd of our own.
# In the following scene, somebody has outlined two circles, and has put four others into one
# region.

# %%
from torch.nn.functional import max_pool2d

crowded = Shapes(28, seed=1, n_objects=(10, 14), object_size=(0.12, 0.22))
image, target = crowded[27]
circles = target["masks"][target["labels"] == 3]  # [6, 96, 96]
group = circles[1:5].any(dim=0, keepdim=True).float()
region = max_pool2d(group, 7, stride=1, padding=3)[0] > 0  # a hasty outline
gt_masks = torch.stack((circles[0], circles[5], region))
iscrowd = torch.tensor([False, False, True])

# %%
found = model.detect([image])[0]
found = found[found.labels == 3]
gt_circles = {
    "boxes": masks_to_boxes(gt_masks),
    "labels": torch.full((3,), 3),
    "masks": gt_masks,
}
# For the picture only, the crowd is a class of its own.
shown = {**gt_circles, "labels": torch.tensor([3, 3, 7])}
shown_classes = [*scenes.classes, "crowd"]
viz.show_detections(
    image, found, scenes.classes, shown, shown_classes, width=2.8
).caption(
    "Figure 15. Left, the ground truth: two circles, and a crowd of four in "
    "one region. Right, what the model detects as circles. It has found all "
    "six, and three detections with low scores are wrong."
)

# %% [markdown]
# The model has done its work well, so it should not be punished for finding what the annotator
# would not separate. COCO has three rules for that.
#
# 1. A crowd is **ignored**. It is no object to be found, and a detection that is matched to it is
#    neither right nor wrong. It disappears from the ranking.
# 2. Any number of detections may be matched to the same crowd.
# 3. A single circle cannot fill a region of four, so the IoU with a crowd has another denominator,
#    the area of the detection alone:
#
# $$\mathrm{IoU}_\mathrm{crowd}(d, g) = \frac{|d \cap g|}{|d|}, \qquad\text{instead of}\qquad
# \mathrm{IoU}(d, g) = \frac{|d \cap g|}{|d \cup g|}.$$
#
# A detection takes a real object first, and a crowd only if it reaches no object.
#
# > **Predict.** Compare three evaluators at $\tau = 0.5$. One takes the crowd for an ordinary
# > object, one drops it from the ground truth, and one follows COCO's rules. Which AP does each of
# > them give for these detections: about 0.3, about 0.4, or 1?

# %%
both = overlap(found.masks, gt_masks)  # [9, 3], with the union
pixels = found.masks.flatten(1).sum(dim=1)
inside = (found.masks & region).flatten(1).sum(dim=1)
crowd_iou = inside / pixels  # [9], with the detection alone

print("score   circle  circle  crowd   crowd, own denominator")
for row in range(len(found)):
    ious = "    ".join(f"{value:.2f}" for value in both[row])
    print(f"{found.scores[row]:.2f}     {ious}    {crowd_iou[row]:.2f}")


# %%
def ap_with_crowd(iou, is_ignored):
    """AP at 0.5 of one image, where some objects are ignored."""
    half = torch.tensor([0.5])
    match = match_detections(
        iou, found.scores, half, ignored=is_ignored, crowd=is_ignored
    )[0]
    counts = torch.ones(len(match), dtype=torch.bool)
    counts[match >= 0] = ~is_ignored[match[match >= 0]]
    return average_precision((match >= 0)[counts], int((~is_ignored).sum()))


none = torch.zeros(3, dtype=torch.bool)
with_rules = torch.cat((both[:, :2], crowd_iou[:, None]), dim=1)
as_object = ap_with_crowd(both, none)
dropped = ap_with_crowd(both[:, :2], none[:2])
as_crowd = ap_with_crowd(with_rules, iscrowd)
print(f"an ordinary object:  {as_object:.3f}")
print(f"dropped:             {dropped:.3f}")
print(f"a crowd:             {as_crowd:.3f}")

# %% [markdown]
# **What happened.** As an ordinary object, the crowd is missed, because no single circle covers
# half of it, and its four circles are false positives. Dropped, it is at least not missed, but the
# four are still wrong, and stand above a correct detection in the ranking. By COCO's rules they
# disappear, and so does a fifth detection in the crowd, with a score of 0.06. What remains is a
# perfect ranking of two circles, with two mistakes at its end.
#
# Let's ask pycocotools.

# %%
gt_circles["iscrowd"] = iscrowd
one_scene = Items([(image, gt_circles)])
theirs = coco_stats(one_scene, [found])
print(f"pycocotools: AP50 {theirs[1]:.3f}")
ours = evaluate(one_scene, [found])
print(f"the package: AP50 {ours.ap50:.3f}")
print(f"AP: {theirs[0]:.3f} and {ours.ap:.3f}")

# %% [markdown]
# In training, crowds are a different matter. torchvision's reference scripts and this package drop
# them from the targets, because a region of many objects is nothing that a mask head should learn.
#
# ### How many detections may a detector return?
#
# At the end of its list a wrong detection is free, so why not return ten thousand? Because COCO
# sets a limit. Of each *class in each image*, only the best 100 are evaluated. pycocotools calls
# this `maxDets`. Our model's own limit of 100 is for all classes together, as in torchvision, so
# that COCO's limit never drops any of its detections.
#
# With smaller limits, the same machinery gives **average recall**, or **AR**. Let
# $\mathrm{recall}_k(\tau, n)$ be the fraction of the objects of class $k$ that are found at
# threshold $\tau$, if the best $n$ detections of each class in each image count. Then
#
# $$\mathrm{AR}_n = \frac{1}{K} \sum_{k=1}^{K} \frac{1}{10} \sum_{\tau}
# \mathrm{recall}_k(\tau, n), \qquad n \in \{1, 10, 100\}.$$
#
# No precision enters here, and no order beyond the choice of the best $n$.
#
# > **Predict.** Our scenes have 3.6 objects on average, in six classes. With $n = 1$, about how
# > large can AR at most be: 0.28, or more than that? And by how much will AR rise from $n = 10$ to
# > $n = 100$? No class has more than four objects in a scene.


# %%
def average_recall(n):
    """COCO's AR with the best n detections of each class in each image."""
    by_class = []
    for label in range(1, 7):
        n_found, n_objects = torch.zeros(10), 0
        for d, target in zip(detections, targets, strict=True):
            best = d[d.labels == label]  # they are sorted
            best = best[torch.arange(min(n, len(best)))]
            gt_masks = target["masks"][target["labels"] == label]
            iou = overlap(best.masks, gt_masks)
            match = match_detections(iou, best.scores)  # [10, D]
            n_found += (match >= 0).sum(dim=1)
            n_objects += len(gt_masks)
        by_class.append(n_found / n_objects)
    return torch.stack(by_class).mean().item()


# %%
theirs = coco_stats(scenes, detections)
for n, value in zip((1, 10, 100), theirs[6:9], strict=True):
    print(f"AR{n:<4} {average_recall(n):.3f}  pycocotools {value:.3f}")

# %% [markdown]
# **What happened.** 0.28 would be one object of 3.6. But the limit holds for each class, so $n = 1$
# allows up to six detections in an image, one of each class. Only where a class has several objects
# in a scene are the others out of reach. And from 10 to 100 nothing changes, since our model never
# detects more than seven objects of a class in a scene. On COCO itself, where a crate may hold
# fifty apples, it matters.
#
# So pycocotools' twelve numbers are AP, AP50, AP75, AP by three sizes, AR by three limits, and AR
# by three sizes.

# %% tags=["claim"]
assert round(as_crowd, 3) == 1 and 0.25 < as_object < 0.35 and 0.35 < dropped < 0.45
assert abs(theirs[6] - average_recall(1)) < 1e-6 and abs(theirs[8] - average_recall(100)) < 1e-6
assert average_recall(10) == average_recall(100) > average_recall(1) > 0.6
one = coco_stats(one_scene, [found])
assert abs(one[1] - as_crowd) < 1e-9 and abs(one[0] - ours.ap) < 1e-9
assert len(found) == 9 and (crowd_iou >= 0.5).sum() == 5 and (both[:, 2] < 0.5).all()
six = match_detections(overlap(found.masks, circles), found.scores, torch.tensor([0.5]))[0]
assert (six >= 0).sum() == 6 and found.scores[six < 0].max() < 0.3
per_scene = [target["labels"].bincount(minlength=7) for target in targets]
assert max(int(counts.max()) for counts in per_scene) == 4
assert round(sum(int(counts.sum()) for counts in per_scene) / 60, 1) == 3.6
assert max(int(d.labels.bincount().max()) for d in detections if len(d)) == 7
assert crowd_iou[8] > 0.5 and round(found.scores[8].item(), 2) == 0.06

# %% [markdown]
# ## 9. What went wrong?
#
# AP says how good a ranking is, but not what is wrong with it. For that we have to look at the
# mistakes one by one. Let's give each false positive at IoU 0.5 a name, the first of this list that
# fits:
#
# - *duplicate*: it has an IoU of at least 0.5 with an object of its class, which a better
#   detection has taken;
# - *class*: the location is right and the class is wrong, so that the IoU is at least 0.5 with an
#   object of another class;
# - *location*: an IoU of 0.1 to 0.5 with an object of its class;
# - *both*: an IoU of 0.1 to 0.5 with an object of another class;
# - *background*: an IoU below 0.1 with every object.
#
# An object to which nothing is matched is *missed*. With small differences, these are the types of
# [TIDE](https://arxiv.org/abs/2008.08115), which goes back to [Diagnosing Error in Object
# Detectors](https://doi.org/10.1007/978-3-642-33712-3_25).
#
# > **Predict.** Which type will be the most frequent? Is it the same for those with a score above
# > 0.5 as for the rest? You may look at Figures 2 and 3 again.

# %%
TYPES = ["correct", "duplicate", "class", "location", "both", "background"]


def error_types(d, target):
    """For each detection [D], the index of its type in TYPES."""
    iou = overlap(d.masks, target["masks"])  # [D, M]
    same = d.labels[:, None] == target["labels"]
    match = match_detections(iou * same, d.scores, torch.tensor([0.5]))[0]
    same_class = (iou * same).amax(dim=1)
    other_class = (iou * ~same).amax(dim=1)
    tests = [
        match >= 0,
        same_class >= 0.5,
        other_class >= 0.5,
        same_class >= 0.1,
        other_class >= 0.1,
        torch.ones_like(match, dtype=torch.bool),
    ]
    return torch.stack(tests).int().argmax(dim=0)  # the first that is true


# %%
types = [error_types(*pair) for pair in zip(detections, targets, strict=True)]
all_types = torch.cat(types)
confident = torch.cat([d.scores > 0.5 for d in detections])
high = all_types[confident].bincount(minlength=6)
low = all_types[~confident].bincount(minlength=6)
n_objects = sum(len(target["labels"]) for target in targets)
n_missed = n_objects - int(high[0] + low[0])

parts = {
    "score above 0.5": torch.tensor([*high[1:], 0]),
    "score up to 0.5": torch.tensor([*low[1:], 0]),
    "no score": torch.tensor([0, 0, 0, 0, 0, n_missed]),
}
names = [*TYPES[1:], "missed"]
viz.show_counts(parts, names, "number of mistakes").caption(
    f"Figure 16. The mistakes in 60 scenes, beside {high[0] + low[0]} correct "
    "detections. Most have a low score, and most are a wrong class at the "
    "right location. A missed object has no score."
)

# %% [markdown]
# **What happened.** A wrong class at the right location is the most frequent mistake, in both
# groups. That is the price of making each class of each RoI a candidate.
#
# But what do these mistakes cost? We cross out all false positives of one type, in all the lists,
# and compute AP50 again. Then we do the same with the next type.
#
# > **Predict.** By how many points does AP50 rise if all 84 detections of a wrong class are gone:
# > about 20, about 5, or less than 1?

# %%
for index, name in enumerate(TYPES[1:], start=1):
    without = []
    for d, d_types in zip(detections, types, strict=True):
        without.append(d[d_types != index])
    scores = evaluate(scenes, without, progress=False)
    gain = 100 * (scores.ap50 - mask_scores.ap50)
    print(f"without {name:11} AP50 {gain:+.1f}")

# %% [markdown]
# **What happened.** Hardly anything. Only those false positives cost something that come *before* a
# correct detection in their class's ranking, and most of ours come after nearly all of them. So
# count mistakes to understand a detector, but don't conclude from the counts which of them matter.
#
# ### Which classes are confused?
#
# A wrong class asks for the next question, which class is taken for which. The tool for it is a
# **confusion matrix**, with a row for what an object is and a column for what it was detected as.
# For a classifier it is easy to fill. For a detector we need pairs of an object and a detection
# first, and those must be formed *without* looking at the class. That requires three decisions:
#
# - only detections above some score count, here 0.5, or the second choices would flood the matrix;
# - in the order of their scores, each takes the free object that it overlaps most, if the IoU is at
#   least 0.5, whatever its class;
# - an object without a detection goes into a last column, *missed*. A detection without an object
#   goes into one of two last rows, *taken object* if it lies on one that a better detection has
#   taken, and *background* otherwise.
#
# > **Predict.** There are 215 objects. How many of them will be paired with a detection of another
# > class: about 7, about 25, or about 60? Compare with the bar for "class" in Figure 16.


# %%
def pairs_of(d, target):
    """Row and column of the confusion matrix, for all in one scene."""
    d = d[d.scores > 0.5]
    iou = overlap(d.masks, target["masks"])  # whatever the classes
    match = match_detections(iou, d.scores, torch.tensor([0.5]))[0]
    pairs = []
    for index, m in enumerate(match.tolist()):
        column = int(d.labels[index]) - 1
        if m >= 0:
            row = int(target["labels"][m]) - 1
        elif iou[index].max() >= 0.5:
            row = 6  # taken object
        else:
            row = 7  # background
        pairs.append((row, column))
    for m in set(range(len(target["labels"]))) - set(match.tolist()):
        pairs.append((int(target["labels"][m]) - 1, 6))  # missed
    return pairs


# %%
confusion = torch.zeros(8, 7, dtype=torch.int64)
for d, target in zip(detections, targets, strict=True):
    for row, column in pairs_of(d, target):
        confusion[row, column] += 1

rows = [*scenes.classes, "taken object", "background"]
columns = [*scenes.classes, "missed"]
viz.show_confusion(confusion, rows, columns).caption(
    "Figure 17. The confusion matrix of the classes. The diagonal is right, "
    "and most of what is wrong lies on objects that have been taken."
)

# %% [markdown]
# **What happened.** Only seven. For nearly every object, the *best* detection has the right class.
# Most of what Figure 16 counted as wrong classes are second choices, which lie on an object that
# its right detection has already taken. And there is a pattern in them. Look down the column of the
# squares.
#
# A matrix that had put the row of taken objects under *background*, as many do, would have told us
# that the model sees squares in empty paper. Let's look at what is really there. In the next
# figure, click on any cell, and it opens the objects that are counted in it.
#
# 1. Open *taken object* as *square*. Which shapes hide behind these squares, and what has happened
#    to them?
# 2. Find the two stars that were missed. Would you have seen them?
# 3. Is there a cell in which you would side with the model against the ground truth?

# %%
from mrcnn_edu.course.widgets import confusion_player

confusion_player(scenes, detections).caption(
    "Figure 18. The confusion matrix with an open cell, that of squares which "
    "were detected on taken objects. Green is the ground truth, crimson the "
    "detection."
)

# %% [markdown]
# In four of these eight, another object hides a part of a circle or a triangle, and cuts a straight
# edge or a corner into it that the shape itself does not have (scenes 5, 31, 50 and 54). In two,
# the mask runs over into what lies below a circle (12 and 18), and in one, a pale triangle lies on
# pale paper with print on it (25). And one is a square, seen correctly, but the best detection of
# that square was a circle (44). A matrix alone would not have told us any of that. You have to
# look.

# %% tags=["claim"]
wrong = (high + low)[1:]
assert wrong.argmax() == high[1:].argmax() == TYPES.index("class") - 1
assert high[1:].sum() < 0.25 * wrong.sum() and low[0] < 0.1 * low.sum()
assert wrong.argmax() == 1 and n_objects == 215
for index in range(1, 6):
    without = [d[kind != index] for d, kind in zip(detections, types, strict=True)]
    gain = 100 * (evaluate(scenes, without, progress=False).ap50 - mask_scores.ap50)
    assert -0.01 < gain < 1
from mrcnn_edu.course.confusion import class_pairs, confusion_matrix

assert confusion.equal(confusion_matrix(class_pairs(detections, targets, 6), 6))
off = confusion[:6, :6] - confusion[:6, :6].diagonal().diag()
assert off.sum() == 7 and confusion[6].sum() > 2 * off.sum()
assert confusion[6].argmax() == 1 and confusion[3, 6] == 2 and confusion[7].sum() == 5

# %% [markdown]
# ## Where it breaks: tidying up
#
# Most detections with a score below 0.5 are wrong, and a list of 376 detections for 215 objects
# looks untidy. So let's clean up before we report our AP.
#
# > **Predict.** We drop every detection below 0.5. Does AP rise, stay, or fall? And what if we
# > instead *halve* every score, so that the detector is never confident?

# %%
from dataclasses import replace

for least in (0.05, 0.2, 0.5, 0.9, 0.99):
    kept = [d[d.scores > least] for d in detections]
    n_wrong = 0
    for d, target in zip(kept, targets, strict=True):
        n_wrong += int((error_types(d, target) > 0).sum())
    s = evaluate(scenes, kept, progress=False)
    print(f"above {least:.2f}: {n_wrong:3} wrong, ", end="")
    print(f"AP {100 * s.ap:.1f}, AP50 {100 * s.ap50:.1f}")

halved = [replace(d, scores=d.scores / 2) for d in detections]
s = evaluate(scenes, halved, progress=False)
print(f"halved:     AP {100 * s.ap:.1f}, AP50 {100 * s.ap50:.1f}")

# %% [markdown]
# **What happened.** AP falls. Most of what you dropped were false positives, but at the bottom of
# the ranking they cost almost nothing, and the few true positives that went with them were recall.
# The stricter the cut, the more AP falls, while the list that a user sees gets cleaner and cleaner.
#
# Halving changes nothing at all, because AP depends on the order of the scores alone. That is a
# warning as well. A high AP does not mean that a score of 0.9 is right in nine cases of ten.
# Whether it is has a name of its own, *calibration*, and AP does not measure it.
#
# How would you notice? If two teams report AP for the same model and one is lower, ask for the
# score threshold. A reported AP belongs to the whole ranking, down to 0.05 or lower. A *product*
# needs a threshold, and you choose it by the precision that you need.

# %% tags=["claim"]
assert evaluate(scenes, halved, progress=False).ap == mask_scores.ap
assert sum(map(len, detections)) == 376
cut = [evaluate(scenes, [d[d.scores > t] for d in detections], progress=False).ap
       for t in (0.05, 0.2, 0.5, 0.9, 0.99)]  # fmt: skip
assert cut == sorted(cut, reverse=True) and cut[0] - cut[4] > 0.1

# %% [markdown]
# ## Play: a score for use
#
# Choose a class, an IoU and a score. The right side shows the class's curve over all 60 scenes and
# the point to which your score leads. The left side shows what a user would see in one scene.
#
# 1. Stars at an IoU of 0.5: which is the lowest score that gives a precision of at least 0.95, and
#    what recall is left?
# 2. Require an IoU of 0.9 instead. Why does raising the score hardly help any more?
# 3. Choose a score for all classes at once, so that no class has a precision below 0.9 at an IoU of
#    0.5. Which class decides?
#
# Write down both scores.

# %%
from mrcnn_edu.course.widgets import average_precision_player

average_precision_player(scenes, detections, scene=39).caption(
    "Figure 19. The detections of one class above a score in one scene, and "
    "their point on the precision-recall curve of that class."
)

# %% [markdown]
# ## Exercise 1: matching
#
# ★☆☆ · about 5 minutes
#
# Write `match(iou, threshold)`. Given the IoUs `[D, M]` of the detections and objects of one class
# in one image, best score first, return the index of the object that each detection is matched to,
# or −1, as a tensor `[D]`. M may be 0.
#
# For example, the rows `[0.6, 0.8]` and `[0.1, 0.7]` give, with a threshold of 0.5, `[1, -1]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Go through the rows. Remember which objects are taken, and look at the others only.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# If the best object is taken, another free one may still reach the threshold.
# </details>
# <details><summary><b>Hint 3</b>: a trick</summary>
# Copy the table, and set a column to −1 when its object is taken. No IoU is that small.
# </details>
# <details><summary><b>Solution</b></summary>
#
# With the trick, the best free object is `free[d].argmax()`. Without any object `argmax` raises an
# error, so ask for `(free[d] >= threshold).any()` first. Our code: `exercises.match??`.
# </details>

# %%
from mrcnn_edu.course.exercises import average_precision as exercises


def match(iou, threshold): ...


exercises.check_match(match)

# %% [markdown]
# ## Exercise 2: precision and recall
#
# ★☆☆ · about 5 minutes
#
# Write `precision_recall(correct, n_objects)`. Given which detections are correct, `[D]` of bool
# with the best score first, return precision and recall after each of them as one tensor `[2, D]`,
# without a loop.
#
# For example, correct, wrong, correct with three objects gives the precisions 1, 1/2, 2/3 and the
# recalls 1/3, 1/3, 2/3.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Both need the number of correct detections so far, at every rank. There is a function for that.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Recall is divided by the objects, and their number can't be seen in the ranking.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `correct.cumsum(dim=0)` counts the correct ones, and `torch.arange(1, D + 1)` all of them. Our
# code: `exercises.precision_recall??`.
# </details>

# %%
def precision_recall(correct, n_objects): ...


exercises.check_precision_recall(precision_recall)

# %% [markdown]
# ## Exercise 3: average precision
#
# ★★☆ · about 10 minutes
#
# Write `average_precision(correct, n_objects)`, COCO's AP of such a ranking as a number: the mean
# of the envelope at the recalls 0, 0.01, ..., 1.
#
# For example, correct, wrong, correct with three objects gives
# $(34 \cdot 1 + 33 \cdot 2/3) / 101 \approx 0.554$.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# For each of the 101 recalls, take the highest precision among the detections whose recall is at
# least that large.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Where no detection reaches a recall, there is no maximum. It counts as 0, and is part of the mean.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `precision[recall >= r].max()` for each r, or 0 if the last recall is smaller than r. Our code:
# `exercises.average_precision??`.
# </details>

# %%
def average_precision(correct, n_objects): ...


exercises.check_average_precision(average_precision)

# %% [markdown]
# ## Exercise 4: a score for a wanted precision
#
# ★★☆ · about 10 minutes
#
# Your detector is to warn a driver, and at least 95 % of its warnings must be right. Write
# `score_for(scores, correct, wanted)`. Given the scores `[D]` of all detections, in any order, and
# which of them are correct, `[D]` of bool, return the lowest of the scores such that the detections
# with this score or a higher one have at least the wanted precision. Return infinity if no score
# does.
#
# For example, the scores 0.9, 0.8, 0.7, of which the second is wrong, give 0.7 for a wanted
# precision of 0.6, and 0.9 for a wanted precision of 0.9.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Only the scores themselves can be the answer. Try each of them.
# </details>
# <details><summary><b>Hint 2</b>: two traps</summary>
# Precision may fall below the wanted value and rise above it again. And a threshold can't separate
# two detections with equal scores.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>for score in scores.unique():</code> goes from the lowest score up, and each score comes
# once.
# </details>
# <details><summary><b>Solution</b></summary>
#
# For each score, `correct[scores >= score].double().mean()` is the precision, and the first score
# that suffices is the lowest. Our code: `exercises.score_for??`.
# </details>

# %%
def score_for(scores, correct, wanted): ...


exercises.check_score_for(score_for)

# %% [markdown]
# ## Exercise 5: COCO's evaluator
#
# ★★★ · 40 to 60 minutes
#
# You have all the pieces of COCO's metric. Put them together, for one class and one threshold, with
# boxes in place of masks:
#
# `coco_ap(images, iou_threshold, area_range, max_detections)`
#
# `images` is a list of dictionaries, each with `gt_boxes` `[M, 4]`, `crowd` `[M]` of bool, `boxes`
# `[D, 4]` and `scores` `[D]`. M and D differ from image to image, and may be 0. `area_range` is a
# pair (low, high), and an area is in the range if it is neither below low nor above high.
#
# 1. In each image, keep the `max_detections` detections with the best scores.
# 2. Compute their IoU with the objects. For a crowd, divide by the area of the detection alone.
# 3. An object is *ignored* if it is a crowd or if its area is not in the range.
# 4. Match, best score first. A detection reaches an object if their IoU is at least
#    `iou_threshold`. Of the free objects that it reaches, it takes the one with the highest IoU. It
#    takes an ignored one only if it reaches no other. A crowd remains free.
# 5. A detection whose object is ignored does not count. One without an object does not count if its
#    own area is not in the range.
# 6. Put the detections of all images that count into one ranking, and return its AP.
#
# At least one of all the objects is not ignored. You may use your own functions from above, and
# `mrcnn_edu.boxes`.
#
# For example, take one object (0, 0, 10, 10) and a crowd (0, 20, 40, 60). Three detections lie
# within the crowd and have the best scores, and one lies on the object. The AP is 1.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Write a function for one image that returns two lists, the scores of the detections that count and
# whether each is correct. Get it right for plain objects first, and then add ignored ones.
# </details>
# <details><summary><b>Hint 2</b>: the IoU</summary>
# <code>box_intersection(boxes, gt_boxes)</code> and <code>box_area</code> give all you need.
# <code>torch.where(crowd, area[:, None], union)</code> chooses the denominator.
# </details>
# <details><summary><b>Hint 3</b>: who may be taken</summary>
# Collect the free objects that the detection reaches. If some of them are not ignored, forget the
# others. Then take the best of what is left.
# </details>
# <details><summary><b>Hint 4</b>: two traps</summary>
# The limit holds for each image, and the ranking is one for all images. A mean of the images' APs
# is something else.
# </details>
# <details><summary><b>Hint 5</b>: what ignoring means</summary>
# An ignored object is not dropped beforehand. Its detection would then be wrong, and should be
# neither.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Two lines carry the rules: `candidates = [m for m in reached if not ignored[m]] or reached` for
# the match, and `free -= set() if crowd[match] else {match}` after it. Our code:
# `larger_task.coco_ap??`.
# </details>

# %%
from mrcnn_edu.course.exercises import coco_ap as larger_task


def coco_ap(images, iou_threshold, area_range, max_detections): ...


larger_task.check_coco_ap(coco_ap)

# %% [markdown]
# When the check says "ok", run your evaluator on the model's squares, in a new cell. With the mean
# over `IOU_THRESHOLDS`, compare it with the line of the squares in the table of sizes.
#
# ```python
# images = []
# for d, target in zip(detections, targets, strict=True):
#     is_square = target["labels"] == 2
#     images.append({
#         "gt_boxes": target["boxes"][is_square],
#         "crowd": torch.zeros(int(is_square.sum()), dtype=torch.bool),
#         "boxes": d.boxes[d.labels == 2],
#         "scores": d.scores[d.labels == 2],
#     })
# coco_ap(images, 0.5, (0, 1e10), 100)
# ```
#
# For all sizes you'll get the table's number. For small ones you won't quite, because COCO takes
# the area of an object's *mask* even where boxes are compared, and yours takes that of the box.
#
# **To discuss.** Two detectors have the same AP. One is to count apples on a tree, the other to
# warn a driver. Which numbers of this lesson do you need in each case, and which would you not even
# look at?

# %% tags=["claim"]
squares = []
for d, target in zip(detections, targets, strict=True):
    chosen, is_square = d[d.labels == 2], target["labels"] == 2
    crowd = torch.zeros(int(is_square.sum()), dtype=torch.bool)
    squares.append({"gt_boxes": target["boxes"][is_square], "crowd": crowd,
                    "boxes": chosen.boxes, "scores": chosen.scores})  # fmt: skip
values = [larger_task.coco_ap(squares, tau, (0, 1e10), 100) for tau in taus]
assert abs(sum(values) / 10 - by_class["square"][2]) < 1e-3
small = [larger_task.coco_ap(squares, tau, (0, 1024), 100) for tau in taus]
assert abs(sum(small) / 10 - by_class["square"][3]) > 1e-4

# %% [markdown]
# ## Remember
#
# - Every class of every RoI is a candidate. A low score threshold, NMS within each class and a
#   limit make a ranked list of them.
# - Best score first, each detection is matched to the free object that it overlaps most. All others
#   are false positives, duplicates included.
# - Precision is a fraction of the detections, recall a fraction of the objects. AP is the area
#   below the envelope of their curve, read at 101 recalls, and COCO's AP is its mean over classes
#   and ten IoU thresholds.
# - AP depends only on the order of the scores, and not on what comes after the last correct
#   detection. AP small and AP medium come from other rankings and other classes, so both can be
#   above AP.
# - A crowd counts neither way. A confusion matrix needs decisions of its own, and the objects in
#   its cells say more than their numbers.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `select_detections` | `RoIHeads.postprocess_detections` | `fast_rcnn_inference` |
# | `score_threshold` | `box_score_thresh` | `MODEL.ROI_HEADS.SCORE_THRESH_TEST` |
# | `max_detections` | `box_detections_per_img` | `TEST.DETECTIONS_PER_IMAGE` |
# | `paste_masks` | `paste_masks_in_image` | `paste_masks_in_image` |
# | `evaluate` | none; its scripts use pycocotools | `COCOEvaluator` |
#
# What came after? [LVIS](https://arxiv.org/abs/1908.03195) has more than a thousand classes, most
# of them rare, and evaluates each image only for the classes that somebody has checked there.
# [Boundary IoU](https://arxiv.org/abs/2103.16562) compares only what lies near the outlines, since
# the IoU of large masks hardly notices a ragged edge. [Mask Scoring
# R-CNN](https://arxiv.org/abs/1903.00241) lets the network predict how exact its own mask is, so
# that exact masks move up in the ranking. [Panoptic
# segmentation](https://arxiv.org/abs/1801.00868) gives up the ranking altogether, and measures one
# final answer for each pixel.
#
# **Next:** we have a number, and it moves by two points when we choose other scenes. Lesson 12,
# [ablations](12_ablations.ipynb), asks what it takes to say that one model is better than another.
