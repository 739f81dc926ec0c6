"""Batches: which images make up a step, which process takes them, and what is random about each.

All of it follows from the seed and the step's number alone. So a run can resume at any step, with
any number of processes, and continues as if it had never stopped.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from multiprocessing import parent_process
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mrcnn_edu.data.dataset import Wrapper, as_dataset
from mrcnn_edu.train.distributed import rank, world_size
from mrcnn_edu.train.grouping import grouped_indices
from mrcnn_edu.train.recipes import Training


def order(dataset: Any, training: Training) -> Iterator[list[int]]:
    """The indices of each step's images, in random order or grouped by shape."""
    items = as_dataset(dataset)
    n = len(items) // items.passes
    if not training.group_by_shape:
        return step_indices(n, training, items.passes)
    sizes = [items.image_size(i) for i in range(n)]
    return grouped_indices(n, training, sizes, items.passes)


def step_indices(n: int, training: Training, passes: int = 1) -> Iterator[list[int]]:
    """The indices of each step's images: all n in random order, again and again.

    passes: of an `Augmented` dataset, whose item p * n + i is image i in pass p.
    """
    generator = torch.Generator().manual_seed(training.seed)
    epochs = (torch.randperm(n, generator=generator) + n * (p % passes) for p in count())
    stream = chain.from_iterable(epoch.tolist() for epoch in epochs)
    for _ in range(training.steps):
        yield list(islice(stream, training.batch_size))


def local_slots(training: Training) -> range:
    """The positions in a step's batch whose images this process takes: every N-th of N processes.

    Raises ValueError unless the images can be split evenly between processes and micro-batches.
    """
    n_parts = world_size() * training.grad_accumulation
    if training.batch_size % n_parts:
        raise ValueError(
            f"batch_size is {training.batch_size}, the images of a step: they cannot be split "
            f"evenly between {world_size()} processes in {training.grad_accumulation} parts each, "
            f"so give a multiple of {n_parts}"
        )
    return range(rank(), training.batch_size, world_size())


def loader(dataset: Any, training: Training, first_step: int = 0) -> DataLoader:
    """This process's images of each step from `first_step` on: (list of images, of targets)."""
    slots = local_slots(training)
    steps = enumerate(order(dataset, training))
    return DataLoader(
        SeededDataset(dataset),
        batch_sampler=(
            [(indices[slot], image_seed(training, step, slot)) for slot in slots]
            for step, indices in islice(steps, first_step, None)
        ),
        collate_fn=collate,
        num_workers=training.workers,
        worker_init_fn=_ignore_foreign_sigterm,
    )


def _ignore_foreign_sigterm(_) -> None:
    """In a worker process: exit on SIGTERM only if it comes from the parent.

    Job schedulers signal all processes of a job, and the parent still needs batches to finish its
    step.
    """
    if hasattr(signal, "sigwaitinfo"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_parents_sigterm, daemon=True).start()


def _exit_on_parents_sigterm() -> None:
    parent = parent_process()
    assert parent is not None  # this is a worker
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
        pass
    os._exit(0)


class MicroBatch(NamedTuple):
    """What the model is called with: one entry for each image."""

    images: Sequence[Tensor]
    targets: Sequence[dict]
    generators: Sequence[Generator]  # to sample the image's anchors and RoIs with


def micro_batches(
    images: Sequence[Tensor], targets: Sequence[dict], training: Training, step: int, device
) -> Iterator[MicroBatch]:
    """This process's images of a step, split into `grad_accumulation` parts of the same size."""
    n, slots = training.grad_accumulation, local_slots(training)
    if training.rng_scope == "step" and world_size() * n == 1:
        seed = training.seed * 1_000_003 + step
        generators = [torch.Generator(device).manual_seed(seed)] * len(images)
        yield MicroBatch(images, targets, generators)
        return
    seeds = [image_seed(training, step, slot) for slot in slots]
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    size = len(slots) // n
    for part in range(n):
        rows = slice(part * size, (part + 1) * size)
        yield MicroBatch(images[rows], targets[rows], generators[rows])


def image_seed(training: Training, step: int, slot: int) -> int:
    """The seed, of 32 bits, for all that is random about the image at a position of a batch."""
    return (training.seed * 1_000_003 + step * training.batch_size + slot + 1) % 2**32


class SeededDataset(Wrapper, TorchDataset):
    """A dataset whose item (index, seed) is made with PyTorch's global generator at that seed.

    So a dataset may draw random numbers, as augmentation does, and a resumed run draws the same
    ones. A target without an image_id gets the image's index, so that errors can name it.
    """

    def __getitem__(self, index_and_seed: tuple[int, int]) -> tuple[Tensor, dict]:
        index, seed = index_and_seed
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            image, target = self.dataset.encoded_item(index)
        n_images = len(self.dataset) // self.passes
        return image, {"image_id": index % n_images} | target


def collate(items: list[tuple]) -> tuple:
    """(images, targets) of a list of items (image, target); images may have any sizes."""
    return tuple(zip(*items, strict=True))
