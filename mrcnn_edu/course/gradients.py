"""Lesson 15's input gradients: which pixels decide on a detection's class, its box and its mask.

The gradient of an output with respect to a pixel says how the output would change if that pixel
became a little brighter. Letters: C channels, H and W in pixels, D detections.
"""

from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.eval_mode import in_eval_mode
from mrcnn_edu.images import scale_boxes, size_of
from mrcnn_edu.roi_ops import feature_table
from mrcnn_edu.validate import check_boxes

OUTPUTS = "class score", "box", "mask"


def input_gradients(model: Any, image: Tensor, box: Tensor, label: int) -> dict[str, Tensor]:
    """Maps [H, W] >= 0 of how much each pixel of an image [C, H, W] weighs, by OUTPUTS.

    The heads read the box [4], in pixels of the image, once more, and it is held fixed. Class score
    is the logit of the label minus that of background, box the four deltas, and mask the sum of the
    logits of the m x m mask. A map is the length of the gradient over the channels; for the box,
    that of all four deltas together. The mask's map is missing if there is no mask head.
    """
    model = in_eval_mode(model)
    boxes = check_boxes(box[None], size_of(image), "input_gradients")
    pixels = image.detach().clone().requires_grad_()
    batch = model.preprocess([pixels])
    rois = [scale_boxes(boxes.to(batch.images.device), size_of(image), batch.sizes[0])]
    table = feature_table(model.features(batch)[: len(model.strides)])
    logits, deltas = model.box_head(model.pool(table, rois, model.config.box_pool_size))
    outputs = {"class score": [logits[0, label] - logits[0, 0]], "box": list(deltas[0, label])}
    if model.mask_head is not None:
        masks = model.mask_head(model.pool(table, rois, model.config.mask_size // 2))
        channel = int(model.mask_channels(torch.tensor([label])))
        outputs["mask"] = [masks[0, channel].sum()]
    maps = {}
    for name, values in outputs.items():
        squares = [torch.autograd.grad(v, pixels, retain_graph=True)[0] ** 2 for v in values]
        maps[name] = torch.stack(squares).sum(dim=(0, 1)).sqrt().detach().cpu()
    return maps


def fraction_within(values: Tensor, box: Tensor) -> float:
    """The fraction of a map's sum [H, W] that lies in the pixels that a box [4] touches."""
    x1, y1 = box[:2].floor().long().clamp(min=0).tolist()
    x2, y2 = box[2:].ceil().long().tolist()
    total = values.sum()
    return float(values[y1:y2, x1:x2].sum() / total) if total > 0 else 0.0
