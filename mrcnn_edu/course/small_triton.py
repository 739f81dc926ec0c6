"""Lesson 16: a small part of Triton in plain Python, which shows what a kernel touches.

`touched` runs a kernel program by program and notes every load and store, so that
`viz.show_programs` can draw them. It needs neither a GPU nor Triton. Where Triton is missing (on
macOS and Windows), `triton` and `tl` of this module stand in for it: they know enough for the
kernels of the lesson and of its exercises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.viz.diagrams.programs import Access, Touched


class Pointer:
    """An address or a block of addresses: positions in a memory, counted from a tensor's first."""

    def __init__(self, name: str, tensor: Tensor, offset: Any = 0):
        self.name, self.tensor, self.offset = name, tensor, offset

    def __add__(self, steps: Any) -> Pointer:
        return Pointer(self.name, self.tensor, self.offset + steps)

    __radd__ = __add__

    def at(self, mask: Any) -> tuple[Tensor, Tensor]:
        """The positions, and which of them exist: two tensors of the same shape."""
        positions = torch.as_tensor(self.offset).long()
        exists = torch.as_tensor(True if mask is None else mask)
        return torch.broadcast_tensors(positions, exists)  # type: ignore[return-value]

    def memory(self) -> Tensor:
        """All that lies in memory from the tensor's first value on, whoever it belongs to."""
        whole = torch.empty(0, dtype=self.tensor.dtype).set_(self.tensor.untyped_storage())
        return whole[self.tensor.storage_offset() :]


class Run:
    """The program that runs, and what all of them have touched so far."""

    def __init__(self):
        self.program: tuple[int, ...] = (0,)
        self.accesses: list[Access] = []

    def note(self, pointer: Pointer, positions: Tensor, exists: Tensor, writes: bool) -> None:
        """Add one load or store to what has been touched."""
        touched, left_out = positions[exists].tolist(), positions[~exists].tolist()
        self.accesses.append(Access(self.program, pointer.name, writes, touched, left_out))


_run = Run()


def program_id(axis: int) -> Tensor:
    """The number of this program along an axis of the grid."""
    return torch.tensor(_run.program[axis] if axis < len(_run.program) else 0)


def load(pointer: Pointer, mask: Any = None, other: Any = 0) -> Tensor:
    """The values at these addresses; `other` where the mask is False."""
    positions, exists = pointer.at(mask)
    _run.note(pointer, positions, exists, writes=False)
    values = pointer.memory()[torch.where(exists, positions, 0)]
    return torch.where(exists, values, torch.as_tensor(other, dtype=values.dtype))


def store(pointer: Pointer, value: Any, mask: Any = None) -> None:
    """Write values to these addresses, except where the mask is False."""
    _put(pointer, value, mask, accumulate=False)


def atomic_add(pointer: Pointer, value: Any, mask: Any = None, sem: str | None = None) -> None:
    """Add values to what is at these addresses; an address that occurs twice gets both."""
    _put(pointer, value, mask, accumulate=True)


def _put(pointer: Pointer, value: Any, mask: Any, accumulate: bool) -> None:
    positions, exists = pointer.at(mask)
    _run.note(pointer, positions, exists, writes=True)
    memory = pointer.memory()
    values = torch.as_tensor(value, dtype=memory.dtype).broadcast_to(positions.shape)
    memory.index_put_((positions[exists],), values[exists], accumulate=accumulate)


class Kernel:
    """A kernel where there is no Triton: kernel[grid](arguments) runs its programs in turn."""

    def __init__(self, function: Callable):
        self.fn = function

    def __getitem__(self, grid: Sequence[int]) -> Callable[..., None]:
        def launch(*arguments: Any, **constants: Any) -> None:
            _run_programs(self.fn, grid, arguments, constants)

        return launch


def _maximum(a: Any, b: Any) -> Tensor:
    return torch.maximum(*_pair(a, b))


def _minimum(a: Any, b: Any) -> Tensor:
    return torch.minimum(*_pair(a, b))


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    common = torch.result_type(a, b)
    return a.to(common), b.to(common)


def _zeros(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.zeros(*shape, dtype=dtype)


def _sum(values: Tensor, axis: int | None = None) -> Tensor:
    return values.sum() if axis is None else values.sum(dim=axis)


tl = SimpleNamespace(
    program_id=program_id, load=load, store=store, atomic_add=atomic_add, arange=torch.arange,
    where=torch.where, maximum=_maximum, minimum=_minimum, zeros=_zeros, sum=_sum,
    constexpr=object(), float32=torch.float32, int32=torch.int32, int64=torch.int64,
)  # fmt: skip
triton = SimpleNamespace(jit=Kernel, cdiv=lambda n, block: -(-n // block), language=tl)


def touched(kernel: Any, grid: Sequence[int], *arguments: Any, **constants: Any) -> Touched:
    """What the programs of a kernel load and store for these arguments, which stay as they are.

    kernel: a function with the decorator `triton.jit`. The other arguments are those of
    kernel[grid](...).
    """
    copies = [_copy(value) if isinstance(value, Tensor) else value for value in arguments]
    accesses = _run_programs(kernel.fn, grid, copies, constants)
    names = kernel.fn.__code__.co_varnames
    pairs = zip(names, arguments, strict=False)
    shapes = {name: tuple(value.shape) for name, value in pairs if isinstance(value, Tensor)}
    return Touched(shapes, accesses)


def _run_programs(
    function: Callable, grid: Sequence[int], arguments: Sequence[Any], constants: dict
) -> list[Access]:
    """Run all programs of a kernel, one after another, and return what they have touched."""
    run_one = _in_python(function)
    names = function.__code__.co_varnames  # type: ignore[attr-defined]
    given = [
        Pointer(name, value) if isinstance(value, Tensor) else value
        for name, value in zip(names, arguments, strict=False)
    ]
    _run.accesses = []
    for backwards in product(*(range(n) for n in reversed(grid))):
        _run.program = backwards[::-1]  # the first axis is the fastest
        run_one(*given, **constants)
    return _run.accesses


def _in_python(function: Any) -> FunctionType:
    """The kernel's function, with this module's `tl` wherever it uses Triton's."""
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        value = names.get(name)
        if getattr(value, "__name__", "") == "triton.language":
            names[name] = tl
        called = getattr(value, "fn", None)
        if called is not None and called is not function:  # a kernel that this one calls
            names[name] = _in_python(called)
    made = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _copy(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, with a copy of all the memory that it is a part of."""
    storage = tensor.untyped_storage().clone().cpu()
    empty = torch.empty(0, dtype=tensor.dtype)
    return empty.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())
