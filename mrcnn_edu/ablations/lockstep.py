"""Settings trained in turns, a step of each, so that one sees them learn side by side."""

from collections.abc import Iterator

import torch

from mrcnn_edu.ablations.setup import Job, opened
from mrcnn_edu.ablations.start import init_backbone
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import steps


def train_in_lockstep(jobs: dict[str, Job]) -> Iterator[tuple[int, dict[str, MaskRCNN]]]:
    """The steps taken, and the models by name: before the first step of all, and after each.

    Each model learns as it does alone, from the same start and the same images. All jobs have the
    same number of steps. Between two steps the models may be asked anything.
    """
    models, runs = {}, []
    for name, job in jobs.items():
        torch.manual_seed(job.training.seed)
        models[name] = init_backbone(MaskRCNN(job.config))
        runs.append(steps(models[name], opened(job.train_data), job.training))
    for losses in zip(*runs, strict=True):
        yield len(losses[0]), models
