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
# **The question.** What does a GPU spend its time on when it detects objects? What is the least
# time that a layer can take, and how do we get there?
#
# **You will be able to**
#
# - take a detector apart by operators and by time, and find where Python and the GPU wait for each
#   other;
# - read and write kernels in Triton, from a sum of two vectors up to RoIAlign;
# - compute from bytes and operations alone how long a layer takes at least, and what limits it;
# - explain why gradients need atomic additions, and what TF32 and bfloat16 forget.
#
# *Time: 220 minutes, of which 100 are for the exercises, so take two evenings. You need lessons 07
# (RoIAlign), 08 (the heads) and 17 (multiply-adds), which follows 08. Reading:
# [Roofline](https://doi.org/10.1145/1498765.1498785).*
#
# You don't need a GPU. Triton has an interpreter, which runs kernels on the CPU, slowly but with
# the same results, and where there is no Triton, on macOS and Windows, a small stand-in of ours
# does the same. All *times* in this lesson are measured on the CPU of the machine that has built
# it. What we say about GPUs follows from their data sheets, and we have not measured it.

# %%
import os
from importlib.resources import files
from textwrap import dedent

os.environ["KINETO_LOG_LEVEL"] = "99"  # keeps PyTorch's profiler quiet
import torch
from torch.nn.functional import conv2d, linear

device = "cuda" if torch.cuda.is_available() else "cpu"
if device == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

from mrcnn_edu import load, roi_ops, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.kernels import TRITON
from mrcnn_edu.speed import profiler
from mrcnn_edu.speed.count_syncs import count_syncs

# %%
viz.show_architecture("RoI features").caption(
    "Figure 1. First we measure how long each part of the network takes. Then "
    "we write a kernel for one of its stages, RoIAlign."
)

# %% [markdown]
# ## Where does the time go?
#
# Before we make anything faster, we should know what is slow. An **operator** is one call into
# PyTorch's library, such as a convolution, a sum or a comparison. PyTorch's **profiler** records
# when each operator begins and ends. The package's `profile_detect` runs `detect` under the
# profiler, gives names to its parts, and adds up what each of them costs. We let it watch
# `shapes-tiny` on eight scenes.
#
# > **Predict.** Which part of `detect` calls the most operators? And which part takes the most time
# > on a CPU? Is it the same one?

# %%
# NBVAL_IGNORE_OUTPUT
model, scenes = load("shapes-tiny").to(device), Shapes(8, seed=1)
images = [scenes[i][0] for i in range(8)]
costs = profiler.profile_detect(model, images)

bars = {}
for name, kind in {"operators": "operators", "time": "CPU"}.items():
    bars[name] = {part: costs[kind][part] for part in profiler.PARTS}
viz.show_fractions(bars).caption(
    f"Figure 2. The parts of detect, with {costs['operators'].total():,} "
    f"operators in all. Many operators need not take much time."
)

# %% [markdown]
# **What happened.** It is not the same one. NMS calls the most operators. Together with the pasting
# of masks it calls more than 60 % of nearly 5,000, but the two take a much smaller part of the
# time. More of it goes to the backbone and the heads, where the convolutions and the matrix
# products are. The backbone calls only 3 % of the operators, but its part of the time is several
# times as large.
#
# On a GPU the picture changes. It has thousands of arithmetic units, so a large convolution shrinks
# to almost nothing. A tiny operator does not shrink, because arithmetic was never its problem. To
# see why, we have to look at what a single operator costs.

# %% tags=["claim"]
operators, cpu = costs["operators"], costs["CPU"]
part_of = {part: operators[part] / operators.total() for part in profiler.PARTS}
if device == "cpu":
    assert 4500 < operators.total() < 5000
    assert part_of["NMS"] + part_of["paste"] > 0.6 and part_of["backbone"] < 0.05
    assert round(100 * part_of["backbone"]) == 3
    assert cpu["backbone"] / cpu.total() > 4 * part_of["backbone"]
    of_both = part_of["NMS"] + part_of["paste"]
    assert (cpu["NMS"] + cpu["paste"]) / cpu.total() < 0.8 * of_both
    assert max(part_of, key=part_of.get) == "NMS"
    assert cpu["backbone"] + cpu["heads"] > cpu["NMS"] + cpu["paste"]

# %% [markdown]
# ## 1. What one operator costs
#
# Let us add two vectors of $n$ values and measure the time, for $n$ from 1 to a million.
#
# > **Predict.** The sum of two vectors with a single value each takes some time $t$. How long do
# > 1,000 values take: about $t$, about $30\,t$, or about $1{,}000\,t$? And a million values?


# %%
# NBVAL_IGNORE_OUTPUT
def microseconds_of_sum(n):
    x, y = torch.rand(2, n)
    return 1e6 * profiler.seconds(lambda: x + y, times=100)


sizes = [10**k for k in range(7)]  # 1 to a million
times = [microseconds_of_sum(n) for n in sizes]
curve = {"x + y": torch.tensor(times)}
chart = viz.show_lines(torch.tensor(sizes), curve, "values", "microseconds")
chart.axes[0].loglog()
chart.axes[0].set_ylim(0.3, 3000)
chart.caption(
    "Figure 3. The time of one sum by its number of values, on logarithmic "
    "axes. Up to a thousand values the line is flat, because nearly all of "
    "the time is the call."
)

# %% [markdown]
# **What happened.** A thousand values take hardly longer than one. A million take more than thirty
# times as long. The curve is the sum of two terms,
#
# $$t(n) \approx t_0 + \frac{n}{r},$$
#
# where $r$ is the rate at which values are processed and $t_0$ is a fixed price for every call.
# Python looks up the function, PyTorch checks shapes and types, finds the right implementation for
# them and reserves memory for the result. All of that happens whether the vectors have one value or
# a thousand. On the machine that built this page $t_0$ is a few microseconds. On a GPU the rate $r$
# is far higher. The fixed price is not lower but somewhat higher, because the call must also be
# passed on to another device. So the corner of this curve moves to the right, and an operator has
# to be large before a GPU is of any use.

# %% tags=["claim"]
assert times[3] < 3 * times[0] and times[6] > 30 * times[0]

# %% [markdown]
# ## 2. Python launches, the GPU computes
#
# How does the call get to the other device? The GPU has a **queue**. For each operator Python
# writes an entry into it that says which function is to run on which memory. This is called a
# **launch**. Then Python goes on at once, without waiting for the result. The GPU takes the entries
# out of the queue, one after another, in the order in which they were launched.
#
# So there are two clocks. Let $\ell$ be the time of a launch and $g_i$ the time that the GPU needs
# for the $i$-th entry. Python has finished the $i$-th launch at the time $c_i$. The GPU begins with
# that entry at $s_i$ and is done with it at $e_i$:
#
# $$c_i = c_{i-1} + \ell, \qquad s_i = \max(c_i,\ e_{i-1}), \qquad e_i = s_i + g_i.$$
#
# The maximum is the heart of it. An entry cannot begin before it has been launched, and not before
# the GPU is done with the one before it. The function `viz.queue_times` computes these three lines.
# In our examples a launch takes $\ell = 5$ microseconds, which is the right order of magnitude for
# PyTorch.

# %%
large = viz.queue_times([20] * 6, launch=5)
viz.show_queue({"six operators of 20 µs": large}).caption(
    "Figure 4. Python is done after 30 microseconds and could do something "
    "else. The queue fills up, and after the first launch the GPU is never "
    "idle."
)

# %% [markdown]
# This is how it should be. Python runs ahead, the queue is never empty, and the whole program takes
# as long as the GPU needs plus one launch. Nobody notices how slow Python is.
#
# > **Predict.** Now there are twelve operators of 2 microseconds each, and a launch still takes 5.
# > What fraction of the time does the GPU spend computing?

# %%
small = viz.queue_times([2] * 12, launch=5)
viz.show_queue({"twelve operators of 2 µs": small}).caption(
    "Figure 5. The queue is empty all the time. Each operator is done before "
    "the next one has been launched, and the gaps between them cost more than "
    "the operators."
)

# %% [markdown]
# **What happened.** About 40 %. For $n$ equal operators the formulas give a total time of
#
# $$e_n = \ell + (n - 1)\max(\ell, g) + g,$$
#
# so if $g < \ell$, the GPU computes for a fraction of about $g / \ell = 2/5$ of the time. The rest
# are launch gaps. A faster GPU would not help at all. It would only make the gaps longer.
#
# There are three remedies, and the package has all of them. We can put the work of many operators
# into one, which is what the second half of this lesson is about. We can record a sequence of
# launches once, as a CUDA graph, and repeat it with a single call (`in_graphs` in
# `mrcnn_edu/speed`). Or we can let `torch.compile` find operators that belong together.

# %% tags=["claim"]
assert large.launches[-1] == (25, 30) and large.total == 6 * 20 + 5
assert small.total == 5 + 11 * 5 + 2 and 0.38 < small.busy < 0.4
assert all(n == 0 for _, n in small.queued()[1:]) or max(n for _, n in small.queued()) <= 1

# %% [markdown]
# ## 3. When Python wants to know
#
# Python can only run ahead as long as it doesn't ask questions. Sooner or later it does. The call
# `.item()` asks for a value, `if` and `print` ask as well, and so does everything that makes a
# tensor whose *length* depends on values, such as `scores[mask]` or `nonzero`. Then Python blocks
# until the GPU has done everything launched so far. This is a **synchronization**. The wait itself
# would not be so bad, since the GPU is computing. What follows is worse. When the answer has
# arrived, the queue is empty, and the GPU sits idle until Python has launched something new.

# %%
reading = viz.queue_times([20] * 6, launch=5, reads=[1, 3])
runs = {"no result is read": large, "two results are read": reading}
viz.show_queue(runs).caption(
    "Figure 6. The same six operators. Below, Python reads a result after the "
    "second and the fourth. After each read, the GPU is idle until the next "
    "launch is done."
)

# %% [markdown]
# On a CPU nobody waits, because each operator is done before the next one is called. That makes
# synchronizations hard to notice while you develop. The package's `count_syncs` finds them anyway.
# It watches the calls and counts those that *would* wait if the tensors were on a GPU.
#
# > **Predict.** Of 1,000 scores we keep those above one half, in three ways: with a list
# > comprehension over the scores, with the mask `scores[scores > 0.5]`, and with
# > `torch.where(scores > 0.5, scores, 0)`. How many synchronizations does each of them have?

# %%
generator = torch.Generator().manual_seed(0)
scores = torch.rand(1000, generator=generator)
with count_syncs() as in_loop:
    [score for score in scores if score > 0.5]
with count_syncs() as with_mask:
    scores[scores > 0.5]
with count_syncs() as with_where:
    torch.where(scores > 0.5, scores, 0)

for counts in (in_loop, with_mask, with_where):
    print(f"{counts.total():5,}")

# %% [markdown]
# **What happened.** The loop synchronizes 1,000 times, because each `if` needs the value of one
# score. The mask needs one synchronization, since the length of the result must be known before
# memory can be reserved for it. `torch.where` needs none. It keeps the length and writes zeros
# where a score was dropped, so nothing about the result's shape depends on the values.
#
# What about our detector? We count in `detect`, for the eight scenes of the beginning.

# %%
with count_syncs() as counts:
    model.detect(images)
for place, count in counts.most_common(11):
    print(f"{count:4} {place}")
print(f"{counts.total():4} in all")

# %% [markdown]
# Three quarters of them are in `nms_keep_mask` and `_overlapping_pairs`, which run only on a CPU,
# where they cost nothing. On a GPU, a kernel takes their place, and masks are pasted many at a
# time. The checks in `validate` read the images before they are copied to the GPU. What is left is
# in `batched_nms`, `select_detections` and `propose`, which need to know how many candidates,
# proposals and detections there are. These are 40 synchronizations, or five for each image. (A few
# more are made once in each call, to copy small constants.) `tests/test_count_syncs.py` checks the
# five. The package treats images one by one because that is easier to read, and this is its price.

# %% tags=["claim"]
assert [n.total() for n in (in_loop, with_mask, with_where)] == [1000, 1, 0]
left = ("rpn.propose: where", "nms.batched_nms: __getitem__")
left += ("detections.select_detections: where",)
if device == "cpu":
    assert counts.total() > 200 and sum(counts[place] for place in left) == 5 * 8
    of_cpu = ("nms.nms_keep_mask", "nms._overlapping_pairs")
    on_cpu = sum(n for place, n in counts.items() if place.startswith(of_cpu))
    assert abs(on_cpu / counts.total() - 0.75) < 0.03
    assert all(place in dict(counts.most_common(11)) for place in left)
assert reading.total == 6 * 20 + 3 * 5 and len(reading.waits) == 2

# %% [markdown]
# ## 4. What a program has around it
#
# What happens on the GPU itself? A function that runs there is called a **kernel**. (The word has
# nothing to do with the small square of weights that a convolution slides over a map.) One launch
# starts many **programs**, often tens of thousands. All of them run the kernel's code, and each is
# told which one it is, by a number of its own. The GPU has processors, 132 of them on an H100,
# which take the next program as soon as they are free.
#
# A program computes with values in *registers*, the small memory right next to the arithmetic
# units. Before that the values have to get there, and they come from far away.

# %%
R, C, P = 512, 256, 7  # RoIs, channels, bins along a side
strides = (4, 8, 16, 32)
shapes = [(800 // stride, 1216 // stride) for stride in strides]
n_rows = sum(height * width for height, width in shapes)

map_bytes = n_rows * C * 4  # float32: 4 bytes a value
roi_bytes = R * P * P * C * 4
works = {"features of 512 RoIs": roi_bytes, "maps of one image": map_bytes}
viz.show_memory_levels(works).caption(
    "Figure 7. The memories of an H100, by its data sheet. What is close to "
    "the arithmetic is small. The pyramid of one image is already too large "
    "for the cache, so it has to come from memory."
)

# %% [markdown]
# From the GPU's own memory an H100 reads or writes at most $3.35 \cdot 10^{12}$ bytes a second, its
# **bandwidth**. That sounds like a lot. But in one second the same card can do $67 \cdot 10^{12}$
# operations in float32, so while one value of 4 bytes arrives, it could do 80 operations. An
# addition of two vectors moves three values for a single operation, so the arithmetic units are
# idle nearly all the time.
#
# Two rules follow from the picture, and the rest of the lesson is about them. First, whatever has
# been read should be used as often as possible before it is dropped. Second, intermediate results
# should never leave the registers. That is what it means to **fuse** operators. One kernel reads
# the inputs, does everything that is to be done, and writes only the end result.
#
# There is a third rule, which is less obvious. Memory delivers 32 bytes at a time, whether all of
# them are needed or not. If neighboring values are read together, nothing is wasted. Such an access
# is called **coalesced**. If a program reads the channels of one position, and these channels lie
# $HW$ values apart, it pays for eight values for each one that it gets. That is why all our kernels
# want maps *channels-last*, as a table with one row of $C$ values for each position. In such a
# table, the value of channel $c$ at row $y$ and column $x$ of a map of width $W$ is at
#
# $$\text{address} = \text{start} + (y W + x)\, C + c .$$

# %% tags=["claim"]
card_bandwidth, card_rate = viz.H100_MEMORY.bandwidth, 67e12
assert round(4 / card_bandwidth * card_rate) == 80 and 32 // 4 == 8
assert viz.H100_MEMORY.cache < map_bytes and roi_bytes < viz.H100_MEMORY.cache
assert round(map_bytes / 1e6) == 83 and round(roi_bytes / 1e6) == 26

# %% [markdown]
# ## 5. A kernel is what one of many programs does
#
# We write our kernels in [Triton](https://doi.org/10.1145/3315508.3329973), a language inside
# Python. A Triton program works on a whole block of values. Here is the end of a residual block
# (lesson 04), a sum and a ReLU:
#
# $$\text{out}_i = \max(x_i + y_i,\ 0), \qquad i = 0, \dots, n - 1 .$$

# %%
if TRITON:
    import triton
    import triton.language as tl
else:  # our stand-in, which knows a small part of Triton
    from mrcnn_edu.course.small_triton import tl, triton


@triton.jit
def add_and_relu(x, y, out, n, BLOCK: tl.constexpr):
    program = tl.program_id(0)
    i = program * BLOCK + tl.arange(0, BLOCK)  # this program's positions
    exists = i < n
    total = tl.load(x + i, exists) + tl.load(y + i, exists)
    tl.store(out + i, tl.maximum(total, 0), exists)


# %% [markdown]
# Read it line by line. `@triton.jit` says that the function is compiled for the GPU when it is
# first launched, and `tl.constexpr` that the compiler must know the size of a block by then. The
# program asks for its number, its `program_id`, and computes from it which positions are its own.
# With a block size of $B$, program $p$ has the positions
#
# $$i = pB,\ pB + 1,\ \dots,\ pB + B - 1 .$$
#
# The variable `i` holds all of them, since `tl.arange` makes a block of $B$ numbers. A tensor
# arrives in a kernel as nothing but the address of its first value. So `x + i` is a block of
# addresses, and `tl.load` fetches the values there. And what lies behind the tensor's last value?
# Memory goes on, and what is there belongs to somebody else. Therefore every access has a **mask**,
# which says position by position whether it exists.
#
# To launch the kernel we say how many programs we want. This is its **grid**, which is written in
# square brackets before the arguments.
#
# > **Predict.** There are 50 values and blocks of 16. How many programs do we need? And how many
# > positions of the last program exist?

# %%
from mrcnn_edu.course.small_triton import touched

x, y, out = torch.randn(3, 50, generator=generator).to(device)
n_programs = triton.cdiv(50, 16)  # divided, and rounded up
add_and_relu[(n_programs,)](x, y, out, 50, BLOCK=16)

work = touched(add_and_relu, (n_programs,), x, y, out, 50, BLOCK=16)
viz.show_programs(work).caption(
    "Figure 8. What each program reads and writes, value by value. Nowhere do "
    "two of them meet. The mask leaves out what is behind the end."
)

# %% [markdown]
# **What happened.** We need $\lceil 50 / 16 \rceil = 4$ programs. Two positions of the last one
# exist, and 14 are masked. A masked position costs about as much as any other, so a block should
# not be much larger than the work.
#
# This kernel is fused. PyTorch's `(x + y).relu()` needs two launches, and it writes $x + y$ into
# memory only to read it back. It moves five vectors, two in and one out for the sum, then one in
# and one out for the ReLU. Ours moves three.
#
# The function `touched` runs the kernel in plain Python and notes every load and every store. You
# can use it on kernels of your own, and in a moment you will write some.

# %% tags=["claim"]
torch.testing.assert_close(out, (x + y).relu())
assert n_programs == 4 and 50 - 3 * 16 == 2
assert len(work.masked("out", True)) == 14
assert profiler.bytes_written(lambda: (x + y).relu()) == 2 * out.nbytes

# %% [markdown]
# ## 6. Four puzzles on the way to RoIAlign
#
# RoIAlign as a kernel is about twenty lines, and each of them is easy once you have met it by
# itself. So here are four small kernels, each with one new idea. Every puzzle has a formula and a
# picture of what its programs touch. You write the kernel, and the check launches it. It also looks
# at the memory behind the end of `out`. Our own kernels are in `mrcnn_edu/course/gpu_kernels`,
# but look there last.

# %% [markdown]
# ## Exercise 1: a grid of two axes
#
# ★☆☆ · about 10 minutes
#
# At the end of a linear layer a bias is added to each channel, and often a ReLU follows. With $N$
# rows of $C$ channels,
#
# $$\text{out}_{rc} = \max(\text{rows}_{rc} + b_c,\ 0) .$$
#
# A row may be longer than a block. So the grid has two axes, $N \times \lceil C / B \rceil$. A
# program asks for its number along each of them, `tl.program_id(0)` for the row and
# `tl.program_id(1)` for the block of channels. Memory has only one axis. Row $r$ begins at $rC$,
# and value $(r, c)$ is at $rC + c$.
#
# Write the kernel `bias_and_relu(rows, bias, out, C, BLOCK)` for `rows` `[N, C]`, `bias` `[C]` and
# `out` `[N, C]`. For example, the row (1, −2, 3) with the bias (1, 1, −5) becomes (2, 0, 0).

# %%
from mrcnn_edu.course import gpu_kernels

rows, bias = torch.rand(3, 20), torch.rand(20)
arguments = rows, bias, torch.rand(3, 20), 20, 16
work = touched(gpu_kernels.bias_and_relu, (3, 2), *arguments)
viz.show_programs(work, highlight=(1, 0)).caption(
    "Figure 9. Program (1, 0) has the first block of the row with index 1. "
    "It reads the bias of its channels, and so do the programs of other rows. "
    "Behind the bias are the positions that the second blocks mask."
)

# %% [markdown]
# <details><summary><b>Hint 1</b>: the idea</summary>
# Compute the block of channels first, as you computed <code>i</code> before. The mask compares it
# with <code>C</code>, and not with the number of values in all rows.
# </details>
# <details><summary><b>Hint 2</b>: what it should touch</summary>
# Call <code>touched</code> on your own kernel, as in the cell above, and compare the pictures.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# The bias is read at `bias + channel`, the rows at `rows + tl.program_id(0) * C + channel`. Our
# code: `gpu_kernels.bias_and_relu.fn??`.
# </details>

# %%
from mrcnn_edu.course.exercises import puzzles


@triton.jit
def bias_and_relu(rows, bias, out, C, BLOCK: tl.constexpr): ...


puzzles.check_bias_and_relu(bias_and_relu)

# %% [markdown]
# ## Exercise 2: a loop inside
#
# ★★☆ · about 10 minutes
#
# Global average pooling is the mean over all positions, channel by channel. A program has one block
# of channels and walks through all $N$ rows:
#
# $$\text{out}_c = \frac{1}{N} \sum_{r = 0}^{N - 1} \text{rows}_{rc} .$$
#
# The running sum stays in registers, and only the mean is written. Write the kernel
# `mean_of_rows(rows, out, N, C, BLOCK)` for `rows` `[N, C]` and `out` `[C]`. The grid is
# $\lceil C / B \rceil$. Begin with `tl.zeros([BLOCK], tl.float32)`, and add in float32 whatever the
# type of `rows` is. The last case of the check shows why.
#
# For example, the rows (1, 4) and (3, 8) give (2, 6).

# %%
rows, mean = torch.rand(6, 32), torch.rand(32)
work = touched(gpu_kernels.mean_of_rows, (2,), rows, mean, 6, 32, 16)
viz.show_programs(work).caption(
    "Figure 10. Two programs, each with a block of channels of all six rows. "
    "They read 192 values and write 32."
)

# %% [markdown]
# <details><summary><b>Hint 1</b>: the idea</summary>
# <code>for row in range(N):</code> works in a kernel, too. Each turn loads one block and adds it to
# the sum.
# </details>
# <details><summary><b>Hint 2</b>: where to read</summary>
# The values of this program in row <code>row</code> are at <code>rows + row * C + channel</code>.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# Divide once, after the loop. And write once.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Seven lines. Our code: `gpu_kernels.mean_of_rows.fn??`.
# </details>

# %%
@triton.jit
def mean_of_rows(rows, out, N, C, BLOCK: tl.constexpr): ...


puzzles.check_mean_of_rows(mean_of_rows)

# %% [markdown]
# ## Exercise 3: an address that was read
#
# ★★☆ · about 10 minutes
#
# Up to now a program knew its addresses from its number. Now it must read them first. Each of $N$
# outputs is a weighted sum of $K$ rows of a table. These $K$ reads are its *taps*, and two tensors
# say which rows they read and with which weights:
#
# $$\text{out}_{i} = \sum_{k = 0}^{K - 1} w_{ik}\; \text{rows}_{\,\text{index}_{ik}} .$$
#
# PyTorch calls this an **embedding bag**, because it sums the embeddings of a bag of words. Write
# the kernel `weighted_gather(rows, index, weight, out, taps, C, BLOCK)`. `rows` is `[M, C]`, while
# `index` and `weight` are `[N, taps]`, and `out` is `[N, C]`. The grid is
# $N \times \lceil C / B \rceil$.
#
# For example, the index (2, 0) with the weights (0.5, 0.25) gives half of row 2 plus a quarter of
# row 0.

# %%
rows, sums = torch.rand(6, 16), torch.rand(3, 16)
index = torch.tensor([[0, 1], [4, 2], [1, 1]])
weight = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
arguments = rows, index, weight, sums, 2, 16, 16
work = touched(gpu_kernels.weighted_gather, (3, 1), *arguments)
viz.show_programs(work, highlight=(1, 0)).caption(
    "Figure 11. Program (1, 0) reads its two indices, 4 and 2, and its two "
    "weights. Only then does it know which rows of the table to read."
)

# %% [markdown]
# <details><summary><b>Hint 1</b>: the idea</summary>
# Take the loop of exercise 2. Its row is no longer the loop's counter, but comes from
# <code>index</code>.
# </details>
# <details><summary><b>Hint 2</b>: a single value</summary>
# <code>tl.load</code> of one address, without a block, gives one value and needs no mask:
# <code>tl.load(index + bag * taps + k)</code>, where <code>bag</code> is
# <code>tl.program_id(0)</code>.
# </details>
# <details><summary><b>Hint 3</b>: a trap</summary>
# <code>index</code> and <code>weight</code> have rows of <code>taps</code> values, and
# <code>rows</code> and <code>out</code> have rows of <code>C</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Nine lines. Our code: `gpu_kernels.weighted_gather.fn??`.
# </details>

# %%
@triton.jit
def weighted_gather(
    rows, index, weight, out, taps, C, BLOCK: tl.constexpr
): ...


puzzles.check_weighted_gather(weighted_gather)

# %% [markdown]
# ## Exercise 4: between the positions
#
# ★★☆ · about 10 minutes
#
# The last step is lesson 07's bilinear interpolation. A point $(y, x)$ lies between four positions
# of a map. With $\Delta y = y - \lfloor y \rfloor$ and $\Delta x = x - \lfloor x \rfloor$, its
# features are
#
# $$\text{out} = (1 - \Delta y)\bigl[(1 - \Delta x)\,v_{00} + \Delta x\,v_{01}\bigr]
# + \Delta y\,\bigl[(1 - \Delta x)\,v_{10} + \Delta x\,v_{11}\bigr],$$
#
# where $v_{00}$ is the row of the table for the position above and to the left, $v_{01}$ its right
# neighbor, and $v_{10}$ and $v_{11}$ are the two below. This is a weighted gather whose indices and
# weights are nowhere in memory. The program computes them itself.
#
# Write the kernel `read_points(rows, points, out, width, C, BLOCK)` for a map `rows` `[H * W, C]`
# of this width $W$, `points` `[N, 2]` with (y, x) in each row, and `out` `[N, C]`. The grid is
# $N \times \lceil C / B \rceil$. All points lie inside, so each has four neighbors.
#
# For example, the point (1.25, 3.5) of a map of width 5 takes 3/8 each of the rows 8 and 9, and 1/8
# each of the rows 13 and 14.

# %%
rows, features = torch.rand(15, 8), torch.rand(2, 8)
points = torch.tensor([[1.25, 3.5], [0.5, 0.25]])
arguments = rows, points, features, 5, 8, 8
work = touched(gpu_kernels.read_points, (2, 1), *arguments)
viz.show_programs(work, highlight=(0, 0)).caption(
    "Figure 12. A map of 3 × 5 positions as a table of 15 rows. The point "
    "(1.25, 3.5) reads the rows 8 and 9, and the rows 13 and 14 below them."
)

# %% [markdown]
# <details><summary><b>Hint 1</b>: the idea</summary>
# Load y and x. Their whole parts are the row and the column of the position above and to the left,
# and what remains are the two fractions.
# </details>
# <details><summary><b>Hint 2</b>: a whole number</summary>
# <code>y.to(tl.int32)</code> cuts off what is behind the point, which is the same as rounding down
# for numbers that are not negative.
# </details>
# <details><summary><b>Hint 3</b>: the neighbors</summary>
# If <code>at</code> is the block of addresses of v₀₀, those of v₀₁ are <code>at + C</code>, and
# those of v₁₀ are <code>at + width * C</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Twelve lines. Our code: `gpu_kernels.read_points.fn??`.
# </details>

# %%
@triton.jit
def read_points(rows, points, out, width, C, BLOCK: tl.constexpr): ...


puzzles.check_read_points(read_points)

# %% [markdown]
# ## 7. RoIAlign, three times
#
# Now we have all that RoIAlign needs, and we compare three ways to compute it. The first is a loop
# over the sample points, as in lesson 07, but for all channels. The boxes are in positions of the
# map.


# %%
def bilinear(rows, width, y, x):
    """The features [C] of a map, a table [H * W, C], at a point."""
    top, left = int(y), int(x)
    dy, dx = y - top, x - left
    first = top * width + left
    above = (1 - dx) * rows[first] + dx * rows[first + 1]
    below = (1 - dx) * rows[first + width] + dx * rows[first + width + 1]
    return (1 - dy) * above + dy * below


# %%
def align_by_hand(rows, width, box, n_bins):
    """RoIAlign of one box, with 2 x 2 points in each bin: [P * P, C]."""
    x1, y1, x2, y2 = box.tolist()
    steps = 2 * n_bins  # points along each axis
    out = torch.zeros(n_bins, n_bins, rows.shape[1])
    for i in range(steps):
        y = y1 + (i + 0.5) / steps * (y2 - y1)
        for j in range(steps):
            x = x1 + (j + 0.5) / steps * (x2 - x1)
            out[i // 2, j // 2] += bilinear(rows, width, y, x) / 4
    return out.flatten(0, 1)


# %%
corners, sides = 4 * torch.rand(2, 4, 2, generator=generator)
boxes = torch.cat((corners, corners + 1 + sides), dim=1)  # [4, 4]
features = torch.randn(1, 64, 12, 16, generator=generator)

table = roi_ops.feature_table([features])  # rows [12 * 16, 64]
zeros = torch.zeros(4, dtype=torch.long)  # level and image of each RoI


def all_by_hand():
    return [align_by_hand(table.rows, 16, box, 7) for box in boxes]


def as_a_bag():
    return roi_ops.align_rois(table, zeros, zeros, boxes, 7)


# %% [markdown]
# The second way is the package's on a CPU, `roi_ops.align_rois`. It computes the indices and
# weights of *all* bins of all RoIs as two large tensors, and gives them to one embedding bag, the
# operator of exercise 3. Each bin has $K = 16$ taps, four neighbors for each of its $2 \times 2$
# points.
#
# > **Predict.** For four boxes of 7 × 7 bins, how many times as fast as the loop is the embedding
# > bag: 2, 10, or more than 30 times? Think of the fixed price.

# %%
# NBVAL_IGNORE_OUTPUT
loop_seconds = profiler.seconds(all_by_hand, times=2)
bag_seconds = profiler.seconds(as_a_bag)
print(f"loop {1000 * loop_seconds:6.2f} ms")
print(f"bag  {1000 * bag_seconds:6.2f} ms")
print(f"{loop_seconds / bag_seconds:.0f} times as fast")

# %% [markdown]
# **What happened.** It is more than 30 times as fast, though it does the same arithmetic. The loop
# calls more than 15,000 operators on 64 values each, and nearly all of its time is their fixed
# price. The bag calls about a hundred, and this number does not grow with the number of boxes.
#
# The third way is a kernel, in which each program computes 128 channels of one bin. We don't time
# it here, because the interpreter's time says nothing about a GPU. For 512 RoIs of 7 × 7 bins and
# 256 channels that makes $512 \cdot 49 \cdot 2 = 50{,}176$ programs. They share nothing, so the
# GPU may run them in any order, as many at a time as it has room for. Here is the inner part of the
# package's kernel:

# %%
source = files("mrcnn_edu.kernels").joinpath("roi_align.py").read_text()
forward = source[source.index("def _forward(") :]
inner = forward[forward.index("    total =") : forward.index("\n\n\n")]
print(dedent(inner))

# %% [markdown]
# You can read all of it. It begins with the sum of exercise 2. Its two loops go through the `s_y` ×
# `s_x` sample points of the bin in row `p_y` and column `p_x`. For each point, `_two_neighbors`
# does along one axis what you did in exercise 4. It returns the position before the point and the
# one behind it, and how near they are. Then come four loads, as in exercise 4. They count from
# `start`, where the RoI's map of `h` × `w` positions begins. So one launch can read the maps of all
# levels. The mean is written once, and `div_rn` is a division that rounds as PyTorch's does.
#
# What is *not* there is the point of the whole kernel. No list of indices and no list of weights
# has ever been in memory. They live in registers, for the few nanoseconds in which they are needed.

# %% tags=["claim"]
by_hand = torch.cat(all_by_hand())
bag = as_a_bag().permute(0, 2, 3, 1).flatten(0, 2)
torch.testing.assert_close(bag, by_hand)
if device == "cpu":
    assert loop_seconds > 15 * bag_seconds


class CountOperators(torch.utils._python_dispatch.TorchDispatchMode):
    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


with CountOperators() as of_loop:
    all_by_hand()
with CountOperators() as of_bag:
    as_a_bag()
with CountOperators() as of_more_boxes:
    twice = torch.cat((zeros, zeros)), torch.cat((boxes, boxes))
    roi_ops.align_rois(table, twice[0], twice[0], twice[1], 7)
assert 512 * 7 * 7 * (256 // 128) == 50_176
assert of_loop.n > 15_000 and 80 < of_bag.n < 140
assert of_more_boxes.n - of_bag.n <= 2  # the two cats
if TRITON:
    from mrcnn_edu.kernels.roi_align import triton_roi_align

    there = roi_ops.feature_table([features.to(device)])
    where = [column.to(device) for column in (zeros, zeros, boxes)]
    by_kernel = triton_roi_align(there, *where, 7, (2, 2), 1.0)
    torch.testing.assert_close(by_kernel.cpu(), by_hand)

# %% [markdown]
# ## 8. The roofline: bytes or operations?
#
# Is the kernel as fast as it could be? For that we would have to know how fast it *could* be, and
# we can, before we run anything. A machine moves at most $\beta$ bytes a second between memory and
# processors, and does at most $\pi$ operations a second. It does both at the same time. Work that
# moves $Q$ bytes and does $F$ operations therefore takes at least
#
# $$t \ \ge\ \max\left(\frac{F}{\pi},\ \frac{Q}{\beta}\right).$$
#
# Divide $F$ by this time, and you have the highest rate that the work can reach,
#
# $$\frac{F}{t} \ \le\ \min(\pi,\ \beta I), \qquad I = \frac{F}{Q} .$$
#
# $I$ is the **arithmetic intensity**, the number of operations for each byte that is moved. Plotted
# over $I$ on logarithmic axes, the bound looks like a roof. It rises with $\beta I$ and becomes
# flat at $\pi$. This is the **roofline**
# ([Williams, Waterman and Patterson](https://doi.org/10.1145/1498765.1498785)). The corner is at
# $I = \pi / \beta$. To the left of it bytes limit the work, and to the right of it operations do.
#
# Let us count for four pieces of Mask R-CNN at its real size, a pyramid of an image of 800 × 1,216
# pixels in float32. A multiplication and an addition are two operations, and we count each tensor
# as read or written once, as if a cache kept every value until its last use. RoIAlign of $R$ RoIs
# with $P \times P$ bins and $K = 16$ taps for each bin, on maps of $H_l \times W_l$ positions, does
#
# $$F = 2 K R P^2 C, \qquad Q = 4\,\Bigl(\sum_l H_l W_l + R P^2\Bigr)\, C ,$$
#
# where the sum goes over the levels $l$ of the pyramid. A $k \times k$ convolution from $C$ to $C$
# channels on a map of $H \times W$ positions does
#
# $$F = 2 H W C^2 k^2, \qquad Q = 4\,\bigl(2 H W C + C^2 k^2\bigr) ,$$
#
# and a linear layer from $n$ to $m$ values for $R$ RoIs does
#
# $$F = 2 R n m, \qquad Q = 4\,(R n + R m + n m) .$$
#
# > **Predict.** Order these four by their arithmetic intensity, the lowest first: RoIAlign of 512
# > RoIs, a 1 × 1 convolution and a 3 × 3 convolution on the map of stride 8 with 256 channels, and
# > the first linear layer of the box head, from $7 \cdot 7 \cdot 256$ to 1,024 values for 512 RoIs.

# %%
positions = 100 * 152  # the map of stride 8
inputs = P * P * C  # of the box head
conv, head = C * C, inputs * 1024  # weights
layers = {  # operations, and values moved: in, out and weights
    "1 x 1 convolution": (2 * positions * conv, 2 * positions * C + conv),
    "box head": (2 * R * head, R * inputs + R * 1024 + head),
    "3 x 3 convolution": (18 * positions * conv, 2 * positions * C + 9 * conv),
}

# %%
operations = {"RoIAlign": 2 * 16 * R * P * P * C}
n_bytes = {"RoIAlign": map_bytes + roi_bytes}
for name, (n_operations, n_values) in layers.items():
    operations[name] = n_operations
    n_bytes[name] = 4 * n_values

intensity = {name: operations[name] / n_bytes[name] for name in operations}
print(f"{'':18} {'operations':>11} {'bytes':>8} {'intensity':>9}")
for name, value in intensity.items():
    giga, mega = operations[name] / 1e9, n_bytes[name] / 1e6
    print(f"{name:18} {giga:9.2f} G {mega:6.0f} M {value:9.1f}")

# %% [markdown]
# **What happened.** RoIAlign comes first, with fewer than two operations for a byte. Then come the
# 1 × 1 convolution with 63.5, the box head with 166, and the 3 × 3 convolution with more than 500.
# Intensity is a matter of reuse. Once the 3 × 3 convolution has read a value, it uses it for nine
# positions and every output channel, which makes 2,304 times. RoIAlign uses a value about five
# times. You may have put the box head next to RoIAlign, since each of its 13 million weights is
# used only once for a RoI. But there are 512 RoIs, and each weight is used for all of them.
#
# Now we need a machine. We measure this one, its bandwidth with a copy and its rate with a product
# of two matrices, and then run all four.

# %%
maps = []
for height, width in shapes:
    level = torch.rand(1, C, height, width, device=device)
    maps.append(level.to(memory_format=torch.channels_last))

sides = 2 ** (5 + 4 * torch.rand(R, 1, generator=generator))  # 32 to 512
room = torch.tensor([1216, 800]) - sides
corners = room * torch.rand(R, 2, generator=generator)
rois = torch.cat((corners, corners + sides), dim=1).to(device)


def align_all(table):
    return roi_ops.pool_pyramid(table, [rois], strides, P, roi_ops.align_rois)


# %%
pyramid = roi_ops.feature_table(maps)
x, regions = maps[1], torch.rand(R, inputs, device=device)
w1 = torch.rand(C, C, 1, 1, device=device)
w3 = torch.rand(C, C, 3, 3, device=device)
w = torch.rand(1024, inputs, device=device)
runs = {
    "RoIAlign": lambda: align_all(pyramid),
    "1 x 1 convolution": lambda: conv2d(x, w1),
    "box head": lambda: linear(regions, w),
    "3 x 3 convolution": lambda: conv2d(x, w3, padding=1),
}


# %%
here, copy = torch.rand(2, 2**24, device=device)
copy_seconds = profiler.seconds(lambda: copy.copy_(here))
bandwidth = 2 * here.nbytes / copy_seconds  # read and written
square = torch.rand(1536, 1536, device=device)
rate = 2 * 1536**3 / profiler.seconds(lambda: square @ square)

# %%
# NBVAL_IGNORE_OUTPUT
reached = {}
for name, run in runs.items():
    reached[name] = operations[name] / profiler.seconds(run, times=3)

title = f"{rate / 1e9:.0f} G operations/s, {bandwidth / 1e9:.0f} GB/s"
picture = viz.show_roofline({title: (rate, bandwidth)}, intensity, reached)
picture.caption(
    "Figure 13. The roof of the CPU that built this page, measured. Rings are "
    "what each piece of work could reach at most, and dots are what it does "
    "reach."
)

# %% [markdown]
# The layers come close to their bounds, because libraries have been tuned for them for decades. A
# dot can even lie above the roof, since our measurement of the roof is an estimate itself. RoIAlign
# stays far below. The embedding bag moves more bytes than we have counted, and we will soon see
# how many.

# %% tags=["claim"]
assert sorted(intensity, key=intensity.get) == list(intensity)
rounded = [round(value, 1) for value in intensity.values()]
assert rounded == [1.9, 63.5, 166.1, 535.4]
assert round(w.numel() / 1e6) == 13
assert 9 * C == 2304 and round(16 * R * P * P / n_rows) == 5  # uses of a value
if device == "cpu":
    part = {name: reached[name] / min(rate, bandwidth * intensity[name]) for name in reached}
    assert part["RoIAlign"] < 0.5 and min(list(part.values())[1:]) > 0.2

# %% [markdown]
# ## 9. The roof moves: TF32
#
# For the cards of the next figure we have no measurements, but their data sheets state $\pi$ and
# $\beta$. So which of the two limits our 1 × 1 convolution on an A100? Its float32 arithmetic units
# do $19.5 \cdot 10^{12}$ operations a second, and its memory moves $2.039 \cdot 10^{12}$ bytes.
#
# But wait. Is float32 what the convolution computes in? Let us ask PyTorch.

# %%
print("convolutions may use TF32:   ", torch.backends.cudnn.allow_tf32)
print("matrix products may use TF32:", torch.backends.cuda.matmul.allow_tf32)

# %% [markdown]
# These are the defaults, on a computer without a GPU as well. **TF32** is a way in which NVIDIA's
# GPUs since the A100 multiply float32 matrices. The inputs are rounded to 10 binary digits behind
# the point, where float32 has 23, and the products are summed in float32. In exchange, special
# units do the work, the *tensor cores*, and on an A100 they are eight times as fast. PyTorch allows
# this for convolutions, and doesn't allow it for matrix products unless you ask for it. In memory
# the tensors stay in float32, with 4 bytes a value, so neither the bytes change nor the intensity
# of 63.5.
#
# > **Predict.** With plain float32, the corner of the A100's roof is at $19.5 / 2.039 \approx 10$
# > operations for a byte, so operations limit our convolution. With TF32 the card does
# > $156 \cdot 10^{12}$ operations a second. What limits the convolution then? And on an H100, with
# > $494.7 \cdot 10^{12}$ in TF32 and $3.35 \cdot 10^{12}$ bytes a second?

# %%
from mrcnn_edu.course.widgets.gpu import CARDS

ours = intensity["1 x 1 convolution"]
print("corner of the roof float32    TF32 bfloat16")
for name in ("A100", "H100", "GeForce RTX 4090"):
    card = CARDS[name]
    peaks = card.float32, card.tf32, card.bfloat16
    corners = [f"{peak / card.bandwidth:7.1f}" for peak in peaks]
    print(f"{name:18}", *corners)
print(f"\n1 x 1 convolution: {ours:.1f}, and in bfloat16 {2 * ours:.1f}")

# %% tags=["cover"]
roofs, in_float32 = {}, []
for name in ("H100", "A100", "GeForce RTX 4090"):
    card = CARDS[name]
    roofs[f"{name}, TF32"] = card.tf32, card.bandwidth
    if card.tf32 > card.float32:  # on the RTX 4090 they are equal
        in_float32.append(f"{name}, float32")
        roofs[in_float32[-1]] = card.float32, card.bandwidth

viz.show_roofline(roofs, intensity, dashed=in_float32).caption(
    "Figure 14. Rooflines by the data sheets. In TF32, the 1 × 1 convolution "
    "lies on the slope of all three cards, so bytes limit it. RoIAlign is so "
    "far to the left that no arithmetic unit could ever help it."
)

# %% [markdown]
# **What happened.** With TF32, bytes limit the 1 × 1 convolution on all three cards. The corners
# are at 76.5 on the A100, at 147.7 on the H100 and at 81.9 on the RTX 4090, and 63.5 is to the left
# of all of them. On the A100 and the H100 one switch has turned a layer that was limited by its
# operations into one that is limited by its bytes, and not a single byte has changed. So we gain
# only a part of the factor of 8. On an A100, the least time in float32 is
#
# $$\frac{F}{\pi} = \frac{1.99 \cdot 10^9}{19.5 \cdot 10^{12}\,/\,\text{s}}
# \approx 102\ \text{µs},
# \qquad\text{and in TF32}\qquad
# \frac{Q}{\beta} = \frac{31.4 \cdot 10^6}{2.039 \cdot 10^{12}\,/\,\text{s}}
# \approx 15\ \text{µs} .$$
#
# That is 6.6 times as fast and not 8 times. On the RTX 4090, TF32 is no faster than float32, and
# bytes limit the layer in both.
#
# Bfloat16 has 2 bytes instead of 4, so the intensity doubles, to 127. But tensor cores are twice as
# fast in bfloat16 as in TF32, so the corners double as well, on the A100 to 153. Bytes remain the
# limit, and since there are half as many of them, the least time is halved. That is the real gain
# of the short formats for such a layer.
#
# The box head is a matrix product, which uses TF32 only after
# `torch.set_float32_matmul_precision("high")`.

# %% tags=["claim"]
assert torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
three = {name: CARDS[name] for name in ("A100", "H100", "GeForce RTX 4090")}
corner_tf32 = {name: card.tf32 / card.bandwidth for name, card in three.items()}
assert [round(value, 1) for value in corner_tf32.values()] == [76.5, 147.7, 81.9]
assert all(ours < value for value in corner_tf32.values())  # bytes limit it on all three
a100 = CARDS["A100"]
assert round(a100.float32 / a100.bandwidth) == 10 and a100.tf32 / a100.float32 == 8
assert CARDS["H100"].float32 / CARDS["H100"].bandwidth < ours
layer = operations["1 x 1 convolution"], n_bytes["1 x 1 convolution"]
in_float32 = max(layer[0] / a100.float32, layer[1] / a100.bandwidth)
in_tf32 = max(layer[0] / a100.tf32, layer[1] / a100.bandwidth)
assert round(1e6 * in_float32) == 102 and round(1e6 * in_tf32) == 15
assert round(in_float32 / in_tf32, 1) == 6.6
assert round(layer[0] / 1e9, 2) == 1.99 and round(layer[1] / 1e6, 1) == 31.4
card = CARDS["GeForce RTX 4090"]
assert card.tf32 == card.float32 and ours < card.float32 / card.bandwidth
assert round(2 * ours) == 127
assert round(a100.bfloat16 / a100.bandwidth) == 153
assert all(round(c.bfloat16 / c.tf32, 2) == 2 for c in three.values())

# %% [markdown]
# ## 10. What fusing saves: bytes
#
# RoIAlign is limited by bytes everywhere, so whoever moves fewer bytes is faster. Let us count what
# the three ways write. `bytes_written` watches all operators and adds up the sizes of their
# results. The *naive* way to compute the weighted sums is to take all rows, to multiply them by
# their weights, and to add them up, one operator after the other. Its two intermediate results have
# $K$ rows for each bin:
#
# $$\underbrace{4 K R P^2 C}_{\text{rows}} + \underbrace{4 K R P^2 C}_{\text{times weights}} +
# \underbrace{4 R P^2 C}_{\text{result}} = (2K + 1) \cdot 4 R P^2 C .$$
#
# For the embedding bag we count everything that it needs, from the maps on. It looks its rows up in
# *one* table, so it first has to copy the maps of the four levels into one.
#
# > **Predict.** The result has 26 MB. How much does the naive way write in all: about 50, 200 or
# > 800 MB? And the bag, if the maps have 83 MB?


# %%
def by_bag():
    return align_all(roi_ops.feature_table(maps))


few = 32  # RoIs: all 512 would need a lot of memory
index = torch.randint(n_rows, (few * P * P, 16), device=device)
weight = torch.rand(few * P * P, 16, device=device)


def naively():
    taken = pyramid.rows[index]
    return (taken * weight[..., None]).sum(dim=1)


# %%
wrote = {
    "naive": profiler.bytes_written(naively) * R // few,
    "embedding bag": profiler.bytes_written(by_bag),
    "kernel": roi_bytes,  # it writes its result and nothing else
}
parts = {}
for way, total in wrote.items():
    table = map_bytes if way == "embedding bag" else 0
    parts[way] = {"result": roi_bytes / 1e6, "table of all maps": table / 1e6}
    parts[way]["on the way"] = (total - roi_bytes - table) / 1e6
viz.show_parts(parts, "MB written for 512 RoIs").caption(
    "Figure 15. Bytes written. The embedding bag avoids the two large "
    "intermediate results, but it copies the maps. The kernel reads the maps "
    "where they are."
)

# %% [markdown]
# **What happened.** The naive way writes 848 MB, 33 times the result, and most of that is read
# again. The bag writes 115 MB. Of these, 83 MB are the copy of the maps, and about 7 MB are indices
# and weights, one of each for a tap, and not for each of its 256 channels. That is still 4.5 times
# as much as the kernel, which keeps indices and weights in registers and reads each map where it
# lies.
#
# To be fair to the bag, the copy is made once for each pyramid, and both heads share it. And on a
# CPU, where nothing must be launched, the bag is a good choice.
#
# By its roofline, RoIAlign takes an H100 at least $(83 + 26) \cdot 10^6 / (3.35 \cdot 10^{12})$
# seconds, about 32 µs. The bag reads the maps, writes the table and reads it again, three times 83
# MB. It writes and reads 7 MB of indices and weights. With the result these are 288 MB, and 86 µs.
# Both are bounds from a data sheet, and `benchmarks/gpu.py` measures the two on your own card.

# %% tags=["claim"]
assert wrote["naive"] == 33 * roi_bytes and round(wrote["naive"] / 1e6) == 848
assert round(wrote["embedding bag"] / 1e6) == 115
assert round(wrote["embedding bag"] / roi_bytes, 1) == 4.5
rest = wrote["embedding bag"] - roi_bytes - map_bytes
assert 6.5e6 < rest < 7.5e6
least_kernel = (map_bytes + roi_bytes) / CARDS["H100"].bandwidth
assert round(1e6 * least_kernel) == 32
moved = 3 * map_bytes + 2 * rest + roi_bytes
assert round(moved / 1e6) == 288
assert round(1e6 * moved / CARDS["H100"].bandwidth) == 86

# %% [markdown]
# ## 11. Backward: many add to one
#
# In the forward pass every output belongs to one program, and programs never meet. In the backward
# pass they do. The gradient of a row of the table is the sum over all taps that have read it,
#
# $$\frac{\partial L}{\partial\,\text{rows}_r} = \sum_{i,\,k \,:\ \text{index}_{ik} = r}
# w_{ik}\ \frac{\partial L}{\partial\,\text{out}_i} .$$
#
# There are 401,408 taps and only 80,750 rows, so many programs add to the same row. But adding is
# three steps. A program reads the old value, adds its own, and writes the sum back.
#
# > **Predict.** Four programs each add 1 to a cell of memory that holds 0, and all of them read
# > before any of them writes. What is in the cell in the end? And a second question. If you add
# > 100,000 random numbers in float32, once in one order and once in another, are the two sums
# > equal?

# %%
row = torch.tensor([2, 2, 2, 2, 5])  # four programs add to row 2
unprotected, atomic = torch.zeros(2, 8)
unprotected[row] += 1  # all read first, then all write
atomic.index_add_(0, row, torch.ones(5))  # reads and writes undivided
print("unprotected:", unprotected.int().tolist())
print("atomic:     ", atomic.int().tolist())

values = torch.randn(100_000, generator=generator)
sums = set()
for _ in range(20):
    order = torch.randperm(len(values), generator=generator)
    sums.add(values[order].sum().item())
print(f"{len(sums)} different sums of the same numbers in 20 orders")

# %% [markdown]
# **What happened.** The cell holds 1, and three additions are lost. So the backward kernel uses an
# **atomic operation**, `tl.atomic_add`, which reads, adds and writes in one step that nobody can
# interrupt. Note that the interpreter runs programs one after another. There a missing atomic goes
# unnoticed, and the kernel fails only on a GPU.
#
# And the sums differ. Every addition rounds, and another order rounds differently. On a GPU the
# order in which programs arrive changes from run to run, so the last digits of such gradients do,
# too. If you need bitwise-reproducible gradients, sort the taps by row first, so that each row sums
# its contributions in a fixed order. That is exactly what the backward pass of our embedding bag
# does (`WeightedGather` in `mrcnn_edu/roi_ops`). With
# `torch.use_deterministic_algorithms(True)` the package leaves the kernel and takes the bag.

# %% tags=["claim"]
assert R * P * P * 16 == 401_408 and n_rows == 80_750
assert unprotected[2] == 1 and atomic[2] == 4 and unprotected[5] == atomic[5] == 1
assert len(sums) > 3 and max(sums) - min(sums) < 0.01

# %% [markdown]
# ## Where it breaks: numbers that are too short
#
# **bfloat16** has the range of float32, but only 7 binary digits behind the point, where float32
# has 23. So between $2^e$ and $2^{e + 1}$ its numbers are $2^{e - 7}$ apart.
#
# > **Predict.** We start at 0 and add 1, three thousand times, with a total in bfloat16. What is
# > the total? How far apart are the numbers of bfloat16 above 256?

# %%
total = torch.zeros((), dtype=torch.bfloat16)
totals = []
for _ in range(3000):
    total = total + 1
    totals.append(total.item())

n = torch.arange(1, 3001)
curves = {"bfloat16": torch.tensor(totals), "float32": n.float()}
viz.show_lines(n, curves, "additions of 1", "total").caption(
    "Figure 16. A running total in bfloat16 gets stuck at 256 = 2⁸. The next "
    "number above it is 258, and 257 is rounded back, again and again."
)

# %% [markdown]
# **What happened.** The total stops at 256. Above it, the numbers are $2^{8 - 7} = 2$ apart, so 257
# doesn't exist. It lies exactly between 256 and 258, and such a tie goes to the number whose last
# binary digit is 0, here 256. No error is raised, and a mean over 3,000 positions would come out
# almost twelve times too small. The remedy is to keep every *running* sum in float32, whatever is
# read and written. PyTorch's `sum` does that (it gives 3,008, which is 3,000 rounded once at the
# end), our kernels do, and so did you in exercise 2.
#
# How much do the short formats cost if the sums are in float32? We round the inputs of the 1 × 1
# convolution to 10 binary digits behind the point, as TF32 does, and to 7, as bfloat16 does.


# %%
def rounded_to(values, digits):
    """float32 values with so many binary digits behind the point."""
    dropped = 23 - digits
    half = 1 << (dropped - 1)  # so that cutting off rounds to the nearest
    bits = values.view(torch.int32) + half
    return ((bits >> dropped) << dropped).view(torch.float32)


x = torch.randn(1, C, 100, 152, generator=generator)
w1 = torch.randn(C, C, 1, 1, generator=generator)
exact = conv2d(x, w1)
for name, digits in {"TF32": 10, "bfloat16": 7}.items():
    short = conv2d(rounded_to(x, digits), rounded_to(w1, digits))
    error = (short - exact).norm() / exact.norm()
    print(f"{name:8} differs by {100 * error:.2f} % of the features' norm")

# %% [markdown]
# Networks tolerate that, and even training in [mixed precision](https://arxiv.org/abs/1710.03740)
# loses next to nothing. But when you compare a model on a GPU with the same model on a CPU, and
# wonder why the fourth digit is different, you know where to look.

# %% tags=["claim"]
assert totals[-1] == 256 and torch.ones(3000, dtype=torch.bfloat16).sum() == 3008
assert 3000 / 256 > 11.5
errors = []
for digits in (10, 7):
    short = conv2d(rounded_to(x, digits), rounded_to(w1, digits))
    errors.append(((short - exact).norm() / exact.norm()).item())
assert 1e-4 < errors[0] < 1e-3 and 1e-3 < errors[1] < 1e-2
is_other = rounded_to(x, 7) != x.bfloat16().float()
assert is_other.float().mean() < 1e-4  # only ties differ

# %% [markdown]
# ## Where it breaks: a mask forgotten
#
# A kernel does not check where a tensor ends. Below, `ours` are the first ten values of a memory
# with 32, and the rest belongs to somebody else. The kernel copies a block of 16 and has no mask.
#
# > **Predict.** What happens: an error, nothing, or something worse?

# %%
@triton.jit
def copy_without_a_mask(x, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i))


memory, ones = torch.zeros(32, device=device), torch.ones(16, device=device)
ours = memory[:10]
copy_without_a_mask[(1,)](ones, ours, BLOCK=16)
print("ours:         ", ours.int().tolist())
print("somebody else:", memory[10:].int().tolist())

work = touched(copy_without_a_mask, (1,), ones, ours, BLOCK=16)
viz.show_programs(work).caption(
    "Figure 17. The same in squares. Crosses mark the six values that were "
    "written beyond the end."
)

# %% [markdown]
# **What happened.** Something worse than an error. Six values that belong to somebody else are
# wrong, and nobody has been told. PyTorch checks indices on every access, and a kernel has only the
# mask that you gave it. If the memory behind the tensor belongs to nobody, a GPU does report an
# illegal access, but only at the next synchronization, and often far away from the line that caused
# it.
#
# How would you notice? Test kernels with sizes that fill no block, on tensors that are surrounded
# by a known value, as the checks of this lesson do. NVIDIA's tool `compute-sanitizer` watches all
# of memory.

# %% tags=["claim"]
assert ours.tolist() == [1] * 10 and memory[10:16].tolist() == [1] * 6
assert memory[16:].sum() == 0

# %% [markdown]
# ## Play: two clocks
#
# Ten equal operators, launched one after another. Above, Python never reads a result. Below, it
# reads one after every few operators.
#
# 1. Let operators take 8 µs and launches 5 µs. How much longer does the program take if Python
#    reads after every operator? Explain the number with the formulas for $c_i$, $s_i$ and $e_i$.
# 2. Make the operators much shorter than a launch. Why do reads hardly matter any more?
# 3. A GPU that is twice as fast costs twice as much. For which settings would you buy it?

# %%
from mrcnn_edu.course.widgets import gpu_player, queue_player

queue_player().caption(
    "Figure 18. A queue in time, without reads (above) and with them (below)."
)

# %% [markdown]
# ## Play: under the roof
#
# The orange dot is RoIAlign, at the highest rate that it could reach, and the rings are the layers
# from before.
#
# 1. Does it cost an H100 anything if RoIAlign takes 4 × 4 points in each bin instead of 2 × 2?
# 2. Is the same true of a laptop's CPU with 2,000 RoIs? Why, or why not?
# 3. What does bfloat16 change for RoIAlign, and what for the layers?

# %%
gpu_player(layers).caption(
    "Figure 19. RoIAlign and three layers under the roof of a machine, by its "
    "data sheet."
)

# %% [markdown]
# ## Exercise 5: when is the queue done?
#
# ★★☆ · about 10 minutes
#
# Write `time_of_queue(durations, launch, reads)`. Python launches the operators one after another,
# each in the time `launch`. The GPU needs `durations[i]` for the one with index i. After the
# operators whose index is in the list `reads`, Python waits for the result before it launches the
# next one. Return the time at which the last operator is done, as a float, or 0.0 if there is none.
# Don't use `viz.queue_times`.
#
# For example, `time_of_queue([20., 20., 20.], 5., [])` is 65, and with `reads` = `[0]` it is 70.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Keep two clocks, one for Python and one for the GPU, and go through the operators once.
# </details>
# <details><summary><b>Hint 2</b>: the formulas</summary>
# They are below "Python launches, the GPU computes", for a Python that never reads. If it reads,
# its clock jumps to the GPU's.
# </details>
# <details><summary><b>Hint 3</b>: the first line of the loop</summary>
# <code>python += launch</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# The GPU's clock becomes `max(python, gpu) + duration`, and after a read `python = gpu`. Our code:
# `viz.queue_times??`.
# </details>

# %%
from mrcnn_edu.course.exercises import gpu as exercises


def time_of_queue(durations, launch, reads): ...


exercises.check_time_of_queue(time_of_queue)

# %% [markdown]
# ## Exercise 6: a network under its roof
#
# ★☆☆ · about 5 minutes
#
# Write `least_time(operations, n_bytes, rate, bandwidth)`. The tensors `operations` `[L]` and
# `n_bytes` `[L]` belong to L layers that run one after another, each as a kernel of its own. Return
# two things, the least time in seconds of all layers together, as a float, and a bool tensor `[L]`
# that says which layers are limited by their bytes. Where both limits are equal, say False.
#
# For example, with `operations` = (80, 2), `n_bytes` = (6, 6), a rate of 4 and a bandwidth of 2,
# the layers take 20 and 3 seconds. The result is 23.0 and (False, True).
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# The roofline's first formula is for one layer. It holds for each layer by itself.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# The sum of maxima is not the maximum of sums. While a layer is limited by its bytes, the
# arithmetic units can't already work on the next one.
# </details>
# <details><summary><b>Solution</b></summary>
#
# `torch.maximum` of the two times, and then the sum. Our code: `exercises.least_time??`.
# </details>

# %%
def least_time(operations, n_bytes, rate, bandwidth): ...


exercises.check_least_time(least_time)

# %% [markdown]
# ## Exercise 7: RoIAlign as a kernel
#
# ★★★ · 30 to 60 minutes
#
# Put the puzzles together and write RoIAlign of many boxes on one map, with 2 × 2 points in each
# bin:
#
# `align_boxes(rows, boxes, out, height, width, P, C, BLOCK)`
#
# `rows` `[H * W, C]` is a map of this `height` H and `width` W. `boxes` `[R, 4]` has (x1, y1, x2,
# y2) in positions of the map. All boxes lie inside, with $0 \le x_1 < x_2 \le W$ and
# $0 \le y_1 < y_2 \le H$. `out` is `[R * P * P, C]`, box by box and in each box row by row. The
# check launches $R P^2 \times \lceil C / B \rceil$ programs, so the first number of a program
# counts bins.
#
# 1. From its number $b$, the program finds its box and its bin:
#    $r = \lfloor b / P^2 \rfloor$, row $i = \lfloor b / P \rfloor \bmod P$ and column
#    $j = b \bmod P$.
# 2. Its sample points are at
#    $y = y_1 + (i + \tfrac{1}{4})\,(y_2 - y_1) / P$ and the same with $\tfrac{3}{4}$, and likewise
#    along $x$ with $j$.
# 3. At each of the four points it interpolates. A point may lie behind the last row or column.
#    Then its neighbor there is the last one itself, $\min(\lfloor y \rfloor + 1, H - 1)$.
# 4. It writes the mean of the four.
#
# For example, take a map of one channel that holds its own column x at each position, and a box
# from x = 1 to x = 5 with P = 2. All bins on the left become 2 and all bins on the right become 4,
# which are their centers.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Begin with exercise 4. First let each program write the point in the middle of its bin. Once that
# has the right shape, add the loop over four points.
# </details>
# <details><summary><b>Hint 2</b>: which box?</summary>
# <code>tl.program_id(0) // (P * P)</code>. Its four numbers are four loads of single values, from
# <code>boxes + 4 * roi</code> on.
# </details>
# <details><summary><b>Hint 3</b>: four points in one loop</summary>
# In <code>for point in range(4):</code>, the row of a point in the bin is <code>point // 2</code>
# and its column is <code>point % 2</code>. Half of that, plus 0.25, is the fraction of the bin.
# </details>
# <details><summary><b>Hint 4</b>: two traps</summary>
# Divide by 4 after the loop. And swap nothing: x belongs to the width and to the column j, y to the
# height and to the row i.
# </details>
# <details><summary><b>Solution</b></summary>
#
# This is the package's kernel without levels, images, adaptive points and other types than float32.
# Our code: `gpu_kernels.align_boxes.fn??`. Compare it with `mrcnn_edu/kernels/roi_align.py`.
# </details>

# %%
from mrcnn_edu.course.exercises import align_kernel


@triton.jit
def align_boxes(
    rows, boxes, out, height, width, P, C, BLOCK: tl.constexpr
): ...


align_kernel.check_align_boxes(align_boxes)

# %% [markdown]
# When the check says "ok", hold your kernel against the package:
#
# ```python
# out = torch.zeros(4 * 7 * 7, 64, device=device)
# map_rows, on_map = table.rows.to(device), boxes.to(device)
# align_boxes[(len(out), 4)](map_rows, on_map, out, 12, 16, 7, 64, BLOCK=16)
# (out.cpu() - torch.cat(all_by_hand())).abs().max()
# ```
#
# And if you have a GPU, here is a last question. With `BLOCK=16` there are four programs for each
# bin, with `BLOCK=64` there is one. Which is faster, and why?

# %% [markdown]
# ## Remember
#
# - Every operator has a fixed price. On a GPU, many small ones leave it idle between launches, and
#   each synchronization empties the queue.
# - Work takes at least the longer of operations / rate and bytes / bandwidth. Its arithmetic
#   intensity, operations / bytes, tells on which side of the roof's corner it lies.
# - PyTorch's float32 convolutions use TF32 by default, and with it bytes limit a 1 × 1 convolution
#   even on the fastest cards.
# - A kernel that fuses operators saves bytes. It masks its positions, adds with atomics where
#   programs meet, and keeps its sums in float32.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `kernels.roi_align`, in Triton | `ops.roi_align`, in CUDA | `ROIAlign`, which calls it |
# | `kernels.nms`, in Triton | `ops.nms`, in CUDA | `batched_nms`, which calls it |
# | `speed.accelerate.in_bfloat16` | `--amp` of its training scripts | `SOLVER.AMP.ENABLED` |
# | `speed.accelerate.compiled` | `torch.compile`, by hand | the same |
#
# torchvision's kernel has a thread for each value of the output, where ours has a program for each
# block of channels.
#
# What came after? [FlashAttention](https://arxiv.org/abs/2205.14135) applied this lesson's idea to
# transformers. It computes attention without ever writing the matrix of all pairs into memory, and
# is faster although it does *more* operations. And you need to write fewer and fewer kernels
# yourself, since [PyTorch 2](https://doi.org/10.1145/3620665.3640366) finds operators that can be
# fused and writes Triton kernels for them. What no compiler does for you is to count bytes before
# you begin.
#
# **Next:** your own GPU. `python benchmarks/gpu.py` measures memory, RoIAlign, NMS, detection and
# training there, and how much each line of `mrcnn_edu/speed` gains. Compare its numbers with the
# bounds that you can now compute.
