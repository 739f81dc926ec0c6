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
# # 12 · Ablations: which part earns its place, and how sure can you be?
#
# An **ablation** changes one part and leaves everything else as it was.
# After this lesson (90 minutes) you can
#
# - say how far apart two training runs of the *same* setting are, and compare settings in pairs;
# - read the paper's tables 2 and 3, and predict which of its rows a small world repeats;
# - turn a switch, train both settings in lockstep, and see *where* their masks differ;
# - tell a finding from luck.
#
# This notebook trains five small models while you watch: it computes for about three minutes.

# %%
from inspect import getsource

import torch

from mrcnn_edu import MaskRCNN, load, viz
from mrcnn_edu.ablations import TABLES, Setup, precomputed, train_in_lockstep
from mrcnn_edu.weights import init_backbone

viz.show_flow("class, box, mask")

# %% [markdown]
# ## The problem
#
# The lessons before this one gave reasons: rounding misaligns, classes should not compete, a mask
# needs its layout. Reasons are cheap. The paper turns each into a **switch**, trains with the
# switch on and off, and compares mask AP. Here is its table 2c:

# %%
table = TABLES["2c"]
print(table.question)
for setting in table.settings:
    print(f"{setting.name:15} AP {setting.paper[0]}  AP75 {setting.paper[2]}")

# %% [markdown]
# Each number is from one **training run**. But a run depends on chance, determined by its **seed**:
# how the new layers are initialized, the order of the images, which anchors and RoIs are sampled.
#
# We trained every setting of the paper's tables on synthetic images, small models that take a
# minute or two each, and with five seeds. The results come with the package: `precomputed` reads
# them. (All these tables were measured on an earlier version of our synthetic images, whose objects
# and backgrounds were drawn in another way.)
#
# **Predict:** five runs with RoIAlign differ in nothing but the seed. How far apart are the best
# and the worst mask AP: a tenth of a point, about two points, or ten?

# %%
results = precomputed("2c")
align, pool = table.settings[0], table.setting("RoIPool")
base, other = results.scores(align), results.scores(pool)
apart = max(base.values()) - min(base.values())
print(f"{len(base)} seeds, {apart:.1f} points apart")
assert len(base) == len(other) == 5 and 1 < apart < 4
viz.show_seeds({"RoIAlign, mean": list(base.values())}, {}, "mask AP").caption(
    "A dot is a training run, the bar their mean. Which dot would a paper have printed?"
)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About two points, although it is the same program on the same data. Some of the paper's
# differences are smaller. Its runs are 400 times as long and it has 25 times as many test images,
# so its chance will be smaller than ours; how small, its tables do not say.
# </details>
#
# ## 1. In pairs, and with an interval
#
# Seed s starts every setting of a table from the same weights and shows it the same images in the
# same order. So we subtract **seed by seed**, and what is special about a seed cancels. We want the
# mean of the n differences, and how far the *true* mean may be from it: in 19 cases of 20 not
# further than t s / √n, with s the standard deviation of the differences (how far they spread) and
# t from Student's table, larger for smaller n. The range is a **95 % interval**. If it contains 0,
# there may be no difference at all.
#
# **Predict:** with two seeds instead of five, how many times as wide is the interval: 1.6 times
# (√5 / √2), or more?

# %%
from scipy.stats import t as student

differences = torch.tensor([other[seed] - base[seed] for seed in base])
half = student.ppf(0.975, len(base) - 1) * differences.std() / len(base) ** 0.5
print(f"by hand {differences.mean():.1f} ± {half:.1f}; package {results.difference(pool):.1f}")
assert abs(half - (results.difference(pool).high - results.difference(pool).mean)) < 1e-3

width = {n: student.ppf(0.975, n - 1) / n**0.5 for n in (2, 3, 4, 5, 10)}
print("half a width, in s:", {n: round(float(value), 2) for n, value in width.items()})
assert width[2] > 7 * width[5]

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# More than seven times: with two seeds s itself is hardly known, and t pays for that. One seed has
# no interval at all.
# </details>
#
# ## 2. A fair start
#
# The paper's models start from a backbone that has learned to classify ImageNet. Ours starts from
# one that tells ten single outlines apart (lesson 10). That task has no boxes, no masks, no regions
# and no pyramid, so it favors no side of a switch. And all settings start from the same weights:

# %%
setup = Setup()
models = [init_backbone(MaskRCNN(setup.job(table, s, 0).config)) for s in table.settings]
starts = [dict(m.backbone.state_dict(), **m.last_stage.state_dict()) for m in models]
assert all(start[name].equal(starts[0][name]) for start in starts for name in start)

# %% [markdown]
# ## 3. What does rounding cost? (Tables 2c and 2d)
#
# RoIPool rounds the RoI and its bins; RoIWarp rounds the RoI, then interpolates; RoIAlign rounds
# nothing (lesson 07). RoIWarp and RoIAlign can take the mean of a bin's points or the largest.
#
# **Predict:** in the paper RoIWarp falls with RoIPool, by about 3 points each. Will our five small
# training runs of each repeat that? And will they lose fewer points, or more?

# %% tags=["cover"]
print(results.differences)
assert max(results.difference(s).high for s in (pool, table.settings[2])) < -10
picture = viz.show_seeds(*results.by_seed(), "mask AP")
picture.caption("Left: five runs of each on our scenes. Right: the paper's one. Same order?")

# %%
scenes = setup.job(table, align, 0).val_data
boxes = torch.cat([scenes[i][1]["boxes"] for i in range(100)])
width = (boxes[:, 2:] - boxes[:, :2]).median().item()
assert models[0].strides[0] == 8 and width == 25

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# They repeat it, and lose more. Mean or largest hardly matters (the order of the two RoIWarps
# changes), and RoIWarp falls nearly as far as RoIPool. So interpolation is not what helps; what
# helps is that nothing is *rounded*. Our differences are larger than the paper's, and our objects
# are small: rounding moves a border by up to 4 pixels, half a grid cell of stride 8, and half of
# our objects are no wider than 25.
# </details>
#
# The paper says that RoIAlign improves masks "by relative 10% to 50%", with bigger gains under
# stricter measures (section 1). A **relative** gain is the difference divided by the *old* score.
#
# **Predict:** at stride 16 (our table 2d) rounding moves a border by up to 8 pixels. In points, in
# relative terms or in both: where will the gain be larger than at stride 8? (The paper's strides
# are twice ours: 16 in its table 2c, 32 in 2d.)

# %%
coarse = precomputed("2d")
print("2d", coarse.differences)
for r in (results, coarse):
    for score in ("ap", "ap75"):
        ours, paper = r.relative_gain(r.table.setting("RoIPool"), score)
        print(f"{r.table.name} {score:5} {ours:+5.0%}, the paper's {paper:+.0%}")
gains = [
    r.relative_gain(r.table.setting("RoIPool"), score)[0]
    for r in (results, coarse)
    for score in ("ap", "ap75")
]
assert gains[0] < gains[2] and gains[0] < gains[1] and gains[2] < gains[3]

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# In relative terms: more at stride 16 than at stride 8, and more in AP75 than in AP, as the paper
# says. In points our gain at stride 16 is *smaller*, the paper's is larger (7.3 after 3.4): in our
# small world all scores are low there, so there is less to lose. "By how many points?" and "by what
# fraction?" are two questions. (These two settings also train twice as long as those of 2c, because
# learning takes longer on the coarse map.)
# </details>
#
# ## 4. Should classes compete for a pixel? (Table 2b)
#
# Softmax lets the classes compete, sigmoid does not (lesson 09). A softmax mask can be *decoded* in
# three ways: where the probability of its class is over 0.5 (the setting `softmax`), where its
# class is **the strongest** of all channels, or where it beats only the **background** channel.
#
# **Predict:** softmax loses to sigmoid. If we only *decode* its masks another way, without training
# again, how much of the loss do we regain: nothing, about half, or all of it?

# %%
classes, agnostic = precomputed("2b"), precomputed("agnostic")
print(classes.differences, agnostic.differences, sep="\n")
picture = viz.show_seeds(*classes.by_seed(), "mask AP")
picture.caption("The last three rows are the same runs, decoded in three ways.")

# %%
worst, strongest, best = (classes.difference(s) for s in classes.table.settings[1:])
assert worst.high < strongest.mean < best.mean < best.high < 0
assert 0.35 < best.mean / worst.mean < 0.65
assert agnostic.difference(agnostic.table.settings[1]).low > worst.high

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About half. The box head has classified the object already, so its mask need not win against the
# other classes once more. What remains is the price of competition *in training*. The last line of
# the output confirms it from another side: **class-agnostic**, one mask for all classes, costs
# little if anything, here as in the paper. The mask head need not know the class; it just must not
# be forced to predict it.
# </details>
#
# ## 5. Must a mask keep its layout? (Table 2e)
#
# The FCN keeps the m x m layout, the MLP makes a vector of it (lesson 08). We compare them in two
# worlds: our six outlines, again and again, and **blobs**, of which no two are alike.
#
# **Predict:** in which of the two worlds does the MLP lose more, and why?

# %%
blobs, templates = precomputed("2e"), precomputed("2e-templates")
print("blobs", blobs.differences, "six outlines", templates.differences, sep="\n")
picture = viz.show_seeds(*blobs.by_seed(), "mask AP")
picture.caption("Blobs. Do the dots of the FCN and of the MLP overlap?")

# %%
print("box AP", *(f"{blobs.mean(s, iou_type='bbox'):.1f}" for s in blobs.table.settings))
for score in ("ap50", "ap75"):
    print(score, *(f"{blobs.mean(s, score):.1f}" for s in blobs.table.settings))
assert all(blobs.difference(s).high < -3 for s in blobs.table.settings[1:])

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# In that of the blobs, although the boxes are as good. An MLP can memorize six outlines, so with
# six it is hardly worse, and the interval contains 0. A blob was never seen before: its mask must
# be read from the features, position by position, and that is what the FCN's layout is for. The
# paper's photographs are more like blobs.
# </details>
#
# ## 6. And where the small world gives another result
#
# Depth, groups (each convolution sees only a part of the channels, as in ResNeXt) and the pyramid
# (table 2a), masks as a help for boxes (table 3), the size of a mask.
#
# **Predict:** the paper gains 2.4 points from depth, 3.3 from the pyramid and 0.9 box AP from
# learning masks. Which of the three will a small world repeat in 400 steps? And in twice as many?

# %%
for name in ("2a", "2a-longer", "3", "size"):
    table = TABLES[name]
    print(f"{name}, {table.steps} steps, against {table.settings[0].name}: {table.question}")
    print(precomputed(name).differences)

# %%
soon, later = (
    precomputed(name).difference(TABLES[name].setting("FPN")) for name in ("2a", "2a-longer")
)
assert soon.high < 0 < later.low
depth = precomputed("2a")
flat, deep = (depth.mean(TABLES["2a"].setting(n)).mean for n in ("FPN", "FPN, deeper"))
assert deep < flat - 5
for s in depth.table.settings:
    cost = [depth.cost(s, what) for what in ("seconds", "step_megabytes")]
    print(f"{s.name:21} {depth.mean(s):.1f} AP  {cost[0]:.0f} s  {cost[1]:.0f} MB per step")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# After 400 steps none, and the pyramid even *loses*: its layers start from random weights and have
# four maps to learn on. After 800 it wins, by about as much as in the paper. So a short ablation
# may measure how *soon* a part learns, and not how well: before you drop a part, train longer.
# Depth: with C4 its interval contains 0; with the pyramid it costs nine points: a deeper network
# needs longer. Coarser masks are *ahead* here after 800 steps, perhaps for the same reason (lesson
# 08). The mask branch's interval contains 0. That does not mean no effect: an interval of this
# width could not show the paper's 0.9. More seeds might, or longer runs.
# </details>
#
# ## Play: turn a switch
#
# Choose a switch and press *train both*: the two settings start from the same weights and see the
# same images. At every evaluation each shows its AP on 24 scenes and, for the first scene, as many
# of its best detections as there are objects. We press the button once for you, for RoIPool.
#
# Before you train another one, predict what you will see *in the picture*. Does a short run show
# the difference already? (A run may take two minutes; *stop* ends it.)

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.course.widgets import ablation_player

player = ablation_player(steps=200)
player.sliders["switch"].value = "2c: RoIPool"
player.train()
player

# %% [markdown]
# ## 7. Where does a difference come from?
#
# AP mixes finding, classifying and outlining. To see only the masks, we give both models the
# **ground-truth** boxes and labels, and compare the masks they predict.
#
# **Predict:** RoIPool moves what the mask head sees by up to half a grid cell, 4 pixels. Whose
# masks suffer more, those of objects under 16 pixels, or those of 24 and more?

# %%
from mrcnn_edu.ablations.mask_errors import ious_and_sizes, masks_in_gt_boxes, winner_shares

print(getsource(ious_and_sizes).split('"""')[2])

# %%
# NBVAL_IGNORE_OUTPUT
means = []
for name, model in player.models.items():
    iou, sizes = ious_and_sizes(model, scenes)
    means.append([iou[sizes < 16].mean().item(), iou[sizes >= 24].mean().item()])
    print(f"{name:14} IoU {means[-1][0]:.2f} under 16 pixels, {means[-1][1]:.2f} from 24 on")
(small, large), (small_pool, large_pool) = means
assert large - large_pool > small - small_pool

# %%
# NBVAL_IGNORE_OUTPUT
image, target = scenes[11]
masks = {name: masks_in_gt_boxes(m, image, target) for name, m in player.models.items()}
picture = viz.show_differences(target["masks"][3], {name: m[3] for name, m in masks.items()})
picture.caption("A cross. Green: missing. Crimson: too much. Which has more of it?")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# The large ones. (If you said the small ones: 4 pixels are indeed a lot for them.) But a small
# object covers one or two grid cells of stride 8: there is hardly an outline in them to misplace,
# and both settings predict a blob in the middle of the box. A large one has its arms and corners in
# the features, and there it matters that each is read at the right position. Look at the cross:
# arms too short and bays filled, with both, and with RoIPool more of both.
# </details>
#
# Softmax next. We train it, too, and look into the ground-truth boxes: in the mask pixels that
# belong to the object, which channel wins? The mask is where the object's class has a probability
# *over one half*.
#
# **Predict:** and where it does not: is another class stronger, or background, or is the object's
# class still the strongest, only with less than one half?

# %%
# NBVAL_IGNORE_OUTPUT
job = setup.job(TABLES["2b"], TABLES["2b"].setting("softmax"), 0, 200)
*_, (_, trained) = train_in_lockstep({"softmax": job})
short = winner_shares(trained["softmax"], scenes)
long = winner_shares(load("shapes-tiny-softmax"), scenes)
values = torch.tensor([list(short.values()), list(long.values())])
picture = viz.show_table(values, ["200 steps", "12,000 steps"], list(short))
picture.caption("What wins in the mask pixels on an object, as fractions of them.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# All three, and most of it disappears with longer training. A probability that K + 1 channels share
# is seldom over one half while their confidence is low: in a tenth of the mask pixels the object's
# class is the strongest and still not over one half. Decoding the strongest class regains those
# pixels; decoding "the class against background" also regains those where another class is ahead.
# What is left is background; not all of that is the competition's fault, since a sigmoid mask
# misses pixels, too. After 12,000 steps little of all this remains (lesson 09).
# </details>
#
# Last, the MLP. Both mask heads learn blobs for 150 steps, and predict the masks of all of them in
# the ground-truth boxes. The picture has a large one: green is missing, crimson is too much.
#
# **Predict:** the mean IoU of their masks differs by a few hundredths. And the fraction of *good*
# masks (IoU over 0.85) among blobs of 20 pixels and more: by a few hundredths, too, or by far more?

# %%
# NBVAL_IGNORE_OUTPUT
jobs = {s.name: setup.job(TABLES["2e"], s, 0, 150) for s in TABLES["2e"].settings[:2]}
*_, (_, heads) = train_in_lockstep(jobs)
val_data = jobs["FCN"].val_data
results = {name: ious_and_sizes(model, val_data) for name, model in heads.items()}
for name, (iou, sizes) in results.items():
    good = (iou[sizes >= 20] > 0.85).float().mean()
    print(f"{name:13} mean IoU {iou.mean():.2f}; large blobs over 0.85: {good:.0%}")

# %%
# NBVAL_IGNORE_OUTPUT
image, target = val_data[33]
masks = {name: masks_in_gt_boxes(m, image, target) for name, m in heads.items()}
viz.show_differences(target["masks"][1], {name: m[1] for name, m in masks.items()})

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# By much more: the FCN has several times as many. Both find the blob and its rough shape. The
# corners and bays, which no other blob has, are what the MLP blurs: its outlines are rounder,
# nearer to the mean of all blobs. So a strict measure shows the difference and a mild one hardly
# does: for the runs in the table above, AP50 is equal and AP75 is not.
# </details>
#
# ## Where it breaks: luck, reported
#
# Somebody trains with 4 sample points in a bin, then with 1, 9 and 16, one seed each, and reports
# the best of the three new ones "against the baseline".
#
# **Predict:** we have five seeds, so five such reports. How many of them claim an improvement?

# %%
sampling = precomputed("points")
first, *rest = sampling.table.settings
best = {k: max(sampling.scores(s)[k] for s in rest) - v for k, v in sampling.scores(first).items()}
print("reported:", *(f"{gain:+.1f}" for gain in best.values()))
print(sampling.differences)
assert sum(gain > 0 for gain in best.values()) >= 3
assert all(sampling.difference(s).low < 0.5 for s in rest)

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Most of them, four of ours. The best of three tries beats a single one by luck alone: it was
# *chosen* for its luck. The remedy is what the table does: the same seeds for all, all of them
# reported, and an interval; none of the three differs from 4 points by more than chance. (The paper
# says so, too: not much depends on the number of points, as long as nothing is rounded.)
# </details>
#
# ## Exercises
#
# Write your lines in the place of `...` and run the cell. Our solution, when you have tried:
# `print(getsource(exercises.paired))`.
#
# **1.** `paired(base, other, t)`: how much better `other` is, seed by seed, as `[2]`: the mean of
# the differences, and half the width of its interval. Both are tensors `[n]`, n at least 2, in the
# order of the seeds; Student's t is given. 2 lines.
#
# **2.** `relative_gain(old, new)`: by how many percent of the old score the new one is better. 1
# line.
#
# **3.** `seeds_needed(spread, gap)`: differences have a standard deviation of `spread`. How many
# seeds, at least 2, until 2 spread / √n is not more than `gap`? 1 line, with `math.ceil`.

# %%
from mrcnn_edu.course.exercises import ablations as exercises


def paired(base, other, t): ...


def relative_gain(old, new): ...


def seeds_needed(spread, gap): ...


exercises.check_paired(paired)
exercises.check_relative_gain(relative_gain)
exercises.check_seeds_needed(seeds_needed)

# %% [markdown]
# ## Remember
#
# - One training run is one dot. A difference has an interval, or it is an anecdote.
# - Change one thing, keep the start, the seeds and the scenes; then look where the pixels differ.
# - A small world repeats what it has a reason for, and not what it has no room for.
#
# `ablations.run("2c")` measures a table again, on this machine or a cluster; `mrcnn-edu ablate 2c`
# does so on the command line, also on COCO at full size. torchvision has no such switches; in
# detectron2 they are `ROI_MASK_HEAD.POOLER_TYPE`, `POOLER_SAMPLING_RATIO`, `POOLER_RESOLUTION` and
# `CLS_AGNOSTIC_MASK`; a softmax over masks is missing. Next: **13, FCIS against Mask R-CNN**.
