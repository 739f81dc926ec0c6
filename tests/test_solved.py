"""What the reader has solved: noted when a check passes, kept, and shown lesson by lesson."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mrcnn_edu.course import solved
from mrcnn_edu.course.exercises import LESSONS, boxes, start_here
from mrcnn_edu.course.progress import Progress, all_exercises, show_progress
from mrcnn_edu.course.solved import FILE_NAME, SETTING, add_solved, read_solved

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The reader's folder, where the notebook runs, in a process that has said nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SETTING)
    monkeypatch.setattr(solved, "_reported", set())
    return tmp_path


def my_iou(a, b):
    return boxes.iou(a, b)


def my_mask_iou(a, b):
    return start_here.mask_iou(a, b)


# ---- the file ----


def test_a_check_that_passes_is_noted_beside_the_notebook(folder, capsys):
    boxes.check_iou(my_iou)
    assert capsys.readouterr().out == "iou: ok\n"
    start_here.check_mask_iou(my_mask_iou)
    assert read_solved(folder / FILE_NAME) == {"iou", "mask_iou"}
    assert {path.name for path in folder.iterdir()} == {FILE_NAME}  # and no lock is left behind
    contents = json.loads((folder / FILE_NAME).read_text())
    assert contents["solved"] == ["iou", "mask_iou"] and "Delete this file" in contents["about"]


def test_what_fails_and_the_solution_itself_are_not_noted(folder):
    boxes.check_iou(lambda a, b: 0)
    boxes.check_iou(lambda a: 0)
    boxes.check_iou(boxes.iou)
    assert list(folder.iterdir()) == []


def test_what_was_solved_once_stays_so_and_is_not_written_again(folder, capsys):
    file = folder / FILE_NAME
    contents = '{"solved": ["iou", "of another version"], "note": "mine"}'
    file.write_text(contents)
    boxes.check_iou(my_iou)
    boxes.check_iou(lambda a, b: 0)
    assert file.read_text() == contents
    start_here.check_mask_iou(my_mask_iou)
    assert read_solved(file) == {"iou", "mask_iou", "of another version"}


def test_another_process_adds_to_it(folder):
    add_solved("nms", folder / FILE_NAME)
    code = "from mrcnn_edu.course.exercises import boxes\nboxes.check_iou(lambda *a: boxes.iou(*a))"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
    assert read_solved(folder / FILE_NAME) == {"nms", "iou"}


def environment():
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def test_two_processes_at_a_time_lose_nothing(folder):
    code = "import sys\nfrom pathlib import Path\nfrom mrcnn_edu.course.solved import add_solved\n"
    code += "for i in range(40): add_solved(f'{sys.argv[1]}{i}', Path('exercises_solved.json'))"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen([*command, name], env=environment()) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert read_solved(folder / FILE_NAME) == {f"{name}{i}" for name in "ab" for i in range(40)}


def test_another_file_can_be_set_or_none(folder, monkeypatch):
    monkeypatch.setenv(SETTING, "")
    boxes.check_iou(my_iou)
    assert list(folder.iterdir()) == [] and show_progress().total.startswith("0 of ")
    monkeypatch.setenv(SETTING, "deep/inside/mine.json")
    boxes.check_iou(my_iou)
    assert read_solved(folder / "deep" / "inside" / "mine.json") == {"iou"}


BROKEN = {
    "cut short": b'{"solved": ["io',
    "empty": b"",
    "not text": b"\xff\xfe\x00\x01\x02",
    "another list": b'["iou"]',
    "another object": b'{"cells": []}',
    "not names": b'{"solved": [1, 2]}',
    "one name": b'{"solved": "iou"}',
    "lists in lists": b"[" * 10**5,
}


@pytest.mark.parametrize("contents", BROKEN.values(), ids=BROKEN)
def test_a_broken_or_foreign_file_breaks_no_check_and_is_left_alone(folder, capsys, contents):
    file = folder / FILE_NAME
    file.write_bytes(contents)
    boxes.check_iou(my_iou)
    ok, line = capsys.readouterr().out.splitlines()
    assert ok == "iou: ok"
    assert line.startswith("(That you solved it could not be noted: ") and line.endswith(".)")
    assert str(file) in line and re.search("[Dd]elete it", line)
    start_here.check_mask_iou(my_mask_iou)
    assert capsys.readouterr().out == "mask_iou: ok\n"  # the line is printed once
    assert file.read_bytes() == contents and [*folder.iterdir()] == [file]
    assert show_progress().total.startswith("0 of ")
    assert capsys.readouterr().out.startswith("(What you have solved could not be read: ")


def test_a_file_that_cannot_be_written_breaks_no_check(folder, capsys, monkeypatch):
    (folder / "a-file").touch()
    (folder / "a-folder").mkdir()

    def is_not_noted(reason):
        boxes.check_iou(my_iou)
        ok, line = capsys.readouterr().out.splitlines()
        assert ok == "iou: ok"
        assert line.startswith("(That you solved it could not be noted: ") and reason in line

    for setting, reason in {
        "a-file/solved.json": "a-file",
        "a-folder": "a-folder is not a file",
        "x" * 500: "xxx",
    }.items():
        monkeypatch.setenv(SETTING, setting)
        is_not_noted(reason)
    monkeypatch.delenv(SETTING)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(solved, "write_file", full)
        is_not_noted("the file: No space left on device")
    shutil.rmtree(folder)
    if not os.path.exists(folder):  # on Windows one cannot delete where one is
        is_not_noted("No such file or directory")


def test_the_file_is_not_committed():
    if shutil.which("git") and (REPOSITORY / ".git").exists():
        names = [f"notebooks/{FILE_NAME}", FILE_NAME, f"notebooks/.{FILE_NAME}.lock"]
        command = ["git", "check-ignore", *names]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.stdout.split() == names


# ---- the table ----


def test_all_exercises_are_in_the_table():
    lessons = all_exercises()
    assert list(lessons) == list(LESSONS)
    assert lessons["02 boxes, IoU, NMS"] == ["iou", "shift_at_iou", "encode_box", "nms", "soft_nms"]
    names = [name for names in lessons.values() for name in names]
    assert len(set(names)) == len(names)


def test_the_text_fits_its_width_and_keeps_a_box_beside_its_name():
    progress = Progress({"iou", "propose", "of another version"})
    total = sum(len(names) for names in all_exercises().values())
    for width in (60, 80, 100):
        *lines, last = progress.text(width).splitlines()
        assert max(map(len, lines)) <= width
        found = [re.findall(r"\[(.)\] (\w+)", line) for line in lines]
        marks = {name: mark for line in found for mark, name in line}
        assert len(marks) == total
        assert {name for name, mark in marks.items() if mark == "x"} == {"iou", "propose"}
        assert last == f"2 of {total} solved"
    assert repr(progress) == progress.text()


def test_the_table_in_a_notebook_marks_what_is_solved():
    html = Progress({"iou"})._repr_html_()
    assert "&#10003;&nbsp;iou</b>" in html and "&#9675;&nbsp;nms</span>" in html
    assert "<td style='text-align: left'>1 of 5</td>" in html
    assert html.count("<tr>") == len(LESSONS)


# ---- in a kernel ----

LESSON = """\
# %%
from mrcnn_edu.course.exercises import boxes as exercises
from mrcnn_edu.course.progress import show_progress

# %%
def iou(a, b):
    return exercises.iou(a, b)

exercises.check_iou(iou)

# %%
def nms(boxes, scores, labels, threshold):
    return boxes[99]

exercises.check_nms(nms)

# %%
show_progress()
"""


def test_a_lesson_is_built_as_if_nothing_was_solved(folder):
    specification = importlib.util.spec_from_file_location(
        "build", REPOSITORY / "notebooks" / "build.py"
    )
    build = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(build)
    add_solved("nms", folder / FILE_NAME)
    before = (folder / FILE_NAME).read_bytes()
    source = folder / "90_example.py"
    source.write_text(LESSON)
    cells = nbformat.read(build.build(source, folder), as_version=4).cells
    assert (folder / FILE_NAME).read_bytes() == before
    assert cells[1].outputs[0].text == "iou: ok\n"
    assert "\n    in the line: return boxes[99]\n" in cells[2].outputs[0].text
    (output,) = cells[3].outputs
    assert output.data["text/plain"] == Progress(set()).text()
    assert output.data["text/html"] == Progress(set())._repr_html_()


# ---- mrcnn-edu progress ----


def test_progress_shows_the_folder_of_the_lessons(run, tmp_path):
    code, out, _ = run("progress")
    assert code == 0 and "[ ] iou" in out and "\n0 of " in out
    assert out.endswith("\nNothing is noted in mrcnn_edu_course/exercises_solved.json yet.\n")
    add_solved("iou", tmp_path / "mrcnn_edu_course" / FILE_NAME)
    for name in ("mrcnn_edu_course", "."):
        code, out, _ = run("progress") if name == "." else run("progress", name)
        assert code == 0 and "[x] iou" in out and "[ ] nms" in out and "\n1 of " in out
        assert out.endswith("\nNoted in mrcnn_edu_course/exercises_solved.json.\n")


def test_progress_finds_the_folder_that_one_is_in(run, tmp_path):
    add_solved("iou", tmp_path / "mrcnn_edu_course" / FILE_NAME)
    add_solved("nms", tmp_path / FILE_NAME)
    _, out, _ = run("progress")
    assert "[x] nms" in out and "[ ] iou" in out
    assert out.endswith("\nNoted in exercises_solved.json.\n")


def test_progress_says_in_a_line_what_is_wrong(run, tmp_path):
    code, out, err = run("progress", "nowhere")
    assert (code, out) == (2, "")
    assert err == "mrcnn-edu: there is no folder nowhere: name the one with your lessons\n"
    (tmp_path / FILE_NAME).write_text("[]")
    code, out, err = run("progress", ".")
    assert (code, out) == (2, "") and "is not a list of solved exercises: rename it" in err
