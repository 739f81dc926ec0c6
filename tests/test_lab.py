"""In a real JupyterLab, in a real browser: all cells run, and a slider changes its picture."""

import shutil
from pathlib import Path

import browser
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))  # the lessons; the glossary has no code
# These take long: nbval runs them, and test_widgets moves their sliders.
LONG = "03_history", "08_heads", "09_mask_loss", "10_training", "12_ablations"
PICTURE_WITH_A_SLIDER = """\
import io
import ipywidgets as widgets
from PIL import Image

file = io.BytesIO()
Image.new("L", (32, 32), 100).save(file, format="png")
image = widgets.Image(value=file.getvalue(), layout={"width": "100px"})
widgets.VBox([widgets.IntSlider(value=50), image])
"""

pytestmark = pytest.mark.skipif(
    browser.find_chromium() is None, reason="needs Chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder):
    with browser.jupyterlab(folder) as url:
        yield url


def write_notebook(path, *sources):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_code_cell(source) for source in sources]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.mark.parametrize(
    "notebook", [path for path in NOTEBOOKS if path.stem not in LONG], ids=lambda path: path.stem
)
def test_lesson_runs_and_its_slider_changes_the_picture(folder, lab, notebook):
    shutil.copy(notebook, folder)  # JupyterLab may save what it runs
    with browser.open_notebook(lab, notebook.name) as page:
        assert browser.run_all_cells(page) > 5
        milliseconds = browser.move_first_slider(page)
    assert milliseconds < 3000


def test_a_cell_with_an_error_and_a_slider_without_effect_are_noticed(folder, lab):
    write_notebook(folder / "broken.ipynb", PICTURE_WITH_A_SLIDER, "1 / 0", "2 + 2")
    with browser.open_notebook(lab, "broken.ipynb") as page:
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            browser.run_all_cells(page)
        with pytest.raises(AssertionError, match="the picture stayed the same"):
            browser.move_first_slider(page, steps=2, patience=1)
