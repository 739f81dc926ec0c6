"""Stops: where Python waits for a GPU, and the GPU then for Python.

Python only writes into a queue what the GPU is to do, and is far ahead of it, until it asks for a
number: how many boxes are left? Then it waits until all is done, and while it writes on, the GPU
has nothing to do. So numbers are read together, those of all images at once (`read`), what goes
up is sent without waiting (`upload`), and what has a known length is found without counting it
(`rows_where`). `count_stops` finds the stops in any code, on a CPU too.
"""

import sys
from collections import Counter
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def on_gpu(values: Tensor) -> bool:
    """Whether who asks these values for a number has to wait."""
    return values.is_cuda


def read(numbers: list[Tensor]) -> list:
    """The numbers of tensors of one shape, as `tolist` gives them: one stop for all."""
    return torch.stack(numbers).tolist()


def upload(values, device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor, or Python's numbers, as a tensor on the device."""
    values = torch.as_tensor(values, dtype=dtype)
    if torch.device(device).type != "cuda" or on_gpu(values):
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)  # a copy that nobody waits for


def rows_where(mask: Tensor, n: int) -> Tensor:
    """The n rows [n] of a mask [N] that are true, in order, where n is known to be their number."""
    if not on_gpu(mask):
        return torch.where(mask)[0]
    rows = torch.arange(len(mask), device=mask.device)
    place = torch.where(mask, mask.cumsum(0) - 1, n)  # of all others behind the end
    return rows.new_empty(n + 1).scatter_(0, place, rows)[:n]


ASK = {  # what needs a number from the device, to know its result or how long it is
    "item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "nonzero",
    "argwhere", "unique", "unique_consecutive", "masked_select", "equal", "allclose", "bincount",
}  # fmt: skip


@contextmanager
def count_stops():
    """Inside, stops are counted: Counter({"module.function: operation": how many}).

    Every tensor counts as if it were on the device; what works on others (`images.check_images`
    looks at those that still have to go up) the reader leaves out.
    """
    found = Counter()
    with _Watch(found):
        yield found


class _Watch(TorchFunctionMode):
    def __init__(self, found: Counter):
        super().__init__()
        self.found = found

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        goes_up = name == "new_tensor" or (name == "tensor" and "device" in kwargs)
        if goes_up or name in ASK or _asks_for_a_length(name, args, kwargs):
            place = _place()
            if place is not None:
                self.found[f"{place}: {name}"] += 1
        return function(*args, **kwargs)


def _asks_for_a_length(name: str, args: tuple, kwargs: dict) -> bool:
    """Whether it depends on values how long the result is."""
    if name == "where":
        return len(args) + len(kwargs) == 1
    if name == "repeat_interleave":
        return isinstance(args[-1], Tensor) and kwargs.get("output_size") is None
    if name in ("__getitem__", "__setitem__"):
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        masks = any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in index)
        # A number for all of a mask's places is filled in where they are.
        filled = name == "__setitem__" and not isinstance(args[2], Tensor)
        return (masks and not filled) or any(isinstance(i, (list, range)) for i in index)
    return False


def _place() -> str | None:
    """Who asks, PyTorch's own functions left out; None in those of this file that do not wait."""
    frame = sys._getframe(2)
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module == __name__ and function in ("upload", "rows_where"):
            return None
        if module.partition(".")[0] != "torch" and module != __name__:
            return f"{module.removeprefix(f'{__package__}.')}.{function}"
        frame = frame.f_back
    return None
