"""The machine that a result was computed on, for the result's record."""

import platform

import torch


def machine_record() -> dict:
    """Threads, machine and PyTorch version, as entries of a record in JSON."""
    gpu = torch.cuda.is_available()
    return {
        "threads": torch.get_num_threads(),
        "machine": torch.cuda.get_device_name() if gpu else platform.machine(),
        "torch": torch.__version__,
    }
