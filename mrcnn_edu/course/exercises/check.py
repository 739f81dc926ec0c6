"""The check of an exercise: it prints "ok", or the first case that differs, and never raises."""

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from textwrap import indent
from typing import Any

from mrcnn_edu.course.exercises.compare import NOTHING, difference
from mrcnn_edu.course.exercises.show import show, show_named
from mrcnn_edu.course.solved import note_solved

LONGEST = 300  # letters of an error's message


def check(
    attempt: Callable, solution: Callable, cases: Mapping[str, tuple] | Iterable[tuple]
) -> None:
    """Print "NAME: ok", or "NAME: not yet" and the first case that the attempt gets wrong.

    cases: the arguments of each call, perhaps by what each case is about. An attempt that raises an
    exception is "not yet", too. One that passes is noted as solved, unless it is the solution.
    """
    name = solution.__name__
    if wrong := _cannot_be_called(attempt, solution):
        print(f"{name}: not yet: {wrong}")
        return
    about = list(cases) if isinstance(cases, Mapping) else []
    calls = list(cases.values()) if isinstance(cases, Mapping) else list(cases)
    for index, arguments in enumerate(calls):
        wrong = _wrong_in(attempt, solution, arguments)
        if wrong == NOTHING and index == 0:  # most likely an exercise that has not been begun
            print(f"{name}: not yet: {wrong}")
            return
        if wrong:
            topic = f": {about[index]}" if about else ""
            print(f"{name}: not yet (case {index + 1} of {len(calls)}{topic})")
            parameters = inspect.signature(solution).parameters
            shown = [show_named(*pair) for pair in zip(parameters, arguments, strict=True)]
            print(indent("\n".join([wrong, *shown]), "  "))
            return
    print(f"{name}: ok")
    if inspect.unwrap(attempt) is not solution:
        note_solved(name)


def _cannot_be_called(attempt: Any, solution: Callable) -> str:
    """Why the attempt cannot be called like the solution; "" if it can."""
    name, parameters = solution.__name__, inspect.signature(solution).parameters
    if not callable(attempt):
        return f"give the function itself, check_{name}({name}); this is {show(attempt)}"
    try:
        signature = inspect.signature(attempt)
    except (TypeError, ValueError):  # one written in C
        return ""
    try:
        signature.bind(*parameters)
    except TypeError:
        return f"your function has the parameters {signature}; it needs ({', '.join(parameters)})"
    return ""


def _wrong_in(attempt: Callable, solution: Callable, arguments: tuple) -> str:
    """What is wrong in one case; "" if nothing is. Both get copies, which they may change."""
    try:
        returned = attempt(*deepcopy(arguments))
    except (Exception, SystemExit) as error:  # but a reader may interrupt a loop without an end
        return f"your function raised {_described(error)}{_line_of(error, attempt)}"
    return difference(returned, solution(*deepcopy(arguments)))


def _described(error: BaseException) -> str:
    """An error's type and the first line of its message."""
    try:
        message = str(error)
    except Exception:  # a message that fails, too
        message = ""
    first = (message.splitlines() or [""])[0][:LONGEST]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _line_of(error: BaseException, attempt: Callable) -> str:
    """The last line of the reader's own code that the error came through."""
    code = getattr(inspect.unwrap(attempt), "__code__", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if code is not None and frame.filename == code.co_filename and frame.line:
            return f"\n  in the line: {frame.line}"
    return ""
