"""mrcnn-edu lab: the course in JupyterLab."""

import os
import sys
from pathlib import Path
from typing import Annotated

import tyro

from mrcnn_edu.cli.course import COURSE_FOLDER, update_lessons
from mrcnn_edu.cli.options import Positional, joined_help
from mrcnn_edu.course.lessons import FIRST, PACKAGE
from mrcnn_edu.extras import require

ABLATIONS = "lab.ipynb"  # the ablation lab
# Defaults of JupyterLab's settings, which a user's own settings override: widgets are saved with
# their notebook, so that they are there the next morning, and no news pop up.
SETTINGS = PACKAGE / "course" / "lab_settings"


@joined_help
def lab(
    options: Annotated[
        Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="[FOLDER] [JUPYTERLAB OPTIONS]", help_behavior_hint=""),
    ] = (),
) -> int:
    """Open the course in JupyterLab, at its first lesson; with --ablations, the ablation lab.

    The lessons are copied into a folder of yours first, mrcnn_edu_course if you name no other, as
    mrcnn-edu course does; your own work there is kept.

    Args:
        options: the folder to copy the lessons to, and then JupyterLab's own options, such as
            --port 8899 or --no-browser; --ablations opens the ablation lab instead.
    """
    first = ABLATIONS if "--ablations" in options else FIRST
    options = tuple(option for option in options if option != "--ablations")
    folder = Path(options[0]) if options and not options[0].startswith("-") else None
    jupyter_options = options if folder is None else options[1:]
    folder = folder or COURSE_FOLDER
    require("jupyterlab", "notebooks", "the course")
    update_lessons(folder)
    for_jupyterlab = jupyterlab_options(folder, jupyter_options, first)
    command = [sys.executable, "-m", "jupyterlab", *for_jupyterlab]
    os.execve(sys.executable, command, jupyterlab_environment())


def jupyterlab_options(folder: Path, given: tuple[str, ...] = (), first: str = FIRST) -> list[str]:
    """Options to open the folder at a notebook, and those that are given, which come first."""
    ours = {
        "--ServerApp.root_dir": str(folder.resolve()),
        "--LabApp.default_url": f"/lab/tree/{first}",  # the printed addresses show it, too
    }
    names = {option.partition("=")[0] for option in given}
    options = [f"{name}={value}" for name, value in ours.items() if name not in names]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in names:
        options.append("--allow-root")  # JupyterLab asks for it in containers
    return [*options, *given]


def jupyterlab_environment() -> dict[str, str]:
    """The environment of a JupyterLab with the settings above beside the user's."""
    paths = [str(SETTINGS), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(paths)}
