"""The names of the commands and what each of them is for, without importing any.

PyTorch takes a second or more to be imported, and whoever asks for --help or --version needs none
of it.
"""

import ast
import re
import sys
from contextlib import suppress
from pathlib import Path

from mrcnn_edu.cli.streams import failed_output, open_closed_streams
from mrcnn_edu.cli.text import filled

NAMES = (
    "lab", "course", "progress", "demo", "train", "evaluate", "predict", "convert", "check-data",
    "ablate", "speedrun", "doctor",
)  # fmt: skip
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
HELP = """\
usage: mrcnn-edu COMMAND [OPTIONS]

Mask R-CNN from a terminal: the course, and a network to train and to use.

commands:
{commands}

mrcnn-edu COMMAND --help explains a command and its options.
mrcnn-edu --version prints the version.
mrcnn-edu --completion SHELL prints a script for bash, zsh or fish, with which
the tab key completes commands and options. With bash, for example:
  folder=~/.local/share/bash-completion/completions
  mkdir -p $folder; mrcnn-edu --completion bash > $folder/mrcnn-edu"""


def answered(args: list[str]) -> int:
    """`answer`, where nothing else of the package is imported: what the command starts with."""
    open_closed_streams()
    code = 0
    with suppress(BrokenPipeError):  # the reader has ended, as `head` does
        code = answer(args) or 0
    failed = failed_output()
    return code if failed is None else failed


def answer(args: list[str]) -> int | None:
    """Answer --help, --version or no argument at all; the exit code, or None for anything else."""
    name = args[0] if args else ""
    if name == "--version":
        print(f"mrcnn_edu {version()}")
        return 0
    if name in ("--help", "-h", ""):
        print(help_text(), file=sys.stdout if name else sys.stderr)
        return 0 if name else 2
    return None


def version() -> str:
    """The package's version."""
    source = (Path(__file__).parents[1] / "__init__.py").read_text("utf-8")
    found = VERSION.search(source)
    assert found is not None  # hatch reads it from there, too
    return found[1]


def help_text() -> str:
    """What there is, in lines that fit the terminal."""
    lines = [filled(summary_of(name), f"  {name:12}", " " * 14) for name in NAMES]
    return HELP.format(commands="\n".join(lines))


def summary_of(command: str) -> str:
    """The first sentence of a command's docstring, which is in the file with its name."""
    name = command.replace("-", "_")
    tree = ast.parse(Path(__file__).with_name(f"{name}.py").read_bytes())
    (function,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    first, *_ = (ast.get_docstring(function) or "").split("\n\n")
    return re.split(r"(?<=\.)\s", first)[0]
