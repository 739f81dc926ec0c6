"""Worker processes on this machine: one for each GPU, or one for each CPU core without any GPU."""

import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess

import torch

PATIENCE = 1.2  # seconds in which a worker can save its last step before it is killed


class LocalWorkers(ProcessPoolExecutor):
    """An executor of n processes with one thread each. They end when this process does."""

    def __init__(self, n: int):
        context = get_context("spawn")
        gpus = context.SimpleQueue()
        for gpu in range(min(n, torch.cuda.device_count())):
            gpus.put(gpu)
        super().__init__(n, context, _start_worker, (gpus,))

    def end(self) -> None:
        """End all processes now, whatever they do: every future that is not done fails.

        A training run saves its last step, if it can within a second or so.
        """
        processes = list((self._processes or {}).values())
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + PATIENCE
        for process in processes:
            process.join(max(0, deadline - time.monotonic()))
        for process in processes:
            process.kill()
        self.shutdown(wait=False, cancel_futures=True)


def local_workers(n_jobs: int) -> LocalWorkers:
    """An executor of a process for each GPU, or for each core, but of at most n_jobs."""
    return LocalWorkers(min(n_jobs, n_local_workers()))


def n_local_workers() -> int:
    """How many runs this machine makes at a time: one on each GPU, or one on each core."""
    return torch.cuda.device_count() or os.cpu_count() or 1


def _start_worker(gpus) -> None:
    """In a new worker: take a GPU, and arrange to end together with the parent process."""
    if torch.cuda.is_available():
        torch.cuda.set_device(gpus.get())
    if hasattr(os, "nice"):
        os.nice(5)  # whoever watches, and moves sliders meanwhile, comes first
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once at Ctrl-C; there is a checkpoint
    parent = parent_process()
    assert parent is not None  # this is a worker
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # otherwise a worker would go on training after its parent was killed
