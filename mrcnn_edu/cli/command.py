"""Which commands there are, and what becomes of errors.

A mistake that can be mended is a line and exit code 2; with MRCNN_EDU_TRACEBACK=1 it shows its
place in the code.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache, partial

import torch
import tyro

import mrcnn_edu
from mrcnn_edu.cli.ablate import ablate
from mrcnn_edu.cli.check_data import check_data
from mrcnn_edu.cli.demo import demo
from mrcnn_edu.cli.evaluate import evaluate
from mrcnn_edu.cli.lab import lab
from mrcnn_edu.cli.opening import open_model
from mrcnn_edu.cli.options import defaults
from mrcnn_edu.cli.predict import predict
from mrcnn_edu.cli.train import train
from mrcnn_edu.train.checkpoints import Terminated
from mrcnn_edu.train.distributed import LostProcess, hard_exit, init_distributed

MENDABLE = ValueError, OSError, ImportError, FloatingPointError, torch.OutOfMemoryError
HELP = "mrcnn-edu COMMAND --help lists its options."


def main(args: Sequence[str] | None = None) -> int:
    """The exit code of the command that args (if not given, the terminal's) ask for."""
    args = list(sys.argv[1:] if args is None else args)
    if args == ["--version"]:
        print(f"mrcnn_edu {mrcnn_edu.__version__}")
        return 0
    if args[:1] == ["lab"] and args[1:] not in (["--help"], ["-h"]):
        args.insert(1, "--")  # what follows is for JupyterLab to understand
    try:
        opened = cache(open_model)  # so that a file of weights is read once
        model, training, augment = defaults(args, opened)
        commands = {
            "lab": lab,
            "demo": demo,
            "train": partial(train, opened, model=model, training=training, augment=augment),
            "evaluate": evaluate,
            "predict": predict,
            "check-data": check_data,
            "ablate": ablate,
        }
        with init_distributed():
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog="mrcnn-edu",
                description=f"Mask R-CNN from a terminal. {HELP}",
                args=args,
            )
    except Terminated as stop:
        print(f"\nStopped: {stop.message}.", file=sys.stderr)
        return 143
    except KeyboardInterrupt as stop:
        print(f"\nStopped. {stop}".rstrip(), file=sys.stderr)
        return 130
    except MENDABLE as error:
        if os.environ.get("MRCNN_EDU_TRACEBACK") == "1":
            raise
        first, *more = _message(error).splitlines() or [type(error).__name__]
        more = [*more[:3], f"  ... and {len(more) - 3} more"] if len(more) > 4 else more
        print(f"mrcnn-edu: {first}", *more, sep="\n", file=sys.stderr)
        if isinstance(error, LostProcess):
            hard_exit(2)
        return 2


def _message(error: Exception) -> str:
    """What the error says. One from a process that prepares images comes inside its traceback."""
    text = str(error)
    if text.startswith("Caught ") and "DataLoader worker" in text:
        return text.rpartition(f"{type(error).__name__}: ")[2].strip()
    return text
