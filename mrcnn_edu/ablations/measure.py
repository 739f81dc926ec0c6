"""One job: a model trained from a pretrained backbone, and scored on images it has not seen.

While it learns, its folder shows how far it is: losses.csv has the losses of every step, and
validation.csv the scores on a few images after each quarter. Afterwards model.pt is the trained
model in 16 bits, which `mrcnn_edu.load` reads.
"""

import time
from copy import deepcopy
from dataclasses import asdict, replace
from multiprocessing import current_process
from pathlib import Path
from typing import get_args, get_type_hints

import torch
from torch.utils.data import Subset

from mrcnn_edu.ablations.job import Job, open_data
from mrcnn_edu.ablations.machine import machine_record
from mrcnn_edu.config import Config
from mrcnn_edu.evaluate import Scores, detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit
from mrcnn_edu.train.checkpoints import CHECKPOINT, PREVIOUS
from mrcnn_edu.train.metrics import Validation, load_history
from mrcnn_edu.weights import init_backbone, save

MODEL = "model.pt"  # in the job's folder
WATCHED_IMAGES = 24  # scored during the run
MASK_DECODINGS = get_args(get_type_hints(Config)["mask_decoding"])  # the first is the default


def measure(job: Job, checkpoints: Path) -> dict:
    """Train and score the job's model; the record, in plain JSON types.

    checkpoints: the job's folder; a run that was stopped resumes from what is there. A model
    trained with softmax is scored with each way to decode its masks.
    """
    # On a CPU, count this process's seconds: other runs on the machine do not matter then.
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    is_resumed = any((checkpoints / name).exists() for name in (CHECKPOINT, PREVIOUS))
    torch.manual_seed(job.training.seed)
    model = init_backbone(MaskRCNN(job.config))
    if torch.cuda.is_available():
        model.cuda()
    train_data, val_data = open_data(job.train_data), open_data(job.val_data)
    training = job.training
    if current_process().daemon:  # a Dask worker, which may not start processes of its own
        training = replace(training, workers=0)
    augmented = job.augmentation.wrap(train_data, training, job.config.pixel_mean)
    watch = Watch(model, val_data, training.steps, checkpoints, clock)
    losses = fit(model, augmented, training, checkpoints, progress=False, callbacks=[watch])
    trained = clock()
    detections = detect_all(model, val_data, progress=False)
    detected = clock()
    kinds = ["bbox"] if model.mask_head is None else ["bbox", "segm"]
    evaluations = {kind: evaluate(val_data, detections, kind, progress=False) for kind in kinds}
    scores = {kind: percent(values) for kind, values in evaluations.items()}
    per_class = {kind: percent(values.per_class) for kind, values in evaluations.items()}
    if job.config.mask_loss == "softmax":
        for decoding in MASK_DECODINGS[1:]:
            model.config = replace(job.config, mask_decoding=decoding)
            detections = detect_all(model, val_data, progress=False)
            values = evaluate(val_data, detections, "segm", progress=False)
            scores[f"segm {decoding}"] = percent(values)
        model.config = job.config
    halves = {name: value.half() if value.is_floating_point() else value
              for name, value in model.state_dict().items()}  # fmt: skip
    save(checkpoints / MODEL, model, model.classes, halves)
    seconds = {} if is_resumed else {"seconds": round(trained - start - watch.seconds, 1)}
    return {
        "scores": scores,
        "per_class": per_class,
        "curves": curves(checkpoints),
        "last_losses": losses[-1],
        **seconds,  # left out for a resumed run, of which only the rest was timed
        "milliseconds_per_image": round(1000 * (detected - trained) / max(1, len(val_data)), 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_megabytes": round(step_bytes(model, train_data, job.training.batch_size) / 1e6, 1),
        **machine_record(),
    }


class Watch:
    """A callback of `fit`: scores on a few images after each quarter, and the seconds it took."""

    def __init__(self, model: MaskRCNN, data, steps: int, folder: Path, clock):
        few = Subset(data, range(min(WATCHED_IMAGES, len(data))))
        self.clock, self.seconds = clock, 0.0
        self.validation = Validation(model, few, max(1, steps // 4), folder) if len(few) else None

    def __call__(self, losses: list[dict[str, float]]) -> None:
        start = self.clock()
        if self.validation is not None:
            self.validation(losses)
        self.seconds += self.clock() - start


def curves(folder: Path) -> dict:
    """What `Watch` and `fit` have written: at most 100 values of each loss, and the scores.

    "losses" has the mean of each loss over `every` steps; "scores" has, by name, the value in
    percent after some steps: [[step, value], ...].
    """
    losses, measured = load_history(folder)
    every = -(-len(losses) // 100)
    parts = [losses[i : i + every] for i in range(0, len(losses), every)]
    means = {
        name: [round(sum(step[name] for step in part) / len(part), 4) for part in parts]
        for name in losses[0]
    }
    scores = {
        name: [[step, round(100 * value, 2)] for step, value in values.items() if value == value]
        for name, values in measured.items()
    }
    return {"every": every, "losses": means, "scores": scores}


def percent(values: Scores | dict[str, float]) -> dict[str, float]:
    """Average precisions in percent, without those of sizes or classes that do not occur (NaN)."""
    if isinstance(values, Scores):
        values = {name: value for name, value in asdict(values).items() if name != "per_class"}
    return {name: round(100 * value, 3) for name, value in values.items() if value == value}


def step_bytes(model: MaskRCNN, dataset, batch_size: int) -> int:
    """Bytes that a training step keeps for its backward pass, apart from the parameters."""
    model = deepcopy(model).train()  # batch norm counts the images
    device = next(model.parameters()).device
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    items = [dataset[i] for i in range(min(batch_size, len(dataset)))]
    images, targets = [image for image, _ in items], [target for _, target in items]
    generator = torch.Generator(device).manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = model(images, targets, [generator] * len(images))
    total = sum(sizes.values())
    del losses  # alive until here, so that no address was used twice
    return total
