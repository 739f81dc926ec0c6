"""The version of the code that a result depends on: a hash of what that code does.

Starting from one module, imports are followed through the package, those inside functions too. What
is reached this way can change a result; everything else (pictures, commands, the course) cannot.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import mrcnn_edu

PACKAGE = Path(mrcnn_edu.__file__).parent
START = "mrcnn_edu.ablations.measure"


@cache
def code_version(start: str = START, package: Path = PACKAGE) -> str:
    """A hash of the modules that `start` can reach; comments and docstrings do not count."""
    hashed = hashlib.sha256()
    for module, file in sorted(reached_modules(start, package).items()):
        hashed.update(f"{module}\n{ast.dump(code_of(file))}\n".encode())
    return hashed.hexdigest()[:12]


def reached_modules(start: str = START, package: Path = PACKAGE) -> dict[str, Path]:
    """The module `start` and every module of the package that it imports, directly or not.

    The `__init__` of each package on the way is one of them, since Python runs it. Its own imports
    are followed only where a name is imported from the package itself: others are not needed.
    """
    reached, to_follow = {}, [start]
    while to_follow:
        module = to_follow.pop()
        if module in reached:
            continue
        reached[module] = file = _file_of(module, package)
        to_follow += [name for name in imports_of(file, package) if name not in reached]
    on_the_way = {parent for module in reached for parent in _packages_of(module)}
    return {module: _file_of(module, package) for module in on_the_way} | reached


def imports_of(file: Path, package: Path = PACKAGE) -> Iterator[str]:
    """The modules of the package that a file imports from, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):  # each name is a module, or is found in one
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _exists(name, package) else node.module for name in submodules]
        yield from (name for name in names if name and _exists(name, package))


def code_of(file: Path) -> ast.Module:
    """The syntax of a file without docstrings and other statements that are a string alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_string(statement)]
    return tree


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _packages_of(module: str) -> list[str]:
    """The packages that a module lies in, for example ["a", "a.b"] for a.b.c."""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _exists(module: str, package: Path) -> bool:
    return module.split(".")[0] == package.name and _file_of(module, package).is_file()


def _file_of(module: str, package: Path) -> Path:
    path = package.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
