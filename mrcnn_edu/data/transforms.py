"""torchvision's transforms on our items: image, boxes and masks move together, and a new one.

Letters: C channels, H and W the image's size, M objects.
"""

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from mrcnn_edu.boxes import box_area, clip_boxes
from mrcnn_edu.data.check import mask_to_box

BORDER = 1.0  # pixels that an annotation may stick out of the image without being cut


class ScaleJitter(v2.Transform):
    """The scene nearer or further: scaled by a factor from low to high, in a frame as before.

    What sticks out is cut off, and what is missing is filled; the place is drawn, too. (A plain
    change of size would be undone when the model scales the image to its short side.)
    """

    def __init__(self, low: float, high: float, fill: tuple[float, ...] = (0.5,)):
        super().__init__()
        if not 0 < low <= high:
            raise ValueError(f"scale is {low} to {high}: give two factors, the lower one first")
        self.low, self.high, self.fill = low, high, list(fill)

    def make_params(self, flat_inputs: list) -> dict:
        """The drawn size, padding and corner, of the image among the inputs."""
        height, width = next(v for v in flat_inputs if isinstance(v, tv_tensors.Image)).shape[-2:]
        scale = self.low + (self.high - self.low) * float(torch.rand(()))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        place = torch.rand(2).tolist()
        free = height - size[0], width - size[1]
        top, left = (round(share * pixels) for share, pixels in zip(place, free, strict=True))
        padding = [max(left, 0), max(top, 0), max(free[1] - left, 0), max(free[0] - top, 0)]
        corner = max(-top, 0), max(-left, 0)
        return {"size": size, "padding": padding, "crop": [*corner, height, width]}

    def transform(self, inpt, params: dict):
        """The input, an image or boxes or masks, resized, padded and cut."""
        size, fill = list(params["size"]), 0
        if isinstance(inpt, tv_tensors.Mask):
            # F.resize takes "nearest" for masks, which moves them by up to half a pixel.
            exact = InterpolationMode.NEAREST_EXACT
            resized = F.resize_image(inpt.as_subclass(Tensor), size, interpolation=exact)
            resized = tv_tensors.wrap(resized, like=inpt)
        elif isinstance(inpt, tv_tensors.Image):
            resized = tv_tensors.wrap(F.resize(inpt, size).clamp(0, 1), like=inpt)  # it rounds
            fill = self.fill
        else:
            resized = F.resize(inpt, size)
        return F.crop(F.pad(resized, params["padding"], fill=fill), *params["crop"])


def transform_item(transform: v2.Transform, image: Tensor, target: dict) -> tuple[Tensor, dict]:
    """The item (image, target) after the transform, without objects of which nothing is left."""
    size = tuple(image.shape[-2:])
    frame = {"format": "XYXY", "canvas_size": size, "clamping_mode": None}
    objects = {"boxes": tv_tensors.BoundingBoxes(target["boxes"].reshape(-1, 4), **frame)}
    if "masks" in target:
        objects["masks"] = tv_tensors.Mask(target["masks"])
    image, objects = transform(tv_tensors.Image(image), objects)
    image, moved = image.as_subclass(Tensor), {n: v.as_subclass(Tensor) for n, v in objects.items()}

    boxes = clip_boxes(moved["boxes"], tuple(image.shape[-2:]))
    cut = (boxes - moved["boxes"]).abs().amax(dim=1) > BORDER  # [M]
    boxes = torch.where(cut[:, None], boxes, moved["boxes"])
    sizes = box_area(target["boxes"]), box_area(boxes)  # before and after
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if "masks" in target:
        pixels = tuple(masks.sum(dim=(1, 2)) for masks in (target["masks"], moved["masks"]))
        drawn = pixels[0] > 0  # objects may have no mask at all
        kept &= ~drawn | (pixels[1] > 0)
        for i in torch.where(cut & (pixels[1] > 0))[0].tolist():
            boxes[i] = boxes.new_tensor(mask_to_box(moved["masks"][i]))
        sizes = tuple(torch.where(drawn, p, s) for p, s in zip(pixels, sizes, strict=True))
    moved["boxes"] = boxes
    if "area" in target:
        moved["area"] = target["area"] * (sizes[1] / sizes[0])
    rows = {n: v for n, v in (target | moved).items() if isinstance(v, Tensor) and v.ndim > 0}
    return image, target | {name: value[kept] for name, value in rows.items()}
