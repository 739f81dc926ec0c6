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
# **The question.** The lessons before this one gave good reasons for every part of Mask R-CNN. But
# a good reason is not yet a fact. Which parts really make the masks better, by how much, and how
# would we notice if it had only been luck?
#
# **You will be able to**
#
# - say how far apart two training runs of the *same* setting are, and compare settings in pairs;
# - compute a confidence interval by hand, and say when pairing narrows it and when it doesn't;
# - read the ablation tables of the paper, and predict which of their rows a small world repeats;
# - look inside two models, and see *where* their masks differ;
# - recognize a result that was picked because it was lucky;
# - design, run and report an ablation of your own.
#
# *Time: 180 minutes, of which 60 are for the larger task at the end. The notebook trains five small
# models while you watch, which takes about three minutes of computing. You need lessons 07 to 09
# and 11. Reading: [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 4.1 and table 2.*

# %%
from math import sqrt

import torch
from scipy.stats import t as student_t

from mrcnn_edu import MaskRCNN, load, viz
from mrcnn_edu.ablations import TABLES, Setup, precomputed, train_in_lockstep
from mrcnn_edu.weights import init_backbone

viz.show_architecture().caption(
    "Figure 1. The whole of Mask R-CNN. Each of its parts could be replaced "
    "by a simpler one, or left out."
)

# %% [markdown]
# ## One number in each row
#
# An **ablation** changes one part of a system, leaves everything else as it was, and measures what
# happens. The word comes from medicine, where it means removing tissue.
#
# The paper turns every idea into a *switch*, trains the network with the switch in each position,
# and compares mask AP. This is [Mask R-CNN](https://arxiv.org/abs/1703.06870), table 2c, on the
# question of lesson 07: what does it cost to round the coordinates of a RoI?

# %%
table = TABLES["2c"]
print(table.question)
for setting in table.settings:
    print(f"{setting.name:15} AP {setting.paper[0]}  AP75 {setting.paper[2]}")

# %% [markdown]
# RoIAlign wins by about three points over both operations that round. That looks convincing. But
# every number in the table comes from a single **training run**, and a training run depends on
# chance. Which random weights do the new layers start from? In which order do the images come?
# Which anchors and RoIs does each step sample? All of this is drawn from a random generator, and
# one number, the **seed**, determines what it draws.
#
# So before we believe a difference of three points, we should know how large a difference chance
# alone can make. The paper could not afford to find out, since each of its runs took a day or two
# on eight GPUs. We can. We trained the settings of its ablations, and some of our own, as small
# models on synthetic images. There a run takes a minute or two, so we could give each setting at
# least five seeds. These results come with the package, and `precomputed` reads them. The models
# are small and their training is short, so compare their scores with each other, and not with those
# of other lessons.
#
# > **Predict.** Five training runs use RoIAlign, on the same images, with the same program. They
# > differ in nothing but the seed. How far apart are the best and the worst mask AP: a tenth of a
# > point, about two points, or ten?

# %%
results = precomputed("2c")
align, pool = table.settings[0], table.setting("RoIPool")
base = results.scores(align)  # seed -> mask AP
print({seed: round(score, 1) for seed, score in base.items()})

# %%
dots = {"RoIAlign, mean": list(base.values())}
viz.show_seeds(dots, {}, "mask AP").caption(
    "Figure 2. Five runs of the same setting. Each dot is one seed, and the "
    "bar is their mean. A paper with one run would print one of the dots."
)

# %% [markdown]
# **What happened.** Of the three answers, two points is the nearest, although nothing was changed
# between the runs. Papers are written about smaller differences. If you expected a tenth of a
# point, you were in good company, because a table shows a tenth as its last digit and looks as if
# it meant it.
#
# To be fair to the paper, chance is smaller there. Its runs take 400 times as many steps as ours,
# and because each step has 16 images instead of 4, they see 1,600 times as many images. It also
# evaluates on 25 times as many images. How large chance still is, a table with one run per row
# cannot tell us.

# %% tags=["claim"]
apart = max(base.values()) - min(base.values())
assert len(base) == 5
assert min(0.1, 2, 10, key=lambda answer: abs(answer - apart)) == 2
assert 160_000 / table.steps == 400 and 160_000 * 16 / (table.steps * 4) == 1600
assert 5000 / Setup().val_data.n == 25

# %% [markdown]
# ## 1. Compare in pairs
#
# How do we compare two settings when each of them scatters? The first idea is to compare the means
# of five runs. There is a second idea that costs nothing. Seed $s$ starts *every* setting of a
# table from the same weights, shows it the same images in the same order, and draws from the same
# generator. Perhaps seed 3 has a lucky order of images, which helps whatever is trained with it. If
# so, we should compare seed 3 with seed 3, and the luck cancels.

# %%
other = results.scores(pool)
pairs = {"RoIAlign": list(base.values()), "RoIPool": list(other.values())}
viz.show_pairs(pairs, "mask AP").caption(
    "Figure 3. The same seed, twice. A line joins the two runs that started "
    "from the same weights and saw the same images. All five lines fall."
)

# %% [markdown]
# Let $a_s$ be the score of seed $s$ with RoIAlign, and $b_s$ its score with RoIPool. We look at the
# **paired differences** $d_s = b_s - a_s$, of which we have $n = 5$. Their mean $\bar d$ is our
# best guess of the true difference, which we would find with infinitely many seeds. How far off may
# the guess be? Let
#
# $$s_d = \sqrt{\frac{1}{n-1} \sum_{s} \left(d_s - \bar d\right)^2}$$
#
# be the standard deviation of the differences, which says how much they spread. Then the **95 %
# confidence interval** is
#
# $$\bar d \;\pm\; t_{n-1} \frac{s_d}{\sqrt{n}} .$$
#
# If we repeated the whole experiment many times with new seeds, 95 % of such intervals would
# contain the true difference. (The formula assumes that the differences scatter roughly like a bell
# curve.) The factor $t_{n-1}$ comes from [Student's t
# distribution](https://doi.org/10.1093/biomet/6.1.1). For many seeds it approaches 1.96. For few
# seeds it is larger, because then $s_d$ itself is only a rough guess, and the interval has to pay
# for that.

# %%
d = torch.tensor([other[seed] - base[seed] for seed in base])
n = len(d)
mean, spread = d.mean().item(), d.std().item()
t = student_t.ppf(0.975, n - 1)  # 2.5 % are cut off on each side
half_width = t * spread / sqrt(n)
print("differences", [round(value, 1) for value in d.tolist()])
print(f"mean {mean:.1f}, standard deviation {spread:.2f}, t {t:.2f}")
print(f"by hand       {mean:.1f} ± {half_width:.1f}")
print(f"the package's {results.difference(pool):.1f}")

# %% [markdown]
# RoIPool costs far more than chance could explain. If an interval contains 0, the question is open,
# because there may be no difference at all, or one in either direction.
#
# Five seeds cost five times as much as one. So how few will do?
#
# > **Predict.** With two seeds instead of five, suppose that the spread $s_d$ comes out the same.
# > By what factor does the interval grow? The square roots alone give $\sqrt 5 / \sqrt 2 \approx
# > 1.6$. Is that about right, or is it more?

# %%
for n_seeds in (2, 3, 4, 5, 10, 20):
    width = student_t.ppf(0.975, n_seeds - 1) / sqrt(n_seeds)
    print(f"{n_seeds:2} seeds: half the width is {width:5.2f} spreads")

# %% [markdown]
# **What happened.** It grows by a factor of seven. The square root is the smaller part of it. The
# larger part is $t$, which is 12.7 for two seeds and 2.8 for five. From two numbers you cannot tell
# how much such numbers spread, and the interval knows it. The third seed is a bargain, since it
# shrinks the interval to less than a third. From ten seeds on, $t$ hardly falls any more. Then the
# square root is nearly all that is left, so that half the width takes about four times the runs.
# And a single seed has no interval at all.

# %% tags=["claim"]
interval = results.difference(pool)
assert abs((interval.high - interval.low) / 2 - half_width) < 1e-3 and interval.high < -10
assert all(other[seed] < base[seed] for seed in base)
widths = {k: student_t.ppf(0.975, k - 1) / sqrt(k) for k in (2, 3, 5)}
assert 7 < widths[2] / widths[5] < 7.5 and widths[3] < widths[2] / 3
assert round(student_t.ppf(0.975, 1), 1) == 12.7 and round(t, 1) == 2.8
assert student_t.ppf(0.975, 9) < 1.2 * student_t.ppf(0.975, 1000)

# %% [markdown]
# ## 2. Does pairing help?
#
# Everybody says that experiments should be paired. Let us not take their word for it, since we have
# the data. If we forget which seeds belong together, the interval is that of
# [Welch](https://doi.org/10.1093/biomet/34.1-2.28), which uses the two spreads $s_a$ and $s_b$
# instead of $s_d$. How the three are related is a short calculation. The variance of a difference
# is
#
# $$s_d^2 = s_a^2 + s_b^2 - 2\, r\, s_a s_b ,$$
#
# where $r$ is the **correlation** between $a_s$ and $b_s$. It is 1 if a seed that is lucky for one
# setting is exactly as lucky for the other, 0 if the two have nothing to do with each other, and
# negative if what helps one hurts the other. So pairing narrows the interval if $r$ is well above
# 0. It has a price, too. Five pairs leave $n - 1 = 4$ degrees of freedom, while two separate groups
# of five leave up to 8, and with them a smaller $t$, 2.31 instead of 2.78. If $r$ is near 0,
# pairing makes the interval about a fifth wider and gives nothing back.
#
# > **Predict.** Our tables contain 25 comparisons of two settings. In how many of them is the
# > paired interval narrower than Welch's: in all of them, in about half, or in hardly any?

# %%
correlations, ratios = [], []
for name in TABLES:
    found = precomputed(name)
    first, *others = found.table.settings
    for setting in others:
        scores = [list(found.scores(s).values()) for s in (first, setting)]
        correlations.append(torch.corrcoef(torch.tensor(scores))[0, 1].item())
        paired, welch = found.difference(setting), found.unpaired(setting)
        ratios.append((paired.high - paired.low) / (welch.high - welch.low))
narrower = sum(ratio < 1 for ratio in ratios)
median = torch.tensor(correlations).median().item()
print(f"narrower in {narrower} of {len(ratios)}")
print(f"median correlation {median:.2f}")

# %%
viz.show_pairing(correlations, ratios).caption(
    "Figure 4. What pairing is worth. Each dot is a comparison. The farther "
    "right it is, the more the scores of its two settings rise and fall "
    "together. Below the line (blue), the paired interval is the narrower one."
)

# %% [markdown]
# **What happened.** In about half of them. The median correlation is well below one half, so a seed
# is much less of a lucky charm than we thought. In a few comparisons it is even negative.
#
# When you think about it, this is not so strange. A training run is chaotic. As soon as two runs
# differ a little, their sampled RoIs differ, then their gradients, and after a few hundred steps
# they have little in common but the images. Figure 4 also shows when pairing *does* pay: the
# farther right a dot lies, the narrower is its paired interval. Two runs stay close together for
# long if their settings compute nearly the same thing, such as the mean of 4 sample points in a bin
# or of 16.
#
# So should we bother? Yes. Pairing needs no additional runs. It gives every setting the same start
# and the same images, so that nobody has to ask which of them was luckier. And where a difference
# is small, which is where you need a narrow interval most, the two settings are often similar, and
# the pairs are correlated. But don't expect wonders from it. Above all, choose one of the two
# intervals *before* you see the scores, because the narrower of two was chosen for its luck. The
# lab at the end of this lesson shows both.

# %% tags=["claim"]
assert len(ratios) == 25 and abs(narrower / len(ratios) - 0.5) < 0.15
assert median < 0.45 and 1 <= sum(r < 0 for r in correlations) <= 9
assert torch.corrcoef(torch.tensor([correlations, ratios]))[0, 1] < -0.7
sampling = precomputed("points")
scores = [list(sampling.scores(sampling.table.setting(n)).values()) for n in (
    "4 points", "16 points")]  # fmt: skip
assert torch.corrcoef(torch.tensor(scores))[0, 1] > median
assert round(student_t.ppf(0.975, 8), 2) == 2.31 and 1.19 < 2.776 / 2.306 < 1.21

# %% [markdown]
# ## 3. A fair start
#
# A comparison is only as fair as its start. The paper's models begin with a backbone that has
# learned to classify ImageNet. Ours begin with a small backbone that has learned to classify images
# of a single object, with ten kinds of outlines. That task has no boxes, no masks and no regions,
# so it favors no side of any switch. What a setting adds, for example its own mask head, starts
# from random weights.
#
# All settings of a table share this start to the last bit, wherever they have the same layers. Let
# us check that. A `Setup` knows the images and the schedule of our runs, and its `job` is a single
# run: a table's setting with a seed.

# %%
setup = Setup()
models = {}
for setting in table.settings:
    torch.manual_seed(0)
    job = setup.job(table, setting, seed=0)
    models[setting.name] = init_backbone(MaskRCNN(job.config))
first = models["RoIAlign, mean"].state_dict()
for name, model in models.items():
    state = model.state_dict()
    same = sum(state[key].equal(first[key]) for key in first)
    print(f"{name:15} {same} of {len(first)} tensors are equal")

# %% [markdown]
# The operations that pool features have no weights of their own. So in this table, the five models
# are the same model at the start, and differ only in how they read a RoI.

# %% tags=["claim"]
assert all(
    model.state_dict()[key].equal(first[key])
    for model in models.values()
    for key in first
)

# %% [markdown]
# ## 4. What does rounding cost?
#
# Now we are ready to read the tables. Lesson 07 showed that RoIPool rounds twice, first the RoI and
# then its bins. RoIWarp rounds the RoI but interpolates inside, and RoIAlign rounds nothing.
# RoIWarp and RoIAlign can take the mean of the sample points in a bin, or the largest.
#
# We draw our results as a **forest plot**, which is how medicine draws its trials. Each row is a
# comparison with the table's first setting. Its small dots are the paired differences, one for each
# seed. The square is their mean, and the bar is the 95 % interval. An interval that doesn't reach 0
# is drawn in color. A diamond is the difference in the paper.

# %%
def forest(results):
    """A forest plot of a table: every setting minus the first one."""
    first, *others = results.table.settings
    pairs, intervals, paper = {}, {}, {}
    for setting in others:
        found = results.difference(setting)
        pairs[setting.name] = list(results.paired(setting).values())
        intervals[setting.name] = (found.low, found.high)
        in_paper = results.table.paper_difference(setting)
        if in_paper:
            paper[setting.name] = float(in_paper)
    label = f"{results.table.ap_name} minus that of {first.name}"
    return viz.show_paired_differences(pairs, intervals, label, paper)


# %% [markdown]
# > **Predict.** In the paper, RoIWarp loses as much as RoIPool, about 3 points each. Taking the
# > largest instead of the mean changes nothing. Will our small models on small synthetic images
# > repeat this order? And will they lose fewer points than the paper's, or more?

# %% tags=["cover"]
forest(results).caption(
    "Figure 5. What rounding costs at stride 8, seed by seed, and in the "
    "paper at stride 16 (diamonds). Whatever rounds the RoI falls behind."
)

# %% [markdown]
# **What happened.** They repeat the order, and they lose far more. Mean or largest hardly makes a
# difference. RoIWarp falls nearly as far as RoIPool, although it interpolates. So it is not
# interpolation that makes RoIAlign good. What helps is that nothing is *rounded*, which was the
# paper's point.
#
# Why do we lose more? The likely reason is the size of our objects. Rounding moves the border of a
# RoI by up to half a grid cell, which is 4 pixels at stride 8, and half of our objects are at most
# 24 pixels wide. For them, 4 pixels are a sixth of the width or more.

# %% [markdown]
# The paper puts it another way. RoIAlign improves masks "by relative 10% to 50%, showing bigger
# gains under stricter localization metrics" ([Mask R-CNN](https://arxiv.org/abs/1703.06870),
# section 1). A **relative gain** divides the difference by the old score:
#
# $$\text{gain} = \frac{\text{new} - \text{old}}{\text{old}} .$$
#
# > **Predict.** At stride 16, in our table `2d`, rounding moves a border by up to 8 pixels, not 4.
# > Where is RoIAlign's gain larger than at stride 8: in points, in relative terms, or in both?

# %%
coarse = precomputed("2d")
for found in (results, coarse):
    rounded = found.table.setting("RoIPool")
    lost = found.difference(rounded)
    print(f"table {found.table.name}: RoIPool {lost:+.1f} points of AP")
    for metric in ("ap", "ap75"):
        ours, paper = found.relative_gain(rounded, metric)
        print(f"  {metric:5} gain here {ours:4.0%}, in the paper {paper:4.0%}")

# %% [markdown]
# **What happened.** In relative terms it is larger, and it is larger in AP75 than in AP, as the
# paper says: the stricter the measure, the more a misplaced border costs. But in points our loss at
# stride 16 is *smaller* than at stride 8. Nothing is wrong here. On the coarse map all scores are
# low, even with RoIAlign, so there is less to lose. "By how many points?" and "by what fraction?"
# are two questions, and a careful reader asks which of them a sentence answers.
#
# (The settings of `2d` train for twice as many steps as those of `2c`, because learning takes
# longer on the coarse map. The paper's strides are twice ours, 16 and 32.)

# %% tags=["claim"]
warp, warp_max = (table.setting(name) for name in ("RoIWarp, mean", "RoIWarp, max"))
for setting in (warp, warp_max, pool):
    in_paper = float(results.table.paper_difference(setting))
    assert results.difference(setting).high < 2 * in_paper < 0
mean_of = {s.name: results.difference(s).mean for s in table.settings}
assert abs(mean_of["RoIAlign, max"]) < 2
assert abs(mean_of["RoIWarp, mean"] - mean_of["RoIWarp, max"]) < 2
assert max(mean_of["RoIWarp, mean"], mean_of["RoIWarp, max"]) < 0.8 * mean_of["RoIPool"]
scenes = setup.job(table, align, 0).val_data
boxes = torch.cat([scenes[i][1]["boxes"] for i in range(100)])
assert models["RoIPool"].strides[0] == 8
assert (boxes[:, 2] - boxes[:, 0]).median() == 24

gains = {}
for found in (results, coarse):
    rounded = found.table.setting("RoIPool")
    for metric in ("ap", "ap75"):
        gains[found.table.name, metric] = found.relative_gain(rounded, metric)[0]
assert gains["2c", "ap"] < gains["2d", "ap"]
assert all(gains[name, "ap"] < gains[name, "ap75"] for name in ("2c", "2d"))
coarse_pool = coarse.table.setting("RoIPool")
assert results.difference(pool).mean < coarse.difference(coarse_pool).mean
assert TABLES["2d"].steps == 2 * TABLES["2c"].steps

# %% [markdown]
# ## 5. Should the classes compete for a pixel?
#
# Lesson 09 decoupled the mask from the class. With a sigmoid, each class has a mask of its own, and
# only the mask of the object's class is trained. With a softmax, all classes compete for every
# pixel. In [Mask R-CNN](https://arxiv.org/abs/1703.06870), table 2b, the competition costs 5.5
# points.
#
# But part of that might not be the training's fault. A softmax can be *decoded* in more than one
# way. The usual one keeps the pixels in which the probability of the object's class is above one
# half. We could instead keep those in which its class is *the strongest* of all channels, or those
# in which it beats only *background*. Decoding needs no new training. It reads the same outputs in
# another way.
#
# > **Predict.** Softmax loses to sigmoid here, too. If we only decode its masks in another way, how
# > much of the loss do we regain? Write down a percentage.

# %%
classes = precomputed("2b")
forest(classes).caption(
    "Figure 6. Masks learned with softmax, minus those learned with sigmoid. "
    "All three rows are the same training runs, decoded in three ways."
)

# %%
usual, *other_ways = classes.table.settings[1:]
cost = classes.difference(usual).mean
for setting in other_ways:
    left = classes.difference(setting).mean
    print(f"{setting.name}: {1 - left / cost:.0%} of the loss regained")

# %% [markdown]
# **What happened.** A part of it comes back, and still all of the intervals lie below 0. The box
# head has classified the object before its mask is read, so the mask need not win against the other
# classes a second time. What remains is the price of competing *in training*.
#
# Lesson 09 asked the same of a model that had been trained 30 times as long, and there a smaller
# fraction came back. The two lessons agree, once you know how long each model was trained. After
# 400 steps, the network is often unsure of the class, and an unsure softmax gives the object's
# class less than one half, even where it is the strongest. The usual decoding throws those pixels
# away. After 12,000 steps it is rarely unsure, and there is less left to regain. Further on we will
# look at these pixels.
#
# One more row confirms the idea from another side. A **class-agnostic** head predicts one mask for
# all classes. It cannot use the class at all.

# %%
agnostic = precomputed("agnostic")
forest(agnostic).caption(
    "Figure 7. One mask for all classes, minus one for each class. What is "
    "lost, if anything, is far less than what competing costs."
)

# %% [markdown]
# It costs little or nothing, here as in the paper. A mask head doesn't need to know the class, as
# long as the loss doesn't force it to predict one.

# %% tags=["claim"]
for setting in (usual, *other_ways):
    assert classes.difference(setting).high < 0
    assert cost <= classes.difference(setting).mean
assert 12_000 / classes.table.steps == 30
one_mask = agnostic.difference(agnostic.table.settings[1])
assert not one_mask.excludes_zero and one_mask.low > classes.difference(usual).high

# %% [markdown]
# ## 6. Must a mask keep its layout?
#
# Lesson 08 compared two mask heads. The FCN keeps the $m \times m$ layout of the mask in every
# layer. The MLP flattens the features into a vector, and has to learn the layout again. In [Mask
# R-CNN](https://arxiv.org/abs/1703.06870), table 2e, the FCN is 2.1 points better.
#
# We ask the question in a world of *blobs*, smooth outlines of which no two are alike. There a mask
# cannot be recalled. It has to be read from the features.
#
# > **Predict.** Both heads receive the same features in the same boxes. Will the MLP lose more in
# > AP50, where an IoU of 0.5 is enough, or in AP75?

# %%
blobs = precomputed("2e")
mask_heads = blobs.table.settings
print(" " * 10 + "".join(head.name.rjust(16) for head in mask_heads))
rows = {"mask AP": ("ap", "segm"), "mask AP50": ("ap50", "segm"),
        "mask AP75": ("ap75", "segm"), "box AP": ("ap", "bbox")}  # fmt: skip
for row, (metric, iou_type) in rows.items():
    means = [blobs.mean(head, metric, iou_type) for head in mask_heads]
    print(f"{row:10}" + "".join(f"{ap:.1f}".rjust(16) for ap in means))

# %%
forest(blobs).caption(
    "Figure 8. Two mask heads that flatten their features, minus one that "
    "keeps their layout, on outlines that never repeat."
)

# %% [markdown]
# **What happened.** In AP75. At an IoU of 0.5 the heads are about equally good, and so are the
# boxes. Every head finds the blob and roughly fills it. But when the outline has to be right, the
# MLP is many points behind. It knows what a blob looks like on average. The corners and bays, which
# this blob has and no other, are what it blurs.
#
# The same comparison with our six outlines, which come again and again, is table `2e-templates`. An
# MLP could learn six outlines by heart, and `print(precomputed("2e-templates"))` shows you whether
# that helps it. In photographs outlines hardly ever repeat, so blobs are the better model of them.

# %% tags=["claim"]
for setting in blobs.table.settings[1:]:
    assert blobs.difference(setting).high < -3
    assert blobs.difference(setting, "ap75").high < -3
    assert abs(blobs.difference(setting, "ap50").mean) < 2
    assert abs(blobs.difference(setting, iou_type="bbox").mean) < 2

# %% [markdown]
# ## 7. Where the small world disagrees
#
# So far the small world has repeated what the paper found. If we stopped here, we would have picked
# our rows. So here are the others, on depth and the feature pyramid ([Mask
# R-CNN](https://arxiv.org/abs/1703.06870), table 2a), on learning masks as a help for boxes (table
# 3), and on the size of the mask.
#
# > **Predict.** The paper gains 2.4 points from a deeper backbone and 3.3 from the pyramid. Our
# > backbones, deep or not, have learned to classify, but the pyramid's layers start from random
# > weights, and 400 steps are few. Which of the two gains will we see?

# %%
forest(precomputed("2a")).caption(
    "Figure 9. Depth and the pyramid after 400 steps, minus plain C4, beside "
    "what the paper gained (diamonds)."
)

# %%
for name in ("2a-longer", "3", "size"):
    found = precomputed(name)
    first, *others = found.table.settings
    print(f"{found.table.question} ({found.table.steps} steps)")
    for setting in others:
        change = f"{found.difference(setting):+.1f}"
        print(f"  {setting.name}, minus {first.name}: {change}")

# %% [markdown]
# **What happened.** Depth brings us nothing. The interval of the deeper C4 contains 0 and ends
# below the paper's 2.4 points, and the deeper pyramids score lower than the plain one. Perhaps our
# six outlines have no use for a deeper network. What the pyramid is worth depends on how long we
# train. With twice the steps it compares better with C4, and then it is ahead by at least as much
# as in the paper. So a short ablation measures how *soon* a part learns, and not only how well.
# Before you drop a part, train longer.

# %% [markdown]
# Before we believe any of these rows, we should count. An interval of 95 % misses the true value in
# one case of twenty. We have made 25 comparisons. If none of the switches had any effect, we should
# still expect
#
# $$25 \times 0.05 \approx 1.3$$
#
# intervals that exclude 0 by pure chance. So an interval that misses 0 by a hair, among 25, is no
# evidence. The simplest remedy is that of Bonferroni. If you make $k$ comparisons, ask each of them
# for an interval of $1 - 0.05 / k$ instead of 0.95. For 25 comparisons that is 99.8 %, and with
# five seeds the intervals become 2.6 times as wide. Which of our rows still exclude 0 then?

# %%
kept, taken_back = [], []
for name in TABLES:
    found = precomputed(name)
    for setting in found.table.settings[1:]:
        change = found.difference(setting)
        freedom = len(found.paired(setting)) - 1
        strict_t = student_t.ppf(1 - 0.025 / 25, freedom)
        wider = strict_t / student_t.ppf(0.975, freedom)
        row = f"{name}: {setting.name} {change:+.1f}"
        if abs(change.mean) > wider * (change.high - change.low) / 2:
            kept.append(row)
        elif change.excludes_zero:
            taken_back.append(row)
print(f"{len(kept)} rows exclude 0 even so. These don't any more:")
print("\n".join(taken_back))

# %% [markdown]
# Rounding, competing classes and, on blobs, flattened masks pass even this test. The rows in the
# list were findings a moment ago. They may be true, but they need more seeds before anybody builds
# on them.
#
# The rows whose intervals contain 0 deserve a careful sentence, too. Such an interval *doesn't* say
# that there is no effect. That of the class-agnostic head reaches farther to each side than the 0.6
# points which it costs in the paper, and that of the boxes without masks farther than the paper's
# 0.9. With so few seeds, we could hardly have seen effects of that size. Coarser masks do not fall
# behind in 800 steps, perhaps because they are learned sooner.

# %% tags=["claim"]
soon, later = precomputed("2a"), precomputed("2a-longer")
in_2a = {s.name: soon.difference(s) for s in soon.table.settings[1:]}
assert in_2a["C4, deeper"].low < 0 < in_2a["C4, deeper"].high < 2.4
deep_pyramids = [in_2a["FPN, deeper"], in_2a["FPN, deeper, grouped"]]
assert all(change.mean < in_2a["FPN"].mean for change in deep_pyramids)
(pyramid,) = later.table.settings[1:]
assert later.difference(pyramid).mean > max(3.3, in_2a["FPN"].mean)
assert later.difference(pyramid).low > 0
assert 2.5 < student_t.ppf(1 - 0.025 / 25, 4) / student_t.ppf(0.975, 4) < 2.65
for start in ("2c: RoIPool", "2d: RoIPool", "2b: softmax -", "2e: MLP, 2 layers"):
    assert any(row.startswith(start) for row in kept)
assert taken_back
no_masks = precomputed("3").difference(TABLES["3"].settings[1])
assert not one_mask.excludes_zero and (one_mask.high - one_mask.low) / 2 > 0.6
assert (no_masks.high - no_masks.low) / 2 > 0.9
assert precomputed("size").difference(TABLES["size"].setting("14 x 14")).high > 0

# %% [markdown]
# ## 8. Where does a difference come from?
#
# AP tells us *that* one model is better, but not why. It mixes finding objects, classifying them
# and outlining them. To see the masks alone, we give two models the *ground-truth* boxes and
# labels, and compare the masks that they predict there. It will be one run of each setting, which
# by the standard of this lesson is one dot. So what we see can suggest a reason, and can't prove
# it. First we train both models for 200 steps, side by side, which takes about half a minute.

# %%
# NBVAL_IGNORE_OUTPUT
jobs = {s.name: setup.job(table, s, 0, 200) for s in (align, pool)}
for _, so_far in train_in_lockstep(jobs):
    trained = so_far  # the last time, after 200 steps

# %% [markdown]
# > **Predict.** RoIPool moves what the mask head sees by up to half a grid cell, 4 pixels. Whose
# > masks suffer more, those of objects smaller than 16 pixels, or those of 24 pixels and more? By
# > size we mean the square root of an object's area.

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.ablations.mask_errors import ious_and_sizes, masks_in_gt_boxes

scenes = jobs["RoIPool"].val_data
by_size = {}
for name, model in trained.items():
    ious, sizes = ious_and_sizes(model, scenes)
    small, large = ious[sizes < 16].mean(), ious[sizes >= 24].mean()
    by_size[name] = (small.item(), large.item())
    print(f"{name:14} IoU {small:.2f} below 16 pixels, {large:.2f} from 24 on")

# %%
# NBVAL_IGNORE_OUTPUT
image, target = scenes[11]
of_cross = {}
for name, model in trained.items():
    of_cross[name] = masks_in_gt_boxes(model, image, target)[3]
viz.show_differences(target["masks"][3], of_cross).caption(
    "Figure 10. The mask of a cross, predicted in its ground-truth box. Green "
    "pixels are missing, crimson ones are too many, and gray ones are right."
)

# %% [markdown]
# **What happened.** The large ones suffer more. If you said the small ones, you argued well,
# because 4 pixels *are* a lot for them. But a small object covers only one or two grid cells of
# stride 8. There is hardly an outline in them to misplace, and both models predict a blob in the
# middle of the box. The features of a large object contain its arms and corners, and there it
# matters that each is read at the right position. In the cross, bays are filled with either model,
# and with RoIPool much more of the arms is missing.

# %% [markdown]
# Next, the classes that compete. In the mask pixels that belong to an object, which channel of the
# softmax wins? The usual decoding keeps a pixel only if the object's class has *more than one
# half*. We train a softmax model for 200 steps, and compare it with the one that comes with the
# package, which has a pyramid and was trained for 12,000.
#
# > **Predict.** Where the object's class does not reach one half after 200 steps, who is ahead: is
# > it another class, or background, or is the object's class still the strongest, only with less
# > than one half?

# %%
# NBVAL_IGNORE_OUTPUT
from mrcnn_edu.ablations.mask_errors import winner_shares

softmax = TABLES["2b"].setting("softmax")
job = setup.job(TABLES["2b"], softmax, 0, 200)
for _, so_far in train_in_lockstep({"softmax": job}):
    learned = so_far  # the last time, after 200 steps
short = winner_shares(learned["softmax"], scenes)
long = winner_shares(load("shapes-tiny-softmax"), scenes)
values = torch.tensor([list(short.values()), list(long.values())])
rows = ["200 steps", "12,000 steps"]
viz.show_table(values, rows, list(short)).caption(
    "Figure 11. Who wins the mask pixels of an object, as fractions of them. "
    "Only the first column becomes mask in the usual decoding."
)

# %% [markdown]
# **What happened.** All three occur, and all three are rarer in the second model. Where the
# object's class is the strongest and still below one half, decoding by the strongest class regains
# the pixel. Decoding against background alone also regains a pixel where another class is ahead, if
# the object's own class still beats background there. What is left is background, and that is not
# all the competition's fault, because sigmoid masks miss pixels, too. This is why a larger fraction
# came back in Figure 6, after 400 steps, than in lesson 09, after 12,000.

# %% [markdown]
# Last, the two mask heads. Both learn blobs for 150 steps, and predict the masks of all blobs in
# their ground-truth boxes.
#
# > **Predict.** The mean IoU of their masks hardly differs. Call a mask *good* if its IoU is above
# > 0.85. Among blobs of 20 pixels and more, does the fraction of good masks hardly differ, too, or
# > does it differ by much?

# %%
# NBVAL_IGNORE_OUTPUT
table_2e = TABLES["2e"]
jobs = {s.name: setup.job(table_2e, s, 0, 150) for s in table_2e.settings[:2]}
for _, so_far in train_in_lockstep(jobs):
    heads = so_far  # the last time, after 150 steps

# %%
# NBVAL_IGNORE_OUTPUT
blob_scenes = jobs["FCN"].val_data
good = {}
for name, model in heads.items():
    ious, sizes = ious_and_sizes(model, blob_scenes)
    good[name] = (ious[sizes >= 20] > 0.85).float().mean().item()
    print(f"{name:13} mean IoU {ious.mean():.2f}, good masks {good[name]:.0%}")

# %%
# NBVAL_IGNORE_OUTPUT
image, target = blob_scenes[33]
of_blob = {}
for name, model in heads.items():
    of_blob[name] = masks_in_gt_boxes(model, image, target)[1]
viz.show_differences(target["masks"][1], of_blob).caption(
    "Figure 12. A large blob, in its ground-truth box. The MLP's outline is "
    "rounder than the blob, as if it drew the mean of all blobs it has seen."
)

# %% [markdown]
# **What happened.** By much. A mean can hide what you care about. Most of a mask is its inside,
# which every head gets right, so a difference at the border moves the mean IoU by little. A strict
# threshold looks at the border alone. It is the same story as AP50 and AP75 above, told by two
# models that you have just trained.

# %% tags=["claim"]
(small, large), (small_pool, large_pool) = by_size.values()
assert large - large_pool > small - small_pool

assert all(long[name] < short[name] for name in list(short)[1:])
assert all(short[name] > 0.02 for name in list(short)[1:])
assert long["true class, over half"] > short["true class, over half"]

assert good["FCN"] > good["MLP, 2 layers"] + 0.05

# %% [markdown]
# ## Where it breaks: luck, reported
#
# Somebody wonders how many sample points a bin should average. She trains with the usual 4 points,
# then with 1, 9 and 16, one run each, and reports the best of the three new ones "against the
# baseline". Everything she writes is true.
#
# > **Predict.** We have five seeds, so we can write five such reports, one for each. How many of
# > them claim an improvement over 4 points?

# %%
sampling = precomputed("points")
first, *new = sampling.table.settings
for seed, score in sampling.scores(first).items():
    candidates = {s.name: sampling.scores(s)[seed] for s in new}
    best = max(candidates, key=candidates.get)
    print(f"report {seed}: {best} gains {candidates[best] - score:+.1f}")

# %%
forest(sampling).caption(
    "Figure 13. The same runs, all of them. None of the three settings can be "
    "told apart from 4 points, whichever report you read."
)

# %% [markdown]
# **What happened.** Most of them do, and they don't even agree on the winner. The best of three
# tries beats a single try by luck alone, because it was *chosen* for its luck. Nobody has cheated.
# She has only looked at three runs and told us about one.
#
# Figure 13 is the remedy. Give all settings the same seeds, report all of them, and draw an
# interval. None of the three numbers of points differs from 4 by more than chance. The paper says
# the same: the result doesn't depend much on how many points are sampled, as long as nothing is
# rounded ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3).

# %% tags=["claim"]
best = {
    seed: max(sampling.scores(s)[seed] for s in new) - score
    for seed, score in sampling.scores(first).items()
}
assert sum(gain > 0 for gain in best.values()) >= 3
winners = {max(new, key=lambda s: sampling.scores(s)[seed]).name for seed in best}
assert len(winners) > 1
assert not any(sampling.difference(s).excludes_zero for s in new)

# %% [markdown]
# ## Play: ask your own question
#
# The ablation lab is a notebook of its own, [lab](lab.ipynb). Choose up to four settings and a
# world, press *run*, and watch the curves, the dots and both intervals while you go on reading
# here. When a run has ended, you can look at what its model does, as we have just done. Some
# questions to begin with:
#
# - What does RoIPool cost in the world `small`, where all objects are small? What we found
#   inside the boxes lets you predict it.
# - Does a learning rate of `0.001` instead of `0.003` change who wins, or only how soon?
# - Set `rpn_positive_iou=0.5` for B. The paper uses 0.7. Who needs to be convinced with an
#   interval, you or the paper?

# %%
from mrcnn_edu.course.lab import ablation_lab

lab = ablation_lab(steps=100, seeds=2)
print(f"{len(lab.choices.settings)} settings at most, in {lab.folder}")

# %% [markdown]
# To use the lab right here, write `lab` into a new cell and run it.

# %% tags=["claim"]
lab.close()

# %% [markdown]
# ## Exercise 1: by hand
#
# ★☆☆ · about 10 minutes
#
# Write `paired(base, other, t)`. `base` and `other` are tensors `[n]` with the scores of two
# settings, in the order of the seeds, and n is at least 2. `t` is the factor of Student's
# distribution. Return a tensor `[2]`: the mean of the differences `other - base`, and half the
# width of its interval.
#
# For example, base (30, 34, 38), other (28, 31.5, 36) and t = 4.30 give (−2.17, 0.72).
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# The formula of the interval has a part for each of the two numbers. All of it happens on the
# differences.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# The differences of the example are −2, −2.5 and −2, with a standard deviation of 0.29.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>difference = other - base</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# `std` divides by n − 1 unless you tell it otherwise, which is what we want. Our code:
# `exercises.paired??`.
# </details>

# %%
from mrcnn_edu.course.exercises import ablations as exercises


def paired(base, other, t): ...


exercises.check_paired(paired)

# %% [markdown]
# ## Exercise 2: what pairing is worth
#
# ★★☆ · about 10 minutes
#
# Write `pairing_factor(base, other)` for scores `[n]` as above. It returns a scalar: the standard
# deviation of the paired differences, divided by what it would be if the two had nothing to do with
# each other, $\sqrt{s_a^2 + s_b^2}$. Below 1, pairing narrows the interval, apart from what it
# costs in $t$.
#
# For example, base (30, 34, 38) and other (28, 31.5, 36) give 0.05, because the two rise together.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# You need three variances: those of the two settings, and that of their differences.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# If <code>other</code> falls where <code>base</code> rises, the result is above 1. With (36, 33,
# 31) for <code>other</code> it is 1.38.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>separate = base.var() + other.var()</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# By our formula for the variance this is $\sqrt{1 - 2 r s_a s_b / (s_a^2 + s_b^2)}$, which is
# $\sqrt{1 - r}$ if both spread equally. Our code: `exercises.pairing_factor??`.
# </details>

# %%
def pairing_factor(base, other): ...


exercises.check_pairing_factor(pairing_factor)

# %% [markdown]
# ## Exercise 3: points and fractions
#
# ★☆☆ · about 5 minutes
#
# Write `relative_gain(old, new)`, which returns by how many percent of the old score the new one is
# better. It is negative if the new score is lower. For example, RoIPool's 26.9 and RoIAlign's 30.3
# in the paper give 12.6.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# What do you divide by, the score that was there before, or the one that replaced it?
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# From 40 to 30 it is −25.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Our code: `exercises.relative_gain??`.
# </details>

# %%
def relative_gain(old, new): ...


exercises.check_relative_gain(relative_gain)

# %% [markdown]
# ## Exercise 4: how many seeds?
#
# ★★☆ · about 10 minutes
#
# You know from earlier runs that differences between settings have a standard deviation of
# `spread`. Write `seeds_needed(spread, gap)`, which returns the smallest number of seeds n, at
# least 2, for which half the width of the interval is at most `gap`. Take 2 for the factor $t$,
# which is close enough for a plan.
#
# For example, a spread of 1.0 and a gap of 0.5 need 16 seeds.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Solve $2 \cdot \text{spread} / \sqrt n \le \text{gap}$ for n.
# </details>
# <details><summary><b>Hint 2</b>: what it should give</summary>
# A spread of 3.0 and a gap of 0.6 need 100 seeds, so a fifth of the spread is expensive.
# </details>
# <details><summary><b>Hint 3</b>: the last step</summary>
# <code>math.ceil</code> rounds up. One seed is never enough.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Our code: `exercises.seeds_needed??`. With two or three seeds, $t$ is much larger than 2, so such
# a small plan promises too much.
# </details>

# %%
def seeds_needed(spread, gap): ...


exercises.check_seeds_needed(seeds_needed)

# %% [markdown]
# ## Exercise 5: an ablation of your own
#
# ★★★ · 45 to 60 minutes
#
# Now design, run and report one yourself. Work in this order, and write down each step *before* you
# take the next one.
#
# 1. **The question.** Pick a switch, and say what you expect, with a reason. Any field of `Config`
#    or `Training` will do.
# 2. **What would matter.** Say how many points of AP would make you change your mind about the
#    switch. Call it `matters`.
# 3. **The plan.** Estimate the spread from Figure 5 or 9, where the number behind ± is 1.24
#    spreads. Compute the number of seeds with your `seeds_needed`. Is that affordable? If not, say
#    now what you will be able to see, and what not.
# 4. **The run.** Use the lab, or a terminal. Don't stop early because the result looks nice.
# 5. **The report.** Button *report* in the lab, or `--report` on the command line, writes all runs,
#    both intervals and the commands that repeat it. Add two sentences of your own: what you
#    expected, and what you found.
#
# For the last sentence you need a verdict that you cannot argue with. Write `verdict(base, other,
# t, matters)`, for scores `[n]` of the same seeds. Compute the paired interval with `t`, from `low`
# to `high`, and return one of four words:
#
# - `"better"` if the whole interval lies above 0;
# - `"worse"` if the whole interval lies below 0;
# - `"the same"` if it contains 0, but neither of its ends is as far from 0 as `matters`;
# - `"undecided"` otherwise.
#
# For example, base (30, 34, 38), other (28, 31.5, 36), t = 4.30 and matters = 1 give `"worse"`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Your function <code>paired</code> gives the middle and half the width. The ends are
# <code>mean - half</code> and <code>mean + half</code>.
# </details>
# <details><summary><b>Hint 2</b>: the order of the questions</summary>
# An interval that lies above 0 is better, even if it is so close to 0 that it hardly matters. Ask
# for better and worse first.
# </details>
# <details><summary><b>Hint 3</b>: the same</summary>
# "We found no difference" has two meanings. If the interval is narrow, a difference that matters is
# ruled out. If it is wide, you know nothing. Compare the larger of <code>-low</code> and
# <code>high</code> with <code>matters</code>.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Our code: `exercises.verdict??`. Medicine calls the third case a test of equivalence.
# </details>

# %%
def verdict(base, other, t, matters): ...


exercises.check_verdict(verdict)

# %% [markdown]
# When the check says "ok", apply it to your own runs. In a new cell, with the lab's results:
#
# ```python
# results = lab.results
# a, b = results.table.settings[:2]
# scores = [torch.tensor(list(results.scores(s).values())) for s in (a, b)]
# t = student_t.ppf(0.975, len(scores[0]) - 1)
# verdict(*scores, t, matters=1.0)
# ```
#
# Two questions to discuss with somebody. Would you have reported your ablation if it had come out
# the other way? And who could repeat it from your report alone?

# %% [markdown]
# ## Remember
#
# - One training run is one dot. Give every difference an interval.
# - Change one thing, and keep the start, the seeds and the images. Pairs need no additional runs,
#   and help where two settings are alike.
# - Count your comparisons, and report all of them. The best of several tries was chosen for its
#   luck.
# - An interval that contains 0 doesn't say that there is no effect. It says how large an effect
#   could have stayed hidden.
# - A short training run measures how soon a part learns. Then look where the pixels differ.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `Config(roi_op=...)` | no switch, RoIAlign only | `MODEL.ROI_MASK_HEAD.POOLER_TYPE` |
# | `sampling_ratio` | `MultiScaleRoIAlign.sampling_ratio` | `POOLER_SAMPLING_RATIO` |
# | `mask_size` | `output_size` of `mask_roi_pool`, half of it | `POOLER_RESOLUTION`, half of it |
# | `class_agnostic_mask` | no switch | `CLS_AGNOSTIC_MASK` |
# | `Training.seed` | `torch.manual_seed` | `SEED` |
#
# Neither library has softmax over masks. Both publish one trained model per setting, so their
# tables have one dot in each row, like the paper's.
#
# What came after? [Bouthillier and others](https://arxiv.org/abs/2103.03098) measured how much of
# the difference between published systems is due to the seed, to the split of the data and to the
# tuning of hyperparameters, and recommend to vary all of them. Detection has kept its tables of
# single runs, because a run is expensive. But papers such as
# [FCOS](https://arxiv.org/abs/1904.01355) now isolate each of their improvements in an ablation, as
# Mask R-CNN did.
#
# **Next:** can a network predict the masks of single objects without any mask head? Lesson 13,
# [FCIS against Mask R-CNN](13_fcis.ipynb), compares two answers to the same task.
