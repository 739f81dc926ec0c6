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
# # 09 · The mask loss: why classes should not compete for a pixel
#
# **The question.** The mask head predicts one mask for every class, and the box head predicts which
# class it is. Which of the masks should learn from an object, and what should the others do?
#
# **You will be able to**
#
# - write down the mask loss and its gradient, and say which outputs learn from an object;
# - show on one object what happens if classes compete for a pixel, and measure it on many;
# - tell which of the lost pixels come back if the same outputs are read in another way;
# - say what class-agnostic masks are, and draw which of the five losses trains which part.
#
# *Time: 145 minutes, of which 65 are for the exercises. You need lessons 06 (logits and binary
# cross-entropy) and 08 (the heads). Reading: [Mask R-CNN](https://arxiv.org/abs/1703.06870),
# section 3, and in section 4.2 the paragraph "Multinomial vs. Independent Masks".*

# %%
from inspect import getsource

import torch

from mrcnn_edu import load, losses, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.shapes import morph
from mrcnn_edu.detections import paste_masks, predicted_masks
from mrcnn_edu.evaluate import detect_all, evaluate

viz.show_architecture("class, box, mask").caption(
    "Figure 1. The box head predicts what an object is, and the mask head "
    "where it is. This lesson is about keeping the two apart."
)

# %% [markdown]
# ## What is in doubt, and what is not
#
# Some objects lie between two classes. In the row below, a star turns into a cross, step by step.

# %%
scenes = {}
for percent in (0, 25, 50, 75, 100):
    scenes[percent] = morph("star", "cross", percent / 100)

images = {f"{p} % cross": scene[0] for p, scene in scenes.items()}
viz.show_images(images).caption(
    "Figure 2. From a star to a cross. In the middle one may argue about the "
    "class, but hardly about which pixels belong to the object."
)

# %% [markdown]
# *What* the object in the middle is may be in doubt. *Where* it is, is not. So it would be a pity
# if the doubt about the class spoiled the mask. Whether it does depends on a choice that looks like
# a detail, the loss that the masks are trained with.
#
# ## 1. K masks for one object
#
# For each RoI, the mask head outputs $K$ masks of $m \times m$ values, "one for each of the $K$
# classes" ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3). Here $K = 6$ and $m = 28$.
# There is one more channel, number 0, so that channels and labels agree. It stands for background,
# and this model doesn't use it, but the next one will. The values are logits. As in lesson 06, a
# sigmoid turns a logit $x$ into a probability, $\sigma(x) = 1 / (1 + e^{-x})$, here the probability
# that the pixel belongs to the object.
#
# At test time only one of the masks counts, that of the class that the box head has predicted. The
# others are computed, and thrown away.
#
# > **Predict.** We show the head the star of figure 2. The mask of the class "star" will be a star.
# > What will the masks of the five *other* classes look like: empty, noise, or something of the
# > star?

# %%
model = load("shapes-tiny")
star, target = scenes[0]
class_logits, mask_logits = model.predict_on_boxes(star, target["boxes"])
print("class logits:", list(class_logits.shape))
print("mask logits: ", list(mask_logits.shape))

scores = class_logits[0].softmax(dim=0)
titles = []
for name, score in zip(model.classes, scores[1:], strict=True):
    titles.append(f"{name} {score:.2f}")
masks = list(mask_logits[0, 1:].sigmoid())
viz.show_maps(masks, titles, star, high=1).caption(
    "Figure 3. The masks of all six classes for one star, with the classes' "
    "scores. Other masks show parts of the star, too."
)

# %% [markdown]
# **What happened.** Some of the others show something of the star. The mask for "cross" is almost
# the whole star, with a dark middle. The one for "triangle" has its tips and its rim, and the
# remaining three are all but empty. If you said "empty", you expected the network to know that a
# star is no cross. The box head knows that, with a score of 1.00. But nothing in the training has
# asked for empty masks here. The mask for "cross" has learned from crosses alone, and nobody ever
# told it what to do with a star.
#
# That is intended. Let's see how the loss brings it about.

# %% tags=["claim"]
assert class_logits.shape == (1, 7) and mask_logits.shape == (1, 7, 28, 28)
covered = (mask_logits[0, 1:] > 0).float().mean(dim=(1, 2))
triangle, square, circle, of_star, ring, cross = covered.tolist()
assert cross > 0.9 * of_star and triangle > 0.1 and max(square, circle, ring) < 0.06
assert scores.argmax() == 4 and scores[4] > 0.995

# %% [markdown]
# ## 2. The loss: only the mask of the right class
#
# Suppose a RoI has the ground-truth class $k$, and its target mask is $y$, with $y_{ij} = 1$ for
# pixels on the object and 0 elsewhere. The **mask loss** takes the $k$-th mask and compares it
# pixel by pixel with the target, by binary cross-entropy. We write $x^k_{ij}$ for the logits of
# that mask, so $k$ is an index and not a power:
#
# $$L_{mask} = -\frac{1}{m^2} \sum_{i,j} \Bigl[\, y_{ij} \ln \sigma(x^k_{ij})
# + (1 - y_{ij}) \ln \bigl(1 - \sigma(x^k_{ij})\bigr) \Bigr] .$$
#
# The other masks do not occur in it ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3:
# "other mask outputs do not contribute to the loss"). With several RoIs, we take the mean over all
# of them.
#
# What matters for learning is the gradient, because it decides which outputs are changed, in which
# direction, and how strongly.
#
# > **Predict.** A toy example has $K = 3$ classes and masks of 2 × 2 pixels. With background, a RoI
# > has 4 × 4 = 16 mask logits. Its class is 2, and its target is 1 in the upper row and 0 in the
# > lower one. How many of the 16 logits get a gradient that isn't 0, and with which sign? If you
# > like, work out how large it can be at most.

# %%
generator = torch.Generator().manual_seed(0)
logits = 2 * torch.randn(1, 4, 2, 2, generator=generator)
logits.requires_grad_()  # [R, K + 1, m, m]
gt_mask = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])  # [R, m, m]
label = torch.tensor([2])


def mask_loss_by_hand(logits, label, gt_mask):
    """The mask loss of a single RoI."""
    p = logits[0, label].sigmoid()  # [1, m, m]
    log_likelihood = gt_mask * p.log() + (1 - gt_mask) * (1 - p).log()
    return -log_likelihood.mean()


loss = mask_loss_by_hand(logits, label, gt_mask)
(grad_sigmoid,) = torch.autograd.grad(loss, logits)
print(f"loss {loss:.3f}; logits that learn: {(grad_sigmoid != 0).sum()}")

# %%
channels = ["background", "class 1", "class 2", "class 3"]
style = {"signed": True, "numbers": ".2f", "high": 0.25}
viz.show_maps(list(grad_sigmoid[0]), channels, **style).caption(
    "Figure 4. The gradient of the mask loss for an object of class 2. "
    "A training step goes against it, so red logits rise and blue ones fall."
)

# %% [markdown]
# **What happened.** Four of 16, the mask of class 2, and nothing else. In the upper row the
# gradient is negative, so those logits rise; in the lower row they fall. An object of class 2
# teaches the masks of classes 1 and 3 nothing at all, neither that they should look like it, nor
# that they should not.
#
# The derivative explains all of this. Since $\sigma'(x) = \sigma(x)\,(1 - \sigma(x))$, the
# derivative of $-\ln \sigma(x)$ is $\sigma(x) - 1$, and that of $-\ln (1 - \sigma(x))$ is
# $\sigma(x)$. Both cases together are
#
# $$\frac{\partial L_{mask}}{\partial x^c_{ij}} =
# \begin{cases}
# \dfrac{1}{m^2}\,\bigl(\sigma(x^k_{ij}) - y_{ij}\bigr) & \text{if } c = k, \\[2ex]
# 0 & \text{otherwise,}
# \end{cases}$$
#
# so every pixel is pushed by prediction minus target. A pixel that is right with certainty is left
# alone. No pixel is pushed by more than $1 / m^2$, here $1/4$, however wrong it is.
#
# So each mask only answers the question "if this is an object of class $k$, which pixels belong to
# it?" The paper calls this **decoupling**. *What* is decided by the box head alone, and the mask
# head is free to think about *where*.
#
# A good value to remember is $\ln 2 \approx 0.69$. It is the loss of a head that is undecided. If
# all logits are 0, each pixel has a probability of one half, whatever the number of classes. Lesson
# 10 will compare it with what a training run really begins with.

# %% tags=["claim"]
assert (grad_sigmoid != 0).sum() == 4
assert (grad_sigmoid[0, 2, 0] < 0).all() and (grad_sigmoid[0, 2, 1] > 0).all()
p = logits[0, 2].sigmoid()
torch.testing.assert_close(grad_sigmoid[0, 2], (p - gt_mask[0]) / 4)
torch.testing.assert_close(loss, losses.mask_loss(logits, label, gt_mask))
start = losses.mask_loss(torch.zeros_like(logits), label, gt_mask)
assert round(start.item(), 2) == 0.69

# %% [markdown]
# ## 3. The alternative: one label for each pixel
#
# Networks for semantic segmentation do it differently. They give each pixel exactly *one* label,
# a class or background, and use a **softmax** over all channels,
#
# $$p^c_{ij} = \frac{e^{x^c_{ij}}}{\sum_{d=0}^{K} e^{x^d_{ij}}} .$$
#
# The probabilities of a pixel add up to 1. If one class gets more, the others get less. You can see
# that in the derivatives,
#
# $$\frac{\partial p^c}{\partial x^c} = p^c\,(1 - p^c), \qquad
# \frac{\partial p^c}{\partial x^d} = -\,p^c\, p^d \quad \text{for } d \ne c .$$
#
# The loss is again minus the logarithm of the probability of the right label. On the object that is
# $k$, and off the object it is 0, background:
#
# $$L_{softmax} = -\frac{1}{m^2} \sum_{i,j} \Bigl[\, y_{ij} \ln p^k_{ij}
# + (1 - y_{ij}) \ln p^0_{ij} \Bigr] .$$
#
# > **Predict.** How many of the 16 logits learn from the same object now? In which direction are
# > the masks of classes 1 and 3 pushed, on the object and off it?

# %%
loss = losses.mask_loss(logits, label, gt_mask, "softmax")
(grad_softmax,) = torch.autograd.grad(loss, logits)
print(f"loss {loss:.3f}; logits that learn: {(grad_softmax != 0).sum()}")

viz.show_maps(list(grad_softmax[0]), channels, **style).caption(
    "Figure 5. The gradient of the softmax loss for the same object. It "
    "pushes the masks of all other classes down, everywhere."
)

# %% [markdown]
# **What happened.** All 16 learn, though a few gradients round to 0.00. If you said eight, you saw
# only $p^k$ and $p^0$ in the loss. The logits of the other classes are in their denominators. The
# gradient has the same simple form as before, prediction minus target, but now for all channels:
#
# $$\frac{\partial L_{softmax}}{\partial x^c_{ij}} = \frac{1}{m^2}\,\bigl(p^c_{ij} - t^c_{ij}\bigr),
# \qquad t^k_{ij} = y_{ij}, \quad t^0_{ij} = 1 - y_{ij}, \quad \text{all other } t^c_{ij} = 0 .$$
#
# Here $t^c$ is the target of channel $c$. Classes 1 and 3 have a target of 0 everywhere, so an
# object of class 2 pushes their masks down, on the object and off it. To get out of the way, these
# masks have to find out that the object is *not* of their class. So the mask head must learn to
# classify, pixel by pixel, which the box head does already, and from features of the whole RoI.
#
# The package has both losses, and the choice between them is a setting of the model.

# %%
print(getsource(losses.mask_loss))

# %% tags=["claim"]
assert (grad_softmax != 0).all() and (grad_softmax[0, [1, 3]] > 0).all()
s = logits.softmax(dim=1)[0]
torch.testing.assert_close(grad_softmax[0, 2], (s[2] - gt_mask[0]) / 4)
torch.testing.assert_close(grad_softmax[0, 0], (s[0] - (1 - gt_mask[0])) / 4)
torch.testing.assert_close(grad_softmax[0, [1, 3]], s[[1, 3]] / 4)

# %% [markdown]
# ## 4. What competition does to a mask
#
# `shapes-tiny-softmax` was trained exactly like `shapes-tiny`, on the same scenes, with the same
# seed, for the same 12,000 steps. Only the mask loss differs. We show both models an object that is
# 35 % cross. We have picked it because it is a hard one, as you will see in Figure 7.
#
# > **Predict.** The sigmoid's two masks, for star and for cross, don't have to agree on anything.
# > The softmax's must share. How will they divide the object's pixels between them: the arms to one
# > and the center to the other, all to one of them, or each pixel a little to both?

# %%
def probabilities(mask_logits, loss_type):
    """The probabilities [R, K + 1, m, m] of all channels."""
    if loss_type == "sigmoid":
        return mask_logits.sigmoid()
    return mask_logits.softmax(dim=1)


# %% tags=["cover"]
models = {"sigmoid": model, "softmax": load("shapes-tiny-softmax")}
between, target = morph("star", "cross", 0.35)

maps, titles = [], []
for name, m in models.items():
    _, mask_logits = m.predict_on_boxes(between, target["boxes"])
    probs = probabilities(mask_logits, name)[0]
    for class_name, label in {"star": 4, "cross": 6}.items():
        maps.append(probs[label])
        titles.append(f"{name}\n{class_name}")

viz.show_maps(maps, titles, between, high=1).caption(
    "Figure 6. Masks for star and cross of an object between the two. The "
    "sigmoid's may both have a pixel. The softmax's share it, and neither "
    "of them is whole."
)

# %%
# softmax: how do the channels share the pixels that are likely an object?
is_object = probs[0] < 0.5  # by channel 0, background
mean = probs[:, is_object].mean(dim=1)  # [K + 1]
for name, value in zip(["background", *model.classes], mean, strict=True):
    print(f"{name:10} {value:.2f}")

# %% [markdown]
# **What happened.** Each pixel goes a little to both, and other classes take their part, too. The
# numbers are means over the pixels in which background has less than one half. In them the triangle
# has even more than the star. Background has only a fifth, so *that* there is an object is hardly
# in doubt. And still no class reaches on average the one half that a pixel needs to belong to a
# mask. Whichever class the box head predicts, its mask will have holes.
#
# The sigmoid's two masks don't have to share. The cross is what its box head predicts, and its mask
# is complete. Even the mask for "star" has most of the object.
#
# That was one object. Now we go all the way from star to cross in steps of 5 %. At each step the
# box head predicts a class, that class's mask is pasted, and we measure its IoU with the ground
# truth.

# %%
def detect_mask(model, image, boxes):
    """The mask [1, H, W] of the class that the box head predicts."""
    class_logits, mask_logits = model.predict_on_boxes(image, boxes)
    k = class_logits[:, 1:].argmax(dim=1) + 1
    probs = predicted_masks(mask_logits, k, model.config.mask_loss)
    return paste_masks(probs, boxes, image.shape[-2:])


percents = torch.arange(0, 101, 5)
curves = {name: torch.zeros(len(percents)) for name in models}
for step, percent in enumerate(percents.tolist()):
    image, target = morph("star", "cross", percent / 100)
    gt_mask = target["masks"]
    for name, m in models.items():
        mask = detect_mask(m, image, target["boxes"])
        iou = (mask & gt_mask).sum() / (mask | gt_mask).sum()
        curves[name][step] = iou

# %%
for name, curve in curves.items():
    print(f"{name}: worst IoU {curve.min():.2f}")
viz.show_lines(percents, curves, "% cross", "IoU of the mask").caption(
    "Figure 7. The IoU of the detected mask from star (0 %) to cross (100 %). "
    "The softmax loses its mask where the class is in doubt."
)

# %% [markdown]
# At both ends, where the class is clear, the two are equally good. In between, the doubt about
# *what* has become a hole in the *where*. This is the very thing that we wanted to avoid.

# %% tags=["claim"]
assert mean.max() < 0.5 and round(mean[0].item(), 1) == 0.2 and mean[1] > mean[4]
assert models["softmax"].config.mask_loss == "softmax"
assert curves["sigmoid"].min() > 0.8 and curves["softmax"].min() < 0.3
for end in (0, -1):
    assert abs(curves["sigmoid"][end] - curves["softmax"][end]) < 0.05
assert (maps[0] > 0.5).sum() > 2 * (maps[2] > 0.5).sum()  # star, sigmoid and softmax
assert (maps[1] > 0.5).sum() > 1.5 * (maps[3] > 0.5).sum()  # cross
assert (maps[0] > 0.5)[maps[1] > 0.5].float().mean() > 0.5 and curves["sigmoid"][7] > 0.85

# %% [markdown]
# ## 5. Trained away, or only read wrongly?
#
# You may object that we have been unfair. The box head has classified the object already. Why
# should its mask have to win against all other classes once more? Perhaps the softmax masks are
# good, and we only read them wrongly. There are at least three ways to *decode* them. A pixel
# belongs to the mask of the predicted class $k$ if
#
# - *probability:* $p^k > 1/2$. So far we have done this;
# - *strongest:* $x^k$ is larger than every other logit of the pixel;
# - *background:* $x^k > x^0$. The other classes are not asked.
#
# None of them needs a new training run, and each keeps all pixels of the one before it. Let's see
# how much they give back on 120 scenes that neither model has seen. The measure is mask AP, which
# lesson 11 explains. It is 100 if every object is found with a perfect mask.

# %%
from dataclasses import replace

val_data = Shapes(120, seed=1)
decodings = {"probability": [], "strongest": [], "background": []}
for index in range(len(val_data)):
    image, _ = val_data[index]
    trace = models["softmax"].trace([image])
    found, logits = trace.detections[0], trace.mask_logits
    for decoding, all_found in decodings.items():
        probs = predicted_masks(logits, found.labels, "softmax", decoding)
        masks = paste_masks(probs, found.boxes, image.shape[-2:])
        with_masks = replace(found, masks=masks)  # same boxes and scores
        all_found.append(with_masks)

# %% [markdown]
# > **Predict.** The sigmoid model has a mask AP of about 80, and the softmax model, decoded as
# > before, is about 8 points lower. How many of these 8 points will the best decoding give back:
# > nearly none, about a quarter, or nearly all?

# %%
ap = {}
for decoding, all_found in decodings.items():
    ap[decoding] = 100 * evaluate(val_data, all_found).ap
by_sigmoid = detect_all(model, val_data)
ap["sigmoid"] = 100 * evaluate(val_data, by_sigmoid).ap

for name, value in ap.items():
    print(f"{name:11}  mask AP {value:.0f}")
lost = ap["sigmoid"] - ap["probability"]
regained = ap["background"] - ap["probability"]
print(f"{lost:.0f} points lost, {regained:.0f} of them regained")

# %% [markdown]
# **What happened.** The best decoding asks only background, and gives back about two of the eight
# points. Where is the rest? To find out, we count pixels. We show both models the objects of the
# 120 scenes in their ground-truth boxes, and take all mask pixels that lie on an object. By how
# many of the three decodings is each of them kept?

# %%
from mrcnn_edu.targets import mask_targets

kept_by = []  # how many decodings keep each mask pixel on an object: 0 to 3
missed = []  # whether the sigmoid's mask misses it
for index in range(len(val_data)):
    image, target = val_data[index]
    boxes, k = target["boxes"], target["labels"]
    objects = torch.arange(len(k))
    on_object = mask_targets([target["masks"]], [boxes], [objects], 28) > 0.5

    _, mask_logits = models["softmax"].predict_on_boxes(image, boxes)
    probability = mask_logits.softmax(dim=1)[objects, k] > 0.5  # [M, m, m]
    strongest = mask_logits.argmax(dim=1) == k[:, None, None]
    background = mask_logits[objects, k] > mask_logits[:, 0]
    n_decodings = probability.int() + strongest.int() + background.int()
    kept_by.append(n_decodings[on_object])

    _, mask_logits = model.predict_on_boxes(image, boxes)
    missed.append((mask_logits[objects, k] <= 0)[on_object])

# %%
counts = torch.cat(kept_by).bincount(minlength=4)
percent = (100 * counts / counts.sum()).tolist()
missed_percent = 100 * torch.cat(missed).float().mean().item()

names = ["strongest keeps it", "only background keeps it", "none keeps it"]
of_softmax = [percent[2], percent[1], percent[0]]
of_sigmoid = [0, 0, missed_percent]
parts = {
    "softmax": dict(zip(names, of_softmax, strict=True)),
    "sigmoid": dict(zip(names, of_sigmoid, strict=True)),
}
xlabel = "missed by the usual decoding, percent of the objects' pixels"
viz.show_parts(parts, xlabel).caption(
    "Figure 8. The pixels that are missing in the masks, and which other "
    "decoding keeps them. Most of what the softmax misses is kept by none. "
    "The sigmoid misses half as much."
)

# %% [markdown]
# With the usual decoding, the softmax misses about 12 % of these pixels. In about 1 % the right
# class is the strongest, and only fails to reach one half. In another 1 % a wrong class is ahead,
# but the right one still beats background. These can be regained. In almost 10 % background beats
# the right class, and none of the three decodings keeps them. A lower threshold is no way out,
# because it lets in wrong pixels, too. If we ask for $p^k > 0.3$ instead of $1/2$, mask AP falls
# even further.
#
# Not all of the missing pixels are the competition's fault, because the sigmoid's masks miss 6 %,
# too. Nor does AP follow from such numbers directly, since it counts objects instead of pixels, and
# wrong pixels beside an object count against a mask as well. But they show where the masks have
# gone. The boxes are not to blame. The softmax model's box AP is only about one point lower.
#
# ### How much comes back depends on the training
#
# Our two models were trained for 12,000 steps. Lesson 12, [ablations](12_ablations.ipynb), measures
# the same loss in one of its tables, with smaller models that are trained for only 400 steps, and
# with five training runs of each. The results come with the package, so we can look ahead.

# %%
from mrcnn_edu.ablations import precomputed

short = precomputed("2b")
_, by_probability, _, by_background = short.table.settings
short_lost = -short.difference(by_probability).mean
short_left = -short.difference(by_background).mean

fraction = regained / lost
short_fraction = 1 - short_left / short_lost
print(f"12,000 steps: lost {lost:4.1f}, {fraction:.0%} regained")
print(f"   400 steps: lost {short_lost:4.1f}, {short_fraction:.0%} regained")

# %% [markdown]
# There, too, the softmax costs several points, and another decoding gives back a part of them. But
# don't expect the two lessons to report the same fraction, because it depends on how far a model
# has been trained. A head that is still unsure spreads its probability over many channels. Then the
# right class may be ahead of all others and still miss one half, or it may be a little behind one
# of them, and another decoding regains such pixels. With more training the probabilities become
# decided. The pixels that are still missing are then mostly those in which background is ahead, as
# in Figure 8. The number of steps is not the only difference, though. The models of lesson 12 have
# no FPN and a simpler mask head, and their scenes are fuller.
#
# In both cases a part remains that no decoding gives back, and the sigmoid never loses it in the
# first place. On COCO, the paper reports a mask AP of 24.8 with the softmax and 30.3 with the
# sigmoid ([Mask R-CNN](https://arxiv.org/abs/1703.06870), table 2b).

# %% tags=["claim"]
assert 79 < ap["sigmoid"] < 81 and 7 < lost < 9 and 1.5 <= regained <= 2.5
assert ap["probability"] < ap["strongest"] < ap["background"]
assert round(100 - percent[3]) == 12 and round(missed_percent) == 6
assert round(percent[2]) == round(percent[1]) == 1 and 9 < percent[0] < 10
assert 0.45 < missed_percent / sum(percent[:3]) < 0.55

# %% tags=["claim"]
lower = []
for index, found in enumerate(decodings["probability"]):
    image, _ = val_data[index]
    logits = models["softmax"].trace([image]).mask_logits
    probs = predicted_masks(logits, found.labels, "softmax")
    masks = paste_masks(probs, found.boxes, image.shape[-2:], threshold=0.3)
    lower.append(replace(found, masks=masks))
assert 100 * evaluate(val_data, lower, progress=False).ap < ap["probability"] - 1
box_ap = {}
for name, found in (("softmax", lower), ("sigmoid", by_sigmoid)):
    box_ap[name] = 100 * evaluate(val_data, found, "bbox", progress=False).ap
assert 0.5 < box_ap["sigmoid"] - box_ap["softmax"] < 1.5
assert (short.table.steps, len(short.scores(by_background))) == (400, 5)
assert short.difference(by_probability).high < 0 and short_lost > 3
assert 0 < short_left < short_lost

# %% [markdown]
# ## 6. Does a mask need a class at all?
#
# If classes don't compete, and the box head knows the class anyway, one may go a step further. A
# **class-agnostic** mask head has a single mask for all classes, $m^2$ values instead of $K m^2$.
# It only knows that there is an object in the middle of its RoI. `shapes-tiny-agnostic` has such a
# head, and was trained like the other two.
#
# > **Predict.** How many points of mask AP will it lose against the six masks of `shapes-tiny`:
# > about 2, about 8 as with the softmax, or 20?

# %%
agnostic = load("shapes-tiny-agnostic")
ap["agnostic"] = 100 * evaluate(val_data, detect_all(agnostic, val_data)).ap

for name, m in {"sigmoid": model, "agnostic": agnostic}.items():
    n_masks = m.mask_head.mask_fcn_logits.out_channels - 1
    print(f"{name:8}  masks per RoI: {n_masks}, mask AP {ap[name]:.0f}")

# %% [markdown]
# **What happened.** It loses about 2. On COCO, with 80 classes, the paper reports 29.7 against 30.3
# ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 4.2, "Class-Specific vs. Class-Agnostic
# Masks"). So it helps the masks little to know their class. What helps them a lot is that they
# don't have to *predict* it. The paper calls this a division of labor. The box head decides what
# the object is, and the mask head outlines it.
#
# Class-agnostic masks are more than a curiosity. Since they don't ask for a class, they can outline
# objects of classes that were never labeled, and newer models make use of that.

# %% tags=["claim"]
assert 1 < ap["sigmoid"] - ap["agnostic"] < 3
assert agnostic.config.class_agnostic_mask and not model.config.class_agnostic_mask

# %% [markdown]
# ## 7. Five losses, and who learns from which
#
# The mask loss is one of several. Those of the heads are simply added up
# ([Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3):
#
# $$L = L_{cls} + L_{box} + L_{mask} .$$
#
# $L_{cls}$ is the cross-entropy of the box head's class scores, and $L_{box}$ the smooth L1 loss of
# its box deltas. With the two losses of the RPN that makes five. Their sum is called a **multi-task
# loss**, and a training step follows the gradient of the sum. But a part of the network learns from
# one of the losses only if *that* loss's gradient reaches it.
#
# > **Predict.** The mask head reads features in boxes, the boxes come from the RPN, and the right
# > mask is chosen by class. Does the mask loss train the RPN's head? The box head? The backbone?

# %%
images, targets = [], []
for index in range(4):
    image, target = val_data[index]
    images.append(image)
    targets.append(target)
generators = [torch.Generator().manual_seed(0)] * 4
five_losses = model(images, targets, generators)

# %%
parameters = dict(model.named_parameters())
reached = {}
for name, loss in five_losses.items():
    gradients = torch.autograd.grad(
        loss, parameters.values(), retain_graph=True, allow_unused=True
    )
    parts = set()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parts.add(parameter.split(".")[0])  # such as "mask_head"
    reached[name] = parts
    print(f"{name:17}", *sorted(parts))

# %%
viz.show_loss_gradients(reached).caption(
    "Figure 9. The five losses and the paths of their gradients, as measured. "
    "Each head learns from its own losses, and the backbone with its FPN "
    "(the neck) from all of them."
)

# %% [markdown]
# **What happened.** The mask loss trains the mask head, and through RoIAlign the backbone and the
# FPN. It reaches neither the RPN's head nor the box head, and there are two different reasons.
#
# The proposals are passed on as constants. Our code calls `detach` on them, so no gradient flows
# through the coordinates of a box back into the RPN. It could in principle, because RoIAlign has a
# derivative with respect to the box, as lesson 07 showed. [Faster
# R-CNN](https://arxiv.org/abs/1506.01497), section 3.2, calls training without that gradient
# "approximate joint training". And the box head's prediction of the class isn't used in training at
# all. The mask that learns is chosen by the *ground-truth* class. Only at test time does the box
# head have a say in it.
#
# So no head learns from another head's loss. All that they share is the features, and these learn
# from all five losses. That is how the paper explains that boxes improve a little when masks are
# learned with them, by 0.9 points of box AP ([Mask R-CNN](https://arxiv.org/abs/1703.06870),
# section 4.3).
#
# A last restriction is invisible in the figure. Only *positive* RoIs, which have an IoU of at least
# 0.5 with an object, have a mask to learn. For background there is no mask that would be right.

# %% tags=["claim"]
shared = {"backbone", "neck"}
assert reached["loss_mask"] == shared | {"mask_head"} and len(reached) == 5
for name in ("loss_classifier", "loss_box_reg"):
    assert reached[name] == shared | {"box_head"}
for name in ("loss_objectness", "loss_rpn_box_reg"):
    assert reached[name] == shared | {"rpn_head"}

# %% [markdown]
# ## Where it breaks: reading the class off the masks
#
# There are six masks, and each belongs to a class. So can't we just take the class of the strongest
# mask, and do without the box head's scores?
#
# > **Predict.** We classify the objects of 60 scenes by their strongest mask, the one with the
# > highest mean probability. How many of them will be right, with the sigmoid's masks and with the
# > softmax's?

# %%
def accuracies(model, loss_type):
    """How often the strongest mask is right, and how often the box head."""
    by_mask, by_score = [], []
    for index in range(60):
        image, target = val_data[index]
        outputs = model.predict_on_boxes(image, target["boxes"])
        class_logits, mask_logits = outputs
        probs = probabilities(mask_logits, loss_type)
        strongest = probs[:, 1:].mean(dim=(2, 3)).argmax(dim=1) + 1
        best_score = class_logits[:, 1:].argmax(dim=1) + 1
        by_mask.append(strongest == target["labels"])
        by_score.append(best_score == target["labels"])
    right = torch.cat(by_mask), torch.cat(by_score)
    return [r.float().mean().item() for r in right]


accuracy = {name: accuracies(m, name) for name, m in models.items()}
for name, (by_mask, by_score) in accuracy.items():
    print(f"{name}: {by_mask:.0%} by strongest mask,", end=" ")
    print(f"{by_score:.0%} by box head")

# %% [markdown]
# **What happened.** The softmax's masks know the class nearly as well as the box head does, because
# they had to learn it. With the sigmoid's masks, more than a quarter of the class labels are wrong.
# That is better than chance, because a mask is usually the strongest on objects of the kind that it
# has learned from. But it has never been compared with the other masks in training, so you can't
# rely on it. This is the price of decoupling. You don't pay it as long as you ask the box head. But
# if you build a model without one, don't read the class off sigmoid masks.

# %% tags=["claim"]
assert 0.5 < accuracy["sigmoid"][0] < 0.75
assert min(*accuracy["softmax"], accuracy["sigmoid"][1]) > 0.95

# %% [markdown]
# ## Play: from star to cross
#
# Move the slider. The player shows the object, and the masks for "star" and "cross" of both models
# with their class scores.
#
# 1. At which percentage does the softmax's mask for "star" disappear? What are its class scores
#    there?
# 2. The player starts at 30 %. What would you call the object, and what does the sigmoid model call
#    it? At which percentage does its class change? Does anything happen to its masks there?
# 3. Find an object of which the softmax model has no complete mask at all. Would its class scores
#    have warned you?

# %%
from mrcnn_edu.course.widgets import mask_player

mask_player(models).caption(
    "Figure 10. An object that is 30 % cross, and what both models predict "
    "for it. The sigmoid's two masks overlap almost everywhere, and the "
    "softmax's hardly at all."
)

# %% [markdown]
# ## Exercise 1: the mask loss
#
# ★☆☆ · about 5 minutes
#
# Write `mask_loss(logits, labels, targets)` for R RoIs. `logits` is `[R, K + 1, m, m]`, `labels` is
# `[R]` with values from 1 to K, and `targets` is `[R, m, m]`. Return the mean of the binary
# cross-entropy over all RoIs and pixels, a scalar.
#
# For example, if all logits are 0, the loss is $\ln 2$, about 0.693, for any labels and targets.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Choose one channel for each RoI, and compare it with the target.
# </details>
# <details><summary><b>Hint 2</b>: a trap</summary>
# <code>logits[:, labels]</code> gives every RoI the channels of <em>all</em> labels.
# </details>
# <details><summary><b>Hint 3</b>: the first line</summary>
# <code>chosen = logits[torch.arange(len(labels)), labels]</code>
# </details>
# <details><summary><b>Solution</b></summary>
#
# `torch.nn.functional.binary_cross_entropy_with_logits` does the rest, and cannot overflow. Our
# code: `exercises.mask_loss??`.
# </details>

# %%
from mrcnn_edu.course.exercises import mask_loss as exercises


def mask_loss(logits, labels, targets): ...


exercises.check_mask_loss(mask_loss)

# %% [markdown]
# ## Exercise 2: from logits to masks
#
# ★☆☆ · about 5 minutes
#
# Write `read_masks(logits, labels)` for D detections of a sigmoid head. `logits` is
# `[D, K + 1, m, m]`, and `labels` `[D]` are the predicted classes. Return the masks `[D, m, m]` of
# bool, True where the probability of the predicted class is above 0.5. D may be 0.
#
# For example, logits that are 1 in channel 2 and −1 in all others give a mask that is all True for
# the label 2, and all False for any other label.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# The same channel as in exercise 1, only that the class is now a prediction.
# </details>
# <details><summary><b>Hint 2</b>: do you need the sigmoid?</summary>
# Which logit has a probability of 0.5?
# </details>
# <details><summary><b>Solution</b></summary>
#
# A probability above 0.5 is a logit above 0. Our code: `exercises.read_masks??`.
# </details>

# %%
def read_masks(logits, labels): ...


exercises.check_read_masks(read_masks)

# %% [markdown]
# ## Exercise 3: the gradient of a softmax
#
# ★★☆ · about 10 minutes
#
# Write `softmax_gradient(logits, label)` for a single pixel, without autograd. `logits` is
# `[K + 1]`, and `label`, from 0 to K, is the pixel's ground truth. Return the gradient `[K + 1]` of
# $-\ln p_{label}$ with respect to the logits.
#
# For example, two logits of 0 and the label 1 give `[0.5, -0.5]`.
#
# <details><summary><b>Hint 1</b>: the idea</summary>
# Prediction minus target.
# </details>
# <details><summary><b>Hint 2</b>: what must come out</summary>
# The entries add up to 0, because probabilities and targets both add up to 1. Only one of them is
# negative.
# </details>
# <details><summary><b>Solution</b></summary>
#
# Subtract 1 from the label's probability, and leave the others as they are. Our code:
# `exercises.softmax_gradient??`.
# </details>

# %%
def softmax_gradient(logits, label): ...


exercises.check_softmax_gradient(softmax_gradient)

# %% [markdown]
# ## Exercise 4: both losses, with their gradients, for any logits
#
# ★★★ · 40 to 50 minutes
#
# In practice a loss must not fail, whatever the network outputs. Write
#
# `loss_and_gradient(logits, labels, targets, loss_type)`
#
# without autograd and without the loss functions of PyTorch. `logits` is `[R, K + 1, m, m]`,
# `labels` is `[R]` with values from 1 to K, `targets` is `[R, m, m]` with values from 0 to 1 that
# may lie in between, and `loss_type` is `"sigmoid"` or `"softmax"`. Return two tensors, the loss as
# a scalar, and its gradient `[R, K + 1, m, m]` with respect to the logits. Both losses are means
# over R, m and m. R may be 0, and then the loss is 0.
#
# Logits may be as large as 1,000 or as small as −1,000. In 32 bits, $e^{1000}$ is infinite,
# $e^{-1000}$ is 0, and the logarithm of 0 is minus infinity. So you will have to rearrange the
# formulas.
#
# For example, if all logits of one RoI with $K = 3$ are 0, the sigmoid loss is $\ln 2$, and the
# softmax loss is $\ln 4$.
#
# <details><summary><b>Hint 1</b>: a plan</summary>
# Write the formulas of this lesson down as they are, first. With logits between −5 and 5 you can
# compare them with <code>losses.mask_loss</code> and <code>torch.autograd.grad</code>. Then make
# them safe.
# </details>
# <details><summary><b>Hint 2</b>: the safe softmax</summary>
# If you subtract the same number from all logits of a pixel, their softmax stays the same. Subtract
# the largest. Then take the logarithm of the formula, before you compute anything: what is
# <em>ln p</em>?
# </details>
# <details><summary><b>Hint 3</b>: the safe sigmoid</summary>
# The loss of a pixel is <em>ln(1 + exp(x)) − x y</em>. Try to derive that. For large x, write
# <em>ln(1 + exp(x)) = x + ln(1 + exp(−x))</em>.
# </details>
# <details><summary><b>Hint 4</b>: one formula for both signs</summary>
# <em>ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(−|x|))</em>
# </details>
# <details><summary><b>Hint 5</b>: two traps</summary>
# The gradient is divided by the number of pixels of <em>all</em> RoIs, as the loss is. And with the
# softmax, background has a target, too: one minus that of the object.
# </details>
# <details><summary><b>Solution</b></summary>
#
# The gradients are the formulas of the lesson; `torch.sigmoid` is safe by itself, and the softmax
# is the exponential of the safe logarithms. Our code: `larger_task.loss_and_gradient??`.
# </details>

# %%
from mrcnn_edu.course.exercises import loss_and_gradient as larger_task


def loss_and_gradient(logits, labels, targets, loss_type): ...


larger_task.check_loss_and_gradient(loss_and_gradient)

# %% [markdown]
# ## Remember
#
# - The mask head predicts $K$ masks, and from an object only the mask of its own class learns. Each
#   pixel is pushed by prediction minus target.
# - With a softmax, classes compete for every pixel. An object whose class is in doubt loses a part
#   of its mask.
# - Another decoding gives some of these pixels back. How many depends on the model, and on how long
#   it was trained.
# - A single mask for all classes does nearly as well, because the box head knows the class.
# - Five losses are added up. Each head learns from its own, and the shared features from all.
#
# ## In the wild
#
# | here | torchvision | detectron2 |
# |---|---|---|
# | `mask_loss` | `maskrcnn_loss` | `mask_rcnn_loss` |
# | `predicted_masks` | `maskrcnn_inference` | `mask_rcnn_inference` |
# | `class_agnostic_mask` | – | `ROI_MASK_HEAD.CLS_AGNOSTIC_MASK` |
# | `loss_mask` | `loss_mask` | `loss_mask` |
#
# Neither of the two has a softmax over masks, so you can't repeat this lesson's comparison with
# them as they are.
#
# What came after? [Mask Scoring R-CNN](https://arxiv.org/abs/1903.00241) notices that the class
# score says nothing about how good a mask is, and predicts the mask's IoU as well.
# [Mask2Former](https://arxiv.org/abs/2112.01527) takes decoupling further. It predicts a set of
# masks with a sigmoid, and a class for each of them. In this way it even solves semantic
# segmentation, which had been the home of the softmax. [Segment
# Anything](https://arxiv.org/abs/2304.02643) is class-agnostic. It outlines whatever you point at,
# and doesn't ask what it is.
#
# **Next:** we know all the losses. Lesson 10, [training](10_training.ipynb), trains the whole
# network with them, and shows how to see early that something is wrong.
