"""The streams that commands print to: what happens once they cannot be written any more."""

import os
import select
import sys
from contextlib import suppress
from io import UnsupportedOperation
from typing import TextIO

READER_GONE = 141  # what shells call the end by SIGPIPE
NOT_WRITTEN = 2


def open_closed_streams() -> None:
    """Let what is printed to a closed stream vanish, as in `mrcnn-edu demo >&-`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def report(*lines: str) -> None:
    """Print lines to the standard error, if that can be written."""
    with suppress(OSError):
        print(*lines, sep="\n", file=sys.stderr, flush=True)


def failed_output() -> int | None:
    """The exit code if the output cannot be written; None if all is well.

    Its reader may have ended, as in `mrcnn-edu train --help | head`, which ends the command without
    a word. Any other reason, such as a full disk, is reported in one line. The rest of the output
    is discarded, or Python would report the same error once more when it exits.
    """
    codes = []
    for stream in (sys.stdout, sys.stderr):
        error = _error_of(stream)
        if error is None:
            continue
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            codes.append(READER_GONE)
        else:
            report(f"mrcnn-edu: the output cannot be written: {error.strerror}")
            codes.append(NOT_WRITTEN)
    return codes[0] if codes else None


def _error_of(stream: TextIO) -> OSError | None:
    """What stands in the way of writing to a stream of the system."""
    try:
        file = stream.fileno()
    except (UnsupportedOperation, ValueError):  # not a file of the system, or closed
        return None
    try:
        stream.flush()
    except OSError as error:
        return error
    if not hasattr(select, "poll"):  # Windows
        return None
    poll = select.poll()
    poll.register(file, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    return BrokenPipeError() if gone else None
