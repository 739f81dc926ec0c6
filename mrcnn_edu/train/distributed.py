"""Processes: several that train one model together, each with its share of every step's images.

    torchrun --nproc-per-node 8 -m mrcnn_edu train ...

A step's gradients are the mean over all processes (DistributedDataParallel), and each divides its
losses by the mean number of rows (`share_losses`), so that N processes with a share each learn what
one learns from all the images, as far as these have one size: padding differs, and batch norm that
is not frozen sees its own process's images alone. The first process alone writes and prints. All
must reach the folder of the checkpoints. Without torchrun everything here leaves things as they
are.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NoReturn

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mrcnn_edu.evaluate import DetectionList, detect_all
from mrcnn_edu.losses import Losses

VARIABLES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"}  # that torchrun sets
LOST = re.compile("gloo|nccl|connection|socket|peer|timed? ?out", re.IGNORECASE)


class LostProcess(ConnectionError):
    """Another process has ended before its time, and this one can not go on without it."""


@contextmanager
def init_distributed() -> Iterator[None]:
    """Inside, this process works together with the others that torchrun has started, if any.

    Raises LostProcess if another one ends before its time.
    """
    if not os.environ.keys() >= VARIABLES:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    stdout = sys.stdout
    try:
        if rank() > 0:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, closed with the process
        yield
    except RuntimeError as error:
        if not LOST.search(str(error)):
            raise
        raise LostProcess(
            f"process {rank()} of {world_size()} has lost another one, which was killed or has "
            "failed (its own message is above): the same command goes on from the last checkpoint"
        ) from error
    finally:
        sys.stdout = stdout
        distributed.destroy_process_group()


def hard_exit(code: int) -> NoReturn:
    """End this process with an exit code, but without Python's cleaning up at the end.

    For one that has lost another: the threads of their group wait for it still, and now and then
    one of them aborts the process while Python takes down what it needs.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def parallel(model: nn.Module) -> nn.Module:
    """The model, whose gradients become the mean over all processes when they are computed."""
    return model if world_size() == 1 else DistributedDataParallel(model)


def no_sync_if(network: nn.Module, really: bool):
    """Inside, if really, gradients stay this process's own until a later backward pass."""
    return network.no_sync() if really and world_size() > 1 else nullcontext()


def share_losses(losses: Losses) -> dict[str, Tensor]:
    """The losses, weighted so that their mean over all processes is the loss of the whole batch.

    Each is a mean over this process's rows, of which every process has a different number.
    """
    if world_size() == 1:
        return losses
    totals = _sum([float(losses.n_rows[name]) for name in losses]).clamp(min=1).tolist()
    weights = {
        name: losses.n_rows[name] * world_size() / total
        for name, total in zip(losses, totals, strict=True)
    }
    return {name: loss * weights[name] for name, loss in losses.items()}


def mean(values: list[float]) -> list[float]:
    """The mean over all processes of each value."""
    return values if world_size() == 1 else (_sum(values) / world_size()).tolist()


def any_rank(answer: bool) -> bool:
    """Whether the answer is yes in any process."""
    return answer if world_size() == 1 else bool(_sum([answer]).item())


def check_same(number: int, what: str) -> None:
    """Raises ValueError unless the number is the same in all processes."""
    if world_size() > 1 and abs(mean([number])[0] - number) > 0.1 / world_size():
        raise ValueError(
            f"{what} is {number} in process {rank()}, and another in others: all processes need "
            "the same folder, also on other machines"
        )


def detect_shared(model, dataset, progress: bool = True) -> DetectionList:
    """`detect_all`, with each process taking its share of the images; all of them get all."""
    own = range(rank(), len(dataset), world_size())
    found = detect_all(model, _Part(dataset, own), progress and rank() == 0)
    if world_size() == 1:
        return found
    shares = [None] * world_size()
    packed = [found.packed(i) for i in range(len(found))]  # their masks are strings
    distributed.all_gather_object(shares, (packed, found.seconds))
    together = DetectionList()
    for index in range(len(dataset)):
        kept, seconds = shares[index % world_size()]
        together.append(*kept[index // world_size()])
        together.seconds.append(seconds[index // world_size()])
    return together


class _Part:
    """Some of a data set's items."""

    def __init__(self, dataset, indices: range):
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int):
        return self.dataset[self.indices[index]]


def _sum(values: list[float]) -> Tensor:
    """The sums over all processes, float64, in every one of them."""
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total
