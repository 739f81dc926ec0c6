"""One job: a model trained from a pretrained backbone, and scored on images it has not seen."""

import time
from copy import deepcopy
from dataclasses import asdict, replace
from multiprocessing import current_process
from pathlib import Path
from typing import get_args, get_type_hints

import torch

from mrcnn_edu.ablations.job import Job, open_data
from mrcnn_edu.ablations.machine import machine_record
from mrcnn_edu.config import Config
from mrcnn_edu.evaluate import DetectionList, detect_all, evaluate
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import fit
from mrcnn_edu.train.checkpoints import CHECKPOINT, PREVIOUS
from mrcnn_edu.weights import init_backbone

MASK_DECODINGS = get_args(get_type_hints(Config)["mask_decoding"])  # the first is the default


def measure(job: Job, checkpoints: Path) -> dict:
    """Train and score the job's model; the record, in plain JSON types.

    A model trained with softmax is scored with each way to decode its masks.
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
    losses = fit(model, augmented, training, checkpoints, progress=False)
    trained = clock()
    detections = detect_all(model, val_data, progress=False)
    detected = clock()
    scores = {"bbox": score(val_data, detections, "bbox")}
    if model.mask_head is not None:
        scores["segm"] = score(val_data, detections, "segm")
    if job.config.mask_loss == "softmax":
        for decoding in MASK_DECODINGS[1:]:
            model.config = replace(job.config, mask_decoding=decoding)
            detections = detect_all(model, val_data, progress=False)
            scores[f"segm {decoding}"] = score(val_data, detections, "segm")
    seconds = {} if is_resumed else {"seconds": round(trained - start, 1)}
    return {
        "scores": scores,
        "last_losses": losses[-1],
        **seconds,  # left out for a resumed run, of which only the rest was timed
        "milliseconds_per_image": round(1000 * (detected - trained) / max(1, len(val_data)), 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "step_megabytes": round(step_bytes(model, train_data, job.training.batch_size) / 1e6, 1),
        **machine_record(),
    }


def score(dataset, detections: DetectionList, iou_type: str) -> dict[str, float]:
    """Average precisions in percent, without those of object sizes that do not occur (NaN)."""
    values = asdict(evaluate(dataset, detections, iou_type, progress=False))
    values.pop("per_class")
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
