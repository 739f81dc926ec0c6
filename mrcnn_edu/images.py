"""Images and targets as the network sees them: normalized, resized, padded to one batch.

Letters: B images, C channels, H and W in pixels, M objects.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Size = tuple[int, int]  # (height, width) in pixels


@dataclass
class Batch:
    """Images of any sizes in one tensor, each in the upper left corner, padded with zeros."""

    images: Tensor  # [B, C, H, W]
    sizes: list[Size]  # of each image after resizing, without the padding
    original_sizes: list[Size]


def make_batch(
    images: list[Tensor],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    short_sides: list[int],
    long_side: int,
    multiple: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """The batch of images, a list of [C, H, W] in 0..1.

    Each is normalized by mean and std, then resized so that its shorter side is its entry of
    `short_sides`, or its longer side `long_side` if that makes it smaller (section 3.1). The batch
    is as large as the largest image, rounded up to a `multiple`.
    """
    mean_, std_ = (torch.tensor(values, device=device)[:, None, None] for values in (mean, std))
    resized = []
    for image, short_side in zip(images, short_sides, strict=True):
        image = (image.to(device) - mean_) / std_
        size = scaled_size(size_of(image), short_side, long_side)
        image = interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
        resized.append(image)
    sizes = [size_of(image) for image in resized]
    height, width = (-(-max(side) // multiple) * multiple for side in zip(*sizes, strict=True))
    batch = torch.zeros(len(images), len(mean), height, width, device=device, dtype=dtype)
    for i, (image, (h, w)) in enumerate(zip(resized, sizes, strict=True)):
        batch[i, :, :h, :w] = image  # image by image, so that a gradient can pass
    return Batch(batch, sizes, [size_of(image) for image in images])


def size_of(image: Tensor) -> Size:
    """(height, width) of an image or of masks [..., H, W]."""
    return image.shape[-2], image.shape[-1]


def scaled_size(size: Size, short_side: int, long_side: int) -> Size:
    """The size with its shorter side `short_side`, or its longer one `long_side` if smaller."""
    factor = min(short_side / min(size), long_side / max(size))
    return max(1, int(size[0] * factor)), max(1, int(size[1] * factor))


def scale_boxes(boxes: Tensor, size: Size, new_size: Size) -> Tensor:
    """Boxes [N, 4] of an image of one size, in pixels of the same image resized to another."""
    x, y = new_size[1] / size[1], new_size[0] / size[0]
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack((x * x1, y * y1, x * x2, y * y2), dim=1)


def is_crowd(target: dict) -> Tensor:
    """Which of a target's objects [M] are crowd regions, many objects in one outline: [M] bool."""
    return target["iscrowd"] > 0 if "iscrowd" in target else torch.zeros(len(target["labels"])) > 0


def scale_targets(targets: list[dict], batch: Batch, with_masks: bool = True) -> list[dict]:
    """Each image's boxes, labels and masks in pixels of the batch, without crowd regions.

    A crowd region outlines many objects at once: there is no single object to learn.
    """
    scaled, device = [], batch.images.device
    for target, size, original in zip(targets, batch.sizes, batch.original_sizes, strict=True):
        single = ~is_crowd(target)
        objects = {name: target[name][single].to(device) for name in ("boxes", "labels")}
        objects["boxes"] = scale_boxes(objects["boxes"], original, size)
        if with_masks:
            objects["masks"] = resize_masks(target["masks"], single, size, device)
        scaled.append(objects)
    return scaled


def resize_masks(masks: Any, kept: Tensor, size: Size, device: torch.device) -> Tensor:
    """The masks [M, H, W] where kept [M] is true, at another size. They may be `RLEMasks`."""
    if not isinstance(masks, Tensor):
        return masks.resized(kept, size).to(device)
    masks = masks[kept].to(device)
    if size_of(masks) == size:
        return masks
    # torchvision's "nearest" would shift a mask by up to half a pixel.
    return interpolate(masks[:, None].byte(), size=size, mode="nearest-exact")[:, 0].bool()
