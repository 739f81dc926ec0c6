"""What the build refuses in a lesson: each rule can fail, and a lesson in order passes all."""

import build
import pytest
import style
from cut_cells import cut_cells
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from rules import (
    complaints_of_asserts,
    complaints_of_captions,
    complaints_of_claims,
    complaints_of_predictions,
)

ASKS, TELLS = "> **Predict.** How many?", "**What happened.** Two."
REVEALED = new_output("stream", text="There are 2 boxes.\n")
COMPLAINTS = (
    complaints_of_asserts, complaints_of_captions, complaints_of_claims, complaints_of_predictions,
)  # fmt: skip


def write_source(folder, text):
    path = folder / "90_example.py"
    path.write_text(text)
    return path


def text(source):
    return new_markdown_cell(source)


def code(source="x", *outputs, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata=metadata)


def claim(*outputs):
    return code("assert x", *outputs, tags=["claim"])


def picture(alt=None, kinds=("image/png",), data="iVBORw0KGgo="):
    metadata = {kind: {"width": 9} | ({"alt": alt} if alt else {}) for kind in kinds}
    shown = dict.fromkeys(kinds, data) | {"text/plain": "<Picture>"}
    return new_output("display_data", data=shown, metadata=metadata)


def complaints(rule, *cells):
    return list(rule(cut_cells(list(cells), "90")))


def test_a_lesson_in_order_has_no_complaint():
    cells = [
        text("# 90 · Title"), code("a", picture("Figure 1. A box.")), text("## One"), text(ASKS),
        code("b", REVEALED), code("c", picture("Figure 2. Two boxes.", data="QUFBQUFB")),
        text(TELLS), text("And so on."), code("d", new_output("stream", text="the end")),
        claim(), claim(), text("## Two"), claim(),
    ]  # fmt: skip
    for rule in COMPLAINTS:
        assert complaints(rule, *cells) == []
    assert all(complaints(rule) == [] for rule in COMPLAINTS)


def test_claims_are_hidden_at_the_end_of_a_section_and_show_nothing():
    (cell,) = cut_cells([claim()], "90")
    assert cell.metadata.jupyter == {"source_hidden": True} and cell.id == "90-claim"
    assert cell.metadata.slideshow.slide_type == "skip"
    below = complaints(complaints_of_claims, text("## One"), claim(), code("x"), text("## Two"))
    assert below == ["90-one-claim: move this claim to the end of its section, below 90-one-code"]
    assert complaints(complaints_of_claims, text("## One"), claim(), text("More."))
    (shows,) = complaints(complaints_of_claims, claim(REVEALED))
    assert shows.startswith("90-claim: a claim should have no output")


def test_asserts_are_found_by_what_they_are():
    found = complaints(
        complaints_of_asserts,
        code("x = 1\n\nassert x"),
        code(
            "def f():\n    if True:\n        assert (\n            x == 1\n        )\n    assert y"
        ),
        code("assert_close(a, b)\ntext = 'assert x'  # assert x\n%time assert x\n!assert x"),
        code("class Assert: ..."),
        claim(),
    )
    assert [line.partition(":")[0] for line in found] == [
        "90-code, line 3", "90-code-2, line 3", "90-code-2, line 6",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([text(ASKS)], "90-predict: no code below this question"),
        ([text(ASKS), text("## Next"), code("x", REVEALED)], "90-predict: no code below"),
        ([text(ASKS), text(TELLS), code("x", REVEALED)], "90-predict: no code below"),
        ([text(ASKS), claim(), text(TELLS)], "90-predict: no code below"),
        ([text(ASKS), code("x", REVEALED)], "90-code: explain the answer in a text that begins"),
        ([text(ASKS), code("x", REVEALED), text("So it is.")], "90-code: explain the answer"),
        (
            [text(ASKS), code("x", REVEALED), text("<details><summary>Answer</summary></details>")],
            "90-code: explain the answer",
        ),
        ([text(ASKS), code("x"), text(TELLS)], "90-code: its output should answer 90-predict"),
        (
            [code("y", REVEALED), text(ASKS), code("x", REVEALED), text(TELLS)],
            "90-code: the same output, below 90-predict, is meant to be a surprise",
        ),
        (
            [code("y", picture()), text(ASKS), code("x", picture()), text(TELLS)],
            "90-code: the same output",
        ),
    ],
)  # fmt: skip
def test_a_prediction_that_is_given_away_or_not_answered_is_refused(cells, complaint):
    (found,) = complaints(complaints_of_predictions, *cells)
    assert found.startswith(complaint)


def test_an_output_that_is_seen_between_question_and_answer_is_refused():
    cells = cut_cells(
        [text(ASKS), code("x", REVEALED), text("Or so."), code("y"), text(TELLS)], "90"
    )
    assert list(complaints_of_predictions(cells)) == []
    del cells[1].metadata["jupyter"]
    (found,) = complaints_of_predictions(cells)
    assert found == "90-code: this output gives away the answer to 90-predict"


def test_before_a_run_a_prediction_needs_no_output():
    below = new_code_cell("x")
    assert complaints(complaints_of_predictions, text(ASKS), below, text(TELLS)) == []


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ([picture()], '"Figure 1. ..."'),
        ([picture("A box.")], 'not "A box."'),
        ([picture("Figure 2. A box.")], '"Figure 1. ..."'),
        (
            [picture("Figure 1. A."), picture("Figure 3. B.")],
            '"Figure 2. ..."), and not "Figure 3.',
        ),
        ([picture("Figure 1. A."), picture("Figure 1. B.")], '"Figure 2. ..."'),
        ([picture("Figure 1.A")], '"Figure 1. ..."'),
    ],
)
def test_pictures_are_numbered_through_the_lesson(outputs, complaint):
    (found,) = complaints(complaints_of_captions, *(code("x", output) for output in outputs))
    assert complaint in found and found.startswith("90-code")


def test_a_chart_in_two_forms_is_one_picture():
    both = ("image/png", "image/svg+xml")
    first, second = picture("Figure 1. A.", both), picture("Figure 2. B.")
    assert complaints(complaints_of_captions, code("x", first), code("y", second)) == []
    del first.metadata["image/png"]
    (found,) = complaints(complaints_of_captions, code("x", first), code("y", second))
    assert "Figure 1" in found


LESSON = """\
# %% [markdown]
# # 90 · Example
# As in [Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3.
#
# > **Predict.** How many?

# %%
print(len("two"))

# %% [markdown]
# **What happened.** Three.

# %% tags=["claim"]
assert len("two") == 3
"""


@pytest.fixture
def rewritten(monkeypatch):
    monkeypatch.setattr(style, "REWRITTEN", ("90",))


def test_a_rewritten_lesson_ends_with_its_references(tmp_path, rewritten):
    cells = build.read_source(write_source(tmp_path, LESSON)).cells
    assert [cell.id for cell in cells[-3:]] == [
        "90-title-claim",
        "90-references",
        "90-references-text",
    ]
    assert "arXiv:1703.06870" in cells[-1].source
    none = build.read_source(write_source(tmp_path, LESSON.replace("arxiv.org", "example.org")))
    assert none.cells[-1].id == "90-title-claim"
    with pytest.raises(build.BuildError, match=r"90_example.py: no paper in .*9999.99999"):
        build.read_source(write_source(tmp_path, LESSON.replace("1703.06870", "9999.99999")))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("print(", "assert 1\nprint(", r"90-title-code, line 1: move this assert"),
        (
            "\n# %% tags",
            "\n# %%\nassert 2\n\n# %% tags",
            "90-title-code-2, line 1: move this assert",
        ),
        ("**What happened.**", "So:", "90-title-code: explain the answer"),
    ],
)
def test_the_build_names_the_lesson_and_the_cell(tmp_path, rewritten, old, new, complaint):
    source = write_source(tmp_path, LESSON.replace(old, new))
    with pytest.raises(build.BuildError, match=f"^90_example.py: {complaint}"):
        build.read_source(source)


def test_the_build_looks_at_outputs_after_the_run(tmp_path, rewritten):
    path = build.build(write_source(tmp_path, LESSON), tmp_path)
    before = path.read_bytes()
    shows = write_source(tmp_path, f"{LESSON}print(3)\n")
    with pytest.raises(build.BuildError, match=r"90_example\.py: 90-title-claim: a claim should"):
        build.build(shows, tmp_path)
    assert path.read_bytes() == before


def test_lessons_that_are_not_rewritten_need_not_follow_the_new_rules(tmp_path):
    old = LESSON.replace("print(", "assert 1\nprint(").replace("**What happened.**", "So:")
    assert build.read_source(write_source(tmp_path, old)).cells[-1].id == "90-title-claim"
    with pytest.raises(build.BuildError, match="90-title-claim: move this claim to the end"):
        build.read_source(write_source(tmp_path, f"{old}\n# %%\nx = 1\n"))


def test_rewritten_lessons_exist():
    assert set(style.REWRITTEN) <= {source.stem[:2] for source in style.SOURCES.glob("*.py")}
