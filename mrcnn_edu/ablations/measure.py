"""One run: a setting trained from its start and scored on scenes that it has not seen."""

import platform
import time
from dataclasses import asdict, replace
from multiprocessing import current_process
from pathlib import Path

import torch

from mrcnn_edu.ablations.setup import Job, opened
from mrcnn_edu.ablations.start import init_backbone
from mrcnn_edu.evaluate import DetectionList, detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit
from mrcnn_edu.train.checkpoints import CHECKPOINT, PREVIOUS

MASK_DECODINGS = "probability", "strongest", "background"  # of a mask learned with softmax


def measure(job: Job, checkpoints: Path) -> dict:
    """Train and score: what is found, as plain JSON."""
    # Of a CPU its own seconds: what else the machine does, other runs above all, is left out.
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    began = clock()
    taken_up = any((checkpoints / name).exists() for name in (CHECKPOINT, PREVIOUS))
    torch.manual_seed(job.training.seed)
    model = init_backbone(MaskRCNN(job.config))
    if torch.cuda.is_available():
        model.cuda()
    data, val_data = opened(job.train_data), opened(job.val_data)
    training = job.training
    if current_process().daemon:  # as Dask's workers are, who must not have any of their own
        training = replace(training, workers=0)
    shown = job.augmentation.of(data, training, job.config.pixel_mean)
    losses = fit(model, shown, training, checkpoints, progress=False)
    trained = clock()
    found = detect_all(model, val_data, progress=False)
    detected = clock()
    scores = {"bbox": score(val_data, found, "bbox")}
    if model.mask_head is not None:
        scores["segm"] = score(val_data, found, "segm")
    if job.config.mask_loss == "softmax":
        for reading in MASK_DECODINGS[1:]:
            model.config = replace(job.config, mask_decoding=reading)
            again = detect_all(model, val_data, progress=False)
            scores[f"segm {reading}"] = score(val_data, again, "segm")
    return {
        "scores": scores,
        "last_losses": losses[-1],
        **({} if taken_up else {"seconds": round(trained - began, 1)}),  # or of the rest alone
        "milliseconds_per_image": round(1000 * (detected - trained) / max(1, len(val_data)), 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_megabytes": round(step_bytes(model, data, job.training.batch_size) / 1e6, 1),
        "machine": device_name(),
        "torch": torch.__version__,
    }


def device_name() -> str:
    """What it was computed on."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()


def score(dataset, found: DetectionList, kind: str) -> dict[str, float]:
    """Average precisions in percent; a size without objects has none."""
    values = asdict(evaluate(dataset, found, kind, progress=False))
    values.pop("per_class")
    return {name: round(100 * value, 3) for name, value in values.items() if value == value}


def step_bytes(model: MaskRCNN, dataset, batch_size: int) -> int:
    """Bytes that a training step keeps for its backward pass, parameters not counted."""
    device = next(model.parameters()).device
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    items = [dataset[i] for i in range(min(batch_size, len(dataset)))]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        losses = model(*zip(*items, strict=True), torch.Generator(device).manual_seed(0))
    total = sum(sizes.values())
    del losses  # until here its storages live, so that no address is used twice
    model.eval()
    return total
