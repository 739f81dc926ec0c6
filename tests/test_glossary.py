"""The glossary has every term of the lessons, once and in order, and names what exists."""

import importlib.util
import re
import string
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import pytest
import torchvision
from nbformat.v4 import new_code_cell, new_markdown_cell

from mrcnn_edu.course.notebook_file import seal

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOURCE = NOTEBOOKS / "src" / "glossary.py"
LESSONS = {path.stem[:2]: path for path in sorted((NOTEBOOKS / "src").glob("[0-9][0-9]_*.py"))}

# Lessons whose bold words are terms and nothing else.
REWRITTEN: tuple[str, ...] = ()
if (NOTEBOOKS / "style.py").is_file():
    from style import REWRITTEN

ENTRY = re.compile(  # without line breaks
    r"\*\*(?P<name>[^*]+)\*\*( \((?P<others>[^()]+)\))?"
    r" · (?P<lessons>lessons? \[\d\d\]\([^)]+\)(, \[\d\d\]\([^)]+\))*)"
    r" <br>(?P<sentence>[^<]+?)"
    r"( <br>torchvision: (?P<torchvision>[^<·]+) · detectron2: (?P<detectron2>[^<·]+))?"
)
# What is bold for another reason: the beginning of a paragraph that has a role in every lesson, a
# number, the name of a lesson, a link, code, or a label that ends in a full stop, colon or mark.
NO_TERM = re.compile(
    r"(Predict|What happened|Hint|Exercise|Remember|Answer|Solution|Question|To discuss|Next|"
    r"You will be able to|After this lesson)\b|[-−+≈]?\d|★|\[|`|.*[.:?!]$",
    re.DOTALL,
)


class Entry(NamedTuple):
    """A term of the glossary; names are all ways to write it, the first is the one in bold."""

    names: list[str]
    lessons: dict[str, str]  # number: link
    sentence: str
    torchvision: str
    detectron2: str


def read_entry(text: str) -> Entry:
    match = ENTRY.fullmatch(" ".join(text.split()))
    assert match, f"not written as the other entries:\n{text}"
    return Entry(
        [match["name"], *(match["others"].split(", ") if match["others"] else [])],
        dict(re.findall(r"\[(\d\d)\]\(([^)]+)\)", match["lessons"])),
        match["sentence"],
        match["torchvision"] or "",
        match["detectron2"] or "",
    )


def read_glossary(source: Path) -> dict[str, list[Entry]]:
    """The entries below each letter."""
    (cell,) = jupytext.read(source).cells
    _, *parts = re.split(r"(?m)^## ([A-Z])$", cell.source)
    texts = [part.strip().split("\n\n") for part in parts[1::2]]
    return dict(zip(parts[::2], [[read_entry(text) for text in of] for of in texts], strict=True))


def key(term: str) -> str:
    """A term as it is compared: in small letters, hyphens as spaces, on one line."""
    return " ".join(term.lower().replace("-", " ").split())


def singulars(term: str) -> set[str]:
    """What a term may be a plural of, itself included."""
    found = {key(term)}
    for ending, singular in (("s", ""), ("es", ""), ("ies", "y")):
        if key(term).endswith(ending):
            found.add(key(term).removesuffix(ending) + singular)
    return found


def bold_terms(cells) -> list[str]:
    """The words that are bold in text cells, apart from those that are no terms."""
    found = []
    for cell in cells:
        if cell.cell_type == "markdown":
            text = re.sub(
                r"(?ms)^(```|~~~).*?^\1|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", "`", cell.source
            )
            text = re.sub(r"(?m)^#+ .*$", "", text)  # headings
            bold = re.findall(r"\*\*(?=\S)(.+?)(?<=\S)\*\*", text, re.DOTALL)
            bold += re.findall(r"<b>(.+?)</b>", text, re.DOTALL)
            found += [" ".join(words.split()) for words in bold if not NO_TERM.match(words)]
    return found


def missing_terms(cells, names: set[str]) -> list[str]:
    return [term for term in bold_terms(cells) if not singulars(term) & names]


GLOSSARY = read_glossary(SOURCE)
ENTRIES = [entry for entries in GLOSSARY.values() for entry in entries]
NAMES = {key(name) for entry in ENTRIES for name in entry.names}


# ---- the page ----


def test_the_glossary_is_in_alphabetical_order_below_its_letters():
    assert list(GLOSSARY) == sorted(GLOSSARY)
    for letter, entries in GLOSSARY.items():
        names = [key(entry.names[0]) for entry in entries]
        assert names == sorted(names) and {name[0].upper() for name in names} == {letter}


def test_the_line_of_letters_leads_to_all_of_them():
    linked = re.findall(r"\[([A-Z])\]\(#([A-Z])\)", SOURCE.read_text())
    assert linked == [(letter, letter) for letter in GLOSSARY]


def test_no_term_is_explained_twice():
    names = [key(name) for entry in ENTRIES for name in entry.names]
    assert sorted(names) == sorted(set(names)) and len(ENTRIES) > 120


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.names[0].replace(" ", "-"))
def test_an_entry_is_one_sentence_and_names_lessons_that_exist(entry):
    for number, link in entry.lessons.items():
        assert number in LESSONS and link == f"{LESSONS[number].stem}.ipynb"
    assert entry.sentence[0] in string.ascii_uppercase and entry.sentence[-1] == "."
    assert not re.search(r"[.?!] [A-Z]", entry.sentence), "more than one sentence"
    assert len(entry.sentence.split()) <= 50
    assert bool(entry.torchvision) == bool(entry.detectron2)
    assert (entry.torchvision, entry.detectron2) != ("none", "none"), "leave the line out"


def test_the_notebook_is_built_from_its_source():
    specification = importlib.util.spec_from_file_location("build", NOTEBOOKS / "build.py")
    build = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(build)
    notebook = nbformat.read(NOTEBOOKS / "glossary.ipynb", as_version=4)
    expected = build.read_source(SOURCE).cells
    rebuild = "changed since it was built: python notebooks/build.py glossary"
    assert [(c.id, c.source) for c in notebook.cells] == [(c.id, c.source) for c in expected], (
        rebuild
    )
    assert notebook.metadata.mrcnn_edu["cells"] == seal(notebook), rebuild
    assert {cell.cell_type for cell in notebook.cells} == {"markdown"}


def test_torchvisions_names_are_torchvisions():
    files = sorted(Path(torchvision.__file__).parent.rglob("*.py"))
    words = set(re.findall(r"\w+", "\n".join(path.read_text() for path in files)))
    for entry in ENTRIES:
        for name in re.findall(r"`([^`]+)`", entry.torchvision):
            unknown = set(re.findall(r"[A-Za-z_]\w*", name)) - words
            others = re.search("PyTorch|training scripts", entry.torchvision)
            assert others or not unknown, f"{entry.names[0]}: {unknown}"
            if re.match(r"(ops|models|datasets)\.", name):
                assert attrgetter(name)(torchvision) is not None


# ---- the lessons ----


@pytest.mark.parametrize("number", LESSONS)
def test_every_bold_term_of_a_lesson_is_in_the_glossary(number):
    if number not in REWRITTEN:
        pytest.skip("its bold words are not only terms yet")
    missing = missing_terms(jupytext.read(LESSONS[number]).cells, NAMES)
    assert not missing, (
        f"{', '.join(missing)}: add to notebooks/src/glossary.py, or write *so* what is stressed "
        "and no term"
    )


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_uses_every_term_that_the_glossary_sends_readers_to_it_for(number):
    if number not in REWRITTEN:
        pytest.skip("not rewritten yet")
    cells = jupytext.read(LESSONS[number]).cells
    text = key(" ".join(cell.source for cell in cells if cell.cell_type == "markdown"))
    text = text.replace("*", "")
    absent = [
        entry.names[0]
        for entry in ENTRIES
        if number in entry.lessons and not any(key(name) in text for name in entry.names)
    ]
    assert not absent, f"{', '.join(absent)}: name another lesson in notebooks/src/glossary.py"


# ---- the checks can fail ----


def test_bold_words_are_found_wherever_they_stand():
    text = """\
# A heading with **bold** words

> **Predict.** How many **anchors** are there?

**What happened.** 12 **feature
maps**, of **8 pixels**, and `**code**` in **`bold`** and $**x**$.

- **positive**: an IoU of 0.7; **Note:** not **[a link](b.ipynb)**.

```
**not this**
```
<details><summary><b>Hint 1</b>: a <b>stride</b></summary></details>
"""
    cells = [new_markdown_cell(text), new_code_cell("x **y ** z")]
    assert bold_terms(cells) == ["anchors", "feature maps", "positive", "stride"]
    assert missing_terms(cells, {"anchor", "feature map", "stride"}) == ["positive"]
    assert bold_terms([]) == missing_terms([], set()) == []


@pytest.mark.parametrize(
    ("bold", "entry"),
    [
        ("RoIs", "roi"),
        ("Bounding boxes", "bounding box"),
        ("ground-truth", "ground truth"),
        ("Ground Truth", "ground truth"),
        ("categories", "category"),
        ("loss", "loss"),
    ],
)
def test_plurals_capitals_and_hyphens_do_not_matter(bold, entry):
    assert entry in singulars(bold)
    assert not missing_terms([new_markdown_cell(f"The **{bold}**, then.")], {entry})


@pytest.mark.parametrize(
    "text",
    [
        "**anchor**\n<br>An anchor is a box.",
        "**anchor** · lesson [05](05_anchors.ipynb)\nAn anchor is a box.",
        "**anchor** · lesson [05](05_anchors.ipynb)\n<br>A box.\n<br>torchvision: `Matcher`",
        "anchor · lesson [05](05_anchors.ipynb)\n<br>An anchor is a box.",
    ],
)
def test_an_entry_that_is_written_otherwise_is_an_error(text):
    with pytest.raises(AssertionError, match="not written as the other entries"):
        read_entry(text)


def test_an_entry_is_read():
    text = (
        "**region of interest** (RoI, region) · lessons [07](07_a.ipynb), [08](08_b.ipynb)\n"
        "<br>A RoI is\na box.\n<br>torchvision: none · detectron2: `proposal_boxes`,\n`x`"
    )
    assert read_entry(text) == Entry(
        ["region of interest", "RoI", "region"],
        {"07": "07_a.ipynb", "08": "08_b.ipynb"},
        "A RoI is a box.",
        "none",
        "`proposal_boxes`, `x`",
    )
