"""An evening and the next morning: a notebook in JupyterLab, and when its kernel is gone.

Each lesson is run, its first slider is moved, and it is saved and opened again: no error, no broken
link, every picture. All lessons take half an hour, with `make test-morning`. Otherwise a short one
and a small notebook must do.
"""

import os
import shutil
from pathlib import Path

import browser
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mrcnn_edu.cli.lab import jupyterlab_environment

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))  # the lessons; the glossary has no code
EVERYTHING = "MRCNN_EDU_MORNING" in os.environ
LESSONS = [path for path in NOTEBOOKS if EVERYTHING or path.stem == "05_anchors"]
WITHOUT_ERROR = {"missing pictures": 0, "errors of widgets": 0, "broken links": 0}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        browser.find_chromium() is None, reason="needs Chromium: apt-get install chromium"
    ),
]

PLAYERS_AND_BARS = [
    """\
import time

from ipywidgets import IntSlider

from mrcnn_edu.course.widgets import Player
from mrcnn_edu.progress import progress_bar
from mrcnn_edu.viz import Picture


def draw(n):
    picture = Picture(4, 2)
    axes = picture.subplots()
    axes.plot(range(n))
    axes.set_title(f"{n} points")
    return picture


def player():
    return Player(draw, n=IntSlider(5, 1, 9))


player()""",
    "for _ in progress_bar(range(3), 'left'):\n    time.sleep(0.3)\nplayer()",
    "for _ in progress_bar(range(3), 'not left', leave=False):\n    time.sleep(0.3)",
    "display(player(), player())\nplayer().picture",
    """\
from mrcnn_edu.course.widgets import two_boxes_player

two_boxes_player().caption("Figure 1. Two boxes.")""",
]
# The widget of tqdm, and a player as it would be without its second output.
WIDGETS_ALONE = [
    f"{PLAYERS_AND_BARS[0].removesuffix('player()')}\ndisplay(player().box)",
    "from tqdm.notebook import tqdm\n\nlist(tqdm(range(3)))",
]


def write_notebook(path, sources):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder):
    with browser.jupyterlab(folder) as url:
        yield url


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_the_next_morning(folder, lab, lesson):
    shutil.copy(lesson, folder)
    with browser.open_notebook(lab, lesson.name) as page:
        assert browser.run_all_cells(page) > 5
        evening = browser.read_outputs(page)
        if evening["sliders"]:
            assert browser.move_first_slider(page) < 3000  # milliseconds
        assert evening["pictures"] >= 5 and evening.items() >= WITHOUT_ERROR.items()
        browser.save(page)
        browser.restart_kernel(page)
        assert browser.read_outputs(page) == evening
        browser.save(page)
    browser.kill_kernels(lab)
    with browser.open_notebook(lab, lesson.name) as page:
        morning = browser.read_outputs(page)
    browser.kill_kernels(lab)
    assert morning == evening | {"sliders": 0}


def test_players_and_bars_the_next_morning(folder, lab):
    write_notebook(folder / "players.ipynb", PLAYERS_AND_BARS)
    with browser.open_notebook(lab, "players.ipynb") as page:
        browser.run_all_cells(page)
        evening = browser.read_outputs(page)
        assert evening == WITHOUT_ERROR | {"pictures": 6, "sliders": 4}
        assert page.get_by_role("slider", name="n", exact=True).count() == 4
        assert page.get_by_role("img", name="5 points; n: 5", exact=True).count() == 4
        browser.move_first_slider(page)
        assert page.get_by_role("img", name="6 points; n: 6", exact=True).count() == 1
        browser.save(page)
        page.reload()  # with the kernel alive, the sliders still work
        page.wait_for_function(browser.KERNEL_IS_READY)
        assert browser.read_outputs(page) == evening
        browser.move_first_slider(page)
        browser.restart_kernel(page)
        assert browser.read_outputs(page) == evening
    browser.kill_kernels(lab)
    with browser.open_notebook(lab, "players.ipynb") as page:
        assert browser.read_outputs(page) == WITHOUT_ERROR | {"pictures": 6, "sliders": 0}
        assert (
            page.get_by_role("img", name="6 points; n: 6", exact=True).count() == 1
        )  # the last one
        assert page.get_by_text("The kernel of these sliders has stopped").count() == 4
        assert page.get_by_text("The kernel of this widget has stopped").count() == 1
        assert page.get_by_role("img", name="Figure 1. Two boxes.", exact=True).count() == 1
        assert page.get_by_text("left: 3 of 3 in").count() == 1
        browser.run_all_cells(page)  # and all is as it was
        assert browser.read_outputs(page) == evening
        browser.move_first_slider(page)


def test_mrcnn_edu_lab_brings_the_sliders_back(tmp_path):
    write_notebook(tmp_path / "players.ipynb", PLAYERS_AND_BARS)
    with browser.jupyterlab(tmp_path, jupyterlab_environment()) as lab:
        with browser.open_notebook(lab, "players.ipynb") as page:
            browser.run_all_cells(page)
            evening = browser.read_outputs(page)
            browser.save(page)
        browser.kill_kernels(lab)
        with browser.open_notebook(lab, "players.ipynb") as page:
            assert browser.read_outputs(page) == evening
    assert evening["sliders"] == 4


@pytest.mark.skipif(not EVERYTHING, reason="checks the checks: make test-morning")
def test_a_widget_that_is_gone_is_noticed(folder, lab):
    write_notebook(folder / "widgets.ipynb", WIDGETS_ALONE)
    with browser.open_notebook(lab, "widgets.ipynb") as page:
        browser.run_all_cells(page)
        assert browser.read_outputs(page) == WITHOUT_ERROR | {"pictures": 1, "sliders": 1}
        browser.save(page)
        browser.restart_kernel(page)
        assert browser.read_outputs(page)["broken links"] > 0
    browser.kill_kernels(lab)
    with browser.open_notebook(lab, "widgets.ipynb") as page:
        morning = browser.read_outputs(page)
    assert morning["errors of widgets"] == 2 and morning["pictures"] == 0
