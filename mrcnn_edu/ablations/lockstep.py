"""Several settings trained together, a step of each in turn, to compare them while they learn."""

from collections.abc import Iterator, Mapping

import torch

from mrcnn_edu.ablations.job import Job, open_data
from mrcnn_edu.model import MaskRCNN
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.train import steps
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
    n_steps = max((job.training.steps for job in jobs.values()), default=0)
    title = f"train {' and '.join(jobs)}"
    with progress_bar(total=n_steps, description=title, disable=not progress) as bar:
        for losses in zip(*runs, strict=True):
            n = len(losses[0])
            bar.update(n - bar.n)
            yield n, models
