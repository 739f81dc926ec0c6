"""The operators of gpu.py: copies, RoIAlign, NMS and pasting masks, compared with torchvision."""

import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from unittest.mock import patch

import torch
import versus_torchvision as versus
from gpu_measure import Case, Sizes, autocast, medians, milliseconds, peaks, with_ratio
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import MultiScaleRoIAlign

from mrcnn_edu.detections import paste_masks
from mrcnn_edu.roi_ops import align_rois, feature_table, pool_pyramid

STRIDES = versus.STRIDES
DTYPES = "float32", "bfloat16"
ROI_ALIGN = sys.modules["mrcnn_edu.roi_ops.roi_align"]  # the module, not the function of its name


def copy(sizes: Sizes) -> Iterator[Case]:
    """The memory bandwidth of the card."""
    yield Case("a copy, read and written", lambda: {"GB/s": bytes_per_second(sizes) / 1e9}, {})


@cache
def bytes_per_second(sizes: Sizes) -> float:
    """Bytes that a large copy reads and writes per second, in the best of 20 runs."""
    values = torch.zeros(sizes.n_bytes_copied, dtype=torch.uint8, device=sizes.device).random_()
    shortest = min(milliseconds(values.clone, sizes.device) for _ in range(20))
    return 2000 * sizes.n_bytes_copied / shortest


def roi_align(sizes: Sizes) -> Iterator[Case]:
    """RoIAlign on a pyramid, without and with its gradient."""
    choices = product((False, True), sizes.roi_batches, sizes.roi_output_sizes, DTYPES)
    for backward, n, size, dtype in choices:
        goals = {"ratio": ("at most", 0.6)}
        if not backward:
            goals = {"ratio": ("at most", 0.5), "of a copy": ("at least", 0.5)}
        work = f"{n} x {sizes.n_rois} RoIs {size} x {size}, {dtype}{', and backward' * backward}"
        yield Case(work, partial(_align, sizes, n, size, dtype, backward), goals)
    for dtype in DTYPES:
        n, size = sizes.roi_batches[-1], sizes.roi_output_sizes[0]
        work = f"{n} x {sizes.n_rois} RoIs {size} x {size}, {dtype}, backward in two orders"
        yield Case(work, partial(_orders, sizes, n, size, dtype), {})


class Pyramid:
    """Random feature maps of n images, boxes as large as proposals, and RoIAlign by both."""

    def __init__(self, sizes: Sizes, n: int, output_size: int, dtype: str, backward: bool):
        self.sizes, self.n, self.output_size, self.dtype = sizes, n, output_size, dtype
        height, width = self.padded = tuple(-(-pixels // 32) * 32 for pixels in sizes.image)
        torch.manual_seed(0)
        # Each reads the layout that it prefers: ours channels-last, torchvision's contiguous.
        self.theirs = [
            torch.randn(
                (n, sizes.channels, height // stride, width // stride),
                dtype=getattr(torch, dtype),
                device=sizes.device,
            )
            for stride in STRIDES
        ]
        self.ours = [level.to(memory_format=torch.channels_last) for level in self.theirs]
        for level in (*self.theirs, *self.ours):
            level.requires_grad_(backward)
        corner = torch.tensor([width, height])
        boxes = (versus.random_boxes(sizes.n_rois, 16, 600, corner) for _ in range(n))
        self.boxes = [image_boxes.to(sizes.device) for image_boxes in boxes]
        self.pool = MultiScaleRoIAlign(list("0123"), output_size=output_size, sampling_ratio=2)

    def align(self) -> Tensor:
        return self._align(self.ours)

    def align_contiguous(self) -> Tensor:
        return self._align(self.theirs)

    def _align(self, maps: list[Tensor]) -> Tensor:
        return pool_pyramid(feature_table(maps), self.boxes, STRIDES, self.output_size, align_rois)

    def align_by_torchvision(self) -> Tensor:
        by_name = {str(i): level for i, level in enumerate(self.theirs)}
        with autocast(self.dtype, self.sizes.device):  # its operator does not support bfloat16
            return self.pool(by_name, self.boxes, [self.padded] * self.n)

    def min_bytes(self, backward: bool) -> int:
        """The fewest bytes to move: used positions are read once, and the output is written.

        The backward pass reads the output's gradient and writes that of every position.
        """
        one_channel = [torch.zeros_like(level[:, :1], requires_grad=True) for level in self.ours]
        pooled = self._align(one_channel)
        gradients = torch.autograd.grad(pooled.sum(), one_channel)
        rows = sum(int((gradient != 0).sum()) for gradient in gradients) + pooled.numel()
        if backward:
            rows += pooled.numel() + sum(level.numel() for level in one_channel)
        return rows * self.sizes.channels * self.ours[0].element_size()


def with_embedding_bag(run: Callable) -> Callable:
    """The run with PyTorch's embedding bag instead of the Triton kernel."""
    return patch.object(ROI_ALIGN, "use_triton", lambda *_: False)(run)


def _align(sizes: Sizes, n: int, output_size: int, dtype: str, backward: bool) -> dict:
    pyramid = Pyramid(sizes, n, output_size, dtype, backward)
    forward = {
        "ours": (pyramid.align, pyramid.ours),
        "torchvision": (pyramid.align_by_torchvision, pyramid.theirs),
        "from its layout": (pyramid.align_contiguous, pyramid.theirs),
    }
    if sizes.device == "cuda":  # on a CPU ours is the embedding bag
        forward["embedding bag"] = with_embedding_bag(pyramid.align), pyramid.ours
    ours = pyramid.align().detach().float()
    theirs = pyramid.align_by_torchvision().detach().float()
    difference = float((ours - theirs).norm() / theirs.norm())
    del ours, theirs
    runs = {name: versus.with_backward(run, maps) for name, (run, maps) in forward.items()}
    values = with_ratio(medians(runs, sizes)) | peaks(runs, sizes)
    min_bytes = pyramid.min_bytes(backward)
    speed = 1000 * min_bytes / values["ours, ms"]
    values |= {"floor, MB": min_bytes / 1e6, "GB/s": speed / 1e9}
    return values | {"of a copy": speed / bytes_per_second(sizes), "difference": difference}


def _orders(sizes: Sizes, n: int, output_size: int, dtype: str) -> dict:
    """The two gradients: summed in any order (on a GPU), and in a fixed one."""
    pyramid = Pyramid(sizes, n, output_size, dtype, backward=True)

    def gradients() -> tuple[Tensor, ...]:
        pooled = pyramid.align()
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
    """Non-maximum suppression in one group, in the five levels of a pyramid, and in 90 classes."""
    for n_groups, n in product((1, 5, 90), sizes.n_boxes):
        groups = f" in {n_groups} groups" if n_groups > 1 else ""
        yield Case(f"{n:,} boxes{groups}", partial(_nms, sizes, n, n_groups), {})


def _nms(sizes: Sizes, n: int, n_groups: int) -> dict:
    ours, theirs = versus.nms_pair(n, n_groups)(sizes.device)
    runs = {"ours": ours, "torchvision": theirs}
    return with_ratio(medians(runs, sizes)) | peaks(runs, sizes)


def paste(sizes: Sizes) -> Iterator[Case]:
    """Pasting masks into an image."""
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
    return with_ratio(medians(runs, sizes)) | peaks(runs, sizes)
