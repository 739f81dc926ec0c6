"""notebooks/style.py: what it counts in a lesson, what it refuses, and that it is quick."""

import subprocess
import sys
from pathlib import Path

import jupytext
import percent
import pytest
import style
from prose import bare_places, n_formulas, n_words, prose, wrong_words

SOURCES = sorted((Path(percent.__file__).parent / "src").glob("[0-9][0-9]_*.py"))

LESSON = """\
# ---
# jupyter: {}
# ---

# %% [markdown]
# # 90 · A lesson
#
# **The question.** What is a box?
#
# *Time: 21 minutes.*

# %%
import torch

# %% [markdown]
# ## 1. A section
#
# By [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3.1, $x = 1$ (This is so.) and
#
# $$
# y = 2 .
# $$
#
# > **Predict.** How many?

# %% tags=["hide-output"]
def draw():
    '''In the synthetic image.'''
    picture.caption("Figure 1. A box.")


draw()

# %% [markdown]
# **What happened.** One: `one: two`.

# %% tags=["claim"] jupyter={"source_hidden": true}
assert True

# %% [markdown]
# ## Exercise 1: a title
#
# ★☆☆ · about 5 minutes
#
# ## Exercise 2: a larger task
#
# ★★★ · 8 to 16 minutes
"""


def lesson(folder, text=LESSON):
    path = folder / "90_lesson.py"
    path.write_text(text)
    return style.Lesson(path)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_cells_are_read_as_jupytext_reads_them(source):
    expected = jupytext.read(source).cells
    found = percent.read_cells(source)
    assert len(found) == len(expected)
    lines = source.read_text().split("\n")
    for cell, wanted in zip(found, expected, strict=True):
        assert (cell.cell_type, cell.source) == (wanted.cell_type, wanted.source)
        assert cell.metadata.get("tags") == wanted.metadata.get("tags")
        assert cell.source.split("\n")[0] in lines[cell.line - 1]


def test_a_lesson_is_counted(tmp_path):
    row = lesson(tmp_path).row()
    expected = {
        "lesson": "90_lesson", "formulas": "2", "papers": "1", "captions": "1", "asserts": "0",
        "(Sentences.)": "1", "wrong words": "0", "predictions": "1", "minutes": "21",
    }  # fmt: skip
    assert row.items() >= expected.items()
    # 5 + 12 minutes of exercises, a prediction, 5 lines of code, and the words
    assert row["honest"] == f"{17 + 1.5 + 50 / 60 + int(row['words']) / 130:.0f}" == "20"


def test_a_lesson_in_order_has_no_complaint_and_another_has_one_for_each_line(tmp_path):
    assert list(lesson(tmp_path).complaints()) == []
    wrong = LESSON.replace("Time: 21", "Time: 26").replace("import torch", "import torch\nassert 1")
    wrong = wrong.replace("](https://arxiv.org/abs/1703.06870)", "](03_history.ipynb)")
    wrong = wrong.replace("In the synthetic image", "In the drawn image, " + 60 * "x")
    wrong = wrong.replace("One: ", "The truth: one: ").replace('["claim"] jupyter', '["slow"] j')
    found = dict(sorted(lesson(tmp_path, wrong).complaints()))
    lines = wrong.split("\n")
    assert {line: lines[line - 1] for line in found} == {
        1: "# ---",
        14: "assert 1",
        19: "# By [Mask R-CNN](03_history.ipynb), section 3.1, $x = 1$ (This is so.) and",
        29: f"    '''In the drawn image, {60 * 'x'}.'''",
        36: "# **What happened.** The truth: one: `one: two`.",
        39: "assert True",
    }
    assert "26 minutes; a reader needs about 20" in found[1]
    assert 'before "section 3' in found[19] and "ground truth" in found[36]


def test_a_question_without_code_below_it_is_refused(tmp_path):
    text = LESSON.replace("# ## Exercise 1", "# > **Predict.** And now?\n#\n# ## Exercise 1")
    ((line, complaint),) = (c for c in lesson(tmp_path, text).complaints() if "below" in c[1])
    assert text.split("\n")[line - 1] == "# > **Predict.** And now?" and "answer" in complaint


def test_a_lesson_without_a_time_is_refused(tmp_path):
    ((_, complaint),) = lesson(tmp_path, LESSON.replace("Time:", "It takes")).complaints()
    assert "says None minutes" in complaint


def test_only_rewritten_lessons_make_it_fail(tmp_path, monkeypatch, capsys):
    (tmp_path / "90_lesson.py").write_text(LESSON.replace("Time: 21", "Time: 99"))
    monkeypatch.setattr(style, "SOURCES", tmp_path)
    style.main()
    assert "90_lesson" in capsys.readouterr().out
    monkeypatch.setattr(style, "REWRITTEN", ("90",))
    with pytest.raises(SystemExit, match=r"90_lesson\.py:1: the top says 99 minutes"):
        style.main()


def test_it_loads_nothing_that_is_heavy():
    """Under two seconds on any machine, because it is run before each commit."""
    code = "import style, sys; style.REWRITTEN = (); style.main()"
    code += "; print({name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=style.SOURCES.parent
    )
    assert run.returncode == 0, run.stdout + run.stderr
    loaded = run.stdout.splitlines()[-1]
    heavy = ("torch", "numpy", "matplotlib", "nbformat", "jupytext", "mrcnn_edu")
    assert not [name for name in heavy if f"'{name}'" in loaded]


@pytest.mark.parametrize(
    ("text", "words", "formulas"),
    [
        ("", 0, 0),
        ("One [two three](https://a.b/c-d), *four*.", 4, 0),
        ("`code: x` and `more`", 1, 0),
        ("```\ncode\n```\nOne.", 1, 0),
        ("With $s = 16$ and $x$: 5 px", 4, 2),
        ("$$\na\n+ b\n$$\nOne $c$.", 1, 2),
        ("It costs $5 or $6.", 5, 0),
        ("<details><summary><b>Hint 1</b>: x</summary>Look.</details>", 4, 0),
    ],
)
def test_words_and_formulas_are_counted(text, words, formulas):
    assert (n_words(text), n_formulas(text)) == (words, formulas)
    assert prose(text).count("\n") == text.count("\n")


MASK = "[Mask R-CNN](https://arxiv.org/abs/1703.06870)"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (f"{MASK}, section 3.1, and equation 2.", []),
        (f"See {MASK}. Its Table 2 (c) is clear.", []),
        (f"See {MASK}. It is good. Section 3 is clear.", ["Section 3"]),
        (f"Section 3 of {MASK}.", ["Section 3"]),
        (f"The idea\n({MASK},\nsection\n3)", []),
        ("Section 8 shows how.", ["Section 8"]),
        ("[R-CNN](03_history.ipynb), appendix C", ["appendix C"]),
        (f"- {MASK}\n- one\n- in tables 2 and 3", ["tables 2"]),
        ("A section of 3 lines, figure 3, a table, `section 3`.", []),
    ],
)
def test_a_place_in_a_paper_needs_the_paper(text, bare):
    found = list(bare_places(text))
    assert [words for _, words in found] == bare
    assert all(text[position:].startswith(words) for position, words in found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the ground truth, the ground-truth box and ground_truth", []),
        ("The truth is a box.", ["truth"]),
        ("two drawn scenes and a drawn\nimage, which are drawn", ["drawn scenes", "drawn image"]),
        ("the judge; lit; split; trainings; a training run", ["the judge", "lit", "trainings"]),
        ("a share of the boxes, and they share weights", ["a share of"]),
        ("colour, colorful, normalised, vectorised", ["colour", "normalised", "vectorised"]),
        ("emphasis, promise, precise, otherwise, analysis, color, neighbor, center", []),
        ("what the network says, and what you said", ["network says"]),
    ],
)
def test_words_that_have_a_better_one_are_found(text, words):
    found = sorted(wrong_words(text))
    assert [word for _, word, _ in found] == words
    assert all(better for _, _, better in found)
