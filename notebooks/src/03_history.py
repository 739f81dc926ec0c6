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
# # 03 · From R-CNN to Mask R-CNN
#
# **The question.** In 2012 a neural network could say what a photograph shows, but not where the
# objects are, nor how many. Which steps led from there to Mask R-CNN, and what was wrong with each
# of them, so that somebody took the next one?
#
# **You will be able to**
#
# - tell the story in four steps, and name the problem that each paper solved;
# - mark in each of the four detectors what it computes once for an image, what it computes for
#   every region, and which of its parts learn together;
# - show by an experiment which mistake no detector of this family can repair;
# - say which of the papers' figures can be compared, and what came after 2017.
#
# *Time: 95 minutes, of which the story takes 35. The last exercise can wait. You need lessons 00
# and 02. Reading: [Fast R-CNN](https://arxiv.org/abs/1504.08083), section 1, which tells the first
# half of this story in two pages.*

# %%
from math import comb

import torch
from skimage.color import label2rgb
from skimage.data import coffee
from skimage.segmentation import felzenszwalb

from mrcnn_edu import ancestors, viz
from mrcnn_edu.ancestors.cost import measure_cost
from mrcnn_edu.ancestors.rcnn import warp_regions
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.data import Shapes

# %% [markdown]
# ## One picture, one label
#
# In 2012
# [AlexNet](https://proceedings.neurips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html),
# a convolutional network by Krizhevsky, Sutskever and Hinton, won the ImageNet competition by a
# wide margin. It chose one of 1,000 labels for each photograph, and "espresso" and "cup" are among
# them. But the photograph below shows three objects. One label can't tell us that, nor where they
# are.

# %%
pixels = coffee()[::2, ::2]  # every other pixel: [200, 300, 3]
photo = torch.from_numpy(pixels).permute(2, 0, 1) / 255
objects = [[95, 9, 204, 153], [38, 35, 239, 196], [164, 33, 212, 163]]
objects = torch.tensor(objects).float()  # cup, saucer and spoon
viz.show_boxes(photo, objects, "gt").caption(
    "Figure 1. Three objects, with boxes that we marked by hand: a cup, "
    "a saucer and a spoon. A classifier gives the whole picture one label."
)

# %% [markdown]
# An obvious idea is to cut the picture into boxes and to classify what is in each of them. A box
# around the spoon would get the label "spoon", and the box would tell us where it is. But which
# boxes should we try?
#
# > **Predict.** This picture has 300 × 200 pixels. How many different boxes fit into it, if their
# > corners have whole-number coordinates: about 60 thousand, 9 million, or 900 million?

# %%
n_boxes = comb(301, 2) * comb(201, 2)
print(f"{n_boxes:,} boxes, {n_boxes / 1000 / 3600 / 24:.1f} days at 1 ms each")

# %% [markdown]
# **What happened.** A box is given by two of the $W + 1$ vertical lines between pixels and two of
# the $H + 1$ horizontal ones, so an image of $W \times H$ pixels has
#
# $$N = \binom{W + 1}{2} \binom{H + 1}{2}$$
#
# boxes. If you said 60 thousand, you counted positions, but at each position there are boxes of all
# sizes and shapes. At a thousand boxes a second, a network would be busy with this one picture for
# ten days.
#
# Detectors of that time, such as the [deformable part
# models](https://doi.org/10.1109/TPAMI.2009.167) of Felzenszwalb, Girshick, McAllester and Ramanan
# (2010), slid windows of a few shapes over a coarse grid. They could afford that because their
# features were cheap to compute. For a deep network, somebody had to choose the boxes.
#
# ## Where to look, without learning
#
# **Selective search** by [Uijlings, van de Sande, Gevers and
# Smeulders](https://doi.org/10.1007/s11263-013-0620-5) (2013) relies on a simple observation: the
# pixels of an object often look alike. It divides the image into small pieces of similar color.
# Then it merges the two neighbors that look most alike, again and again, until the whole image is
# one piece. Every piece that occurs along the way gives a box. All of this is repeated with other
# color spaces and other initial pieces, and the boxes of all rounds are the proposals. They are
# sorted so that pieces that were created late tend to come first, because a large piece is more
# likely to be a whole object.

# %%
proposals = ancestors.selective_search(photo)  # takes a few seconds
iou = box_iou(objects, proposals)  # [3, N]
best_iou, rank = iou.max(dim=1)  # for each object, the one that fits best
print(len(proposals), "proposals; the best have IoUs", best_iou)

# %%
segments = felzenszwalb(pixels, scale=100, min_size=20)
painted = torch.from_numpy(label2rgb(segments, pixels, kind="avg")) / 255
picture, (left, right) = viz.row(2, ratio=2 / 3)
viz.draw_image(left, painted.permute(2, 0, 1), "small pieces")
viz.draw_image(right, photo, "three of the proposals")
viz.draw_boxes(right, proposals[rank], "proposal")
picture.caption(
    "Figure 2. Left: an example of the small pieces that the search starts "
    "from, each in its mean color. Right: the best proposals for cup, saucer "
    "and spoon."
)

# %% [markdown]
# For each of the three objects there is a proposal with an IoU above 0.7 among the first hundred,
# although nothing here has ever been trained. But selective search doesn't know what an object is.
# Most of its other boxes hold a shadow, a piece of wood, or half a cup, and something has to tell
# the good ones from the bad.

# %% tags=["claim"]
assert (best_iou > 0.7).all() and rank.max() < 100
assert 900e6 < n_boxes < 910e6 and 10 < n_boxes / 1000 / 3600 / 24 < 11

# %% [markdown]
# ## 1. R-CNN: classify every region
#
# [R-CNN](https://arxiv.org/abs/1311.2524) by Girshick, Donahue, Darrell and Malik (2014) put the
# two together. **R-CNN** stands for regions with CNN features. It takes about 2,000 proposals from
# selective search and scales each to 227 × 227 pixels, whatever its shape. This is called
# **warping**. A network like AlexNet then turns every warped region into a vector of features.

# %%
cup, saucer, spoon = warp_regions(photo, proposals[rank], size=227, context=0)
viz.show_images({"cup": cup, "saucer": saucer, "spoon": spoon}).caption(
    "Figure 3. What R-CNN's network sees: regions that are warped to squares. "
    "The spoon has become wide, because its proposal is narrow."
)

# %% [markdown]
# There were too few photographs with boxes to train such a network from scratch. So it first
# learned to classify ImageNet's photographs, which is called **pretraining**. Three more stages
# followed ([R-CNN](https://arxiv.org/abs/1311.2524), section 2.3 and appendix C):
#
# 1. *Fine-tuning.* The network learns to classify warped regions. A region counts as an object if
#    its IoU with the object's box is at least 0.5.
# 2. *SVMs.* The features of all regions are saved to disk, and for each class a **support vector
#    machine** is fitted to them, a linear classifier that keeps as wide a margin as it can between
#    the class and everything else. Its positive examples are the ground-truth boxes alone, and its
#    negative ones are regions with an IoU below 0.3. There are far too many of these, so it is
#    fitted again and again to those that it still gets wrong. This is **hard negative mining**.
# 3. *Box regressors.* Another linear model for each class predicts the box deltas of lesson 02,
#    which move a proposal onto its object.
#
# Why SVMs, when the network already classifies? With the network's own scores, accuracy on Pascal
# VOC 2007 dropped from 54.2 to 50.9 % ([R-CNN](https://arxiv.org/abs/1311.2524), appendix B).
# Probably the examples made the difference, because a region with an IoU of 0.5 is a sloppy example
# of its class, while the SVMs had exact boxes and the hardest negatives.
#
# R-CNN was a sensation. On VOC 2012 it was better than the best earlier result by more than 30 % of
# that result. But 2,000 regions are 103 million pixels, for a photograph that has fewer than 0.2
# million. With the deeper network VGG-16, one photograph took 47 seconds on a GPU, and the saved
# features took hundreds of gigabytes ([Fast R-CNN](https://arxiv.org/abs/1504.08083), section 1.1).
#
# ## 2. Fast R-CNN: one pass, one loss
#
# Proposals overlap. In our photograph, a pixel in the middle of the cup lies in more than a hundred
# of them, so R-CNN computes its features more than a hundred times.
# [SPPnet](https://arxiv.org/abs/1406.4729) by He, Zhang, Ren and Sun (2014) turned the order
# around. It sends the whole image through the convolutions once, and then cuts the regions out of
# the feature map. [Fast R-CNN](https://arxiv.org/abs/1504.08083) by Girshick (2015) builds on that.
# In **Fast R-CNN**, **RoIPool** divides each region of the feature map into 7 × 7 bins and keeps
# the largest value of each channel in each bin. You met its successor, RoIAlign, in lesson 00. Then
# come two fully connected layers and two outputs side by side, class scores and box deltas.
#
# Training changed just as much. One loss replaces the SVMs and the separate regressors ([Fast
# R-CNN](https://arxiv.org/abs/1504.08083), equation 1):
#
# $$L = L_{cls}(p, u) + \lambda\, [u \ge 1]\, L_{loc}(t^u, v)$$
#
# Here $p$ are the predicted class probabilities and $u$ is the region's true class, with 0 for
# background. $t^u$ are the deltas that the network predicts for class $u$, and $v$ are those that
# lead to the object's box. The bracket $[u \ge 1]$ is 1 for an object and 0 for background, which
# has no box. The weight $\lambda$ is 1. The gradient of this one number reaches the convolutions,
# so they learn what is good for classes and for boxes at the same time. This is **end-to-end
# training**, of everything but the proposals.

# %%
viz.show_trained_together().caption(
    "Figure 4. From top to bottom, more and more parts learn together from "
    "one loss. R-CNN trained its three parts one after the other."
)

# %% [markdown]
# Nothing is saved to disk any more, and training with VGG-16 took 9.5 hours instead of 84. The time
# for an image fell from 47 to 0.32 seconds ([Fast R-CNN](https://arxiv.org/abs/1504.08083), table
# 4). Lesson 17 looks at where that comes from.
#
# ## 3. Faster R-CNN: the network proposes
#
# The 0.32 seconds leave something out, namely selective search. With it, an image took 1.83
# seconds, and 1.51 of them were the search ([Faster R-CNN](https://arxiv.org/abs/1506.01497), table
# 5). Once the network was fast, the proposals were the slow part.
#
# [Faster R-CNN](https://arxiv.org/abs/1506.01497) by Ren, He, Girshick and Sun (2015) takes the
# proposals from the feature map, which has been computed anyway and describes what is at every
# location. So a small network slides over it and predicts at each location whether an object is
# near, and where its box lies. This is the region proposal network, the RPN of lesson 00. It needs
# 10 milliseconds instead of 1.5 seconds, and because it learns what objects look like, 300 of its
# proposals do better than 2,000 of selective search. **Faster R-CNN** is Fast R-CNN with an RPN on
# the same backbone. At first the two were trained in turns, and soon together.
#
# ## 4. Mask R-CNN: an outline for every region
#
# In the next two years backbones became deeper, with [ResNet](https://arxiv.org/abs/1512.03385),
# and got a pyramid of feature maps, [FPN](https://arxiv.org/abs/1612.03144). Lesson 04 is about
# both. What was still missing was the outline. [Mask R-CNN](https://arxiv.org/abs/1703.06870) by
# He, Gkioxari, Dollár and Girshick (2017) adds it with surprisingly little. A third branch, a small
# network of convolutions, predicts a mask for each region, beside class and box, and it adds about
# 20 % to the time ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3.1). And RoIAlign
# replaces RoIPool, which rounds coordinates. A class label survives that, but a mask does not, as
# lesson 07 shows.
#
# A region's loss is again a sum, $L = L_{cls} + L_{box} + L_{mask}$, and the RPN's losses are added
# to it. So **Mask R-CNN** is Faster R-CNN with one more loss term, and with features that are read
# at the right position.

# %% tags=["cover"]
viz.show_family().caption(
    "Figure 5. The four R-CNNs. From R-CNN to Faster R-CNN, more and more is "
    "computed once for the image (green). Mask R-CNN adds a branch that runs "
    "for each region, and reads the features at exact positions."
)

# %% [markdown]
# There was a rival. [FCIS](https://arxiv.org/abs/1611.07709) by Li, Qi, Dai, Ji and Wei (2017) had
# won the COCO segmentation challenge of 2016, and it has no heads at all. Like
# [R-FCN](https://arxiv.org/abs/1605.06409) (2016), it computes a map for each *part* of an object,
# such as its upper left, which says where such parts are. These are **position-sensitive maps**,
# and a region only looks up its parts in them. That is elegant, but where objects overlap, their
# parts get mixed up. Lesson 13 lets the two compete.

# %% tags=["claim"]
in_middle = torch.zeros(200, 300)
for x1, y1, x2, y2 in proposals.long().tolist():
    in_middle[y1:y2, x1:x2] += 1
assert in_middle[30:130, 110:190].min() > 100  # the middle of the cup
assert 2000 * 227 * 227 // 10**6 == 103 and 500 * 375 < 200_000  # a typical photograph of VOC
assert round(0.146 + 1.510 + 0.174, 2) == 1.83 and round(0.146 + 0.174, 2) == 0.32

# %% [markdown]
# ## 5. All five on one scene
#
# The package contains all five, built from the same parts and trained on the same 2,000 synthetic
# images. They are not exact copies of the papers' models. Our Faster R-CNN, for example, already
# has FPN and RoIAlign, while our Fast R-CNN reads a single coarse map with RoIPool, as in its
# paper. We let them detect the objects of one scene. R-CNN and Fast R-CNN get the first 100
# proposals of selective search, and the other three find their own.
#
# > **Predict.** How many images or warped regions pass through the backbone of each of the five?
# > And which of the five will return outlines?

# %%
names = ["R-CNN", "Fast R-CNN", "Faster R-CNN", "FCIS", "Mask R-CNN"]
files = ["rcnn", "fast-rcnn", "faster-rcnn", "fcis", "mask-rcnn"]
systems = {}
for name, file in zip(names, files, strict=True):
    systems[name] = ancestors.load(file)
image, target = Shapes(100, seed=5, render_size=384)[58]
small_image, _ = Shapes(100, seed=5)[58]  # the same scene, 96 pixels wide
searched = 4 * ancestors.selective_search(small_image, n=100)  # [100, 4]

# %%
detections = {}
for name, system in systems.items():
    needs_proposals = name in ("R-CNN", "Fast R-CNN")
    given = {"proposals": [searched]} if needs_proposals else {}
    (found,), cost = measure_cost(system, [image], **given)
    detections[name] = found[found.scores > 0.5]
    print(f"{name:13} {cost.passes:3} through the backbone")

# %%
classes = systems["R-CNN"].classes
viz.show_comparison(image, detections, classes, target).caption(
    "Figure 6. Five detectors on one scene of five objects. Those whose "
    "training included masks outline what they find."
)

# %% [markdown]
# **What happened.** R-CNN sends all 100 regions through its backbone, and the others send one
# image. Outlines come from FCIS and Mask R-CNN only. Look at the boxes as well. Those of Fast R-CNN
# are the least exact, probably because it is the only one that reads a single coarse map with
# RoIPool. Those of R-CNN are surprisingly good, but a warped region with one of our synthetic
# shapes in it is an easy picture. On photographs the order was a different one, as we will see now.

# %% tags=["claim"]
assert [len(found) for found in detections.values()] == [5] * 5 == [len(target["labels"])] * 5
for found in detections.values():
    same = found.labels == target["labels"][:, None]
    assert (box_iou(target["boxes"], found.boxes) * same).amax(dim=1).min() > 0.7
assert [name for name, d in detections.items() if d.masks is not None] == ["FCIS", "Mask R-CNN"]
mean_iou = {n: box_iou(target["boxes"], d.boxes).amax(dim=1).mean() for n, d in detections.items()}
assert min(mean_iou, key=mean_iou.get) == "Fast R-CNN"

# %% [markdown]
# ## 6. Three and a half years
#
# > **Predict.** R-CNN with VGG-16 needed 47 seconds for an image. Mask R-CNN appeared less than
# > three and a half years after R-CNN. Its backbone is much deeper, and it draws masks. How many
# > seconds does it need: about 5, 1, or 0.2?

# %%
viz.show_timeline().caption(
    "Figure 7. Eight papers by the month in which they appeared on arXiv, "
    "with the accuracy and the seconds per image that they or later papers "
    "report. A gap means that there is no comparable number."
)

# %% [markdown]
# **What happened.** It needs about 0.2 seconds, so it is more than 200 times as fast as R-CNN. Fast
# R-CNN and Faster R-CNN each removed what had been the slowest part. After that the time hardly
# changed, and the progress went into accuracy and masks.
#
# Read such a figure with care. AP, average precision, measures accuracy, and lesson 11 defines it.
# Pascal VOC and COCO differ in their photographs and in what counts as a correct box, so the same
# method, Faster R-CNN, reaches 69.9 % on one and 21.5 % on the other. Compare bars within a row
# only, and look at the backbone below them, because a better backbone improves every detector. With
# times, ask what they include. R-CNN's leaves out selective search, Fast R-CNN's contains it, and
# later papers used other GPUs.

# %% tags=["claim"]
assert 47 / 0.195 > 200

# %% [markdown]
# ## Where it breaks
#
# All five share a weakness. Whatever comes after the proposals can only score them and correct them
# a little. So what happens to an object that nobody has proposed? We take proposals of the star
# away from Fast R-CNN, first those with an IoU of 0.7 or more, then all of 0.5 or more, and then
# all of 0.3 or more.
#
# > **Predict.** Other proposals still touch the star. Will the head move one of them onto it? If
# > not, at which of the three steps is the star lost?

# %%
star = target["boxes"][2:3]
star_iou = box_iou(star, searched)[0]  # [100]


def detect_below(limit):
    """What Fast R-CNN detects with proposals below an IoU with the star."""
    kept = searched[star_iou < limit]
    (found,) = systems["Fast R-CNN"].detect([image], proposals=[kept])
    return found[found.scores > 0.5]


for limit in (1.0, 0.7, 0.5, 0.3):
    reached = box_iou(star, detect_below(limit).boxes).max()
    print(f"only proposals below {limit}: IoU {reached:.2f}")

# %%
panels = {
    "all proposals": (detect_below(1.0).boxes, "detection"),
    "without IoU 0.5 and more": (detect_below(0.5).boxes, "detection"),
}
viz.show_panels(image, panels).caption(
    "Figure 8. Fast R-CNN's detections with all proposals, and without those "
    "that have an IoU of 0.5 or more with the star. The star, in the lower "
    "left corner, is lost, although other proposals still touch it."
)

# %% [markdown]
# **What happened.** Without the best proposals, those of 0.7 and more, the star is still found, but
# its box is worse. Without those of 0.5 and more it is lost, although 14 other proposals touch it.
# In training, regions below that IoU were background, so background is what the head predicts for
# them.
#
# You would notice this failure by measuring **recall**, the fraction of objects that have a good
# proposal. If it is 90 %, one object in ten is lost before any head has looked at it. Lesson 06
# measures the RPN's.

# %% tags=["claim"]
by_limit = [box_iou(star, detect_below(n).boxes).max().item() for n in (1.0, 0.7, 0.5, 0.3)]
assert by_limit[0] > by_limit[1] > 0.5 and max(by_limit[2:]) < 0.1
assert ((star_iou > 0) & (star_iou < 0.5)).sum() == 14

# %% [markdown]
# ## Play
#
# Give R-CNN or Fast R-CNN only the first proposals of selective search, and write down what you
# find.
#
# - How many proposals does it take until all five objects have one? Are all five detected then?
# - Which object is the last one, and why might selective search have trouble with it?
# - Go on to 100. What happens to a detection that was right with 50 proposals?

# %%
from mrcnn_edu.course.widgets import history_player

search_based = {name: systems[name] for name in ("R-CNN", "Fast R-CNN")}
history_player(search_based, image, target, searched).caption(
    "Figure 9. Left: the given proposals (gray), and the best one on each "
    "object (orange). Right: what the detector finds with them."
)

# %% [markdown]
# ## What came after
#
# The R-CNNs are *two-stage* detectors, because proposals come first and heads second. A **one-stage
# detector** such as [YOLO](https://arxiv.org/abs/1506.02640),
# [SSD](https://arxiv.org/abs/1512.02325) (both 2016) or
# [RetinaNet](https://arxiv.org/abs/1708.02002) (2017) predicts classes and boxes at every location
# at once, which is simpler and faster. *Anchor-free* detectors such as
# [FCOS](https://arxiv.org/abs/1904.01355) and [CenterNet](https://arxiv.org/abs/1904.07850) (2019)
# do without the fixed boxes that lesson 05 is about. In [DETR](https://arxiv.org/abs/2005.12872)
# (2020) a transformer predicts the whole set of objects, one box for each, so it needs no NMS
# either. [Mask2Former](https://arxiv.org/abs/2112.01527) (2022) predicts masks in this way and
# solves semantic, instance and panoptic segmentation with one network. [Segment
# Anything](https://arxiv.org/abs/2304.02643) (2023) has learned from a billion masks to outline
# whatever you point at, but it doesn't say what that is. Mask R-CNN is still around, too. New
# backbones are often tested with it, as in [ViTDet](https://arxiv.org/abs/2203.16527) (2022).
#
# ## Exercise 1: in which order?
#
# ★☆☆ · about 5 minutes
#
# Mask R-CNN detects in ten steps, which are `exercises.STEPS` in the right order. Before you look
# at that list, write your own. `in_order(steps)` gets a few of the ten strings in random order and
# returns them as a list in the order in which Mask R-CNN runs them.
#
# The ten, in no useful order: `"NMS of the detections"`, `"NMS of the proposals"`, `"RPN head"`,
# `"RoIAlign of the detections"`, `"RoIAlign of the proposals"`, `"backbone and FPN"`, `"box head"`,
# `"mask head"`, `"paste the masks"`, `"scale the image"`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
#
# Put the ten into a list of your own, in order. To sort others by it, use each string's index in
# the list as the key.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
#
# Mask R-CNN does not predict masks for all proposals. What has to be known before it can choose the
# boxes that get one?
# </details>
# <details><summary><b>Solution</b></summary>
#
# Run `exercises.STEPS`, and then `exercises.in_order??`, each in a cell of its own.
# </details>

# %%
from mrcnn_edu.course.exercises import history as exercises


def in_order(steps): ...


exercises.check_in_order(in_order)

# %% [markdown]
# ## Exercise 2: once, or for every region?
#
# ★★☆ · about 10 minutes
#
# Write `count_runs(detector, part, n_regions, n_detections)`: how often does a detector run one of
# its parts for one image? `detector` is `"R-CNN"`, `"Fast R-CNN"`, `"Faster R-CNN"` or `"Mask
# R-CNN"`, and `part` is `"selective search"`, `"backbone"`, `"RPN"`, `"class and box"` or `"mask"`.
# There are `n_regions` proposals, and `n_detections` boxes are left at the end. Mask R-CNN predicts
# masks for these alone.
#
# For example, `count_runs("R-CNN", "backbone", 300, 20)` is 300, and for `"Fast R-CNN"` it is 1. A
# detector without a part runs it 0 times.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
#
# Go through the columns of Figure 5. Which blocks are yellow, and which are not there at all?
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
#
# For Mask R-CNN with 300 proposals and 20 detections: 0 searches, 1 pass through the backbone, 1
# run of the RPN, 300 of class and box, and 20 of the mask branch.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Run `exercises.count_runs??` in a cell of its own.
# </details>

# %%
def count_runs(detector, part, n_regions, n_detections): ...


exercises.check_count_runs(count_runs)

# %% [markdown]
# ## Exercise 3: the heart of selective search
#
# ★★★ · 30 to 60 minutes
#
# Write `group_regions(colors, sizes, boxes, neighbors)`, which merges the pieces of an image until
# no two of them touch, and returns the boxes of all regions that existed on the way. It is a simple
# form of algorithm 1 of [selective search](https://doi.org/10.1007/s11263-013-0620-5).
#
# - `colors` `[n, 3]`: the mean color of each of the $n$ initial regions. `sizes` `[n]`: their
#   numbers of pixels. `boxes` `[n, 4]`. `neighbors`: a list of pairs `(i, j)` of regions that
#   touch.
# - The distance of two regions $a$ and $b$ with colors $c$, sizes $s$ and an image of $S$ pixels,
#   the sum of all initial sizes, is $\lVert c_a - c_b \rVert + (s_a + s_b) / S$.
# - As long as two regions touch, merge the two that are closest. The merged region gets the next
#   number, the mean color of its pixels, and the box around both. It touches whatever one of its
#   two parts touched, and the parts are gone.
# - Return a tensor `[n + merges, 4]`: the initial boxes, then the merged ones in the order in which
#   they were created.
#
# For example, three gray regions in a row with grays 0.1, 0.8 and 0.9 and 40 pixels each: regions 1
# and 2 merge first and become region 3, then regions 0 and 3 merge and become region 4. So there
# are five boxes.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
#
# Keep growing lists of colors, sizes and boxes, and a set of the pairs that touch. In each round,
# choose the pair with the smallest distance, append the merged region to the lists, and rename its
# two parts in all other pairs.
# </details>
# <details><summary><b>Hint 2</b>: a structure that helps</summary>
#
# The pair (1, 2) is the same as (2, 1). So is <code>frozenset((1, 2))</code> the same as
# <code>frozenset((2, 1))</code>, and a set of frozensets drops pairs that have become equal.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
#
# The mean color of a merged region is weighted by size: a large region hardly changes when a small
# one joins it. And the size term makes small regions merge first. Without it, one region would
# swallow its neighbors one by one.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Run `exercises.group_regions??` in a cell of its own.
# </details>

# %%
def group_regions(colors, sizes, boxes, neighbors): ...


exercises.check_group_regions(group_regions)

# %% [markdown]
# ## Remember
#
# - R-CNN showed that a classifier becomes a detector if somebody proposes regions. It ran a network
#   on each of 2,000 regions and trained in three stages.
# - Fast R-CNN computes features once for the image and learns with one loss. Faster R-CNN takes the
#   proposals from the same features. Mask R-CNN adds a mask branch, and rounds nothing.
# - An object without a good proposal is lost, however good the heads are.
#
# **In the wild.** torchvision has `fasterrcnn_resnet50_fpn` and `maskrcnn_resnet50_fpn`. In
# detectron2 both are the class `GeneralizedRCNN`, and `MODEL.MASK_ON` decides which of the two it
# is. With the proposal generator `PrecomputedProposals` it becomes Fast R-CNN. What each part costs
# is the subject of lesson [17](17_costs.ipynb), which you can read after lesson 08.
#
# **Next:** [04, backbone and pyramid](04_backbone.ipynb), the pass over the image that all regions
# share.
