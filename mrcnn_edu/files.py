"""Files: written whole or not at all, and read with errors that name them."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write into. At the end it takes its place, and after an error there is none.

    So nobody ever reads half of it, and an older one is there until then. Its folder is made if
    need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # if all went well there is none
            unfinished.unlink()


def write_file(path: Path, contents: bytes | Iterable[bytes]) -> None:
    """Write a file, whole or not at all. contents: or pieces of them."""
    with atomic_write(path) as file:
        file.writelines([contents] if isinstance(contents, bytes) else contents)


def read_json(file: Path, what: str):
    """What a JSON file holds; what: the kind of file, for the error if there is none."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such {what}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: this is no JSON, or only a part of one ({error})") from error
