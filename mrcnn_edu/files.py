"""Files: written completely or not at all, locked, and read with errors that name them."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Write to a temporary file and rename it to `path` on success. On error `path` is unchanged.

    The folder is created if needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # it exists only after an error
            unfinished.unlink()


def write_file(path: Path, contents: bytes | Iterable[bytes]) -> None:
    """Write a file, completely or not at all. contents: all bytes, or pieces to be joined."""
    with atomic_write(path) as file:
        file.writelines([contents] if isinstance(contents, bytes) else contents)


def read_json(file: Path, what: str) -> Any:
    """The contents of a JSON file. what: the kind of file, for the error if it is missing.

    UTF-8 and, with a byte order mark or not, UTF-16 and UTF-32 are read. Raises FileNotFoundError,
    or ValueError that says where the file is no JSON.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such {what}")
    contents = file.read_bytes()
    try:
        return json.loads(contents)
    except UnicodeDecodeError as error:
        line = contents[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{file} is not in UTF-8 (line {line}): save it in that encoding"
        ) from error
    except json.JSONDecodeError as error:
        near = error.doc[max(error.pos - 20, 0) : error.pos + 10].strip()
        raise ValueError(
            f"{file} is not valid JSON, or was cut short: line {error.lineno}, column "
            f"{error.colno}, near {near!r} ({error.msg})"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; lists in lists in ...
        raise ValueError(f"{file} is not JSON that can be read ({error})") from error


@contextmanager
def file_lock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock, which one process at a time can have; the file exists as long as it is held.

    The operating system releases it when the process ends, however it ends. wait: wait until it is
    free; otherwise raise BlockingIOError if it is held. Where files cannot be locked (on Windows,
    and on the file systems of some clusters) nothing is locked.
    """
    file = _open_locked(path, wait)
    _held.add(file)
    try:
        yield
    finally:
        if file in _held:  # a forked process has left it to its parent
            with suppress(OSError):
                path.unlink()  # still locked, so no other process can hold it
            _held.remove(file)
            file.close()


def _open_locked(path: Path, wait: bool) -> BinaryIO:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("wb")
        except FileNotFoundError:  # another process has just deleted the folder
            continue
        try:
            _lock(file, wait)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # the last holder deleted the file while this process waited for it
        except BlockingIOError:
            file.close()
            raise BlockingIOError(
                f"another process is using {path.parent}: wait until it has ended, or give another "
                "folder"
            ) from None
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: BinaryIO, wait: bool) -> None:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except (ImportError, OSError):
        pass  # Windows, or a file system without locks


_held: set[BinaryIO] = set()


def _release_in_child() -> None:
    """Close a forked process's copies of its parent's locks, or they would outlive the parent."""
    for file in _held:
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
