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
# # 15 · Real photographs: published weights, your own data
#
# **The question.** So far every image was rendered by a program that knew where its objects are.
# What changes when the picture comes from a camera, nobody has labeled it, and the objects in it
# are the ones that *you* care about?
#
# **You will be able to**
#
# - follow a photograph of your own through all stages of a network, from its size on disk to the
#   masks;
# - turn an unlabeled photograph into a COCO folder, correct outlines by hand, and find mistakes in
#   a file of annotations before they cost you a training run;
# - fine-tune a detector on a handful of labeled objects in a minute, measure it fairly, and say how
#   many labels you need;
# - ask which pixels decided on a class, a box and a mask;
# - find out why a model is bad, in seven questions.
#
# *Time: 200 minutes, of which 45 are for the larger task at the end. The cells run for about a
# minute, because we train three small models. You need lessons 01 (COCO files), 10 (training) and
# 11 (average precision). Reading: [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3.1.*

# %%
import json
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from PIL import Image
from skimage import data as photographs

from mrcnn_edu import load, viz
from mrcnn_edu.course import coin_runs, coins

viz.show_architecture("image").caption(
    "Figure 1. Mask R-CNN once more. Today nothing in it will be new but the "
    "image."
)

# %% [markdown]
# ## 1. One photograph, all stages
#
# Before we teach a network anything, let's see what it does with a photograph at all. Three of them
# come with scikit-image. All are free to use, which is the first thing to know about any picture,
# and we'll come back to it.


# %%
def as_image(pixels):
    """An image [3, H, W] in 0..1 from an array [H, W] or [H, W, 3]."""
    image = torch.from_numpy(np.asarray(pixels) / np.float32(255))
    if image.ndim == 2:
        return image.expand(3, -1, -1).contiguous()
    return image.permute(2, 0, 1).contiguous()


coffee = as_image(photographs.coffee())
chelsea = as_image(photographs.chelsea())
astronaut = as_image(photographs.astronaut())
shown = {"coffee": coffee, "chelsea": chelsea, "astronaut": astronaut}
picture, panels = viz.row(3, 1.8)
for axes, (name, image) in zip(panels, shown.items(), strict=True):
    viz.draw_image(axes, image, name)
picture.caption(
    "Figure 2. Three photographs of different sizes. A camera's would be "
    "dozens of times as large."
)

# %% [markdown]
# A network has no idea of millimeters. Its anchors have sizes in pixels, and so an object must have
# about as many pixels in use as it had in training. Therefore every image is resized first. Let an
# image have $H \times W$ pixels, let $S$ be the length that its shorter side should have, and $L$
# the largest length that its longer side may have. Both sides are multiplied by
#
# $$
# s = \min\left(\frac{S}{\min(H, W)},\ \frac{L}{\max(H, W)}\right).
# $$
#
# [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3.1, takes $S = 800$, and the libraries
# add $L = 1333$, so that a panorama doesn't fill the memory. Then the image is padded at the right
# and at the bottom, until both sides are multiples of the coarsest stride. Our small model,
# shapes-tiny, has $S = 96$, $L = 160$ and a coarsest stride of 16.
#
# > **Predict.** What size does shapes-tiny see of the coffee, which has 400 × 600 pixels? And what
# > size would a full-size model see, whose coarsest stride is 32?

# %%
from mrcnn_edu.images import scaled_size


def padded(size, multiple):
    """The size, with each side rounded up to a multiple."""
    return tuple(-(-side // multiple) * multiple for side in size)


for name, image in shown.items():
    size = tuple(image.shape[1:])
    small = scaled_size(size, 96, 160)
    full = scaled_size(size, 800, 1333)
    print(f"{name}: {size}")
    print(f"    tiny {small}, padded {padded(small, 16)}")
    print(f"    full {full}, padded {padded(full, 32)}")

# %% [markdown]
# **What happened.** For the tiny model $s = 96/400 = 0.24$, so the coffee becomes $96 \times 144$,
# and both are multiples of 16 already. For the full-size model $s = 2$. It *enlarges* the
# photograph to $800 \times 1200$, and pads the 1,200 to 1,216. Enlarging adds no detail, but it
# brings a cup of 250 pixels to the 500 pixels that an anchor of 512 was made for.
#
# Now the whole way, in one call. `viz.show_stages` takes any checkpoint and any image. We give it
# shapes-tiny, because its weights are on your computer. Let's be clear about what that means. This
# network has seen synthetic paper shapes and nothing else. It can't know what a cup is. The picture
# shows what each stage *does* with a photograph, and not what a good detector would find there.

# %% tags=["cover"]
shapes_tiny = load("shapes-tiny")
viz.show_stages(shapes_tiny, coffee).caption(
    "Figure 3. A photograph through all stages of shapes-tiny. It proposes "
    "the cup, parts of the saucer and a dark corner, and it is confident "
    "about classes that are not in the picture."
)

# %% [markdown]
# Go through it panel by panel, and compare each one with the lesson that explains it. The dashed
# colors in panel 2 are the anchors of the pyramid's levels at one location (lessons 04 and 05).
# Panel 3 is the objectness of the best anchor at each location, in squares as large as the stride
# of its level (lesson 06). Panel 5 shows the length of the feature vector in each bin that RoIAlign
# reads (lesson 07), panels 6 and 7 are the two heads (lesson 08), and panel 8 is what remains after
# non-maximum suppression (lesson 11).
#
# A good habit is hidden in this picture. When a detector fails, don't stare at the last panel. Find
# the *first* panel that is wrong.

# %% [markdown]
# ### The camera was held sideways
#
# One more thing can happen to a photograph before any network sees it. A camera that is held
# upright stores the picture lying on its side, together with a note that says how to turn it back.
# The note is part of **EXIF**, the data that cameras store in image files. Viewers obey it, so you
# never notice. A program that reads only the pixels gets a picture that lies on its side, while the
# outlines in your file stand upright.
#
# > **Predict.** We store Chelsea the way such a camera does. Her photograph is 300 pixels high and
# > 451 wide. Which sizes do Pillow and the package report?

# %%
from mrcnn_edu.data.image_file import read_image

folder = Path(mkdtemp())
lying = Image.fromarray(photographs.chelsea()).transpose(
    Image.Transpose.ROTATE_90
)
exif = Image.Exif()
exif[0x0112] = 6  # "turn me by 90 degrees clockwise"
lying.save(folder / "chelsea.jpg", exif=exif)

with Image.open(folder / "chelsea.jpg") as file:
    print("Pillow:     ", file.size[::-1])
print("the package:", tuple(read_image(folder / "chelsea.jpg").shape[1:]))

# %% [markdown]
# **What happened.** Pillow gives the pixels as they are stored, 451 high and 300 wide, and leaves
# the turning to you (`ImageOps.exif_transpose`). The package turns. Most labeling tools do, too,
# but some don't, and then outlines and pixels disagree by a quarter turn. So the package compares
# the size with the one in the JSON file. If only the stored picture fits, it takes that one, and
# `check-data` tells you. With a square photograph nobody can tell, and you have to look.

# %% tags=["claim"]
with Image.open(folder / "chelsea.jpg") as file:
    assert file.size == (300, 451)
turned = read_image(folder / "chelsea.jpg")
assert (turned - chelsea).abs().mean() < 0.03

# %% tags=["claim"]
assert scaled_size((400, 600), 96, 160) == (96, 144) == padded((96, 144), 16)
assert scaled_size((400, 600), 800, 1333) == (800, 1200)
assert padded((800, 1200), 32) == (800, 1216)
seen = shapes_tiny.detect([coffee])[0]
assert seen.scores.max() > 0.9

# %% [markdown]
# ## 2. A photograph that nobody has labeled
#
# Now to our own project. Here are 24 Greek coins from Pompeii, photographed for the Brooklyn
# Museum. There are no masks, no boxes, no classes. We want a detector that outlines coins, and we
# want it before the tea is cold.

# %%
photo = coins.photograph()  # [3, 303, 384]
picture, (left, right) = viz.row(2, 2.5, photo.shape[1] / photo.shape[2])
viz.draw_image(left, photo, "the photograph")
gray = (255 * photo[0]).round()
viz.draw_map(right, (gray > 107).float(), "brighter than 107", high=1)
picture.caption(
    "Figure 4. Twenty-four coins, and the pixels brighter than Otsu's "
    "threshold. The paper in the upper left corner is as bright as a coin."
)

# %% [markdown]
# Could a computer outline the coins without learning anything? They are brighter than the paper, so
# a **threshold** suggests itself. [Otsu's method](https://doi.org/10.1109/TSMC.1979.4310076)
# chooses the one that separates bright and dark pixels best, and for this photograph it is 107.
# Figure 4 shows what comes of it. The light fell from the upper left, and there the paper is
# brighter than some coins elsewhere. No single threshold can be right.
#
# But we don't need to know where exactly a coin ends. We need some pixels that are *certainly* on a
# coin, some that are *certainly* paper, and a way to decide about those in between. Think of the
# photograph's edges, the amount by which brightness changes from pixel to pixel, as mountains. Pour
# water from all the certain pixels at once, in two colors, and let it rise. The two colors meet on
# the ridges, and the ridges are the outlines of the coins. This is a
# [**watershed**](https://doi.org/10.1109/34.87344).

# %%
from scipy.ndimage import binary_fill_holes
from skimage import filters, measure, segmentation

seeds = np.zeros(gray.shape, dtype=int)
seeds[gray < 30] = 1  # certainly paper
seeds[gray > 150] = 2  # certainly a coin
edges = filters.sobel(gray.numpy() / 255)  # how steep it is
flooded = segmentation.watershed(edges, seeds)

labels = measure.label(binary_fill_holes(flooded == 2))
regions = [r for r in measure.regionprops(labels) if r.area >= 400]
print(f"{labels.max()} regions, {len(regions)} of 400 pixels or more")

# %%
masks = coins.in_reading_order(
    torch.from_numpy(np.stack([labels == r.label for r in regions]))
)  # [24, 303, 384], row by row
steps = {
    "seeds": torch.from_numpy(seeds).float() / 2,
    "edges": torch.from_numpy(edges),
    "24 masks": masks.sum(dim=0).float(),
}
picture = viz.show_maps(list(steps.values()), list(steps))
picture.format = "jpeg"  # a map of a photograph is a photograph
picture.caption(
    "Figure 5. Certain pixels (white: coin, red: paper), the edges that the "
    "water climbs, and the regions where the two waters met."
)

# %% [markdown]
# Ten lines of code, and 24 coins. Why train a network at all, then? Because these ten lines work on
# *this* photograph. The numbers 30, 150 and 400 were found by looking at it, and another lamp,
# another sheet of paper or two coins that touch would need others. But as a way to get *labels* it
# is hard to beat. Whatever takes the first outline off your hands, a watershed, an older model or a
# large pretrained one such as [Segment Anything](https://arxiv.org/abs/2304.02643), makes labeling
# much faster. You then look at each outline, and correct the bad ones.

# %% tags=["claim"]
assert filters.threshold_otsu(photographs.coins()) == 107
assert masks.equal(coins.automatic_masks(photo)) and len(masks) == 24
assert (gray > 107).float()[:20, :200].mean() > 0.9  # the upper left corner

# %% [markdown]
# ## 3. Correct two of them by hand
#
# And some are bad. Coin 6, the first one of the second row, has grown two ears at its lower edge.
# These corners really are bright in the photograph, as if somebody had retouched it with scissors.
# They are not part of the coin. Coin 12, below it, has lost its dark upper rim.
#
# Correct both of them here. You don't need to be exact to a tenth of a pixel. Nobody is.

# %%
from mrcnn_edu.course.widgets import polygon_player

top, bottom, left_edge, right_edge = 95, 225, 12, 80
window = photo[:, top:bottom, left_edge:right_edge]
outlines = {
    f"coin {i}": coins.polygon_around(
        masks[i, top:bottom, left_edge:right_edge]
    )
    for i in coins.FLAWED
}
editor = polygon_player(window, outlines)
editor.caption(
    "Figure 6. The outlines of two coins as the watershed found them. Drag a "
    "vertex; double-click an edge to add one, or a vertex to remove it."
)

# %% [markdown]
# Python reads what you drew. If you didn't change anything, we take the outlines that we drew
# ourselves.

# %%
if editor.is_changed:
    drawn = dict(zip(coins.FLAWED, editor.polygons, strict=True))
    corrected = {
        i: [(x + left_edge, y + top) for x, y in corners]
        for i, corners in drawn.items()
    }
else:
    corrected = coins.CORRECTED

before = masks
masks = coins.with_polygons(masks, corrected)
for i in coins.FLAWED:
    lost, won = before[i] & ~masks[i], masks[i] & ~before[i]
    print(f"coin {i}: {lost.sum()} pixels removed, {won.sum()} added")

# %%
near = (slice(top, bottom), slice(left_edge, right_edge))
boxes = coins.coin_target(masks[list(coins.FLAWED)])["boxes"]
boxes = boxes - torch.tensor([left_edge, top, left_edge, top])
picture, panels = viz.row(2, 1.8, 130 / 68)
for axes, shown, title in zip(
    panels, (before, masks), ("before", "after"), strict=True
):
    viz.draw_instances(
        axes, window, boxes, torch.ones(2, dtype=torch.long),
        shown[list(coins.FLAWED)][(slice(None), *near)], ["coin"],
        title=title,
    )
picture.caption(
    "Figure 7. Coins 6 and 12 before and after the correction. Their boxes "
    "are those of the corrected masks."
)

# %% [markdown]
# How large is the mistake that we have just corrected? The two masks of coin 12 have an IoU just
# below 0.95. Suppose we had kept the old one, and a model outlined the coin perfectly. The
# evaluator would count a match at the thresholds up to 0.90, and a *miss* at 0.95. A perfect model
# would lose one of COCO's ten thresholds on that coin. Labels limit what can be measured, and at
# the strict thresholds they begin to do so earlier than one might expect.
#
# There is a third flaw that we leave alone. Coin 16, with the helmet, lacks a small piece at the
# neck. You'll find it later, if you look for it. All real data sets have such coins.

# %% tags=["claim"]
ours = coins.with_polygons(before)[12]
iou = (ours & before[12]).sum() / (ours | before[12]).sum()
assert 0.90 <= iou < 0.95

# %% [markdown]
# ## 4. A folder that others can read, and five mistakes
#
# Labels belong into a file that any tool can read, and that is COCO's format (lesson 01). Before we
# write it, we have to decide something that is easy to get wrong: what to train on, and what to
# test on.
#
# We have a single photograph. We could cut it into random crops, and keep some crops for testing.
# But two crops that overlap show the same coins. A model could score well by *remembering* them,
# which is called **leakage**, and the number would say nothing about coins that it has not seen. So
# we cut the photograph in two. What is left of column 184 is for training, what is right of it for
# testing. No coin is in both, with one exception: the third coin of the last row lies across the
# line. In the test half we mark what is left of it as a crowd, and the evaluator ignores it.

# %%
from mrcnn_edu.data import CocoFolder, check, write_coco

train_image, train_masks = coins.left_half(photo, masks)
test_image, test_target = coins.right_half(photo, masks)
train_target = coins.coin_target(train_masks)
items = [(train_image, train_target), (test_image, test_target)]

write_coco(coins.Photographs(items), folder)
file = folder / "annotations.json"
dataset = CocoFolder(folder / "images", file)
print(len(dataset), "images,", check(dataset), "problems")
for image, target in dataset:
    n_cut = int(target["iscrowd"].sum())
    print(tuple(image.shape), len(target["boxes"]), "objects,", n_cut, "cut")

# %% [markdown]
# `write_coco` is the way out of this package, and `CocoFolder` the way in. If your labels are in
# another format, `mrcnn-edu convert` turns a folder of labelme, YOLO or VOC files, or of masks as
# PNGs, into such a COCO folder.
#
# `check` found nothing to complain about. Is it any good? Let's plant five mistakes, all of which
# occur in real files, and a sixth that is the meanest of all.

# %%
contents = json.loads(file.read_text())
rows = contents["annotations"]
x, y, w, h = rows[0]["bbox"]
rows[0]["bbox"] = [y, x, h, w]  # 1. x and y swapped
x, y, w, h = rows[1]["bbox"]
rows[1]["bbox"] = [x, y, x + w, y + h]  # 2. corners instead of sizes
rows[2]["category_id"] = 0  # 3. categories counted from 0
rows[3]["image_id"] = 7  # 4. an image that is gone
square = [20, 30, 60, 30, 60, 70, 20, 70]
rows[4]["segmentation"] = [[v / 184 for v in square]]  # 5. fractions

# %%
from mrcnn_edu.data.regions import encode_mask

moved = train_masks[5].roll(-12, dims=1)  # 6. 12 pixels to the left
x, y, w, h = rows[5]["bbox"]
rows[5]["bbox"] = [x - 12, y, w, h]
rows[5]["segmentation"] = encode_mask(moved)

broken = folder / "broken.json"
broken.write_text(json.dumps(contents))

# %% [markdown]
# > **Predict.** Which of the six does a program find, and which one does it miss?

# %%
found = check(CocoFolder(folder / "images", broken))
for problem in sorted(found, key=lambda p: p.annotation_id):
    print(f"{problem.annotation_id}: {problem.message}")

# %% [markdown]
# **What happened.** All five are found, and the second one three times over. A box with swapped
# axes disagrees with its own mask. Corners instead of sizes leave the image, and the message
# guesses what happened. A category that doesn't exist and an image that doesn't exist are plain. A
# polygon in fractions of the image is smaller than a pixel, so its mask is empty.
#
# The sixth is not in the list, and it can't be. Box and mask were moved together, so they agree
# with each other. They disagree only with the pixels, and a program that could tell where the coin
# *really* is would be the detector that we want to train. That is why every guide, including ours,
# tells you to look at a sheet of labeled images, and why you should really do it.

# %%
second_row = torch.stack((train_masks[3], train_masks[4], moved))
target = coins.coin_target(second_row[:, 85:155])
picture, (axes,) = viz.row(1, 4.2, 70 / 184)
objects = target["boxes"], target["labels"], target["masks"]
viz.draw_instances(axes, train_image[:, 85:155], *objects, ["coin"])
picture.caption(
    "Figure 8. The mistake that no program finds is seen at a glance: one of "
    "the outlines has slipped off its coin."
)

# %% tags=["claim"]
assert check(dataset) == []
assert {problem.annotation_id for problem in found} == {1, 2, 3, 4, 5}
assert sum(problem.annotation_id == 2 for problem in found) == 3

# %% [markdown]
# ## 5. From paper shapes to coins in fifty steps
#
# Twelve coins are few. What can a network learn from twelve examples? Not to see. Edges, round
# things, things that lie on top of other things: for that it would need thousands. But shapes-tiny
# *has* seen hundreds of thousands of shapes. We keep everything that it has learned, give its last
# layers a single class, *coin*, and let it continue with our twelve. This is **fine-tuning**.

# %%
from mrcnn_edu import MaskRCNN
from mrcnn_edu.weights import init_from_model

torch.manual_seed(0)
model = MaskRCNN(replace(shapes_tiny.config, n_classes=1))
for sentence in init_from_model(model, shapes_tiny, ["coin"]):
    print("-", sentence)

# %% [markdown]
# One photograph would be one training image. From it we cut crops of 144 × 144 pixels, each around
# a coin that is chosen at random, and turn and mirror them. That is allowed here because a coin has
# no upper side. (For traffic signs it would not be.) A crop cuts some coins off at its border, and
# their masks are cut off, too, just as at the border of any photograph.

# %%
crops = coins.Crops(*coins.left_half(photo, masks), n=200, seed=0)
picture, panels = viz.row(2, 2.3)
for axes, index in zip(panels, range(2), strict=True):
    image, target = crops[index]
    objects = target["boxes"], target["labels"], target["masks"]
    viz.draw_instances(axes, image, *objects, ["coin"])
picture.caption(
    "Figure 9. Two training crops with their targets. The model sees them "
    "with 96 x 96 pixels."
)

# %% [markdown]
# The model resizes each crop from 144 to 96 pixels, so it sees coins at $96/144 = 2/3$ of their
# size. The right half must be shown at the *same* scale. It is 200 pixels wide, so its short side
# has to become 133.

# %%
from mrcnn_edu.evaluate import detect_all, evaluate

test = coins.Photographs([(test_image, test_target)])


def mask_ap(model, short_side=133):
    """Mask AP on the right half, resized to this short side."""
    before = model.config
    model.config = replace(before, short_side=short_side, long_side=600)
    ap = evaluate(test, detect_all(model, test), "segm").ap
    model.config = before
    return ap


print(f"before training: mask AP {100 * mask_ap(model):.0f}")

# %% [markdown]
# > **Predict.** We train for 50 steps of 4 crops, which takes about ten seconds. To which mask AP
# > do you expect the model to get, on twelve coins that it has never seen?

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.train import fit
from mrcnn_edu.train.recipes import Training

losses = fit(model, crops, Training(steps=50, batch_size=4, seed=0))
after = mask_ap(model)
print(f"after training: mask AP {100 * after:.0f}")

# %%
at_test_scale = replace(model.config, short_side=133, long_side=600)
model.config = at_test_scale
detections = model.detect([test_image])[0]
detections = detections[detections.scores > 0.5]
viz.show_detections(
    test_image, detections, ["coin"], test_target, width=2.3
).caption(
    "Figure 10. The right half: our labels, and what the model detects after "
    "50 steps. It has never seen one of these coins."
)

# %% [markdown]
# **What happened.** After ten seconds the mask AP is well above 0.90, and before it was close to
# zero. The network didn't learn to see coins in fifty steps. It had learned to outline things that
# lie on paper in twelve thousand steps on synthetic images, and now it learned which of them we
# call *coin*. Compare this with the watershed. That needed three numbers for this photograph, and
# this needs twelve outlines. But outlines can be collected for *any* object, and good numbers
# can't.
#
# Be careful with the victory, though. We tested on the other half of the same photograph: the same
# lamp, the same paper, the same camera. One photograph is an anecdote.

# %% [markdown]
# ### At which scale?
#
# We insisted that the test image has the scale of the training crops. Does it matter?
#
# > **Predict.** We show the same model the same right half, with a short side of 67, 96, 133, 200
# > and 266 pixels. At which of them does it still work? Is it worse to be too small or too large?

# %%
# NBVAL_IGNORE_OUTPUT
by_scale = {}
for short_side in (67, 96, 133, 200, 266):
    by_scale[short_side] = mask_ap(model, short_side)
    print(f"short side {short_side:3}: AP {100 * by_scale[short_side]:.0f}")

# %% [markdown]
# **What happened.** Half the scale costs about ten points, and twice the scale costs nearly
# everything. At a short side of 266 the coins are 50 to 86 pixels wide, while the largest anchor
# has 72, and shapes-tiny never saw an object of more than 48. No error is raised, and no warning
# appears. The scores remain high.
#
# This is a common reason why a model that works in the notebook fails on the customer's
# photographs: they come from another camera, and have four times as many pixels. If `short_side` is
# fixed, then a photograph is always resized to it, no matter how large the objects in it are. What
# must stay the same is the size of the *objects* in pixels.

# %% tags=["claim"]
assert by_scale[133] > 0.8 and by_scale[266] < by_scale[133] - 0.3
assert by_scale[67] > by_scale[266]
model.config = replace(at_test_scale, short_side=266)
assert model.detect([test_image])[0].scores.max() > 0.9
model.config = at_test_scale

# %% tags=["claim"]
assert after >= 0.80
assert mask_ap(coin_runs.untrained("shapes-tiny")) < 0.10
assert abs(133 / 200 - 96 / 144) < 0.01
assert len(detections) >= 12

# %% [markdown]
# ## 6. How many labels do you need?
#
# Outlining objects is dull work, so here is the question that everybody asks. And here is the other
# one: from which weights should you start? We compare three starts.
#
# - *random weights*, as if nobody had ever trained anything;
# - *classification backbone*: only the backbone is pretrained, by classifying outlines, as ImageNet
#   backbones are by classifying photographs, and everything else is random;
# - *shapes-tiny*: the whole detector is pretrained, as when you start from COCO's weights.
#
# With $n$ labeled coins, what about the other $12 - n$? If we simply left them without a label,
# they would be *taught as background*, and the model would learn that most coins are no coins. In
# your own project, label every object in the pictures that you use. (To mark the rest as a crowd
# would not help. Here, as in torchvision and detectron2, crowds are left out of training, and then
# what lies on them counts as background, too.) In our experiment we paint paper over them.

# %%
four = coin_runs.labeled(4, seed=0)
picture, panels = viz.row(2, 1.7, 303 / 184)
viz.draw_image(panels[0], train_image, "12 labeled coins")
viz.draw_image(panels[1], four.photo, "4 labeled coins")
picture.caption(
    "Figure 11. The left half, and the same with paper over eight of the "
    "twelve coins. On closer inspection, you can see where they were."
)

# %% [markdown]
# > **Predict.** Sketch three curves: mask AP over 1, 2, 4, 8 and 12 labeled coins, for the three
# > starts. Where does each begin, and do they meet at the end?
#
# Training all of them takes a while: 5 numbers of labels, 3 starts and 5 seeds are 75 runs of 50
# steps. So their scores come with the package, and `python tools/make_coin_runs.py` computes them
# again.

# %%
recorded = coin_runs.recorded_scores()
for start, runs in recorded.items():
    means = {n: sum(values) / len(values) for n, values in runs.items()}
    text = ", ".join(f"{n}: {mean:.0f}" for n, mean in means.items())
    print(f"{start:24} {text}")

# %%
viz.show_by_amount(recorded, "labeled coins", "mask AP").caption(
    "Figure 12. Mask AP on the right half by the number of labeled coins and "
    "by the start. Pale dots are single seeds, which choose the coins, the "
    "crops and the random weights."
)

# %% [markdown]
# **What happened.** The detector that is pretrained as a whole begins where the others would like
# to end. With a *single* labeled coin it has a mask AP of about 90, and eleven more coins add no
# more than a few points. The classification backbone begins at 56 and ends at 83. Random weights
# come last, and with one label they are a lottery, in which five seeds win between 3 and 60.
#
# The difference between the two upper curves is worth a thought, because both have a pretrained
# backbone. But a backbone alone doesn't propose boxes, and it doesn't draw masks. The RPN and the
# two heads have to learn that from our coins, and it is most of what there is to learn. If somebody
# has already trained a *detector* on anything that resembles your objects, start from that.
#
# Be careful with two things. First, all runs have 50 steps, and patience helps, too. We have
# trained two more models from random weights, for 300 steps. With twelve coins that one reached 97,
# as much as any. With one coin it reached 73. So with many labels, what pretraining saves is time.
# With few labels, time doesn't make up for it.
#
# Second, look at the pale dots. With one coin and seed 0, random weights are at 60 and the
# classification backbone is at 43. Whoever had run a single seed would have announced that
# pretraining hurts.

# %%
# NBVAL_IGNORE_OUTPUT
again = coin_runs.score(coin_runs.train("random weights", 1, seed=0))
then = recorded["random weights"][1][0]
print(f"random weights, 1 coin, seed 0: {again:.1f}, recorded {then:.1f}")

# %% [markdown]
# You have just repeated one of the 75 runs. If the two numbers differ, your computer adds in
# another order, and in fifty steps the last digits have grown. With random weights and a single
# label they may even be far apart, which is one more reason not to trust a single run.

# %% tags=["claim"]
mean_ap = {
    start: {n: sum(v) / len(v) for n, v in runs.items()} for start, runs in recorded.items()
}
assert all(len(v) == 5 for runs in recorded.values() for v in runs.values())
chance, backbone, detector = (mean_ap[start] for start in coin_runs.STARTS)
assert detector[1] < detector[12] < detector[1] + 5
assert round(backbone[1]) == 56 and round(backbone[12]) == 83
assert 90 < detector[1] < 95
with_one = recorded["random weights"][1]
assert round(min(with_one)) == 3 and round(max(with_one)) == 60 == round(with_one[0])
assert all(chance[n] < backbone[n] < detector[n] for n in coin_runs.COUNTS)
assert round(recorded["classification backbone"][1][0]) == 43
assert 0 <= again <= 100

# %% [markdown]
# ## Where it breaks: what is a domain?
#
# Our model finds coins on paper. What does it do with pictures of other things? A cell in saline,
# the deep field of the Hubble telescope, and handwritten formulas all come with scikit-image. None
# of them shows a coin.
#
# > **Predict.** In which of the three pictures will the coin model be confident that it sees coins?

# %%
others = {  # and a short side at which their things are as large as coins
    "cell": (as_image(photographs.cell()), 183),
    "Hubble deep field": (as_image(photographs.hubble_deep_field()), 200),
    "text": (as_image(photographs.text()), 96),
}

# %%
# NBVAL_IGNORE_OUTPUT
picture, panels = viz.row(3, 2.6, 1.2)
for axes, (name, (image, short_side)) in zip(
    panels, others.items(), strict=True
):
    model.config = replace(at_test_scale, short_side=short_side)
    seen = model.detect([image])[0]
    seen = seen[seen.scores > 0.5]
    title = f"{name}: {len(seen)} detected"
    objects = seen.boxes, seen.labels, seen.masks, ["coin"], seen.scores
    viz.draw_instances(axes, image, *objects, title)
model.config = at_test_scale
picture.caption(
    "Figure 13. Three pictures without coins, and the coins that the model "
    "sees in them."
)

# %% [markdown]
# **What happened.** It finds the cell, which is round and lies on a plain background, and calls it
# a coin. It finds a number of stars and galaxies, some with a score above 0.9. Even in the formulas
# there may be one. Nothing in its training told it what is *not* a coin, apart from paper.
#
# A **domain** is what images of one kind have in common: the things that appear in them, how large
# they are, the light, the camera, and what counts as an object. In the language of probability, a
# domain is a distribution $p(x, y)$ over images $x$ and their labels $y$. Training sees samples of
# one distribution, and all that average precision promises is about new samples of *the same* one.
# When the distribution changes, a network doesn't say so. It has a class *coin* and a class
# *background*, and for whatever you show it, the two scores add up to one. There is no third class
# for *I have never seen anything like this*.
#
# What helps is dull and reliable. Collect a few dozen pictures from the domain in which the model
# will be used. Label them. Test on them. And put pictures without any object into the training set,
# so that the model learns what background looks like there. Even classifiers that were trained on a
# million photographs [lose 11 to 14 points](https://arxiv.org/abs/1902.10811) on new photographs
# that were collected in the same way.

# %% tags=["claim"]
model.config = replace(at_test_scale, short_side=200)
stars = model.detect([others["Hubble deep field"][0]])[0]
assert (stars.scores > 0.5).sum() >= 4
model.config = replace(at_test_scale, short_side=183)
cell_found = model.detect([others["cell"][0]])[0]
assert (cell_found.scores > 0.5).sum() >= 1
model.config = at_test_scale

# %% [markdown]
# ## 7. Which pixels decided?
#
# The model predicts *coin* with a score of 0.99. What did it look at? One answer is as old as
# [convolutional networks that explain themselves](https://arxiv.org/abs/1312.6034). Take the output
# $o$ that you want to understand, and ask how it would change if a pixel became a little brighter.
# That is the **input gradient**, and backpropagation computes it for all pixels at once. For an
# image $x$ with channels $c$, the map
#
# $$
# G_{ij} = \sqrt{\sum_c \left(\frac{\partial o}{\partial x_{cij}}\right)^2}
# $$
#
# is large where a small change would change the output most. A detection has three outputs, so it
# has three maps. For the class, $o$ is the coin's logit minus that of background. For the mask, it
# is the sum of all $m \times m$ mask logits. A box has four deltas, and we add their squares below
# the root. The RoI itself is held fixed.
#
# > **Predict.** The box head reads the features inside the RoI and nothing else. How much of the
# > class score's gradient lies inside the box? All of it, three quarters, or half?

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.course.gradients import fraction_within, input_gradients

box = detections.boxes[6]
gradients = input_gradients(model, test_image, box, label=1)
for name, values in gradients.items():
    print(f"{name}: {fraction_within(values, box):.0%} lies inside the box")

# %% [markdown]
# **What happened.** About half of it, as Figure 14 below shows. The RoI's features are read inside
# the box, but each of these features has seen a piece of the image that reaches far beyond it, its
# receptive field (lesson 04). The dark paper around a coin is evidence for the coin, since
# something ends there. Looking at the surroundings isn't cheating. It becomes a problem when the
# surroundings are *all* that the model has learned, for example a table on which only coins were
# ever photographed.
#
# A gradient tells what would happen after a *small* change. A harder question is what happens when
# something is really missing, so let's take it away.

# %%
# NBVAL_IGNORE_OUTPUT
x1, y1, x2, y2 = box.round().int().tolist()
paper = test_image[:, :20, :20].mean()
only_coin = torch.full_like(test_image, paper.item())
only_coin[:, y1:y2, x1:x2] = test_image[:, y1:y2, x1:x2]
no_coin = test_image.clone()
no_coin[:, y1:y2, x1:x2] = paper

changed = {
    "as it is": test_image, "only the coin": only_coin, "no coin": no_coin
}
for name, image in changed.items():
    logits, _ = model.predict_on_boxes(image, box[None])
    print(f"{name:14} coin {logits.softmax(dim=1)[0, 1]:.2f}")

# %% [markdown]
# The surroundings can go, and the score stays. Take away the coin, and it collapses. So the
# surroundings matter at the margin, and the coin matters altogether. Both answers are right, to
# different questions. Keep this in mind whenever somebody shows you a colorful map of what a
# network "looked at". [Some popular maps](https://arxiv.org/abs/1810.03292) hardly change when the
# network's weights are replaced by random ones.

# %% tags=["claim"]
assert 0.3 < fraction_within(gradients["class score"], box) < 0.8
given, _ = model.predict_on_boxes(only_coin, box[None])
without, _ = model.predict_on_boxes(no_coin, box[None])
assert given.softmax(dim=1)[0, 1] > 0.9 and without.softmax(dim=1)[0, 1] < 0.5

# %% [markdown]
# ## Play: click a detection
#
# Here are the maps themselves. They were computed beforehand, so every click is answered at once.
#
# 1. Compare the class score with the mask. Which of the two looks farther beyond the box?
# 2. Choose a coin that touches the left border. Where does its box get its evidence from on that
#    side, where no paper is to be seen?
# 3. Choose *box*. Are the pixels along the outline lighter than those in the middle?

# %%
from mrcnn_edu.course.widgets import gradient_player

gradient_player(model, test_image).caption(
    "Figure 14. A detection to click. The gradients of its class score, its "
    "box and its mask are light where a pixel matters most."
)

# %% [markdown]
# ## 8. A model is bad. Why?
#
# First models are rarely good. What distinguishes experienced people is not that their models work,
# but the order in which they ask.

# %%
viz.show_debugging_tree().caption(
    "Figure 15. Seven questions in the order in which to ask them. Each takes "
    "a minute, and the first no tells where to look."
)

# %% [markdown]
# The order matters, because everything further down depends on what is above. It makes no sense to
# tune thresholds as long as the boxes are swapped. Questions 4 to 6 are measured in a few lines.


# %%
from mrcnn_edu.boxes import box_iou
from mrcnn_edu.detections import paste_masks, predicted_masks
from mrcnn_edu.images import scale_boxes


# %%
def examine(model, image, target):
    """Recall, and in ground-truth boxes class, background and mask."""
    boxes, labels = target["boxes"], target["labels"]
    trace = model.trace([image])
    size, input_size = image.shape[-2:], trace.batch.sizes[0]
    proposals = scale_boxes(trace.proposals[0].boxes, input_size, size)
    recall = box_iou(boxes, proposals).amax(dim=1) >= 0.5
    class_logits, mask_logits = model.predict_on_boxes(image, boxes)
    predicted = class_logits.argmax(dim=1)
    is_right, is_nothing = predicted == labels, predicted == 0
    probs = predicted_masks(mask_logits, labels)
    masks = paste_masks(probs, boxes, size)
    both = (masks & target["masks"]).sum(dim=(1, 2))
    either = (masks | target["masks"]).sum(dim=(1, 2))
    measured = recall, is_right, is_nothing, both / either
    return [values.float().mean().item() for values in measured]


# %% [markdown]
# Now we break things on purpose. Four patients lie in our ward. One has learned from boxes with x
# and y swapped. One is healthy, but its images are normalized twice, once by the loader and once by
# the model. One is healthy and gets images of twice the scale. And one, a shapes model, has learned
# from labels that are shifted by one, as it happens when one tool counts classes from 0 and another
# from 1.

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.course.training_runs import Changed, swapped_boxes

whole = ~test_target["iscrowd"]
case = {
    name: test_target[name][whole] for name in ("boxes", "labels", "masks")
}

swapped = coin_runs.untrained("shapes-tiny")
fit(swapped, Changed(crops, swapped_boxes), Training(steps=50), None, False)
swapped.config = at_test_scale

# %%
twice = coin_runs.untrained("shapes-tiny")
twice.load_state_dict(model.state_dict())
mean, std = 0.5 + 0.25 * 0.5, 0.25 * 0.25  # of two normalizations
twice.config = replace(
    at_test_scale, pixel_mean=(mean,) * 3, pixel_std=(std,) * 3
)

large = coin_runs.untrained("shapes-tiny")
large.load_state_dict(model.state_dict())
large.config = replace(at_test_scale, short_side=266)

# %%
from mrcnn_edu.data import Shapes

shifted = load("shapes-tiny")  # each class has the weights of another one
layers = (
    shifted.box_head.cls_score,
    shifted.box_head.bbox_pred,
    shifted.mask_head.mask_fcn_logits,
)
with torch.no_grad():
    for layer in layers:
        for values in (layer.weight, layer.bias):
            by_class = values.unflatten(0, (7, -1))
            by_class[1:] = by_class[1:].roll(1, dims=0).clone()
scene = Shapes(100, seed=1)[3]

# %% [markdown]
# > **Predict.** Here are their charts, under letters that say nothing. Which of the four patients
# > is A, which is B, C and D?

# %%
# NBVAL_IGNORE_OUTPUT
ward = {
    "healthy": (model, test_image, case),
    "A": (shifted, *scene),
    "B": (twice, test_image, case),
    "C": (swapped, test_image, case),
    "D": (large, test_image, case),
}
charts = {name: examine(*patient) for name, patient in ward.items()}
viz.show_table(
    torch.tensor(list(charts.values())),
    list(charts),
    ["proposal\nrecall", "class\nright", "class is\nbackground", "mask IoU"],
).caption(
    "Figure 16. Four measurements of a healthy model and of four patients, "
    "between 0 and 1. In the third column, low is good."
)

# %% [markdown]
# **What happened.** Read the rows from left to right, as the tree does.
#
# *A* proposes every object, so the first four questions are passed. Then no class is right, and yet
# none is background. It sees each object clearly and gives it another name. These are the shifted
# labels. The masks are bad, too, because each object is outlined with another class's mask channel.
#
# *C* has no right class either, but it takes every object for *background*. That is what it was
# taught. Its swapped boxes lay beside the coins, so a RoI that fits a coin was a negative example
# in every step. Question 1 would have found it before the training began, since a swapped box
# disagrees with its own mask, and `check` says so.
#
# *D* is the only one whose proposals are nearly all wrong. Its coins are larger than any anchor.
# The mask head, given the right box, still outlines most of each coin, because RoIAlign brings
# every box to the same size.
#
# *B* is the meanest one. Everything works, and everything is a little worse. Normalizing twice only
# stretches the contrast, and the network copes. You would ship this model and never know. The
# remedy is to look at the *numbers* that enter the network once, for example
# `model.preprocess([image]).images.std()`. They should be of the order of one.
#
# And the learning rate? It shows in question 2, before any of this. The package stops a run that
# diverges, and says what to do.

# %%
# NBVAL_IGNORE_OUTPUT
too_fast = coin_runs.untrained("shapes-tiny")
try:
    fit(too_fast, crops, Training(steps=50, learning_rate=0.3), None, False)
except FloatingPointError as error:
    print(error)

# %% [markdown]
# Not every framework does. If yours doesn't, plot the loss of the first fifty steps before you go
# home for the night. Lesson 10 has a gallery of sick loss curves to compare yours with.

# %% tags=["claim"]
a, b, c, d = (charts[name] for name in "ABCD")
assert a[0] > 0.9 and a[1] < 0.3 and a[2] < 0.3 and a[3] < 0.8
assert c[1] < 0.3 and c[2] > 0.7
assert d[0] < 0.6 and d[3] > 0.7
assert min(charts["healthy"][i] for i in (0, 1, 3)) > 0.9
assert min(b[i] for i in (0, 1, 3)) > 0.6 and b[3] < charts["healthy"][3]
normalized = model.preprocess([test_image]).images.std()
assert 0.4 < normalized < 2 and twice.preprocess([test_image]).images.std() > 2 * normalized

# %% [markdown]
# ## 9. With a download
#
# Everything so far ran without the internet. What comes now needs it, so it is behind a switch that
# you can see. The outputs below say that it was not run where this page was made. We show no
# picture that we could not compute here.

# %%
DOWNLOAD = False  # True downloads 170 MB of weights, once

# %% [markdown]
# **The published weights.** torchvision publishes a Mask R-CNN that was trained on the 118,000
# photographs of [COCO](https://arxiv.org/abs/1405.0312). `load("coco-resnet50-fpn")` puts these
# weights into *our* code. If our code is right, both must give the same answers to the same
# photograph.

# %%
if DOWNLOAD:
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    published = load("coco-resnet50-fpn")
    theirs = maskrcnn_resnet50_fpn(weights="COCO_V1").eval()
    with torch.no_grad():
        expected = theirs([coffee])[0]
    answer = published.detect([coffee])[0]
    print(len(answer), "detections, torchvision", len(expected["boxes"]))
    print("same labels:", answer.labels.equal(expected["labels"]))
    for name in ("boxes", "scores"):
        gap = (getattr(answer, name) - expected[name]).abs().max()
        print(f"largest difference of {name}: {gap:.1e}")
else:
    print("Not run here: DOWNLOAD is False.")

# %%
if DOWNLOAD:
    result = viz.show_stages(published, coffee, min_score=0.7).caption(
        "The coffee through all stages of a model that knows cups."
    )
else:
    result = "Not run here: DOWNLOAD is False."
result

# %% [markdown]
# The tests of this package compare every stage with torchvision's on random weights, so a
# difference here would be a surprise. For the second version, with better settings that were found
# after the paper, write `"coco-resnet50-fpn-v2"` and `maskrcnn_resnet50_fpn_v2`.
#
# **COCO's validation set, in one command.** Download [val2017](https://cocodataset.org/#download)
# and its annotations, 1 GB in all. Then:
#
# ```bash
# mrcnn-edu evaluate --data coco/val2017 \
#     --annotations coco/annotations/instances_val2017.json --weights coco-resnet50-fpn
# ```
#
# torchvision gives 37.9 box AP and 34.6 mask AP for these weights, and 47.4 and 41.8 for version 2.
# On a GPU this takes minutes, and on a laptop hours.
#
# **First projects.** Two data sets are small enough for an evening.
#
# - [Penn-Fudan](https://www.cis.upenn.edu/~jshi/ped_html/) has 170 photographs with 345
#   pedestrians. Its labels are PNG files in which each person has a number, which `mrcnn-edu
#   convert` reads.
# - [Balloon](https://github.com/matterport/Mask_RCNN/tree/master/samples/balloon) has 61
#   photographs for training and 13 for validation. It ends in a splash of color, a picture in which
#   everything is gray but the balloons. Its polygons are in the format of the VGG Image Annotator,
#   lists of all x and of all y, and `decode_mask([[x1, y1, x2, y2, ...]], height, width)` turns
#   each one into a mask.
#
# Start from COCO's weights, with a learning rate thirty times lower than ours above, because these
# weights are good already and should only move a little:
#
# ```bash
# mrcnn-edu convert PennFudanPed --out penn-fudan
# mrcnn-edu check-data penn-fudan --out checked
# mrcnn-edu train --data penn-fudan --weights coco-resnet50-fpn --learning-rate 1e-4 \
#     --augment.flip 0.5
# ```
#
# **Tools to draw outlines with.** [labelme](https://github.com/wkentaro/labelme) is a small program
# on your computer. [CVAT](https://github.com/cvat-ai/cvat) and [Label
# Studio](https://github.com/HumanSignal/label-studio) run in the browser, for teams, and can
# propose outlines with a model. All of them export COCO, or a format that `mrcnn-edu convert`
# reads. Label ten pictures and train before you label a thousand. You'll find out that your classes
# were defined badly, and it is better to find that out early.

# %% [markdown]
# ### Whose picture is it?
#
# A photograph that can be downloaded isn't therefore free. It has an author, a license that says
# what you may do with it, and sometimes a person in it who was never asked.
#
# - *Licenses.* The coins have no known copyright restrictions, the cat and the cell are in the
#   public domain (CC0), and the Hubble picture is NASA's. COCO's *annotations* are under a license
#   that only asks to name the authors (CC BY 4.0), but its *photographs* are from Flickr, and each
#   has a license of its own, which the JSON file names. Keep a list of where each of your pictures
#   comes from, from the first day. It can't be made later.
# - *Weights* have licenses, too, and they inherit questions from the pictures that they were
#   trained on.
# - *Faces.* The astronaut in Figure 2 is Eileen Collins, and her portrait was made to be published.
#   The people in a street scene have not agreed to anything. In many countries you need their
#   consent or another good reason, and a face in a training set is hard to take back. If faces
#   don't matter to your task, blur them before anybody labels them. If they do matter, ask.
# - *Write it down.* [Datasheets for data sets](https://arxiv.org/abs/1803.09010) are a list of
#   questions to answer for others: why was this collected, who is in it, who labeled it and for
#   what pay, what should it not be used for?

# %% [markdown]
# ## Exercise 1: what does the network see?
#
# ★☆☆ · about 5 minutes
#
# Write `seen_size(size, short_side, long_side, multiple)`. Given an image's size (height, width),
# return four whole numbers: height and width after resizing, and height and width after padding to
# multiples of `multiple`. Fractions of a pixel are cut off, as the package and torchvision do.
#
# For example, `seen_size((400, 600), 800, 1333, 32)` is `(800, 1200, 800, 1216)`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Compute the scale s with the formula above. There is one scale for both sides.
# </details>
# <details><summary><b>Hint 2</b>: round up to a multiple</summary>
# <code>-(-n // k) * k</code> is the next multiple of k, and n itself if it is one.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>scale = min(short_side / min(size), long_side / max(size))</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# `int(scale * side)` for each side, and then round both up. Our code: `exercises.seen_size??`.
# </details>

# %%
from mrcnn_edu.course.exercises import photos as exercises


def seen_size(size, short_side, long_side, multiple): ...


exercises.check_seen_size(seen_size)

# %% [markdown]
# ## Exercise 2: a fair split
#
# ★☆☆ · about 5 minutes
#
# Write `split_objects(boxes, cut)`. Given boxes `[M, 4]` and a column x at which a photograph is
# cut, return three tensors `[M]` of bool: which objects are for training, because all of their box
# is left of the cut; which are for testing, because all of it is right; and which lie on both
# sides. A box that only touches the cut is on one side.
#
# For example, with a cut at 100, the box (80, 20, 130, 60) is on both sides, and the box (60, 0,
# 100, 30) is for training.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# An object is left of the cut if its right edge is. What is the third answer, given the other two?
# </details>
# <details><summary><b>Hint 2</b>: touching</summary>
# Right and lower edges are exclusive, so a box with x2 = 100 doesn't contain the column 100.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `boxes[:, 2] <= cut`, `boxes[:, 0] >= cut`, and neither of the two. Our code:
# `exercises.split_objects??`.
# </details>

# %%
def split_objects(boxes, cut): ...


exercises.check_split_objects(split_objects)

# %% [markdown]
# ## Exercise 3: from a polygon to pixels
#
# ★★☆ · about 20 minutes
#
# You have drawn polygons, and the package turned them into masks. Write `fill_polygon(polygon,
# height, width)` yourself. `polygon` is a list of corners (x, y), and the result is a mask
# `[height, width]` of bool. A pixel belongs to the mask if its *center* lies inside, and the center
# of the pixel in row i and column j is at x = j + 0.5, y = i + 0.5. A point is inside if a ray from
# it to the right crosses the outline an odd number of times.
#
# For example, the rectangle (2, 1), (6, 1), (6, 4), (2, 4) covers the columns 2 to 5 and the rows 1
# to 3.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Go around the outline, edge by edge. Each edge is crossed by the rays of some pixels. Flip these
# pixels, from outside to inside or back. What has been flipped an odd number of times is inside.
# </details>
# <details><summary><b>Hint 2</b>: which rays does an edge cross?</summary>
# Those at a height between its two ends. Count one of the two ends in and the other one out, or a
# ray through a corner would be counted twice. And the edge has to lie to the right of the point.
# </details>
# <details><summary><b>Hint 3</b>: where does the edge lie at height y?</summary>
# At x1 + (y − y1) · (x2 − x1) / (y2 − y1). An edge with y1 = y2 is crossed by no ray.
# </details>
# <details><summary><b>Hint 4</b>: the first lines</summary>
# <code>y = torch.arange(height)[:, None] + 0.5</code><br> <code>x = torch.arange(width) +
# 0.5</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# For each edge, `inside ^= reaches & (crossing > x)`. COCO's own program fills polygons in another
# way, with five times as many pixels, and differs along the outline. Our code:
# `exercises.fill_polygon??`.
# </details>

# %%
def fill_polygon(polygon, height, width): ...


exercises.check_fill_polygon(fill_polygon)

# %% [markdown]
# ## Exercise 4: a photograph that is too large
#
# ★★★ · about 45 minutes
#
# A microscope, a satellite or a modern camera takes pictures of 100 megapixels. Shrunk to a short
# side of 800, their objects disappear. The remedy is to cut the picture into overlapping **tiles**,
# to detect in each of them at full scale, and to merge what was found. The merging is yours. Write
# `merge_tiles(corners, boxes, scores, tile_size, image_size, margin=2.0, nms_iou=0.5)`.
#
# - `corners` `[T, 2]`: the (x, y) of each tile's upper left corner in the photograph;
# - `boxes` and `scores`: for each of T tiles, what was detected in it, `[D_t, 4]` in pixels *of the
#   tile*, and `[D_t]`;
# - `tile_size` and `image_size`: (height, width), the same for all tiles.
#
# 1. Drop each box that comes within `margin` pixels of an edge of its tile, because it is probably
#    a part of an object that the next tile shows whole. But keep it where the tile's edge is an
#    edge of the photograph, because there is no next tile.
# 2. Move the others to where they are in the photograph.
# 3. Let all of them go through one NMS with the threshold `nms_iou`, since tiles overlap.
#
# Return the boxes `[N, 4]` and the scores `[N]` of the photograph, best first.
#
# For example, two tiles of 100 × 100 at x = 0 and x = 50 of a photograph that is 150 wide show the
# same object at (60, 30, 90, 60) in the first tile and at (11, 30, 41, 60) in the second. In the
# photograph these are (60, 30, 90, 60) and (61, 30, 91, 60), and the one with the higher score
# stays.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# A loop over the tiles fills two lists, and after the loop there is a single NMS.
# </details>
# <details><summary><b>Hint 2</b>: when is an edge inside of the photograph?</summary>
# The left edge of a tile is, if its corner has x &gt; 0. The right one is, if x plus the tile's
# width is less than the photograph's width.
# </details>
# <details><summary><b>Hint 3</b>: "within margin"</summary>
# <code>x1 &lt;= margin</code> at the left, and <code>x2 &gt;= tile_width - margin</code> at the
# right.
# </details>
# <details><summary><b>Hint 4</b>: the order</summary>
# <code>nms</code> from <code>mrcnn_edu.nms</code> returns indices, the best score first. Index
# boxes and scores with them.
# </details>
# <details><summary><b>Hint 5</b>: nothing detected</summary>
# <code>torch.zeros(0, 4)</code> has no rows, but it has four columns, and everything above works
# for it as for any other tensor.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Our code: `tiles_exercise.merge_tiles??`. An object that is larger than the overlap can be cut in
# *every* tile, and is then lost. So let tiles overlap by the size of the largest object.
# </details>

# %%
from mrcnn_edu.course.exercises import merge_tiles as tiles_exercise


def merge_tiles(
    corners, boxes, scores, tile_size, image_size, margin=2.0, nms_iou=0.5
): ...


tiles_exercise.check_merge_tiles(merge_tiles)

# %% [markdown]
# When the check says "ok", use it on the whole photograph of coins, in tiles of 144 × 144 as in
# training, in a new cell. How many coins do you get? (Twelve of them the model has learned from.)
# Then try a margin of 2, and find out what it lets through.
#
# ```python
# corners = torch.tensor([[x, y] for y in (0, 53, 106, 159) for x in (0, 60, 120, 180, 240)])
# model.config = replace(at_test_scale, short_side=96)
# tiles = [photo[:, y : y + 144, x : x + 144] for x, y in corners.tolist()]
# found = [model.detect([tile])[0] for tile in tiles]
# found = [d[d.scores > 0.9] for d in found]
# boxes, scores = merge_tiles(
#     corners, [d.boxes for d in found], [d.scores for d in found], (144, 144), (303, 384), margin=4
# )
# viz.show_boxes(photo, boxes, "detection")
# ```
#
# As a next project, take nuclei instead of coins. The Python package of
# [StarDist](https://arxiv.org/abs/1806.03535) brings a labeled fluorescence picture along. It isn't
# among what this course installs, so we leave that one to you.

# %% tags=["claim"]
corners = torch.tensor([[x, y] for y in (0, 53, 106, 159) for x in (0, 60, 120, 180, 240)])
model.config = replace(at_test_scale, short_side=96)
tiles = [photo[:, y : y + 144, x : x + 144] for x, y in corners.tolist()]
in_tiles = [d[d.scores > 0.9] for d in (model.detect([tile])[0] for tile in tiles)]
merged, _ = tiles_exercise.merge_tiles(
    corners, [d.boxes for d in in_tiles], [d.scores for d in in_tiles], (144, 144), (303, 384), 4
)
assert 22 <= len(merged) <= 27
model.config = at_test_scale

# %% [markdown]
# ## Remember
#
# - A photograph is resized, padded and perhaps turned before a network sees it. What has to stay
#   the same between training and use is the size of the *objects* in pixels.
# - Let something simple make the first outlines, look at all of them, and correct the bad ones. A
#   program finds what is inconsistent in a file, and only you can see what is wrong in a picture.
# - Split by object or by photograph, never by random crop.
# - A detector that is pretrained as a whole needs a handful of labels. One that starts from nothing
#   needs many more.
# - A network is confident about pictures from other domains. Test on the domain that you care
#   about.
# - Input gradients tell what a small change would do. To learn what an object is worth, remove it.
# - When a model is bad, ask from the top: targets, loss, one image, proposals, classes, masks,
#   duplicates.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `short_side`, `long_side` | `min_size`, `max_size` | `INPUT.MIN_SIZE_TEST`, `MAX_SIZE_TEST` |
# | `init_from_model` | a new `FastRCNNPredictor` | `MODEL.WEIGHTS`, layers that fit |
# | `CocoFolder` | `datasets.CocoDetection` | `register_coco_instances` |
# | `check`, `check-data` | none | none |
# | turning by EXIF | left to you | `read_image` turns |
#
# What came after? [Rethinking ImageNet pre-training](https://arxiv.org/abs/1811.08883) trained
# detectors from random weights until they were as good as pretrained ones. They need several times
# as many steps, and enough data. With few labels, pretraining wins there, too. Today's first
# outline comes from [Segment Anything](https://arxiv.org/abs/2304.02643), which was trained on a
# billion masks and outlines whatever you click, but gives it no name. And for nuclei and other
# roundish things that crowd together, [StarDist](https://arxiv.org/abs/1806.03535) predicts
# polygons directly, with the distances from a point to the outline.
#
# **Next:** a photograph takes a network milliseconds on a GPU, and much of that time is waiting.
# Lesson 16, [the GPU](16_gpu.ipynb), finds out what for.
