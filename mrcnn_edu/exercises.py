"""Exercises: checks that say "ok" or "not yet", with the first case that differs, and go on.

A check runs the reader's function and a reference on the same cases; the reference is the solution.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def check(attempt: Callable, solution: Callable, cases: Iterable[tuple]) -> None:
    """Prints "ok", or "not yet" with the first case in which the attempt's answer is not right.

    cases: arguments, a tuple for each call. An attempt that raises is "not yet" too.
    """
    for number, arguments in enumerate(cases, start=1):
        try:
            answer = attempt(*arguments)
        except Exception as error:
            print(f"not yet: case {number} ends in {type(error).__name__}: {error}")
            break
        if not agree(answer, solution(*arguments)):
            print(f"not yet: in case {number} the answer is {show(answer)}; check by hand:")
            print("\n".join(f"  argument {i}: {show(a)}" for i, a in enumerate(arguments, 1)))
            break
    else:
        print("ok")


def agree(answer, expected) -> bool:
    """Whether two answers are the same: numbers and tensors within 1e-4, the rest exactly."""
    if isinstance(expected, Tensor | float):
        try:
            answer, expected = torch.as_tensor(answer), torch.as_tensor(expected)
        except (TypeError, ValueError, RuntimeError):
            return False
        if answer.shape != expected.shape:
            return False
        return torch.allclose(answer.double(), expected.double(), rtol=1e-4, atol=1e-4)
    return answer == expected


def show(value) -> str:
    """A value in a line or a small table."""
    if isinstance(value, Tensor) and value.dtype == torch.bool and value.ndim == 2:
        return "".join("\n    " + "".join(".#"[int(cell)] for cell in row) for row in value)
    return str(value)


# 00 start here


def count_by_name(labels: Tensor, classes: list[str]) -> dict[str, int]:
    """How many objects of each name there are, of the names that occur; labels [D] are 1..K."""
    names = [classes[label - 1] for label in labels.tolist()]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def check_count_by_name(attempt: Callable) -> None:
    """Checks a function like `count_by_name` on a few label lists, the empty one included."""
    classes = ["triangle", "square", "circle"]
    lists = [[1], [3, 1, 3], [2, 2, 2, 1], []]
    cases = [(torch.tensor(labels, dtype=torch.long), classes) for labels in lists]
    check(attempt, count_by_name, cases)


def mask_iou(a: Tensor, b: Tensor) -> float:
    """Intersection over union of two masks [H, W] bool; 0 where both are empty."""
    union = (a | b).sum().item()
    return (a & b).sum().item() / union if union else 0.0


def check_mask_iou(attempt: Callable) -> None:
    """Checks a function like `mask_iou` on small masks: equal, apart, nested, random, empty."""
    square, inner, apart = torch.zeros(3, 6, 6, dtype=torch.bool)
    square[1:5, 1:5], inner[2:4, 2:4], apart[0, :] = True, True, True
    random = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    empty = torch.zeros(6, 6, dtype=torch.bool)
    cases = [(square, square), (inner, square), (square, apart), tuple(random), (empty, empty)]
    check(attempt, mask_iou, cases)
