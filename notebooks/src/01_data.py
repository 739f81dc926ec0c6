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
# # 01 · Instance segmentation and its data
#
# **The question.** Before a network can learn to outline objects, somebody has to outline some and
# save the result in a file. What exactly has to be written down about an image, and how do you
# notice that something in such a file is wrong?
#
# **You will be able to**
#
# - tell classification, detection, semantic, instance and panoptic segmentation apart, and say what
#   each of them outputs;
# - store a mask as a bitmap, as a run-length encoding and as polygons, and say what each form costs
#   and what it loses;
# - read and write a file in COCO's format;
# - find the mistakes in your own data, including those that no program can find.
#
# *Time: 150 minutes, 70 of them for the exercises. You need lesson 00. Reading:
# [COCO](https://arxiv.org/abs/1405.0312), section 4, on how people outlined 2.5 million objects.*

# %%
import json
from pathlib import Path
from tempfile import mkdtemp

import torch
from skimage import data, measure

import mrcnn_edu
from mrcnn_edu import viz
from mrcnn_edu.data import CocoFolder, Shapes, check, write_coco
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.data.outlines import circle, template
from mrcnn_edu.data.regions import decode_mask, encode_mask
from mrcnn_edu.data.shapes import draw

# %% [markdown]
# ## The problem: one image, five tasks
#
# Six paper shapes lie on a desk, and one star partly covers another. What should a network tell us
# about this image? That depends on the task, and there are five common ones.
#
# - **Classification** asks which classes occur in the image.
# - **Object detection** asks for a box and a class label for every object.
# - **Semantic segmentation** asks which class every pixel belongs to.
# - **Instance segmentation** asks for a class label and a **mask** for every object. The mask says
#   for each pixel of the image whether it belongs to that object.
# - **Panoptic segmentation** asks for one complete map of the image. Every pixel gets a class and,
#   where objects can be counted, also the number of its object.
#
# Figure 1 shows the first four.

# %% tags=["cover"]
scenes = Shapes(10_000, seed=1, render_size=384)
image, target = scenes[5803]
boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
viz.show_tasks(image, target, scenes.classes).caption(
    "Figure 1. Four tasks for one image. Detection treats objects one by one, "
    "semantic segmentation decides about pixels, and the last task does both."
)

# %% [markdown]
# The fourth panel shows the task of this course. Every object in it is an **instance** of its
# class, and has a mask of its own.
#
# The three kinds of segmentation are easily confused, so let us be exact. A semantic map has
# exactly one class at each pixel, and nothing in it separates two objects of a class. Instance
# segmentation outputs as many masks as there are objects, and each mask is an image of its own. So
# nothing stops two predicted masks from overlapping, and pixels in no mask are background. Panoptic
# segmentation forbids the overlap again, since each pixel belongs to one object at most, and it
# divides the background into classes, too. [Kirillov et al.](https://arxiv.org/abs/1801.00868), who
# defined this task, call classes that can be counted **things**, and classes such as sky, grass or
# a table top **stuff**.
#
# The same in a table, for an image of $H \times W$ pixels, $M$ objects and $K$ classes:
#
# | task | output | shape | tells the stars apart | may overlap |
# |:--|:--|:--|:--|:--|
# | classification | yes or no for each class | $K$ | no | |
# | object detection | boxes and labels | $M \times 4$ and $M$ | yes | yes |
# | semantic segmentation | a class at each pixel | $H \times W$ | no | no |
# | instance segmentation | masks and labels | $M \times H \times W$ and $M$ | yes | yes |
# | panoptic segmentation | a class and an object at each pixel | $2 \times H \times W$ | yes | no |
#
# ## 1. Can a semantic map count?
#
# The output of semantic segmentation is called a **semantic map**. At first sight, it seems to be
# enough for counting objects. We look for connected areas of one class, and count them. Such an
# area is called a **connected region**. You can walk from any of its pixels to any other, always
# from neighbor to neighbor, without leaving it.
#
# Let us try. All that a semantic map knows about the stars is which pixels belong to *some* star.
# So we join the masks of each class, and let scikit-image count the connected regions.
#
# > **Predict.** The scene has six objects. How many connected regions does its semantic map have?
# > And could a scene have *more* regions than objects?

# %%
total = 0
for label, name in enumerate(scenes.classes, start=1):
    of_class = masks[labels == label]  # [objects of this class, H, W]
    pixels = of_class.any(dim=0)  # [H, W], all that a semantic map knows
    _, n_regions = measure.label(pixels.numpy(), return_num=True)
    print(f"{name:9} objects: {len(of_class)}  regions: {n_regions}")
    total += n_regions
print(f"{'total':9} objects: {len(masks)}  regions: {total}")

# %% [markdown]
# **What happened.** There are five. The two stars have become one region, and nothing in the map
# says where one of them ends. Six would have been right if no two objects of a class touched. The
# opposite happens as well. An object that is cut in two by something in front of it has two
# regions. You will meet one in a photograph below.
#
# The masks of the instances contain the semantic map, and in exercise 3 you will compute it from
# them. But there is no way back from the map to the instances. This is why the ground truth for our
# task has to be drawn object by object.

# %% tags=["claim"]
assert len(labels) == 6 and total == 5

# %% [markdown]
# ## 2. A box is not an outline
#
# Boxes *do* tell the two stars apart, so a detector counts correctly. Why is that not enough?
# Because a box contains more than its object. Let $B$ be the set of pixels in a box, and $S$ the
# set of pixels of an object. The object fills the fraction
#
# $$ f = \frac{|S \cap B|}{|B|} $$
#
# of the box, where $|\cdot|$ counts pixels.
#
# > **Predict.** Look at the upper star in figure 1. What fraction of its box does the star fill,
# > and what fraction do *other objects* fill? A guess in quarters or thirds will do.

# %%
star = 3  # the upper star's row in the target
in_box = viz.crop(masks, boxes[star])  # [M, h, w]
fractions = in_box.float().mean(dim=(1, 2))  # [M], each object's f
others = fractions.sum() - fractions[star]
background = 1 - fractions.sum()
print(f"this star {fractions[star]:.0%}, other objects {others:.0%}")
print(f"background {background:.0%}")

# %%
piece = viz.crop(image, boxes[star])  # [3, h, w]
star_only = torch.where(in_box[star], piece, torch.ones_like(piece))
viz.show_images({"in its box": piece, "in its mask": star_only}).caption(
    "Figure 2. What a detector hands over, and what we want. The box also "
    "holds parts of three other objects."
)

# %% [markdown]
# **What happened.** The star, the other objects and the background take about a third each. If you
# used the box to measure the star's color, most of what you measured would be something else.
#
# Instance segmentation is therefore two tasks in one. It finds the objects, as detection does, and
# it decides about pixels, as semantic segmentation does. Mask R-CNN takes the two in this order. It
# first finds a box for each object, and then decides inside each box which pixels belong to the
# object ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3).
#
# To learn this, it needs a label, a box and a mask for every object. The label is one number and
# the box is four numbers. The mask is the large part, so the next three sections are about masks in
# files.

# %% tags=["claim"]
assert scenes.classes[labels[star] - 1] == "star" and (fractions > 0.01).sum() == 4
assert all(abs(part - 1 / 3) < 0.06 for part in (fractions[star], others, background))

# %% [markdown]
# ## 3. Run-length encoding: count what repeats
#
# The plainest way to store a mask is a **bitmap**, which has one bit for each pixel. In a
# photograph of $640 \times 480$ pixels that makes 38,400 bytes for every object. COCO, the dataset
# on which most instance segmentation is measured, has 2.5 million outlined objects
# ([COCO](https://arxiv.org/abs/1405.0312), section 4.3). As bitmaps they would fill 96 gigabytes,
# and nearly every byte of them would only say that there is no object here.
#
# **Run-length encoding**, RLE for short, removes that repetition. Read the pixels one after the
# other, and only note how many equal ones there are before the value changes. The row `0 1 1 0`
# becomes `1 2 1`, because it has one zero, two ones and one zero.
#
# COCO's version has two rules of its own. It reads *down the columns*, one column after the other.
# And its first count is always a count of *zeros*, so that nobody has to store which value comes
# first. Here is a mask of $3 \times 4$ pixels. They are numbered in the order in which COCO reads
# them.

# %%
tiny = torch.tensor(
    [
        [0, 1, 1, 0],
        [1, 1, 0, 0],
        [1, 1, 0, 0],
    ]
).bool()
viz.show_run_lengths(tiny).caption(
    "Figure 3. A mask, with its ones shaded. On the right there is a place "
    "for each of its pixels, in the order in which COCO reads them."
)

# %% [markdown]
# > **Predict.** Fill in the row on the right. Which counts does COCO store for this mask?


# %%
def run_lengths(mask):
    """COCO's counts for a mask [H, W]: zeros, ones, zeros, ..."""
    counts, current = [0], False
    for value in mask.T.flatten().tolist():  # down the columns
        if value != current:
            counts.append(0)  # a new run begins
            current = value
        counts[-1] += 1
    return counts


viz.show_run_lengths(tiny, run_lengths(tiny)).caption(
    "Figure 4. The runs of the mask, and below each of them its count."
)

# %% [markdown]
# **What happened.** The counts are 1, 6 and 5. If you found seven counts, you read along the rows.
# Then the edge of the object is crossed in every row, and each crossing begins a new run.
#
# If the very first pixel is a one, the list still begins with a count of zeros, and this count
# is 0. You can see it when we swap the zeros and ones of our mask:

# %%
print(run_lengths(~tiny))

# %% [markdown]
# Now the way back. Call the counts $c_0, c_1, c_2, \dots$ In an image of height $H$, the pixel in
# column $x$ and row $y$ has the number $i = xH + y$. It lies in run $k$ if the counts before that
# run add up to at most $i$, and those up to its end to more than $i$:
#
# $$ \sum_{j < k} c_j \;\le\; i \;<\; \sum_{j \le k} c_j . $$
#
# The pixel is a one if $k$ is odd, because the runs with odd numbers are the runs of ones. All
# counts together must add up to the number of pixels, $HW$. That is the complete decoder, and
# you will write it in exercise 1.
#
# In files you will mostly see the result of one more step, in which COCO writes the counts as a
# string of characters. The package's `encode_mask` does both steps, and `decode_mask` undoes them.

# %%
print("our small mask:", encode_mask(tiny))
print("the upper star:", encode_mask(masks[star])["counts"][:50], "...")

# %% [markdown]
# The first string looks like our counts, because a small count happens to become the character of
# its digit. The second one is unreadable for us, but not for pycocotools, the library that comes
# with COCO.
#
# RLE keeps every single pixel. But first somebody has to decide about every single pixel, and
# people do not paint masks pixel by pixel.

# %% tags=["claim"]
from pycocotools import mask as coco_rle

from mrcnn_edu.data.rle_codec import counts_to_mask, mask_to_counts

assert 640 * 480 / 8 == 38_400 and 38_400 * 2.5e6 == 96e9
assert run_lengths(tiny) == mask_to_counts(tiny) == [1, 6, 5] and len(run_lengths(tiny.T)) == 7
assert run_lengths(~tiny) == [0, 1, 6, 5] and counts_to_mask([1, 6, 5], (3, 4)).equal(tiny)
theirs = coco_rle.frPyObjects({"size": [3, 4], "counts": [1, 6, 5]}, 3, 4)
assert encode_mask(tiny) == {"size": [3, 4], "counts": theirs["counts"].decode()}
assert decode_mask(encode_mask(masks[star]), 384, 384).equal(masks[star])

# %% [markdown]
# ## 4. Polygons: what people draw
#
# People click along an outline. What they leave behind is a **polygon**, the list of the corners
# that they clicked, $x_1, y_1, x_2, y_2, \dots$ in pixels. To see what this means in practice, let
# us outline two objects in a real photograph, which comes with scikit-image. We use six classes
# from COCO's list.
#
# The outlines were drawn by hand for this lesson, on an enlarged copy of the photograph. They are
# nobody's official ground truth, so look at them critically.


# %%
def polygon(text):
    """The corners "x,y x,y ..." as one list [x, y, x, y, ...]."""
    return [int(number) for number in text.replace(",", " ").split()]


cup = [
    polygon("""
        282,18 315,21 345,33 372,53 393,77 405,104 406,130 399,168 386,207
        374,231 355,243 338,253 328,268 325,277 308,282 285,285 262,281
        254,262 257,246 243,259 233,277 225,301 216,306 203,299 196,284
        198,264 207,247 220,237 203,222 190,200 181,172 175,140 173,108
        178,83 196,56 222,35 252,22
    """)
]

# %%
spoon = [
    polygon("396,74 402,68 412,66 421,71 424,80 416,108 407,138 406,104"),
    polygon("""
        391,199 388,218 384,236 388,249 399,261 405,277 403,293 394,309
        378,320 360,325 342,321 330,309 326,291 328,270 338,253 355,243
        374,231 386,207
    """),
]

# %%
photo = torch.from_numpy(data.coffee()).permute(2, 0, 1) / 255  # [3, H, W]
height, width = photo.shape[1:]
cup_mask = decode_mask(cup, height, width)  # [H, W]
spoon_mask = decode_mask(spoon, height, width)

kitchen = ["bottle", "wine glass", "cup", "fork", "knife", "spoon"]
photo_target = {
    "labels": torch.tensor([3, 6]),  # a cup and a spoon
    "masks": torch.stack((cup_mask, spoon_mask)),
}
photo_target["boxes"] = masks_to_boxes(photo_target["masks"])

# %%
viz.show_ground_truth(photo, photo_target, kitchen, width=5).caption(
    "Figure 5. A photograph by Rachel Michetti, in the public domain (CC0), "
    "and our outlines of two objects. The cup took us 37 corners. The spoon "
    "is a single object, although we see it in two pieces."
)

# %% [markdown]
# Even these two objects needed decisions that no program could have made for us.
#
# - The spoon passes behind the cup, and we see it in two pieces. This is why a region in COCO's
#   format is a *list* of polygons. Its pixels are those in *any* of them. And this is the object
#   with two connected regions that we promised above.
# - To the left of the spoon, its reflection shines in the glaze of the cup. It looks like a spoon,
#   but its pixels belong to the cup.
# - We counted the coffee as a part of the cup. Somebody else might not.
# - The saucer has no outline, because COCO has no class for saucers. Its authors even left out
#   plates, because people confused them with bowls ([COCO](https://arxiv.org/abs/1405.0312),
#   section 6). So for a network that learns from COCO's list, the saucer is background.
#
# A list of polygons also invites a mistake that is easy to miss. A ring has a hole, so it is
# tempting to write it as two polygons, the outer circle and the inner one.
#
# To see how much damage that does, we need a number for how similar two masks $A$ and $B$ are. The
# usual one is their **intersection over union**, or **IoU**, which is the number of pixels in both
# masks divided by the number of pixels in at least one of them:
#
# $$ \mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|} . $$
#
# It is 1 if the masks are equal and 0 if they have no pixel in common. Lesson 02 uses the same
# measure for boxes.
#
# > **Predict.** The hole of our ring has 0.55 times the radius of the ring. We write the ring as
# > two polygons and read it back as a mask. What is the IoU of this mask with the ring: close to 1,
# > about 0.7, or about 0.3?


# %%
def mask_iou(a, b):
    """The IoU of two masks [H, W]."""
    return ((a & b).sum() / (a | b).sum()).item()


outer = 200 + 160 * circle(48)  # [48, 2], the corners x, y in pixels
inner = 200 + 0.55 * 160 * circle(48)
ring = torch.from_numpy(draw([outer, inner], 400) >= 0.5)  # [400, 400]
two_polygons = [outer.flatten().tolist(), inner.flatten().tolist()]
read_back = decode_mask(two_polygons, 400, 400)
print(f"IoU {mask_iou(ring, read_back):.2f}")

# %%
from_rle = decode_mask(encode_mask(ring), 400, 400)
masks_read = {"from two polygons": read_back, "from RLE": from_rle}
viz.show_differences(ring, masks_read).caption(
    "Figure 6. The ring, written and read back. Gray pixels are correct, "
    "crimson ones do not belong to it, and a few green ones are missing."
)

# %% [markdown]
# **What happened.** It is about 0.7. The hole is filled, because "in any of the polygons" means
# that the second circle is added to the first, and not cut out of it. The ring has the area
# $\pi r^2 (1 - 0.55^2)$ and the filled disk has $\pi r^2$, so the IoU is $1 - 0.55^2 = 0.70$.
# COCO's polygons cannot express a hole, unless you cut a slit to it. RLE can, and loses nothing.

# %% tags=["claim"]
assert len(cup[0]) == 2 * 37 and kitchen[3 - 1] == "cup" and kitchen[6 - 1] == "spoon"
assert [measure.label(m.numpy(), return_num=True)[1] for m in (cup_mask, spoon_mask)] == [1, 2]
assert not (cup_mask & spoon_mask).any()
assert abs(mask_iou(ring, read_back) - (1 - 0.55**2)) < 0.005 and from_rle.equal(ring)

# %% [markdown]
# ## 5. How exact is an outline?
#
# Outlining COCO took more than 22 hours of work for 1,000 objects, which is about 79 seconds each
# ([COCO](https://arxiv.org/abs/1405.0312), section 4.3). If you outlined our cup in 79 seconds, you
# would hardly put one corner exactly where we did. How much would your mask differ from ours?
#
# Let us imitate a second person. We move every coordinate by a random amount of about two pixels,
# draw the mask again, and compare. The photograph is 600 pixels wide, so two pixels are not much.


# %%
def draw_again(polygons, generator):
    """The mask [H, W] of polygons whose coordinates are 2 pixels off."""
    moved = []
    for corners in polygons:
        offsets = 2 * torch.randn(len(corners), generator=generator)
        moved.append((torch.tensor(corners) + offsets).tolist())
    return decode_mask(moved, height, width)


# %% [markdown]
# > **Predict.** Whose masks will agree less, the cup's or the spoon's? And what will be the mean
# > IoU of our spoon with the second person's: 0.99, 0.95 or 0.90?

# %%
generator = torch.Generator().manual_seed(0)
mean_iou, shown = {}, {}
for name, polygons in {"cup": cup, "spoon": spoon}.items():
    ours = decode_mask(polygons, height, width)
    drawings = [draw_again(polygons, generator) for _ in range(50)]
    ious = [mask_iou(ours, drawing) for drawing in drawings]
    mean_iou[name] = sum(ious) / len(ious)
    shown[name] = viz.paint_differences(ours, drawings[0])  # the first one
    print(f"{name:5} mean IoU {mean_iou[name]:.2f}")

# %%
around = torch.tensor([165, 10, 435, 335])  # both objects, x1, y1, x2, y2
pieces = {name: viz.crop(painted, around) for name, painted in shown.items()}
viz.show_images(pieces).caption(
    "Figure 7. Our masks and those of an imagined second person. Gray pixels "
    "are in both, green ones only in ours, crimson ones only in the second."
)

# %% [markdown]
# **What happened.** The cup's masks have a mean IoU of 0.98, the spoon's only 0.91, although both
# were drawn with the same care. The two drawings differ in a thin strip along the outline. If the
# outline has the length $L$ and the drawings lie $\delta$ pixels apart on average, the strip has
# about $L\,\delta$ pixels. Compared with the area $A$ of the mask, this is
#
# $$ 1 - \mathrm{IoU} \approx \frac{L\,\delta}{A} . $$
#
# Small and thin objects have much outline for little area, so they suffer most. This has a
# consequence for every number that you will read about masks. Our second person is imagined, but
# suppose that the outlines of two careful people really agree with an IoU of 0.91. Then a network
# that reaches 0.91 is as good as a person, and these data cannot show whether another network is
# better. Keep that in mind when COCO's metric, in lesson 11, asks for an IoU of up to 0.95.

# %% tags=["claim"]
def outline_length(polygons):
    total = 0.0
    for corners in polygons:
        points = torch.tensor(corners).float().view(-1, 2)
        total += (points - points.roll(1, dims=0)).norm(dim=1).sum().item()
    return total


assert round(22 * 3600 / 1000) == 79 and width == 600
assert round(mean_iou["cup"], 2) == 0.98 and round(mean_iou["spoon"], 2) == 0.91
strips = [outline_length(p) / m.sum() for p, m in ((cup, cup_mask), (spoon, spoon_mask))]
lost = [1 - mean_iou["cup"], 1 - mean_iou["spoon"]]
assert abs(lost[1] / lost[0] / (strips[1] / strips[0]) - 1) < 0.2  # the formula's ratio

# %% [markdown]
# ## 6. What each form costs
#
# We have three forms now. RLE and bitmaps keep every pixel, polygons lose a little at the outline
# and a lot at a hole. How many bytes does each of them take? A bitmap of $H \times W$ pixels takes
# $HW / 8$ bytes. RLE and polygons are written as text, so we count characters.
#
# > **Predict.** We render the same star twice as wide and twice as high. By what factor does each
# > of the three forms grow?


# %%
def count_bytes(size):
    """Bytes of a star as bitmap, RLE and polygon, in size x size pixels."""
    corners = size * (0.5 + 0.4 * template("star")[0])  # [10, 2]
    mask = torch.from_numpy(draw([corners], size) >= 0.5)
    rle = encode_mask(mask)["counts"]
    text = json.dumps(corners.round(1).flatten().tolist())
    return [mask.numel() / 8, len(rle), len(text)]


sizes = torch.tensor([48, 96, 192, 384, 768])
n_bytes = torch.tensor([count_bytes(size) for size in sizes.tolist()])
for form, column in zip(("bitmap", "RLE", "polygon"), n_bytes.T, strict=True):
    print(f"{form:8}", [round(n) for n in column.tolist()])

# %%
forms = dict(zip(("bitmap", "RLE", "polygon"), n_bytes.T, strict=True))
picture = viz.show_lines(sizes, forms, "width and height in pixels", "bytes")
axes = picture.axes[0]
axes.set(xscale="log", yscale="log")
axes.set_xticks(sizes.tolist(), sizes.tolist())
axes.minorticks_off()
picture.caption(
    "Figure 8. What a star costs in three forms. Both axes are logarithmic, "
    "so a form that grows with a power of the size is a straight line."
)

# %% [markdown]
# **What happened.** The bitmap grows by a factor of 4, RLE by about 2, and the polygon hardly at
# all. A bitmap pays for the area. RLE pays whenever a column crosses the outline, at least twice in
# each column that the object touches, and an object that is twice as wide touches twice as many
# columns. A polygon pays for its corners, and a star has ten of them at any size.
#
# This is why polygons and RLE have both survived. People, who have to click every corner, draw
# polygons. Programs, whose masks have holes and ragged edges, write RLE.

# %% tags=["claim"]
growth = n_bytes[1:] / n_bytes[:-1]
assert (growth[:, 0] == 4).all() and (growth[1:, 1] - 2).abs().max() < 0.35
assert growth[:, 2].max() < 1.25

# %% [markdown]
# ## 7. A file for all of it: COCO's format
#
# Masks, boxes and labels go into one file. Nearly every tool reads and writes COCO's format, a
# folder of images together with one JSON file, which is a text file that programs in any language
# can read. The file has three lists. `images` has an entry for each image, `categories` one for
# each class, and `annotations` one for each outlined object. Entries refer to each other by ids. We
# write four scenes in this format, and look into the file.

# %%
few = Shapes(4, seed=3042, render_size=384)
folder = Path(mkdtemp())
write_coco(few, folder)
contents = json.loads((folder / "annotations.json").read_text())

for name in ("images", "categories", "annotations"):
    print(len(contents[name]), name)
print("an image:   ", contents["images"][0])
print("a category: ", contents["categories"][0])

# %%
annotation = contents["annotations"][0]
for name, value in annotation.items():
    print(f"{name:12}", str(value)[:60])

# %% [markdown]
# An **annotation** is what somebody has recorded about one object. The **class label** is called
# `category_id` here. `segmentation` is a list of polygons or an RLE, and `area` the number of
# pixels. `iscrowd` marks a **crowd**. Where a photograph shows a whole grandstand, COCO's workers
# outlined ten to fifteen people and joined the rest in a single region
# ([COCO](https://arxiv.org/abs/1405.0312), section 4.3). Such a region is not an object to learn
# from, and a detection inside it counts neither for nor against a network.
#
# One entry deserves a second look. Our boxes are two corners, $(x_1, y_1, x_2, y_2)$. COCO's `bbox`
# is a corner and a size, $(x, y, \text{width}, \text{height})$. This is easily forgotten.
#
# > **Predict.** A script writes the box $(10, 20, 40, 60)$ into the file just as it is, corners and
# > all. Which corners will a reader of the file get? And how many times too large is their box?

# %%
from torchvision.ops import box_area, box_convert

ours = torch.tensor([[10, 20, 40, 60]])
misread = box_convert(ours, in_fmt="xywh", out_fmt="xyxy")
correct = box_convert(ours, in_fmt="xyxy", out_fmt="xywh")
print("the reader's corners:", misread[0].tolist())
print("too large by:        ", (box_area(misread) / box_area(ours)).item())
print("the correct bbox:    ", correct[0].tolist())

# %% [markdown]
# **What happened.** The reader takes 40 and 60 for the width and the height, and gets a box from
# $(10, 20)$ to $(50, 80)$. It has twice the area of ours. The correct `bbox` is $(10, 20, 30, 40)$,
# with the width $40 - 10$ and the height $60 - 20$. The farther an object lies from the upper left
# corner of the image, the larger this mistake becomes.
#
# Ids need care, too. They need not begin at 1, and they may have gaps. In COCO's own file the 80
# classes have ids from 1 to 90, among them 47 for cups and 50 for spoons. `CocoFolder` reads such a
# folder as a dataset, and gives the classes the labels 1 to $K$ in the order of their ids. What we
# have written comes back unchanged:

# %%
coco = CocoFolder(folder / "images", folder / "annotations.json")
print(coco.classes)
_, written = few[0]
_, read = coco[0]
for name in ("boxes", "labels", "masks"):
    print(f"{name:7} unchanged: {read[name].equal(written[name])}")

# %% [markdown]
# Look at that list of classes once more, because a network that learns from this file can never
# name anything else. Here is what shapes-tiny, the network of lesson 00, finds in our photograph.

# %%
model = mrcnn_edu.load("shapes-tiny")
(detections,) = model.detect([photo])
confident = detections[detections.scores > 0.9]
viz.show_detections(photo, confident, model.classes, width=6).caption(
    "Figure 9. What shapes-tiny detects in the photograph with scores above "
    "0.9. It takes the rim of the cup for a ring, and a part of the saucer "
    "for a square."
)

# %% [markdown]
# To call the rim of a cup a ring is not a bad idea, if rings are all that you know. But the square
# is not there at all, and it has the higher score of the two. Neither photographs nor cups were in
# the data from which this network has learned, and no score warns you of that.

# %% tags=["claim"]
assert [model.classes[label - 1] for label in confident.labels.tolist()] == ["square", "ring"]
assert misread.tolist() == [[10, 20, 50, 80]] and correct.tolist() == [[10, 20, 30, 40]]
assert box_area(misread) == 2 * box_area(ours)
first = contents["annotations"][0]
x, y, w, h = first["bbox"]
assert [x, y, x + w, y + h] == few[0][1]["boxes"][0].tolist()
for index in range(len(few)):
    (image_written, written), (image_read, read) = few[index], coco[index]
    assert all(read[name].equal(written[name]) for name in ("boxes", "labels", "masks"))
    assert (image_written - image_read).abs().max() <= 0.501 / 255  # rounded to 8 bits
assert coco.classes == few.classes

# %% [markdown]
# ## 8. Mistakes that a program finds
#
# Data passes through many hands before you train on it. It is outlined in one tool, exported by a
# second, and merged by a script that somebody wrote on a Friday. A network cannot complain about
# any of this. It learns whatever the file says, and you notice weeks later that your model is a
# little worse than it should be.
#
# So the package complains in its place. `check` reads every image and every annotation of a
# dataset, and lists what contradicts itself. We break four annotations in four different ways to
# see what it finds. First a helper that writes a damaged copy of our file:


# %%
def damaged_copy(name, damage):
    """Our data set again, after `damage` has changed its annotations."""
    contents = json.loads((folder / "annotations.json").read_text())
    damage(contents["annotations"])
    file = folder / name
    file.write_text(json.dumps(contents))
    return CocoFolder(folder / "images", file)


def four_mistakes(annotations):
    first, second, third, fourth = annotations[:4]
    x, y, width, height = first["bbox"]
    first["bbox"] = [x, y, x + width, y + height]  # corners
    second["category_id"] = 0  # the label of the background
    third["segmentation"] = []  # not outlined yet
    fourth["image_id"] = 99  # an image that was deleted


# %%
for problem in check(damaged_copy("four_mistakes.json", four_mistakes)):
    print(f"annotation {problem.annotation_id}: {problem.message}")

# %% [markdown]
# All four are found, annotation 1 even three times, since its box contradicts the image, its own
# mask and common sense. Each of these annotations contradicts something else in the file, and a
# contradiction is what a program can find. On your own data, `mrcnn-edu check-data FOLDER` prints
# the same list.

# %% tags=["claim"]
problems = check(damaged_copy("four_mistakes.json", four_mistakes))
assert check(coco) == []
assert sorted(p.annotation_id for p in problems) == [1, 1, 1, 2, 3, 4]

# %% [markdown]
# ## Where it breaks: mistakes that look like data
#
# The dangerous mistakes are those that contradict nothing. Here are three candidates. All of them
# are easily made, and each affects a whole file.
#
# - **One too high.** The exporting tool counts its classes from 0, and the training script counts
#   from 1. Somebody adds 1 to be safe, and somebody else has already done so. In our copy the last
#   class becomes the first, so that every label still exists. Otherwise `check` would find the
#   labels that don't.
# - **No holes.** The labeling tool knows only polygons, so each ring is stored as the disk inside
#   its outer edge.
# - **Row by row.** A program that reads along the rows has written the masks, and COCO's readers
#   read them down the columns.


# %%
def one_too_high(annotations):
    for annotation in annotations:
        category = annotation["category_id"]
        annotation["category_id"] = category % len(few.classes) + 1


def no_holes(annotations):
    for annotation in annotations:
        if annotation["category_id"] == few.classes.index("ring") + 1:
            x, y, width, height = annotation["bbox"]
            corners = (circle(48) + 1) / 2 * (width, height) + (x, y)
            annotation["segmentation"] = [corners.flatten().tolist()]
            annotation["area"] = 0.785 * width * height  # of a disk


def row_by_row(annotations):
    for annotation in annotations:
        mask = decode_mask(annotation["segmentation"], 384, 384)
        annotation["segmentation"] = encode_mask(mask.T)


# %% [markdown]
# > **Predict.** Our four scenes have 11 annotations. In which of the three files will `check` find
# > problems, and will it find one in each annotation?

# %%
files = {"correct": coco}
for damage in (one_too_high, no_holes, row_by_row):
    name = damage.__name__.replace("_", " ")
    files[name] = damaged_copy(f"{name}.json", damage)

for name, dataset in files.items():
    print(f"{name:13} {len(check(dataset))} problems")

# %% [markdown]
# **What happened.** `check` finds the masks that were read in the wrong direction, because they lie
# outside their boxes. Even then it misses two of the eleven. Their objects lie on the diagonal of
# the image, where the mirrored mask lands so nearly in its own box that `check` lets it pass. In
# the other two files it finds nothing, and there is nothing for it to find. Both are complete, tidy
# and consistent descriptions of scenes that do not exist.
#
# How bad is that? Suppose that a network learns each of these files to perfection. Then its
# predictions *are* the annotations of the file, and we can compare them with the correct ones.


# %%
def compare_with_correct(dataset):
    """The fraction of correct labels, and the mean IoU of the masks."""
    labels, ious = [], []
    for index in range(len(coco)):
        _, correct = coco[index]
        _, given = dataset[index]
        labels += (given["labels"] == correct["labels"]).tolist()
        ious += map(mask_iou, given["masks"], correct["masks"])
    return sum(labels) / len(labels), sum(ious) / len(ious)


for name, dataset in files.items():
    fraction, mean = compare_with_correct(dataset)
    print(f"{name:13} correct labels {fraction:4.0%}, mask IoU {mean:.2f}")

# %% [markdown]
# The network that has learned from the file "one too high" calls *every* object by a wrong name.
# Its loss is low all the same, since the loss compares it with the same file. If your validation
# set comes from the same tool, your validation scores are excellent, too. Nothing that you measure
# on this data can tell you about the mistake.
#
# What can you do? Look. Here is the first scene as each of the four files describes it.

# %%
picture, panels = viz.row(len(files))
for axes, (name, dataset) in zip(panels, files.items(), strict=True):
    scene, given = dataset[0]
    objects = given["boxes"], given["labels"], given["masks"]
    viz.draw_instances(axes, scene, *objects, few.classes, title=name)
picture.caption(
    "Figure 10. One scene, as four files describe it. Read the names in the "
    "second panel, look into the ring in the third, and find the one mask in "
    "the fourth that is still nearly in its box."
)

# %% [markdown]
# You see all of it in a second, including what no program finds. The triangle is called a square,
# the ring is a disk, and the masks have flown away. Our images happen to be square. In a photograph
# that is wider than high, masks that are read in the wrong direction are torn into stripes, which
# you cannot miss either.
#
# Make this a habit. Before you train on any dataset, whoever made it:
#
# 1. let `check` find what contradicts itself;
# 2. look at twenty images with their annotations drawn on them, chosen at random and not by you;
# 3. look at the smallest and the largest object of each class;
# 4. count the objects of each class, and ask whether you believe the counts.
#
# `mrcnn-edu check-data FOLDER --out REPORT` does the first. For the second and the last, it draws a
# sheet of images and counts the objects of each class.

# %% tags=["claim"]
n_problems = {name: len(check(dataset)) for name, dataset in files.items()}
found = {problem.annotation_id for problem in check(files["row by row"])}
assert len(contents["annotations"]) == 11 and len(found) == 9
assert n_problems == {"correct": 0, "one too high": 0, "no holes": 0, "row by row": 9}
assert compare_with_correct(files["one too high"]) == (0, 1)
given, correct = files["row by row"][0][1], coco[0][1]
triangle = correct["labels"].tolist().index(1)
in_own_box = viz.crop(given["masks"], correct["boxes"][triangle])[triangle].sum()
assert in_own_box > 0.9 * given["masks"][triangle].sum() and triangle + 1 not in found

# %% [markdown]
# ## Play: how many corners does a star need?
#
# The player draws a star as a polygon, whose corners lie at equal angles. Dark pixels are in the
# star and in the polygon, lighter ones in the star alone, and the lightest in the polygon alone.
#
# 1. Compare 10 corners with 12 and with 38. Why are ten better than both?
# 2. Which other numbers of corners do well? What do they have in common?
# 3. With 10 corners, from which size on does the polygon take fewer bytes than RLE?
#
# Write down what you found, and one piece of advice for somebody who outlines objects for a living.
# Where should the corners be?

# %%
from mrcnn_edu.course.widgets import region_player

region_player("star").caption(
    "Figure 11. A star, drawn with as many corners as you choose, and what "
    "it costs in each of the three forms."
)

# %% [markdown]
# ## Exercise 1: decode an RLE
#
# ★★☆ · about 10 minutes
#
# Write `decode_rle(counts, height, width)`. Given the list of run lengths of a mask, return the
# mask `[height, width]` of bool. The runs go down the columns, and the first one is a run of zeros.
#
# For example, the run lengths `[1, 2, 3]` of a mask with three rows and two columns give the
# columns 0, 1, 1 and 0, 0, 0.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Write all pixels into one long row first: so many zeros, so many ones, and so on. Then fold the
# row into columns.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# <code>decode_rle([0, 2, 4], 3, 2)</code> has ones at the first two pixels of the left column, and
# nowhere else.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# <code>view</code> fills row by row. If you fold the pixels into <code>[width, height]</code>, each
# of its rows is a column of the mask.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The values are zeros and ones in turn, and `repeat_interleave` repeats each of them as often as
# its count says. After `view(width, height)` every row is a column of the mask, so the last step is
# `.T`. To see our code, run `exercises.decode_rle??` in a cell of its own.
# </details>

# %%
from mrcnn_edu.course.exercises import annotations as exercises


def decode_rle(counts, height, width): ...


exercises.check_decode_rle(decode_rle)

# %% [markdown]
# ## Exercise 2: the box around a mask
#
# ★★☆ · about 10 minutes
#
# Write `mask_to_box(mask)`. Given a mask `[H, W]` of bool with at least one pixel, return the
# smallest box `[4]` around it, (x1, y1, x2, y2). Right and bottom are exclusive, so a single pixel
# has a box of width 1.
#
# For example, a mask whose only pixel lies in row 1 and column 2 has the box `[2., 1., 3., 2.]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Find the rows and the columns of all pixels of the mask. The box goes from the smallest to the
# largest of them.
# </details>
# <details><summary><b>Hint 2</b>: the first line</summary>
# <code>rows, columns = torch.where(mask)</code>
# </details>
# <details><summary><b>Hint 3</b>: two traps</summary>
# x belongs to the columns and y to the rows. And the right border is one <em>behind</em> the last
# column.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Take the minimum and the maximum of `columns` and of `rows`, and add 1 to each maximum. Our code:
# `exercises.mask_to_box??`.
# </details>

# %%
def mask_to_box(mask): ...


exercises.check_mask_to_box(mask_to_box)

# %% [markdown]
# ## Exercise 3: from instances to a semantic map
#
# ★☆☆ · about 5 minutes
#
# Write `semantic_map(masks, labels)`. Given the masks `[M, H, W]` of M objects, which do not
# overlap, and their labels `[M]`, return the class label of each pixel, `[H, W]`, with 0 for the
# background. There may be no object at all.
#
# For example, two objects with the masks `[[1, 0, 0]]` and `[[0, 0, 1]]` and the labels 4 and 2
# give the map `[[4, 0, 2]]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Multiply each mask by its label, and add up the results. At each pixel at most one of them is not
# 0.
# </details>
# <details><summary><b>Hint 2</b>: shapes</summary>
# <code>labels[:, None, None]</code> is <code>[M, 1, 1]</code>, which broadcasts with
# <code>[M, H, W]</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# A sum over no object is 0 everywhere, so the empty case needs no line of its own. Our code:
# `exercises.semantic_map??`.
# </details>

# %%
def semantic_map(masks, labels): ...


exercises.check_semantic_map(semantic_map)

# %% [markdown]
# ## Exercise 4: find the mistakes in a file
#
# ★★★ · 30 to 60 minutes
#
# You have downloaded a dataset, and you want to know whether you can trust its annotations before
# you train for a day. Write `find_mistakes(contents)`. Here `contents` is what `json.load` returns
# for a file in COCO's format, a dictionary with three lists. We keep only the fields that matter:
#
# ```python
# {
#     "images": [{"id": 7, "height": 3, "width": 4}],
#     "categories": [{"id": 2, "name": "star"}],
#     "annotations": [
#         {
#             "id": 11,
#             "image_id": 7,
#             "category_id": 2,
#             "bbox": [1, 1, 2, 2],
#             "segmentation": {"counts": [4, 2, 1, 2, 3]},
#         }
#     ],
# }
# ```
#
# Return a dictionary that maps the id of each faulty annotation to the kind of its mistake. There
# are five kinds. Where an annotation has several, the one that comes first in this list counts.
#
# 1. `"image"`: no image has the annotation's `image_id`.
# 2. `"category"`: no category has its `category_id`.
# 3. `"mask"`: its run lengths do not add up to the number of pixels of its image, or no pixel is in
#    the mask.
# 4. `"box"`: its `bbox` is not the smallest box around its mask. Remember that COCO writes x, y,
#    width and height.
# 5. `"twice"`: an annotation before it in the list has the same image, the same category and the
#    same mask.
#
# The annotation above is correct, so its file gives `{}`. If its `bbox` were `[1, 1, 3, 3]`, which
# are the corners of the box, the file would give `{11: "box"}`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Make a dictionary of the images by their ids and a set of the categories' ids. Then go through the
# annotations once, with one <code>if</code> and four <code>elif</code> in the order of the list.
# </details>
# <details><summary><b>Hint 2</b>: the mask</summary>
# The sum of the run lengths tells whether they fill the image. The ones are in every second run,
# <code>counts[1::2]</code>. You can tell both without decoding anything.
# </details>
# <details><summary><b>Hint 3</b>: the box</summary>
# Use your functions from exercises 1 and 2. Their result has the corners, from which you compute
# width and height.
# </details>
# <details><summary><b>Hint 4</b>: twice</summary>
# Keep a list of what you have seen: <code>(image_id, category_id, counts)</code> of each
# annotation.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The order of the checks matters, because you cannot decode a mask without knowing its image. The
# kind "box" catches more than it seems to. It finds corners in place of sizes, widths that are one
# too small, and masks that were written row by row. Our code:
# `exercises.find_mistakes??`.
# </details>

# %%
def find_mistakes(contents): ...


exercises.check_find_mistakes(find_mistakes)

# %% [markdown]
# ## Remember
#
# Instance segmentation finds every object and gives each a mask of its own, which neither boxes nor
# a semantic map can do. An annotation is a class label, a box and a mask. RLE keeps every pixel and
# counts down the columns, zeros first, while polygons are short, easy to draw, and without holes.
# Two people never draw the same outline, and for small and thin objects the difference is large.
# A program finds what contradicts itself, and for everything else you have to look.
#
# ## In the wild
#
# torchvision's detection models take what our datasets return, a dictionary with `boxes`, `labels`
# and `masks`, and 0 is the label of the background. Its published models have 91 outputs, because
# they use COCO's ids with all their gaps. detectron2 calls the same things `gt_boxes`, `gt_classes`
# and `gt_masks`, counts its classes from 0, and puts the background last. It keeps polygons as
# polygons until they are needed. To read RLE, it needs `INPUT.MASK_FORMAT = "bitmask"`, and then it
# keeps every mask as a bitmap.
#
# COCO is no longer alone. [LVIS](https://arxiv.org/abs/1908.03195) outlines more than a thousand
# classes in COCO's photographs, saucers included, and
# [Cityscapes](https://arxiv.org/abs/1604.01685) the people and vehicles in street scenes. The work
# itself has changed, too. When the data for [SAM](https://arxiv.org/abs/2304.02643) were made,
# people outlined objects with the help of the network that was being trained. The time for an
# object fell from 34 to 14 seconds as the network improved, and in the end the network drew a
# billion masks by itself.
#
# ## Next
#
# An annotation has a box, and so has every stage of Mask R-CNN. [Lesson 02](02_boxes.ipynb) asks
# when two boxes show the same object, and which of them should stay.
