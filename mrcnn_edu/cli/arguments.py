"""How options are read and shown: numbers in plain words, and help that fits the terminal."""

import inspect
from collections.abc import Callable
from typing import Any, get_args

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from mrcnn_edu.cli.text import filled

NUMBERS = {int: "whole number", float: "number"}
RULES = ConstructorRegistry()  # ours come before those of tyro


def description_of(command: Callable) -> str:
    """What a command's docstring says before its options, in lines that fit the terminal.

    They are indented like the options. Besides, tyro would join lines that begin with a letter.
    """
    return filled(_docstring(command).split("\n\nArgs:")[0], "  ", "  ")


def _docstring(command: Callable) -> str:
    return inspect.getdoc(getattr(command, "func", command)) or ""  # of a partial, the function's


@RULES.primitive_rule
def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """A number."""
    kind: Any = info.type
    if kind not in NUMBERS:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=lambda texts: _read(kind, texts[0]),
        is_instance=lambda value: type(value) in (int, kind),
        str_from_instance=lambda value: [_shown(value)],
    )


@RULES.primitive_rule
def _list(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Numbers or words, some or as many as one likes; an empty default is shown as "none"."""
    kinds: Any = get_args(info.type)
    if info.type_origin is not tuple or not {*kinds} <= {*NUMBERS, str, ...}:
        return None
    is_open = kinds[-1] is ...  # such as tuple[float, ...]
    return PrimitiveConstructorSpec(
        nargs="*" if is_open else len(kinds),
        metavar=" ".join("..." if kind is ... else kind.__name__.upper() for kind in kinds),
        instance_from_str=lambda texts: tuple(
            _read(kinds[0] if is_open else kinds[i], text) for i, text in enumerate(texts)
        ),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda values: [_shown(value) for value in values] or ["none"],
    )


def _read(kind: Callable, text: str) -> Any:
    """The value that a text gives. Raises ValueError that says what it should be."""
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a {NUMBERS[kind]}") from None


def _shown(value: Any) -> str:
    """A default as text: 0.003, and 0.08333 for 1/12."""
    text = str(value)
    return f"{value:.4g}" if isinstance(value, float) and len(text) > 8 else text
