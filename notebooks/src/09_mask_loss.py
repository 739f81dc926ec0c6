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
# # 09 · The mask loss: one mask for each class, and why they must not compete
#
# The mask head predicts "which pixels?" for every class at once, and leaves "which class?" to
# another head. After this lesson (60 minutes) you can
#
# - write the mask loss by hand, and say which outputs learn from an object, and which do not;
# - show on one object what happens when the classes compete for a pixel, and measure it on many;
# - say what class-agnostic masks are, and which of the five losses trains which part.

# %%
import torch

from mrcnn_edu import load, viz
from mrcnn_edu.data import Shapes
from mrcnn_edu.data.shapes import morph

viz.show_flow("class, box, mask")

# %% [markdown]
# ## The problem
#
# Some objects lie between two classes. What such an object is may be in doubt; where it is, is not.
# Must the doubt about *what* spoil the prediction of *where*?

# %%
scenes = {percent: morph("star", "cross", percent / 100) for percent in (0, 25, 50, 75, 100)}
picture = viz.show_images({f"{percent} % cross": scene[0] for percent, scene in scenes.items()})
picture.caption("Where does the star end and the cross begin?")

# %% [markdown]
# ## 1. K masks of m x m
#
# For each RoI (lesson 07) the mask head outputs K m² values, "K binary masks of
# resolution m x m, one for each of the K classes" (section 3); here K = 6 and m = 28. (A channel 0,
# background, comes first, so that channels and labels agree.) As in the RPN (lesson 06), they are
# logits, and a **sigmoid** turns each into a probability.
#
# **Predict:** we show the head the star. What will the masks of the five *other* classes look like:
# empty, noise, or something of the star?

# %%
model = load("shapes-tiny")
star, target = scenes[0]
class_logits, mask_logits = model.predict_on_boxes(star, target["boxes"])  # boxes [1, 4]
print("class logits", list(class_logits.shape), " mask logits", list(mask_logits.shape))

# %%
scores = class_logits[0].softmax(dim=0)
covered = (mask_logits[0, 1:] > 0).float().mean(dim=(1, 2))  # fraction of each mask's pixels
triangle, square, circle, _, ring, cross = covered.tolist()
assert cross > 0.3 and triangle > 0.1 and max(square, circle, ring) < 0.06
titles = [f"{name} {score:.2f}" for name, score in zip(model.classes, scores[1:], strict=True)]
masks = viz.show_maps(list(mask_logits[0, 1:].sigmoid()), titles, star, high=1)
masks.caption("The masks of all six classes, with their class scores. Only the best one's is used.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Something of the star: the cross's is nearly a whole one, the triangle's has a piece of it, and
# the other three are all but empty. (All five would be empty if the masks competed.) Nothing in the
# training asked for empty masks here; they never learned anything from stars. The next section
# shows why.
# </details>
#
# ## 2. The loss: only the k-th mask
#
# The **mask loss** (section 3) of a RoI whose ground-truth class is k: take the k-th mask, compare
# each of its m² pixels with the ground-truth mask by binary cross-entropy (lesson 06), and average.
# The other masks do not contribute.
#
# **Predict:** a toy example, K = 3 and m = 2, with one RoI of class 2. Of its 4 x 4 logits
# (background included), how many get a gradient?

# %%
logits = 2 * torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))  # [R, K + 1, m, m]
logits.requires_grad_()
gt_mask, label = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]]), torch.tensor([2])


# %%
def mask_loss_by_hand(logits, label, gt_mask):
    p = 1 / (1 + torch.exp(-logits[0, label]))  # the sigmoid of mask k: [1, m, m]
    return -(gt_mask * p.log() + (1 - gt_mask) * (1 - p).log()).mean()


# %%
from inspect import getsource

from mrcnn_edu import losses

by_hand = mask_loss_by_hand(logits, label, gt_mask)
torch.testing.assert_close(by_hand, losses.mask_loss(logits, label, gt_mask))
print(getsource(losses.mask_loss))

# %% [markdown]
# The alternative: give each pixel *one* label, the object's class or background, and take a
# **softmax** over the K + 1 channels, exp(x) divided by the sum of all exp(x), as networks for
# semantic segmentation do. All classes' probabilities add up to 1 in each pixel: they compete.
# (Table 2b.)

# %%
loss_types, channels = ("sigmoid", "softmax"), ("background", "class 1", "class 2", "class 3")
gradient = {}
for loss_type in loss_types:
    loss = losses.mask_loss(logits, label, gt_mask, loss_type)
    gradient[loss_type] = torch.autograd.grad(loss, logits)[0][0]  # [K + 1, m, m]

# %%
maps = [*gradient["sigmoid"], *gradient["softmax"]]
titles = [f"{loss_type}\n{channel}" for loss_type in loss_types for channel in channels]
picture = viz.show_maps(maps, titles, signed=True, numbers=".2f", high=0.25)
picture.caption("Steps go against gradients: red (negative) logits go up, blue ones down.")

# %%
p, s = logits.sigmoid()[0, 2], logits.softmax(dim=1)[0]  # [m, m], [K + 1, m, m]
torch.testing.assert_close(gradient["sigmoid"][2], (p - gt_mask[0]) / 4)
torch.testing.assert_close(gradient["softmax"][2], (s[2] - gt_mask[0]) / 4)
torch.testing.assert_close(gradient["softmax"][1], s[1] / 4)
print("logits that learn:", {name: (g != 0).sum().item() for name, g in gradient.items()})

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# 4 of 16: the mask of class 2, and nothing else. Each pixel's gradient is p minus the ground truth,
# over 4 for the mean: if you differentiate -log p through the sigmoid, p - 1 is left, and p where
# the ground truth is 0. A softmax gives the same for each of its channels, and so with it 16 logits
# learn: an object of class 2 pushes the masks of *all other* classes down, on the object and beside
# it. So the masks must learn to tell classes apart, which the box head already does.
# </details>
#
# ## 3. What competition does
#
# `shapes-tiny-softmax` was trained exactly like `shapes-tiny`, on the same scenes, with the same
# seed and steps; only the mask loss differs. We show both models an object that is 35 % cross.
#
# **Predict:** how will the softmax's two masks, star and cross, divide the object's pixels?

# %%
models = {"sigmoid": model, "softmax": load("shapes-tiny-softmax")}
between, target = morph("star", "cross", 0.35)
logits = {name: m.predict_on_boxes(between, target["boxes"])[1] for name, m in models.items()}
p = {"sigmoid": logits["sigmoid"].sigmoid()[0], "softmax": logits["softmax"].softmax(dim=1)[0]}

# %% tags=["cover"]
labels = {"star": 4, "cross": 6}
maps = {f"{name}\n{c}": probs[label] for name, probs in p.items() for c, label in labels.items()}
picture = viz.show_maps(list(maps.values()), list(maps), between, high=1)
picture.caption("Compare the two on the left with the two on the right.")

# %%
inside = p["softmax"][0] < 0.5  # [m, m]: background is the less likely
mean = p["softmax"][:, inside].mean(dim=1)  # [K + 1]
assert mean.max() < 0.5
by_class = zip(["background", *model.classes], mean.tolist(), strict=True)
print({name: round(value, 2) for name, value in by_class if value > 0.01})

# %% [markdown]
# Now all the way from star to cross. At each step the box head predicts the class, that class's
# mask is pasted, and we measure its IoU with the ground-truth mask.

# %%
from mrcnn_edu.detections import paste_masks, predicted_masks


def predict_masks(model, image, boxes):
    class_logits, mask_logits = model.predict_on_boxes(image, boxes)
    k = class_logits[:, 1:].argmax(dim=1) + 1
    probs = predicted_masks(mask_logits, k, model.config.mask_loss)
    return paste_masks(probs, boxes, (96, 96))


# %%
iou = {name: [] for name in models}
for percent in range(0, 101, 5):
    image, target = morph("star", "cross", percent / 100)
    for name, m in models.items():
        mask, gt_mask = predict_masks(m, image, target["boxes"]), target["masks"]
        iou[name].append(((mask & gt_mask).sum() / (mask | gt_mask).sum()).item())

# %%
assert min(iou["sigmoid"]) > 0.8 and min(iou["softmax"]) < 0.6
print("worst IoU:", {name: round(min(values), 2) for name, values in iou.items()})
lines = {name: torch.tensor(values) for name, values in iou.items()}
picture = viz.show_lines(torch.arange(0, 101, 5), lines, "% cross", "IoU of the mask")
picture.caption("At 0 the object is a star, at 100 a cross.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# They divide it, pixel by pixel, and even the triangle takes a part: none of them reaches one half
# on average, though "not background" is hardly in doubt, and whichever class the box head predicts,
# its mask has holes or is gone. The sigmoid's masks do not have to share: whichever class wins, its
# mask is complete.
# </details>
#
# ## 4. And on average? Where the loss comes from
#
# One object proves nothing. We take 120 scenes that neither model has seen, and measure **AP** (100
# is perfect; lesson 11). The softmax's masks can be decoded in three ways: class k's probability
# over 0.5, k only against background, or k the largest in its pixel.


# %%
def decode_in_three_ways(logits, k):
    rows = range(len(k))
    return {
        "k over 0.5": logits.softmax(dim=1)[rows, k],
        "k against background": (logits[rows, k] - logits[:, 0]).sigmoid(),
        "k the largest": (logits.argmax(dim=1) == k[:, None, None]).float(),
    }


# %%
from dataclasses import replace

val_data, results = Shapes(120, seed=1), {}
for i in range(len(val_data)):
    trace = models["softmax"].trace([val_data[i][0]])
    d = trace.detections[0]
    for decoding, probs in decode_in_three_ways(trace.mask_logits, d.labels).items():
        masks = paste_masks(probs, d.boxes, (96, 96))
        results.setdefault(f"softmax, {decoding}", []).append(replace(d, masks=masks))

# %%
from mrcnn_edu.evaluate import detect_all, evaluate

results["sigmoid"] = detect_all(model, val_data)
ap = {name: evaluate(val_data, detections).ap for name, detections in results.items()}
print("\n".join(f"{name:30} mask AP {100 * value:3.0f}" for name, value in ap.items()))
plain, best = ap["softmax, k over 0.5"], max(ap[name] for name in results if name != "sigmoid")
assert plain <= best < ap["sigmoid"] - 0.03
lost, regained = 100 * (ap["sigmoid"] - plain), 100 * (best - plain)
print(f"{lost:.0f} points of AP lost, {regained:.0f} regained by another decoding")

# %% [markdown]
# So little is lost in the *decoding*, which could be repaired afterward; most is lost in the
# *training*. The paper's comparison (table 2b, on COCO): 30.3 with the sigmoid, 24.8 with the
# softmax. One model of each is only an example; lesson 12 repeats it with several seeds.
#
# ## 5. One mask for all classes
#
# If the classes do not compete, does a mask need a class at all? A **class-agnostic** head has one
# mask, m² values, whatever the class. `shapes-tiny-agnostic` has one, trained like the others.
#
# **Predict:** how many points of AP will it lose: about 2, about 6 as the softmax, or 20?

# %%
agnostic = load("shapes-tiny-agnostic")
ap["agnostic"] = evaluate(val_data, detect_all(agnostic, val_data)).ap
n = {m: m.mask_head.mask_fcn_logits.out_channels - 1 for m in (model, agnostic)}
print(f"mask AP {100 * ap['sigmoid']:.0f} with {n[model]} masks per RoI, ", end="")
print(f"{100 * ap['agnostic']:.0f} with {n[agnostic]}")
assert 0 < ap["sigmoid"] - ap["agnostic"] < 0.04

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# About 2 (the paper, on COCO: 29.7 against 30.3). The division of labor does the work: the box
# head decides what, the mask head outlines whatever is in the middle of the RoI.
# </details>
#
# ## 6. L = Lcls + Lbox + Lmask: which loss trains what
#
# The losses of class, box and mask are added (section 3; with the RPN's two, five; `reg` in a name
# is **regression**, the prediction of continuous values such as deltas). A part learns from a loss
# if the loss's gradient reaches it.
#
# **Predict:** does the mask loss train the RPN's head? The box head?

# %%
images, targets = zip(*(val_data[i] for i in range(4)), strict=True)
by_loss = model(list(images), list(targets), [torch.Generator().manual_seed(0)] * len(images))
names = [name.split(".")[0] for name, _ in model.named_parameters()]


def trained_by(loss):
    gradients = torch.autograd.grad(loss, model.parameters(), retain_graph=True, allow_unused=True)
    return {name for name, g in zip(names, gradients, strict=True) if g is not None}


# %%
parts, reached = list(dict.fromkeys(names)), {n: trained_by(loss) for n, loss in by_loss.items()}
table = torch.tensor([[float(part in reached[name]) for part in parts] for name in reached])
assert reached["loss_mask"] == {"backbone", "neck", "mask_head"}
viz.show_table(table, list(reached), parts, ".0f").caption("1: the loss trains the part.")

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Neither. Proposals are passed on as constants (`detach`), and the class that selects a mask in
# training is the ground truth. What they share is the features, which each of the losses improves
# for all. (And only positive RoIs, which have an IoU of 0.5 or more with an object, have a mask to
# learn: `RoITargets.positive`.)
# </details>
#
# ## Where it breaks: taking the class from the masks
#
# **Predict:** we classify each object of 60 scenes not by the box head but by its strongest mask,
# the one with the highest mean. How many are correct, with sigmoid masks and with softmax masks?


# %%
def accuracy(model, loss_type):
    """The accuracy of the class of the strongest mask, and of the box head's class."""
    correct = []
    for image, target in (val_data[i] for i in range(60)):
        class_logits, mask_logits = model.predict_on_boxes(image, target["boxes"])
        probs = mask_logits.sigmoid() if loss_type == "sigmoid" else mask_logits.softmax(dim=1)
        strength = torch.stack((probs.mean(dim=(2, 3)), class_logits))[:, :, 1:]  # [2, M, K]
        correct.append(strength.argmax(dim=2) + 1 == target["labels"])
    return torch.cat(correct, dim=1).float().mean(dim=1).tolist()


# %%
result = {name: accuracy(m, name) for name, m in models.items()}
for name, (by_mask, by_box) in result.items():
    print(f"{name}: {by_mask:.0%} correct by the strongest mask, {by_box:.0%} by the box head")
assert result["sigmoid"][0] < 0.8 and min(*result["softmax"], result["sigmoid"][1]) > 0.95

# %% [markdown]
# <details><summary><b>Answer</b></summary>
#
# Softmax masks know the class: they had to learn it. Sigmoid masks never had to, and their strength
# means nothing: more than a quarter of the class labels are wrong. That is the price of decoupling,
# and it is free, since the box head knows. But if you take a class from sigmoid masks, you read
# noise.
# </details>
#
# ## Play
#
# From star to cross. Find the percentage at which the softmax's star mask disappears. What are its
# class scores there? And do the sigmoid's masks change where *its* class scores change sides?

# %%
from mrcnn_edu.course.widgets import mask_player

mask_player(models)

# %% [markdown]
# ## Exercises
#
# Our solution, when you have tried: `print(getsource(exercises.read_masks))`.
#
# **1.** `mask_loss(logits, labels, targets)`: the loss of section 2 for R RoIs: logits
# `[R, K + 1, m, m]`, labels `[R]` from 1 to K, targets `[R, m, m]`. 2 lines.
#
# **2.** `read_masks(logits, labels)`: the masks `[D, m, m]` of bool, from logits `[D, K + 1, m, m]`
# of a sigmoid head and the predicted labels `[D]`: where the probability of the predicted class is
# over 0.5. D may be 0. 1 line.
#
# **3.** `softmax_gradient(logits, label)`: for one pixel, with logits `[K + 1]` and the
# ground-truth label, a whole number from 0 to K: the gradient `[K + 1]`, with respect to the
# logits, of -log of that label's probability, without autograd. About 3 lines.

# %%
from mrcnn_edu.course.exercises import mask_loss as exercises


def mask_loss(logits, labels, targets): ...


def read_masks(logits, labels): ...


def softmax_gradient(logits, label): ...


exercises.check_mask_loss(mask_loss)
exercises.check_read_masks(read_masks)
exercises.check_softmax_gradient(softmax_gradient)

# %% [markdown]
# ## Remember
#
# - K masks, and only the true class's learns: *where* is predicted apart from *what*.
# - With a softmax classes compete for pixels, and an object in doubt loses its mask.
# - One mask for all classes does nearly as well: the box head has classified the object already.
#
# torchvision calls this `maskrcnn_loss`, detectron2 `mask_rcnn_loss` (and `CLS_AGNOSTIC_MASK`);
# neither has the softmax. Next: **10, training**.
