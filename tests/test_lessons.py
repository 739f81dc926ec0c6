"""The lessons come with the wheel, and are copied so that nobody's work is lost."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mrcnn_edu
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


@pytest.mark.parametrize("contents", ["{", "[1, 2]", ""])
def test_with_a_damaged_record_nothing_is_lost(source, tmp_path, contents):
    folder = tmp_path / "mine"
    copy_lessons(source, folder)
    (folder / FIRST).write_text("my answers")
    (folder / RECORD).write_text(contents)
    (line,) = copy_lessons(source, folder)
    assert "yours is kept" in line and (folder / FIRST).read_text() == "my answers"
    assert copy_lessons(source, folder) == []


def test_pictures_come_along(source, tmp_path):
    picture = source / "pictures" / "01_data.png"
    picture.parent.mkdir()
    picture.write_bytes(b"a picture")
    folder = tmp_path / "mine"
    assert copy_lessons(source, folder) == [f"{FIRST}: copied", "01_data.ipynb: copied"]
    assert (folder / "pictures" / "01_data.png").read_bytes() == b"a picture"
    picture.write_bytes(b"a better picture")
    assert copy_lessons(source, folder) == []
    assert [path.read_bytes() for path in folder.glob("pictures/*")] == [b"a better picture"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith(f"mrcnn_edu-{mrcnn_edu.__version__}-")
    zipfile.ZipFile(wheel).extractall(folder / "site-packages")
    return folder / "site-packages"


def test_the_wheel_has_the_package_and_every_lesson_and_nothing_else(installed):
    def names(folder, pattern="**/*"):
        files = [path for path in folder.glob(pattern) if path.is_file()]
        return {path.relative_to(folder).as_posix() for path in files if path.suffix != ".pyc"}

    top = {path.name for path in installed.iterdir()}
    assert top == {"mrcnn_edu", f"mrcnn_edu-{mrcnn_edu.__version__}.dist-info"}
    lessons = names(ROOT / "notebooks", "*.ipynb") | names(ROOT / "notebooks", "pictures/*.png")
    assert names(installed / "mrcnn_edu" / "course" / "notebooks") == lessons
    in_package = {name for name in names(installed / "mrcnn_edu") if "course/notebooks" not in name}
    assert in_package == names(ROOT / "mrcnn_edu")
    used = set(
        re.findall(r"pictures/\w+\.png", "".join(map(_sources, ROOT.glob("notebooks/*.ipynb"))))
    )
    assert used and used <= lessons


def _sources(notebook):
    return "".join("".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"])


@pytest.mark.slow
def test_lab_of_the_installed_wheel_copies_the_lessons(installed, tmp_path):
    """JupyterLab is asked for its version only, so that it ends."""

    def lab(*options):
        return subprocess.run(
            [sys.executable, "-m", "mrcnn_edu", "lab", *options],
            cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300,
            env=os.environ | {"PYTHONPATH": str(installed)},
        ).stdout  # fmt: skip

    assert "--no-browser" in lab("--help") and list(tmp_path.iterdir()) == []
    assert "Lessons in mrcnn_edu_course" in lab("--version")
    copied = tmp_path / "mrcnn_edu_course"
    assert (copied / FIRST).read_bytes() == (ROOT / "notebooks" / FIRST).read_bytes()
    assert (copied / "pictures" / "01_data.png").is_file()
    (copied / FIRST).write_text("my answers")
    assert "kept" not in lab("--version") and (copied / FIRST).read_text() == "my answers"
    assert "copied" in lab("elsewhere", "--version") and (tmp_path / "elsewhere" / FIRST).is_file()


def test_a_checkout_has_its_own():
    assert find_lessons() == ROOT / "notebooks"
