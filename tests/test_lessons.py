"""The lessons come with the wheel, and are copied so that nobody's work is lost."""

import tomllib
from pathlib import Path

import pytest

from mrcnn_edu.course.lessons import FIRST, RECORD, copy_lessons, find_lessons

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    for name in (FIRST, "01_data.ipynb"):
        (folder / name).write_text(f"{name}, version 1")
    return folder


def _files(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != RECORD}


def test_lessons_are_copied_once(source, tmp_path):
    folder = tmp_path / "deep" / "mine"
    assert len(copy_lessons(source, folder)) == 2
    assert _files(folder) == _files(source)
    assert copy_lessons(source, folder) == []


def test_what_a_student_changed_is_kept_and_what_is_new_comes_beside_it(source, tmp_path):
    folder = tmp_path / "mine"
    copy_lessons(source, folder)
    (folder / FIRST).write_text("my answers")
    assert copy_lessons(source, folder) == []  # no newer version, so nothing beside it
    for name in (FIRST, "01_data.ipynb"):
        (source / name).write_text(f"{name}, version 2")
    kept, updated = copy_lessons(source, folder)
    assert "yours is kept" in kept and "00_start_here.new.ipynb" in kept
    assert updated == "01_data.ipynb: updated"
    assert _files(folder) == {
        FIRST: "my answers",
        "00_start_here.new.ipynb": f"{FIRST}, version 2",
        "01_data.ipynb": "01_data.ipynb, version 2",
    }
    assert copy_lessons(source, folder) == []
    (folder / "00_start_here.new.ipynb").write_text("answers here, too")
    (source / FIRST).write_text("version 3")
    assert "00_start_here.new-2.ipynb" in copy_lessons(source, folder)[0]
    assert _files(folder)["00_start_here.new.ipynb"] == "answers here, too"


def test_a_lesson_that_is_there_without_a_record_is_the_students(source, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / FIRST).write_text("from elsewhere")
    copy_lessons(source, folder)
    assert _files(folder)[FIRST] == "from elsewhere"


def test_a_lesson_that_a_student_removed_comes_back(source, tmp_path):
    folder = tmp_path / "mine"
    copy_lessons(source, folder)
    (folder / FIRST).unlink()
    assert copy_lessons(source, folder) == [f"{FIRST}: copied"]


def test_the_wheel_has_every_lesson():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    lessons = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert included == {f"notebooks/{n}": f"mrcnn_edu/course/notebooks/{n}" for n in lessons}


def test_a_checkout_has_its_own():
    assert find_lessons() == ROOT / "notebooks"
