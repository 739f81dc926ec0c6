"""Anchors: the fixed boxes, in every place, size and shape, that the RPN starts from.

Letters: A anchors (in all), k anchors at one place = sizes x ratios, H and W of a feature map.
"""

import torch
from torch import Tensor

from mrcnn_edu.stops import upload


def base_anchors(sizes: tuple[float, ...], ratios: tuple[float, ...]) -> Tensor:
    """Boxes [k, 4] centred on (0, 0), k = ratios x sizes, rounded to whole pixels.

    A size is the square root of the area in pixels; a ratio is height / width. The rounding is
    torchvision's, kept so that its weights find the anchors they were trained with.
    """
    height_factor = torch.tensor(ratios, dtype=torch.float32).sqrt()
    width_factor = 1 / height_factor
    sizes = torch.tensor(sizes, dtype=torch.float32)
    width = (width_factor[:, None] * sizes).flatten()  # [ratios, sizes] -> [k]
    height = (height_factor[:, None] * sizes).flatten()
    return (torch.stack((-width, -height, width, height), dim=1) / 2).round()


def level_anchors(base: Tensor, grid: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Anchors [H * W * k, 4]: base [k, 4] moved to every cell of a grid (H, W).

    Row by row, cell by cell, all k anchors of a cell together. `stride` is the distance (y, x)
    between cells in image pixels; the anchor of cell (0, 0) is centred on pixel corner (0, 0).
    """
    height, width = grid
    y = torch.arange(height, device=base.device) * stride[0]
    x = torch.arange(width, device=base.device) * stride[1]
    y, x = torch.meshgrid(y, x, indexing="ij")
    shifts = torch.stack((x, y, x, y), dim=-1)  # [H, W, 4]
    return (shifts[:, :, None] + base).reshape(-1, 4)  # [H, W, k, 4] -> [H * W * k, 4]


def pyramid_anchors(
    grids: list[tuple[int, int]],
    image_size: tuple[int, int],
    sizes: tuple[tuple[float, ...], ...],
    ratios: tuple[float, ...],
    device: torch.device | str = "cpu",
) -> list[Tensor]:
    """Anchors of each level, a list of [A_level, 4], finest level first.

    grids: (H, W) of each feature map. image_size: (height, width) of the padded batch, from which
    the strides follow: on 800 x 1088 the 13 x 17 grid of P6 has stride (61, 64), not (64, 64).
    Raises ValueError unless there is one tuple of sizes for each level.
    """
    if len(sizes) != len(grids):
        raise ValueError(
            f"{len(sizes)} tuples of anchor sizes for {len(grids)} feature maps: "
            "give one tuple for each level of the pyramid"
        )
    return [
        level_anchors(
            upload(base_anchors(level_sizes, ratios), device),
            grid,
            (image_size[0] // grid[0], image_size[1] // grid[1]),
        )
        for level_sizes, grid in zip(sizes, grids, strict=True)
    ]


def pyramid_grids(image_size: tuple[int, int], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """(H, W) of each feature map of a batch of this size, without running the network.

    image_size: (height, width), multiples of the coarsest of the backbone's `strides`. The last map
    is the RPN's extra one, every second cell of the one before.
    """
    grids = [(image_size[0] // stride, image_size[1] // stride) for stride in strides]
    height, width = grids[-1]
    return [*grids, (-(-height // 2), -(-width // 2))]
