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
# # 01 · Instance segmentation and its data: what to answer, and how to write it down
#
# Before a network can learn to outline objects, somebody must have outlined some, and written that
# into a file. After this lesson (60 minutes) you can
#
# - tell instance segmentation from classification, detection and semantic segmentation;
# - write a region as bitmap, runs or polygon, and say what each costs and what it loses;
# - read a COCO file, write one, and find mistakes in your own, those that no program finds too.

# %%
import torch

from mrcnn_edu import viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.shapes import draw, template

viz.show_flow("image")

# %% [markdown]
# ## The problem
#
# In this image one star lies partly on another. What should a network answer? There are four usual
# questions:
#
# - **classification**: what is there?
# - **detection**: what is there, and in which box?
# - **semantic segmentation**: which *class* does each pixel belong to?
# - **instance segmentation**: which objects are there, and which pixels belong to *each*?
#
# The last two differ in more than counting: each object is outlined by itself, so a pixel may
# belong to none, and the masks that a network answers with may even overlap.

# %% tags=["cover"]
scenes = Shapes(1000, seed=1)
image, target = scenes[901]
masks, labels, boxes = target["masks"], target["labels"], target["boxes"]
picture = viz.show_tasks(image, target, scenes.classes)
picture.caption("Third panel: a color for each class. Fourth: a color for each object.")

# %% [markdown]
# ## 1. Semantic segmentation does not count
#
# Its answer is one picture `[H, W]`, a **semantic map**, with a label in each pixel and 0 for
# background. A **connected region** is a set of pixels of one class that hang together.
#
# **Predict:** our scene has five objects. How many connected regions does its semantic map have?

# %%
from torch.nn.functional import max_pool2d


def count_regions(mask):
    number = torch.arange(1.0, mask.numel() + 1).view(1, *mask.shape) * mask
    while True:  # each pixel takes the highest number beside it
        spread = max_pool2d(number, 3, stride=1, padding=1) * mask
        if spread.equal(number):
            return len(number[number > 0].unique())
        number = spread


semantic = torch.zeros(96, 96, dtype=torch.int64)  # [H, W]
for mask, label in zip(masks, labels, strict=True):
    semantic[mask] = label

# %%
regions = {name: count_regions(semantic == k) for k, name in enumerate(scenes.classes, start=1)}
assert len(labels) == 5 and sum(regions.values()) == 4
print("objects:", len(labels), " regions:", regions)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Four: the two stars have become one region, and nothing in the map says where one ends. From the
# instances we made the semantic map in three lines; there is no way back. (The usual wrong answer
# is five: right as long as no two objects of a class touch, and none is cut in two.)
# </details>
#
# ## 2. Why it is hard: two tasks at once
#
# Every object must be found, *and* each one outlined. Boxes do tell the stars apart. But a box is
# no outline.
#
# **Predict:** of the pixels in the upper star's box, what share belongs to that star: about a
# third, a half, or two thirds? And what share to *other* objects?

# %%
star = 2  # the upper one's row in the target
inside = viz.crop(masks, boxes[star]).float().mean(dim=(1, 2))  # each object's share of the box
its_own, others = inside[star].item(), (inside.sum() - inside[star]).item()
print(f"its own {its_own:.0%}, of others {others:.0%}, background {1 - inside.sum():.0%}")
assert labels[star] == 4 and abs(its_own - 1 / 3) < 0.05 and abs(others - 1 / 3) < 0.05

# %%
piece, mask = viz.crop(image, boxes[star]), viz.crop(masks[star][None], boxes[star])[0]
viz.show_images({"its box": piece, "its own pixels": torch.where(mask, piece, 1)})

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About a third each: its own, other objects' (one of them a star as well), and background. So a
# method for this task needs detection, which tells objects apart, and segmentation, which decides
# for each pixel. Mask R-CNN detects first and then segments within each box.
# </details>
#
# ## 3. A region as runs
#
# A mask as it is, one bit a pixel, is a **bitmap**. Most neighbors are equal, so we may note how
# long they stay equal: **run-length encoding** (RLE). The format of COCO, a large set of outlined
# photographs (section 6), reads *down the columns*, and its first run is of *zeros*.
#
# **Predict:** the runs of this mask. (The right picture numbers the pixels as they are read.)

# %%
tiny = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]).bool()  # [3, 4]
order = torch.arange(12).view(4, 3).T
viz.show_maps([tiny, order], ["the mask", "the order"], numbers=".0f")


# %%
def runs_by_hand(mask):
    runs, value = [0], False
    for pixel in mask.T.flatten().tolist():  # down the columns
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


runs = runs_by_hand(tiny)
print("down the columns:", runs, "  row by row:", runs_by_hand(tiny.T))
print("and if the first pixel is a one:", runs_by_hand(~tiny))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 1, 6, 5: one zero, six ones, five zeros. (The usual wrong answer goes row by row and has seven
# runs.) If the first pixel is a one, the run of zeros is there all the same, with length 0: else
# nobody could tell which runs are the ones.
# </details>
#
# `pycocotools`, COCO's own program, squeezes the runs into a string of characters. The package
# reads both; all must agree. And the way back to pixels is short.

# %%
from inspect import getsource

from pycocotools import mask as coco_rle

from mrcnn_edu.data.regions import decode_mask, encode_mask
from mrcnn_edu.data.rle import draw_runs

theirs = coco_rle.frPyObjects({"size": [3, 4], "counts": runs}, 3, 4)
assert torch.from_numpy(coco_rle.decode(theirs)).bool().equal(tiny)
assert encode_mask(tiny) == {"size": [3, 4], "counts": theirs["counts"].decode()}
assert decode_mask({"size": [3, 4], "counts": runs}, 3, 4).equal(tiny)
assert decode_mask(encode_mask(tiny), 3, 4).equal(tiny)
print(encode_mask(tiny))
print(getsource(draw_runs))

# %% [markdown]
# ## 4. A region as a polygon
#
# People outline objects by clicking corners: a **polygon**, `[x, y, x, y, ...]` in pixels. A region
# is a *list* of polygons, and its pixels are those in *any* of them. How good is it? **IoU**: the
# pixels in both masks divided by the pixels in either; 1 if they are equal.
#
# **Predict:** a ring is written as two polygons, the outer circle and the hole's, of 0.55 times its
# radius. What is the IoU of what is read back with the ring: near 1, about 0.7, or about 0.3?


# %%
def region(name, side):
    rings = [side * (0.5 + 0.4 * ring) for ring in template(name)]  # each [n, 2]
    mask = torch.from_numpy(draw(rings, side) >= 0.5)  # [side, side]
    return mask, [ring.round(1).flatten().tolist() for ring in rings]


# %%
iou, read, truth = {}, {}, {}
for name in ("star", "ring"):
    truth[name], polygons = region(name, 96)
    read[name] = decode_mask(polygons, 96, 96)
    both, either = truth[name] & read[name], truth[name] | read[name]
    iou[name] = (both.sum() / either.sum()).item()
    assert decode_mask(encode_mask(truth[name]), 96, 96).equal(truth[name])
print({name: round(value, 2) for name, value in iou.items()})

# %%
assert iou["star"] > 0.97 and abs(iou["ring"] - (1 - 0.55**2)) < 0.01
ring = {f"two polygons, IoU {iou['ring']:.2f}": read["ring"], "runs, IoU 1": truth["ring"]}
viz.show_differences(truth["ring"], ring).caption("Dark: right. Orange-red: too much, the hole.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 0.7, which is 1 - 0.55²: the hole is filled, because a list of polygons means "in any of
# them". (The usual wrong answer expects the second to be cut out.) The list is there for objects in
# several pieces. The star has no hole and loses a few pixels at its edge; runs lose nothing.
# </details>
#
# ## 5. What each costs
#
# A bitmap of n pixels takes n / 8 bytes; runs and polygons we write as text and count characters.
#
# **Predict:** the same star, twice as wide and twice as high. By what factor do the three grow?


# %%
def bytes_of(name, side):
    mask, polygons = region(name, side)
    runs = len(encode_mask(mask)["counts"])
    return [mask.numel() / 8, runs, len(str(polygons))]


sides = torch.tensor([48, 96, 192, 384])
size = torch.tensor([bytes_of("star", side) for side in sides.tolist()])  # [sides, ways]

# %%
ways = ("bitmap", "runs", "polygon")
growth = dict(zip(ways, (size[2] / size[1]).tolist(), strict=True))
print("from 96 to 192 pixels, times", {way: round(times, 1) for way, times in growth.items()})
assert growth["bitmap"] == 4 and 1.8 < growth["runs"] < 2.2 and growth["polygon"] < 1.2

# %%
picture = viz.show_lines(sides, dict(zip(ways, size.T, strict=True)), "side, pixels", "bytes")
picture.axes[0].set_yscale("log")
picture

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# By 4, 2 and hardly at all. A bitmap pays for the area, runs for the columns that the outline
# crosses, a polygon for its corners alone. So people, who must click each corner, draw polygons,
# and programs, whose masks have holes and ragged edges, write runs.
# </details>
#
# ## 6. The COCO format
#
# A **COCO folder** is a folder of images and one JSON file (text that any language reads) with
# three lists: `images`, `categories` (the classes) and `annotations`, one for each object. The
# lists refer to each other by ids. We write four scenes and look.

# %%
import json
from pathlib import Path
from tempfile import mkdtemp

from mrcnn_edu.data import CocoFolder, check, write_coco

few, folder = Shapes(4, seed=81), Path(mkdtemp())
write_coco(few, folder)
contents = json.loads((folder / "annotations.json").read_text())

# %%
for name in ("images", "categories", "annotations"):
    print(f"{len(contents[name]):2} {name}, the first: {contents[name][0]}")

# %% [markdown]
# **Predict:** our boxes are `(x1, y1, x2, y2)`, COCO's `bbox` is corner and size: x, y, width,
# height. What is `bbox` for the box (10, 20, 40, 60)?

# %%
coco = CocoFolder(folder / "images", folder / "annotations.json")
for i in range(len(few)):
    (image, target), (image_read, read) = few[i], coco[i]
    assert all(target[name].equal(read[name]) for name in ("boxes", "labels", "masks"))
    assert (image.clamp(0, 1) - image_read).abs().max() <= 0.501 / 255  # rounded to 8 bits
assert coco.classes == few.classes
ours, theirs = coco[0][1]["boxes"][0].tolist(), contents["annotations"][0]["bbox"]
print(f"{len(coco)} items are equal. The first box, ours {ours}, COCO's {theirs}")
assert theirs == [ours[0], ours[1], ours[2] - ours[0], ours[3] - ours[1]]

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# (10, 20, 30, 40): 40 - 10 and 60 - 20. The usual wrong answer copies the corners: then 40 and 60
# are read as width and height, and the box is far too large. Let us make that mistake.
# </details>
#
# ## 7. Look before you train: `check`
#
# Files come from many hands. We break four things, in four places, and let `data.check` walk
# through the folder.


# %%
def broken_folder(name, change):
    """The folder with annotations that `change` has spoilt, in a file of its own."""
    contents = json.loads((folder / "annotations.json").read_text())
    change(contents)
    (folder / name).write_text(json.dumps(contents))
    return CocoFolder(folder / "images", folder / name)


def break_four(contents):
    first, second, third = contents["annotations"][:3]
    x, y, width, height = first["bbox"]
    first["bbox"] = [x, y, x + width, y + height]  # corners
    second["category_id"] = 0  # the background
    third["segmentation"] = []
    contents["images"][3]["file_name"] = "lost.png"


# %%
assert check(coco) == []
problems = check(broken_folder("four.json", break_four))
for p in problems:
    print(f"{Path(p.file).name}, image {p.image_id}, annotation {p.annotation_id}: {p.message}")
assert {p.annotation_id for p in problems} == {1, 2, 3, None}

# %% [markdown]
# `mrcnn-edu check-data FOLDER` prints the same list on the command line.
#
# ## Where it breaks: mistakes that look like data
#
# Three more, now in *every* annotation: each label is one too high (a list of classes that starts
# at 0, read as if it started at 1), each ring is the polygon around it, and each mask was written
# row by row.
#
# **Predict:** which of the three will `check` find?


# %%
def one_too_high(annotation):
    annotation["category_id"] = annotation["category_id"] % len(few.classes) + 1


def polygon_for_ring(annotation):
    x, y, width, height = annotation["bbox"]
    around = torch.tensor(template("ring")[0] + 1) / 2 * torch.tensor([width, height])  # [n, 2]
    if few.classes[annotation["category_id"] - 1] == "ring":
        annotation["segmentation"] = [(around + torch.tensor([x, y])).flatten().tolist()]


def row_by_row(annotation):
    mask = decode_mask(annotation["segmentation"], 96, 96)
    annotation["segmentation"] = encode_mask(mask.T)


# %%
folders = {"right": coco}
for change in (one_too_high, polygon_for_ring, row_by_row):
    name = change.__name__.replace("_", " ")
    folders[name] = broken_folder(
        f"{name}.json", lambda contents, change=change: [*map(change, contents["annotations"])]
    )
found = {name: len(check(broken)) for name, broken in folders.items()}
n = len(contents["annotations"])
print(f"problems found, of {n} annotations:", found)
assert found["one too high"] == found["polygon for ring"] == 0 < found["row by row"] < n

# %%
picture, panels = viz.row(len(folders))
for axes, (way, file) in zip(panels, folders.items(), strict=True):
    image, t = file[0]
    viz.draw_instances(axes, image / 3, t["boxes"], t["labels"], t["masks"], few.classes, title=way)
picture.caption("The same (darkened) image by each file. Read the names, look into the ring.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Only the third, where a mask has left its box, and not even there for every object: one on the
# image's diagonal is mirrored into its own box. The other two are perfectly good data, of another
# world. Training would run, and the network would learn that triangles are called squares and rings
# have no holes. What no program finds, a glance at a few drawn images does.
# </details>
#
# ## Play
#
# A star by fewer or more corners, and in an image of another size. Which is better, 10 corners or
# 12, and why? From which size on is the polygon the smallest? (In gray the star; dark where both
# agree.)

# %%
from mrcnn_edu.course.widgets import region_player

region_player("star")

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.mask_to_box))`.
#
# **1.** `mask_of_runs(runs, height, width)`: the mask `[height, width]` of bool that a list of runs
# describes, as in section 3. About 2 lines.
#
# **2.** `mask_to_box(mask)`: the smallest box `[4]`, (x1, y1, x2, y2), around a mask `[H, W]` of
# bool, never empty; right and bottom are *exclusive*, so a single pixel has a box of width 1.
# About 3 lines.
#
# **3.** `semantic_map(masks, labels)`: each pixel's class `[H, W]`, 0 for background, from masks
# `[M, H, W]` that do not overlap, and labels `[M]`; M may be 0. 1 line.

# %%
from mrcnn_edu.course.exercises import annotations as exercises


def mask_of_runs(runs, height, width): ...


def mask_to_box(mask): ...


def semantic_map(masks, labels): ...


exercises.check_mask_of_runs(mask_of_runs)
exercises.check_box_around(mask_to_box)
exercises.check_semantic_map(semantic_map)

# %% [markdown]
# ## Remember
#
# - Instance segmentation: every object found, and each one outlined by itself.
# - Runs keep every pixel, zeros first and down the columns; polygons are short and lose holes.
# - `check` finds what contradicts itself; only a drawn image shows what is merely false.
#
# torchvision's models take the same `boxes`, `labels` and `masks`, with 0 as the background;
# detectron2 counts classes from 0 and puts the background last. Next: **02, boxes, IoU and NMS**.
