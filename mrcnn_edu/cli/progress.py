"""mrcnn-edu progress: which exercises are solved."""

import shutil
from pathlib import Path
from typing import Annotated

import tyro

from mrcnn_edu.cli.course import COURSE_FOLDER
from mrcnn_edu.cli.options import Positional, joined_help
from mrcnn_edu.cli.text import WIDEST
from mrcnn_edu.course.progress import Progress
from mrcnn_edu.course.solved import FILE_NAME, read_solved


@joined_help
def progress(
    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="[FOLDER]")] = COURSE_FOLDER,
) -> int:
    """Print which exercises of the lessons you have solved.

    An exercise is noted as solved when its check passes, in a small file beside the lessons. Delete
    that file to begin again.

    Args:
        folder: where you work on the lessons. If you name none, the folder that you are in counts
            as well, if you have solved something there.
    """
    if folder == COURSE_FOLDER and Path(FILE_NAME).is_file():
        folder = Path()
    if folder != COURSE_FOLDER and not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: name the one with your lessons")
    file = folder / FILE_NAME
    solved = read_solved(file)
    print(Progress(solved).text(min(shutil.get_terminal_size().columns, WIDEST)))
    print(f"Noted in {file}." if solved else f"Nothing is noted in {file} yet.")
    return 0
