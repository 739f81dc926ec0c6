"""The list of commands, and how errors are reported.

An error that the user can correct is one line and exit code 2; with MRCNN_EDU_TRACEBACK=1 it shows
where it was raised.
"""

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import cache, partial

import tyro

from mrcnn_edu.cli.ablate import ablate
from mrcnn_edu.cli.arguments import RULES, description_of
from mrcnn_edu.cli.check_data import check_data
from mrcnn_edu.cli.commands import answer
from mrcnn_edu.cli.convert import convert
from mrcnn_edu.cli.course import course
from mrcnn_edu.cli.demo import demo
from mrcnn_edu.cli.doctor import doctor
from mrcnn_edu.cli.evaluate import evaluate
from mrcnn_edu.cli.lab import lab
from mrcnn_edu.cli.opening import open_model
from mrcnn_edu.cli.options import defaults
from mrcnn_edu.cli.predict import predict
from mrcnn_edu.cli.progress import progress
from mrcnn_edu.cli.speedrun import speedrun
from mrcnn_edu.cli.streams import failed_output, open_closed_streams, report
from mrcnn_edu.cli.train import train
from mrcnn_edu.train.checkpoints import Terminated
from mrcnn_edu.train.diagnostics import lacks_memory
from mrcnn_edu.train.distributed import LostProcess, hard_exit, init_distributed

CORRECTABLE = ValueError, OSError, ImportError, FloatingPointError
INTERRUPTED, TERMINATED = 130, 143  # what shells call SIGINT and SIGTERM
WITH_COMPLETION = "--completion", "--tyro-print-completion", "--tyro-write-completion"
SHELLS = "bash", "zsh", "fish"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command that args, or else the terminal's arguments, name, and return its exit code.

    If whatever reads the output ends early, as in `mrcnn-edu train --help | head`, so does this.
    """
    open_closed_streams()
    try:
        code = _run(list(sys.argv[1:] if args is None else args))
    except SystemExit:  # --help, or an option that does not exist
        failed = failed_output()
        if failed is None:
            raise
        return failed
    failed = failed_output()
    return code if failed is None else failed


def _run(args: list[str]) -> int:
    """The exit code of a command, with its errors reported."""
    try:
        with init_distributed():
            return _dispatch(args)
    except Terminated as stop:
        report(f"\nStopped: {stop.message}.")
        return TERMINATED
    except KeyboardInterrupt as stop:
        report(f"\nStopped. {stop}".rstrip())
        return INTERRUPTED
    except Exception as error:
        if not (isinstance(error, CORRECTABLE) or lacks_memory(error)):
            raise
        if isinstance(error, OSError) and error.filename is None:  # perhaps in printing
            failed = failed_output()
            if failed is not None:
                return failed
        if os.environ.get("MRCNN_EDU_TRACEBACK") == "1":
            raise
        first, *more = _message(error).splitlines() or [type(error).__name__]
        more = [*more[:3], f"  ... and {len(more) - 3} more"] if len(more) > 4 else more
        report(f"mrcnn-edu: {first}", *more)
        if isinstance(error, LostProcess):
            hard_exit(2)
        return 2


def _dispatch(args: list[str]) -> int:
    """Run the command that comes first in args; the rest are its options.

    Raises SystemExit after help, and for a command or an option that does not exist.
    """
    code = answer(args)
    if code is not None:
        if args[:1] == ["--version"]:
            return code
        raise SystemExit(code)  # as tyro does after help
    commands = _commands(args)
    name, *options = args
    if name in WITH_COMPLETION:
        if not options or options[0] not in SHELLS:
            raise ValueError(f"{name} needs the name of a shell: {', '.join(SHELLS)}")
        asked = ["--tyro-print-completion" if name == "--completion" else name, *options]
        return tyro.extras.subcommand_cli_from_dict(commands, prog="mrcnn-edu", args=asked)
    if name not in commands:
        report(f"mrcnn-edu: {_unknown(name, commands)}")
        raise SystemExit(2)
    if name == "lab" and options not in (["--help"], ["-h"]):
        options = ["--", *options]  # they are for JupyterLab to understand
    return tyro.cli(
        commands[name],
        prog=f"mrcnn-edu {name}",
        description=description_of(commands[name]),
        args=options,
        registry=RULES,
    )


def _commands(args: list[str]) -> dict[str, Callable]:
    """The function of each command; that of `train` with the defaults that args ask for."""
    opened = cache(open_model)  # so that a file of weights is read once
    model, training, augment = defaults(args, opened)
    return {
        "lab": lab,
        "course": course,
        "progress": progress,
        "demo": demo,
        "train": partial(train, opened, model=model, training=training, augment=augment),
        "evaluate": evaluate,
        "predict": predict,
        "convert": convert,
        "check-data": check_data,
        "ablate": ablate,
        "speedrun": speedrun,
        "doctor": doctor,
    }


def _unknown(name: str, commands: dict[str, Callable]) -> str:
    """What to do about a command that does not exist."""
    advice = "mrcnn-edu --help lists all commands"
    similar = get_close_matches(name, [*commands, "--help", "--version", "--completion"], n=1)
    if name.startswith("-") and not similar:
        return f"the command comes before {name}: {advice}"
    kind = "option" if name.startswith("-") else "command"
    question = f": did you mean {similar[0]}?" if similar else "."
    return f"there is no {kind} {name}{question} {advice}."


def _message(error: Exception) -> str:
    """The error's message; of one raised in a worker of a DataLoader without its traceback."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # of the system, which would name a number
        return f"{error.filename or 'the output cannot be written'}: {error.strerror}"
    if text.startswith("Caught ") and "DataLoader worker" in text:
        text = text.rpartition(f"{type(error).__name__}: ")[2].strip()
    if lacks_memory(error) and not text.startswith("the memory is full"):
        first = (text.splitlines() or [type(error).__name__])[0]
        return f"the memory is full: close other programs, or use smaller images ({first})"
    return text
