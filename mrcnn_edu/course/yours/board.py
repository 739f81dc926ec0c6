"""The board: does each part of the reader's agree with ours, and how good is the network?"""

import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch

from mrcnn_edu import evaluate as evaluation
from mrcnn_edu.course.exercises.compare import difference
from mrcnn_edu.course.exercises.show import show_named
from mrcnn_edu.course.yours.cases import cases_of, large_case_of
from mrcnn_edu.course.yours.parts import PARTS
from mrcnn_edu.course.yours.within import choose_parts, yours
from mrcnn_edu.data import Shapes
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.weights import load

SCENES = Shapes(40, seed=1)
MODEL = "shapes-tiny"
REPEATS = 5  # of a timed call


@dataclass(frozen=True)
class Row:
    """What the board says of one part."""

    name: str
    wrong: str  # the first case that differs from ours; "" if none does
    ap: float | None  # mask AP in percent; None if the part is for training, or failed
    failure: str  # the error that ended the detection; "" if none did
    slowdown: float | None  # how many times ours takes as long


@dataclass(frozen=True)
class Board:
    """The rows of all parts, and the mask AP of the network with none of them replaced."""

    rows: list[Row]
    ap: float

    def __str__(self) -> str:
        lines = [f"{'part':18}{'agrees':8}{f'mask AP ({self.ap:.1f})':16}time"]
        for row in self.rows:
            agrees = "no" if row.wrong else "yes"
            lines.append(f"{row.name:18}{agrees:8}{_ap(row):16}{_time(row)}")
        for row in self.rows:
            if row.wrong or row.failure:
                lines += ["", f"{row.name}: {row.wrong or row.failure}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th>{t}</th>" for t in ("part", "agrees", f"mask AP ({self.ap:.1f})", "time")
        )
        body = ""
        for row in self.rows:
            cells = row.name, "no" if row.wrong else "yes", _ap(row), _time(row)
            body += "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        notes = "".join(
            f"<p><b>{row.name}</b></p><pre>{escape(row.wrong or row.failure)}</pre>"
            for row in self.rows if row.wrong or row.failure
        )  # fmt: skip
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def board(file: str | Path | None = None, /, **functions: Callable) -> Board:
    """Compare each part with ours: on single calls, by the network's mask AP, and by its time.

    file and functions: as for `yours`. The mask AP is that of shapes-tiny on 40 scenes with this
    part alone in place of ours. Parts that are used in training only do not change it.
    """
    chosen = choose_parts(file, functions)
    rows = []
    for name in progress_bar(chosen, "parts", leave=False):
        wrong = first_difference(chosen[name], name)
        ap, failure = None, ""
        if not PARTS[name].trains:
            try:
                with yours(**{name: chosen[name]}):
                    ap = mask_ap()
            except Exception as error:
                failure = f"the network cannot run with it: {type(error).__name__}: {error}"
        rows.append(Row(name, wrong, ap, failure, None if wrong else _slowdown(chosen[name], name)))
    return Board(rows, mask_ap())


def first_difference(function: Callable, name: str) -> str:
    """The first call in which a function differs from ours, with its arguments; "" if none does."""
    part = PARTS[name]
    for arguments in cases_of(name):
        try:
            returned = function(*deepcopy(arguments))
            wrong = difference(returned, part.ours(*deepcopy(arguments)))
        except Exception as error:
            wrong = f"your function raised {type(error).__name__}: {error}"
        if wrong:
            names = _parameters(part.signature)
            shown = [show_named(*pair) for pair in zip(names, arguments, strict=True)]
            return "\n".join([wrong, *shown])
    return ""


def mask_ap() -> float:
    """Mask AP of shapes-tiny on the board's scenes, in percent, with the parts of this moment."""
    found = evaluation.detect_all(load(MODEL), SCENES, progress=False)
    return 100 * evaluation.evaluate(SCENES, found, progress=False).ap


def _parameters(signature: str) -> list[str]:
    """The names of the parameters in a part's signature."""
    inside = signature[signature.index("(") + 1 : signature.rindex(") ->")]
    depth, parameters = 0, [""]
    for letter in inside:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parameters.append("")
        else:
            parameters[-1] += letter
    return [one.strip().split(" ")[0] for one in parameters]


def _slowdown(function: Callable, name: str) -> float:
    """How many times as long as ours a function takes, by the median of a few calls in turns."""
    arguments, ours = large_case_of(name), PARTS[name].ours
    with torch.no_grad():
        pairs = [(_seconds(function, arguments), _seconds(ours, arguments)) for _ in range(REPEATS)]
    theirs, our = (statistics.median(column) for column in zip(*pairs, strict=True))
    return theirs / max(our, 1e-7)


def _seconds(function: Callable, arguments: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def _ap(row: Row) -> str:
    if PARTS[row.name].trains:
        return "(training)"
    return "-" if row.ap is None else f"{row.ap:.1f}"


def _time(row: Row) -> str:
    return "-" if row.slowdown is None else f"{row.slowdown:.1f} x ours"
