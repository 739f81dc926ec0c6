"""Exercises: checks that say "ok" or "not yet", with the first case that differs, and go on.

Each lesson has a file here. Its functions are the solutions, and each `check_NAME` runs the
reader's function and the solution NAME on the same cases.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy

import torch
from torch import Tensor


def check(
    attempt: Callable, solution: Callable, cases: Iterable[tuple], about: Sequence[str] = ()
) -> None:
    """Prints "NAME: ok", or "NAME: not yet" with the first case whose answer is not right.

    cases: arguments, a tuple for each call. about: what each case is there for, told with it. An
    attempt that raises is "not yet" too.
    """
    name = solution.__name__
    for number, arguments in enumerate(cases, start=1):
        try:
            answer = attempt(*deepcopy(arguments))  # it may change what it is given
        except Exception as error:
            print(f"{name}: not yet: case {number} ends in {type(error).__name__}: {error}")
            return
        if answer is None:
            print(f"{name}: not yet: nothing is returned")
            return
        if wrong := difference(answer, solution(*arguments)):
            print(f"{name}: not yet: in case {number} {wrong}; check by hand:")
            print("\n".join(f"  argument {i}: {show(a)}" for i, a in enumerate(arguments, 1)))
            if number <= len(about):
                print(f"  this case: {about[number - 1]}")
            return
    print(f"{name}: ok")


def difference(answer, expected) -> str:
    """What is wrong with an answer, without telling the right one; "" if nothing is.

    Numbers and tensors may differ by 1e-4, everything else must be the same.
    """
    if not isinstance(expected, Tensor | float):
        answer = answer.tolist() if isinstance(answer, Tensor) else answer
        return "" if answer == expected else f"the answer is {show(answer)}"
    try:
        answer, expected = torch.as_tensor(answer), torch.as_tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        return f"the answer is {show(answer)}, a {type(answer).__name__}"
    if answer.shape != expected.shape:
        return f"the answer has shape {list(answer.shape)}, expected {list(expected.shape)}"
    same = torch.isclose(answer.double(), expected.double(), rtol=1e-4, atol=1e-4)
    if same.all():
        return ""
    where = (~same).nonzero()[0].tolist()
    return f"the answer is {answer[tuple(where)].item():.4g}" + (f" at {where}" if where else "")


def show(value) -> str:
    """A value in a line or a small table; of a large tensor its shape."""
    if isinstance(value, Tensor) and value.numel() > 64:
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, Tensor) and value.dtype == torch.bool and value.ndim == 2:
        return "".join("\n    " + "".join(".#"[int(cell)] for cell in row) for row in value)
    if isinstance(value, Tensor) and value.is_floating_point():
        value = (value * 1e4).round() / 1e4
    return str(value)
