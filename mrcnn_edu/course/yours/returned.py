"""What a part of the reader's returned: its type and shape, told in words if they are wrong."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mrcnn_edu.course.exercises.show import kind


class PartError(ValueError):
    """A part of the reader's that cannot be used, and why."""


def tensor_of(returned: Any, name: str, shape: Sequence[int], numbers: str = "any") -> Tensor:
    """The returned value, if it is a tensor of this shape.

    numbers: "any", or "whole" for indices and labels. Raises PartError that says what is wrong.
    """
    if not isinstance(returned, Tensor) or list(returned.shape) != list(shape):
        wanted = f"a tensor of shape {list(shape)}"
        raise PartError(f"your {name} returned {_in_words(returned)}: return {wanted}")
    if numbers == "whole" and (returned.is_floating_point() or returned.is_complex()):
        raise PartError(f"your {name} returned {returned.dtype}: return whole numbers, as .long()")
    return returned


def numbers_of(
    returned: Any, name: str, n: int, allowed: range, meaning: str, what: str = "numbers"
) -> Tensor:
    """The returned whole numbers [n], if all are allowed. Raises PartError.

    meaning: what may be returned, in words. what: what the numbers are.
    """
    numbers = tensor_of(returned, name, (n,), "whole")
    if n and not {int(numbers.min()), int(numbers.max())} <= {*allowed}:
        ends = f"from {int(numbers.min())} to {int(numbers.max())}"
        raise PartError(f"your {name} returned {what} {ends}: return {meaning}")
    return numbers.long()


def indices_of(returned: Any, name: str, n: int) -> Tensor:
    """The returned indices, if they are different numbers in 0..n - 1. Raises PartError."""
    if isinstance(returned, list | tuple):
        returned = torch.tensor(returned, dtype=torch.long)
    is_list = isinstance(returned, Tensor) and returned.ndim == 1
    indices = tensor_of(returned, name, [len(returned) if is_list else 0])
    if indices.dtype == torch.bool:
        raise PartError(f"your {name} returned True and False: return indices, as torch.where does")
    if len(indices) == 0:
        return indices.long()
    if indices.is_floating_point() or int(indices.min()) < 0:
        raise PartError(f"your {name} returned {indices.tolist()[:5]}: return indices from 0 on")
    if int(indices.max()) >= n:
        raise PartError(f"your {name} returned the index {int(indices.max())} of {n} boxes")
    if len(indices.unique()) < len(indices):
        raise PartError(f"your {name} returned an index twice: return each box once")
    return indices.long()


def number_of(returned: Any, name: str) -> Any:
    """The returned number, or tensor with a single one. Raises PartError."""
    if isinstance(returned, Tensor) and returned.numel() == 1:
        return returned.reshape(())
    if isinstance(returned, int | float) and not isinstance(returned, bool):
        return returned
    raise PartError(f"your {name} returned {_in_words(returned)}: return a number")


def _in_words(returned: Any) -> str:
    return "nothing" if returned is None or returned is ... else kind(returned)
