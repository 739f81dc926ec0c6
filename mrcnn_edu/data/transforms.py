"""torchvision's transforms applied to our items, image and objects alike; and one of our own.

Letters: C channels, H and W in pixels, M objects, J keypoints of each.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from mrcnn_edu.boxes import box_area, clip_boxes
from mrcnn_edu.data.keypoints import swap_sides, without_outside
from mrcnn_edu.data.masks_to_boxes import masks_to_boxes
from mrcnn_edu.images import Size, size_of

BORDER = 1.0  # pixels by which a box may leave the image without counting as cut


class ScaleJitter(v2.Transform):
    """Scales the scene by a random factor between low and high, in a frame of unchanged size.

    What leaves the frame is cut off, and what is missing is filled; the position is random, too.
    (Merely resizing the image would have no effect, as the model resizes it to its short side.)
    """

    def __init__(self, low: float, high: float, fill: tuple[float, ...] = (0.5,)):
        super().__init__()
        if not 0 < low <= high:
            raise ValueError(f"scale is {low} to {high}: give two factors, the lower one first")
        self.low, self.high, self.fill = low, high, list(fill)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Random parameters: the scaled size, the padding, and the crop of the image's size."""
        height, width = size_of(next(v for v in flat_inputs if isinstance(v, tv_tensors.Image)))
        scale = self.low + (self.high - self.low) * float(torch.rand(()))
        new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
        along_y, along_x = torch.rand(2).tolist()
        free_y, free_x = height - new_height, width - new_width  # negative if the scene is larger
        top, left = round(along_y * free_y), round(along_x * free_x)
        padding = [max(left, 0), max(top, 0), max(free_x - left, 0), max(free_y - top, 0)]
        crop = [max(-top, 0), max(-left, 0), height, width]
        return {"size": [new_height, new_width], "padding": padding, "crop": crop}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input (an image, boxes or masks) resized, padded and cropped."""
        size, fill = params["size"], None
        if isinstance(inpt, tv_tensors.Mask):
            # F.resize would use "nearest" for masks, which moves them by up to half a pixel.
            exact = InterpolationMode.NEAREST_EXACT
            resized = F.resize_image(inpt.as_subclass(Tensor), size, interpolation=exact)
            resized = tv_tensors.Mask(resized)
        elif isinstance(inpt, tv_tensors.Image):
            resized = tv_tensors.Image(F.resize(inpt, size).clamp(0, 1))  # rounding can leave 0..1
            fill = self.fill
        else:
            resized = F.resize(inpt, size)
        return F.crop(F.pad(resized, params["padding"], fill=fill), *params["crop"])


def transform_item(
    transform: Any, image: Tensor, target: dict, mirrored: Sequence[int] = ()
) -> tuple[Tensor, dict]:
    """The item (image, target) after a transform, without objects that have left the frame.

    Keypoints that have left it are no longer labeled. mirrored: the index [J] of each keypoint's
    twin, whose name it gets in a mirror image.
    """
    image, moved = _transform(transform, image, target, mirrored)
    boxes = clip_boxes(moved["boxes"], size_of(image))
    is_cut = (boxes - moved["boxes"]).abs().amax(dim=1) > BORDER  # [M]
    boxes = torch.where(is_cut[:, None], boxes, moved["boxes"])
    old_areas, new_areas = box_area(target["boxes"]), box_area(boxes)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if "masks" in target:
        old_pixels, new_pixels = target["masks"].sum(dim=(1, 2)), moved["masks"].sum(dim=(1, 2))
        has_mask = old_pixels > 0  # an object may have none
        kept &= ~has_mask | (new_pixels > 0)
        rows = torch.where(is_cut & (new_pixels > 0))[0]
        boxes[rows] = masks_to_boxes(moved["masks"][rows]).to(boxes.dtype)
        old_areas = torch.where(has_mask, old_pixels, old_areas)
        new_areas = torch.where(has_mask, new_pixels, new_areas)
    moved["boxes"] = boxes
    if "area" in target:
        moved["area"] = target["area"] * (new_areas / old_areas)
    target = target | moved
    columns = {n: v for n, v in target.items() if isinstance(v, Tensor) and v.ndim > 0}
    return image, target | {name: column[kept] for name, column in columns.items()}


def _transform(
    transform: Any, image: Tensor, target: dict, mirrored: Sequence[int]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The image, and the target's boxes, masks and keypoints (if any), transformed together."""
    size = size_of(image)
    objects: dict[str, Tensor] = {"boxes": _as_boxes(target["boxes"].reshape(-1, 4), size)}
    if "masks" in target:
        objects["masks"] = tv_tensors.Mask(target["masks"])
    if "keypoints" in target:
        objects["points"] = _points(target["keypoints"], size)
    image, objects = transform(tv_tensors.Image(image), objects)
    moved = {name: value.as_subclass(Tensor) for name, value in objects.items()}
    if "keypoints" in target:
        points = moved.pop("points")
        moved["keypoints"] = _keypoints(points, target["keypoints"], size_of(image), mirrored)
    return image.as_subclass(Tensor), moved


def _as_boxes(boxes: Tensor, size: Size) -> Tensor:
    """Boxes [N, 4] as torchvision's transforms take them, for an image of this size."""
    return tv_tensors.BoundingBoxes(  # pyright: ignore[reportCallIssue]  (its stub lacks None)
        boxes,
        format=tv_tensors.BoundingBoxFormat.XYXY,
        canvas_size=size,
        clamping_mode=None,  # boxes are clipped afterward, to find out which are cut
    )


def _points(keypoints: Tensor, size: Size) -> Tensor:
    """Keypoints [M, J, 3] and three corners of the image, as boxes [M * J + 3, 4] without area.

    torchvision's transforms move boxes to a fraction of a pixel. (Its own KeyPoints are flipped as
    the numbers of pixels are, x to W - 1 - x, but scaled as positions, so they would shift.) The
    corners tell whether the image was mirrored.
    """
    height, width = size
    corners = keypoints.new_tensor([[0, 0], [width, 0], [0, height]])
    points = torch.cat((keypoints[..., :2].reshape(-1, 2), corners))
    return _as_boxes(points.repeat(1, 2), size)


def _keypoints(points: Tensor, old: Tensor, size: Size, mirrored: Sequence[int]) -> Tensor:
    """Keypoints [M, J, 3] from what a transform made of `_points`. old: [M, J, 3] before it."""
    (x, y), (x_right, y_right), (x_down, y_down) = points[-3:, :2].tolist()
    keypoints = torch.cat((points[:-3, :2].view(*old.shape[:2], 2), old[..., 2:]), dim=2)
    is_mirrored = (x_right - x) * (y_down - y) < (y_right - y) * (x_down - x)
    if is_mirrored:
        keypoints = swap_sides(keypoints, mirrored)
    return without_outside(keypoints, size)
