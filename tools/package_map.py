"""Writes the map of the package into docs/package.md: python tools/package_map.py

The map's one source are the docstrings of the package and of its rooms (the __init__.py files),
which list the modules in reading order. tests/test_layers.py compares, and asserts that each module
imports only from those above it.
"""

import argparse
import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mrcnn_edu"
DOCUMENT = ROOT / "docs" / "package.md"
START, END = "<!-- map -->\n", "<!-- /map -->"


def listed(folder: Path) -> dict[str, str]:
    """The modules and rooms of a folder in order, with what each is, from its docstring."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    rows = re.findall(r"^(\w+) {2,}(\S.*)$", docstring, re.MULTILINE)
    return {name: text for name, text in rows if _path(folder, name).exists()}


def reading_order(folder: Path = PACKAGE, prefix: str = "") -> list[str]:
    """All modules, by their dotted names, each room's before the room itself."""
    order = []
    for name in listed(folder):
        if (folder / name).is_dir():
            order += reading_order(folder / name, f"{prefix}{name}.")
        order.append(prefix + name)
    return order


def table() -> str:
    """The map in Markdown: a row for each file and room at the top of the package."""
    rows = ["| file or folder | what it holds |", "|---|---|"]
    for name, text in listed(PACKAGE).items():
        path = _path(PACKAGE, name).relative_to(ROOT).as_posix()
        rows.append(f"| [{name}](../{path}) | {text} |")
    return "\n".join(rows) + "\n"


def with_map(document: str) -> str:
    """The document's text with the map as it is now."""
    before, _, rest = document.partition(START)
    _, _, after = rest.partition(END)
    return before + START + table() + END + after


def _path(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder / f"{name}.py"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    DOCUMENT.write_text(with_map(DOCUMENT.read_text()))
