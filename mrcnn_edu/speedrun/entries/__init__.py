"""Entries of the speedrun, a file each, in the order of their records.

first  a plain run of the course's training loop

An entry is a Python file with a function `train(seed)`. It is a generator: it makes a model with
random weights, trains it, and yields it as often as it likes to have it scored.
"""

import ast
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mrcnn_edu.model import MaskRCNN

ENTRIES = ("first",)  # by name; the last holds the record


@dataclass(frozen=True)
class Entry:
    """A file that trains. name: the file's, without .py. idea: the first line of its docstring."""

    name: str
    idea: str
    train: Callable[[int], Iterator[MaskRCNN]]  # from a seed


def open_entry(name: str | Path) -> Entry:
    """The entry with one of the names in `ENTRIES`, or in a Python file, whose code is run.

    Raises FileNotFoundError, and ValueError for a file that is no entry, or that fails.
    """
    file = Path(__file__).with_name(f"{name}.py") if name in ENTRIES else Path(name)
    if file.suffix != ".py":
        raise ValueError(f"{name}: give a Python file, or one of {', '.join(ENTRIES)}")
    if not file.is_file():
        raise FileNotFoundError(2, "there is no such entry", str(name))
    try:
        idea = ast.get_docstring(ast.parse(file.read_bytes())) or "(no docstring)"
        spec = importlib.util.spec_from_file_location(f"speedrun_{file.stem}", file)
        assert spec is not None and spec.loader is not None  # it is a Python file
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{file}: {type(error).__name__}: {error}") from error
    train = getattr(module, "train", None)
    if not inspect.isgeneratorfunction(train):
        raise ValueError(f"{file}: write a function train(seed) that yields the model, as in first")
    return Entry(file.stem, idea.splitlines()[0], train)
