"""The speed of COCO's average precision beside pycocotools, and at scale.

    python benchmarks/evaluation.py                          # beside pycocotools, 300 images
    python benchmarks/evaluation.py --images 5000 --alone    # seconds and memory of `evaluate`

The images are 480 x 640, with 20 classes and 100 detections each. They are synthetic, but sizes,
overlaps and scores are like a COCO detector's: see `Crowded`. pycocotools and `evaluate` take
turns.

- Of pycocotools, `COCOeval.evaluate` and `accumulate` are timed, but not reading the file, nor
  `loadRes`, which computes the masks' areas, nor `summarize`.
- All of `evaluate` is timed. It gets the same annotations from a `CocoFolder`, with masks as COCO's
  strings, and the detections from a `DetectionList`, which keeps masks as strings too.
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

from mrcnn_edu.boxes import clip_boxes
from mrcnn_edu.data import CocoFolder
from mrcnn_edu.data.coco_json import xyxy_to_xywh
from mrcnn_edu.data.rle import encode_masks
from mrcnn_edu.data.rle_codec import compress
from mrcnn_edu.detections import Detections, paste_masks
from mrcnn_edu.evaluate import DetectionList, coco_results, evaluate

SIZE = 480, 640
M = 28  # side of a predicted mask


class Crowded:
    """The objects and detections of `n` images without pixels; all depends on the index alone."""

    def __init__(self, n: int, n_classes: int):
        self.n, self.classes = n, [f"class {k}" for k in range(1, n_classes + 1)]

    def __len__(self) -> int:
        return self.n

    def objects(self, index: int):
        """Boxes, labels, mask probabilities and crowd flags of 0 to 40 objects, 7.3 on average.

        An image has objects of at most three classes. Boxes measure 8 to 400 pixels, uniformly on a
        logarithmic scale; 1 object in 100 is a crowd.
        """
        rng = np.random.default_rng((index, 0))
        m = min(int(rng.exponential(7.3)), 40)
        image_classes = rng.integers(1, len(self.classes) + 1, size=3)
        boxes = _boxes(rng, m)
        crowd = torch.from_numpy(rng.random(m) < 0.01)
        return (
            boxes,
            torch.from_numpy(rng.choice(image_classes, size=m)),
            _mask_probs(rng, m),
            crowd,
        )

    def detections(self, index: int, n: int = 100) -> Detections:
        """n detections: 2 near each object, the others anywhere, half of them of its classes."""
        gt_boxes, gt_labels, gt_probs, _ = self.objects(index)
        rng = np.random.default_rng((index, 1))
        near = torch.arange(len(gt_boxes)).repeat(2)[:n]
        size = (gt_boxes[near, 2:] - gt_boxes[near, :2]).repeat(1, 2)
        scale = rng.choice([0.02, 0.1, 0.3], size=(len(near), 1))
        shift = torch.from_numpy(rng.normal(scale=scale, size=size.shape)).float()
        near_boxes = gt_boxes[near] + size * shift
        near_boxes[:, 2:] = torch.maximum(near_boxes[:, 2:], near_boxes[:, :2] + 1)
        boxes = clip_boxes(torch.cat((near_boxes, _boxes(rng, n - len(near)))), SIZE)
        any_label = torch.from_numpy(rng.integers(1, len(self.classes) + 1, size=n))
        present = torch.from_numpy(rng.choice(gt_labels, n)) if len(gt_labels) else any_label
        labels = torch.where(torch.from_numpy(rng.random(n) < 0.5), present, any_label)
        labels[: len(near)] = gt_labels[near]
        probs = torch.cat((gt_probs[near], _mask_probs(rng, n - len(near))))
        scores = torch.from_numpy(rng.beta(0.5, 2, size=n)).float()
        scores[: len(near)] = scores[: len(near)].sqrt()
        best = scores.argsort(descending=True)
        masks = paste_masks(probs[best], boxes[best], SIZE)
        return Detections(boxes[best], labels[best], scores[best], masks, probs[best])


def _boxes(rng: Generator, n: int) -> Tensor:
    """Boxes [n, 4] of all sizes and aspect ratios, anywhere in the image."""
    size = np.exp(rng.uniform(np.log(8), np.log(400), size=(n, 1)))
    size = size * np.exp(rng.uniform(-0.4, 0.4, size=(n, 1)) * [1, -1])
    corner = rng.random((n, 2)) * np.maximum([640, 480] - size, 0)
    boxes = np.concatenate((corner, np.minimum(corner + size, [640, 480])), axis=1)
    return torch.from_numpy(boxes).float()


def _mask_probs(rng: Generator, n: int) -> Tensor:
    """Mask probabilities [n, M, M]: an ellipse that fills its box, with a dented outline."""
    y, x = np.mgrid[-1 : 1 : M * 1j, -1 : 1 : M * 1j]
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    depth, turn = rng.uniform(0, 0.3, size=(n, 1, 1)), rng.uniform(0, 6.3, size=(n, 1, 1))
    wave = depth * np.cos(rng.integers(2, 6, size=(n, 1, 1)) * angle + turn)
    return torch.from_numpy(1 / (1 + np.exp(8 * (radius - 0.9 + wave)))).float()


def coco_file(dataset: Crowded, folder: Path) -> Path:
    """A COCO file with the dataset's objects, whose masks are strings."""
    images, annotations = [], []
    for i in tqdm(range(len(dataset)), "make objects"):
        images.append({"id": i, "file_name": "", "height": SIZE[0], "width": SIZE[1]})
        boxes, labels, probs, crowd = dataset.objects(i)
        masks = encode_masks(paste_masks(probs, boxes, SIZE))
        strings, areas = compress(masks), masks.areas().tolist()
        for row, box in enumerate(boxes):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": i,
                "category_id": int(labels[row]),
                "bbox": xyxy_to_xywh(box),
                "area": areas[row],
                "iscrowd": int(crowd[row]),
                "segmentation": {"size": SIZE, "counts": strings[row].decode()},
            }
            annotations.append(annotation)
    categories = [{"id": k, "name": name} for k, name in enumerate(dataset.classes, 1)]
    contents = {"images": images, "annotations": annotations, "categories": categories}
    file = folder / "annotations.json"
    file.write_text(json.dumps(contents))
    return file


def compare_with_pycocotools(dataset: CocoFolder, detections: DetectionList, rounds: int) -> None:
    """Print the seconds of both, measured in turns, and how far apart their scores are."""
    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet:
        coco = COCO(dataset.file)
    for iou_type, name in (("bbox", "boxes"), ("segm", "masks")):
        with quiet:
            results = coco.loadRes(coco_results(dataset, detections, iou_type))
        theirs, ours = [], []
        for _ in range(rounds):
            with quiet:
                evaluator = COCOeval(coco, results, iou_type)
                start = time.perf_counter()
                evaluator.evaluate()
                evaluator.accumulate()
                theirs.append(time.perf_counter() - start)
                evaluator.summarize()
            start = time.perf_counter()
            scores = evaluate(dataset, detections, iou_type, progress=False)
            ours.append(time.perf_counter() - start)
        six = (scores.ap, scores.ap50, scores.ap75, scores.ap_small, scores.ap_medium)
        difference = np.abs(np.array([*six, scores.ap_large]) - evaluator.stats[:6]).max()
        speedup = median(theirs) / median(ours)
        print(
            f"{name}: pycocotools {median(theirs):.2f} s, ours {median(ours):.3f} s, "
            f"{speedup:.1f} x as fast"
        )
        print(f"       AP {scores.ap:.4f}; the six scores differ by at most {difference:.0e}")


def memory() -> float:
    """The process's peak memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--detections", type=int, default=100, help="in each image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="without pycocotools")
    options = parser.parse_args()
    torch.set_num_threads(1)  # pycocotools has one thread
    images, detections = Crowded(options.images, options.classes), DetectionList()
    with TemporaryDirectory() as folder:
        dataset = CocoFolder(folder, coco_file(images, Path(folder)))
        before = memory()
        for index in tqdm(range(options.images), "make detections"):
            detections.append(images.detections(index, options.detections))
        if not options.alone:
            return compare_with_pycocotools(dataset, detections, options.rounds)
    print(f"memory {before:.0f} MB before, at most {memory():.0f} MB with the detections")
    for iou_type in ("bbox", "segm"):
        start = time.perf_counter()
        scores = evaluate(dataset, detections, iou_type)
        seconds = time.perf_counter() - start
        print(f"{iou_type}: {seconds:.1f} s, at most {memory():.0f} MB, AP {scores.ap:.4f}")


if __name__ == "__main__":
    main()
