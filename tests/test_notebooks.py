"""The notebooks agree with their sources and keep the course's rules; build and checks can fail.

Whether the notebooks run and still give the outputs stored in them is nbval's part: `make test`.
"""

import base64
import importlib.metadata
import importlib.util
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from copy import deepcopy
from pathlib import Path

import nbformat
import numpy as np
import pytest
from cut_cells import cut_cells, paragraphs
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from mrcnn_edu.course.notebook_file import seal
from mrcnn_edu.viz import Picture

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = sorted((NOTEBOOKS / "src").glob("*.py"))

specification = importlib.util.spec_from_file_location("build", NOTEBOOKS / "build.py")
build = importlib.util.module_from_spec(specification)
specification.loader.exec_module(build)

FORBIDDEN = {
    "a star import": r"^\s*from\s+\S+\s+import\s+\*",
    "sys.path": r"\bsys\.path\b",
    "a shell cell": r"^\s*(!|%%(bash|sh|script|system|!)|%(pip|conda|system|sx)\b|get_ipython\(\))",
    "a remote picture": r"(!\[[^\]]*\]\(|src\s*=\s*[\"']?|url\s*=\s*[\"'])https?://",
}


# What an output tells of the machine that it was made on: warnings and addresses do.
TRACES = r"/home/|/Users/|/root/|site-packages|ipykernel_\d|0x[0-9a-f]{6}"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


# ---- every notebook of the course ----


@pytest.fixture(params=SOURCES, ids=lambda source: source.stem)
def source(request) -> Path:
    return request.param


@pytest.fixture
def notebook(source):
    path = NOTEBOOKS / f"{source.stem}.ipynb"
    assert path.exists(), f"not built: python notebooks/build.py {source.stem}"
    return nbformat.read(path, as_version=4)


def test_every_notebook_has_a_source():
    built = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert built <= {source.stem for source in SOURCES}


def test_the_indexes_link_every_lesson_with_its_minutes_and_its_picture(source):
    minutes = re.search(r"lesson \((\d+) minutes", source.read_text())[1]
    picture = f"pictures/{source.stem}.png"
    assert (NOTEBOOKS / picture).is_file()
    readme = (NOTEBOOKS.parent / "README.md").read_text()
    row = rf"\(notebooks/{source.stem}.ipynb\) \| .* \| {minutes} \| <img .*{picture}"
    assert re.search(row, readme)
    if source != SOURCES[0]:
        item = rf"\({source.stem}.ipynb\), {minutes}\s[^<]*<br><img src='{picture}'"
        assert re.search(item, SOURCES[0].read_text())


def test_notebook_is_built_from_its_source(source, notebook):
    expected = build.read_source(source).cells
    rebuild = f"changed since it was built: python notebooks/build.py {source.stem}"
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in expected], rebuild
    for cell, wanted in zip(notebook.cells, expected, strict=True):
        assert (cell.cell_type, cell.source) == (wanted.cell_type, wanted.source), rebuild
        assert cell.metadata == wanted.metadata, rebuild
    assert notebook.metadata.mrcnn_edu["cells"] == seal(notebook), rebuild


def test_notebook_was_run_without_error(notebook):
    for cell in code_cells(notebook):
        assert cell.execution_count or not cell.source, f"{cell.id} was never run"
        if "raises-exception" not in cell.metadata.get("tags", []):
            assert all(output.output_type != "error" for output in cell.outputs), cell.id


def test_notebook_shows_well_where_nothing_runs(source, notebook):
    assert "widgets" not in notebook.metadata
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert build.WIDGET_VIEW not in output.get("data", {}), cell.id
    assert (NOTEBOOKS / f"{source.stem}.ipynb").stat().st_size < 1_500_000


def test_outputs_hold_no_trace_of_the_machine(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            texts = [output.get("text", ""), *output.get("traceback", [])]
            texts += [value for kind, value in data.items() if kind.startswith("text/")]
            found = re.search(TRACES, "\n".join(texts))
            assert not found, f"{cell.id}: {found}"


def test_source_keeps_the_rules(source):
    cells = build.read_source(source).cells
    for cell in cells:
        for what, pattern in FORBIDDEN.items():
            assert not re.search(pattern, cell.source, re.MULTILINE), f"{cell.id} has {what}"


def test_source_is_cut_into_small_cells(source):
    cells = code_cells(build.read_source(source))
    lines = {cell.id: len(cell.source.splitlines()) for cell in cells}
    assert max(lines.values()) <= 20, max(lines, key=lines.get)


def test_lesson_has_the_parts_of_a_lesson(source):
    """Goals, three predictions with their answers, a failure, a widget, exercises, what remains."""
    cells = build.read_source(source).cells
    texts = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert re.match(rf"# {source.stem[:2]} · ", cells[0].source)
    assert re.search(r"After this lesson \(\d+ minutes\) you can", cells[1].source)
    assert texts.count("**Predict") >= 3 and texts.count("<summary><b>Answer</b>") >= 3
    assert texts.count("<details>") == texts.count("</details>")
    for heading in ("The problem", "Where it breaks", "Play", "Exercises", "Remember"):
        assert re.search(rf"^## {heading}", texts, re.MULTILINE), heading
    last = texts.partition("## Remember")[2]
    assert all(word in last for word in ("torchvision", "detectron2", "Next:"))
    assert code.count("viz.show_flow(") == 1
    assert re.search(r"from mrcnn_edu.course.widgets import \w+_player", code)
    assert "getsource(" in code and re.search(r"assert|assert_close", code)
    assert len(re.findall(r"^exercises\.check_", code, re.MULTILINE)) >= 2


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a star import", "from torch import *"),
        ("sys.path", "sys.path.insert(0, '..')"),
        ("a shell cell", "!ls"),
        ("a shell cell", "%pip install torch"),
        ("a remote picture", "![a cat](https://example.org/cat.png)"),
        ("a remote picture", '<img width="300" src="https://example.org/cat.png">'),
    ],
)
def test_the_rules_can_fail(what, line):
    assert re.search(FORBIDDEN[what], f"import torch\n{line}\n", re.MULTILINE)


# ---- the build ----

WIDGET = '''\
# %% [markdown]
# # A picture that a slider changes

# %%
import base64, io
import ipywidgets as widgets
from PIL import Image

# %%
file = io.BytesIO()
Image.new("L", (8, 8), 200).save(file, format="png")
image = widgets.Image(value=file.getvalue())

class Still:
    """A widget that shows a still picture where nothing runs."""

    def _repr_mimebundle_(self, **options):
        picture = base64.b64encode(image.value).decode()
        return {**image._repr_mimebundle_(**options), "text/plain": "Still", "image/png": picture}

Still()

# %% tags=["a-tag"]
print("one"), print("two");
'''


def write_source(folder, text) -> Path:
    path = folder / "90_example.py"
    path.write_text(text)
    return path


def test_build_gives_the_same_bytes_twice_and_only_the_still_picture(tmp_path):
    source = write_source(tmp_path, WIDGET)
    first = build.build(source, tmp_path).read_bytes()
    assert build.build(source, tmp_path).read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {"90_example.py", "90_example.ipynb"}
    notebook = nbformat.read(tmp_path / "90_example.ipynb", as_version=4)
    text, imports, picture, prints = notebook.cells
    assert text.cell_type == "markdown" and imports.outputs == []
    ids = ["90-title", "90-title-code", "90-title-code-2", "90-title-code-3"]
    assert [cell.id for cell in notebook.cells] == ids
    assert [cell.execution_count for cell in code_cells(notebook)] == [1, 2, 3]
    assert set(picture.outputs[0].data) == {"text/plain", "image/png"}
    assert prints.metadata == {"tags": ["a-tag"]}
    assert [output.text for output in prints.outputs] == ["one\ntwo\n"]
    assert set(notebook.metadata) == {"kernelspec", "language_info", "mrcnn_edu"}
    assert notebook.metadata.mrcnn_edu == {
        "matplotlib": importlib.metadata.version("matplotlib"),
        "cells": seal(notebook),
    }


def test_text_alone_is_taken_over_and_outputs_stay(tmp_path):
    text = "# %% [markdown]\n# Before.\n\n# %%\nprint(6 * 7)\n"
    path = build.build(write_source(tmp_path, text), tmp_path)
    before = nbformat.read(path, as_version=4)
    before.metadata.mrcnn_edu.matplotlib = "3.0"
    nbformat.write(before, path)
    after = write_source(tmp_path, text.replace("Before", "After") + "\n# %% [markdown]\n# More.\n")
    built = nbformat.read(build.build_text(after, tmp_path), as_version=4)
    assert [cell.source for cell in built.cells] == ["After.", "print(6 * 7)", "More."]
    assert built.cells[1].outputs == before.cells[1].outputs != []
    assert built.metadata.mrcnn_edu == {"matplotlib": "3.0", "cells": seal(built)}  # as it was run
    assert seal(built) != seal(before)
    with pytest.raises(build.BuildError, match="its code has changed"):
        build.build_text(write_source(tmp_path, text.replace("6 * 7", "54")), tmp_path)


LIVE = """\
# %%
from mrcnn_edu.progress import progress_bar

for _ in progress_bar(range(3), "count"):
    pass
"done"

# %%
from ipywidgets import IntSlider

from mrcnn_edu.course.widgets import Player
from mrcnn_edu.viz import Picture

Player(lambda size: Picture(size, 1), size=IntSlider(2))
"""


def test_what_is_for_a_live_kernel_is_not_stored(tmp_path):
    build.build(write_source(tmp_path, LIVE), tmp_path)
    bar, player = nbformat.read(tmp_path / "90_example.ipynb", as_version=4).cells
    assert [output.data for output in bar.outputs] == [{"text/plain": "'done'"}]
    (output,) = player.outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert output.metadata == {"image/png": {"width": 144, "height": 72}}


def test_the_picture_of_the_cell_tagged_cover_is_kept_small(tmp_path):
    code = "from PIL import Image\n\nred = Image.new('RGB', (960, 300), 'red')._repr_png_()"
    shown = '{"image/png": red}, raw=True'
    text = f'# %% tags=["cover"]\n{code}\nfrom IPython.display import display\ndisplay({shown})'
    build.build(write_source(tmp_path, text), tmp_path)
    cover = Image.open(tmp_path / "pictures" / "90_example.png")
    assert cover.size == (480, 150) and cover.convert("RGB").getpixel((9, 9)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# %%\nx = 1\n\n# %%\nx / 0", "ZeroDivisionError"),
        ('# %%\nx = 0\n\n# %% tags=["cover"]\nx = 1', "a cover needs one picture, not 0"),
        ("# %%\nimport ipywidgets\n\n# %%\nipywidgets.IntSlider()", "shows a widget"),
    ],
)
def test_build_names_the_notebook_and_the_cell_that_fails(tmp_path, text, complaint):
    with pytest.raises(build.BuildError, match=f"90_example, 90-code-2: (.|\n)*{complaint}"):
        build.build(write_source(tmp_path, text), tmp_path)
    assert not (tmp_path / "90_example.ipynb").exists()


# ---- cells: one thing in each ----


def test_every_lesson_has_one_thing_in_a_cell(source):
    cells = build.read_source(source).cells
    of_kind = {tag: [c for c in cells if tag in c.metadata.get("tags", [])] for tag in TAGS}
    for cell in (cell for cell in cells if cell.cell_type == "markdown"):
        begins = (r"##? ", r"\*\*Predict", r"<details>")
        found = [mark for mark in begins if re.search(rf"(?m)^{mark}", cell.source)]
        assert len(found) <= 1, cell.id
        if found:
            assert re.match(found[0], cell.source), cell.id
        if re.match(r"##? ", cell.source):
            assert "\n" not in cell.source, cell.id
        assert cell.source.count("**Predict") <= 1, cell.id
    text = source.read_text()
    assert len(of_kind["predict"]) == text.count("**Predict")
    assert len(of_kind["answer"]) == text.count("<summary><b>Answer</b>")
    assert len(of_kind["title"]) == 1 and len(of_kind["heading"]) == text.count("\n# ## ")
    assert len(of_kind["exercise"]) >= 3  # two or more, and their code
    assert any(cell.cell_type == "code" for cell in of_kind["play"])
    assert not any("# ## " in cell.source for cell in cells)


TAGS = "title", "heading", "predict", "answer", "exercise", "play"


def test_what_answers_a_question_is_hidden_until_the_cell_is_run(source):
    asked = False
    for cell in build.read_source(source).cells:
        tags = cell.metadata.get("tags", [])
        if "predict" in tags or "answer" in tags:
            asked = "predict" in tags
        elif cell.cell_type == "code":
            hidden = cell.metadata.get("jupyter", {}).get("outputs_hidden", False)
            assert ("hide-output" in tags) == hidden == asked, cell.id


def test_ids_are_unique_over_the_course():
    ids = [cell.id for source in SOURCES for cell in build.read_source(source).cells]
    assert len(set(ids)) == len(ids) > 900
    assert all(re.fullmatch(r"\d\d-[a-z0-9-]{1,61}", name) for name in ids)


def test_a_deck_has_a_slide_for_each_section_and_no_hints(source):
    for cell in build.read_source(source).cells:
        slide = cell.metadata.get("slideshow", {}).get("slide_type")
        tags = set(cell.metadata.get("tags", []))
        assert (slide == "slide") == bool(tags & {"title", "heading"}), cell.id
        assert (slide == "fragment") == bool(tags & {"answer", "hide-output"}), cell.id
        assert (slide == "skip") == bool(tags & {"hint", "solution", "claim"}), cell.id


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_teachers_tools_know_the_cells_apart():
    """nbconvert makes a deck with a column for each section, and a handout without answers."""
    from nbconvert import HTMLExporter, SlidesExporter  # here, because this takes seconds
    from nbconvert.preprocessors import TagRemovePreprocessor

    notebook = nbformat.read(NOTEBOOKS / "02_boxes.ipynb", as_version=4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = sum(re.match(r"##? ", text) is not None for text in texts)
    answers = sum(text.startswith("<details>") for text in texts)
    deck, _ = SlidesExporter().from_notebook_node(notebook)
    columns = re.findall(r"<section>\s*<section[^>]*>.*?</section>\s*</section>", deck, re.DOTALL)
    assert len(columns) == headings
    assert all(re.search(r"<h[12] ", column) for column in columns)
    assert sum(column.count("<details>") for column in columns) == answers
    revealing = sum("hide-output" in cell.metadata.get("tags", []) for cell in notebook.cells)
    assert deck.count('class="fragment"') == answers + revealing > 10

    handout = HTMLExporter()
    removal = TagRemovePreprocessor(remove_cell_tags={"answer"}, enabled=True)
    handout.register_preprocessor(removal, enabled=True)
    page, _ = handout.from_notebook_node(notebook)
    assert "<details>" not in page and page.count("<strong>Predict:") == answers


SECTIONS = """\
# 07 · Title
What you will learn.
## 1. One idea: an example
Text, and then.
**Predict:** how many?

- one
- two
<details><summary><b>Answer</b></summary>

One.

```
# a comment in code, no heading
```
</details>
More text. **Predict:** and
now?

And what that means.
## Two
```python
# %% no heading either

**Predict**
```
Text.

## Exercises
**1.** Do this.

With these numbers.

<details><summary>Hint 1: an idea</summary>
Think.
</details>
<details><summary>Solution</summary> Done. </details>

**2.** Do that.

**To discuss.** Why?

<details><summary>More</summary>
...
</details>
## Play
Slide."""


def cut(*sources):
    """The cells of these texts; a source that ends with () is code."""
    new = [new_code_cell if text.endswith("()") else new_markdown_cell for text in sources]
    return cut_cells([make(text) for make, text in zip(new, sources, strict=True)], "07")


def test_text_is_cut_at_headings_questions_answers_and_exercises():
    cells = {cell.id: cell for cell in cut(SECTIONS)}
    assert {
        name.removeprefix("07-"): cell.source.split("\n")[0] for name, cell in cells.items()
    } == {
        "title": "# 07 · Title",
        "title-text": "What you will learn.",
        "one-idea": "## 1. One idea: an example",
        "one-idea-text": "Text, and then.",
        "one-idea-predict": "**Predict:** how many?",
        "one-idea-answer": "<details><summary><b>Answer</b></summary>",
        "one-idea-text-2": "More text.",
        "one-idea-predict-2": "**Predict:** and",
        "one-idea-text-3": "And what that means.",
        "two": "## Two",
        "two-text": "```python",
        "exercises": "## Exercises",
        "exercises-exercise": "**1.** Do this.",
        "exercises-hint": "<details><summary>Hint 1: an idea</summary>",
        "exercises-solution": "<details><summary>Solution</summary> Done. </details>",
        "exercises-exercise-2": "**2.** Do that.",
        "exercises-discuss": "**To discuss.** Why?",
        "exercises-aside": "<details><summary>More</summary>",
        "play": "## Play",
        "play-text": "Slide.",
    }
    assert cells["07-one-idea-predict"].source.endswith("- one\n- two")
    assert cells["07-one-idea-answer"].source.endswith("no heading\n```\n</details>")
    assert cells["07-two-text"].source.endswith("**Predict**\n```\n\nText.")
    assert cells["07-exercises-exercise"].source.endswith("numbers.")
    words = " ".join(cell.source for cell in cells.values()).split()
    assert words == SECTIONS.split()  # and nothing is lost
    assert cells["07-play-text"].metadata.tags == ["play"]


def test_tags_and_slides_of_the_source_are_kept():
    code = new_code_cell(
        "check()", metadata={"tags": ["claim"], "jupyter": {"source_hidden": True}}
    )
    slide = new_code_cell("x", metadata={"slideshow": {"slide_type": "notes"}})
    claim, notes, _, shown = cut_cells([code, slide, *cut("**Predict:** x?"), deepcopy(code)], "07")
    assert shown.metadata.slideshow.slide_type == "skip"  # though it is below a question
    assert claim.metadata == {
        "slideshow": {"slide_type": "skip"},
        "jupyter": {"source_hidden": True},
        "tags": ["claim"],
    }
    assert notes.metadata == {"slideshow": {"slide_type": "notes"}}


def test_ids_stay_when_text_is_edited_and_cells_are_added_elsewhere():
    before = cut("# T", "a()", "## 1. One", "b()", "## 2. Two", "Text.", "c()")
    after = cut("# T", "More.", "a()", "d()", "## Two", "Other text.", "c()", "## One", "b()")
    ids = {cell.source: cell.id for cell in before}
    for cell in after:
        assert cell.id == ids.get(cell.source, cell.id)
    assert {"07-two", "07-two-text"} <= {cell.id for cell in after}
    twice = [cell.id for cell in cut("## The same", "x()", "## The same", "x()", "## The same 2")]
    assert len(set(twice)) == 5


@pytest.mark.parametrize(
    ("texts", "hidden"),
    [
        (["**Predict:** x?", "a()", "Text.", "b()", "<details><summary>Answer"], "ab"),
        (["**Predict:** x?", "Text.", "a()", "b()", "Why.", "c()"], "ab"),  # explained in the open
        (["**Predict:** x?", "a()", "## Next", "b()"], "a"),
        (["a()", "**Predict:** x?"], ""),
    ],
)
def test_code_below_a_question_hides_its_output(texts, hidden):
    texts = [text + "</details>" if text.startswith("<details>") else text for text in texts]
    tagged = [cell for cell in cut(*texts) if "hide-output" in cell.metadata.get("tags", [])]
    assert "".join(cell.source[0] for cell in tagged) == hidden
    assert all(cell.metadata.jupyter == {"outputs_hidden": True} for cell in tagged)


def test_what_is_folded_within_something_folded_stays_there():
    inner = "<details><summary>Why?</summary>\n\nSo.\n</details>"
    outer = f"<details><summary>Answer</summary>\n\nOne.\n\n{inner}\n\nTwo.\n</details>"
    assert [cell.source for cell in cut(f"Text.\n{outer}\nMore.")] == ["Text.", outer, "More."]
    assert list(paragraphs(f"{inner}\n{inner}")) == [inner, inner]


def test_a_text_that_is_never_unfolded_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="<details> is not closed"):
        list(paragraphs("<details><summary>Answer</summary>\n\nOne."))
    text = "# %% [markdown]\n# <details>\n"
    with pytest.raises(build.BuildError, match=r"90_example.py: a <details> is not closed"):
        build.read_source(write_source(tmp_path, text))


# ---- what conftest.py adds to nbval: one run over three notebooks ----

DRAW = """\
import base64, io
from IPython.display import display
from PIL import Image

def draw(shade, size=64):
    file = io.BytesIO()
    Image.new("L", (size, size), shade).save(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    display({"text/plain": "a picture", "image/png": data}, raw=True)
"""


def picture(shade: int, size: int = 64, dot: int = 0):
    """The output of draw(shade, size), with a square of `dot` pixels in the corner spoilt."""
    pixels = np.full((size, size), shade, dtype=np.uint8)
    pixels[:dot, :dot] = 255 - shade
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    return new_output("display_data", data={"text/plain": "a picture", "image/png": data})


BAR = """\
from mrcnn_edu.progress import progress_bar
for _ in progress_bar(range(3), "count"): __import__("time").sleep(0.3)  # it is shown and updated
"""
PLAYER = """\
from mrcnn_edu.course.widgets import Player
from mrcnn_edu.viz import Picture
Player(lambda: Picture(2, 1))
"""
WHITE = base64.b64encode(Picture(2, 1).png()).decode()
PLAYER_PICTURE = new_output("display_data", data={"text/plain": "Player()", "image/png": WHITE})
NO_PICTURE = new_output("display_data", data={"text/plain": "a picture"})


def write_notebook(path, matplotlib, *cells):
    """cells: (source, stored outputs, whether it was run)."""
    notebook = new_notebook(
        cells=[
            new_code_cell(source, outputs=outputs, execution_count=1 if was_run else None)
            for source, outputs, was_run in cells
        ],
        metadata={"mrcnn_edu": {"matplotlib": matplotlib}},
    )
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """{(notebook, cell): (verdict, message, seconds)} of one nbval run."""
    folder = tmp_path_factory.mktemp("nbval")
    (folder / "conftest.py").write_text((NOTEBOOKS / "conftest.py").read_text())
    write_notebook(
        folder / "pictures.ipynb",
        importlib.metadata.version("matplotlib"),
        (DRAW, [], True),
        ("draw(100)", [picture(100)], True),
        ("draw(100)", [picture(110)], True),
        ("draw(100)", [picture(100, dot=4)], True),
        ("draw(100)", [picture(100, size=66)], True),
        ("pass", [picture(100)], True),
        ("draw(100)", [NO_PICTURE], True),
        ("1 + 1;", [], False),
        ("# NBVAL_IGNORE_OUTPUT\ndraw(100)", [picture(200)], True),
        (BAR, [], True),
        ("display({'text/plain': 'trained'}, raw=True)", [], True),
        (PLAYER, [PLAYER_PICTURE], True),
    )
    write_notebook(
        folder / "other_matplotlib.ipynb",
        "0.0",
        (DRAW, [], True),
        ("draw(100)", [picture(200)], True),
        ("draw(100, size=66)", [picture(100)], True),
        ("draw(100, size=80)", [picture(100)], True),
    )
    write_notebook(
        folder / "dies.ipynb",
        "0.0",
        ("import os", [], True),
        ("os._exit(1)", [], True),
        ("1 + 1;", [], True),
    )
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no"]
    command += ["--nbval-cell-timeout=300", "-W", "error", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(folder), "--junit-xml", str(folder / "report.xml"), str(folder)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert result.returncode == 1, result.stdout + result.stderr
    return read_report(folder / "report.xml")


def read_report(path):
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        verdict, message = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                verdict, message = child.tag, child.text or ""
        notebook = case.get("classname").removesuffix(".ipynb")
        found[notebook, case.get("name")] = (verdict, message, float(case.get("time")))
    return found


@pytest.mark.parametrize(
    ("notebook", "cell", "verdict", "message"),
    [
        ("pictures", 1, "passed", ""),
        ("pictures", 2, "passed", ""),  # a shade is within the tolerance
        ("pictures", 3, "failure", "of the pixels differ"),
        ("pictures", 4, "failure", "stored (66, 66), now (64, 64)"),
        ("pictures", 5, "failure", "Missing output fields"),
        ("pictures", 6, "failure", "pictures stored: none"),
        ("pictures", 7, "failure", "was never run"),
        ("pictures", 8, "passed", ""),
        ("pictures", 9, "passed", ""),  # a progress bar, which is not stored
        ("pictures", 10, "failure", "trained"),
        ("pictures", 11, "passed", ""),  # a player, of which only the picture is stored
        ("other_matplotlib", 1, "passed", ""),
        ("other_matplotlib", 2, "passed", ""),
        ("other_matplotlib", 3, "failure", "stored (64, 64), now (80, 80)"),
        ("dies", 0, "passed", ""),
        ("dies", 1, "failure", "kernel died"),
        ("dies", 2, "skipped", ""),  # expected to fail
    ],
)
def test_nbval_with_our_additions(verdicts, notebook, cell, verdict, message):
    found, text, _ = verdicts[notebook, f"Cell {cell}"]
    assert found == verdict, text
    assert message in text


def test_a_dead_kernel_is_noticed_long_before_the_time_is_up(verdicts):
    _, _, seconds = verdicts["dies", "Cell 1"]
    assert seconds < 10
