"""One function in place of another, wherever the package uses it, until a block ends."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

PACKAGE = "mrcnn_edu"
LEFT_ALONE = f"{PACKAGE}.course"  # exercises are checked with our own functions


@contextmanager
def replaced(functions: Mapping[Callable, Callable]) -> Iterator[None]:
    """Inside, every module of the package uses the values instead of the keys.

    Afterwards, and after an error, all is as it was, also in modules that were imported meanwhile.
    """
    back = {new: old for old, new in functions.items()}
    _exchange(functions)
    try:
        yield
    finally:
        _exchange(back)


def _exchange(functions: Mapping[Callable, Callable]) -> None:
    """Exchange functions in the modules of the package, and in dictionaries in them."""
    by_id = {id(old): new for old, new in functions.items()}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != PACKAGE or f"{name}.".startswith(f"{LEFT_ALONE}."):
            continue
        for names in [vars(module), *_tables_in(vars(module))]:
            for key, value in list(names.items()):
                if id(value) in by_id:
                    names[key] = by_id[id(value)]


def _tables_in(names: Mapping[str, Any]) -> list[dict]:
    """The dictionaries of functions, such as roi_ops.ON_TABLES."""
    return [v for k, v in names.items() if isinstance(v, dict) and not k.startswith("__")]
