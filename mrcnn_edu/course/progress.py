"""Which exercises of each lesson are solved: a table in a notebook, and lines of text elsewhere."""

import textwrap
from html import escape
from importlib import import_module

from mrcnn_edu.course.exercises import LESSONS
from mrcnn_edu.course.solved import in_one_line, read_solved, report_once, solved_file

PACKAGE = "mrcnn_edu.course.exercises"
WIDTH = 100
DONE, OPEN = "[x]", "[ ]"  # letters that every terminal can show


def all_exercises() -> dict[str, list[str]]:
    """The names of each lesson's exercises, in order, by the lesson's number and title.

    An exercise is a function `check_NAME` of one of the lesson's modules.
    """
    names: dict[str, list[str]] = {}
    for lesson, modules in LESSONS.items():
        names[lesson] = []
        for module in (import_module(f"{PACKAGE}.{name}") for name in modules):
            checks = [name for name in vars(module) if name.startswith("check_")]
            own = [name for name in checks if getattr(module, name).__module__ == module.__name__]
            names[lesson] += [name.removeprefix("check_") for name in own]
    return names


class Progress:
    """The exercises of each lesson, and which of them are solved. Names of no exercise are ignored.

    It is a table where HTML is shown, and text elsewhere.
    """

    def __init__(self, solved: set[str]):
        self.exercises = all_exercises()
        everything = {name for names in self.exercises.values() for name in names}
        self.solved = solved & everything
        self.total = f"{len(self.solved)} of {len(everything)} solved"

    def text(self, width: int = WIDTH) -> str:
        """A line for each lesson, or more if the width in letters is small, and then the total."""
        column = max(map(len, self.exercises)) + 2
        lines = []
        for lesson, names in self.exercises.items():
            marked = [f"{DONE if name in self.solved else OPEN} {name}" for name in names]
            lines += textwrap.wrap(
                "  ".join(text.replace(" ", "\0") for text in marked),  # no line breaks at \0
                max(width, column + 20),
                initial_indent=lesson.ljust(column),
                subsequent_indent=" " * column,
                break_on_hyphens=False,
            )
        return "\n".join([*lines, self.total]).replace("\0", " ")

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        rows = []
        for lesson, names in self.exercises.items():
            n_solved = sum(name in self.solved for name in names)
            marked = "&ensp; ".join(self._marked(name) for name in names)
            cells = escape(lesson), f"{n_solved} of {len(names)}", marked
            rows.append("".join(f"<td style='text-align: left'>{cell}</td>" for cell in cells))
        table = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<p><b>{self.total}</b></p><table>{table}</table>"

    def _marked(self, name: str) -> str:
        if name in self.solved:
            return f"<b>&#10003;&nbsp;{escape(name)}</b>"
        return f"<span style='opacity: 0.6'>&#9675;&nbsp;{escape(name)}</span>"


def show_progress() -> Progress:
    """What the reader has solved in the folder where this notebook runs."""
    try:
        return Progress(read_solved(solved_file()))
    except (OSError, ValueError) as error:
        report_once(f"(What you have solved could not be read: {in_one_line(error)}.)")
        return Progress(set())
