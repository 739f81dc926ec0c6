"""Which exercises the reader has solved, kept in a small JSON file in her own folder.

A check that passes adds the exercise's name to `exercises_solved.json` in the folder where the
notebook runs. There it outlives the kernel, and she can delete it to begin again. Another file can
be named in the environment variable MRCNN_EDU_SOLVED; if that is empty, nothing is kept, which is
how the course's own notebooks are built and tested.
"""

import json
import os
from pathlib import Path

from mrcnn_edu.files import file_lock, read_json, write_file

FILE_NAME = "exercises_solved.json"
SETTING = "MRCNN_EDU_SOLVED"
ABOUT = "Exercises of mrcnn_edu that you have solved. Delete this file to begin again."

_reported: set[str] = set()  # what this process has said about a file, which it says only once


def solved_file() -> Path | None:
    """The file in the folder where this process runs, or the one that is set; None for no file."""
    setting = os.environ.get(SETTING, FILE_NAME)
    return Path(setting).absolute() if setting.strip() else None


def read_solved(file: Path | None) -> set[str]:
    """The names of the solved exercises; none if there is no such file.

    Raises OSError or ValueError, with what to do about it, if the file cannot be read or is not one
    that `add_solved` has written.
    """
    if file is None or not file.exists():
        return set()
    if not file.is_file():
        raise ValueError(f"{file} is not a file: rename it, so that a file can be put there")
    try:
        contents = read_json(file, "file of solved exercises")
    except ValueError as error:
        raise ValueError(f"{error}. Delete it to begin again") from error
    names = contents.get("solved") if isinstance(contents, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{file} is not a list of solved exercises: rename it or delete it")
    return set(names)


def add_solved(name: str, file: Path) -> None:
    """Add an exercise to the file, which is created if needed.

    Two notebooks that run at the same time take turns, and no entry is lost. Raises OSError or
    ValueError, as `read_solved` does; the file is then as it was.
    """
    if name in read_solved(file):
        return
    with file_lock(file.with_name(f".{file.name}.lock")):
        names = sorted(read_solved(file) | {name})
        text = json.dumps({"about": ABOUT, "solved": names}, indent=1)
        write_file(file, f"{text}\n".encode())


def note_solved(name: str) -> None:
    """Add an exercise to the reader's file. What prevents that is said once, in one line."""
    try:
        file = solved_file()
        if file is not None:
            add_solved(name, file)
    except (OSError, ValueError) as error:
        report_once(f"(That you solved it could not be noted: {in_one_line(error)}.)")


def report_once(line: str) -> None:
    """Print a line, unless this process has already printed it."""
    if line not in _reported:
        _reported.add(line)
        print(line)


def in_one_line(error: Exception) -> str:
    """An error's message in one line; the system's errors with the name of the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the file'}: {error.strerror}"
    return " ".join(str(error).split()).rstrip(".")
