"""Records of shipped files: the command that made them, the machine, and how long it took."""

import json
from pathlib import Path

from mrcnn_edu.ablations.machine import machine_record
from mrcnn_edu.files import write_file


def write_record(file: Path, command: str, seconds: float | None, record: dict) -> None:
    """Write the record beside the shipped file, as JSON; NaN (no object of a size) becomes null.

    seconds: None for a run that was interrupted and resumed, whose whole time is not known.
    """
    seconds = None if seconds is None else round(seconds)
    contents = {"command": command, **record, "seconds": seconds, **machine_record()}
    contents = without_nan(contents)
    write_file(file.with_suffix(".json"), (json.dumps(contents, indent=2) + "\n").encode())
    print(json.dumps(contents, indent=2))


def without_nan(values):
    """The same values with None for each NaN, which JSON does not have."""
    return json.loads(json.dumps(values), parse_constant=lambda _: None)
