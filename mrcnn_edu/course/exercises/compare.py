"""What a reader's function returned, compared with what the solution returns.

Only the meaning counts. A list, a NumPy array or another dtype is as good as a tensor of the same
values, and a list is as good as a tuple.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrcnn_edu.course.exercises.show import kind, show

TOLERANCE = 1e-4  # absolute and relative
NOTHING = "your function returned nothing"


def difference(returned: Any, expected: Any) -> str:
    """What is wrong with a returned value, without the expected one; "" if nothing is.

    Floats and tensors may differ by 1e-4, everything else must be equal.
    """
    if returned is None or returned is ...:
        return NOTHING
    try:
        return _difference(returned, expected, "")
    except Exception:  # a value that cannot even be compared
        return f"your function returned {show(returned)}; expected {kind(expected)}"


def _difference(returned: Any, expected: Any, part: str) -> str:
    """The same for a value, or for a part of it, such as " as value 1"."""
    if isinstance(expected, Tensor | float):
        return _of_tensors(returned, torch.as_tensor(expected), part)
    if isinstance(expected, list | tuple) and any(isinstance(e, Tensor) for e in expected):
        if not isinstance(returned, list | tuple | Tensor | np.ndarray):
            return f"your function returned {show(returned)}; expected {kind(expected)}"
        if len(returned) != len(expected):
            return f"your function returned {kind(returned)}; expected {kind(expected)}"
        for index, pair in enumerate(zip(returned, expected, strict=True)):
            if wrong := _difference(*pair, f" as value {index}"):
                return wrong
        return ""
    plain, plain_expected = _plain(returned), _plain(expected)
    if plain == plain_expected:
        return ""
    wrong_type = kind(plain).split()[:2] != kind(plain_expected).split()[:2]
    wrong_length = isinstance(expected, tuple) and kind(plain) != kind(plain_expected)
    advice = f"; expected {kind(expected)}" if wrong_type or wrong_length else ""
    return f"your function returned {show(returned)}{part}{advice}"


def _of_tensors(returned: Any, expected: Tensor, part: str) -> str:
    values = _as_tensor(returned)
    if values is None:
        return f"your function returned {show(returned)}{part}; expected {kind(expected)}"
    if values.shape != expected.shape:
        is_list = isinstance(returned, list | tuple)
        if is_list and values.numel() == expected.numel() == 0:
            return ""  # an empty list has no further sides
        given = kind(values)
        if is_list:
            given = f"a {type(returned).__name__} of shape {list(values.shape)}"
        return f"your function returned {given}{part}; expected {kind(expected)}"
    close = torch.isclose(values, expected.double(), rtol=TOLERANCE, atol=TOLERANCE)
    if close.all():
        return ""
    index = (~close).nonzero()[0].tolist()
    position = f", wrong at index {index}" if index else ""
    if expected.dtype == torch.bool and ((values == 0) | (values == 1)).all():
        returned = values.bool()  # a mask, even if it was returned as whole numbers
    shown = show(returned) if index else f"{values.item():.4g}"
    if "\n" in shown:
        return f"your function returned this{part}{position}:\n{shown}"
    return f"your function returned {shown}{part}{position}"


def _as_tensor(value: Any) -> Tensor | None:
    """The value as a tensor of float64 on the CPU, or None if it is nothing of the kind."""
    if isinstance(value, Tensor):
        return None if value.is_complex() else value.detach().cpu().double()
    array = value if isinstance(value, np.ndarray) else np.array(_plain(value))
    return torch.from_numpy(array.astype(np.float64)) if array.dtype.kind in "biuf" else None


def _plain(value: Any) -> Any:
    """The value in Python's own numbers, lists and dicts."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    return value
