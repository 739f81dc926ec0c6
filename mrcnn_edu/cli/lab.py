"""mrcnn-edu lab: the course in JupyterLab."""

import os
import sys
from pathlib import Path
from typing import Annotated

import tyro

from mrcnn_edu.cli.options import Positional, joined_help
from mrcnn_edu.course.lessons import FIRST, SOURCES, copy_lessons, find_lessons
from mrcnn_edu.extras import require

COURSE_FOLDER = "mrcnn_edu_course"


@joined_help
def lab(
    options: Annotated[
        Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="[FOLDER] [JUPYTERLAB OPTIONS]", help_behavior_hint=""),
    ] = (),
) -> int:
    """Open the course in JupyterLab, at its first lesson.

    In a checkout of the repository these are its own notebooks. Otherwise the lessons are copied
    into a folder first, mrcnn_edu_course if you name no other; your own work there is kept.

    Args:
        options: the folder to copy the lessons to, and then JupyterLab's own options, such as
            --port 8899 or --no-browser.
    """
    folder = Path(options[0]) if options and not options[0].startswith("-") else None
    jupyter_options = options if folder is None else options[1:]
    source = find_lessons()
    require("jupyterlab", "notebooks", "the course")
    if folder is not None or source == SOURCES[0]:
        folder = folder or Path(COURSE_FOLDER)
        print(f"Lessons in {folder}", *copy_lessons(source, folder), sep="\n  ", flush=True)
        source = folder
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        jupyter_options = ("--allow-root", *jupyter_options)  # JupyterLab asks for it in containers
    command = [sys.executable, "-m", "jupyterlab", str(source / FIRST), *jupyter_options]
    os.execv(sys.executable, command)
