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
# **The question.** A detector proposes many boxes for every object. When do two boxes show the same
# object, how does a network correct a box that is almost right, and which boxes should stay?
#
# **You will be able to**
#
# - compute the overlap of two boxes, IoU, and say what a value such as 0.5 looks like;
# - encode a box relative to another one, as the network predicts it, and explain the logarithm and
#   the scale in that encoding;
# - write non-maximum suppression in six lines, and describe its result in a single sentence;
# - choose its threshold, and recognize when it has deleted an object.
#
# *Time: 170 minutes, 80 of them for the exercises. If you take two sittings, stop before NMS.
# You need lessons 00 and 01. Reading: [R-CNN](https://arxiv.org/abs/1311.2524), appendix C, and
# [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.1.2.*

# %%
import math
from inspect import getsource

import torch

from mrcnn_edu import boxes, load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.detections import select_detections
from mrcnn_edu.heads import BOX_SCALE
from mrcnn_edu.losses import smooth_l1
from mrcnn_edu.nms import batched_nms

viz.show_architecture("proposals").caption(
    "Figure 1. Boxes run through all of Mask R-CNN. The highlighted stage "
    "turns fixed anchors into proposals, and the box head turns proposals "
    "into detections. Both correct boxes with deltas, and both end with NMS."
)

# %% [markdown]
# ## Three objects, nine boxes
#
# Let's look at the detector just before it gives its final answer. The scene below shows three
# crosses that hide parts of each other. We ask the model for every box whose score, its confidence
# in that box, is above 0.5, and we leave out the last step, the one that would remove the
# superfluous boxes. The function that does so uses parts you will meet in later lessons, so take it
# as given for now.

# %%
model = load("shapes-tiny")


def before_nms(image):
    """The boxes, labels and scores above 0.5 that the model predicts."""
    trace = model.trace([image])
    (predicted,) = select_detections(
        [trace.class_logits],
        [trace.box_deltas],
        [trace.proposals[0].boxes],
        trace.batch.sizes,
        score_threshold=0.5,
        nms_iou=1.0,  # no IoU is above 1, so nothing is removed
        max_detections=1000,
    )
    return predicted


# %% [markdown]
# The model sees the scene with 96 × 96 pixels. For our eyes we render the same scene with 384 ×
# 384, and multiply the boxes by 4 to draw them there.

# %% tags=["cover"]
cross_args = {"n_objects": (3, 3), "object_size": (0.25, 0.5), "overlap": 0.6}
crosses, objects = Shapes(1000, seed=8, **cross_args)[14]
large_crosses, _ = Shapes(1000, seed=8, render_size=384, **cross_args)[14]
predicted = before_nms(crosses)

n_objects, n_boxes = len(objects["boxes"]), len(predicted.boxes)
panels = {
    f"ground truth: {n_objects} objects": (4 * objects["boxes"], "gt"),
    f"predicted: {n_boxes} boxes": (4 * predicted.boxes, "detection"),
}
viz.show_panels(large_crosses, panels).caption(
    "Figure 2. Three crosses, and the nine boxes that the model predicts for "
    "them. Every object is found, but none of them only once."
)

# %% [markdown]
# Nothing has gone wrong here. The model examines many regions, and every region that lies near a
# cross returns a box for that cross. What is missing is a way to tidy up, and for that we must
# answer three questions. Which of these boxes belong to the same object? How did the model arrive
# at boxes that fit so well? And which of them should we keep?
#
# ## 1. IoU: how much do two boxes overlap?
#
# A **bounding box** is an upright rectangle around an object. We write it as
# $(x_1, y_1, x_2, y_2)$, its left, top, right and bottom edge in pixels, where $y$ grows downward.
# The right and bottom edges are **exclusive**, which means that they lie just behind the last
# pixel: the box of the single pixel in column 3 and row 5 is $(3, 5, 4, 6)$. A width is then simply
# $x_2 - x_1$. Coordinates need not be integers.
#
# To decide whether two boxes belong to the same object, we need one number for how well they agree.
# The distance between their edges won't do, because 5 pixels are a lot for a small box and next to
# nothing for a large one. The area that they share won't do either, because a box around the whole
# image shares all of every object. **Intersection over union**, or **IoU**, avoids both problems.
# It divides the area that the two boxes $A$ and $B$ share by the area that at least one of them
# covers:
#
# $$\mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|}
# = \frac{|A \cap B|}{|A| + |B| - |A \cap B|},$$
#
# where $|\cdot|$ is an area in square pixels. IoU is 1 for equal boxes and 0 for boxes that don't
# touch, and it doesn't change if we enlarge the whole image. The benchmark
# [Pascal VOC](https://doi.org/10.1007/s11263-009-0275-4) made it the standard measure, with the
# rule that a detection counts if its IoU with the object is above 0.5.
#
# > **Predict.** Take a square of 4 × 4 pixels and move a copy of it to the right by half its width.
# > What is the IoU of the two: 1/2, 1/3 or 1/4? And if the copy also moves down by half? A sketch
# > on squared paper is enough.


# %%
def pixels_of(box, size=8):
    """The pixels [size, size] that a box covers, as True and False."""
    x1, y1, x2, y2 = box
    covered = torch.zeros(size, size, dtype=torch.bool)
    covered[y1:y2, x1:x2] = True  # the ends of slices are exclusive, too
    return covered


def iou_by_counting(a, b):
    """The IoU of two boxes with whole coordinates."""
    A, B = pixels_of(a), pixels_of(b)
    return ((A & B).sum() / (A | B).sum()).item()


square = (1, 1, 5, 5)
print(f"moved right:          {iou_by_counting(square, (3, 1, 7, 5)):.3f}")
print(f"moved right and down: {iou_by_counting(square, (3, 3, 7, 7)):.3f}")

# %%
moved_right = torch.tensor([3.0, 1, 7, 5])
viz.show_iou(torch.tensor([1.0, 1, 5, 5]), moved_right).caption(
    "Figure 3. IoU as a fraction of two drawings: the intersection above the "
    "bar, and below it the union, in which the shared area counts only once."
)

# %% [markdown]
# **What happened.** The squares share 8 of 24 pixels, which is 1/3, and after the second move 4 of
# 28, which is 1/7. If you said 1/2, you divided by the area of one square. But as the squares move
# apart the union grows while the intersection shrinks, so IoU falls faster than one expects.
#
# A number like this means more once you have seen a few examples.

# %%
viz.show_iou_ladder().caption(
    "Figure 4. What an IoU looks like. At 0.5 two boxes are roughly in the "
    "same position. At 0.9 you have to look twice to see a difference."
)

# %% [markdown]
# One value is worth remembering: if a box only moves sideways, its IoU with its old self falls to
# 0.5 once it has moved by a third of its width.
#
# Counting pixels works for whole coordinates only, but there is a better way. The intersection of
# two boxes is itself a box. It begins at the later of the two left edges and ends at the earlier of
# the two right edges, and the same holds from top to bottom. In Exercise 1 you turn this sentence
# into code. The package's `box_iou` does it for every box of one list with every box of another,
# and returns a table. Here it is for our three crosses and the nine predictions, highest score
# first. The blue cross is the upper one in Figure 2. Of the two below it, the orange one is on the
# left, and the red one, with a checked pattern, lies on the right.

# %%
table = boxes.box_iou(objects["boxes"], predicted.boxes)  # [3, 9]
for name, row in zip(("orange", "blue", "red"), table.tolist(), strict=True):
    print(f"{name:8}", *(f"{value:.2f}" for value in row))

# %% [markdown]
# We give each prediction to the cross with which it has the highest IoU, and the first question is
# answered. For seven of the nine that is an easy decision. The fourth and the last overlap both of
# the lower crosses by more than 0.5, because they enclose the two. And even among the clear ones
# some fit far better than others, which brings us to the second question.

# %% tags=["claim"]
assert predicted.labels.tolist() == [6] * 9 and len(objects["boxes"]) == 3
assert (table > 0.5).sum(dim=0).tolist() == [1, 1, 1, 2, 1, 1, 1, 1, 2]
assert predicted.scores.diff().max() <= 0 and (table[1, [3, 8]] < 0.5).all()
assert round(iou_by_counting(square, (3, 1, 7, 5)), 3) == 0.333
assert round(iou_by_counting(square, (3, 3, 7, 7)), 3) == round(1 / 7, 3)
assert iou_by_counting((0, 0, 6, 4), (2, 0, 8, 4)) == 0.5  # moved by a third

# %% [markdown]
# ## 2. Box deltas: how is a box corrected?
#
# A network like ours never predicts the four coordinates of a box directly, and it couldn't. It
# applies the same weights at every position of the image, and it reads every region through a grid
# of 7 × 7 values, however large the region is. So it knows neither where a region lies nor how many
# pixels wide it is. What it can see is that the object sticks out on the right by a fifth of the
# region, or that the region is twice as tall as the object.
#
# Therefore the network predicts how to *change* the box that it was given, and it measures the
# change in units of that box. Predicting continuous values is called **regression**, in contrast to
# the classification into a few labels, and this kind is **bounding-box regression**. The encoding
# comes from [R-CNN](https://arxiv.org/abs/1311.2524), appendix C, and every detector in this course
# uses it.
#
# Suppose we are given a box with center $(x_a, y_a)$, width $w_a$ and height $h_a$. The letter $a$
# stands for **anchor**, a box that is fixed in advance as a starting point and the subject of
# lesson 05. In the box head, a proposal takes its place. We want the box with center $(x, y)$,
# width $w$ and height $h$. The four **box deltas** say how to get there:
#
# $$d_x = \frac{x - x_a}{w_a}, \qquad d_y = \frac{y - y_a}{h_a}, \qquad
# d_w = \ln \frac{w}{w_a}, \qquad d_h = \ln \frac{h}{h_a}.$$
#
# The first two shift the center, as fractions of the anchor's size. The other two change the size
# by a factor, and store the factor's logarithm. [Faster R-CNN](https://arxiv.org/abs/1506.01497),
# equation 2, calls them $t_x$, $t_y$, $t_w$ and $t_h$.

# %%
anchor = torch.tensor([98.0, 160.0, 242.0, 256.0])
blue_cross = 4 * objects["boxes"][1]
viz.show_box_deltas(anchor, blue_cross, large_crosses).caption(
    "Figure 5. From an anchor to the box of the blue cross. The arrow shifts "
    "the center. The bars below and beside the picture show both sizes."
)

# %% [markdown]
# To compute deltas from two boxes is to **encode** a box. To apply deltas to an anchor is to
# **decode** them, and for that we solve the four equations for $x$, $y$, $w$ and $h$:
#
# $$x = x_a + d_x w_a, \qquad y = y_a + d_y h_a, \qquad
# w = w_a\, e^{d_w}, \qquad h = h_a\, e^{d_h}.$$
#
# > **Predict.** An anchor of 10 × 10 pixels and one of 40 × 40 pixels both receive the deltas
# > $(0.2,\ 0,\ \ln 2,\ 0)$. By how many pixels does the center of each one move, and how wide does
# > each one become?


# %%
def decode_by_hand(deltas, anchor):
    """The box (x1, y1, x2, y2) that four deltas make of an anchor."""
    dx, dy, dw, dh = deltas
    x1, y1, x2, y2 = anchor
    w_a, h_a = x2 - x1, y2 - y1
    x = (x1 + x2) / 2 + dx * w_a
    y = (y1 + y2) / 2 + dy * h_a
    w = w_a * math.exp(dw)
    h = h_a * math.exp(dh)
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


# %%
deltas = (0.2, 0, math.log(2), 0)
for size in (10, 40):
    x1, y1, x2, y2 = decode_by_hand(deltas, (0, 0, size, size))
    shift = (x1 + x2) / 2 - size / 2
    print(f"{size} x {size}: moves by {shift:.0f}, becomes {x2 - x1:.0f} wide")

# %% [markdown]
# **What happened.** The small anchor moves by 2 pixels and becomes 20 wide, the large one moves by
# 8 and becomes 80 wide. The same four numbers describe the same *relative* correction, and that is
# the point of dividing by $w_a$ and $h_a$. What the network learns about small objects, it can use
# for large ones.
#
# **Why the logarithm?** Compare it with the obvious alternative, a plain factor $1 + d_w$:

# %%
print("  d_w   exp(d_w)   1 + d_w")
for dw in (-2.0, -math.log(2), 0.0, math.log(2), 2.0):
    print(f"{dw:5.2f}   {math.exp(dw):8.2f}   {1 + dw:7.2f}")

# %% [markdown]
# With the logarithm, twice as wide is $+0.69$ and half as wide is $-0.69$, equally far from
# "unchanged". And whatever value the network outputs, the factor $e^{d_w}$ is positive, so that no
# box can turn inside out. The plain factor offers neither: at $d_w = -2$ it makes the width
# negative.
#
# A pair of functions that encode and decode is a **box encoding**. The package calls them
# `encode_boxes`, which you will write in Exercise 3, and `decode_boxes`. The latter is our function
# for many boxes at once:

# %%
print(getsource(boxes.decode_boxes))

# %% [markdown]
# `_center_and_size` is what our first three lines do. There are two differences. `clamp` limits
# $d_w$ and $d_h$, so that a wild prediction cannot make $e^{d_w}$ overflow. And the deltas are
# divided by a scale, which is the next thing to explain.

# %% tags=["claim"]
encoded = boxes.encode_boxes(blue_cross, anchor)
decoded = torch.tensor(decode_by_hand(encoded.tolist(), anchor.tolist()))
torch.testing.assert_close(decoded, blue_cross)
torch.testing.assert_close(decoded, boxes.decode_boxes(encoded, anchor))
assert decode_by_hand(deltas, (0, 0, 10, 10)) == [-3, 0, 17, 10]  # by 2, to 20
assert decode_by_hand(deltas, (0, 0, 40, 40)) == [-12, 0, 68, 40]  # by 8, to 80

# %% [markdown]
# ## 3. Why are the deltas multiplied by 10 and 5?
#
# In the common implementations of Mask R-CNN you will meet four odd constants, $(10, 10, 5, 5)$.
# Ours calls them `BOX_SCALE`, the **box scale**. In training, the network learns to predict the
# deltas multiplied by them, which is why `decode_boxes` divides by the scale. Where do they come
# from?
#
# Training makes one number small, the *loss*, which measures how far the predictions are from the
# ground truth. The box head is the part of the network that corrects proposals, and it learns from
# those proposals that have an IoU of at least 0.5 with an object. Let's collect the deltas that it
# has to learn, from 40 scenes.
#
# > **Predict.** What is the standard deviation of $d_x$ among these deltas: about 1, about 0.1 or
# > about 0.01? Remember how far a box can move sideways before its IoU falls below 0.5.


# %%
def deltas_to_learn(image, gt_boxes):
    """Deltas [n, 4] from each good proposal to the nearest object's box."""
    proposals = model.trace([image]).proposals[0].boxes
    best_iou, nearest = boxes.box_iou(proposals, gt_boxes).max(dim=1)
    good = best_iou >= 0.5
    return boxes.encode_boxes(gt_boxes[nearest[good]], proposals[good])


scenes = Shapes(1000, seed=1)
collected = []
for i in range(40):
    scene, target = scenes[i]
    collected.append(deltas_to_learn(scene, target["boxes"]))
unscaled = torch.cat(collected)
scaled = unscaled * torch.tensor(BOX_SCALE)

# %%
for name, values in {"unscaled": unscaled, "scaled": scaled}.items():
    deviations = [f"{value:.2f}" for value in values.std(dim=0).tolist()]
    print(f"standard deviation, {name:8}:", *deviations)

# %%
shown = {
    "$d_x$": unscaled[:, 0],
    "$d_w$": unscaled[:, 2],
    "10 $d_x$": scaled[:, 0],
    "5 $d_w$": scaled[:, 2],
}
viz.show_spread(shown, "value").caption(
    f"Figure 6. How the deltas of {len(unscaled)} proposals are distributed, "
    "before scaling (two upper rows) and after it (two lower rows)."
)

# %% [markdown]
# **What happened.** The standard deviation of $d_x$ is about 0.1, and that of $d_w$ about 0.2. They
# have to be small, because a proposal with an IoU of 0.5 or more cannot be far off. The inverses of
# 0.1 and 0.2 are 10 and 5, the constants that we were looking for. [Fast
# R-CNN](https://arxiv.org/abs/1504.08083), section 2.3, normalizes the targets to unit variance,
# and these constants do it once and for all.
#
# But why bother, if it is only a factor? Because the loss for the boxes is added to the loss for
# the class labels, and the two should have comparable sizes. Let's measure what it costs a lazy
# network never to move a box, and compare it with the cost of giving all seven labels, six classes
# and background, the same probability. The loss for the boxes is *smooth L1*, which grows like the
# absolute error except very close to zero. Lesson 06 explains both losses.

# %%
no_change = torch.zeros_like(unscaled)
for name, values in {"unscaled": unscaled, "scaled": scaled}.items():
    loss = smooth_l1(no_change, values).item() / len(values)
    print(f"never moving a box, {name:8}: {loss:.1f}")
print(f"all 7 labels equally probable: {math.log(7):.1f}")

# %% [markdown]
# Without the scale, never moving a box costs 0.3, and knowing nothing about the labels costs 1.9.
# Predicting "no change" would be almost free, and the loss for the labels would drown out the loss
# for the boxes. With the scale, "no change" costs 3.0, and learning to move boxes pays off.
#
# The RPN, the earlier stage that corrects anchors, does without a scale. Anchors fit less well than
# proposals, so their deltas are larger to begin with.

# %% tags=["claim"]
deviation = unscaled.std(dim=0)
assert deviation.round(decimals=1).allclose(torch.tensor([0.1, 0.1, 0.2, 0.2]))
assert BOX_SCALE == (10, 10, 5, 5)
cost = [smooth_l1(no_change, values).item() / len(values) for values in (unscaled, scaled)]
assert round(cost[0], 1) == 0.3 and round(cost[1], 1) == 3.0 and round(math.log(7), 1) == 1.9

# %% [markdown]
# ## 4. NMS: of many boxes for one object, keep the best
#
# Each of the nine boxes is now as good as the model can make it, and we still have nine. The last
# question is which to keep. **Non-maximum suppression**, or **NMS**, suppresses every box that has
# a better one on the same object. [R-CNN](https://arxiv.org/abs/1311.2524), section 2.2, does it
# with a greedy procedure that is still in use:
#
# 1. Of all boxes that are left, take the one with the highest score, and keep it.
# 2. Suppress every other box whose IoU with it is above a threshold.
# 3. Repeat until no box is left.

# %%
viz.show_nms_steps(
    4 * predicted.boxes,
    predicted.scores,
    iou_threshold=0.5,
    image=large_crosses,
).caption(
    "Figure 7. NMS on the nine boxes, with a threshold of 0.5. In each step "
    "the thick box is kept, and the dashed boxes are suppressed. After three "
    "steps, each cross has one box."
)

# %% [markdown]
# In code, it is easier to go through the boxes from the highest score to the lowest, and to ask of
# each one whether it overlaps a kept box by more than the threshold.
#
# > **Predict.** Six boxes form a chain, with the highest score on the left and the lowest on the
# > right. Neighbors have an IoU of 0.43, boxes two apart 0.15, and boxes farther apart less. Which
# > of the six does NMS keep, with a threshold of 0.3?


# %%
def nms_by_hand(candidates, scores, threshold):
    """The indices of the boxes [N, 4] that NMS keeps, best score first."""
    iou = boxes.box_iou(candidates, candidates)  # [N, N]
    kept = []
    for i in scores.argsort(descending=True).tolist():
        if (iou[i, kept] <= threshold).all():
            kept.append(i)
    return torch.tensor(kept)


# %%
step = torch.tensor([10.0, 3, 10, 3])
chain = torch.tensor([5.0, 25, 35, 55]) + step * torch.arange(6)[:, None]
chain_scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
print("kept:", nms_by_hand(chain, chain_scores, threshold=0.3).tolist())

# %%
viz.show_nms_steps(chain, chain_scores, 0.3).caption(
    "Figure 8. NMS on the chain. In each step the thick box is kept, and the "
    "dashed one is suppressed."
)

# %% [markdown]
# **What happened.** NMS keeps the first, third and fifth box. If you said that only the first one
# stays, because every other box has a better neighbor, you have found the subtle part: a box that
# has been suppressed no longer suppresses any other.
#
# Note also what NMS does *not* do. It moves no box and averages none. It only selects.

# %% tags=["claim"]
chain_iou = boxes.box_iou(chain, chain)
assert round(chain_iou[0, 1].item(), 2) == 0.43 and round(chain_iou[0, 2].item(), 2) == 0.15
assert nms_by_hand(chain, chain_scores, 0.3).tolist() == [0, 2, 4]
assert len(nms_by_hand(predicted.boxes, predicted.scores, 0.5)) == 3
best = table[:, nms_by_hand(predicted.boxes, predicted.scores, 0.5)]
assert (best > 0.5).sum(dim=1).eq(1).all()  # one for each cross

# %% [markdown]
# ## 5. The same result in one sentence
#
# The loop above must decide about one box before it can look at the next. On a GPU, which could
# compare all boxes at the same time, such a loop is slow. But we can describe the result without
# mentioning any order of work: **a box is kept if and only if no better kept box overlaps it by
# more than the threshold.**
#
# Number the boxes from the highest score to the lowest, and let $k_i$ be 1 if box $b_i$ is kept and
# 0 if not. With the threshold $\tau$, the sentence becomes
#
# $$k_i = 1 \quad\Longleftrightarrow\quad
# \text{there is no } j < i \text{ with } k_j = 1 \text{ and } \mathrm{IoU}(b_i, b_j) > \tau.$$
#
# This is an equation in which the unknown $k$ appears on both sides, so we can try what one often
# tries with such equations. Start with all boxes kept, or with any other choice. Compute the right
# side for all boxes at once, take the result as the new $k$, and repeat until nothing changes. What
# we end with is called a *fixed point*. In the code below, `beats[j, i]` is true if box $j$ has the
# higher score and its IoU with box $i$ is above the threshold.
#
# > **Predict.** How many rounds does the chain of six boxes take, including a last one in which
# > nothing changes? And 1,000 boxes at random positions: about 10, about 100 or about 1,000?


# %%
def rounds_of_nms(candidates, scores, threshold):
    """Which boxes are kept after each round, sorted by score."""
    order = scores.argsort(descending=True)
    iou = boxes.box_iou(candidates[order], candidates[order])
    beats = (iou > threshold).triu(diagonal=1)  # row: the better box
    rounds = [torch.ones(len(order), dtype=torch.bool)]  # keep them all
    changed = True
    while changed:
        kept = rounds[-1]
        is_beaten = beats[kept].any(dim=0)  # by a box that is kept
        rounds.append(~is_beaten)
        changed = not rounds[-1].equal(kept)
    return rounds


# %%
for number, kept in enumerate(rounds_of_nms(chain, chain_scores, 0.3)):
    marks = ["#" if is_kept else "." for is_kept in kept.tolist()]
    print("round", number, "".join(marks))


# %%
def random_boxes(n, generator):
    """Boxes [n, 4] at random positions, and random scores [n]."""
    corner = 96 * torch.rand(n, 2, generator=generator)
    size = 10 + 20 * torch.rand(n, 2, generator=generator)
    scores = torch.rand(n, generator=generator)
    return torch.cat((corner, corner + size), dim=1), scores


generator = torch.Generator().manual_seed(0)
for n in (10, 30, 100, 300, 1000):
    some, some_scores = random_boxes(n, generator)
    rounds = rounds_of_nms(some, some_scores, threshold=0.5)
    n_kept = rounds[-1].sum()
    print(f"{n:5} boxes, {n_kept:3} kept, rounds: {len(rounds) - 1}")

# %% [markdown]
# **What happened.** The chain takes six rounds, the last of which only confirms, and 1,000 random
# boxes take fewer than ten. The first round settles the best box, since nothing can suppress it.
# The second round settles at least the next one, and so on, so the iteration always converges to
# the result of the greedy loop. The number of rounds depends on the longest chain in which each box
# decides about the next, and long chains are rare.
#
# The package's `nms` works this way, and lesson 16 comes back to it.

# %% tags=["claim"]
from mrcnn_edu.nms import nms as package_nms

assert len(rounds_of_nms(chain, chain_scores, 0.3)) - 1 == 6
generator = torch.Generator().manual_seed(0)
for n in (10, 30, 100, 300, 1000):
    some, some_scores = random_boxes(n, generator)
    rounds = rounds_of_nms(some, some_scores, 0.5)
    greedy = nms_by_hand(some, some_scores, 0.5)
    assert some_scores.argsort(descending=True)[rounds[-1]].equal(greedy) and len(rounds) - 1 < 10
    assert package_nms(some, some_scores, 0.5).equal(greedy)

# %% [markdown]
# ## 6. Which threshold?
#
# One threshold has to tell "two boxes on the same object" from "two objects side by side". The
# following scene makes that hard: two rings of the same class, whose ground-truth boxes have an IoU
# of 0.45.
#
# > **Predict.** Before NMS, the model predicts ten boxes for these rings. How many are left with a
# > threshold of 0.3, of 0.5 and of 0.9: fewer than two, two, or more than two?

# %%
pair_args = {"n_objects": (2, 2), "object_size": (0.35, 0.5), "overlap": 0.6}
pairs = Shapes(3000, seed=6, **pair_args)
large_pairs = Shapes(3000, seed=6, render_size=384, **pair_args)
rings, two_rings = pairs[514]
candidates = before_nms(rings)

# %%
title = f"before NMS: {len(candidates.boxes)} boxes"
panels = {title: (4 * candidates.boxes, "detection")}
for threshold in (0.3, 0.5, 0.9):
    kept = nms_by_hand(candidates.boxes, candidates.scores, threshold)
    title = f"threshold {threshold}: {len(kept)} left"
    panels[title] = (4 * candidates.boxes[kept], "detection")
viz.show_panels(large_pairs[514][0], panels).caption(
    "Figure 9. The boxes that the model predicts for two rings, and those "
    "that NMS keeps with three thresholds."
)

# %% [markdown]
# **What happened.** At 0.3 one ring is gone, although the model had found it with near certainty.
# At 0.5 each ring has one box. At 0.9 each has several. No threshold is right for every scene: two
# objects of one class whose boxes overlap *more* than the threshold cannot both survive.
#
# Notice also that NMS trusts the scores. For the smaller ring it keeps a box with an IoU of 0.93
# and suppresses one with 0.96, because the first has the higher score. Nothing forces the score of
# a box to say how well it fits.
#
# How much does that matter on average? We count over 100 crowded scenes. An object that no kept box
# of its class matches with an IoU of at least 0.5 is missed, a *false negative*. An object that is
# found needs one box, and every other box that is kept is superfluous, a *false positive*. Lesson
# 11 makes both definitions exact.

# %%
crowd_args = {"n_objects": (2, 6), "object_size": (0.2, 0.5), "overlap": 0.6}
crowd = Shapes(100, seed=2, **crowd_args)
predictions = []
for i in range(len(crowd)):
    scene, target = crowd[i]
    predictions.append((before_nms(scene), target))


# %%
def count_errors(threshold, by_class=True):
    """The number of false negatives, and of false positives, after NMS."""
    missed = superfluous = 0
    for (found, labels, scores), target in predictions:
        groups = labels if by_class else torch.zeros_like(labels)
        kept = batched_nms(found, scores, groups, threshold)
        # [boxes, objects]: which box is right for which object?
        is_near = boxes.box_iou(found[kept], target["boxes"]) >= 0.5
        is_right = is_near & (labels[kept, None] == target["labels"])
        n_found = is_right.any(dim=0).sum().item()
        missed += len(target["boxes"]) - n_found
        superfluous += len(kept) - n_found
    return missed, superfluous


# %%
thresholds = torch.arange(1, 17) / 20
counts = torch.tensor(
    [count_errors(value) for value in thresholds.tolist()]
)
curves = {
    "false negatives": counts[:, 0],
    "false positives": counts[:, 1],
}
chart = viz.show_lines(
    thresholds,
    curves,
    xlabel="NMS threshold",
    ylabel="errors in 100 scenes",
)
chart.axes[0].set_ylim(0)
chart.caption(
    "Figure 10. Errors in 100 crowded scenes, by the threshold of NMS. "
    "Between 0.3 and 0.5 the choice hardly matters."
)

# %% [markdown]
# Between 0.3 and 0.5 both curves are nearly flat. Below, NMS deletes objects. Above, it leaves
# duplicates. No threshold brings either curve down to zero, because the model misses some objects
# altogether, and some of its boxes have a wrong class or lie in a wrong place. Published detectors
# choose from this range: [Mask R-CNN](https://arxiv.org/abs/1703.06870), appendix B, speaks of "a
# default value of 0.3" and raises it to 0.5, which is also torchvision's default. For the proposals
# of the RPN, [Faster R-CNN](https://arxiv.org/abs/1506.01497), section 3.3, takes 0.7. At that
# stage a duplicate does little harm, because the box head will look at it once more, whereas a lost
# proposal is lost for good.
#
# Could we avoid the choice? **Soft-NMS** ([Bodla et al.](https://arxiv.org/abs/1704.04503)) drops
# no box at all. It only lowers the score of each box that overlaps a kept one, and the more they
# overlap, the more it lowers the score. A duplicate sinks to the end of the list, while a second
# object that was found with high confidence keeps a respectable score. You will write it yourself
# in the larger task at the end.

# %% tags=["claim"]
pair_iou = boxes.box_iou(two_rings["boxes"], two_rings["boxes"])[0, 1].item()
assert round(pair_iou, 2) == 0.45 and len(candidates.boxes) == 10
left = [nms_by_hand(*candidates[::2], value) for value in (0.3, 0.5, 0.9)]
assert [len(kept) for kept in left[:2]] == [1, 2]
assert (boxes.box_iou(candidates.boxes[left[2]], two_rings["boxes"]) > 0.5).sum(dim=0).min() > 1
assert candidates.scores[left[1]].min() > 0.99
fit = boxes.box_iou(candidates.boxes, two_rings["boxes"][1:])[:, 0]
assert round(fit[left[1][1]].item(), 2) == 0.93 and round(fit.max().item(), 2) == 0.96
assert (counts[5] - counts[9]).abs().max() < 10  # from 0.3 to 0.5
assert counts[0, 0] > counts[5, 0] + 10 and counts[-1, 1] > 2 * counts[9, 1]

# %% [markdown]
# ## 7. Which boxes may compete?
#
# So far every box competed with every other. In Mask R-CNN they don't: `batched_nms` divides the
# boxes into groups, one for each class, and a box can only be suppressed by a box of its own class.
# Is that a good idea?
#
# Let's ask a photograph, twelve of the Greek coins in an image that comes with scikit-image. Our
# model has been trained on synthetic paper shapes alone and has no class for coins, so don't expect
# the labels to be right. It sees the photograph with 160 × 60 pixels, which is smaller by a factor
# of 2.4 than what we draw.


# %%
from skimage.data import coins

photo = torch.from_numpy(coins()[86:230] / 255).float()  # [144, 384]
photo = photo.expand(3, -1, -1)  # gray, as red, green and blue
on_coins = before_nms(photo)


def nms_both_ways(predicted):
    """What NMS keeps within each class, and across classes, at 0.5."""
    candidates, labels, scores = predicted
    within = batched_nms(candidates, scores, labels, 0.5)
    across = nms_by_hand(candidates, scores, 0.5)
    return {"within each class": within, "across classes": across}


# %%
picture = viz.Picture(5.8, 4.85)
rows = picture.subplots(2, 1)
kept_coins = nms_both_ways(on_coins)
for axes, (name, kept) in zip(rows, kept_coins.items(), strict=True):
    viz.draw_instances(
        axes,
        photo,
        boxes=2.4 * on_coins.boxes[kept],
        labels=on_coins.labels[kept],
        masks=None,
        classes=model.classes,
        scores=on_coins.scores[kept],
        title=f"NMS {name}: {len(kept)} boxes",
    )
picture.caption(
    "Figure 11. Twelve coins. Within each class, a ring and a circle on the "
    "same coin don't compete, and five coins keep both. Across classes, every "
    "coin keeps one box. The cross between the coins is the model's mistake."
)

# %% [markdown]
# The model calls most coins rings, and it finds all twelve, which is more than we could ask. Its
# confidence is not worth much here, because some of the boxes would change if we cropped the
# photograph a few rows lower. But the picture shows the point well. On five coins the model is in
# two minds, and predicts a ring *and* a circle. NMS within each class keeps both. NMS across
# classes keeps the more confident one, and for this photograph that is clearly better. So why
# doesn't Mask R-CNN do that?

# %% tags=["claim"]
assert photo.shape == (3, 144, 384) and model.trace([photo]).batch.sizes == [(60, 160)]
across = kept_coins["across classes"]
assert len(across) == 13 and len(kept_coins["within each class"]) == 18
names = [model.classes[label - 1] for label in on_coins.labels[across].tolist()]
assert names.count("cross") == 1 and names.count("ring") > 9

# %% [markdown]
# ## Where it breaks: two objects in the same place
#
# Here is a scene in which a cross lies on a circle. The model has found both with high confidence,
# and the boxes of the two have an IoU of 0.63.
#
# > **Predict.** How many boxes remain after NMS with a threshold of 0.5 within each class, and how
# > many if all boxes compete?

# %%
stack, two_objects = pairs[435]
on_stack = before_nms(stack)
panels = {"ground truth": (4 * two_objects["boxes"], "gt")}
for name, kept in nms_both_ways(on_stack).items():
    panels[f"NMS {name}"] = (4 * on_stack.boxes[kept], "detection")
viz.show_panels(large_pairs[435][0], panels).caption(
    "Figure 12. A cross on a circle, and the boxes that NMS keeps if only "
    "boxes of the same class compete, and if all boxes do."
)

# %% [markdown]
# **What happened.** Within each class both objects keep their box. Across classes only the cross is
# left, and the circle is gone. Nothing failed, no score warns you, and the detection that remains
# looks perfect. A duplicate with a wrong label still has a score, so whoever uses the detections
# can filter it out. An object that NMS has deleted cannot be recovered.
#
# How would you notice? You need scenes with ground truth, and you compare the missed objects before
# and after NMS. An object that is missing only afterwards was deleted by NMS. We do this for the
# 100 crowded scenes from above.

# %%
missed_before, _ = count_errors(1.0)  # no IoU is above 1: without NMS
print("threshold  classes   deleted  superfluous")
for threshold in (0.1, 0.3, 0.5):
    for by_class in (True, False):
        missed, superfluous = count_errors(threshold, by_class)
        scope = "within" if by_class else "across"
        deleted = missed - missed_before
        print(f"{threshold:9}  {scope:7} {deleted:9} {superfluous:12}")

# %% [markdown]
# Across classes there are fewer superfluous boxes and many more deleted objects, at every
# threshold. With 0.5, NMS within each class deletes 2 of 385 objects, and NMS across classes 12.
# That is why only boxes of the same class compete by default. If your objects never overlap, like
# coins on a table, the opposite choice may serve you better. And remember Figure 9: two objects of
# the *same* class that overlap more than the threshold are lost in any case.

# %% tags=["claim"]
within, across = nms_both_ways(on_stack).values()
assert len(within) == 2 and model.classes[on_stack.labels[across].item() - 1] == "cross"
stack_iou = boxes.box_iou(two_objects["boxes"], two_objects["boxes"])[0, 1].item()
assert round(stack_iou, 2) == 0.63 and sorted(on_stack.labels[within].tolist()) == [3, 6]
assert on_stack.scores[within].min() > 0.9
for threshold in (0.1, 0.3, 0.5):
    grouped, ungrouped = count_errors(threshold), count_errors(threshold, by_class=False)
    assert ungrouped[0] - missed_before > 2 * (grouped[0] - missed_before)
    assert ungrouped[1] < grouped[1]
assert grouped[0] - missed_before == 2 and ungrouped[0] - missed_before == 12
assert sum(len(target["boxes"]) for _, target in predictions) == 385

# %% [markdown]
# ## Play: boxes in your own hands
#
# Drag the two boxes, and pull at their corners. IoU and the four deltas follow.
#
# 1. Give both boxes the same size, and move one of them sideways. You already know how far it may
#    go before the IoU is 0.5. How far may it go, in widths, before the IoU is 0.8?
# 2. Bring $d_x$ and $d_y$ to 0 and the IoU to 0.5, with the green box inside the blue one. What are
#    $d_w$ and $d_h$ then? Does their sum depend on the shape?
# 3. Exchange the positions of the two boxes. Which deltas change their sign exactly, and which do
#    so only if the boxes have the same size?
#
# Write down what you found, with the values.

# %%
from mrcnn_edu.course.widgets import nms_steps_player, two_boxes_player

two_boxes_player().caption(
    "Figure 13. An anchor (blue, dashed) and a ground-truth box (green), with "
    "their IoU and the deltas from the anchor to the ground truth."
)

# %% [markdown]
# Now step through NMS for the three crosses from the beginning of the lesson.
#
# 1. Lower the threshold in small steps. The orange cross keeps a box for a surprisingly long time.
#    Which box is it at each threshold, and how well does it fit? When is the cross finally lost?
# 2. Raise the threshold until a fourth box survives. Which object does that box belong to?
# 3. Find the range in which NMS returns three boxes. Would you have kept the same three?
#
# Write down the two ends of that range, and what happens beyond them.

# %%
nms_steps_player(large_crosses, 4 * predicted.boxes, predicted.scores).caption(
    "Figure 14. NMS, step by step. The best box that is left is kept "
    "(crimson), those that overlap it too much are suppressed (gray), and the "
    "others wait (orange)."
)

# %% [markdown]
# ## Exercise 1: the IoU of two boxes
#
# ★☆☆ · about 5 minutes
#
# Write `iou(a, b)` for two boxes `[4]`, (x1, y1, x2, y2), both with an area above 0. Return their
# intersection over union as a number. Boxes that do not overlap need special care.
#
# For example, the boxes (0, 0, 4, 4) and (2, 0, 6, 4) have an IoU of one third.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# The intersection begins at the larger of the two left borders and ends at the smaller of the two
# right ones. The same holds along y.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Boxes that lie apart along both axes have a negative width <em>and</em> a negative height, and
# their product looks like an area. Set both to at least 0.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>width = (torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0])).clamp(min=0)</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# The union is the sum of the two areas minus the intersection, which the sum counts twice. Our
# code: `exercises.iou??`.
# </details>

# %%
from mrcnn_edu.course.exercises import boxes as exercises


def iou(a, b): ...


exercises.check_iou(iou)

# %% [markdown]
# ## Exercise 2: how strict is a threshold?
#
# ★★☆ · about 10 minutes
#
# An IoU of 0.7 sounds generous. How far may a box slip sideways before it falls below that? Write
# `shift_at_iou(width, iou)`. Return the distance in pixels by which a box of this width must move
# to the right until it has this IoU with itself, before and after. You need a pencil for this one,
# and then a single line of code.
#
# For example, a box of width 10 has an IoU of one third with itself after a shift of 5 pixels, and
# an IoU of 1 after a shift of 0.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Draw both boxes. Call the shift d. How wide is the intersection, and how wide is the union? The
# height cancels.
# </details>
# <details><summary><b>Hint 2</b>: the equation</summary>
# The intersection is w − d wide and the union w + d. So the IoU is (w − d) / (w + d). Solve that
# for d.
# </details>
# <details><summary><b>Hint 3</b>: what it should give</summary>
# <code>shift_at_iou(30, 0.5)</code> is 10, and <code>shift_at_iou(16, 0)</code> is 16.
# </details>
# <details><summary><b>Solution</b></summary>
#
# $d = w\,(1 - \text{IoU}) / (1 + \text{IoU})$. An IoU of 0.5 allows a shift by a third of the
# width, one of 0.7 by less than a fifth, and one of 0.9 by about a twentieth. Our code:
# `exercises.shift_at_iou??`.
# </details>


# %%
def shift_at_iou(width, iou): ...


exercises.check_shift_at_iou(shift_at_iou)

# %% [markdown]
# ## Exercise 3: encode a box
#
# ★☆☆ · about 5 minutes
#
# Write `encode_box(box, anchor)`. Return the deltas `[4]`, (dx, dy, dw, dh), that lead from an
# anchor `[4]` to a box `[4]`, without any extra scale.
#
# For example, from the anchor (5, 0, 15, 10) to the box (0, 0, 20, 10) the deltas are
# (0, 0, 0.693, 0): the center stays, and the width doubles.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Compute the centers and the sizes of both boxes. The shift of the center is measured in sizes of
# the <em>anchor</em>, and the change of the size is a logarithm.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# From the anchor (2, 4, 12, 8) to the box (3, 2, 13, 6) the deltas are (0.1, −0.5, 0, 0).
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>size, anchor_size = box[2:] - box[:2], anchor[2:] - anchor[:2]</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# With slices, both axes take one line: `(center - anchor_center) / anchor_size` and `torch.log(size
# / anchor_size)`. Our code: `exercises.encode_box??`.
# </details>


# %%
def encode_box(box, anchor): ...


exercises.check_encode_box(encode_box)

# %% [markdown]
# ## Exercise 4: NMS within each class
#
# ★★☆ · about 15 minutes
#
# Write `nms(boxes, scores, labels, threshold)` for boxes `[N, 4]`, scores `[N]` and labels `[N]`.
# Return the indices of the boxes that are kept, the highest score first. A box is suppressed if its
# IoU with a kept box of a higher score *and the same label* is above the threshold. The boxes come
# in no particular order, and N may be 0.
#
# For example, three equal boxes with the scores 0.6, 0.9 and 0.8 and the labels 1, 1 and 2 give the
# indices `[1, 2]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Go through the boxes from the highest score to the lowest, and keep a list of those that stay. A
# box joins the list unless one that is on it already overlaps it too much and has its label.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Compare a box with the boxes that were <em>kept</em>, not with all that have a higher score. A box
# that was suppressed suppresses no other.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>rivals = (box_iou(boxes, boxes) > threshold) & (labels[:, None] == labels)</code>, with
# <code>from mrcnn_edu.boxes import box_iou</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# A table of rivals `[N, N]` says which boxes may suppress each other, and then the loop is that of
# the lesson. Our code: `exercises.nms??`.
# </details>


# %%
def nms(boxes, scores, labels, threshold): ...


exercises.check_nms(nms)

# %% [markdown]
# ## Exercise 5: soft-NMS
#
# ★★★ · 30 to 60 minutes
#
# NMS has a weakness that we saw above. If two objects stand close together, the better detection of
# one suppresses the detection of the other, and that object is lost for good.
# [Soft-NMS](https://arxiv.org/abs/1704.04503), section 3, has a gentler idea. It drops no box. It
# only *lowers the score* of a box that overlaps a better one, and it lowers it more, the larger the
# overlap is:
#
# $$ s_i \leftarrow s_i \, e^{-\text{IoU}(b_k, b_i)^2 / \sigma} . $$
#
# Here $b_k$ is the box that was just kept, $b_i$ is a box that is left, $s_i$ is its score, and
# $\sigma$ says how gentle we are.
#
# Write `soft_nms(boxes, scores, sigma, min_score)` for boxes `[N, 4]` and scores `[N]`. Keep the
# box with the highest score, lower the scores of all boxes that are left, and repeat this with the
# new scores. Stop when no box is left that has a score of at least `min_score`. Return two tensors:
# the indices `[R]` of the kept boxes in the order in which you kept them, and the scores `[R]` that
# they had at that moment. N may be 0.
#
# For example, take the boxes (0, 0, 10, 10), (1, 0, 11, 10) and (40, 0, 50, 10) with the scores
# 0.9, 0.8 and 0.7. The first two have an IoU of 9/11. With `sigma=0.5` the second score falls to
# 0.210, so the third box is kept before it. The result is `[0, 2, 1]` with the scores `[0.9, 0.7,
# 0.210]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Keep a list of the indices that are left and a copy of the scores. In each round find the highest
# score among those that are left, move its index to the list of kept ones, and multiply the other
# scores.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# You cannot sort once and walk down the list, because the order changes while you lower the scores.
# </details>
# <details><summary><b>Hint 3</b>: what to remember of a round</summary>
# A box keeps the score that it had when it was chosen. Only boxes that are left are lowered, and a
# box may be lowered many times.
# </details>
# <details><summary><b>Hint 4</b>: the first lines</summary>
# <code>iou = box_iou(boxes, boxes)</code>, <code>left = list(range(len(boxes)))</code>, and then
# <code>while left:</code> with
# <code>best = max(left, key=lambda i: lowered[i])</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# If every overlap lowered a score to 0, this would be NMS with a threshold of 0. Soft-NMS needs no
# threshold for the IoU, but it moves the question into the scores: whoever uses the boxes must now
# decide which score is high enough. Our code: `exercises.soft_nms??`.
# </details>


# %%
def soft_nms(boxes, scores, sigma, min_score): ...


exercises.check_soft_nms(soft_nms)

# %% [markdown]
# ## Remember
#
# - A box is $(x_1, y_1, x_2, y_2)$ with exclusive right and bottom edges, and IoU is the area that
#   two boxes share, divided by the area that at least one of them covers.
# - A network doesn't predict a box, it predicts deltas. They shift the center in units of the given
#   box, and change its size by the logarithm of a factor, so they mean the same for small objects
#   and for large ones.
# - The deltas are scaled to a standard deviation of about 1, so that the loss for the boxes is not
#   drowned out by the loss for the labels.
# - NMS keeps a box if and only if no better kept box of its class overlaps it by more than a
#   threshold. It turns many boxes for one object into one, and it loses objects that overlap more
#   than that.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `boxes.box_iou` | `ops.box_iou` | `pairwise_iou` |
# | `encode_boxes`, `decode_boxes` | `BoxCoder` | `Box2BoxTransform` |
# | `BOX_SCALE` | `bbox_reg_weights` | `BBOX_REG_WEIGHTS` |
# | `batched_nms` | `ops.batched_nms` | `batched_nms` |
#
# All three ideas have been developed further. [GIoU](https://arxiv.org/abs/1902.09630) extends IoU
# to boxes that don't overlap, so that a network can be trained to maximize it directly, instead of
# comparing deltas. [FCOS](https://arxiv.org/abs/1904.01355) predicts the distances to the four
# edges and does without anchors. And [DETR](https://arxiv.org/abs/2005.12872) trains a network to
# predict each object exactly once, and needs no NMS at all.
#
# **Next:** lesson 03 tells the story of four detectors, from R-CNN to Mask R-CNN. All of them use
# the boxes, deltas and NMS of this lesson.
