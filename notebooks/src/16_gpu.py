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
# # 16 · The GPU and a kernel: what takes the time, and what saves it
#
# The same numbers can take a millisecond or a second. After this lesson (90 minutes) you can
#
# - take `detect` apart by time and by operators, and count where Python would wait for a GPU;
# - read a kernel, and write one: RoIAlign from four neighbors in a loop to one launch in Triton;
# - say from bytes and operations alone how long a layer takes at least, and what limits it;
# - explain why gradients need atomics, why sums differ from run to run, and what bfloat16 forgets.
#
# No GPU is needed: without one, Triton's interpreter runs the kernels on the CPU, slowly and with
# the same numbers. Where there is no Triton (macOS, Windows) the cells with kernels do nothing; the
# embedding bag, which is PyTorch's, is there all the same.

# %%
import os
from inspect import getsource

os.environ["KINETO_LOG_LEVEL"] = "99"  # PyTorch's profiler keeps its messages to itself
import torch

device = "cuda" if torch.cuda.is_available() else "cpu"
if device == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported

from mrcnn_edu import load, roi_ops, viz
from mrcnn_edu.kernels import TRITON

viz.show_flow("RoI features")

# %% [markdown]
# ## The problem
#
# Eight scenes go through `shapes-tiny`, and PyTorch's **profiler** notes when every operator begins
# and ends. (An **operator** is one call of PyTorch: a convolution, a sum, a comparison.) The
# package's `profile_detect` gives names to the parts of `detect`, and adds up.
#
# **Predict:** which part calls the most operators, and which takes the most time? The same one?

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.data import Shapes
from mrcnn_edu.speed.profiler import PARTS, bytes_written, profile_detect, seconds

model, scenes = load("shapes-tiny").to(device), Shapes(8, seed=1)
images = [scenes[i][0] for i in range(8)]
taken = profile_detect(model, images)
shares = {
    what: {p: 100 * n[p] / n.total() for p in PARTS} for what, n in taken.items() if n.total()
}
if device == "cpu":
    assert shares["operators"]["NMS"] + shares["operators"]["paste"] > 50
    assert shares["CPU"]["backbone"] > 2 * shares["operators"]["backbone"]
rows = torch.tensor([list(row.values()) for row in shares.values()])
viz.show_table(rows, [f"{what}, %" for what in shares], PARTS, ".0f").caption(
    f"Of {taken['operators'].total():,} operators, and of the time. Which part changes most?"
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# On a CPU, NMS and pasting call most operators, tiny ones, in a small part of the time. The
# backbone calls a few in a hundred, large ones, and takes a large part of it. (The usual wrong
# answer: what is called most takes most.) On a GPU large operators shrink, and tiny ones do not:
# each is a call from Python, some microseconds long. There their *number* counts.
# So there the package does NMS and RoIAlign in one launch each, and pastes all masks together.
# </details>
#
# ## 1. Python orders, the GPU computes, and sometimes one waits
#
# For a GPU an operator is an *order*: Python writes it into a queue and goes on, until it wants a
# number: `.item()`, `if`, `print`, or a length that depends on values (`scores[mask]`, `nonzero`).
# Then it waits until everything before is done, a **synchronization** (here: a stop), and the GPU
# waits after that for the next order. On a CPU nobody waits; the package's `count_syncs` counts the
# calls that would.
#
# **Predict:** of 1,000 scores we keep those over a half, in three ways. How many stops each?

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.speed.count_syncs import count_syncs

scores = torch.rand(1000, generator=torch.Generator().manual_seed(0))
with count_syncs() as loop:
    [score for score in scores if score > 0.5]
with count_syncs() as mask:
    scores[scores > 0.5]
with count_syncs() as zeros:
    torch.where(scores > 0.5, scores, 0)
assert [stops.total() for stops in (loop, mask, zeros)] == [1000, 1, 0]
with count_syncs() as stops:
    model.detect(images)
assert stops.total() > 100 or device == "cuda"
print(loop, mask, zeros, f"and detect {stops.total()}:", *stops.most_common(4), sep="\n")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 1,000, 1 and 0. The last way keeps the length, and marks with zeros what is gone. So the package's
# proposals end in zeros, until the counts of *all* images are read together. In `detect` on a CPU
# there are more than a hundred, and they cost nothing. On a GPU, where kernels take the place of
# those lines, three are left for any number of images; `tests/test_count_syncs.py` counts them.
# </details>
#
# ## 2. A kernel is what one of many programs does
#
# A **kernel** is a function for the GPU (not a convolution's square of weights). It is launched as
# many **programs** at once, which differ in one number only, their `program_id`. In Triton each
# program works on a block of numbers. Memory is plain: a tensor arrives as the address of its first
# number, and what lies behind its end is somebody else's. So an access has a **mask**: which places
# of the block exist. Here is the end of a residual block (lesson 04), a sum and a ReLU, in one
# kernel.
#
# **Predict:** for 50 numbers and blocks of 16, how many programs, and how busy is the last one?

# %%
if TRITON:
    import triton
    import triton.language as tl

    @triton.jit
    def add_and_relu(x, y, out, n, BLOCK: tl.constexpr):
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)  # this program's places
        exists = i < n
        total = tl.load(x + i, exists) + tl.load(y + i, exists)
        tl.store(out + i, tl.maximum(total, 0), exists)

    x, y, out = torch.randn(3, 50, device=device)
    add_and_relu[(triton.cdiv(50, 16),)](x, y, out, 50, BLOCK=16)
    torch.testing.assert_close(out, (x + y).relu())
    assert triton.cdiv(50, 16) == 4 and 50 - 3 * 16 == 2

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Four; of the last one's 16 places two exist, and 14 are masked. PyTorch's `(x + y).relu()` takes
# two launches, and writes x + y into memory only to read it back.
# </details>
#
# ## 3. RoIAlign, three times
#
# First by hand, as in lesson 07, now of all channels: the map is a table `[H * W, C]`, a row for
# each cell, and boxes are in cells. Then as an **embedding bag** (`roi_ops.align` on a CPU): the
# rows and weights of *all* outputs in one list, and one operator that adds them up. At last as a
# kernel, in which each program finds the few rows of one output cell by itself.
#
# **Predict:** how many times faster than the loop is the bag: 2, 10, or about 50 times?

# %%
from itertools import product


def align_by_hand(rows, width, box, n_cells):
    x1, y1, x2, y2 = box.tolist()
    share = [(k + 0.5) / (2 * n_cells) for k in range(2 * n_cells)]  # two points a cell, each way
    out = torch.zeros(n_cells, n_cells, rows.shape[1])
    for i, j in product(range(2 * n_cells), repeat=2):
        y, x = y1 + share[i] * (y2 - y1), x1 + share[j] * (x2 - x1)
        top, left = int(y), int(x)
        for row, near_y in ((top, top + 1 - y), (top + 1, y - top)):
            for column, near_x in ((left, left + 1 - x), (left + 1, x - left)):
                out[i // 2, j // 2] += near_y * near_x * rows[row * width + column] / 4
    return out.flatten(0, 1)  # [n_cells * n_cells, C]


# %%
generator = torch.Generator().manual_seed(0)
corners, sizes = 4 * torch.rand(2, 4, 2, generator=generator)
boxes = torch.cat((corners, corners + 1 + sizes), dim=1)  # [4, 4], in cells
where = *torch.zeros(2, 4, dtype=torch.long), boxes  # of each its level and image, and itself
features = torch.randn(1, 64, 12, 16, generator=generator)

# %%
table = roi_ops.feature_table([features])
by_hand = torch.cat([align_by_hand(table.rows, 16, box, n_cells=3) for box in boxes])
bag = roi_ops.align_rois(table, *where, 3, 2)  # [4, 64, 3, 3]
torch.testing.assert_close(bag.permute(0, 2, 3, 1).flatten(0, 2), by_hand)

# %%
if TRITON:
    from mrcnn_edu.kernels.roi_align import triton_roi_align

    there = roi_ops.feature_table([features.to(device)]), *(column.to(device) for column in where)
    torch.testing.assert_close(triton_roi_align(*there, 3, (2, 2), 1.0).cpu(), by_hand)

# %%
# NBVAL_IGNORE_OUTPUT
loop = seconds(lambda: [align_by_hand(table.rows, 16, box, 7) for box in boxes], times=2)
bag = seconds(lambda: roi_ops.align_rois(table, *where, 7, 2))
print(f"four boxes to 7 x 7: loop {1000 * loop:.1f} ms, bag {1000 * bag:.2f} ms")
assert loop > 10 * bag

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 50 times, on most computers. The loop calls thousands of operators; the bag about a
# hundred, for any number of boxes. (We do not time the kernel here: the interpreter's time says
# nothing.)
# </details>
#
# Here is the package's kernel. Its loop is our loop; what is gone is the list of rows and weights.
#
# **Predict:** 512 RoIs, 7 x 7 cells, 256 channels, 128 of them a program. How many programs?

# %%
from importlib.resources import files

text = files("mrcnn_edu.kernels").joinpath("roi_align.py").read_text()
print(text[text.index("def _forward") : text.index("@triton.jit\ndef _backward")].rstrip())
print(f"{512 * 7 * 7 * (256 // 128):,} programs")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 50,176: two for each cell. They share nothing, so the GPU may run them in any order, as many at
# once as it has room for. The 128 channels of a row lie side by side and are read in one go: that
# is why the table has a row for a cell, and not for a channel.
# </details>
#
# ## 4. The roofline: bytes or operations?
#
# A machine moves at most so many bytes a second between memory and processor, and computes at most
# so many operations a second, both at the same time. So work takes *at least* the longer of
# bytes / bandwidth and operations / rate. Which of them it is, its **arithmetic intensity** tells:
# operations a byte. We count for RoIAlign of 512 RoIs on a pyramid of 800 x 1216 pixels (each cell
# of it comes from memory once, and after that from a cache), for two convolutions of 256 to 256
# channels on its map of stride 8, and for the box head's first layer.
#
# **Predict:** order the four by operations a byte.

# %%
R, C, P, taps = 512, 256, 7, 4 * 2 * 2  # taps: the four cells around each of 2 x 2 points
operations = R * P * P * C * 2 * taps  # each a multiplication and an addition
written = R * P * P * C * 4  # bytes, 4 a number
read = (200 * 304 + 100 * 152 + 50 * 76 + 25 * 38) * C * 4  # strides 4, 8, 16 and 32
print(f"{operations / 1e6:.0f} million operations, {(read + written) / 1e6:.0f} million bytes")

# %%
cells, inputs = 100 * 152, P * P * C
layers = {  # operations, and numbers moved: in, out and weights
    "1 x 1 convolution": (2 * cells * C * C, 2 * cells * C + C * C),
    "box head": (2 * R * inputs * 1024, R * inputs + R * 1024 + inputs * 1024),
    "3 x 3 convolution": (2 * cells * C * C * 9, 2 * cells * C + C * C * 9),
}
work = {"RoIAlign": operations / (read + written)}
work |= {name: n / (4 * numbers) for name, (n, numbers) in layers.items()}
print({name: round(intensity, 1) for name, intensity in work.items()})
assert sorted(work, key=work.get) == list(work)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# RoIAlign, 1 x 1, box head, 3 x 3. For each byte RoIAlign does two operations, the 3 x 3
# convolution more than 500: it uses every number again for each of 3 x 3 places and each channel
# that it makes. (The usual wrong answer puts the box head beside RoIAlign, as it uses each
# weight once for a RoI. But there are 512 RoIs.)
# </details>
#
# Now this machine: its bandwidth by a copy, its rate by a product of matrices, and the four works.
# After that some cards, whose data sheets say what they do at most (`CARDS`, with the sources). In
# the pictures G is a billion, T a thousand of them.
#
# **Predict:** with bfloat16 a number has 2 bytes instead of 4, and an H100 multiplies matrices 15
# times as fast. Do operations still limit the 1 x 1 convolution?

# %%
maps = [torch.rand(1, C, 800 // stride, 1216 // stride) for stride in (4, 8, 16, 32)]
sides = 2 ** (5 + 4 * torch.rand(R, 1, generator=generator))  # 32 to 512 pixels
corners = torch.rand(R, 2, generator=generator) * (torch.tensor([1216, 800]) - sides)
rois = torch.cat((corners, corners + sides), dim=1)

# %%
from torch.nn.functional import conv2d, linear

strides, align = (4, 8, 16, 32), roi_ops.align_rois
there, x = roi_ops.feature_table([level.to(device) for level in maps]), maps[1].to(device)
w1, w3 = (torch.rand(C, C, k, k, device=device) for k in (1, 3))
regions, w = torch.rand(R, inputs, device=device), torch.rand(1024, inputs, device=device)
runs = {
    "RoIAlign": lambda: roi_ops.pool_pyramid(there, [rois.to(device)], strides, P, align),
    "1 x 1 convolution": lambda: conv2d(x, w1),
    "box head": lambda: linear(regions, w),
    "3 x 3 convolution": lambda: conv2d(x, w3, padding=1),
}

# %%
here, square = torch.rand(2**24, device=device), torch.rand(1536, 1536, device=device)
copy = torch.empty_like(here)
bandwidth = 2 * here.nbytes / seconds(lambda: copy.copy_(here))  # read and written
rate = 2 * 1536**3 / seconds(lambda: square @ square, times=9)

# %%
# NBVAL_IGNORE_OUTPUT
done = {"RoIAlign": operations} | {name: n for name, (n, _) in layers.items()}
reached = {name: done[name] / seconds(run, times=3) for name, run in runs.items()}
print(f"{bandwidth / 1e9:.0f} GB/s, {rate / 1e9:.0f} billion operations a second")
picture = viz.show_roofline({"this machine": (rate, bandwidth)}, work, reached)
picture.caption("Rings: at most. Dots: measured. On the slope bytes limit, on the flat operations.")

# %% tags=["cover"]
from mrcnn_edu.course.widgets.gpu import CARDS, roi_align_work

roofs = {name: (card.float32, card.bandwidth) for name, card in CARDS.items()}
picture = viz.show_roofline(roofs, work)
picture.caption("Float32. What do bytes limit on every card, and what on one card only?")

# %%
corner = {name: rate / bandwidth for name, (rate, bandwidth) in roofs.items()}
h100 = CARDS["H100"].bfloat16 / CARDS["H100"].bandwidth
print({name: round(x) for name, x in corner.items()}, f"and H100, bfloat16: {h100:.0f}")
assert 4 * work["RoIAlign"] < min(corner.values()) and round(h100 / corner["H100"]) == 15
assert corner["H100"] < work["1 x 1 convolution"] < corner["GeForce RTX 4090"] < h100 / 2

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# No, bytes do. It does twice the operations a byte, but the corner of the roof is 15 times further
# right. In float32 bytes limit it on the RTX 4090 alone, and RoIAlign on all of these cards. What
# this machine reaches with it is far below its roof: the bag writes and reads its lists, and looks
# rows up here and there. (A roof that was measured is an estimate, so a layer's dot may lie above
# it.)
# </details>
#
# ## 5. What fusing saves: bytes
#
# Where bytes limit, whoever writes less is faster. `bytes_written` adds up what operators write. We
# compare the bag with the **naive** way: take all rows, weight them, add them up.
#
# **Predict:** the result has 26 MB. What does the naive way write on the way to it: 50, 200, 800?

# %%
pyramid = roi_ops.feature_table(maps)
assert pyramid.rows.nbytes == read  # all levels, one behind the other
n, lookups = 32, (32 * P * P, taps)  # 32 RoIs for 512, to have room
index, weight = torch.randint(len(pyramid.rows), lookups), torch.rand(lookups)
wrote = {
    "naive": bytes_written(lambda: (pyramid.rows[index] * weight[..., None]).sum(dim=1)),
    "bag": bytes_written(lambda: roi_ops.pool_pyramid(pyramid, [rois[:n]], strides, P, align)),
    "kernel": written * n // R,  # its result: it has nothing else to write to
}
mega = {way: n_bytes * R / n / 1e6 for way, n_bytes in wrote.items()}
result = written / 1e6
parts = {way: {"result": result, "on the way": mega[way] - result} for way in mega}
assert mega["naive"] == 33 * result and mega["bag"] < 2 * result
viz.show_parts(parts, "MB written for 512 RoIs").caption("What is written on the way is read, too.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Over 800 MB: 16 rows for every output cell, and all of them once more with their weights. The bag
# writes an index and a weight for each row, not for each of its 256 numbers (and before, once for
# all, it copies the 83 MB of the maps into one table). The kernel keeps indices and weights where
# it computes, reads the maps where they lie, and writes its result alone.
# </details>
#
# ## 6. Backward: many add to one
#
# Forward, each output has its own program. Backward, each program *adds* to the rows that it has
# read, and other RoIs have read the same ones: 401,408 taps, 80,750 cells. To add is to read, to
# add, and to write back.
#
# **Predict:** four programs add 1 to a cell that holds 0, and all read before any of them writes.
# What is in it? And if 100,000 numbers are added in another order, is the sum the same?

# %%
assert R * P * P * taps == 401_408 and read == 80_750 * C * 4
row, (lost, kept) = torch.tensor([2, 2, 2, 2, 5]), torch.zeros(2, 8)  # four have the same row
lost[row] += 1  # all read, then all write
kept.index_add_(0, row, torch.ones(5))  # from reading to writing, nobody comes between
print(lost.tolist(), kept.tolist(), sep="\n")

# %%
values = torch.randn(100_000, generator=generator)
orders = [torch.randperm(len(values), generator=generator) for _ in range(20)]
sums = {values[order].sum().item() for order in orders}
assert lost[2] == 1 and kept[2] == 4 and len(sums) > 1 and max(sums) - min(sums) < 0.01
print(getsource(roi_ops.WeightedGather.backward))

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 1: three additions are lost. So the kernel's backward uses `tl.atomic_add`. (In the interpreter
# one program runs after another, and a missing atomic goes unnoticed.) And no: every sum rounds,
# another order rounds differently, and programs come in any order. So the last digits of such
# gradients differ from run to run. Who wants the same bits sorts first: that is the bag's backward,
# above, in which each row *collects* what it is owed, in a fixed order. Under
# `torch.use_deterministic_algorithms(True)` the package leaves the kernel for it.
# </details>
#
# ## Where it breaks: a number too short, a mask forgotten
#
# bfloat16 has the range of float32, but 8 binary digits instead of 24. And a kernel has no bounds:
# `ours` below are ten places of a memory of 32, and the rest is somebody else's.
#
# **Predict:** we add 1, three thousand times. What is the total in bfloat16? And what happens in
# the second cell: an error, nothing, or something worse?

# %%
short, long = torch.zeros((), dtype=torch.bfloat16), torch.zeros(())
for _ in range(3000):
    short, long = short + 1, long + 1
print(short.item(), long.item(), torch.ones(3000, dtype=torch.bfloat16).sum().item())
assert short == 256 and long == 3000

# %%
memory, sixteen = torch.zeros(32, device=device), torch.ones(16, device=device)
ours = memory[:10]
if TRITON:

    @triton.jit
    def without_a_mask(x, out, BLOCK: tl.constexpr):
        tl.store(out + tl.arange(0, BLOCK), tl.load(x + tl.arange(0, BLOCK)))

    without_a_mask[(1,)](sixteen, ours, BLOCK=16)
    assert memory[10:16].tolist() == [1] * 6  # not ours

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 256: the next number after it is 258, and 256 + 1 is rounded back, for ever. So sums are kept in
# float32 whatever is read and written, in PyTorch (3,008 is 3,000, rounded once, at the end) and in
# our kernel (`_sums_in`). The second is worse than an error: six numbers of another tensor are
# wrong, and nobody is told. PyTorch checks indices; a kernel has the mask that you gave it.
# </details>
#
# ## Play
#
# The orange dot is RoIAlign. Do more points cost time on an H100? And 2,000 RoIs with 16 points
# each, on a laptop? What does bfloat16 change for RoIAlign, and what for the layers?

# %%
from mrcnn_edu.course.widgets import gpu_player

assert roi_align_work(R, C, 2, 4) == (operations, read, written)
gpu_player(layers)

# %% [markdown]
# ## Exercises
#
# Two kernels, and the estimate that comes before any kernel. Write the kernels, as in section 2,
# and the functions that launch them: `kernel[(number of programs,)](arguments, BLOCK=16)`. `out` is
# given; fill it and return it. (Without Triton do it in PyTorch, to see what is asked.)
#
# **1.** `scale_and_add(x, y, factor, out)`: factor x + y, `[N]` each. 4 lines, and 3 to launch it.
#
# **2.** `read_point(rows, y, x, width, out)`: the bilinear mean `[C]` of the four cells around one
# point inside a map, for all channels; `rows [H * W, C]`, a map `width` cells wide. Python finds
# the cell above and left, and how far from it the point is; the kernel reads. 7 lines, and 4.
#
# **3.** `min_seconds(operations, n_bytes, rate, bandwidth)`: the roofline of section 4. 1 line.
#
# <details><summary><b>Our kernels</b>, when you have tried</summary>
#
# ```python
# @triton.jit
# def scale_and_add_kernel(x, y, out, factor, n, BLOCK: tl.constexpr):
#     i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
#     exists = i < n
#     total = factor * tl.load(x + i, exists) + tl.load(y + i, exists)
#     tl.store(out + i, total, exists)
#
#
# def scale_and_add(x, y, factor, out):
#     n = len(x)
#     scale_and_add_kernel[(triton.cdiv(n, 16),)](x, y, out, factor, n, BLOCK=16)
#     return out
#
#
# @triton.jit
# def read_point_kernel(rows, out, top, left, dy, dx, width, C, BLOCK: tl.constexpr):
#     channel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
#     exists = channel < C
#     at = rows + (top * width + left) * C + channel
#     above = (1 - dx) * tl.load(at, exists) + dx * tl.load(at + C, exists)
#     at += width * C  # a row of the map further down
#     below = (1 - dx) * tl.load(at, exists) + dx * tl.load(at + C, exists)
#     tl.store(out + channel, (1 - dy) * above + dy * below, exists)
#
#
# def read_point(rows, y, x, width, out):
#     C, top, left = rows.shape[1], int(y), int(x)
#     where = top, left, y - top, x - left, width
#     read_point_kernel[(triton.cdiv(C, 16),)](rows, out, *where, C, BLOCK=16)
#     return out
# ```
# </details>

# %%
if TRITON:

    @triton.jit
    def scale_and_add_kernel(x, y, out, factor, n, BLOCK: tl.constexpr): ...

    @triton.jit
    def read_point_kernel(rows, out, top, left, dy, dx, width, C, BLOCK: tl.constexpr): ...


# %%
from mrcnn_edu.course.exercises import gpu as exercises


def scale_and_add(x, y, factor, out): ...


def read_point(rows, y, x, width, out): ...


def min_seconds(operations, n_bytes, rate, bandwidth): ...


exercises.check_scale_and_add(scale_and_add)
exercises.check_read_point(read_point)
exercises.check_min_seconds(min_seconds)

# %% [markdown]
# ## Remember
#
# - Few and large operators, and no questions on the way: then the GPU computes all the time.
# - Divide bytes and operations by what the machine can do; the longer of the two is the least time.
# - A kernel that fuses saves bytes. It masks its places, adds with atomics, and sums in float32.
#
# torchvision's `ops.roi_align` is a kernel in CUDA, with a program (there: a thread) for each
# number of the output; detectron2's `ROIAlign` calls it. `torch.compile` writes Triton kernels by
# itself. Next: **your own GPU**: `python benchmarks/gpu.py` measures all of it there.
