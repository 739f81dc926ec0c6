"""A notebook's file: what somebody wrote in it, apart from what running and saving leave there.

JupyterLab rewrites a notebook whenever it saves: outputs, execution counts, the kernel's version,
which cells are folded, an empty cell at the end. None of that is a student's answer. The type and
the source of each cell are.
"""

import hashlib
import json
from typing import Any

Notebook = dict[str, Any]


def parse(contents: bytes) -> Notebook | None:
    """The notebook in a file's contents; None if it is not one, or was cut short."""
    try:
        notebook = json.loads(contents.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return notebook if _is_notebook(notebook) else None


def _is_notebook(value: Any) -> bool:
    """Whether a value from JSON has what the functions below read."""
    if not isinstance(value, dict) or not isinstance(value.get("cells"), list):
        return False
    return isinstance(value.get("metadata"), dict) and all(map(_is_cell, value["cells"]))


def _is_cell(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("cell_type"), str):
        return False
    text = value.get("source")
    is_text = isinstance(text, str) or (
        isinstance(text, list) and all(isinstance(line, str) for line in text)
    )
    parts = {"metadata": dict, "outputs": list, "attachments": dict}
    return is_text and all(isinstance(value.get(key, kind()), kind) for key, kind in parts.items())


def to_bytes(notebook: Notebook) -> bytes:
    """The contents of a file that holds the notebook, laid out as Jupyter does."""
    try:
        return f"{json.dumps(notebook, indent=1, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # half of a pair of code points, in some output
        return f"{json.dumps(notebook, indent=1)}\n".encode()


def source(cell: Notebook) -> str:
    """A cell's text or code, which a file may hold as one string or as a list of lines."""
    return "".join(cell["source"])


def written(notebook: Notebook) -> list[str]:
    """A hash of each cell that is not empty: of its type, its source and the pictures in it."""
    parts = [
        (cell["cell_type"], source(cell), sorted(cell.get("attachments", {})))
        for cell in notebook["cells"]
        if source(cell).strip()
    ]
    return [hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16] for part in parts]


def seal(notebook: Notebook) -> str:
    """One hash of all that is written in a notebook. The build notes it in the notebook."""
    return hashlib.sha256("".join(written(notebook)).encode()).hexdigest()[:16]


def has_outputs(notebook: Notebook) -> bool:
    """Whether any cell has an output."""
    return any(cell.get("outputs") for cell in notebook["cells"])


def clear(notebook: Notebook) -> None:
    """Remove every output and all else that a run leaves, and that outputs are to be folded."""
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        for key in ("execution", "collapsed", "scrolled"):
            cell["metadata"].pop(key, None)
        _unfold(cell)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


def take_outputs(notebook: Notebook, earlier: Notebook) -> bool:
    """Give code cells the outputs that the same code has in an earlier version of the notebook.

    Returns whether all of its outputs have found their cell, in order. The state of widgets comes
    along, because outputs refer to it.
    """
    if "widgets" in earlier["metadata"]:
        notebook["metadata"]["widgets"] = earlier["metadata"]["widgets"]
    cells = iter(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    for before in earlier["cells"]:
        if before.get("outputs"):
            same = next((cell for cell in cells if source(cell) == source(before)), None)
            if same is None:
                return False
            same["outputs"] = before["outputs"]
            same["execution_count"] = before.get("execution_count")
            _unfold(same)
    return True


def _unfold(cell: Notebook) -> None:
    """Show the cell's outputs."""
    view = cell["metadata"].get("jupyter", {})
    view.pop("outputs_hidden", None)
    if not view:
        cell["metadata"].pop("jupyter", None)
