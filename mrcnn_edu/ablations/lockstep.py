"""Several settings trained together, a step of each in turn, to compare them while they learn."""

from collections.abc import Iterator, Mapping

import torch

from mrcnn_edu.ablations.job import Job, open_data
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.train import steps, with_progress
from mrcnn_edu.weights import init_backbone


def train_in_lockstep(
    jobs: Mapping[str, Job], progress: bool = True
) -> Iterator[tuple[int, dict[str, MaskRCNN]]]:
    """The number of steps taken and the models by name, before the first step and after each.

    Each model learns exactly as it does by itself. All jobs have the same number of steps. Between
    two steps the models can be used, for example to detect. progress: show a progress bar.
    """
    models, runs = {}, []
    for name, job in jobs.items():
        torch.manual_seed(job.training.seed)
        models[name] = init_backbone(MaskRCNN(job.config))
        runs.append(steps(models[name], open_data(job.train_data), job.training))
    if progress and runs:
        n_steps = min(job.training.steps for job in jobs.values())
        runs[0] = with_progress(runs[0], n_steps, f"train {' and '.join(jobs)}")
    for losses in zip(*runs, strict=True):
        yield len(losses[0]), models
