"""Average precision beside pycocotools, and at scale: python benchmarks/evaluation.py

300 images of 480 x 640 with objects of 20 classes and 100 detections each, made up, but with sizes,
overlaps and scores like a COCO detector's: see `Crowded`. pycocotools and we take turns.

- Of pycocotools, `COCOeval.evaluate` and `accumulate` are timed: not reading, not `loadRes`, which
  measures the masks, and not `summarize`.
- Of ours, all of `evaluate` is timed. It gets the same annotations, masks as COCO's strings, from a
  `CocoFolder`, and the detections as `DetectionList` keeps them, masks as strings too.

`--images 5000 --alone` leaves pycocotools out, and prints seconds and the peak of the process's
memory for a whole evaluation.
"""

import argparse
import contextlib
import io
import json
import resource
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.random import Generator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from tqdm.auto import tqdm

from mrcnn_edu.data import CocoFolder
from mrcnn_edu.data.rle import encode_masks
from mrcnn_edu.data.rle_codec import compress
from mrcnn_edu.detections import Detections, paste_masks
from mrcnn_edu.evaluate import DetectionList, coco_results, evaluate

SIZE = 480, 640
M = 28  # side of a predicted mask


class Crowded:
    """A dataset of `n` images without pixels; everything in it is a function of the position."""

    def __init__(self, n: int, n_classes: int):
        self.n, self.classes = n, [f"class {k}" for k in range(1, n_classes + 1)]

    def __len__(self) -> int:
        return self.n

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


def _boxes(rng: Generator, n: int) -> Tensor:
    side = np.exp(rng.uniform(np.log(8), np.log(400), size=(n, 1)))
    side = side * np.exp(rng.uniform(-0.4, 0.4, size=(n, 1)) * [1, -1])
    corner = rng.random((n, 2)) * np.maximum([640, 480] - side, 0)
    boxes = np.concatenate((corner, np.minimum(corner + side, [640, 480])), axis=1)
    return torch.from_numpy(boxes).float()


def _blobs(rng: Generator, n: int) -> Tensor:
    """Masks [n, M, M] of 0..1: an ellipse that fills its box, with a dented outline."""
    y, x = np.mgrid[-1 : 1 : M * 1j, -1 : 1 : M * 1j]
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    depth, turn = rng.uniform(0, 0.3, size=(n, 1, 1)), rng.uniform(0, 6.3, size=(n, 1, 1))
    wave = depth * np.cos(rng.integers(2, 6, size=(n, 1, 1)) * angle + turn)
    return torch.from_numpy(1 / (1 + np.exp(8 * (radius - 0.9 + wave)))).float()


def coco_file(dataset: Crowded, folder: Path) -> Path:
    """A file with the dataset's objects, masks as strings."""
    images, annotations = [], []
    for i in tqdm(range(len(dataset)), "make objects"):
        images.append({"id": i, "file_name": "", "height": SIZE[0], "width": SIZE[1]})
        boxes, labels, probs, crowd = dataset.objects(i)
        masks = encode_masks(paste_masks(probs, boxes, SIZE))
        columns = boxes.tolist(), labels.tolist(), compress(masks), masks.areas().tolist()
        for (x1, y1, x2, y2), label, counts, area, many in zip(
            *columns, crowd.tolist(), strict=True
        ):
            region = {"size": SIZE, "counts": counts.decode()}
            annotation = {"id": len(annotations) + 1, "image_id": i, "category_id": label}
            annotation |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": int(many)}
            annotations.append(annotation | {"segmentation": region})
    categories = [{"id": k, "name": name} for k, name in enumerate(dataset.classes, 1)]
    contents = {"images": images, "annotations": annotations, "categories": categories}
    file = folder / "annotations.json"
    file.write_text(json.dumps(contents))
    return file


def beside_pycocotools(dataset: CocoFolder, found: DetectionList, rounds: int) -> None:
    """Prints the seconds of both, in turns, and how far their scores are apart."""
    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet:
        coco = COCO(dataset.file)
    for kind, name in (("bbox", "boxes"), ("segm", "masks")):
        with quiet:
            results = coco.loadRes(coco_results(dataset, found, kind))
        seconds, ours = [], []
        for _ in range(rounds):
            with quiet:
                judge = COCOeval(coco, results, kind)
                start = time.perf_counter()
                judge.evaluate()
                judge.accumulate()
                seconds.append(time.perf_counter() - start)
                judge.summarize()
            start = time.perf_counter()
            scores = evaluate(dataset, found, kind, progress=False)
            ours.append(time.perf_counter() - start)
        both = (scores.ap, scores.ap50, scores.ap75, scores.ap_small, scores.ap_medium)
        apart = np.abs(np.array([*both, scores.ap_large]) - judge.stats[:6]).max()
        theirs, mine = median(seconds), median(ours)
        print(
            f"{name}: pycocotools {theirs:.2f} s, ours {mine:.3f} s, {theirs / mine:.1f} x as fast"
        )
        print(f"       AP {scores.ap:.4f}; the six scores are at most {apart:.0e} apart")


def memory() -> float:
    """MB: the most that this process has taken so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--detections", type=int, default=100, help="in each image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="without pycocotools")
    options = parser.parse_args()
    torch.set_num_threads(1)  # pycocotools has one thread
    scenes, found = Crowded(options.images, options.classes), DetectionList()
    with TemporaryDirectory() as folder:
        dataset = CocoFolder(folder, coco_file(scenes, Path(folder)))
        before = memory()
        for index in tqdm(range(options.images), "make detections"):
            found.append(scenes.detections(index, options.detections))
        if not options.alone:
            return beside_pycocotools(dataset, found, options.rounds)
    print(f"memory {before:.0f} MB before, {memory():.0f} MB at most with the detections")
    for kind in ("bbox", "segm"):
        start = time.perf_counter()
        scores = evaluate(dataset, found, kind)
        seconds = time.perf_counter() - start
        print(f"{kind}: {seconds:.1f} s, at most {memory():.0f} MB, AP {scores.ap:.4f}")


if __name__ == "__main__":
    main()
