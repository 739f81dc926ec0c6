"""mrcnn-edu course: the lessons in a folder of your own."""

import shlex
from pathlib import Path
from typing import Annotated

import tyro

from mrcnn_edu.cli.options import Positional, joined_help
from mrcnn_edu.course.lessons import copy_lessons, find_lessons

COURSE_FOLDER = Path("mrcnn_edu_course")


@joined_help
def course(
    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="[FOLDER]")] = COURSE_FOLDER,
    with_outputs: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Copy the lessons into a folder of your own, or bring them up to date there.

    What you wrote or computed in a lesson is never overwritten: after an update the new version is
    put beside yours.

    Args:
        folder: where to copy the lessons to.
        with_outputs: copy what the cells print and draw, too, folded where it answers a question.
            Without, the lessons come empty, so that you can predict first and then run.
    """
    update_lessons(folder, with_outputs)
    print(f"Open them: {shlex.join(['mrcnn-edu', 'lab', str(folder)])}")
    return 0


def update_lessons(folder: Path, with_outputs: bool = False) -> None:
    """Copy the lessons into the folder, and print what is new."""
    lines = copy_lessons(find_lessons(), folder, with_outputs)
    lines = lines or ["nothing is new; your work is as you left it"]
    print(f"Lessons in {folder}", *lines, sep="\n  ", flush=True)
