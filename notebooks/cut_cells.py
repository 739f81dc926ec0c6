"""The cells of a lesson: one thing in each, with an id, tags and a type of slide.

An author writes the text between two pieces of code in one go. Here it is cut: a heading, a
question to predict, an answer, a hint and an exercise each get a cell of their own. JupyterLab can
then fold a section at its heading, a teacher's tools can hide or remove cells by their tags, and
`jupyter nbconvert --to slides` begins a slide with each section.

A cell's id names its lesson, its section and its kind: 07-roipool-rounds-twice-answer. Ids are
unique in the course. They stay when a cell's text is edited, when sections change places and when
cells are added in other sections. (A hash of the text would change with each edit, and a number
with each cell that is added above.)

What answers a question is hidden until the reader runs the cell or asks for it. Cells tagged
"claim" check for us that what the text says is still true; their code is hidden.
"""

import re
import unicodedata

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_markdown_cell
from paragraphs import find_revealing, pieces

LONGEST_SLUG = 40  # of a heading; an id has at most 64 letters
# Types of slides; a cell without one goes on the slide of the cell above. Questions and steps begin
# a slide below their section's; what answers a question appears there key by key.
SLIDES = {"claim": "skip", "title": "slide", "heading": "slide"}
SLIDES |= dict.fromkeys(("predict", "exercise", "discuss"), "subslide")
SLIDES |= dict.fromkeys(("hide-output", "answer"), "fragment")
SLIDES |= dict.fromkeys(("hint", "solution", "aside"), "skip")


def cut_cells(cells: list[NotebookNode], lesson: str) -> list[NotebookNode]:
    """The cells, cut. lesson: what the ids begin with, such as 07."""
    cut = list(pieces(cells))
    revealing = find_revealing([kind for kind, _, _ in cut])
    made, ids = [], set()
    section, name, before = "", lesson, ""
    for index, (kind, text, cell) in enumerate(cut):
        if kind in ("title", "heading"):
            section = re.sub(r"^#+ (\d+\. )?", "", text)
            name = unused(f"{lesson}-{'title' if kind == 'title' else slug(section)}", ids)
        new = cell if cell.cell_type == "code" else new_markdown_cell(text)
        new["id"] = name if kind in ("title", "heading") else unused(f"{name}-{kind}", ids)
        tags = [*cell.metadata.get("tags", []), *tags_of(kind, section, index in revealing)]
        slide = next((SLIDES[tag] for tag in SLIDES if tag in tags), None)
        if kind == "text" and slide is None and before in ("code", "answer"):
            slide = "subslide"
        new["metadata"] = metadata(cell.metadata, tags, slide)
        made.append(new)
        before = kind
    return made


def tags_of(kind: str, section: str, reveals: bool) -> list[str]:
    """A cell's tags. reveals: whether it is code whose output answers a question above it."""
    tags = [] if kind in ("text", "code") else [kind]
    if kind == "code" and reveals:
        tags.append("hide-output")  # until the cell is run, or the reader asks for it
    in_exercise = re.match(r"Exercise \d", section) and kind == "text"  # it has its own section
    if in_exercise or (kind == "code" and section.startswith("Exercise")):
        tags.append("exercise")
    if section.startswith("Play"):
        tags.append("play")
    return tags


def metadata(given: NotebookNode, tags: list[str], slide: str | None) -> NotebookNode:
    """A cell's metadata: what its source says, with the tags and the type of slide."""
    made = {key: given[key] for key in given if key not in ("tags", "lines_to_next_cell")}
    if "hide-output" in tags:
        made["jupyter"] = {**made.get("jupyter", {}), "outputs_hidden": True}
    if "claim" in tags:
        made["jupyter"] = {**made.get("jupyter", {}), "source_hidden": True}
    if slide is not None:
        made = {"slideshow": {"slide_type": slide}, **made}
    if tags:
        made["tags"] = list(dict.fromkeys(tags))
    return from_dict(made)


def slug(heading: str) -> str:
    """The first part of a heading, for an id: letters and digits, with dashes between words."""
    short = re.split(r"[:?(]", heading)[0]
    plain = unicodedata.normalize("NFKD", short).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    name = words[0] if words else "section"
    for word in words[1:]:
        if len(name) + 1 + len(word) > LONGEST_SLUG:
            break
        name += f"-{word}"
    return name[:LONGEST_SLUG]


def unused(name: str, ids: set[str]) -> str:
    """The name, with a number if an id has it already; from now on an id has it."""
    number, found = 1, name
    while found in ids:
        number += 1
        found = f"{name}-{number}"
    ids.add(found)
    return found
