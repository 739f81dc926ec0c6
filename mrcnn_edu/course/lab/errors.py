"""The kinds of errors among a model's detections, as lesson 11 sorts them."""

from collections import Counter

import torch

from mrcnn_edu.detections import Detections
from mrcnn_edu.evaluate import overlap

KINDS = "correct", "duplicate", "wrong class", "badly placed", "both", "background", "missed"
FOUND, NEAR = 0.5, 0.1  # IoU of a detection that has found its object, and of one that is near it


def error_kinds(d: Detections, target: dict, min_score: float = 0.5) -> Counter[str]:
    """How many detections of an image, of at least that score, are of each kind; missed objects.

    By masks, or by boxes where there are none. A detection is matched to the object of its class
    that it overlaps most, unless a better one was matched to it: then it is a duplicate.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    order = d.scores.argsort(descending=True, stable=True)
    order = order[d.scores[order] >= min_score]
    if d.masks is None:
        overlaps = overlap(d.boxes, target["boxes"])
    else:
        overlaps = overlap(d.masks, target["masks"])
    is_found = torch.zeros(len(target["labels"]), dtype=torch.bool)
    for index in order.tolist():
        iou, same = overlaps[index], target["labels"] == d.labels[index]
        own, other = (iou * same), (iou * ~same)
        free = own.where(~is_found, torch.zeros(()))
        best = max(own.tolist(), default=0.0)
        best_other = max(other.tolist(), default=0.0)
        if len(free) and float(free.max()) >= FOUND:
            is_found[int(free.argmax())] = True
            kind = "correct"
        elif best >= FOUND:
            kind = "duplicate"
        elif best_other >= FOUND:
            kind = "wrong class"
        elif best >= NEAR:
            kind = "badly placed"
        else:
            kind = "both" if best_other >= NEAR else "background"
        counts[kind] += 1
    counts["missed"] = int((~is_found).sum())
    return counts
