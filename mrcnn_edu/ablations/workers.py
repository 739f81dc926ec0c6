"""Worker processes on this machine: one for each GPU, or one for each CPU core without any GPU."""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess

import torch


def local_workers(n_jobs: int) -> ProcessPoolExecutor:
    """An executor of at most n_jobs processes. They end when this process does, even if killed."""
    n_gpus = torch.cuda.device_count()
    n_workers, context = min(n_jobs, n_gpus or os.cpu_count() or 1), get_context("spawn")
    gpus = context.SimpleQueue()
    for gpu in range(min(n_workers, n_gpus)):
        gpus.put(gpu)
    return ProcessPoolExecutor(n_workers, context, _start_worker, (gpus,))


def _start_worker(gpus) -> None:
    """In a new worker: take a GPU, and arrange to end together with the parent process."""
    if torch.cuda.is_available():
        torch.cuda.set_device(gpus.get())
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once at Ctrl-C; there is a checkpoint
    parent = parent_process()
    assert parent is not None  # this is a worker
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # otherwise a worker would go on training after its parent was killed
