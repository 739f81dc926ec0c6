"""The list of commands, and how errors are reported.

An error that the user can correct is one line and exit code 2; with MRCNN_EDU_TRACEBACK=1 it shows
where it was raised.
"""

import os
import select
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TextIO

import torch
import tyro

import mrcnn_edu
from mrcnn_edu.cli.ablate import ablate
from mrcnn_edu.cli.check_data import check_data
from mrcnn_edu.cli.course import course
from mrcnn_edu.cli.demo import demo
from mrcnn_edu.cli.evaluate import evaluate
from mrcnn_edu.cli.lab import lab
from mrcnn_edu.cli.opening import open_model
from mrcnn_edu.cli.options import defaults
from mrcnn_edu.cli.predict import predict
from mrcnn_edu.cli.train import train
from mrcnn_edu.train.checkpoints import Terminated
from mrcnn_edu.train.distributed import LostProcess, hard_exit, init_distributed

CORRECTABLE = ValueError, OSError, ImportError, FloatingPointError, torch.OutOfMemoryError
HELP = "mrcnn-edu COMMAND --help lists its options."
INTERRUPTED, TERMINATED, READER_GONE = 130, 143, 141  # what shells call SIGINT, SIGTERM, SIGPIPE


def main(args: Sequence[str] | None = None) -> int:
    """Run the command that args, or else the terminal's arguments, name, and return its exit code.

    If whatever reads the output ends early, as in `mrcnn-edu train --help | head`, so does this.
    """
    try:
        code = _run(list(sys.argv[1:] if args is None else args))
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        return READER_GONE
    except SystemExit:  # --help, or an option that does not exist
        if _reader_is_gone():
            return READER_GONE
        raise
    return READER_GONE if _reader_is_gone() else code


def _run(args: list[str]) -> int:
    """The exit code of a command, with its errors reported."""
    if args == ["--version"]:
        print(f"mrcnn_edu {mrcnn_edu.__version__}")
        return 0
    if args[:1] == ["lab"] and args[1:] not in (["--help"], ["-h"]):
        args = ["lab", "--", *args[1:]]  # the rest is for JupyterLab to understand
    try:
        with init_distributed():
            return tyro.extras.subcommand_cli_from_dict(
                _commands(args),
                prog="mrcnn-edu",
                description=f"Mask R-CNN from a terminal. {HELP}",
                args=args,
            )
    except Terminated as stop:
        print(f"\nStopped: {stop.message}.", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt as stop:
        print(f"\nStopped. {stop}".rstrip(), file=sys.stderr)
        return INTERRUPTED
    except CORRECTABLE as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return READER_GONE
        if os.environ.get("MRCNN_EDU_TRACEBACK") == "1":
            raise
        first, *more = _message(error).splitlines() or [type(error).__name__]
        more = [*more[:3], f"  ... and {len(more) - 3} more"] if len(more) > 4 else more
        print(f"mrcnn-edu: {first}", *more, sep="\n", file=sys.stderr)
        if isinstance(error, LostProcess):
            hard_exit(2)
        return 2


def _commands(args: list[str]) -> dict[str, Callable]:
    """The function of each command; that of `train` with the defaults that args ask for."""
    opened = cache(open_model)  # so that a file of weights is read once
    model, training, augment = defaults(args, opened)
    return {
        "lab": lab,
        "course": course,
        "demo": demo,
        "train": partial(train, opened, model=model, training=training, augment=augment),
        "evaluate": evaluate,
        "predict": predict,
        "check-data": check_data,
        "ablate": ablate,
    }


def _reader_is_gone() -> bool:
    """True if whatever read the output has ended; the rest of the output is then discarded.

    Otherwise Python would report it once more when it exits.
    """
    gone = [stream for stream in (sys.stdout, sys.stderr) if _is_broken(stream)]
    for stream in gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(gone)


def _is_broken(stream: TextIO) -> bool:
    """True if nothing reads the pipe that a stream writes to."""
    try:
        stream.flush()
        file = stream.fileno()
    except BrokenPipeError:
        return True
    except OSError:  # not a file of the system
        return False
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(file, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _message(error: Exception) -> str:
    """The error's message; of one raised in a worker of a DataLoader without its traceback."""
    text = str(error)
    if text.startswith("Caught ") and "DataLoader worker" in text:
        return text.rpartition(f"{type(error).__name__}: ")[2].strip()
    return text
