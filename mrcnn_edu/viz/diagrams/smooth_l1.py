"""Smooth L1 beside L1 and L2: the losses of a box delta, and their derivatives (lesson 06)."""

import math
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from mrcnn_edu.losses import SMOOTH_L1_BETA
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK, LABEL, LIGHT, OTHER_COLORS, TITLE

COLORS = {"L2": OTHER_COLORS[0], "L1": OTHER_COLORS[1], "smooth L1": INK}
EXTENT = 3.4  # of the errors that are shown, in units of beta


def show_regression_losses(beta: float = SMOOTH_L1_BETA) -> Picture:
    """Three losses of an error x, and their derivatives: smooth L1, L1 and L2.

    Up to an error of beta, smooth L1 is x^2 / (2 beta), which is L2 here; beyond, it is
    |x| - beta / 2, parallel to L1 (Fast R-CNN, section 2.3, equation 3, where beta is 1). So its
    derivative shrinks with a small error, and stays at 1 for a large one. beta: by default 1 / 9,
    as in torchvision. Raises ValueError unless it is positive and finite.
    """
    if not 0 < beta < math.inf:
        raise ValueError(f"beta is {beta}: give a positive number")
    x = beta * torch.linspace(-EXTENT, EXTENT, 273)
    curves = regression_losses(x, beta)
    picture = Picture(9.4, 3.2)
    panels = picture.subplots(1, 2)
    for name in ("smooth L1", "L1", "L2"):  # the thick curve is below the thin ones
        style = {"color": COLORS[name], "linewidth": 4 if name == "smooth L1" else 1.3}
        for axes, y in zip(panels, curves[name], strict=True):
            axes.plot(x.numpy(), y.numpy(), label=name, **style)
    for axes, title in zip(panels, ("loss", "derivative of the loss"), strict=True):
        axes.axvspan(-beta, beta, color=LIGHT, alpha=0.6, linewidth=0, zorder=0)
        axes.set_title(title, fontsize=TITLE + 1)
        axes.set(xlim=(-EXTENT * beta, EXTENT * beta))
        axes.set_xlabel("error $x$ = predicted delta − target delta")
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(nbins=6)
    panels[0].set_ylim(0, 4 * beta)
    panels[1].set_ylim(-2.6, 2.6)
    value = Fraction(beta).limit_denominator(1000)
    style = {"fontsize": LABEL, "ha": "center", "va": "top", "color": INK}
    panels[0].text(0, 3.9 * beta, f"$|x| < \\beta$\n$\\beta$ = {value}", **style)
    ends = {"L2": (2.95, 3.8), "L1": (1.02 * EXTENT, EXTENT), "smooth L1": (1.02 * EXTENT, 2.9)}
    for name, (over, y) in ends.items():  # in units of beta
        style = {"fontsize": TITLE, "color": COLORS[name], "weight": "bold", "va": "center"}
        panels[0].text(over * beta, y * beta, name, **style)
    return picture


def regression_losses(x: Tensor, beta: float) -> dict[str, tuple[Tensor, Tensor]]:
    """The losses [n] of errors x [n] and their derivatives [n]: L2, L1 and smooth L1."""
    x = x.detach().clone().requires_grad_()
    zero = torch.zeros_like(x)
    losses = {
        "L2": x**2 / (2 * beta),
        "L1": x.abs(),
        "smooth L1": smooth_l1_loss(x, zero, reduction="none", beta=beta),
    }
    derivatives = {name: torch.autograd.grad(loss.sum(), x)[0] for name, loss in losses.items()}
    return {name: (losses[name].detach(), derivatives[name]) for name in losses}
