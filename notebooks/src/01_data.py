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
# # 01 · Instance segmentation and its data: what to predict, and how to write it down
#
# Before a network can learn to outline objects, somebody must have outlined some, and written that
# into a file. After this lesson (60 minutes) you can
#
# - tell instance segmentation from classification, detection and semantic segmentation;
# - write a region as bitmap, RLE or polygon, and say what each costs and what it loses;
# - read a COCO file, write one, and find mistakes in your own data, even those no program finds.

# %%
import torch

from mrcnn_edu import viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.outlines import template
from mrcnn_edu.data.shapes import draw

viz.show_flow("image")

# %% [markdown]
# ## The problem
#
# In this image one star lies partly on another. What should a network predict? There are four usual
# tasks:
#
# - **classification**: what is there?
# - **detection**: what is there, and in which box?
# - **semantic segmentation**: which *class* does each pixel belong to?
# - **instance segmentation**: which objects are there, and which pixels belong to *each*?
#
# The last two differ in more than counting: each object is outlined by itself, so a pixel may
# belong to none, and the masks that a network predicts may even overlap.

# %% tags=["cover"]
scenes = Shapes(10_000, seed=1)
image, target = scenes[5803]
masks, labels, boxes = target["masks"], target["labels"], target["boxes"]
crisp = Shapes(10_000, seed=1, render_size=384)  # the same scenes with more pixels, for pictures
crisp_image, crisp_target = crisp[5803]
picture = viz.show_tasks(crisp_image, crisp_target, scenes.classes)
picture.caption("Third panel: a color for each class. Fourth: a color for each object.")

# %% [markdown]
# ## 1. Semantic segmentation does not count
#
# Its output is one image `[H, W]`, a **semantic map**, with a label in each pixel and 0 for
# background. A **connected region** is a set of pixels of one class that touch one another.
#
# **Predict:** our scene has six objects. How many connected regions does its semantic map have?

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
assert len(labels) == 6 and sum(regions.values()) == 5
print("objects:", len(labels), " regions:", regions)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Five: the two stars have become one region, and nothing in the map says where one ends. From the
# instances we made the semantic map in three lines; there is no way back. (Six would be right if
# no two objects of a class touched, and none was cut in two.)
# </details>
#
# ## 2. Why it is hard: two tasks at once
#
# Every object must be found, *and* each one outlined. Boxes do tell the stars apart. But a box is
# no outline.
#
# **Predict:** of the pixels in the upper star's box, what fraction belongs to that star: about a
# third, a half, or two thirds? And what fraction to *other* objects?

# %%
star = 3  # the upper one's row in the target
fraction = viz.crop(masks, boxes[star]).float().mean(dim=(1, 2))  # of the box, for each object
this_star, others = fraction[star].item(), (fraction.sum() - fraction[star]).item()
print(f"the star {this_star:.0%}, others {others:.0%}, background {1 - fraction.sum():.0%}")
assert labels[star] == 4 and abs(this_star - 1 / 3) < 0.06 and abs(others - 1 / 3) < 0.06

# %%
box = crisp_target["boxes"][star]
piece, (mask,) = viz.crop(crisp_image, box), viz.crop(crisp_target["masks"][[star]], box)
viz.show_images({"its box": piece, "its pixels": torch.where(mask, piece, 1)})

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About a third each: the star itself, other objects (one of them a star as well), and background.
# So a method for this task needs detection, which tells objects apart, and segmentation, which
# decides for each pixel. Mask R-CNN detects first and then segments within each box.
# </details>
#
# ## 3. A region as RLE
#
# A mask with one bit for each pixel is a **bitmap**. Most neighbors are equal, so we may note how
# long they stay equal: **run-length encoding** (RLE). The format of COCO, a large set of outlined
# photographs (section 6), reads *down the columns*, and its first run is of *zeros*.
#
# **Predict:** the run lengths of this mask. (The right picture numbers the pixels in the order in
# which they are read.)

# %%
tiny = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]).bool()  # [3, 4]
order = torch.arange(12).view(4, 3).T
viz.show_maps([tiny, order], ["the mask", "the order"], numbers=".0f")


# %%
def rle_by_hand(mask):
    runs, value = [0], False
    for pixel in mask.T.flatten().tolist():  # down the columns
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


runs = rle_by_hand(tiny)
print("down the columns:", runs, "  row by row:", rle_by_hand(tiny.T))
print("and if the first pixel is a one:", rle_by_hand(~tiny))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 1, 6, 5: one zero, six ones, five zeros. (If you found seven runs, you went row by row.) If the
# first pixel is a one, there is still a first run of zeros, with length 0: otherwise we could not
# tell which runs are the ones.
# </details>
#
# `pycocotools`, COCO's library, compresses the run lengths into a string of characters. The package
# reads both; all must agree. And decoding into pixels is short.

# %%
from inspect import getsource

from pycocotools import mask as coco_rle

from mrcnn_edu.data.regions import decode_mask, encode_mask
from mrcnn_edu.data.rle_codec import counts_to_mask

theirs = coco_rle.frPyObjects({"size": [3, 4], "counts": runs}, 3, 4)
assert torch.from_numpy(coco_rle.decode(theirs)).bool().equal(tiny)
assert encode_mask(tiny) == {"size": [3, 4], "counts": theirs["counts"].decode()}
assert decode_mask({"size": [3, 4], "counts": runs}, 3, 4).equal(tiny)
assert decode_mask(encode_mask(tiny), 3, 4).equal(tiny)
print(encode_mask(tiny))
print(getsource(counts_to_mask))

# %% [markdown]
# ## 4. A region as a polygon
#
# People outline objects by clicking corners: a **polygon**, `[x, y, x, y, ...]` in pixels. A region
# is a *list* of polygons, and its pixels are those in *any* of them. How good is it? **IoU**: the
# pixels in both masks divided by the pixels in either; 1 if they are equal.
#
# **Predict:** a ring is written as two polygons, the outer circle and the hole, with 0.55 times its
# radius. What IoU does the mask that is read back have with the ring: near 1, about 0.7, or about
# 0.3?


# %%
def region(name, size):
    rings = [size * (0.5 + 0.4 * ring) for ring in template(name)]  # each [n, 2]
    mask = torch.from_numpy(draw(rings, size) >= 0.5)  # [size, size]
    return mask, [ring.round(1).flatten().tolist() for ring in rings]


# %%
iou, decoded, exact = {}, {}, {}
for name in ("star", "ring"):
    exact[name], polygons = region(name, 96)
    decoded[name] = decode_mask(polygons, 96, 96)
    both, either = exact[name] & decoded[name], exact[name] | decoded[name]
    iou[name] = (both.sum() / either.sum()).item()
    assert decode_mask(encode_mask(exact[name]), 96, 96).equal(exact[name])
print({name: round(value, 2) for name, value in iou.items()})

# %%
assert iou["star"] > 0.97 and abs(iou["ring"] - (1 - 0.55**2)) < 0.01
ring = {f"two polygons, IoU {iou['ring']:.2f}": decoded["ring"], "RLE, IoU 1": exact["ring"]}
viz.show_differences(exact["ring"], ring).caption("Gray: correct. Crimson: too much, the hole.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 0.7, which is 1 - 0.55²: the hole is filled, because a list of polygons means "in any of
# them"; the second is not cut out. The list exists for objects in several pieces. The star has no
# hole and loses a few pixels at its edge; RLE loses nothing.
# </details>
#
# ## 5. What each costs
#
# A bitmap of n pixels takes n / 8 bytes; RLE and polygons we write as text and count characters.
#
# **Predict:** the same star, twice as wide and twice as high. By what factor do the three grow?


# %%
def count_bytes(name, size):
    mask, polygons = region(name, size)
    rle = len(encode_mask(mask)["counts"])
    return [mask.numel() / 8, rle, len(str(polygons))]


sizes = torch.tensor([48, 96, 192, 384])
n_bytes = torch.tensor([count_bytes("star", size) for size in sizes.tolist()])  # [sizes, formats]

# %%
formats = ("bitmap", "RLE", "polygon")
growth = dict(zip(formats, (n_bytes[2] / n_bytes[1]).tolist(), strict=True))
print("from 96 to 192 pixels, times", {name: round(times, 1) for name, times in growth.items()})
assert growth["bitmap"] == 4 and 1.8 < growth["RLE"] < 2.2 and growth["polygon"] < 1.2

# %%
lines = dict(zip(formats, n_bytes.T, strict=True))
picture = viz.show_lines(sizes, lines, "width and height, pixels", "bytes")
picture.axes[0].set_yscale("log")
picture

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# By 4, 2 and hardly at all. A bitmap pays for the area, RLE for the columns that the outline
# crosses, a polygon only for its corners. So people, who must click each corner, draw polygons,
# and programs, whose masks have holes and ragged edges, write RLE.
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

few, folder = Shapes(4, seed=829), Path(mkdtemp())
write_coco(few, folder)
contents = json.loads((folder / "annotations.json").read_text())

# %%
for name in ("images", "categories", "annotations"):
    print(f"{len(contents[name]):2} {name}, the first: {contents[name][0]}")

# %% [markdown]
# **Predict:** our boxes are `(x1, y1, x2, y2)`, while COCO's `bbox` is a corner and a size: x, y,
# width, height. What is `bbox` for the box (10, 20, 40, 60)?

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
# (10, 20, 30, 40): 40 - 10 and 60 - 20. Somebody who copies the corners gets a box that is far too
# large, because 40 and 60 are read as width and height. Let us make that mistake.
# </details>
#
# ## 7. Look before you train: `check`
#
# Files come from many hands. We break four things, in four places, and let `data.check` walk
# through the folder.


# %%
def broken_folder(name, change):
    """The folder with annotations that `change` has damaged, in a separate file."""
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


def find_problems(dataset):
    """What `check` finds wrong, without its notes (a class that never occurs, and the like)."""
    return [problem for problem in check(dataset) if not problem.is_note]


# %%
assert find_problems(coco) == []
problems = find_problems(broken_folder("four.json", break_four))
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
folders = {"correct": coco}
for change in (one_too_high, polygon_for_ring, row_by_row):
    name = change.__name__.replace("_", " ")
    folders[name] = broken_folder(
        f"{name}.json", lambda contents, change=change: [*map(change, contents["annotations"])]
    )
n_problems = {name: len(find_problems(broken)) for name, broken in folders.items()}
n = len(contents["annotations"])
print(f"problems found, of {n} annotations:", n_problems)
assert n_problems["one too high"] == n_problems["polygon for ring"] == 0
assert 0 < n_problems["row by row"] < n

# %%
picture, panels = viz.row(len(folders))
for axes, (name, dataset) in zip(panels, folders.items(), strict=True):
    image, t = dataset[0]
    viz.draw_instances(axes, image, t["boxes"], t["labels"], t["masks"], few.classes, title=name)
picture.caption("The same image by each file. Read the labels, and look into the ring.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Only the third, where a mask has left its box, and not even there for every object: one on the
# image's diagonal is mirrored into its own box. The other two are perfectly consistent data, of
# another world. Training would run, and the network would learn that triangles are called squares
# and rings have no holes. What no program finds, you see at a glance in a few images with their
# annotations.
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
# **1.** `decode_rle(counts, height, width)`: the mask `[height, width]` of bool that a list of run
# lengths describes, as in section 3. About 2 lines.
#
# **2.** `mask_to_box(mask)`: the smallest box `[4]`, (x1, y1, x2, y2), around a mask `[H, W]` of
# bool, never empty; right and bottom are *exclusive*, so a single pixel has a box of width 1.
# About 3 lines.
#
# **3.** `semantic_map(masks, labels)`: each pixel's class `[H, W]`, 0 for background, from masks
# `[M, H, W]` that do not overlap, and labels `[M]`; M may be 0. 1 line.

# %%
from mrcnn_edu.course.exercises import annotations as exercises


def decode_rle(counts, height, width): ...


def mask_to_box(mask): ...


def semantic_map(masks, labels): ...


exercises.check_decode_rle(decode_rle)
exercises.check_mask_to_box(mask_to_box)
exercises.check_semantic_map(semantic_map)

# %% [markdown]
# ## Remember
#
# - Instance segmentation: every object found, and each one outlined by itself.
# - RLE keeps every pixel, zeros first and down the columns; polygons are short and lose holes.
# - `check` finds what contradicts itself; what is merely wrong you only see in a picture.
#
# torchvision's models take the same `boxes`, `labels` and `masks`, with 0 as the background;
# detectron2 counts classes from 0 and puts the background last. Next: **02, boxes, IoU and NMS**.
