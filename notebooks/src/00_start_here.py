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
# # 00 · Start here: a Mask R-CNN takes a scene apart
#
# A trained network looks at an image it has never seen, and we look over its shoulder at every
# stage. After this lesson (45 minutes) you can name the stages of Mask R-CNN, say what each hands
# to the next and in which shape, and try your own scenes on it.

# %%
from inspect import getsource

import torch

import mrcnn_edu
from mrcnn_edu import viz
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes
from mrcnn_edu.nms import batched_nms

viz.show_flow("image")

# %% [markdown]
# ## The problem
#
# **Instance segmentation**: find every object, classify it, *and* outline each one by itself, even
# where one hides another. Our scenes are synthetic images, rendered from a seed, so we know the
# **ground truth**, the right answer, to the pixel. An object's class is its outline; color, size
# and background say nothing. Here is one of them, drawn with many pixels for your eyes.

# %%
scenes = Shapes(1000, seed=1)
crisp = Shapes(1000, seed=1, render_size=384)  # the same scenes, with 384 x 384 pixels
large_image, large_target = crisp[350]
viz.show_ground_truth(large_image, large_target, scenes.classes)

# %% [markdown]
# A small network needs fewer pixels. Ours sees 96 x 96 of the same scene.

# %%
image, target = scenes[350]
viz.show_images({"for you": large_image, "for the network": image})

# %% [markdown]
# The ground truth of one image is three tensors. A **box** is `(x1, y1, x2, y2)` in pixels, a
# **label** a whole number from 1 up (0 means background, here and everywhere), and a **mask** an
# image with one bit for each pixel.
#
# **Predict:** for M objects in an image of H x W pixels, which shapes do the three have?

# %%
{name: list(target[name].shape) for name in ("boxes", "labels", "masks")}

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# `[M, 4]`, `[M]` and `[M, H, W]`. The usual wrong answer is one mask `[H, W]` for the whole image:
# that would be *semantic* segmentation, in which two circles that touch become one region.
# </details>
#
# ## The whole model, in one line
#
# `shapes-tiny` is a small Mask R-CNN that comes with this package, trained on such scenes with
# other seeds. `detect` takes a list of images and returns boxes, labels, scores and masks for each.
# It scales each image to the size that the network is made for, here 96 x 96, and scales the
# results back.

# %% tags=["cover"]
model = mrcnn_edu.load("shapes-tiny")
detections = model.detect([large_image])[0]
confident = detections[detections.scores > 0.5]
viz.show_detections(large_image, confident, model.classes, large_target)

# %% [markdown]
# How did it get there? `trace` does the same as `detect` and keeps everything it computes on the
# way. We trace the 96 x 96 pixels. Here are the shapes, in order: features `[B, C, H, W]` of each
# map, objectness `[B, A]`, region features `[R, C, 7, 7]`, class logits `[R, K + 1]`, mask logits
# `[D, K + 1, m, m]`. The letters: B images, C **channels** (the values at one position of a feature
# map), A anchors, R regions, K classes, D detections. A **logit** is a score before it is turned
# into a probability.

# %%
trace = model.trace([image])
confident = trace.detections[0][trace.detections[0].scores > 0.5]
for stage in ("features", "objectness", "roi_features", "class_logits", "mask_logits"):
    value = getattr(trace, stage)
    tensors = value if isinstance(value, list) else [value]
    print(f"{stage:13}", *[list(tensor.shape) for tensor in tensors])

# %% [markdown]
# ## 1. Features: what is where
#
# A **backbone** of convolutions turns the image into **feature maps**, in which every position
# describes what is around it. A map of **stride** s has one position for every s x s pixels. The
# **feature pyramid** (FPN) has several strides, its **levels**: fine ones for small objects, coarse
# ones for large.
#
# **Predict:** how many times as many positions does the map of stride 4 have as the map of stride
# 32: 8, 16 or 64? Below, we paint the objects over with the image's mean color, and compare the
# features. The brighter a position is, the more its feature vector, its C values, has changed.

# %%
painted = torch.where(target["masks"].any(dim=0), image.mean(dim=(1, 2), keepdim=True), image)
levels = zip(trace.features, model.trace([painted]).features, strict=True)
changes = [(level - without)[0].norm(dim=0) for level, without in levels]
strides = [image.shape[-1] // level.shape[-1] for level in trace.features]
viz.show_maps(changes, [f"stride {s}" for s in strides], image)

# %%
height, width = image.shape[-2:]
assert [level.shape[-1] for level in trace.features] == [width // s for s in strides]
assert trace.features[0][0, 0].numel() == 64 * trace.features[3][0, 0].numel()
width, strides, [level.shape[-1] for level in trace.features]

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 64. The stride divides the width, as the code above checks for all four maps, and the height as
# well. (If you said 8, you counted along one side only.) Coarse maps are cheap, but on them a small
# object soon covers less than one position, and a position sees so far that it changes even where
# there is no object.
# </details>
#
# ## 2. Anchors and objectness: where might something be?
#
# At every position of every map there are a few **anchors**, boxes of fixed size and shape (k = 3
# shapes here). The **region proposal network** (RPN) predicts one thing for each: is there an
# object about here? (Section 3.1 of the paper on Faster R-CNN. Where a lesson names no paper,
# sections, figures and tables are those of the paper on Mask R-CNN, He et al. 2017.)

# %%
viz.show_anchors_at_center(image, trace.anchors, trace.batch.sizes[0])

# %% [markdown]
# **Predict:** the list above has 2,295 objectness scores, one for each anchor. What fraction of
# them belongs to the finest of the four maps: a quarter, a half, or three quarters?

# %%
positions = [level.shape[-2] * level.shape[-1] for level in trace.features]
n_anchors = sum(positions) * 3
assert n_anchors == trace.objectness.shape[1] == 2295
print(" + ".join(str(n) for n in positions), "positions, times 3 =", n_anchors, "anchors")
print(f"on the finest map: {positions[0] / sum(positions):.0%}")

# %%
per_level = trace.objectness[0].sigmoid().split([len(a) for a in trace.anchors])
levels = zip(per_level, trace.features, strict=True)
maps = [level.unflatten(0, (*f.shape[-2:], 3)).amax(-1) for level, f in levels]
viz.show_objectness(image, maps, strides)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Three quarters: each map has four times the positions of the next one. (If you said a quarter, you
# gave each of the four maps the same number.) There are thousands of anchors for a handful of
# objects: nearly every anchor is background. That is why training uses only a sample of them, and
# why almost all of each map is dark. (Brightness is the probability, 0 to 1, of the best of a
# position's k anchors.) Look at *which* map is bright on a small object and which on a large one.
# </details>
#
# ## 3. Proposals: the best boxes, without near-duplicates
#
# For each anchor the RPN also predicts **box deltas**, which move and stretch the anchor onto its
# object. The best of these boxes are the **candidates**, and of those that overlap too much only
# the best is kept: **non-maximum suppression** (NMS). Overlap is measured by **IoU**, intersection
# over union: the area that two boxes share, divided by the area that either covers; 1 for equal
# boxes, 0 for boxes apart.
#
# **Predict:** an object with a good anchor on it has many more good anchors next to it. Of the
# candidates with a high confidence, what fraction will NMS throw away?

# %%
proposals = trace.proposals[0]
best = proposals.candidate_scores.argsort(descending=True)[:40]
before, after = proposals.candidates[best], proposals.boxes[proposals.scores > 0.5]
panels = {"40 of the candidates": (before, "anchor"), "score > 0.5, after NMS": (after, "proposal")}
viz.show_panels(image, panels)

# %%
levels = proposals.candidate_levels  # boxes of different levels do not compete
kept = batched_nms(proposals.candidates, proposals.candidate_scores, levels, iou_threshold=0.7)
assert proposals.boxes.equal(proposals.candidates[kept[: len(proposals.boxes)]])
n_before = (proposals.candidate_scores > 0.5).sum().item()
n_after = (proposals.candidate_scores[kept] > 0.5).sum().item()
assert n_after < n_before / 2
print(f"score > 0.5: {n_before} before NMS, {n_after} after, for {len(confident)} detections")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# More than half of them. Boxes that overlap *less* than the threshold (an IoU of 0.7) stay, so most
# objects still have several proposals, and some lie across two objects: the box head decides.
# </details>
#
# ## 4. Region features: every box the same size
#
# The next layers need inputs of one size, and boxes have all sizes. **RoIAlign** divides each box
# (a **RoI**, region of interest) into 7 x 7 **bins** and reads the feature map in each of them, by
# interpolation and without rounding anything (section 3; lesson 07 shows why that matters). Above
# is the piece of the image, below the strength of its features.

# %%
regions = proposals.boxes[:6]
strength = trace.roi_features[:6].norm(dim=1)
viz.show_regions(image, regions, strength, [f"proposal {i}" for i in range(6)])

# %% [markdown]
# ## 5. Class and box
#
# A **head** is a small network at the end that answers one question. For every region the **box
# head** predicts K + 1 scores, for K classes and background, and a refined box. The scores compete:
# a **softmax** makes them positive, with a sum of 1.
#
# **Predict:** the proposals above are ordered by objectness. Will the first ones also have the
# highest class scores?

# %%
scores = trace.class_logits.softmax(dim=1)
overlap = box_iou(proposals.boxes, target["boxes"])  # [R, M]
across = ((overlap > 0.2).sum(dim=1) == 2) & (overlap < 0.5).all(dim=1)  # across two objects
rejected = (across & (scores.argmax(dim=1) == 0)).nonzero()[0].item()  # the first of them
assert rejected > 4 and proposals.scores[rejected] > 0.85
assert scores[rejected, 0] > 0.9
assert scores[:5].amax(dim=1).min() > 0.9 and (scores[:5].argmax(dim=1) > 0).all()
print(f"proposal {rejected}: objectness {proposals.scores[rejected]:.2f}, IoU with the objects:")
print([round(iou, 2) for iou in overlap[rejected].tolist()])

shown, class_names = [0, 1, 2, 3, 4, rejected], ["background", *model.classes]
viz.show_scores(scores[shown], class_names, [f"proposal {i}" for i in shown])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The first ones do, the last one shown does not, though its objectness is nearly as high: it lies
# across two objects and covers neither. The RPN knew only that something is there; the box head,
# which sees the whole region, classifies it as background.
# </details>
#
# ## 6. Masks, and back into the image
#
# For each detection the **mask head** predicts a small m x m mask *for every class*, and the class
# predicted by the box head picks one of them (section 3: mask and class are decoupled). Below, dark
# is 0 and bright is 1. Pasting stretches it over its box and thresholds it at one half.

# %%
n = min(6, len(confident))
titles = [model.classes[label - 1] for label in confident.labels[:n]]
viz.show_regions(image, confident.boxes[:n], confident.mask_probs[:n], titles)

# %%
assert trace.mask_logits.shape[1] == len(model.classes) + 1  # channel 0, background, is unused
(detections,) = model.detect([image])
for name, value in vars(trace.detections[0]).items():
    assert value.equal(getattr(detections, name))
print(f"detect and trace agree; mask logits {list(trace.mask_logits.shape)}")

# %% [markdown]
# That was all of it. The package's version is the same list of steps; nothing is hidden:

# %%
print(getsource(mrcnn_edu.MaskRCNN.trace))

# %% [markdown]
# ## Where it breaks
#
# The network has seen six outlines and no others. Show it **blobs**, random outlines that belong to
# none of its classes. **Predict:** will it find nothing, or be wrong with confidence?

# %%
strange = Shapes(200, seed=6, outlines="blobs", n_objects=(4, 5), render_size=384)
blobs, gt = strange[168]
detections = model.detect([blobs])[0]
detections = detections[detections.scores > 0.5]
assert len(detections) >= len(gt["labels"])
either = (detections.masks[:, None] | gt["masks"]).sum(dim=(2, 3))
mask_iou = (detections.masks[:, None] & gt["masks"]).sum(dim=(2, 3)) / either  # [D, M]
assert min(t.amax(0).min() for t in (mask_iou, box_iou(detections.boxes, gt["boxes"]))) > 0.7
viz.show_detections(blobs, detections, model.classes, gt, strange.classes)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# It finds them and gives them class labels that are wrong: it might have predicted "background",
# but in training that meant regions without an outline, and then one of the classes must win. Its
# boxes and even its masks are good all the same: "where" was learned more generally than "what".
# </details>
#
# ## Play: a scene of your own
#
# Move the sliders (run the notebook first). When are objects missed? How small is too small?

# %%
from mrcnn_edu.course.widgets import scene_player

scene_player(model)

# %% [markdown]
# ## A real photograph
#
# The same steps at the paper's size: the shorter side becomes 800 pixels, and there are anchors
# from 32 to 512 pixels at every position. Preprocessing and anchors need no trained weights. With
# torchvision's published ones the second cell below finds the people and things in the photograph;
# the first time, `mrcnn_edu.load("coco-resnet50-fpn")` downloads them (170 MB), once.

# %%
photo = viz.sample_photograph()
paper = mrcnn_edu.MaskRCNN(mrcnn_edu.Config())
batch = paper.preprocess([photo])
height, width = batch.sizes[0]
anchors = paper.anchors(paper.features(batch), batch)
middle = [viz.anchors_at(level, (width / 2, height / 2)) for level in anchors]
scale = photo.shape[-1] / width
viz.show_boxes(photo, torch.cat(middle) * scale, "anchor", f"read at {width} x {height}")

# %%
# NBVAL_IGNORE_OUTPUT
picture = 'Run mrcnn_edu.load("coco-resnet50-fpn") once to see what it finds in the photograph.'
if mrcnn_edu.weights.is_downloaded("coco-resnet50-fpn"):
    published = mrcnn_edu.load("coco-resnet50-fpn")
    detections = published.detect([photo])[0]
    detections = detections[detections.scores > 0.7]
    picture = viz.show_detections(photo, detections, published.classes)
picture

# %% [markdown]
# ## Exercises
#
# Write your lines in the place of `...` and run the cell: it prints "ok", or "not yet" and why.
#
# **1.** `count_by_name(labels, classes)`: how many there are of each class, as
# `{"circle": 2, "star": 1}`, only names that occur; labels is a tensor `[D]`, perhaps empty, and
# classes the list of K names. Mind what label 0 is, and so which name label 1 has. About 2 lines.
# (Our solution, when you have tried: `print(getsource(exercises.count_by_name))`.)
#
# **2.** `mask_iou(a, b)`: for two masks `[H, W]` of bool, the number of pixels in both divided by
# the number in either; 0 if there are none. About 2 lines.

# %%
from mrcnn_edu.course.exercises import start_here as exercises


def count_by_name(labels, classes): ...


def mask_iou(a, b): ...


exercises.check_count_by_name(count_by_name)
exercises.check_mask_iou(mask_iou)

# %% [markdown]
# ## Remember
#
# - Image, features, proposals, region features, then class, box and mask of every region.
# - The first half asks "where might something be?", the second "what is it, and which pixels?".
# - Thousands of anchors become a hundred proposals, and those a handful of detections.
#
# torchvision calls the stages `transform`, `backbone`, `rpn` and `roi_heads`, detectron2
# `preprocess_image`, `backbone`, `proposal_generator` and `roi_heads`.
#
# ## The lessons
#
# <!-- lessons -->
# - 01 [Instance segmentation and its data](01_data.ipynb), 150 minutes: What is the ground truth of
#   an image, and how is it stored in a file?
#   <br><img src='pictures/01_data.png' height='90' alt=''>
# - 02 [Boxes](02_boxes.ipynb), 170 minutes: When do two boxes show the same object, and which of
#   them should stay?
#   <br><img src='pictures/02_boxes.png' height='90' alt=''>
# - 03 [From R-CNN to Mask R-CNN](03_history.ipynb), 95 minutes: What does each detector compute
#   once for an image, and what for every region?
#   <br><img src='pictures/03_history.png' height='90' alt=''>
# - 04 [Backbone and pyramid](04_backbone.ipynb), 60 minutes: On which feature map should a network
#   look for an object?
#   <br><img src='pictures/04_backbone.png' height='90' alt=''>
# - 05 [Anchors](05_anchors.ipynb), 160 minutes: How can a network with a fixed output shape return
#   any number of boxes?
#   <br><img src='pictures/05_anchors.png' height='90' alt=''>
# - 06 [The region proposal network](06_rpn.ipynb), 150 minutes: Which of thousands of anchors are
#   worth a closer look?
#   <br><img src='pictures/06_rpn.png' height='90' alt=''>
# - 07 [RoIPool against RoIAlign](07_roi_align.ipynb), 75 minutes: What does it cost a mask when
#   coordinates are rounded to whole numbers?
#   <br><img src='pictures/07_roi_align.png' height='90' alt=''>
# - 08 [Heads and the m x m mask](08_heads.ipynb), 75 minutes: Why should a mask keep its layout in
#   every layer, and how fine must it be?
#   <br><img src='pictures/08_heads.png' height='90' alt=''>
# - 09 [The mask loss](09_mask_loss.ipynb), 60 minutes: Why should the classes not compete for a
#   pixel?
#   <br><img src='pictures/09_mask_loss.png' height='90' alt=''>
# - 10 [Training](10_training.ipynb), 90 minutes: Which boxes does a network learn from, and how do
#   you see that it learns?
#   <br><img src='pictures/10_training.png' height='90' alt=''>
# - 11 [Detections and average precision](11_average_precision.ipynb), 75 minutes: How can one
#   number evaluate a ranked list of detections?
#   <br><img src='pictures/11_average_precision.png' height='90' alt=''>
# - 12 [Ablations](12_ablations.ipynb), 90 minutes: Which part of the network earns its place, and
#   how sure can you be?
#   <br><img src='pictures/12_ablations.png' height='90' alt=''>
# - 13 [FCIS against Mask R-CNN](13_fcis.ipynb), 60 minutes: Can a network predict masks without a
#   mask head, and what happens at overlaps?
#   <br><img src='pictures/13_fcis.png' height='90' alt=''>
# - 16 [The GPU and a kernel](16_gpu.ipynb), 90 minutes: Where does the time go on a GPU, and how
#   much of it does a kernel save?
#   <br><img src='pictures/16_gpu.png' height='90' alt=''>
# <!-- /lessons -->
#
# Next: **01, instance segmentation and its data**.
