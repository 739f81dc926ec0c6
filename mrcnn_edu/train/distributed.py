"""Distributed training: several processes train one model, each on its part of every batch.

    torchrun --nproc-per-node 8 -m mrcnn_edu train ...

The gradients of a step are averaged over all processes (DistributedDataParallel), and each process
weights its losses by its number of rows (`share_losses`). So N processes learn what one process
would learn from the whole batch, as far as the images have one size: padding differs, and batch
norm that is not frozen sees the images of its own process alone.

Process 0 alone writes and prints. All processes need access to the folder of the checkpoints.
Without torchrun nothing here has any effect.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mrcnn_edu.data.dataset import Selection
from mrcnn_edu.evaluate import DetectionList, detect_all
from mrcnn_edu.losses import Losses

VARIABLES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"}  # set by torchrun
# Gloo has no exception of its own: it raises RuntimeError, with the place in its source code.
GLOO_ERROR = re.compile(r"[/\\]gloo[/\\]\S+:\d+\]")


class LostProcess(ConnectionError):
    """Another process ended too early, and this one cannot continue without it."""


@contextmanager
def init_distributed() -> Iterator[None]:
    """Inside, this process works together with the others that torchrun started, if any.

    Raises LostProcess if another one ends too early.
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
        if not is_lost_process(error):
            raise
        raise LostProcess(
            f"process {rank()} of {world_size()} has lost another one, which was killed or has "
            "failed (its own message is above): run the same command again to resume from the last "
            "checkpoint"
        ) from error
    finally:
        sys.stdout = stdout
        distributed.destroy_process_group()


def is_lost_process(error: RuntimeError) -> bool:
    """Whether communication between processes failed: in NCCL, gloo, or the store they share."""
    return isinstance(error, distributed.DistError) or bool(GLOO_ERROR.search(str(error)))


def hard_exit(code: int) -> NoReturn:
    """End this process with an exit code, without Python's cleanup.

    After the loss of another process, background threads of the process group still wait for it,
    and sometimes one of them aborts the process during the cleanup.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """The number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def parallel(model: nn.Module) -> nn.Module:
    """The model, with gradients averaged over all processes in every backward pass."""
    return model if world_size() == 1 else DistributedDataParallel(model)


def no_sync_if(condition: bool, network: nn.Module) -> AbstractContextManager:
    """Inside, if the condition holds, backward passes do not average gradients over processes.

    They are summed up, and the next backward pass outside averages the sums. network: the result
    of `parallel`.
    """
    if condition and isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()


def share_losses(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The losses, weighted so that their mean over all processes is the loss of the whole batch.

    Each of the `Losses` is a mean over rows, of which every process has a different number. Any
    other mapping counts as means over images, of which all processes have the same number.
    """
    if world_size() == 1 or not isinstance(losses, Losses):
        return dict(losses)
    totals = _sum([float(losses.n_rows[name]) for name in losses]).clamp(min=1).tolist()
    return {
        name: loss * (losses.n_rows[name] * world_size() / total)
        for (name, loss), total in zip(losses.items(), totals, strict=True)
    }


def mean(values: list[float]) -> list[float]:
    """The mean of each value over all processes."""
    return values if world_size() == 1 else (_sum(values) / world_size()).tolist()


def any_rank(condition: bool) -> bool:
    """Whether the condition holds in any process."""
    return condition if world_size() == 1 else bool(_sum([condition]).item())


def check_same(number: int, what: str) -> None:
    """Raise ValueError unless all processes have the same number. what: its name for the error."""
    if world_size() > 1 and abs(mean([number])[0] - number) > 0.1 / world_size():
        raise ValueError(
            f"{what} is {number} in process {rank()}, and different in others: all processes need "
            "the same folder, also on other machines"
        )


def detect_shared(model: Any, dataset: Any, progress: bool = True) -> DetectionList:
    """The detections in all images, in every process; each process runs on its part of them."""
    indices = range(rank(), len(dataset), world_size())
    detections = detect_all(model, Selection(dataset, indices), progress and rank() == 0)
    if world_size() == 1:
        return detections
    encoded = [detections.encoded(i) for i in range(len(detections))]
    gathered: list[Any] = [None] * world_size()
    distributed.all_gather_object(gathered, (encoded, detections.seconds))
    merged = DetectionList()
    for index in range(len(dataset)):
        part, seconds = gathered[index % world_size()]
        merged.append(*part[index // world_size()])
        merged.seconds.append(seconds[index // world_size()])
    return merged


def _sum(values: list[float]) -> Tensor:
    """The sum of each value over all processes, float64 [len(values)], in all of them."""
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total
