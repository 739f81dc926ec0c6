"""Progress: what a run shows and writes of itself, step by step.

The files in a run's folder are tables that anyone can plot; `viz.show_training(*load_history(folder))`
does. A callback is called with the losses so far, after every step, in every process.
"""

import csv
import io
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from mrcnn_edu.evaluate import evaluate
from mrcnn_edu.files import write_file
from mrcnn_edu.model import evaluating
from mrcnn_edu.train.distributed import any_rank, detect_shared, mean, rank, world_size
from mrcnn_edu.train.recipes import Training, learning_rate

LOSSES = "losses.csv"
VAL_CSV = "validation.csv"
SHORT = {"loss_objectness": "rpn", "loss_rpn_box_reg": "rpn box", "loss_classifier": "class"}


def format_losses(losses: dict[str, float], images_per_second: float) -> str:
    """The losses of a step, images a second and the most memory so far, to stand beside a bar."""
    names = [SHORT.get(n, n.removeprefix("loss_").removesuffix("_reg")) for n in losses]
    each = ", ".join(f"{n} {v:.2f}" for n, v in zip(names, losses.values(), strict=True))
    pace, memory = f"{images_per_second:.3g} images/s", peak_memory()
    used = "" if memory is None else f", {memory / 1e9:.1f} GB"
    return f"loss {sum(losses.values()):.3f}: {each}; {pace}{used}"


def peak_memory() -> int | None:
    """The most bytes at once: of tensors on the GPU, or, without one, of this whole process.

    None where the system does not tell.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


class CSVLogger:
    """A callback that writes losses.csv: step, each loss, learning rate, seconds of the step.

    Without a folder, and in all processes but the first, it writes nothing. Of a run that goes on
    it has each step once: those to be done again go, and those that are missing come from `losses`.
    """

    def __init__(self, folder: str | Path | None, training: Training, losses: list[dict]):
        self.path = None if folder is None or rank() > 0 else Path(folder) / LOSSES
        self.training, self.last = training, time.perf_counter()
        if self.path is None:
            return
        lines = self.path.read_text().splitlines(keepends=True) if self.path.is_file() else []
        lines = [line for line in lines[: len(losses) + 1] if line.endswith("\n")]
        if not losses:
            lines = []  # a new run, perhaps with other losses: its header too is new
        if self.path.is_file():
            write_file(self.path, "".join(lines).encode())
        for n in range(max(0, len(lines) - 1), len(losses)):
            self._append(losses[: n + 1], seconds="")

    def __call__(self, losses: list[dict[str, float]]) -> None:
        now = time.perf_counter()
        if self.path is not None:
            self._append(losses, seconds=round(now - self.last, 4))
        self.last = now

    def _append(self, losses, seconds) -> None:
        rate = learning_rate(len(losses) - 1, self.training)
        row = {"step": len(losses), **losses[-1], "learning_rate": rate, "seconds": seconds}
        append(self.path, row)


class Validation:
    """A callback that measures the model on images it does not learn from, every so many steps.

    last: the run's last step, after which it is measured in any case. validation.csv has the losses,
    which `forward` gives in any mode, and the average precisions of boxes and masks. Of several
    processes each takes its share of the images.
    """

    def __init__(
        self,
        model,
        dataset,
        every: int,
        folder: str | Path | None = None,
        last: int | None = None,
    ):
        self.model, self.dataset, self.every, self.last = model, dataset, every, last
        self.path = None if folder is None or rank() > 0 else Path(folder) / VAL_CSV
        self.measured = {}  # step -> {name: value}

    def __call__(self, losses: list[dict[str, float]]) -> None:
        if len(losses) % self.every and len(losses) != self.last:
            return
        self.measure(losses)

    def catch_up(self, losses: list[dict[str, float]]) -> None:
        """Measure a run that was complete before, unless its last step is in the file."""
        there = [] if self.path is None or not self.path.is_file() else _rows(self.path)
        if any_rank(rank() == 0 and str(len(losses)) not in [row["step"] for row in there]):
            self.measure(losses)

    def measure(self, losses: list[dict[str, float]]) -> None:
        """Measure now, after the last of these steps."""
        values = validation_losses(self.model, self.dataset)
        found = detect_shared(self.model, self.dataset, progress=False)
        kinds = ["bbox"] if self.model.mask_head is None else ["bbox", "segm"]
        for kind in kinds:
            scores = asdict(evaluate(self.dataset, found, kind, progress=False))
            values |= {f"{kind} {name}": scores[name] for name in ("ap", "ap50", "ap75")}
        self.measured[len(losses)] = values
        if self.path is None:
            return
        if len(self.measured) == 1 and self.path.is_file():  # what is measured again goes
            header, *lines = self.path.read_text().splitlines(keepends=True)
            lines = [line for line in lines if int(line.split(",")[0]) < len(losses)]
            write_file(self.path, "".join([header, *lines] if lines else []).encode())
        append(self.path, {"step": len(losses), **values})


def validation_losses(model, dataset) -> dict[str, float]:
    """The mean of each loss over the images of a data set; the model is left as it was.

    Norms are as in detection, and the draws of anchors and RoIs are the same each time.
    """
    device, total = next(model.parameters()).device, {}
    own = range(rank(), len(dataset), world_size())
    with evaluating(model), torch.no_grad():
        for index in own or range(1):  # without one, the first counts 0 times: others wait for it
            image, target = dataset[index]
            generator = torch.Generator(device).manual_seed(index)
            parts = model([image], [target], [generator])
            for name, loss in parts.items():
                total[name] = total.get(name, 0.0) + loss.item() * bool(own)
    share = world_size() / len(dataset)
    return dict(zip(total, mean([value * share for value in total.values()]), strict=True))


def append(path: Path, row: dict) -> None:
    """Nothing comes back; the table has one more row, and if it is new its header."""
    line = io.StringIO()
    writer = csv.DictWriter(line, row, lineterminator="\n")
    if not path.is_file() or path.stat().st_size == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer.writeheader()
    writer.writerow(row)
    with open(path, "a") as file:
        file.write(line.getvalue())


def load_history(folder: str | Path) -> tuple[list[dict[str, float]], dict[str, dict[int, float]]]:
    """The losses of every step, and what was measured, name -> {step: value}, of a run's folder."""
    losses, measured = [], {}
    for row in _rows(Path(folder) / LOSSES):
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
