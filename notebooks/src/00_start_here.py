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
# # 00 · Start here: one image, all the way through
#
# **The question.** You give a neural network an image. It returns every object in it, with a class,
# a box and an outline that is exact to the pixel. What happens in between?
#
# **You will be able to**
#
# - name the stages of Mask R-CNN, and say what each one passes on to the next;
# - run a trained Mask R-CNN yourself, and look inside at every stage;
# - tell which of its stages asks "where might something be?" and which asks "what is it?";
# - recognize two situations in which the network is confident and wrong.
#
# *Time: 130 minutes, 65 of them for the exercises. You need some Python, and you should have met
# PyTorch tensors and convolutions before. Reading, now or later: [Mask
# R-CNN](https://arxiv.org/abs/1703.06870), sections 1 and 3.*
#
# Welcome. This lesson is a tour. We follow one image through the whole network and stop at every
# stage just long enough to see what it does. Don't try to understand everything at once, because
# each stop has a lesson of its own later. In JupyterLab, press Shift+Enter to run a cell and go on
# to the next one.

# %%
from inspect import getsource

import torch

import mrcnn_edu
from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.nms import batched_nms

viz.show_architecture().caption(
    "Figure 1. The map of our tour. An image enters on the left, and three "
    "branches share the features computed from it: one proposes regions, one "
    "classifies them and corrects their boxes, and one predicts their masks."
)

# %% [markdown]
# ## The task: which objects, and which pixels?
#
# To learn how a detector works, we need images in which we know every object. There are hundreds of
# thousands of photographs with hand-drawn outlines, but a network that learns from them must train
# for days. So this course uses **synthetic images** that the package draws itself: paper shapes on
# a desk, of six **classes**, from triangle to cross. They are small enough for a laptop, and
# because the program drew them, it knows exactly which pixels belong to which shape. That knowledge
# is called the **ground truth**.

# %%
scenes = Shapes(1000, seed=1)
# The same scenes with more pixels, and without the camera's noise:
large_scenes = Shapes(1000, seed=1, render_size=384, noise=0)
large_image, large_target = large_scenes[350]

viz.show_ground_truth(
    large_image, large_target, scenes.classes, width=3
).caption(
    "Figure 2. A scene, and its ground truth. Every object has a class label, "
    "a bounding box and a mask. The two crosses have a mask each, although "
    "they belong to the same class."
)

# %% [markdown]
# A **bounding box** is the smallest upright rectangle around an object, and a **mask** says for
# every pixel whether it belongs to the object. Finding a class, a box and a mask for each object
# separately is called **instance segmentation**. Look at the circle in the picture. The star hides
# a part of it, and so a bite is missing from the circle's mask.
#
# The network itself sees the scene with fewer pixels, 96 × 96. That is not much, but it is enough.
# If you pass it a larger image, it first shrinks the image to about this size.

# %%
image, target = scenes[350]
viz.show_images({"for the network": image}).caption(
    "Figure 3. The 96 × 96 pixels that the network gets, with the noise of a "
    "camera. You can still tell the star from the crosses."
)

# %%
print("image ", list(image.shape), image.dtype)
for name in ("boxes", "labels", "masks"):
    print(name, list(target[name].shape), target[name].dtype)

# %% [markdown]
# An image is a tensor of shape $[3, H, W]$ with values from 0 to 1, one channel each for red, green
# and blue. The ground truth of $M$ objects is a box tensor $[M, 4]$, a label tensor $[M]$ and a
# mask tensor $[M, H, W]$. Here $M$ is 5.
#
# ## The answer first
#
# Let's see the result before we ask how it comes about. `shapes-tiny` is a small Mask R-CNN that
# comes with the package. It was trained for an hour and a half on scenes like this one, but not on
# this one. Its method `detect` takes a list of images and returns the model's **predictions** for
# each image. A predicted object is called a **detection**. It has a box, a label, a mask and a
# **score** from 0 to 1, which is the model's confidence in it. We pass the large image, so that
# boxes and masks come back in its pixels.

# %% tags=["cover"]
model = mrcnn_edu.load("shapes-tiny")
detections = model.detect([large_image])[0]
confident = detections[detections.scores > 0.5]

viz.show_detections(
    large_image, confident, model.classes, large_target, width=3.2
).caption(
    "Figure 4. What the model should find, and what it finds. It is sure of "
    "all five objects. The outlines are a little rounder than the true ones, "
    "most of all where the star lies on the circle."
)

# %% [markdown]
# That is the whole task, and the network does it in a few hundredths of a second. The rest of this
# lesson opens it up. The method `trace` computes the same as `detect`, but it keeps every
# intermediate result, so that we can look at one after the other. This time we pass the small
# image, which is what the network sees in either case.

# %%
trace = model.trace([image])
print([name for name, value in vars(trace).items() if value is not None])

# %% [markdown]
# The list names every stop of our tour, and you don't need to know any of them yet. In the
# package's own code for `detect` you can see how little separates the two methods:

# %%
print(getsource(mrcnn_edu.MaskRCNN.detect))

# %% tags=["claim"]
assert len(confident) == len(large_target["labels"]) == 5
assert confident.scores.min() > 0.95
assert sorted(confident.labels.tolist()) == sorted(
    large_target["labels"].tolist()
)
names = [scenes.classes[label - 1] for label in target["labels"]]
assert sorted(names) == ["circle", "cross", "cross", "star", "triangle"]
either = confident.masks[:, None] | large_target["masks"]
both = confident.masks[:, None] & large_target["masks"]
mask_ious = both.sum(dim=(2, 3)) / either.sum(dim=(2, 3))
assert mask_ious.amax(dim=0).min() > 0.85
detected = model.detect([image])[0]
for name in ("boxes", "labels", "scores", "masks", "mask_probs"):
    again = getattr(trace.detections[0], name)
    assert again.equal(getattr(detected, name))

# %% [markdown]
# ## 1. Features: describe every part of the image
#
# A pixel alone says very little. Whether an orange pixel belongs to a cross or to a circle depends
# on its neighborhood. The first part of the network, the **backbone**, therefore replaces pixels
# with descriptions. It is a stack of convolutions whose outputs are called **feature maps**. At
# each position of a map there is a **feature vector**, a list of numbers that describes what the
# image shows around that position. Each entry of the vector is called a **channel**.
#
# Nobody decided what each channel should mean. The network worked that out in training, and we can
# look at the result.

# %%
stages = model.backbone(trace.batch.images)
first_map = stages[0]
viz.show_channels(first_map, image, [16, 26, 22, 11]).caption(
    "Figure 5. Four of the 48 channels of the first map. Channel 16 is bright "
    "where there is only paper. The others respond to edges, and each of them "
    "to a different kind of edge. No channel is enough by itself, but "
    "together they describe each position."
)

# %% [markdown]
# Don't expect a channel to be tidy. In channel 16, for example, the middle of the circle is bright,
# too.
#
# That was the backbone's first map. A second part of the network combines the backbone's maps into
# four new ones of different sizes, with 64 channels each, and all later stages work with these. In
# the finest there is one position for every 4 × 4 pixels, which we call a **stride** of 4. The next
# ones have strides of 8, 16 and 32. Fine maps are there for small objects and coarse maps for large
# ones. Together they form a **feature pyramid**, and the part that builds it is the
# [feature pyramid network](https://arxiv.org/abs/1612.03144), or FPN, the subject of lesson 04.
#
# > **Predict.** The image has 96 × 96 pixels. How many positions does the map of stride 32 have?
# > And how many times as many does the map of stride 4 have: 8, 16 or 64 times?

# %%
for level in trace.features:
    height, width = level.shape[-2:]
    stride = image.shape[-1] // width
    print(f"stride {stride:2}: {height:2} × {width:2} = {height * width:3}")

# %% [markdown]
# **What happened.** There are $24 \times 24 = 576$ positions at stride 4 and only $3 \times 3 = 9$
# at stride 32, which is 64 times fewer. The stride divides the width *and* the height. If you said
# 8, you counted along one side only.
#
# To see what a whole map knows, we can turn each feature vector into a color, such that similar
# vectors get similar colors.

# %%
two_finest = trace.features[:2]
viz.show_feature_colors(two_finest, image, ["stride 4", "stride 8"]).caption(
    "Figure 6. Two of the four maps. Their 64 channels are condensed to three "
    "and shown as colors. Objects stand out from the paper, and their middles "
    "differ from their edges, although nobody has told the network what an "
    "edge is."
)

# %% tags=["claim"]
assert [level.shape[-1] for level in trace.features] == [24, 12, 6, 3]
assert all(level.shape[1] == 64 for level in trace.features)

# %% [markdown]
# ## 2. Anchors: where might something be?
#
# Now the network has to decide where to look. The trouble is that an object can be anywhere and of
# any size. Mask R-CNN solves this as [Faster R-CNN](https://arxiv.org/abs/1506.01497) did. It lays
# down a fixed set of boxes, the **anchors**, at every position of every map, small ones on fine
# maps and large ones on coarse maps. Then it asks the same question about each of them: is there an
# object near this box?

# %%
viz.show_anchors_at_center(
    large_image, trace.anchors, trace.batch.sizes[0]
).caption(
    "Figure 7. The three anchors at the position nearest to the middle, on "
    "each of the four maps. Every other position has three like them."
)

# %% [markdown]
# The three boxes differ in shape. One is wide, one is square and one is tall. On the coarsest map
# the positions are 32 pixels apart, so even the nearest one lies off the middle, and its boxes
# reach beyond the image.
#
# Answering the question about each anchor is the job of the **region proposal network**, or
# **RPN**. It outputs one **objectness** score for each anchor.
#
# > **Predict.** There are three anchors at every position of the four maps. What fraction of all
# > anchors lies on the finest map: a quarter, a half, or three quarters?

# %%
positions = [level.shape[-2] * level.shape[-1] for level in trace.features]
n_anchors = 3 * sum(positions)
print(positions, "positions, and", n_anchors, "anchors")
print(f"on the finest map: {positions[0] / sum(positions):.0%}")

# %% [markdown]
# **What happened.** Three quarters of them, because each map has four times as many positions as
# the next one. If you said a quarter, you gave every map the same number.
#
# So the network examines 2,295 anchors to find five objects, and for nearly all of them the right
# score is close to 0. The next picture shows the scores where the anchors are, on the grid of each
# map. The coarsest map stays dark in it, because none of our objects is nearly as large as its
# anchors.

# %%
scores_of_levels = (
    trace.objectness[0]
    .sigmoid()
    .split([len(anchors) for anchors in trace.anchors])
)
best_scores = []
for scores, level in zip(scores_of_levels, trace.features, strict=True):
    height, width = level.shape[-2:]
    best_scores.append(scores.reshape(height, width, 3).amax(dim=2))

viz.show_objectness(large_image, best_scores, [4, 8, 16, 32]).caption(
    "Figure 8. Objectness, the best of the three anchors at each position, "
    "from 0 (black) to 1 (bright). The small objects light up on fine maps "
    "and the large ones on coarser maps."
)

# %% tags=["claim"]
assert n_anchors == trace.objectness.shape[1] == 2295
assert 0.74 < positions[0] / sum(positions) < 0.76

# %% [markdown]
# ## 3. Proposals: the best boxes, each only once
#
# An anchor near an object rarely fits it well. The RPN therefore predicts a second thing for each
# anchor, a correction that shifts and resizes it. The correction consists of four numbers, the
# **box deltas**. The corrected boxes with the highest scores are the candidates for objects. Many
# of them lie on the same object, though, because an object has many anchors around it.
# **Non-maximum suppression**, or **NMS**, removes the superfluous ones. It keeps the best-scoring
# box, deletes the boxes that overlap it too much, and goes on to the best of those that are left.
# The boxes that it keeps are the **proposals**. In the code below, they are in pixels of the small
# image, so we multiply them by 4 to draw them on the large one.
#
# > **Predict.** Take the candidates with an objectness above 0.5. What fraction of them will NMS
# > delete: about a tenth, about a half, or most of them?

# %%
proposals = trace.proposals[0]
kept = batched_nms(
    proposals.candidates,
    proposals.candidate_scores,
    proposals.candidate_levels,  # each level is treated separately
    iou_threshold=0.7,
)
scores_before = proposals.candidate_scores
scores_after = proposals.candidate_scores[kept]
before = proposals.candidates[scores_before > 0.5]
after = proposals.candidates[kept][scores_after > 0.5]

panels = {
    f"before NMS: {len(before)}": (4 * before, "proposal"),
    f"after NMS: {len(after)}": (4 * after, "proposal"),
}
viz.show_panels(large_image, panels, width=2.7).caption(
    "Figure 9. All boxes with an objectness above 0.5, before and after NMS. "
    "Every object keeps a few boxes that differ enough from each other."
)

# %% [markdown]
# **What happened.** Most of them are gone. Even so, every object still has several proposals,
# because boxes that overlap by less than the threshold may all stay. Lesson 02 explains how overlap
# is measured.
#
# The first half of the network ends here. It has answered "where might something be?" without
# knowing anything about classes. Of 2,295 anchors it passes on the 100 best proposals, good and bad
# ones alike.

# %% tags=["claim"]
assert len(after) < len(before) / 2
assert len(proposals.boxes) == 100
assert proposals.boxes.equal(proposals.candidates[kept[:100]])

# %% [markdown]
# ## 4. Region features: every proposal gets the same size
#
# The second half looks at each proposal closely. Its layers expect inputs of one fixed size, but
# proposals come in all sizes. **RoIAlign** bridges the gap. It lays a grid of 7 × 7 cells over the
# proposal, which is now called a **region of interest** or **RoI**, and reads the feature map in
# each cell. The result is a small feature map for every proposal. It has 64 channels, too many to
# show, so the next picture shows the length of the feature vector in each cell, as the *strength*
# of the features there. Lesson 07 shows why the map must be read with great care.

# %%
best = [0, 1, 4, 5]
regions = proposals.boxes[best]
strength = trace.roi_features[best].norm(dim=1)
titles = [f"proposal {i}" for i in best]
viz.show_regions(large_image, 4 * regions, strength, titles).caption(
    "Figure 10. Four of the best proposals, and below each the strength of "
    "its region features on a grid of 7 × 7 cells. Two proposals lie on the "
    "circle. They differ a little, and so do their features."
)

# %% [markdown]
# ## 5. Class and box: what is it?
#
# A **head** is a small network at the end that answers one question. The **box head** reads the
# region features and outputs a score for each of the $K = 6$ classes, and one more for the
# **background**, which means "no object here" and has the label 0. A **softmax** turns the scores
# into probabilities that add up to 1. The box head also corrects the box once more.
#
# > **Predict.** The proposals are sorted by objectness. The first three have an objectness of
# > nearly 1. Will the box head be just as confident about their classes? And what should it say
# > about a proposal that contains one half of the circle and one half of the star?

# %%
probabilities = trace.class_logits.softmax(dim=1)  # [100, K + 1]
overlaps = box_iou(proposals.boxes, target["boxes"])  # [100, M]
on_two_objects = (overlaps > 0.25).sum(dim=1) == 2
covers_none = (overlaps < 0.5).all(dim=1)
between = (on_two_objects & covers_none).nonzero()[0].item()

chosen = [0, 1, 2, between]
viz.show_scores(
    probabilities[chosen],
    ["background", *model.classes],
    [f"proposal {i}" for i in chosen],
).caption(
    "Figure 11. Class probabilities of the three best proposals, and of one "
    "that lies across the circle and the star."
)

# %%
objectness = proposals.scores[between].item()
print(f"objectness of proposal {between}: {objectness:.2f}")
print(f"probability of background: {probabilities[between, 0]:.2f}")

# %% [markdown]
# **What happened.** The box head is sure of the first three, and it rejects the last one, although
# its objectness is almost as high as theirs. The RPN saw that *something* is there. The box head,
# which sees the whole region, noticed that the box fits neither of the two objects. This division
# of labor is why the method is called *two-stage*. The first stage may be generous because the
# second is strict.
#
# It is now a short step from the proposals to the detections. A proposal becomes a candidate for
# every class whose probability is above a low threshold, here 0.05, and that probability is its
# score. Several candidates may show the same object, so NMS removes the duplicates once more. The
# candidates that are left are the detections.

# %% tags=["claim"]
assert probabilities[:5].amax(dim=1).min() > 0.9
assert (probabilities[:5].argmax(dim=1) > 0).all()
assert between > 4 and objectness > 0.85 and probabilities[between, 0] > 0.9
assert {names[i] for i in (overlaps[between] > 0.25).nonzero()[:, 0]} == {
    "circle",
    "star",
}
assert proposals.scores[:5].min() > 0.97
first_labels = probabilities[:6].argmax(dim=1)
assert (first_labels == 3).sum() == 2  # two proposals on the circle

# %% [markdown]
# ## 6. Masks: which pixels?
#
# One question is left, and it is the one that gives Mask R-CNN its name. RoIAlign reads the
# features in the box of each detection once more, this time on a finer grid of 14 × 14 cells. From
# them, the **mask head** predicts a small mask of 28 × 28 values between 0 and 1 *for every class*.
# The class that the box head has chosen decides which of these masks is used. Finally, the mask is
# stretched over its box, and every pixel with a value above one half belongs to the object.

# %%
found = trace.detections[0]
found = found[found.scores > 0.5]
titles = [model.classes[label - 1] for label in found.labels]
viz.show_regions(
    large_image, 4 * found.boxes, found.mask_probs, titles
).caption(
    "Figure 12. The five detections, and their masks before they are pasted "
    "into the image. In the circle's mask you can see the bite where the star "
    "covers it."
)

# %% [markdown]
# That was the whole network. You have now seen every stage that the map in Figure 1 shows:
#
# | stage | what it does | shape here |
# |---|---|---|
# | features | describes every position | $[1, 64, 24, 24]$ and coarser |
# | RPN | scores and corrects 2,295 anchors | $[1, 2295]$ |
# | proposals | keeps 100 boxes | $[100, 4]$ |
# | RoIAlign | cuts out their features | $[100, 64, 7, 7]$ |
# | box head | classifies them, corrects the boxes | $[100, 7]$ |
# | mask head | predicts a mask for each class | $[6, 7, 28, 28]$ |
#
# There are six masks because a sixth detection, with a score of 0.13, was below our threshold. The
# second dimension has 7 entries, one for each class and an unused one for the background. If you'd
# like to check that nothing is hidden, open the file `model.py` of the package, where `trace` is
# one list of these steps.

# %% tags=["claim"]
assert list(trace.features[0].shape) == [1, 64, 24, 24]
assert list(trace.roi_features.shape) == [100, 64, 7, 7]
assert list(trace.class_logits.shape) == [100, 7]
n_found = len(trace.detections[0].labels)
assert list(trace.mask_logits.shape) == [n_found, 7, 28, 28]
assert len(found) == 5 and n_found == 6
assert 0.1 < trace.detections[0].scores[5] < 0.2

# %% [markdown]
# ## Where it breaks: things it has never seen
#
# A network knows only what it was trained on. Ours has seen six outlines and nothing else. What
# does it make of a shape that belongs to none of its classes? The package can draw **blobs**, whose
# outlines are random.
#
# > **Predict.** Will the model ignore the blobs, find them with low scores, or find them with high
# > scores? And will their masks be any good?

# %%
finer = {"render_size": 384, "noise": 0}
blob_scenes = Shapes(200, seed=6, outlines="blobs", n_objects=(4, 5), **finer)
blobs, blob_target = blob_scenes[168]
wrong = model.detect([blobs])[0]
wrong = wrong[wrong.scores > 0.5]

viz.show_detections(
    blobs, wrong, model.classes, blob_target, blob_scenes.classes, width=3
).caption(
    "Figure 13. Five blobs, and what the model predicts. The classes "
    "are wrong and the scores are high, but boxes and masks are quite good."
)

# %% [markdown]
# **What happened.** The model finds all five, outlines them quite well, and gives them class labels
# that mean nothing, with scores of up to 1. It could have answered "background". But in training,
# background meant a region without an object, and each blob looks like an object, so one of the six
# classes wins. Note what this tells us. *Where* an object is was learned in a more general way than
# *what* it is. And a high score doesn't mean that the answer is right. It only means that, among
# the answers that the model knows, it strongly prefers this one.
#
# Now for a real photograph. The cup and the saucer are round, so there is hope.
#
# > **Predict.** How many of the two round objects will the model outline correctly?

# %%
from skimage.data import coffee

photo = torch.from_numpy(coffee()).permute(2, 0, 1) / 255  # [3, 400, 600]
seen = model.detect([photo])[0]
seen = seen[seen.scores > 0.5]
viz.show_detections(photo, seen, model.classes, width=4).caption(
    "Figure 14. What a model that has only seen paper shapes predicts for a "
    "cup of coffee, a spoon and a table. The photograph is by Rachel "
    "Michetti and comes with scikit-image."
)

# %% [markdown]
# **What happened.** None. The model sees pieces of shapes everywhere, some of them with high
# scores, because shadows, wood grain and reflections are nothing like the paper it was trained on.
# How would you notice such a failure if you couldn't look at every image? Not by the scores. You
# need images whose ground truth you know and that look like those you care about. Lesson 11
# measures exactly that.
#
# The same architecture, trained on 118,000 photographs of the
# [COCO](https://arxiv.org/abs/1405.0312) dataset, would outline the cup, the spoon and the table.
# If you have downloaded the published weights with `mrcnn_edu.load("coco-resnet50-fpn")`, which
# takes 170 MB, the next cell shows it.

# %%
# NBVAL_IGNORE_OUTPUT
if mrcnn_edu.weights.is_downloaded("coco-resnet50-fpn"):
    published = mrcnn_edu.load("coco-resnet50-fpn")
    known = published.detect([photo])[0]
    known = known[known.scores > 0.7]
    result = viz.show_detections(photo, known, published.classes)
else:
    result = "The published weights are not on this computer."
result

# %% tags=["claim"]
assert len(wrong) == len(blob_target["labels"]) == 5
assert wrong.scores.max() > 0.99
either = wrong.masks[:, None] | blob_target["masks"]
both = wrong.masks[:, None] & blob_target["masks"]
mask_ious = both.sum(dim=(2, 3)) / either.sum(dim=(2, 3))
box_ious = box_iou(wrong.boxes, blob_target["boxes"])
assert mask_ious.amax(dim=0).min() > 0.7 and box_ious.amax(dim=0).min() > 0.7
assert len(seen) > 5 and seen.scores.max() > 0.9

# %% [markdown]
# ## Play: scenes of your own
#
# Run the notebook up to here and move the sliders. Then answer three questions and write down what
# you found. Down to which size does the model find objects reliably? What happens to the masks when
# many objects lie on top of each other? And can you find a scene in which the model is sure of an
# object that isn't there?

# %%
from mrcnn_edu.course.widgets import scene_player

scene_player(model).caption(
    "Figure 15. A scene that you choose, and what the model detects in it."
)

# %% [markdown]
# Below are the exercises. Every one of them has a check that tells you right away whether your
# function is correct, and hints that you can open one at a time.
#
# ## Exercise 1: count the objects of each class
#
# ★☆☆ · about 5 minutes
#
# Write `count_by_name(labels, classes)`. The tensor `labels` `[D]` holds the class labels of D
# detections, and `classes` is the list of the K class names. Return a dictionary with the number of
# detections of each class that occurs. Remember that label 0 is the background.
#
# For example, the labels `[3, 1, 3]` and the names `["triangle", "square", "circle"]` give
# `{"circle": 2, "triangle": 1}`.
#
# Replace the `...` with your lines and run the cell. The check prints "ok", or it shows you the
# first case in which your function is wrong.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Go through the labels one by one. Find the name of each, and add 1 to that name's count.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# With the three names above, the labels <code>[2, 2, 2, 1]</code> give
# <code>{"square": 3, "triangle": 1}</code>, and an empty tensor gives <code>{}</code>.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>names = [classes[label - 1] for label in labels.tolist()]</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# Label 1 belongs to `classes[0]`, so every label is one larger than the index of its name. The rest
# is counting. To see our code, run `exercises.count_by_name??` in a cell of its own.
# </details>

# %%
from mrcnn_edu.course.exercises import start_here as exercises


def count_by_name(labels, classes): ...


exercises.check_count_by_name(count_by_name)

# %% [markdown]
# ## Exercise 2: compare two masks
#
# ★☆☆ · about 5 minutes
#
# In this lesson, NMS and the function `box_iou` needed a number for how much two boxes overlap. The
# usual one is the **intersection over union**, or **IoU**. It divides what the two share by what
# they cover together, and lesson 02 explains it for boxes. Masks are compared in the same way,
# pixel by pixel. Write `mask_iou(a, b)` for two masks `[H, W]` of bool: the number of pixels that
# lie in both masks, divided by the number of pixels that lie in at least one of them. If both masks
# are empty, return 0.
#
# For example, a square of 4 × 4 pixels and the 2 × 2 pixels in its middle have an IoU of 4 / 16 =
# 0.25.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# For tensors of bool, <code>a & b</code> is true where both are, and <code>a | b</code> where at
# least one is. The sum of such a tensor counts its pixels.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# Two empty masks have a union of 0 pixels. Without a special case, your function returns
# <code>nan</code>.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>union = (a | b).sum().item()</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# Count the pixels of `a & b` and of `a | b`, and divide only if there are any. Our code:
# `exercises.mask_iou??`.
# </details>


# %%
def mask_iou(a, b): ...


exercises.check_mask_iou(mask_iou)

# %% [markdown]
# ## Exercise 3: how sure must a detection be?
#
# ★★☆ · about 15 minutes
#
# In this lesson we drew the detections with a score above 0.5. Is 0.5 a good choice? To find out,
# count what a threshold lets through. Write `count_errors(iou, scores, threshold)`. Here `iou` `[D,
# M]` is the IoU of each of D detections with each of M objects, and `scores` `[D]` are the
# detections' scores. Return three whole numbers:
#
# 1. how many objects are *found*, which means that a detection with a score of at least
#    `threshold` has an IoU of at least 0.5 with the object;
# 2. how many objects are *missed*, which are the other ones;
# 3. how many detections are *false*, which means that their score is at least `threshold`, but
#    they have an IoU of at least 0.5 with no object.
#
# For example, take two detections and one object, with the IoUs `[[0.8], [0.1]]` and the scores
# `[0.9, 0.6]`. A threshold of 0.5 gives `(1, 0, 1)`, and one of 0.7 gives `(1, 0, 0)`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# First throw away the rows of detections whose score is too low. What is left is a table. An object
# is found if its <em>column</em> contains an IoU of at least 0.5. A detection is false if its
# <em>row</em> contains none.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# The IoUs <code>[[0.9, 0.0, 0.1], [0.7, 0.1, 0.0], [0.0, 0.2, 0.6]]</code> with scores above the
# threshold give <code>(2, 1, 0)</code>: two detections of the first object find it only once.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>good = iou[scores >= threshold] >= 0.5</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# `good.any(dim=0)` tells for each object whether it is found, and `good.any(dim=1)` for each
# detection whether it lies on an object. Our code: `exercises.count_errors??`.
# </details>


# %%
def count_errors(iou, scores, threshold): ...


exercises.check_count_errors(count_errors)

# %% [markdown]
# ## Exercise 4: one map for the whole image
#
# ★★★ · 30 to 60 minutes
#
# Detections may overlap, and so may their masks. Some programs need a simpler answer, in which each
# pixel belongs to at most one object. **Panoptic segmentation** asks for such a map. Its authors
# make one from detections with a short procedure ([Panoptic
# Segmentation](https://arxiv.org/abs/1801.00868)), and you will write it now.
#
# Write `panoptic_map(masks, labels, scores, min_score, min_visible)`. The masks are `[D, H, W]` of
# bool, and labels and scores are `[D]`. Take the detections one after the other, the highest score
# first, and stop at scores below `min_score`. For each detection,
#
# - find its *visible* pixels, those of its mask that no detection before it has taken;
# - leave the detection out if its mask is empty, or if its visible pixels make up less than the
#   fraction `min_visible` of its mask;
# - otherwise write the number `1000 * label + n` into its visible pixels, where n counts the
#   objects of this label that have been placed so far: 1 for the first, 2 for the second.
#
# Return the map `[H, W]` of whole numbers, with 0 where there is no object. From such a number you
# can read the class (`value // 1000`) and the object (`value % 1000`).
#
# For example, take two detections of class 2 in an image of one row and six columns. The first has
# the mask `####..` and a score of 0.9, the second `..####` and 0.8. With `min_visible=0.5` the map
# is `[[2001, 2001, 2001, 2001, 2002, 2002]]`. With `min_visible=0.6` the second is left out, and
# the last two pixels are 0.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Start with a map of zeros. A pixel is free as long as the map is 0 there. Loop over
# <code>scores.argsort(descending=True)</code>.
# </details>
# <details><summary><b>Hint 2</b>: the visible pixels</summary>
# <code>visible = masks[d] & (placed == 0)</code>, where <code>placed</code> is the map. Compare
# <code>visible.sum()</code> with <code>masks[d].sum()</code>.
# </details>
# <details><summary><b>Hint 3</b>: the numbers</summary>
# A dictionary from the label to the number of its objects helps. Only a detection that is placed
# may raise its label's number.
# </details>
# <details><summary><b>Hint 4</b>: a trap</summary>
# A detection that is left out takes no pixels. All of them stay free for the detections after it.
# </details>
# <details><summary><b>Solution</b></summary>
#
# One loop with one `if` is enough. It is tempting to paint all masks over each other, the best one
# last, because that gives the right overlaps. But then nobody knows how much of a mask was hidden,
# and a sliver of a wrong detection stays in the map. Our code:
# `exercises.panoptic_map??`.
# </details>


# %%
def panoptic_map(masks, labels, scores, min_score, min_visible): ...


exercises.check_panoptic_map(panoptic_map)

# %% [markdown]
# When the check says "ok", look at a map of your own in a new cell:
#
# ```python
# found = model.detect([image])[0]
# result = panoptic_map(found.masks, found.labels, found.scores, 0.5, 0.5)
# viz.show_maps([result], ["class and object of each pixel"])
# ```

# %% [markdown]
# ## What you have solved
#
# A check that passes is noted in a small file beside this notebook, `exercises_solved.json`, so
# that you will find it there tomorrow. The table shows all exercises of the course. Run the cell
# again whenever you come back, or type `mrcnn-edu progress` in a terminal.

# %%
from mrcnn_edu.course.progress import show_progress

show_progress()

# %% [markdown]
# ## Remember
#
# - Features describe every position of the image, on several maps of different stride.
# - The RPN asks "where might something be?" about thousands of anchors, and passes on about a
#   hundred proposals.
# - RoIAlign gives every proposal the same size. The box head asks "what is it?", and the mask head
#   asks "which pixels?".
# - A high score means that the model is confident, not that it is right.
#
# ## In the wild
#
# Other libraries have the same stages under slightly different names. With this table you will find
# your way around in them.
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `preprocess` | `transform` | `preprocess_image` |
# | `features` | `backbone` | `backbone` |
# | `rpn_head`, `propose` | `rpn` | `proposal_generator` |
# | `pool`, `box_head`, `mask_head` | `roi_heads` | `roi_heads` |
#
# Newer methods answer the same question in other ways. [YOLACT](https://arxiv.org/abs/1904.02689)
# does without the second stage to be faster, [Mask2Former](https://arxiv.org/abs/2112.01527)
# replaces boxes by learned queries, and [SAM](https://arxiv.org/abs/2304.02643) outlines what you
# point at, without naming it. Each of them is easier to understand once you know this one.
#
# ## The lessons
#
# Every lesson takes one stage apart. You can read them in order, or jump to the question that
# interests you. Words that you don't know are in the [glossary](glossary.ipynb).
#
# <!-- lessons -->
# - 01 [Instance segmentation and its data](01_data.ipynb), 150 minutes: What is the ground truth of
#   an image, and how is it stored in a file?
#   <br><img src='pictures/01_data.png' height='90' alt=''>
# - 02 [Boxes](02_boxes.ipynb), 170 minutes: When do two boxes show the same object, and which of
#   them should stay?
#   <br><img src='pictures/02_boxes.png' height='90' alt=''>
# - 03 [From R-CNN to Mask R-CNN](03_history.ipynb), 95 minutes: Which steps led from labels for
#   whole images to an outline for each object?
#   <br><img src='pictures/03_history.png' height='90' alt=''>
# - 04 [Backbone and pyramid](04_backbone.ipynb), 175 minutes: On which feature map should a network
#   look for an object?
#   <br><img src='pictures/04_backbone.png' height='90' alt=''>
# - 05 [Anchors](05_anchors.ipynb), 160 minutes: How can a network with a fixed output shape return
#   any number of boxes?
#   <br><img src='pictures/05_anchors.png' height='90' alt=''>
# - 06 [The region proposal network](06_rpn.ipynb), 180 minutes: Which of thousands of anchors are
#   worth a closer look?
#   <br><img src='pictures/06_rpn.png' height='90' alt=''>
# - 07 [RoIPool against RoIAlign](07_roi_align.ipynb), 200 minutes: What does it cost a mask when
#   coordinates are rounded to whole numbers?
#   <br><img src='pictures/07_roi_align.png' height='90' alt=''>
# - 08 [The heads](08_heads.ipynb), 170 minutes: Why should a mask keep its layout in every layer,
#   and how fine must it be?
#   <br><img src='pictures/08_heads.png' height='90' alt=''>
# - 17 [What each part costs](17_costs.ipynb), 120 minutes: What does each part cost, and what is
#   saved by sharing it among regions?
#   <br><img src='pictures/17_costs.png' height='90' alt=''>
# - 09 [The mask loss](09_mask_loss.ipynb), 145 minutes: Why should the classes not compete for a
#   pixel?
#   <br><img src='pictures/09_mask_loss.png' height='90' alt=''>
# - 10 [Training](10_training.ipynb), 180 minutes: Which boxes does a network learn from, and how do
#   you see that it learns?
#   <br><img src='pictures/10_training.png' height='90' alt=''>
# - 11 [Detections and average precision](11_average_precision.ipynb), 220 minutes: How can one
#   number evaluate a ranked list of detections?
#   <br><img src='pictures/11_average_precision.png' height='90' alt=''>
# - 12 [Ablations](12_ablations.ipynb), 180 minutes: Which part of the network earns its place, and
#   how sure can you be?
#   <br><img src='pictures/12_ablations.png' height='90' alt=''>
# - 13 [FCIS against Mask R-CNN](13_fcis.ipynb), 180 minutes: Can a network predict masks without a
#   mask head, and what happens at overlaps?
#   <br><img src='pictures/13_fcis.png' height='90' alt=''>
# - 15 [Real photographs](15_photographs.ipynb), 200 minutes: What changes when the image is a
#   photograph and the objects are your own?
#   <br><img src='pictures/15_photographs.png' height='90' alt=''>
# - 16 [The GPU and a kernel](16_gpu.ipynb), 220 minutes: Where does the time go on a GPU, and how
#   much of it does a kernel save?
#   <br><img src='pictures/16_gpu.png' height='90' alt=''>
# <!-- /lessons -->
#
# **Next:** lesson 01 takes a closer look at the data. What exactly is the ground truth of an image,
# and how do you notice that it is wrong?
