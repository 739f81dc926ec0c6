"""my_parts.py: a reader's own parts, in a file of her own that nothing but she overwrites."""

import ast
import builtins
import dis
import importlib.util
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from mrcnn_edu.course.yours.parts import PARTS
from mrcnn_edu.files import write_file

FILE = "my_parts.py"
HEADER = '''"""My own parts of Mask R-CNN. Each function takes the place of the package's:

    from mrcnn_edu.course.yours import yours

    with yours("my_parts.py"):
        model.detect([image])

These are the parts. Write those that you like, in any order, and helpers of your own.

{parts}
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
'''


def start_parts(file: str | Path = FILE) -> Path:
    """The file for the reader's parts, created if there is none; what is there stays as it is."""
    file = Path(file)
    if not file.exists():
        listed = "\n".join(f"lesson {part.lesson}  {part.signature}" for part in PARTS.values())
        write_file(file, HEADER.format(parts=listed).encode())
    return file


def keep_part(function: Callable, file: str | Path = FILE) -> None:
    """Add a function of the notebook to the file, which is created if needed.

    If the file has a function of that name already, the old one stays above the new one, which
    counts. Raises ValueError for a function that is no part, that has no source, or that needs
    something the file does not have; the file is then as it was.
    """
    name = getattr(function, "__name__", repr(function))
    if name not in PARTS:
        raise ValueError(f"there is no part {name}: choose of {', '.join(PARTS)}")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise ValueError(f"{name} has no source that can be read: write it in a cell") from error
    file = start_parts(file)
    text = file.read_text("utf-8")
    missing = sorted(_globals_of(source) - _defined_in(text, file) - {name})
    if missing:
        raise ValueError(
            f"your {name} uses {', '.join(missing)}, which {file} does not have: define it inside "
            "the function, or write it into the file"
        )
    if source.strip() in text:
        return
    write_file(file, f"{text.rstrip()}\n\n\n{source.strip()}\n".encode())


def read_parts(file: str | Path) -> dict[str, Callable]:
    """The functions in the file that have names of parts. Its code is run.

    Raises FileNotFoundError, and ValueError that names the line of what is wrong in it.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(2, "there is no such file; start_parts() makes one", str(file))
    spec = importlib.util.spec_from_file_location(f"parts_in_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{file}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise ValueError(f"{file} cannot be run: {type(error).__name__}: {error}") from error
    return {name: vars(module)[name] for name in PARTS if callable(vars(module).get(name))}


def _globals_of(source: str) -> set[str]:
    """The names that a function's source reads from outside, without Python's own."""
    code = compile(source, "<part>", "exec")
    functions = [constant for constant in code.co_consts if inspect.iscode(constant)]
    names: set[str] = set()
    while functions:
        one = functions.pop()
        functions += [constant for constant in one.co_consts if inspect.iscode(constant)]
        names |= {
            instruction.argval
            for instruction in dis.get_instructions(one)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        }
    return names - set(dir(builtins))


def _defined_in(text: str, file: Path) -> set[str]:
    """The names that a file's top level defines or imports. Raises ValueError for broken code."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"{file}, line {error.lineno}: {error.msg}") from error
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
