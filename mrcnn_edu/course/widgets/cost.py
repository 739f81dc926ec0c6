"""Lesson 17, what each part costs: its widget."""

from collections.abc import Mapping

from ipywidgets import FloatLogSlider, IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.viz import Picture
from mrcnn_edu.viz.style import LABEL, LIGHT, TITLE

LEAST, MOST = 1, 100_000  # ends of the axis, in billions of multiply-adds


def cost_player(cost: Mapping[str, float]) -> Player:
    """Multiply-adds of each generation, for more or fewer proposals and detections.

    cost: multiply-adds of one pass over the "image" and over a "crop", of the "RPN", and of the
    "box head" and the "mask head" for one region.
    """
    giga = {name: n / 1e9 for name, n in cost.items()}

    def draw(proposals: float, detections: int) -> Picture:
        n = round(proposals)
        shared = giga["image"] + n * giga["box head"]
        totals = {
            "R-CNN": n * (giga["crop"] + giga["box head"]),
            "Fast R-CNN": shared,
            "Faster R-CNN": shared + giga["RPN"],
            "Mask R-CNN": shared + giga["RPN"] + min(n, detections) * giga["mask head"],
        }
        picture = Picture(7, 2.4)
        axes = picture.subplots()
        for row, total in enumerate(totals.values()):
            axes.plot(total, row, "o", color=viz.INK, markersize=8)
            axes.annotate(
                f"{total:,.0f}", (total, row), (9, 0), textcoords="offset points", va="center",
                fontsize=LABEL, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        axes.set_title(f"{n:,} proposals, at most {detections} masks", fontsize=TITLE)
        axes.set_yticks(range(len(totals)), list(totals))
        axes.set(xscale="log", xlim=(LEAST, MOST), ylim=(len(totals) - 0.5, -0.5))
        axes.set_xlabel("billions of multiply-adds (a step to the right is ten times as many)")
        axes.set_xticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
        axes.minorticks_off()
        axes.grid(color=LIGHT, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        proposals=FloatLogSlider(1000, base=10, min=0, max=3.3, step=0.1),
        detections=IntSlider(100, 0, 100, 5),
    )
