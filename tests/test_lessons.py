"""The lessons come with the wheel, and are copied so that nobody's work is lost."""

import json
import os
import random
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from urllib.parse import unquote

import pytest

import mrcnn_edu
from mrcnn_edu.course import lessons
from mrcnn_edu.course.lessons import FIRST, RECORD, copy_lessons, find_lessons
from mrcnn_edu.course.notebook_file import clear, parse, seal, take_outputs, to_bytes, written

ROOT = Path(__file__).resolve().parent.parent
SECOND = "01_data.ipynb"


def text(source):
    return {"cell_type": "markdown", "id": "t", "metadata": {}, "source": source}


def code(source, *outputs):
    """A code cell, which was run if it has outputs."""
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {"tags": ["hide-output"], "jupyter": {"outputs_hidden": True}},
        "execution_count": 3 if outputs else None,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": o} for o in outputs],
        "source": source.splitlines(keepends=True),
    }


def notebook(*cells):
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


VERSION_1 = (text("# 00"), code("count()", "six"), text("## Exercises"), code("..."))
VERSION_2 = (*VERSION_1[:3], text("Now write this."), code("..."))


def write(file, *cells):
    file.write_bytes(to_bytes(notebook(*cells)))


def read(file):
    return parse(file.read_bytes())


def sources(file):
    return ["".join(cell["source"]) for cell in read(file)["cells"]]


def outputs(file):
    return [output["text"] for cell in read(file)["cells"] for output in cell.get("outputs", [])]


def as_jupyterlab_saves(file, *results):
    """Rewrite a notebook as JupyterLab does after its code cells were run, and gave results."""
    contents = read(file)
    code_cells = [cell for cell in contents["cells"] if cell["cell_type"] == "code"]
    for cell, result in zip(code_cells, results, strict=False):
        cell |= {"execution_count": 9, "metadata": {"trusted": True, "scrolled": False}}
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": result}]
    contents["cells"].append(code(""))  # what Shift+Enter in the last cell adds
    language = {"name": "python", "version": "3.12.1", "mimetype": "text/x-python"}
    contents["metadata"] = {"language_info": language, "widgets": {"state": {"a": "slider"}}}
    file.write_text(json.dumps(contents, indent=1, sort_keys=True))


def answer(file, mine="my answer"):
    """Write an answer into the last cell with something in it."""
    contents = read(file)
    cell = next(cell for cell in reversed(contents["cells"]) if cell["source"])
    cell["source"] = [mine]
    file.write_bytes(to_bytes(contents))


@pytest.fixture
def source(tmp_path):
    """The lessons of a package."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name in (FIRST, SECOND):
        write(folder / name, *VERSION_1)
    return folder


@pytest.fixture
def mine(source, tmp_path):
    """A student's folder, to which the lessons have been copied."""
    folder = tmp_path / "deep" / "mine"
    assert copy_lessons(source, folder) == [f"{FIRST}: copied", f"{SECOND}: copied"]
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


# ---- the first copy ----


def test_lessons_are_copied_once_and_without_outputs(source, mine):
    assert names(mine) == [FIRST, SECOND]
    assert sources(mine / FIRST) == sources(source / FIRST)
    assert outputs(source / FIRST) == ["six"] and outputs(mine / FIRST) == []
    cell = read(mine / FIRST)["cells"][1]
    assert cell["execution_count"] is None and cell["metadata"] == {"tags": ["hide-output"]}
    before = {path: path.stat().st_mtime_ns for path in mine.iterdir()}
    assert copy_lessons(source, mine) == []
    assert {path: path.stat().st_mtime_ns for path in mine.iterdir()} == before


def test_with_outputs_a_copy_is_the_same_file(source, tmp_path):
    copy_lessons(source, tmp_path / "mine", with_outputs=True)
    assert (tmp_path / "mine" / FIRST).read_bytes() == (source / FIRST).read_bytes()
    assert copy_lessons(source, tmp_path / "mine", with_outputs=True) == []
    assert copy_lessons(source, tmp_path / "mine") == []  # they are not taken away
    assert outputs(tmp_path / "mine" / FIRST) == ["six"]


def test_outputs_can_be_asked_for_later_where_there_are_none(source, mine):
    as_jupyterlab_saves(mine / FIRST, "my result")
    answer(mine / SECOND)
    assert copy_lessons(source, mine, with_outputs=True) == []  # she has her own, and an answer
    assert outputs(mine / FIRST) == ["my result"] and outputs(mine / SECOND) == []
    (mine / FIRST).unlink()
    copy_lessons(source, mine)
    assert copy_lessons(source, mine, with_outputs=True) == [f"{FIRST}: now with outputs"]
    assert outputs(mine / FIRST) == ["six"]


def test_pictures_come_along(source, tmp_path):
    for name in ("01.png", "chart.svg", ".hidden"):
        (source / "pictures").mkdir(exist_ok=True)
        (source / "pictures" / name).write_bytes(b"a picture")
    folder = tmp_path / "mine"
    assert copy_lessons(source, folder) == [f"{FIRST}: copied", f"{SECOND}: copied"]
    assert names(folder / "pictures") == ["01.png", "chart.svg"]
    for picture in ("01.png", "chart.svg"):
        (source / "pictures" / picture).write_bytes(b"a better picture")
    (folder / "pictures" / "chart.svg").write_bytes(b"my picture")
    assert copy_lessons(source, folder) == []
    assert (folder / "pictures" / "01.png").read_bytes() == b"a better picture"
    assert (folder / "pictures" / "chart.svg").read_bytes() == b"my picture"
    assert names(folder / "pictures") == ["01.png", "chart.svg"]


# ---- an update ----


def test_a_lesson_in_which_nothing_was_written_is_updated(source, mine):
    write(source / FIRST, *VERSION_2)
    assert copy_lessons(source, mine) == [f'{FIRST}: updated (changed: "Exercises")']
    assert sources(mine / FIRST) == sources(source / FIRST) and outputs(mine / FIRST) == []
    assert names(mine) == [FIRST, SECOND]
    assert copy_lessons(source, mine) == []


def test_a_lesson_that_was_only_run_is_updated_and_keeps_its_outputs(source, mine):
    as_jupyterlab_saves(mine / FIRST, "my result", "another")
    assert copy_lessons(source, mine) == []  # running and saving is not writing
    assert outputs(mine / FIRST) == ["my result", "another"]
    write(source / FIRST, *VERSION_2)
    (line,) = copy_lessons(source, mine)
    assert line == f'{FIRST}: updated; your outputs are kept (changed: "Exercises")'
    assert sources(mine / FIRST) == sources(source / FIRST)
    assert outputs(mine / FIRST) == ["my result", "another"]
    assert read(mine / FIRST)["metadata"]["widgets"] == {"state": {"a": "slider"}}
    assert read(mine / FIRST)["cells"][1]["metadata"] == {"tags": ["hide-output"]}  # and is shown
    assert names(mine) == [FIRST, SECOND]
    assert copy_lessons(source, mine) == []


def test_a_lesson_that_was_run_stays_if_an_output_would_be_lost(source, mine):
    as_jupyterlab_saves(mine / FIRST, "my result", "another")
    saved = (mine / FIRST).read_bytes()
    write(source / FIRST, VERSION_1[0], code("count(7)"), *VERSION_1[2:])
    (line,) = copy_lessons(source, mine)
    assert line.startswith(f"{FIRST}: yours is kept; the new version is 00_start_here.new.ipynb")
    assert (mine / FIRST).read_bytes() == saved
    assert sources(mine / "00_start_here.new.ipynb") == sources(source / FIRST)


def test_what_a_student_wrote_is_kept_and_what_is_new_comes_beside_it(source, mine):
    answer(mine / FIRST)
    as_jupyterlab_saves(mine / FIRST, "my result")
    saved = (mine / FIRST).read_bytes()
    assert copy_lessons(source, mine) == []  # no newer version, so nothing beside it
    for name in (FIRST, SECOND):
        write(source / name, *VERSION_2)
    kept, updated = copy_lessons(source, mine)
    beside = mine / "00_start_here.new.ipynb"
    assert kept == (
        f'{FIRST}: yours is kept; the new version is {beside.name} (changed: "Exercises")'
    )
    assert updated == f'{SECOND}: updated (changed: "Exercises")'
    assert names(mine) == [FIRST, beside.name, SECOND]
    assert (mine / FIRST).read_bytes() == saved and sources(beside) == sources(source / FIRST)
    assert outputs(beside) == []
    assert copy_lessons(source, mine) == []

    write(source / FIRST, *VERSION_2, text("Version 3."))
    assert beside.name in copy_lessons(source, mine)[0]  # nothing was written there: replaced
    assert sources(beside)[-1] == "Version 3."
    answer(beside, "answers here, too")
    write(source / FIRST, *VERSION_2, text("Version 4."))
    assert "00_start_here.new-2.ipynb" in copy_lessons(source, mine)[0]
    assert sources(beside)[-1] == "answers here, too"
    assert (mine / FIRST).read_bytes() == saved
    beside.unlink()
    assert copy_lessons(source, mine) == []  # she is done with it


def test_when_she_takes_the_new_version_it_is_the_lesson_again(source, mine):
    answer(mine / FIRST)
    write(source / FIRST, *VERSION_2)
    copy_lessons(source, mine)
    (mine / "00_start_here.new.ipynb").replace(mine / FIRST)
    assert copy_lessons(source, mine) == []
    write(source / FIRST, *VERSION_2, text("Version 3."))
    assert "updated" in copy_lessons(source, mine)[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells.append(text("A note.")),
        lambda cells: cells.insert(0, code("2 + 2")),
        lambda cells: cells.pop(),
        lambda cells: cells.reverse(),
        lambda cells: cells[0].update(source="# Mine"),
        lambda cells: cells[1].update(cell_type="raw"),
        lambda cells: cells[0].update(attachments={"photo.png": {}}),
    ],
)
def test_a_cell_of_hers_makes_it_hers(source, mine, change):
    contents = read(mine / FIRST)
    change(contents["cells"])
    (mine / FIRST).write_bytes(to_bytes(contents))
    write(source / FIRST, *VERSION_2)
    assert "yours is kept" in copy_lessons(source, mine)[0]
    assert read(mine / FIRST) == contents


def test_many_changed_sections_are_counted(source, mine):
    sections = [text(f"## {i}. Idea {i}") for i in range(5)]
    write(source / FIRST, text("# New"), *sections)
    (line,) = copy_lessons(source, mine)
    assert line == (
        f'{FIRST}: updated (changed: the introduction, "0. Idea 0", "1. Idea 1", 3 more)'
    )


def test_a_lesson_that_a_student_removed_comes_back(source, mine):
    (mine / FIRST).unlink()
    (mine / SECOND).write_bytes(b"\n")  # nothing is in it, so nothing is lost
    assert copy_lessons(source, mine) == [f"{FIRST}: copied", f"{SECOND}: copied"]


def test_a_lesson_that_left_the_course_stays_with_her(source, mine):
    (source / SECOND).unlink()
    assert copy_lessons(source, mine) == [
        f"{SECOND}: no longer part of the course; your copy stays"
    ]
    assert names(mine) == [FIRST, SECOND]
    assert copy_lessons(source, mine) == []


def everything_in(folder):
    """All sources and outputs of all notebooks of a folder, apart from those of the package."""
    found = set()
    for path in folder.glob("*.ipynb"):
        found |= {text for text in sources(path) + outputs(path) if "hers" in text}
    return found


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_in_whatever_order_nothing_of_hers_is_lost(source, tmp_path, seed):
    chance, folder = random.Random(seed), tmp_path / "mine"
    for n in range(30):
        files = sorted(folder.glob("*.ipynb"))
        event = chance.choice(["release", "copy", "copy", "run", "write", "add", "damage"])
        if event == "release":
            cells = [code(f"cell {chance.randrange(4)}", f"ours {n}") for _ in range(4)]
            write(source / chance.choice([FIRST, SECOND]), text("## One"), *cells)
        elif event == "copy":
            before = everything_in(folder)
            copy_lessons(source, folder, with_outputs=chance.random() < 0.3)
            assert everything_in(folder) >= before
            assert copy_lessons(source, folder) == []  # and there is nothing more to say
        elif files:
            file = chance.choice(files)
            contents = read(file)
            cell = chance.choice([c for c in contents["cells"] if c["cell_type"] == "code"])
            if event == "run":
                cell |= code("".join(cell["source"]), f"result {n}, hers")
            elif event == "write":
                cell["source"] = f"answer {n}, hers"
            elif event == "add":
                contents["cells"].insert(chance.randrange(4), text(f"note {n}, hers"))
            elif event == "damage":
                (folder / RECORD).write_text(chance.choice(["", "{}", "[]"]))
            file.write_bytes(to_bytes(contents))


# ---- what else may lie there ----


def test_a_lesson_that_is_there_without_a_record_is_the_students(source, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write(folder / FIRST, text("From elsewhere."))
    write(folder / "my notes.ipynb", text("Notes."))
    assert "yours is kept" in copy_lessons(source, folder)[0]
    assert sources(folder / FIRST) == ["From elsewhere."]
    assert copy_lessons(source, folder) == []
    assert sources(folder / "my notes.ipynb") == ["Notes."]


NOT_A_NOTEBOOK = [b"{", b"\xff\xfe", b"[]", b'{"cells": 3, "metadata": {}}', b"null"]
NOT_A_NOTEBOOK += [b'{"cells": [{"cell_type": "code"}], "metadata": {}}', b"[" * 100_000]
NOT_A_NOTEBOOK += [b'{"cells": [{"cell_type": "code", "source": 3}], "metadata": {}}']
NOT_A_NOTEBOOK += [b'{"worksheets": [], "metadata": {}, "nbformat": 3}']


@pytest.mark.parametrize("contents", NOT_A_NOTEBOOK, ids=lambda contents: repr(contents[:40]))
def test_a_damaged_or_foreign_file_is_kept_and_the_lesson_comes_beside_it(source, mine, contents):
    (mine / FIRST).write_bytes(contents)
    for _ in range(2):  # it is said each time, and written once
        (line,) = copy_lessons(source, mine)
        assert "yours is kept, but is not a notebook, or was cut short" in line
        assert line.endswith("the lesson is 00_start_here.new.ipynb")
        assert (mine / FIRST).read_bytes() == contents
        assert names(mine) == [FIRST, "00_start_here.new.ipynb", SECOND]


@pytest.mark.parametrize("contents", ["{", "[1, 2]", "", "null", '{"00_start_here.ipynb": "ab12"}'])
def test_with_a_damaged_record_nothing_is_lost(source, mine, contents):
    answer(mine / FIRST)
    (mine / RECORD).write_text(contents)
    (line,) = copy_lessons(source, mine)
    assert "yours is kept" in line and sources(mine / FIRST)[-1] == "my answer"
    assert copy_lessons(source, mine) == []


def test_an_interrupted_copy_goes_on(source, tmp_path, monkeypatch):
    def interrupted(target, contents):
        if target.name == SECOND:
            raise KeyboardInterrupt
        write_file(target, contents)

    write_file = lessons.write_file
    monkeypatch.setattr(lessons, "write_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy_lessons(source, tmp_path / "mine")
    monkeypatch.undo()
    answer(tmp_path / "mine" / FIRST)
    write(source / FIRST, *VERSION_2)
    kept, copied = copy_lessons(source, tmp_path / "mine")
    assert "yours is kept" in kept and copied == f"{SECOND}: copied"


def test_two_at_once_take_turns(source, tmp_path):
    with ThreadPoolExecutor(4) as pool:  # the lock is between open files, not processes
        done = list(pool.map(copy_lessons, [source] * 8, [tmp_path / "mine"] * 8))
    assert sorted(map(len, done)) == [0] * 7 + [2]
    assert names(tmp_path / "mine") == [FIRST, SECOND]


def test_folders_that_cannot_be_a_students(source, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(NotADirectoryError, match="file is a file: name a folder"):
        copy_lessons(source, file)
    with pytest.raises(OSError, match=r"cannot write .*inside \(not a directory\)\. No work"):
        copy_lessons(source, file / "inside")
    (tmp_path / "mine" / FIRST).mkdir(parents=True)
    with pytest.raises(OSError, match=rf"cannot write .*{FIRST} \(is a directory\)"):
        copy_lessons(source, tmp_path / "mine")
    assert file.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(source, tmp_path, monkeypatch):
    def refused(target, contents):
        raise PermissionError(13, "Permission denied", str(target))

    monkeypatch.setattr(lessons, "write_file", refused)  # root may write everywhere
    with pytest.raises(OSError, match=rf"cannot write .*{FIRST} \(permission denied\)") as error:
        copy_lessons(source, tmp_path / "mine")
    assert "mrcnn-edu course FOLDER" in str(error.value) and "Errno" not in str(error.value)


def test_the_lessons_themselves_are_refused(source, tmp_path):
    (tmp_path / "link").symlink_to(source)
    own = [source, source / "mine", tmp_path / "link"]
    checkout = [ROOT, ROOT / "notebooks", ROOT / "notebooks" / "mine", ROOT / "mrcnn_edu"]
    for folder in [*own, *checkout]:
        with pytest.raises(ValueError, match="name another folder"):
            copy_lessons(source, folder)
    other = tmp_path / "other" / "notebooks"  # of another checkout
    (other / "src").mkdir(parents=True)
    (other / "src" / "00_start_here.py").touch()
    for folder in (other, other.parent, other / "src" / "mine"):
        with pytest.raises(ValueError, match="name another folder"):
            copy_lessons(source, folder)
    assert names(source) == [FIRST, SECOND] and not (ROOT / "notebooks" / "mine").exists()


def test_a_package_with_a_damaged_lesson_says_so(source, mine):
    (source / FIRST).write_text("{")
    with pytest.raises(ValueError, match=f"{FIRST} is not a notebook: reinstall"):
        copy_lessons(source, mine)


def test_answers_that_were_written_into_the_checkout_come_along_and_are_hers(source, tmp_path):
    """As before there was a folder for them; then the checkout is restored, and updated."""

    def build(*cells):
        made = notebook(*deepcopy(cells))
        made["metadata"]["mrcnn_edu"] = {"cells": seal(made)}
        (source / FIRST).write_bytes(to_bytes(made))

    build(*VERSION_1)
    answer(source / FIRST, "answered in the checkout")
    saved = (source / FIRST).read_bytes()
    line, _ = copy_lessons(source, tmp_path / "mine")
    assert line == f"{FIRST}: copied, with what was written in {source / FIRST}"
    assert (tmp_path / "mine" / FIRST).read_bytes() == saved  # with her outputs
    answer(tmp_path / "mine" / FIRST, "a better answer")
    assert copy_lessons(source, tmp_path / "mine") == []
    build(*VERSION_2)
    (line,) = copy_lessons(source, tmp_path / "mine")
    assert "yours is kept; the new version is 00_start_here.new.ipynb" in line
    assert sources(tmp_path / "mine" / FIRST)[-1] == "a better answer"


# ---- a notebook's file ----


def test_what_is_written_is_apart_from_how_it_is_stored():
    one = notebook(text("Two\nlines"), code("x = 1", "out"))
    same = notebook(text(["Two\n", "lines"]), code(" \n"), {**code("x = 1"), "id": "other"})
    assert written(one) == written(same) and seal(one) == seal(same)
    for other in (notebook(text("Two\nlines")), notebook(code("Two\nlines"), code("x = 1"))):
        assert seal(other) != seal(one)


def test_outputs_find_the_same_code_in_order():
    new = notebook(code("a"), code("new"), code("b"), code("a"))
    assert take_outputs(new, notebook(code("b", "1"), code("a", "2")))
    assert [cell["outputs"] != [] for cell in new["cells"]] == [False, False, True, True]
    assert not take_outputs(
        notebook(code("a"), code("b")), notebook(code("b", "1"), code("a", "2"))
    )
    assert take_outputs(notebook(), notebook(code("gone")))


def test_letters_beyond_ascii_and_halves_of_them_are_written():
    odd = notebook(text("Łódź 🟥"), code("x", "\ud83d"))
    assert parse(to_bytes(odd)) == odd
    assert "Łódź".encode() in to_bytes(notebook(text("Łódź")))
    assert parse(b"\xef\xbb\xbf" + to_bytes(odd)) == odd  # a byte order mark


# ---- the course as it is ----


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The real lessons, copied."""
    folder = tmp_path_factory.mktemp("course")
    copy_lessons(ROOT / "notebooks", folder)
    return folder


def test_a_copied_course_gives_no_prediction_away(copied):
    lessons = sorted(copied.glob("[0-9][0-9]_*.ipynb"))
    assert [path.name for path in lessons] == names_of(ROOT / "notebooks", "[0-9][0-9]_*.ipynb")
    for path in lessons:
        contents = read(path)
        assert "widgets" not in contents["metadata"]
        tags = [cell["metadata"].get("tags", []) for cell in contents["cells"]]
        assert sum("predict" in found for found in tags) >= 3
        for cell in contents["cells"]:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None
                assert "outputs_hidden" not in cell["metadata"].get("jupyter", {})
            if "answer" in cell["metadata"].get("tags", []):
                answer = "".join(cell["source"])
                folded = answer.startswith("<details>") and answer.endswith("</details>")
                assert folded or answer.startswith("**What happened.**")


def test_a_copied_course_is_its_lessons_and_pictures_alone(copied):
    files = {path.relative_to(copied).as_posix() for path in copied.rglob("*") if path.is_file()}
    lessons = set(names_of(ROOT / "notebooks", "*.ipynb"))
    pictures = set(names_of(ROOT / "notebooks", "pictures/*"))
    assert files == lessons | pictures | {RECORD}


LINK = r"""\]\(\s*<?([^\s()<>]+)|(?:src|href)\s*=\s*["']?([^"'\s>]+)"""


def test_every_link_of_a_copied_lesson_leads_somewhere(copied):
    """A student's folder has no README and no code: link to lessons, pictures and the web."""
    found = 0
    for path in copied.glob("*.ipynb"):
        for cell in read(path)["cells"]:
            words = re.sub(r"(?s)```.*?```|`[^`\n]*`", "", "".join(cell["source"]))
            for match in re.finditer(LINK, words) if cell["cell_type"] == "markdown" else ():
                link = match[1] or match[2]
                file = unquote(link.partition("#")[0])
                if not re.match(r"https?://|mailto:", link) and file:
                    assert (copied / file).is_file(), f"{path.name}: {link}"
                    assert (copied / file).resolve().is_relative_to(copied), f"{path.name}: {link}"
                    found += 1
    assert found > 30


def names_of(folder, pattern="**/*"):
    files = [path for path in folder.glob(pattern) if path.is_file() and path.suffix != ".pyc"]
    return sorted(path.relative_to(folder).as_posix() for path in files)


def test_every_built_lesson_is_as_it_was_built():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        contents = read(path)
        assert contents["metadata"]["mrcnn_edu"]["cells"] == seal(contents), path.name
        before = written(contents)
        clear(contents)
        assert written(contents) == before


def test_a_checkout_has_its_own():
    assert find_lessons() == ROOT / "notebooks"


# ---- the wheel ----


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
    top = {path.name for path in installed.iterdir()}
    info = f"mrcnn_edu-{mrcnn_edu.__version__}.dist-info"
    assert top == {"mrcnn_edu", "mrcnn_edu_start.py", info}
    lessons = names_of(ROOT / "notebooks", "*.ipynb") + names_of(ROOT / "notebooks", "pictures/*")
    assert names_of(installed / "mrcnn_edu" / "course" / "notebooks") == sorted(lessons)
    in_package = names_of(installed / "mrcnn_edu")
    own = [name for name in in_package if "course/notebooks" not in name]
    assert own == names_of(ROOT / "mrcnn_edu")
    assert "course/lab_settings/labconfig/default_setting_overrides.json" in own
    written_there = "".join("".join(sources(path)) for path in ROOT.glob("notebooks/*.ipynb"))
    used = set(re.findall(r"pictures/\w+\.png", written_there))
    assert used and used <= set(lessons)


@pytest.mark.slow
def test_course_and_lab_of_the_installed_wheel_copy_the_lessons(installed, tmp_path):
    """JupyterLab is asked for its version only, so that it ends."""

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "mrcnn_edu", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300,
            env=os.environ | {"PYTHONPATH": str(installed)},
        ).stdout  # fmt: skip

    assert "--no-browser" in command("lab", "--help") and list(tmp_path.iterdir()) == []
    assert "Lessons in mrcnn_edu_course" in command("lab", "--version")
    copied = tmp_path / "mrcnn_edu_course"
    assert sources(copied / FIRST) == sources(ROOT / "notebooks" / FIRST)
    assert (copied / "pictures" / "01_data.png").is_file()
    answer(copied / FIRST)
    saved = (copied / FIRST).read_bytes()
    assert "nothing is new" in command("lab", "--version")
    assert "Open them: mrcnn-edu lab mrcnn_edu_course" in command("course")
    assert (copied / FIRST).read_bytes() == saved
    command("course", "elsewhere", "--with-outputs")
    lesson = (tmp_path / "elsewhere" / FIRST).read_bytes()
    assert lesson == (ROOT / "notebooks" / FIRST).read_bytes()
