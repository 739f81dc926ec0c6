"""The lessons, copied out of the installed package into a folder where a student works.

What the student has changed is never overwritten: where a lesson has changed since it was copied,
and the student's copy has, too, the new version is put beside it.
"""

import hashlib
import json
from pathlib import Path

from mrcnn_edu.files import read_json, write_file

FIRST = "00_start_here.ipynb"
RECORD = ".lessons.json"  # the SHA-256 of each lesson as it was copied
PACKAGE = Path(__file__).resolve().parent.parent
# In an installed package, and in a checkout of the repository.
SOURCES = PACKAGE / "course" / "notebooks", PACKAGE.parent / "notebooks"


def find_lessons(sources: tuple[Path, ...] = SOURCES) -> Path:
    """The folder of the lessons that came with this package. Raises FileNotFoundError if none did."""
    for folder in sources:
        if (folder / FIRST).is_file():
            return folder
    raise FileNotFoundError(
        f"there is no {FIRST} in {' or '.join(map(str, sources))}: reinstall mrcnn_edu, or build "
        "the lessons in a checkout of the repository (make notebooks)"
    )


def copy_lessons(source: Path, folder: Path) -> list[str]:
    """Copy the lessons into the folder; what was done, a line for each lesson that was written.

    A lesson that is missing is copied. One that the student has not changed is brought up to date.
    One that the student has changed is left alone, and a newer version is written beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record_file, lines = folder / RECORD, []
    record = read_json(record_file, "record of lessons") if record_file.is_file() else {}
    for lesson in sorted(source.glob("*.ipynb")):
        contents, target = lesson.read_bytes(), folder / lesson.name
        given, copied = _hash(contents), record.get(lesson.name)
        here = _hash(target.read_bytes()) if target.is_file() else None
        if here == given or (here is not None and given == copied):
            pass  # up to date, or the student's own work on the present version
        elif here is None or here == copied:
            write_file(target, contents)
            lines.append(f"{lesson.name}: {'copied' if here is None else 'updated'}")
        else:
            beside = _free_name(target)
            write_file(beside, contents)
            lines.append(f"{lesson.name}: yours is kept; the new version is {beside.name}")
        record[lesson.name] = given
    write_file(record_file, json.dumps(record, indent=1).encode())
    return lines


def _free_name(target: Path) -> Path:
    """A name beside the target that no file has: NAME.new.ipynb, NAME.new-2.ipynb, ..."""
    name, n = target.with_suffix(".new.ipynb"), 2
    while name.exists():
        name, n = target.with_suffix(f".new-{n}.ipynb"), n + 1
    return name


def _hash(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()
