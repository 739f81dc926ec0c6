"""CPU-GPU synchronization points: where the CPU has to wait for the GPU, and how to find them.

Python only queues what the GPU is to compute, and usually runs far ahead of it. As soon as it needs
a value (how many boxes are left?), it waits until the GPU has computed everything queued before it;
and then the GPU waits for Python to queue new work. Each such point costs a little time.

`count_syncs` counts them in any code, on a CPU too. `detect` has five for each image, a training
step seven (tests/test_count_syncs.py), because the readable code treats images one by one.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

SYNCING_OPS = {  # their result, or its shape, depends on values on the device
    "item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "nonzero",
    "argwhere", "unique", "unique_consecutive", "masked_select", "equal", "allclose", "bincount",
}  # fmt: skip


@contextmanager
def count_syncs() -> Iterator[Counter]:
    """Count the synchronization points inside: Counter({"module.function: operation": count}).

    Every tensor counts as if it were on the GPU, including those that are not there yet: ignore
    what `validate.check_images` does with images before they are copied.
    """
    counts: Counter = Counter()
    with _Counting(counts):
        yield counts


class _Counting(TorchFunctionMode):
    def __init__(self, counts: Counter):
        super().__init__()
        self.counts = counts
        self.on_host: WeakSet[Tensor] = WeakSet()  # copies that nobody waited for

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        if any(arg is tensor for arg in args for tensor in self.on_host):
            return function(*args, **kwargs)
        copied = name == "new_tensor" or (name == "tensor" and "device" in kwargs)
        if copied or name in SYNCING_OPS or _has_dynamic_shape(name, args, kwargs):
            self.counts[f"{_caller()}: {name}"] += 1
        result = function(*args, **kwargs)
        if name == "to" and "cpu" in args and kwargs.get("non_blocking"):
            self.on_host.add(result)
        return result


def _has_dynamic_shape(name: str, args: tuple, kwargs: dict) -> bool:
    """Whether the shape of the result depends on values."""
    if name == "where":
        return len(args) + len(kwargs) == 1
    if name == "repeat_interleave":
        return isinstance(args[-1], Tensor) and kwargs.get("output_size") is None
    if name in ("__getitem__", "__setitem__"):
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        masks = any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in index)
        # One number for all positions of a mask is written in place.
        filled = name == "__setitem__" and not isinstance(args[2], Tensor)
        return (masks and not filled) or any(isinstance(i, (list, range)) for i in index)
    return False


def _caller() -> str:
    """The function that called the operation; PyTorch's own functions are skipped."""
    frame = sys._getframe(2)
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.partition(".")[0] != "torch" and module != __name__:
            return f"{module.removeprefix('mrcnn_edu.')}.{function}"
        frame = frame.f_back
    return "unknown"
