"""`yours`: a reader's functions in place of ours, in detection and in training."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from mrcnn_edu.course.yours.file import read_parts
from mrcnn_edu.course.yours.parts import EITHER, PARTS
from mrcnn_edu.course.yours.replaced import replaced


@contextmanager
def yours(file: str | Path | None = None, /, **functions: Callable) -> Iterator[None]:
    """Inside, the network uses these functions of yours in place of its own.

    with yours(nms=nms, box_iou=box_iou):
        model.detect([image])

    file: a Python file, such as "my_parts.py", whose functions with the names of parts are used;
    functions that are given as well come first. The parts, and their arguments, are in `PARTS`.
    Whatever happens inside, the package is afterwards as it was. Raises ValueError for a name that
    is no part, and PartError, in the block, for a result of the wrong type or shape.
    """
    chosen = choose_parts(file, functions)
    with ExitStack() as stack:
        for name, function in chosen.items():
            new = PARTS[name].install(_named(function, name))
            stack.enter_context(
                replaced({ours: _outside(name, ours, f) for ours, f in new.items()})
            )
        yield


def choose_parts(file: str | Path | None, functions: dict[str, Any]) -> dict[str, Callable]:
    """The parts in a file and those given by name, which come first. Raises ValueError."""
    for name, function in functions.items():
        if name not in PARTS:
            raise ValueError(f"there is no part {name}: choose of {', '.join(PARTS)}")
        if not callable(function):
            raise ValueError(f"{name} is {function!r}: give a function")
    chosen = (read_parts(file) if file is not None else {}) | functions
    for smaller, larger in EITHER:
        if smaller in chosen and larger in chosen:
            given = smaller in functions, larger in functions
            if given == (True, True):
                raise ValueError(f"{larger} does what {smaller} does, and more: give one of them")
            del chosen[larger if given == (True, False) else smaller]
    if not chosen:
        raise ValueError("there is no part of yours: give at least one, such as nms=nms")
    return chosen


class _Running(threading.local):
    """The parts of the reader's that are running in this thread."""

    def __init__(self):
        self.names: list[str] = []


_running = _Running()


def _named(function: Callable, name: str) -> Callable:
    """The function; an error that it raises says in whose part it happened."""

    @wraps(function)
    def part(*arguments: Any) -> Any:
        _running.names.append(name)
        try:
            return function(*arguments)
        except Exception as error:
            error.add_note(f"This happened in your {name}, in place of the package's.")
            raise
        finally:
            _running.names.pop()

    return part


def _outside(name: str, ours: Callable, replacement: Callable) -> Callable:
    """The replacement; but a part of the reader's that calls ours does not call itself."""

    @wraps(ours)
    def either(*arguments: Any, **options: Any) -> Any:
        function = ours if name in _running.names else replacement
        return function(*arguments, **options)

    return either
