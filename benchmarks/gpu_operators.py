"""The operators of gpu.py: copying, RoIAlign, NMS and pasting masks, beside torchvision's."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from unittest.mock import patch

import torch
import versus_torchvision as versus
from gpu_measure import Case, Sizes, autocast, beside, medians, milliseconds, peaks
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import MultiScaleRoIAlign

from mrcnn_edu import roi_ops
from mrcnn_edu.detections import paste_masks
from mrcnn_edu.roi_ops import feature_table, pool_pyramid

STRIDES = versus.STRIDES
DTYPES = "float32", "bfloat16"


def copy(sizes: Sizes) -> Iterator[Case]:
    """How fast the card's memory is."""
    yield Case("a copy, read and written", lambda: {"GB/s": bytes_per_second(sizes) / 1e9}, {})


@cache
def bytes_per_second(sizes: Sizes) -> float:
    """Bytes that a large copy reads and writes in a second, at its best."""
    values = torch.zeros(sizes.copied, dtype=torch.uint8, device=sizes.device).random_()
    return 2000 * sizes.copied / min(milliseconds(values.clone, sizes.device) for _ in range(20))


def roi_align(sizes: Sizes) -> Iterator[Case]:
    """RoIAlign of a pyramid, and its gradient."""
    kinds = (False, True), sizes.roi_batches, sizes.roi_sides, DTYPES
    for backward, n, side, dtype in product(*kinds):
        goals = {"ratio": ("at most", 0.6)}
        if not backward:
            goals = {"ratio": ("at most", 0.5), "of a copy": ("at least", 0.5)}
        work = f"{n} x {sizes.n_rois} RoIs {side} x {side}, {dtype}{', and back' * backward}"
        yield Case(work, partial(_align, sizes, n, side, dtype, backward), goals)
    for dtype in DTYPES:
        n, side = sizes.roi_batches[-1], sizes.roi_sides[0]
        work = f"{n} x {sizes.n_rois} RoIs {side} x {side}, {dtype}, back in two orders"
        yield Case(work, partial(_orders, sizes, n, side, dtype), {})


class Pyramid:
    """Maps of random numbers, boxes of proposals' sizes, and RoIAlign of them by both."""

    def __init__(self, sizes: Sizes, n: int, side: int, dtype: str, backward: bool):
        self.sizes, self.n, self.side, self.dtype = sizes, n, side, dtype
        height, width = self.padded = tuple(-(-pixels // 32) * 32 for pixels in sizes.image)
        numbers = {"dtype": getattr(torch, dtype), "device": sizes.device}
        torch.manual_seed(0)
        # Each reads its own layout: ours all channels of a cell together, torchvision's each alone.
        self.theirs = [
            torch.randn(n, sizes.channels, height // s, width // s, **numbers) for s in STRIDES
        ]
        self.ours = [level.to(memory_format=torch.channels_last) for level in self.theirs]
        for level in (*self.theirs, *self.ours):
            level.requires_grad_(backward)
        corner = torch.tensor([width, height])
        boxes = (versus.random_boxes(sizes.n_rois, 16, 600, corner) for _ in range(n))
        self.boxes = [of_image.to(sizes.device) for of_image in boxes]
        self.pool = MultiScaleRoIAlign(list("0123"), output_size=side, sampling_ratio=2)

    def by_us(self) -> Tensor:
        return pool_pyramid(feature_table(self.ours), self.boxes, STRIDES, self.side)

    def by_us_from_theirs(self) -> Tensor:
        return pool_pyramid(feature_table(self.theirs), self.boxes, STRIDES, self.side)

    def by_torchvision(self) -> Tensor:
        by_name = {str(i): level for i, level in enumerate(self.theirs)}
        with autocast(self.dtype, self.sizes.device):  # it has no bfloat16 of its own
            return self.pool(by_name, self.boxes, [self.padded] * self.n)

    def floor(self, backward: bool) -> int:
        """The fewest bytes: cells that are used read, the output written; and the same back.

        Backwards the output's gradient is read, and that of all cells, used or not, written.
        """
        alone = [torch.zeros_like(level[:, :1], requires_grad=True) for level in self.ours]
        pooled = pool_pyramid(feature_table(alone), self.boxes, STRIDES, self.side)
        used = torch.autograd.grad(pooled.sum(), alone)
        rows = sum(int((gradient != 0).sum()) for gradient in used) + pooled.numel()
        if backward:
            rows += pooled.numel() + sum(level.numel() for level in alone)
        return rows * self.sizes.channels * self.ours[0].element_size()


def in_a_bag(run: Callable) -> Callable:
    """The run with PyTorch's embedding bag instead of the kernel."""
    return patch.object(roi_ops.bilinear, "use_triton", lambda *_: False)(run)


def _align(sizes: Sizes, n: int, side: int, dtype: str, backward: bool) -> dict:
    pyramid = Pyramid(sizes, n, side, dtype, backward)
    forward = {
        "ours": (pyramid.by_us, pyramid.ours),
        "torchvision": (pyramid.by_torchvision, pyramid.theirs),
        "from its layout": (pyramid.by_us_from_theirs, pyramid.theirs),
    }
    if sizes.device == "cuda":  # else the bag is ours
        forward["embedding bag"] = in_a_bag(pyramid.by_us), pyramid.ours
    ours, theirs = pyramid.by_us().detach().float(), pyramid.by_torchvision().detach().float()
    difference = float((ours - theirs).norm() / theirs.norm())
    del ours, theirs
    runs = {name: versus.and_back(run, maps) for name, (run, maps) in forward.items()}
    values = beside(medians(runs, sizes)) | peaks(runs, sizes)
    floor = pyramid.floor(backward)
    speed = 1000 * floor / values["ours, ms"]
    values |= {"floor, MB": floor / 1e6, "GB/s": speed / 1e9}
    return values | {"of a copy": speed / bytes_per_second(sizes), "difference": difference}


def _orders(sizes: Sizes, n: int, side: int, dtype: str) -> dict:
    """The two gradients: added up in any order (on a GPU), and in a fixed one."""
    pyramid = Pyramid(sizes, n, side, dtype, backward=True)

    def gradients() -> tuple[Tensor, ...]:
        pooled = pyramid.by_us()
        return torch.autograd.grad(pooled, pyramid.ours, torch.ones_like(pooled))

    def in_order() -> tuple[Tensor, ...]:
        torch.use_deterministic_algorithms(True)
        try:
            return gradients()
        finally:
            torch.use_deterministic_algorithms(False)

    runs = {"fixed order": in_order}
    if sizes.device == "cuda":
        runs["any order"] = gradients
    values = medians(runs, sizes) | peaks(runs, sizes)
    for name, run in runs.items():
        values[f"{name}, same bits"] = all(map(torch.equal, run(), run()))
    return values


def nms(sizes: Sizes) -> Iterator[Case]:
    """Non-maximum suppression of one group, of a pyramid's five levels, and of 90 classes."""
    for n_groups, n in product((1, 5, 90), sizes.n_boxes):
        groups = f" in {n_groups} groups" if n_groups > 1 else ""
        yield Case(f"{n:,} boxes{groups}", partial(_suppress, sizes, n, n_groups), {})


def _suppress(sizes: Sizes, n: int, n_groups: int) -> dict:
    ours, theirs = versus.suppress(n, n_groups)(sizes.device)
    runs = {"ours": ours, "torchvision": theirs}
    return beside(medians(runs, sizes)) | peaks(runs, sizes)


def paste(sizes: Sizes) -> Iterator[Case]:
    """Masks pasted into an image."""
    height, width = sizes.image
    work = f"{sizes.n_masks} masks at {height} x {width}"
    yield Case(work, partial(_paste, sizes), {"ours, ms": ("at most", 2)})


def _paste(sizes: Sizes) -> dict:
    size = torch.tensor(sizes.image[::-1])
    boxes = versus.random_boxes(sizes.n_masks, 16, 600, size).to(sizes.device)
    probs = torch.rand(sizes.n_masks, 28, 28, device=sizes.device)
    runs = {
        "ours": lambda: paste_masks(probs, boxes, sizes.image),
        "torchvision": lambda: paste_masks_in_image(probs[:, None], boxes, sizes.image),
    }
    return beside(medians(runs, sizes)) | peaks(runs, sizes)
