"""Intersection over union (IoU) as a fraction of two drawings (lesson 02)."""

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mrcnn_edu.boxes import box_area, box_intersection, box_iou
from mrcnn_edu.viz.diagrams.shapes import write
from mrcnn_edu.viz.diagrams.sheet import as_boxes, sheet
from mrcnn_edu.viz.picture import Picture
from mrcnn_edu.viz.style import INK, LEVELS, ROLES, TITLE

AREA = LEVELS[1]  # the fill of the area that is counted
LARGE = 15  # the size of the equation, in points
BAR = 1.3  # where the bar of the fraction is


def show_iou(a: Tensor, b: Tensor, roles: tuple[str, str] = ("proposal", "gt")) -> Picture:
    """The IoU of two boxes a and b [4] as a fraction of two drawings: intersection over union.

    From left to right: the boxes, A and B; the definition (PASCAL VOC, Everingham et al. 2010,
    section 4.2); both areas, filled; their sizes in square pixels; and the value. roles: whose
    colors the boxes have. Raises ValueError unless each is one box with x2 >= x1 and y2 >= y1.
    """
    pair = torch.cat((as_boxes(a, "a", 1), as_boxes(b, "b", 1)))
    common = box_intersection(pair[:1], pair[1:]).item()
    union = box_area(pair).sum().item() - common
    if union == 0:
        raise ValueError("neither a nor b has an area: give boxes with x2 > x1 and y2 > y1")
    iou = box_iou(pair[:1], pair[1:]).item()

    picture, axes = sheet(9.2, 2.6)
    placed = fitted(pair, (0.1, 0.45, 2.1, 2.15))
    draw_pair(axes, placed, roles, width=2)
    (x1, y1, _, _), (_, _, x2, y2) = placed.tolist()
    corners = (x1, y1 - 0.06, "left", "bottom"), (x2, y2 + 0.06, "right", "top")
    for (x, y, ha, va), name, role in zip(corners, "AB", roles, strict=True):
        color = ROLES.get(role, role)
        write(axes, x, y, name, TITLE + 1, ha=ha, va=va, color=color, weight="bold")
    write(axes, 3.6, BAR, r"$\mathrm{IoU}(A,\,B)\;=\;\dfrac{|A\cap B|}{|A\cup B|}\;=$", LARGE)
    axes.plot([5.1, 6.7], [BAR, BAR], color=INK, linewidth=1.2)
    for slot, filled in (
        ((5.2, 0.1, 6.6, BAR - 0.17), "common"),
        ((5.2, BAR + 0.17, 6.6, 2.5), "union"),
    ):
        draw_pair(axes, fitted(pair, slot), roles, 1.2, **{filled: AREA})
    write(axes, 7.5, BAR, rf"$=\;\dfrac{{{number(common)}}}{{{number(union)}}}\;=$", LARGE)
    write(axes, 8.6, BAR, f"{iou:.2f}", LARGE, weight="bold")
    return picture


def fitted(pair: Tensor, slot: tuple[float, float, float, float]) -> Tensor:
    """Two boxes [2, 4], moved and scaled so that they fill as much of a slot as they can."""
    x1, y1, x2, y2 = slot
    low, high = pair[:, :2].amin(dim=0), pair[:, 2:].amax(dim=0)
    extent = (high - low).clamp(min=1e-6)
    scale = min((x2 - x1) / extent[0].item(), (y2 - y1) / extent[1].item())
    middle = pair.new_tensor([(x1 + x2) / 2, (y1 + y2) / 2])
    return (pair - ((low + high) / 2).repeat(2)) * scale + middle.repeat(2)


def draw_pair(
    axes: Axes,
    pair: Tensor,
    roles: tuple[str, str],
    width: float,
    common: str = "",
    union: str = "",
) -> None:
    """Draw two boxes [2, 4]; common, union: the colors that fill their intersection and union."""
    shared = torch.cat((pair[:, :2].amax(dim=0), pair[:, 2:].amin(dim=0))).tolist()
    layers = [(box, {"color": union, "linewidth": 0}) for box in pair.tolist() if union]
    layers += [(shared, {"color": common, "linewidth": 0})] if common else []
    for box, role in zip(pair.tolist(), roles, strict=True):
        layers.append(
            (box, {"fill": False, "edgecolor": ROLES.get(role, role), "linewidth": width})
        )
    for (x1, y1, x2, y2), style in layers:
        if x2 >= x1 and y2 >= y1:  # disjoint boxes share nothing
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))


def number(area: float) -> str:
    """An area as it is typeset: whole from 100 on, as few have more than four digits."""
    return f"{area:,.0f}".replace(",", "{,}") if area >= 100 else f"{area:.4g}"
