"""Metrics: losses and validation scores, on the screen and as CSV files in the run's folder.

The files are plain tables; `viz.show_training(*load_history(folder))` plots them. A callback is
called after every step, in every process, with the losses so far.
"""

import csv
import io
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mrcnn_edu.config import check_number
from mrcnn_edu.data.dataset import as_dataset
from mrcnn_edu.eval_mode import in_eval_mode
from mrcnn_edu.evaluate import are_sigmas_known, evaluate
from mrcnn_edu.files import write_file
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train.distributed import any_rank, detect_shared, mean, rank, world_size
from mrcnn_edu.train.recipes import Training, learning_rate

LOSSES_CSV = "losses.csv"
VAL_CSV = "validation.csv"
SHORT = {"loss_objectness": "rpn", "loss_rpn_box_reg": "rpn box", "loss_classifier": "class"}


def format_losses(losses: dict[str, float], images_per_second: float) -> str:
    """The losses of a step, the speed and the peak memory, as text for the progress bar."""
    names = [SHORT.get(n, n.removeprefix("loss_").removesuffix("_reg")) for n in losses]
    each = ", ".join(f"{n} {v:.2f}" for n, v in zip(names, losses.values(), strict=True))
    speed, peak = f"{images_per_second:.3g} images/s", peak_memory()
    memory = "" if peak is None else f", {peak / 1e9:.1f} GB"
    return f"loss {sum(losses.values()):.3f}: {each}; {speed}{memory}"


def peak_memory() -> int | None:
    """The most bytes used at once: by tensors on the GPU or, without a GPU, by this process.

    None where the system does not report it.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class CSVLogger:
    """A callback that writes losses.csv: step, each loss, learning rate, seconds of the step.

    It writes nothing without a folder, and in no process but process 0. losses: the steps already
    done. When a run resumes, steps that will be repeated are removed from the file, and steps that
    it lacks are added from `losses`.
    """

    def __init__(
        self, folder: str | Path | None, training: Training, losses: list[dict[str, float]]
    ):
        self.path = None if folder is None or rank() > 0 else Path(folder) / LOSSES_CSV
        self.training, self.last = training, time.perf_counter()
        if self.path is None:
            return
        lines = self.path.read_text().splitlines(keepends=True) if self.path.is_file() else []
        lines = [line for line in lines[: len(losses) + 1] if line.endswith("\n")]
        if not losses:
            lines = []  # a new run, whose losses may have other names: the header is new as well
        if self.path.is_file():
            write_file(self.path, "".join(lines).encode())
        for n in range(max(0, len(lines) - 1), len(losses)):
            self._append(self.path, losses[: n + 1], seconds="")

    def __call__(self, losses: list[dict[str, float]]) -> None:
        now = time.perf_counter()
        if self.path is not None:
            self._append(self.path, losses, seconds=round(now - self.last, 4))
        self.last = now

    def _append(self, path: Path, losses: list[dict[str, float]], seconds: float | str) -> None:
        rate = learning_rate(len(losses) - 1, self.training)
        row = {"step": len(losses), **losses[-1], "learning_rate": rate, "seconds": seconds}
        append(path, row)


class Validation:
    """A callback that evaluates the model on a validation set every `every` steps.

    last: the run's last step, after which it is evaluated in any case. validation.csv gets the
    losses, which `forward` returns in any mode, and the average precision of boxes and masks; of
    keypoints, too, where it is known how far off each may be (`evaluate.oks`). Each of several
    processes takes its part of the images.
    """

    def __init__(
        self,
        model: MaskRCNN,
        dataset: Any,
        every: int,
        folder: str | Path | None = None,
        last: int | None = None,
    ):
        check_number("every", every, 1, whole=True)
        self.model, self.dataset, self.every, self.last = model, as_dataset(dataset), every, last
        self.path = None if folder is None or rank() > 0 else Path(folder) / VAL_CSV
        self.measured: dict[int, dict[str, float]] = {}  # step -> {name: value}

    def __call__(self, losses: list[dict[str, float]]) -> None:
        if len(losses) % self.every and len(losses) != self.last:
            return
        self.measure(losses)

    def catch_up(self, losses: list[dict[str, float]]) -> None:
        """Evaluate a run that was complete before, unless its last step is in the file."""
        rows = [] if self.path is None or not self.path.is_file() else _rows(self.path)
        if any_rank(rank() == 0 and str(len(losses)) not in [row["step"] for row in rows]):
            self.measure(losses)

    def measure(self, losses: list[dict[str, float]]) -> None:
        """Evaluate now, after the last of these steps."""
        values = validation_losses(self.model, self.dataset)
        detections = detect_shared(self.model, self.dataset, progress=False)
        iou_types = ["bbox"] if self.model.mask_head is None else ["bbox", "segm"]
        if self.model.keypoint_head is not None and are_sigmas_known(self.dataset):
            iou_types.append("keypoints")
        for iou_type in iou_types:
            scores = asdict(evaluate(self.dataset, detections, iou_type, progress=False))
            values |= {f"{iou_type} {name}": scores[name] for name in ("ap", "ap50", "ap75")}
        self.measured[len(losses)] = values
        if self.path is None:
            return
        if len(self.measured) == 1 and self.path.is_file():  # remove steps that are repeated
            header, *lines = self.path.read_text().splitlines(keepends=True)
            lines = [line for line in lines if int(line.split(",")[0]) < len(losses)]
            write_file(self.path, "".join([header, *lines] if lines else []).encode())
        append(self.path, {"step": len(losses), **values})


def validation_losses(model: MaskRCNN, dataset: Any) -> dict[str, float]:
    """The mean of each loss over the images of a dataset.

    Batch norm uses its running statistics, and the same anchors and RoIs are sampled every time.
    The model is left as it was.
    """
    device, total, dataset = next(model.parameters()).device, {}, as_dataset(dataset)
    indices = range(rank(), len(dataset), world_size())
    model = in_eval_mode(model)
    with torch.no_grad():
        # A process without images computes the losses of the first one, which count 0 times: all
        # processes need to know their names.
        for index in indices or range(1):
            image, target = dataset.encoded_item(index)
            generator = torch.Generator(device).manual_seed(index)
            losses = model([image], [target], [generator])
            for name, loss in losses.items():
                total[name] = total.get(name, 0.0) + loss.item() * bool(indices)
    weight = world_size() / len(dataset)
    return dict(zip(total, mean([value * weight for value in total.values()]), strict=True))


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file, and before the first one a header."""
    line = io.StringIO()
    writer = csv.DictWriter(line, row, lineterminator="\n")
    if not path.is_file() or path.stat().st_size == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer.writeheader()
    writer.writerow(row)
    with open(path, "a") as file:
        file.write(line.getvalue())


def load_history(folder: str | Path) -> tuple[list[dict[str, float]], dict[str, dict[int, float]]]:
    """A run's losses of every step, and its validation scores {name: {step: value}}."""
    losses, measured = [], {}
    for row in _rows(Path(folder) / LOSSES_CSV):
        losses.append({name: float(v) for name, v in row.items() if name.startswith("loss_")})
    if (Path(folder) / VAL_CSV).is_file():
        for row in _rows(Path(folder) / VAL_CSV):
            step = int(row.pop("step"))
            for name, value in row.items():
                if not name.startswith("loss_"):
                    measured.setdefault(name, {})[step] = float(value)
    return losses, measured


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
