"""Batches: which images make up a step, who takes them, and what is drawn at random for each.

All of it follows from the seed and the step's number alone, so that a run can go on anywhere, in as
many processes as there are, as if nothing had been.
"""

import os
import signal
import threading
from collections.abc import Iterator
from itertools import chain, count, islice
from multiprocessing import parent_process

import torch
from torch.utils.data import DataLoader

from mrcnn_edu.train.distributed import rank, world_size
from mrcnn_edu.train.grouping import grouped_indices
from mrcnn_edu.train.recipes import Training


def order(dataset, training: Training) -> Iterator[list[int]]:
    """For every step the indices of its images: at random, or grouped by shape if that is asked.

    Raises ValueError if images are to be grouped, and the data set has no `image_size`.
    """
    passes = getattr(dataset, "passes", 1)
    n = len(dataset) // passes
    if not training.group_by_shape:
        return step_indices(n, training, passes)
    try:
        sizes = [dataset.image_size(i) for i in range(n)]
    except AttributeError:
        message = "group_by_shape needs images from files: drawn scenes are all square"
        raise ValueError(message) from None
    return grouped_indices(n, training, sizes, passes)


def step_indices(n: int, training: Training, passes: int = 1) -> Iterator[list[int]]:
    """For every step the indices of its images: all n in random order, again and again.

    passes: of an `Augmented` dataset, whose item p n + i is image i in pass p.
    """
    generator = torch.Generator().manual_seed(training.seed)
    rounds = (torch.randperm(n, generator=generator) + n * (p % passes) for p in count())
    stream = chain.from_iterable(of_pass.tolist() for of_pass in rounds)
    for _ in range(training.steps):
        yield list(islice(stream, training.batch_size))


def local_slots(training: Training) -> range:
    """The places in a step's batch whose images this process takes: of N processes every N-th.

    Raises ValueError unless each process and part has as many.
    """
    shares = world_size() * training.grad_accumulation
    if training.batch_size % shares:
        raise ValueError(
            f"batch_size is {training.batch_size}, the images of a step: they cannot be dealt out "
            f"evenly to {world_size()} processes in {training.grad_accumulation} parts each, so give a "
            f"multiple of {shares}"
        )
    return range(rank(), training.batch_size, world_size())


def loader(dataset, training: Training, first_step: int = 0) -> DataLoader:
    """This process's images of the steps from `first_step` on: lists of images, of targets."""
    places = local_slots(training)
    steps = enumerate(order(dataset, training))
    return DataLoader(
        SeededDataset(dataset),
        batch_sampler=(
            [(indices[place], image_seed(training, step, place)) for place in places]
            for step, indices in islice(steps, first_step, None)
        ),
        collate_fn=collate,
        num_workers=training.workers,
        worker_init_fn=_ignore_foreign_sigterm,
    )


def _ignore_foreign_sigterm(_) -> None:
    """In a worker: SIGTERM ends it if the run has sent it, and nobody else.

    A cluster that ends a job tells all its processes, and the run needs images until its step is
    kept.
    """
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_run_says, daemon=True).start()


def _end_when_the_run_says() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent_process().pid:
        pass
    os._exit(0)


def micro_batches(images, targets, training: Training, step: int, device) -> Iterator[tuple]:
    """The images, targets and generators of a process's share of a step, part by part."""
    n, places = training.grad_accumulation, local_slots(training)
    if training.rng_scope == "step" and world_size() * n == 1:
        seed = training.seed * 1_000_003 + step
        yield images, targets, [torch.Generator(device).manual_seed(seed)] * len(images)
        return
    seeds = [image_seed(training, step, place) for place in places]
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    size = len(places) // n  # so a part is of the same images, however many processes share it
    for part in range(n):
        rows = slice(part * size, (part + 1) * size)
        yield images[rows], targets[rows], generators[rows]


def image_seed(training: Training, step: int, place: int) -> int:
    """The seed of all that is drawn for the image in a place of a step's batch: 32 bits."""
    return (training.seed * 1_000_003 + step * training.batch_size + place + 1) % 2**32


class SeededDataset:
    """A data set whose item (index, seed) is made with torch's own generator set to that seed.

    So a data set may draw, as augmentation does, and a run that goes on draws the same. A target
    without an image_id gets the image's index, so that errors can name it.
    """

    def __init__(self, dataset):
        self.dataset = dataset
        self.n_images = len(dataset) // getattr(dataset, "passes", 1)

    def __getitem__(self, index_and_seed: tuple[int, int]):
        index, seed = index_and_seed
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            image, target = self.dataset[index]
        return image, {"image_id": index % self.n_images} | target


def collate(items: list[tuple]) -> tuple:
    return tuple(zip(*items, strict=True))
