"""The lessons, copied out of the package into a folder where a student works.

They are copied without their outputs, which would give away what the student is asked to predict.
Nothing that she wrote or computed is ever overwritten. Where a lesson has changed since it was
copied, and her copy has, too, the new version is put beside hers.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mrcnn_edu.course.notebook_file import (
    Notebook,
    clear,
    has_outputs,
    parse,
    seal,
    source,
    take_outputs,
    to_bytes,
    written,
)
from mrcnn_edu.files import file_lock, read_json, write_file

FIRST = "00_start_here.ipynb"
SOURCE_OF_FIRST = "src/00_start_here.py"  # what it is built from, in a checkout
RECORD = ".lessons.json"  # for each file that was copied: its SHA-256, and a lesson's cells
PACKAGE = Path(__file__).resolve().parent.parent
# In an installed package, and in a checkout of the repository.
SOURCES = PACKAGE / "course" / "notebooks", PACKAGE.parent / "notebooks"
MOST_SECTIONS = 3  # named in a line on what is new

Record = dict[str, dict[str, Any]]


def find_lessons(sources: tuple[Path, ...] = SOURCES) -> Path:
    """The folder of the lessons in this package. Raises FileNotFoundError if there are none."""
    for folder in sources:
        if (folder / FIRST).is_file():
            return folder
    raise FileNotFoundError(
        f"there is no {FIRST} in {' or '.join(map(str, sources))}: reinstall mrcnn_edu, or build "
        "the lessons in a checkout of the repository (make notebooks)"
    )


def copy_lessons(lessons: Path, folder: Path, with_outputs: bool = False) -> list[str]:
    """Copy the lessons and their pictures into the folder; a line for each lesson with news.

    A file that is missing is copied. One in which the student has written nothing is brought up to
    date. One in which she has is left alone, and a newer version is written beside it.
    """
    _refuse(lessons, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / f"{RECORD}.lock"):  # two at once take turns
            return list(_copy(lessons, folder, with_outputs))
    except OSError as error:
        if error.strerror is None:
            raise
        raise OSError(
            f"cannot write {error.filename or folder} ({error.strerror.lower()}). No work of yours "
            "was changed. Put that right, or name another folder: mrcnn-edu course FOLDER"
        ) from error


def _refuse(lessons: Path, folder: Path) -> None:
    """Raise an error if this cannot be a student's folder."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: name a folder for the lessons")
    here = folder.resolve()
    below = (here, *here.parents)
    notebooks = here / "notebooks", *below  # of a checkout, this one or another
    is_checkout = any((place / SOURCE_OF_FIRST).is_file() for place in notebooks)
    if is_checkout or PACKAGE in below or lessons.resolve() in below:
        raise ValueError(
            f"{folder} belongs to mrcnn_edu itself, where updates would meet your work: name "
            "another folder"
        )


def _copy(lessons: Path, folder: Path, with_outputs: bool) -> Iterator[str]:
    record = _read_record(folder / RECORD)
    for picture in sorted(lessons.glob("pictures/[!.]*")):
        _copy_picture(picture, folder / "pictures" / picture.name, record)
    names = [file.name for file in sorted(lessons.glob("*.ipynb"))]
    for name in names:
        line = _copy_lesson(lessons / name, folder / name, record, with_outputs)
        _write_record(folder / RECORD, record)  # after each, in case that this is interrupted
        if line:
            yield f"{name}: {line}"
    for name in [name for name in record if "cells" in record[name] and name not in names]:
        del record[name]
        if (folder / name).is_file():
            yield f"{name}: no longer part of the course; your copy stays"
    _write_record(folder / RECORD, record)


def _copy_picture(picture: Path, target: Path, record: Record) -> None:
    """Copy a picture, unless another one has its name that was not copied from here."""
    name, contents = f"pictures/{picture.name}", picture.read_bytes()
    here = _hash(target.read_bytes()) if target.is_file() else None
    if here is None or here == record.get(name, {}).get("file"):
        if here != _hash(contents):
            write_file(target, contents)
        record[name] = {"file": _hash(contents)}


def _copy_lesson(file: Path, target: Path, record: Record, with_outputs: bool) -> str:
    """Copy a lesson, or leave it alone; what there is to say about it, if anything."""
    new = parse(file.read_bytes())
    if new is None:
        raise ValueError(f"{file} is not a notebook: reinstall mrcnn_edu, or run make notebooks")
    here = target.read_bytes() if target.exists() else b""
    if not _is_as_built(new):  # somebody has written her answers into the checkout
        if here.strip():
            return ""
        write_file(target, file.read_bytes())
        return f"copied, with what was written in {file}"
    copied = record.get(target.name, {})
    if with_outputs:
        contents = file.read_bytes()
    else:
        clear(new)
        contents = to_bytes(new)
    record[target.name] = {"file": _hash(contents), "cells": written(new)}
    if not here.strip():
        write_file(target, contents)
        return "copied"

    hers = parse(here)
    news = _whats_new(new, copied.get("cells", []))
    if hers is not None and written(hers) == written(new):
        if with_outputs and not has_outputs(hers):
            write_file(target, contents)
            return "now with outputs"
        return ""
    if _hash(here) == copied.get("file"):
        write_file(target, contents)
        return f"updated{news}"
    if hers is not None and written(hers) == copied.get("cells") and take_outputs(new, hers):
        write_file(target, to_bytes(new))
        return f"updated; your outputs are kept{news}"
    if hers is None:
        beside = _write_beside(target, contents, new, record)
        return f"yours is kept, but is not a notebook, or was cut short; the lesson is {beside}"
    if copied.get("cells") == written(new):
        return ""  # her work on the present version
    beside = _write_beside(target, contents, new, record)
    return f"yours is kept; the new version is {beside}{news}"


def _is_as_built(notebook: Notebook) -> bool:
    """Whether nobody has written in a notebook since it was built, which has noted a hash."""
    noted = notebook["metadata"].get("mrcnn_edu", {}).get("cells")
    return noted is None or noted == seal(notebook)


def _write_beside(target: Path, contents: bytes, new: Notebook, record: Record) -> str:
    """Write the new version beside the student's; its name: NAME.new.ipynb, NAME.new-2.ipynb, ...

    A file that has the name already is replaced if it is a new version in which she wrote nothing.
    """
    beside, number = target.with_suffix(f".new{target.suffix}"), 1
    while beside.exists():
        here = beside.read_bytes()
        there = parse(here)
        if there is not None and written(there) == written(new):
            return beside.name
        if _hash(here) == record.get(beside.name, {}).get("file"):
            break
        number += 1
        beside = target.with_suffix(f".new-{number}{target.suffix}")
    write_file(beside, contents)
    record[beside.name] = {"file": _hash(contents)}
    return beside.name


def _whats_new(notebook: Notebook, before: list[str]) -> str:
    """The sections with a cell that the version before did not have, in parentheses."""
    known, sections, section = set(before), [], "the introduction"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and source(cell).startswith("## "):
            section = f'"{source(cell).splitlines()[0].removeprefix("## ")}"'
        if before and not known.issuperset(written({"cells": [cell]})) and section not in sections:
            sections.append(section)
    more = len(sections) - MOST_SECTIONS
    listed = [*sections[:MOST_SECTIONS], *([f"{more} more"] if more > 0 else [])]
    return f" (changed: {', '.join(listed)})" if listed else ""


def _read_record(file: Path) -> Record:
    """What was copied; nothing if the record is missing or damaged.

    Without it every lesson that differs counts as the student's work, and nothing is lost.
    """
    try:
        record = dict(read_json(file, "record of lessons"))
    except (FileNotFoundError, ValueError, TypeError):
        return {}
    return {name: entry for name, entry in record.items() if isinstance(entry, dict)}


def _write_record(file: Path, record: Record) -> None:
    contents = json.dumps(record, indent=1).encode()
    if not file.is_file() or file.read_bytes() != contents:
        write_file(file, contents)


def _hash(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()
