"""How well masks survive being stored as 28 x 28 pixels: python benchmarks/paste_masks.py

Shapes that are known exactly are cut to 28 x 28 masks and pasted back over their boxes, by
`paste_masks`, by torchvision's method and by detectron2's, and compared with the shapes' own
pixels. The exact cut (the fraction of each mask pixel that the shape covers) shows what pasting
loses; the cut of the training targets is what a model learns to predict.

Paste: torchvision rounds the box, enlarged by one mask pixel, to whole image pixels and counts the
last one as inside, so its masks are a pixel too wide. Ours and detectron2's round nothing, and
interpolate toward zeros outside the box; they give the same masks.

Cut: RoIAlign places pixel i at i, unless it is "aligned", which places its center at i + 0.5.
torchvision cuts its targets without alignment, so they are shifted half a pixel up and left, and no
paste undoes that. Scaling a mask by a factor like 5/3 with "nearest", as torchvision does, shifts
it about as far the other way: at COCO's sizes the two cancel, but not in an image that is not
scaled. Ours are cut aligned, and scaled with "nearest-exact".
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.models.detection.roi_heads import paste_masks_in_image

from mrcnn_edu.detections import paste_masks
from mrcnn_edu.images import Batch, Size, scale_targets
from mrcnn_edu.targets import mask_targets

M = 28  # height and width of a mask
POINTS = 8  # sample points of the exact cut along each side of a mask pixel
SCALE = 5 / 3  # from COCO's usual 480 x 640 to the network's 800 x 1066
MARGIN = 20  # pixels around a shape: torchvision rounds coordinates below 0 the other way

# Shapes


def circle(*radii: float, n: int) -> Tensor:
    """Corners [n, 2] at equal angles, with radii that alternate."""
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    radius = torch.tensor(radii, dtype=torch.float64).repeat(n // len(radii))[:, None]
    return radius * torch.stack((angle.cos(), angle.sin()), dim=1)


SQUARE = torch.tensor([[1.0, 1], [-1, 1], [-1, -1], [1, -1]], dtype=torch.float64)
CORNERS = {"rectangle": SQUARE, "triangle": circle(1, n=3), "star": circle(1, 0.42, n=10)}
HOLES = {"disc": 0.0, "ring": 0.55}  # radius of the hole in a disc of radius 1
KINDS = (*CORNERS, *HOLES)


@dataclass(frozen=True)
class Shape:
    """A template around 0, mapped to pixels by a matrix [2, 2] and moved to a center [2]."""

    kind: str
    matrix: Tensor  # float64, like all tensors here
    center: Tensor

    @property
    def box(self) -> Tensor:
        """The exact bounding box [4]."""
        if self.kind in HOLES:
            extent = self.matrix.norm(dim=1)  # the disc's, to each side along both axes
            return torch.cat((self.center - extent, self.center + extent))
        corners = self.center + CORNERS[self.kind] @ self.matrix.T
        return torch.cat((corners.amin(0), corners.amax(0)))

    def inside(self, x: Tensor, y: Tensor) -> Tensor:
        """Which points of the grid x [X] by y [Y], in pixels, are inside: [Y, X] bool."""
        x, y = x - self.center[0], y[:, None] - self.center[1]
        u, v = (a * x + b * y for a, b in self.matrix.inverse())  # in the template
        if self.kind in HOLES:
            squared = u**2 + v**2
            return (squared <= 1) & (squared >= HOLES[self.kind] ** 2)
        corners, inside = CORNERS[self.kind].tolist(), torch.zeros_like(u, dtype=torch.bool)
        for (u1, v1), (u2, v2) in zip(corners, corners[1:] + corners[:1], strict=True):
            if v1 != v2:  # from inside, a ray to the right crosses an odd number of edges
                edge = u1 + (u2 - u1) / (v2 - v1) * (v - v1)
                inside ^= ((v < v1) != (v < v2)) & (u < edge)
        return inside

    def pixels(self, size: Size) -> Tensor:
        """The mask [H, W] bool of the pixels whose centers are inside."""
        return self.inside(centers(0, size[1], size[1]), centers(0, size[0], size[0]))


def centers(start: float, end: float, n: int) -> Tensor:
    """The centers [n] of n equal intervals between start and end."""
    return start + (torch.arange(n, dtype=torch.float64) + 0.5) * (end - start) / n


class Condition(NamedTuple):
    """A row of the table: how large the shapes are, and how they lie in the image."""

    min_size: float  # pixels; a shape's size is the square root of its box's area
    max_size: float
    over_edge: bool = False  # 20 to 50 % of the box is outside the image
    whole_box: bool = False  # the box is the one around the pixels, not the exact one

    def __str__(self) -> str:
        name = f"{self.min_size}-{self.max_size}"
        return name + ", over edge" * self.over_edge + ", whole box" * self.whole_box


CONDITIONS = (
    Condition(8, 32),
    Condition(32, 96),
    Condition(96, 400),
    Condition(8, 32, whole_box=True),
    Condition(8, 96, over_edge=True),
)


class Example(NamedTuple):
    """A shape, its pixels and its box."""

    shape: Shape
    mask: Tensor  # [H, W] bool
    box: Tensor  # [4]


def random_example(condition: Condition, kind: str, generator: torch.Generator) -> Example:
    """A shape of this kind, rotated and stretched at random."""
    turn, *squash, size, x, y, outside = torch.rand(7, generator=generator, dtype=torch.float64)
    cos, sin = (2 * math.pi * turn).cos(), (2 * math.pi * turn).sin()
    matrix = torch.stack((cos, -sin, sin, cos)).view(2, 2) * (0.5 + 0.5 * torch.stack(squash))
    shape = Shape(kind, matrix, torch.zeros(2))
    size = condition.min_size * (condition.max_size / condition.min_size) ** size
    shape = replace(shape, matrix=matrix * size / (shape.box[2:] - shape.box[:2]).prod().sqrt())

    extent = shape.box[2:] - shape.box[:2]
    image = extent.ceil() + 2 * MARGIN  # width and height
    corner = MARGIN + torch.stack((x, y))  # at any fraction of a pixel
    if condition.over_edge:
        axis, far = torch.randint(2, (2,), generator=generator).tolist()
        outside = (0.2 + 0.3 * outside) * extent[axis]
        corner[axis] = image[axis] - extent[axis] + outside if far else -outside
    shape = replace(shape, center=corner - shape.box[:2])
    mask = shape.pixels((int(image[1]), int(image[0])))
    return Example(shape, mask, mask_to_box(mask) if condition.whole_box else shape.box.float())


def mask_to_box(mask: Tensor) -> Tensor:
    """The box [4], in whole pixels, around a mask [H, W] bool."""
    y, x = torch.where(mask)
    return torch.stack((x.min(), y.min(), x.max() + 1, y.max() + 1)).float()


# Ways to cut: from an example to the mask [M, M], 0..1, of its box


def exact_cut(example: Example) -> Tensor:
    """The fraction of each mask pixel that the shape covers."""
    x1, y1, x2, y2 = example.box.tolist()
    points = example.shape.inside(centers(x1, x2, M * POINTS), centers(y1, y2, M * POINTS))
    return points.float().view(M, POINTS, M, POINTS).mean(dim=(1, 3))


def training_cut(example: Example, aligned: bool = True) -> Tensor:
    """The mask head's target in an image that is not scaled."""
    first = torch.zeros(1, dtype=torch.long)
    return mask_targets([example.mask[None]], [example.box[None]], [first], M, aligned)[0]


def scaled_training_cut(example: Example) -> Tensor:
    """The mask head's target in an image that is scaled for the network."""
    original = tuple(example.mask.shape)
    size = tuple(int(SCALE * pixels) for pixels in original)
    batch = Batch(example.mask, [size], [original])
    target = {"boxes": example.box[None], "labels": torch.ones(1), "masks": example.mask[None]}
    (target,) = scale_targets([target], batch)
    return training_cut(Example(example.shape, target["masks"][0], target["boxes"][0]))


def unaligned_cut(example: Example) -> Tensor:
    """torchvision's target in an image that is not scaled."""
    return training_cut(example, aligned=False)


CUTS = {
    "exact": exact_cut,
    "training": training_cut,
    "training, scaled": scaled_training_cut,
    "not aligned": unaligned_cut,
}

# Ways to paste: masks [D, H, W] bool from probabilities [D, M, M] and boxes [D, 4]

Paste = Callable[[Tensor, Tensor, Size], Tensor]


def torchvision_paste(mask_probs: Tensor, boxes: Tensor, size: Size) -> Tensor:
    """torchvision's method, with the threshold of its examples."""
    return paste_masks_in_image(mask_probs[:, None], boxes, size)[:, 0] > 0.5


def detectron2_paste(mask_probs: Tensor, boxes: Tensor, size: Size) -> Tensor:
    """Every image pixel reads the mask bilinearly at its center; outside the mask are zeros."""

    def in_mask(start: Tensor, end: Tensor, length: int) -> Tensor:  # [D, length], -1..1 in the box
        pixel = centers(0, length, length).to(boxes.dtype)
        return 2 * (pixel - start[:, None]) / (end - start)[:, None] - 1

    x = in_mask(boxes[:, 0], boxes[:, 2], size[1])[:, None, :]
    y = in_mask(boxes[:, 1], boxes[:, 3], size[0])[:, :, None]
    points = torch.stack(torch.broadcast_tensors(x, y), dim=-1)  # [D, H, W, 2]
    return grid_sample(mask_probs[:, None], points, align_corners=False)[:, 0] >= 0.5


PASTES = {"ours": paste_masks, "torchvision": torchvision_paste, "detectron2": detectron2_paste}

# Measurements


class Result(NamedTuple):
    """How well a mask survived."""

    iou: float  # with the exact mask
    offset: float  # pixels from the exact centroid to the pasted one, right and down; mean of both


def compare(pasted: Tensor, mask: Tensor) -> Result:
    """The result for a pasted mask and the exact one, both [H, W] bool."""
    iou = (pasted & mask).sum() / (pasted | mask).sum()
    offset = pasted.nonzero().double().mean(0) - mask.nonzero().double().mean(0)
    return Result(iou.item(), offset.mean().item())


def measure(condition: Condition, n: int, cuts: tuple[str, ...] = tuple(CUTS)) -> dict:
    """The mean `Result` of n random shapes, for each pair of names (cut, paste)."""
    generator = torch.Generator().manual_seed(0)
    results = {(cut, paste): [] for cut in cuts for paste in PASTES}
    for i in range(n):
        example = random_example(condition, KINDS[i % len(KINDS)], generator)
        for cut in cuts:
            probs = CUTS[cut](example)[None]
            for paste in PASTES:
                (pasted,) = PASTES[paste](probs, example.box[None], tuple(example.mask.shape))
                results[cut, paste].append(compare(pasted, example.mask))
    return {key: Result(*torch.tensor(rows).mean(0).tolist()) for key, rows in results.items()}


def milliseconds(paste: Paste, n: int = 100, size: Size = (800, 1200), runs: int = 3) -> float:
    """The median time to paste n masks over boxes with sides of 8 to 400 pixels."""
    generator = torch.Generator().manual_seed(0)
    extent = 8 * 50 ** torch.rand(n, 2, generator=generator)
    corner = torch.rand(n, 2, generator=generator) * (torch.tensor(size[::-1]) - extent)
    boxes = torch.cat((corner, corner + extent), dim=1)
    probs = torch.rand(n, M, M, generator=generator)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        paste(probs, boxes, size)
        seconds.append(time.perf_counter() - start)
    return 1000 * median(seconds)


def table(title: str, rows: dict[Condition, dict], show: Callable[[Result], str]) -> str:
    """A line for each condition, with three numbers for each cut."""
    lines = [
        f"{title:20}" + "".join(f"{cut:>18}  " for cut in CUTS),
        " " * 20 + f"{'ours':>6}{'tv':>6}{'d2':>6}  " * len(CUTS),
    ]
    for condition, results in rows.items():
        cells = [[f"{show(results[cut, paste]):>6}" for paste in PASTES] for cut in CUTS]
        lines.append(f"{condition!s:20}" + "  ".join("".join(pastes) for pastes in cells))
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    torch.set_num_threads(1)
    rows = {c: measure(c, 40 if c.max_size > 96 else 100) for c in CONDITIONS}
    print(
        "Columns: the cut, and for each cut the paste: ours, tv (torchvision's), d2 (detectron2's)"
    )
    print("Rows: the size of the objects in pixels\n")
    print(table("mean IoU, %", rows, lambda result: f"{100 * result.iou:.1f}"), end="\n\n")
    print(table("offset, pixels", rows, lambda result: f"{result.offset:+.2f}"), end="\n\n")
    print(__doc__.split("\n\n", maxsplit=2)[2])
    times = (f"{name} {milliseconds(paste):.0f} ms" for name, paste in PASTES.items())
    print("100 masks in 800 x 1200 pixels, one thread:", ", ".join(times))


if __name__ == "__main__":
    main()
