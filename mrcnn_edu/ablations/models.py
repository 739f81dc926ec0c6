"""The models of finished runs, in 16 bits, in a folder that does not grow without end."""

import os
from pathlib import Path

MODELS = "models"  # the folder within that of the results
LIMIT = 1_000_000_000  # bytes of all models together: about 600 of the tiny ones


def model_file(name: str, folder: Path) -> Path:
    """Where the model of the run with that hash is kept; `mrcnn_edu.load` reads it.

    The file may be gone, or was never there: results are older than models, and live longer.
    """
    return folder / MODELS / f"{name}.pt"


def keep_model(written: Path, name: str, folder: Path, limit: int = LIMIT) -> None:
    """Move a model that was written to its place; the oldest go if all exceed the limit in bytes.

    The new one stays in any case.
    """
    if not written.is_file():
        return
    file = model_file(name, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    os.replace(written, file)
    others = {other: other.stat() for other in file.parent.glob("*.pt") if other != file}
    total = file.stat().st_size + sum(stat.st_size for stat in others.values())
    for other, stat in sorted(others.items(), key=lambda item: item[1].st_mtime):
        if total <= limit:
            break
        other.unlink(missing_ok=True)
        total -= stat.st_size
