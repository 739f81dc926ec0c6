"""Where settings differ: what their mask heads draw when all are given the same, true boxes.

Average precision mixes finding, naming and outlining. Here boxes and names are given.
"""

import torch
from torch import Tensor

from mrcnn_edu.detections import paste_masks, predicted_masks
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.targets import mask_targets


def masks_in_true_boxes(model: MaskRCNN, image: Tensor, target: dict) -> Tensor:
    """The masks [M, H, W] of bool that the model draws of an image's M objects."""
    _, logits = model.predict_on_boxes(image, target["boxes"])
    c = model.config
    probs = predicted_masks(
        logits, model.mask_channels(target["labels"]), c.mask_loss, c.mask_decoding
    )
    return paste_masks(probs, target["boxes"], image.shape[1:])


def ious_and_sides(model: MaskRCNN, scenes, n: int = 60) -> tuple[Tensor, Tensor]:
    """Of every object [N] in the first n scenes: its mask's IoU, and its side √area in pixels."""
    ious, sides = [torch.zeros(0)], [torch.zeros(0)]
    for image, target in (scenes[i] for i in range(min(n, len(scenes)))):
        drawn, truth = masks_in_true_boxes(model, image, target), target["masks"]
        ious.append((drawn & truth).sum(dim=(1, 2)) / (drawn | truth).sum(dim=(1, 2)))
        sides.append(truth.sum(dim=(1, 2)).sqrt())
    return torch.cat(ious), torch.cat(sides)


def winner_shares(model: MaskRCNN, scenes, n: int = 60) -> dict[str, float]:
    """Of the cells on the objects of n scenes, the share in which each channel wins.

    For a model whose classes compete (softmax): the object's own class, with a probability over
    one half or as the strongest with less; background; another class. They add up to 1.
    """
    counts = dict.fromkeys(("own, over half", "own, strongest", "background", "another class"), 0)
    for image, target in (scenes[i] for i in range(min(n, len(scenes)))):
        boxes, labels = target["boxes"], target["labels"]
        each = torch.arange(len(labels))
        p = model.predict_on_boxes(image, boxes)[1].softmax(dim=1)  # [M, K + 1, m, m]
        inside = mask_targets([target["masks"]], [boxes], [each], p.shape[-1]) > 0.5
        over, winner = p[each, labels] > 0.5, p.argmax(dim=1)  # [M, m, m]
        own = winner == labels[:, None, None]
        kinds = over, own & ~over, winner == 0, (winner > 0) & ~own
        for name, kind in zip(counts, kinds, strict=True):
            counts[name] += (kind & inside).sum().item()
    total = sum(counts.values())
    return {name: count / max(total, 1) for name, count in counts.items()}
