"""The table of contents: one list of the lessons, which fills the README and lesson 00."""

import re

import build
import contents
import nbformat
import pytest
from nbformat.v4 import new_output

from mrcnn_edu.viz.picture import Picture


def test_every_lesson_has_its_place_and_its_question():
    assert sorted(contents.QUESTIONS) == [source.stem for source in contents.sources()]
    for lesson in contents.lessons():
        assert lesson.question.endswith("?") and len(lesson.question) <= 80
        assert 1 <= lesson.minutes <= 240 and lesson.title
    questions = list(contents.QUESTIONS.values())
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize("document", [contents.README, contents.FIRST], ids=lambda path: path.name)
def test_the_documents_show_the_lessons_as_they_are(document):
    text = document.read_text()
    assert contents.filled(document) == text, "python notebooks/contents.py brings it up to date"
    for lesson in contents.lessons()[document == contents.FIRST :]:
        assert f"{lesson.name}.ipynb)" in text and f"pictures/{lesson.name}.png" in text


def test_every_lesson_has_its_picture():
    for lesson in contents.lessons():
        notebook = nbformat.read(contents.NOTEBOOKS / f"{lesson.name}.ipynb", as_version=4)
        picture = contents.NOTEBOOKS / "pictures" / f"{lesson.name}.png"
        assert picture.read_bytes() == build.cover(notebook, lesson.name), lesson.name


def test_a_cover_has_no_caption():
    bundle, shown = (
        Picture(4, 2).caption("Figure 1. A caption of two lines. " * 2)._repr_mimebundle_()
    )
    cover = build.without_caption(new_output("display_data", data=bundle, metadata=shown))
    assert cover.size == (576, 287)  # 4 x 2 inches; heights are rounded


@pytest.fixture
def source(monkeypatch, tmp_path):
    """A function that makes a text the source of the only lesson, 17_cost."""
    (tmp_path / "src").mkdir()
    monkeypatch.setattr(contents, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(contents, "QUESTIONS", {"17_cost": "What costs the most?"})
    file = tmp_path / "src" / "17_cost.py"
    return lambda text: file.write_text(text)


@pytest.mark.parametrize(
    "time", ["*Time: 45 minutes. You need", "After this lesson (45\n# minutes)"]
)
def test_title_and_minutes_are_read_from_the_source(source, time):
    source(f"# %% [markdown]\n# # 17 · What each part costs: in seconds\n#\n# {time}\n")
    (lesson,) = contents.lessons()
    assert lesson == ("17_cost", "What each part costs", "What costs the most?", 45)
    assert lesson.number == "17"
    shown = "**[What each part costs](notebooks/17_cost.ipynb)**<br>What costs the most? | 45 |"
    assert shown in contents.table()
    assert contents.course_list() == ""  # lesson 00 does not list itself, whatever it is called


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "17_cost: the first heading should be '# 17 · the title'"),
        ("# # 07 · Another lesson\n# Time: 45 minutes", "first heading should be '# 17"),
        ("# # 17 · What each part costs\n# It takes 45 minutes.", "should say 'Time: 60 minutes'"),
    ],
)
def test_a_source_without_title_or_minutes_is_refused(source, text, message):
    source(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        contents.lessons()


def test_the_text_between_the_marks_is_replaced():
    old = f"before\n{contents.START}\nold\nolder\n{contents.END}\nafter"
    new = contents.between_marks(old, "new")
    assert new == f"before\n{contents.START}\nnew\n{contents.END}\nafter"
    assert contents.between_marks(new, "new") == new


@pytest.mark.parametrize("text", ["", "no marks", f"{contents.START}\n", f"{contents.END}\n"])
def test_a_document_without_the_marks_is_refused(text):
    with pytest.raises(ValueError, match="there should be one line <!-- lessons -->"):
        contents.between_marks(text, "new")
