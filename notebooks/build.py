"""Build the notebooks: notebooks/src/NN_name.py -> notebooks/NN_name.ipynb, executed.

    python notebooks/build.py               all of them
    python notebooks/build.py 02 07         those whose names start so
    python notebooks/build.py --text 02     only their text: outputs stay, if no code has changed

People edit and review the sources (jupytext's percent format: a cell starts with `# %%`, a text
cell with `# %% [markdown]`). The notebook is made from its source alone, so that two builds on one
machine give the same bytes, and a change in its diff is a change in what a reader sees:

- The text is cut into cells with ids, tags and types of slides (cut_cells.py). No times are
  recorded, metadata is minimal.
- Progress bars are for whoever waits, and are not stored.
- Widgets are stored as their still picture only. The widget's view would name a model (by a random
  id) that lives in a kernel long gone: GitHub and a fresh JupyterLab would pass it over and show
  the picture, but a trusted JupyterLab would show "model not found" in the picture's place.
- Before an output that is hidden, since it answers a question, stands a curtain (curtain.py).
- The picture of the cell tagged "cover" is kept, small, in pictures/: the lists of lessons show it.
- The version of Matplotlib is noted: conftest.py compares pictures strictly where it is the same.
- A rewritten lesson ends with the references that its text cites (references.py), and rules.py
  refuses what gives a prediction away or stands in the reader's way.
- A hash of the cells is noted, too: by it `mrcnn-edu course` sees that somebody has worked in the
  notebook itself, and what she wrote there is hers.
"""

import base64
import importlib.metadata
import io
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import rules
import style
from curtain import OURS, draw_curtains
from cut_cells import cut_cells
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from PIL import Image
from references import reference_list

from mrcnn_edu.course.notebook_file import seal
from mrcnn_edu.course.solved import SETTING
from mrcnn_edu.files import write_file
from mrcnn_edu.progress import LIVE_OUTPUT
from mrcnn_edu.viz.caption import set_caption
from mrcnn_edu.viz.picture import SHOWN_DPI

NOTEBOOKS = Path(__file__).resolve().parent
CELL_TIMEOUT = 600  # seconds; the longest lesson trains for five minutes
COVER_SIZE = 480, 240  # pixels at most; shown at half of it, sharp on fine screens too
PICTURES = "image/png", "image/jpeg"  # kinds of outputs; beside the SVG of a chart there is a PNG
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class BuildError(Exception):
    """What went wrong, with the names of the notebook and the cell."""


def read_source(source: Path) -> NotebookNode:
    """The notebook that a source describes, cut into cells: not executed, minimal metadata."""
    notebook = jupytext.read(source)
    try:
        if style.is_rewritten(source):
            notebook.cells += reference_cells(notebook.cells)
        notebook.cells = cut_cells(notebook.cells, lesson=source.stem.partition("_")[0])
    except ValueError as error:
        raise BuildError(f"{source.name}: {error}") from error
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first version with cell ids
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "mrcnn_edu": {
                "matplotlib": importlib.metadata.version("matplotlib"),
                "cells": seal(notebook),
            },
        }
    )
    refuse(notebook, source)
    return notebook


def reference_cells(cells: list[NotebookNode]) -> list[NotebookNode]:
    """A text cell with the papers that the text of a lesson cites, if it cites any."""
    listed = reference_list([cell.source for cell in cells if cell.cell_type == "markdown"])
    return [new_markdown_cell(f"## References\n\n{listed}")] if listed else []


def refuse(notebook: NotebookNode, source: Path) -> None:
    """Raise BuildError if the notebook breaks a rule, before it is run or afterwards."""
    found = list(rules.complaints_of_claims(notebook.cells))
    if style.is_rewritten(source):
        found += rules.complaints_of_asserts(notebook.cells)
        found += rules.complaints_of_predictions(notebook.cells)
        found += rules.complaints_of_captions(notebook.cells)  # there are no pictures before
    if found:
        raise BuildError("\n".join(f"{source.name}: {complaint}" for complaint in found))


def execute(notebook: NotebookNode, name: str, folder: Path) -> None:
    """Run every code cell in a fresh kernel that starts in `folder`; outputs go into `notebook`."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # one print may arrive as one message or as two
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel(env={**os.environ, SETTING: ""}):  # as if no exercise was solved yet
        for index, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
            except Exception as error:  # the cell's own error, a time-out or a dead kernel
                raise BuildError(f"{name}, {cell.id}: {error}") from error
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if not is_live(output)]
            keep_still_picture(cell, name)


def is_live(output: dict) -> bool:
    """Whether an output is for whoever runs the cell: a progress bar, a player's second output."""
    return output.get("metadata", {}).items() >= LIVE_OUTPUT.items()


def keep_still_picture(cell: NotebookNode, name: str) -> None:
    """Drop the views of widgets from a cell's outputs; complain of a widget without a picture."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if data.pop(WIDGET_VIEW, None) and not pictures_of(output):
            raise BuildError(
                f"{name}, {cell.id}: shows a widget, and nothing where no kernel runs. Show an "
                "object whose _repr_mimebundle_ adds an image/png to the widget's own bundle."
            )


def cover(notebook: NotebookNode, name: str) -> bytes | None:
    """The picture of the cell tagged "cover", as a PNG that fits into a list of lessons."""
    for cell in notebook.cells:
        if "cover" in cell.metadata.get("tags", []):
            outputs = [
                output
                for output in cell.outputs
                if pictures_of(output) and OURS not in output.metadata
            ]
            if len(outputs) != 1:
                n = len(outputs)
                raise BuildError(f"{name}, {cell.id}: a cover needs one picture, not {n}")
            small, file = without_caption(outputs[0]), io.BytesIO()
            small.thumbnail(COVER_SIZE, Image.Resampling.LANCZOS)
            small.convert("RGB").quantize(64).save(file, "png", optimize=True)
            return file.getvalue()
    return None


def without_caption(output: NotebookNode) -> Image.Image:
    """The picture in an output, without its caption: letters that are so small are not read."""
    picture = Image.open(io.BytesIO(base64.b64decode(pictures_of(output)[0])))
    shown = next((size for kind, size in output.metadata.items() if kind in PICTURES), {})
    if "alt" not in shown:
        return picture
    width = shown["width"] / SHOWN_DPI  # inches
    strip = set_caption(shown["alt"], width).height * picture.width / width
    return picture.crop((0, 0, picture.width, picture.height - round(strip)))


def pictures_of(output: dict) -> list[str]:
    """The pictures in an output, in base 64."""
    data = output.get("data", {})
    return [data[kind] for kind in PICTURES if kind in data]


def build(source: Path, notebooks: Path = NOTEBOOKS) -> Path:
    """Build one notebook from its source and return its path."""
    notebook = read_source(source)
    execute(notebook, source.stem, folder=notebooks)
    refuse(notebook, source)
    path, picture = notebooks / f"{source.stem}.ipynb", cover(notebook, source.stem)
    draw_curtains(notebook)
    write_file(path, f"{nbformat.writes(notebook)}\n".encode())
    if picture is not None:
        write_file(notebooks / "pictures" / f"{source.stem}.png", picture)
    return path


def build_text(source: Path, notebooks: Path = NOTEBOOKS) -> Path:
    """Take over a source's text; the outputs stay, since the code is what it was."""
    path = notebooks / f"{source.stem}.ipynb"
    notebook, before = read_source(source), nbformat.read(path, as_version=4)
    new, old = ([c for c in n.cells if c.cell_type == "code"] for n in (notebook, before))
    if [cell.source for cell in new] != [cell.source for cell in old]:
        raise BuildError(
            f"{path.name}: its code has changed, too, so it must run: leave out --text"
        )
    for cell, executed in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    refuse(notebook, source)
    draw_curtains(notebook)
    drawn_by = before.metadata.get("mrcnn_edu", {}).get("matplotlib")
    notebook.metadata.mrcnn_edu.matplotlib = drawn_by  # the outputs are those of that day
    write_file(path, f"{nbformat.writes(notebook)}\n".encode())
    return path


def main(arguments: list[str]) -> None:
    names = [argument for argument in arguments if argument != "--text"]
    build_one = build if names == arguments else build_text
    sources = sorted((NOTEBOOKS / "src").glob("*.py"))
    for name in names:
        if not any(source.stem.startswith(Path(name).stem) for source in sources):
            sys.exit(f"no source in notebooks/src starts with {name!r}")
    for source in sources:
        if names and not any(source.stem.startswith(Path(name).stem) for name in names):
            continue
        start = time.monotonic()
        print(f"{source.stem:40}", end="", flush=True)
        try:
            path = build_one(source)
        except BuildError as error:
            sys.exit(f"\n{error}")
        print(f"{time.monotonic() - start:6.1f} s {path.stat().st_size / 1000:6.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
