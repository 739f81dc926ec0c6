"""Average precision beside pycocotools, and at scale: python benchmarks/evaluation.py

Made-up detections of made-up objects, as a detector for COCO gives them: see `objects` and
`detections`. Both get the same detections, masks as compressed runs, and the objects in the form
that they read: pycocotools a COCO file's contents, ours a dataset. Timed in turns: of pycocotools
`COCOeval.evaluate` and `accumulate`, without `COCO`, `loadRes` and `summarize`; of ours all of
`evaluate`, which fetches the dataset's targets on the way.

`--images 5000 --alone` measures ours by itself: seconds, and the peak of the process's memory.
"""

import argparse
import contextlib
import io
import resource
import time
from statistics import median

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mrcnn_edu.data.coco import coco_results
from mrcnn_edu.data.rle import encode_mask
from mrcnn_edu.detections import Detections, paste_masks
from mrcnn_edu.evaluate import Found, evaluate

SIZE = 480, 640
M = 28  # side of a predicted mask


class Crowded:
    """A dataset of `n` images without pixels, a pure function of the position like all it gives."""

    def __init__(self, n: int, n_classes: int):
        self.n, self.classes = n, [f"class {k}" for k in range(1, n_classes + 1)]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int):
        boxes, labels, probs, crowd = self.objects(index)
        masks = paste_masks(probs, boxes, SIZE)
        target = {"boxes": boxes, "labels": labels, "masks": masks, "iscrowd": crowd}
        return torch.zeros(3, *SIZE, dtype=torch.uint8), target | {"image_id": index}

    def objects(self, index: int):
        """Boxes, labels, blobs and crowds of 0 to 40 objects, 7.3 on average, of few classes.

        Sides of 8 to 400 pixels, evenly on a logarithmic scale; 1 in 100 is a crowd.
        """
        rng = np.random.default_rng((index, 0))
        m = min(int(rng.exponential(7.3)), 40)
        few = rng.integers(1, len(self.classes) + 1, size=3)
        boxes = _boxes(rng, m)
        crowd = torch.from_numpy(rng.random(m) < 0.01)
        return boxes, torch.from_numpy(rng.choice(few, size=m)), _blobs(rng, m), crowd

    def detections(self, index: int, n: int = 100) -> Detections:
        """n detections: 2 near each object, the others anywhere; half of them of classes there."""
        truth, labels, blobs, _ = self.objects(index)
        rng = np.random.default_rng((index, 1))
        near = torch.arange(len(truth)).repeat(2)[:n]
        side = (truth[near, 2:] - truth[near, :2]).repeat(1, 2)
        shift = rng.normal(scale=rng.choice([0.02, 0.1, 0.3], size=(len(near), 1)), size=side.shape)
        close = truth[near] + side * torch.from_numpy(shift).float()
        close[:, 2:] = torch.maximum(close[:, 2:], close[:, :2] + 1)
        boxes = torch.cat((close, _boxes(rng, n - len(near))))
        boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clamp(0, 640), boxes[:, 1::2].clamp(0, 480)
        any_label = torch.from_numpy(rng.integers(1, len(self.classes) + 1, size=n))
        there = torch.from_numpy(rng.choice(labels, n)) if len(labels) else any_label
        label = torch.where(torch.from_numpy(rng.random(n) < 0.5), there, any_label)
        label[: len(near)] = labels[near]
        probs = torch.cat((blobs[near], _blobs(rng, n - len(near))))
        score = torch.from_numpy(rng.beta(0.5, 2, size=n)).float()
        score[: len(near)] = score[: len(near)].sqrt()
        best = score.argsort(descending=True)
        masks = paste_masks(probs[best], boxes[best], SIZE)
        return Detections(boxes[best], label[best], score[best], masks, probs[best])


def _boxes(rng, n: int) -> torch.Tensor:
    side = np.exp(rng.uniform(np.log(8), np.log(400), size=(n, 1)))
    side = side * np.exp(rng.uniform(-0.4, 0.4, size=(n, 1)) * [1, -1])
    corner = rng.random((n, 2)) * np.maximum([640, 480] - side, 0)
    return torch.from_numpy(np.concatenate((corner, np.minimum(corner + side, [640, 480])), axis=1)).float()


def _blobs(rng, n: int) -> torch.Tensor:
    """Masks [n, M, M] of 0..1: an ellipse that fills its box, with a dented outline."""
    y, x = np.mgrid[-1 : 1 : M * 1j, -1 : 1 : M * 1j]
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    wave = rng.uniform(0, 0.3, size=(n, 1, 1)) * np.cos(
        rng.integers(2, 6, size=(n, 1, 1)) * angle + rng.uniform(0, 6.3, size=(n, 1, 1))
    )
    return torch.from_numpy(1 / (1 + np.exp(8 * (radius - 0.9 + wave)))).float()
