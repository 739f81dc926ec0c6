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
# A detector returns a *ranked* list of detections. How good is it?
# After this lesson (75 minutes) you can
#
# - follow class scores to detections, and an m x m mask to the pixels of the image;
# - match detections to objects, and build precision and recall up, one detection at a time;
# - compute AP as COCO does, by hand, and get pycocotools' numbers;
# - sort the errors into kinds, and say which of them lower AP.

# %%
from inspect import getsource

import torch

from mrcnn_edu import load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.evaluate import average_precision, detect_all, evaluate, match_detections, overlap

viz.show_flow("detections")

# %% [markdown]
# ## The problem
#
# We run `shapes-tiny` on 60 scenes that it has never seen. One of them has five objects (below),
# and the model returns more detections than that. Is that bad? It depends on the **scores**, the
# model's confidence: the first five detections are the five objects, and the wrong ones come last.

# %%
scenes, model = Shapes(60, seed=1), load("shapes-tiny")
detection_list = detect_all(model, scenes)
detections, targets = [detection_list[i] for i in range(60)], [scenes[i][1] for i in range(60)]
n_objects = sum(len(target["labels"]) for target in targets)
assert len(detections[7]) > len(targets[7]["labels"]) == 5
ranked = zip(detections[7].labels.tolist(), detections[7].scores.tolist(), strict=True)
print("best first:", *(f"{scenes.classes[k - 1]} {score:.2f}" for k, score in ranked))
viz.show_detections(scenes[7][0], detections[7], scenes.classes, targets[7])

# %% [markdown]
# ## 1. From class scores to detections
#
# The box head predicts a score for each class, and a box for each class, for every RoI (lesson 08).
# **Every class of every RoI** is a candidate. Three rules reduce them (the last two are in section
# 3.1, inference; 0.05 and 0.5 are torchvision's): the score must be over 0.05; NMS (lesson 02)
# drops a box that overlaps a better one *of its class* by more than 0.5; the best 100 remain.
#
# **Predict:** can one RoI become two detections?

# %%
from mrcnn_edu.boxes import clip_boxes, decode_boxes
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.nms import batched_nms

trace = model.trace([scenes[39][0]])
scores = trace.class_logits.softmax(dim=1)  # [R, K + 1]
roi, k = torch.where(scores[:, 1:] > 0.05)
deltas, proposals = trace.box_deltas[roi, k + 1], trace.proposals[0].boxes[roi]
boxes = clip_boxes(decode_boxes(deltas, proposals, BOX_SCALE), (96, 96))
keep = batched_nms(boxes, scores[roi, k + 1], k, iou_threshold=0.5)[:100]

# %%
torch.testing.assert_close(boxes[keep], trace.selected[0].boxes)
n = len(keep), len(roi[keep].unique())
print(f"{scores[:, 1:].numel()} candidates, {len(roi)} over 0.05, {n[0]} left, of {n[1]} RoIs")
assert n[1] < n[0] == len(detections[39])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Yes, and here some do: fewer RoIs than detections are left. A RoI that may be a star or a cross is
# listed as both, and classes never compete in the suppression: a RoI does not just take its best
# class. The package's version is `detections.select_detections`.
# </details>
#
# ## 2. From an m x m mask to the image
#
# The mask head's output is stretched over the box. For the center of each image pixel we compute
# where in the mask it lies, and interpolate bilinearly between the four nearest mask pixels (lesson
# 07); the pixel belongs to the mask if that gives 0.5 or more.
#
# **Predict:** in the toy mask below the middle pixel has the probability 0.4. Is every image pixel
# over it off?


# %%
def paste_by_hand(mask, box, size):
    (x1, y1, x2, y2), m = box.tolist(), len(mask)
    padded = torch.nn.functional.pad(mask, (1, 1, 1, 1))  # zeros around it
    pasted = torch.zeros(size, dtype=torch.bool)
    for row in range(size[0]):
        for column in range(size[1]):
            u, v = (column + 0.5 - x1) / (x2 - x1), (row + 0.5 - y1) / (y2 - y1)  # 0..1 in the box
            if 0 <= u <= 1 and 0 <= v <= 1:
                x, y = u * m + 0.5, v * m + 0.5  # mask pixels have their centers at 1, 2, ..., m
                left, top = int(x), int(y)
                weights = torch.outer(*(torch.tensor([1 - s, s]) for s in (y - top, x - left)))
                four = padded[top : top + 2, left : left + 2]
                pasted[row, column] = (four * weights).sum() >= 0.5
    return pasted


# %%
from mrcnn_edu.detections import paste_masks

toy = torch.tensor([[0.95, 0.9, 0.85], [0.9, 0.4, 0.15], [0.8, 0.1, 0.0]])
box = torch.tensor([1.5, 1, 10.3, 9.8])
pasted = paste_by_hand(toy, box, (12, 12))
assert (pasted == paste_masks(toy[None], box[None], (12, 12))[0]).all()
picture = viz.show_maps([toy, pasted.float()], ["3 x 3", "in the image"], high=1)
viz.draw_boxes(picture.axes[1], box[None] - 0.5, "detection")  # pixel centers are whole here
picture.caption("Crimson: the box. It need not lie on whole pixels.")

# %%
over_middle = pasted[4:7, 4:7]  # their centers, 4.5 to 6.5, lie in the middle mask pixel
assert 0 < over_middle.sum() < over_middle.numel()
print(f"{over_middle.sum()} of {over_middle.numel()} pixels over the middle of the mask are on")
print(getsource(paste_masks).split('"""')[2])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No: those nearer to the mask pixels of 0.9 are on. So an outline is finer than the m x m mask, if
# the probabilities are. (torchvision rounds the box to whole pixels first.)
# </details>
#
# ## 3. Which detection is correct?
#
# One image, one class. Overlap is measured by IoU, here of masks. **Best score first**, each
# detection is matched to the *unmatched* object that it overlaps most, if the IoU reaches a
# threshold. A detection that is matched is correct; each object can be matched once. (Do not mix
# this up with the thresholds inside the model: 0.7 and 0.3 decide what an anchor learns, 0.5 what a
# RoI learns, and 0.7 and 0.5 what NMS drops, in the RPN and at the end. This one belongs to the
# evaluator.)
#
# To see every case at once we make four detections up, from the ground truth of a scene with two
# stars: each is one of the two, moved by some pixels.
#
# **Predict:** four stars detected, two in the ground truth (below). How many are correct at a
# threshold of 0.5?

# %%
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.detections import Detections

rows = targets[25]["labels"] == 4
gt = {name: targets[25][name][rows] for name in ("boxes", "labels", "masks")}
moves = [(1, 1, 0), (0, 0, 1), (0, 3, 3), (1, -2, 2)]  # which star, pixels right, pixels down
masks = [gt["masks"][m].roll((down, right), dims=(0, 1)) for m, right, down in moves]
masks, scores = torch.stack(masks), torch.tensor([0.98, 0.95, 0.6, 0.3])
stars = Detections(masks_to_boxes(masks), torch.full((4,), 4), scores, masks, None)
viz.show_detections(scenes[25][0], stars, scenes.classes, gt)

# %%
iou = overlap(stars.masks, gt["masks"])  # [D, M]
rows = [f"score {score:.2f}" for score in stars.scores]
viz.show_table(iou, rows, ["object 0", "object 1"]).caption("IoU. Best score first.")

# %%
assert iou[3].max() >= 0.5 > iou[2].max()  # the last one would be good enough
unmatched, matched = {0, 1}, []
for row in iou.tolist():  # best score first
    candidates = [m for m in unmatched if row[m] >= 0.5]
    matched.append(max(candidates, key=lambda m, row=row: row[m]) if candidates else -1)
    unmatched -= {matched[-1]}
assert matched == [1, 0, -1, -1]
assert matched == match_detections(iou, stars.scores, torch.tensor([0.5]))[0].tolist()

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Two. The last one would be good enough, but its object is matched already: a **duplicate**, and as
# wrong as one that lies on nothing. If duplicates cost nothing, a detector could list every object
# a hundred times.
# </details>
#
# ## 4. Precision and recall, one detection at a time
#
# Now all scenes, still one class: rank its detections by score. After each, **precision** is the
# fraction of correct ones *among the detections so far*, **recall** the fraction of the *objects*
# that are found so far. (Lesson 06's recall was less strict: no class, no order, and one proposal
# could cover two objects.) We take the stars, and require an IoU of 0.85.
#
# **Predict:** there are 37 stars. Suppose a ranking starts correct, wrong, correct. What are
# precision and recall after three? Which of the two can go down?


# %%
def ranking(label, threshold):
    """Which detections of a class are correct [D], best score first, and its number of objects."""
    scores, correct, n, thresholds = [], [], 0, torch.tensor([threshold], dtype=torch.float64)
    for image_detections, target in zip(detections, targets, strict=True):
        predicted = image_detections[image_detections.labels == label]
        gt_masks = target["masks"][target["labels"] == label]
        iou = overlap(predicted.masks, gt_masks)
        correct.append(match_detections(iou, predicted.scores, thresholds)[0] >= 0)
        scores.append(predicted.scores)
        n += len(gt_masks)
    order = torch.cat(scores).argsort(descending=True, stable=True)
    return torch.cat(correct)[order], n


# %%
correct, n = ranking(label=4, threshold=0.85)
precision, recall, n_correct = [], [], 0
for i, is_correct in enumerate(correct.tolist(), start=1):
    n_correct += is_correct
    precision, recall = [*precision, n_correct / i], [*recall, n_correct / n]
    if i <= 8 or i > len(correct) - 2:
        verdict = "correct" if is_correct else "wrong"
        print(f"{i:2} {verdict:7}  {precision[-1]:.3f}  {recall[-1]:.3f}")
assert n == 37

# %%
precision, recall = torch.tensor([precision, recall], dtype=torch.float64)


def draw_curve():
    curve = viz.show_lines(recall, {"precision": precision}, "recall", "precision")
    curve.axes[0].plot(recall, precision, "k.")
    curve.axes[0].set(xlim=(0, 1), ylim=(0, 1.05))
    return curve


dots = "A dot for each detection. Correct: one step right. Wrong: one step straight down."
draw_curve().caption(dots)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Precision 2/3, recall 2/37 (divided by the objects, not by the detections). Recall never goes
# down; precision does with every wrong detection, and rises again.
# </details>
#
# ## 5. Average precision
#
# **AP** summarizes the curve. A dip that is made up for later should not count, so COCO takes, at
# each recall, the best precision *there or further right*: the **envelope**. It reads that at 101
# recalls, 0, 0.01, ..., 1, and averages. A recall that is never reached gives 0.
#
# **Predict:** the table above ends with the recall that our ranking reaches: many of the 37 stars
# are not outlined so exactly. How large could AP be, at the very best?

# %%
recalls = [i / 100 for i in range(101)]
best = [max(precision[recall >= r].tolist(), default=0) for r in recalls]
assert abs(sum(best) / 101 - average_precision(correct, n)) < 1e-9
n_reached = sum(b > 0 for b in best)
assert n_reached == int(100 * n_correct / n) + 1 and n_correct < 0.75 * n
print(f"{n_correct} of {len(correct)} detections are correct, {n_correct} of {n} stars are found")
print(f"{n_reached} of 101 recalls are reached: AP is {n_reached / 101:.3f} at best")
print(f"AP {sum(best) / 101:.3f}, mean precision {precision.mean():.3f}")

# %% tags=["cover"]
curve = draw_curve()
curve.axes[0].plot(recalls, best, ".", color=viz.ROLES["detection"], markersize=4)
curve.axes[0].fill_between(recalls, best, color=viz.ROLES["detection"], alpha=0.15)
print(getsource(average_precision).split('"""')[2])
curve.caption("Crimson: what COCO reads at 101 recalls. AP is their mean.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Hardly more than the last recall: only the recalls from 0 to there are reached, with a precision
# of 1 at best. (The mean of the precisions would ignore the stars that were missed. Here it is too
# high.) The false positives after the last correct detection cost nothing at all.
#
# AP is not an accuracy, and not a fraction of anything, neither of the detections nor of the stars
# (the lines above show all three). An accuracy would also have to count what was correctly *not*
# detected, and the boxes for which that is true cannot be counted.
# </details>
#
# ## 6. COCO's numbers, for masks and boxes
#
# So far AP was that of one class, at one IoU. **AP50** and **AP75** are its mean over the classes,
# at IoU 0.5 and 0.75. Plain **AP** is the mean over the classes and over ten thresholds, 0.5, 0.55,
# ..., 0.95. By size: small objects have up to 32² pixels, medium ones up to 96².
#
# **Predict:** which falls faster as we require more IoU: the stars or the squares?

# %%
from mrcnn_edu.evaluate import IOU_THRESHOLDS as thresholds

names = {name: scenes.classes.index(name) + 1 for name in ("square", "star")}
by_iou = {
    name: torch.tensor([average_precision(*ranking(label, t)) for t in thresholds.tolist()])
    for name, label in names.items()
}
fall = {name: (values[0] - values[7]).item() for name, values in by_iou.items()}  # up to 0.85
assert fall["star"] > 2 * fall["square"]
viz.show_lines(thresholds, by_iou, "IoU that is required", "AP at that IoU")

# %%
scores = {iou_type: evaluate(scenes, detections, iou_type) for iou_type in ("segm", "bbox")}
print(f"masks\n{scores['segm']}")
for name, values in by_iou.items():
    assert abs(values.mean() - scores["segm"].per_class[name]) < 1e-5
print(f"boxes\nAP         {scores['bbox'].ap:.3f}")

# %% [markdown]
# COCO's evaluator, pycocotools, reads files. We write the ground truth as one, and give it the same
# detections.

# %%
from contextlib import redirect_stdout
from io import StringIO
from tempfile import TemporaryDirectory

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.data import write_coco
from mrcnn_edu.evaluate import coco_results

compared = ("ap", "ap50", "ap75", "ap_small", "ap_medium")
for iou_type in ("segm", "bbox"):
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        write_coco(scenes, folder)
        gt = COCO(f"{folder}/annotations.json")
        evaluator = COCOeval(gt, gt.loadRes(coco_results(scenes, detections, iou_type)), iou_type)
        evaluator.evaluate(), evaluator.accumulate(), evaluator.summarize()
    ours = [getattr(scores[iou_type], name) for name in compared]
    assert max(abs(a - b) for a, b in zip(ours, evaluator.stats[:5], strict=True)) < 1e-9
    print(f"{iou_type}: the same")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The stars. A pixel more or less along an outline costs IoU, and a star has a long outline for
# its area. That is why AP50 is nearly perfect here, and AP is not: what is left to gain is
# exactness. (There is no large object in scenes of 96 x 96 pixels: `nan`.)
# </details>
#
# ## 7. What went wrong?
#
# AP does not tell. Each **false positive**, a detection that is matched to no object at IoU 0.5,
# has one type of error, the first in this list that fits:
#
# - **duplicate**: correct class, IoU 0.5 or more with an object that a better detection matched;
# - **class** wrong, location correct: IoU 0.5 or more with an object of another class;
# - **location** wrong, class correct: IoU 0.1 to 0.5 with an object of its class;
# - **both** wrong: IoU 0.1 to 0.5 with an object of another class;
# - **background**: IoU below 0.1 with every object.
#
# And an object that no detection is matched to is a **false negative**, or missed.
#
# **Predict:** which type is the most frequent? And which among the detections that score over 0.5?

# %%
TYPES = ["correct", "duplicate", "class", "location", "both", "background"]


def error_types(d, target):
    """For each detection [D], the index of its type in TYPES."""
    iou, same = overlap(d.masks, target["masks"]), d.labels[:, None] == target["labels"]
    same_class, other = (iou * same).amax(dim=1), (iou * ~same).amax(dim=1)
    correct = match_detections(iou * same, d.scores, torch.tensor([0.5]))[0] >= 0
    tests = correct, same_class >= 0.5, other >= 0.5, same_class >= 0.1, other >= 0.1
    tests = torch.stack((*tests, torch.ones_like(correct)))
    return tests.int().argmax(dim=0)  # the first that is true


types = [error_types(*pair) for pair in zip(detections, targets, strict=True)]
assert (types[7][:5] == 0).all() and (types[7][5:] > 0).all()  # the wrong ones come last


# %%
confident = torch.cat([d.scores > 0.5 for d in detections])
high, low = (torch.cat(types)[rows].bincount(minlength=6) for rows in (confident, ~confident))
missed, wrong = n_objects - int(high[0] + low[0]), (high + low)[1:]
assert wrong.argmax() == high[1:].argmax() == TYPES.index("class") - 1
assert high[1:].sum() < 0.25 * wrong.sum() and low[0] < 0.1 * low.sum()

# %%
names = ("score over 0.5", "score up to 0.5", "no score")
counts = torch.tensor([[*high[1:], 0], [*low[1:], 0], [0, 0, 0, 0, 0, missed]])
parts = dict(zip(names, counts, strict=True))
picture = viz.show_counts(parts, [*TYPES[1:], "missed"], "how many")
picture.caption(f"Besides {high[0] + low[0]} correct ones. A missed object has no score.")

# %%
for i, name in enumerate(TYPES[1:], start=1):
    without = [d[d_types != i] for d, d_types in zip(detections, types, strict=True)]
    gain = 100 * (evaluate(scenes, without).ap50 - scores["segm"].ap50)
    print(f"without {name:10} AP50 {gain:+.1f}")
    assert gain < 2

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Wrong classes, in both: every class of every RoI is a candidate. But few of the false positives
# score high, and only those that come *before* a correct detection cost anything: without a whole
# type of them AP50 would hardly be higher. So count types to understand a detector, not to rank it.
# </details>
#
# ## Where it breaks: tidying up
#
# Most detections that score below 0.5 are wrong. **Predict:** drop them all. Does AP rise, stay, or
# fall? And if we halve every score, so that the detector is never confident?

# %%
for score in (0.05, 0.2, 0.5, 0.9, 0.99):
    kept = [d[d.scores > score] for d in detections]
    n_wrong = sum(int((error_types(*pair) > 0).sum()) for pair in zip(kept, targets, strict=True))
    s = evaluate(scenes, kept)
    print(f"over {score:.2f}: {n_wrong:3} wrong  AP {100 * s.ap:.1f}  AP50 {100 * s.ap50:.1f}")

# %%
from dataclasses import replace

halved = [replace(d, scores=d.scores / 2) for d in detections]
assert evaluate(scenes, halved).ap == scores["segm"].ap

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It falls, though most of what is dropped is wrong: the few correct ones among them were recall,
# and the wrong ones came last, where they cost little. Halving changes nothing: AP depends only on
# the order. So report AP with the whole ranking, and choose a threshold for *use* by the precision
# you need. And a high AP does not imply that a score of 0.9 means "correct nine times in ten".
# </details>
#
# ## Play
#
# At an IoU of 0.5, which is the lowest score that gives a precision of 0.95, and what recall is
# left? Then require an IoU of 0.9. Why does raising the score hardly help any more?

# %%
from mrcnn_edu.course.widgets import average_precision_player

average_precision_player(scenes, detections, scene=7)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.match))`.
#
# **1.** `match(iou, threshold)`: the object `[D]` that each detection is matched to, -1 for none;
# `iou [D, M]` of one image and class, best score first; M may be 0. About 6 lines.
#
# **2.** `precision_recall(correct, n_objects)`: both after each detection, as `[2, D]`, without a
# loop; `correct [D]` of bool, best score first. 3 lines.
#
# **3.** `average_precision(correct, n_objects)`: COCO's AP of such a ranking. About 3 lines.
#
# **To discuss.** Two detectors have the same AP. One is to count apples, the other to warn a
# driver. Which numbers of this lesson do you need in each case?

# %%
from mrcnn_edu.course.exercises import average_precision as exercises


def match(iou, threshold): ...


def precision_recall(correct, n_objects): ...


def average_precision(correct, n_objects): ...


exercises.check_match(match)
exercises.check_precision_recall(precision_recall)
exercises.check_average_precision(average_precision)

# %% [markdown]
# ## Remember
#
# - Best score first, each detection is matched to an unmatched object that it overlaps enough; all
#   others are false positives.
# - Precision is a fraction of the detections, recall of the objects; AP is the mean of the
#   envelope.
# - AP depends only on the ranking: not on the scores' values, and not on what comes after the last
#   correct detection.
#
# torchvision's detection models select in `postprocess_detections` and leave AP to pycocotools;
# detectron2 calls it `COCOEvaluator`. Next: **12, ablations**.
