"""Anchors: the reference boxes, at every position, size and shape, that the RPN starts from.

Letters: A anchors in all, k anchors at one position = ratios x sizes, H and W of a feature map.
"""

import torch
from torch import Tensor


def base_anchors(sizes: tuple[float, ...], ratios: tuple[float, ...]) -> Tensor:
    """Boxes [k, 4] centered on (0, 0), for k = ratios x sizes, rounded to whole pixels.

    A size is the square root of the area in pixels; a ratio is height / width. torchvision rounds
    in the same way, so its weights meet the anchors they were trained with.
    """
    height_factor = torch.tensor(ratios, dtype=torch.float32).sqrt()
    width_factor = 1 / height_factor
    size = torch.tensor(sizes, dtype=torch.float32)
    width = (width_factor[:, None] * size).flatten()  # [ratios, sizes] -> [k]
    height = (height_factor[:, None] * size).flatten()
    return (torch.stack((-width, -height, width, height), dim=1) / 2).round()


def level_anchors(base: Tensor, grid: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Anchors [H * W * k, 4]: the base anchors [k, 4], moved to every position of a grid (H, W).

    Row by row, all k anchors of a position together. `stride` is the distance (y, x) between
    positions in image pixels; position (0, 0) is the image's upper left corner.
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
    """The anchors of each level, a list of [A_level, 4], finest level first.

    grids: (H, W) of each feature map. image_size: (height, width) of the padded batch, from which
    the strides follow: on 800 x 1088 the 13 x 17 grid of P6 has stride (61, 64), not (64, 64).
    sizes: of the anchors of each level. Raises ValueError unless there are as many as grids.
    """
    if len(sizes) != len(grids):
        n, n_maps = len(sizes), len(grids)
        raise ValueError(f"{n} tuples of anchor sizes for {n_maps} feature maps: give one for each")
    anchors = []
    for level_sizes, (height, width) in zip(sizes, grids, strict=True):
        base = base_anchors(level_sizes, ratios).to(device)
        stride = image_size[0] // height, image_size[1] // width
        anchors.append(level_anchors(base, (height, width), stride))
    return anchors
