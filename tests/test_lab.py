"""In a real JupyterLab, in a real browser: what the keyboard and the mouse do."""

import json
import time

import browser
import build
import curtain
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

PICTURE_WITH_A_SLIDER = """\
import io
import ipywidgets as widgets
from PIL import Image

file = io.BytesIO()
Image.new("L", (32, 32), 100).save(file, format="png")
image = widgets.Image(value=file.getvalue(), layout={"width": "100px"})
widgets.VBox([widgets.IntSlider(value=50), image])
"""
TOUCHABLES = """\
import torch

from mrcnn_edu import load
from mrcnn_edu.course.widgets import location_player, nms_steps_player, two_boxes_player
from mrcnn_edu.data import Shapes

boxes = torch.tensor([[10.0, 10, 40, 40], [12, 12, 42, 42], [60, 60, 90, 90]])
two = two_boxes_player(anchor=[10, 20, 30, 40], gt=[30, 20, 50, 40])
steps = nms_steps_player(None, boxes, torch.tensor([0.9, 0.8, 0.7]))
here = location_player(load("shapes-tiny"), *Shapes(1, seed=1)[0])
display(two, steps, here)
"""
PHOTOGRAPHS = """\
from mrcnn_edu import load
from mrcnn_edu.course.widgets import gradient_player, polygon_player
from mrcnn_edu.data import Shapes

image = Shapes(100, seed=1)[3][0]
square = [(10, 10), (50, 10), (50, 50), (10, 50)]
editor = polygon_player(image, {"a": square})
clicked = gradient_player(load("shapes-tiny"), image)
display(editor, clicked)
"""
PLAYER = """\
from ipywidgets import IntSlider

from mrcnn_edu.course.widgets import Player
from mrcnn_edu.viz import Picture


def draw(n):
    if n == 4:
        raise ValueError("four is refused")
    picture = Picture(4, 2)
    picture.subplots().set_title(f"n is {n}")
    return picture


Player(draw, n=IntSlider(1, 1, 9))
"""
RUN_WITHOUT_END = """() => {
    const {kernel} = jupyterapp.shell.currentWidget.sessionContext.session;
    const future = kernel.requestExecute({code: "import time\\nwhile True: time.sleep(0.1)"});
    window.howItEnded = null;
    future.done.then(reply => window.howItEnded = reply.content.ename);
}"""
STOP = "async () => { await jupyterapp.commands.execute('notebook:interrupt-kernel'); }"
# What Python prints, asked without a cell of the notebook.
ASK_PYTHON = """async code => {
    const {kernel} = jupyterapp.shell.currentWidget.sessionContext.session;
    const future = kernel.requestExecute({code, store_history: false});
    let text = "";
    future.onIOPub = message => text += message.content.text ?? "";
    await future.done;
    return text.trim();
}"""

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


def test_a_cell_with_an_error_and_a_slider_without_effect_are_noticed(folder, lab):
    write_notebook(folder / "broken.ipynb", PICTURE_WITH_A_SLIDER, "1 / 0", "2 + 2")
    with browser.open_notebook(lab, "broken.ipynb") as page:
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            browser.run_all_cells(page)
        with pytest.raises(AssertionError, match="the picture stayed the same"):
            browser.move_first_slider(page, steps=2, patience=1)


def test_boxes_are_dragged_nms_is_stepped_and_a_location_is_clicked(folder, lab):
    write_notebook(folder / "touch.ipynb", TOUCHABLES)
    outside = []
    with browser.open_notebook(lab, "touch.ipynb") as page:
        errors = browser.collect_errors(page)
        page.on("request", lambda request: outside.append(request.url))
        browser.run_all_cells(page)
        two, steps, here = page.locator(".mrcnn-touch").all()

        iou = two.locator("[data-number=IoU]")
        assert iou.text_content() == "0.000"
        drag(page, two.locator("[data-box=anchor] > rect").nth(2), right=40, down=0)
        assert iou.text_content() == "0.333"  # 10 pixels to the right: half of its width
        page.keyboard.press("ArrowDown")  # JupyterLab would select the cell below
        page.keyboard.press("Shift+ArrowDown")
        two.locator("[data-box=gt]").focus()
        page.keyboard.press("Shift+ArrowLeft")
        wait_for_answer(
            page, "print(two)", "TwoBoxes(anchor=[20, 21, 40, 42], gt=[30, 20, 49, 40])"
        )

        rows = steps.locator("tbody tr")
        states = lambda: [row.get_attribute("data-state") for row in rows.all()]  # noqa: E731
        steps.get_by_role("button", name="Next").click()
        assert states() == ["kept", "gone", "left"]
        page.keyboard.press("Enter")
        assert states() == ["kept", "gone", "kept"]
        steps.get_by_role("slider").focus()
        page.keyboard.press("End")
        assert states() == ["kept", "kept", "left"]  # at a threshold of 1
        steps.get_by_role("button", name="Reset").click()
        assert states() == ["left"] * 3

        here.get_by_role("radio", name="stride 8").check(force=True)
        paper = here.locator("svg").first
        paper.scroll_into_view_if_needed()
        page.mouse.click(*center_of(paper))
        page.keyboard.press("ArrowRight")
        assert "Row 6, column 7 of 12 × 12" in here.locator(".mrcnn-says").text_content()
        wait_for_answer(page, "print(here)", "Location(stride=8, row=6, column=7)")
        labels = [row.get_attribute("data-match") for row in here.locator("tbody tr").all()]
        assert page.evaluate(ASK_PYTHON, "print(here.anchors()['match'])") == str(labels)

        browser.restart_kernel(page)  # and the widgets do not need it
        two.locator("[data-box=gt]").focus()
        page.keyboard.press("ArrowLeft")
        assert "x1 29" in two.locator("[data-box=gt]").get_attribute("aria-label")
        assert browser.read_outputs(page)["broken links"] == 0
    assert errors == []
    assert all(url.startswith((lab, "blob:", "data:")) for url in outside)


def test_an_outline_is_corrected_and_a_detection_is_clicked_without_a_kernel(folder, lab):
    write_notebook(folder / "photographs.ipynb", PHOTOGRAPHS)
    with browser.open_notebook(lab, "photographs.ipynb") as page:
        errors = browser.collect_errors(page)
        browser.run_all_cells(page)
        editor, clicked = page.locator(".mrcnn-touch").all()
        vertex = lambda index: editor.locator(f"[data-vertex='{index}']")  # noqa: E731

        drag(page, vertex(1), right=30, down=0)
        page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("+")
        vertex(3).dblclick()
        wait_for_answer(page, "print(len(editor.polygons[0]), editor.is_changed)", "4 True")
        x, y = page.evaluate(ASK_PYTHON, "print(*editor.polygons[0][1])").split()
        assert 51 < float(x) < 65 and float(y) == 15

        frames = page.evaluate(ASK_PYTHON, "print(clicked.boxes)")
        paper = clicked.locator(".mrcnn-paper svg")
        paper.scroll_into_view_if_needed()
        frame, boxes = paper.bounding_box(), json.loads(frames)
        scale = frame["width"] / 96
        x1, y1, x2, y2 = boxes[-1]
        page.mouse.click(frame["x"] + scale * (x1 + x2) / 2, frame["y"] + scale * (y1 + y2) / 2)
        clicked.get_by_role("radio", name="mask").check(force=True)
        says = clicked.locator(".mrcnn-says")
        assert ", mask: " in says.text_content()
        wait_for_answer(page, "print(clicked.output)", "mask")

        browser.restart_kernel(page)  # and the widgets do not need it
        vertex(0).focus()
        page.keyboard.press("ArrowRight")
        assert "x 11, y 10" in vertex(0).get_attribute("aria-label")
        clicked.get_by_role("radio", name="class score").check(force=True)
        assert ", class score: " in says.text_content()
        assert browser.read_outputs(page)["broken links"] == 0
    assert errors == []


def wait_for_answer(page, code, expected):
    """Wait until Python, which learns what the reader has done a little later, prints this."""
    end = time.monotonic() + browser.PATIENCE / 1000
    while (printed := page.evaluate(ASK_PYTHON, code)) != expected:
        assert time.monotonic() < end, printed
        page.wait_for_timeout(100)


def drag(page, locator, right, down):
    """Drag the middle of something by so many pixels of the screen."""
    locator.scroll_into_view_if_needed()
    x, y = center_of(locator)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()


def center_of(locator):
    frame = locator.bounding_box()
    return frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2


def test_a_player_is_redrawn_while_a_cell_runs_and_the_stop_button_ends_the_cell(folder, lab):
    write_notebook(folder / "player.ipynb", PLAYER)
    with browser.open_notebook(lab, "player.ipynb") as page:
        browser.run_all_cells(page)
        browser.first_slider(page).locator(".noUi-handle").focus()
        page.keyboard.press("ArrowRight")  # JupyterLab opens a subshell for the moves after this
        page.get_by_role("img", name="n is 2; n: 2", exact=True).wait_for()
        page.evaluate(RUN_WITHOUT_END)
        page.keyboard.press("ArrowRight")
        page.get_by_role("img", name="n is 3; n: 3", exact=True).wait_for()
        page.keyboard.press("ArrowRight")
        error = page.get_by_text("Not drawn, because of ValueError: four is refused")
        error.wait_for()
        assert page.evaluate("window.howItEnded") is None
        page.evaluate(STOP)
        page.wait_for_function("() => window.howItEnded === 'KeyboardInterrupt'")
        page.keyboard.press("ArrowRight")
        page.get_by_role("img", name="n is 5; n: 5", exact=True).wait_for()
        error.wait_for(state="hidden")


PREDICTION = """\
# %% [markdown]
# # 90 · Example
#
# > **Predict.** How many are there?

# %%
print("There are", 1 + 1)

# %%
from mrcnn_edu.viz import Picture

picture = Picture(4, 2)
picture.subplots().plot([1, 2])
picture

# %% [markdown]
# **What happened.** Now you know.

# %%
picture

# %% tags=["claim"]
# For us: the text is still true.
checked = 1 + 1 == 2
assert checked
"""


@pytest.fixture(scope="module")
def prediction(folder):
    source = folder / "90_prediction.py"
    source.write_text(PREDICTION)
    return build.build(source, folder).name


def test_an_answer_is_not_on_screen_until_it_is_asked_for_or_the_cell_is_run(lab, prediction):
    with browser.open_notebook(lab, prediction) as page:
        cells = page.locator(".jp-Notebook .jp-CodeCell")
        text, chart, again, claim = (cells.nth(i) for i in range(4))
        images = "img >> visible=true"
        again.locator(images).wait_for()
        for cell in (text, chart):
            assert cell.locator(".jp-OutputArea-output").count() == 0
            assert cell.locator(".jp-OutputPlaceholder").inner_text().strip() == curtain.TEXT
        assert "There are 2" not in page.locator(".jp-Notebook").inner_text()
        assert "checked" not in claim.inner_text()

        text.locator(".jp-OutputPlaceholder").click()
        text.get_by_text("There are 2").wait_for()
        assert curtain.TEXT not in text.inner_text()
        assert chart.locator(images).count() == 0

        browser.run_all_cells(page)
        chart.locator(images).wait_for()
        assert chart.locator(".jp-OutputPlaceholder").count() == 0
        assert text.locator(images).count() == 0  # nothing is left of the curtain
        assert "checked" not in claim.inner_text()


def test_a_chart_is_seen_before_and_after_the_notebook_is_trusted(lab, prediction):
    """JupyterLab draws no SVG that it does not trust: then the PNG is seen, as large as the SVG."""
    with browser.open_notebook(lab, prediction) as page:
        again = page.locator(".jp-Notebook .jp-CodeCell").nth(2)
        sizes = []
        for kind in ("png", "svg"):
            image = again.locator(f"img[src^='data:image/{kind}']")
            image.wait_for()
            sizes.append(image.evaluate("image => [image.width, image.height, image.complete]"))
            browser.run_all_cells(page)
        assert sizes[0] == sizes[1] and sizes[0][:2] == [288, 144]
