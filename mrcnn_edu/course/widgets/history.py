"""Lesson 03, from R-CNN to Mask R-CNN: its widget."""

from collections.abc import Mapping

from ipywidgets import FloatLogSlider, IntSlider

from mrcnn_edu import viz
from mrcnn_edu.course.widgets.player import Player
from mrcnn_edu.viz import Picture


def history_player(cost: Mapping[str, float]) -> Player:
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
        picture = Picture(7, 2.6)
        axes = picture.subplots()
        colors = [viz.GRAY, viz.GRAY, viz.GRAY, viz.HIGHLIGHT]
        bars = axes.barh(list(totals), list(totals.values()), color=colors)
        axes.bar_label(bars, [f"{total:,.0f}" for total in totals.values()], padding=3, fontsize=9)
        title = f"billions of multiply-adds: {n:,} proposals, up to {detections} masks"
        axes.set_title(title, fontsize=10)
        axes.set_xscale("log")
        axes.set_xlim(1, 1e5)
        axes.set_xticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
        axes.minorticks_off()
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        return picture

    return Player(
        draw,
        proposals=FloatLogSlider(1000, base=10, min=0, max=3.3, step=0.1),
        detections=IntSlider(100, 0, 100, 5),
    )
