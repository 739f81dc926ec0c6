"""The check of an exercise: it prints "ok", or the first case that differs, and never raises."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

MAX_SHOWN = 64  # a tensor with more values than this is shown by its shape alone


def check(
    attempt: Callable, solution: Callable, cases: Iterable[tuple], about: Sequence[str] = ()
) -> None:
    """Print "NAME: ok", or "NAME: not yet" and the first case that the attempt gets wrong.

    cases: the arguments of each call. about: what each case tests, printed with it. An attempt that
    raises an exception is "not yet", too.
    """
    name = solution.__name__
    parameters = list(inspect.signature(solution).parameters)
    for number, arguments in enumerate(cases, start=1):
        try:
            returned = attempt(*deepcopy(arguments))  # it may change its arguments
        except Exception as error:
            wrong = f"your function raised {type(error).__name__}: {error}"
        else:
            if returned is None:
                print(f"{name}: not yet: your function returned nothing")
                return
            wrong = difference(returned, solution(*deepcopy(arguments)))
        if wrong:
            print(f"{name}: not yet: in case {number}, {wrong}")
            if number <= len(about):
                print(f"  the case: {about[number - 1]}")
            for parameter, argument in zip(parameters, arguments, strict=True):
                print(f"  {parameter} = {show(argument)}")
            return
    print(f"{name}: ok")


def difference(returned: Any, expected: Any) -> str:
    """What is wrong with a returned value, without the expected one; "" if nothing is.

    Floats and tensors may differ by 1e-4, everything else must be equal.
    """
    if not isinstance(expected, Tensor | float):
        returned = returned.tolist() if isinstance(returned, Tensor) else returned
        if returned == expected:
            return ""
        wrong_type = "" if isinstance(returned, type(expected)) else f"; expected {kind(expected)}"
        return f"your function returned {show(returned)}{wrong_type}"
    try:
        tensor = torch.as_tensor(returned)
    except (TypeError, ValueError, RuntimeError):
        return f"your function returned {show(returned)}; expected {kind(expected)}"
    expected_tensor = torch.as_tensor(expected)
    if tensor.shape != expected_tensor.shape:
        return f"your function returned {kind(returned)}; expected {kind(expected)}"
    close = torch.isclose(tensor.double(), expected_tensor.double(), rtol=1e-4, atol=1e-4)
    if close.all():
        return ""
    index = (~close).nonzero()[0].tolist()
    position = f" at index {index}" if index else ""
    return f"your function returned {tensor[tuple(index)].item():.4g}{position}"


def kind(value: Any) -> str:
    """What a value is, in words: its type, and the shape if it is a tensor."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}" if value.ndim else "a number"
    if isinstance(value, bool | int | float):
        return "a whole number" if isinstance(value, int) else "a number"
    return f"a {type(value).__name__}"


def show(value: Any) -> str:
    """A value as text: on one line, a mask as a drawing, and of a large tensor only its shape."""
    if isinstance(value, Tensor) and value.numel() > MAX_SHOWN:
        return kind(value)
    if isinstance(value, Tensor) and value.dtype == torch.bool and value.ndim == 2:
        return "".join("\n    " + "".join(".#"[int(pixel)] for pixel in row) for row in value)
    if isinstance(value, Tensor) and value.is_floating_point():
        value = (value * 1e4).round() / 1e4
    return repr(value)
