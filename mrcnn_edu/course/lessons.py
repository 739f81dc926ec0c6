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
    """The folder of the lessons in this package. Raises FileNotFoundError if there are none."""
    for folder in sources:
        if (folder / FIRST).is_file():
            return folder
    raise FileNotFoundError(
        f"there is no {FIRST} in {' or '.join(map(str, sources))}: reinstall mrcnn_edu, or build "
        "the lessons in a checkout of the repository (make notebooks)"
    )


def copy_lessons(source: Path, folder: Path) -> list[str]:
    """Copy the lessons and their pictures into the folder; a line for each lesson that was written.

    A file that is missing is copied. One that the student has not changed is brought up to date.
    One that the student has changed is left alone, and a newer version is written beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record_file, lines = folder / RECORD, []
    record = _read_record(record_file)
    for file in [*sorted(source.glob("*.ipynb")), *sorted(source.glob("pictures/*.png"))]:
        name = file.relative_to(source).as_posix()
        contents, target = file.read_bytes(), folder / name
        given, copied = _hash(contents), record.get(name)
        here = _hash(target.read_bytes()) if target.is_file() else None
        if here == given or (here is not None and given == copied):
            pass  # up to date, or the student's own work on the present version
        elif here is None or here == copied:
            write_file(target, contents)
            lines.append(f"{name}: {'copied' if here is None else 'updated'}")
        else:
            beside = _free_name(target)
            write_file(beside, contents)
            lines.append(f"{name}: yours is kept; the new version is {beside.name}")
        record[name] = given
    write_file(record_file, json.dumps(record, indent=1).encode())
    return [line for line in lines if not line.startswith("pictures/")]


def _read_record(file: Path) -> dict[str, str]:
    """The hash of each file as it was copied; none if the record is missing or damaged.

    Without it every file that differs counts as the student's work, and nothing is lost.
    """
    try:
        return dict(read_json(file, "record of lessons"))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def _free_name(target: Path) -> Path:
    """A name beside the target that no file has: NAME.new.ipynb, NAME.new-2.ipynb, ..."""
    name, n = target.with_suffix(f".new{target.suffix}"), 2
    while name.exists():
        name, n = target.with_suffix(f".new-{n}{target.suffix}"), n + 1
    return name


def _hash(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()
