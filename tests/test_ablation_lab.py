"""The ablation lab in a real JupyterLab: a question of one's own, from the choice to the report."""

import json
import os
import time
from html.parser import HTMLParser

import browser
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from test_lab import ASK_PYTHON

from mrcnn_edu.data import Shapes, write_coco

CELLS = (
    "from mrcnn_edu.course.lab import ablation_lab",
    "lab = ablation_lab('runs', steps=20)\nlab",
)
ANSWER = """async () => {  // milliseconds from a slider's change to Python's picture of it
    const {kernel} = jupyterapp.shell.currentWidget.sessionContext.session;
    const start = performance.now();
    const future = kernel.requestExecute({code: "1 + 1", store_history: false});
    await future.done;
    return performance.now() - start;
}"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("MRCNN_EDU_MORNING") != "1",
        reason="takes minutes: make test-morning",
    ),
    pytest.mark.skipif(
        browser.find_chromium() is None, reason="needs Chromium: apt-get install chromium"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation_lab")
    write_coco(Shapes(12, n_objects=(1, 3)), folder / "mine")
    write_coco(Shapes(6, seed=1, n_objects=(1, 3)), folder / "mine_too")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(
        cells=[new_code_cell(cell) for cell in CELLS], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, folder / "lab.ipynb")
    return folder


def test_a_question_is_asked_run_paused_resumed_stopped_looked_into_and_kept(folder):
    with browser.jupyterlab(folder) as url, browser.open_notebook(url, "lab.ipynb") as page:
        errors = browser.collect_errors(page)
        browser.run_all_cells(page)
        lab = page.locator(".mrcnn-lab").first
        button = lambda name: lab.get_by_role("button", name=name, exact=True)  # noqa: E731
        until(page, lambda: "4 runs of 20 steps" in lab.inner_text(), "the cost is shown")

        # Choose: an impossible combination says why; another one, on the reader's own pictures.
        of_b = lab.locator(".mrcnn-setting-B.widget-text input")
        of_b.fill("roi_aggregate=max")
        page.keyboard.press("Enter")
        until(page, lambda: "has no effect here" in lab.inner_text(), "it says why")
        assert button("run").is_disabled() or until(page, button("run").is_disabled, "disabled")
        of_b.fill("nms_iou=0.4")
        page.keyboard.press("Enter")
        lab.locator(".mrcnn-world input").fill("mine")
        page.keyboard.press("Enter")
        until(page, lambda: "two folders" in lab.inner_text() or "second one" in lab.inner_text(),
              "a folder to score on is asked for")  # fmt: skip
        lab.get_by_placeholder("COCO folder to score on").fill("mine_too")
        page.keyboard.press("Enter")
        until(page, lambda: "B: roi_op=pool nms_iou=0.4" in lab.inner_text(), "the question")

        # Run, and move a slider meanwhile.
        start = time.monotonic()
        button("run").click()
        until(page, lambda: lab.locator("polyline").count() > 0, "the first point of a curve")
        print(f"\nfirst point of a curve: {time.monotonic() - start:.1f} s")
        before = page.evaluate(ASK_PYTHON, "print(lab.scene.value)")
        handle = lab.locator(".noUi-handle").first
        handle.focus()
        start = time.monotonic()
        page.keyboard.press("ArrowRight")
        until(page, lambda: page.evaluate(ASK_PYTHON, "print(lab.scene.value)") != before, "moved")
        print(f"a slider's answer meanwhile: {1000 * (time.monotonic() - start):.0f} ms")
        print(f"a message's answer meanwhile: {page.evaluate(ANSWER):.0f} ms")

        # Pause, resume, and let it finish.
        start = time.monotonic()
        button("pause").click()
        until(page, lambda: page.evaluate(ASK_PYTHON, "print(lab.campaign.is_busy)") == "False",
              "paused")  # fmt: skip
        print(f"pause: {time.monotonic() - start:.1f} s")
        button("resume").click() if button("resume").is_visible() else button("run").click()
        until(page, lambda: "finished: 4 of 4 runs" in lab.inner_text(), "finished", 300)
        until(page, lambda: lab.locator(".mrcnn-dot").count() == 4, "a dot for each run")
        assert "undecided" in lab.inner_text() or "than A" in lab.inner_text()

        # More seeds, and stop.
        button("2 more seeds").or_(lab.get_by_role("button", name="more seed")).first.click()
        until(page, lambda: lab.locator("polyline").count() > 8, "more curves", 120)
        start = time.monotonic()
        button("stop").click()
        until(page, lambda: page.evaluate(ASK_PYTHON, "print(lab.campaign.is_busy)") == "False",
              "stopped")  # fmt: skip
        print(f"stop: {time.monotonic() - start:.1f} s")

        # The next morning: a new kernel knows the finished runs and the question.
        browser.restart_kernel(page)
        browser.run_all_cells(page)
        until(page, lambda: lab.locator(".mrcnn-dot").count() >= 4, "known runs")
        assert "known" in lab.inner_text() and "nms_iou=0.4" in lab.inner_text()

        # Look inside, and keep it.
        until(page, lambda: "The models of A with seed 0" in lab.inner_text(), "the models", 120)
        lab.locator(".mrcnn-dot[data-setting=B][data-seed='1']").focus()
        page.keyboard.press("Enter")
        until(page, lambda: "B with seed 1" in lab.inner_text(), "the clicked model", 120)
        assert lab.locator("img").first.evaluate("image => image.naturalWidth") > 500
        button("report").click()
        until(page, lambda: "report.html" in lab.inner_text(), "the report", 60)
        page.screenshot(path=str(folder / "lab.png"))
    assert errors == []
    (report,) = folder.glob("runs/reports/*/report.html")
    assert Texts.of(report).count("seed") > 3
    records = [json.loads(file.read_text()) for file in folder.glob("runs/*.json")
               if file.name != "lab.json"]  # fmt: skip
    assert len(records) >= 4 and all("scores" in record for record in records)


def until(page, condition, what, seconds=60):
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        page.wait_for_timeout(30)
    return True


class Texts(HTMLParser):
    """The text of a page."""

    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)

    @classmethod
    def of(cls, file):
        parser = cls()
        parser.feed(file.read_text("utf-8"))
        return " ".join(parser.parts)
