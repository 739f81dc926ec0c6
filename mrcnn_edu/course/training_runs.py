"""Lesson 10's gallery: short training runs, one of them healthy, each of the others with one fault.

The runs come with the package; `tools/make_training_runs.py` made them. All of them train the same
model on the same synthetic images and differ in nothing but their fault. There are two of each,
with different seeds: the first ones are the gallery, and the second ones show how well a run is
recognized by its losses.

`resembling` compares any losses with the gallery. It can tell that curves are alike. It cannot tell
that a run is healthy: the curves of some faults are those of healthy runs.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from mrcnn_edu.boxes import box_iou
from mrcnn_edu.config import Config
from mrcnn_edu.data.shapes import Shapes
from mrcnn_edu.detections import paste_masks, predicted_masks
from mrcnn_edu.images import size_of
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import Training, steps
from mrcnn_edu.train.metrics import LOSSES_CSV, load_history
from mrcnn_edu.weights import init_backbone

FILE = Path(__file__).with_suffix(".json")
STEPS, SEEDS = 80, range(2)  # the first 80 steps of a run of 300
WINDOW = 5  # steps whose mean is a point of a curve
LOSSES = (
    "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask",
)  # fmt: skip
TRAIN_DATA = Shapes(10_000, seed=381)
VAL_DATA = Shapes(300, seed=1)
N_VAL = 16  # the first scenes of VAL_DATA, on which each run is evaluated at its end
SMALLEST = 0.01  # what is added to a loss before its logarithm, so that 0.001 is much like 0.002
LARGEST = 4.0  # a larger loss counts as this one: it has exploded, no matter how far
CLOSE = 1.1  # two runs of the gallery cannot be told apart if one is hardly closer than the other
FAR = 2.0  # a run that is farther from all of them resembles none

Curves = Mapping[str, Sequence[float]]  # the points of each loss


def unchanged(target: dict, index: int) -> dict:
    """The target as it is."""
    return target


def random_labels(target: dict, index: int) -> dict:
    """The target with class labels that have nothing to do with the objects."""
    generator = torch.Generator().manual_seed(index)
    labels = torch.randint(1, 7, target["labels"].shape, generator=generator)
    return target | {"labels": labels}


def swapped_boxes(target: dict, index: int) -> dict:
    """The target with boxes that are written as (y1, x1, y2, x2)."""
    return target | {"boxes": target["boxes"][:, [1, 0, 3, 2]]}


def mirrored(target: dict, index: int) -> dict:
    """Every second target mirrored, as if the image had been flipped and was not."""
    if index % 2 == 0:
        return target
    width = target["masks"].shape[-1]
    x1, y1, x2, y2 = target["boxes"].unbind(dim=1)
    boxes = torch.stack((width - x2, y1, width - x1, y2), dim=1)
    return target | {"boxes": boxes, "masks": target["masks"].flip(-1)}


def next_masks(target: dict, index: int) -> dict:
    """The target with masks in another order than the boxes: each object has the next one's."""
    return target | {"masks": target["masks"].roll(-1, dims=0)}


@dataclass(frozen=True)
class Kind:
    """What is special about a run: its settings, and what happens to each target."""

    training: Training = field(default_factory=Training)
    change: Callable[[dict, int], dict] = unchanged


KINDS = {
    "healthy": Kind(),
    "learning rate × 100": Kind(Training(learning_rate=0.3)),
    "learning rate / 100": Kind(Training(learning_rate=3e-5)),
    "random class labels": Kind(change=random_labels),
    "x and y of boxes swapped": Kind(change=swapped_boxes),
    "half of the targets mirrored": Kind(change=mirrored),
    "masks of other objects": Kind(change=next_masks),
}
HEALTHY = "healthy"
# The kinds by letters that say nothing, for readers who are to guess.
LETTERS = {
    "A": "random class labels",
    "B": "learning rate / 100",
    "C": "masks of other objects",
    "D": "healthy",
    "E": "x and y of boxes swapped",
    "F": "learning rate × 100",
    "G": "half of the targets mirrored",
}


class Changed:
    """A dataset whose targets went through a function of (target, index)."""

    def __init__(self, dataset: Shapes, change: Callable[[dict, int], dict]):
        self.dataset, self.change, self.classes = dataset, change, dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict]:
        image, target = self.dataset[index]
        return image, self.change(target, index)


def train(name: str, seed: int, n_steps: int = STEPS) -> tuple[MaskRCNN, list[dict[str, float]]]:
    """The model of one of KINDS after `n_steps`, and its losses: 17 seconds on one core."""
    if name not in KINDS:
        raise ValueError(f"there is no run {name!r}: choose one of {', '.join(KINDS)}")
    kind = KINDS[name]
    torch.manual_seed(seed)
    model = init_backbone(MaskRCNN(Config.tiny()))
    data = Changed(TRAIN_DATA, kind.change)
    run = steps(model, data, replace(kind.training, seed=seed))
    *_, losses = islice(run, n_steps + 1)
    model.eval()
    return model, losses


def measure(model: MaskRCNN, scenes: Sequence[tuple[Tensor, dict]]) -> dict[str, float]:
    """What a model can do on scenes, apart from its losses; each value is in 0..1.

    recall: the fraction of objects that a proposal covers at an IoU of 0.5. In the objects' own
    boxes, mask IoU is that of the predicted masks, filled box that of masks without a hole or an
    edge, and class accuracy the fraction of boxes that are classified correctly.
    """
    rows = {"recall": [], "mask IoU": [], "filled box": [], "class accuracy": []}
    for image, target in scenes:
        boxes, labels, gt_masks = target["boxes"], target["labels"], target["masks"]
        proposals = model.trace([image]).proposals[0].boxes
        rows["recall"].append((box_iou(boxes, proposals) >= 0.5).any(dim=1))
        class_logits, mask_logits = model.predict_on_boxes(image, boxes)
        if mask_logits is None:
            raise ValueError("the model has no mask head: there is no mask IoU to measure")
        rows["class accuracy"].append(class_logits[:, 1:].argmax(dim=1) + 1 == labels)
        probs = predicted_masks(mask_logits, labels)
        for name, values in {"mask IoU": probs, "filled box": torch.ones_like(probs)}.items():
            masks = paste_masks(values, boxes, size_of(image))
            intersection = (masks & gt_masks).sum(dim=(1, 2))
            rows[name].append(intersection / (masks | gt_masks).sum(dim=(1, 2)))
    return {name: torch.cat(values).float().mean().item() for name, values in rows.items()}


def recorded_runs(seed: int = 0) -> dict[str, dict]:
    """The shipped runs of one seed: by the kind's name, {"losses": curves, "validation": values}.

    A curve has a point for every 5 steps. The values are those of `measure` after the last step.
    """
    runs = json.loads(FILE.read_text())["runs"]
    return {name: of_kind[seed] for name, of_kind in runs.items()}


def curves_of(losses: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """The five losses, which are given for each step, as means of 5 steps each.

    Steps that are left over at the end are dropped. Raises ValueError if there are fewer than 5, or
    if a loss is missing.
    """
    missing = [name for name in LOSSES if losses and name not in losses[0]]
    if missing:
        raise ValueError(
            f"there is no {' and no '.join(missing)}: the gallery has runs of Mask R-CNN alone, "
            "with all five losses"
        )
    n = len(losses) // WINDOW
    if n == 0:
        raise ValueError(f"there are {len(losses)} steps: give the losses of at least {WINDOW}")
    table = torch.tensor([[float(step[name]) for name in LOSSES] for step in losses[: n * WINDOW]])
    means = table.view(n, WINDOW, len(LOSSES)).mean(dim=1)  # [n, 5]
    return dict(zip(LOSSES, means.T.tolist(), strict=True))


def read_losses(run: str | Path) -> list[dict[str, float]]:
    """The losses of every step in a run's losses.csv; the file, or the folder that it is in."""
    path = Path(run)
    return load_history(path.parent if path.name == LOSSES_CSV else path)[0]


def distance(first: Curves, second: Curves) -> float:
    """By which factor two runs' curves differ, on average over all losses and points: 1 or more.

    Only the steps that both have are compared. A loss above 4 counts as 4, and so does one that is
    not a number.
    """
    logs = []
    for curves in (first, second):
        table = torch.tensor([list(curves[name]) for name in LOSSES], dtype=torch.float64)
        logs.append((table.nan_to_num(nan=LARGEST).clamp(0, LARGEST) + SMALLEST).log())
    n = min(values.shape[1] for values in logs)
    return math.exp((logs[0][:, :n] - logs[1][:, :n]).abs().mean().item())


def resembling(
    losses: Sequence[Mapping[str, float]], gallery: Mapping[str, Curves] | None = None
) -> dict[str, float]:
    """The runs of the gallery, the most similar first: by name, the `distance` to these losses.

    losses: of every step, as `train.steps` yields them. gallery: by default the shipped runs.
    """
    return ranked(curves_of(losses), gallery)


def ranked(curves: Curves, gallery: Mapping[str, Curves] | None = None) -> dict[str, float]:
    """The same, for a run's curves."""
    if gallery is None:
        gallery = {name: run["losses"] for name, run in recorded_runs().items()}
    distances = {name: distance(curves, other) for name, other in gallery.items()}
    return dict(sorted(distances.items(), key=lambda item: item[1]))


def verdict(distances: Mapping[str, float]) -> str:
    """In words, which run of the gallery is most similar, given all distances, smallest first.

    It names all that are about as close as the closest one, and none if even that one is far away.
    """
    (closest, smallest), *_ = distances.items()
    if smallest > FAR:
        return f"resembles none of the runs; the closest, {closest!r}, differs by × {smallest:.2f}"
    alike = [name for name, factor in distances.items() if factor <= CLOSE * smallest]
    words = " or ".join(repr(name) for name in alike)
    return f"most like {words}; differs by × {smallest:.2f}"
